"""What risk-neutral theory says of a game: Nash equilibria, the limit of logit equilibria, maximin strategies.

| game | Nash equilibria by |
| --- | --- |
| two players, payoffs that add up to a constant | SciPy's linear programming: one equilibrium |
| two players | nashpy: support enumeration up to 7 actions, Lemke and Howson's paths from every label beyond |
| three and more | the pure ones by looking at all, and the limit of logit equilibria as the temperature falls |

Support enumeration finds all equilibria of a game that is not degenerate; of a degenerate one, some.

Source:
    Nash (1951); Lemke and Howson (1964); McKelvey and Palfrey, "Quantal Response Equilibria for Normal Form Games"
    (1995) for the logit path; Knight and Campbell, "Nashpy" (JOSS 2018).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rewardspec.errors import missing_extra
from rewardspec.games.game import Floats, Game, Profile, Solving
from rewardspec.games.risk import Risk
from rewardspec.games.solve import Solution, describe, newton, solve

ENUMERATED = 7
"""Actions of the player with fewer of them up to which all supports are looked at."""

EXACT = 1e-8
"""Regret, as a share of the payoffs' range, at which a profile counts as a Nash equilibrium."""

COOLING = 0.8
"""Factor between temperatures on the way to the limit of logit equilibria."""

COLDEST = 2e-3
"""Last temperature, as a share of the payoffs' range."""


def find_nash(game: Game, *, at_most: int = 32) -> list[Solution]:
    """Return Nash equilibria, those that pay most in sum first; of a symmetric game, symmetric ones before others.

    Args:
        game: The game.
        at_most: How many to return.

    Raises:
        MissingExtraError: Without SciPy or, for two players whose payoffs do not add up to a constant, nashpy.

    Example:
        >>> from rewardspec.games.game import symmetric
        >>> stag = symmetric("stag hunt", [[10, 0], [5, 4]], ("stag", "hare"))
        >>> [one.strategies[0].round(3).tolist() for one in find_nash(stag)]
        [[1.0, 0.0], [0.444, 0.556], [0.0, 1.0]]
    """
    if len(game.players) == 2:
        profiles = [_zero_sum(game)] if game.is_zero_sum else list(_two_players(game))
        profiles += pure_equilibria(game)
    else:
        profiles = pure_equilibria(game)
        profiles.append(tuple(np.where(part < 1e-6, 0.0, part) for part in logit_limit(game).strategies))
    scale = max(float(np.ptp(game.payoffs)), 1e-300)
    found: list[Solution] = []
    for profile in profiles:
        profile = tuple(np.maximum(part, 0.0) / np.maximum(part, 0.0).sum() for part in profile)
        made = describe(game, profile, concept="nash")
        known = any(_same(profile, other.strategies) for other in found)
        if not known and (made.regret <= EXACT * scale or len(game.players) > 2):
            found.append(replace(made, residual=made.regret, converged=made.regret <= EXACT * scale))
    is_symmetric = game.is_symmetric
    found.sort(
        key=lambda s: (
            not s.converged,
            is_symmetric and not _same(s.strategies[:1] * len(game.players), s.strategies),
            -round(float(s.expected.sum()), 9),
        )
    )
    return found[:at_most]


def _same(a: Profile, b: Profile) -> bool:
    return all(np.allclose(one, other, atol=1e-6) for one, other in zip(a, b, strict=True))


def pure_equilibria(game: Game) -> list[Profile]:
    """Return the profiles of pure strategies from which nobody gains by leaving."""
    best = np.ones(game.shape, bool)
    for i in range(len(game.players)):
        best &= game.payoffs[i] >= game.payoffs[i].max(axis=i, keepdims=True)
    return [game.pure(*choices) for choices in np.argwhere(best).tolist()]


def _two_players(game: Game) -> Iterator[Profile]:
    try:
        import nashpy
    except ImportError:
        raise missing_extra("nashpy", "games", "Nash equilibria of two players") from None
    held: Any = nashpy.Game(*game.payoffs)
    few = min(game.shape) <= ENUMERATED and max(game.shape) <= 2 * ENUMERATED
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # nashpy says that a degenerate game may have more; so does the docstring
        found = list(held.support_enumeration()) if few else []
        if (
            len(found) % 2 == 0
        ):  # a game that is not degenerate has an odd number: rounding may have hidden some
            found += held.lemke_howson_enumeration()
        for profile in found:
            parts = tuple(np.asarray(part, np.float64) for part in profile)
            if all(
                len(part) == count and np.isfinite(part).all()
                for part, count in zip(parts, game.shape, strict=True)
            ):
                yield parts


def _zero_sum(game: Game) -> Profile:
    return tuple(maximin_strategy(game, i)[0] for i in range(2))


def maximin_strategy(game: Game, player: int) -> tuple[Floats, float]:
    """Return the strategy with the best worst case and that worst case, the others free to act together.

    Raises:
        MissingExtraError: Without SciPy.
    """
    try:
        from scipy.optimize import linprog
    except ImportError:
        raise missing_extra("scipy", "games", "maximin strategies") from None
    table = game.tables[player]
    count, outcomes = table.shape
    cost = np.concatenate([np.zeros(count), [-1.0]])
    found = linprog(
        cost,
        A_ub=np.hstack([-table.T, np.ones((outcomes, 1))]),
        b_ub=np.zeros(outcomes),
        A_eq=np.concatenate([np.ones(count), [0.0]])[None],
        b_eq=[1.0],
        bounds=[(0.0, 1.0)] * count + [(None, None)],
    )
    x = np.maximum(found.x[:count], 0.0)
    return x / x.sum(), float(found.x[count])


def maximin(game: Game) -> Solution:
    """Return what comes out when everybody plays for the worst case.

    Raises:
        MissingExtraError: Without SciPy.
    """
    profile = tuple(maximin_strategy(game, i)[0] for i in range(len(game.players)))
    made = describe(game, profile, concept="maximin")
    return replace(made, residual=made.regret, converged=True)


def logit_limit(game: Game) -> Solution:
    """Return where logit equilibria go as the temperature falls from a high one: the principal branch.

    Every temperature begins where the one before ended, by Newton's method. The last one is `COLDEST` of the payoffs'
    range, so the profile is near a Nash equilibrium and its regret says how near.
    """
    scale = max(float(np.ptp(game.payoffs)), 1e-300)
    solving = Solving(temperature=10.0 * scale)
    z = solve(game, solving=solving).strategies
    while solving.temperature > COLDEST * scale:
        colder = replace(solving, temperature=COOLING * solving.temperature)
        z, left = newton(game, z, 0.0, Risk(), colder, 1e-10)
        if left > 1e-6:  # the branch turns back here; play goes on from its end as the damped map would
            z = solve(game, solving=replace(colder, start=z), rounds=4000, polish=False).strategies
        solving = colder
    made = describe(game, _snapped(game, z), concept="nash")
    return replace(made, method="logit limit", converged=made.regret <= EXACT * scale)


def _snapped(game: Game, z: Profile) -> Profile:
    """Return the profile, that without its vanishing actions, or the exactly mixed one: the nearest to equilibrium."""
    bare = tuple(np.where(part < 1e-3, 0.0, part) for part in z)
    bare = tuple(part / part.sum() for part in bare)
    still = Solving(temperature=0.0)
    return min(
        (z, bare, _indifferent(game, bare)), key=lambda profile: describe(game, profile, solving=still).regret
    )


def _indifferent(game: Game, z: Profile) -> Profile:
    """Return the profile near `z`, with its supports, in which all that is played pays alike; `z` where none is found.

    Raises:
        MissingExtraError: Without SciPy.
    """
    try:
        from scipy.optimize import root
    except ImportError:
        raise missing_extra("scipy", "games", "mixed equilibria") from None
    supports = [np.flatnonzero(part) for part in z]
    cuts = np.cumsum([len(own) for own in supports])[:-1]

    def whole(flat: Floats) -> Profile:
        parts = tuple(np.zeros(count) for count in game.shape)
        for part, own, held in zip(parts, supports, np.split(flat, cuts), strict=True):
            part[own] = held
        return parts

    def gap(flat: Floats) -> Floats:
        profile, gaps = whole(flat), []
        for i, (table, own) in enumerate(zip(game.tables, supports, strict=True)):
            paid = table[own] @ game.opponents(i, profile)
            gaps += [profile[i].sum() - 1.0, *(paid[1:] - paid[0])]
        return np.array(gaps)

    found = root(gap, np.concatenate([part[own] for part, own in zip(z, supports, strict=True)]))
    mixed = whole(found.x)
    return mixed if found.success and min(part.min() for part in mixed) >= 0.0 else z
