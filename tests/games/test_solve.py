"""Solvers against each other: maps, trembles, Nash, maximin and the efficient frontier."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from rewardspec.errors import SpecError
from rewardspec.games.frontier import efficient_frontier, minimise_variance
from rewardspec.games.game import Game, Solving, symmetric
from rewardspec.games.nash import find_nash, logit_limit, maximin, maximin_strategy, pure_equilibria
from rewardspec.games.response import respond
from rewardspec.games.risk import MEASURES, Risk, covariance
from rewardspec.games.solve import cool, describe, newton, reply, solve

CHICKEN = symmetric("chicken", [[0, -1], [1, -10]], ("swerve", "dare"))


def random_game(seed: int, shape: tuple[int, ...] = (3, 3)) -> Game:
    rng = np.random.default_rng(seed)
    actions = tuple(tuple(str(a) for a in range(count)) for count in shape)
    return Game("random", tuple("abc"[: len(shape)]), actions, rng.normal(size=(len(shape), *shape)))


@pytest.mark.parametrize("measure", MEASURES)
def test_both_maps_lead_to_one_equilibrium(measure: str) -> None:
    risk = Risk(measure)  # type: ignore[arg-type]
    damped = solve(CHICKEN, 0.3, risk=risk)
    fictitious = solve(CHICKEN, 0.3, risk=risk, method="fictitious", rounds=400, tolerance=1e-9)
    assert damped.converged and damped.residual <= 1e-12
    assert fictitious.strategies[0] == pytest.approx(damped.strategies[0], abs=1e-6)


def test_fictitious_play_moves_both_from_the_same_old_beliefs() -> None:
    """Two rounds by hand: x <- x + (BR(y) - x) / 2, then / 3, with y as it was before either moved."""
    game = random_game(3)
    solving = Solving(temperature=0.2)
    z = game.uniform()
    for t in (1, 2):
        z = tuple(
            part + (new - part) / (t + 1)
            for part, new in zip(z, reply(game, z, 0.4, Risk(), solving), strict=True)
        )
    ours = solve(game, 0.4, solving=solving, method="fictitious", rounds=3)
    assert ours.rounds == 3 and not ours.converged
    if ours.residual == pytest.approx(describe(game, z, 0.4, Risk(), solving).residual):
        assert ours.strategies[0] == pytest.approx(z[0])


def test_a_residual_is_the_distance_to_the_reply_and_not_converging_is_said() -> None:
    """Matching pennies by best replies without entropy go round and round."""
    pennies = symmetric("pennies", [[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    start = (np.array([0.6, 0.3, 0.1]), np.array([0.5, 0.3, 0.2]))
    found = solve(pennies, 0.0, solving=Solving(temperature=0.0, start=start), rounds=200, polish=False)
    assert not found.converged and found.residual > 0.1


def test_newton_ends_what_few_rounds_of_the_map_have_begun() -> None:
    slow = solve(CHICKEN, 0.5, rounds=20_000)
    quick = solve(CHICKEN, 0.5, rounds=10)
    assert slow.method == "damped" and quick.method == "newton" and quick.converged
    assert quick.strategies[0] == pytest.approx(slow.strategies[0], abs=1e-9)
    assert not solve(CHICKEN, 0.5, rounds=10, polish=False).converged


@pytest.mark.parametrize("seed", [1008, 39])
def test_an_equilibrium_is_followed_down_from_a_high_temperature_where_newton_fails_too(seed: int) -> None:
    """Cold games of five actions each, found by looking; the way of the second turns back at a temperature of 0.068."""
    rng = np.random.default_rng([5, 5, seed])
    actions = (tuple("abcde"), tuple("abcde"))
    game = Game("cold", ("row", "column"), actions, rng.normal(size=(2, 5, 5)))
    solving = Solving(temperature=0.05, damping=0.05)
    found = solve(game, solving=solving, rounds=800, tolerance=1e-9)
    assert found.method == "cooled" and found.converged
    replies = reply(game, found.strategies, 0.0, Risk(), solving)
    assert np.concatenate(replies) == pytest.approx(np.concatenate(found.strategies), abs=1e-8)


@pytest.mark.parametrize("measure", ["variance", "lower_partial_moment"])
def test_cooling_leads_where_the_damped_map_leads_where_there_is_one_equilibrium(measure: str) -> None:
    risk, solving = Risk(measure), Solving(temperature=0.3)  # type: ignore[arg-type]
    profile, left = cool(CHICKEN, 0.3, risk, solving, 1e-9)
    assert left <= 1e-9
    assert profile[0] == pytest.approx(
        solve(CHICKEN, 0.3, risk=risk, solving=solving).strategies[0], abs=1e-6
    )


def test_newton_takes_over_where_the_map_turns_round_the_equilibrium() -> None:
    """A cold zero-sum game: the damped map circles, so the last of the way is Newton's, and is said to be."""
    rps = symmetric("rps", [[0, -2, 1], [1, 0, -2], [-2, 1, 0]])
    start = (np.array([0.5, 0.3, 0.2]),) * 2
    cold = Solving(temperature=0.05, damping=0.5, start=start)
    assert not solve(rps, 0.0, solving=cold, rounds=1500, polish=False).converged
    found = solve(rps, 0.0, solving=cold, rounds=1500)
    assert found.method == "newton" and found.converged
    assert found.strategies[0] == pytest.approx([1 / 3] * 3, abs=1e-6)
    _, left = newton(rps, rps.uniform(), 0.0, Risk(), cold, 1e-12)
    assert left <= 1e-12


def test_trembles_are_a_floor_under_every_action_and_a_reason_for_care() -> None:
    stag = symmetric("stag", [[10, 0], [5, 4]], ("stag", "hare"))
    start = stag.pure("stag", "stag")
    careless = Solving(temperature=0.0, tremble=0.1, start=start, damping=0.2)
    assert solve(stag, 0.0, solving=careless, rounds=200).strategies[0] == pytest.approx(
        [0.95, 0.05], abs=1e-6
    )
    careful = solve(stag, 2.0, solving=careless, rounds=300)
    assert careful.strategies[0][0] < 0.9  # slips of the partner make a stag risky
    assert careful.strategies[0].min() >= 0.05 - 1e-9


def test_a_player_who_dislikes_risk_more_has_less_of_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        table, p = rng.normal(size=(4, 5)), rng.dirichlet(np.ones(5))
        spread = [
            float(x @ covariance(table, p) @ x)
            for x in (respond(table, p, gamma, Risk(), 0.1) for gamma in (0.0, 0.3, 1.0, 4.0))
        ]
        assert spread == sorted(spread, reverse=True)


# -- the frontier --------------------------------------------------------------------------------------------


def test_the_frontier_is_convex_rises_and_carries_its_certificate() -> None:
    rng = np.random.default_rng(2)
    for _ in range(4):
        found = efficient_frontier(rng.normal(size=(5, 12)), rng.dirichlet(np.ones(12)), 9)
        assert found.residual.max() < 1e-6
        assert (found.expected >= found.levels - 1e-7).all()
        assert np.diff(found.variance).min() > -1e-9 and np.diff(found.variance, 2).min() > -1e-7


def test_the_reply_at_any_gamma_lies_on_the_frontier() -> None:
    """Maximising x . mu - gamma x' Sigma x, and the least variance at that mean, are the same strategy."""
    rng = np.random.default_rng(4)
    table, p = rng.normal(size=(4, 9)), rng.dirichlet(np.ones(9))
    mean, sigma = table @ p, covariance(table, p)
    for gamma in (0.1, 0.5, 2.0):
        x = respond(table, p, gamma, Risk(), 0.0)
        least = minimise_variance(mean, sigma, float(x @ mean))
        assert least @ sigma @ least == pytest.approx(x @ sigma @ x, abs=1e-6)


def test_a_frontier_of_two_actions_by_hand() -> None:
    """Safe 1; risky 0 or 4 with mean 2 and variance 4: a share w of it has mean 1 + w and variance 4 w^2."""
    found = efficient_frontier(np.array([[1.0, 1.0], [0.0, 4.0]]), np.array([0.5, 0.5]), 5)
    shares = found.expected - 1.0
    assert shares == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0], abs=1e-5)
    assert found.variance == pytest.approx(4.0 * shares**2, abs=1e-5)


# -- risk-neutral theory -------------------------------------------------------------------------------------


def test_nash_equilibria_of_chicken_and_which_comes_first() -> None:
    found = find_nash(CHICKEN)
    assert [one.strategies[0][0] for one in found] == pytest.approx([0.9, 1.0, 0.0])
    assert all(one.regret < 1e-9 for one in found)


def test_an_equilibrium_that_enumeration_of_supports_loses_to_rounding_is_found() -> None:
    import nashpy

    game = random_game(4, (3, 4))
    with mock.patch.object(nashpy.Game, "support_enumeration", lambda self: iter(())):
        (found, *_) = find_nash(game)
    assert found.converged


@pytest.mark.parametrize("seed", range(6))
def test_what_is_called_nash_leaves_nothing_to_gain(seed: int) -> None:
    for shape in ((3, 4), (2, 2, 2)):
        found = find_nash(random_game(seed, shape))
        assert found[0].converged
        assert all(one.regret < 1e-7 for one in found if one.converged)


def test_the_logit_path_of_three_players_ends_in_an_equilibrium() -> None:
    assert logit_limit(random_game(5, (2, 2, 2))).regret < 1e-7


def test_zero_sum_values_are_equal_and_opposite() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 6))
    actions = (tuple("abcd"), tuple("uvwxyz"))
    game = Game("zero", ("row", "column"), actions, np.stack([table, -table]))
    assert game.is_zero_sum
    (found, *_) = find_nash(game)
    assert maximin_strategy(game, 0)[1] == pytest.approx(-maximin_strategy(game, 1)[1]) == found.expected[0]
    assert maximin(game).expected[0] == pytest.approx(found.expected[0])


def test_pure_equilibria_of_three_players() -> None:
    game = symmetric("all or none", np.array([[[5.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]]), players=3)
    assert game.is_symmetric
    assert [[int(part.argmax()) for part in z] for z in pure_equilibria(game)] == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("solving", "said"),
    [
        (Solving(temperature=-1.0), "temperature of -1"),
        (Solving(tremble=1.0), "tremble of 1"),
        (Solving(damping=0.0), "damping of 0"),
        (Solving(start=(np.array([0.5, 0.6]), np.array([0.5, 0.5]))), "start of 'row'"),
    ],
)
def test_what_a_game_cannot_be_solved_with(solving: Solving, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        solve(CHICKEN, solving=solving)
    assert caught.value.problems[0].code == "wrong-solving"


@pytest.mark.parametrize("gamma", [-0.5, float("nan"), float("inf")])
def test_gamma_is_a_number_from_0_up(gamma: float) -> None:
    with pytest.raises(SpecError, match="from 0 up") as caught:
        solve(CHICKEN, gamma)
    assert caught.value.problems[0].code == "negative-gamma"
