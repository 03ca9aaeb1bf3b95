"""Kind `preferences`: where labels come from, and what its learner is told. Learning itself: tests/learning."""

from __future__ import annotations

import pytest

from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError
from rewardspec.ir.program import Learned
from rewardspec.ir.show import show_expr
from rewardspec.kinds.preferences import Answers, Preferences, Ranking, Teacher
from rewardspec.vocabulary import loads


def only(fields: str, head: str = "") -> Learned:
    (learned,) = compile_spec(loads(f"{head}reward: {{preferences: {{{fields}}}}}")).learned
    return learned


def codes(fields: str) -> set[str]:
    with pytest.raises(SpecError) as caught:
        only(fields)
    return {problem.code for problem in caught.value.problems}


def test_without_a_word_about_labels_a_teacher_sees_the_environments_reward() -> None:
    learned = only("")
    assert [(name, show_expr(value)) for name, value in learned.measures] == [("teacher", "reward")]
    assert isinstance(learned.settings, Preferences)
    assert learned.settings.labels == Teacher.model_validate({})
    assert learned.settings.segment == 25


@pytest.mark.parametrize(
    ("labels", "model", "measures"),
    [
        ("{teacher: 'next_obs[0]', mistakes: 0.1}", Teacher, {"teacher": "next_obs[0]"}),
        (
            "{ranking: [{name: up, value: 'obs[0]'}, {name: thrift, value: -action}]}",
            Ranking,
            {"up": "obs[0]", "thrift": "-action"},
        ),
        ("{file: answers.jsonl}", Answers, {}),
    ],
)
def test_a_source_of_labels_says_what_is_measured(labels: str, model: type, measures: dict[str, str]) -> None:
    learned = only(f"labels: {labels}")
    assert isinstance(learned.settings, Preferences)
    assert isinstance(learned.settings.labels, model)
    assert {name: show_expr(value) for name, value in learned.measures} == measures


def test_regret_needs_the_specs_discount() -> None:
    assert codes("statistic: regret") == {"missing-discount"}
    assert only("statistic: regret", head="discount: 0.9\n").settings.statistic == "regret"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("labels: {ranking: []}", "wrong-value"),
        ("labels: {ranking: [{name: a, value: reward}, {name: a, value: reward}]}", "duplicate-name"),
        ("labels: {teacher: revard}", "unknown-name"),
        ("labels: {teacher: reward, mistakes: 1.5}", "wrong-value"),
        ("labels: {teacher: reward, myopia: 0}", "wrong-value"),
        ("labels: {teacher: reward, rationality: 0}", "wrong-value"),
        ("labels: {teacher: reward, equal_within: -1}", "wrong-value"),
        ("labels: {file: ''}", "wrong-value"),
        ("labels: reward", "wrong-type"),
        ("statistic: return", "wrong-value"),
        ("budget: 0", "wrong-value"),
    ],
)
def test_what_is_refused(fields: str, code: str) -> None:
    assert codes(fields) == {code}
