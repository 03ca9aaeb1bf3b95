"""Train an SB3 agent on a spec, in a run folder that survives a kill.

- `settings.py`: what a run is made of, and what is chosen where nothing is said.
- `environments.py`, `observations.py`: from an environment id to what an agent can learn from.
- `folder.py`, `checkpoint.py`: what is on disk, and how all that a run needs to go on gets there.
- `recorder.py`, `display.py`: what is measured on the way, and how it is shown.
- `loop.py`: `train`, `resume`, `load_agent`.
- `blends.py`: what a run of BARFI has learned to trust, and the plain spec it freezes to.
"""
