"""HERON's released script for robots: the model is the critic's target, and what is paid is the rest of the spec."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

import rewardspec
from rewardspec.errors import UnsupportedError
from rewardspec.learning.learner import RewardLearner
from rewardspec.spec.model import Spec

HERON: dict[str, Any] = {
    "factors": [{"name": "upright", "value": "-abs(next_obs[2])"}],
    "model": {"hidden": [8]},
    "goes_into": "value_target",
    "after": 100,
    "pairs": 50,
}
ALIVE = {"markov": 0.5}


def spec(*terms: dict[str, Any]) -> Spec:
    return rewardspec.from_data({"name": "target", "discount": 0.98, "reward": list(terms)})


class Look(BaseCallback):
    """Keeps what an agent learns from after its first rollout, `[T, B]`."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = self.model.rollout_buffer  # type: ignore[attr-defined]
        self.returns, self.advantages = buffer.returns.copy(), buffer.advantages.copy()


def first_rollout(env: gym.Env[Any, Any], learner: RewardLearner | None = None, steps: int = 128) -> Look:
    model = PPO("MlpPolicy", env, n_steps=steps, batch_size=64, n_epochs=1, gamma=0.98, seed=0)
    look = Look()
    model.learn(steps, callback=look if learner is None else CallbackList([learner.callback(), look]))
    return look


def test_the_critic_is_fitted_to_what_the_model_says_and_advantages_are_of_the_rest() -> None:
    plain = first_rollout(rewardspec.wrap(gym.make("CartPole-v1"), spec(ALIVE)))
    learner = RewardLearner(spec({"heron": HERON}, ALIVE))
    taught = first_rollout(learner.wrap(gym.make("CartPole-v1")), learner)
    assert np.array_equal(plain.advantages, taught.advantages)
    assert not np.allclose(plain.returns, taught.returns)
    assert learner.store is not None
    said = learner.pay(learner.store.features[:128, 0, : learner.split.width])
    assert np.allclose(taught.returns[:, 0], said, atol=1e-5)


def test_until_the_first_refresh_the_critic_is_fitted_to_returns() -> None:
    plain = first_rollout(rewardspec.wrap(gym.make("CartPole-v1"), spec(ALIVE)), steps=64)
    learner = RewardLearner(spec({"heron": HERON}, ALIVE))
    taught = first_rollout(learner.wrap(gym.make("CartPole-v1")), learner, steps=64)
    assert np.array_equal(plain.returns, taught.returns)


def test_the_term_itself_pays_nothing() -> None:
    learner = RewardLearner(spec({"heron": HERON}, ALIVE))
    env = learner.wrap(gym.make("CartPole-v1"))
    env.reset(seed=0)
    over = False
    while not over:
        _, reward, over, _, info = env.step(0)
        assert reward == 0.5
    learner.models["heron"].is_fitted = True  # a model that says something pays nothing either
    env.reset(seed=0)
    assert env.step(0)[1] == 0.5
    assert info["rewardspec"]["return"]["heron"] == 0


def test_agents_without_such_a_critic_are_refused() -> None:
    learner = RewardLearner(spec({"heron": HERON}, ALIVE))
    model = DQN("MlpPolicy", learner.wrap(gym.make("CartPole-v1")), gamma=0.98, buffer_size=100)
    with pytest.raises(UnsupportedError, match="not for DQN"):
        model.learn(10, callback=learner.callback())
    with pytest.raises(UnsupportedError, match="not for environments on a device"):
        learner.wrap_tensor(None)


def test_a_critic_has_one_target() -> None:
    paid = {"name": "second", "heron": {**HERON, "goes_into": "reward"}}
    with pytest.raises(UnsupportedError, match=r"'second' is paid.* one target"):
        RewardLearner(spec({"heron": HERON}, paid))
