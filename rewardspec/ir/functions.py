"""The functions that an expression may call: how many arguments each takes, and the IR that it comes to."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Protocol

from rewardspec.errors import FormulaError, Place, list_names
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.syntax_errors import MAX_DEPTH
from rewardspec.ir.tolerance import SIGMOIDS, clip, tolerance

REDUCTIONS = ("sum", "mean", "any", "all", "count")
"""Functions of one vector."""


class Reading(Protocol):
    """What a function needs of the reader that has come to its call."""

    def read(self, node: ast.expr, level: int) -> Expr:
        """Return the expression of a node so many levels deep."""
        ...

    def here(self, node: ast.expr) -> Place:
        """Return where a node stands."""
        ...

    def fail(self, node: ast.expr, code: str, message: str, *hints: str) -> FormulaError:
        """Return an error about a node."""
        ...


Builder = Callable[[Reading, ast.Call, list[Expr]], Expr]
"""Makes the expression for a call whose positional arguments were read."""


def _elementwise(name: str) -> Builder:
    return lambda reader, node, args: ir.Call(name, tuple(args))


def _reduction(name: str) -> Builder:
    def build(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
        return ir.Reduce(name, args[0], "value", reader.here(node))  # type: ignore[arg-type]

    return build


def _extreme(name: str) -> Builder:
    """Build min and max: of one vector, or of several values."""

    def build(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
        if len(args) == 1:
            return ir.Reduce(name, args[0], "value", reader.here(node))  # type: ignore[arg-type]
        return ir.Combine(name, tuple(args))  # type: ignore[arg-type]

    return build


def _clip(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    return clip(*args)


def _norm(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    squares = ir.Binary("mul", args[0], args[0], reader.here(node))
    return ir.Call("sqrt", (ir.Reduce("sum", squares, "value", reader.here(node)),))


def _distance(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    return _norm(reader, node, [ir.Binary("sub", args[0], args[1], reader.here(node))])


def _tolerance(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    """Read `tolerance(x, lower, upper, margin=0, sigmoid="gaussian", value_at_margin=0.1)`."""
    numbers: dict[str, float] = {"lower": 0.0, "upper": 0.0, "margin": 0.0, "value_at_margin": 0.1}
    shape = "gaussian"
    for name, arg in zip(("lower", "upper", "margin"), args[1:], strict=False):
        numbers[name] = _number(reader, node, name, arg)
    for keyword in node.keywords:
        if keyword.arg == "sigmoid":
            if not (isinstance(keyword.value, ast.Constant) and keyword.value.value in SIGMOIDS):
                raise reader.fail(
                    node, "wrong-arguments", f"tolerance's sigmoid is one of: {list_names(SIGMOIDS)}"
                )
            shape = str(keyword.value.value)
        elif keyword.arg in numbers:
            # One level is left for a sign.
            number = reader.read(keyword.value, MAX_DEPTH - 1)
            numbers[keyword.arg] = _number(reader, node, keyword.arg, number)
        else:
            known = [*numbers, "sigmoid"]
            raise reader.fail(
                node,
                "wrong-arguments",
                f"tolerance has no argument '{keyword.arg}'",
                f"It has: {list_names(known)}.",
            )
    if numbers["lower"] > numbers["upper"]:
        raise reader.fail(node, "wrong-arguments", "tolerance's lower bound is above its upper bound")
    if numbers["margin"] < 0:
        raise reader.fail(node, "wrong-arguments", "tolerance's margin must not be negative")
    at_margin = numbers["value_at_margin"]
    if not 0 <= at_margin < 1 or (at_margin == 0 and shape not in ("cosine", "linear", "quadratic")):
        raise reader.fail(node, "wrong-arguments", "tolerance's value_at_margin must lie between 0 and 1")
    return tolerance(args[0], numbers["lower"], numbers["upper"], numbers["margin"], shape, at_margin)


def _number(reader: Reading, node: ast.Call, name: str, value: Expr) -> float:
    if isinstance(value, ir.Const) and not isinstance(value.value, bool):
        return value.value
    raise reader.fail(node, "wrong-arguments", f"tolerance's {name} must be a number")


def _where(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    return ir.Where(args[0], args[1], args[2])


def _default(reader: Reading, node: ast.Call, args: list[Expr]) -> Expr:
    """Read `default(info.key, number)`: what an absent key counts as."""
    read, value = args
    if not (isinstance(read, ir.Field) and read.root == "info" and read.path and isinstance(value, ir.Const)):
        raise reader.fail(
            node,
            "wrong-arguments",
            "default takes a key of info and a number, as in default(info.success, 0)",
        )
    return ir.Field("info", read.path, float(value.value), reader.here(node), read.who)


CALLS: dict[str, tuple[int, int, Builder]] = {
    **{name: (count, count, _elementwise(name)) for name, count in ir.FUNCTIONS.items()},
    **{name: (1, 1, _reduction(name)) for name in REDUCTIONS},
    "min": (1, 1000, _extreme("min")),
    "max": (1, 1000, _extreme("max")),
    "clip": (3, 3, _clip),
    "norm": (1, 1, _norm),
    "distance": (2, 2, _distance),
    "tolerance": (1, 4, _tolerance),
    "where": (3, 3, _where),
    "default": (2, 2, _default),
}
"""Function -> least and greatest number of its arguments, and what makes IR of them."""

FUNCTION_NAMES = tuple(CALLS)
"""Every function that an expression may call."""

SHAPES: dict[str, str] = {
    **{name: f"{name}({', '.join('xyz'[:low])})" for name, (low, high, _) in CALLS.items() if low == high},
    **{name: f"{name}(vector) or {name}(x, y, ...)" for name in ("min", "max")},
    "clip": "clip(x, low, high)",
    "where": "where(condition, x, y)",
    "default": "default(info.key, number)",
    "tolerance": "tolerance(x, lower, upper, margin=0, sigmoid='gaussian', value_at_margin=0.1)",
}
"""How each function is called."""
