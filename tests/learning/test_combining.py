"""How an ensemble agrees: the laws of the aggregators, in NumPy and torch alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.kinds.reward_model import Combine, NominalWorst, Uwo
from rewardspec.learning.combining import combine, variance

WAYS: list[Combine] = [
    "mean",
    "median",
    "wco",
    Uwo(uwo=0.5, ddof=0),
    Uwo(uwo=2.0, ddof=1),
    NominalWorst(nominal_worst=0.4, worst_over="step"),
]
SCORES = st.integers(1, 6).flatmap(
    lambda m: st.lists(st.lists(st.floats(-5, 5), min_size=m, max_size=m), min_size=1, max_size=4)
)


def members(scores: list[list[float]]) -> Any:
    """Return `[M, N]`."""
    return np.array(scores).T


@pytest.mark.parametrize("how", WAYS, ids=str)
@given(SCORES)
def test_torch_and_numpy_agree(how: Combine, scores: list[list[float]]) -> None:
    rows = members(scores)
    assert np.allclose(combine(torch.from_numpy(rows), how).numpy(), combine(rows, how))


@pytest.mark.parametrize("how", WAYS, ids=str)
@given(SCORES, st.floats(-3, 3))
def test_a_common_constant_only_shifts(how: Combine, scores: list[list[float]], constant: float) -> None:
    rows = members(scores)
    assert np.allclose(combine(rows + constant, how), combine(rows, how) + constant)


@pytest.mark.parametrize("how", WAYS[:5], ids=str)
@given(SCORES)
def test_the_order_of_members_does_not_matter(how: Combine, scores: list[list[float]]) -> None:
    rows = members(scores)
    assert np.allclose(combine(rows[::-1], how), combine(rows, how))


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_a_single_member_is_left_alone(how: Combine) -> None:
    rows = np.array([[1.0, -2.0]])
    assert np.allclose(combine(rows, how), rows[0])


@given(SCORES)
def test_the_least_member_is_never_above_the_mean(scores: list[list[float]]) -> None:
    rows = members(scores)
    assert (combine(rows, "wco") <= combine(rows, "mean") + 1e-12).all()


def test_the_variance_penalty_may_go_below_the_least_member() -> None:
    rows = np.array([[0.0], [4.0]])
    assert combine(rows, Uwo(uwo=1.0, ddof=0))[0] < combine(rows, "wco")[0]


def test_the_unbiased_variance_of_five_members_is_a_quarter_larger() -> None:
    rows = np.arange(5.0)[:, None]
    assert np.allclose(variance(rows, 1), 1.25 * variance(rows, 0))


@given(SCORES, st.floats(0.1, 5))
def test_scaling_scales_the_penalty_by_the_square(scores: list[list[float]], factor: float) -> None:
    rows = members(scores)
    penalty = combine(rows, "mean") - combine(rows, Uwo(uwo=1.0, ddof=0))
    scaled = combine(rows * factor, "mean") - combine(rows * factor, Uwo(uwo=1.0, ddof=0))
    assert np.allclose(scaled, penalty * factor**2)


def test_the_worst_of_expectations_is_not_below_the_expectation_of_the_worst() -> None:
    """The two readings of a robust reward differ, and in this direction always."""
    rows = np.array([[0.0, 4.0], [4.0, 0.0]])
    step = combine(rows, NominalWorst(nominal_worst=1.0, worst_over="step"))
    batch = combine(
        rows, NominalWorst(nominal_worst=1.0, worst_over="batch"), worst=int(rows.mean(1).argmin())
    )
    assert step.mean() == 0 and batch.mean() == 2


def test_nominal_weight_zero_is_the_nominal_member() -> None:
    rows = np.array([[1.0], [7.0]])
    assert combine(rows, NominalWorst(nominal_worst=0.0, worst_over="step"), nominal=1)[0] == 7
