"""Where cells are made: processes of this machine, or a Ray cluster. Both give the same cells and say the same.

An engine is a function that takes the jobs and yields what happens to them: `Started`, then `Ended` with a cell or a
failure. It never writes records: one process does, the one that reads what it yields.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Cell, Failure
from benchmarks.suites import Job

LIMIT_S = 2 * 3600.0
"""Seconds that a cell may take when neither the experiment nor the command says."""

MEMORY_MIB = 8192
"""The same for its memory."""


@dataclass(frozen=True)
class Limits:
    """What one cell may take.

    Attributes:
        seconds: Time; the experiment's own limit when None, `LIMIT_S` where it has none.
        memory_mib: Memory of the process with its children; likewise.
        scratch: Where cells keep their checkpoints, and processes what they print.
    """

    seconds: float | None
    memory_mib: int | None
    scratch: Path


@dataclass(frozen=True)
class Started:
    """A cell is being made."""

    job: Job
    worker: str


@dataclass(frozen=True)
class Ended:
    """A cell is made, or will not be."""

    job: Job
    made: Cell | Failure
    worker: str


Event = Started | Ended
