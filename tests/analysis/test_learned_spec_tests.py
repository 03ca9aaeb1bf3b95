"""`tests:` of a spec with learned terms: what is known is tested, what is learned is said to be left out."""

from __future__ import annotations

import pytest

from rewardspec.analysis.check import check
from rewardspec.analysis.draw import program_dot
from rewardspec.analysis.spec_tests import run_tests, show_result
from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError
from rewardspec.ir.show_program import show_program
from rewardspec.vocabulary import loads

SPEC = """\
propositions: {up: 'next_obs[0] > 0.9'}
reward:
  - heron:
      factors:
        - {name: upright, value: 'next_obs[0]', margin: {std: 1}}
        - {name: effort, value: '-abs(action[0])'}
  - clip: {preferences: {}}
    low: -1
  - markov: -0.01 * action[0]
  - once: up
tests:
  - name: a step
    transitions: [{obs: [1, 0], action: [1], next_obs: [1, 0], reward: 1}]
    %s
  - name: a trace
    trace: [[], [up]]
    return: {once: 1}
"""


def test_the_known_terms_are_tested_and_the_learned_ones_are_named() -> None:
    step, trace = run_tests(loads(SPEC % "return: {markov: -0.01, once: 1}"))
    assert step.passed and trace.passed
    assert step.learned == trace.learned == ("heron", "clip")
    assert "heron, clip are learned while an agent trains, and not counted" in show_result(step)[-1]
    assert set(step.rows[0].terms) == {"markov", "once"}


@pytest.mark.parametrize("expected", ["return: 0.99", "rewards: [0.99]"])
def test_a_sum_is_that_of_the_known_terms(expected: str) -> None:
    step, _ = run_tests(loads(SPEC % expected))
    assert step.passed
    wrong, _ = run_tests(loads(SPEC % expected.replace("0.99", "1")))
    assert not wrong.passed, "a test can still fail"


@pytest.mark.parametrize("name", ["heron", "clip"])
def test_a_test_cannot_expect_what_is_learned(name: str) -> None:
    with pytest.raises(SpecError, match=f"what '{name}' pays is learned while an agent trains") as caught:
        run_tests(loads(SPEC % f"return: {{{name}: 1}}"))
    assert caught.value.problems[0].code == "undecided-term"


def test_a_learned_spec_is_checked_shown_and_drawn() -> None:
    spec = loads(SPEC % "return: {markov: -0.01}")
    assert not [problem.render() for problem in check(spec) if problem.severity != "info"]
    shown = show_program(compile_spec(spec))
    assert "upright = next_obs[0]" in shown
    assert "learned(heron)" in shown
    assert "up" in program_dot(
        compile_spec(loads("propositions: [up]\nreward: [{preferences: {}}, {ltl: F up}]"))
    )


def test_of_a_spec_that_is_learned_as_a_whole_no_tests_and_no_ranges_are_asked_for() -> None:
    spec = loads("reward: {heron: {factors: [{name: a, value: 'next_obs[0]'}]}}")
    assert not {"no-tests", "missing-declarations"} & {problem.code for problem in check(spec)}
