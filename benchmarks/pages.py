"""The pages of single experiments, in Markdown beside their records, and an overview in the terminal."""

from __future__ import annotations

import statistics

from rich.console import Console
from rich.table import Table

from benchmarks.experiment import load
from benchmarks.records import Cell, Failure, in_order
from benchmarks.store import Store
from rewardspec.training.folder import write_whole


def write(name: str, store: Store, console: Console, *, overview: bool) -> None:
    """Write an experiment's page beside its records; show its scores where `overview`, its failures always."""
    records = store.records(name)
    cells, failures = records.cells(), records.failures()
    if overview:
        console.print(scores(name, cells))
    for failure in failures:
        console.print(
            f"{name}: {described(failure)}", style="red", highlight=False, soft_wrap=True, markup=False
        )
    text = load(name).report(cells, store.path) if cells else None
    if text is not None:
        place = records.path.with_suffix(".md")
        write_whole(place, lambda file: file.write(text.encode()))
        if overview:
            console.print(f"written to {place}", highlight=False)


def described(failure: Failure) -> str:
    """Return in a line which cell failed, and why."""
    return f"{failure.name}, seed {failure.seed} failed ({failure.kind}): {failure.reason}"


def scores(name: str, cells: list[Cell]) -> Table:
    """Return per setting the score over the seeds."""
    experiment, by_name = load(name), dict[str, list[float]]()
    for cell in in_order(cells, experiment.settings):
        by_name.setdefault(cell.name, []).append(experiment.score(cell.rows))
    table = Table(title=name, title_justify="left", title_style="bold")
    for column in ("setting", "seeds", "score, median", "least", "greatest"):
        table.add_column(column, justify="left" if column == "setting" else "right")
    for setting, found in by_name.items():
        told = (statistics.median(found), min(found), max(found))
        table.add_row(setting, str(len(found)), *(f"{number:.2f}" for number in told))
    return table
