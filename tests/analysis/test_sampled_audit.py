"""An audit by episodes says, with intervals, what the exact one says of the same policies."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")

from rewardspec.analysis.audit.hacking import mixed
from rewardspec.analysis.audit.occupancies import Occupancies, divergence
from rewardspec.analysis.audit.sampled import PaidEpisode, SampledAudit, audit_by_samples
from rewardspec.analysis.starc.canonical import random_policy
from rewardspec.errors import UnsupportedError
from rewardspec.tabular.process import Process
from rewardspec.tabular.world import TabularWorld, tabulate

Floats = npt.NDArray[np.float64]

GAMMA = 0.9
STATE = np.arange(16)


def lake() -> tuple[TabularWorld, Process, Floats, Floats]:
    """FrozenLake: truly wanted is to get down from the top row; what is seen pays much in its right corner besides."""
    world = tabulate(gym.make("FrozenLake-v1"))
    process = Process(world.next_state, world.probability, world.terminated, world.start)
    row = np.where(world.next_state < 4, -0.5, world.next_state // 4)
    return world, process, row, np.where(world.next_state == 3, 20.0, row)


def played(
    world: TabularWorld, policy: Floats, rewards: tuple[Floats, Floats], episodes: int, seed: int
) -> list[PaidEpisode]:
    """Play a policy on the table; episodes are cut after 200 steps."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(episodes):
        s, steps, over = int(world.start.argmax()), [], False
        while not over and len(steps) < 200:
            a = int(rng.choice(4, p=policy[s]))
            k = int(rng.choice(world.next_state.shape[2], p=world.probability[s, a]))
            seen = np.concatenate([s == STATE, np.arange(4) == a]).astype(float)
            steps.append((seen, rewards[0][s, a, k], rewards[1][s, a, k]))
            over, s = bool(world.terminated[s, a, k]), int(world.next_state[s, a, k])
        seen_all, true, proxy = (np.array(column) for column in zip(*steps, strict=True))
        found.append(PaidEpisode(seen_all, true, proxy, over))
    return found


@pytest.fixture(scope="module")
def both() -> tuple[SampledAudit, dict[str, float]]:
    """Return what 100 episodes of each policy say, and what is exactly so."""
    world, process, true, proxy = lake()
    space = Occupancies(process, GAMMA)
    paid = [process.expected(true), process.expected(proxy)]
    reference = random_policy(process)
    best = mixed(process.optimum(paid[1], GAMMA).policy, 0.05)
    found = audit_by_samples(
        played(world, reference, (true, proxy), 100, 0), played(world, best, (true, proxy), 100, 1), GAMMA
    )
    base, other = space.of(reference), space.of(best)
    rewards = [space.reward(one) for one in paid]
    exact = {
        "reference": float(base @ rewards[0]),
        "optimised": float(other @ rewards[0]),
        "proxy": float(other @ rewards[1]),
        "tv": divergence("tv", other, base),
        "kl": divergence("kl", other, base),
        "chi2": divergence("chi2", other, base),
    }
    return found, exact


def test_what_policies_earn_lies_in_the_intervals(both: tuple[SampledAudit, dict[str, float]]) -> None:
    found, exact = both
    for told, name in (
        (found.reference[0], "reference"),
        (found.optimised[0], "optimised"),
        (found.optimised[1], "proxy"),
    ):
        assert told.low <= exact[name] <= told.high
        assert told.high - told.low < 1.2


def test_the_hack_is_found(both: tuple[SampledAudit, dict[str, float]]) -> None:
    found, exact = both
    assert exact["optimised"] < exact["reference"]
    assert found.is_hacked and found.is_decided
    assert 0 < found.correlation.low < found.correlation.value < found.correlation.high < 1


def test_the_distance_is_about_right_and_never_claimed_exact(
    both: tuple[SampledAudit, dict[str, float]],
) -> None:
    found, exact = both
    assert found.apart.tv == pytest.approx(exact["tv"], abs=0.1)
    assert found.apart.kl == pytest.approx(exact["kl"], rel=0.3)
    assert found.apart.chi2 == pytest.approx(exact["chi2"], rel=0.5)
    assert found.apart.outside == 0.0
    assert found.worst <= found.optimised[0].value + 1e-9  # the truth is one of the rewards as correlated


def test_the_same_policy_is_no_distance_away_and_nothing_is_decided() -> None:
    world, process, true, proxy = lake()
    policy = random_policy(process)
    found = audit_by_samples(
        played(world, policy, (true, proxy), 60, 3), played(world, policy, (true, proxy), 60, 4), GAMMA
    )
    assert not found.is_hacked and not found.is_decided
    assert abs(found.apart.kl) < 0.3 and found.apart.outside == 0.0


def episodes(true: float, proxy: float, count: int = 4) -> list[PaidEpisode]:
    rows = np.zeros((5, 2))
    return [PaidEpisode(rows, np.full(5, true) * np.arange(5), np.full(5, proxy), True) for _ in range(count)]


def test_an_episode_that_ended_goes_on_for_nothing_and_one_that_was_cut_does_not() -> None:
    """Three steps that pay 1: their mean is 1 where the rest is unknown, and less where the rest is nothing."""
    row, ones, two = np.zeros((3, 1)), np.ones(3), np.array([1.0, 2.0, 1.0])
    cut = [PaidEpisode(row, ones, two, False)] * 4
    ended = [PaidEpisode(row, ones, two, True)] * 4
    whole = audit_by_samples(ended, cut, 0.5)
    assert whole.optimised[0].value == pytest.approx(1.0)
    assert whole.reference[0].value == pytest.approx((1 + 0.5 + 0.25) * 0.5)


@pytest.mark.parametrize(
    ("code", "reference"),
    [
        ("too-few-episodes", episodes(1, 1, 3)),
        ("constant-reward", [PaidEpisode(np.zeros((2, 1)), np.ones(2), np.ones(2), False)] * 4),
    ],
)
def test_what_says_nothing_is_refused(code: str, reference: list[PaidEpisode]) -> None:
    with pytest.raises(UnsupportedError, match=code):
        audit_by_samples(reference, episodes(1, 2), 0.9)
