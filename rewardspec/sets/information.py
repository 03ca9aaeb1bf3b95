"""Information: what measuring an item tells about a Gaussian process, given what was measured before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.sets.arrays import Array, Arrays
from rewardspec.sets.family import State, Tables
from rewardspec.sets.table import Table

SMALL = 256
"""Items up to which a set may hold them all when its horizon is not said: its memory is the square of it."""


@dataclass(frozen=True, init=False)
class LogDet:
    """F(A) = scale * logdet(I + K_A / noise) + each * |A|, K_A the kernel among the distinct items of A.

    An item that was added before gains 0: a set holds it once. Three functions of this family have names:
    `information`, `entropy` and `diversity`.

    The memory is the inverse of the Cholesky factor of K_A + noise I, one row longer with each item: a gain costs a
    product of a matrix and a vector. With `most` items in a set its memory is full and others gain 0, so `most` must be
    no less than the visits of an episode.

    Attributes:
        kernel: `[n, n]` float64, symmetric and positive semidefinite.
        noise: Variance of a measurement's noise, above 0.
        most: How many distinct items a set can hold.
        scale: Factor of the logarithm.
        each: What an item adds besides.
    """

    kernel: Table
    noise: float
    most: int
    scale: float
    each: float

    def __init__(
        self,
        kernel: npt.ArrayLike,
        noise: float = 1.0,
        most: int | None = None,
        *,
        scale: float = 1.0,
        each: float = 0.0,
    ) -> None:
        """Describe it; `most` may be left out for up to 256 items.

        Raises:
            ValueError: When the kernel is none, the noise is not above 0, or `most` is needed.
        """
        table = np.asarray(kernel, np.float64)
        refuse_kernel(table)
        if not (math.isfinite(noise) and noise > 0):
            raise ValueError(
                f"noise is {noise}: it must be above 0, for without noise the determinant of a singular kernel is 0 "
                "and its logarithm minus infinity"
            )
        if most is None and len(table) > SMALL:
            raise ValueError(
                f"of {len(table)} items it must be said how many a set can hold: the horizon of an episode. Its memory "
                "grows with the square"
            )
        count = len(table) if most is None else min(int(most), len(table))
        if count < 1:
            raise ValueError(f"a set that holds {most} items is none")
        for name, value in {"kernel": Table(table), "noise": float(noise), "most": count}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "scale", float(scale))
        object.__setattr__(self, "each", float(each))

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.kernel.array)

    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Return the kernel, bordered by nothing, as one row; and the numbers of a memory's rows."""
        return {
            "kernel": np.pad(self.kernel.array, (0, 1)).ravel(),
            "place": np.arange(self.most),
            "last": np.array(self.most - 1),
        }

    def start(self, xp: Arrays, t: Tables, batch: int) -> State:
        """Return B times nothing: items `[B, most]`, inverse factor `[B, most, most]`, what was added, how many."""
        return (
            xp.room(batch, self.most, value=self.size, kind="int"),
            xp.room(batch, self.most, self.most),
            xp.full((batch, self.size + 1), False, "bool"),
            xp.full((batch,), 0, "int"),
        )

    def gain(self, xp: Arrays, t: Tables, state: State, items: Array) -> Array:
        """Return scale * log(1 + variance of the item given the set / noise) + each, 0 for what is in the set."""
        return self._told(xp, t, state, items, xp.reach(state[3], self.most))[0]

    def advance(self, xp: Arrays, t: Tables, state: State, items: Array) -> tuple[Array, State]:
        """Return the gains, and a factor that is one row longer.

        For K_A + noise I = L L' and y = L^-1 k, the new row of L is (y', d) with d^2 = variance + noise, and that of
        its inverse (-y' L^-1 / d, 1 / d).
        """
        chosen, inverse, added, count = state
        reach = xp.reach(count + 1, self.most)  # what lies beyond is not in use yet
        gained, is_new, explained, variance = self._told(xp, t, state, items, reach)
        # The place that is next; where the item is not new, what stands there is written again.
        place = xp.below(count, t["last"])
        used = inverse[:, :reach, :reach]
        row = -xp.times(used.swapaxes(1, 2), explained)
        row = xp.where(t["place"][:reach] == place[:, None], xp.full((1,), 1.0), row)
        row = row / xp.sqrt(variance + self.noise)[:, None]
        row = xp.where(is_new[:, None], row, xp.row_at(used, place))
        return gained, (
            xp.put_rows(chosen, place, xp.where(is_new, items, xp.row_at(chosen, place))),
            xp.put_rows(inverse, place, row),
            xp.mark(added, items[:, None]),
            count + is_new,
        )

    def _told(
        self, xp: Arrays, t: Tables, state: State, items: Array, reach: int
    ) -> tuple[Array, Array, Array, Array]:
        """Return gains, whether items are new, L^-1 k `[B, reach]`, and variances given the sets."""
        chosen, inverse, added, count = state
        width = self.size + 1
        shared = xp.rows(t["kernel"], chosen[:, :reach] * width + items[:, None])
        explained = xp.times(inverse[:, :reach, :reach], shared)
        own = xp.rows(t["kernel"], items * (width + 1))
        variance = xp.above(own - (explained * explained).sum(1), 0.0)
        is_new = ~xp.pick(added, items[:, None])[:, 0] & (items < self.size) & (count < self.most)
        gained = (self.scale * xp.log1p(variance / self.noise) + self.each) * is_new
        return gained, is_new, explained, variance

    def summary(self, xp: Arrays, t: Tables, state: State) -> Array:
        """Return which items were added, `[B, n]`."""
        return state[2][:, :-1]


def information(kernel: npt.ArrayLike, noise: float, most: int | None = None) -> LogDet:
    """Return the mutual information between measurements and the process: logdet(I + K_A / noise) / 2, in nats.

    Source: Srinivas et al., "Gaussian Process Optimization in the Bandit Setting" (ICML 2010), section 2.

    Args:
        kernel: `[n, n]`, the process's covariance.
        noise: Variance of a measurement.
        most: How many distinct items a set can hold; the horizon.

    Example:
        >>> from rewardspec.sets.family import Sets
        >>> Sets(information(np.eye(2), noise=1.0)).value(np.array([[0, 0, 1]])).round(4)  # log 2, the repeat 0
        array([0.6931])
    """
    return LogDet(kernel, noise, most, scale=0.5)


def entropy(kernel: npt.ArrayLike, noise: float, most: int | None = None) -> LogDet:
    """Return the differential entropy of noisy measurements: logdet(2 pi e (K_A + noise I)) / 2, in nats.

    Submodular always; monotone only where even a measurement that is known but for its noise has an entropy that is
    not negative, noise >= 1 / (2 pi e) = 0.0585. `rewardspec.sets.check` finds the counterexample where it is not.

    Args:
        kernel: `[n, n]`, the process's covariance.
        noise: Variance of a measurement.
        most: How many distinct items a set can hold; the horizon.
    """
    each = 0.5 * math.log(2 * math.pi * math.e * noise) if noise > 0 else 0.0
    return LogDet(kernel, noise, most, scale=0.5, each=each)


def diversity(kernel: npt.ArrayLike, most: int | None = None) -> LogDet:
    """Return logdet(I + K_A), the monotone form of the log-likelihood of a determinantal point process.

    Source: Kulesza and Taskar, "Determinantal Point Processes for Machine Learning" (2012), section 2: the plain
    logdet(K_A) is submodular and not monotone.
    """
    return LogDet(kernel, 1.0, most)


def refuse_kernel(kernel: npt.NDArray[np.float64]) -> None:
    """Raise unless a table is square, symmetric and positive semidefinite.

    Raises:
        ValueError: With what is wrong.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not len(kernel):
        raise ValueError(f"a kernel is a square table, not of shape {kernel.shape}")
    if not np.isfinite(kernel).all():
        raise ValueError("a number of the kernel is not finite")
    most = float(np.abs(kernel).max())
    if not np.allclose(kernel, kernel.T, rtol=0, atol=1e-9 * most):
        raise ValueError("a kernel is symmetric: k(i, j) = k(j, i)")
    # Adding a little to the diagonal is how far rounding may have gone; Cholesky is far cheaper than eigenvalues.
    try:
        np.linalg.cholesky(kernel + (1e-8 * most + 1e-300) * np.eye(len(kernel)))
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(kernel).min())
        raise ValueError(
            f"a kernel is positive semidefinite, and this one has the eigenvalue {least:.3g}"
        ) from None
