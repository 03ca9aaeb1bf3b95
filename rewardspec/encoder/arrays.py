"""Arrays of the encoder language: what NumPy code sees, with the batch axis left out.

The code sees `observation` as `(batch, width)`; the number of rows is nobody's business. An array here is the cells of
one row, `batched`, or a constant without a batch axis. Whatever would pair, pick or join rows of the batch is refused:
that a factor says the same of a row in any batch is then no matter of testing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rewardspec.encoder import cells
from rewardspec.encoder.cells import Cell
from rewardspec.encoder.refusal import misshapen, mixes, refuse, too_large

MAX_CELLS = 2_000
"""Numbers of a row that one array may hold."""

MAX_AXES = 4
"""Axes of an array, the batch not counted."""

COLUMN_HINT = "Make a column of it with x[:, None], or keep the axis with keepdims=True."


@dataclass(frozen=True)
class Number:
    """A number or truth value that is known, as Python has it; whole numbers can index."""

    value: float | int | bool


@dataclass(frozen=True)
class Batch:
    """The number of rows: it may stand first in a shape, and nowhere else."""


@dataclass(frozen=True)
class Nothing:
    """`None`, or `np.newaxis`."""


@dataclass(frozen=True)
class Dots:
    """`...` in a subscript."""


@dataclass(frozen=True)
class Sort:
    """A sort of number: `float`, `np.float32`, `bool`, `int`."""

    name: str


@dataclass
class Listing:
    """A list or tuple.

    Attributes:
        items: What it holds.
        names: For each, the variable that it was put in by, where it was one.
    """

    items: list[Value] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class Slice:
    """`start:stop:step` of a subscript, each a whole number or not given."""

    start: int | None
    stop: int | None
    step: int | None

    @property
    def is_whole(self) -> bool:
        """Whether it takes all, in order."""
        return self.start in (None, 0) and self.stop is None and self.step in (None, 1)


@dataclass(frozen=True, eq=False)
class Array:
    """An array.

    Attributes:
        cells: `shape`, the cells of one row; or of the whole constant.
        batched: Whether there is a batch axis before these.
    """

    cells: npt.NDArray[Any]
    batched: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape without the batch axis."""
        return tuple(self.cells.shape)

    @property
    def shown_shape(self) -> str:
        """The shape as the code's author thinks of it."""
        parts = (["batch"] if self.batched else []) + [str(size) for size in self.shape]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    @property
    def axes(self) -> int:
        """Number of axes, the batch included."""
        return len(self.shape) + self.batched

    def __iter__(self) -> Iterator[Cell]:
        """Yield the cells."""
        return iter(self.cells.ravel())


Value: TypeAlias = "Number | Batch | Nothing | Dots | Sort | Listing | Slice | Array"


def of_cells(items: Sequence[Cell], shape: tuple[int, ...], batched: bool = True) -> Array:
    """Return an array of cells, in row-major order."""
    check_size(shape)
    table = np.empty(len(items), object)
    table[:] = items
    return Array(table.reshape(shape), batched)


def check_size(shape: tuple[int, ...]) -> None:
    """Raise where a row of that shape would be too large."""
    count = 1
    for size in shape:
        count *= size
    if len(shape) > MAX_AXES:
        raise too_large(f"an array has more than {MAX_AXES} axes besides the batch")
    if count > MAX_CELLS:
        raise too_large(f"an array has {count} numbers in a row; the limit is {MAX_CELLS}")
    if count == 0:
        raise misshapen("an array, or a slice of one, is empty")


def filled(value: float | bool, shape: tuple[int, ...], batched: bool) -> Array:
    """Return an array that holds one value everywhere."""
    check_size(shape)
    return of_cells([cells.constant(value)] * int(np.prod(shape)), shape, batched)


def as_array(value: Value) -> Array:
    """Return a value as an array; lists of numbers become constants.

    Raises:
        EncoderError: It is no number and no array; or a list of arrays, which NumPy would stack across the batch.
    """
    if isinstance(value, Array):
        return value
    if isinstance(value, Number):
        return of_cells([cells.constant(value.value)], (), batched=False)
    if isinstance(value, Listing):
        parts = [as_array(item) for item in value.items]
        if any(part.batched for part in parts):
            raise mixes(
                "a list of arrays has the batch on its second axis",
                "Join arrays with np.stack(..., axis=1) or np.concatenate(..., axis=1).",
            )
        if len({part.shape for part in parts}) > 1 or not parts:
            raise misshapen("a list of numbers is empty or uneven")
        joined = [cell for part in parts for cell in part]
        return of_cells(joined, (len(parts), *parts[0].shape), batched=False)
    if isinstance(value, Batch):
        raise mixes("the number of rows of the batch is used as a number", "A factor is of one row alone.")
    raise refuse(f"{describe(value)} stands where a number or an array is needed")


def describe(value: Value) -> str:
    """Return what a value is, in words."""
    names: dict[type, str] = {
        Number: "a number",
        Batch: "the number of rows",
        Nothing: "None",
        Dots: "'...'",
        Sort: "a sort of number",
        Listing: "a list",
        Slice: "a slice",
        Array: "an array",
    }
    return names[type(value)]


# -- elementwise -----------------------------------------------------------------------------------------


def elementwise(operation: Callable[..., Cell], *values: Value) -> Array:
    """Return an operation on every cell of arrays that are broadcast as NumPy does, rows staying apart.

    Raises:
        EncoderError: Their shapes do not go together, or only by pairing rows of the batch.
    """
    arrays = [as_array(value) for value in values]
    axes = {array.axes for array in arrays if array.batched}
    for array in arrays:
        if len(axes) > 1 or (axes and not array.batched and array.axes >= max(axes)):
            shapes = " and ".join(array.shown_shape for array in arrays)
            raise mixes(f"arrays of shape {shapes} would be paired across rows of the batch", COLUMN_HINT)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = " and ".join(array.shown_shape for array in arrays)
        raise misshapen(f"arrays of shape {shapes} do not go together") from None
    check_size(shape)
    spread = [np.broadcast_to(array.cells, shape).ravel() for array in arrays]
    found = [operation(*of) for of in zip(*spread, strict=True)]
    return of_cells(found, shape, bool(axes))


# -- axes ------------------------------------------------------------------------------------------------


def own_axis(array: Array, axis: int, what: str) -> int:
    """Return an axis without the batch, for an axis that NumPy counts with it.

    Raises:
        EncoderError: It is the batch axis, or there is no such axis.
    """
    if not -array.axes <= axis < array.axes:
        raise misshapen(f"{what} along axis {axis}, and the shape is {array.shown_shape}")
    axis %= array.axes
    if array.batched and axis == 0:
        raise mixes(f"{what} along axis 0 joins rows of the batch", "Use axis=1, which is within a row.")
    return axis - array.batched


def reduce(
    array: Array, axes: tuple[int, ...] | None, keep: bool, join: Callable[[Sequence[Cell]], Cell]
) -> Array:
    """Return an array with some axes joined into one cell each.

    Args:
        array: The array.
        axes: As NumPy counts them; None for all.
        keep: Whether the axes stay, with size 1.
        join: Several cells to one.

    Raises:
        EncoderError: The batch axis would be joined.
    """
    if axes is None:
        if array.batched and array.shape:
            raise mixes(
                "a reduction without an axis joins rows of the batch", "Say axis=1, which is within a row."
            )
        if array.batched:
            raise mixes("a reduction over shape (batch,) joins rows of the batch")
        gone = tuple(range(array.axes))
    else:
        gone = tuple(own_axis(array, axis, "a reduction") for axis in axes)
    if len(set(gone)) < len(gone):
        raise misshapen("a reduction names an axis twice")
    kept = [axis for axis in range(len(array.shape)) if axis not in gone]
    shape = tuple(array.shape[axis] for axis in kept)
    rows = array.cells.transpose(*kept, *gone).reshape(*shape, -1).reshape(int(np.prod(shape)), -1)
    left = tuple(1 if axis in gone else size for axis, size in enumerate(array.shape)) if keep else shape
    return of_cells([join(list(row)) for row in rows], left, array.batched)


# -- subscripts and shapes -----------------------------------------------------------------------------------


def subscript(array: Array, items: Sequence[Value]) -> Array:
    """Return `array[items]`.

    Raises:
        EncoderError: It picks rows of the batch, by a mask or what is not known; or is out of range.
    """
    wanted = list(items)
    dots = [i for i, item in enumerate(wanted) if isinstance(item, Dots)]
    if len(dots) > 1:
        raise misshapen("a subscript has more than one '...'")
    if dots:
        taken = sum(not isinstance(item, Nothing | Dots) for item in wanted)
        free = max(array.axes - taken, 0)
        wanted[dots[0] : dots[0] + 1] = [Slice(None, None, None)] * free
    if array.batched:
        first = wanted.pop(0) if wanted else Slice(None, None, None)
        if not (isinstance(first, Slice) and first.is_whole):
            raise mixes(
                "a subscript picks rows of the batch",
                "Begin it with ':', as in observation[:, 3] or x[:, None].",
            )
    index: list[Any] = []
    for item in wanted:
        index.append(_index(item))
    if sum(isinstance(item, list) for item in index) > 1:
        raise refuse("a subscript has more than one list")
    if sum(item is not None for item in index) > len(array.shape):
        raise misshapen(f"a subscript has more indices than the shape {array.shown_shape} has axes")
    try:
        found = array.cells[tuple(index)]
    except IndexError as error:
        raise misshapen(f"a subscript is out of range: {error}, of shape {array.shown_shape}") from None
    if not isinstance(found, np.ndarray):
        return of_cells([found], (), array.batched)
    check_size(found.shape)
    return Array(found, array.batched)


def _index(item: Value) -> Any:
    if isinstance(item, Slice):
        return slice(item.start, item.stop, item.step)
    if isinstance(item, Nothing):
        return None
    if isinstance(item, Number):
        return whole(item, "a subscript")
    if isinstance(item, Listing):
        if not item.items:
            raise misshapen("a subscript has an empty list")
        return [whole(part, "a subscript") for part in item.items]
    raise refuse(f"a subscript holds {describe(item)}", "Choose values with np.where(condition, a, b).")


def whole(value: Value, what: str) -> int:
    """Return a known whole number.

    Raises:
        EncoderError: It is something else.
    """
    if isinstance(value, Number) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    raise refuse(f"{what} must be a whole number that is written out")


def reshape(array: Array, sizes: Sequence[Value]) -> Array:
    """Return the array in another shape, rows staying rows.

    Raises:
        EncoderError: Rows would not stay rows, or the sizes do not fit.
    """
    given = list(sizes)
    if not array.batched:
        return Array(array.cells.reshape(_sizes(given, array)), batched=False)
    if not given:
        raise misshapen("a reshape has no sizes")
    first, rest = given[0], given[1:]
    if not isinstance(first, Batch) and whole(first, "a size") != -1:
        raise mixes(
            "a reshape must keep the batch on its first axis",
            "Begin it with -1, as in x.reshape(-1, 1) or (-1, 6, 2).",
        )
    if not isinstance(first, Batch) and any(isinstance(size, Number) and size.value == -1 for size in rest):
        raise misshapen("a reshape has more than one -1")
    return Array(array.cells.reshape(_sizes(rest, array)), batched=True)


def _sizes(given: Sequence[Value], array: Array) -> tuple[int, ...]:
    sizes = [whole(size, "a size") for size in given]
    total, known = array.cells.size, 1
    for size in sizes:
        if size != -1:
            known *= size
        if not (size == -1 or 0 < size <= MAX_CELLS) or known > MAX_CELLS:
            raise misshapen(f"a reshape to {tuple(sizes)} does not fit {total} numbers")
    if sizes.count(-1) > 1 or (total % known if -1 in sizes else total != known):
        what = "row" if array.batched else "constant"
        raise mixes(f"a reshape to {tuple(sizes)} of each {what} does not fit its {total} numbers")
    check_size(tuple(total // known if size == -1 else size for size in sizes))
    return tuple(sizes)


def joined(arrays: Sequence[Array], axis: int, new: bool) -> Array:
    """Return arrays joined along an axis: a new one (`np.stack`) or one that they have (`np.concatenate`).

    Raises:
        EncoderError: The axis is the batch, or the shapes differ.
    """
    if not arrays:
        raise misshapen("there is nothing to join")
    if len({array.batched for array in arrays}) > 1:
        raise misshapen("arrays with and without a batch axis are joined")
    batched = arrays[0].batched
    axes = arrays[0].axes + new
    if not -axes <= axis < axes:
        raise misshapen(f"arrays of shape {arrays[0].shown_shape} have no axis {axis} to be joined on")
    axis %= axes
    if batched and axis == 0:
        raise mixes("joining along axis 0 puts rows of the batch after one another", "Use axis=1.")
    check_size((sum(array.cells.size for array in arrays),))
    join = np.stack if new else np.concatenate
    try:
        return Array(join([array.cells for array in arrays], axis=axis - batched), batched)
    except ValueError:
        shapes = ", ".join(array.shown_shape for array in arrays)
        raise misshapen(f"arrays of shape {shapes} cannot be joined along axis {axis}") from None
