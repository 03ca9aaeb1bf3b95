"""The additive counterpart of a set function: every item is paid as if it were the first, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.sets.arrays import Array, Arrays
from rewardspec.sets.family import SetFunction, Sets, State, Tables


def alone(function: SetFunction) -> npt.NDArray[np.float64]:
    """Return what each item is worth by itself, `[n]`: with diminishing returns it never gains more."""
    return np.asarray(Sets(function).value(np.arange(function.size)[:, None]), np.float64)


@dataclass(frozen=True)
class Modular:
    """Sum of F({i}) over what is added, repeats paid again: no set function, but the baseline to compare one with.

    Source: the reward of ModPO in Prajapat et al., "Submodular Reinforcement Learning" (ICLR 2024).

    Attributes:
        of: The set function F.
    """

    of: SetFunction

    @property
    def size(self) -> int:
        """Number of items."""
        return self.of.size

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return F of each single item, and of nothing."""
        return {"alone": np.append(alone(self.of), 0.0)}

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return `[B, 0]`: nothing is remembered."""
        return (xp.full((batch, 0), 0.0),)

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return F({item})."""
        return xp.rows(t["alone"], items)

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return F({item}), and the same nothing."""
        return self.gain(xp, t, state, items), state

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return `[B, 0]`."""
        return state[0]
