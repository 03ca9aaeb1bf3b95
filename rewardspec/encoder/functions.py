"""The table of functions and methods: all that a call in the encoder language can reach.

A name is looked up here and nowhere else; no attribute of any Python object is read for it. Every entry takes and
returns values of `arrays.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewardspec.encoder import cells
from rewardspec.encoder.arrays import (
    Array,
    Batch,
    Listing,
    Nothing,
    Number,
    Slice,
    Sort,
    Value,
    as_array,
    describe,
    elementwise,
    filled,
    joined,
    of_cells,
    reduce,
    reshape,
    subscript,
    whole,
)
from rewardspec.encoder.cells import Cell
from rewardspec.encoder.refusal import misshapen, mixes, refuse, too_large
from rewardspec.errors import list_names

MISSING = object()
"""Stands for a parameter that must be given."""


@dataclass(frozen=True)
class Function:
    """An entry of the table.

    Attributes:
        build: From the values of all parameters, in order, to the result.
        parameters: Their names and what they are when not given; `MISSING` where they must be.
    """

    build: Callable[..., Value]
    parameters: tuple[tuple[str, Any], ...]

    def __call__(self, name: str, given: Sequence[Value], named: Mapping[str, Value]) -> Value:
        """Return the result for arguments by position and by name.

        Raises:
            EncoderError: Too many arguments, too few, or one that the language does not have.
        """
        names = [parameter for parameter, _ in self.parameters]
        if len(given) > len(names):
            raise refuse(f"{name} takes at most {len(names)} arguments here: {list_names(names)}")
        values = dict(zip(names, given, strict=False))
        for key, value in named.items():
            if key not in names:
                raise refuse(f"{name} has no argument '{key}' here", f"It has: {list_names(names)}.")
            if key in values:
                raise refuse(f"{name} is given '{key}' twice")
            values[key] = value
        for parameter, default in self.parameters:
            if parameter not in values:
                if default is MISSING:
                    raise refuse(f"{name} lacks its argument '{parameter}'")
                values[parameter] = default
        return self.build(*(values[parameter] for parameter in names))


def _entry(build: Callable[..., Value], *needed: str, **optional: Any) -> Function:
    return Function(build, (*((name, MISSING) for name in needed), *optional.items()))


# -- elementwise -------------------------------------------------------------------------------------------


def plain(found: Value) -> Value:
    """Return a constant without axes as the number that it is."""
    if not isinstance(found, Array):
        return found
    if not found.batched and found.shape == () and (value := found.cells.item().constant) is not None:
        return Number(value)
    return found


def _map(operation: Callable[..., Cell]) -> Callable[..., Value]:
    return lambda *values: plain(elementwise(operation, *values))


def _unary(operation: Callable[[Cell], Cell]) -> Function:
    return _entry(_map(operation), "x")


def _binary(operation: Callable[[Cell, Cell], Cell]) -> Function:
    return _entry(_map(operation), "x1", "x2")


def arithmetic(op: str) -> Callable[[Cell, Cell], Cell]:
    """Return an arithmetic operation on cells."""
    return lambda a, b: cells.binary(op, a, b)


def comparison(op: str) -> Callable[[Cell, Cell], Cell]:
    """Return a comparison of cells."""
    return lambda a, b: cells.compare(op, a, b)


def junction(op: str) -> Callable[[Cell, Cell], Cell]:
    """Return `and` or `or` of cells."""
    return lambda a, b: cells.join(op, [a, b])


def _least(a: Cell, b: Cell) -> Cell:
    return cells.join("min", [a, b])


def _greatest(a: Cell, b: Cell) -> Cell:
    return cells.join("max", [a, b])


def _called(name: str) -> Callable[[Cell], Cell]:
    return lambda x: cells.call(name, x)


def _square(x: Cell) -> Cell:
    return cells.binary("mul", x, x)


def _over(x: Cell, y: float) -> Cell:
    return cells.binary("div", x, cells.constant(y))


def _hyperbolic(sign: str) -> Callable[[Cell], Cell]:
    def build(x: Cell) -> Cell:
        there, back = cells.call("exp", x), cells.call("exp", cells.negative(x))
        return _over(cells.binary(sign, there, back), 2.0)

    return build


def _plus_one(x: Cell) -> Cell:
    return cells.binary("add", x, cells.constant(1.0))


def _truncated(x: Cell) -> Cell:
    below = cells.compare("lt", x, cells.constant(0.0))
    return cells.where(below, cells.call("ceil", x), cells.call("floor", x))


def _hypotenuse(a: Cell, b: Cell) -> Cell:
    return cells.call("sqrt", cells.join("sum", [_square(a), _square(b)]))


_UNARY: dict[str, Callable[[Cell], Cell]] = {
    **{
        name: _called(name)
        for name in ("sign", "floor", "ceil", "exp", "log", "sqrt", "tanh", "sin", "cos", "arctanh")
    },
    **{name: _called("abs") for name in ("abs", "absolute", "fabs")},
    "negative": cells.negative,
    "positive": cells.number,
    "square": _square,
    "reciprocal": lambda x: cells.binary("div", cells.constant(1.0), x),
    "log1p": lambda x: cells.call("log", _plus_one(x)),
    "expm1": lambda x: cells.binary("sub", cells.call("exp", x), cells.constant(1.0)),
    "log2": lambda x: _over(cells.call("log", x), math.log(2.0)),
    "log10": lambda x: _over(cells.call("log", x), math.log(10.0)),
    "sinh": _hyperbolic("sub"),
    "cosh": _hyperbolic("add"),
    "tan": lambda x: cells.binary("div", cells.call("sin", x), cells.call("cos", x)),
    "deg2rad": lambda x: cells.binary("mul", x, cells.constant(math.pi / 180)),
    "radians": lambda x: cells.binary("mul", x, cells.constant(math.pi / 180)),
    "logical_not": cells.opposite,
}

_BINARY: dict[str, Callable[[Cell, Cell], Cell]] = {
    "add": arithmetic("add"),
    "subtract": arithmetic("sub"),
    "multiply": arithmetic("mul"),
    "divide": arithmetic("div"),
    "true_divide": arithmetic("div"),
    "floor_divide": arithmetic("floordiv"),
    "mod": arithmetic("mod"),
    "remainder": arithmetic("mod"),
    "power": arithmetic("pow"),
    "minimum": _least,
    "maximum": _greatest,
    "fmin": _least,
    "fmax": _greatest,
    "hypot": _hypotenuse,
    "logical_and": junction("and"),
    "logical_or": junction("or"),
    "less": comparison("lt"),
    "less_equal": comparison("le"),
    "greater": comparison("gt"),
    "greater_equal": comparison("ge"),
    "equal": comparison("eq"),
    "not_equal": comparison("ne"),
}


def _clip(x: Value, low: Value, high: Value) -> Value:
    if isinstance(low, Nothing) and isinstance(high, Nothing):
        raise refuse("clip has no bounds")
    found = x
    if not isinstance(low, Nothing):
        found = elementwise(_greatest, found, low)
    if not isinstance(high, Nothing):
        found = elementwise(_least, found, high)
    return found


def _where(condition: Value, a: Value, b: Value) -> Value:
    return plain(elementwise(cells.where, condition, a, b))


# -- reductions --------------------------------------------------------------------------------------------


def _mean(row: Sequence[Cell]) -> Cell:
    return _over(cells.join("sum", row), float(len(row)))


def _variance(row: Sequence[Cell]) -> Cell:
    middle = _mean(row)
    return _mean([_square(cells.binary("sub", cell, middle)) for cell in row])


def _spread(row: Sequence[Cell]) -> Cell:
    return cells.call("sqrt", _variance(row))


def _range(row: Sequence[Cell]) -> Cell:
    return cells.binary("sub", cells.join("max", row), cells.join("min", row))


def _length(row: Sequence[Cell]) -> Cell:
    return cells.call("sqrt", cells.join("sum", [_square(cell) for cell in row]))


def _sum_of_sizes(row: Sequence[Cell]) -> Cell:
    return cells.join("sum", [cells.call("abs", cell) for cell in row])


def _joined_by(op: str) -> Callable[[Sequence[Cell]], Cell]:
    return lambda row: cells.join(op, row)


def _counted(row: Sequence[Cell]) -> Cell:
    return cells.join("sum", [cells.number(cells.truth(cell)) for cell in row])


_REDUCTIONS: dict[str, Callable[[Sequence[Cell]], Cell]] = {
    "sum": _joined_by("sum"),
    "prod": _joined_by("product"),
    "mean": _mean,
    "average": _mean,
    "std": _spread,
    "var": _variance,
    "min": _joined_by("min"),
    "amin": _joined_by("min"),
    "max": _joined_by("max"),
    "amax": _joined_by("max"),
    "ptp": _range,
    "any": _joined_by("or"),
    "all": _joined_by("and"),
    "count_nonzero": _counted,
}


def _reducing(join: Callable[[Sequence[Cell]], Cell]) -> Callable[..., Value]:
    def build(x: Value, axis: Value, keepdims: Value) -> Value:
        return plain(reduce(as_array(x), _axes(axis), _is_true(keepdims, "keepdims"), join))

    return build


def _axes(axis: Value) -> tuple[int, ...] | None:
    if isinstance(axis, Nothing):
        return None
    if isinstance(axis, Listing):
        return tuple(whole(item, "an axis") for item in axis.items)
    return (whole(axis, "an axis"),)


def _is_true(value: Value, what: str) -> bool:
    if isinstance(value, Number) and isinstance(value.value, bool):
        return value.value
    raise refuse(f"{what} is True or False")


def _norm(x: Value, order: Value, axis: Value, keepdims: Value) -> Value:
    ways: dict[float, Callable[[Sequence[Cell]], Cell]] = {2: _length, 1: _sum_of_sizes}
    way = (
        _length
        if isinstance(order, Nothing)
        else ways.get(order.value)
        if isinstance(order, Number)
        else None
    )
    if way is None:
        raise refuse("np.linalg.norm takes ord=1 or ord=2 here")
    axes = _axes(axis)
    if axes is not None and len(axes) > 1:
        raise refuse("np.linalg.norm takes one axis here: the norm of vectors, not of matrices")
    return plain(reduce(as_array(x), axes, _is_true(keepdims, "keepdims"), way))


def product(a: Value, b: Value) -> Value:
    """Return `a @ b`, for a constant `b`: the columns of a row, weighted.

    Raises:
        EncoderError: Both hold rows of the batch, or the shapes do not fit.
    """
    left, right = as_array(a), as_array(b)
    if right.batched:
        raise mixes(
            "a matrix product with an array of the batch on its right joins rows of the batch",
            "The dot product of rows is np.sum(a * b, axis=1).",
        )
    if not left.shape or len(right.shape) not in (1, 2) or left.shape[-1] != right.shape[0]:
        raise misshapen(f"a matrix product of shapes {left.shown_shape} and {right.shown_shape} does not fit")
    columns = right.cells.reshape(right.shape[0], -1)
    rows = left.cells.reshape(-1, left.shape[-1])
    if rows.shape[0] * columns.size > 20_000:
        raise too_large("a matrix product has too many parts")
    found = [
        cells.join("sum", [cells.binary("mul", x, w) for x, w in zip(row, column, strict=True)])
        for row in rows
        for column in columns.T
    ]
    return of_cells(found, (*left.shape[:-1], *right.shape[1:]), left.batched)


# -- shapes ------------------------------------------------------------------------------------------------


def _in_shape(x: Value, shape: Value) -> Value:
    return reshape(as_array(x), shape.items if isinstance(shape, Listing) else [shape])


def _expanded(x: Value, axis: Value) -> Value:
    array, where = as_array(x), whole(axis, "an axis")
    axes = array.axes + 1
    if not -axes <= where < axes:
        raise misshapen(f"an array of shape {array.shown_shape} has no place {where} for a new axis")
    where %= axes
    if array.batched and where == 0:
        raise mixes("a new first axis moves the batch to the second one", "Use axis=1.")
    return of_cells(
        list(array),
        (*array.shape[: where - array.batched], 1, *array.shape[where - array.batched :]),
        array.batched,
    )


def _squeezed(x: Value, axis: Value) -> Value:
    array = as_array(x)
    if isinstance(axis, Nothing):
        gone = {i for i, size in enumerate(array.shape) if size == 1}
    else:
        where = whole(axis, "an axis")
        if not -array.axes <= where < array.axes:
            raise misshapen(f"an array of shape {array.shown_shape} has no axis {where}")
        where %= array.axes
        if array.batched and where == 0:
            raise mixes("axis 0 is the batch, whose size is not known")
        gone = {where - array.batched}
    if any(array.shape[i] != 1 for i in gone):
        raise misshapen(f"an axis to be left out has more than one entry: {array.shown_shape}")
    return of_cells(list(array), tuple(s for i, s in enumerate(array.shape) if i not in gone), array.batched)


def _flat(x: Value) -> Value:
    return reshape(as_array(x), [Number(-1)])


def _stacked(arrays: Value, axis: Value) -> Value:
    return joined(_arrays(arrays), whole(axis, "an axis"), new=True)


def _concatenated(arrays: Value, axis: Value) -> Value:
    return joined(_arrays(arrays), whole(axis, "an axis"), new=False)


def _beside(arrays: Value) -> Value:
    parts = _arrays(arrays)
    return joined(parts, 0 if parts and parts[0].axes == 1 else 1, new=False)


def _as_columns(arrays: Value) -> Value:
    parts = [
        reshape(part, [Number(-1), Number(1)]) if part.batched and not part.shape else part
        for part in _arrays(arrays)
    ]
    return joined(parts, 1, new=False)


def _arrays(value: Value) -> list[Array]:
    if not isinstance(value, Listing):
        raise refuse(f"a list of arrays is needed, and this is {describe(value)}")
    return [as_array(item) for item in value.items]


def _full(shape: Value, value: Value) -> Value:
    if not isinstance(value, Number):
        raise refuse("the value that fills an array must be a known number")
    sizes = shape.items if isinstance(shape, Listing) else [shape]
    batched = bool(sizes) and isinstance(sizes[0], Batch)
    numbers = tuple(whole(size, "a size") for size in (sizes[1:] if batched else sizes))
    if any(size < 1 for size in numbers):
        raise misshapen("an array, or a slice of one, is empty")
    return filled(value.value, numbers, batched)


def _full_like(x: Value, value: Value) -> Value:
    if not isinstance(value, Number):
        raise refuse("the value that fills an array must be a known number")
    array = as_array(x)
    return filled(value.value, array.shape, array.batched)


def _array(x: Value, dtype: Value) -> Value:
    return _converted(x if isinstance(x, Array) else as_array(x), dtype)


def _converted(x: Value, dtype: Value) -> Value:
    if isinstance(dtype, Nothing):
        return x
    if not isinstance(dtype, Sort):
        raise refuse("a dtype is float, np.float32, int or bool")
    change = {"float": cells.number, "int": _truncated, "bool": cells.truth}[dtype.name]
    return plain(elementwise(change, x))


def _differences(x: Value, n: Value, axis: Value) -> Value:
    array = as_array(x)
    if (
        whole(n, "n") != 1
        or len(array.shape) != 1
        or whole(axis, "an axis") % array.axes != int(array.batched)
    ):
        raise refuse("np.diff takes the first differences along axis=1 of a table here")
    every = [Slice(None, None, None)] * array.batched
    later, sooner = (
        subscript(array, [*every, Slice(1, None, None)]),
        subscript(array, [*every, Slice(None, -1, None)]),
    )
    return elementwise(arithmetic("sub"), later, sooner)


def _rows(x: Value) -> Value:
    array = as_array(x)
    return Batch() if array.batched else Number(array.shape[0] if array.shape else 1)


def _shape(x: Value) -> Value:
    array = as_array(x)
    return Listing([*([Batch()] if array.batched else []), *(Number(size) for size in array.shape)])


def _same(x: Value) -> Value:
    return as_array(x)


NONE, FALSE, ZERO, LAST = Nothing(), Number(False), Number(0), Number(-1)

FUNCTIONS: dict[str, Function] = {
    **{name: _unary(operation) for name, operation in _UNARY.items()},
    **{name: _binary(operation) for name, operation in _BINARY.items()},
    **{name: _entry(_reducing(join), "a", axis=NONE, keepdims=FALSE) for name, join in _REDUCTIONS.items()},
    "clip": _entry(_clip, "a", a_min=NONE, a_max=NONE),
    "where": _entry(_where, "condition", "x", "y"),
    "linalg.norm": _entry(_norm, "x", ord=NONE, axis=NONE, keepdims=FALSE),
    "dot": _entry(product, "a", "b"),
    "matmul": _entry(product, "x1", "x2"),
    "reshape": _entry(_in_shape, "a", "shape"),
    "expand_dims": _entry(_expanded, "a", "axis"),
    "squeeze": _entry(_squeezed, "a", axis=NONE),
    "ravel": _entry(_flat, "a"),
    "stack": _entry(_stacked, "arrays", axis=ZERO),
    "concatenate": _entry(_concatenated, "arrays", axis=ZERO),
    "hstack": _entry(_beside, "tup"),
    "column_stack": _entry(_as_columns, "tup"),
    "array": _entry(_array, "object", dtype=NONE),
    "asarray": _entry(_array, "a", dtype=NONE),
    "copy": _entry(_same, "a"),
    "diff": _entry(_differences, "a", n=Number(1), axis=LAST),
    "zeros": _entry(lambda shape, dtype: _full(shape, Number(0.0)), "shape", dtype=NONE),
    "ones": _entry(lambda shape, dtype: _full(shape, Number(1.0)), "shape", dtype=NONE),
    "full": _entry(lambda shape, value, dtype: _full(shape, value), "shape", "fill_value", dtype=NONE),
    "zeros_like": _entry(lambda x, dtype: _full_like(x, Number(0.0)), "a", dtype=NONE),
    "ones_like": _entry(lambda x, dtype: _full_like(x, Number(1.0)), "a", dtype=NONE),
    "full_like": _entry(lambda x, value, dtype: _full_like(x, value), "a", "fill_value", dtype=NONE),
    "shape": _entry(_shape, "a"),
}
"""By its name after `np.`."""

BUILTINS: dict[str, Function] = {
    "abs": FUNCTIONS["abs"],
    "len": _entry(_rows, "obj"),
    "float": _unary(cells.number),
}
"""Python's own functions that code may call."""

METHODS: dict[str, Function] = {
    **{
        name: FUNCTIONS[name]
        for name in (
            "sum",
            "prod",
            "mean",
            "std",
            "var",
            "min",
            "max",
            "any",
            "all",
            "dot",
            "squeeze",
            "ravel",
            "copy",
        )
    },
    "clip": _entry(_clip, "a", min=NONE, max=NONE),
    "flatten": FUNCTIONS["ravel"],
    "astype": _entry(_converted, "a", "dtype"),
}
"""Methods of arrays, the array being the first parameter; `reshape` stands by itself, as it takes its sizes apart."""

CONSTANTS: dict[str, Value] = {
    "pi": Number(math.pi),
    "e": Number(math.e),
    "newaxis": NONE,
    "float32": Sort("float"),
    "float64": Sort("float"),
    "int32": Sort("int"),
    "int64": Sort("int"),
    "bool_": Sort("bool"),
}
"""By name after `np.`."""

SORTS: dict[str, Value] = {"float": Sort("float"), "int": Sort("int"), "bool": Sort("bool")}
"""Python's own names of sorts of number."""

INSTEAD: dict[str, str] = {
    "arctan2": "Use the sine and cosine, which the observation often holds, as they are.",
    "arctan": "Use np.tanh, or the sine and cosine as they are.",
    "arccos": "Use the cosine as it is.",
    "arcsin": "Use the sine as it is.",
    "repeat": "Arrays are broadcast: x[:, None] goes with a table.",
    "tile": "Arrays are broadcast: x[:, None] goes with a table.",
    "vstack": "Rows of the batch stay as they are: np.stack(..., axis=1) makes columns.",
    "einsum": "Write the sum: np.sum(a * b, axis=1).",
    "nan_to_num": "Keep numbers finite: divide by x + 1e-6, take the logarithm of np.maximum(x, 1e-6).",
    "sort": "Use np.min, np.max or np.mean along axis=1.",
    "argmin": "Use np.min along axis=1.",
    "argmax": "Use np.max along axis=1.",
    "median": "Use np.mean along axis=1.",
}
"""What to write for a NumPy function that the table does not have."""
