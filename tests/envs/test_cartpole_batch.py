"""The cart-poles on the device are gymnasium's, and an id leads to its batch form."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from envs.batches import BATCHES, batch
from envs.cartpole_batch import CartPoleBatch
from rewardspec import MismatchError, UnsupportedError
from rewardspec.environments import make_environment


def test_transitions_are_those_of_gymnasium() -> None:
    """Five poles from the same first states, with the same recorded actions, until each has fallen twice."""
    poles = CartPoleBatch(5, seed=3, dtype=torch.float64, horizon=30)
    everyone, nobody = torch.ones(5, dtype=torch.bool), torch.zeros(5, dtype=torch.bool)
    poles.reset(everyone)
    envs = [gym.make("CartPole-v1", max_episode_steps=30) for _ in range(5)]
    rng, falls, cuts = np.random.default_rng(0), 0, 0
    for i, env in enumerate(envs):
        start(env, poles, i)
    for _ in range(120):
        action = rng.integers(0, 2, 5)
        obs, reward, terminated, truncated = poles.step(torch.as_tensor(action))
        for i, env in enumerate(envs):
            obs_, reward_, terminated_, truncated_, _ = env.step(action[i])
            np.testing.assert_allclose(obs[i], obs_, rtol=1e-6, atol=1e-12)
            assert (reward[i], terminated[i], truncated[i]) == (reward_, terminated_, truncated_)
        falls, cuts = falls + int(terminated.sum()), cuts + int(truncated.sum())
        ended = terminated | truncated
        poles.reset(ended)
        for i in ended.nonzero().flatten().tolist():
            start(envs[i], poles, i)
    assert falls >= 10
    assert cuts >= 1
    before = poles.state.clone()
    np.testing.assert_array_equal(poles.reset(nobody), before.to(torch.float32))


def start(env: gym.Env, poles: CartPoleBatch, i: int) -> None:
    env.reset(seed=0)
    env.unwrapped.state = np.array(poles.state[i])


def test_first_states_are_uniform_and_repeat_with_the_seed() -> None:
    everyone = torch.ones(4000, dtype=torch.bool)
    first = CartPoleBatch(4000, seed=1).reset(everyone)
    assert torch.equal(first, CartPoleBatch(4000, seed=1).reset(everyone))
    assert not torch.equal(first, CartPoleBatch(4000, seed=2).reset(everyone))
    assert first.abs().max() <= 0.05
    # Mean 0 and standard deviation 0.05 / sqrt(3): within five standard errors.
    assert (first.mean(0).abs() < 5 * 0.05 / 3**0.5 / 4000**0.5).all()
    np.testing.assert_allclose(first.std(0), 0.05 / 3**0.5, rtol=0.05)
    assert np.abs(np.corrcoef(first.T.numpy()) - np.eye(4)).max() < 0.08


def test_an_id_leads_to_its_batch_form() -> None:
    assert isinstance(batch("CartPole-v1", 2), CartPoleBatch)
    assert batch("FrozenLake-v1", 2).single_observation_space.n == 16
    assert batch("FrozenLake-v1", 2, map_name="8x8").single_observation_space.n == 64


ONLY_BATCHES = {"rewardspec/NavigationWorld-v0"}
"""Teams, whose rows are agents: there is no single environment of them (tests/envs/test_navigation_world.py)."""


@pytest.mark.parametrize("env_id", [*sorted(BATCHES.keys() - ONLY_BATCHES), "rewardspec/OfficeWorld-v0"])
def test_every_batch_form_has_the_spaces_of_its_environment(env_id: str) -> None:
    one, many = make_environment(env_id), batch(env_id, 3)
    assert many.single_observation_space == one.observation_space
    assert many.single_action_space == one.action_space
    obs = many.reset(torch.ones(3, dtype=torch.bool))
    assert len(next(iter(obs.values())) if isinstance(obs, dict) else obs) == 3


def test_ids_without_a_batch_form_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"'Acrobot-v1' has no form .*\[no-batch-form\]"):
        batch("Acrobot-v1", 2)
    with pytest.raises(MismatchError, match=r"\[no-environment\]"):
        batch("CartPole-v99", 2)
    with pytest.raises(MismatchError, match=r"\[no-environment\]"):
        batch("CartPole-v1", 2, horison=3)
    with pytest.raises(UnsupportedError, match=r"'cuda:99' cannot be used.*\[unknown-device\]"):
        batch("CartPole-v1", 2, "cuda:99")
