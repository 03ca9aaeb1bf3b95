"""Named functions that stand for several operations: `clip`, and dm_control's `tolerance` with its eight curves."""

from __future__ import annotations

import math

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr


def clip(x: Expr, low: Expr, high: Expr) -> Expr:
    """Return x held between two bounds."""
    return ir.Combine("min", (ir.Combine("max", (x, low)), high))


SIGMOIDS = (
    "gaussian",
    "hyperbolic",
    "long_tail",
    "reciprocal",
    "cosine",
    "linear",
    "quadratic",
    "tanh_squared",
)


def tolerance(
    x: Expr, lower: float, upper: float, margin: float, sigmoid: str, value_at_margin: float
) -> Expr:
    """Return 1 inside the bounds and a sigmoid of the distance to them outside.

    Args:
        x: The value.
        lower: Lower bound.
        upper: Upper bound.
        margin: Distance from the bounds at which the result is `value_at_margin`; 0 for a step.
        sigmoid: One of `SIGMOIDS`.
        value_at_margin: Result at the margin.

    Source: the `tolerance` function of dm_control's `utils/rewards.py` (Tassa et al. 2018, section 3).
    """
    low, high = ir.Const(lower), ir.Const(upper)
    inside = ir.Logic("and", (ir.Compare("le", low, x), ir.Compare("le", x, high)))
    if margin == 0:
        return ir.Where(inside, ir.ONE, ir.ZERO)
    below = ir.Compare("lt", x, low)
    gap = ir.Where(below, ir.Binary("sub", low, x), ir.Binary("sub", x, high))
    return ir.Where(
        inside, ir.ONE, _sigmoid(ir.Binary("div", gap, ir.Const(margin)), sigmoid, value_at_margin)
    )


def _sigmoid(d: Expr, name: str, v: float) -> Expr:
    """Return the falling curve of that name: 1 at d = 0 and v at d = 1."""

    def mul(factor: float, x: Expr) -> Expr:
        return ir.Binary("mul", ir.Const(factor), x)

    def one_plus(x: Expr) -> Expr:
        return ir.Binary("add", ir.ONE, x)

    def one_minus(x: Expr) -> Expr:
        return ir.Binary("sub", ir.ONE, x)

    def inverse(x: Expr) -> Expr:
        return ir.Binary("div", ir.ONE, x)

    def square(x: Expr) -> Expr:
        return ir.Binary("mul", x, x)

    def until_zero(x: Expr, value: Expr) -> Expr:
        return ir.Where(ir.Compare("lt", ir.Call("abs", (x,)), ir.ONE), value, ir.ZERO)

    if name == "gaussian":
        return ir.Call("exp", (mul(math.log(v), square(d)),))  # exp(-(d*s)**2 / 2), s = sqrt(-2 ln v)
    if name == "hyperbolic":
        s = mul(math.acosh(1 / v), d)
        cosh = ir.Binary("add", ir.Call("exp", (s,)), ir.Call("exp", (ir.Unary("neg", s),)))
        return ir.Binary("div", ir.Const(2.0), cosh)
    if name == "long_tail":
        return inverse(one_plus(square(mul(math.sqrt(1 / v - 1), d))))
    if name == "reciprocal":
        return inverse(one_plus(mul(1 / v - 1, ir.Call("abs", (d,)))))
    if name == "cosine":
        s = mul(math.acos(2 * v - 1) / math.pi, d)
        return until_zero(s, ir.Binary("div", one_plus(ir.Call("cos", (mul(math.pi, s),))), ir.Const(2.0)))
    if name == "linear":
        s = mul(1 - v, d)
        return until_zero(s, one_minus(s))
    if name == "quadratic":
        s = mul(math.sqrt(1 - v), d)
        return until_zero(s, one_minus(square(s)))
    s = mul(math.atanh(math.sqrt(1 - v)), d)
    return one_minus(square(ir.Call("tanh", (s,))))
