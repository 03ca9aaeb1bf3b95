"""Saturated sums: items add amounts to groups, and a group is worth no more than its cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.sets.arrays import Array, Arrays
from rewardspec.sets.coverage import refuse_negative
from rewardspec.sets.family import State, Tables
from rewardspec.sets.table import Table


@dataclass(frozen=True, init=False)
class SaturatedSum:
    """F(A) = sum over groups k of min(cap_k, sum over i in A of amount_ik).

    Attributes:
        amounts: `[n, groups]` float64, none negative.
        caps: `[groups]` float64, none negative.

    Example:
        >>> from rewardspec.sets.family import Sets
        >>> Sets(SaturatedSum([[1.0], [2.0]], caps=[2.5])).value(np.array([[0, 1]]))
        array([2.5])
    """

    amounts: Table
    caps: Table

    def __init__(self, amounts: npt.ArrayLike, caps: npt.ArrayLike) -> None:
        """Describe it.

        Raises:
            ValueError: When the tables do not fit, or a number is negative or not finite.
        """
        table, most = np.asarray(amounts, np.float64), np.asarray(caps, np.float64)
        if table.ndim != 2 or not len(table) or most.shape != table.shape[1:]:
            raise ValueError(
                f"amounts of shape {table.shape} and {most.size} caps: amounts have a row for each item and a column "
                "for each cap"
            )
        refuse_negative(table, "the amount of (item, group)")
        refuse_negative(most, "the cap of group")
        object.__setattr__(self, "amounts", Table(table))
        object.__setattr__(self, "caps", Table(most))

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.amounts.array)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return amounts, those of nothing included, and caps."""
        amounts, caps = self.amounts.array, self.caps.array
        return {
            "amounts": np.vstack([amounts, np.zeros((1, amounts.shape[1]))]),
            "caps": caps,
            "full": np.where(caps > 0, caps, 1.0),
        }

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return B times nothing: which items were added `[B, n + 1]` bool, and each group's sum `[B, groups]`."""
        return xp.full((batch, self.size + 1), False, "bool"), xp.full((batch, len(self.caps.array)), 0.0)

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return what is added below the caps."""
        return self._added(xp, t, state, items)[0]

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains, and the sums then; a sum beyond its cap is kept as the cap."""
        gained, sums = self._added(xp, t, state, items)
        return gained, (xp.mark(state[0], items[:, None]), sums)

    def _added(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, Array]:
        added, sums = state
        is_new = ~xp.pick(added, items[:, None])
        after = xp.below(sums + xp.rows(t["amounts"], items) * is_new, t["caps"])
        return (after - sums).sum(1), after

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return which items were added, then how full groups are, `[B, n + groups]`."""
        added, sums = state
        return xp.beside(added[:, :-1], sums / t["full"])


def collection(kinds: Sequence[int], caps: Sequence[float]) -> SaturatedSum:
    """Return the worth of a collection: each place holds a thing of some kind, and of kind k only `caps[k]` count.

    Args:
        kinds: Per place, the kind of the thing that lies there; -1 for nothing.
        caps: Per kind, how many things of it are worth 1 each.

    Raises:
        ValueError: When a kind has no cap.

    Example:
        >>> from rewardspec.sets.family import Sets
        >>> Sets(collection([0, 0, -1, 1], caps=[1, 3])).value(np.array([[0, 1, 2, 3]]))
        array([2.])
    """
    numbers = np.asarray(kinds, np.int64).ravel()
    if len(numbers) and numbers.max() >= len(caps):
        raise ValueError(f"there is a thing of kind {numbers.max()} and caps for {len(caps)}")
    return SaturatedSum(np.arange(len(caps)) == numbers[:, None], caps)
