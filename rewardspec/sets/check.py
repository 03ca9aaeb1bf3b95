"""Is a set function monotone, and are its returns diminishing? Random sets say no with a counterexample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rewardspec.sets.family import SetFunction, Sets

Law = Literal["monotone", "diminishing", "repeats", "order"]


@dataclass(frozen=True)
class Counterexample:
    """A law that a function breaks, on sets from which nothing can be left out.

    Attributes:
        law: `monotone`: an item more is worth less. `diminishing`: an item gains more in a larger set. `repeats`: an
            item that is in the set gains something. `order`: the sum of gains depends on the order of items.
        small: Items of the set, in the order in which they are added.
        more: Items that are added to it for the larger set, or the other order.
        item: The item that is added to both; -1 where there is none.
        gains: What breaks the law: the item's gain, or its gains in the small and the large set, or both sums.
    """

    law: Law
    small: tuple[int, ...]
    more: tuple[int, ...]
    item: int
    gains: tuple[float, ...]

    def __str__(self) -> str:
        small = "{" + ", ".join(map(str, self.small)) + "}"
        if self.law == "monotone":
            return f"not monotone: item {self.item} added to {small} gains {self.gains[0]:.6g}"
        if self.law == "repeats":
            return f"repeats pay: item {self.item} is in {small} and gains {self.gains[0]:.6g}"
        if self.law == "order":
            return (
                f"order matters: {self.small} is worth {self.gains[0]:.6g}, {self.more} {self.gains[1]:.6g}"
            )
        large = "{" + ", ".join(map(str, self.small + self.more)) + "}"
        return (
            f"returns do not diminish: item {self.item} gains {self.gains[0]:.6g} in {small} and {self.gains[1]:.6g} "
            f"in {large}"
        )


def find_counterexample(
    function: SetFunction, *, trials: int = 1000, most: int = 12, seed: int = 0, tolerance: float = 1e-6
) -> Counterexample | None:
    """Return a counterexample to the laws of a set function, None where random sets show none.

    Args:
        function: The function.
        trials: Lines of items that are drawn; a set grows along each, beside an item that is not in it.
        most: Items of a line.
        seed: Of the draws.
        tolerance: How far rounding may go, in parts of the greatest value met (of 1 if that is less).

    Example:
        >>> from rewardspec.sets.information import entropy
        >>> print(find_counterexample(entropy(np.eye(3) * 0.001, noise=0.01)))
        not monotone: item 1 added to {} gains -0.835991
    """
    rng, sets = np.random.default_rng(seed), Sets(function)
    most = min(most, function.size - 1)
    if most < 1:
        most = 1
    order = np.array([rng.permutation(function.size) for _ in range(trials)])
    cut = rng.integers(0, most, trials)
    items, line = order[:, min(most, function.size - 1)], order[:, : min(most, function.size - 1)]
    # The gain of that item all along the way from nothing to the largest set.
    state, gains, total = sets.start(trials), [], np.zeros(trials)
    for t in range(line.shape[1] + 1):
        gains.append(np.asarray(sets.gain(state, items), np.float64))
        if t < line.shape[1]:
            gained, state = sets.advance(state, line[:, t])
            total = total + gained
    along = np.array(gains)
    slack = tolerance * max(1.0, float(np.abs(total).max()))
    rows = np.arange(trials)
    if (wrong := np.flatnonzero(along.min(axis=0) < -slack)).size:
        i = int(wrong[0])
        return _least_item(sets, line[i, : int(along[:, i].argmin())], int(items[i]), slack)
    # The least gain on the way so far is what no later one may exceed.
    rises = along > np.minimum.accumulate(along, axis=0) + slack
    if (wrong := np.flatnonzero(rises.any(axis=0))).size:
        i = int(wrong[0])
        large = int(rises[:, i].argmax())
        small = int(along[:large, i].argmin())
        return _least_pair(sets, line[i, :small], line[i, small:large], int(items[i]), slack)
    if line.shape[1]:
        again = np.asarray(sets.gain(state, line[rows, cut % line.shape[1]]))
        if (wrong := np.flatnonzero(np.abs(again) > slack)).size:
            i = int(wrong[0])
            item = int(line[i, cut[i] % line.shape[1]])
            return Counterexample("repeats", _tuple(line[i]), (), item, (float(again[i]),))
        other = np.asarray(sets.value(line[:, ::-1]))
        if (wrong := np.flatnonzero(np.abs(other - total) > slack)).size:
            i = int(wrong[0])
            sums = (float(total[i]), float(other[i]))
            return Counterexample("order", _tuple(line[i]), _tuple(line[i, ::-1]), -1, sums)
    return None


def _gain(sets: Sets, items: npt.NDArray[Any], item: int) -> float:
    state = sets.start(1)
    for each in items:
        state = sets.add(state, np.array([each]))
    return float(sets.gain(state, np.array([item]))[0])


def _least_item(sets: Sets, small: npt.NDArray[Any], item: int, slack: float) -> Counterexample:
    small = _shrunk(small, lambda kept: _gain(sets, kept, item) < -slack)
    return Counterexample("monotone", _tuple(small), (), item, (_gain(sets, small, item),))


def _least_pair(
    sets: Sets, small: npt.NDArray[Any], more: npt.NDArray[Any], item: int, slack: float
) -> Counterexample:
    def breaks(less: npt.NDArray[Any], further: npt.NDArray[Any]) -> bool:
        return _gain(sets, np.append(less, further), item) > _gain(sets, less, item) + slack

    more = _shrunk(more, lambda kept: breaks(small, kept))
    small = _shrunk(small, lambda kept: breaks(kept, more))
    gains = _gain(sets, small, item), _gain(sets, np.append(small, more), item)
    return Counterexample("diminishing", _tuple(small), _tuple(more), item, gains)


def _shrunk(items: npt.NDArray[Any], breaks: Callable[[npt.NDArray[Any]], bool]) -> npt.NDArray[Any]:
    """Return what is left of items when each that can be left out is."""
    kept, i = items, 0
    while i < len(kept):
        less = np.delete(kept, i)
        if breaks(less):
            kept = less
        else:
            i += 1
    return kept


def _tuple(items: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(item) for item in items)
