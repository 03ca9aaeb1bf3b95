"""The commands about messages: what a run would ask, labels for what a run has left, and what messages are worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from envs.message_rooms import HELPFUL
from rewardspec.cli import app
from rewardspec.environments import make_environment
from rewardspec.llm.estimate import estimate
from rewardspec.llm.feedback import request_for
from rewardspec.llm.questions import AnswerFile, Queue
from rewardspec.llm.records import Recorder
from rewardspec.llm.scripted import Scripted
from rewardspec.training.loop import train
from rewardspec.vocabulary import loads

SPEC = """
env: {{id: rewardspec/MessageRooms-v0, kwargs: {{observe: index}}, horizon: 100}}
reward:
  - reward
  - feedback: {{task: Find the way out., message: info.message, {more}}}
"""


def test_a_run_asks_once_for_each_message_or_for_so_many_pairs() -> None:
    env = make_environment("rewardspec/MessageRooms-v0")
    found = estimate(loads(SPEC.format(more="model: retrieval")), env, 600)
    assert 10 < found.distinct <= 44 and found.calls(600) == found.distinct and found.pairs is None
    assert 300 < found.tokens < 700, "a prompt, and an answer of at most 200"
    ranked = estimate(loads(SPEC.format(more="model: ranking, pairs: 5, after: 100, every: 100")), env, 600)
    assert ranked.calls(1000) == 50, "ten refreshes, five pairs each"
    most = ranked.distinct * (ranked.distinct - 1) // 2
    assert ranked.calls(600 * 100) >= most, "never more than there are pairs"
    assert ranked.calls(99) == 0


def test_what_a_run_has_left_is_labelled_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = tuple((f"Message {i}.",) for i in range(4))
    Queue("Leave.", batch=3, questions=questions).write(tmp_path)
    recorder = Recorder(Scripted(lambda request: "Label: FOO", "small"), tmp_path / "records.jsonl")
    for question in questions:
        recorder.complete(request_for(question, "Leave."))
    monkeypatch.setenv("REWARDSPEC_LLM", f"replay:{tmp_path / 'records.jsonl'}")
    done = CliRunner().invoke(app, ["llm", "annotate", str(tmp_path), "--batches", "1"])
    assert done.exit_code == 0 and "3 questions have an answer" in done.output
    done = CliRunner().invoke(app, ["llm", "annotate", str(tmp_path)])
    assert "4 questions have an answer" in done.output
    assert {each.value for each in AnswerFile(tmp_path).read_new()} == {1.0}


def test_a_run_says_what_messages_are_worth(tmp_path: Path) -> None:
    more = f"judge: {{oracle: {json.dumps(HELPFUL)}}}, after: 1, every: 128"
    run = train(loads(SPEC.format(more=more)), tmp_path / "run", steps=256, n_envs=2, show=False,
                agent={"n_steps": 64, "batch_size": 64})  # fmt: skip
    done = CliRunner().invoke(app, ["explain", str(run.path)])
    assert done.exit_code == 0, done.output
    first = done.output.index("You unlock the heavy door")
    assert "answers that could not be read" in done.output and first < done.output.index("You feel a draft.")
    told = [json.loads(line) for line in (run.path / "learned.jsonl").read_text().splitlines()]
    assert told[-1]["unread"] == 0 and told[-1]["labels"] >= 5
