"""A learner of latent rewards beside agents: fitted to whole episodes, paid per step, by the returns alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

import rewardspec
from rewardspec.errors import MismatchError
from rewardspec.learning.learner import RewardLearner
from rewardspec.spec.model import Spec

SPEC: dict[str, Any] = {
    "name": "latent",
    "reward": [
        {
            "latent": {
                "factors": ["next_obs[0]", "next_obs[1]"],
                "decoder": {"hidden": []},
                "loss": "rrd_unbiased",
                "subsample": 4,
                "after": 400,
                "every": 400,
                "fit": {"updates": 300, "learning_rate": 0.02, "episodes": 32},
            }
        },
    ],
}


class Drift(gym.Env[Any, Any]):
    """A point that drifts: only the first of its two numbers is worth anything, and episodes vary in length.

    The reward is paid in one sum when the episode is over, as LaRe's agents have it.
    """

    observation_space = spaces.Box(-5, 5, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left, self.sum = int(self.np_random.integers(5, 15)), 0.0
        self.at = self.np_random.normal(size=2).astype(np.float32)
        return self.at, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at = np.clip(self.at + np.array([0.2 * (action - 1), 0.1]), -5, 5).astype(np.float32)
        self.left -= 1
        self.sum += 2.0 * float(self.at[0])
        over = self.left == 0
        return self.at, self.sum if over else 0.0, False, over, {}


def spec(**changes: Any) -> Spec:
    return rewardspec.from_data({**SPEC, "reward": [{"latent": {**SPEC["reward"][0]["latent"], **changes}}]})


def walk(learner: RewardLearner, steps: int) -> list[tuple[Any, float]]:
    env = learner.wrap(Drift())
    env.action_space.seed(0)
    env.reset(seed=0)
    found = []
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        learner.observe(info["learned"].features[None], [terminated or truncated])
        found.append((obs, float(reward)))
        if terminated or truncated:
            env.reset()
    return found


def test_from_sums_at_the_end_comes_a_reward_for_every_step() -> None:
    learner = RewardLearner(spec())
    assert {reward for _, reward in walk(learner, 50)} == {0.0}, "nothing is learned yet"
    walk(learner, 1500)
    (report,) = learner.refresh(1550)
    assert report["episodes"] > 100 and report["explained"] > 0.95 and not report["equal_lengths"]
    steps = walk(learner, 200)
    position, paid = np.array([obs[0] for obs, _ in steps]), np.array([reward for _, reward in steps])
    assert np.corrcoef(2 * position, paid)[0, 1] > 0.97
    assert learner.refresh(1551) == [], "not due again before 1600"


def test_without_one_whole_episode_nothing_is_fitted() -> None:
    learner = RewardLearner(spec(after=1))
    walk(learner, 2)
    assert learner.refresh(2) == [{"steps": 2, "name": "latent", "refresh": 1, "episodes": 0}]
    assert not learner.models["latent"].is_fitted


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_on_policy_and_off_policy_are_paid_by_the_model_of_today(
    algorithm: type[BaseAlgorithm], tmp_path: Path
) -> None:
    learner = RewardLearner(spec(fit={"updates": 20}), seed=2)
    env = DummyVecEnv([lambda: learner.wrap(Drift()) for _ in range(2)])
    options: dict[str, Any] = (
        {"n_steps": 64} if algorithm is PPO else {"learning_starts": 100, "buffer_size": 300}
    )
    model = algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, seed=0, **options)
    callback = learner.callback(tmp_path / "learned.jsonl")
    model.learn(900, callback=callback)
    assert len(learner.reports) >= 2 and all(report["episodes"] for report in learner.reports)
    if algorithm is DQN:
        features = callback._features
        assert features is not None
        now = learner.pay(features.reshape(-1, features.shape[2])).reshape(features.shape[:2])
        assert np.allclose(model.replay_buffer.rewards, now, atol=1e-4)  # type: ignore[attr-defined]
    learner.save_models(tmp_path / "learned.npz")
    paying = rewardspec.wrap_learned(Drift(), learner.program, tmp_path)
    paying.reset(seed=1)
    _, reward, *_, info = paying.step(1)
    assert float(reward) == pytest.approx(float(learner.pay(info["learned"].features[None])[0]), abs=1e-5)


def test_a_run_goes_on_from_its_state() -> None:
    one, other = (RewardLearner(spec(fit={"updates": 30})) for _ in range(2))
    walk(one, 800)
    one.refresh(800)
    walk(other, 2)
    other.take_state(one.state())
    walk(one, 300), walk(other, 300)
    reports = [learner.refresh(1200)[0] for learner in (one, other)]
    assert reports[0]["loss"] == pytest.approx(reports[1]["loss"])
    assert reports[0]["refresh"] == reports[1]["refresh"] == 2


def test_a_source_for_other_widths_is_refused() -> None:
    source = {
        "source": "def evaluation_func(observation):\n    return [observation[:, 0:1]]",
        "observation": 3,
    }
    with pytest.raises(
        MismatchError, match=r"is for 3 numbers of the observation, whose shape here is \(2,\)"
    ):
        RewardLearner(spec(factors=source)).wrap(Drift())
    fitting = RewardLearner(spec(factors={**source, "observation": 2}))
    assert fitting.wrap(Drift()) is not None
