"""Make the cells that are not there yet, write each down as it ends, and say how it went."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from rich.console import Console

from benchmarks.engines import Ended, Event, Limits, Started
from benchmarks.experiment import load
from benchmarks.progress import Progress, clock
from benchmarks.records import RESULTS, Cell
from benchmarks.store import Store
from benchmarks.suites import Job, Plan

Engine = Callable[[Sequence[Job], Limits], Iterator[Event]]

START_S = 2.0
"""Seconds that a process takes to load what cells need, as a projection counts it; once a process and experiment."""


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        made: Cells made now.
        failed: Cells that failed now.
        seconds: How long it took.
        busy: Seconds that cells took, together.
    """

    made: int
    failed: int
    seconds: float
    busy: float


def run(
    jobs: Sequence[Job],
    store: Store,
    engine: Engine,
    limits: Limits,
    console: Console,
    workers: int = 1,
    plan: Plan | None = None,
) -> Outcome:
    """Make the cells that the folder does not hold; those that failed before are tried again.

    Args:
        jobs: All cells of the run.
        store: The folder.
        engine: Who makes them.
        limits: What a cell may take.
        console: Where to show how it goes.
        workers: How many cells the engine makes at once.
        plan: What was asked, to be kept for `resume`.

    Raises:
        SystemExit: Another run writes into the folder; or nothing can be written into it, the disk being full.
    """
    with store.lock():
        if plan is not None:
            store.write_plan(asdict(plan))
        there = there_of(jobs, store)
        todo = [job for job in jobs if job.mark not in there]
        held = Counter(name for name, _ in there)
        console.print(f"{len(there)} of {len(jobs)} cells are there, in {store.path}", highlight=False)
        expected = expectations(todo)
        todo.sort(key=lambda job: (job.seed, -expected.get(job.mark, 0.0)))
        progress = Progress(todo, held, expected, console)
        number, made = len(store.sessions()), 0
        with progress, closing(engine(todo, limits)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Started):
                    progress.tell(event)
                    continue
                keep(event, store)
                progress.tell(event, _score(event))
                made = progress.ended - progress.failed
                if plan is not None:
                    session = {"seconds": round(progress.seconds), "workers": workers, "made": made}
                    # How long it took is not worth a run; a full disk ends it above.
                    with contextlib.suppress(OSError):
                        store.note_session(number, session)
    return Outcome(made, progress.failed, progress.seconds, progress.busy)


def keep(event: Ended, store: Store) -> None:
    """Write down how a cell ended."""
    try:
        store.records(event.job.experiment).append(event.made)
    except OSError as error:
        sys.exit(
            f"{event.job}: its rows cannot be written into {store.path} ({error.strerror or error}). All cells before"
            " it are there, whole; make room and `resume`: this one is made again"
        )


def there_of(jobs: Sequence[Job], store: Store) -> set[tuple[str, str]]:
    """Return the marks of the jobs whose cells the folder holds."""
    made = {
        Job(name, cell.setting, cell.seed).mark
        for name in dict.fromkeys(job.experiment for job in jobs)
        for cell in store.records(name).cells()
    }
    return {job.mark for job in jobs if job.mark in made}


def _score(event: Ended) -> float | None:
    if isinstance(event.made, Cell):
        return load(event.job.experiment).score(event.made.rows)
    return None


def expectations(jobs: Sequence[Job]) -> dict[tuple[str, str], float]:
    """Return the CPU seconds that cells are expected to take, from the records in benchmarks/results.

    A cell of a setting with another number of steps or another seed is taken in proportion.
    """
    found: dict[tuple[str, str], float] = {}
    for name in dict.fromkeys(job.experiment for job in jobs):
        cells = Store(RESULTS).records(name).cells()
        exact = {Job(name, cell.setting, cell.seed).mark: float(cell.facts["cpu_s"]) for cell in cells}
        per_step: dict[str, list[float]] = {}
        for cell in cells:
            per_step.setdefault(cell.name, []).append(cell.facts["cpu_s"] / max(1, cell.setting["steps"]))
        for job in (job for job in jobs if job.experiment == name):
            rates = per_step.get(str(job.setting["name"]))
            if job.mark in exact:
                found[job.mark] = exact[job.mark]
            elif rates:
                found[job.mark] = sum(rates) / len(rates) * job.setting["steps"]
    return found


@dataclass(frozen=True)
class Projection:
    """What cells would take.

    Attributes:
        cells: How many there are.
        known: How many of them were measured before, or cells like them.
        cpu_s: CPU seconds of those; the others are taken to be like the mean of their experiment, or of all.
        wall_s: On `workers` quiet cores, the start of the processes included.
    """

    cells: int
    known: int
    cpu_s: float
    wall_s: float


def projection(jobs: Sequence[Job], workers: int) -> Projection:
    """Return what cells would take, by what they took before.

    The cells are dealt out in the order in which a run takes them, each to the worker that is free first.
    """
    expected = expectations(jobs)
    by_name: dict[str, list[float]] = {}
    for job in jobs:
        if job.mark in expected:
            by_name.setdefault(job.experiment, []).append(expected[job.mark])
    means = {name: sum(found) / len(found) for name, found in by_name.items()}
    usual = sum(expected.values()) / len(expected) if expected else 0.0

    def seconds(job: Job) -> float:
        return expected.get(job.mark, means.get(job.experiment, usual))

    free = [0.0] * workers
    for job in sorted(jobs, key=lambda job: (job.seed, -seconds(job))):
        free[free.index(min(free))] += seconds(job)
    start = START_S * len({job.experiment for job in jobs})
    return Projection(len(jobs), len(expected), sum(map(seconds, jobs)), max(free) + start)


def told(outcome: Outcome, workers: int) -> str:
    """Return in a sentence how a run went, and what the engine cost besides the cells."""
    cells = outcome.made + outcome.failed
    if not cells:
        return "nothing was to be made"
    over = (outcome.seconds * workers - outcome.busy) / cells
    return (
        f"{outcome.made} cells made, {outcome.failed} failed, in {clock(outcome.seconds)}:"
        f" {60 * cells / outcome.seconds:.1f} cells a minute with {workers} workers, {over:.2f} s a cell of worker time"
        " besides the cells (processes that start, cells handed out, waiting for the last)"
    )


def default_workers() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
