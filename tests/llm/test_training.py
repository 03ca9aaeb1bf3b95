"""Training with a judge: the command's environments ask the model that the user has named, and pay by its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envs.text_key_room import ACTIONS
from rewardspec import RewardSpecError, loads
from rewardspec.llm.judges import judge_for
from rewardspec.llm.records import Recorder
from rewardspec.llm.scripted import Scripted
from rewardspec.training.environments import _minihack_keys, make_env
from rewardspec.wrappers.single import as_program

SPEC = """
env: {{id: {env}}}
reward:
  - subgoals:
      task: Pick up the key and leave.
      subgoals: [pick up the key]
      judge: {{llm: default, observation: {view}}}
"""
ROOM = SPEC.format(env="rewardspec/TextKeyRoom-v0", view="crop9")
WAY = ("W", "W", "PICKUP", "S", "PICKUP")


def say(request: Any) -> str:
    return json.dumps(
        {"pick up the key": "| message: g - a key" in request.messages[-1].content.split("After")[-1]}
    )


def test_the_environments_of_a_run_are_judged_by_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kwargs = {"layout": 0}
    recorder = Recorder(Scripted(say, "small"), tmp_path / "r.jsonl")

    def play(env: Any) -> list[float]:
        env.reset(seed=0)
        return [float(env.step(ACTIONS.index(move))[1]) for move in WAY]

    monkeypatch.setattr(
        "rewardspec.training.environments.judge_for",
        lambda program, space: judge_for(program, space, recorder),
    )
    assert play(make_env(loads(ROOM), "rewardspec/TextKeyRoom-v0", kwargs)) == [0, 0, 1, 0, 0]
    monkeypatch.undo()
    monkeypatch.setenv("REWARDSPEC_LLM", f"replay:{tmp_path / 'r.jsonl'}")
    assert play(make_env(loads(ROOM), "rewardspec/TextKeyRoom-v0", kwargs)) == [0, 0, 1, 0, 0]


def test_without_a_model_a_run_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REWARDSPEC_LLM", raising=False)
    with pytest.raises(RewardSpecError, match="no-llm"):
        make_env(loads(ROOM), "rewardspec/TextKeyRoom-v0")


@pytest.mark.parametrize(("view", "key"), [("auto", "message"), ("chars", "chars"), ("tty", "tty_chars")])
def test_minihack_is_made_with_what_the_judge_is_shown(view: str, key: str) -> None:
    program = as_program(loads(SPEC.format(env="MiniHack-KeyRoom-S5-v0", view=view)))
    assert key in _minihack_keys(program, seen=False)
