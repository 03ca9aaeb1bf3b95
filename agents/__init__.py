"""Agents that learn from a spec, one runnable file each: `python -m agents.q_learning --help`."""
