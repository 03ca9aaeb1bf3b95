"""The operations of the array backend on torch: CPU or CUDA, no branch on data, capturable in a CUDA graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from rewardspec.backends.array_backend import Backend
from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.ir import expr as ir
from rewardspec.transition import Transition


def subscript(array: Any, items: tuple[Any, ...]) -> Any:
    """Return `array[items]`; torch knows no slices that run backwards, so those are flipped."""
    forward: list[Any] = []
    flipped: list[int] = []
    for axis, item in enumerate(items):
        if isinstance(item, slice) and (item.step or 1) < 0:
            run = range(*item.indices(array.shape[axis]))
            flipped.append(sum(isinstance(kept, slice) for kept in forward))
            item = slice(run[-1], run[0] + 1, -run.step)
        forward.append(item)
    part = array[tuple(forward)]
    return part.flip(flipped) if flipped else part


def is_at_hand(device: Any) -> bool:
    """Return whether values on a device can be looked at without waiting: on a CPU, in code that is not compiled.

    There a step may choose what it does by what it finds, and each operation is a pass over the batch: the fewer,
    and the narrower their types, the better. Elsewhere operations are fused into kernels, and nothing is looked at.
    """
    import torch

    return device.type == "cpu" and not torch.compiler.is_compiling()


def compared(compare: Callable[..., Any], a: Any, b: Any) -> Any:
    """Return a comparison: truth values, or at hand ones and zeros of `a`'s type, which a CPU writes six times as fast.

    Args:
        compare: `torch.eq` or another that takes `out`.
        a: Tensor.
        b: Number, or tensor of the same type.
    """
    import torch

    if not is_at_hand(a.device):
        return compare(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape) if isinstance(b, torch.Tensor) else a.shape
    return compare(a, b, out=a.new_empty(shape))


def finite(x: Any) -> Any:
    """Return a tensor with 0 in place of what is NaN or infinite."""
    import torch

    if (
        torch.compiler.is_compiling()
    ):  # it would ask number by number whether it is NaN, and compares in vectors
        return torch.where(x - x == 0, x, 0.0)
    return torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)


def torch_backend(dtype: str, device: str) -> Backend:
    """Return the torch backend with a floating type and a device.

    Raises:
        MissingExtraError: When torch is not installed.
        UnsupportedError: `unknown-device` when the device is not there.
    """
    try:
        import torch
    except ImportError:
        raise missing_extra("torch", "torch", "the torch backend") from None
    kind = getattr(torch, dtype)
    reason = "torch knows no device of that name"
    try:
        place = torch.device(device)
        reason = ""
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = reason or str(error).splitlines()[0]
        hint = (
            "Use 'cpu', or 'cuda'."
            if torch.cuda.is_available()
            else "Use 'cpu': there is no CUDA device here."
        )
        raise UnsupportedError(
            Problem("unknown-device", f"the device '{device}' cannot be used: {reason}", hints=(hint,))
        ) from None

    def tensor(value: Any) -> Any:
        # The common case costs nothing: a tensor on the device stays as it is.
        if isinstance(value, torch.Tensor):
            return value if value.device == place else value.to(place)
        return torch.as_tensor(value, device=place)

    def as_float(x: Any) -> Any:
        return x.to(kind) if isinstance(x, torch.Tensor) else torch.as_tensor(x, dtype=kind, device=place)

    def constant(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.as_tensor(value, device=place)
        if isinstance(value, bool):
            return torch.tensor(value, device=place)
        return torch.tensor(value, dtype=kind if isinstance(value, float) else torch.int64, device=place)

    def read(field: ir.Field, transition: Transition, batch: int) -> Any:
        value: Any = getattr(transition, field.root)
        absent = field.default
        if len(field.path) == 1 and isinstance(value, torch.Tensor) and value.device == place:
            (step,) = field.path
            if len(step) == 1 and isinstance(step[0], int):  # a column, which is what nearly all are
                return _packed(value.select(1, step[0]))
        there: Any = None  # [B] where a key that comes and goes is present, in gymnasium's vector infos
        for step in field.path:
            if isinstance(step, str):
                if field.root == "info" and absent is not None and (value is None or step not in value):
                    return torch.full((batch,), absent, dtype=kind, device=place)
                if field.root == "info" and absent is not None and f"_{step}" in value:
                    there = tensor(value[f"_{step}"]) if there is None else there & tensor(value[f"_{step}"])
                value = value[step]
            elif isinstance(value, tuple):
                value = value[step[0]]  # type: ignore[index]
            else:
                value = subscript(
                    tensor(value), (slice(None), *(i.slice if isinstance(i, ir.Span) else i for i in step))
                )
        array = tensor(value)
        if array.ndim == 0:
            array = array.expand(batch)
        if absent is not None and there is not None:
            return torch.where(there, as_float(array), torch.full_like(as_float(array), absent))
        if field.root == "label":
            return array.to(torch.bool)
        return _packed(array)

    def _packed(column: Any) -> Any:
        """Return a column of an array, its numbers side by side: a CPU reads them so five times as fast."""
        if (
            column.is_contiguous()
            or column.ndim > 1
            or not column.is_floating_point()
            or not is_at_hand(place)
        ):
            return column
        return column.clamp_min(-math.inf)  # what it is, in half the time of `contiguous`

    def flag(value: Any, batch: int) -> Any:
        array = tensor(value).to(torch.bool)
        return array.expand(batch) if array.ndim == 0 else array

    def packer(bits: int, cells: int, batch: int) -> Callable[..., Any]:
        """Return a function (state, conditions) -> index of a type that indexes tables, or a label of many bits."""
        integer = torch.int32 if cells < 1 << 62 else torch.int64

        def pack(state: Any, *conditions: Any) -> Any:
            index = state.to(integer) * (1 << bits if cells < 1 << 62 else 0)
            for bit, condition in enumerate(conditions):
                one = condition.to(integer) if condition.is_floating_point() else condition
                index = torch.add(index, one, alpha=1 << bit)
            return index

        def pack_quickly(state: Any, *conditions: Any) -> Any:
            # Numbers of one type add up without a conversion, and bytes fastest.
            sums: dict[Any, list[Any]] = {}
            weights = [1 << bit for bit in range(bits)]
            for weight, part in zip(weights, conditions, strict=True):
                if part.ndim == 0:
                    part = part.expand(batch)
                if part.dtype == torch.bool:
                    part = part.view(torch.uint8) if weight < 256 else part.to(integer)
                found = sums.setdefault(part.dtype, [])
                if not found:
                    found.append(part if weight == 1 else part * weight)
                elif len(found) == 1:
                    found.append(torch.add(found[0], part, alpha=weight))
                else:
                    found[1].add_(part, alpha=weight)
            index = state.to(integer) * (1 << bits) if not sums else None
            for found in sums.values():
                label = found[-1].to(integer)
                index = label.add_(state, alpha=1 << bits) if index is None else index.add_(label)
            return index

        def choose(state: Any, *conditions: Any) -> Any:
            return (pack_quickly if is_at_hand(place) else pack)(state, *conditions)

        return choose if integer == torch.int32 else pack

    def indicator(compare: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: compared(compare, *_tensors(a, b))

    def both(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: function(*_tensors(a, b))

    def _tensors(a: Any, b: Any) -> tuple[Any, Any]:
        if not isinstance(a, torch.Tensor):
            a = torch.as_tensor(a, dtype=kind, device=place)
        if not isinstance(b, torch.Tensor):
            b = torch.as_tensor(b, dtype=kind, device=place)
        return a, b

    def where(condition: Any, a: Any, b: Any) -> Any:
        return torch.where(condition, a, b)

    def mod(a: Any, b: Any) -> Any:
        return a - b * torch.floor(a / b)

    def trailing(reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: reduce(x.flatten(1))

    def over_batch(name: str) -> Callable[[Any, Any, int], Any]:
        def reduce(values: Any, active: Any, batch: int) -> Any:
            spread = as_float(values).expand(batch)
            weight = active.to(kind)
            number = weight.sum()
            kept = torch.where(active, spread, torch.zeros_like(spread))
            if name == "sum":
                return kept.sum()
            if name == "mean":
                return kept.sum() / number
            if name == "count":
                return (kept != 0).to(kind).sum()
            if name == "any":
                return (kept != 0).any()
            if name == "all":
                return ((kept != 0) | ~active).all()
            rest = torch.full_like(spread, float("inf") if name == "min" else float("-inf"))
            masked = torch.where(active, spread, rest)
            return masked.amin() if name == "min" else masked.amax()

        return reduce

    ops: dict[str, Callable[..., Any]] = {
        "neg": torch.neg,
        "not": torch.logical_not,
        "and": torch.logical_and,
        "or": torch.logical_or,
        "add": both(torch.add),
        "sub": both(torch.sub),
        "mul": both(torch.mul),
        "div": both(torch.div),
        "floordiv": both(lambda a, b: torch.floor(a / b) + 0.0),
        "mod": both(mod),
        "pow": both(torch.pow),
        "min": both(torch.minimum),
        "max": both(torch.maximum),
        "lt": both(torch.lt),
        "le": both(torch.le),
        "gt": both(torch.gt),
        "ge": both(torch.ge),
        "eq": both(torch.eq),
        "ne": both(torch.ne),
        "abs": torch.abs,
        # torch.sign(nan) is 0; IEEE wants the NaN to stay.
        "sign": lambda x: torch.where(torch.isnan(x), x, torch.sign(x)),
        "floor": lambda x: torch.floor(x) + 0.0,
        "ceil": lambda x: torch.ceil(x) + 0.0,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "log_sigmoid": torch.nn.functional.logsigmoid,
        "sin": torch.sin,
        "cos": torch.cos,
        "arctanh": torch.atanh,
    }
    reductions: dict[str, Callable[[Any], Any]] = {
        "sum": trailing(lambda x: as_float(x).sum(1)),
        "mean": trailing(lambda x: as_float(x).mean(1)),
        "min": trailing(lambda x: x.amin(1)),
        "max": trailing(lambda x: x.amax(1)),
        "any": trailing(lambda x: (x != 0).any(1)),
        "all": trailing(lambda x: (x != 0).all(1)),
        "count": trailing(lambda x: (x != 0).to(kind).sum(1)),
    }

    def stack(columns: tuple[Any, ...], batch: int) -> Any:
        return torch.stack([as_float(column).expand(batch) for column in columns], dim=1)

    return Backend(
        name="torch",
        float_type=kind,
        ops=ops,
        reductions=reductions,
        batch_reductions={
            name: over_batch(name) for name in ("sum", "mean", "min", "max", "any", "all", "count")
        },
        constant=constant,
        full=lambda batch, value, type_: torch.full((batch,), value, dtype=type_, device=place),
        state_type=lambda states: torch.uint8 if states <= 256 else torch.int32,
        where=where,
        indicators={name: indicator(getattr(torch, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
        take=lambda table, index: table.index_select(0, index),  # four times as fast as table[index] on a CPU
        packer=packer,
        cast=lambda x, target: x.to(target),
        as_float=as_float,
        as_bool=lambda x: x != 0,
        spread=lambda x, batch: as_float(x).expand(batch).clone(),
        read=read,
        flag=flag,
        quiet=nullcontext,
        expand=lambda x, axes: x.reshape(*x.shape, *(1,) * axes),
        stack=stack,
        index=subscript,
        index_type=torch.int64,
        reuses=lambda function: False,
    )
