"""`python -m benchmarks list | run | report`: make the cells of experiments, and write their pages."""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import pkgutil
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # the work is parallel over cells

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import benchmarks.experiments  # noqa: E402
from benchmarks.records import RESULTS, Cell, Records, Setting, key, measured  # noqa: E402
from rewardspec.errors import near_miss  # noqa: E402
from rewardspec.training.folder import write_whole  # noqa: E402

SMOKE_SETTINGS = 3
"""Settings of each experiment that `--smoke` runs."""


def names() -> list[str]:
    """Return the experiments that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.experiments.__path__))


def load(name: str) -> Any:
    """Return an experiment's module."""
    return importlib.import_module(f"benchmarks.experiments.{name}")


def wanted(
    experiment: Any, *, steps: int | None, seeds: int | None, smoke: bool
) -> list[tuple[Setting, int]]:
    """Return the cells of an experiment, seed by seed, so that a run cut short has whole rounds."""
    length = steps or (experiment.SMOKE_STEPS if smoke else None)
    settings = [{**s, "steps": length or s.get("steps", experiment.STEPS)} for s in experiment.SETTINGS]
    if smoke:
        settings = settings[:SMOKE_SETTINGS]
    count = 1 if smoke else seeds or experiment.SEEDS
    return [(setting, seed) for seed in range(count) for setting in settings]


def make(name: str, setting: Setting, seed: int) -> Cell:
    """Make one cell; in a process of its own."""
    return measured(load(name).run, setting, seed)


def run(
    name: str, cells: Sequence[tuple[Setting, int]], records: Records, workers: int, console: Console
) -> bool:
    """Make the cells that are not there yet; return whether all are."""
    with records.lock():
        made = {key(cell.setting, cell.seed) for cell in records.cells()}
        todo = [(setting, seed) for setting, seed in cells if key(setting, seed) not in made]
        console.print(f"{name}: {len(cells) - len(todo)} of {len(cells)} cells are there", highlight=False)
        begun, failed = time.monotonic(), 0
        context = multiprocessing.get_context("spawn")  # neither torch nor numba survives a fork
        with ProcessPoolExecutor(min(workers, len(todo)) or 1, context) as pool:
            going = {pool.submit(make, name, setting, seed): (setting, seed) for setting, seed in todo}
            done = 0
            while going:
                finished, _ = wait(going, return_when=FIRST_COMPLETED)
                for future in finished:
                    setting, seed = going.pop(future)
                    cell = _result(future, f"{name}: {setting['name']}, seed {seed}", console)
                    done += 1
                    if cell is None:
                        failed += 1
                        continue
                    records.append(cell)
                    left = (time.monotonic() - begun) / done * (len(todo) - done)
                    score = load(name).score(cell.rows)
                    console.print(
                        f"{name}: {setting['name']}, seed {seed}: score {score:.2f} in {cell.facts['cpu_s']:.0f} s CPU;"
                        f" {len(todo) - done} left, about {left / 60:.0f} min",
                        highlight=False,
                        soft_wrap=True,
                    )
    return not failed


def _result(future: Future[Cell], what: str, console: Console) -> Cell | None:
    """Return a cell, or None when it failed: the others go on."""
    try:
        return future.result()
    except BrokenProcessPool:
        sys.exit(f"{what}: its process was killed; the same command goes on")
    except Exception as error:  # whatever the experiment raises
        console.print(
            f"[red]{what} failed[/red]: {type(error).__name__}: {error}", highlight=False, soft_wrap=True
        )
        return None


def overview(name: str, cells: Iterable[Cell]) -> Table:
    """Return per setting the score over the seeds."""
    experiment, by_name = load(name), {}
    for cell in cells:
        by_name.setdefault(cell.name, []).append(experiment.score(cell.rows))
    table = Table(title=name, title_justify="left", title_style="bold")
    for column in ("setting", "seeds", "score, median", "least", "greatest"):
        table.add_column(column, justify="left" if column == "setting" else "right")
    for setting, scores in by_name.items():
        told = (statistics.median(scores), min(scores), max(scores))
        table.add_row(setting, str(len(scores)), *(f"{number:.2f}" for number in told))
    return table


def write_report(name: str, records: Records, console: Console) -> None:
    """Write an experiment's page beside its records."""
    cells = records.cells()
    console.print(overview(name, cells))
    experiment = load(name)
    if cells and hasattr(experiment, "report"):
        place = records.path.with_suffix(".md")
        text = experiment.report(cells, place.parent)
        write_whole(place, lambda file: file.write(text.encode()))
        console.print(f"written to {place}", highlight=False)


def main(command: str, arguments: list[str]) -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {command}", description=__doc__)
    if command != "list":
        parser.add_argument(
            "experiments", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; default: all"
        )
        parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the records")
    if command == "run":
        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="cells at once")
        parser.add_argument("--seeds", type=int, help="seeds of each setting (default: the experiment's)")
        parser.add_argument(
            "--steps", type=int, help="environment steps of a cell (default: the experiment's)"
        )
        parser.add_argument("--only", nargs="+", metavar="SETTING", help="settings to run (default: all)")
        parser.add_argument(
            "--smoke", action="store_true", help="few settings, one seed, few steps: only see that it runs"
        )
    options = parser.parse_args(arguments)
    chosen = getattr(options, "experiments", None) or names()
    for name in chosen:
        if name not in names():
            parser.error(f"there is no experiment '{name}'.{near_miss(name, names())}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    if command == "list":
        table = Table("experiment", "settings", "seeds", "steps", "tags", "what it asks")
        for name in names():
            e = load(name)
            asks = (e.__doc__ or "").splitlines()[0]
            table.add_row(name, str(len(e.SETTINGS)), str(e.SEEDS), f"{e.STEPS:,}", ", ".join(e.TAGS), asks)
        console.print(table)
        return 0
    fine = True
    for name in chosen:
        records = Records(options.out / f"{name}.jsonl")
        if command == "run":
            cells = wanted(load(name), steps=options.steps, seeds=options.seeds, smoke=options.smoke)
            if options.only:
                cells = [(s, seed) for s, seed in cells if s["name"] in options.only]
            fine = run(name, cells, records, options.workers, console) and fine
        write_report(name, records, console)
    return 0 if fine else 1
