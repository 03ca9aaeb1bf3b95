"""Agents as rows of an SB3 vector, and training them together: resets, masks, resume, spaces that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec import MismatchError, SpecError, UnsupportedError, loads, make_parallel_vec
from rewardspec.training.folder import RunFolder
from rewardspec.training.masked_rollouts import GroupSpaces, MaskedRolloutBuffer
from rewardspec.training.team_loop import groups_of, play_team, resume_team, train_team
from tests.team.worlds import Stage

SCRIPT = [
    {"scout": {"x": 1, "r": 1}, "pilot": {"x": 2, "r": 2, "end": True}},
    {"scout": {"x": 3, "r": 3}},
    {"scout": {"x": 4, "r": 4}},
]
AGENTS = ("scout", "pilot")


def stage() -> Stage:
    return Stage(SCRIPT, AGENTS)


def test_every_agent_of_every_game_is_a_row_and_games_reset_by_themselves() -> None:
    venv = make_parallel_vec(stage, loads("reward: reward"), n_envs=2, seed=0)
    assert venv.num_envs == 4 and venv.reset()[:, 0].tolist() == [0, 0, 0, 0]
    seen, rewards, over, infos = venv.step(np.ones(4, int))
    assert rewards.tolist() == [1, 2, 1, 2] and over.tolist() == [False, True, False, True]
    assert infos[1]["terminal_observation"].tolist() == [2, 5] and not infos[1]["TimeLimit.truncated"]
    assert infos[1]["episode"]["r"] == 2 and infos[1]["episode"]["l"] == 1
    assert seen[1].tolist() == [0, 0], "who is gone sees nothing"
    _, rewards, over, _ = venv.step(np.ones(4, int))
    assert rewards.tolist() == [3, 0, 3, 0] and over.tolist() == [False, True, False, True]
    seen, rewards, over, infos = venv.step(np.ones(4, int))
    assert over.all() and infos[0]["TimeLimit.truncated"] and infos[0]["terminal_observation"][0] == 4
    assert infos[0]["episode"]["r"] == 8 and seen[:, 0].tolist() == [0, 0, 0, 0]
    assert (seen[1] == [0, 5]).all(), "the next episode has begun, and all are there"


def test_sb3_trains_on_it() -> None:
    from stable_baselines3 import PPO

    venv = make_parallel_vec("rewardspec/TwoButtons-v0", "examples/teams/two_buttons.yaml", n_envs=2, seed=0)
    PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(64)
    assert venv.get_attr("joint_states")[0].keys() == {"task"}


def test_an_indicator_tells_agents_apart() -> None:
    venv = make_parallel_vec(stage, loads("reward: reward"), indicator=True, seed=0)
    assert venv.reset()[:, 2:].tolist() == [[1, 0], [0, 1]]


def test_a_pattern_chooses_the_rows_and_others_act_by_themselves() -> None:
    told: list[str] = []

    def others(agent: str, obs: Any) -> int:
        told.append(agent)
        return 2

    venv = make_parallel_vec(stage, loads("reward: reward"), agents="s*", others=others, seed=0)
    venv.reset()
    assert venv.num_envs == 1 and venv.step(np.array([1]))[1].tolist() == [1] and told == ["pilot"]
    assert venv.rows.games[0].env.env.taken == [{"scout": 1, "pilot": 2}]  # type: ignore[attr-defined]
    with pytest.raises(MismatchError, match="no-such-agent"):
        make_parallel_vec(stage, loads("reward: reward"), agents="adversary_*")


def test_agents_of_different_spaces_are_refused_by_name() -> None:
    def odd() -> Stage:
        env = stage()
        env.action_spaces["pilot"] = spaces.Discrete(5)
        return env

    with pytest.raises(UnsupportedError, match=r"'scout' and 'pilot' cannot share a policy.*unfit-spaces"):
        make_parallel_vec(odd, loads("reward: reward"))
    text = (
        "propositions: {up: 'next_obs[0] > 0'}\nagents: {scout: {reward: {once: up}}, default: {reward: 1}}"
    )
    with pytest.raises(UnsupportedError, match="unfit-spaces"):
        make_parallel_vec(stage, loads(text))  # memory that one has and the other has not


def test_a_rollout_is_learnt_from_where_agents_acted() -> None:
    here = GroupSpaces(2, spaces.Box(-1, 1, (1,)), spaces.Discrete(2))
    buffer = MaskedRolloutBuffer(3, here.observation_space, here.action_space, n_envs=2)
    import torch

    for step in range(3):
        row = np.array([[step], [10 + step]], np.float32)
        buffer.add_masked(
            row, np.zeros(2), np.zeros(2), np.zeros(2), torch.zeros(2), torch.zeros(2), [True, step == 1]
        )
    buffer.compute_returns_and_advantage(torch.zeros(2), np.zeros(2))
    seen = np.concatenate([batch.observations.numpy().ravel() for batch in buffer.get(2)])
    assert sorted(seen) == [0, 1, 2, 11]


# -- training together ---------------------------------------------------------------------------------------

SMALL = {"n_steps": 16, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}}
SPEC = "examples/teams/two_buttons.yaml"


def test_groups() -> None:
    entries = {"a_0": "a_*", "a_1": "a_*", "b": "default"}
    assert groups_of(entries, "shared") == {"all": ["a_0", "a_1", "b"]}
    assert groups_of(entries, "independent") == {"a_0": ["a_0"], "a_1": ["a_1"], "b": ["b"]}


@pytest.mark.parametrize("policies", ["shared", "independent"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, policies: str) -> None:
    """The same rows of progress, to the last digit, but for the seconds."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(folder).rows()]

    options: dict[str, Any] = {"policies": policies, "steps": 160, "n_envs": 2, "agent": SMALL, "show": False}
    whole = train_team(SPEC, tmp_path / "whole", **options)

    class StopError(Exception):
        pass

    def stop(row: dict[str, Any]) -> None:
        if row["steps"] >= 96:
            raise StopError

    with pytest.raises(StopError):
        train_team(SPEC, tmp_path / "cut", **{**options, "show": stop}, checkpoint_seconds=0)
    resume_team(tmp_path / "cut", show=False)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole") and len(rows(tmp_path / "cut")) == 5
    assert whole.is_finished and json.loads(whole.result.read_text())["policies"] == policies
    assert [episode["l"] for episode in play_team(whole.path, 2)] == [100, 100]
    assert list(whole.tensorboard.iterdir())
    whole.spec.write_text(whole.spec.read_text() + "\nobjective: limit_average\n")
    with pytest.raises(UnsupportedError, match=r"maximises the average reward .*\[spec-changed\]"):
        resume_team(whole.path, show=False)


def test_what_cannot_be_trained_is_refused_before_there_is_a_folder(tmp_path: Path) -> None:
    for spec, options, code in (
        (SPEC, {"policies": "each"}, "wrong-setting"),
        (SPEC, {"agent": {"gamma": 0.5}}, "discount-mismatch"),
        (loads("reward: 1"), {}, "no-environment"),
        (loads("reward: 1"), {"env_id": "mpe2/simple_tag_v3"}, "unfit-spaces"),
    ):
        with pytest.raises((UnsupportedError, MismatchError, SpecError), match=code):
            train_team(spec, tmp_path / "run", show=False, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
