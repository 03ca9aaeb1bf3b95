"""Whether optimising a proxy hurts the true reward, at which distance from a reference, and what can be promised.

Definitions: a proxy is rho-correlated when its correlation with the true reward under the reference's occupancy is
rho > 0; it is hacked when its optimum earns less of the true reward than the reference does.

Source: Laidlaw et al., "Correlated Proxies", ICLR 2025: the definition, theorem 5.1 and the regularised objective. The
exact worst case is derived from the definitions; it is also in the follow-up by Liu, Sun and Zheng (ICLR 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.audit.occupancies import Divergence, Occupancies, divergence, optimise
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.process import Process

Floats = npt.NDArray[np.float64]

STRENGTHS = (3.0, 1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Strengths of regularisation that are tried, in units of the proxy's standard deviation under the reference."""


@dataclass(frozen=True)
class Point:
    """A policy, seen from the reference.

    Attributes:
        strength: Of the regularisation that made it; NaN where there was none.
        true: What it earns of the true reward, per step of the discounted occupancy.
        proxy: What it earns of the proxy.
        chi2: Divergence of its occupancy from the reference's; infinite where it leaves the support.
        kl: Likewise.
        tv: Likewise; at most 1.
        promised: What theorem 5.1 promises it to earn of the true reward at least.
        worst: What it earns by the worst reward that is as correlated: exact.
    """

    strength: float
    true: float
    proxy: float
    chi2: float
    kl: float
    tv: float
    promised: float
    worst: float


@dataclass(frozen=True, eq=False)
class Audit:
    """What optimising a proxy does.

    Attributes:
        reference: The reference policy.
        spread: Standard deviations of the true reward and of the proxy under it.
        correlation: Of the two under it; rho.
        proxy_optimum: The best policy by the proxy.
        true_optimum: The best policy by the true reward.
        settled: The best policy at the strength that the theorem gives, sqrt(1 - rho^2) times the proxy's deviation:
            never worse than the reference, whatever reward is as correlated.
        curves: By divergence, the best policies from strong to weak regularisation.
    """

    reference: Point
    spread: tuple[float, float]
    correlation: float
    proxy_optimum: Point
    true_optimum: Point
    settled: Point
    curves: dict[Divergence, tuple[Point, ...]]

    @property
    def is_hacked(self) -> bool:
        """Whether the proxy is correlated with the true reward and its optimum is worse than the reference."""
        least = 1e-9 * max(abs(self.reference.true), self.spread[0])
        return self.correlation > 0 and self.proxy_optimum.true < self.reference.true - least

    def breaks(self, kind: Divergence) -> tuple[Point, Point] | None:
        """Return the last policy no worse than the reference and the first that is worse; None where none is."""
        curve = self.curves[kind]
        least = 1e-6 * max(abs(self.reference.true), self.spread[0])
        for before, after in pairwise(curve):
            if after.true < self.reference.true - least:
                return before, after
        return None


def promised_gain(gain: float, chi2: float, rho: float) -> float:
    """Return the least gain in the true reward that theorem 5.1 promises, in its standard deviations.

    Formula: (E - sqrt((1 - rho^2) * chi2)) / rho

    Args:
        gain: E, gain in the proxy in its standard deviations under the reference.
        chi2: Divergence from the reference.
        rho: Correlation, in (0, 1].
    """
    return (gain - float(np.sqrt((1.0 - rho**2) * chi2))) / rho


def worst_gain(gain: float, chi2: float, rho: float) -> float:
    """Return the least gain in a reward that is as correlated: the worst case, in standard deviations.

    Formula: rho * E - sqrt(1 - rho^2) * sqrt(chi2 - E^2)

    Args:
        gain: E, as above; its square is at most chi2.
        chi2: Divergence from the reference.
        rho: Correlation, in [-1, 1].

    Example: without a correlation nothing is known but how far the policy is away.
        >>> worst_gain(0.3, 1.09, 0.0)
        -1.0
    """
    return rho * gain - float(np.sqrt(max(1.0 - rho**2, 0.0) * max(chi2 - gain**2, 0.0)))


def audit(
    process: Process,
    true: Floats,
    proxy: Floats,
    reference: Floats,
    discount: float,
    *,
    divergences: Sequence[Divergence] = ("sqrt_chi2", "kl"),
    strengths: Sequence[float] = STRENGTHS,
) -> Audit:
    """Return what optimising a proxy does to the true reward on a finite process, exactly.

    Args:
        process: The process.
        true: `[X, A]`, the true reward in expectation.
        proxy: `[X, A]`, the proxy.
        reference: `[X, A]`, the reference policy.
        discount: In (0, 1).
        divergences: Regularisers whose curves are drawn.
        strengths: From strong to weak, in units of the proxy's standard deviation under the reference.

    Raises:
        UnsupportedError: `constant-reward` where a reward never varies under the reference; `not-solved`.
        MissingExtraError: Without Clarabel.
    """
    space = Occupancies(process, discount)
    base, rewards = space.of(reference), (space.reward(true), space.reward(proxy))
    means = [float(base @ r) for r in rewards]
    spread = [float(base @ (r - mean) ** 2) ** 0.5 for r, mean in zip(rewards, means, strict=True)]
    for name, r, deviation in zip(("true reward", "proxy"), rewards, spread, strict=True):
        if deviation <= 1e-9 * max(float(np.abs(r).max()), 1e-300):
            text = f"the {name} never varies where the reference policy goes: there is no correlation to speak of"
            hint = (
                "Choose a reference that meets what the reward is about: a good policy with some chance, say."
            )
            raise UnsupportedError(Problem("constant-reward", text, hints=(hint,)))
    covariance = float(base @ ((rewards[0] - means[0]) * (rewards[1] - means[1])))
    rho = min(1.0, max(-1.0, covariance / (spread[0] * spread[1])))

    def seen(occupancy: Floats, strength: float = float("nan")) -> Point:
        earned = [float(occupancy @ r) for r in rewards]
        chi2 = divergence("chi2", occupancy, base)
        gain = (earned[1] - means[1]) / spread[1]
        known = np.isfinite(chi2)
        return Point(
            strength,
            earned[0],
            earned[1],
            chi2,
            divergence("kl", occupancy, base),
            divergence("tv", occupancy, base),
            means[0] + spread[0] * promised_gain(gain, chi2, rho) if known and rho > 0 else float("-inf"),
            means[0] + spread[0] * worst_gain(gain, chi2, rho) if known else float("-inf"),
        )

    def best(reward: Floats) -> Point:
        return seen(space.of(process.optimum(reward, discount).policy))

    theory = spread[1] * float(np.sqrt(max(1.0 - rho**2, 0.0)))
    curves: dict[Divergence, tuple[Point, ...]] = {}
    for kind in divergences:
        found = []
        for strength in strengths:
            weight = strength * spread[1]
            found.append(seen(optimise(space, rewards[1], base, kind, weight), weight))
        curves[kind] = tuple(found)
    return Audit(
        seen(base),
        (spread[0], spread[1]),
        rho,
        best(proxy),
        best(true),
        seen(optimise(space, rewards[1], base, "sqrt_chi2", theory), theory),
        curves,
    )


def mixed(policy: Floats, epsilon: float) -> Floats:
    """Return a policy that takes any action with probability `epsilon`, and else follows `policy` `[X, A]`."""
    found: Floats = (1.0 - epsilon) * policy + epsilon / policy.shape[1]
    return found


def steady_optimum(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the optimal policy `[X, A]` that takes the first of equally good actions, however values are rounded.

    Args:
        process: The process.
        reward: `[X, A]`.
        discount: In (0, 1).
    """
    worth = process.optimum(reward, discount).action_values
    margin = 1e-9 * max(float(np.abs(worth).max(initial=0.0)), 1e-300)
    best = worth >= worth.max(axis=1, keepdims=True) - margin
    chosen: Floats = np.eye(worth.shape[1])[best.argmax(axis=1)]
    return chosen
