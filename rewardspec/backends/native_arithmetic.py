"""Arithmetic of compiled functions: the helpers of `arithmetic.py` under the same names, as numba compiles them.

Division follows IEEE 754 (`error_model="numpy"`), so most are one line. Only generated modules import this file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(error_model="numpy")
def _div(a: Any, b: Any) -> Any:
    return (a * 1.0) / b


@njit
def _floor(x: Any) -> Any:
    return np.floor(x * 1.0) + 0.0  # no negative zero


@njit
def _ceil(x: Any) -> Any:
    return np.ceil(x * 1.0) + 0.0


@njit(error_model="numpy")
def _floordiv(a: Any, b: Any) -> Any:
    return np.floor((a * 1.0) / b) + 0.0


@njit(error_model="numpy")
def _mod(a: Any, b: Any) -> Any:
    return a - b * np.floor((a * 1.0) / b)


@njit(error_model="numpy")
def _pow(a: Any, b: Any) -> Any:
    return (a * 1.0) ** (b * 1.0)


@njit
def _exp(x: Any) -> Any:
    return math.exp(x * 1.0)


@njit
def _log(x: Any) -> Any:
    return np.log(x * 1.0)


@njit
def _sqrt(x: Any) -> Any:
    return np.sqrt(x * 1.0)


@njit
def _tanh(x: Any) -> Any:
    return math.tanh(x * 1.0)


@njit
def _sigmoid(x: Any) -> Any:
    e = math.exp(-abs(x * 1.0))
    return (1.0 if x >= 0 else e) / (1.0 + e)


@njit
def _log_sigmoid(x: Any) -> Any:
    y = x * 1.0
    if y != y or y == -math.inf:
        return y
    return min(y, 0.0) - math.log1p(math.exp(-abs(y)))


@njit
def _sin(x: Any) -> Any:
    return math.sin(x * 1.0)


@njit
def _cos(x: Any) -> Any:
    return math.cos(x * 1.0)


@njit
def _arctanh(x: Any) -> Any:
    return np.arctanh(x * 1.0)


@njit
def _sign(x: Any) -> Any:
    y = x * 1.0
    return 1.0 if y > 0 else -1.0 if y < 0 else y


@njit
def _least(a: Any, b: Any) -> Any:
    return b if b < a or b != b else a


@njit
def _greatest(a: Any, b: Any) -> Any:
    return b if b > a or b != b else a


@njit
def _float_of(bits: Any) -> Any:
    return np.int64(bits).view(np.float64)


HELPERS: dict[str, Any] = {
    "_nan": math.nan,
    "_inf": math.inf,
    "_abs": abs,
    **{name: value for name, value in list(globals().items()) if hasattr(value, "py_func")},
}
"""What generated text can reach, by name."""
