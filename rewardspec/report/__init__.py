"""HTML pages about trained agents: one file each, which loads nothing from anywhere.

- `recording.py`: an agent's episode, step by step, with pictures.
- `player.py`: the episode as a part of a page: frames, machines, propositions and rewards, moved by a slider.
- `timeline.py`: its rewards, machine states and propositions against time.
- `charts.py`: learning curves as SVG.
- `page.py`: what all pages share: the frame, the style, escaping.
- `watch.py`, `comparison.py`: the pages themselves.
"""
