"""A process that makes cells within limits of time and memory, and what its end means; for every engine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.engines import LIMIT_S, MEMORY_MIB, Limits
from benchmarks.engines.worker import BEGUN
from benchmarks.experiment import load
from benchmarks.measuring import made_with
from benchmarks.records import ROOT, Cell, Failure
from benchmarks.suites import Job

START_S = 300.0
"""Seconds that a process may take to load an experiment before its cell begins."""

DUMP_S = 0.3
"""How long a process gets to write down where it hangs."""

LOG_LINES = 12
"""Lines of what a process printed that a failure keeps."""


@dataclass
class Worker:
    """A process and the cell that it makes.

    Attributes:
        name: What a line calls it.
        process: The process, the leader of a group of its own.
        link: Jobs out, cells in.
        life: Closed, it ends the process.
        log: What the process printed.
        job: What it makes; None while it waits.
        has_begun: Whether all is loaded and the cell's time runs.
        since: When the cell began, or before it the wait for the process.
        peak: Most memory seen, in MiB.
    """

    name: str
    process: subprocess.Popen[bytes]
    link: Connection
    life: int
    log: Path
    job: Job | None = None
    has_begun: bool = False
    since: float = 0.0
    peak: int = 0

    def give(self, job: Job) -> None:
        """Have a cell made."""
        self.job, self.has_begun, self.since, self.peak = job, False, time.monotonic(), 0
        with suppress(OSError):  # a process that died while it waited is seen by `look`
            self.link.send((job.experiment, job.setting, job.seed))

    def look(self, limits: Limits) -> Cell | Failure | None:
        """Return what became of the cell; None while it is being made."""
        job = self.job
        assert job is not None
        with suppress(EOFError, OSError):
            while self.link.poll():
                said = self.link.recv()
                if said != BEGUN:
                    made: Cell | Failure = said
                    return made
                self.has_begun, self.since = True, time.monotonic()
        experiment, spent = load(job.experiment), time.monotonic() - self.since
        code = self.process.poll()
        if code is not None:
            how = f"killed by {_signal(-code)}" if code < 0 else f"exit status {code}"
            when = f"after {spent:.0f} s" if self.has_begun else "while it loaded"
            return self._failure("died", f"its process ended {when}: {how}", spent)
        allowed = limits.seconds or experiment.limit_s or LIMIT_S
        if spent > (allowed if self.has_begun else START_S):
            with suppress(OSError):
                os.kill(self.process.pid, signal.SIGUSR1)
                time.sleep(DUMP_S)
            told = f"not done after its time limit of {allowed:g} s"
            if not self.has_begun:
                told = f"its experiment was not loaded after {START_S:g} s"
            return self._failure("time", told, spent)
        most = limits.memory_mib or experiment.resources.memory_mib or MEMORY_MIB
        held = group_mib(self.process.pid)
        self.peak = max(self.peak, held)
        if held > most:
            return self._failure("memory", f"held {held:,} MiB; its limit is {most:,} MiB", spent)
        return None

    def _failure(self, kind: str, reason: str, spent: float) -> Failure:
        assert self.job is not None
        lines = self.log.read_text(errors="replace").splitlines() if self.log.is_file() else []
        facts = {**made_with(), "wall_s": round(spent, 2), "peak_mib": self.peak}
        return Failure(self.job.setting, self.job.seed, kind, reason, "\n".join(lines[-LOG_LINES:]), facts)

    def end(self) -> None:
        """End the process with all that it started."""
        self.link.close()
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.life)


def start(name: str, limits: Limits) -> Worker:
    """Start a process that waits for cells."""
    log = limits.scratch / "logs" / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    life, keep = os.pipe()
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    command = [
        sys.executable,
        "-m",
        "benchmarks.engines.worker",
        str(theirs.fileno()),
        str(life),
        str(limits.scratch),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
            pass_fds=(theirs.fileno(), life),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # its own processes end with it; Ctrl-C reaches the parent alone
        )
    theirs.close()
    os.close(life)
    return Worker(name, process, Connection(ours.detach()), keep, log)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def group_mib(leader: int) -> int:
    """Return the memory of a process and of those of its group, in MiB; 0 where this cannot be told."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                if os.getpgid(int(entry.name)) == leader:
                    total += int(Path(entry.path, "statm").read_text().split()[1]) * page
    return total // 2**20
