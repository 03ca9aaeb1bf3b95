"""What is learnt, by how much, at what cost: one experiment a file, found by its place in this folder.

An experiment is a module with

- a docstring, whose first line is the question that it asks;
- `SETTINGS`: list of dicts of plain data, one per arm; `name` tells it apart;
- `TAGS`: words it is listed by; `STEPS`: environment steps of a cell; `SEEDS`: how many seeds each setting gets;
- `SMOKE_STEPS`: steps that are enough to see that it runs;
- `run(setting, seed) -> rows`: makes one cell, of `setting["steps"]` steps; its rows are plain data;
- `score(rows) -> 0..1`: how good a cell was.

What it may have besides, and what the report makes of it:

- `TASK`, `METHOD`: keys of a setting whose values name its task and its method; tables and profiles compare methods
  over tasks. Without them every setting is a method of its own;
- `BASELINE`, `CLAIM`: the method that others are held against, and the one that the experiment is about;
- `curve(rows) -> [(steps, value)]`: the learning curve; `CURVE`: what its x and y are, in words;
- `arms(cell) -> [Arm]`: for cells that hold several methods at once, in place of the four above;
- `specs(setting) -> [Spec]`: what the agents are paid by: its digest is recorded, its machine is drawn;
- `figures(cells) -> [Figure]`: published or independently measured figures beside ours;
- `report(cells, folder) -> str`: the experiment's page in Markdown; its pictures go into the folder;
- `LIMIT_S`: seconds that a cell may take; `RESOURCES`: `{"cpus": 1, "gpus": 0, "memory_mib": 8192}`, of one cell.

docs/experiments.md makes one from nothing.
"""
