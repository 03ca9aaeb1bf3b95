"""Comparisons by a ranking of factors: HERON's decision tree.

Source: Bukharin et al., "Deep Reinforcement Learning from Hierarchical Preference Design" (arXiv 2309.02632).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rewardspec.kinds.heron import Factor, Spread

Floats = npt.NDArray[np.float64]


def compare(a: npt.ArrayLike, b: npt.ArrayLike, margins: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Return which side of each pair a ranking prefers.

    The first factor whose values differ by more than its margin decides; more, strictly. With margins the relation is
    not transitive: a may beat b, b beat c and c beat a.

    Args:
        a: `[N, K]` values of K factors, most important first, larger being better.
        b: `[N, K]` likewise.
        margins: `[K]`, at least 0.

    Returns:
        `[N]`: 1 where a is preferred, -1 where b is, 0 for a tie.

    Example:
        >>> compare([[1.0, 0.0]], [[0.8, 5.0]], margins=[0.5, 0.0]).tolist()
        [-1]
    """
    away = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    sides = np.where(np.abs(away) > np.asarray(margins, np.float64), np.sign(away), 0).astype(np.int8)
    first = np.argmax(sides != 0, axis=1)
    found: npt.NDArray[np.int8] = sides[np.arange(len(sides)), first]
    return found


def margins_of(factors: Sequence[Factor], values: npt.NDArray[np.floating]) -> Floats:
    """Return each factor's margin as a number.

    Args:
        factors: K of them.
        values: `[S, K]` over which the standard deviation (unbiased) of those in units of it is taken.
    """
    enough = len(values) > 1
    spreads = values.std(0, ddof=1) if enough else np.zeros(len(factors))
    return np.array(
        [
            f.margin.std * s if isinstance(f.margin, Spread) else f.margin
            for f, s in zip(factors, spreads, strict=True)
        ],
        np.float64,
    )


def cycle_rate(
    values: npt.NDArray[np.floating], margins: Floats, rng: np.random.Generator, triples: int = 2000
) -> float:
    """Return the share of drawn triples whose three comparisons go round in a circle.

    A scalar reward can fit at most two comparisons of such a triple. Without margins there is none.

    Args:
        values: `[S, K]` values of factors.
        margins: `[K]`.
        rng: What draws.
        triples: How many.

    Example:
        >>> rps = np.array([[0.0, 3.0], [1.0, 2.0], [2.0, 1.0]])  # neighbours tie in the first factor
        >>> cycle_rate(rps, np.array([1.5, 0.0]), np.random.default_rng(0), 3000) > 0.1
        True
    """
    if len(values) < 3:
        return 0.0
    a, b, c = (values[rng.integers(len(values), size=triples)] for _ in range(3))
    ab, bc, ca = (compare(x, y, margins) for x, y in ((a, b), (b, c), (c, a)))
    return float(np.mean((ab != 0) & (ab == bc) & (bc == ca)))
