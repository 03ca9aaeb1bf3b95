"""An experiment's module, with what it may leave out filled in."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import benchmarks.experiments
from benchmarks.records import Cell, Row, Setting
from rewardspec import Spec
from rewardspec.errors import near_miss

Point = tuple[float, float]


@dataclass(frozen=True)
class Arm:
    """What one method came to on one task with one seed.

    Attributes:
        task: The task; empty where an experiment has one only.
        method: The method.
        score: 0 to 1.
        curve: Points (steps, value); empty where the experiment gives no curve.
    """

    task: str
    method: str
    score: float
    curve: Sequence[Point] = ()


@dataclass(frozen=True)
class Figure:
    """A published or independently measured figure beside ours.

    Attributes:
        what: What is measured.
        source: Where the figure is from: paper and section, repository, or who measured it.
        tag: `paper`, `code`, `figure files`, `independent` or `derived`: what sort of source that is.
        theirs: The figure there, or a word for it, as `never`.
        ours: Ours, likewise; None where the cells for it were not made.
        holds: Whether ours agrees with it, or does at least as well where it is a target; None where the two are
            shown beside each other only.
        unit: Of both.
        note: In what they differ.
    """

    what: str
    source: str
    tag: str
    theirs: float | str
    ours: float | str | None
    holds: bool | None = None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Resources:
    """What a cell needs: processors, a part of a GPU, and the most memory that it may take in MiB."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mib: int | None = None


@dataclass(frozen=True)
class Experiment:
    """One module of `benchmarks/experiments`, or another of the same form."""

    name: str
    module: ModuleType

    @property
    def asks(self) -> str:
        """The question it asks: the first line of its docstring."""
        return (self.module.__doc__ or "").strip().split("\n")[0]

    @property
    def settings(self) -> list[Setting]:
        """Its settings."""
        return list(self.module.SETTINGS)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return tuple(self.module.TAGS)

    @property
    def seeds(self) -> int:
        """Seeds of each setting."""
        return int(self.module.SEEDS)

    @property
    def steps(self) -> int:
        """Environment steps of a cell whose setting does not say."""
        return int(self.module.STEPS)

    @property
    def smoke_steps(self) -> int:
        """Steps that are enough to see that it runs."""
        return int(self.module.SMOKE_STEPS)

    @property
    def resources(self) -> Resources:
        """What a cell needs."""
        return Resources(**getattr(self.module, "RESOURCES", {}))

    @property
    def limit_s(self) -> float | None:
        """Seconds that a cell may take, where the experiment says."""
        return getattr(self.module, "LIMIT_S", None)

    @property
    def baseline(self) -> str | None:
        """The method that others are held against."""
        return getattr(self.module, "BASELINE", None)

    @property
    def claim(self) -> str | None:
        """The method that the experiment is about."""
        return getattr(self.module, "CLAIM", None)

    def run(self, setting: Setting, seed: int) -> Iterable[Row]:
        """Make the rows of a cell."""
        rows: Iterable[Row] = self.module.run(setting, seed)
        return rows

    def score(self, rows: Sequence[Row]) -> float:
        """Return how good a cell was, 0 to 1."""
        return float(self.module.score(rows))

    def task(self, setting: Setting) -> str:
        """Return the task of a setting."""
        return ", ".join(
            str(setting[k]) for k in getattr(self.module, "TASK", ()) if setting.get(k) is not None
        )

    def method(self, setting: Setting) -> str:
        """Return the method of a setting."""
        keys = getattr(self.module, "METHOD", ("name",))
        return ", ".join(str(setting[k]) for k in keys if setting.get(k) is not None) or str(setting["name"])

    def arms(self, cell: Cell) -> list[Arm]:
        """Return what a cell tells of methods on tasks: one of each, unless the experiment has `arms`."""
        own = getattr(self.module, "arms", None)
        if own is not None:
            return list(own(cell))
        return [
            Arm(self.task(cell.setting), self.method(cell.setting), self.score(cell.rows), self.curve(cell))
        ]

    def curve(self, cell: Cell) -> list[Point]:
        """Return a cell's learning curve; empty where the experiment gives none."""
        own = getattr(self.module, "curve", None)
        return [] if own is None else [(float(x), float(y)) for x, y in own(cell.rows)]

    @property
    def axes(self) -> tuple[str, str]:
        """What x and y of a curve are."""
        x, y = getattr(self.module, "CURVE", ("environment steps", "score"))
        return str(x), str(y)

    def specs(self, setting: Setting) -> list[Spec]:
        """Return the specs that a setting's agents are paid by; none where the experiment does not name them."""
        own = getattr(self.module, "specs", None)
        return [] if own is None else list(own(setting))

    def figures(self, cells: Sequence[Cell]) -> list[Figure]:
        """Return the published figures that the experiment is held against."""
        own = getattr(self.module, "figures", None)
        return [] if own is None else list(own(cells))

    def report(self, cells: Sequence[Cell], folder: Any) -> str | None:
        """Return the experiment's page in Markdown; None where it has none of its own."""
        own = getattr(self.module, "report", None)
        return None if own is None else str(own(cells, folder))


def names() -> list[str]:
    """Return the experiments that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.experiments.__path__))


@functools.cache
def load(name: str) -> Experiment:
    """Return an experiment; `a.b.c` names a module anywhere, for those who keep theirs elsewhere.

    Raises:
        SystemExit: There is none of the name.
    """
    if name not in names() and "." not in name:
        sys.exit(f"there is no experiment '{name}'.{near_miss(name, names())} `list` shows them.")
    place = name if "." in name else f"benchmarks.experiments.{name}"
    return Experiment(name, importlib.import_module(place))
