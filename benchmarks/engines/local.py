"""Processes of this machine: each makes one cell at a time, within limits of time and memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from benchmarks.engines import LIMIT_S, MEMORY_MIB, Ended, Event, Limits, Started
from benchmarks.engines.worker import BEGUN, serve
from benchmarks.experiment import load
from benchmarks.measuring import made_with
from benchmarks.records import Cell, Failure
from benchmarks.suites import Job

POLL_S = 0.2
"""How often time and memory are looked at."""

START_S = 300.0
"""Seconds that a process may take to load an experiment before its cell begins."""

DUMP_S = 0.3
"""How long a process gets to write down where it hangs."""

LOG_LINES = 12
"""Lines of what a process printed that a failure keeps."""


@dataclass
class Worker:
    """A process and the cell that it makes."""

    number: int
    process: Any
    link: Any
    log: Path
    job: Job | None = None
    has_begun: bool = False
    since: float = 0.0
    peak: int = 0

    @property
    def name(self) -> str:
        """What a line calls it."""
        return f"worker {self.number}"


def run(workers: int, jobs: Sequence[Job], limits: Limits) -> Iterator[Event]:
    """Make cells, `workers` at once; a cell that needs several processors counts as several.

    Yields:
        What happens, in order. Closing the generator ends all processes.
    """
    context = multiprocessing.get_context("spawn")  # neither torch nor numba survives a fork
    gpus = count_gpus()
    queue, pool = deque(jobs), list[Worker]()
    try:
        while queue or any(worker.job for worker in pool):
            while (job := _next(queue, pool, workers, gpus)) is not None:
                worker = next((w for w in pool if w.job is None), None)
                if worker is None:
                    worker = _start(context, limits, pool)
                worker.job, worker.has_begun, worker.since, worker.peak = job, False, time.monotonic(), 0
                with suppress(OSError):  # a process that died idle is seen below
                    worker.link.send((job.experiment, job.setting, job.seed))
                yield Started(job, worker.name)
            busy = [worker for worker in pool if worker.job is not None]
            connection.wait([w.link for w in busy] + [w.process.sentinel for w in busy], POLL_S)
            for worker in busy:
                made = _look(worker, limits)
                if made is None:
                    continue
                job, worker.job = worker.job, None
                assert job is not None
                if isinstance(made, Failure) and made.kind in ("time", "memory", "died"):
                    end(worker)
                    pool.remove(worker)
                yield Ended(job, made, worker.name)
    finally:
        for worker in pool:
            end(worker)


def _start(context: Any, limits: Limits, pool: list[Worker]) -> Worker:
    number = next(n for n in range(len(pool) + 1) if all(n != worker.number for worker in pool))
    ours, theirs = context.Pipe()
    log = limits.scratch / "logs" / f"worker-{number}.log"
    process = context.Process(target=serve, args=(theirs, str(limits.scratch), str(log)))
    process.start()
    theirs.close()
    pool.append(Worker(number, process, ours, log))
    return pool[-1]


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


def _look(worker: Worker, limits: Limits) -> Cell | Failure | None:
    """Return what became of a worker's cell; None while it is being made."""
    job = worker.job
    assert job is not None
    with suppress(EOFError, OSError):
        while worker.link.poll():
            said = worker.link.recv()
            if said != BEGUN:
                made: Cell | Failure = said
                return made
            worker.has_begun, worker.since = True, time.monotonic()
    experiment = load(job.experiment)
    spent = time.monotonic() - worker.since
    if not worker.process.is_alive():
        code = worker.process.exitcode
        how = f"killed by {_signal(-code)}" if code is not None and code < 0 else f"exit status {code}"
        when = f"after {spent:.0f} s" if worker.has_begun else "while it loaded"
        return _failure(worker, "died", f"its process ended {when}: {how}", spent)
    allowed = limits.seconds or experiment.limit_s or LIMIT_S
    if spent > (allowed if worker.has_begun else START_S):
        with suppress(OSError):
            os.kill(worker.process.pid, signal.SIGUSR1)
            time.sleep(DUMP_S)
        told = f"not done after its time limit of {allowed:g} s"
        if not worker.has_begun:
            told = f"its experiment was not loaded after {START_S:g} s"
        return _failure(worker, "time", told, spent)
    most = limits.memory_mib or experiment.resources.memory_mib or MEMORY_MIB
    worker.peak = max(worker.peak, held := group_mib(worker.process.pid))
    if held > most:
        return _failure(worker, "memory", f"held {held:,} MiB; its limit is {most:,} MiB", spent)
    return None


def _failure(worker: Worker, kind: str, reason: str, spent: float) -> Failure:
    job = worker.job
    assert job is not None
    lines = worker.log.read_text(errors="replace").splitlines() if worker.log.is_file() else []
    facts = {**made_with(), "wall_s": round(spent, 2), "peak_mib": worker.peak}
    return Failure(job.setting, job.seed, kind, reason, "\n".join(lines[-LOG_LINES:]), facts)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end(worker: Worker) -> None:
    """End a process with all that it started."""
    worker.link.close()
    with suppress(OSError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.kill()
    worker.process.join()
    worker.process.close()


def group_mib(leader: int) -> int:
    """Return the memory of a process and of those it started, in MiB; 0 where this cannot be told."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                stat = Path(entry.path, "stat").read_text()
                if int(stat[stat.rindex(")") + 2 :].split()[2]) == leader:  # its process group
                    total += int(Path(entry.path, "statm").read_text().split()[1]) * page
    return total // 2**20


def count_gpus() -> int:
    """Return how many GPUs this process may use, without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return len([name for name in named.split(",") if name.strip() and name.strip() != "-1"])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
