"""The operations of the array backend on NumPy.

Intermediate results are written into buffers that each compiled program keeps (`out=`): at B = 65,536 the memory that
fresh arrays would need costs more than the arithmetic. What leaves a step is always fresh.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rewardspec.backends.array_backend import Backend
from rewardspec.ir import expr as ir
from rewardspec.transition import Transition


def reuses(function: Callable[..., Any]) -> bool:
    """Return whether an operation takes `out=`, a buffer for its result."""
    return isinstance(function, np.ufunc) or getattr(function, "takes_out", False)


def _takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    function.takes_out = True  # type: ignore[attr-defined]
    return function


@_takes_out
def _where(condition: Any, a: Any, b: Any, out: Any = None) -> Any:
    if out is None:
        return np.where(condition, a, b)
    np.copyto(out, b)
    np.copyto(out, a, where=condition)
    return out


@_takes_out
def _take(table: Any, index: Any, out: Any = None) -> Any:
    # Every index is in range by construction; mode="clip" lets NumPy write into `out` without a copy.
    return np.take(table, index, out=out, mode="clip")


@_takes_out
def _floor(x: Any, out: Any = None) -> Any:
    # Adding 0 leaves no negative zero: 1 / floor(x) has one sign everywhere.
    return np.add(np.floor(x, out=out), 0.0, out=out)


@_takes_out
def _ceil(x: Any, out: Any = None) -> Any:
    return np.add(np.ceil(x, out=out), 0.0, out=out)


@_takes_out
def _floordiv(a: Any, b: Any, out: Any = None) -> Any:
    return _floor(np.divide(a, b, out=out), out=out)


def _mod(a: Any, b: Any) -> Any:
    return a - b * np.floor(np.divide(a, b))


def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _log_sigmoid(x: Any) -> Any:
    return -np.logaddexp(0.0, -x)


def _trailing(reduce: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda x: reduce(x, axis=tuple(range(1, np.ndim(x))))


def _over_batch(name: str) -> Callable[[Any, Any, int], Any]:
    def reduce(values: Any, active: Any, batch: int) -> Any:
        kept = np.broadcast_to(values, (batch,))[active]
        if name == "sum":
            return np.sum(kept, dtype=np.float64)
        if name == "count":
            return np.count_nonzero(kept) * 1.0
        if kept.size == 0:
            return np.nan if name in ("mean", "min", "max") else name == "all"
        return getattr(np, name)(kept)

    return reduce


def numpy_backend(dtype: str) -> Backend:
    """Return the NumPy backend with a floating type."""
    kind = np.dtype(dtype)

    def as_float(x: Any) -> Any:
        return np.asarray(x, dtype=kind)

    def read(field: ir.Field, transition: Transition, batch: int) -> Any:
        value: Any = getattr(transition, field.root)
        absent = field.default
        there: Any = True  # [B] where a key that comes and goes is present, in gymnasium's vector infos
        for step in field.path:
            if isinstance(step, str):
                if field.root == "info" and absent is not None and (value is None or step not in value):
                    return np.full(batch, absent, kind)
                if field.root == "info" and absent is not None and f"_{step}" in value:
                    there = there & np.asarray(value[f"_{step}"], np.bool_)
                value = value[step]
            elif isinstance(value, tuple):
                value = value[step[0]]  # type: ignore[index]
            else:
                value = np.asarray(value)[
                    (slice(None), *(i.slice if isinstance(i, ir.Span) else i for i in step))
                ]
        array = np.asarray(value)
        if array.ndim == 0:
            array = np.broadcast_to(array, (batch,))
        if absent is not None and there is not True:
            return np.where(there, array, absent).astype(kind)
        if field.root == "label":
            return array.astype(np.bool_, copy=False)
        return array

    def flag(value: Any, batch: int) -> Any:
        array = np.asarray(value, dtype=np.bool_)
        return np.broadcast_to(array, (batch,)) if array.ndim == 0 else array

    def packer(bits: int, cells: int, batch: int) -> Callable[..., Any]:
        """Return a function (state, truth values) -> state * 2^bits + label, in buffers of its own."""
        integer = np.uint8 if cells <= 1 << 8 else np.uint16 if cells <= 1 << 16 else np.int64
        index, scratch = np.empty(batch, integer), np.empty(batch, integer)

        def pack(state: Any, *conditions: Any) -> Any:
            np.multiply(state, 1 << bits if cells < 1 << 62 else 0, out=index, casting="unsafe")
            for bit, condition in enumerate(conditions):
                truth = np.asarray(condition)
                if truth.ndim:
                    truth = truth.view(np.uint8) if truth.flags.c_contiguous else truth.astype(np.uint8)
                np.multiply(truth, integer(1 << bit), out=scratch, casting="unsafe")
                np.bitwise_or(index, scratch, out=index)
            return index

        return pack

    ops: dict[str, Callable[..., Any]] = {
        "neg": np.negative,
        "not": np.logical_not,
        "and": np.logical_and,
        "or": np.logical_or,
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "div": np.divide,
        "floordiv": _floordiv,
        "mod": _mod,
        "pow": lambda a, b: np.power(as_float(a), b),
        "min": np.minimum,
        "max": np.maximum,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
        "abs": np.absolute,
        "sign": np.sign,
        "floor": _floor,
        "ceil": _ceil,
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "tanh": np.tanh,
        "sigmoid": _sigmoid,
        "log_sigmoid": _log_sigmoid,
        "sin": np.sin,
        "cos": np.cos,
        "arctanh": np.arctanh,
    }
    reductions = {
        "sum": _trailing(np.sum),
        "mean": _trailing(np.mean),
        "min": _trailing(np.min),
        "max": _trailing(np.max),
        "any": _trailing(np.any),
        "all": _trailing(np.all),
        "count": lambda x: np.count_nonzero(x, axis=tuple(range(1, np.ndim(x)))).astype(kind),
    }

    def constant(value: Any) -> Any:
        if isinstance(value, np.ndarray | bool):
            return value
        return kind.type(value) if isinstance(value, float) else value

    def stack(columns: tuple[Any, ...], batch: int) -> Any:
        return np.stack([np.broadcast_to(as_float(column), (batch,)) for column in columns], axis=1)

    return Backend(
        name="numpy",
        float_type=kind,
        ops=ops,
        reductions=reductions,
        batch_reductions={
            name: _over_batch(name) for name in ("sum", "mean", "min", "max", "any", "all", "count")
        },
        constant=constant,
        full=np.full,
        state_type=lambda states: np.dtype(np.uint8 if states <= 256 else np.int32),
        where=_where,
        indicators={},
        take=_take,
        packer=packer,
        cast=lambda x, target: np.asarray(x, dtype=target),
        as_float=as_float,
        as_bool=lambda x: np.not_equal(x, 0),
        spread=lambda x, batch: np.array(np.broadcast_to(as_float(x), (batch,))),
        read=read,
        flag=flag,
        quiet=partial(np.errstate, all="ignore"),
        expand=lambda x, axes: np.reshape(x, (*np.shape(x), *(1,) * axes)),
        stack=stack,
        index=lambda x, items: x[items],
        index_type=np.dtype(np.intp),
        reuses=reuses,
    )
