"""The distance of two rewards on one process: canonical, normalised, compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.starc.canonical import CANONICALISERS, Canonical
from rewardspec.analysis.starc.norms import Norm, norm
from rewardspec.tabular.process import Process

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-13
"""What linear solves lose, as a part of what they add up; about a thousand units in the last place of a double."""

ZERO = 10 * ROUNDING
"""A canonical reward smaller than this part of what it was computed from is rounding: the reward asks for nothing."""

ALIKE = 1e-9
"""Distances below this, and rounding, are 0."""


@dataclass(frozen=True, eq=False)
class Standard:
    """A reward made comparable.

    Attributes:
        reward: `[X, A, K]` or `[X, A, 1]` float64: canonical, of norm 1; zeros where the reward is trivial.
        size: Norm of the canonical reward before.
        is_trivial: Whether all policies earn alike (for STARC canonicalisers), so that there is nothing to compare.
        error: What rounding can have moved it by, relative to its norm.
    """

    reward: Floats
    size: float
    is_trivial: bool
    error: float


def standardise(
    process: Process,
    reward: Floats,
    discount: float,
    canonical: Canonical = "val",
    size: Norm | None = "w2",
) -> Standard:
    """Return a reward in its canonical form, with norm 1.

    Args:
        process: Where it is paid.
        reward: `[X, A, K]` float64.
        discount: In (0, 1).
        canonical: Which canonical form.
        size: Norm; None leaves the canonical reward as large as it is.

    The threshold of a trivial reward is relative: where a reward is shaping alone, its canonical form is rounding,
    which normalising would blow up.
    """
    found = CANONICALISERS[canonical].of(process, reward, discount)
    kind: Norm = size or "w2"
    length = norm(found, process.probability, kind)
    # What cancelled: values can be as large as the reward over all time.
    terms = norm(reward, process.probability, kind) / (1.0 - discount)
    if length <= ZERO * terms:
        return Standard(np.zeros_like(found), 0.0, True, 0.0)
    return Standard(found / length if size is not None else found, length, False, ROUNDING * terms / length)


def distance(
    process: Process,
    first: Floats,
    second: Floats,
    discount: float,
    canonical: Canonical = "val",
    size: Norm | None = "w2",
    metric: Norm = "w2",
) -> float:
    """Return how far two rewards are apart: 0 where they order all policies alike, 2 (in L2) where oppositely.

    Formula: d(R1, R2) = m(s(R1), s(R2)), s(R) = c(R) / n(c(R)), or c(R) where that is 0

    Args:
        process: Where both are paid.
        first: `[X, A, K]` float64.
        second: `[X, A, K]` float64.
        discount: In (0, 1).
        canonical: c: `val` and `minimal` make STARC metrics.
        size: n; None does not normalise (the baseline of the paper's study).
        metric: m, as the norm of the difference.

    Raises:
        UnsupportedError: `needs-all-transitions` for `epic` and `dard` on processes without all pairs of states.

    Source: Skalse et al., "STARC", ICLR 2024, definitions 2 and 3.
    """
    one = standardise(process, first, discount, canonical, size)
    two = standardise(process, second, discount, canonical, size)
    return norm(one.reward - two.reward, process.probability, metric)
