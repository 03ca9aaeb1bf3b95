"""alpha-rank: cycles share alike, what is dominated vanishes, and the chain is the one that the page describes."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest

from rewardspec.errors import MissingExtraError, UnsupportedError
from rewardspec.games.alpha_rank import MOST, NOISE, alpha_rank, joint_ranks
from rewardspec.games.game import Game, symmetric

STAG = symmetric("stag hunt", [[10, 0], [5, 4]], ("stag", "hare"))


@pytest.mark.parametrize(
    "payoffs", [[[0, -1, 1], [1, 0, -1], [-1, 1, 0]], [[0, -0.5, 1], [0.5, 0, -0.1], [-1, 0.1, 0]]]
)
def test_rock_paper_scissors_share_alike_biased_or_not(payoffs: Any) -> None:
    """Only the signs of differences count in the limit, and those of the biased game are the same cycle.

    The biased one's Nash equilibrium is (1/16, 10/16, 5/16): in a cycle a rank is no equilibrium, and says so.
    """
    found = alpha_rank(symmetric("rps", payoffs))
    assert found.strategies[0] == pytest.approx(np.full(3, 1 / 3), abs=1e-9)
    biased = payoffs[0][1] == -0.5
    assert found.residual == pytest.approx(1 / 6 if biased else 0.0, abs=1e-9)


def test_what_is_dominated_vanishes() -> None:
    """The prisoners' dilemma: a step down in the noise, and back up nearly at once."""
    ranks = joint_ranks(symmetric("dilemma", [[3, 0], [5, 1]]))
    assert ranks[1, 1] == pytest.approx((1 - NOISE) ** 2) and ranks[0, 1] == pytest.approx(
        NOISE * (1 - NOISE)
    )


def test_two_sinks_keep_half_each_and_shares_lose_that_it_was_together() -> None:
    assert joint_ranks(STAG) == pytest.approx(np.diag([0.5, 0.5]), abs=2 * NOISE)
    assert alpha_rank(STAG).strategies[0] == pytest.approx([0.5, 0.5], abs=2 * NOISE)


@pytest.mark.parametrize("intensity", [None, 1.5])
def test_three_players_by_a_chain_written_out(intensity: float | None) -> None:
    """Every joint action, every change of one player: the stationary distribution as the powers of the chain."""
    rng, shape, m = np.random.default_rng(1), (2, 3, 2), 50
    actions = tuple(tuple("xyz"[:count]) for count in shape)
    game = Game("random", ("a", "b", "c"), actions, rng.normal(size=(3, *shape)))
    states = list(itertools.product(*map(range, shape)))
    chain = np.zeros((len(states), len(states)))
    for (k, s), (j, r) in itertools.permutations(enumerate(states), 2):
        changed = [i for i in range(3) if s[i] != r[i]]
        if len(changed) == 1:
            gain = game.payoffs[(changed[0], *r)] - game.payoffs[(changed[0], *s)]
            if intensity is None:
                chance = 1 - NOISE if gain > 0 else NOISE
            else:
                chance = np.expm1(-intensity * gain) / np.expm1(-m * intensity * gain)
            chain[k, j] = chance / sum(count - 1 for count in shape)
    chain += np.diag(1.0 - chain.sum(axis=1))
    long_run = np.linalg.matrix_power(chain, 2**40)[0].reshape(shape)
    assert joint_ranks(game, intensity=intensity) == pytest.approx(long_run, abs=1e-5)


def test_a_lonely_state_has_all() -> None:
    assert joint_ranks(Game("one", ("a", "b"), (("x",), ("y",)), np.zeros((2, 1, 1)))).tolist() == [[1.0]]


def test_what_cannot_be_ranked() -> None:
    side = int(MOST**0.5) + 1
    actions = tuple(str(a) for a in range(side))
    large = Game("large", ("a", "b"), (actions, actions), np.zeros((2, side, side)))
    with pytest.raises(UnsupportedError, match="joint actions, and") as caught:
        alpha_rank(large)
    assert caught.value.problems[0].code == "too-many-profiles"
    with pytest.raises(UnsupportedError, match="no one stationary distribution") as caught:
        alpha_rank(STAG, intensity=100.0)
    assert caught.value.problems[0].code == "unranked"


def test_without_openspiel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "open_spiel"] + ["open_spiel"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"rewardspec\[alpha-rank\]"):
        alpha_rank(STAG)
