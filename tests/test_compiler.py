"""The compiler: names of terms, problems collected, and a digest of what a program means."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rewardspec.compiler import compile_spec, find_circles, find_terms, term_names
from rewardspec.errors import SpecError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import End
from rewardspec.vocabulary import from_data, loads
from tests.agreement import worlds
from tests.kinds.episodes import compile_text, label_trace, rewards, term_payments


def problems(text: str) -> list[tuple[str, str]]:
    """Return code and path of every problem that compiling a text finds."""
    with pytest.raises(SpecError) as raised:
        compile_spec(loads(text))
    return [(p.code, p.place.path) for p in raised.value.problems]


# -- names -----------------------------------------------------------------------------------------


def test_terms_are_named_after_themselves_or_their_kind() -> None:
    spec = loads("reward: ['1', {markov: 2, name: two}, '3', {sum: [1]}, '4']")
    assert term_names(spec) == ["markov", "two", "markov_2", "sum", "markov_3"]
    assert [t.name for t in compile_spec(spec).terms] == term_names(spec)


def test_a_given_name_is_not_taken_by_a_term_before_it() -> None:
    spec = loads("reward: ['1', {markov: 2, name: markov}, {markov: 3, name: markov_2}]")
    assert term_names(spec) == ["markov_3", "markov", "markov_2"]


def test_two_terms_of_one_name_are_refused() -> None:
    text = "reward: [{markov: 1, name: same}, {markov: 2, name: same}]"
    assert problems(text) == [("duplicate-name", "reward[1].name")]


def test_a_signal_and_a_proposition_of_one_name_are_refused() -> None:
    assert [code for code, _ in problems("signals: {x: 1}\npropositions: {x: reward > 0}\nreward: x")] == [
        "duplicate-name"
    ]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(worlds.specs())
def test_names_in_a_program_are_unique(data: dict[str, Any]) -> None:
    program = compile_spec(from_data(data))
    for parts in (program.terms, program.machines, program.folds, program.params, program.propositions):
        names = [part.name for part in parts]
        assert len(set(names)) == len(names)


def test_find_terms_walks_into_operators() -> None:
    spec = loads("reward: [{sum: [1, {clip: {of: 2, low: 0}}]}]")
    assert [(term.kind, path) for path, term in find_terms(spec)] == [
        ("sum", ("reward", 0)),
        ("markov", ("reward", 0, "terms", 0)),
        ("clip", ("reward", 0, "terms", 1)),
        ("markov", ("reward", 0, "terms", 1, "of")),
    ]


# -- order -----------------------------------------------------------------------------------------

MACHINE = "{reward_machine: {start: u, edges: [{from: u, to: v, when: a, reward: 1}]}}"
POTENTIAL = "{potential: {machine: reward_machine}}"


def test_a_potential_may_read_a_machine_that_is_declared_after_it() -> None:
    """The terms keep the order of the spec, whatever order they are compiled in."""
    head = "discount: 0.5\npropositions: [a]\nreward:\n"
    before = compile_text(f"{head}- {POTENTIAL}\n- {MACHINE}")
    after = compile_text(f"{head}- {MACHINE}\n- {POTENTIAL}")
    assert [t.name for t in before.terms] == ["potential", "reward_machine"]
    assert [t.name for t in after.terms] == ["reward_machine", "potential"]
    steps = label_trace("", "a", "")
    assert rewards(before, steps) == rewards(after, steps)
    assert term_payments(before, steps, 0) == term_payments(after, steps, 1)


def test_the_ends_of_a_spec_pay_after_its_terms() -> None:
    program = compile_text(
        "propositions: [a]\nreward: [1, 2]\nend: [{when: a, value: 3}, {when: a, value: 4}]"
    )
    assert [t.name for t in program.terms] == ["markov", "markov_2", "end_1", "end_2"]


# -- problems --------------------------------------------------------------------------------------


def test_all_problems_of_the_terms_are_raised_at_once() -> None:
    text = """
propositions: [coffee]
reward:
- markov: cofee * 2
- reward_machine:
    start: u
    edges: [{from: u, to: v, when: tea}, {from: u, to: w, when: coffee}, {from: u, when: coffee}]
    terminal: [x]
- potential: obs
- potential: {machine: nowhere}
end: [{when: 1 + 1}]
"""
    found = problems(text)
    assert ("unknown-name", "reward[0].markov") in found
    assert {code for code, _ in found} == {
        "unknown-name",
        "unknown-proposition",
        "unknown-state",
        "overlapping-guards",
        "missing-discount",
        "unknown-machine",
        "expected-truth-value",
    }


def test_problems_of_declared_names_come_first_and_alone() -> None:
    """A proposition that cannot be read would make every guard that names it look wrong."""
    text = "signals: {s: nothing}\npropositions: {p: s + 1, q: 'r > 0'}\nreward: [also_nothing]"
    assert {path.split(".")[0] for _, path in problems(text)} == {"signals", "propositions"}


def test_at_most_five_problems_are_shown_and_the_rest_counted() -> None:
    text = "reward: [" + ", ".join(f"x{i}" for i in range(8)) + "]"
    with pytest.raises(SpecError) as raised:
        compile_spec(loads(text))
    assert len(raised.value.problems) == 8
    assert str(raised.value).count("[unknown-name]") == 5
    assert "3 more" in str(raised.value)


def test_a_value_that_depends_on_itself_within_one_step_is_found() -> None:
    """A fold whose next value reads its own next value has none; one that reads its last value has."""
    program = compile_text("propositions: [a]\nreward: {once: a}")
    (fold,) = program.folds
    assert list(find_circles(program)) == []
    circular = replace(fold, update=ir.Binary("add", ir.Memory(fold.name, after=True), ir.ONE))
    (problem,) = find_circles(replace(program, folds=(circular,)))
    assert problem.code == "circular"
    assert fold.name in problem.message


def test_a_circle_through_the_end_of_the_episode_is_found() -> None:
    """An end that waits for a payment that waits for the end."""
    program = compile_text("propositions: [a]\nreward: {once: a}")
    (fold,) = program.folds
    waits = replace(fold, update=ir.Where(ir.Ended("last"), ir.ONE, ir.ZERO))
    end = End(ir.Compare("gt", ir.Memory(fold.name, after=True), ir.ZERO))
    assert [p.code for p in find_circles(replace(program, folds=(waits,), ends=(end,)))] == ["circular"]


# -- digest ----------------------------------------------------------------------------------------

SPEC = """
discount: 0.9
propositions: {a: next_obs > 0, b: null}
reward:
- {ltl: F a & G !b, reject: -1}
- {markov: -0.1, name: cost}
"""


def test_the_digest_is_the_same_in_another_process() -> None:
    """It is stored beside checkpoints, so it must not depend on Python's own hashes, which are salted."""
    code = f"import rewardspec; print(rewardspec.compile_spec(rewardspec.loads({SPEC!r})).digest())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = run.stdout.strip()
    assert said == compile_text(SPEC).digest()
    assert len(said) == 16


def test_the_digest_does_not_depend_on_how_the_text_is_laid_out() -> None:
    laid_out = "# a comment\n" + SPEC.replace(
        "- {markov: -0.1, name: cost}", "- name: cost\n  markov: '-0.1'"
    )
    assert compile_text(laid_out).digest() == compile_text(SPEC).digest()
    spaced = SPEC.replace("next_obs > 0", "'(next_obs   >  0)'")
    assert compile_text(spaced).digest() == compile_text(SPEC).digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.9", "0.8"),
        ("next_obs > 0", "next_obs >= 0"),
        ("next_obs > 0", "obs > 0"),
        ("F a", "G a"),
        ("reject: -1", "reject: -2"),
        ("-0.1", "-0.2"),
        ("name: cost", "name: price"),
        ("name: cost", "weight: 2"),
        ("discount", "observe: index\ndiscount"),
        ("reward:", "end: [{when: b}]\nreward:"),
    ],
)
def test_the_digest_changes_when_the_meaning_does(old: str, new: str) -> None:
    assert old in SPEC
    assert compile_text(SPEC.replace(old, new, 1)).digest() != compile_text(SPEC).digest()


def test_an_end_and_a_term_of_that_name_are_told_apart() -> None:
    spec = loads("propositions: [a, b]\nreward: [{end: a, value: 1}]\nend: [{when: b, value: -1}]")
    assert [term.name for term in compile_spec(spec).terms] == ["end", "end_"]
