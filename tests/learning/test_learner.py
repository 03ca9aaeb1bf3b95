"""The learner beside agents: what it is fed, when it fits, what it pays, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_checker import check_env as check_sb3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

import rewardspec
from rewardspec.errors import LearningError, RewardSpecError, UnsupportedError
from rewardspec.learning.learner import RewardLearner
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import loads

RANKED = """
name: ranked
discount: 0.98
reward:
  - heron:
      factors:
        - {name: upright, value: "-abs(next_obs[2])", margin: {std: 0.2}}
        - {name: centred, value: "-abs(next_obs[0])"}
      segment: 3
      model: {hidden: [16], ensemble: 2}
      pairs: 200
      after: 200
      every: 200
  - markov: 0.5
"""
SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [8]}, "gamma": 0.98, "seed": 0}


def spec(**changes: Any) -> Spec:
    data = loads(RANKED).to_data()
    data["reward"][0]["heron"] |= changes
    return rewardspec.from_data(data)


def cartpole() -> gym.Env[Any, Any]:
    return gym.make("CartPole-v1")


def walk(learner: RewardLearner, steps: int, env: gym.Env[Any, Any] | None = None) -> list[Any]:
    """Take random steps in one environment; return infos."""
    env = env or learner.wrap(cartpole())
    env.action_space.seed(0)
    env.reset(seed=0)
    infos = []
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        learner.observe(info["learned"].features[None], [terminated or truncated])
        infos.append((reward, info))
        if terminated or truncated:
            env.reset()
    return infos


def test_before_the_first_refresh_a_learned_term_pays_nothing() -> None:
    learner = RewardLearner(spec())
    paid = {reward for reward, _ in walk(learner, 50)}
    assert paid == {0.5}, "the known term alone"
    assert learner.refresh(199) == []


def test_a_refresh_fits_the_ranking_and_the_environment_pays_by_it() -> None:
    learner = RewardLearner(spec(), seed=1)
    env = learner.wrap(cartpole())
    walk(learner, 400, env)
    (report,) = learner.refresh(400)
    assert report["accuracy"] > 0.8 and report["held_out_accuracy"] > 0.7
    assert 0 <= report["ties"] < 0.5 and report["margin/centred"] == 0
    infos = walk(learner, 100, env)
    features = np.stack([info["learned"].features for _, info in infos])
    assert np.allclose(learner.pay(features), [info["learned"].paid for _, info in infos], atol=1e-5)
    assert np.allclose([reward - 0.5 for reward, _ in infos], [info["learned"].paid for _, info in infos])
    ends = [info for _, info in infos if "rewardspec" in info]
    assert set(ends[0]["rewardspec"]["return"]) == {"heron", "markov"}
    assert set(ends[0]["rewardspec"]["measures"]) == {"heron.upright", "heron.centred"}
    assert learner.refresh(401) == [], "not due again before 600"
    assert learner.is_due(600)


def test_the_learned_reward_orders_segments_as_the_ranking_does() -> None:
    learner = RewardLearner(spec(pairs=1500, fit={"epochs": 30}), seed=0)
    walk(learner, 1500)
    learner.refresh(1500)
    centre = np.zeros((1, learner.split.width))
    tilted = centre.copy()
    tilted[0, 2] = 0.2  # the angle before the step
    assert learner.pay(centre)[0] > learner.pay(tilted)[0] + 0.5


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_any_algorithm_learns_from_rewards_that_are_paid_anew(algorithm: type[BaseAlgorithm]) -> None:
    learner = RewardLearner(spec(), seed=2)
    env = DummyVecEnv([lambda: Monitor(learner.wrap(cartpole())) for _ in range(2)])
    options: dict[str, Any] = (
        {"n_steps": 64} if algorithm is not DQN else {"learning_starts": 100, "buffer_size": 300}
    )
    model = algorithm("MlpPolicy", env, **options, **SMALL)
    callback = learner.callback()
    model.learn(900, callback=callback)
    assert len(learner.reports) >= 3
    stored = model.rollout_buffer if algorithm is not DQN else model.replay_buffer
    features = callback._features
    assert features is not None
    flat = features.reshape(-1, features.shape[2])
    now = learner.pay(flat).reshape(features.shape[:2])
    rewards = stored.rewards.reshape(-1, 2) if algorithm is DQN else raw_rewards(stored)
    expected = now + 0.5
    if algorithm is DQN:  # what was stored since the last refresh was paid by the same models
        assert np.allclose(rewards, expected, atol=1e-4)
    else:
        bootstrapped = ~np.isclose(rewards, expected, atol=1e-4)
        assert bootstrapped.mean() < 0.05, "only where an episode was truncated is a value added"


def raw_rewards(buffer: Any) -> Any:
    """Return `[T, B]` rewards of a rollout buffer, which flattens itself when it is read."""
    size, envs = buffer.buffer_size, buffer.n_envs
    return buffer.rewards if buffer.rewards.shape == (size, envs) else buffer.rewards.reshape(envs, size).T


def test_without_relabel_what_was_stored_stays_as_it_was_paid() -> None:
    learner = RewardLearner(spec(relabel=False), seed=2)
    model = DQN("MlpPolicy", learner.wrap(cartpole()), learning_starts=100, buffer_size=1000, **SMALL)
    model.learn(700, callback=learner.callback())
    assert model.replay_buffer is not None
    rewards = model.replay_buffer.rewards[:700, 0]
    assert (rewards[:199] == 0.5).all(), "paid before there was a model"
    assert (rewards[300:] != 0.5).any()


def test_environments_in_other_processes_are_given_the_models() -> None:
    learner = RewardLearner(spec(), seed=2)
    learner.wrap(cartpole())  # the spaces decide the models' form, in this process too
    env = SubprocVecEnv([lambda: learner.wrap(cartpole())] * 2, start_method="fork")
    try:
        model = PPO("MlpPolicy", env, n_steps=128, batch_size=64, n_epochs=1, **SMALL)
        model.learn(768, callback=learner.callback())
        env.seed(0)
        env.reset()
        _, rewards, _, infos = env.step(np.array([0, 1]))
        features = np.stack([info["learned"].features for info in infos])
        assert np.allclose(rewards, learner.pay(features) + 0.5, atol=1e-4)
        assert (rewards != 0.5).all()
    finally:
        env.close()


def test_what_was_learned_can_be_paid_without_a_learner(tmp_path: Path) -> None:
    learner = RewardLearner(spec(), seed=2)
    walk(learner, 300)
    learner.refresh(300)
    learner.save_models(tmp_path / "learned.npz")
    for place in (tmp_path, tmp_path / "learned.npz"):
        env = rewardspec.wrap_learned(cartpole(), spec(), place)
        env.reset(seed=5)
        _, reward, _, _, info = env.step(0)
        assert reward == pytest.approx(0.5 + learner.pay(info["learned"].features[None])[0], abs=1e-5)


def test_details_tell_learned_terms_too(tmp_path: Path) -> None:
    learner = RewardLearner(spec(), seed=2)
    walk(learner, 300)
    learner.refresh(300)
    env = learner.wrap(cartpole(), detail=True)
    env.reset(seed=5)
    _, reward, _, _, info = env.step(0)
    assert sum(info["rewardspec"]["terms"].values()) == pytest.approx(reward)
    assert list(info["rewardspec"]["terms"]) == ["heron", "markov"]


def test_a_run_with_a_learned_reward_can_be_watched(tmp_path: Path) -> None:
    """Beside what is learned stands what is not: the page tells of machines and propositions too."""
    from rewardspec.report.watch import watch
    from rewardspec.training.loop import train

    data = spec().to_data()
    data |= {"propositions": {"right": "next_obs[0] > 0"}, "env": {"id": "CartPole-v1"}}
    edge = {"from": "left", "to": "passed", "when": "right", "reward": 1}
    machine: dict[str, Any] = {"reward_machine": {"start": "left", "edges": [edge]}, "name": "crossing"}
    data["reward"] = [*data["reward"], machine]
    small = {"n_steps": 128, "n_epochs": 1, "batch_size": 128}
    run = train(rewardspec.from_data(data), tmp_path / "run", steps=512, n_envs=2, agent=small, show=False)
    page = watch(run.path).read_text()
    assert "heron" in page and "crossing" in page and "right" in page


def code(caught: pytest.ExceptionInfo[RewardSpecError]) -> str:
    (problem,) = caught.value.problems
    return problem.code


def test_a_wrapper_alone_refuses_a_spec_that_must_be_learned() -> None:
    with pytest.raises(UnsupportedError) as caught:
        rewardspec.wrap(cartpole(), spec())
    assert code(caught) == "needs-learner"


def test_a_spec_without_learned_terms_needs_no_learner() -> None:
    with pytest.raises(UnsupportedError) as caught:
        RewardLearner(loads("reward: 1"))
    assert code(caught) == "nothing-learned"


def test_an_agent_with_another_discount_is_refused() -> None:
    learner = RewardLearner(spec())
    model = PPO("MlpPolicy", learner.wrap(cartpole()), gamma=0.9)
    with pytest.raises(UnsupportedError) as caught:
        model.learn(10, callback=learner.callback())
    assert code(caught) == "discount-mismatch"


def test_environments_that_the_learner_did_not_wrap_are_refused() -> None:
    learner = RewardLearner(spec())
    learner.wrap(cartpole())
    with pytest.raises(UnsupportedError) as caught:
        PPO("MlpPolicy", cartpole(), gamma=0.98).learn(10, callback=learner.callback())
    assert code(caught) == "other-environment"


def test_rewards_that_are_scaled_by_what_they_were_are_refused() -> None:
    learner = RewardLearner(spec())
    env = VecNormalize(DummyVecEnv([lambda: learner.wrap(cartpole())]), gamma=0.98)
    with pytest.raises(UnsupportedError) as caught:
        PPO("MlpPolicy", env, gamma=0.98).learn(10, callback=learner.callback())
    assert code(caught) == "normalised-reward"


def test_all_pairs_tied_stops_or_goes_on_as_the_spec_says() -> None:
    tied = [{"name": "none", "value": "reward * 0"}]
    learner = RewardLearner(spec(factors=tied, when_tied="stop"))
    walk(learner, 250)
    with pytest.raises(LearningError, match="drew 200 pairs 3 times, and all were tied") as caught:
        learner.refresh(250)
    assert code(caught) == "all-tied"
    patient = RewardLearner(spec(factors=tied))
    walk(patient, 250)
    (report,) = patient.refresh(250)
    assert report["pairs"] == 0 and report["ties"] == 1
    assert {reward for reward, _ in walk(patient, 20)} == {0.5}


def test_segments_longer_than_every_episode_are_told() -> None:
    learner = RewardLearner(spec(segment=600, when_tied="stop"))
    walk(learner, 900)
    with pytest.raises(LearningError, match="no segment of 600 steps"):
        learner.refresh(900)


def test_a_factor_that_is_not_a_number_names_itself() -> None:
    learner = RewardLearner(spec(factors=[{"name": "odd", "value": "log(next_obs[0] * 0 - 1)"}]))
    env = learner.wrap(cartpole())
    env.reset(seed=0)
    with pytest.raises(RewardSpecError, match=r"heron\.odd"):
        env.step(0)


def test_environments_of_other_spaces_are_refused() -> None:
    learner = RewardLearner(spec())
    learner.wrap(cartpole())
    with pytest.raises(UnsupportedError) as caught:
        learner.wrap(gym.make("Acrobot-v1"))
    assert code(caught) == "other-spaces"


def test_it_passes_the_checks_of_gymnasium_and_stable_baselines3() -> None:
    learner = RewardLearner(spec(), seed=2)
    env = learner.wrap(cartpole())
    check_gymnasium(env, skip_render_check=True)
    check_sb3(env)


def test_a_copy_and_a_pickle_go_on_with_the_same_payments() -> None:
    learner = RewardLearner(spec(), seed=2)
    walk(learner, 300)
    learner.refresh(300)
    env = learner.wrap(cartpole())
    env.reset(seed=1)
    env.step(0)
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    paid = env.step(1)[1]
    assert [other.step(1)[1] for other in copies] == [paid, paid] != [0.5, 0.5]


def test_vectors_of_gymnasium_hand_the_features_on() -> None:
    learner = RewardLearner(spec(), seed=2)
    venv = gym.vector.SyncVectorEnv([lambda: learner.wrap(cartpole())] * 2)
    venv.reset(seed=0)
    infos = venv.step(np.array([0, 1]))[4]
    assert [step.features.shape for step in infos["learned"]] == [(learner.split.width,)] * 2
