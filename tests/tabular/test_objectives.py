"""Objectives beside the discounted return: solved on worlds small enough to check, and held to exact evaluation."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest

from rewardspec.analysis.formalisms.objectives import (
    InnerMultiObjective,
    LimitAverage,
    OuterMultiObjective,
    Regularised,
)
from rewardspec.errors import SpecError, UnsupportedError
from rewardspec.tabular.objectives import Optimal, function_of, optimise_objective
from rewardspec.tabular.world import TabularWorld, from_outcomes, tabulate
from rewardspec.vocabulary import loads

Floats = npt.NDArray[np.float64]


def path_world(steps: int = 2, horizon: int | None = None) -> TabularWorld:
    """A few choices between apples (action 0) and pears (action 1), one after the other; then it is over."""
    outcomes = {
        s: {a: [(1.0, min(s + 1, steps - 1), float(a), s == steps - 1)] for a in (0, 1)} for s in range(steps)
    }
    return from_outcomes(outcomes, np.eye(steps)[0], horizon=horizon)


FRUIT = """\
name: fruit
discount: 0.5
objective: OBJECTIVE
reward:
  - {markov: 1 - action, name: apples}
  - {markov: action, name: pears}
"""


def solved(objective: str, world: TabularWorld, text: str = FRUIT, discount: float = 0.5) -> Optimal:
    return optimise_objective(loads(text.replace("OBJECTIVE", objective)), world, discount)


def rewards_of(world: TabularWorld) -> tuple[Floats, Floats]:
    pears = np.broadcast_to(np.arange(2.0)[None, :, None], world.next_state.shape)
    return 1.0 - pears, np.array(pears)


def policies(world: TabularWorld, points: int = 5) -> list[Floats]:
    """Return stationary policies on a grid."""
    grid = np.linspace(0.0, 1.0, points)
    return [
        np.stack([1 - np.array(p), np.array(p)], axis=1)
        for p in itertools.product(grid, repeat=world.n_states)
    ]


# -- limit average -----------------------------------------------------------------------------------------------------


def ring(ends: bool = False) -> TabularWorld:
    """Room 0 pays 1 to leave for room 1 and 0.4 to stay; room 1 pays 0 back; room 2, by action 2, pays 0.7 for ever."""
    table = {
        0: {0: [(1.0, 0, 0.4, False)], 1: [(1.0, 1, 1.0, False)], 2: [(1.0, 2, -5.0, False)]},
        1: {a: [(1.0, 0, 0.0, False)] for a in range(3)},
        2: {a: [(1.0, 2, 0.7, ends)] for a in range(3)},
    }
    return from_outcomes(table, np.array([1.0, 0.0, 0.0]))


AVERAGE = "name: rate\nobjective: limit_average\nreward: reward\n"


def test_the_best_rate_is_worth_any_price_on_the_way() -> None:
    """0.7 for ever, after a step that costs 5; going round pays 0.5, staying 0.4."""
    found = solved("", ring(), AVERAGE)
    assert found.value == pytest.approx(0.7)
    assert found.policy is not None and found.policy[0, 0].argmax() == 2


def test_an_episode_that_is_over_pays_nothing_for_ever() -> None:
    found = solved("", ring(ends=True), AVERAGE)
    assert found.value == pytest.approx(0.5)
    assert found.policy is not None
    assert LimitAverage(ring(ends=True).reward).value(ring(ends=True), found.policy[0]) == pytest.approx(0.5)


def test_several_ends_that_are_not_connected_are_weighed_by_chance() -> None:
    """Multichain: action 0 leads to a rate of 1 or 0 by a coin, action 1 to 0.6 surely."""
    table = {
        0: {0: [(0.5, 1, 0.0, False), (0.5, 2, 0.0, False)], 1: [(1.0, 3, 0.0, False)]},
        **{s: {a: [(1.0, s, rate, False)] for a in (0, 1)} for s, rate in ((1, 1.0), (2, 0.0), (3, 0.6))},
    }
    found = solved("", from_outcomes(table, np.eye(4)[0]), AVERAGE)
    assert found.value == pytest.approx(0.6)


# -- regularised -------------------------------------------------------------------------------------------------------


def test_entropy_is_worth_its_weight() -> None:
    world = path_world()
    found = solved("{kind: regularised, weight: 0.7}", world, FRUIT.replace("1 - action", "0"))
    one = np.log(np.exp(1 / 0.7) + 1) * 0.7  # each of both choices: log-sum-exp of 0 and 1
    assert found.value == pytest.approx(one + 0.5 * one)
    assert found.policy is not None

    def negative_entropy(shares: Floats) -> float:
        return float(sum(p * np.log(p) for p in shares if p > 0))

    objective = Regularised(rewards_of(world)[1], 0.5, 0.7, negative_entropy)
    assert objective.value(world, found.policy[0]) == pytest.approx(found.value)
    assert all(objective.value(world, other) <= found.value + 1e-9 for other in policies(world))


# -- outer -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "f"),
    [
        ("min(apples, pears)", lambda j: min(j)),
        ("-(apples - 1) ** 2 - (pears - 0.2) ** 2", lambda j: -((j[0] - 1) ** 2) - (j[1] - 0.2) ** 2),
        ("log(0.1 + apples) + 2 * log(0.1 + pears)", lambda j: np.log(0.1 + j[0]) + 2 * np.log(0.1 + j[1])),
    ],
)
def test_concave_functions_of_returns_are_solved_with_a_certificate(of: str, f: object) -> None:
    world = path_world()
    found = solved(f"{{kind: outer, of: '{of}'}}", world)
    objective = OuterMultiObjective(rewards_of(world), 0.5, f)  # type: ignore[arg-type]
    assert found.policy is not None
    assert objective.value(world, found.policy[0]) == pytest.approx(found.value, abs=1e-6)
    assert 0.0 <= found.bound - found.value < 1e-4
    assert max(objective.value(world, other) for other in policies(world, 11)) <= found.bound + 1e-9


def test_as_much_of_both_is_half_of_all() -> None:
    found = solved("{kind: outer, of: 'min(apples, pears)'}", path_world())
    assert found.value == pytest.approx(0.75)
    assert found.returns == pytest.approx({"apples": 0.75, "pears": 0.75})


def test_of_one_return_any_function_is_solved() -> None:
    objective = "{kind: outer, of: '(1 - abs(pears - 1)) ** 3'}"
    text = f"{{name: hit, discount: 0.5, objective: {objective}, reward: [{{markov: action, name: pears}}]}}"
    found = solved("", path_world(), text)
    assert found.value == pytest.approx(1.0, abs=1e-6) and found.returns["pears"] == pytest.approx(
        1.0, abs=1e-6
    )


def test_a_function_that_is_not_concave_is_refused_with_its_place() -> None:
    with pytest.raises(UnsupportedError, match="unfit-objective") as caught:
        solved("{kind: outer, of: 'max(apples, pears)'}", path_world())
    assert caught.value.problems[0].place.line == 3


# -- inner -------------------------------------------------------------------------------------------------------------


def test_a_function_of_an_episodes_returns_is_another_objective() -> None:
    """In no single episode of two choices are both returns 0.75: the better is to have one of each, the later first."""
    world = path_world()
    found = solved("{kind: inner, of: 'min(apples, pears)'}", world)
    assert found.value == pytest.approx(0.5) and found.policy is None
    objective = InnerMultiObjective(rewards_of(world), 0.5, min)
    assert max(objective.value(world, other) for other in policies(world)) == pytest.approx(found.value)


def test_behaviour_that_looks_at_the_returns_so_far_does_better() -> None:
    """A coin pays 0 or 2; then 1 may be taken off a return above 1: wanted is a return of 1."""
    table = {
        0: {a: [(0.5, 1, 0.0, False), (0.5, 1, 2.0, False)] for a in (0, 1)},
        1: {0: [(1.0, 1, 2.0, True)], 1: [(1.0, 1, -2.0, True)]},
    }
    objective = "{kind: inner, of: '-abs(g - 1)'}"
    text = f"{{name: one, discount: 0.5, objective: {objective}, reward: [{{markov: reward, name: g}}]}}"
    assert solved("", from_outcomes(table, np.eye(2)[0]), text).value == pytest.approx(0.0)


def test_episodes_are_cut_at_the_horizon_and_endless_ones_are_refused() -> None:
    lake = tabulate(gym.make("FrozenLake-v1", is_slippery=False, max_episode_steps=6))
    text = (
        "{name: lake, discount: 0.9, objective: {kind: inner, of: 'g'}, reward: [{markov: reward, name: g}]}"
    )
    assert solved("", lake, text, 0.9).value == pytest.approx(0.9**5)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_the_function_reads_terms_by_name() -> None:
    spec = loads(FRUIT.replace("OBJECTIVE", "{kind: outer, of: 'apples - 2 * pears'}"))
    assert function_of(spec)([5.0, 1.0]) == 3.0
    assert loads(spec.to_yaml()) == spec


@pytest.mark.parametrize(
    ("objective", "code"),
    [
        ("average", "wrong-value"),
        ("{kind: outer}", "wrong-value"),
        ("{kind: limit_average, weight: 1}", "wrong-value"),
        ("{kind: outer, of: plums}", "unknown-name"),
        ("{kind: outer, of: obs}", "field-not-allowed"),
    ],
)
def test_what_cannot_be_meant_is_refused(objective: str, code: str) -> None:
    from rewardspec import compile_spec

    with pytest.raises(SpecError) as caught:
        compile_spec(loads(FRUIT.replace("OBJECTIVE", objective)))
    assert caught.value.problems[0].code == code


# -- who optimises it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["ppo", "dqn", "a2c"])
def test_agents_that_cannot_optimise_it_are_refused(algo: str) -> None:
    from rewardspec.training.settings import choose

    spec = loads("env: {id: CartPole-v1}\nobjective: limit_average\nreward: 1")
    with pytest.raises(UnsupportedError, match="goes by discounted returns") as caught:
        choose(spec, algo=algo)
    assert caught.value.problems[0].code == "unfit-objective"
    assert caught.value.problems[0].place.line == 2


def test_soft_actor_critic_takes_the_weight_for_its_temperature() -> None:
    from rewardspec.training.settings import choose

    spec = loads("env: {id: Pendulum-v1}\nobjective: {kind: regularised, weight: 0.3}\nreward: reward")
    assert choose(spec, algo="sac").agent["ent_coef"] == 0.3
    with pytest.raises(UnsupportedError, match=r"ent_coef is 0\.1"):
        choose(spec, algo="sac", agent={"ent_coef": 0.1})
    with pytest.raises(UnsupportedError, match="--algo sac"):
        choose(spec, algo="ppo")


def test_value_iteration_solves_it(tmp_path: object) -> None:
    import io
    from pathlib import Path

    from rich.console import Console

    from agents.value_iteration import Args, main

    place = Path(str(tmp_path)) / "rate.yaml"
    place.write_text(
        "name: rate\nenv: {id: CliffWalking-v1}\nobjective: limit_average\nreward: 1 + reward / 10\n"
    )
    out = io.StringIO()
    found = main(Args(spec=place), Console(file=out, width=100))
    assert found["specs"][0]["value"] == pytest.approx(0.9)  # walking about for ever: 1 - 1 / 10 a step
    assert "the best value" in out.getvalue()
    with pytest.raises(UnsupportedError, match="unfit-objective"):
        main(Args(spec=place, against=place), Console(file=out))


@pytest.mark.parametrize(
    ("objective", "reward", "group"),
    [
        ("limit_average", "reward", "LAR"),
        ("limit_average", "{once: reward > 0}", "FTR"),
        ("{kind: regularised, weight: 1}", "reward", "RRL"),
        ("{kind: outer, of: j}", "{markov: reward, name: j}", "ONMR"),
        ("{kind: outer, of: j + k}", "[{markov: reward, name: j}, {markov: 1, name: k}]", "FTLR"),
        ("{kind: inner, of: j}", "{markov: reward, name: j}", "FTR"),
        ("discounted", "reward", "MR"),
    ],
)
def test_a_spec_stands_where_its_objective_puts_it(objective: str, reward: str, group: str) -> None:
    from rewardspec import compile_spec
    from rewardspec.analysis.formalisms.placing import place

    spec = loads(f"{{objective: {objective}, reward: {reward}}}")
    assert place(compile_spec(spec), spec.objective).group == group
