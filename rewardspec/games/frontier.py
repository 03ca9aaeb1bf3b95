"""The efficient frontier of one player: the least variance for any level of expected payoff, the others given.

    min x' Sigma x   subject to   x . mu >= level,  x >= 0,  sum x = 1

This is Markowitz's portfolio problem with actions for assets and the opponents' draw for the market. Its multiplier
leads to the utility form, x . mu - gamma x' Sigma x: a reply for any gamma lies on the frontier.

Source:
    The reading "minimum variance for any given level of expected utility" of risk-averse equilibrium (Slumbers et al.);
    Markowitz, "Portfolio Selection" (1952). Solved by SciPy's SLSQP; what it leaves undone is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardspec.errors import missing_extra
from rewardspec.games.game import Floats
from rewardspec.games.risk import covariance


@dataclass(frozen=True)
class Frontier:
    """Points of an efficient frontier.

    K levels.

    Attributes:
        levels: `[K]`, least expected payoff that was asked for.
        strategies: `[K, A]`.
        expected: `[K]`.
        variance: `[K]`.
        residual: `[K]`, how far each point is from the optimality conditions, as a share of the greatest variance.
    """

    levels: Floats
    strategies: Floats
    expected: Floats
    variance: Floats
    residual: Floats


def efficient_frontier(table: Floats, p: Floats, points: int = 21) -> Frontier:
    """Return the frontier from the least variance of all up to the greatest expected payoff.

    Args:
        table: `[A, L]`, own payoffs.
        p: `[L]`, probabilities of the opponents' joint actions.
        points: K.

    Raises:
        MissingExtraError: Without SciPy.

    Example:
        >>> two = np.array([[1.0, 1.0], [0.0, 4.0]])
        >>> found = efficient_frontier(two, np.array([0.5, 0.5]), 3)
        >>> found.expected.round(3).tolist(), found.variance.round(3).tolist()
        ([1.0, 1.5, 2.0], [0.0, 1.0, 4.0])
    """
    mean, sigma = table @ p, covariance(table, p)
    least = minimise_variance(mean, sigma, -np.inf)
    low, high = float(least @ mean), float(mean.max())
    levels = np.linspace(low, high, points)
    strategies = np.stack([least, *(minimise_variance(mean, sigma, level) for level in levels[1:])])
    variance = np.einsum("ka,ab,kb->k", strategies, sigma, strategies)
    left = np.array([_residual(mean, sigma, x, level) for x, level in zip(strategies, levels, strict=True)])
    return Frontier(levels, strategies, strategies @ mean, variance, left)


def minimise_variance(mean: Floats, sigma: Floats, level: float) -> Floats:
    """Return the strategy `[A]` of least variance whose expected payoff is at least `level`; -inf for any.

    Raises:
        MissingExtraError: Without SciPy.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise missing_extra("scipy", "games", "the efficient frontier") from None
    count = len(mean)
    scale = max(float(np.abs(sigma).max()), 1e-300)
    spread = max(float(np.ptp(mean)), 1e-300)
    conditions = [
        {"type": "eq", "fun": lambda x: x.sum() - 1.0, "jac": lambda x: np.ones(count)},
    ]
    if np.isfinite(level):
        conditions.append(
            {"type": "ineq", "fun": lambda x: (x @ mean - level) / spread, "jac": lambda x: mean / spread}
        )
    best: Floats = np.eye(count)[int(mean.argmax())]
    value = np.inf
    for start in (np.full(count, 1.0 / count), np.eye(count)[int(mean.argmax())]):
        found = minimize(
            lambda x: float(x @ sigma @ x) / scale,
            start,
            jac=lambda x: 2.0 * sigma @ x / scale,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * count,
            constraints=conditions,
            options={"ftol": 1e-16, "maxiter": 500},
        )
        x: Floats = np.clip(found.x, 0.0, 1.0)
        x /= x.sum()
        reached = float(x @ sigma @ x)
        if reached < value and not x @ mean < level - 1e-7 * spread:
            best, value = x, reached
    return best


def _residual(mean: Floats, sigma: Floats, x: Floats, level: float) -> float:
    """Return the most that the linearised variance could still fall within the constraints.

    By convexity the variance is at most this much above the least one (Frank and Wolfe's gap), so it is a certificate.
    """
    from scipy.optimize import linprog

    gradient = 2.0 * sigma @ x
    scale = max(float(np.diag(sigma).max()), 1e-300)
    found = linprog(
        gradient / scale,
        A_ub=-mean[None],
        b_ub=[-min(level, float(x @ mean))],
        A_eq=np.ones((1, len(x))),
        b_eq=[1.0],
        bounds=[(0.0, 1.0)] * len(x),
    )
    return max(0.0, float(gradient @ x) / scale - float(found.fun))
