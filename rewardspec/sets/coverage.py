"""Coverage: an item covers cells, and what is covered is worth its weight once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.sets.arrays import Array, Arrays
from rewardspec.sets.family import State, Tables
from rewardspec.sets.table import Table, padded


@dataclass(frozen=True, init=False)
class Coverage:
    """F(A) = sum of the weights of all cells that an item of A covers.

    Attributes:
        members: `[n, most]` int64, the cells that each item covers; -1 where it covers fewer.
        weights: `[cells]` float64, none negative.

    Example:
        >>> Coverage([[0, 1], [1]], weights=[1.0, 0.5])
        Coverage(members=Table([[0, 1], [1, -1]]), weights=Table([1.0, 0.5]))
    """

    members: Table
    weights: Table

    def __init__(
        self, members: Sequence[Sequence[int]] | npt.NDArray[Any], weights: npt.ArrayLike | None = None
    ) -> None:
        """Describe it.

        Args:
            members: Per item, the cells that it covers; -1 for none.
            weights: Per cell; 1 each when not given.

        Raises:
            ValueError: When there is no item, a cell has no weight, or a weight is negative or not finite.
        """
        # A cell that is named twice is covered once: gains count every member that is new.
        lists = [sorted({int(cell) for cell in row if cell >= 0}) for row in members]
        if not lists:
            raise ValueError("a set function needs at least one item")
        most = max((row[-1] for row in lists if row), default=-1)
        worth = np.ones(most + 1) if weights is None else np.asarray(weights, np.float64).ravel()
        if most >= len(worth):
            raise ValueError(f"cell {most} is covered and has no weight: there are {len(worth)}")
        refuse_negative(worth, "the weight of cell")
        object.__setattr__(self, "members", Table(padded(lists)))
        object.__setattr__(self, "weights", Table(worth))

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.members.array)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return per item its cells and their weights; cells that are not there have a number of their own."""
        cells, nowhere = self.weights.array, len(self.weights.array)
        members = np.where(self.members.array < 0, nowhere, self.members.array)
        members = np.vstack([members, np.full((1, members.shape[1]), nowhere)])
        return {"members": members, "worth": np.append(cells, 0.0)[members]}

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return B times nothing covered: `[B, cells + 1]` bool."""
        return (xp.full((batch, len(self.weights.array) + 1), False, "bool"),)

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return the weight that is covered anew."""
        (covered,) = state
        return (xp.rows(t["worth"], items) * ~xp.pick(covered, xp.rows(t["members"], items))).sum(1)

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains, and what is covered then."""
        (covered,) = state
        return self.gain(xp, t, state, items), (xp.mark(covered, xp.rows(t["members"], items)),)

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return which cells are covered, `[B, cells]`."""
        return state[0][:, :-1]


@dataclass(frozen=True, init=False)
class FacilityLocation:
    """F(A) = sum over places of how well the best item of A serves it; nothing serves a place by 0.

    Attributes:
        service: `[n, places]` float64, none negative: how well an item serves a place.

    Example:
        >>> from rewardspec.sets.family import Sets
        >>> Sets(FacilityLocation([[3, 1], [2, 2]])).value(np.array([[0, 1]]))
        array([5.])
    """

    service: Table

    def __init__(self, service: npt.ArrayLike) -> None:
        """Describe it.

        Raises:
            ValueError: When there is no item, or a number is negative or not finite.
        """
        table = np.asarray(service, np.float64)
        if table.ndim != 2 or not len(table):
            raise ValueError(f"service is a table of items and places, not of shape {table.shape}")
        refuse_negative(table, "the service of (item, place)")
        object.__setattr__(self, "service", Table(table))

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.service.array)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return the service of each item, and of nothing; and the best that there is."""
        service = self.service.array
        best = service.max(axis=0)
        return {
            "service": np.vstack([service, np.zeros((1, service.shape[1]))]),
            "best": np.where(best > 0, best, 1.0),
        }

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return B times no place served: `[B, places]`."""
        return (xp.full((batch, self.service.array.shape[1]), 0.0),)

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return by how much places are served better."""
        return xp.above(xp.rows(t["service"], items) - state[0], 0.0).sum(1)

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains, and how well places are served then."""
        (served,) = state
        better = xp.above(xp.rows(t["service"], items), served)
        return (better - served).sum(1), (better,)

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return how well places are served, in parts of the best, `[B, places]`."""
        return state[0] / t["best"]


def refuse_negative(numbers: npt.NDArray[Any], what: str) -> None:
    """Raise when a number is negative or not finite: a function with it would not be monotone and submodular.

    Raises:
        ValueError: With the first such number and its place.
    """
    wrong = np.argwhere(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(wrong):
        index = tuple(int(i) for i in wrong[0])
        shown = index[0] if len(index) == 1 else index
        raise ValueError(f"{what} {shown} is {numbers[index]}: it must be a number, and not negative")
