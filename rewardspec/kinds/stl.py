"""Kind `stl`: by how much the last steps satisfied a formula of signal temporal logic."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.syntax_errors import MAX_DEPTH, SPLIT_HINT
from rewardspec.lowering import DUMMY, Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import Model

MAX_MEMORY = 256
"""Numbers that the windows of one formula may remember."""

MAX_STEPS = 1_000_000
"""Largest bound of an interval that is read at all."""

SHAPES = {"G": "G[0, 10](x > 0)", "F": "F[0, 10](x > 0)", "U": "U[0, 10](x > 0, y > 0)"}
"""The temporal operators, and how each is written."""

ARGUMENTS = {"G": 1, "F": 1, "U": 2}


class Stl(Model):
    """Pays the robustness of a formula of signal temporal logic: by how much its comparisons hold, or fail.

    Formula: r_t = rho(formula, t - h) for t >= h, else 0, h being the formula's horizon, the steps it looks ahead

    So the last h + 1 steps are judged. With x_t for the value of a number x at step t:

    - rho(x > c, t) = x_t - c, and with < the negative of it; rho(not p, t) = -rho(p, t);
    - rho(p and q, t) and rho(p or q, t) are the least and the greatest of both;
    - rho(`G[a, b](p)`, t) and rho(`F[a, b](p)`, t) are the least and the greatest rho(p, t + k) with a <= k <= b;
    - rho(`U[a, b](p, q)`, t) is the greatest, over these k, of the least of rho(q, t + k) and all rho(p, t + j), j < k.

    Intervals count steps. A proposition that is made of comparisons has their margin; any other truth value (a label,
    ==, !=) counts 1 where it holds and -1 where not. What a window must remember is part of the observation.

    Law: positive where the formula holds, negative where it is violated; a change of every margin by less than
    the robustness does not change the verdict. `threshold` makes a verdict of it.

    Source: the quantitative semantics of A. Donze, O. Maler, "Robust satisfaction of temporal logic over real-valued
    signals", FORMATS 2010; paid on the last h + 1 steps as by D. Aksaray et al., "Q-learning for robust satisfaction of
    signal temporal logic specifications", CDC 2016. Their agent remembers whole states, ours what the windows need.
    """

    formula: str = Field(
        description="Comparisons and truth values, and, or, not, and over intervals of steps `G[a, b](p)`, "
        "`F[a, b](p)`, `U[a, b](p, q)`.",
        examples=["G[0, 10](x >= 0.5 or F[0, 5](y >= 0.2))"],
        min_length=1,
    )


@dataclass(frozen=True)
class Delayed:
    """The robustness of a subformula, known `horizon` steps late: its value now is that at the step then."""

    value: Expr
    horizon: int


def lower(term: Stl, scope: Scope) -> Expr:
    """Return the robustness once the episode is old enough; declares what the windows remember."""
    reader = _Reader(term.formula, scope)
    try:
        found = reader.formula()
    except FormulaError as error:
        scope.formula_problem(error, "formula")
        return DUMMY
    if found is None:
        return DUMMY
    if not found.horizon:
        return found.value
    age = ir.Const(float(found.horizon))
    before, _ = scope.fold(
        "age",
        0.0,
        lambda steps: ir.Combine("min", (ir.Binary("add", steps, ir.ONE), age)),
        low=0.0,
        high=float(found.horizon),
    )
    return ir.Where(ir.Compare("ge", before, age), found.value, ir.ZERO)


class _Reader:
    """Reads a formula; what is not temporal in it are conditions like all others, read where they stand."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.text, self.scope, self.memory = text, scope, 0
        self.flat = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        self.indent = len(self.flat) - len(self.flat.lstrip(" "))

    def formula(self) -> Delayed | None:
        """Return the formula; None when its syntax is wrong, which has been noted."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.flat.lstrip(" "), mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            self.scope.expression(self.text, "formula")  # says what is wrong with it
            return None
        return self.read(tree.body, 0)

    def read(self, node: ast.expr, level: int) -> Delayed:
        if level > MAX_DEPTH:
            message = f"the formula is nested more than {MAX_DEPTH} levels deep"
            raise FormulaError("expression-too-large", message, *self.span(node), (SPLIT_HINT,))
        match node:
            case ast.BoolOp():
                parts = [self.read(value, level + 1) for value in node.values]
                return self.joined("min" if isinstance(node.op, ast.And) else "max", parts, node)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                parts = [self.read(value, level + 1) for value in (node.left, node.right)]
                return self.joined("min" if isinstance(node.op, ast.BitAnd) else "max", parts, node)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                inner = self.read(node.operand, level + 1)
                return Delayed(ir.Unary("neg", inner.value), inner.horizon)
            case ast.Call(func=ast.Subscript(value=ast.Name(id="G" | "F" | "U" as name), slice=interval)):
                return self.temporal(name, node, interval, level)
            case ast.Call(func=ast.Name(id="G" | "F" | "U" as name)):
                raise self.wrong(node, f"{name} needs an interval of steps", name)
        return Delayed(self.margin(node), 0)

    def margin(self, node: ast.expr) -> Expr:
        """Return the margin of a condition without temporal operators."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Subscript):
                raise self.misplaced(part, part.func.value)
        start, length = self.span(node)
        text = " " * start + self.flat[start : start + length]  # so that errors point to the right place
        noted = len(self.scope.draft.problems)
        found = self.scope.expression(text, "formula")
        if len(self.scope.draft.problems) > noted:
            return DUMMY
        if isinstance(found, ir.Field):  # true when it is not 0
            found = ir.Compare("ne", found, ir.ZERO, found.place)
        if not ir.is_boolean(found):
            message, hint = "a number stands where a truth value is needed", "Compare it, as in x > 0."
            raise FormulaError("expected-truth-value", message, start, length, (hint,))
        return margin_of(found, self.scope)

    def temporal(self, name: str, node: ast.Call, interval: ast.expr, level: int) -> Delayed:
        if len(node.args) != ARGUMENTS[name] or node.keywords:
            plural = "" if ARGUMENTS[name] == 1 else "s"
            raise self.wrong(node, f"{name} takes {ARGUMENTS[name]} formula{plural}", name)
        a, b = self.interval(name, interval)
        parts = [self.read(arg, level + 1) for arg in node.args]
        if name == "U":
            return self.until(a, b, parts[0], parts[1], node)
        inner = parts[0]
        extreme: Literal["min", "max"] = "min" if name == "G" else "max"
        return Delayed(self.window(extreme, inner.value, b - a + 1, node), inner.horizon + b)

    def misplaced(self, node: ast.Call, name: ast.expr) -> FormulaError:
        """Return the error for what looks like a temporal operator inside a condition."""
        if isinstance(name, ast.Name) and name.id in SHAPES:
            message = "a temporal operator joins truth values: it cannot be part of a number"
            return FormulaError("expected-truth-value", message, *self.span(node))
        hint = f"They are: {', '.join(SHAPES.values())}."
        return FormulaError("unknown-function", "this is no temporal operator", *self.span(name), (hint,))

    def interval(self, name: str, node: ast.expr) -> tuple[int, int]:
        bounds = [part.value for part in getattr(node, "elts", ()) if isinstance(part, ast.Constant)]
        match bounds:
            case [int() as a, int() as b] if len(getattr(node, "elts", ())) == 2 and 0 <= a <= b <= MAX_STEPS:
                return a, b
        raise self.wrong(node, "an interval is two whole numbers of steps, the smaller one first", name)

    def joined(self, extreme: Literal["min", "max"], parts: list[Delayed], node: ast.expr) -> Delayed:
        """Return the extreme of several subformulas, the earlier known ones delayed until the last is known."""
        horizon = max(part.horizon for part in parts)
        values = tuple(self.past(part.value, horizon - part.horizon, node)[-1] for part in parts)
        return Delayed(ir.Combine(extreme, values), horizon)

    def until(self, a: int, b: int, p: Delayed, q: Delayed, node: ast.expr) -> Delayed:
        """Return U[a, b](p, q) by its definition: of the step b ago, p so long and then q."""
        horizon = max(p.horizon, q.horizon)
        p_now, q_now = (self.past(part.value, horizon - part.horizon, node)[-1] for part in (p, q))
        held, then = self.past(p_now, b, node), self.past(q_now, b - a, node)
        ways: list[Expr] = []
        so_far: tuple[Expr, ...] = ()
        for k in range(b + 1):
            if k >= a:
                ways.append(ir.Combine("min", (*so_far, then[b - k])) if so_far else then[b - k])
            so_far = (ir.Combine("min", (*so_far, held[b - k])) if so_far else held[b - k],)
        return Delayed(ir.Combine("max", tuple(ways)) if len(ways) > 1 else ways[0], horizon + b)

    # -- memories ----------------------------------------------------------------------------------

    def window(self, extreme: Literal["min", "max"], value: Expr, steps: int, node: ast.expr) -> Expr:
        """Return the extreme of a value over the last steps, by windows of twice the length each."""
        length = 1
        while length < steps:
            back = min(length, steps - length)
            value = ir.Combine(extreme, (value, self.past(value, back, node)[-1]))
            length += back
        return value

    def past(self, value: Expr, steps: int, node: ast.expr) -> list[Expr]:
        """Remember a value for some steps; return what it is now and was 1, 2, ... steps ago.

        Raises:
            FormulaError: `window-too-long`.
        """
        self.memory += steps
        if self.memory > MAX_MEMORY:
            message = f"up to here the formula's windows remember more than {MAX_MEMORY} numbers"
            hint = "Shorten the intervals, or say it without them as an `ltl` formula over propositions."
            raise FormulaError("window-too-long", message, *self.span(node), (hint,))
        found = [value]
        for _ in range(steps):
            before, _ = self.scope.fold("past", 0.0, _becomes(found[-1]))
            found.append(before)
        return found

    # -- places ------------------------------------------------------------------------------------

    def wrong(self, node: ast.expr, message: str, name: str) -> FormulaError:
        return FormulaError("wrong-arguments", message, *self.span(node), (f"Write {SHAPES[name]}.",))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Return a node's offset in the text and its length, in characters."""
        text = self.flat.lstrip(" ").encode()
        start, end = (
            len(text[:offset].decode(errors="ignore")) + self.indent
            for offset in (node.col_offset, node.end_col_offset or node.col_offset + 1)
        )
        return start, max(1, end - start)


def _becomes(value: Expr) -> Callable[[Expr], Expr]:
    return lambda _: value


def margin_of(condition: Expr, scope: Scope) -> Expr:
    """Return by how much a truth value holds: positive where it does, negative where it does not."""
    match condition:
        case ir.Compare(op="gt" | "ge", a=a, b=b):
            return ir.Binary("sub", a, b, condition.place)
        case ir.Compare(op="lt" | "le", a=a, b=b):
            return ir.Binary("sub", b, a, condition.place)
        case ir.Logic(op=op, args=args):
            parts = tuple(margin_of(arg, scope) for arg in args)
            return ir.Combine("min" if op == "and" else "max", parts)
        case ir.Unary(op="not", x=x):
            return ir.Unary("neg", margin_of(x, scope))
        case ir.Reduce(op="any" | "all" as op, x=x, axis="value") if ir.is_boolean(x):
            return ir.Reduce("max" if op == "any" else "min", margin_of(x, scope), place=condition.place)
        case ir.Holds(name=name) if _is_ordered(scope.draft.propositions[name].expr):
            return margin_of(scope.draft.propositions[name].expr, scope)
    return ir.Where(condition, ir.ONE, ir.Const(-1.0))


def _is_ordered(expr: Expr) -> bool:
    """Return whether a truth value is made of comparisons by size."""
    match expr:
        case ir.Compare(op=op):
            return op not in ("eq", "ne")
        case ir.Logic(args=args):
            return all(map(_is_ordered, args))
        case ir.Unary(op="not", x=x) | ir.Reduce(op="any" | "all", x=x, axis="value"):
            return _is_ordered(x)
    return False


KIND = Kind(Stl, "formula", lower)
