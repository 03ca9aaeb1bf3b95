"""Binding a program to an environment's spaces: every field found, every shape known, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr, Field
from rewardspec.ir.program import Learned, Program
from rewardspec.ir.show import show_field

Shape = tuple[int, ...]

MAX_INPUTS = 4096
"""Numbers that a learned reward's model may see of one step."""

MAX_ONE_HOT = 512
"""Values of a Discrete space up to which a model sees one truth value for each."""


@dataclass(frozen=True)
class Layout:
    """A program that fits an environment.

    Attributes:
        program: The program; one-element vectors have become scalars where a scalar is needed.
        shapes: Shape of every field that it reads, without the batch axis.
        arrays: Shape of every array that the program reads from, by root and the keys that lead to it.
        labels: Names that the labelling function must give, in the order in which hosts pass them.
    """

    program: Program
    shapes: Mapping[Field, Shape]
    arrays: Mapping[tuple[str, tuple[ir.Step, ...]], Shape]
    labels: tuple[str, ...]

    def shape(self, expr: Expr) -> Shape:
        """Return the shape of an expression's value, without the batch axis."""
        return _Shapes(self.shapes).of(expr)


class _Mismatch(Exception):
    def __init__(self, code: str, message: str, place: Place, *hints: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, place, hints)


def bind(program: Program, observation_space: Any = None, action_space: Any = None) -> Layout:
    """Return the program bound to spaces.

    Args:
        program: The program.
        observation_space: A gymnasium space; None when no observation is there to be read.
        action_space: A gymnasium space; None likewise.

    Raises:
        MismatchError: With every field that the spaces do not have, and every shape that does not fit.
    """
    return _bind(program, lambda field: action_space if field.root == "action" else observation_space)


def bind_to_values(program: Program, sample: Any) -> Layout:
    """Return the program bound to the shapes of a sample transition's values (recorded data without spaces).

    Raises:
        MismatchError: As `bind`.
    """
    return _bind(program, lambda field: space_of(getattr(sample, field.root)))


def space_of(value: Any) -> Any:
    """Return a space that holds a value: for recorded data that comes without one."""
    if isinstance(value, Mapping):
        return spaces.Dict({key: space_of(item) for key, item in value.items()})
    if isinstance(value, tuple):
        return spaces.Tuple(tuple(space_of(item) for item in value))
    if value is None:
        return None
    array = np.asarray(value)
    return spaces.Box(-np.inf, np.inf, array.shape, np.float64)


def _bind(program: Program, space_for: Callable[[Field], Any]) -> Layout:
    program = _with_whole_inputs(program, space_for)
    found: dict[Field, Shape] = {}
    arrays: dict[tuple[str, tuple[ir.Step, ...]], Shape] = {}
    problems: list[Problem] = []
    for field in program.fields():
        try:
            found[field] = _field_shape(field, space_for, arrays)
        except _Mismatch as mismatch:
            problems.append(mismatch.problem)
    if problems:
        raise MismatchError(problems)
    shapes = _Shapes(found)
    scalar: dict[str, Any] = {
        "propositions": tuple(
            replace(p, expr=shapes.scalar(p.expr, p.place, problems, f"the proposition '{p.name}'"))
            for p in program.propositions
        ),
        "folds": tuple(
            replace(f, update=shapes.scalar(f.update, Place(), problems, f"the memory '{f.name}'"))
            for f in program.folds
        ),
        "sets": tuple(
            replace(
                s,
                item=shapes.scalar(s.item, s.place, problems, f"the item of '{s.name}'"),
                first=None
                if s.first is None
                else shapes.scalar(s.first, s.place, problems, f"the first item of '{s.name}'"),
            )
            for s in program.sets
        ),
        "ends": tuple(
            replace(e, when=shapes.scalar(e.when, Place(), problems, "the condition of an end"))
            for e in program.ends
        ),
        "terms": tuple(
            replace(t, expr=shapes.scalar(t.expr, t.place, problems, f"the term '{t.name}'"))
            for t in program.terms
        ),
        "futures": tuple(
            (name, shapes.scalar(e, Place(), problems, "a condition")) for name, e in program.futures
        ),
        "learned": tuple(_bind_learned(learned, shapes, problems) for learned in program.learned),
    }
    if problems:
        raise MismatchError(problems)
    labels: dict[str, None] = {}
    for field in found:
        if field.root == "label" and isinstance(field.path[0], str):
            labels[field.path[0]] = None
    return Layout(replace(program, **scalar), found, arrays, tuple(labels))


def _with_whole_inputs(program: Program, space_for: Callable[[Field], Any]) -> Program:
    """Return the program with the whole observation and action as the inputs of models that name none."""
    if all(learned.inputs is not None for learned in program.learned):
        return program

    def whole(each: Learned) -> Learned:
        return replace(
            each, inputs=tuple(part for root in each.whole for part in _numeric_parts(root, space_for))
        )

    learned = tuple(each if each.inputs is not None else whole(each) for each in program.learned)
    return replace(program, learned=learned)


def _numeric_parts(root: ir.Root, space_for: Callable[[Field], Any]) -> Iterator[Expr]:
    """Yield a field for every part of a space that holds numbers."""

    def parts(space: Any, path: tuple[ir.Step, ...]) -> Iterator[Expr]:
        if isinstance(space, spaces.Dict):
            for key, part in space.spaces.items():
                yield from parts(part, (*path, key))
        elif isinstance(space, spaces.Tuple):
            for i, part in enumerate(space.spaces):
                yield from parts(part, (*path, (i,)))
        elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiBinary | spaces.MultiDiscrete):
            yield from _encoded(Field(root, path), space)

    yield from parts(space_for(Field(root)), ())


def _encoded(field: Field, space: Any) -> Iterator[Expr]:
    """Yield what a model sees of a field: one truth value per value of a small Discrete space, else the field."""
    if not isinstance(space, spaces.Discrete) or not 2 < space.n <= MAX_ONE_HOT:
        yield field
        return
    for value in range(int(space.start), int(space.start + space.n)):
        yield ir.Where(ir.Compare("eq", field, ir.Const(float(value))), ir.ONE, ir.ZERO)


def _bind_learned(learned: Learned, shapes: _Shapes, problems: list[Problem]) -> Learned:
    """Return a learned number whose inputs and measures are scalars: vectors taken apart."""
    inputs: list[Expr] = []
    for expr in learned.inputs or ():
        try:
            shape = shapes.of(expr)
        except _Mismatch as mismatch:
            problems.append(mismatch.problem)
            continue
        if len(inputs) + int(np.prod(shape)) > MAX_INPUTS:
            problems.append(
                Problem(
                    "too-many-inputs",
                    f"the model of '{learned.name}' would see more than {MAX_INPUTS} numbers",
                    learned.place,
                    ("Say what matters, as in `inputs: [next_obs.position, action]`.",),
                )
            )
            break
        inputs.extend(ir.Index(expr, where) for where in np.ndindex(*shape)) if shape else inputs.append(expr)
    measures = tuple(
        (name, shapes.scalar(expr, learned.place, problems, f"'{name}' of '{learned.name}'"))
        for name, expr in learned.measures
    )
    return replace(learned, inputs=tuple(inputs), measures=measures)


def _field_shape(
    field: Field, space_for: Callable[[Field], Any], arrays: dict[tuple[str, tuple[ir.Step, ...]], Shape]
) -> Shape:
    if field.who is not None:
        raise _Mismatch(
            "needs-agents",
            f"{show_field(field)} is read, and here a single agent acts",
            field.place,
            "`rewardspec.wrap_parallel` takes a PettingZoo environment, where there are several.",
        )
    if field.root in ("reward", "terminated", "truncated", "future", "learned"):
        if field.path and field.root not in ("future", "learned"):
            raise _Mismatch("no-such-key", f"'{field.root}' is a single value and has no parts", field.place)
        return ()
    if field.root == "label":
        if len(field.path) != 1 or not isinstance(field.path[0], str):
            raise _Mismatch("no-such-key", "a label is read by its name, as in label.has_key", field.place)
        return ()
    if field.root == "info":
        if not field.path or not isinstance(field.path[0], str):
            raise _Mismatch("no-such-key", "info is read by key, as in info.success", field.place)
        if any(
            isinstance(item, ir.Span) for step in field.path if not isinstance(step, str) for item in step
        ):
            raise _Mismatch(
                "no-such-key", "a slice of info has no length that could be known before the first step", field.place,
                "Read single numbers, as in info.position[0].",
            )  # fmt: skip
        return ()
    space = space_for(field)
    if space is None:
        raise _Mismatch("no-such-key", f"there is no '{field.root}' here", field.place)
    where: str = field.root
    keys = 0
    while keys < len(field.path) and isinstance(space, spaces.Dict | spaces.Tuple):
        space, where = _enter(space, field.path[keys], where, field.place)
        keys += 1
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        arrays[field.root, field.path[:keys]] = tuple(space.shape or ())
    for step in field.path[keys:]:
        space, where = _enter(space, step, where, field.place)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        has = list_names(space.keys()) if isinstance(space, spaces.Dict) else f"{len(space.spaces)} parts"
        raise _Mismatch(
            "not-a-number",
            f"'{where}' is not a number but holds several parts",
            field.place,
            f"It has: {has}.",
        )
    if isinstance(space, spaces.Discrete):
        return ()
    if isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete):
        return tuple(space.shape or ())
    raise _Mismatch(
        "not-a-number", f"'{where}' is a {type(space).__name__} space, which has no numbers", field.place
    )


def _enter(space: Any, step: ir.Step, where: str, place: Place) -> tuple[Any, str]:
    """Return the part of a space that one step of a path leads to."""
    if isinstance(space, spaces.Dict):
        key = step if isinstance(step, str) else str(step[0])
        if not isinstance(step, str) or key not in space.spaces:
            raise _Mismatch(
                "no-such-key",
                f"'{where}' has no key '{key}'",
                place,
                f"It has: {list_names(space.keys())}.{near_miss(key, list(space.keys()))}",
            )
        return space.spaces[key], f"{where}.{key}"
    if isinstance(step, str):
        raise _Mismatch(
            "no-such-key",
            f"'{where}' has no keys: it is {_describe(space)}",
            place,
            f"There is no '.{step}' to read.",
        )
    if isinstance(space, spaces.Tuple):
        index = step[0]
        if (
            len(step) != 1
            or not isinstance(index, int)
            or not -len(space.spaces) <= index < len(space.spaces)
        ):
            raise _Mismatch("index-out-of-range", f"'{where}' is {_describe(space)}", place)
        return space.spaces[index], f"{where}[{index}]"
    if isinstance(space, spaces.Discrete):
        raise _Mismatch(
            "discrete-observation",
            f"'{where}' is {_describe(space)}: one whole number, not a vector",
            place,
            f"Compare it as it is, as in {where} == 3.",
        )
    shape = tuple(getattr(space, "shape", None) or ())
    try:
        rest = index_shape(shape, step)
    except IndexError as error:
        raise _Mismatch("index-out-of-range", f"'{where}' is {_describe(space)}: {error}", place) from None
    return spaces.Box(-np.inf, np.inf, rest, np.float64), where


def _describe(space: Any) -> str:
    if isinstance(space, spaces.Box):
        return f"Box of shape {space.shape}"
    if isinstance(space, spaces.Discrete):
        return f"Discrete({space.n})"
    if isinstance(space, spaces.Tuple):
        return f"a tuple of {len(space.spaces)} parts"
    return type(space).__name__


def index_shape(shape: Shape, items: tuple[ir.Item, ...]) -> Shape:
    """Return the shape of `array[items]`.

    Raises:
        IndexError: Saying which index does not fit.

    Example:
        >>> index_shape((7, 7, 3), (ir.Span(), ir.Span(), 0))
        (7, 7)
    """
    if len(items) > len(shape):
        raise IndexError(f"{len(items)} indices are too many for {len(shape)} axes")
    kept: list[int] = []
    for axis, (size, item) in enumerate(zip(shape, items, strict=False)):
        if isinstance(item, ir.Span):
            if item.step == 0:
                raise IndexError("a slice cannot have step 0")
            length = len(range(*item.slice.indices(size)))
            if length == 0:
                raise IndexError(f"the slice of axis {axis} is empty: it has {size} entries")
            kept.append(length)
        elif not -size <= item < size:
            raise IndexError(f"index {item} is out of range for axis {axis}, which has {size} entries")
    return (*kept, *shape[len(items) :])


def shape_in(expr: Expr, space_for: Callable[[Field], Any]) -> Shape:
    """Return the shape of an expression in spaces; () where something in it does not fit, which `bind` will say."""
    try:
        fields = {node for node in ir.walk(expr) if isinstance(node, Field)}
        return _Shapes({field: _field_shape(field, space_for, {}) for field in fields}).of(expr)
    except _Mismatch:
        return ()


class _Shapes:
    """Shapes of expressions, worked out once per node."""

    def __init__(self, fields: Mapping[Field, Shape]) -> None:
        self.fields = fields
        self.known: dict[int, tuple[Expr, Shape]] = {}

    def of(self, expr: Expr) -> Shape:
        cached = self.known.get(id(expr))
        if cached is not None and cached[0] is expr:
            return cached[1]
        shape = self._of(expr)
        self.known[id(expr)] = (expr, shape)
        return shape

    def _of(self, expr: Expr) -> Shape:
        match expr:
            case Field():
                return self.fields[expr]
            case ir.Vector(items):
                return self._vector(items)
            case ir.Reduce(_, x, axis):
                shape = self.of(x)
                if axis == "value" and not shape:
                    raise _Mismatch(
                        "not-a-vector", f"{expr.op} needs a vector, and this is a single number", expr.place
                    )
                return () if axis == "value" else shape
            case ir.Index(x, items):
                try:
                    return index_shape(self.of(x), items)
                except IndexError as error:
                    raise _Mismatch("index-out-of-range", str(error), expr.place) from None
        place = getattr(expr, "place", Place())
        shape = ()
        for child in ir.children(expr):
            other = self.of(child)
            if other and shape and other != shape:
                raise _Mismatch(
                    "shape-mismatch",
                    f"shapes {shape} and {other} do not go together",
                    place or _place_in(expr),
                )
            shape = shape or other
        return shape

    def _vector(self, items: tuple[Expr, ...]) -> Shape:
        for item in items:
            if self.of(item):
                raise _Mismatch("shape-mismatch", "a list holds single numbers", _place_in(item))
        return (len(items),)

    def scalar(self, expr: Expr, place: Place, problems: list[Problem], what: str) -> Expr:
        """Return the expression as a scalar: itself, or the only element of a one-element vector."""
        try:
            shape = self.of(expr)
        except _Mismatch as mismatch:
            problems.append(mismatch.problem)
            return expr
        if not shape:
            return expr
        if np.prod(shape) == 1:
            return ir.Index(expr, (0,) * len(shape))
        problems.append(
            Problem(
                "not-a-scalar",
                f"{what} must be a single number, and this has the shape {shape}",
                _place_in(expr) if _place_in(expr).line else place,
                ("Pick one entry, as in obs[0], or reduce it: sum, mean, min, max, norm, any, all, count.",),
            )
        )
        return expr


def _place_in(expr: Expr) -> Place:
    """Return the first place that is known in an expression."""
    for node in ir.walk(expr):
        place: Place = getattr(node, "place", Place())
        if place.line or place.path:
            return place
    return Place()
