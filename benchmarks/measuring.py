"""Make one cell and note what it was made with and what it took, or why it gave nothing that counts.

Facts of a cell:

- `commit`, `code`: the commit, and a digest of all sources, as they were when the process loaded them;
- `spec`: a digest of the specs that the agents were paid by, where the experiment names them;
- `versions`, `processor`, `host`, `device`: what it ran on; `device` is `cpu` or the name of the GPU;
- `wall_s`, `cpu_s`: time taken, that of child processes included;
- `peak_mib`: most memory of the process while it made this cell;
- `resumed`: true where the cell went on from a checkpoint, so that its times are those of its last part.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.experiment import Experiment
from benchmarks.records import ROOT, Cell, Failure, Row, Setting
from rewardspec.training.loop import versions

SOURCES = ("rewardspec", "envs", "agents", "benchmarks", "examples/specs", "examples/teams")
"""Folders whose sources and specs a figure may depend on."""

WHERE_LINES = 12
"""Lines of a traceback that a failure keeps."""


def make(experiment: Experiment, setting: Setting, seed: int) -> Cell | Failure:
    """Make a cell; whatever the experiment raises becomes a failure."""
    place = records.scratch(experiment.name, setting, seed)
    resumed = place.is_dir() and any(place.iterdir())
    meter = Meter()
    try:
        rows = list(experiment.run(setting, seed))
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}".strip()
        where = "\n".join(traceback.format_exc().rstrip().splitlines()[-WHERE_LINES:])
        return Failure(setting, seed, "raised", said, where, meter.facts())
    facts = meter.facts()
    if resumed:
        facts["resumed"] = True
    fault = fault_of(rows)
    if fault is None:
        with suppress(Exception):  # what cannot be read now was read when the cell ran
            facts["spec"] = digest(experiment, setting)
        try:
            score = experiment.score(rows)
            if not 0.0 <= score <= 1.0:
                fault = "score", f"the score is {score!r}: not a number from 0 to 1"
        except Exception as error:
            fault = "score", f"{type(error).__name__} from score(rows): {error}"
    if fault is not None:
        return Failure(setting, seed, *fault, "", facts)
    return Cell(setting, seed, rows, facts)


def measured(run: Callable[[Setting, int], Sequence[Row]], setting: Setting, seed: int) -> Cell:
    """Make a cell and note what it took; what is wrong is raised."""
    meter = Meter()
    rows = list(run(setting, seed))
    return Cell(setting, seed, rows, meter.facts())


class Meter:
    """Time and memory of this process since the meter was made."""

    def __init__(self) -> None:
        """Begin."""
        made_with()  # read once, not on the cell's time
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def facts(self) -> dict[str, Any]:
        """Return the facts of a cell that ends now."""
        return {
            **made_with(),
            "device": device(),
            "wall_s": round(time.perf_counter() - self._wall, 2),
            "cpu_s": round(_cpu_seconds() - self._cpu, 2),
            "peak_mib": peak_mib(),
        }


@functools.cache
def made_with() -> dict[str, Any]:
    """Return the facts that hold for all cells of this process."""
    return {
        "commit": commit(),
        "code": code(),
        "versions": versions(),
        "processor": processor(),
        "host": platform.node(),
    }


def fault_of(rows: Sequence[Any]) -> tuple[str, str] | None:
    """Return kind and reason where rows cannot be kept.

    Example:
        >>> fault_of([{"steps": 1, "return": float("nan")}])
        ('not finite', "rows[0]['return'] is nan")
        >>> fault_of([])
        ('no rows', 'the experiment returned no rows')
        >>> fault_of([{"steps": {1, 2}}])
        ('not data', "rows[0]['steps'] is a set: rows hold numbers, text, lists and dicts")
        >>> fault_of([{"steps": 1}])
    """
    if not rows:
        return "no rows", "the experiment returned no rows"
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            return "not data", f"rows[{number}] is a {type(row).__name__}: a row is a dict"
        fault = _fault(row, f"rows[{number}]")
        if fault is not None:
            return fault
    return None


def _fault(value: Any, place: str) -> tuple[str, str] | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else ("not finite", f"{place} is {value}")
    if value is None or isinstance(value, (bool, int, str)):
        return None
    parts: list[tuple[Any, str]]
    if isinstance(value, dict):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            return "not data", f"{place} has the key {wrong!r}: keys are text"
        parts = [(part, f"{place}[{key!r}]") for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(part, f"{place}[{index}]") for index, part in enumerate(value)]
    else:
        return (
            "not data",
            f"{place} is a {type(value).__name__}: rows hold numbers, text, lists and dicts",
        )
    return next((fault for part, name in parts if (fault := _fault(part, name)) is not None), None)


def digest(experiment: Experiment, setting: Setting) -> str | None:
    """Return 16 hexadecimal digits of the specs of a setting; None where the experiment does not name them."""
    specs = experiment.specs(setting)
    if not specs:
        return None
    text = json.dumps([spec.to_data() for spec in specs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def commit() -> str | None:
    """Return the commit of this checkout, `-dirty` where its files differ from it; results do not count."""
    others = ["--", ".", ":!benchmarks/results"]
    try:
        said = [
            subprocess.run(
                ["git", *command], cwd=ROOT, capture_output=True, text=True, check=False
            ).stdout.strip()
            for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "-uno", *others])
        ]
    except OSError:
        return None
    return (said[0] + ("-dirty" if said[1] else "")) or None


def code() -> str:
    """Return 12 hexadecimal digits that change with any source or spec that a figure may depend on."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml") and "results" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def device() -> str:
    """Return `cpu`, or the name of the GPU that torch holds memory on."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "cpu"
    return str(torch.cuda.get_device_name())


def peak_mib() -> int:
    """Return the most memory of this process since its peak was last reset."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
