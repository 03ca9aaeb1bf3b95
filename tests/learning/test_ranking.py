"""HERON's decision tree: strict margins, discarded ties, antisymmetry, and no transitivity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.kinds.heron import Factor
from rewardspec.learning.ranking import compare, cycle_rate, margins_of

NUMBERS = st.floats(-10, 10, allow_subnormal=False)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20)


def test_the_first_factor_that_differs_by_more_than_its_margin_decides() -> None:
    a, b = [[1.0, 0.0, 0.0]], [[0.5, 2.0, 0.0]]
    assert compare(a, b, [0.4, 0.0, 0.0]).tolist() == [1]
    assert compare(a, b, [0.6, 0.0, 0.0]).tolist() == [-1]


def test_a_margin_must_be_exceeded_and_not_only_reached() -> None:
    assert compare([[1.0]], [[0.5]], [0.5]).tolist() == [0]
    assert compare([[1.0]], [[0.5]], [0.49]).tolist() == [1]


def test_a_pair_that_no_factor_decides_is_a_tie() -> None:
    assert compare([[1.0, 3.0]], [[1.0, 3.0]], [0.0, 0.0]).tolist() == [0]


@given(ROWS, ROWS, st.tuples(*[st.floats(0, 5)] * 3))
def test_sides_swapped_give_the_other_answer(
    a: list[tuple[float, ...]], b: list[tuple[float, ...]], margins: tuple[float, ...]
) -> None:
    number = min(len(a), len(b))
    assert (compare(a[:number], b[:number], margins) == -compare(b[:number], a[:number], margins)).all()


def test_with_margins_three_can_beat_each_other_in_a_circle() -> None:
    """Neighbours tie in the first factor, the ends do not: no reward can fit such a ranking wholly."""
    low, middle, high = [0.0, 3.0], [1.0, 2.0], [2.0, 1.0]
    margins = [1.5, 0.0]
    assert compare([low], [middle], margins).tolist() == [1]
    assert compare([middle], [high], margins).tolist() == [1]
    assert compare([high], [low], margins).tolist() == [1]
    rng = np.random.default_rng(0)
    assert cycle_rate(np.array([low, middle, high]), np.array(margins), rng) > 0.15


def test_without_margins_there_are_no_circles() -> None:
    rng = np.random.default_rng(1)
    assert cycle_rate(rng.normal(size=(50, 3)), np.zeros(3), rng) == 0


def test_a_margin_in_units_of_the_spread_uses_the_unbiased_one() -> None:
    factors = [
        Factor.model_validate({"name": "a", "value": "reward", "margin": {"std": 2.0}}),
        Factor.model_validate({"name": "b", "value": "reward", "margin": 0.25}),
    ]
    values = np.array([[0.0, 9.0], [2.0, 9.0]])
    assert np.allclose(margins_of(factors, values), [2 * np.sqrt(2), 0.25])
    assert margins_of(factors, values[:1]).tolist() == [0.0, 0.25], "one value has no spread"


def test_a_constant_factor_never_decides() -> None:
    factor = Factor.model_validate({"name": "a", "value": "reward", "margin": {"std": 1.0}})
    values = np.ones((5, 1))
    assert compare(values, values, margins_of([factor], values)).tolist() == [0] * 5
