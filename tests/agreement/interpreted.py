"""Runs the text of compiled functions as plain Python, so that thousands of drawn specs need no compiler."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from rewardspec.backends import arithmetic, native_arithmetic

HELPERS: dict[str, Any] = {
    **{
        name: helper.py_func
        for name, helper in native_arithmetic.HELPERS.items()
        if name in ("_least", "_greatest", "_float_of")
    },
    **arithmetic.HELPERS,
}


TYPES = ("bool", "uint8", "uint16", "uint32", "int64", "float64")
"""Types of the tables."""


class Entries:
    """An array that gives Python's numbers, and has bounds."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __getitem__(self, index: Any) -> Any:
        indices = index if isinstance(index, tuple) else (index,)
        if any(i < 0 for i in indices):
            raise IndexError(f"negative index {index}")
        return self.array[index].item()

    def __len__(self) -> int:
        return len(self.array)


def readable(value: Any) -> Any:
    """Return arrays, and tuples of such, as something to be read."""
    if isinstance(value, tuple):
        return tuple(readable(part) for part in value)
    return Entries(value) if isinstance(value, np.ndarray) and value.ndim else value


def load(text: str, functions: tuple[str, ...], *, apart: bool = False) -> types.SimpleNamespace:
    """Return the functions of a text; they take what the compiled ones take."""
    numpy = types.SimpleNamespace(**{name: getattr(np, name) for name in TYPES})
    numpy.array = lambda values, kind: Entries(np.array(values, kind))
    namespace: dict[str, Any] = {**HELPERS, "_np": numpy}
    exec(compile(text, "<interpreted>", "exec"), namespace)
    wrappers = {"batch": _batch, "row": _row, "begin": lambda begin: begin}
    return types.SimpleNamespace(**{name: wrappers[name](namespace[name]) for name in functions})


def _batch(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(state: Any, new: Any, *arguments: Any) -> Any:
        *read, paid, ended, cut, terms = arguments
        return function(readable(state), new, *map(readable, read), paid, ended, cut, terms)

    return call


def _row(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(machines: Any, memory: Any, *arguments: Any) -> Any:
        after = machines.tolist(), memory.tolist()
        result = function(*after, *map(readable, arguments))
        machines[:], memory[:] = after
        return result

    return call
