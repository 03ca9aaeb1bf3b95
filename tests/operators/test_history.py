"""Operators that remember: diff, once, discount_by_count, end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinds.episodes import End, discounted, label_trace, play, rewards, value_trace, walk

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


def paid(term: dict[str, Any], *xs: float, **fields: Any) -> list[float]:
    return rewards({"discount": 0.5, "reward": [term], **fields}, value_trace(x=xs))


# -- diff ------------------------------------------------------------------------------------------


def diff(**fields: Any) -> dict[str, Any]:
    return {"diff": {"of": "info.x", **fields}}


def test_worked_differences() -> None:
    assert paid(diff(), 3, 5, 4) == [0, 2, -1]
    assert paid(diff(start=1), 3, 5, 4) == [2, 2, -1]
    assert paid(diff(discounted=True, start=1), 3, 5, 4) == [0.5 * 3 - 1, 0.5 * 5 - 3, 0.5 * 4 - 5]
    assert paid(diff(discounted=True), 3, 5, 4) == [0, 0.5 * 5 - 3, 0.5 * 4 - 5]


@given(VALUES, st.integers(-5, 5))
def test_differences_telescope(xs: list[int], start: int) -> None:
    """The sum is x_T - start, so going round in a loop earns nothing."""
    assert sum(paid(diff(start=start), *xs)) == xs[-1] - start
    assert sum(paid(diff(), *xs)) == xs[-1] - xs[0]
    assert sum(paid(diff(), *xs, *reversed(xs))) == 0


@given(VALUES, st.integers(-5, 5))
def test_discounted_differences_telescope_in_the_discounted_sum(xs: list[int], start: int) -> None:
    total = discounted(paid(diff(discounted=True, start=start), *xs), 0.5)
    assert total == pytest.approx(0.5 ** len(xs) * xs[-1] - start)


# -- once ------------------------------------------------------------------------------------------


def test_worked_once() -> None:
    spec = "propositions: [a]\nreward: {once: a, value: 3}"
    assert rewards(spec, label_trace("", "a", "", "a", "a")) == [0, 3, 0, 0, 0]
    assert rewards(spec, label_trace("", "")) == [0, 0]


def test_its_value_is_that_of_the_step_on_which_it_is_paid() -> None:
    assert paid({"once": "info.x > 2", "value": "info.x * 10"}, 1, 3, 5) == [0, 30, 0]


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_once_pays_once_whatever_the_order_of_the_steps(holds: list[bool], data: st.DataObject) -> None:
    spec = "reward: {once: info.h, value: 2}"
    total = 2.0 if any(holds) else 0.0
    assert sum(rewards(spec, value_trace(h=holds))) == total
    assert sum(rewards(spec, value_trace(h=data.draw(st.permutations(holds))))) == total


# -- discount_by_count -----------------------------------------------------------------------------


def counted(**fields: Any) -> dict[str, Any]:
    return {"discount_by_count": {"of": "info.x", **fields}}


def test_worked_counts() -> None:
    """What is 0 does not count: the payments 8, 8, -8 are the first, the second and the third."""
    assert paid(counted(factor=0.5), 8, 0, 8, -8) == [8, 0, 4, -2]
    assert paid(counted(power=1), 8, 0, 8, -9) == [8, 0, 4, -3]


def test_when_says_what_counts() -> None:
    """Steps on which it does not hold are paid in full, and count for nothing."""
    assert paid(counted(factor=0.5, when="info.x > 5"), 8, 2, 8, 2, 8) == [8, 2, 4, 2, 2]


@given(VALUES)
def test_factor_one_and_power_zero_are_the_identity(xs: list[int]) -> None:
    assert paid(counted(factor=1), *xs) == paid(counted(power=0), *xs) == xs


@given(VALUES, st.sampled_from([{"factor": 0.5}, {"factor": 0.9}, {"power": 1}, {"power": 0.5}]))
def test_it_never_raises_or_flips_a_payment_and_leaves_the_first_alone(
    xs: list[int], form: dict[str, float]
) -> None:
    found = paid(counted(**form), *xs)
    assert all(abs(y) <= abs(x) and x * y >= 0 for x, y in zip(xs, found, strict=True))
    first = next((i for i, x in enumerate(xs) if x), None)
    assert first is None or found[first] == xs[first]


@given(st.integers(1, 60), st.sampled_from([0.5, 0.8]))
def test_a_loop_is_worth_a_bounded_amount(rounds: int, factor: float) -> None:
    assert sum(paid(counted(factor=factor), *[3] * rounds)) < 3 / (1 - factor) + 1e-9


# -- end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["terminated", "truncated"])
@pytest.mark.parametrize("where", ["term", "top"])
def test_the_end_pays_its_value_once_on_the_step_that_ends(how: str, where: str) -> None:
    """As an operator or in the spec's own list: the same."""
    end = {"when": "a", "how": how, "value": -5}
    spec: dict[str, Any] = {"propositions": {"a": None, "b": None}, "reward": ["-1"]}
    if where == "top":
        spec["end"] = [end]
    else:
        spec["reward"].append({"end": end})
    outcomes = play(spec, label_trace("", "b", "a", "a"))
    assert [o.reward for o in outcomes] == [-1, -1, -6]
    assert [(o.terminated, o.truncated) for o in outcomes[:-1]] == [(False, False)] * 2
    assert (outcomes[-1].terminated, outcomes[-1].truncated) == (how == "terminated", how == "truncated")


def test_two_ends_at_once_are_both_paid() -> None:
    spec = "propositions: [a, b]\nreward: 0\nend: [{when: a, value: 1}, {when: b, how: truncated, value: 10}]"
    (outcome,) = play(spec, label_trace("a b"))
    assert (outcome.reward, outcome.terminated, outcome.truncated) == (11, True, True)


@given(st.lists(st.sampled_from(["", "a"]), min_size=1, max_size=6), st.sampled_from([None, "truncated"]))
def test_an_end_is_paid_at_most_once_and_exactly_where_its_condition_holds(
    steps: list[str], end: End
) -> None:
    outcomes = play("propositions: [a]\nreward: 0\nend: [{when: a, value: -5}]", label_trace(*steps, end=end))
    assert sum(o.reward for o in outcomes) == (-5 if "a" in steps else 0)
    assert any(o.terminated for o in outcomes) == ("a" in steps)


def test_a_potential_is_zero_at_a_terminating_end_and_not_at_a_truncating_one() -> None:
    spec = "discount: 0.5\nreward: {{potential: obs}}\nend: [{{when: next_obs > 2, how: {how}}}]"
    assert rewards(spec.format(how="terminated"), walk(1, 4)) == [-1]
    assert rewards(spec.format(how="truncated"), walk(1, 4)) == [1]
