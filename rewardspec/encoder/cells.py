"""Cells: the single numbers and truth values that arrays of the encoder language are made of.

A cell is an expression over one transition with its size when written out, so that code which doubles a value again
and again is refused before anything is as large as it says. Constants are worked out at once and must be finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rewardspec.encoder.refusal import refuse, too_large
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr

MAX_SIZE = 4_000
"""Parts of one factor when it is written out."""

MAX_HEIGHT = 120
"""Levels of one factor when it is written out."""

MAX_EXPONENT = 8
"""Greatest constant exponent, either way."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number, or truth value, of a row.

    Attributes:
        expr: What it is, over one transition.
        size: Parts of the expression, shared ones counted each time.
        height: Its levels.
    """

    expr: Expr
    size: int = 1
    height: int = 1

    @property
    def constant(self) -> float | bool | None:
        """The value, where it is known now."""
        return self.expr.value if isinstance(self.expr, ir.Const) else None

    @property
    def is_truth(self) -> bool:
        """Whether it is a truth value."""
        return ir.is_boolean(self.expr)


def constant(value: float | bool) -> Cell:
    """Return a known number or truth value.

    Raises:
        EncoderError: It is infinite, or no number.
    """
    if isinstance(value, bool):
        return Cell(ir.Const(value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refuse("a constant is infinite or not a number", "Every constant must be finite.")
    return Cell(ir.Const(number))


def make(expr: Expr, *of: Cell) -> Cell:
    """Return the cell of an operation on cells.

    Raises:
        EncoderError: It is larger than the limits allow.
    """
    size, height = 1 + sum(cell.size for cell in of), 1 + max(cell.height for cell in of)
    if size > MAX_SIZE or height > MAX_HEIGHT:
        what = f"{MAX_SIZE} parts" if size > MAX_SIZE else f"{MAX_HEIGHT} levels"
        raise too_large(f"written out, this has more than {what}", "Say it with fewer operations.")
    return Cell(expr, size, height)


def number(cell: Cell) -> Cell:
    """Return a cell as a number: a truth value becomes 1 or 0, as in NumPy's arithmetic."""
    if isinstance(cell.constant, bool):
        return constant(float(cell.constant))
    if cell.is_truth:
        return make(ir.Where(cell.expr, ir.ONE, ir.ZERO), cell)
    return cell


def truth(cell: Cell) -> Cell:
    """Return a cell as a truth value: a number is true where it is not 0."""
    if cell.is_truth:
        return cell
    if cell.constant is not None:
        return constant(cell.constant != 0)
    return make(ir.Compare("ne", cell.expr, ir.ZERO), cell)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: math.floor(a / b),
    "mod": lambda a, b: a - b * math.floor(a / b),
    "pow": lambda a, b: a**b,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "arctanh": math.atanh,
}


def binary(op: str, a: Cell, b: Cell) -> Cell:
    """Return an arithmetic operation on two cells.

    Raises:
        EncoderError: A power whose exponent is not a small constant; a constant that is not finite.
    """
    a, b = number(a), number(b)
    if op == "pow" and (b.constant is None or abs(b.constant) > MAX_EXPONENT):
        raise refuse(
            f"the exponent of a power must be a constant between -{MAX_EXPONENT} and {MAX_EXPONENT}",
            "For a decaying factor write np.exp(-x).",
        )
    if a.constant is not None and b.constant is not None:
        return constant(_folded(_ARITHMETIC[op], a.constant, b.constant))
    return make(ir.Binary(op, a.expr, b.expr), a, b)  # type: ignore[arg-type]


def compare(op: str, a: Cell, b: Cell) -> Cell:
    """Return a comparison of two cells."""
    a, b = number(a), number(b)
    if a.constant is not None and b.constant is not None:
        return constant(_COMPARISONS[op](a.constant, b.constant))
    return make(ir.Compare(op, a.expr, b.expr), a, b)  # type: ignore[arg-type]


def call(name: str, x: Cell) -> Cell:
    """Return a function of a cell, one of `FUNCTIONS` of the IR."""
    x = number(x)
    if x.constant is not None:
        return constant(_folded(_FUNCTIONS[name], x.constant))
    return make(ir.Call(name, (x.expr,)), x)


def negative(x: Cell) -> Cell:
    """Return the cell with its sign changed."""
    x = number(x)
    return constant(-x.constant) if x.constant is not None else make(ir.Unary("neg", x.expr), x)


def opposite(x: Cell) -> Cell:
    """Return the other truth value."""
    x = truth(x)
    return constant(not x.constant) if x.constant is not None else make(ir.Unary("not", x.expr), x)


def where(condition: Cell, a: Cell, b: Cell) -> Cell:
    """Return `a` where the condition holds, else `b`."""
    condition = truth(condition)
    if not (a.is_truth and b.is_truth):
        a, b = number(a), number(b)
    if condition.constant is not None:
        return a if condition.constant else b
    return make(ir.Where(condition.expr, a.expr, b.expr), condition, a, b)


def join(op: str, cells: Sequence[Cell]) -> Cell:
    """Return several cells as one: `sum`, `product`, `min`, `max` of numbers, `and`, `or` of truth values."""
    if op in ("and", "or"):
        cells = [truth(cell) for cell in cells]
        if len(cells) == 1:
            return cells[0]
        return make(ir.Logic(op, tuple(cell.expr for cell in cells)), *cells)  # type: ignore[arg-type]
    cells = [number(cell) for cell in cells]
    if len(cells) == 1:
        return cells[0]
    values = [cell.constant for cell in cells]
    if all(value is not None for value in values):
        total: Any = {"sum": math.fsum, "product": math.prod, "min": min, "max": max}[op]
        return constant(_folded(lambda *xs: total(xs), *values))
    return make(ir.Combine(op, tuple(cell.expr for cell in cells)), *cells)  # type: ignore[arg-type]


def _folded(operation: Callable[..., Any], *values: Any) -> float:
    try:
        found = operation(*values)
    except (ArithmeticError, ValueError):
        found = math.nan
    return found if isinstance(found, int | float) else math.nan  # (-1) ** 0.5 is complex
