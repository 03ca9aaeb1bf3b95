"""What real models answered, replayed: the scores beside the records come out again, byte for byte.

The records are of real weights, named in every line (`python -m benchmarks.calm ask`). They prove what these models
said to these prompts. A prompt that changes without new records fails here.
"""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import pytest

import rewardspec
from benchmarks.calm import sets
from rewardspec.encoder.language import read_encoder
from rewardspec.llm.factors import Question, ask_factors
from rewardspec.llm.forms import describe, widths_of
from rewardspec.llm.prompts import Prompt, load_prompt
from rewardspec.llm.records import RecordStore, Replay
from rewardspec.llm.verification import Verdict
from rewardspec.llm.weights import catalogue

every_model = pytest.mark.parametrize("model", sets.models())


def test_there_are_records() -> None:
    assert sets.models()


def test_there_are_records_of_a_model_that_can_judge() -> None:
    """It tells keys from doors and misses few; it sees events where there are none, as always saying yes does."""
    scores = json.loads(
        sets.records_of("qwen-coder-1.5b").with_suffix(".scores.json").read_text(encoding="utf-8")
    )
    assert scores["steps"] == 50
    assert scores["strict"]["f1"] > 0.85 and scores["strict"]["fn"] <= 2


@every_model
def test_the_stored_scores_come_out_again(model: str) -> None:
    stored = sets.records_of(model).with_suffix(".scores.json").read_text(encoding="utf-8")
    assert sets.scores_text(model) == stored == sets.scores_text(model)
    assert json.loads(stored)["steps"] >= len(RecordStore(sets.records_of(model))) > 0


def test_the_page_is_made_from_the_records() -> None:
    assert (sets.FOLDER / "table.md").read_text(encoding="utf-8") == sets.table()


@every_model
def test_the_records_name_the_model_its_weights_and_the_prompt_of_today(model: str) -> None:
    store = RecordStore(sets.records_of(model))
    assert store.models() == [model] and store.prompts() == {load_prompt("calm_judge").id}
    for record in store.records():
        assert record["model"]["weights"] == catalogue()[model].sha256
        assert record["model"]["runtime"].startswith("xllamacpp ")
    assert store.path.stat().st_size < 300_000


@every_model
def test_a_prompt_that_changes_without_new_records_is_noticed(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = Prompt("calm_judge", load_prompt("calm_judge").text.replace("an agent", "a player"))
    monkeypatch.setattr("rewardspec.llm.judges.load_prompt", lambda name: changed)
    assert RecordStore(sets.records_of(model)).prompts() != {changed.id}
    asked, _, _ = sets.replay(model, sets.read(sets.BALANCED))
    assert asked == []


def test_no_record_holds_a_key_or_a_path() -> None:
    for path in Path(sets.FOLDER).glob("*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert "Authorization" not in text and "Bearer" not in text and str(Path.home()) not in text


def test_the_factors_that_a_model_wrote_for_reacher_come_out_again() -> None:
    """Five answers, one made of them, one repair: the prompts of today are those that were recorded."""
    folder = Path(__file__).parent.parent.parent / "benchmarks" / "results" / "lare"
    latent = rewardspec.load(folder / "reacher_qwen.yaml").to_data()["reward"][0]["latent"]
    provider = Replay(folder / "reacher_qwen.jsonl")
    env = gym.make("Reacher-v5")
    question = Question(latent["task"], describe(env), *widths_of(env))
    asked = ask_factors(provider, question, lambda source: Verdict(read_encoder(source, 10, 2), None))
    assert asked.calls == 3 and "angle1 cosine" in asked.attempts[0].reason
    assert asked.source.strip() == latent["factors"]["source"].strip()
    assert asked.verdict.encoder.digest == latent["factors"]["sha256"]
    assert provider.card.name == latent["factors"]["written_by"] == "qwen-coder-1.5b"
    for record in provider.store.records():
        assert record["model"]["weights"] == catalogue()["qwen-coder-1.5b"].sha256
    assert {name.partition("@")[0] for name in provider.store.prompts()} == {
        "lare_ask",
        "lare_merge",
        "lare_repair",
    }
