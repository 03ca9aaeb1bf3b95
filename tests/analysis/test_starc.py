"""STARC distances: what leaves them as they are, what does not, and what they say of regret."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.experiments.starc import correlation, random_reward, random_world, run
from rewardspec import Program, UnsupportedError, compile_spec, loads
from rewardspec.analysis.compare import compare_on_world
from rewardspec.analysis.starc.canonical import CANONICALISERS, Canonical, random_policy, val
from rewardspec.analysis.starc.distance import distance
from rewardspec.analysis.starc.joint import join
from rewardspec.analysis.starc.norms import NORMS
from rewardspec.analysis.starc.regret import regret
from rewardspec.analysis.starc.sampled import compare_by_samples
from rewardspec.tabular.process import Process
from rewardspec.tabular.product import take_product
from rewardspec.tabular.world import TabularWorld, from_outcomes, tabulate

GAMMA = 0.95
SHAPED: tuple[Canonical, ...] = ("val", "minimal", "val_potential", "minimal_potential", "epic", "dard")
STARC: tuple[Canonical, ...] = ("val", "minimal")

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def world(rng: np.random.Generator) -> Process:
    """A world in which all next states are about as likely, so that redistributing payments is no small thing."""
    chance = rng.dirichlet(np.ones(6), size=(6, 3))
    every = np.array(np.broadcast_to(np.arange(6), chance.shape))
    return Process(every, chance, np.zeros(chance.shape, np.bool_), np.full(6, 1 / 6))


@pytest.fixture(scope="module")
def rewards(rng: np.random.Generator) -> list[Floats]:
    return [rng.standard_normal((6, 3, 6)) for _ in range(3)]


def shaped(reward: Floats, potential: Floats) -> Floats:
    return reward + GAMMA * potential[None, None, :] - potential[:, None, None]


def redistributed(process: Process, reward: Floats, rng: np.random.Generator) -> Floats:
    """Return a reward with the same mean payment of each action, moved between next states."""
    moved = rng.standard_normal(reward.shape) * 3
    return reward + moved - process.expected(moved)[:, :, None]


@pytest.mark.parametrize("canonical", SHAPED)
def test_scale_and_shaping_change_no_canonical_distance(
    canonical: Canonical, world: Process, rewards: list[Floats], rng: np.random.Generator
) -> None:
    one, two, _ = rewards
    before = distance(world, one, two, GAMMA, canonical, "l2", "l2")
    after = distance(world, 7 * shaped(one, rng.normal(size=6) * 5), two, GAMMA, canonical, "l2", "l2")
    assert after == pytest.approx(before, abs=1e-8)
    assert distance(world, one, 3 * shaped(one, rng.normal(size=6)), GAMMA, canonical, "l2", "l2") < 1e-8


@pytest.mark.parametrize("canonical", SHAPED)
def test_only_starc_metrics_forget_how_payments_are_spread_over_outcomes(
    canonical: Canonical, world: Process, rewards: list[Floats], rng: np.random.Generator
) -> None:
    """Such rewards order all policies alike: EPIC and DARD call them far apart, so they are not complete."""
    moved = redistributed(world, rewards[0], rng)
    found = distance(world, rewards[0], moved, GAMMA, canonical, "l2", "l2")
    assert (found < 1e-8) == CANONICALISERS[canonical].is_starc
    assert canonical in STARC or found > 0.5


@pytest.mark.parametrize("canonical", SHAPED)
def test_a_distance_is_a_pseudometric_and_a_reward_upside_down_is_at_2(
    canonical: Canonical, world: Process, rewards: list[Floats]
) -> None:
    one, two, three = rewards

    def d(a: Floats, b: Floats) -> float:
        return distance(world, a, b, GAMMA, canonical, "l2", "l2")

    assert d(one, two) == pytest.approx(d(two, one))
    assert d(one, three) <= d(one, two) + d(two, three) + 1e-12
    assert d(one, -one) == pytest.approx(2.0)
    assert d(one, one) == 0.0


def test_without_a_canonical_form_shaping_counts(world: Process, rewards: list[Floats]) -> None:
    assert distance(world, rewards[0], shaped(rewards[0], np.arange(6.0)), GAMMA, "none", "l2", "l2") > 0.5


def test_val_is_the_advantage_of_the_random_policy(world: Process, rewards: list[Floats]) -> None:
    found = val(world, rewards[0], GAMMA)[:, :, 0]
    values, q = np.zeros(6), np.zeros((6, 3))
    for _ in range(2000):
        q = world.expected(rewards[0]) + GAMMA * np.einsum("sat,t->sa", world.probability, values)
        values = q.mean(axis=1)
    assert np.allclose(found, q - values[:, None])
    assert np.allclose((found * random_policy(world)).sum(axis=1), 0.0)


def test_the_minimal_form_is_the_smallest_of_its_kind(
    world: Process, rewards: list[Floats], rng: np.random.Generator
) -> None:
    least = np.broadcast_to(CANONICALISERS["minimal"].of(world, rewards[0], GAMMA), world.probability.shape)
    size = np.sqrt((world.probability * least**2).sum())
    for _ in range(20):
        other = redistributed(world, shaped(rewards[0], rng.normal(size=6)), rng)
        assert np.sqrt((world.probability * other**2).sum()) > size
    assert np.sqrt((world.probability * val(world, rewards[0], GAMMA) ** 2).sum()) >= size


@pytest.mark.parametrize("size", [n for n in NORMS if n.startswith("w")])
def test_what_cannot_happen_counts_in_no_weighted_norm(size: str, rng: np.random.Generator) -> None:
    chance = rng.dirichlet(np.ones(4), size=(4, 2))
    chance[:, :, 0] = 0.0
    chance /= chance.sum(axis=2, keepdims=True)
    every = np.array(np.broadcast_to(np.arange(4), chance.shape))
    world = Process(every, chance, np.zeros(chance.shape, np.bool_), np.full(4, 0.25))
    one, two = rng.normal(size=(2, 4, 2, 4))
    wild = one + np.where(chance == 0.0, 1e3, 0.0)
    for canonical in ("val", "minimal", "val_potential"):
        before = distance(world, one, two, GAMMA, canonical, size, size)  # type: ignore[arg-type]
        assert distance(world, wild, two, GAMMA, canonical, size, size) == pytest.approx(before, abs=1e-8)  # type: ignore[arg-type]


def test_shaping_alone_asks_for_nothing_and_is_no_rounding_noise(
    world: Process, rewards: list[Floats]
) -> None:
    nothing = shaped(np.zeros((6, 3, 6)), np.arange(6.0) * 1e4)
    assert distance(world, nothing, nothing * 3, GAMMA) == 0.0
    assert distance(world, nothing, rewards[0], GAMMA) == pytest.approx(1.0)


def test_val_predicts_regret_best() -> None:
    """The study of the paper, smaller: 6 worlds, 4 pairs of rewards, 16 steps from one to the other."""
    rows = [row for seed in range(6) for row in run({"steps": 64}, seed)]
    of = {
        name: correlation([row for row in rows if row["distance"] == f"{name} l2 l2"])
        for name in ("val", "dard", "epic", "none")
    }
    assert of["val"] >= 0.85
    assert of["val"] > of["dard"] >= of["epic"] - 0.01 > of["none"] + 0.1


def test_regret_is_bounded_by_a_multiple_of_the_distance(rng: np.random.Generator) -> None:
    """Soundness: as two rewards draw near, so does what following one costs by the other."""
    process = random_world(rng)
    one, two = random_reward(rng), random_reward(rng)
    best = process.optimum(process.expected(one), GAMMA).values @ process.start
    worst = -process.optimum(-process.expected(one), GAMMA).values @ process.start
    ratios = []
    for share in (1.0, 0.3, 0.1, 0.03):
        mixed = one + share * (two - one)
        policy = process.optimum(process.expected(mixed), GAMMA).policy
        lost = best - float((process.occupancy(policy, GAMMA) * process.expected(one)).sum())
        ratios.append(lost / (best - worst) / distance(process, one, mixed, GAMMA))
    assert max(ratios) < 2.0, ratios


def test_worst_regret_is_that_of_the_worst_pair(rng: np.random.Generator) -> None:
    earned = np.round(rng.normal(size=(30, 2)), 1)
    earned[0, 0], earned[1, 0] = 9.0, -9.0
    pairs = [a[0] - b[0] for a in earned for b in earned if b[1] >= a[1]]
    assert regret(earned)[0].worst == pytest.approx(max(pairs) / 18.0)


# -- specs -------------------------------------------------------------------------------------------------------------


def program(text: str, name: str = "spec") -> Program:
    return compile_spec(loads(f"name: {name}\ndiscount: 0.9\n{text}"))


@pytest.fixture(scope="module")
def lake() -> TabularWorld:
    return tabulate(gym.make("FrozenLake-v1"))


PLAIN = "reward: reward"
GOAL = "propositions: {goal: next_obs == 15}\n"


@pytest.mark.parametrize(
    ("text", "order", "same_optima"),
    [
        (PLAIN, "alike", True),
        ("reward: {sum: [2 * reward, {potential: obs}]}", "alike", True),
        (GOAL + "reward: {ltl: F goal}", "alike", True),
        (GOAL + "reward: {ltl: F goal, progress: 0.5}", "alike", True),
        ("reward: -1 * reward", "opposite", False),
        ("reward: [reward, {markov: 0.01 * next_obs}]", "different", False),
        ("reward: {potential: obs}", "different", False),
    ],
)
def test_specs_are_told_apart_by_what_they_ask_for(
    text: str, order: str, same_optima: bool, lake: TabularWorld
) -> None:
    found = compare_on_world(program(PLAIN), program(text), lake, policies=30)
    assert (found.order, found.agreement.same) == (order, same_optima)
    assert found.is_same("order") == (order == "alike")
    if order == "alike":
        assert max(r.worst for r in found.regrets) < 1e-9
    if order == "opposite":
        assert found.distance == pytest.approx(2.0)
        assert [r.of_optimum for r in found.regrets] == pytest.approx([1.0, 1.0])


def test_a_machine_and_a_formula_that_pay_alike_are_the_same_though_their_memories_differ(
    lake: TabularWorld,
) -> None:
    formula = program("propositions: {a: next_obs == 3, b: next_obs == 15}\nreward: {ltl: F(a & X F b)}")
    machine = program(
        "propositions: {a: next_obs == 3, b: next_obs == 15}\n"
        "reward: {reward_machine: {start: u, edges: [{from: u, to: v, when: a}, "
        "{from: v, to: w, when: b, reward: 1}], terminal: w}}"
    )
    found = compare_on_world(formula, machine, lake, policies=30)
    assert found.pays_alike and found.order == "alike" and not found.joint.ends_apart
    once = compare_on_world(program("propositions: {b: next_obs == 15}\nreward: {ltl: F b}"), machine, lake)
    assert once.order == "different" and once.agreement.parting is not None


def test_after_its_own_end_a_spec_pays_nothing_while_the_other_goes_on() -> None:
    stay = from_outcomes({0: {0: [(1.0, 0, 1.0, False)]}}, np.ones(1))
    ends = program("propositions: {t: reward > 0}\nreward: {once: t}\nend: [{when: t}]")
    joint = join(take_product(ends, stay), take_product(program(PLAIN), stay))
    assert joint.ends_apart and joint.process.n_states == 2
    assert joint.rewards[0].reshape(-1).tolist() == [1.0, 0.0]
    assert joint.rewards[1].reshape(-1).tolist() == [1.0, 1.0]
    assert joint.name(1).startswith("over")


def test_epic_wants_payments_that_a_sparse_world_does_not_have(lake: TabularWorld) -> None:
    with pytest.raises(UnsupportedError, match="needs-all-transitions"):
        compare_on_world(program(PLAIN), program("reward: 2 * reward"), lake, canonical="epic")


def test_two_discounts_are_no_comparison(lake: TabularWorld) -> None:
    other = compile_spec(loads("name: other\ndiscount: 0.8\nreward: reward"))
    with pytest.raises(UnsupportedError, match="discount-mismatch"):
        compare_on_world(program(PLAIN), other, lake)


# -- by samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("reward: -2 * abs(next_obs[2])", 0.0, 1e-6),
        ("reward: ['-abs(next_obs[2])', {potential: 'obs[0]'}]", 0.0, 1e-3),
        ("reward: abs(next_obs[2])", 2.0 - 1e-6, 2.0 + 1e-6),
        ("reward: -abs(next_obs[0])", 0.4, 1.8),
    ],
)
def test_sampled_distances_see_through_scale_and_shaping(text: str, least: float, most: float) -> None:
    base = program("reward: -abs(next_obs[2])")
    found = compare_by_samples(
        base, program(text), lambda: gym.make("CartPole-v1"), discount=0.9, episodes=12
    )
    assert least <= found.distance <= most
    assert found.low <= found.distance <= found.high


def test_a_sampled_potential_asks_for_nothing() -> None:
    base, nothing = program("reward: -abs(next_obs[2])"), program("reward: {potential: 'obs[1]'}")
    found = compare_by_samples(base, nothing, lambda: gym.make("CartPole-v1"), discount=0.9, episodes=12)
    assert found.trivial == (False, True)
