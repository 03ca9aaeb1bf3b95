"""Operator `normalise`: constants are affine; running statistics are those of all values so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.ir.layout import bind_to_values
from rewardspec.transition import Transition
from tests.kinds.episodes import compile_text, rewards, value_trace

BATCHES = st.integers(1, 4).flatmap(
    lambda b: st.lists(
        st.lists(st.integers(-9, 9).map(float), min_size=b, max_size=b), min_size=1, max_size=6
    )
)
"""Per step, one value for each of B environments."""


def normalise(**fields: Any) -> dict[str, Any]:
    return {"reward": [{"normalise": {"of": "info.x", **fields}}]}


def batch_rewards(
    spec: dict[str, Any], values: list[list[float]], frozen: list[float] | None = None, ended: float = 0.0
) -> np.ndarray:
    """Return the rewards, `[T, B]`, of B environments stepped together; where x is `ended`, a new episode begins."""
    steps = [[Transition(info={"x": x}) for x in row] for row in values]
    program = bind_to_values(compile_text(spec), steps[0][0]).program
    state = oracle.init(program, len(values[0]))
    found = []
    for t, row in enumerate(steps):
        params = {"normalise.frozen": frozen[t]} if frozen else {}
        state, outcomes = oracle.step(program, state, row, params)
        found.append([o.reward for o in outcomes])
        state = oracle.reset(program, state, [x == ended for x in values[t]])
    return np.array(found)


def by_numpy(values: list[list[float]], centre: bool = True, epsilon: float = 1e-8) -> np.ndarray:
    """Return the same by NumPy's mean and variance over every value so far."""
    found = []
    for t in range(1, len(values) + 1):
        seen = np.array(values[:t])
        x = np.array(values[t - 1])
        found.append((x - seen.mean() if centre else x) / max(seen.std(), epsilon))
    return np.array(found)


def test_worked_constants() -> None:
    assert rewards(normalise(mean=2, std=4), value_trace(x=[2.0, 6.0, -2.0])) == [0, 1, -1]
    assert rewards(normalise(mean=2), value_trace(x=[5.0])) == [3]
    assert rewards(normalise(std=2), value_trace(x=[5.0])) == [2.5]


def test_worked_running_statistics() -> None:
    """1 alone: mean 1, no spread. 1 and 3: mean 2, deviation 1. 1, 3, 8: mean 4, variance 26/3."""
    paid = rewards(normalise(), value_trace(x=[1.0, 3.0, 8.0]))
    assert paid == pytest.approx([0, 1, 4 / (26 / 3) ** 0.5])


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 5))
def test_constants_are_affine(x: float, mean: float, std: float) -> None:
    assert rewards(normalise(mean=mean, std=std), value_trace(x=[x])) == pytest.approx(
        [(x - mean) / std], abs=1e-12
    )


@given(BATCHES, st.booleans())
def test_running_statistics_are_those_of_every_value_so_far(values: list[list[float]], centre: bool) -> None:
    """Over all steps, all environments of the batch and across episodes: resets forget nothing."""
    found = batch_rewards(normalise(centre=centre, epsilon=0.01), values)
    assert found == pytest.approx(by_numpy(values, centre, 0.01), abs=1e-9)


@given(BATCHES, st.integers(-50, 50))
def test_a_shift_of_the_term_changes_nothing(values: list[list[float]], shift: int) -> None:
    moved = [[x + shift for x in row] for row in values]
    plain = batch_rewards(normalise(epsilon=0.01), values, ended=np.inf)
    assert batch_rewards(normalise(epsilon=0.01), moved, ended=np.inf) == pytest.approx(plain, abs=1e-8)


@given(BATCHES)
def test_a_positive_scale_of_the_term_changes_nothing(values: list[list[float]]) -> None:
    """The least divisor scales with it."""
    scaled = [[x * 4 for x in row] for row in values]
    plain = batch_rewards(normalise(epsilon=0.01), values, ended=np.inf)
    assert batch_rewards(normalise(epsilon=0.04), scaled, ended=np.inf) == pytest.approx(plain, abs=1e-8)


@given(st.lists(st.lists(st.integers(-9, 9).map(float), min_size=2, max_size=2), min_size=4, max_size=8))
def test_freeze_after_stops_the_statistics(values: list[list[float]]) -> None:
    """After four environment steps, two of each of the two environments, they are those of these four."""
    seen = np.array(values[:2])
    expected = (np.array(values[2:]) - seen.mean()) / max(seen.std(), 0.01)
    found = batch_rewards(normalise(freeze_after=4, epsilon=0.01), values)
    assert found[:2] == pytest.approx(by_numpy(values, epsilon=0.01)[:2], abs=1e-9)
    assert found[2:] == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(-9, 9).map(float), min_size=6, max_size=6))
def test_the_parameter_frozen_stops_them_and_lets_them_go_on(values: list[float]) -> None:
    """Frozen on steps 2 and 3, which then never enter."""
    rows = [[x] for x in values]
    found = batch_rewards(normalise(epsilon=0.01), rows, frozen=[0, 0, 1, 1, 0, 0])
    first = np.array(values[:2])
    held = (np.array(values[2:4]) - first.mean()) / max(first.std(), 0.01)
    assert found[2:4, 0] == pytest.approx(held, abs=1e-9)
    assert found[4:] == pytest.approx(by_numpy([*rows[:2], *rows[4:]], epsilon=0.01)[2:], abs=1e-9)


def test_its_parameter_is_named_after_the_term() -> None:
    spec = normalise()
    spec["reward"][0]["name"] = "speed"
    assert [p.name for p in compile_text(spec).params] == ["speed.frozen"]


def test_the_agent_does_not_see_running_statistics() -> None:
    assert not compile_text(normalise()).has_memory
