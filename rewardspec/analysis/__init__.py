"""Looking at specs and rewards: the linter, interval arithmetic, what a spec pays for what."""
