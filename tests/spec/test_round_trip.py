"""A spec is one value, however it is written: YAML, plain data, builders and Python text give it back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from rewardspec import dsl as rs
from rewardspec.compiler import compile_spec
from rewardspec.dsl_source import to_python
from rewardspec.errors import SpecError
from rewardspec.spec.model import Spec
from rewardspec.spec.parts import parts
from rewardspec.spec.text import dump_text
from rewardspec.spec.writing import main_field
from rewardspec.vocabulary import VOCABULARY, from_data, loads
from tests.spec.spec_strategies import specs, team_specs

OFFICE = """\
rewardspec: 1
name: office-coffee
discount: 0.95
env: Office-v0
signals:
  speed: norm(obs)
propositions: [coffee, office, broken]
reward:
  - ltl: F(coffee & X F office) & G !broken
    accept: 2
    reject: -1
  - reward_machine:
      start: want
      terminal: lost
      edges:
        - {from: want, to: have, when: coffee and not broken, reward: 0.1}
        - {from: [want, have], to: lost, when: broken}
    name: machine
    weight:
      linear: {from: 1, to: 0, over: 1000}
  - clip: {markov: -0.01 * abs(action), weight: 2}
    low: -1
  - lexicographic:
      levels: 4
      terms:
        - markov: speed
        - once: office
tests:
  - name: coffee first, then the office
    trace: [[], [coffee], [], [office]]
    return: {ltl: 2, machine: 0.1}
"""


def run(program: str) -> Any:
    """Run a program that `to_python` wrote."""
    names: dict[str, Any] = {}
    exec(compile(program, "<program>", "exec"), names)
    return names["spec"]


def test_a_spec_is_written_the_way_a_person_writes_it() -> None:
    assert loads(OFFICE).to_yaml() == OFFICE


@pytest.mark.parametrize(
    "text",
    [
        "reward: 1\nend: [{when: next_obs[0] > 3, value: -1}]\n",
        "agents: {default: {reward: 1, end: [{when: next_obs[0] > 3, value: -1}]}}\n",
        "joint: {reward: 1, end: [{when: next_obs[0] > 3, value: -1}]}\n",
    ],
)
def test_one_end_needs_no_list(text: str) -> None:
    """As one term of `reward` needs none; it is written as a list, and a problem in it has its place."""
    text = text.replace("next_obs[0] > 3", "'next_obs[0] > 3'")
    bare = text.replace("end: [", "end: ").replace("}]", "}")
    assert loads(bare) == loads(text)
    assert loads(loads(bare).to_yaml()) == loads(bare)
    with pytest.raises(SpecError, match=r"<text>:\d+:\d+: .*end\.whn: .*unknown-key"):
        loads(bare.replace("when:", "when: true, whn:"), "<text>")
    with pytest.raises(SpecError, match=r"end\.when: unknown name 'speed'"):
        check_all(loads(bare.replace("next_obs[0]", "speed"), "<text>"))


def check_all(spec: Spec) -> None:
    """Compile every part of a spec."""
    for _, part in parts(spec):
        compile_spec(part)


def test_builders_give_the_spec_that_yaml_gives() -> None:
    machine = (
        rs.reward_machine(start="want", terminal="lost", name="machine")
        .edge("want", "have", when="coffee and not broken", reward=0.1)
        .edge(["want", "have"], "lost", when="broken")
    )
    built = rs.spec(
        "office-coffee",
        discount=0.95,
        env="Office-v0",
        signals={"speed": "norm(obs)"},
        propositions=["coffee", "office", "broken"],
        reward=rs.ltl("F(coffee & X F office) & G !broken", accept=2, reject=-1)
        + machine * rs.linear(1, 0, over=1000)
        + (2 * rs.markov("-0.01 * abs(action)")).clip(low=-1)
        + rs.lexicographic("speed", rs.once("office"), levels=4),
        tests=[
            rs.test(
                "coffee first, then the office",
                trace=[[], ["coffee"], [], ["office"]],
                return_={"ltl": 2, "machine": 0.1},
            )
        ],
    )
    assert built == loads(OFFICE)
    assert run(to_python(built)) == built


@pytest.mark.parametrize("word", VOCABULARY)
def test_the_writer_knows_the_main_field_of_every_word(word: str) -> None:
    assert main_field(VOCABULARY[word].model) == VOCABULARY[word].main


def test_a_builder_that_takes_its_main_field_by_name_is_written_so() -> None:
    spec = loads("reward: {submodular: {coverage: {radius: 1}, cells: {counts: [3, 3]}}}")
    assert "coverage=" in to_python(spec) and run(to_python(spec)) == spec


@settings(max_examples=300)
@given(specs())
def test_yaml_and_python_text_give_the_spec_back(data: dict[str, Any]) -> None:
    spec = from_data(data)
    assert loads(dump_text(data)) == spec, "the drawn data, as YAML"
    text = spec.to_yaml()
    again = loads(text)
    assert again == spec
    assert again.to_yaml() == text, "written twice, it reads the same"
    assert from_data(spec.to_data()) == spec
    assert run(to_python(spec)) == spec


@settings(max_examples=60)
@given(team_specs())
def test_a_spec_for_several_agents_comes_back_too(data: dict[str, Any]) -> None:
    spec = from_data(data)
    assert loads(dump_text(data)) == spec
    assert loads(spec.to_yaml()) == from_data(spec.to_data()) == spec
    assert run(to_python(spec)) == spec


@settings(max_examples=100)
@given(specs())
def test_every_term_goes_through_the_generic_builder(data: dict[str, Any]) -> None:
    spec = from_data(data)
    terms = [rebuild(term) for term in spec.to_data()["reward"]]
    rest = {key: value for key, value in spec.to_data().items() if key not in ("rewardspec", "reward")}
    assert rs.spec(rest.pop("name", "reward"), reward=terms, **rest) == spec


def rebuild(data: Any) -> rs.Reward:
    """Build a term of YAML's form with `rs.term`."""
    (word,) = (key for key in data if key in VOCABULARY)
    kind, inner = VOCABULARY[word], data[word]
    under = isinstance(inner, dict) and not (kind.main in kind.terms and set(inner) & set(VOCABULARY))
    fields = dict(inner) if under else {kind.main: inner}
    fields |= {key: value for key, value in data.items() if key not in (word, "name", "weight")}
    for name in kind.terms:
        held = fields[name]
        fields[name] = [rebuild(item) for item in held] if isinstance(held, list) else rebuild(held)
    return rs.term(word, name=data.get("name"), weight=data.get("weight"), **fields)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("markov: '0.1'", "markov: 0.1"),
        ("markov: '0.10'", 'markov: "0.10"'),  # an expression keeps its text
        ("markov: 'true'", "markov: true"),
        ("{clip: {of: {markov: action}, low: -1.0}}", "clip: {markov: action}\n    low: -1"),
        ("{once: {when: goal, value: '2'}}", "once: goal\n    value: 2"),
        ("{sum: {terms: [action]}}", "sum:\n      - markov: action"),
        ("{potential: {machine: m}}", "potential: {machine: m}"),
    ],
)
def test_short_forms(written: str, shown: str) -> None:
    text = loads(f"reward: [{written}]" if written[0] == "{" else f"reward: [{{{written}}}]").to_yaml()
    assert text == f"rewardspec: 1\nreward:\n  - {shown}\n"


def test_python_text_of_a_long_term_under_an_operator_without_options() -> None:
    machine = rs.reward_machine(start="u0")
    for i in range(4):
        machine = machine.edge(f"u{i}", f"u{i + 1}", when="coffee and not broken", reward=0.25)
    spec = rs.spec(reward=machine.tanh().affine())
    assert run(to_python(spec)) == spec


def test_content_tells_specs_apart() -> None:
    assert loads("reward: 1") != loads("reward: 2")
    assert loads("reward: 1") != loads("reward: {markov: 1, weight: 2}")
    assert loads("reward: [1, 2]") != loads("reward: [2, 1]")


def test_numbers_of_free_data_keep_their_type() -> None:
    spec = loads("env: {kwargs: {sigma: 1.0, size: 1}}\nreward: 1")
    kwargs = loads(spec.to_yaml()).env.kwargs  # type: ignore[union-attr]
    assert [type(value) for value in kwargs.values()] == [float, int]
