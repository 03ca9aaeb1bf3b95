"""Reward hacking, exactly: the tomato garden's figures, and what the theory promises on random worlds."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest

import envs  # noqa: F401  (registers the worlds)
from rewardspec.analysis.audit.hacking import (
    audit,
    mixed,
    promised_gain,
    steady_optimum,
    worst_gain,
)
from rewardspec.analysis.audit.occupancies import DIVERGENCES, Divergence, Occupancies, divergence, optimise
from rewardspec.analysis.starc.canonical import random_policy
from rewardspec.errors import UnsupportedError
from rewardspec.tabular.process import Process
from rewardspec.tabular.world import tabulate

Floats = npt.NDArray[np.float64]

GAMMA = 0.99


@pytest.fixture(scope="module")
def garden() -> tuple[Process, Floats, Floats]:
    """The tomato garden, level 2: process, true reward, proxy."""
    world = tabulate(gym.make("rewardspec/TomatoWorld-v0"))
    process = Process(world.next_state, world.probability, world.terminated, world.start)
    on_bucket = (world.label >> world.labels.index("on_bucket") & 1).astype(bool)
    true = process.expected(world.reward)
    return process, true, process.expected(np.where(on_bucket, 0.22, world.reward))


@pytest.mark.parametrize(
    ("by", "true", "proxy"), [("true", 0.0784, 0.0784), ("proxy", 0.0206, 0.2127), ("random", 0.0198, 0.0259)]
)
def test_the_gardens_optima_earn_what_was_measured_independently(
    garden: tuple[Process, Floats, Floats], by: str, true: float, proxy: float
) -> None:
    process, wanted, seen = garden
    policies = {
        "true": process.optimum(wanted, GAMMA).policy,
        "proxy": process.optimum(seen, GAMMA).policy,
        "random": random_policy(process),
    }
    space = Occupancies(process, GAMMA)
    occupancy = space.of(policies[by])
    assert occupancy.sum() == pytest.approx(1.0)
    assert float(occupancy @ space.reward(wanted)) == pytest.approx(true, abs=5e-4)
    assert float(occupancy @ space.reward(seen)) == pytest.approx(proxy, abs=5e-4)


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_hacking_is_found_and_regularised_away_until_it_breaks_at_once(
    garden: tuple[Process, Floats, Floats], epsilon: float
) -> None:
    process, true, proxy = garden
    reference = mixed(steady_optimum(process, true, GAMMA), epsilon)
    found = audit(process, true, proxy, reference, GAMMA)
    assert found.is_hacked and found.correlation > 0.95
    # The theory's strength: never worse than the reference, and near the best that there is.
    assert found.settled.true >= found.reference.true
    assert found.settled.true >= found.true_optimum.true - 0.002
    assert found.settled.promised >= found.reference.true - 1e-9
    # The root of chi2 gets more of the true reward than KL at the best strength of each.
    best = {kind: max(point.true for point in curve) for kind, curve in found.curves.items()}
    assert best["sqrt_chi2"] >= best["kl"] + 0.001
    broken = found.breaks("sqrt_chi2")
    assert broken is not None
    before, after = broken
    assert before.strength < 4 * after.strength and before.true > 3 * after.true, "a phase change"


def test_the_guarantee_and_the_exact_worst_case_hold_on_random_worlds() -> None:
    """200 worlds, rewards and pairs of policies: no violation, and the worst case is never below the promise."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        states, actions = int(rng.integers(2, 6)), int(rng.integers(2, 4))
        chance = rng.dirichlet(np.full(states, 0.5), size=(states, actions))
        every = np.array(np.broadcast_to(np.arange(states), chance.shape))
        process = Process(every, chance, np.zeros(chance.shape, np.bool_), np.full(states, 1 / states))
        space = Occupancies(process, 0.9)
        base, other = (space.of(rng.dirichlet(np.full(actions, 0.7), size=states)) for _ in range(2))
        true, noise = (space.reward(rng.normal(size=(states, actions))) for _ in range(2))
        proxy = true + rng.uniform(0, 2) * noise
        spread = [np.sqrt(base @ (r - base @ r) ** 2) for r in (true, proxy)]
        rho = float(base @ ((true - base @ true) * (proxy - base @ proxy)) / (spread[0] * spread[1]))
        gains = [float((other - base) @ r / s) for r, s in zip((true, proxy), spread, strict=True)]
        chi2 = divergence("chi2", other, base)
        if np.isfinite(chi2):
            worst = worst_gain(gains[1], chi2, rho)
            assert gains[0] >= worst - 1e-9
            if rho > 0:
                assert worst >= promised_gain(gains[1], chi2, rho) - 1e-9


def test_the_worst_case_is_reached() -> None:
    """Among rewards with the same correlation there is one that earns exactly the worst."""
    rng = np.random.default_rng(1)
    base, other = rng.dirichlet(np.ones(8), size=2)
    proxy = rng.normal(size=8)
    proxy = (proxy - base @ proxy) / np.sqrt(base @ (proxy - base @ proxy) ** 2)
    rho, ratio = 0.6, other / base - 1.0
    gain = float(other @ proxy)
    apart = ratio - gain * proxy  # what of the ratio the proxy does not see
    bad = rho * proxy - np.sqrt(1 - rho**2) * apart / np.sqrt(base @ apart**2)
    assert base @ bad**2 == pytest.approx(1.0) and base @ (bad * proxy) == pytest.approx(rho)
    assert other @ bad == pytest.approx(worst_gain(gain, divergence("chi2", other, base), rho))


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_regularised_optima_are_occupancies_that_no_other_policy_beats(kind: Divergence) -> None:
    rng = np.random.default_rng(2)
    chance = rng.dirichlet(np.ones(4), size=(4, 3))
    every = np.array(np.broadcast_to(np.arange(4), chance.shape))
    ended = rng.random(chance.shape) < 0.1
    process = Process(every, chance, ended, np.full(4, 0.25))
    space = Occupancies(process, 0.9)
    reward = space.reward(rng.normal(size=(4, 3)))
    base = space.of(rng.dirichlet(np.ones(3), size=4))
    found = optimise(space, reward, base, kind, 0.3)
    flow, aim = space.flow
    assert np.abs(flow @ found - aim).max() < 1e-7 and found.min() >= 0
    assert np.allclose(space.of(space.policy(found)), found, atol=1e-6)

    def worth(occupancy: Floats) -> float:
        return float(occupancy @ reward) - 0.3 * divergence(kind, occupancy, base)

    for share in (0.0, 0.01, 0.1, 1.0):
        for _ in range(20):
            other = space.of(rng.dirichlet(np.ones(3), size=4))
            assert worth(found) >= worth((1 - share) * found + share * other) - 1e-6
    assert np.allclose(optimise(space, reward, base, kind, 1e4), base, atol=1e-3), (
        "strong ties keep the reference"
    )
    best = float(space.of(process.optimum(reward[:-1].reshape(4, 3), 0.9).policy) @ reward)
    assert optimise(space, reward, base, kind, 0.0) @ reward == pytest.approx(best, abs=1e-6)


def test_outside_the_support_divergences_are_infinite_and_optima_stay_inside() -> None:
    process = Process(
        np.zeros((1, 2, 1), np.int64), np.ones((1, 2, 1)), np.zeros((1, 2, 1), np.bool_), np.ones(1)
    )
    space = Occupancies(process, 0.5)
    first, second = (space.of(np.array([row])) for row in ([1.0, 0.0], [0.0, 1.0]))
    assert divergence("chi2", second, first) == float("inf") == divergence("kl", second, first)
    assert divergence("tv", second, first) == pytest.approx(1.0)
    assert np.allclose(optimise(space, np.array([0.0, 1.0, 0.0]), first, "sqrt_chi2", 0.0), first)


def test_a_reward_that_never_varies_under_the_reference_is_refused(
    garden: tuple[Process, Floats, Floats],
) -> None:
    process, true, _ = garden
    with pytest.raises(UnsupportedError, match="constant-reward"):
        audit(process, true, np.zeros_like(true), random_policy(process), GAMMA)
