"""Results on disk: one line a finished cell, whole or not there, so that a run killed at any moment goes on.

A cell is one setting of an experiment with one seed. Its line holds the rows that the experiment gave and what they
depend on: commit, versions, processor, time taken.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardspec.training.folder import flush
from rewardspec.training.loop import versions

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "runs" / "benchmarks"

Setting = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A finished cell.

    Attributes:
        setting: The setting, `steps` included.
        seed: Its seed.
        rows: What the experiment gave.
        facts: `commit`, `code` (a digest of the sources), `versions`, `processor`, `wall_s`, `cpu_s`, `peak_mib` (of
            the process, which may have made other cells before).
    """

    setting: Setting
    seed: int
    rows: list[Row]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the setting."""
        return str(self.setting["name"])


def key(setting: Mapping[str, Any], seed: int) -> str:
    """Return what tells a cell apart in its experiment.

    Example:
        >>> key({"name": "a", "steps": 1}, 0) == key({"steps": 1, "name": "a"}, 0)
        True
    """
    text = json.dumps([dict(setting), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def scratch(experiment: str, setting: Mapping[str, Any], seed: int) -> Path:
    """Return the folder in which a cell may keep what it needs to go on when it is killed."""
    return SCRATCH / experiment / f"{setting['name']}-{seed}-{key(setting, seed)}"


class Records:
    """The finished cells of one experiment: a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first cell."""
        self.path = path

    def cells(self) -> list[Cell]:
        """Return the finished cells; a torn last line does not count, and a cell written twice counts once."""
        if not self.path.is_file():
            return []
        found: dict[str, Cell] = {}
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            try:
                held = json.loads(line)
                cell = Cell(held["setting"], held["seed"], held["rows"], held["facts"])
            except (ValueError, KeyError):
                continue
            found.setdefault(key(cell.setting, cell.seed), cell)
        return list(found.values())

    def append(self, cell: Cell) -> None:
        """Add a cell; it is on the disk when this returns. A torn line before it is cut off first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(
            {"setting": cell.setting, "seed": cell.seed, "rows": cell.rows, "facts": cell.facts}
        )
        with self.path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
            file.write(line.encode() + b"\n")
            flush(file)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep another run of the same experiment out; the lock goes with the process.

        Raises:
            SystemExit: Another process runs it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        place = self.path.with_name(f".{self.path.name}.lock")
        with place.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                sys.exit(f"another process is writing to {self.path}")
            try:
                yield
            finally:
                place.unlink(missing_ok=True)


def measured(run: Callable[[Setting, int], Sequence[Row]], setting: Setting, seed: int) -> Cell:
    """Make a cell and note what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = list(run(setting, seed))
    facts = {
        "commit": commit(),
        "code": code(),
        "versions": versions(),
        "processor": processor(),
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    return Cell(setting, seed, rows, facts)


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
    for folder in ("rewardspec", "envs", "agents", "benchmarks", "examples/specs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml") and "results" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def provenance(cells: Sequence[Cell]) -> str:
    """Return in a sentence what the cells of a page were measured with.

    Example:
        >>> facts = {"commit": "abc", "processor": "P"}
        >>> provenance([Cell({"name": "a"}, seed, [], facts) for seed in (0, 1)])
        'Measured at commit abc on P, one thread a run. Each record holds its versions and times.'
    """

    def told(name: str) -> list[str]:
        return list(dict.fromkeys(str(cell.facts.get(name)) for cell in cells))

    commits = told("commit")
    place = (
        f"commit {commits[0]}"
        if len(commits) == 1
        else f"{len(commits)} commits, {commits[0]} to {commits[-1]},"
    )
    return (
        f"Measured at {place} on {' and '.join(told('processor'))}, one thread a run. Each record holds its versions"
        " and times."
    )


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
