"""Processes of this machine: each makes one cell at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from pathlib import Path

from benchmarks.engines import Ended, Event, Limits, Started
from benchmarks.engines.process import Worker, start
from benchmarks.experiment import load
from benchmarks.records import Failure
from benchmarks.suites import Job

POLL_S = 0.2
"""How often time and memory are looked at."""


def run(workers: int, jobs: Sequence[Job], limits: Limits) -> Iterator[Event]:
    """Make cells, `workers` at once; a cell that needs several processors counts as several.

    Yields:
        What happens, in order. Closing the generator ends all processes.
    """
    gpus = count_gpus()
    queue, pool = deque(jobs), list[Worker]()
    try:
        while queue or any(worker.job for worker in pool):
            while (job := _next(queue, pool, workers, gpus)) is not None:
                worker = next((w for w in pool if w.job is None), None)
                if worker is None:
                    number = next(
                        n for n in range(len(pool) + 1) if all(f"worker {n}" != w.name for w in pool)
                    )
                    worker = start(f"worker {number}", limits)
                    pool.append(worker)
                worker.give(job)
                yield Started(job, worker.name)
            busy = [worker for worker in pool if worker.job is not None]
            connection.wait([worker.link for worker in busy], POLL_S)
            for worker in busy:
                made, job = worker.look(limits), worker.job
                if made is None or job is None:
                    continue
                worker.job = None
                if isinstance(made, Failure) and made.kind in ("time", "memory", "died"):
                    worker.end()
                    pool.remove(worker)
                yield Ended(job, made, worker.name)
    finally:
        for worker in pool:
            worker.end()


def _next(queue: deque[Job], pool: Sequence[Worker], workers: int, gpus: int) -> Job | None:
    """Return the first job that there is room for, taken out of the queue."""
    needs = [load(worker.job.experiment).resources for worker in pool if worker.job is not None]
    cpus = workers - sum(need.cpus for need in needs)
    free = gpus - sum(need.gpus for need in needs)
    for job in queue:
        need = load(job.experiment).resources
        fits = need.cpus <= cpus + 1e-9 and (not gpus or need.gpus <= free + 1e-9)
        if fits or not needs:  # one that needs more than there is runs alone
            queue.remove(job)
            return job
    return None


def count_gpus() -> int:
    """Return how many GPUs this process may use, without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return len([name for name in named.split(",") if name.strip() and name.strip() != "-1"])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
