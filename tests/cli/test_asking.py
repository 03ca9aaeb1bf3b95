"""`rewardspec llm`: what it lists, what it says before anything is asked, and how it asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from rewardspec.llm.discover import request_for
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request
from rewardspec.llm.records import Recorder
from rewardspec.llm.scripted import Scripted
from rewardspec.llm.teaching import distil_judges
from rewardspec.vocabulary import load
from tests.cli.conftest import Run

SPEC = """
env: {id: rewardspec/TextKeyRoom-v0}
reward:
  - reward
  - subgoals:
      task: Pick up the key, open the door, reach the stairs.
      subgoals: discover
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "keyroom.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.parametrize("command", ["fetch", "estimate", "discover", "ask"])
def test_help_of_a_command_has_an_example(run: Run, command: str) -> None:
    assert f"rewardspec llm {command}" in run("llm", command, "--help").stdout


def test_fetch_lists_what_there_is_and_refuses_what_there_is_not(run: Run) -> None:
    listed = run("llm", "fetch").stdout
    assert "smollm2" in listed and "Apache-2.0" in listed and "1,117 MB" in listed
    result = run("llm", "fetch", "qwen-codr-1.5b")
    assert result.exit_code == 1 and "Did you mean 'qwen-coder-1.5b'" in result.stderr


def test_estimate_says_what_a_run_would_cost(run: Run, spec: Path) -> None:
    spec.write_text(SPEC.replace("discover", "[pick up the key, open the door]"))
    said = run("llm", "estimate", str(spec), "--steps", "20000", "--play", "300").stdout
    assert (
        said.startswith("300 random steps: ")
        and "at most, if no step looks like another: 20,000 calls" in said
    )


def test_discover_writes_a_spec_by_what_was_recorded(
    run: Run, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = tmp_path / "records.jsonl"
    Recorder(Scripted(['["find the key", "open the door"]'], "small"), records).complete(
        request_for(load(spec).reward[1].body)  # type: ignore[arg-type]
    )
    monkeypatch.setenv("REWARDSPEC_LLM", f"replay:{records}")
    out = tmp_path / "found.yaml"
    assert run("llm", "discover", str(spec), "-o", str(out)).exit_code == 0
    assert load(out).provenance["subgoals"]["model"] == "small"
    assert run("check", str(out)).exit_code == 0


def test_distil_writes_classifiers_and_the_spec_that_uses_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = "env: CartPole-v1\nreward: {subgoals: {subgoals: [lean], judge: {llm: default, observation: numbers}}}"
    (tmp_path / "asking.yaml").write_text(asking)
    env, kept = gym.make("CartPole-v1"), tmp_path / "said.jsonl"
    env.reset()
    recorder = Recorder(Leans(env), kept)
    distil_judges(load(tmp_path / "asking.yaml"), env, recorder, steps=150)
    monkeypatch.setenv("REWARDSPEC_LLM", f"replay:{kept}")
    result = run("llm", "distil", "asking.yaml", "--steps", "150", "-o", "fast.yaml")
    assert result.exit_code == 0, result.stderr
    assert "subgoals.npz: agrees with leans on" in result.stderr.replace("\n", " ")
    assert load(tmp_path / "fast.yaml").reward[0].body.judge.distilled == "subgoals.npz"
    assert (tmp_path / "subgoals.npz").stat().st_size > 0


class Leans:
    """Stands for a model: it looks at the pole itself."""

    card = ModelCard("leans", "scripted")

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env = env

    def complete(self, request: Request) -> Completion:
        said = str(bool(self.env.unwrapped.state[2] > 0)).lower()
        return Completion((Answer(f'{{"lean": {said}}}'),), self.card, 1, 1)


def test_without_a_model_it_says_how_to_name_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REWARDSPEC_LLM", raising=False)
    result = run("llm", "ask", "Is water wet?")
    assert result.exit_code == 1 and "REWARDSPEC_LLM=http://127.0.0.1:8080/v1" in result.stderr
