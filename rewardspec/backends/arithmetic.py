"""Arithmetic of generated functions: IEEE 754 results where Python raises, on floats and NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class NotFiniteError(ArithmeticError):
    """A value that the program read from the transition is NaN, or the reward is not finite."""


def _refuse_nan(values: tuple[float, ...]) -> None:
    """Raise when one of the values is NaN; infinities of both signs, whose sum is NaN too, may pass."""
    if any(value != value for value in values):
        raise NotFiniteError


def _refuse(values: tuple[float, ...], reward: float) -> None:
    """Raise when one of the values is NaN or the reward is not finite."""
    if any(value != value for value in values) or not math.isfinite(reward):
        raise NotFiniteError


def _ieee(function: Callable[..., Any], *args: float) -> float:
    """Return what NumPy makes of it: infinity or NaN, without a warning."""
    with np.errstate(all="ignore"):
        return float(function(*(np.float64(a) for a in args)))


def _div(a: float, b: float) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return _ieee(np.divide, a, b)


def _floor(x: float) -> float:
    return math.floor(x) + 0.0 if x - x == 0 else x


def _ceil(x: float) -> float:
    return math.ceil(x) + 0.0 if x - x == 0 else x


def _floordiv(a: float, b: float) -> float:
    return _floor(_div(a, b))


def _mod(a: float, b: float) -> float:
    return a - b * _floor(_div(a, b))


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (OverflowError, ValueError):
        return _ieee(np.power, a, b)


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.0 else _ieee(np.exp, x)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _log_sigmoid(x: float) -> float:
    if x - x != 0:
        return -_ieee(np.logaddexp, 0.0, -x)
    return (x if x < 0 else x * 0.0) - math.log1p(math.exp(-abs(x)))


def _sin(x: float) -> float:
    return math.sin(x) if x - x == 0 else math.nan


def _cos(x: float) -> float:
    return math.cos(x) if x - x == 0 else math.nan


def _arctanh(x: float) -> float:
    return math.atanh(x) if -1 < x < 1 else _ieee(np.arctanh, x)


def _sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else x * 0.0 if x == 0 else math.nan


def _plain(value: Any) -> Any:
    """Return a value of the transition as a Python number; np.float64 is a float, and slow."""
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, bool | float | int) else float(value)


def _reach(info: Any, path: tuple[Any, ...], absent: float) -> Any:
    """Return what a path leads to in an info; `absent` where a key on it is not there."""
    for step in path:
        if isinstance(step, str) and (info is None or step not in info):
            return absent
        info = info[step]
    return info


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return call


def _array_sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


HELPERS: Mapping[str, Any] = {
    "_refuse_nan": _refuse_nan,
    "_refuse": _refuse,
    "_nan": math.nan,
    "_inf": math.inf,
    "_abs": abs,
    "_sum": sum,
    "_tanh": math.tanh,
    "_div": _div,
    "_floor": _floor,
    "_ceil": _ceil,
    "_floordiv": _floordiv,
    "_mod": _mod,
    "_pow": _pow,
    "_exp": _exp,
    "_log": _log,
    "_sqrt": _sqrt,
    "_sigmoid": _sigmoid,
    "_log_sigmoid": _log_sigmoid,
    "_sin": _sin,
    "_cos": _cos,
    "_arctanh": _arctanh,
    "_sign": _sign,
    "_plain": _plain,
    "_reach": _reach,
    "_array": np.array,
    "_float_array": lambda x: np.asarray(x, dtype=np.float64),
    "_sum_array": lambda x: float(np.sum(x)),
    "_mean_array": lambda x: float(np.mean(x)),
    "_min_array": lambda x: float(np.min(x)),
    "_max_array": lambda x: float(np.max(x)),
    "_any_array": lambda x: bool(np.any(x)),
    "_all_array": lambda x: bool(np.all(x)),
    "_count_array": lambda x: float(np.count_nonzero(x)),
    "_array_where": np.where,
    "_array_neg": lambda x: -_as_float(x),
    "_array_not": np.logical_not,
    "_array_and": np.logical_and,
    "_array_or": np.logical_or,
    "_array_add": _quiet(lambda a, b: _as_float(a) + b),
    "_array_sum": _quiet(lambda a, b: _as_float(a) + b),
    "_array_sub": _quiet(lambda a, b: _as_float(a) - b),
    "_array_mul": _quiet(lambda a, b: _as_float(a) * b),
    "_array_product": _quiet(lambda a, b: _as_float(a) * b),
    "_array_div": _quiet(lambda a, b: np.divide(_as_float(a), b)),
    "_array_floordiv": _quiet(lambda a, b: np.floor(np.divide(_as_float(a), b))),
    "_array_mod": _quiet(lambda a, b: _as_float(a) - b * np.floor(np.divide(_as_float(a), b))),
    "_array_pow": _quiet(lambda a, b: np.power(_as_float(a), b)),
    "_array_min": np.minimum,
    "_array_max": np.maximum,
    "_array_lt": np.less,
    "_array_le": np.less_equal,
    "_array_gt": np.greater,
    "_array_ge": np.greater_equal,
    "_array_eq": np.equal,
    "_array_ne": np.not_equal,
    "_array_abs": lambda x: np.abs(_as_float(x)),
    "_array_sign": lambda x: np.sign(_as_float(x)),
    "_array_floor": np.floor,
    "_array_ceil": np.ceil,
    "_array_exp": _quiet(lambda x: np.exp(_as_float(x))),
    "_array_log": _quiet(lambda x: np.log(_as_float(x))),
    "_array_sqrt": _quiet(lambda x: np.sqrt(_as_float(x))),
    "_array_tanh": lambda x: np.tanh(_as_float(x)),
    "_array_sigmoid": _quiet(_array_sigmoid),
    "_array_log_sigmoid": _quiet(lambda x: -np.logaddexp(0.0, -_as_float(x))),
    "_array_sin": _quiet(lambda x: np.sin(_as_float(x))),
    "_array_cos": _quiet(lambda x: np.cos(_as_float(x))),
    "_array_arctanh": _quiet(lambda x: np.arctanh(_as_float(x))),
}


def _as_float(x: Any) -> Any:
    return np.asarray(x, dtype=np.float64)
