"""Text of compiled functions: the emitter's statements, with a transition that comes as plain arrays.

The text is complete in itself: numbers, generated names and constant tables; nothing that a user wrote. Vectors up
to `UNROLLED` entries are separate scalars as in Python; a longer one is the code of its element at `j0, j1, ...`,
and a reduction of it becomes a loop, so that no array is ever made. Machines step by table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rewardspec.backends import emitter as python
from rewardspec.backends.emitter import Emitter, Value
from rewardspec.backends.python_text import number_text, scalar_code
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout, Shape
from rewardspec.ir.program import Machine, Program

TABLED_CELLS = 1 << 16
"""Machines with at most this many cells (states times classes of labels) step by a table."""

TABLED_BITS = 16
"""Labels of more propositions have no table of their classes; such a machine compares its edges with the label."""

MASKED_LABELS = 62
"""Up to so many labels come as the bits of one integer, more as a row of truth values."""


class NativeEmitter(Emitter):
    """Writes the statements of one environment's step for numba.

    Attributes:
        order: How arrays lie: `one` environment's with their own axes, or those of a batch as one flat array, the
            entries of an environment side by side (`rows`) or those of all environments (`columns`).
        reductions: In a batch, the name of each reduction over environments; for one, it is the value itself.
        constants: Tables by their text, with their names.
    """

    def __init__(
        self,
        layout: Layout,
        order: Literal["one", "rows", "columns"] = "one",
        reductions: dict[Expr, str] | None = None,
        constants: dict[str, str] | None = None,
    ) -> None:
        super().__init__(layout)
        self.order = order
        self.reductions = reductions
        self.constants: dict[str, str] = {} if constants is None else constants
        self.cells: dict[str, list[int]] = {}
        self.packed: dict[ir.OutputTable, str] = {}

    def step(self) -> tuple[list[str], list[str], dict[str, str]]:
        """Emit the step as `body` does; payments are floats under names, and `bad` says whether a NaN is hidden."""
        terms, news, flags = self.body()
        unfelt = self.unfelt()
        self.emit(f"bad = {' | '.join(f'({x} != {x})' for x in unfelt) or 'False'}")
        self.emit(f"paid = {self.reward(terms)}")
        return terms, news, flags

    def named(self, value: Value, name: str) -> str:
        """Return a name that holds the value as a float."""
        return self.name(Value(f"({value.code} * 1.0)"), name)

    # -- constants -------------------------------------------------------------------------------

    def bound(self, value: Any, prefix: str = "k") -> str:
        """Return the name of a constant array."""
        return self.constant(np.array(value, np.float64))

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        """Return the name of a constant array; equal ones are one."""
        numbers = [number_text(v) if values.dtype.kind == "f" else repr(v) for v in values.tolist()]
        text = f"_np.array([{', '.join(numbers)}], _np.{values.dtype.name})"
        return self.constants.setdefault(text, f"k{len(self.constants)}")

    # -- machines --------------------------------------------------------------------------------

    def step_machine(self, machine: Machine) -> None:
        """Emit the machine's next state `v<i>` and the place of its edge, `c<i>` in a table or output `o<i>`."""
        if machine.name in self.stepped:
            return
        self.stepped.add(machine.name)
        i = self.machines[machine.name]
        conditions = [self.condition(p) for p in machine.propositions]
        bits = [f"({condition}) * {1 << bit}" for bit, condition in enumerate(conditions)]
        self.emit(f"l{i} = {' + '.join(bits) or '0'}")
        classes = label_classes(machine) if len(conditions) <= TABLED_BITS else None
        if classes is None or len(classes[1]) * len(machine.states) > TABLED_CELLS:
            self.compare_edges(machine, i)
            return
        class_of, labels = classes
        index = f"l{i}"
        if len(labels) < len(class_of) and len(class_of) * len(machine.states) > 1 << 12:
            index = f"{self.constant(class_of)}[l{i}]"
            self.emit(f"c{i} = u{i} * {len(labels)} + {index}")
        else:
            labels = list(range(len(class_of)))
            self.emit(f"c{i} = u{i} * {len(labels)} + l{i}")
        found = [machine.step(u, label) for u in range(len(machine.states)) for label in labels]
        nexts = [target for target, _ in found]
        self.cells[machine.name] = [output for _, output in found]
        if not self.pack(machine, i, nexts):
            kept = np.array(nexts, np.min_scalar_type(len(machine.states)))
            self.emit(f"v{i} = {self.constant(kept)}[c{i}] * 1")

    def pack(self, machine: Machine, i: int, nexts: list[int]) -> bool:
        """Emit next state and payment as one look-up, which is what a loop over B spends most on; say if it can be."""
        tables = self.tables.get(machine.name, ())
        paying = next((t for t in tables if isinstance(t, ir.OutputTable) and not t.truth), None)
        if self.order == "one" or paying is None:
            return False
        values = np.array([paying.values[output] for output in self.cells[machine.name]], np.float64)
        found = packed(np.array(nexts), values, len(machine.states))
        if found is None:
            return False
        words, bits, scale = found
        self.emit(f"q{i} = {self.constant(words)}[c{i}]")
        self.emit(f"v{i} = q{i} & {(1 << bits) - 1}")
        number = f"q{i} >> {bits}"
        if words.min() < 0:  # the sign has been spread
            number = f"({number}) & {~(((1 << bits) - 1) << (63 - bits))}"
        self.emit(f"y{i} = _float_of({number}) * {scale!r}")
        self.packed[paying] = f"y{i}"
        return True

    def compare_edges(self, machine: Machine, i: int) -> None:
        """Emit the step of a machine by comparing the label with each edge of the present state."""
        firsts = np.cumsum([0, *(len(edges) for edges in machine.edges)])
        edges = [edge for listed in machine.edges for edge in listed]
        columns = [
            self.constant(np.array([getattr(edge, name) for edge in edges] or [0], np.int64))
            for name in ("mask", "value", "target", "output")
        ]
        first = self.constant(firsts.astype(np.int64))
        self.emit(f"v{i}, o{i} = u{i}, 0")
        self.emit(f"for e in range({first}[u{i}], {first}[u{i} + 1]):")
        self.emit(f"    if l{i} & {columns[0]}[e] == {columns[1]}[e]:")
        self.emit(f"        v{i}, o{i} = {columns[2]}[e], {columns[3]}[e]")
        self.emit("        break")

    def table(self, table: ir.StateTable | ir.OutputTable) -> Value:
        """Return the entry of a table for a machine's state or output."""
        i = self.machines[table.machine]
        values: Sequence[float | bool] = table.values
        if isinstance(table, ir.StateTable) and not table.after:
            index = f"u{i}"
        else:
            self.step_machine(self.program.machines[i])
            if table in self.packed:
                return Value(self.packed[table])
            index = f"v{i}"
            if isinstance(table, ir.OutputTable):
                index = f"o{i}"
                if table.machine in self.cells:  # one look-up instead of two
                    index = f"c{i}"
                    values = [values[output] for output in self.cells[table.machine]]
        kind = np.bool_ if table.truth else np.float64
        return Value(f"{self.constant(np.array(values, kind))}[{index}]")

    # -- arrays: the code of an element ------------------------------------------------------------

    def kept_array(self, value: Value) -> Value:
        """Return the array as it is: each use works its elements out anew, inside the loop that needs them."""
        return value

    def as_array(self, value: Value) -> str:
        """Return the code of an operand's element."""
        if value.items is None:
            return value.code
        name = self.fresh("a")
        self.emit(f"{name} = ({', '.join(f'{item} * 1.0' for item in value.items)},)")
        return f"{name}[{flat_index(value.shape)}]"

    def array_operation(self, expr: Expr, codes: list[str]) -> str:
        """Return the code of an operation's element."""
        return scalar_code(expr, codes, array_extreme)

    def reduce_array(self, op: str, value: Value) -> Value:
        """Emit the loop of a reduction; return the name of its result."""
        name = self.fresh("z")
        x = value.code
        start, line = {
            "sum": ("0.0", f"{name} += {x}"),
            "mean": ("0.0", f"{name} += {x}"),
            "count": ("0.0", f"{name} += 1.0 if {x} else 0.0"),
            "any": ("False", f"{name} = {name} or bool({x})"),
            "all": ("True", f"{name} = {name} and bool({x})"),
            "min": ("_inf", f"{name} = _least({name}, {x})"),
            "max": ("-_inf", f"{name} = _greatest({name}, {x})"),
        }[op]
        self.emit(f"{name} = {start}")
        self.loop(value.shape, line)
        return Value(name if op != "mean" else f"({name} / {float(math.prod(value.shape))})")

    def loop(self, shape: Shape, line: str) -> None:
        """Emit a statement for every element."""
        for axis, size in enumerate(shape):
            self.emit(f"{'    ' * axis}for j{axis} in range({size}):")
        self.emit("    " * len(shape) + line)

    def array_part(self, value: Value, items: tuple[ir.Item, ...]) -> Value:
        """Return the element's code of a part: every `j` of the whole in terms of those of the part."""
        indices, shape = part_indices(value.shape, items)
        code = re.sub(r"\bj(\d+)\b", lambda match: f"({indices[int(match[1])]})", value.code)
        return Value(code, None, shape)

    # -- reading the transition ------------------------------------------------------------------

    def label(self, position: int) -> Value:
        """Return code for a bit of the label."""
        if len(self.layout.labels) > MASKED_LABELS:
            return Value(self.entry("label", (len(self.layout.labels),), [str(position)]))
        return Value(f"({self.entry('label', (), [])} >> {position} & 1 != 0)")

    def future(self, field: ir.Field) -> Value:
        """Return code for what only the end of the episode tells."""
        return self.extra(field)

    def info(self, field: ir.Field) -> Value:
        """Return a name for an entry of `info`."""
        return self.number(self.extra(field).code, "x")

    def extra(self, field: ir.Field) -> Value:
        """Return code for a number that stands in `info`, in the order of `extra_fields`."""
        fields = extra_fields(self.layout)
        return Value(self.entry("info", (len(fields),), [str(fields.index(field))]))

    def own_reward(self) -> Value:
        """Return a name for the environment's own reward."""
        return self.number(f"{self.entry('reward', (), [])} * 1.0", "r")

    def entry(self, array: str, shape: Shape, indices: list[str]) -> str:
        """Return code for an entry of an array of the transition that has that shape in one environment."""
        if self.order == "one":
            return f"{array}[{', '.join(indices)}]" if indices else array
        if not shape:
            return f"{array}[i]"
        sizes = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        if all(index.isdigit() for index in indices):
            flat = str(sum(int(index) * size for index, size in zip(indices, sizes, strict=True)))
        else:
            flat = " + ".join(f"({index}) * {size}" for index, size in zip(indices, sizes, strict=True))
        if self.order == "rows":
            return f"{array}[i * {math.prod(shape)} + {flat}]"
        return f"{array}[({flat}) * n + i]"

    def base(self, root: str, keys: tuple[ir.Step, ...]) -> str:
        """Return the name of the array or number to which keys lead."""
        return leaf_name(self.layout, root, keys)

    def scalar_base(self, base: str) -> Value:
        """Return a name for a single number of an observation or action."""
        return self.cell_of(base, (), ())

    def cell_of(self, base: str, shape: Shape, position: tuple[int, ...]) -> Value:
        """Return a name for one entry of an array."""
        key = ("cell", base, position)
        if key not in self.bases:
            code = self.entry(base, shape, [str(n) for n in position])
            self.bases[key] = self.number(f"{code} * 1.0", "x").code
        return Value(self.bases[key])

    def read(self, base: str, shape: Shape, items: tuple[ir.Item, ...]) -> Value:
        """Return an array's part as a scalar, as separate scalars or as an array."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        cells = np.arange(math.prod(shape)).reshape(shape)[subscript]
        if cells.size <= python.UNROLLED:
            names = [
                self.cell_of(base, shape, tuple(int(n) for n in np.unravel_index(int(c), shape))).code
                for c in cells.ravel()
            ]
            return Value(names[0]) if cells.ndim == 0 else Value("", tuple(names), cells.shape)
        indices, rest = part_indices(shape, items)
        element = f"({self.entry(base, shape, indices)} * 1.0)"
        key = ("checked", element, rest)
        if key not in self.bases:
            name = self.bases[key] = self.fresh("x")
            self.emit(f"{name} = 0.0")
            self.loop(rest, f"if {element} != {element}: {name} = _nan")
            self.checked.append(name)
        return Value(element, None, rest)

    # -- reductions over environments --------------------------------------------------------------

    def reduction_loop(self, reduction: ir.Reduce, name: str, loads: list[str]) -> list[str]:
        """Return the loop that reduces over the active environments."""
        x = self.scalar(reduction.x)
        start, update, result = {
            "sum": ("0.0", f"{name} += {x}", name),
            "mean": ("0.0", f"{name} += {x}", f"{name} / count"),
            "count": ("0.0", f"{name} += 1.0 if {x} else 0.0", name),
            "any": ("False", f"{name} = {name} or bool({x})", name),
            "all": ("True", f"{name} = {name} and bool({x})", name),
            "min": ("_inf", f"{name} = _least({name}, {x})", f"{name} if count else _nan"),
            "max": ("-_inf", f"{name} = _greatest({name}, {x})", f"{name} if count else _nan"),
        }[reduction.op]
        lines = [f"{name} = {start}", "count = 0", "for i in range(n):"]
        body = ["if active is not None and not active[i]:", "    continue", "count += 1", *loads]
        lines += [f"    {line}" for line in [*body, *self.lines, update]]
        return lines if result == name else [*lines, f"{name} = {result}"]

    def build(self, expr: Expr) -> Value:
        """Return code for an expression that is not known yet; a reduction over B was made before the loop."""
        if self.reductions is not None and isinstance(expr, ir.Reduce) and expr.axis == "B":
            return Value(self.reductions[expr])
        if isinstance(expr, ir.Param):
            return Value(f"p{self.params[expr.name]}")
        return super().build(expr)


def array_extreme(op: str, items: list[str]) -> str:
    """Return code for the least or greatest of some elements; a NaN among them is the result."""
    best = items[0]
    for item in items[1:]:
        best = f"{'_least' if op == 'min' else '_greatest'}({best}, {item})"
    return best


def flat_index(shape: Shape) -> str:
    """Return code for the position of the element at `j0, j1, ...` in row-major order.

    Example:
        >>> flat_index((2, 3))
        'j0 * 3 + j1'
    """
    parts = []
    for axis in range(len(shape)):
        step = math.prod(shape[axis + 1 :])
        parts.append(f"j{axis}" if step == 1 else f"j{axis} * {step}")
    return " + ".join(parts)


def part_indices(shape: Shape, items: tuple[ir.Item, ...]) -> tuple[list[str], Shape]:
    """Return code for each index into an array at the part's element `j0, j1, ...`, and the part's shape.

    Example:
        >>> part_indices((5, 8, 8), (0, ir.Span(None, None, -1)))
        (['0', '7 + j0 * -1', 'j1'], (8, 8))
    """
    indices: list[str] = []
    kept: list[int] = []
    padded = (*items, *(ir.Span() for _ in range(len(shape) - len(items))))
    for size, item in zip(shape, padded, strict=True):
        if isinstance(item, int):
            indices.append(str(item % size))
            continue
        taken = range(*item.slice.indices(size))
        j = f"j{len(kept)}"
        kept.append(len(taken))
        step = j if taken.step == 1 else f"{j} * {taken.step}"
        indices.append(step if taken.start == 0 else f"{taken.start} + {step}")
    return indices, tuple(kept)


def label_classes(machine: Machine) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Return the class of every label and one label of each class; labels that no state tells apart are one class."""
    labels = np.arange(1 << len(machine.propositions))
    taken = np.zeros((len(machine.states), len(labels)), np.int64)
    for u, edges in enumerate(machine.edges):
        for n, edge in enumerate(edges, 1):
            taken[u, labels & edge.mask == edge.value] = n
    _, first, class_of = np.unique(taken, axis=1, return_index=True, return_inverse=True)
    return class_of.ravel().astype(np.min_scalar_type(len(first))), first.tolist()


def packed(
    nexts: np.ndarray[Any, Any], values: np.ndarray[Any, Any], states: int
) -> tuple[np.ndarray[Any, Any], int, float] | None:
    """Return next states and payments as one table of 64-bit words, exactly; None where they do not fit.

    A state of n bits takes the place of the exponent's n highest bits, which payments leave unused once they are all
    multiplied by one power of two: with 3 bits they may still differ by 2 ** 254. A word holds sign, lower exponent,
    mantissa, state. `word >> n`, with the n bits after the sign cleared, are the bits of the payment times 1 / scale.

    Args:
        nexts: Next states.
        values: Payments, float64.
        states: Number of states.

    Returns:
        Words (int64), n, and the scale.

    Example:
        >>> words, bits, scale = packed(np.array([3, 1]), np.array([0.1, -2.0]), 4)
        >>> (words & 3).tolist(), bits
        ([3, 1], 2)
    """
    bits = max(1, (states - 1).bit_length())
    top = (1 << (11 - bits)) - 1 if bits < 11 else 0  # of the exponent as it is stored
    _, exponents = np.frexp(values[values != 0])
    most, least = (int(exponents.max()), int(exponents.min())) if len(exponents) else (0, 0)
    shift = top - (most + 1022)
    if not np.isfinite(values).all() or most - least > top - 1 or not -1022 <= shift <= 1022:
        return None
    words = np.ldexp(values, shift).view(np.int64) << bits
    words |= np.where(np.signbit(values), np.int64(-1) << 63, 0)
    return words | nexts, bits, math.ldexp(1.0, -shift)


def batch_reductions(program: Program) -> list[ir.Reduce]:
    """Return the reductions over environments, each after those that it needs."""
    propositions = {p.name: p.expr for p in program.propositions}
    folds = {f.name: f.update for f in program.folds}
    found: dict[ir.Reduce, None] = {}
    seen: set[Expr] = set()

    def visit(expr: Expr) -> None:
        if expr in seen:
            return
        seen.add(expr)
        match expr:
            case ir.Holds(name):
                visit(propositions[name])
            case ir.Memory(name, after=True):
                visit(folds[name])
            case ir.StateTable(machine=machine) | ir.OutputTable(machine=machine):
                for name in program.machine(machine).propositions:
                    visit(propositions[name])
            case ir.Ended():
                for end in program.ends:
                    visit(end.when)
        for child in ir.children(expr):
            visit(child)
        if isinstance(expr, ir.Reduce) and expr.axis == "B":
            found.setdefault(expr)

    for root in program.roots():
        visit(root)
    return list(found)


# -- how a transition is laid out -------------------------------------------------------------------


def leaves(layout: Layout, root: str) -> list[tuple[ir.Step, ...]]:
    """Return the keys of the arrays that a program reads from `obs`, `action` or `next_obs`."""
    return [keys for where, keys in layout.arrays if where == root]


def leaf_name(layout: Layout, root: str, keys: tuple[ir.Step, ...]) -> str:
    """Return the name of an array in the text."""
    return f"{root}_{leaves(layout, root).index(keys)}" if keys else root


def unpacked(layout: Layout) -> list[str]:
    """Return the statements that name the parts of observations and actions that have several."""
    lines = []
    for root in ("obs", "action", "next_obs"):
        found = leaves(layout, root)
        if found and found[0]:
            lines.append(f"{', '.join(leaf_name(layout, root, keys) for keys in found)}, = {root}")
    return lines


def extra_fields(layout: Layout) -> list[ir.Field]:
    """Return the fields whose numbers stand in `info`: those of the info, then what only the future tells."""
    fields = layout.program.fields()
    return [f for root in ("info", "future") for f in fields if f.root == root]
