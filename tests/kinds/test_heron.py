"""Kind `heron`: what a ranking declares for its learner, and what is refused. Learning itself: tests/learning."""

from __future__ import annotations

import pytest

from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Learned, Program
from rewardspec.ir.show import show_expr
from rewardspec.kinds.heron import Heron, Spread
from rewardspec.vocabulary import loads
from rewardspec.wrappers.refusals import refuse_learned

RANKING = """\
reward:
  heron:
    factors:
      - {name: upright, value: 'next_obs[0]', margin: {std: 1}}
      - {name: effort, value: '-abs(action[0])', margin: 0.1}
"""


def program(text: str) -> Program:
    return compile_spec(loads(text))


def only(text: str) -> Learned:
    (learned,) = program(text).learned
    return learned


def codes(text: str) -> set[str]:
    with pytest.raises(SpecError) as caught:
        program(text)
    return {problem.code for problem in caught.value.problems}


def test_the_factors_are_what_its_learner_compares_in_their_order() -> None:
    learned = only(RANKING)
    assert learned.kind == "heron"
    assert [(name, show_expr(value)) for name, value in learned.measures] == [
        ("upright", "next_obs[0]"),
        ("effort", "-abs(action[0])"),
    ]
    assert isinstance(learned.settings, Heron)
    assert [factor.margin for factor in learned.settings.factors] == [Spread(std=1), 0.1]


def test_the_term_pays_what_the_model_says() -> None:
    (term,) = program(RANKING).terms
    assert term.expr == ir.Field("learned", ("heron",))


def test_the_model_sees_everything_or_what_is_listed() -> None:
    assert only(RANKING).inputs is None
    listed = only(RANKING + "    inputs: ['next_obs[0]', action]\n").inputs
    assert listed is not None
    assert [show_expr(value) for value in listed] == ["next_obs[0]", "action"]


def test_emphasis_is_a_power_of_the_first_factor() -> None:
    (term,) = program(RANKING + "    emphasis: 2\n").terms
    assert show_expr(term.expr) == "learned(heron) * 2 ** next_obs[0]"


def test_a_bare_list_is_the_ranking() -> None:
    assert (
        only("reward: {heron: [{name: a, value: reward}]}").measures
        == only("reward: {heron: {factors: [{name: a, value: reward}]}}").measures
    )


def test_two_learned_terms_have_models_of_their_own() -> None:
    text = "reward: [{heron: [{name: a, value: reward}]}, {heron: [{name: a, value: -reward}]}]"
    assert [learned.name for learned in program(text).learned] == ["heron", "heron_2"]


def test_operators_without_memory_may_stand_around_it() -> None:
    inner = "{heron: [{name: a, value: reward}]}"
    for word in ("clip", "tanh", "affine", "sigmoid"):
        assert program(f"reward: {{{word}: {inner}{', low: -1' if word == 'clip' else ''}}}").learned
    assert program(f"reward: {{product: [{inner}, 2]}}").learned


@pytest.mark.parametrize(
    "around",
    ["normalise: %s", "diff: %s", "discount_by_count: %s, factor: 0.5"],
)
def test_operators_that_remember_may_not(around: str) -> None:
    assert codes("reward: {" + around % "{heron: [{name: a, value: reward}]}" + "}") == {"learned-in-memory"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("factors: []", "wrong-value"),
        ("factors: [{name: a, value: reward}, {name: a, value: -reward}]", "duplicate-name"),
        ("factors: [{name: a, value: hight}]", "unknown-name"),
        ("factors: [{name: a, value: reward, margin: -1}]", "wrong-value"),
        ("factors: [{name: a, value: reward, margin: {std: -1}}]", "wrong-value"),
        ("factors: [{name: 1a, value: reward}]", "invalid-name"),
        ("factors: [{name: a, value: reward}], segment: 0", "wrong-value"),
        ("factors: [{name: a, value: reward}], segment: 100, store: 150", "wrong-value"),
        ("factors: [{name: a, value: reward}], inputs: []", "wrong-value"),
        ("factors: [{name: a, value: reward}], emphasis: 0", "wrong-value"),
        ("factors: [{name: a, value: reward}], every: 0", "wrong-value"),
        ("factors: [{name: a, value: reward}], model: {ensemble: 0}", "wrong-value"),
        ("factors: [{name: a, value: reward}], model: {hidden: [0]}", "wrong-value"),
        ("factors: [{name: a, value: reward}], fit: {smoothing: 0.5}", "wrong-value"),
        ("factors: [{name: a, value: reward}], fit: {learning_rate: 0}", "wrong-value"),
        ("factors: [{name: a, value: reward}], when_tied: wait", "wrong-value"),
        ("factors: [{name: a, value: reward}], relabel: maybe", "wrong-type"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    assert codes(f"reward: {{heron: {{{text}}}}}") == {code}


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("{ensemble: 3, combine: wco, standardise: false}", True),
        ("{ensemble: 3, combine: median, standardise: false}", True),
        ("{ensemble: 3, combine: mean, standardise: false}", False),
        ("{ensemble: 3, combine: wco}", False),
    ],
)
def test_members_are_compared_only_where_they_have_a_common_zero(model: str, refused: bool) -> None:
    text = RANKING + f"    model: {model}\n"
    assert not refused or codes(text) == {"uncentred-ensemble"}
    assert refused or program(text)
    centred = text + "    fit: {centring: 0.01}\n"
    assert program(centred)


def test_a_host_without_a_learner_refuses_it() -> None:
    with pytest.raises(UnsupportedError, match="needs-learner"):
        refuse_learned(program(RANKING))
