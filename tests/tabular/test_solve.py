"""Exact solutions against closed forms, brute force over all policies, and what is known of shaping."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401  (registers the worlds)
from rewardspec import UnsupportedError, compile_spec, load, loads
from rewardspec.tabular.product import Product, take_product
from rewardspec.tabular.solve import compare, evaluate, reward_per_step, solve, uniform
from rewardspec.tabular.world import TabularWorld, tabulate


def chain(length: int) -> TabularWorld:
    """Return a corridor: action 0 stays, action 1 goes on; the last cell has the label `end`."""
    next_state = np.zeros((length, 2, 1), np.int64)
    next_state[:, 0, 0] = np.arange(length)
    next_state[:, 1, 0] = np.minimum(np.arange(length) + 1, length - 1)
    shape = next_state.shape
    label = (next_state == length - 1).astype(np.int64)
    start = np.eye(length)[0]
    return TabularWorld(
        next_state, np.ones(shape), np.zeros(shape), np.zeros(shape, np.bool_), label, start, ("end",)
    )


REACH = """
discount: 0.9
env: {id: none, labels: environment}
propositions: {end: label.end}
reward: {ltl: F end, accept: 3}
"""


def product_of(text: str, world: TabularWorld) -> Product:
    return take_product(compile_spec(loads(text)), world)


@pytest.mark.parametrize("length", [2, 5, 40])
def test_a_corridor_is_worth_its_payment_discounted_over_its_length(length: int) -> None:
    solution = solve(product_of(REACH, chain(length)))
    assert solution.value == pytest.approx(3 * 0.9 ** (length - 2))
    assert solution.optimal[0, :-1, 1].all()
    assert not solution.optimal[0, : length - 2, 0].any(), "waiting is worse"
    told = reward_per_step(solution.product, solution.optimal)
    assert told.length == pytest.approx(length - 1)
    assert told.of_episodes == pytest.approx(3 / (length - 1))


def test_reward_that_never_ends_is_a_geometric_sum() -> None:
    product = product_of("discount: 0.8\nreward: 2", chain(3))
    assert solve(product).value == pytest.approx(2 / (1 - 0.8))
    assert reward_per_step(product, np.ones((1, 3, 2)), horizon=50).overall == pytest.approx(2.0)


def random_world(rng: np.random.Generator) -> TabularWorld:
    """Return a random world of 3 states, 2 actions and 2 outcomes with two labels."""
    shape = (3, 2, 2)
    probability = rng.random(shape)
    probability /= probability.sum(axis=2, keepdims=True)
    return TabularWorld(
        rng.integers(0, 3, shape),
        probability,
        rng.normal(size=shape).round(1),
        rng.random(shape) < 0.15,
        rng.integers(0, 4, shape),
        np.array([0.5, 0.5, 0.0]),
        ("p", "q"),
    )


def random_machine(rng: np.random.Generator) -> str:
    """Return a spec with a random machine of two states beside the world's own reward."""
    guards = ("p", "q", "p and q", "p and not q", "not p and not q")
    edges = [
        f"{{from: {u}, to: {v}, when: {guards[rng.integers(len(guards))]}, reward: {rng.integers(-3, 4)}}}"
        for u, v in (("x", "y"), ("y", "x"))
    ]
    return (
        "discount: 0.9\nenv: {id: none, labels: environment}\npropositions: {p: label.p, q: label.q}\nreward:\n"
        f"  - {{reward_machine: {{start: x, edges: [{', '.join(edges)}]}}}}\n  - {{markov: reward, name: own}}\n"
    )


def value_of(product: Product, policy: np.ndarray, discount: float) -> float:
    """Return a deterministic policy's return from the start, by sweeps over plain loops."""
    units, states, _, outcomes = product.reward.shape
    values = np.zeros((units, states))
    for _ in range(250):
        after = np.zeros_like(values)
        for u, s in itertools.product(range(units), range(states)):
            a = policy[u, s]
            for k in range(outcomes):
                paid = product.reward[u, s, a, k]
                if not product.terminated[u, s, a, k]:
                    paid += (
                        discount * values[product.next_memory[u, s, a, k], product.world.next_state[s, a, k]]
                    )
                after[u, s] += product.world.probability[s, a, k] * paid
        values = after
    return float(product.world.start @ values[0])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_beats_the_solution_among_all_policies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    product = product_of(random_machine(rng), random_world(rng))
    solution = solve(product, 0.6)
    units, states, actions, _ = product.reward.shape
    best = -np.inf
    for choice in itertools.product(range(actions), repeat=units * states):
        policy = np.eye(actions)[np.reshape(choice, (units, states))]
        best = max(best, float(product.world.start @ evaluate(product, policy, 0.6)[0]))
    assert solution.value == pytest.approx(best)
    greedy = solution.action_values.argmax(axis=2)
    assert value_of(product, greedy, 0.6) == pytest.approx(solution.value)


def test_reward_per_step_is_that_of_played_episodes() -> None:
    rng = np.random.default_rng(5)
    product = product_of("reward: reward", random_world(rng))
    told = reward_per_step(product, uniform(np.ones(product.reward.shape[:3])), horizon=20)
    world = product.world
    ratios, lengths = [], []
    for _ in range(6000):
        s, total = int(rng.choice(3, p=world.start)), 0.0
        for t in range(1, 21):
            a = int(rng.integers(2))
            k = int(rng.random() > world.probability[s, a, 0])
            total += float(product.reward[0, s, a, k])
            if world.terminated[s, a, k] or t == 20:
                break
            s = int(world.next_state[s, a, k])
        ratios.append(total / t)
        lengths.append(t)
    error = 4 * np.std(ratios) / np.sqrt(len(ratios))
    assert told.of_episodes == pytest.approx(np.mean(ratios), abs=error)
    assert told.length == pytest.approx(np.mean(lengths), abs=4 * np.std(lengths) / np.sqrt(len(lengths)))


@pytest.mark.parametrize(
    ("spec", "steps"),
    [("office_coffee", 15), ("office_mail", 29), ("office_both", 29), ("office_patrol", 30)],
)
def test_the_office_tasks_take_their_known_number_of_steps(spec: str, steps: int) -> None:
    product = take_product(
        compile_spec(load(f"examples/specs/{spec}.yaml")), tabulate(gym.make("rewardspec/OfficeWorld-v0"))
    )
    solution = solve(product)
    assert solution.value == pytest.approx(0.9 ** (steps - 1))
    assert reward_per_step(product, solution.optimal).length == pytest.approx(steps)


# -- whether two specs want the same ---------------------------------------------------------------------------------

SHAPED = (
    REACH.replace("reward: {ltl", "reward:\n  - {name: task, ltl").rstrip()
    + "\n  - {potential: {machine: task}}\n"
)


def test_shaping_changes_no_optimal_policy_anywhere() -> None:
    plain, shaped = (solve(product_of(text, chain(6))) for text in (REACH, SHAPED))
    assert not np.allclose(plain.action_values, shaped.action_values)
    assert compare(plain, shaped, everywhere=True).same


def test_a_spec_agrees_with_itself_in_every_memory_state() -> None:
    world = tabulate(gym.make("rewardspec/OfficeWorld-v0"))
    solution = solve(take_product(compile_spec(load("examples/specs/office_patrol.yaml")), world))
    found = compare(solution, solution)
    assert found.same and not found.ends_apart
    assert len({row // world.n_states for row in found.states}) == 4, "A, B, C and D are all on the way"


def test_a_penalty_that_outweighs_the_goal_parts_two_specs_at_the_start() -> None:
    dear = (
        REACH.replace("reward: {", "reward:\n  - {").rstrip() + "\n  - {markov: -10 * action, name: effort}\n"
    )
    found = compare(solve(product_of(REACH, chain(4))), solve(product_of(dear, chain(4))))
    assert found.parting is not None
    assert (found.parting.state, found.parting.steps) == (0, 0)
    assert found.parting.actions == (frozenset({1}), frozenset({0}))


def test_specs_may_part_late_and_end_apart() -> None:
    twice = REACH.replace("F end", "F(end & X F end)")
    found = compare(solve(product_of(REACH, chain(3))), solve(product_of(twice, chain(3))))
    assert found.same, (
        "both go to the end as fast as they can, and where one has ended there is nothing to compare"
    )
    assert found.ends_apart
    other = compare(solve(product_of(twice, chain(3))), solve(product_of(REACH, chain(3))))
    assert other.same and other.ends_apart
    back = REACH.replace("accept: 3", "accept: 3, weight: -1")
    assert not compare(solve(product_of(REACH, chain(3))), solve(product_of(back, chain(3)))).same


def test_a_discount_must_be_named_and_end() -> None:
    product = product_of("reward: 1", chain(3))
    for discount, reason in ((None, "names a discount"), (1.5, r"lies in \(0, 1\]"), (1.0, "not finite")):
        with pytest.raises(UnsupportedError, match=reason):
            solve(product, discount)
