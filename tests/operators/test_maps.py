"""Operators that change what a term pays, step by step: affine, clip, sigmoid, tanh, log_sigmoid, threshold."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinds.episodes import rewards, value_trace

X = st.floats(-20, 20)


def mapped(operator: str, inner: Any = "info.x", **fields: Any) -> dict[str, Any]:
    return {operator: {"of": inner, **fields}}


def paid(term: dict[str, Any], *xs: float) -> list[float]:
    return rewards({"reward": [term]}, value_trace(x=xs))


def test_worked_maps() -> None:
    assert paid(mapped("affine", scale=2, shift=-1), 0, 3) == [-1, 5]
    assert paid(mapped("clip", low=-1, high=2), -5, 0.5, 5) == [-1, 0.5, 2]
    assert paid(mapped("clip", low=-1), -5, 5) == [-1, 5]
    assert paid(mapped("clip", high=2), -5, 5) == [-5, 2]
    assert paid(mapped("threshold", at=1, above=7, below=-7), 0.9, 1, 1.1) == [-7, 7, 7]
    assert paid(mapped("sigmoid", slope=2, centre=1), 1) == [0.5]
    assert paid(mapped("tanh", slope=2, centre=1), 1) == [0]
    assert paid(mapped("log_sigmoid", slope=2, centre=1), 1) == [math.log(0.5)]


def test_the_identity_of_each() -> None:
    assert paid(mapped("affine"), -3, 4) == [-3, 4]


@given(X, X, st.floats(0.1, 3), st.floats(-3, 3))
def test_an_affine_map_with_a_positive_scale_keeps_the_order(
    a: float, b: float, scale: float, shift: float
) -> None:
    low, high = paid(mapped("affine", scale=scale, shift=shift), min(a, b), max(a, b))
    assert low <= high


@given(st.lists(X, min_size=1, max_size=6), st.floats(0.5, 3), st.floats(-3, 3))
def test_an_affine_map_moves_the_total_by_the_shift_per_step(
    xs: list[float], scale: float, shift: float
) -> None:
    """Of episodes of one length it keeps the order; the longer one is paid the shift more often."""
    total = sum(paid(mapped("affine", scale=scale, shift=shift), *xs))
    assert total == pytest.approx(scale * sum(xs) + shift * len(xs), abs=1e-9)


@given(X, X, st.floats(-3, 0), st.floats(0, 3))
def test_clip_is_monotone_and_idempotent(a: float, b: float, low: float, high: float) -> None:
    once = mapped("clip", low=low, high=high)
    lesser, greater = paid(once, min(a, b), max(a, b))
    assert low <= lesser <= greater <= high
    assert paid(mapped("clip", once, low=low, high=high), a, b) == paid(once, a, b)


CURVES = {
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), 0.0, 1.0),
    "tanh": (math.tanh, -1.0, 1.0),
    "log_sigmoid": (lambda z: -math.log1p(math.exp(-z)), -math.inf, 0.0),
}
"""Per curve: the function of z = slope * (x - centre), and its bounds."""


@pytest.mark.parametrize("name", CURVES)
@given(x=st.floats(-5, 5), slope=st.sampled_from([0.5, 1.0, 2.0]), centre=st.floats(-2, 2))
def test_curves_are_their_formula_within_their_bounds(
    name: str, x: float, slope: float, centre: float
) -> None:
    function, low, high = CURVES[name]
    (value,) = paid(mapped(name, slope=slope, centre=centre), x)
    assert value == pytest.approx(function(slope * (x - centre)), rel=1e-12, abs=1e-15)
    assert low <= value <= high


@pytest.mark.parametrize("name", CURVES)
@given(a=st.integers(-40, 40), b=st.integers(-40, 40), slope=st.sampled_from([0.5, 1.0]))
def test_curves_are_strictly_monotone(name: str, a: int, b: int, slope: float) -> None:
    """On eighths between -5 and 5, where floats can still tell the values apart."""
    at_a, at_b = paid(mapped(name, slope=slope), a / 8, b / 8)
    assert (at_a < at_b) == (a < b)


@given(X, st.floats(-2, 2))
def test_tanh_is_odd_about_its_centre(away: float, centre: float) -> None:
    right, left = paid(mapped("tanh", centre=centre), centre + away, centre - away)
    assert right == pytest.approx(-left)


def test_curves_are_finite_far_out() -> None:
    assert paid(mapped("sigmoid"), -1e308, 1e308) == [0, 1]
    assert paid(mapped("tanh"), -1e308, 1e308) == [-1, 1]
    assert paid(mapped("log_sigmoid"), -1e6, 1e308) == [-1e6, 0]


MAPS = st.sampled_from(["affine", "tanh", "sigmoid"])


@given(st.integers(-16, 16), st.integers(-16, 16), MAPS)
def test_a_threshold_is_unchanged_by_a_monotone_map_of_both_sides(x: int, at: int, name: str) -> None:
    fields: dict[str, Any] = {"affine": {"scale": 3, "shift": -1}}.get(name, {})
    (moved_at,) = paid(mapped(name, **fields), at / 8)
    plain = paid(mapped("threshold", at=at / 8, above=5, below=-5), x / 8)
    assert paid(mapped("threshold", mapped(name, **fields), at=moved_at, above=5, below=-5), x / 8) == plain
