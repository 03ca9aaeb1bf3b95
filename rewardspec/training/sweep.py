"""Several runs at once, one process each, shown together while they train."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from rewardspec.spec.model import Spec
from rewardspec.training.folder import Row, RunFolder
from rewardspec.training.loop import resume, train

POLL = 0.5
"""Seconds between two looks at the runs."""

QUARTERS = 4
"""Lines that each run prints where there is no terminal."""


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        name: What to call it.
        spec: The spec, or the path of its file.
        folder: Its run folder. A run that was stopped there goes on.
        steps: Environment steps.
        seed: Its seed.
        settings: Other arguments of `train`.
    """

    name: str
    spec: Spec | Path
    folder: Path
    steps: int
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)


def train_all(
    jobs: Sequence[Job], workers: int | None = None, console: Console | None = None
) -> list[RunFolder]:
    """Make all runs, as many at once as there are cores, and show how they get on.

    Each process trains with one torch thread. When this is interrupted all of them stop; the same call goes
    on with each run where it was.

    Args:
        jobs: The runs.
        workers: Runs at once; the cores of this machine when not given.
        console: Where to show them.

    Returns:
        The run folders, in the order of `jobs`.

    Raises:
        RewardSpecError: What one of the runs raised; the others are stopped.
    """
    workers = min(len(jobs), workers or len(os.sched_getaffinity(0)))
    console = console or Console()
    begun = time.monotonic()
    processes = multiprocessing.get_context("spawn")  # torch does not survive a fork
    with ProcessPoolExecutor(workers, processes, initializer=_leave_interrupts) as pool:
        runs = [pool.submit(_make, job) for job in jobs]
        try:
            _show(jobs, runs, workers, begun, console)
        except BaseException:
            _stop(pool)
            raise
    return [RunFolder(job.folder) for job in jobs]


def _leave_interrupts() -> None:
    """Let the process that shows the runs answer Ctrl-C alone; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(job: Job) -> None:
    """Make one run, or go on with it; in a process of its own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if RunFolder(job.folder).is_run:
        resume(job.folder, show=False)
    else:
        train(job.spec, job.folder, steps=job.steps, seed=job.seed, show=False, **job.settings)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool at once; a run can be stopped at any moment."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _show(
    jobs: Sequence[Job], runs: Sequence[Future[None]], workers: int, begun: float, console: Console
) -> None:
    """Show the runs until all are over; raise what one of them raised."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            while _wait(runs):
                live.update(_table(jobs, workers, begun))
            live.update(_table(jobs, workers, begun))
        return
    printed = [0] * len(jobs)
    while True:
        going = _wait(runs)
        for i, job in enumerate(jobs):
            last = _last(job)
            quarter = QUARTERS * last["steps"] // job.steps if last is not None else 0
            if last is not None and quarter > printed[i]:
                printed[i] = quarter
                steps = f"{last['steps']:,} of {job.steps:,} steps, {_success(last)} success"
                console.print(f"{job.name}, seed {job.seed}: {steps}", highlight=False, soft_wrap=True)
        if not going:
            return


def _wait(runs: Sequence[Future[None]]) -> bool:
    """Wait a moment; return whether any run is still going, or raise what one raised."""
    going = [run for run in runs if not run.done()]
    if going:
        wait(going, timeout=POLL, return_when=FIRST_COMPLETED)
    for run in runs:
        if run.done():
            run.result()
    return bool(going)


def _table(jobs: Sequence[Job], workers: int, begun: float) -> Table:
    rows = [_last(job) for job in jobs]
    table = Table(box=None, pad_edge=False, caption=_left(jobs, rows, workers, begun), caption_justify="left")
    for name, width in (
        ("reward", None),
        ("seed", 4),
        ("", 30),
        ("steps", 9),
        ("success", 7),
        ("by term", None),
    ):
        table.add_column(
            name, width=width, justify="right" if name in ("seed", "steps", "success") else "left"
        )
    for job, row in zip(jobs, rows, strict=True):
        done = min(row["steps"], job.steps) if row is not None else 0
        terms = row["recent"]["terms"] if row is not None else {}
        paid = ", ".join(f"{name} {value:.2f}" for name, value in list(terms.items())[:4])
        table.add_row(
            job.name,
            str(job.seed),
            ProgressBar(total=job.steps, completed=done, width=30),
            f"{done:,}",
            _success(row) if row is not None else "",
            paid,
        )
    return table


def _left(jobs: Sequence[Job], rows: Sequence[Row | None], workers: int, begun: float) -> str:
    """Return the time spent and the time left, from the pace so far."""
    spent = time.monotonic() - begun
    done = sum(min(row["steps"], job.steps) for job, row in zip(jobs, rows, strict=True) if row is not None)
    total = sum(job.steps for job in jobs)
    left = spent * (total - done) / done if done else None
    told = f", about {left / 60:.1f} minutes left" if left is not None else ""
    return f"{workers} at once, {spent / 60:.1f} minutes so far{told}"


def _success(row: Row) -> str:
    success = row["recent"]["success"]
    return "–" if success is None else f"{success:.0%}"


def _last(job: Job) -> Row | None:
    rows = RunFolder(job.folder).rows()
    return rows[-1] if rows else None
