"""Values of expressions over named numbers, worked out while a spec is compiled: tables such as weights of cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr

Values = Mapping[str, npt.NDArray[np.float64]]


def table_of(expr: Expr, names: Values, count: int) -> npt.NDArray[np.float64]:
    """Return an expression's value for each row of some named columns, `[count]`.

    The meaning is that of the oracle (`backends/oracle.py`), to which a test holds it. Names stand for themselves as
    fields of `info`.

    Args:
        expr: Reads nothing but such fields.
        names: Columns `[count]`, by name.
        count: Rows.

    Raises:
        ValueError: When the expression reads anything else, or makes vectors.

    Example:
        >>> from rewardspec.ir.text import parse_expression
        >>> doubled = parse_expression("2 * i + 1", {"i": ir.Field("info", ("i",))})
        >>> table_of(doubled, {"i": np.array([0.0, 3.0])}, 2)
        array([1., 7.])
    """
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(_value(expr, names), np.float64), (count,)).copy()


def _value(expr: Expr, names: Values) -> Any:
    match expr:
        case ir.Const(value):
            return value
        case ir.Field("info", (str() as name,)) if name in names:
            return names[name]
        case ir.Unary(op, x):
            value = _value(x, names)
            return np.logical_not(value) if op == "not" else -np.asarray(value, np.float64)
        case ir.Binary(op, a, b) | ir.Compare(op, a, b):
            return _OPERATIONS[op](_number(a, names), _number(b, names))
        case ir.Logic(op, args):
            join = np.logical_and if op == "and" else np.logical_or
            return _chain(join, [_value(arg, names) for arg in args])
        case ir.Combine(op, args):
            return _chain(_OPERATIONS[op], [_number(arg, names) for arg in args])
        case ir.Where(condition, a, b):
            return np.where(_value(condition, names), _value(a, names), _value(b, names))
        case ir.Call(name, (x,)):
            return _FUNCTIONS[name](_number(x, names))
    raise ValueError(
        "a table is an expression over numbers: it reads nothing of a step, and makes no vectors"
    )


def _number(expr: Expr, names: Values) -> npt.NDArray[np.float64]:
    return np.asarray(_value(expr, names), np.float64)


def _chain(join: Callable[[Any, Any], Any], values: list[Any]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = join(result, value)
    return result


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "sum": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "product": np.multiply,
    "div": np.divide,
    "floordiv": lambda a, b: np.floor(a / b),
    "mod": lambda a, b: a - b * np.floor(a / b),
    "pow": np.power,
    "min": np.minimum,
    "max": np.maximum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "log_sigmoid": lambda x: -np.logaddexp(0.0, -x),
    "sin": np.sin,
    "cos": np.cos,
    "arctanh": np.arctanh,
}
