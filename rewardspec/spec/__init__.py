"""The spec language: text, model, Python builders and checks."""
