"""Whose doing it was: difference rewards and Shapley values, with the laws that they keep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection

import numpy as np
import pytest

from rewardspec import SpecError, loads, wrap_parallel
from rewardspec.analysis.credit import difference_credit, shapley, team_value
from rewardspec.compiler import compile_spec
from tests.team.worlds import AGENTS, Stage, play

SCRIPT = [
    {"scout": {"x": 5}, "pilot": {"x": 3}, "cook": {"x": 3}},
    {"scout": {"x": 1}, "pilot": {"x": 8}, "cook": {"x": 8}},
    {"scout": {"x": 2}, "cook": {"x": 0}},
]


def differences(value: str, script: list[dict[str, dict[str, float]]] = SCRIPT) -> list[dict[str, float]]:
    return play(wrap_parallel(Stage(script), loads(f"reward: {{difference: '{value}'}}")))


# -- the kind `difference` -----------------------------------------------------------------------------------


def test_the_best_earns_what_it_is_ahead_of_the_next() -> None:
    """In the second step the pilot and the cook could each replace the other."""
    paid = differences("max(team.next_obs[0])")
    assert paid == [
        {"scout": 2, "pilot": 0, "cook": 0},
        {"scout": 0, "pilot": 0, "cook": 0},
        {"scout": 2, "cook": 0},
    ]


def test_of_a_sum_everyone_earns_its_own_part() -> None:
    for step, line in zip(differences("sum(team.next_obs[0]) + 7"), SCRIPT, strict=True):
        assert step == {name: line[name]["x"] for name in line}


def test_the_law_of_alignment() -> None:
    """With the others as they are, the agent's payment changes by as much as the team's value."""
    value = "max(team.next_obs[0]) - 0.1 * sum(team.next_obs[0] * team.next_obs[0])"

    def of_team(xs: tuple[float, ...]) -> float:
        return max(xs) - 0.1 * sum(x * x for x in xs)

    found = {}
    for x in (0.0, 2.0, 4.0):
        xs = (x, 3.0, 1.0)
        script = [{name: {"x": value} for name, value in zip(AGENTS, xs, strict=True)}]
        found[x] = differences(value, script)[0]["scout"] - of_team(xs)
    assert found[0.0] == pytest.approx(found[2.0]) == pytest.approx(found[4.0])


@pytest.mark.parametrize("value", ["max(team.obs[0]) - obs[0]", "agents.cook.reward"])
def test_what_no_agent_can_be_left_out_of_is_refused(value: str) -> None:
    with pytest.raises(SpecError, match="field-not-allowed"):
        compile_spec(loads(f"reward: {{difference: '{value}'}}"))


# -- analysis --------------------------------------------------------------------------------------------------


def glove(coalition: Collection[str]) -> float:
    """A pair of gloves is worth 1: the first two have a left one each, the third the right one."""
    return float("right" in coalition and bool({"left", "other"} & set(coalition)))


def test_shapley_of_the_glove_game() -> None:
    """The textbook's: 4/6 for the right glove, 1/6 for each left one."""
    found = shapley(glove, ["left", "other", "right"])
    assert found == pytest.approx({"left": 1 / 6, "other": 1 / 6, "right": 4 / 6})
    assert difference_credit(glove, ["left", "other", "right"]) == {"left": 0, "other": 0, "right": 1}


def game(seed: int, count: int) -> tuple[dict[frozenset[int], float], list[int]]:
    rng = np.random.default_rng(seed)
    agents = list(range(count))
    subsets = itertools.chain.from_iterable(itertools.combinations(agents, k) for k in range(count + 1))
    return {frozenset(s): float(rng.normal()) for s in subsets}, agents


@pytest.mark.parametrize("seed", range(5))
def test_shapley_is_the_mean_over_all_orders(seed: int) -> None:
    table, agents = game(seed, 4)
    by_orders = dict.fromkeys(agents, 0.0)
    for order in itertools.permutations(agents):
        for k, agent in enumerate(order):
            by_orders[agent] += table[frozenset(order[: k + 1])] - table[frozenset(order[:k])]
    expected = {agent: total / math.factorial(4) for agent, total in by_orders.items()}
    assert shapley(lambda s: table[frozenset(s)], agents) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "orders"), [(4, None), (4, 7), (6, 3)])
def test_the_law_of_efficiency_holds_exactly_for_sampled_orders_too(count: int, orders: int | None) -> None:
    """What is given out is what the team is worth more than nobody."""
    table, agents = game(1, count)
    found = shapley(lambda s: table[frozenset(s)], agents, orders=orders, seed=3)
    assert sum(found.values()) == pytest.approx(table[frozenset(agents)] - table[frozenset()])


def test_sampled_orders_come_near() -> None:
    table, agents = game(2, 5)
    exact = shapley(lambda s: table[frozenset(s)], agents)
    near = shapley(lambda s: table[frozenset(s)], agents, orders=2000, seed=0)
    assert max(abs(near[a] - exact[a]) for a in agents) < 0.12


def test_equals_earn_alike_and_a_dummy_nothing() -> None:
    found = shapley(lambda s: float(len(set(s) - {"idle"}) ** 2), ["a", "b", "idle"])
    assert found["a"] == pytest.approx(found["b"]) and found["idle"] == 0


def test_the_value_of_a_team_on_a_joint_transition() -> None:
    """An expression of the language over those who are there; leaving one out is what `difference` pays by."""
    seen = {
        "scout": {"next_obs": [5.0, 0.0]},
        "pilot": {"next_obs": [3.0, 0.0]},
        "cook": {"next_obs": [3.0, 0.0]},
    }
    value = team_value("max(team.next_obs[0])", seen)
    assert value(AGENTS) == 5 and value(["pilot"]) == 3 and value([]) == 0
    assert difference_credit(value, AGENTS) == differences("max(team.next_obs[0])")[0]
    found = shapley(value, AGENTS)
    assert found == pytest.approx({"scout": 3.0, "pilot": 1.0, "cook": 1.0})
