"""Results on disk: one line a cell, whole or not there, so that a run killed at any moment goes on.

A cell is one setting of an experiment with one seed. Its line holds the rows that the experiment gave and what they
depend on: commit, versions, processor, time taken. A cell that failed leaves a line, too, which says why; a later line
with rows stands in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardspec.training.folder import flush_folder

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "runs" / "benchmarks"
"""Where cells keep what they need to go on; a worker sets it to the folder of its run."""

FORMAT = 2
"""Version of the lines. Those of version 1 do not say so, hold no failures and fewer facts; they are read, too."""

Setting = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A finished cell.

    Attributes:
        setting: The setting, `steps` included.
        seed: Its seed.
        rows: What the experiment gave.
        facts: What it was made with and what it took; `measuring.py` says what they are.
    """

    setting: Setting
    seed: int
    rows: list[Row]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the setting."""
        return str(self.setting["name"])

    def line(self) -> dict[str, Any]:
        """Return the cell as plain data."""
        return {"setting": self.setting, "seed": self.seed, "rows": self.rows, "facts": self.facts}


@dataclass(frozen=True)
class Failure:
    """A cell that gave nothing that counts.

    Attributes:
        setting: The setting, `steps` included.
        seed: Its seed.
        kind: `raised`, `time`, `memory`, `died`, `no rows`, `not finite`, `not data` or `score`.
        reason: What happened, in a line or two.
        where: The end of the traceback or of what the process printed.
        facts: As a cell's.
    """

    setting: Setting
    seed: int
    kind: str
    reason: str
    where: str
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the setting."""
        return str(self.setting["name"])

    def line(self) -> dict[str, Any]:
        """Return the failure as plain data."""
        told = {"kind": self.kind, "reason": self.reason, "where": self.where}
        return {"setting": self.setting, "seed": self.seed, "failure": told, "facts": self.facts}


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
    name = "".join(c if c.isalnum() or c in "-_.," else "-" for c in str(setting["name"]))
    return SCRATCH / experiment / f"{name}-{seed}-{key(setting, seed)}"


class Records:
    """The cells of one experiment: a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first cell."""
        self.path = path

    def cells(self) -> list[Cell]:
        """Return the finished cells; a torn last line does not count, and a cell written twice counts once."""
        return [line for line in self._latest().values() if isinstance(line, Cell)]

    def failures(self) -> list[Failure]:
        """Return the cells that failed and were not made since."""
        return [line for line in self._latest().values() if isinstance(line, Failure)]

    def append(self, cell: Cell | Failure) -> None:
        """Add a cell; it is on the disk when this returns. A torn line before it is cut off first.

        Raises:
            OSError: The disk is full, for one; the file is as it was before.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"format": FORMAT, **cell.line()}, allow_nan=False).encode() + b"\n"
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = _whole(file)
            os.ftruncate(file, size)
            try:
                _write(file, line, size)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
        if not size:
            flush_folder(self.path.parent)

    def _latest(self) -> dict[str, Cell | Failure]:
        found: dict[str, Cell | Failure] = {}
        for line in self._lines():
            mark = key(line.setting, line.seed)
            if not isinstance(found.get(mark), Cell):
                found.pop(mark, None)
                found[mark] = line
        return found

    def _lines(self) -> Iterator[Cell | Failure]:
        if not self.path.is_file():
            return
        for number, text in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1):
            try:
                yield _read(json.loads(text))
            except _Newer as newer:
                sys.exit(
                    f"{self.path}:{number}: written by a newer version (format {newer}; this one knows {FORMAT}):"
                    " use the checkout that wrote it, or another --out"
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                sys.exit(
                    f"{self.path}:{number}: this line is no cell. Whole lines are only ever added, so something else"
                    " changed the file: take the line out, and its cell is made again, or use another --out"
                )


def _whole(file: int) -> int:
    """Return the length of a file up to the end of its last whole line."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return size
    return os.pread(file, size, 0).rfind(b"\n") + 1


def _write(file: int, line: bytes, place: int) -> None:
    while line:
        written = os.pwrite(file, line, place)
        line, place = line[written:], place + written


class _Newer(Exception):
    pass


def _read(held: dict[str, Any]) -> Cell | Failure:
    version = held.get("format", 1)
    if version > FORMAT:
        raise _Newer(version)
    if "failure" in held:
        told = held["failure"]
        return Failure(
            held["setting"], held["seed"], told["kind"], told["reason"], told["where"], held["facts"]
        )
    cell = Cell(held["setting"], held["seed"], held["rows"], held["facts"])
    if not isinstance(cell.rows, list) or not isinstance(cell.setting["name"], str):
        raise TypeError
    return cell


def in_order(cells: Sequence[Cell], settings: Sequence[Setting]) -> list[Cell]:
    """Return cells in the order of an experiment's settings, others last: a run makes the longest first.

    Example:
        >>> late, early = (Cell({"name": name}, 0, [], {}) for name in "ba")
        >>> [cell.name for cell in in_order([late, early], [{"name": "a"}, {"name": "b"}])]
        ['a', 'b']
    """
    places = {str(setting["name"]): place for place, setting in enumerate(settings)}
    return sorted(cells, key=lambda cell: places.get(cell.name, len(places)))


def provenance(cells: Sequence[Cell]) -> str:
    """Return in a sentence what the cells of a page were measured with.

    Example:
        >>> facts = {"commit": "abc", "processor": "P"}
        >>> provenance([Cell({"name": "a"}, seed, [], facts) for seed in (0, 1)])
        'Measured at commit abc on P, one thread a run. Each record holds its versions and times.'
    """

    def told(name: str) -> list[str]:
        return list(dict.fromkeys(str(cell.facts.get(name)) for cell in cells))

    return (
        f"Measured at {commits(told('commit'))} on {' and '.join(told('processor'))}, one thread a run. Each record"
        " holds its versions and times."
    )


def commits(found: Sequence[str]) -> str:
    """Return in words which commits there are, in the order of the records.

    Example:
        >>> commits(["abc"]), commits(["abc", "def"])
        ('commit abc', '2 commits, abc to def,')
    """
    if len(found) == 1:
        return f"commit {found[0]}"
    return f"{len(found)} commits, {found[0]} to {found[-1]}," if found else "no commit"
