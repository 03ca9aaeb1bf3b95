"""Norms of canonical rewards, and the same as metrics between them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Norm = Literal["l1", "l2", "linf", "w1", "w2", "winf"]

NORMS: tuple[Norm, ...] = get_args(Norm)
"""Plain norms count each outcome alike; weighted ones (`w`) by its probability, so that those that cannot happen do
not count."""


def norm(reward: npt.NDArray[Any], probability: npt.NDArray[Any], kind: Norm) -> float:
    """Return the norm of a reward over all transitions of a process.

    Formula: l1 sum |x|, l2 sqrt(sum x^2), linf max |x|; w1 sum p |x|, w2 sqrt(sum p x^2), winf max p |x|

    Args:
        reward: `[X, A, K]`, or `[X, A, 1]` for one that is the same for all outcomes.
        probability: `[X, A, K]`, of each outcome.
        kind: Which.

    Source: section 3 of the paper; the weighted ones are those of its experiments.

    Example:
        >>> norm(np.array([[[3.0, 4.0]]]), np.array([[[1.0, 0.0]]]), "l2")
        5.0
        >>> norm(np.array([[[3.0, 4.0]]]), np.array([[[1.0, 0.0]]]), "w2")
        3.0
    """
    size = np.abs(np.broadcast_to(reward, probability.shape))
    if kind == "linf":
        return float(size.max(initial=0.0))
    if kind == "winf":
        return float((probability * size).max(initial=0.0))
    weights = probability if kind.startswith("w") else 1.0
    if kind.endswith("1"):
        return float((weights * size).sum())
    largest = float(size.max(initial=0.0))
    if largest == 0.0:
        return 0.0
    return largest * float(np.sqrt((weights * (size / largest) ** 2).sum()))
