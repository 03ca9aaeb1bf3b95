"""The offline test of CALM: does a model see which step of NetHack's KeyRoom reached a subgoal?

- `transitions`: a scripted player, and data sets of its steps with exact labels.
- `rooms`: how the player reads MiniHack, and our text clone of it.
- `python -m benchmarks.calm --help`: ask a model, or replay what it said, and write the table.
"""
