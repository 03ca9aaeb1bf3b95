"""What is learnt, by how much, at what cost: one experiment a file, found by its place in this folder.

An experiment is a module with

- `SETTINGS`: list of dicts of plain data, one per arm; `name` tells it apart;
- `TAGS`: words it is listed by; `STEPS`: environment steps of a cell; `SEEDS`: how many seeds each setting gets;
- `SMOKE_STEPS`: steps that are enough to see that it runs;
- `run(setting, seed) -> rows`: makes one cell, of `setting["steps"]` steps; its rows are plain data;
- `score(rows) -> 0..1`: how good a cell was;
- `report(cells, folder) -> str` (optional): the experiment's page in Markdown; its pictures go into the folder.
"""
