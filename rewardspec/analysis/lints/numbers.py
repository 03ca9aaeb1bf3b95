"""Lints of arithmetic: what can become infinite or no number on the declared ranges."""

from __future__ import annotations

from collections.abc import Iterator

from rewardspec.analysis.economy import end_condition
from rewardspec.analysis.intervals import Assumed, Interval, implied
from rewardspec.analysis.subject import Subject
from rewardspec.errors import Place, Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr

LARGEST_EXPONENT = 709.0
"""exp(x) is infinite a little above it."""


def lint_finite(subject: Subject) -> Iterator[Problem]:
    """Yield operations that may become infinite or NaN on declared ranges; without ranges nothing is said."""
    for i, name in enumerate(subject.names):
        path = ("reward", i)
        for what, place in _hazards(subject, subject.paid[path], {}):
            yield subject.finding(
                "may-not-be-finite",
                "warning",
                f"in '{name}' {what}: the reward would not be finite, and the run would stop",
                path,
                (
                    "Keep it away from there, as in max(x, 0.01) or where(x > 0, ..., 0), "
                    "or correct the `range`.",
                ),
                place=place if place is not None and place.line else None,
            )
            break


def _hazards(subject: Subject, expr: Expr, assumed: Assumed) -> Iterator[tuple[str, Place | None]]:
    """Yield what can go wrong in an expression, given what the conditions around it imply."""
    if isinstance(expr, ir.Where):
        yield from _hazards(subject, expr.condition, assumed)
        yield from _hazards(subject, expr.a, {**assumed, **implied(expr.condition, True)})
        yield from _hazards(subject, expr.b, {**assumed, **implied(expr.condition, False)})
        return
    for child in ir.children(expr):
        yield from _hazards(subject, child, assumed)
    if isinstance(expr, ir.Binary) and expr.op in ("div", "floordiv", "mod"):
        divisor = subject.ranges.of(expr.b, assumed)
        differs = ir.Compare("ne", expr.b, ir.ZERO) in assumed
        if divisor.is_bounded and divisor.low <= 0 <= divisor.high and not differs:
            always = divisor.low == divisor.high
            yield "a divisor is 0" if always else f"a divisor lies in {divisor} and may be 0", expr.place
            return
    elif isinstance(expr, ir.Call):
        x = subject.ranges.of(expr.args[0], assumed)
        if reason := _outside(expr.name, x):
            yield reason, None
            return
    if isinstance(expr, ir.Binary) and _is_constant(expr):
        made, given = subject.ranges.of(expr), [subject.ranges.of(child) for child in ir.children(expr)]
        if not made.is_bounded and all(interval.is_bounded for interval in given):
            yield "a constant is too large to be a number", expr.place


def _is_constant(expr: Expr) -> bool:
    """Return whether an expression is made of numbers alone."""
    return all(isinstance(leaf, ir.Const) for leaf in ir.walk(expr) if not ir.children(leaf))


def _outside(name: str, x: Interval) -> str:
    """Return why a function of a bounded interval may not be finite; empty where it is."""
    if not x.is_bounded:
        return ""
    if name == "log" and x.low <= 0:
        return f"log is taken of {x}"
    if name == "sqrt" and x.low < 0:
        return f"sqrt is taken of {x}"
    if name == "arctanh" and (x.low <= -1 or x.high >= 1):
        return f"arctanh is taken of {x}"
    return f"exp is taken of {x}" if name == "exp" and x.high > LARGEST_EXPONENT else ""


def lint_ends(subject: Subject) -> Iterator[Problem]:
    """Yield ends of the spec that come on every step, or never, on the declared ranges."""
    for i in range(len(subject.spec.end)):
        condition = end_condition(subject, i)
        truth = Interval(0.0, 1.0) if condition is None else subject.ranges.of(condition)
        if truth.is_constant:
            always = (
                "true, so every episode is over after one step"
                if truth.low
                else "false, so it never ends one"
            )
            yield subject.finding(
                "constant-end",
                "warning",
                f"on the declared ranges the condition is always {always}",
                ("end", i, "when"),
                ("Correct the bound, or the `range` of the signal that it reads.",),
            )
