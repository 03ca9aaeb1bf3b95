"""The best reply of one player to what the others play, with a dislike of the risk that they bring.

    BR(p) = argmax over the simplex of  x . M p - gamma R(x, p) + tau H(x),   H(x) = -sum_k x_k log x_k

With a temperature tau > 0 it is unique and gives every action a positive probability. A convex risk makes the objective
strictly concave: Newton's method on the tangent of the simplex, damped so that it stays inside, finds the maximum to
rounding. At tau = 0 the reply may be an edge of the simplex; there SciPy solves a quadratic or linear programme.
"""

from __future__ import annotations

import numpy as np

from rewardspec.errors import missing_extra
from rewardspec.games.game import Floats
from rewardspec.games.risk import Risk, RiskCurve, covariance

NEWTON_STEPS = 100
CLOSE = 1e-14
"""Greatest distance of a Newton iterate from the reply to its own gradient at which it counts as the maximum."""

NEAR = 1e-8
"""The same distance above which the search begins anew, with kinks rounded more."""

GRID = 257
"""Expected payoffs that are tried to begin with where the objective is not concave."""


def softmax(values: Floats) -> Floats:
    """Return exp(values), scaled to sum to 1."""
    shifted = np.exp(values - values.max())
    return np.asarray(shifted / shifted.sum())


def respond(
    table: Floats,
    p: Floats,
    gamma: float,
    risk: Risk,
    temperature: float,
    *,
    tremble: float = 0.0,
    start: Floats | None = None,
) -> Floats:
    """Return the best reply `[A]`, trembles included.

    With a tremble e, a share e of play is spread evenly whatever is intended; the reply is the best intention.

    Args:
        table: `[A, L]`, own payoffs.
        p: `[L]`, probabilities of the opponents' joint actions.
        gamma: Dislike of risk, 0 or above.
        risk: What is disliked.
        temperature: tau.
        tremble: e, from 0 to below 1.
        start: A strategy near the reply, `[A]`: saves steps.

    Raises:
        MissingExtraError: At temperature 0, without SciPy.

    Example:
        >>> table = np.array([[2.0, 2.0], [0.0, 6.0]])
        >>> sure = respond(table, np.array([0.5, 0.5]), 1.0, Risk(), 0.0)
        >>> sure.round(4)  # all of the risky action would have a variance of 9
        array([0.9444, 0.0556])
    """
    count = len(table)
    if count == 1:
        return np.ones(1)
    if tremble:
        table = (1.0 - tremble) * table + tremble * table.mean(axis=0)
        if start is not None:
            start = np.maximum((start - tremble / count) / (1.0 - tremble), 0.0)
    intended = _intend(table, p, gamma, risk, temperature, start)
    return (1.0 - tremble) * intended + tremble / count if tremble else intended


def _intend(
    table: Floats, p: Floats, gamma: float, risk: Risk, temperature: float, start: Floats | None
) -> Floats:
    mean = table @ p
    if gamma == 0.0:
        return softmax(mean / temperature) if temperature > 0.0 else _greedy(mean)
    if not risk.is_convex:
        return _realised(table, p, mean, gamma, temperature)
    if temperature > 0.0:
        return _inside(mean, RiskCurve(risk, table, p), gamma, temperature, start)
    return _edge(table, p, mean, gamma, risk)


def _greedy(values: Floats) -> Floats:
    """Return the strategy that plays all best actions alike."""
    best = values >= values.max() - 1e-12 * max(1.0, float(np.abs(values).max()))
    return np.asarray(best / best.sum())


def _inside(mean: Floats, curve: RiskCurve, gamma: float, tau: float, start: Floats | None) -> Floats:
    """Return the maximum inside the simplex; a kink that Newton's method stumbles over is rounded less and less."""
    x, left = _newton(mean, curve, gamma, tau, start)
    if left > NEAR:
        for width in (0.1, 0.03, 0.01, 0.003):
            x, left = _newton(mean, curve.rounded(width), gamma, tau, x)
        x, left = _newton(mean, curve, gamma, tau, x)
    return x


def _newton(
    mean: Floats, curve: RiskCurve, gamma: float, tau: float, start: Floats | None
) -> tuple[Floats, float]:
    """Return the maximum inside the simplex and how far it is from the reply to its own gradient.

    The step solves (tau / x + gamma K) d = g - lambda with sum d = 0, scaled by sqrt(x): actions that are hardly ever
    played do not spoil its condition.
    """
    x = softmax((mean - gamma * curve(np.full(len(mean), 1.0 / len(mean))).gradient) / tau)
    if start is not None and start.min() > 0.0:
        x = start / start.sum()
    x = np.maximum(x, 1e-300)
    held = curve(x)
    value = float(x @ mean) - gamma * held.value - tau * float(x @ np.log(x))
    best, closest = x, np.inf
    for _ in range(NEWTON_STEPS):
        reply = softmax((mean - gamma * held.gradient) / tau)
        distance = float(np.abs(reply - x).max())
        stuck = distance > 0.5 * closest and closest < 1e-9  # rounding is all that is left
        if distance < closest:
            best, closest = x, distance
        if distance <= CLOSE or stuck:
            break
        gradient = mean - gamma * held.gradient - tau * np.log(x)
        root = np.sqrt(x)
        scaled = tau * np.eye(len(x)) + gamma * root[:, None] * held.hessian * root
        both = np.linalg.solve(scaled, np.stack([root * gradient, root], axis=1))
        step = root * (both[:, 0] - both[:, 1] * float(root @ both[:, 0]) / float(root @ both[:, 1]))
        slope = float(gradient @ step)
        is_plain = slope <= 1e-12 * max(1.0, abs(value))  # too near for values to tell steps apart
        falling = step < 0.0
        size = min(1.0, 0.995 / float((-step[falling] / x[falling]).max())) if falling.any() else 1.0
        while True:
            tried = np.maximum(x + size * step, 1e-300)
            tried /= tried.sum()
            there = curve(tried)
            reached = float(tried @ mean) - gamma * there.value - tau * float(tried @ np.log(tried))
            if is_plain or reached >= value + 1e-4 * size * slope or size < 1e-10:
                break
            size *= 0.5
        x, held, value = tried, there, reached
    return best, closest


def _realised(table: Floats, p: Floats, mean: Floats, gamma: float, tau: float) -> Floats:
    """Return the best reply where the disliked variance has own mixing in it.

    The objective is x . (mu - gamma E M^2) + gamma (x . mu)^2 + tau H(x), and gamma m^2 = max_c gamma (2 c m - c^2):
    for a given c the reply is a softmax, so one number is searched for, on a grid and then by halving it.
    """
    square = (table**2) @ p
    if tau == 0.0:  # convex in x: the best reply is pure
        return _greedy(mean - gamma * (square - mean**2))

    def gain(c: Floats) -> Floats:
        scores = (mean + gamma * (2.0 * c[:, None] * mean - square)) / tau
        top = scores.max(axis=1)
        total = np.exp(scores - top[:, None]).sum(axis=1)
        return np.asarray(tau * (top + np.log(total)) - gamma * c**2)

    low, high = float(mean.min()), float(mean.max())
    for _ in range(12):
        grid = np.linspace(low, high, GRID)
        best = int(gain(grid).argmax())
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, GRID - 1)])
    c = 0.5 * (low + high)
    for _ in range(3):  # at the maximum c is the expected payoff itself
        c = float(softmax((mean + gamma * (2.0 * c * mean - square)) / tau) @ mean)
    return softmax((mean + gamma * (2.0 * c * mean - square)) / tau)


def _edge(table: Floats, p: Floats, mean: Floats, gamma: float, risk: Risk) -> Floats:
    """Return the best reply without entropy: a small programme for SciPy."""
    try:
        from scipy import optimize
    except ImportError:
        raise missing_extra("scipy", "games", "a best response at temperature 0") from None
    count = len(mean)
    if risk.measure == "cvar":
        return _linear(optimize, table, p, mean, gamma, risk.level)
    curve = RiskCurve(risk, table, p)
    scale = max(float(np.abs(mean).max()), gamma * float(np.abs(covariance(table, p)).max()), 1e-12)

    def loss(x: Floats) -> float:
        return (gamma * curve(x).value - float(x @ mean)) / scale

    def slope(x: Floats) -> Floats:
        return np.asarray((gamma * curve(x).gradient - mean) / scale)

    starts = [np.full(count, 1.0 / count), _greedy(mean - gamma * np.diag(covariance(table, p)))]
    found = min(
        (
            optimize.minimize(
                loss,
                start,
                jac=slope,
                method="SLSQP",
                bounds=[(0.0, 1.0)] * count,
                constraints={
                    "type": "eq",
                    "fun": lambda x: x.sum() - 1.0,
                    "jac": lambda x: np.ones((1, count)),
                },
                options={"ftol": 1e-15, "maxiter": 300},
            )
            for start in starts
        ),
        key=lambda result: float(result.fun),
    )
    x = np.clip(found.x, 0.0, 1.0)
    return np.asarray(x / x.sum())


def _linear(optimize: object, table: Floats, p: Floats, mean: Floats, gamma: float, level: float) -> Floats:
    """Return the best reply to CVaR as a linear programme: of x, the quantile t and what falls short of it."""
    count, outcomes = table.shape
    cost = np.concatenate([(gamma - 1.0) * mean, [-gamma], gamma * p / level])
    above = np.hstack([-table.T, np.ones((outcomes, 1)), -np.eye(outcomes)])  # t - z_l <= short_l
    total = np.concatenate([np.ones(count), np.zeros(1 + outcomes)])[None]
    found = optimize.linprog(  # type: ignore[attr-defined]
        cost,
        A_ub=above,
        b_ub=np.zeros(outcomes),
        A_eq=total,
        b_eq=[1.0],
        bounds=[(0.0, 1.0)] * count + [(None, None)] + [(0.0, None)] * outcomes,
    )
    x = np.clip(found.x[:count], 0.0, 1.0)
    return np.asarray(x / x.sum())
