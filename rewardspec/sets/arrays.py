"""The few operations that set functions need, on NumPy arrays and on torch tensors of any device."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rewardspec.errors import missing_extra

Array = Any
"""A NumPy array, or a torch tensor."""

Kind = Literal["bool", "int", "float"]
"""Truth values, whole numbers (int64), or numbers in the chosen precision."""


class Arrays(Protocol):
    """What is not an operator or a method that NumPy and torch spell alike.

    No operation changes its arguments, but for `mark` and `put_rows` where memory is used anew: see `Sets`.
    """

    def put(self, numbers: npt.NDArray[Any]) -> Array:
        """Return numbers as an array on the device; numbers with a fraction in the chosen precision."""

    def full(self, shape: tuple[int, ...], value: float, kind: Kind = "float") -> Array:
        """Return an array of one value on the device."""

    def rows(self, table: Array, index: Array) -> Array:
        """Return `table[index]`, for `index` of any shape."""

    def pick(self, x: Array, index: Array) -> Array:
        """Return `x[b, index[b, k]]`, `[B, K]`, for `x` `[B, n]`."""

    def mark(self, x: Array, index: Array) -> Array:
        """Return `x` `[B, n]` bool with True at `index` `[B, K]`."""

    def room(self, batch: int, *shape: int, value: float = 0.0, kind: Kind = "float") -> Array:
        """Return an array `[B, ...]` of one value, laid out in memory as `times` likes it."""

    def reach(self, count: Array, most: int) -> int:
        """Return a number no less than the greatest of `count`, at most `most`: how far a workspace is in use.

        Where a look at a value would wait for the device, or end a graph, it is `most`.
        """

    def times(self, x: Array, y: Array) -> Array:
        """Return `sum_j x[b, i, j] y[b, j]`, `[B, n]`, for `x` `[B, n, m]`."""

    def row_at(self, x: Array, place: Array) -> Array:
        """Return `x[b, place[b]]`, `[B, ...]`, for `x` `[B, n, ...]`."""

    def put_rows(self, x: Array, place: Array, rows: Array) -> Array:
        """Return `x` `[B, n, ...]` with `rows[b]` at `place[b]`; rows may be shorter, then the rest stays."""

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        """Return `a` where the condition holds, else `b`."""

    def above(self, x: Array, floor: Array | float) -> Array:
        """Return the greater of `x` and `floor`."""

    def below(self, x: Array, ceiling: Array) -> Array:
        """Return the smaller of `x` and `ceiling`."""

    def log1p(self, x: Array) -> Array:
        """Return log(1 + x)."""

    def sqrt(self, x: Array) -> Array:
        """Return the square root."""

    def beside(self, a: Array, b: Array) -> Array:
        """Return `a` `[B, m]` and `b` `[B, n]` as one array `[B, m + n]` of the type of `b`."""


class NumpyArrays:
    """The operations on NumPy arrays."""

    def __init__(self, dtype: str = "float64", in_place: bool = False) -> None:
        """Choose the precision of numbers with a fraction, and whether memory is used anew."""
        self.dtype, self.in_place = np.dtype(dtype), in_place

    def put(self, numbers: npt.NDArray[Any]) -> Array:
        """See `Arrays`."""
        return numbers.astype(self.dtype) if numbers.dtype.kind == "f" else np.array(numbers)

    def full(self, shape: tuple[int, ...], value: float, kind: Kind = "float") -> Array:
        """See `Arrays`."""
        return np.full(shape, value, {"bool": np.bool_, "int": np.int64, "float": self.dtype}[kind])

    def rows(self, table: Array, index: Array) -> Array:
        """See `Arrays`."""
        if index.ndim == 2 and table.ndim == 1 and index.flags.f_contiguous:
            return np.take(table, index.T).T  # `take` keeps no layout but that by rows
        return np.take(table, index, axis=0)

    def pick(self, x: Array, index: Array) -> Array:
        """See `Arrays`."""
        return x.ravel().take(index + _first_of_rows(x))

    def mark(self, x: Array, index: Array) -> Array:
        """See `Arrays`."""
        marked = x if self.in_place else x.copy()
        marked.reshape(-1)[index + _first_of_rows(x)] = True
        return marked

    def room(self, batch: int, *shape: int, value: float = 0.0, kind: Kind = "float") -> Array:
        """See `Arrays`; sets lie side by side, so that the innermost loop is over them."""
        return np.moveaxis(self.full((*shape, batch), value, kind), -1, 0)

    def reach(self, count: Array, most: int) -> int:
        """See `Arrays`."""
        return min(int(count.max(initial=0)), most)

    def times(self, x: Array, y: Array) -> Array:
        """See `Arrays`."""
        return np.einsum("bij,bj->bi", x, y)

    def row_at(self, x: Array, place: Array) -> Array:
        """See `Arrays`."""
        return x[np.arange(len(x)), place]

    def put_rows(self, x: Array, place: Array, rows: Array) -> Array:
        """See `Arrays`."""
        put = x if self.in_place else x.copy(order="K")
        at = (np.arange(len(x)), place)
        put[at if rows.ndim == 1 else (*at, slice(rows.shape[1]))] = rows
        return put

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        """See `Arrays`."""
        return np.where(condition, a, b)

    def above(self, x: Array, floor: Array | float) -> Array:
        """See `Arrays`."""
        return np.maximum(x, floor)

    def below(self, x: Array, ceiling: Array) -> Array:
        """See `Arrays`."""
        return np.minimum(x, ceiling)

    def log1p(self, x: Array) -> Array:
        """See `Arrays`."""
        return np.log1p(x)

    def sqrt(self, x: Array) -> Array:
        """See `Arrays`."""
        return np.sqrt(x)

    def beside(self, a: Array, b: Array) -> Array:
        """See `Arrays`."""
        return np.concatenate([a, b], axis=1, dtype=b.dtype)


class TorchArrays:
    """The operations on torch tensors; none of them looks at a value, so a CUDA graph can capture them."""

    def __init__(self, device: str = "cpu", dtype: str = "float64", in_place: bool = False) -> None:
        """Choose the device, the precision of numbers with a fraction, and whether memory is used anew.

        Raises:
            MissingExtraError: When torch is not installed.
        """
        try:
            import torch
        except ImportError:
            raise missing_extra("torch", "torch", "sets on a device") from None
        self.dtype = getattr(torch, dtype)
        self._torch, self.device, self.in_place = torch, torch.device(device), in_place

    def put(self, numbers: npt.NDArray[Any]) -> Array:
        """See `Arrays`."""
        tensor = self._torch.tensor(numbers, device=self.device)
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def full(self, shape: tuple[int, ...], value: float, kind: Kind = "float") -> Array:
        """See `Arrays`."""
        types = {"bool": self._torch.bool, "int": self._torch.int64, "float": self.dtype}
        return self._torch.full(shape, value, dtype=types[kind], device=self.device)

    def rows(self, table: Array, index: Array) -> Array:
        """See `Arrays`."""
        return table.index_select(0, index.reshape(-1)).reshape(*index.shape, *table.shape[1:])

    def pick(self, x: Array, index: Array) -> Array:
        """See `Arrays`."""
        return x.gather(1, index)

    def mark(self, x: Array, index: Array) -> Array:
        """See `Arrays`."""
        return x.scatter_(1, index, True) if self.in_place else x.scatter(1, index, True)

    def room(self, batch: int, *shape: int, value: float = 0.0, kind: Kind = "float") -> Array:
        """See `Arrays`."""
        return self.full((batch, *shape), value, kind)

    def reach(self, count: Array, most: int) -> int:
        """See `Arrays`."""
        if count.device.type != "cpu" or self._torch.compiler.is_compiling():
            return most
        return min(int(count.max()), most) if len(count) else 0

    def times(self, x: Array, y: Array) -> Array:
        """See `Arrays`."""
        return (x @ y.unsqueeze(2)).squeeze(2)

    def row_at(self, x: Array, place: Array) -> Array:
        """See `Arrays`."""
        return x.gather(1, _rows_of(x, place)).squeeze(1)

    def put_rows(self, x: Array, place: Array, rows: Array) -> Array:
        """See `Arrays`."""
        given = rows.unsqueeze(1)
        index = _rows_of(given, place)
        return x.scatter_(1, index, given) if self.in_place else x.scatter(1, index, given)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        """See `Arrays`."""
        return self._torch.where(condition, a, b)

    def above(self, x: Array, floor: Array | float) -> Array:
        """See `Arrays`."""
        return self._torch.clamp(x, min=floor)

    def below(self, x: Array, ceiling: Array) -> Array:
        """See `Arrays`."""
        return self._torch.minimum(x, ceiling)

    def log1p(self, x: Array) -> Array:
        """See `Arrays`."""
        return self._torch.log1p(x)

    def sqrt(self, x: Array) -> Array:
        """See `Arrays`."""
        return self._torch.sqrt(x)

    def beside(self, a: Array, b: Array) -> Array:
        """See `Arrays`."""
        return self._torch.cat([a.to(b.dtype), b], dim=1)


def _rows_of(x: Array, place: Array) -> Array:
    """Return `place` `[B]` as a tensor that names one row of each `x[b]`, for `gather` and `scatter`."""
    return place.reshape(-1, *[1] * (x.ndim - 1)).expand(-1, 1, *x.shape[2:])


def _first_of_rows(x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return where each row of `x` `[B, n]` begins when it is one after the other, `[B, 1]`."""
    return np.arange(0, x.size, max(1, x.shape[1]))[:, None]


def arrays(
    backend: Literal["numpy", "torch"] = "numpy",
    device: str = "cpu",
    dtype: str = "float64",
    in_place: bool = False,
) -> Arrays:
    """Return the operations of a backend.

    Raises:
        MissingExtraError: When torch is wanted and not installed.
    """
    return NumpyArrays(dtype, in_place) if backend == "numpy" else TorchArrays(device, dtype, in_place)
