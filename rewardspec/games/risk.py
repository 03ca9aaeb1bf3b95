"""Measures of risk that comes from the opponents: what an own mixed strategy's payoff does when they draw.

With own strategy x `[A]`, own payoffs M `[A, L]` over the opponents' joint actions and their probabilities p `[L]`, the
payoff against joint action l, averaged over own mixing, is z_l = sum_k x_k M_kl. A measure with source `opponents`
looks at the spread of z under p alone, so own mixing is no risk. It is 0 wherever the opponents' play is pure.

| measure | R(x, p) |
| --- | --- |
| `variance` | sum_l p_l (z_l - E z)^2 = x' Sigma x, Sigma_kj = Cov_p(M_k, M_j) |
| `lower_partial_moment` | sum_l p_l max(target - z_l, 0)^2; the target is E z where none is given |
| `cvar` | E z less the mean of z over its worst `level` |
| `realised_variance` | Var of the payoff that is really drawn, own mixing included: sum_k x_k E_p[M_k^2] - (E z)^2 |

The first three are convex in x, so that best responses are convex sets and an equilibrium exists (Kakutani). The last
is not: best responses to it can jump, and there need not be an equilibrium.

Source:
    Slumbers et al., "A Game-Theoretic Framework for Managing Risk in Multi-Agent Systems" (ICML 2023), for the idea of
    risk-averse equilibrium; `variance` is the convex reading of it that fits what is known of the paper, and
    `lower_partial_moment` that of its follow-up (arXiv 2510.03446). CVaR as a deviation: Rockafellar, Uryasev and
    Zabarankin, "Generalized Deviations in Risk Analysis" (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.games.game import Floats

Measure = Literal["variance", "realised_variance", "lower_partial_moment", "cvar"]
MEASURES: tuple[Measure, ...] = ("variance", "realised_variance", "lower_partial_moment", "cvar")

SMOOTHING = 1e-3
"""Width, as a share of the payoffs' range, over which the kink of CVaR is rounded in best responses."""


@dataclass(frozen=True)
class Risk:
    """What an agent dislikes.

    Attributes:
        measure: Which measure.
        level: For `cvar`, the share of worst outcomes, within (0, 1).
        target: For `lower_partial_moment`, the payoff below which an outcome counts; the expected one where None.
    """

    measure: Measure = "variance"
    level: float = 0.25
    target: float | None = None

    @property
    def is_convex(self) -> bool:
        """Whether the risk is convex in the own strategy."""
        return self.measure != "realised_variance"


class Moments(NamedTuple):
    """What a strategy earns against opponents who draw with given probabilities.

    Attributes:
        expected: E z.
        variance: Of z over the opponents' draw.
        realised_variance: Of the payoff drawn, own mixing included.
    """

    expected: float
    variance: float
    realised_variance: float


def moments(x: Floats, table: Floats, p: Floats) -> Moments:
    """Return mean and variances.

    Args:
        x: `[A]`, own strategy.
        table: `[A, L]`, own payoffs.
        p: `[L]`, probabilities of the opponents' joint actions.

    Example:
        >>> table, half = np.array([[0.0, -1.0], [1.0, -10.0]]), np.array([0.5, 0.5])
        >>> [round(number, 4) for number in moments(half, table, half)]
        [-2.5, 9.0, 19.25]
    """
    z = x @ table
    mean = float(p @ z)
    spread = float(p @ (z - mean) ** 2)
    own = float(p @ (x @ (table - z) ** 2))  # of own mixing, in the mean over the opponents' draw
    return Moments(mean, spread, spread + own)


def covariance(table: Floats, p: Floats) -> Floats:
    """Return Sigma `[A, A]`: how own actions' payoffs vary together over the opponents' draw.

    Example:
        >>> covariance(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([0.5, 0.5])).tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    centred = table - (table @ p)[:, None]
    return np.asarray((centred * p) @ centred.T)


def measure_risk(risk: Risk, x: Floats, table: Floats, p: Floats) -> float:
    """Return R(x, p) exactly: nothing is smoothed here."""
    found = moments(x, table, p)
    if risk.measure == "variance":
        return found.variance
    if risk.measure == "realised_variance":
        return found.realised_variance
    z = x @ table
    if risk.measure == "lower_partial_moment":
        target = found.expected if risk.target is None else risk.target
        return float(p @ np.maximum(target - z, 0.0) ** 2)
    return found.expected - worst_mean(z, p, risk.level)


def worst_mean(z: Floats, p: Floats, level: float) -> float:
    """Return the mean of the worst `level` of outcomes; an outcome at the edge counts in part.

    Example:
        >>> worst_mean(np.array([1.0, -10.0]), np.array([0.9, 0.1]), 0.2)
        -4.5
    """
    order = np.argsort(z)
    share = np.minimum(np.cumsum(p[order]), level)
    return float(np.diff(share, prepend=0.0) @ z[order]) / float(share[-1])


class Curve(NamedTuple):
    """A risk at one strategy, to second order.

    Attributes:
        value: R.
        gradient: `[A]`.
        hessian: `[A, A]`.
    """

    value: float
    gradient: Floats
    hessian: Floats


class RiskCurve:
    """A convex risk as a function of the own strategy, for given opponents."""

    def __init__(self, risk: Risk, table: Floats, p: Floats) -> None:
        """Prepare what does not depend on the strategy.

        Args:
            risk: A convex one.
            table: `[A, L]`, own payoffs.
            p: `[L]`, probabilities of the opponents' joint actions.
        """
        self._risk, self._p = risk, p
        self._table = table
        self._mean = table @ p
        self._centred = table - self._mean[:, None]
        if risk.measure == "variance":
            self._hessian = 2.0 * (self._centred * p) @ self._centred.T
        self._width = SMOOTHING * max(float(np.ptp(table)), 1e-300)
        self._threshold: float | None = None

    def rounded(self, width: float) -> RiskCurve:
        """Return the curve with the kink of CVaR rounded over another share of the payoffs' range."""
        made = RiskCurve(self._risk, self._table, self._p)
        made._width *= width / SMOOTHING
        return made

    def __call__(self, x: Floats) -> Curve:
        """Return value, gradient and Hessian at `x`."""
        if self._risk.measure == "variance":
            gradient = self._hessian @ x
            return Curve(0.5 * float(x @ gradient), gradient, self._hessian)
        if self._risk.measure == "lower_partial_moment":
            fixed = self._risk.target is not None
            rows = self._table if fixed else self._centred
            below = np.maximum((self._risk.target or 0.0) - x @ rows, 0.0)
            weight = self._p * below
            hessian = 2.0 * (rows * (self._p * (below > 0.0))) @ rows.T
            return Curve(float(weight @ below), -2.0 * (rows @ weight), hessian)
        return self._cvar(x)

    def _cvar(self, x: Floats) -> Curve:
        """Return CVaR as the greatest t - E max(t - z, 0) / level over t, its kink rounded to a softplus."""
        z, width, level = x @ self._table, self._width, self._risk.level
        t = self._threshold = _quantile(z, self._p, level, width, self._threshold)
        steps = (t - z) / width
        below = 1.0 / (1.0 + np.exp(np.clip(-steps, -700.0, 700.0)))
        worst = t - width * float(self._p @ np.logaddexp(0.0, steps)) / level
        share = self._p * below / level
        bend = self._p * below * (1.0 - below) / (level * width)
        pull = self._table @ bend
        hessian = (self._table * bend) @ self._table.T
        hessian -= np.outer(pull, pull) / max(float(bend.sum()), 1e-300)
        return Curve(float(x @ self._mean) - worst, self._mean - self._table @ share, hessian)


def _quantile(z: Floats, p: Floats, level: float, width: float, guess: float | None) -> float:
    """Return t at which E sigmoid((t - z) / width) is `level`: Newton's method, kept in a bracket that shrinks."""
    low, high = float(z.min()) - 40.0 * width, float(z.max()) + 40.0 * width
    t = guess if guess is not None and low < guess < high else 0.5 * (low + high)
    for i in range(200):
        below = 1.0 / (1.0 + np.exp(np.clip((z - t) / width, -700.0, 700.0)))
        excess = float(p @ below) - level
        low, high = (t, high) if excess < 0.0 else (low, t)
        slope = float(p @ (below * (1.0 - below))) / width
        step = t - excess / slope if slope > 0.0 else low
        new = (
            step if low < step < high and i % 3 else 0.5 * (low + high)
        )  # every third step halves the bracket
        if abs(excess) <= 1e-15 or new in (t, low, high):
            break
        t = new
    return t


def risk_weights(risk: Risk, z: Floats, p: Floats, gamma: float) -> Floats:
    """Return `[L]`: how much a unit more against each opponent is worth, as a share of how likely that opponent is.

    With U(z) = sum_l p_l z_l - gamma R(z, p) it is (dU / dz_l) / p_l: 1 - 2 gamma (z_l - E z) for the variance. A
    policy gradient whose steps against opponent l are weighted so climbs U; so does a dynamic programme with these
    weights.

    Args:
        risk: A convex one.
        z: `[L]`, return against each opponent.
        p: `[L]`, how likely each is.
        gamma: Dislike of risk.

    Example:
        >>> risk_weights(Risk(), np.array([2.0, -2.0]), np.array([0.5, 0.5]), 0.1).tolist()
        [0.6, 1.4]
    """
    mean = float(p @ z)
    if risk.measure == "variance":
        return np.asarray(1.0 - 2.0 * gamma * (z - mean))
    if risk.measure == "lower_partial_moment":
        below = np.maximum((mean if risk.target is None else risk.target) - z, 0.0)
        pull = float(p @ below) if risk.target is None else 0.0  # the target moves with the mean
        return np.asarray(1.0 - 2.0 * gamma * (pull - below))
    if risk.measure == "cvar":
        order = np.argsort(z)
        share = np.diff(np.minimum(np.cumsum(p[order]), risk.level), prepend=0.0)
        counted = np.zeros(len(z))
        counted[order] = share / risk.level / np.maximum(p[order], 1e-300)
        return np.asarray(1.0 - gamma * (1.0 - counted))
    text = "realised variance is no function of the mean return against each opponent"
    hint = (
        "Optimise `variance`, `lower_partial_moment` or `cvar`; realised variances are reported all the same."
    )
    raise UnsupportedError(Problem("unserved-risk", text, hints=(hint,)))
