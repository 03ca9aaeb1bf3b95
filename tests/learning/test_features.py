"""A program split in two: the numbers that models see, and what the learned terms pay from what models say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, SpecError
from rewardspec.ir.layout import bind
from rewardspec.learning.features import Split, split
from rewardspec.vocabulary import loads

BOX = spaces.Box(-1, 1, (2,))
FACTORS = "factors: [{name: fast, value: 'next_obs[0]'}, {name: far, value: 'next_obs[1] > 0'}]"


def split_of(text: str, observation: spaces.Space[Any] = BOX, action: spaces.Space[Any] = BOX) -> Split:
    return split(bind(compile_spec(loads(text)), observation, action))


def names(found: Split) -> list[str]:
    return [term.name for term in found.layout.program.terms]


def test_known_terms_come_first_then_inputs_and_measures() -> None:
    found = split_of(
        f"reward:\n  - heron: {{{FACTORS}, inputs: ['obs', 'norm(action)']}}\n  - markov: reward\n"
    )
    assert found.known == ("markov",)
    assert names(found) == [
        "markov",
        "heron.input_0",
        "heron.input_1",
        "heron.input_2",
        "heron.fast",
        "heron.far",
    ]
    (columns,) = found.columns
    assert (columns.inputs, columns.measures) == (slice(0, 3), slice(3, 5))
    assert found.order == (1, 0), "the spec's terms: the learned one, then the known one"


def test_a_model_that_names_no_inputs_sees_all_numbers_of_the_spaces() -> None:
    found = split_of(
        f"reward:\n  heron: {{{FACTORS.replace('next_obs[0]', 'reward').replace('next_obs[1]', 'reward')}}}\n",
        spaces.Dict({"x": BOX, "which": spaces.Discrete(4), "text": spaces.Text(5)}),
        spaces.Discrete(2),
    )
    assert found.columns[0].inputs == slice(0, 2 + 4 + 1), (
        "a vector, one of four, and two actions as one number"
    )


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(MismatchError, match="too-many-inputs"):
        split_of("reward:\n  heron: {factors: [{name: a, value: reward}]}\n", spaces.Box(0, 1, (70, 70)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heron: {%s}\n    weight: 2", [2.0, -4.0]),
        ("clip: {heron: {%s}}\n    low: -1\n    high: 0.5", [0.5, -1.0]),
        ("product: [{heron: {%s}}, {markov: '1 + next_obs[0]'}]", [1.5, -2.0]),
        ("sum: [{heron: {%s}, weight: 3}, {markov: '10 * next_obs[0]'}]", [8.0, -6.0]),
        ("gate: {heron: {%s}}\n    when: next_obs[0] > 0", [1.0, 0.0]),
    ],
)
def test_operators_without_memory_go_around_what_a_model_says(text: str, expected: list[float]) -> None:
    body = text % FACTORS
    found = split_of(f"reward:\n  - {body}\n")
    values = {found.columns[0].learned.name: np.array([1.0, -2.0])}
    params = {p.name: p.initial for p in found.whole.program.params}
    assert found.pay(steps_at(found, 0.5, 0.0), values, params)[0].tolist() == pytest.approx(expected)


def steps_at(found: Split, *positions: float) -> np.ndarray[Any, Any]:
    """Return the features of one step for each value of next_obs[0], by the scalar backend."""
    program = compile_scalar(found.layout)
    params = [p.initial for p in found.layout.program.params]
    rows = []
    for x in positions:
        obs = np.array([x, 0.0])
        step = program.advance_terms(program.start, obs, obs, obs, 0.0, False, False, {}, (), params)
        rows.append(step[4][len(found.known) :])
    return np.array(rows, np.float64)


def test_an_operator_that_remembers_is_refused_around_a_learned_term() -> None:
    with pytest.raises(SpecError, match="learned-in-memory"):
        compile_spec(loads(f"discount: 0.9\nreward:\n  normalise: {{heron: {{{FACTORS}}}}}\n"))
