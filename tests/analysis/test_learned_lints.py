"""Lints of learned rewards: specs on the two sides of each line, and no alarm about what nobody can know."""

from __future__ import annotations

import pytest

from rewardspec.analysis.check import check
from rewardspec.codes.lint_learned import LEARNED
from rewardspec.errors import Problem
from rewardspec.vocabulary import loads

HEAD = """\
discount: 0.99
env: {horizon: 200, ends_early: true, base_reward: [-1, 1]}
signals:
  height: {value: 'next_obs[0]', range: [-1, 1]}
  level: {value: 'floor(next_obs[1])', range: [0, 4]}
propositions: {goal: info.goal, lava: info.lava}
"""


def found(reward: str, code: str = "") -> list[Problem]:
    problems = check(loads(f"{HEAD}reward: {reward}"))
    return [problem for problem in problems if not code or problem.code == code]


def heron(*factors: str, options: str = "") -> str:
    listed = ", ".join(f"{{name: f{i}, {factor}}}" for i, factor in enumerate(factors))
    return f"{{heron: {{factors: [{listed}]{options}}}}}"


TWO = ("value: height, margin: {std: 1}", "value: -abs(action)")


@pytest.mark.parametrize(
    ("model", "trips"),
    [
        ("combine: mean", False),
        ("combine: wco", True),
        ("combine: median", True),
        ("combine: {uwo: 0.5}", True),
        ("combine: {uwo: 0}", False),
        ("combine: {nominal_worst: 0.5}", True),
        ("combine: wco, ensemble: 5", False),
    ],
)
def test_one_member_has_nobody_to_disagree_with(model: str, trips: bool) -> None:
    text = heron(*TWO, options=f", model: {{{model}}}")
    problems = found(text, "ensemble-of-one")
    assert [problem.place.path.endswith("model.combine") for problem in problems] == [True] * trips


def test_flipping_disputed_labels_needs_several_members() -> None:
    assert found(heron(*TWO, options=", fit: {flip_doubtful: 0.1}"), "ensemble-of-one")
    assert not found(
        heron(*TWO, options=", model: {ensemble: 3}, fit: {flip_doubtful: 0.1}"), "ensemble-of-one"
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (", segment: 200, after: 1000", ""),
        (", segment: 201, after: 1000", "segment-beyond-horizon"),
        (", segment: 100, after: 200", ""),
        (", segment: 100, after: 199", "refresh-before-segments"),
    ],
)
def test_segments_must_be_there_to_compare(options: str, code: str) -> None:
    codes = {problem.code for problem in found(heron(*TWO, options=options))}
    assert codes & {"segment-beyond-horizon", "refresh-before-segments"} == ({code} if code else set())


@pytest.mark.parametrize(
    ("factors", "codes"),
    [
        (("value: height, margin: 0.1", "value: -abs(action)"), {"cyclic-ranking"}),
        (("value: goal", "value: level", "value: height"), set()),
        (("value: height", "value: level"), {"decides-alone"}),
        (("value: height, margin: 0.1",), {"margin-of-one-factor"}),
        (("value: height",), set()),
        (("value: 1",), {"constant-factor"}),
        (("value: goal", "value: 2", "value: height"), {"constant-factor"}),
        (("value: height, margin: 2", "value: level"), {"margin-beyond-range"}),
        (("value: height, margin: 1.9", "value: level"), {"cyclic-ranking"}),
        (("value: goal", "value: not goal"), set()),  # not seen through, and no false alarm
        (("value: goal", "value: -goal"), {"repeated-factor"}),
        (("value: height, margin: 0.1", "value: height"), {"cyclic-ranking"}),
        (("value: height, margin: 0.1", "value: -height, margin: 0.2"), {"repeated-factor"}),
        (("value: height, margin: 0.1", "value: height, margin: {std: 1}"), {"cyclic-ranking"}),
        (("value: reward, margin: {std: 1}", "value: 'info.x'"), {"cyclic-ranking"}),
    ],
)
def test_factors_that_decide_nothing_or_everything(factors: tuple[str, ...], codes: set[str]) -> None:
    assert {problem.code for problem in found(heron(*factors))} & set(LEARNED) == codes


def test_a_ranking_under_preferences_is_looked_at_as_well() -> None:
    text = "{preferences: {labels: {ranking: [{name: a, value: 1}, {name: b, value: height}]}}}"
    (problem,) = found(text, "constant-factor")
    assert problem.place.path == "reward.preferences.labels.ranking[0].value"


@pytest.mark.parametrize(
    ("first", "emphasis", "code"),
    [
        ("level", 2, ""),
        ("level", 8, "emphasis-too-large"),
        ("level", 0.1, "emphasis-too-large"),
        ("height", 2, "emphasis-without-levels"),
        ("info.level", 2, "emphasis-without-levels"),
        ("goal", 2, ""),
        ("height", 1, ""),
    ],
)
def test_emphasis_counts_levels(first: str, emphasis: float, code: str) -> None:
    text = heron(f"value: {first}", "value: -abs(action)", options=f", emphasis: {emphasis}")
    assert {p.code for p in found(text) if p.code.startswith("emphasis")} == ({code} if code else set())


@pytest.mark.parametrize(("mistakes", "trips"), [(0.1, False), (0.5, True), (0.9, True)])
def test_a_teacher_must_be_right_more_often_than_wrong(mistakes: float, trips: bool) -> None:
    text = f"{{preferences: {{labels: {{teacher: reward, mistakes: {mistakes}}}}}}}"
    assert bool(found(text, "labels-worse-than-chance")) == trips


@pytest.mark.parametrize(
    "reward",
    [
        "[{heron: FACTORS}, {markov: -0.01 * abs(action)}]",
        "[{heron: FACTORS, weight: 100}, {ltl: F goal & G !lava, reject: -1}]",
        "[{clip: {heron: FACTORS}, low: -1, high: 1}, {once: goal}]",
        "[{product: [{heron: FACTORS}, {markov: (height + 1) / 2}]}]",
        "[{lexicographic: {terms: [{markov: goal}, {heron: FACTORS}], range: [0, 1]}}]",
        "[{preferences: {}}, {heron: FACTORS, name: a, weight: 0.5}, {heron: FACTORS, name: b}]",
        "[{sum: [{preferences: {}}, {sigmoid: {preferences: {}}}]}]",
        "[{preferences: {}}, {reward_machine: {start: a, terminal: c, edges: [{from: a, to: c, when: goal}]}}]",
    ],
)
def test_nothing_is_claimed_about_what_is_not_known_yet(reward: str) -> None:
    """What a model will say has no range, so no lint of scales, goals or products has a reason to speak."""
    factors = "{factors: [{name: a, value: level}, {name: b, value: goal}]}"
    grave = [p for p in found(reward.replace("FACTORS", factors)) if p.severity != "info"]
    unread = {"unread-proposition", "unread-signal"}
    assert not [problem.render() for problem in grave if problem.code not in unread]


@pytest.mark.parametrize(
    ("env", "trips"),
    [
        ("{horizon: 50, ends_early: false}", True),
        ("{horizon: 50, ends_early: true}", False),
        ("{horizon: 50}", False),
        ("{ends_early: false}", False),
    ],
)
def test_returns_of_episodes_of_one_length_leave_a_constant_open(env: str, trips: bool) -> None:
    text = f"env: {env}\nreward: {{latent: [next_obs]}}"
    assert bool([p for p in check(loads(text)) if p.code == "equal-lengths"]) == trips
    ending = f"{text}\nend: [{{when: 'next_obs[0] > 1'}}]"
    assert not [p for p in check(loads(ending)) if p.code == "equal-lengths"]
