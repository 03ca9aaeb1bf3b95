"""Operators that join terms: sum, product, min, max, lexicographic."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinds.episodes import rewards, value_trace

NUMBERS = st.lists(st.floats(-4, 4), min_size=3, max_size=3)


def joined(operator: str, *terms: Any, **fields: Any) -> dict[str, Any]:
    """Return a spec of one operator over terms; without terms, over info.x, info.y and info.z."""
    return {"reward": [{operator: {"terms": list(terms) or ["info.x", "info.y", "info.z"], **fields}}]}


def paid(spec: dict[str, Any], x: float, y: float = 0.0, z: float = 0.0) -> float:
    (reward,) = rewards(spec, value_trace(x=[x], y=[y], z=[z]))
    return reward


@pytest.mark.parametrize(
    ("operator", "expected"), [("sum", 5.0), ("product", -8.0), ("min", -1.0), ("max", 4.0)]
)
def test_worked_joins(operator: str, expected: float) -> None:
    assert paid(joined(operator), 2, -1, 4) == expected


@given(NUMBERS, NUMBERS, st.floats(-3, 3))
def test_a_sum_is_linear(one: list[float], other: list[float], factor: float) -> None:
    combined = [factor * a + b for a, b in zip(one, other, strict=True)]
    spec = joined("sum")
    assert paid(spec, *combined) == pytest.approx(factor * paid(spec, *one) + paid(spec, *other))


@given(NUMBERS, st.floats(-3, 3))
def test_a_weight_multiplies_its_term(xs: list[float], weight: float) -> None:
    spec = joined("sum", "info.x", {"markov": "info.y", "weight": weight})
    assert paid(spec, *xs) == pytest.approx(xs[0] + weight * xs[1])


@given(NUMBERS)
def test_a_term_of_weight_zero_may_be_left_out(xs: list[float]) -> None:
    silent = {"markov": "info.y ** 2", "weight": 0}
    assert paid(joined("sum", "info.x", silent, "info.z"), *xs) == paid(
        joined("sum", "info.x", "info.z"), *xs
    )
    assert paid({"reward": ["info.x", silent]}, *xs) == paid({"reward": ["info.x"]}, *xs)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(0, 9))
def test_a_product_with_factors_in_the_unit_interval_is_at_most_its_base(
    factors: list[float], base: float
) -> None:
    assert 0 <= paid(joined("product"), base, *factors) <= base


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(-9, -0.1))
def test_a_negative_base_turns_the_bound_around(factors: list[float], base: float) -> None:
    """Why the checker warns: the worse the factors, the higher the pay."""
    assert paid(joined("product"), base, *factors) >= base


@pytest.mark.parametrize(("operator", "python"), [("min", min), ("max", max)])
@given(xs=NUMBERS, data=st.data())
def test_least_and_greatest_do_not_depend_on_the_order(
    operator: str, python: Any, xs: list[float], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(xs))
    assert paid(joined(operator), *xs) == paid(joined(operator), *shuffled) == python(xs)


def test_worked_lexicographic() -> None:
    """Two terms of three levels over [0, 1]: the digits of a number in base 3, divided by 22 in base 3 = 8."""
    spec = joined("lexicographic", "info.x", "info.y", levels=3)
    assert paid(spec, 0.5, 1) == pytest.approx((1 * 3 + 2) / 8)
    assert paid(spec, 0, 0) == 0
    assert paid(spec, 1, 1) == 1
    assert paid(spec, -7, 99) == paid(spec, 0, 1)  # held in the range
    assert paid(spec, 0.24, 0) == 0  # a quarter is where the next level begins
    assert paid(spec, 0.25, 0) == pytest.approx(3 / 8)


TUPLES = st.tuples(*[st.floats(-1.5, 1.5)] * 3)


@given(TUPLES, TUPLES, st.integers(2, 12))
def test_lexicographic_pays_more_for_the_greater_tuple(
    one: tuple[float, ...], other: tuple[float, ...], levels: int
) -> None:
    def rounded(xs: tuple[float, ...]) -> tuple[int, ...]:
        return tuple(math.floor((min(max(x, -1), 1) + 1) / 2 * (levels - 1) + 0.5) for x in xs)

    spec = joined("lexicographic", range=[-1, 1], levels=levels)
    a, b = paid(spec, *one), paid(spec, *other)
    assert 0 <= a <= 1
    assert (a > b) == (rounded(one) > rounded(other))
    assert (a == b) == (rounded(one) == rounded(other))


def test_no_gain_in_a_later_term_makes_up_for_a_loss_in_an_earlier_one() -> None:
    spec = joined("lexicographic", levels=10)
    assert paid(spec, 0.5, 0, 0) > paid(spec, 0.38, 1, 1)
