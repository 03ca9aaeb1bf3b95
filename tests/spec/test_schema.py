"""The JSON Schema for editors: takes every spec that can be read, refuses plain mistakes, is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from docs.generate import SCHEMA, schema_text
from rewardspec.compiler import compile_spec
from rewardspec.spec.examples import EXAMPLES
from rewardspec.spec.schema import json_schema
from rewardspec.spec.text import read_file, read_text
from rewardspec.vocabulary import VOCABULARY, from_data
from tests.spec.spec_strategies import specs, team_specs

ROOT = Path(__file__).parents[2]
GALLERY = sorted(path for name in ("specs", "teams") for path in (ROOT / "examples" / name).glob("*.yaml"))

GENERATED = json_schema(VOCABULARY)
CHECKER = Draft202012Validator(GENERATED)


def test_the_schema_is_a_schema_and_the_file_is_not_stale() -> None:
    Draft202012Validator.check_schema(GENERATED)
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `make docs`"


@settings(max_examples=150)
@given(specs())
def test_every_spec_that_can_be_read_fits(data: dict[str, Any]) -> None:
    spec = from_data(data)
    CHECKER.validate(data)
    CHECKER.validate(spec.to_data())


@settings(max_examples=40)
@given(team_specs())
def test_every_spec_for_several_agents_fits(data: dict[str, Any]) -> None:
    CHECKER.validate(data)
    CHECKER.validate(from_data(data).to_data())


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_the_gallery_fits(path: Path) -> None:
    CHECKER.validate(read_file(path).value)


@pytest.mark.parametrize("word", VOCABULARY)
def test_every_word_has_an_example_that_compiles(word: str) -> None:
    term = read_text(EXAMPLES[word]).value
    assert word in term
    data = {"discount": 0.9, "propositions": ["coffee", "office", "broken"], "reward": [term]}
    compile_spec(from_data(data))
    CHECKER.validate(data)


@pytest.mark.parametrize(
    "text",
    [
        "name: no reward",
        "rewardspec: 2\nreward: 1",
        "reward: []",
        "reward: true",
        "reward: 1\ndiscont: 0.9",
        "reward: 1\ndiscount: 1.5",
        "reward: 1\ndiscount: high",
        "reward: 1\nobserve: all",
        "reward: 1\npropositions: [a, a]",
        "reward: 1\nend: [{how: terminated}]",
        "reward: 1\nend: {how: terminated}",
        "reward: 1\nend: broken",
        "reward: 1\ntests: [{trace: [[]]}]",
        "reward: {}",
        "reward: {markv: 1}",
        "reward: {markov: 1, ltl: F a}",
        "reward: {markov: 1, wieght: 2}",
        "reward: {markov: 1, weight: much}",
        "reward: {markov: 1, weight: {linear: {from: 1}}}",
        "reward: {markov: {value: 1, low: 2}}",
        "reward: {markov: {}}",
        "reward: {ltl: 1}",
        "reward: {ltl: F a, pay: never}",
        "reward: {ltl: {semantics: finite}}",
        "reward: {clip: {low: 1}}",
        "reward: {clip: [1, 2]}",
        "reward: {clip: {markov: 1}, lwo: 1}",
        "reward: {threshold: {markov: 1}}",
        "reward: {sum: []}",
        "reward: {sum: [{markv: 1}]}",
        "reward: {reward_machine: [{from: a}]}",
        "reward: {reward_machine: {start: a, edges: [{to: b}]}}",
        "reward: {reward_machine: {start: a, edges: [{from: a, too: b}]}}",
        "reward: {reward_machine: {start: a, edges: []}}",
        "reward: {gate: {markov: 1}}",
        "reward: {heron: {factors: []}}",
        "reward: {heron: {factors: [{name: speed}]}}",
        "reward: {heron: {factors: [{name: speed, value: reward, margin: -1}]}}",
        "reward: {preferences: {teacher: reward}}",
        "reward: {preferences: {labels: {tacher: reward}}}",
    ],
)
def test_plain_mistakes_are_seen_while_typing(text: str) -> None:
    assert not CHECKER.is_valid(read_text(text).value)


@pytest.mark.parametrize(
    "text", ["reward: 1", "reward: {ltl: F a, weight: 2}", "reward: {clip: {of: a, low: 1}}"]
)
def test_and_their_right_forms_are_not(text: str) -> None:
    CHECKER.validate(read_text(text).value)


def test_an_editor_has_a_text_for_every_key() -> None:
    term = GENERATED["$defs"]["Term"]["anyOf"][1]
    described = [*GENERATED["properties"].items(), *term["properties"].items()]
    for word in VOCABULARY:
        described += GENERATED["$defs"][word]["properties"].items()
    assert [name for name, schema in described if not schema.get("description")] == []
    assert set(VOCABULARY) <= set(term["properties"])
    assert all(term["properties"][word]["examples"] for word in VOCABULARY)


def test_the_file_is_small_enough_to_read() -> None:
    """A word with its options takes some 3,900 characters, and the document around them as much as five."""
    assert len(json.dumps(GENERATED)) < 4_000 * (len(VOCABULARY) + 5)
