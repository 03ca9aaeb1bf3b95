"""The product pays what the wrapped environment pays, remembers what decides, and refuses what has no end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401  (registers the worlds)
from rewardspec import MismatchError, NonFiniteRewardError, UnsupportedError, compile_spec, load, loads, wrap
from rewardspec.tabular.product import Product, take_product
from rewardspec.tabular.world import TabularWorld, from_outcomes, tabulate

TURN_THEN_GOAL = """
discount: 0.9
propositions: {goal: next_obs == 15, turn: next_obs == 3, hole: terminated and next_obs != 15}
"""

SPECS = {
    "a formula that ends": TURN_THEN_GOAL
    + "reward: {ltl: F(turn & X F goal) & G !hole, accept: 2, reject: -1}",
    "two machines": TURN_THEN_GOAL
    + """
reward:
  - {ltl: F turn, name: first}
  - {ltl: F goal, name: second, weight: 3}
  - {markov: -0.1 * action, name: effort}
""",
    "a fold": TURN_THEN_GOAL + "reward: [{once: turn, name: visit}, {markov: reward}]",
    "a potential over obs": TURN_THEN_GOAL + "reward: [{markov: reward}, {potential: obs / 15}]",
    "paid at the end": TURN_THEN_GOAL + "reward: {ltl: F turn, pay: end, accept: 1, reject: -1}",
}


def lake() -> gym.Env[Any, Any]:
    return gym.make("FrozenLake-v1", is_slippery=True, max_episode_steps=9)


def outcome(product: Product, u: int, s: int, a: int, s2: int, terminated: bool) -> int:
    """Return which outcome was drawn, as far as it can be seen."""
    found = [
        k
        for k in range(product.reward.shape[3])
        if product.world.probability[s, a, k] > 0
        and product.world.next_state[s, a, k] == s2
        and bool(product.world.terminated[s, a, k]) == terminated
    ]
    return found[0]


@pytest.mark.parametrize("name", SPECS)
def test_the_product_steps_as_the_wrapped_environment_does(name: str) -> None:
    env = wrap(lake(), loads(SPECS[name]), observe="none", detail=True)
    product = take_product(compile_spec(loads(SPECS[name])), tabulate(lake()))
    env.action_space.seed(0)
    episodes = limited = 0
    s, _ = env.reset(seed=0)
    u = 0
    for _ in range(3000):
        action = int(env.action_space.sample())
        s2, reward, terminated, truncated, _ = env.step(action)
        inner = bool(env.unwrapped.desc.flat[int(s2)] in b"HG")  # type: ignore[attr-defined]
        k = outcome(product, u, s, action, int(s2), inner)
        assert product.terminated[u, s, action, k] == terminated
        table = product.reward_at_limit if truncated and not terminated else product.reward
        assert table[u, s, action, k] == pytest.approx(reward)
        u, s = int(product.next_memory[u, s, action, k]), int(s2)
        for machine, state in env.machine_states.items():
            assert product.machine_state(u, machine) == state
        if terminated or truncated:
            assert truncated or u >= product.n_memory, "memory in which episodes end is numbered from U on"
            s, _ = env.reset()
            u, episodes, limited = 0, episodes + 1, limited + (truncated and not terminated)
    assert episodes > 50 < limited


@pytest.mark.parametrize("spec", ["office_both", "office_patrol", "craft_gem"])
def test_labels_of_the_environment_reach_the_machine(spec: str) -> None:
    declared = load(f"examples/specs/{spec}.yaml")
    assert declared.env is not None
    product = take_product(compile_spec(declared), tabulate(gym.make(declared.env.id)))
    env = wrap(gym.make(declared.env.id), declared, observe="none", detail=True)
    machine = env.program.machines[0].name
    numbers = {tuple(row): i for i, row in enumerate(product.world.observation.tolist())}
    env.action_space.seed(1)
    obs, _ = env.reset(seed=1)
    u = 0
    for _ in range(4000):
        action = int(env.action_space.sample())
        after, reward, terminated, truncated, _ = env.step(action)
        s = numbers[tuple(obs.tolist())]
        assert product.reward[u, s, action, 0] == reward
        assert product.terminated[u, s, action, 0] == terminated
        u, obs = int(product.next_memory[u, s, action, 0]), after
        assert product.machine_state(u, machine) == env.machine_states[machine]
        if terminated or truncated:
            obs, _ = env.reset()
            u = 0


def test_memory_is_what_the_world_can_lead_to_and_no_more() -> None:
    text = "propositions: {a: next_obs == 1, never: next_obs == 99}\nreward: {ltl: F(a & X F never)}"
    product = take_product(compile_spec(loads(text)), tabulate(lake()))
    assert product.n_memory == 2, "the state after `never` cannot be reached in this world"
    office = take_product(
        compile_spec(load("examples/specs/office_coffee.yaml")),
        tabulate(gym.make("rewardspec/OfficeWorld-v0")),
    )
    going, ends = office.names[: office.n_memory], office.names[office.n_memory :]
    assert len(going) == 2, "not those in which the episode is over"
    assert sorted(ends) == ["broken", "delivered"]


def test_a_counter_without_an_end_is_refused_and_without_memory_there_is_one_state() -> None:
    counting = "reward: {discount_by_count: reward, when: reward > 0, factor: 0.5}"
    with pytest.raises(UnsupportedError, match=r"takes .* values") as caught:
        endless = from_outcomes({0: {0: [(1.0, 0, 1.0, False)]}}, np.ones(1))
        take_product(compile_spec(loads(counting)), endless)
    assert caught.value.problems[0].code == "unbounded-memory"
    quiet = take_product(compile_spec(loads("reward: reward")), tabulate(lake()))
    assert (quiet.n_memory, quiet.columns, quiet.names[0]) == (1, (), "-")


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("reward: {normalise: reward}", "unbounded-memory", UnsupportedError),
        ("reward: info.prob", "not-tabular", MismatchError),
        ("env: {id: FrozenLake-v1, labels: environment}\nreward: label.gold", "missing-label", MismatchError),
        ("reward: 1 / obs", "non-finite-reward", NonFiniteRewardError),
    ],
)
def test_what_has_no_finite_product_is_refused(text: str, code: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        take_product(compile_spec(loads(text)), tabulate(lake()))
    assert caught.value.problems[0].code == code  # type: ignore[attr-defined]


def test_outcomes_of_probability_zero_pay_nothing_and_lead_nowhere() -> None:
    outcomes = {0: {0: [(1.0, 1, 5.0, False)]}, 1: {0: [(0.5, 1, 1.0, True), (0.5, 0, 2.0, False)]}}
    world: TabularWorld = from_outcomes(outcomes, np.array([1.0, 0.0]))
    product = take_product(compile_spec(loads("reward: reward + 1")), world)
    assert product.reward[0, 0, 0].tolist() == [6.0, 0.0]
    assert product.reward[0, 1, 0].tolist() == [2.0, 3.0]
    assert product.next_memory[0, 1, 0].tolist() == [1, 0]
