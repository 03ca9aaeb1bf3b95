"""Agents of stable-baselines3 learn from counterfactual experience, and a stopped run goes on as it was."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents import dqn_sb3, ppo_sb3, sac_sb3
from rewardspec import loads, wrap
from rewardspec.errors import RewardSpecError, UnsupportedError
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import load_agent, resume, train
from rewardspec.wrappers.counterfactual import CounterfactualWrapper
from rewardspec.wrappers.replay_crm import CrmDictReplayBuffer, CrmReplayBuffer
from tests.training.test_resume import StoppedError, curve, stop_at, weights

CELLS = 9
LAPS = """
name: laps
discount: 0.95
env: {id: tests/Corridor-v0}
propositions: {left: next_obs == 0, right: next_obs == 8}
reward: {ltl: F(left & X F(right & X F(left & X F(right & X F left)))), name: laps}
"""
LEAST = 4 + 4 * (CELLS - 1)
"""Steps of the shortest episode: from the middle to the left, then four times across."""

PUSHED = """
name: pushed
discount: 0.95
env: {id: tests/Corridor-v0, kwargs: {continuous: true}}
propositions: {left: next_obs == 0, right: next_obs == 8}
reward: {ltl: F(left & X F(right & X F left)), name: laps}
"""


class Corridor(gym.Env[Any, Any]):
    """Nine cells in a row; an episode begins in the middle and is cut after 60 steps."""

    def __init__(self, continuous: bool = False) -> None:
        self.continuous = continuous
        self.observation_space = spaces.Discrete(CELLS)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32) if continuous else spaces.Discrete(2)
        self.cell = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell = CELLS // 2
        return np.int64(self.cell), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        goes_right = float(action[0]) > 0 if self.continuous else int(action) == 1
        self.cell = min(max(self.cell + (1 if goes_right else -1), 0), CELLS - 1)
        return np.int64(self.cell), 0.0, False, False, {}


@pytest.fixture(autouse=True)
def corridor() -> Iterator[None]:
    gym.register("tests/Corridor-v0", entry_point=Corridor, max_episode_steps=60)
    yield
    del gym.registry["tests/Corridor-v0"]


def told(text: str = LAPS, **kwargs: Any) -> CounterfactualWrapper:
    return CounterfactualWrapper(gym.make("tests/Corridor-v0", **kwargs), loads(text))


def laps(agent: Any, env: Any) -> tuple[float, int]:
    """Return what a greedy episode is paid, and its length."""
    obs, _ = env.reset(seed=0)
    total, steps, over = 0.0, 0, False
    while not over:
        action, _ = agent.predict(obs, deterministic=True)
        obs, reward, terminated, truncated, _ = env.step(action)
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
    return total, steps


LEARNING: dict[str, Any] = {
    "learning_starts": 200,
    "train_freq": 1,
    "learning_rate": 2e-3,
    "target_update_interval": 100,
    "exploration_fraction": 0.3,
    "exploration_final_eps": 0.2,
    "policy_kwargs": {"net_arch": [64]},
}


def test_with_counterfactuals_a_long_task_is_solved_and_without_it_is_not(tmp_path: Path) -> None:
    """Five ends of a corridor in turn, 36 steps at least: 60 are too few for a walk at random to come by it often."""
    found = {}
    for name, crm in (("plain", None), ("crm", 1.0)):
        run = train(
            loads(LAPS),
            tmp_path / name,
            algo="dqn",
            steps=5000,
            n_envs=1,
            agent=LEARNING,
            crm=crm,
            show=False,
        )
        found[name] = laps(*load_agent(run.path))
    assert found["crm"] == (1.0, LEAST)
    assert found["plain"][0] == 0.0


def test_one_line_of_sb3_is_enough() -> None:
    """Nothing of the training package: an environment that tells, and the buffer."""
    model = DQN(
        "MlpPolicy",
        told(),
        replay_buffer_class=CrmReplayBuffer,
        replay_buffer_kwargs={"ratio": 1.0},
        learning_starts=50,
        policy_kwargs={"net_arch": [16]},
    )
    model.learn(200)
    assert model.replay_buffer is not None
    assert model.replay_buffer.sample(8).observations.shape == (8 * 5, CELLS + 6)


# -- the buffer ------------------------------------------------------------------------------------


def filled(ratio: float, n_envs: int = 2, steps: int = 150) -> tuple[CrmReplayBuffer, list[Any]]:
    """Return a buffer that has seen random play, and the same steps as they were."""
    venv = DummyVecEnv([told] * n_envs)
    buffer = CrmReplayBuffer(200, venv.observation_space, venv.action_space, n_envs=n_envs, ratio=ratio)
    obs, rng, seen = venv.reset(), np.random.default_rng(0), []
    path = chain(told())
    for _ in range(steps):
        # Mostly towards the end that is next, so that every machine state comes.
        want = np.array([path.index(u) % 2 for u in obs[:, CELLS:].argmax(axis=1)])
        action = np.where(rng.random(n_envs) < 0.9, want, 1 - want)
        next_obs, reward, done, infos = venv.step(action)
        final = np.stack([i.get("terminal_observation", o) for i, o in zip(infos, next_obs, strict=True)])
        buffer.add(obs, final, action, reward, done, infos)
        seen.append((obs, final, action, reward, done, infos))
        obs = next_obs
    return buffer, seen


@pytest.mark.parametrize(("ratio", "rows"), [(0.0, 1), (0.5, 3), (1.0, 5)])
def test_the_ratio_says_how_many_states_a_step_is_replayed_from(ratio: float, rows: int) -> None:
    buffer, _ = filled(ratio)
    sample = buffer.sample(64)
    assert len(sample.observations) == 64 * rows
    base = sample.observations[:, :CELLS].reshape(64, rows, CELLS)
    assert (base == base[:, :1]).all()  # the rows of one step are one step
    shown = sample.observations[:, CELLS:].reshape(64, rows, 6)
    assert (shown.sum(dim=2) == 1).all()
    assert (shown.sum(dim=1).max() == 1).all()  # each from another state


def test_without_counterfactuals_it_is_the_ordinary_buffer() -> None:
    """Ratio 0 gives the rows that were stored: what was seen, what was paid, whether it ended."""
    buffer, seen = filled(0.0)
    plain = ReplayBuffer(200, buffer.observation_space, buffer.action_space, n_envs=2)
    for step in seen:
        plain.add(*step)
    at = np.arange(75)
    np.random.seed(1)
    ours = buffer._get_samples(at)
    np.random.seed(1)
    theirs = plain._get_samples(at)
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_every_row_is_a_step_of_the_product() -> None:
    """Cell, action and machine state decide the rest: computed here by hand for the corridor."""
    buffer, _ = filled(1.0)
    sample = buffer.sample(256)
    obs, next_obs = sample.observations.numpy(), sample.next_observations.numpy()
    cell, next_cell = obs[:, :CELLS].argmax(1), next_obs[:, :CELLS].argmax(1)
    u, v = obs[:, CELLS:].argmax(1), next_obs[:, CELLS:].argmax(1)
    path = chain(told())
    wants, following = dict(zip(path, [0, 8, 0, 8, 0], strict=False)), dict(pairwise(path))
    np.testing.assert_array_equal(next_cell, np.clip(cell + 2 * sample.actions.numpy()[:, 0] - 1, 0, 8))
    for k in range(len(u)):
        moves = wants[u[k]] == next_cell[k]
        assert v[k] == (following[u[k]] if moves else u[k])
        over = v[k] == path[-1]
        assert sample.rewards[k, 0] == float(over)
        assert sample.dones[k, 0] == float(over)
    assert sample.dones.sum() > 0
    assert len(set(u)) == 5


def chain(env: Any) -> list[int]:
    """Return the machine's states in the order in which the task leads through them."""
    machine = env.program.machines[0]
    bit = {name: i for i, name in enumerate(machine.propositions)}
    found = [machine.start]
    for name in ("left", "right", "left", "right", "left"):
        found.append(machine.step(found[-1], 1 << bit[name])[0])
    return found


def test_a_buffer_that_is_full_writes_over_the_oldest() -> None:
    buffer, seen = filled(0.0, n_envs=1, steps=450)
    assert buffer.full
    newest = seen[-1]
    at = (buffer.pos - 1) % buffer.buffer_size
    np.testing.assert_array_equal(buffer.observations[at], newest[0])
    assert buffer.crm_reward[at, 0, buffer.crm_state[at, 0]] == newest[3][0]


def test_observations_with_parts_have_a_buffer_of_their_own() -> None:
    env = CounterfactualWrapper(gym.make("tests/Corridor-v0"), loads(LAPS + "observe: dict\n"))
    model = DQN(
        "MultiInputPolicy",
        env,
        replay_buffer_class=CrmDictReplayBuffer,
        replay_buffer_kwargs={"ratio": 1.0},
        learning_starts=20,
        policy_kwargs={"net_arch": [8]},
    )
    model.learn(60)
    sample: Any = model.replay_buffer.sample(4)  # type: ignore[union-attr]
    assert sample.observations["rewardspec"].shape == (20, 6)
    assert sample.observations["obs"].shape[0] == 20


def test_what_training_makes_of_a_mapping_shows_the_states_somewhere_else(tmp_path: Path) -> None:
    """A mapping becomes one vector, the state's part of it behind the rest; the buffer is told where."""
    run = train(
        loads(LAPS + "observe: dict\n"),
        tmp_path / "run",
        algo="dqn",
        steps=300,
        n_envs=2,
        agent=SHORT["dqn"],
        crm=1.0,
        show=False,
    )
    model, env = load_agent(run.path)
    assert model.observation_space.shape == (CELLS + 6,)
    obs, _ = env.reset(seed=0)
    np.testing.assert_array_equal(obs[CELLS:], told().states.memory[0])


def test_what_an_environment_tells_goes_to_other_processes() -> None:
    env = told()
    env.reset(seed=0)
    here = env.step(0)[4]["counterfactual"]
    there = pickle.loads(pickle.dumps(here))
    np.testing.assert_array_equal(here.reward, there.reward)
    assert here.state == there.state


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_it_serves_continuous_actions(algorithm: Any) -> None:
    model = algorithm(
        "MlpPolicy",
        told(PUSHED, continuous=True),
        replay_buffer_class=CrmReplayBuffer,
        learning_starts=20,
        batch_size=8,
        policy_kwargs={"net_arch": [8]},
    )
    model.learn(40)
    assert model.replay_buffer.sample(4).rewards.shape == (12, 1)


# -- what is refused -------------------------------------------------------------------------------


def test_an_environment_that_tells_nothing_is_refused() -> None:
    plain = wrap(gym.make("tests/Corridor-v0"), loads(LAPS))
    model = DQN("MlpPolicy", plain, replay_buffer_class=CrmReplayBuffer)
    with pytest.raises(UnsupportedError, match="no-counterfactuals"):
        model.learn(10)


def test_observations_that_something_rearranged_are_refused() -> None:
    venv = VecNormalize(DummyVecEnv([lambda: gym.wrappers.TransformObservation(
        told(), lambda obs: obs[::-1].copy(), told().observation_space)]))  # fmt: skip
    model = DQN("MlpPolicy", venv, replay_buffer_class=CrmReplayBuffer)
    with pytest.raises(UnsupportedError, match="no-counterfactuals"):
        model.learn(10)


@pytest.mark.parametrize("ratio", [-0.1, 1.5, True, "all"])
def test_a_ratio_beyond_its_bounds_is_refused(ratio: Any) -> None:
    with pytest.raises(UnsupportedError, match="wrong-setting"):
        DQN("MlpPolicy", told(), replay_buffer_class=CrmReplayBuffer, replay_buffer_kwargs={"ratio": ratio})


def test_shared_memory_for_observations_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="lost-final-observation"):
        DQN(
            "MlpPolicy",
            told(),
            replay_buffer_class=CrmReplayBuffer,
            optimize_memory_usage=True,
            replay_buffer_kwargs={"handle_timeout_termination": False},
        )


# -- runs ------------------------------------------------------------------------------------------

SHORT: dict[str, dict[str, Any]] = {
    "dqn": {**LEARNING, "train_freq": 4, "buffer_size": 700, "policy_kwargs": {"net_arch": [16]}},
    "sac": {"learning_starts": 99, "buffer_size": 400, "train_freq": 8, "policy_kwargs": {"net_arch": [16]}},
}


@pytest.mark.parametrize(
    ("algo", "text", "n_envs", "ratio"), [("dqn", LAPS, 2, 0.5), ("sac", PUSHED, 1, 1.0)], ids=["dqn", "sac"]
)
def test_a_resumed_run_has_the_counterfactuals_of_the_first(
    tmp_path: Path, algo: str, text: str, n_envs: int, ratio: float
) -> None:
    settings: dict[str, Any] = {
        "algo": algo, "steps": 2200, "seed": 3, "n_envs": n_envs, "agent": SHORT[algo], "crm": ratio,
    }  # fmt: skip
    whole = train(loads(text), tmp_path / "whole", show=False, checkpoint_seconds=1e9, **settings)
    with pytest.raises(StoppedError):
        train(loads(text), tmp_path / "cut", show=stop_at(2000), checkpoint_seconds=0, **settings)
    cut = resume(tmp_path / "cut", show=False, checkpoint_seconds=1e9)
    assert len(curve(whole)) >= 2
    assert curve(cut) == curve(whole)
    again = weights(cut)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, again[name]), name


def test_equality_would_notice_lost_counterfactuals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the buffer's own arrays out of the checkpoint: the weights part."""
    settings: dict[str, Any] = {
        "algo": "dqn", "steps": 2200, "seed": 3, "n_envs": 2, "agent": SHORT["dqn"], "crm": 1.0,
    }  # fmt: skip
    whole = train(loads(LAPS), tmp_path / "whole", show=False, checkpoint_seconds=1e9, **settings)
    monkeypatch.setattr(CrmReplayBuffer, "stored", ())
    with pytest.raises(StoppedError):
        train(loads(LAPS), tmp_path / "cut", show=stop_at(2000), checkpoint_seconds=0, **settings)
    again = weights(resume(tmp_path / "cut", show=False, checkpoint_seconds=1e9))
    assert any(not torch.equal(tensor, again[name]) for name, tensor in weights(whole).items())


@pytest.mark.parametrize(
    ("code", "text", "settings"),
    [
        ("needs-machine", "env: {id: tests/Corridor-v0}\nreward: next_obs", {}),
        ("wrong-setting", LAPS, {"algo": "ppo"}),
        ("wrong-setting", LAPS, {"crm": 1.5}),
        ("discount-mismatch", LAPS, {"agent": {"gamma": 0.9}}),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_anything_is_written(
    tmp_path: Path, code: str, text: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(RewardSpecError) as caught:
        train(
            loads(text),
            tmp_path / "run",
            **{"algo": "dqn", "crm": 1.0, "steps": 10, "show": False, **settings},
        )
    assert caught.value.problems[0].code == code
    assert not (tmp_path / "run").exists()


@pytest.fixture
def laps_file(tmp_path: Path) -> Path:
    path = tmp_path / "laps.yaml"
    path.write_text(LAPS)
    return path


@pytest.mark.parametrize(
    ("agent", "arguments"),
    [
        (dqn_sb3, {"learning_starts": 50, "hidden": (8,)}),
        (ppo_sb3, {"n_envs": 2, "n_steps": 32, "hidden": (8,)}),
    ],
    ids=["dqn", "ppo"],
)
def test_the_agents_train_write_down_and_go_on(
    tmp_path: Path, laps_file: Path, agent: Any, arguments: dict[str, Any]
) -> None:
    args = agent.Args(spec=laps_file, steps=256, folder=tmp_path / "run", quiet=True, **arguments)
    run = agent.main(args)
    assert run.is_finished
    assert run.result.is_file()
    assert run.rows()[-1]["steps"] == 256
    assert any(run.tensorboard.iterdir())
    assert getattr(stable_baselines3, run.read_facts()["settings"]["algo"].upper()).load(run.model)
    again = agent.main(agent.Args(resume=run.path, spec=laps_file, quiet=True))
    assert curve(again) == curve(run)
    laps_file.write_text(LAPS.replace("discount: 0.95", "discount: 0.9"))
    with pytest.raises(UnsupportedError, match="spec-changed"):
        agent.main(agent.Args(resume=run.path, spec=laps_file, quiet=True))
    with pytest.raises(UnsupportedError, match="discount-mismatch"):
        agent.main(agent.Args(spec=laps_file, gamma=0.99, folder=tmp_path / "other"))


def test_sac_trains_by_its_arguments(tmp_path: Path) -> None:
    path = tmp_path / "pushed.yaml"
    path.write_text(PUSHED)
    args = sac_sb3.Args(
        spec=path, steps=150, folder=tmp_path / "run", quiet=True, learning_starts=50, hidden=(8,), ratio=0.5
    )
    run = sac_sb3.main(args)
    settings = RunFolder(run.path).read_facts()["settings"]
    assert settings["crm"] == 0.5
    assert settings["agent"]["policy_kwargs"] == {"net_arch": [8]}
