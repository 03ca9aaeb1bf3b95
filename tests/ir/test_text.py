"""Expression text: what it means, what it refuses, and `tolerance` as dm_control defines it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Program, Term
from rewardspec.ir.text import MAX_CHARACTERS, MAX_DEPTH, MAX_VECTOR, parse_expression
from rewardspec.transition import Transition


def value(text: str, names: dict[str, ir.Expr] | None = None, **fields: Any) -> float:
    """Return what an expression is worth on a transition with these fields."""
    expr = parse_expression(text, names or {})
    if ir.is_boolean(expr):
        expr = ir.Where(expr, ir.ONE, ir.ZERO)
    program = Program("text", None, (), (), (), (), (Term("term", "markov", expr),), ())
    _, (outcome,) = oracle.step(program, oracle.init(program), [Transition(**fields)])
    return outcome.reward


def refusal(text: str, names: dict[str, ir.Expr] | None = None, **options: Any) -> FormulaError:
    with pytest.raises(FormulaError) as raised:
        parse_expression(text, names or {}, **options)
    return raised.value


# -- meaning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("2 ** -1", 0.5),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("10 - 3 - 2", 5),
        ("1 < 2 < 3", 1),
        ("1 < 3 < 2", 0),
        ("3 > 2 == 2", 1),
        ("not 1 > 2 and 2 > 1", 1),
        ("1 > 2 or 2 > 1 and 1 > 2", 0),
        ("1 > 2 and 1 > 2 or 2 > 1", 1),
        ("not (1 > 2 or 2 > 1)", 0),
        ("5 if 1 < 2 else 6", 5),
        ("where(1 > 2, 5, 6)", 6),
        ("true", 1),
        ("pi", math.pi),
        ("1e-3", 0.001),
        ("clip(5, -1, 2)", 2),
        ("min(3, 1, 2) + max([3, 1, 2])", 4),
        ("sum([1, 2, 3]) + mean([1, 3])", 8),
        ("norm([3, 4])", 5),
        ("distance([1, 1], [4, 5])", 5),
        ("count([1, 0, 2] == 1) + any([0, 1] > 0) * 1", 2),
        ("all([1, 2] > 1) * 1", 0),
        ("(1\n + 2)", 3),
    ],
)
def test_worked_expressions(text: str, expected: float) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("next_obs[1] - obs[1]", 3),
        ("obs[-1]", 2),
        ("sum(obs[0:2])", 3),
        ("sum(obs[::-1] * [1, 10])", 12),
        ("(next_obs - obs)[0]", 9),
        ("action * reward", -6),
        ("info.k + info['k']", 8),
        ("info.deep.er[1]", 6),
        ("default(info.gone, 0.5)", 0.5),
        ("default(info.k, 0.5)", 4),
        ("label.seen and not terminated", 1),
        ("truncated or action > 0", 0),
    ],
)
def test_every_part_of_a_transition_can_be_read(text: str, expected: float) -> None:
    found = value(
        text,
        obs=np.array([1, 2]),
        next_obs=np.array([10, 5]),
        action=-2,
        reward=3.0,
        info={"k": 4, "deep": {"er": [5, 6]}},
        label={"seen": True},
    )
    assert found == expected


def test_declared_names_stand_for_their_expression_and_come_before_the_transition() -> None:
    speed = parse_expression("next_obs - obs", {})
    assert value("speed * 2", {"speed": speed}, obs=1, next_obs=4) == 6
    assert value("reward", {"reward": ir.Const(7.0)}, reward=3.0) == 7


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
@given(a=st.integers(-2, 2), b=st.integers(-2, 2), c=st.integers(-2, 2))
def test_a_chained_comparison_is_the_conjunction_of_its_links(op: str, a: int, b: int, c: int) -> None:
    assert value(f"{a} {op} {b} {op} {c}") == value(f"({a} {op} {b}) and ({b} {op} {c})")


ARITHMETIC = st.recursive(
    st.integers(1, 9).map(str),
    lambda e: st.one_of(
        st.tuples(e, st.sampled_from(["+", "-", "*", "/", "//", "%"]), e).map(" ".join),
        st.tuples(e, st.sampled_from(["+", "-", "*"]), e).map(lambda t: f"({' '.join(t)})"),
        e.map(lambda x: f"-{x}"),
    ),
    max_leaves=6,
)


@given(ARITHMETIC)
def test_arithmetic_is_pythons(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}})  # drawn above from digits and operators
    except ZeroDivisionError:
        value(text)  # does not raise: see below
        return
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("1 / 0", math.isinf),
        ("-1 / 0", math.isinf),
        ("0 / 0", math.isnan),
        ("log(-1)", math.isnan),
        ("log(0)", math.isinf),
        ("sqrt(-1)", math.isnan),
        ("exp(1e5)", math.isinf),
        ("10 ** 999", math.isinf),
    ],
)
def test_arithmetic_never_raises(text: str, check: Any) -> None:
    assert check(value(text))


def test_a_branch_that_is_not_taken_cannot_spoil_the_result() -> None:
    assert value("where(obs > 0, log(obs), -5)", obs=-1.0) == -5


# -- limits and refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "expression-syntax"),
        ("1 +", "expression-syntax"),
        ("lambda: 1", "expression-syntax"),
        ("[x for x in obs]", "expression-syntax"),
        ("'text'", "expression-syntax"),
        ("(x := 1)", "expression-syntax"),
        ("f'{obs}'", "expression-syntax"),
        ("obs ^ 2", "expression-syntax"),
        ("obs in [1, 2]", "expression-syntax"),
        ("obs is 1", "expression-syntax"),
        ("1j", "expression-syntax"),
        ("1e999", "expression-syntax"),
        ("info", "expression-syntax"),
        ("obs[action]", "expression-syntax"),
        ("obs[::0]", "expression-syntax"),
        ("cofee", "unknown-name"),
        ("open('x')", "unknown-function"),
        ("__import__('os')", "unknown-function"),
        ("obs.__class__()", "unknown-function"),
        ("min()", "wrong-arguments"),
        ("clip(1, 2)", "wrong-arguments"),
        ("abs(x=1)", "wrong-arguments"),
        ("max(*obs)", "wrong-arguments"),
        ("1 and 2", "expected-truth-value"),
        ("reward.x", "no-such-key"),
        ("tolerance(obs, 2, 1)", "wrong-arguments"),
        ("tolerance(obs, 0, 1, margin=-1)", "wrong-arguments"),
        ("tolerance(obs, 0, 1, margin=1, sigmoid='cube')", "wrong-arguments"),
        ("tolerance(obs, 0, 1, margin=1, value_at_margin=0)", "wrong-arguments"),
        ("tolerance(obs, 0, 1, margin=1, value_at_margin=1)", "wrong-arguments"),
    ],
)
def test_what_is_not_on_the_list_is_refused(text: str, code: str) -> None:
    assert refusal(text).code == code


def test_an_error_points_at_what_is_wrong() -> None:
    error = refusal("2 * obs + cofee")
    assert (error.offset, error.length) == (10, 5)
    assert "coffee" in " ".join(refusal("cofee", {"coffee": ir.TRUE}).hints)


def test_a_place_may_allow_some_parts_of_the_transition_only() -> None:
    parse_expression("obs", {}, roots=("obs",))
    assert refusal("next_obs", roots=("obs",)).code == "field-not-allowed"


@pytest.mark.parametrize(
    "text",
    [
        "1 + " * (MAX_CHARACTERS // 4) + "1",
        "-" * (MAX_DEPTH + 2) + "obs",
        "(" * 500 + "1" + ")" * 500,
        "[" + "1," * (MAX_VECTOR + 1) + "]",
        "norm(" * 40 + "obs" + ")" * 40,
    ],
)
def test_size_and_depth_are_bounded(text: str) -> None:
    assert refusal(text).code == "expression-too-large"


def test_names_written_out_count_towards_the_size() -> None:
    """Doubling forty times is a short text and a large expression."""
    names: dict[str, ir.Expr] = {"s0": parse_expression("obs", {})}
    with pytest.raises(FormulaError, match=r"parts|levels"):
        for i in range(40):
            names[f"s{i + 1}"] = parse_expression(f"s{i} + s{i}", names)
    assert len(names) < 15


# -- tolerance -------------------------------------------------------------------------------------


def sigmoid(x: float, v: float, name: str) -> float:
    """Return dm_control's `_sigmoids(x, value_at_1, sigmoid)`, formula by formula."""
    if name == "gaussian":
        return math.exp(-0.5 * (x * math.sqrt(-2 * math.log(v))) ** 2)
    if name == "hyperbolic":
        return 1 / math.cosh(x * math.acosh(1 / v))
    if name == "long_tail":
        return 1 / ((x * math.sqrt(1 / v - 1)) ** 2 + 1)
    if name == "reciprocal":
        return 1 / (abs(x) * (1 / v - 1) + 1)
    if name == "cosine":
        scaled = x * math.acos(2 * v - 1) / math.pi
        return (1 + math.cos(math.pi * scaled)) / 2 if abs(scaled) < 1 else 0.0
    if name == "linear":
        scaled = x * (1 - v)
        return 1 - scaled if abs(scaled) < 1 else 0.0
    if name == "quadratic":
        scaled = x * math.sqrt(1 - v)
        return 1 - scaled**2 if abs(scaled) < 1 else 0.0
    if name == "tanh_squared":
        return 1 - math.tanh(x * math.atanh(math.sqrt(1 - v))) ** 2
    raise ValueError(name)


def reference(x: float, bounds: tuple[float, float], margin: float, name: str, v: float) -> float:
    """Return dm_control's `tolerance(x, bounds, margin, sigmoid, value_at_margin)` of one number."""
    lower, upper = bounds
    inside = lower <= x <= upper
    if margin == 0:
        return 1.0 if inside else 0.0
    distance = (lower - x if x < lower else x - upper) / margin
    return 1.0 if inside else sigmoid(distance, v, name)


SIGMOIDS = (
    "gaussian", "hyperbolic", "long_tail", "reciprocal", "cosine", "linear", "quadratic", "tanh_squared",
)  # fmt: skip


@pytest.mark.parametrize("name", SIGMOIDS)
@given(
    x=st.floats(-6, 6),
    bounds=st.tuples(st.floats(-2, 2), st.floats(0, 2)).map(lambda t: (t[0], t[0] + t[1])),
    margin=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    v=st.sampled_from([0.01, 0.1, 0.5, 0.9]),
)
def test_tolerance_is_dm_controls(
    name: str, x: float, bounds: tuple[float, float], margin: float, v: float
) -> None:
    text = f"tolerance(obs, {bounds[0]!r}, {bounds[1]!r}, margin={margin}, sigmoid='{name}', value_at_margin={v})"
    assert value(text, obs=x) == pytest.approx(reference(x, bounds, margin, name, v), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SIGMOIDS)
def test_tolerance_is_one_inside_and_its_value_at_the_margin(name: str) -> None:
    text = f"tolerance(obs, -1, 1, margin=2, sigmoid='{name}', value_at_margin=0.25)"
    assert [value(text, obs=x) for x in (-1, 0, 1)] == [1, 1, 1]
    assert [value(text, obs=x) for x in (-3, 3)] == pytest.approx([0.25, 0.25])


def test_tolerances_arguments_may_be_named() -> None:
    named = "tolerance(obs, lower=-1, upper=+2, margin=1)"
    for x in (-1.5, -1.0, 0.0, 2.0, 2.5):
        assert value(named, obs=x) == value("tolerance(obs, -1, 2, 1)", obs=x)


def test_tolerance_has_dm_controls_defaults() -> None:
    """Bounds (0, 0), no margin, a gaussian of 0.1 at the margin."""
    assert [value("tolerance(obs)", obs=x) for x in (-0.1, 0, 0.1)] == [0, 1, 0]
    assert value("tolerance(obs, 0, 0, 2)", obs=2.0) == pytest.approx(0.1)
    assert value("tolerance(obs, 0, 0, 2)", obs=1.0) == pytest.approx(
        reference(1, (0, 0), 2, "gaussian", 0.1)
    )


@pytest.mark.parametrize("name", ["cosine", "linear", "quadratic"])
def test_three_curves_may_reach_zero_at_the_margin(name: str) -> None:
    text = f"tolerance(obs, 0, 0, margin=2, sigmoid='{name}', value_at_margin=0)"
    assert [value(text, obs=x) for x in (0.0, 2.0, 5.0)] == [1, 0, 0]
