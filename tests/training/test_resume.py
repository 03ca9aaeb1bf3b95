"""A run that was stopped at any moment goes on with the learning curve of one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardspec.errors import LearningError, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.training import checkpoint
from rewardspec.training.environments import Episodes, make_env
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import build, load_agent, read_run, resume, train
from rewardspec.training.unchanged import facts_of, refuse_other
from rewardspec.vocabulary import loads

BALANCE = """
name: balance
discount: 0.98
env: {id: CartPole-v1}
reward:
  - markov: 1
    name: upright
  - markov: 0.5 - abs(next_obs[0])
    name: centred
    weight: {linear: {from: 1, to: 0, over: 500}}
"""

SWING = """
name: swing
discount: 0.98
env: {id: Pendulum-v1}
reward: "next_obs[0]"
"""

RANKED = """
name: ranked
discount: 0.98
env: {id: CartPole-v1}
reward:
  - heron:
      factors:
        - {name: upright, value: "-abs(next_obs[2])", margin: {std: 0.5}}
        - {name: centred, value: "-abs(next_obs[0])"}
      segment: 4
      model: {hidden: [16], ensemble: 2}
      pairs: 100
      after: 300
      every: 500
    weight: {linear: {from: 2, to: 1, over: 500}}
  - markov: 1
"""

PREFERRED = """
name: preferred
discount: 0.98
env: {id: Pendulum-v1}
reward:
  - preferences:
      labels: {teacher: reward, rationality: 1}
      statistic: regret
      segment: 10
      model: {hidden: [16]}
      pairs: 40
      after: 200
      every: 300
"""

SHORT: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2},
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 200, "buffer_size": 700, "target_update_interval": 100},
    "sac": {"learning_starts": 99, "buffer_size": 400, "train_freq": 4, "policy_kwargs": {"net_arch": [32]}},
}
RUNS = [
    ("ppo", BALANCE, 3300, 8),
    ("a2c", BALANCE, 3300, 4),
    ("dqn", BALANCE, 3300, 2),
    ("sac", SWING, 2100, 1),
    ("ppo", RANKED, 3300, 8),
    ("dqn", RANKED, 3300, 2),
    ("sac", PREFERRED, 2100, 1),
]


class StoppedError(Exception):
    """Stands for whatever stops a run."""


def stop_at(steps: int) -> Callable[[dict[str, Any]], None]:
    def show(row: dict[str, Any]) -> None:
        if row["steps"] >= steps:
            raise StoppedError

    return show


def curve(run: RunFolder) -> list[dict[str, Any]]:
    """Return the rows of progress without the one entry that cannot be equal."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.rows()]


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    model, _ = load_agent(run.path)
    return dict(model.policy.state_dict())


@pytest.mark.parametrize(
    ("algo", "text", "steps", "n_envs"), RUNS, ids=[f"{run[0]}-{loads(run[1]).name}" for run in RUNS]
)
def test_a_resumed_run_is_the_run_that_was_never_stopped(
    tmp_path: Path, algo: str, text: str, steps: int, n_envs: int
) -> None:
    settings: dict[str, Any] = {
        "algo": algo,
        "steps": steps,
        "seed": 3,
        "n_envs": n_envs,
        "agent": SHORT[algo],
    }
    whole = train(loads(text), tmp_path / "whole", show=False, checkpoint_seconds=1e9, **settings)
    with pytest.raises(StoppedError):
        train(loads(text), tmp_path / "cut", show=stop_at(2000), checkpoint_seconds=0, **settings)
    assert RunFolder(tmp_path / "cut").latest_steps() >= 1000
    cut = resume(tmp_path / "cut", show=False, checkpoint_seconds=1e9)
    assert len(curve(whole)) >= 2
    assert curve(cut) == curve(whole)
    again = weights(cut)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, again[name]), name


def test_another_seed_gives_another_curve(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        runs.append(
            train(loads(BALANCE), tmp_path / name, steps=1000, seed=seed, agent=SHORT["ppo"], show=False)
        )
    assert curve(runs[0]) == curve(runs[1]) != curve(runs[2])


PROGRAM = """
import sys
from rewardspec.training.loop import train
from rewardspec.vocabulary import loads
train(loads(open(sys.argv[1]).read()), sys.argv[2], steps=4000, seed=5, n_envs=4, checkpoint_seconds=0,
show=False,
      agent={"n_steps": 16, "batch_size": 32, "n_epochs": 2})
"""


def test_a_killed_run_resumes_with_the_same_curve(tmp_path: Path) -> None:
    """Kill -9 in the middle, twice, wherever that happens to be: the third process ends the same run."""
    text = tmp_path / "spec.yaml"
    text.write_text(BALANCE)
    agent = {"n_steps": 16, "batch_size": 32, "n_epochs": 2}
    whole = train(
        loads(BALANCE),
        tmp_path / "whole",
        steps=4000,
        seed=5,
        n_envs=4,
        show=False,
        agent=agent,
        checkpoint_seconds=0,
    )
    run = RunFolder(tmp_path / "killed")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(text), str(run.path)], env={**os.environ})
    wait_for(lambda: len(run.rows()) >= 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not run.is_finished
    assert 0 < len(run.rows()) < len(whole.rows())
    with run.progress.open("ab") as file:  # what a kill in the middle of a write leaves
        file.write(b'{"steps": 39')
    (run.checkpoints / "999999.part").mkdir()
    resume(run.path, show=False)
    assert run.is_finished
    assert curve(run) == curve(whole)


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_stopped_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 1500, "n_envs": 4, "agent": SHORT["ppo"]}
    whole = train(loads(BALANCE), tmp_path / "whole", show=False, **settings)
    with pytest.raises(StoppedError):
        train(loads(BALANCE), tmp_path / "cut", show=stop_at(1), **settings)
    run = RunFolder(tmp_path / "cut")
    for path in run.checkpoints.iterdir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    assert curve(resume(run.path, show=False)) == curve(whole)


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    run = train(loads(BALANCE), tmp_path / "run", steps=256, n_envs=2, agent=SHORT["ppo"], show=False)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    resume(run.path)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_a_changed_spec_is_refused(tmp_path: Path) -> None:
    run = train(loads(BALANCE), tmp_path / "run", steps=256, n_envs=2, agent=SHORT["ppo"], show=False)
    run.spec.write_text(run.spec.read_text().replace("0.5", "0.6"))
    with pytest.raises(UnsupportedError, match="spec-changed"):
        resume(run.path)


def test_a_changed_objective_is_refused(tmp_path: Path) -> None:
    """The program is the same and so is its digest: what is paid does not tell what is made of it."""
    soft = SWING + "objective: {kind: regularised, weight: 0.3}\n"
    short: dict[str, Any] = {"learning_starts": 9, "policy_kwargs": {"net_arch": [4]}}
    run = train(loads(soft), tmp_path / "run", algo="sac", steps=12, agent=short, show=False)
    assert run.read_facts()["objective"] == {"kind": "regularised", "weight": 0.3}
    resume(run.path, spec=loads(soft), show=False)
    with pytest.raises(
        UnsupportedError, match=r"0\.5 for each nat of entropy; this run was trained for .* 0\.3 for"
    ):
        resume(run.path, spec=loads(soft.replace("0.3", "0.5")))
    run.spec.write_text(SWING)
    with pytest.raises(
        UnsupportedError, match=r"maximises the expected discounted return; .*\[spec-changed\]"
    ):
        resume(run.path)
    with pytest.raises(UnsupportedError, match="spec-changed"):
        load_agent(run.path)


def test_a_run_that_noted_no_objective_still_goes_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    spec = loads("objective: limit_average\nreward: 1")
    run.create(spec.to_yaml(), {"digest": "0a"})
    refuse_other(run, spec, "0a")
    run.facts.write_text(json.dumps({"digest": "0a", "objective": [7]}))
    with pytest.raises(UnsupportedError, match="trained for another objective"):
        refuse_other(run, spec, "0a")


def test_a_changed_horizon_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    begun, now = (loads(f"env: {{id: Taxi-v3, horizon: {steps}}}\nreward: 1") for steps in (50, 60))
    run.create(begun.to_yaml(), facts_of(begun, "0a"))
    refuse_other(run, begun, "0a")
    with pytest.raises(UnsupportedError, match=r"after 60 steps; in this run they end after 50 steps"):
        refuse_other(run, now, "0a")
    with pytest.raises(UnsupportedError, match="ends episodes where the environment does"):
        refuse_other(run, loads("reward: 1"), "0a")


def test_a_broken_checkpoint_is_an_error_of_ours(tmp_path: Path) -> None:
    run = train(loads(BALANCE), tmp_path / "run", steps=256, n_envs=2, agent=SHORT["ppo"], show=False)
    run.model.unlink()
    latest = run.latest()
    assert latest is not None
    (latest / "state.json").write_text(json.dumps({"counted": {}}))
    with pytest.raises(LearningError, match="broken-checkpoint"):
        resume(run.path, show=False)


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(loads(BALANCE), tmp_path / "run", steps=2000, n_envs=2, agent=SHORT["ppo"], show=stop_at(1))
    with RunFolder(tmp_path / "run").lock(), pytest.raises(UnsupportedError, match="run-in-use"):
        resume(tmp_path / "run", show=False)


DOOR = """
discount: 0.99
env: {id: MiniGrid-DoorKey-5x5-v0, labels: minigrid}
propositions: {key: label.carrying_key, door: label.door_open}
reward:
  reward_machine:
    start: first
    edges:
      - {from: first, to: second, when: key, reward: 1}
      - {from: second, to: first, when: not key, reward: -1}
"""

PLAYED = [
    ("MiniGrid-DoorKey-5x5-v0", DOOR),
    ("FrozenLake-v1", "reward: reward"),
    ("MountainCarContinuous-v0", "reward: {normalise: reward}"),
    ("InvertedPendulum-v5", "reward: next_obs[0]"),
]


@pytest.mark.parametrize(("env_id", "text"), PLAYED, ids=[env_id for env_id, _ in PLAYED])
def test_an_environment_comes_back_to_the_middle_of_an_episode(env_id: str, text: str) -> None:
    """The other process has a fresh environment and a few numbers; both must go on alike, across resets."""
    if env_id.startswith("InvertedPendulum"):
        pytest.importorskip("mujoco")
    spec = loads(text)
    first, second = make_env(spec, env_id), make_env(spec, env_id)
    rng = np.random.default_rng(0)
    actions = [sample(first, rng) for _ in range(140)]
    first.reset(seed=7)
    for action in actions[:60]:
        play(first, action)
    second.go_back_to(json.loads(json.dumps(first.where())))
    for action in actions[60:]:
        ours, theirs = play(first, action), play(second, action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]


def sample(env: Episodes, rng: np.random.Generator) -> Any:
    space: Any = env.action_space
    if hasattr(space, "n"):
        return np.int64(rng.integers(space.n))
    return rng.uniform(space.low, space.high).astype(space.dtype)


def play(env: Episodes, action: Any) -> tuple[Any, ...]:
    obs, reward, terminated, truncated, _ = env.step(action)
    if terminated or truncated:
        obs, _ = env.reset()
    return obs, reward, terminated, truncated


def test_equality_would_notice_what_a_checkpoint_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leave out the state of the generators: the curves part."""
    settings: dict[str, Any] = {"steps": 3300, "seed": 3, "n_envs": 8, "agent": SHORT["ppo"]}
    whole = train(loads(BALANCE), tmp_path / "whole", show=False, **settings)
    with pytest.raises(StoppedError):
        train(loads(BALANCE), tmp_path / "cut", show=stop_at(2000), checkpoint_seconds=0, **settings)
    monkeypatch.setattr(checkpoint, "restore_random_state", lambda model, saved: None)
    assert curve(resume(tmp_path / "cut", show=False)) != curve(whole)


def test_build_and_read_run_agree(tmp_path: Path) -> None:
    spec = loads(BALANCE)
    run = train(spec, tmp_path / "run", steps=256, n_envs=2, agent=SHORT["ppo"], show=False)
    read, settings = read_run(run)
    assert isinstance(read, Spec)
    assert read == spec
    model, envs, _ = build(read, settings)
    assert len(envs) == 2
    assert model.gamma == 0.98


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N."], ids=["empty", "torn", "pickle"])
def test_weights_that_cannot_be_read_are_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    run = train(loads(BALANCE), tmp_path / "run", steps=256, n_envs=2, agent=SHORT["ppo"], show=False)
    latest = run.latest()
    assert latest is not None
    (latest / "weights.zip").write_bytes(content)
    with pytest.raises(LearningError, match="broken-checkpoint"):
        load_agent(run.path)
