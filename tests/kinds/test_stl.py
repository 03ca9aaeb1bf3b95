"""Kind `stl`: windows over the last steps pay what the definition of robustness says of the whole trace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.errors import SpecError
from tests.kinds.episodes import compile_text, label_trace, rewards, value_trace


def paid(formula: str, **values: Sequence[float | bool]) -> list[float]:
    """Return what a formula over `x`, `y` and `z` pays on each step."""
    signals = {name: f"info.{name}" for name in values}
    return rewards({"rewardspec": 1, "signals": signals, "reward": {"stl": formula}}, value_trace(**values))


def test_a_comparison_pays_its_margin() -> None:
    assert paid("x > 2", x=[5, 2, 1]) == [3, 0, -1]
    assert paid("x <= 2", x=[5, 2, 1]) == [-3, 0, 1]


def test_always_pays_the_worst_of_its_window_from_the_first_full_one_on() -> None:
    """h = 2: nothing for two steps, then the least of the last three."""
    assert paid("G[0, 2](x > 0)", x=[4, 1, 3, 2, 5, -1]) == [0, 0, 1, 1, 2, -1]


def test_eventually_pays_the_best_of_its_window_and_may_begin_late() -> None:
    """F[1, 2] of step t looks at t + 1 and t + 2: known at t + 2, of the last two."""
    assert paid("F[1, 2](x > 0)", x=[9, 1, 3, 2, -5, -1]) == [0, 0, 3, 3, 2, -1]


def test_until_needs_the_first_before_the_second() -> None:
    """Of step 0: y at 0 (-1), x at 0 and y at 1 (min(2, 4)), x at 0 and 1 and y at 2 (min(2, -1, 9))."""
    assert paid("U[0, 2](x > 0, y > 0)", x=[2, -1, 3], y=[-1, 4, 9]) == [0, 0, 2]


def test_what_is_known_early_waits_for_the_rest() -> None:
    """x of step t joins F[1, 1](y) of step t, which is known a step later."""
    assert paid("x > 0 and F[1, 1](y > 0)", x=[7, 8, 1], y=[0, 5, 9]) == [0, 5, 8]


def test_a_proposition_made_of_comparisons_has_their_margin_and_a_label_counts_one() -> None:
    names = {"near": "info.x < 2 and info.x > -2", "goal": "info.done", "seven": "info.x == 7"}
    trace = value_trace(x=[0.5, 7], done=[True, False])
    for formula, expected in {
        "near": [1.5, -5],
        "not near": [-1.5, 5],
        "goal": [1, -1],
        "seven": [-1, 1],
    }.items():
        assert (
            rewards({"rewardspec": 1, "propositions": names, "reward": {"stl": formula}}, trace) == expected
        )


def test_labels_alone_can_be_tested_by_a_trace() -> None:
    spec = {"rewardspec": 1, "propositions": ["a", "b"], "reward": {"stl": "G[0, 1](a or F[0, 1](b))"}}
    assert rewards(spec, label_trace("a", "", "b", "", "")) == [0, 0, 1, 1, -1]


def test_every_episode_begins_with_an_empty_window() -> None:
    """The same program on a second episode: what came before is forgotten."""
    program = compile_text("signals: {x: info.x}\nreward: {stl: 'G[0, 1](x > 0)'}")
    assert rewards(program, value_trace(x=[-9, 1])) == [0, -9]
    assert rewards(program, value_trace(x=[2, 1])) == [0, 1]


# -- against the definition --------------------------------------------------------------------------------


def robustness(formula: Any, trace: dict[str, list[float]], t: int) -> float:
    """Return rho(formula, t) by the definition, on the whole trace."""
    match formula:
        case ("x" | "y" as name, c):
            return trace[name][t] - c
        case ("not", p):
            return -robustness(p, trace, t)
        case ("and" | "or" as op, p, q):
            return (min if op == "and" else max)(robustness(p, trace, t), robustness(q, trace, t))
        case ("G" | "F" as op, (a, b), p):
            return (min if op == "G" else max)(robustness(p, trace, t + k) for k in range(a, b + 1))
        case ("U", (a, b), p, q):
            ways = []
            for k in range(a, b + 1):
                before = [robustness(p, trace, t + j) for j in range(k)]
                ways.append(min([robustness(q, trace, t + k), *before]))
            return max(ways)
    raise AssertionError(formula)


def horizon(formula: Any) -> int:
    """Return how many steps a formula looks ahead."""
    match formula:
        case ("x" | "y", _):
            return 0
        case ("not", p):
            return horizon(p)
        case ("and" | "or", p, q):
            return max(horizon(p), horizon(q))
        case (_, (_, b), *parts):
            return b + max(map(horizon, parts))
    raise AssertionError(formula)


def text_of(formula: Any) -> str:
    """Return a formula as a spec says it."""
    match formula:
        case ("x" | "y" as name, c):
            return f"{name} > {c}"
        case ("not", p):
            return f"not ({text_of(p)})"
        case ("and" | "or" as op, p, q):
            return f"({text_of(p)}) {op} ({text_of(q)})"
        case (op, (a, b), *parts):
            return f"{op}[{a}, {b}]({', '.join(map(text_of, parts))})"
    raise AssertionError(formula)


INTERVALS = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: tuple(sorted(pair)))
FORMULAS = st.recursive(
    st.tuples(st.sampled_from(["x", "y"]), st.integers(-2, 2)),
    lambda p: st.one_of(
        st.tuples(st.just("not"), p),
        st.tuples(st.sampled_from(["and", "or"]), p, p),
        st.tuples(st.sampled_from(["G", "F"]), INTERVALS, p),
        st.tuples(st.just("U"), INTERVALS, p, p),
    ),
    max_leaves=5,
)
VALUES = st.lists(st.integers(-5, 5), min_size=16, max_size=16)


@settings(max_examples=150)
@given(FORMULAS, VALUES, VALUES)
def test_the_windows_pay_what_the_definition_says(formula: Any, x: list[float], y: list[float]) -> None:
    late = horizon(formula)
    expected = [0.0 if t < late else robustness(formula, {"x": x, "y": y}, t - late) for t in range(len(x))]
    assert paid(text_of(formula), x=x, y=y) == expected


@settings(max_examples=50)
@given(FORMULAS, VALUES, VALUES)
def test_less_change_than_the_robustness_keeps_the_verdict(
    formula: Any, x: list[float], y: list[float]
) -> None:
    """Robustness is 1-Lipschitz in the signals: moved by 0.25 each, no payment moves by more."""
    moved = [value + 0.25 * (-1) ** i for i, value in enumerate(x)]
    before, after = paid(text_of(formula), x=x, y=y), paid(text_of(formula), x=moved, y=y)
    assert max(map(math.fabs, map(float.__sub__, map(float, before), map(float, after)))) <= 0.25


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "code", "offset", "said"),
    [
        ("x > 0 and G(x > 0)", "wrong-arguments", 10, "G needs an interval of steps"),
        ("G[3, 1](x > 0)", "wrong-arguments", 2, "the smaller one first"),
        ("G[0, 1.5](x > 0)", "wrong-arguments", 2, "two whole numbers"),
        ("G[0](x > 0)", "wrong-arguments", 2, "two whole numbers"),
        ("U[0, 1](x > 0)", "wrong-arguments", 0, "U takes 2 formulas"),
        ("1 + G[0, 1](x > 0)", "expected-truth-value", 4, "cannot be part of a number"),
        ("always[0, 1](x > 0)", "unknown-function", 0, "no temporal operator"),
        ("x > 0 or G[0, 1](z > 0)", "unknown-name", 17, "unknown name 'z'"),
        ("G[0, 1](x + 1)", "expected-truth-value", 8, "a number stands"),
        ("G[0, 200](x > 0) or F[0, 200](x > 0)", "window-too-long", 20, "more than 256 numbers"),
        ("G[0, 1](x > )", "expression-syntax", 12, "cannot stand here"),
        ("", "wrong-value", None, ""),
    ],
)
def test_a_wrong_formula_is_told_where(formula: str, code: str, offset: int | None, said: str) -> None:
    text = f'signals: {{x: info.x}}\nreward:\n  - stl: "{formula}"\n'
    with pytest.raises(SpecError) as caught:
        compile_text(text)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert said in problem.message
    if offset is not None:
        assert problem.place.column == len('  - stl: "') + offset + 1
