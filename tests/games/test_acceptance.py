"""The figures that a risk-averse equilibrium must come to: computed apart from this code, tolerance 1e-3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardspec.games.game import Game, Solving, symmetric
from rewardspec.games.nash import find_nash
from rewardspec.games.solve import solve
from rewardspec.games.text import load_game

GAMES = Path(__file__).parents[2] / "examples" / "games"


@pytest.fixture(scope="module")
def chicken() -> Game:
    return load_game(GAMES / "chicken.yaml")


@pytest.fixture(scope="module")
def stag_hunt() -> Game:
    return load_game(GAMES / "stag_hunt.yaml")


@pytest.mark.parametrize(
    ("gamma", "swerve"),
    [(0, 0.8801), (0.05, 0.8971), (0.1, 0.9087), (0.25, 0.9298), (0.5, 0.9473), (1, 0.9635)],
)
def test_chicken_swerves_more_the_more_risk_is_disliked(chicken: Game, gamma: float, swerve: float) -> None:
    found = solve(chicken, gamma)
    assert found.converged and found.residual < 1e-12
    for strategy in found.strategies:
        assert strategy[0] == pytest.approx(swerve, abs=1e-3)


def test_chickens_crashes_fall_elevenfold_and_everybody_earns_more(chicken: Game) -> None:
    neutral, averse = solve(chicken, 0.0), solve(chicken, 1.0)
    crashes = [float(one.strategies[0][1] * one.strategies[1][1]) for one in (neutral, averse)]
    assert crashes == pytest.approx([0.0144, 0.0013], abs=1e-3)
    assert crashes[0] / crashes[1] == pytest.approx(11, abs=0.5)
    assert [one.variance[0] for one in (neutral, averse)] == pytest.approx([0.5105, 0.0657], abs=1e-3)
    assert [one.expected[0] for one in (neutral, averse)] == pytest.approx([-0.1438, -0.0134], abs=1e-3)


def test_stag_hunters_become_hares_at_gamma_0_0202(stag_hunt: Game) -> None:
    found = solve(stag_hunt, 0.0)
    assert found.strategies[0][0] == pytest.approx(0.9929, abs=1e-3)
    assert found.expected[0] == pytest.approx(9.8935, abs=1e-3)
    assert solve(stag_hunt, 0.0197).strategies[0][0] > 0.99
    assert solve(stag_hunt, 0.0207).strategies[0][1] > 0.97
    found = solve(stag_hunt, 0.5)
    assert found.strategies[0][1] == pytest.approx(0.9824, abs=1e-3)
    assert found.expected[0] == pytest.approx(3.95, abs=1e-3)
    assert found.variance[0] == pytest.approx(0.0232, abs=1e-3)


def test_risk_dominance_is_another_notion(stag_hunt: Game) -> None:
    """Harsanyi and Selten: who leaves the stags loses 5, who leaves the hares 4, and 25 > 16: the stag dominates."""
    own = stag_hunt.tables[0]
    assert (own[0, 0] - own[1, 0]) ** 2 == 25 > (own[1, 1] - own[0, 1]) ** 2 == 16
    assert solve(stag_hunt, 0.5).strategies[0][1] > 0.98  # and yet the averse hunt hares


def test_without_slips_a_strict_equilibrium_stays_one_whatever_the_gamma(stag_hunt: Game) -> None:
    """At a pure profile there is no risk: selection needs beliefs that give every action some probability."""
    for gamma in (0.0, 100.0):
        sure = Solving(temperature=0.0, start=stag_hunt.pure("stag", "stag"))
        found = solve(stag_hunt, gamma, solving=sure, rounds=20)
        assert found.strategies[0] == pytest.approx([1.0, 0.0], abs=1e-9) and found.variance[0] < 1e-12


def test_jackpot_is_left_for_the_safe_payoff() -> None:
    game = load_game(GAMES / "jackpot.yaml")
    told = {
        0.0: ([0.0109, 0.1551, 0.8340], 3.2084, 12.59),
        0.1: ([0.1543, 0.6566, 0.1890], 2.7686, 2.359),
        1.0: ([0.6481, 0.3512, 0.0007], 2.2805, 0.173),
    }
    earned = []
    for gamma, (row, expected, variance) in told.items():
        found = solve(game, gamma)
        assert found.strategies[1] == pytest.approx([0.8166, 0.1542, 0.0291], abs=1e-3)
        assert found.strategies[0] == pytest.approx(row, abs=1e-3)
        assert found.expected[0] == pytest.approx(expected, abs=1e-3)
        assert found.variance[0] == pytest.approx(variance, abs=5e-3)
        earned.append((found.expected[0], found.variance[0]))
    assert earned == sorted(earned, reverse=True) and earned[0][1] > earned[1][1] > earned[2][1]


@pytest.mark.parametrize("gamma", [0.0, 5.0])
def test_rock_paper_scissors_stays_uniform(gamma: float) -> None:
    game = load_game(GAMES / "rock_paper_scissors.yaml")
    start = (np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.2, 0.6]))
    found = solve(game, gamma, solving=Solving(temperature=0.5, start=start))
    for strategy in found.strategies:
        assert strategy == pytest.approx([1 / 3] * 3, abs=1e-3)
    assert found.variance == pytest.approx([0.0, 0.0], abs=1e-9)


def test_gamma_0_is_the_logit_equilibrium(chicken: Game) -> None:
    """x = softmax(M y / tau), and the other way round."""
    found = solve(chicken, 0.0)
    x, y = found.strategies
    for own, table, other in ((x, chicken.tables[0], y), (y, chicken.tables[1], x)):
        weight = np.exp(table @ other / 0.1)
        assert own == pytest.approx(weight / weight.sum(), abs=1e-10)


def test_gamma_is_not_free_of_scale(chicken: Game) -> None:
    """Payoffs times k: expected payoffs times k, variances times k^2, so gamma / k (and tau k) mean the same."""
    k = 7.0
    plain, scaled = (
        solve(chicken, 0.5),
        solve(chicken.scaled(k), 0.5 / k, solving=Solving(temperature=0.1 * k)),
    )
    assert scaled.strategies[0] == pytest.approx(plain.strategies[0], abs=1e-9)
    assert scaled.expected == pytest.approx(k * plain.expected)
    assert scaled.variance == pytest.approx(k**2 * plain.variance)
    assert solve(chicken.scaled(k), 0.5).strategies[0][0] != pytest.approx(plain.strategies[0][0], abs=1e-3)


def test_three_hunters_need_each_other() -> None:
    game = load_game(GAMES / "three_hunters.yaml")
    neutral, averse = solve(game, 0.0), solve(game, 0.1)
    assert neutral.converged and averse.converged
    assert all(strategy[0] > 0.99 for strategy in neutral.strategies)
    assert all(strategy[1] > 0.9 for strategy in averse.strategies)
    assert [one.strategies[0][0] for one in find_nash(game)] == [1.0, 0.0]


def test_players_without_a_choice_or_without_opponents() -> None:
    alone = Game("alone", ("me",), (("good", "bad"),), np.array([[3.0, 1.0]]), Solving(temperature=0.0))
    found = solve(alone, 2.0)
    assert found.strategies[0] == pytest.approx([1.0, 0.0]) and found.variance[0] == 0.0
    sure = Game(
        "sure", ("row", "column"), (("a", "b"), ("only",)), np.array([[[1.0], [5.0]], [[0.0], [0.0]]])
    )
    found = solve(sure, 3.0)
    assert found.variance.tolist() == [0.0, 0.0] and found.strategies[1].tolist() == [1.0]
    flat = symmetric("flat", np.zeros((3, 3)))
    assert solve(flat, 1.0).strategies[0] == pytest.approx([1 / 3] * 3)
