"""The contract of set functions, and sets that grow item by item: B of them at once.

A set function F gives every set of items a number, F(nothing) = 0. Items are whole numbers from 0 to n - 1. What is
ready here is monotone (an item more is never worth less) and submodular: the gain

    F(i | A) = F(A + {i}) - F(A)

of an item never grows with the set that it is added to. An item that is in the set already gains 0.

A function is a frozen description. `Sets` runs it for B sets with a memory that is bounded, whatever is added: it does
not keep the sets, only what later gains depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rewardspec.sets.arrays import Array, Arrays, arrays

State = tuple[Array, ...]
"""What later gains depend on: arrays `[B, ...]`."""

Tables = Mapping[str, Array]
"""A function's numbers, on the device."""


class SetFunction(Protocol):
    """A set function: a frozen value with its numbers, and how gains follow from them.

    `start`, `gain` and `advance` are pure, and written once for NumPy and torch. They are given items from 0 to n:
    n stands for nothing, gains 0 and leaves the state as it is. Tables by item have therefore n + 1 rows.
    """

    @property
    def size(self) -> int:
        """Number of items n."""

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return the numbers that the other methods read, by name."""

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return the state of B empty sets."""

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return F(item | set), `[B]`, for items `[B]`."""

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains, and the state with the items added."""

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return the state as numbers from 0 to 1, `[B, m]`: what a policy must see for its task to be Markov."""


class Sets:
    """B sets that grow under one set function, on NumPy or torch.

    Attributes:
        function: The set function.
        size: Number of items n.

    Example:
        >>> from rewardspec.sets.coverage import Coverage
        >>> sets = Sets(Coverage([[0, 1], [1, 2]]))
        >>> state = sets.start(2)
        >>> gained, state = sets.advance(state, np.array([0, 1]))
        >>> gained, sets.gain(state, np.array([1, 1]))
        (array([2., 2.]), array([1., 0.]))
    """

    def __init__(
        self,
        function: SetFunction,
        backend: Literal["numpy", "torch"] = "numpy",
        *,
        device: str = "cpu",
        dtype: str = "float64",
        in_place: bool = False,
    ) -> None:
        """Put the function's numbers on the device.

        Args:
            function: The set function.
            backend: `numpy` or `torch`.
            device: Torch device.
            dtype: `float32` or `float64`, of gains and numbers remembered.
            in_place: Whether `advance` writes into the state that it is given, which is then no more: a step of 500
                sets of 900 cells copies half a megabyte else.

        Raises:
            MissingExtraError: When torch is wanted and not installed.
        """
        self.function, self.size = function, function.size
        self._xp = arrays(backend, device, dtype, in_place)
        self._tables = {name: self._xp.put(table) for name, table in function.tables().items()}

    def start(self, batch: int) -> State:
        """Return the state of B empty sets."""
        return self.function.start(self._xp, self._tables, batch)

    def gain(self, state: State, items: Array) -> Array:
        """Return what each item would add to its set, `[B]`.

        Args:
            state: Of B sets.
            items: `[B]` whole numbers below n; a negative one stands for nothing.
        """
        return self.function.gain(self._xp, self._tables, state, self._known(items))

    def add(self, state: State, items: Array) -> State:
        """Return the state after each item is added to its set."""
        return self.advance(state, items)[1]

    def advance(self, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains `[B]` and the state after the items are added; cheaper than one after the other."""
        return self.function.advance(self._xp, self._tables, state, self._known(items))

    def gains(self, state: State) -> Array:
        """Return what every item would add to every set, `[B, n]`."""
        batch = len(state[0])
        return self.gain(self.repeat(state, self.size), self.everything(batch)).reshape(batch, self.size)

    def everything(self, batch: int) -> Array:
        """Return every item in turn for each of B sets, `[B n]`."""
        return self._xp.put(np.tile(np.arange(self.size), batch))

    def repeat(self, state: State, times: int) -> State:
        """Return every set so many times in a row."""
        batch = len(state[0])
        index = self._xp.put(np.repeat(np.arange(batch), times))
        return self.take(state, index)

    def take(self, state: State, index: Array) -> State:
        """Return the sets that `index` names."""
        return tuple(self._xp.rows(part, index) for part in state)

    def reset(self, state: State, mask: Array) -> State:
        """Return the state with empty sets where `mask` (`[B]` bool) holds."""
        empty = self.start(1)
        return tuple(
            self._xp.where(mask.reshape(-1, *[1] * (part.ndim - 1)), fresh, part)
            for fresh, part in zip(empty, state, strict=True)
        )

    def value(self, items: Array) -> Array:
        """Return F of B sets, `[B]`: the sum of gains of items `[B, T]` added one after the other."""
        state = self.start(len(items))
        total, state = self.advance(state, items[:, 0])
        for t in range(1, items.shape[1]):
            gained, state = self.advance(state, items[:, t])
            total = total + gained
        return total

    def summary(self, state: State) -> Array:
        """Return the state as numbers from 0 to 1, `[B, m]`."""
        return self.function.summary(self._xp, self._tables, state)

    @cached_property
    def parts(self) -> int:
        """Number of arrays in a state."""
        return len(self.start(1))

    @cached_property
    def width(self) -> int:
        """Numbers in a summary m."""
        return int(self.summary(self.start(1)).shape[1])

    def _known(self, items: Array) -> Array:
        """Return the items with n, nothing, in place of negative ones."""
        return self._xp.where(items < 0, self._xp.full(items.shape, self.size, "int"), items)


class Single:
    """One set, for hosts of one environment: numbers in, a number out.

    Attributes:
        start: What an empty set remembers, arrays `[1, ...]`.
    """

    def __init__(self, function: SetFunction) -> None:
        """Run the function for a batch of one."""
        self._sets = Sets(function)
        self.start = self._sets.start(1)

    def advance(self, item: float, first: float, *state: Array) -> tuple[Any, ...]:
        """Return the gain of an item, and what the set remembers then.

        Args:
            item: What joins the set and is paid for; below 0 for nothing.
            first: What joins it before, unpaid; below 0 for nothing.
            state: What the set remembers.
        """
        if first >= 0:
            state = self._sets.add(state, np.array([int(first)]))
        gained, state = self._sets.advance(state, np.array([int(item)]))
        return (float(gained[0]), *state)
