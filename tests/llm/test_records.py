"""Budgets, records and replays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rewardspec.errors import LanguageModelError
from rewardspec.llm.budget import Budget, Budgeted
from rewardspec.llm.provider import Completion, Request, ask
from rewardspec.llm.providers import open_provider
from rewardspec.llm.records import Recorder, RecordStore, Remembered, Replay
from rewardspec.llm.scripted import Scripted


def echo(request: Request) -> str:
    return request.messages[-1].content.upper()


def test_equal_requests_have_equal_digests_and_each_option_counts() -> None:
    request = ask("Is it open?", schema={"a": 1, "b": 2}, prompt="judge@1")
    assert replace(request, schema={"b": 2, "a": 1}, prompt="judge@2").digest() == request.digest()
    changed = [
        ask("Is it shut?", schema=request.schema),
        ask("Is it open?", system="", schema=request.schema),
        replace(request, schema=None),
        replace(request, schema=None, grammar="root ::= x"),
        replace(request, n=2),
        replace(request, temperature=0.1),
        replace(request, seed=1),
        replace(request, max_tokens=1),
    ]
    assert len({request.digest(), *(r.digest() for r in changed)}) == 9


def test_what_was_recorded_is_answered_the_same_without_a_model(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "records.jsonl"
    recorder = Recorder(Scripted(echo), file)
    asked = [ask("open?", n=2), ask("shut – ö?", temperature=1.0, seed=3)]
    first = [recorder.complete(request) for request in asked]
    again = [recorder.complete(request) for request in asked]
    assert again == first and recorder.misses == 2
    replay = Replay(file)
    assert [replay.complete(request) for request in asked] == first
    assert replay.card == first[0].card and not replay.complete(asked[0]).is_new
    (line, _) = file.read_text().splitlines()
    assert set(json.loads(line)) == {
        "request", "digest", "prompt", "model", "answers", "tokens", "seconds", "date",
    }  # fmt: skip


def test_a_miss_shows_the_nearest_record_and_the_difference(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    recorder = Recorder(Scripted(echo), file)
    recorder.complete(ask("Map:\n#.#\nIs the door open?"))
    recorder.complete(ask("Tell a joke"))
    with pytest.raises(LanguageModelError) as caught:
        Replay(file).complete(ask("Map:\n#+#\nIs the door open?", seed=4))
    message = str(caught.value)
    assert caught.value.problems[0].code == "no-record"
    assert "-#.#\n+#+#\n-seed: 0\n+seed: 4" in message


def test_a_file_with_several_models_wants_one_named(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    for name in ("small", "large"):
        Recorder(Scripted([f"I am {name}"], name), file).complete(ask("Who?"))
    assert Replay(file, "large").complete(ask("Who?")).text == "I am large"
    for model in (None, "huge"):
        with pytest.raises(LanguageModelError, match="large, small"):
            Replay(file, model)
    with pytest.raises(LanguageModelError, match="no records"):
        Replay(tmp_path / "none.jsonl")


def test_a_record_that_was_changed_by_hand_is_found(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    Recorder(Scripted(echo), file).complete(ask("open?"))
    line = file.read_text()
    for broken in (
        line.replace("open?", "shut?"),
        "{}\n",
        "]\n",
        line.replace('"answers": [', '"answers": [3, '),
    ):
        file.write_text(broken + line)
        with pytest.raises(LanguageModelError, match=r"line 1.*broken-records"):
            RecordStore(file)


def test_a_last_line_that_was_cut_off_is_let_pass(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    Recorder(Scripted(echo), file).complete(ask("open?"))
    file.write_text(file.read_text() + '{"request": {"mess')
    assert len(RecordStore(file)) == 1


def test_the_record_after_a_cut_off_line_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    Recorder(Scripted(echo), file).complete(ask("open?"))
    file.write_text(file.read_text() + '{"request": {"mess')
    Recorder(Scripted(echo), file).complete(ask("shut?"))
    assert len(RecordStore(file)) == 2


def test_a_budget_of_calls_counts_failed_ones_and_not_recorded_ones(tmp_path: Path) -> None:
    budgeted = Budgeted(Scripted(["one", "two"]), Budget(calls=3))
    recorder = Recorder(budgeted, tmp_path / "records.jsonl")
    for _ in range(5):
        recorder.complete(ask("a"))
    assert budgeted.spent.calls == 1
    recorder.complete(ask("b"))
    with pytest.raises(LanguageModelError, match="script-ended"):
        recorder.complete(ask("c"))
    with pytest.raises(LanguageModelError, match="budget of 3 calls is spent"):
        recorder.complete(ask("d"))


def test_a_call_that_may_pass_the_budget_of_tokens_is_not_made() -> None:
    inner = Scripted(echo)
    budgeted = Budgeted(inner, Budget(tokens=200))
    budgeted.complete(ask("a b c", max_tokens=50))
    with pytest.raises(LanguageModelError, match="tokens are used"):
        budgeted.complete(ask("a b c", max_tokens=190))
    assert len(inner.requests) == 1 and budgeted.spent.tokens == 6


def test_a_budget_of_seconds_ends_with_the_call_that_spends_it() -> None:
    class Slow(Scripted):
        def complete(self, request: Request) -> Completion:
            return replace(super().complete(request), seconds=3.0)

    budgeted = Budgeted(Slow(echo), Budget(seconds=5.0))
    for _ in range(2):
        budgeted.complete(ask("a"))
    with pytest.raises(LanguageModelError, match=r"calls took 6\.0 s"):
        budgeted.complete(ask("a"))


def test_what_was_said_is_remembered_while_the_process_lives() -> None:
    inner = Scripted(echo)
    remembered = Remembered(inner)
    for _ in range(3):
        assert remembered.complete(ask("a")).text == "A"
        remembered.complete(ask("a", temperature=1.0))
    assert len(inner.requests) == 1 + 3  # what is drawn at random is drawn anew


def test_the_user_limits_and_records_what_a_process_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    Recorder(Scripted(echo), first).complete(ask("a"))
    monkeypatch.setenv("REWARDSPEC_LLM", f"replay:{first}")
    monkeypatch.setenv("REWARDSPEC_LLM_RECORDS", str(second))
    monkeypatch.setenv("REWARDSPEC_LLM_BUDGET", "calls=1")
    assert open_provider().complete(ask("a")).text == "A" and len(RecordStore(second)) == 1
    for wrong in ("500 calls", "calls=many", "calls=-1", "hours=3", "calls"):
        monkeypatch.setenv("REWARDSPEC_LLM_BUDGET", wrong)
        with pytest.raises(LanguageModelError, match="bad-budget"):
            open_provider()
