"""Strategies that are best replies to each other: risk-averse equilibria, and logit ones at gamma 0.

    damped       z <- z + a (BR(z) - z), from the start to a residual of 1e-12
    fictitious   z <- z + (BR(z) - z) / (t + 1): stochastic fictitious play, both moved from the same old beliefs

Neither is sure to converge outside zero-sum games, potential games and the like, so every solution carries its residual
max |BR(z) - z| and says whether it converged. Where the damped map stops getting nearer, or its rounds are over,
Newton's method on BR(z) - z goes on from there; where that fails, too, an equilibrium is followed down from a
temperature so high that there is one only. The solution says so (`method`: `newton`, `cooled`). A cooled one need not
be the one that the start would have led to.

A pure profile has no risk from opponents, so without entropy or trembles every strict pure Nash equilibrium is a
risk-averse one for every gamma: risk aversion selects among equilibria through what players hardly ever do.

Source:
    Slumbers et al. (ICML 2023; arXiv 2205.15434) for the concept and for stochastic fictitious play; the entropy, the
    damped map and Newton's method are ours. Fudenberg and Levine, "The Theory of Learning in Games" (1998), chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rewardspec.errors import Problem, SpecError
from rewardspec.games.game import Floats, Game, Profile, Solving
from rewardspec.games.response import respond
from rewardspec.games.risk import Risk, measure_risk, moments

Method = Literal["damped", "fictitious"]

TOLERANCE = 1e-12
NEAR = 1e-8
"""Residual at which a point counts as one of the way down from a high temperature."""

COOLED = 64
"""Actions of all players together up to which that way is walked: each step differentiates every reply."""

LEAST = 1e-14
"""Probability below which that way does not go."""

LOOK = 400
"""Rounds after which a damped map that has not halved its residual is taken to have stalled."""


@dataclass(frozen=True)
class Solution:
    """What a game comes to, and how sure that is.

    N players.

    Attributes:
        concept: `risk-averse`, `logit`, `nash`, `maximin`, `uniform` or another name of what was solved for.
        gamma: Dislike of risk.
        strategies: Per player `[A_i]`.
        expected: `[N]`, EU.
        variance: `[N]`, of the payoff over the opponents' draw, averaged over own mixing.
        realised_variance: `[N]`, of the payoff drawn, own mixing included.
        risk: `[N]`, by the measure that was disliked.
        utility: `[N]`, expected - gamma risk.
        regret: The most that a player could gain in the objective solved for (entropy included) by another strategy.
        residual: Greatest difference between a strategy and the best reply to the others; of Nash equilibria and
            maximin strategies, whose replies need not be unique, the regret.
        converged: Whether the residual is within the tolerance; of what no map was iterated for, whether it was found.
        rounds: Iterations.
        method: How it was found.
    """

    concept: str
    gamma: float
    strategies: Profile
    expected: Floats
    variance: Floats
    realised_variance: Floats
    risk: Floats
    utility: Floats
    regret: float
    residual: float
    converged: bool
    rounds: int
    method: str


def solve(
    game: Game,
    gamma: float = 0.0,
    *,
    risk: Risk | None = None,
    solving: Solving | None = None,
    method: Method = "damped",
    tolerance: float = TOLERANCE,
    rounds: int = 20_000,
    polish: bool = True,
) -> Solution:
    """Return the equilibrium that the start leads to.

    Args:
        game: The game.
        gamma: Dislike of risk; it has the unit 1 / payoff for variances, so payoffs times k need gamma / k.
        risk: What is disliked; the variance over the opponents' draw where None.
        solving: Temperature, tremble, damping and start; the game's own where None.
        method: The map.
        tolerance: Residual at which to stop.
        rounds: Iterations after which to give up.
        polish: Whether Newton's method takes over from a damped map that stalls.

    Raises:
        SpecError: `negative-gamma`; `wrong-solving` when a number of `solving` is out of its bounds.

    Example:
        >>> from rewardspec.games.game import symmetric
        >>> chicken = symmetric("chicken", [[0, -1], [1, -10]], ("swerve", "dare"))
        >>> [round(float(solve(chicken, gamma).strategies[0][0]), 3) for gamma in (0.0, 0.5)]
        [0.88, 0.947]
    """
    risk, solving = risk or Risk(), solving or game.solving
    refuse_gamma(gamma)
    refuse_solving(game, solving)
    z = tuple(np.array(part, np.float64) for part in (solving.start or game.uniform()))
    best, least, looked = z, np.inf, np.inf
    how: str = method
    done, replies, centre = 0, z, z
    for done in range(1, rounds + 1):
        replies = reply(game, z, gamma, risk, solving, near=replies)
        residual = distance(replies, z)
        if residual < least:
            best, least = z, residual
        if residual <= tolerance:
            break
        if done % LOOK == 0:
            if method == "damped" and polish and least > 0.5 * looked:
                break
            looked = least
        # Where the map circles, what it circles around is the mean of its way.
        way = 1.0 / (done % LOOK + 1)
        centre = tuple(mean + way * (part - mean) for mean, part in zip(centre, z, strict=True))
        step = solving.damping if method == "damped" else 1.0 / (done + 1)
        z = tuple(part + step * (new - part) for part, new in zip(z, replies, strict=True))
    if method == "damped" and polish and least > tolerance:
        for begin in (best, centre):
            polished, left = newton(game, begin, gamma, risk, solving, tolerance)
            if left < least:
                best, least, how = polished, left, "newton"
            if least <= tolerance:
                break
        few = sum(game.shape) <= COOLED
        if least > tolerance and solving.temperature > 0.0 and risk.is_convex and few:
            polished, left = cool(game, gamma, risk, solving, tolerance)
            if left < least:
                best, least, how = polished, left, "cooled"
    made = describe(game, best, gamma, risk, solving, concept="risk-averse" if gamma else "logit")
    return replace(made, residual=least, converged=least <= tolerance, rounds=done, method=how)


def reply(
    game: Game, z: Profile, gamma: float, risk: Risk, solving: Solving, *, near: Profile | None = None
) -> Profile:
    """Return everybody's best reply to the others' part of `z`; `near` holds strategies close to it, to save steps."""
    near = near or z
    return tuple(
        respond(
            table,
            game.opponents(i, z),
            gamma,
            risk,
            solving.temperature,
            tremble=solving.tremble,
            start=near[i],
        )
        for i, table in enumerate(game.tables)
    )


def distance(a: Sequence[Floats], b: Sequence[Floats]) -> float:
    """Return the greatest difference between two profiles."""
    return max(float(np.abs(one - other).max()) for one, other in zip(a, b, strict=True))


def newton(
    game: Game, z: Profile, gamma: float, risk: Risk, solving: Solving, tolerance: float, steps: int = 30
) -> tuple[Profile, float]:
    """Return a profile nearer to being its own reply, and its residual: Newton's method with differences.

    A step that leaves the simplex, or does not help, is shortened.
    """
    cuts = np.cumsum([len(part) for part in z])[:-1]

    def gap(flat: Floats) -> Floats:
        parts = tuple(np.split(flat, cuts))
        return np.concatenate(reply(game, parts, gamma, risk, solving)) - flat

    flat = np.concatenate(z)
    held = gap(flat)
    for _ in range(steps):
        least = float(np.abs(held).max())
        if least <= tolerance:
            break
        jacobian = np.empty((len(flat), len(flat)))
        for k in range(len(flat)):
            moved = flat.copy()
            moved[k] += 1e-7
            jacobian[:, k] = (gap(moved) - held) / 1e-7
        step = np.linalg.lstsq(jacobian, -held, rcond=None)[0]
        size, found = 1.0, False
        while size > 1e-4:
            tried = np.maximum(flat + size * step, 1e-12)
            tried = np.concatenate([part / part.sum() for part in np.split(tried, cuts)])
            there = gap(tried)
            if float(np.abs(there).max()) < least:
                found = True
                break
            size *= 0.5
        if not found:
            break
        flat, held = tried, there
    return tuple(np.split(flat, cuts)), float(np.abs(held).max())


def cool(
    game: Game, gamma: float, risk: Risk, solving: Solving, tolerance: float, steps: int = 150
) -> tuple[Profile, float]:
    """Return the equilibrium that the one of a high temperature becomes as it falls, and its residual.

    Profile and logarithm of the temperature are one point of a curve BR(z) - z = 0, which is followed by its arc
    length: a step along the tangent, then Newton's method across it. Where the curve turns back, the temperature rises
    for a while and falls again beyond. A curve that cannot be followed leaves a residual that says so.

    Source: Allgower and Georg, "Introduction to Numerical Continuation Methods" (2003), chapter 2; for logit equilibria
        Turocy, "A dynamic homotopy interpretation of the logistic quantal response equilibrium correspondence" (2005).
    """
    wide = float(np.ptp(game.payoffs))
    hot = max(4.0 * wide * (1.0 + gamma * wide), solving.temperature)
    cuts, target = np.cumsum(game.shape)[:-1], float(np.log(solving.temperature))

    def gap(point: Floats) -> Floats:
        parts = tuple(np.split(point[:-1], cuts))
        warm = replace(solving, temperature=float(np.exp(point[-1])))
        return np.concatenate(reply(game, parts, gamma, risk, warm)) - point[:-1]

    def slopes(point: Floats, held: Floats) -> Floats:
        found = np.empty((len(held), len(point)))
        for k in range(len(point)):
            moved = point.copy()
            moved[k] += 1e-7
            found[:, k] = (gap(moved) - held) / 1e-7
        return found

    def corrected(guess: Floats, along: Floats) -> Floats | None:
        """Return the curve's point across the tangent from a guess; None where Newton's method finds none."""
        point = np.append(np.maximum(guess[:-1], LEAST), guess[-1])
        for _ in range(6):
            held = gap(point)
            off = np.append(held, along @ (point - guess))
            if np.abs(off).max() <= NEAR:
                return point
            point = point + np.linalg.lstsq(np.vstack([slopes(point, held), along]), -off, rcond=None)[0]
            point[:-1] = np.maximum(point[:-1], LEAST)
        return None

    z, _ = newton(game, game.uniform(), gamma, risk, replace(solving, temperature=hot), NEAR)
    point = np.append(np.concatenate(z), np.log(hot))
    along, size = np.append(np.zeros(len(point) - 1), -1.0), 0.3
    for _ in range(steps):
        if point[-1] <= target:
            break
        tangent = np.linalg.svd(slopes(point, gap(point)))[2][-1]
        tangent = tangent if tangent @ along >= 0.0 else -tangent
        found = corrected(point + size * tangent, tangent)
        while found is None and size > 1e-5:
            size *= 0.5
            found = corrected(point + size * tangent, tangent)
        if found is None:
            break
        if found[-1] <= target:  # where the way crosses it
            found = point + (target - point[-1]) / (found[-1] - point[-1]) * (found - point)
            found[-1] = target
        point, along, size = found, tangent, min(1.0, 1.5 * size)
    flat = np.maximum(point[:-1], LEAST)
    return newton(
        game, tuple(part / part.sum() for part in np.split(flat, cuts)), gamma, risk, solving, tolerance
    )


def describe(
    game: Game,
    z: Profile,
    gamma: float = 0.0,
    risk: Risk | None = None,
    solving: Solving | None = None,
    *,
    concept: str = "given",
) -> Solution:
    """Return what a profile earns, risks and leaves to be gained, whatever it is.

    Residual and regret are those of the objective that `solving` stands for; at temperature 0 and gamma 0 the regret
    is the profile's exploitability, the greatest gain of any player.
    """
    risk, solving = risk or Risk(), solving or Solving(temperature=0.0)
    found = [moments(z[i], table, game.opponents(i, z)) for i, table in enumerate(game.tables)]
    risks = np.array(
        [measure_risk(risk, z[i], table, game.opponents(i, z)) for i, table in enumerate(game.tables)]
    )
    replies = reply(game, z, gamma, risk, solving)
    regret = 0.0
    for i, table in enumerate(game.tables):
        p = game.opponents(i, z)
        gained = objective(replies[i], table, p, gamma, risk, solving) - objective(
            z[i], table, p, gamma, risk, solving
        )
        regret = max(regret, gained)
    expected = np.array([one.expected for one in found])
    left = distance(replies, z)
    return Solution(
        concept=concept,
        gamma=gamma,
        strategies=z,
        expected=expected,
        variance=np.array([one.variance for one in found]),
        realised_variance=np.array([one.realised_variance for one in found]),
        risk=risks,
        utility=expected - gamma * risks,
        regret=regret,
        residual=left,
        converged=left <= TOLERANCE,
        rounds=0,
        method=concept,
    )


def objective(x: Floats, table: Floats, p: Floats, gamma: float, risk: Risk, solving: Solving) -> float:
    """Return what a best response makes the most of: expected payoff - gamma risk + tau entropy of the intention."""
    value = float(x @ table @ p) - gamma * measure_risk(risk, x, table, p)
    if solving.temperature:
        intended = np.maximum((x - solving.tremble / len(x)) / (1.0 - solving.tremble), 1e-300)
        value -= solving.temperature * float(intended @ np.log(intended))
    return value


def refuse_gamma(gamma: float) -> None:
    """Raise when a dislike of risk is negative or no number.

    Raises:
        SpecError: `negative-gamma`.
    """
    if not (np.isfinite(gamma) and gamma >= 0.0):
        text = f"gamma is {gamma:g}, and a dislike of risk is a number from 0 up"
        raise SpecError(Problem("negative-gamma", text, hints=("0 makes an agent indifferent to risk.",)))


def refuse_solving(game: Game, solving: Solving) -> None:
    """Raise when a game cannot be solved as asked.

    Raises:
        SpecError: `wrong-solving`.
    """
    wrong = []
    if not (np.isfinite(solving.temperature) and solving.temperature >= 0.0):
        wrong.append(f"a temperature of {solving.temperature:g}; it is a number from 0 up")
    if not 0.0 <= solving.tremble < 1.0:
        wrong.append(f"a tremble of {solving.tremble:g}; it is a share from 0 to below 1")
    if not 0.0 < solving.damping <= 1.0:
        wrong.append(f"a damping of {solving.damping:g}; it is a step above 0 and at most 1")
    for name, count, part in zip(game.players, game.shape, solving.start or game.uniform(), strict=False):
        if np.shape(part) != (count,) or np.min(part) < 0.0 or not np.isclose(np.sum(part), 1.0):
            wrong.append(f"a start of '{name}' that is not {count} probabilities which sum to 1")
    if solving.start is not None and len(solving.start) != len(game.players):
        wrong.append(f"{len(solving.start)} starts for {len(game.players)} players")
    if wrong:
        raise SpecError([Problem("wrong-solving", f"'{game.name}' is to be solved with {w}") for w in wrong])
