"""alpha-rank: how much of a long evolution each action of a game is there, by OpenSpiel's implementation.

Every player is a population that plays one action. Now and then somebody in one population tries another, and it takes
over if it earns more against what the others play. The states are the joint actions; the stationary distribution of
that Markov chain ranks them. In the limit of strong selection (`intensity` None) only the signs of differences count:
the chain walks the response graph, up with 1 - noise, down with noise, either way with 1/2 where it pays alike.

A rank is no equilibrium: in a cycle all of it is there, and so its regret can be large. What `Solution` can hold is
each player's share of actions, the marginals; the joint distribution need not be their product (two hunters are at the
stag together or not at all).

Source:
    Omidshafiei et al., "alpha-Rank: Multi-Agent Evaluation by Evolution", Scientific Reports 9 (2019), for several
    populations; as a meta-solver: Muller et al., "A Generalized Training Approach for Multiagent Learning"
    (ICLR 2020). Implementation: OpenSpiel (`open_spiel.python.egt.alpharank`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.games.game import Floats, Game
from rewardspec.games.solve import Solution, describe

NOISE = 1e-4
"""Probability of a step down in the limit of strong selection: the chain stays irreducible."""

POPULATION = 50
"""Of each player, where the intensity is finite."""

MOST = 400
"""Joint actions: the chain is a dense matrix of them."""


def joint_ranks(game: Game, *, intensity: float | None = None, noise: float = NOISE) -> Floats:
    """Return how much each joint action is there in the long run, `[A_1, ..., A_N]`, summing to 1.

    Args:
        game: The game.
        intensity: Of selection, alpha in the paper; its limit where None.
        noise: Probability of a step down in the limit.

    Raises:
        MissingExtraError: Without OpenSpiel.
        UnsupportedError: `too-many-profiles`; `unranked` when the chain falls apart: at a high finite intensity the
            ways between its parts are less likely than a number can say.
    """
    try:
        from open_spiel.python.egt import alpharank
    except ImportError:
        raise missing_extra("open-spiel", "alpha-rank", "alpha-rank") from None
    count = int(np.prod(game.shape))
    if count > MOST:
        text = f"alpha-rank of '{game.name}' would walk {count} joint actions, and {MOST} are the most"
        raise UnsupportedError(Problem("too-many-profiles", text))
    if count == 1:
        return np.ones(game.shape)
    limit = {"use_inf_alpha": True, "inf_alpha_eps": noise}
    ways = limit if intensity is None else {"alpha": intensity, "m": POPULATION}
    try:
        with np.errstate(over="ignore"):  # exp(-m u) of what hardly ever happens
            found = alpharank.compute([np.array(part) for part in game.payoffs], **ways)[2]
    except ValueError as error:
        text = f"the chain of '{game.name}' has no one stationary distribution at this intensity: {error}"
        hint = "Lower the intensity, or leave it out: the limit has one always."
        raise UnsupportedError(Problem("unranked", text, hints=(hint,))) from error
    ranks = np.maximum(np.asarray(found, np.float64), 0.0).reshape(game.shape)
    return np.asarray(ranks / ranks.sum())


def alpha_rank(game: Game, *, intensity: float | None = None, noise: float = NOISE) -> Solution:
    """Return each player's share of actions in the long run; `residual` is the regret of playing so.

    Args:
        game: The game.
        intensity: As of `joint_ranks`.
        noise: As of `joint_ranks`.

    Raises:
        MissingExtraError: Without OpenSpiel.
        UnsupportedError: As `joint_ranks`.
    """
    ranks = joint_ranks(game, intensity=intensity, noise=noise)
    players = range(len(game.players))
    shares = tuple(np.asarray(ranks.sum(axis=tuple(j for j in players if j != i))) for i in players)
    made = describe(game, tuple(part / part.sum() for part in shares), concept="alpha-rank")
    method = "limit of strong selection" if intensity is None else f"intensity {intensity:g}"
    return replace(made, residual=made.regret, converged=True, method=method)
