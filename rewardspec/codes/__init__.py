"""The table of codes: for each an explanation, an example and a fix."""
