"""The Python builders: every word with YAML's fields, operators on terms, errors with paths."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from rewardspec import dsl as rs
from rewardspec.errors import SpecError
from rewardspec.kinds.heron import Factor
from rewardspec.kinds.latent import Decomposing, EncoderSource
from rewardspec.kinds.preferences import Answers, Ranking, Teacher
from rewardspec.kinds.reward_machine import EdgeSpec
from rewardspec.kinds.reward_model import Fitting, Networks, NominalWorst, RewardModel, Uwo
from rewardspec.spec.agents import AgentSpec, Inequity, JointSpec, RiskSpec, ShareSpec
from rewardspec.spec.declarations import EnvSpec, SignalSpec, TestSpec
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Exponential, Linear, Performance
from rewardspec.vocabulary import VOCABULARY, loads

A, B, C = rs.markov("a"), rs.markov("b"), rs.markov("c")


def written(reward: rs.Reward) -> Any:
    """Return a reward's terms as YAML has them."""
    return rs.spec(reward=reward).to_data()["reward"]


@pytest.mark.parametrize("word", VOCABULARY)
def test_every_word_has_a_builder_with_its_fields_and_defaults(word: str) -> None:
    kind = VOCABULARY[word]
    builder = getattr(rs.Reward if kind.terms == ("of",) else rs, word)
    check_signature(builder, kind.model, {"name", "weight", "self", *kind.terms})


@pytest.mark.parametrize(
    ("builder", "model"),
    [
        (rs.env, EnvSpec),
        (rs.signal, SignalSpec),
        (rs.test, TestSpec),
        (rs.edge, EdgeSpec),
        (rs.RewardMachine.edge, EdgeSpec),
        (rs.factor, Factor),
        (rs.ranking, Ranking),
        (rs.teacher, Teacher),
        (rs.answers, Answers),
        (rs.reward_model, RewardModel),
        (rs.uwo, Uwo),
        (rs.nominal_worst, NominalWorst),
        (rs.fit, Fitting),
        (rs.encoder, EncoderSource),
        (rs.networks, Networks),
        (rs.decomposing, Decomposing),
        (rs.linear, Linear),
        (rs.exponential, Exponential),
        (rs.performance, Performance),
        (rs.agent, AgentSpec),
        (rs.joint, JointSpec),
        (rs.share, ShareSpec),
        (rs.inequity, Inequity),
        (rs.risk, RiskSpec),
        (rs.spec, Spec),
    ],
)
def test_the_other_builders_have_their_models_fields(builder: Any, model: Any) -> None:
    check_signature(builder, model, {"self", "rewardspec", *({"name"} if model is Spec else ())})


def check_signature(builder: Any, model: Any, apart: set[str]) -> None:
    """Compare a builder's parameters with a model's fields, except for those set apart."""
    parameters = inspect.signature(builder).parameters
    assert set(parameters) - apart == set(model.model_fields) - apart
    for name in set(parameters) - apart:
        info, default = model.model_fields[name], parameters[name].default
        if info.is_required():
            assert default in (inspect.Parameter.empty, (), ""), name
        else:
            meant = info.get_default(call_default_factory=True)
            assert default in (None, ()) or str(default) == str(meant) or default == meant, name


def test_sums_are_flat_and_keep_their_order() -> None:
    assert written(A + (B + C)) == written((A + B) + C) == [{"markov": name} for name in "abc"]
    assert written(sum([A, B, C], rs.markov("z")))[0] == {"markov": "z"}
    assert sum([A, B]) == A + B, "Python's sum() starts at 0"
    assert written(A + "b" + 1.5)[1:] == [{"markov": "b"}, {"markov": 1.5}]
    assert written(A - B) == [{"markov": "a"}, {"markov": "b", "weight": -1}]
    assert written(1 - B) == [{"markov": 1}, {"markov": "b", "weight": -1}]


def test_weights_multiply_and_reach_every_term_of_a_sum() -> None:
    assert written(2 * (A + 3 * B)) == [{"markov": "a", "weight": 2}, {"markov": "b", "weight": 6}]
    assert written(-(A / 4)) == [{"markov": "a", "weight": -0.25}]
    assert written(np.float64(2) * A) == written(A * np.float32(2)) == written(2 * A)


def test_products_are_flat_and_a_sum_in_them_is_one_factor() -> None:
    assert written(A * B * "c") == [{"product": [{"markov": "a"}, {"markov": "b"}, {"markov": "c"}]}]
    assert written("a" * (B + C)) == [
        {"product": [{"markov": "a"}, {"sum": [{"markov": "b"}, {"markov": "c"}]}]}
    ]
    named = (A * B).named("p") * C
    assert written(named)[0]["product"][0]["name"] == "p", "a product with a name of its own stays one"


def test_operators_on_a_sum_hold_all_of_it() -> None:
    assert written((A + B).clip(0, 1)) == [
        {"clip": {"sum": [{"markov": "a"}, {"markov": "b"}]}, "low": 0, "high": 1}
    ]
    assert written((A + B).named("both")) == [{"sum": [{"markov": "a"}, {"markov": "b"}], "name": "both"}]


def test_machines_grow_edge_by_edge_and_stay_as_they_were() -> None:
    start = rs.reward_machine(start="u0", name="m")
    longer = start.edge("u0", "u1", "a").edge(["u0", "u1"], when="b", count={"laps": "laps + 1"})
    assert written(longer) == [
        {
            "reward_machine": {
                "start": "u0",
                "edges": [
                    {"from": "u0", "to": "u1", "when": "a"},
                    {"from": ["u0", "u1"], "when": "b", "count": {"laps": "laps + 1"}},
                ],
            },
            "name": "m",
        }
    ]
    assert start.terms[0]["reward_machine"]["edges"] == []


def test_a_learned_reward_is_the_one_that_yaml_gives() -> None:
    ranked = [rs.factor("upright", "obs[0]", {"std": 1}), rs.factor("effort", "-abs(action[0])", 0.1)]
    model = rs.reward_model(ensemble=5, combine=rs.uwo(0.5, ddof=1))
    built = rs.heron(ranked, segment=25, model=model, fit=rs.fit(centring=0.01))
    asked = rs.preferences(rs.teacher("obs[0]", mistakes=0.1), budget=100)
    assert rs.spec(reward=2 * built + asked) == loads(
        """
reward:
  - heron:
      factors:
        - {name: upright, value: 'obs[0]', margin: {std: 1}}
        - {name: effort, value: '-abs(action[0])', margin: 0.1}
      segment: 25
      model: {ensemble: 5, combine: {uwo: 0.5, ddof: 1}}
      fit: {centring: 0.01}
    weight: 2
  - preferences: {labels: {teacher: 'obs[0]', mistakes: 0.1}, budget: 100}
"""
    )


def test_arrays_become_lists() -> None:
    test = rs.test(
        "t", transitions=[{"obs": np.array([1.5, 2.0]), "reward": np.float32(1)}], rewards=np.zeros(1)
    )
    spec = rs.spec(reward="obs[0]", tests=[test])
    assert loads(spec.to_yaml()) == spec
    assert spec.tests[0].transitions == ({"obs": [1.5, 2.0], "reward": 1.0},)


def test_ends_are_written_as_terms() -> None:
    spec = rs.spec(reward=A, end=rs.end("fallen", value=-1) + rs.end("late", "truncated"))
    assert spec == loads("reward: a\nend: [{when: fallen, value: -1}, {when: late, how: truncated}]")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: rs.spec(reward=A + B.clip(2, 1)),
            "<python>: reward[1]: clip's 'low' is above its 'high'",
        ),
        (
            lambda: rs.spec(reward=rs.term("clipp", of=A)),
            "<python>: reward[0].clipp: 'clipp' is not a kind of reward",
        ),
        (
            lambda: rs.spec(reward=A.clip(low="x")),
            "<python>: reward[0].clip.low: 'low' must be a number, not the text 'x'",
        ),
        (lambda: rs.spec(reward=A, discount=2), "<python>: discount: 'discount' must be at most 1, not 2"),
        (
            lambda: rs.spec(reward=A, propositions=["a", "a"]),
            "propositions[1]: the proposition 'a' is listed twice",
        ),
        (lambda: A.named("x").named("y"), "the term 'x' is given a second name, 'y' [two-names]"),
        (lambda: 2 * (rs.linear(0, 1, over=9) * A), "the term 'markov' has a weight already"),
        (lambda: rs.spec(reward=A, end=2 * rs.end("b")), "end: 'end' takes ends without a name or a weight"),
        (
            lambda: rs.spec(reward=A, env=rs.env(kwargs={"f": print})),
            "env.kwargs.f: a spec holds texts, numbers",
        ),
        (
            lambda: rs.spec(reward=A, provenance={"x": float("nan")}),
            "provenance.x: nan is not a finite number",
        ),
        (lambda: rs.spec(reward=None), "reward[0].markov: 'markov' has no value"),  # type: ignore[arg-type]
        (lambda: rs.spec(reward=[]), "the list of terms is empty"),
    ],
)
def test_errors_have_yamls_words_and_a_path(build: Any, message: str) -> None:
    with pytest.raises(SpecError) as error:
        build()
    assert message in str(error.value)


def test_a_cycle_and_deep_terms_end_in_a_spec_error() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SpecError, match="document-too-deep"):
        rs.spec(reward=A, provenance={"loop": loop})
    deep = A
    for _ in range(40):
        deep = deep.tanh()
    with pytest.raises(SpecError, match="document-too-deep"):
        rs.spec(reward=deep)


def test_what_is_no_weight_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        A * None  # type: ignore[operator]
