"""A value that fits no branch of a union gets one complaint, which says what would be right."""

from __future__ import annotations

import pytest

from rewardspec.errors import Problem, SpecError
from rewardspec.vocabulary import loads


def complaint(text: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        loads(text)
    (only,) = caught.value.problems
    return only


def heron(factor: str = "", model: str = "") -> str:
    return f"reward: {{heron: {{factors: [{{name: speed, value: reward{factor}}}]{model}}}}}"


@pytest.mark.parametrize(
    ("margin", "path", "message", "hint"),
    [
        ("-1", "margin", "'margin' must be at least 0, not -1", ""),
        ("wide", "margin", "must be a number or a mapping, not the text 'wide'", "has the key 'std'"),
        ("[1]", "margin", "must be a number or a mapping, not a list", "has the key 'std'"),
        ("{std: -1}", "margin.std", "'std' must be at least 0, not -1", ""),
        ("{sdt: 1}", "margin.sdt", "unknown key 'sdt'", "Did you mean 'std'?"),
        ("{}", "margin", "the key 'std' is missing", "standard deviations"),
    ],
)
def test_a_number_or_a_mapping(margin: str, path: str, message: str, hint: str) -> None:
    problem = complaint(heron(f", margin: {margin}"))
    assert problem.place.path == f"reward.heron.factors[0].{path}"
    assert message in problem.message
    assert hint in " ".join(problem.hints)


@pytest.mark.parametrize(
    ("combine", "message", "hint"),
    [
        (
            "least",
            "cannot be the text 'least'",
            "mean, median, wco; or a mapping with 'uwo' or 'nominal_worst'",
        ),
        ("3", "cannot be the number 3", "or a mapping with 'uwo' or 'nominal_worst'"),
        ("{}", "needs one of the keys uwo, nominal_worst", "`uwo:` factor on the variance"),
        ("{foo: 1}", "unknown key 'foo'", "Keys here: uwo, ddof, nominal_worst, worst_over."),
        ("{uw0: 1}", "unknown key 'uw0'", "Did you mean 'uwo'?"),
        ("{uwo: -1}", "'uwo' must be at least 0", ""),
        ("{uwo: 1, worst_over: step}", "unknown key 'worst_over'", "Keys here: uwo, ddof."),
        ("{nominal_worst: 2}", "'nominal_worst' must be at most 1, not 2", ""),
    ],
)
def test_a_word_or_one_of_two_mappings(combine: str, message: str, hint: str) -> None:
    problem = complaint(heron(model=f", model: {{combine: {combine}}}"))
    assert message in problem.message
    assert hint in " ".join(problem.hints)


@pytest.mark.parametrize(
    ("labels", "message", "hint"),
    [
        ("{tacher: reward}", "unknown key 'tacher'", "Did you mean 'teacher'?"),
        ("{ranking: []}", "'ranking' must not be empty", ""),
        ("{ranking: [{name: a}]}", "the key 'value' is missing", ""),
        ("{ranking: [{name: a, value: b}], mistakes: 0.1}", "unknown key 'mistakes'", "Keys here: ranking."),
        ("{teacher: a, mistakes: 2}", "'mistakes' must be at most 1, not 2", ""),
        ("{file: 3}", "'file' must be text, not the number 3", ""),
        ("{foo: 1}", "unknown key 'foo'", "Keys here: ranking, teacher,"),
        ("reward", "must be a mapping, not the text 'reward'", "the key 'ranking', 'teacher' or 'file'"),
    ],
)
def test_one_of_three_mappings(labels: str, message: str, hint: str) -> None:
    problem = complaint(f"reward: {{preferences: {{labels: {labels}}}}}")
    assert message in problem.message
    assert hint in " ".join(problem.hints)


def test_a_weight_is_a_number_or_a_schedule() -> None:
    assert "the key 'linear'" in complaint("reward: {markov: 1, weight: much}").hints[0]
    assert "unknown key 'linaer'" in complaint("reward: {markov: 1, weight: {linaer: {from: 1}}}").message
    assert "exactly one of" in complaint("reward: {markov: 1, weight: {}}").message


def test_a_key_that_belongs_deeper_is_told_so() -> None:
    assert "'teacher' is a key of 'labels'." in complaint("reward: {preferences: {teacher: x}}").hints[0]
    assert "'ensemble' is a key of 'model'." in complaint(heron(model=", ensemble: 5")).hints[0]


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    assert complaint("reward: {heron: {factor: [{name: a, value: b}]}}").code == "unknown-key"
    assert complaint("reward: {gate: {markov: 1}, condition: a}").code == "unknown-key"


def test_two_factors_with_two_mistakes_get_two_complaints() -> None:
    with pytest.raises(SpecError) as caught:
        loads("reward: {heron: [{name: a, value: 1, margin: -1}, {name: b, value: 1, margin: {std: -1}}]}")
    assert [problem.place.path for problem in caught.value.problems] == [
        "reward.heron[0].margin",
        "reward.heron[1].margin.std",
    ]
