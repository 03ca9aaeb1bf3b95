"""Weights that change while training runs: linear, exponential, piecewise, by performance; and by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.ir.layout import bind_to_values
from rewardspec.transition import Transition
from tests.kinds.episodes import compile_text

STRIDE = "run.stride"


def weights(
    schedule: Any, rewards: list[float], batch: int = 1, ends: Any = (), **params: float
) -> list[float]:
    """Return the weight on each step: what a term that is worth 1 pays, episodes ending at the steps `ends`."""
    spec = {"reward": [{"markov": "1 + 0 * reward", "weight": schedule, "name": "bonus"}]}
    params = {
        STRIDE if name == "stride" else name.replace("__", "."): value for name, value in params.items()
    }
    rows = [[Transition(reward=r, truncated=t in ends)] * batch for t, r in enumerate(rewards)]
    program = bind_to_values(compile_text(spec), rows[0][0]).program
    state = oracle.init(program, batch)
    found = []
    for row in rows:
        state, outcomes = oracle.step(program, state, row, params)
        found.append(outcomes[0].reward)
        state = oracle.reset(program, state, [row[0].truncated] * batch)
    return found


def over(steps: int) -> list[float]:
    return [0.0] * steps


def test_a_constant_weight_is_a_parameter_that_the_host_may_change() -> None:
    assert weights(2, over(2)) == [2, 2]
    assert weights(2, over(2), bonus__weight=0.25) == [0.25, 0.25]


LINEAR = {"linear": {"from": 1, "to": 0, "over": 4, "after": 1}}


def test_worked_linear() -> None:
    """One step at 1, then down to 0 in four steps."""
    assert weights(LINEAR, over(7)) == [1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_worked_exponential() -> None:
    """From 5 to 1: the distance 4 halves every two steps."""
    curve = {"exponential": {"from": 5, "to": 1, "half_life": 2}}
    assert weights(curve, over(5)) == pytest.approx([5, 1 + 4 * 0.5**0.5, 3, 1 + 4 * 0.5**1.5, 2])


def test_worked_piecewise() -> None:
    points = {"piecewise": [[1, 0], [3, 4], [5, 3]]}
    assert weights(points, over(7)) == [0, 0, 2, 4, 3.5, 3, 3]


def test_all_environments_of_a_batch_count() -> None:
    """Two environments: two environment steps are taken at a time."""
    assert weights(LINEAR, over(4), batch=2) == [1, 0.75, 0.25, 0]


def test_the_stride_counts_environments_that_step_elsewhere() -> None:
    """One program per environment, four environments side by side: the host sets run.stride to 4."""
    assert weights(LINEAR, over(3), stride=4) == [1, 0.25, 0]
    assert weights(LINEAR, over(4), stride=2) == weights(LINEAR, over(4), batch=2)


def test_the_clock_does_not_start_anew_with_an_episode() -> None:
    assert weights(LINEAR, over(7), ends=(1, 3)) == weights(LINEAR, over(7))


PERFORMANCE = {"performance": {"from": 1, "to": 0, "low": 0, "high": 8, "window": 2}}
"""Down from 1 to 0 while the return rises from 0 to 8; the average moves half way to each new return."""


def test_worked_performance() -> None:
    """Returns 3 + 5 = 8, then 4: the average goes 0, 4, 4; a return of 12 takes it to 8."""
    found = weights(PERFORMANCE, [3, 5, 4, 12, 0], ends=(1, 2, 3))
    assert found == [1, 1, 0.5, 0.5, 0]


def test_an_open_episode_is_not_measured() -> None:
    assert weights(PERFORMANCE, [100, 100, 100]) == [1, 1, 1]


def test_performance_reads_the_measure_that_it_names() -> None:
    schedule = {"performance": {**PERFORMANCE["performance"], "measure": "2 * reward"}}
    assert weights(schedule, [3, 1, 0], ends=(1,)) == [1, 1, 0.5]


LIMITED: list[Any] = [LINEAR, {"piecewise": [[0, 1], [3, 0]]}, PERFORMANCE]


@given(st.sampled_from(LIMITED), st.lists(st.integers(-20, 20), min_size=1, max_size=10), st.data())
def test_a_schedule_stays_between_its_ends(schedule: Any, rewards: list[int], data: st.DataObject) -> None:
    ends = data.draw(st.sets(st.integers(0, len(rewards))))
    assert all(0 <= w <= 1 for w in weights(schedule, [float(r) for r in rewards], ends=ends))


@given(st.integers(1, 20), st.integers(1, 6))
def test_a_linear_schedule_is_a_piecewise_one_with_two_points(steps: int, length: int) -> None:
    points = {"piecewise": [[2, 3], [2 + length, -1]]}
    line = {"linear": {"from": 3, "to": -1, "over": length, "after": 2}}
    assert weights(points, over(steps)) == pytest.approx(weights(line, over(steps)))
