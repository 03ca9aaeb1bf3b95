"""Gymnasium environments in a loop: as they are, each episode with a seed of its own."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch

from envs.gymnasium_batch import GymnasiumBatch
from rewardspec import UnsupportedError


def test_each_environment_is_the_one_that_gymnasium_makes() -> None:
    batch = GymnasiumBatch("MountainCar-v0", 3, seed=5)
    everyone = torch.ones(3, dtype=torch.bool)
    start = batch.reset(everyone)
    assert len({tuple(row) for row in start.tolist()}) == 3
    env = gym.make("MountainCar-v0").unwrapped
    env.reset()
    env.state = tuple(batch.envs[1].unwrapped.state)  # type: ignore[attr-defined]
    for action in (2, 0, 2, 2, 1):
        obs, reward, terminated, truncated = batch.step(torch.tensor([0, action, 1]))
        known = env.step(action)
        assert obs[1].tolist() == pytest.approx(known[0].tolist())
        assert (float(reward[1]), bool(terminated[1]), bool(truncated[1])) == (known[1], known[2], False)


def test_episodes_repeat_themselves_from_a_checkpoint_on() -> None:
    everyone = torch.ones(2, dtype=torch.bool)
    batch, later = GymnasiumBatch("CartPole-v1", 2, seed=1), GymnasiumBatch("CartPole-v1", 2, seed=1)
    first = batch.reset(everyone)
    saved = batch.state_dict()
    second = batch.reset(everyone)
    later.load_state_dict(saved)
    assert torch.equal(later.reset(everyone), second)
    assert not torch.equal(first, second)


def test_a_masked_reset_leaves_the_others_alone() -> None:
    batch = GymnasiumBatch("CartPole-v1", 2)
    before = batch.reset(torch.ones(2, dtype=torch.bool))
    after = batch.reset(torch.tensor([False, True]))
    assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])


def test_observations_that_are_no_arrays_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="no array"):
        GymnasiumBatch("Blackjack-v1", 1)
