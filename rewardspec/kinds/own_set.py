"""Part of the kind `submodular`: a set function of the user's own, where it is a fold over the visited cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.constants import table_of
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.sets.arrays import Array, Arrays
from rewardspec.sets.check import find_counterexample
from rewardspec.sets.family import State, Tables
from rewardspec.sets.ground import Grid
from rewardspec.spec.values import ExpressionText, Model, Name, Number

AXES = ("i", "j", "k")
CENTRES = ("x", "y", "z")

Columns = npt.NDArray[np.float64]


class Own(Model):
    """Numbers that take in cell after cell, and what they are worth."""

    memory: dict[Name, ExpressionText] = Field(
        description="Name of a number -> what it becomes when a cell is taken in: an expression over its own name, the "
        "cell's indices i, j, k and its middle x, y, z.",
        min_length=1,
        max_length=16,
    )
    start: dict[Name, Number] = Field({}, description="What the numbers are for the empty set; 0 without.")
    value: ExpressionText | None = Field(
        None, description="F, an expression over the numbers; where there is one, that."
    )

    @model_validator(mode="after")
    def _check_names(self) -> Own:
        taken = next((name for name in (*AXES, *CENTRES) if name in self.memory), None)
        if taken is not None:
            raise ValueError(f"a number of the memory cannot be called '{taken}': that is the cell's")
        unknown = next((name for name in self.start if name not in self.memory), None)
        if unknown is not None:
            raise ValueError(f"'{unknown}' has a start and is no number of the memory")
        if self.value is None and len(self.memory) > 1:
            raise ValueError("'value' says what several numbers are worth")
        return self


@dataclass(frozen=True)
class Place:
    """The cell of a step, as expressions.

    Attributes:
        indices: Its number along each axis.
        inside: Whether the point is on the grid at all.
    """

    indices: tuple[Expr, ...]
    inside: Expr

    def names(self, grid: Grid) -> dict[str, Expr]:
        """Return what an expression calls the cell's numbers."""
        found: dict[str, Expr] = dict(zip(AXES, self.indices, strict=False))
        for name, index, low, size in zip(CENTRES, self.indices, grid.low, grid.cell, strict=False):
            middle = ir.scale(ir.Const(size), ir.Binary("add", index, ir.Const(0.5)))
            found[name] = ir.Binary("add", ir.Const(low), middle)
        return found


def lower_own(term: Own, grid: Grid, scope: Scope, now: Place, first: Place | None, alone: bool) -> Expr:
    """Return the gain of the cell of this step: of what the fold has taken in, or `alone` of nothing.

    Args:
        term: The function.
        grid: The ground set.
        scope: Where expressions are read and memories declared.
        now: The cell of this step.
        first: The cell that an episode's first step takes in before, unpaid.
        alone: Whether nothing is remembered.
    """
    before = len(scope.draft.problems)
    told = _counterexample(term, grid, scope)
    if told is not None:
        scope.problem("unfit-set-function", told[0], "own", hints=told[1:])
    if len(scope.draft.problems) > before:
        return ir.ZERO

    def taken(name: str, value: Expr, at: Place) -> Expr:
        names = {name: value, **at.names(grid)}
        grown = scope.expression(term.memory[name], "own", "memory", name, roots=(), names=names)
        return ir.Where(at.inside, grown, value)

    starts: dict[str, Expr] = {name: ir.Const(float(term.start.get(name, 0.0))) for name in term.memory}
    if alone:
        grown = {name: taken(name, start, now) for name, start in starts.items()}
        return ir.Binary("sub", _worth(term, scope, grown), _worth(term, scope, starts))
    begun, _ = scope.fold("begun", 0.0, lambda _: ir.ONE, observed=False, low=0.0, high=1.0)

    def met(name: str, value: Expr) -> Expr:
        """Return the number with the cell in which the episode began."""
        if first is None:
            return value
        return ir.Where(ir.Compare("eq", begun, ir.ZERO), taken(name, value, first), value)

    was: dict[str, Expr] = {}
    becomes: dict[str, Expr] = {}
    for name in term.memory:
        value, after = scope.fold(
            name,
            float(term.start.get(name, 0.0)),
            lambda value, name=name: taken(name, met(name, value), now),
        )
        was[name], becomes[name] = met(name, value), after
    return ir.Binary("sub", _worth(term, scope, becomes), _worth(term, scope, was))


def _worth(term: Own, scope: Scope, numbers: Mapping[str, Expr]) -> Expr:
    if term.value is None:
        return next(iter(numbers.values()))
    return scope.expression(term.value, "own", "value", roots=(), names=numbers)


# -- whether it is a set function ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fold:
    """The fold on NumPy arrays, for the checker alone; what runs is what `lower_own` gives."""

    grows: Mapping[str, Expr]
    value: Expr
    starts: tuple[float, ...]
    columns: Mapping[str, Columns]
    size: int

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        return tuple(np.full(batch, start) for start in self.starts)

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        return self.advance(xp, t, state, items)[0]

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        cells = {name: column[items] for name, column in self.columns.items()}
        grown = tuple(
            np.where(items < self.size, table_of(grow, {name: value, **cells}, len(items)), value)
            for (name, grow), value in zip(self.grows.items(), state, strict=True)
        )
        return self._worth(grown) - self._worth(state), grown

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        return np.stack(state, axis=1)

    def _worth(self, state: State) -> Columns:
        return table_of(self.value, dict(zip(self.grows, state, strict=True)), len(state[0]))


def _counterexample(term: Own, grid: Grid, scope: Scope) -> tuple[str, ...] | None:
    """Return why the fold is no set function and a hint, None where all is well; problems of expressions are noted."""
    axes = len(grid.counts)
    cell = {name: ir.Field("info", (name,)) for name in (*AXES[:axes], *CENTRES[:axes])}
    own = {name: ir.Field("info", (name,)) for name in term.memory}
    before = len(scope.draft.problems)
    grows = {
        name: scope.expression(text, "own", "memory", name, roots=(), names={name: own[name], **cell})
        for name, text in term.memory.items()
    }
    value = _worth(term, scope, own)
    if len(scope.draft.problems) > before:
        return None
    columns = np.concatenate([grid.indices(), grid.centres()], axis=1)
    columns = np.concatenate([columns, columns[:1]])  # a row for nothing
    starts = tuple(float(term.start.get(name, 0.0)) for name in term.memory)
    fold = _Fold(grows, value, starts, dict(zip(cell, columns.T, strict=True)), grid.size)
    everything = np.arange(grid.size)
    worth = fold._worth(fold.start(None, {}, grid.size))  # type: ignore[arg-type]
    gains, _ = fold.advance(None, {}, fold.start(None, {}, grid.size), everything)  # type: ignore[arg-type]
    wrong = np.flatnonzero(~np.isfinite(worth + gains))
    if wrong.size:
        i = int(wrong[0])
        return (f"cell {i} alone is worth {worth[i] + gains[i]}: it must be a finite number",)
    found = find_counterexample(fold, trials=300)
    if found is None:
        return None
    named = sorted({*found.small, *found.more, found.item} - {-1})[-1]
    where = ", ".join(f"{index:.0f}" for index in grid.indices()[named])
    return str(found), f"Cells are numbered from 0, the last axis first: {named} is ({where})."
