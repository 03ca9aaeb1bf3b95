"""Writes a program's step as Python statements: each expression once, in order of need.

The text holds operators, generated names and numbers written by `repr(float)`. Whatever came from a user -
keys, names - is bound to a generated name in the namespace and is never part of the text.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewardspec.backends.arithmetic import HELPERS
from rewardspec.backends.decisions import Leaf, Tree, bare, decision_trees, trees_lines
from rewardspec.backends.python_text import (
    array_code,
    count_uses,
    is_float,
    is_number,
    number_text,
    read_tables,
    scalar_code,
)
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout, Shape
from rewardspec.ir.program import Machine, SetMemory
from rewardspec.sets.family import Single

UNROLLED = 32
"""Vectors up to this size become separate scalars; longer ones stay NumPy arrays."""

LISTED = 256
"""Boxes up to this size are turned into lists as a whole."""

UNPACKED = 8
"""Vectors up to this size are unpacked from their list in one assignment."""

TABLED = 8
"""Machines too large for decision trees become tables where they read up to this many propositions, else they
look their edges up and remember them."""

INLINE_DEPTH = 12
INLINE_LENGTH = 100
"""A condition that is longer, in characters of code, is evaluated once before a decision tree."""

_BUILTINS = {"float": float, "int": int, "bool": bool, "list": list, "Exception": Exception}
"""All that the generated text can reach besides what is bound for it."""


@dataclass(frozen=True)
class Value:
    """Generated code for a value: one text (scalar or array) or one text per element."""

    code: str = ""
    items: tuple[str, ...] | None = None
    shape: Shape = ()
    depth: int = 0

    @property
    def is_array(self) -> bool:
        """Whether the code is that of a NumPy array."""
        return bool(self.shape) and self.items is None


class Emitter:
    """Writes one function: statements in order of need, each expression once."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.program = layout, layout.program
        self.lines: list[str] = []
        self.namespace: dict[str, Any] = {"__builtins__": _BUILTINS, **HELPERS}
        self.known: dict[Expr, Value] = {}
        self.bases: dict[tuple[Any, ...], str] = {}
        self.uses = count_uses(self.program)
        self.machines = {m.name: i for i, m in enumerate(self.program.machines)}
        self.stepped: set[str] = set()
        self.folds = {f.name: i for i, f in enumerate(self.program.folds)}
        self.counter = 0
        self.params = {p.name: i for i, p in enumerate(self.program.params)}
        self.checked: list[str] = []
        self.sure: set[str] = set()  # code of values that are known to be no NaN
        self.unpacked: list[tuple[int, str, list[str]]] = []
        self.tables = read_tables(self.program)
        self.slots = [
            *(f"u{i}" for i in range(len(self.program.machines))),
            *(f"f{i}" for i in range(len(self.program.folds))),
            *(f"s{i}" for i in range(len(self.program.terms))),
        ]
        # What sets remember, a name for each part; `grown` has the names after the step.
        self.sets = {s.name: (Single(s.function), f"m{i}_") for i, s in enumerate(self.program.sets)}
        self.grown: dict[str, list[str]] = {}
        for single, prefix in self.sets.values():
            self.slots += [f"{prefix}{part}" for part in range(len(single.start))]

    # -- the step ---------------------------------------------------------------------------------

    def body(self) -> tuple[list[str], list[str], dict[str, str]]:
        """Emit the step; return code of the terms, of the next state's slots and of the two flags."""
        program = self.program
        for machine in program.machines:
            self.step_machine(machine)
        for grown in program.sets:
            self.value(ir.Gain(grown.name))
        terms = [self.named(self.value(term.expr), f"t{i}") for i, term in enumerate(program.terms)]
        folds = [self.remembered(self.value(f.update), f"g{i}") for i, f in enumerate(program.folds)]
        flags = {how: self.ended(how) for how in ("terminated", "truncated")}
        machines = [f"v{i}" for i in range(len(program.machines))]
        totals = [f"s{i} + {code}" for i, code in enumerate(terms)]
        sets = [name for names in self.grown.values() for name in names]
        return terms, [*machines, *folds, *totals, *sets], flags

    def grow(self, grown: SetMemory) -> Value:
        """Emit what the step's item adds to a set, and what is remembered of the set then; return the gain."""
        single, prefix = self.sets[grown.name]
        before = [f"{prefix}{part}" for part in range(len(single.start))]
        self.grown[grown.name] = after = [f"n{name}" for name in before]
        first = "-1" if grown.first is None else self.name(self.value(grown.first))
        item, advance, gained = self.name(self.value(grown.item)), self.bound(single.advance), self.fresh()
        self.emit(f"{', '.join([gained, *after])} = {advance}({', '.join([item, first, *before])})")
        return Value(gained)

    def reward(self, terms: list[str]) -> str:
        """Return code for the sum of the terms, a float."""
        if not any(is_float(term.expr) for term in self.program.terms):
            terms = [*terms, "0.0"]
        return " + ".join(terms)

    def finished(self) -> list[str]:
        """Return the statements; what was unpacked and never read has no name."""
        read = set(self.checked)
        for line, listed, names in self.unpacked:
            targets = ", ".join(name if name in read else "_" for name in names)
            self.lines[line] = f"{targets}, = {listed}"
        return self.lines

    def unfelt(self) -> list[str]:
        """Return the values read whose NaN would not make the reward NaN."""
        felt: set[str] = set()

        def feel(expr: Expr) -> None:
            match expr:
                case ir.Field():
                    value = self.known[expr]
                    felt.update(value.items or (value.code, f"_sum_array({value.code})"))
                case (
                    ir.Binary("pow") | ir.Unary("not") | ir.Combine("min" | "max") | ir.Reduce("min" | "max")
                ):
                    pass  # 1 ** NaN is 1; the others may drop a NaN, too
                case (
                    ir.Binary()
                    | ir.Unary()
                    | ir.Combine()
                    | ir.Vector()
                    | ir.Call()
                    | ir.Reduce("sum" | "mean")
                ):
                    for child in ir.children(expr):
                        feel(child)

        for term in self.program.terms:
            feel(term.expr)
        return [code for code in self.checked if code not in felt]

    def emit(self, line: str) -> None:
        """Write a statement."""
        self.lines.append(line)

    def fresh(self, prefix: str = "x") -> str:
        """Return a name that is not taken."""
        self.counter += 1
        return f"{prefix}{self.counter}"

    def bound(self, value: Any, prefix: str = "k") -> str:
        """Return a name in the namespace for a value that must not appear in the text."""
        name = self.fresh(prefix)
        self.namespace[name] = value
        return name

    def name(self, value: Value, name: str | None = None) -> str:
        """Return a local name that holds a scalar value."""
        if value.code.isidentifier() and name is None:
            return value.code
        name = name or self.fresh()
        self.emit(f"{name} = {bare(value.code)}")
        return name

    def named(self, value: Value, name: str) -> str:
        """Return the code itself where it is a name or a number, else a local name that holds it."""
        return value.code if value.code.isidentifier() or is_number(value.code) else self.name(value, name)

    def remembered(self, value: Value, name: str) -> str:
        """Return a local name that holds a fold's next value."""
        return self.name(value, name)

    # -- machines --------------------------------------------------------------------------------

    def step_machine(self, machine: Machine) -> None:
        """Emit the machine's next state `v<i>` and what its output decides."""
        if machine.name in self.stepped:
            return
        self.stepped.add(machine.name)
        trees = decision_trees(machine)
        # Conditions first: a proposition may need other values, which are emitted on the way.
        conditions = [self.condition(p) for p in machine.propositions]
        if trees is not None:
            short = [c if len(c) <= INLINE_LENGTH else self.name(Value(c)) for c in conditions]
            self.decide(machine, trees, short)
        else:
            self.look_up(machine, conditions)

    def decide(self, machine: Machine, trees: tuple[Tree, ...], conditions: list[str]) -> None:
        """Emit a machine as nested `if`s, whose leaves set the next state and the entries of tables."""
        i = self.machines[machine.name]
        tables = {f"y{i}_{n}": table for n, table in enumerate(self.tables.get(machine.name, ()))}
        defaults = {name: _usual(table) for name, table in tables.items()}

        def assignments(state: int, leaf: Leaf) -> list[str]:
            lines = [f"v{i} = {leaf.target}"] if leaf.target != state else []
            for name, table in tables.items():
                entry = entry_at(table, leaf)
                if entry != defaults[name]:
                    lines.append(f"{name} = {entry}")
            return lines

        self.emit(f"v{i} = u{i}")
        for name, table in tables.items():
            self.emit(f"{name} = {defaults[name]}")
            self.known[table] = Value(name)
        for line in trees_lines(f"v{i}", trees, conditions, assignments):
            self.emit(line)

    def look_up(self, machine: Machine, conditions: list[str]) -> None:
        """Emit a machine as a table over (state, label), or as a dictionary that grows as labels are met."""
        i = self.machines[machine.name]
        label = f"l{i}"
        self.emit(f"{label} = {f'1 if {conditions[0]} else 0' if conditions else '0'}")
        for bit, condition in enumerate(conditions[1:], 1):
            self.emit(f"if {bare(condition)}: {label} += {1 << bit}")
        if len(conditions) <= TABLED:
            width = 1 << len(conditions)
            cells = [machine.step(u, label_) for u in range(len(machine.states)) for label_ in range(width)]
            self.emit(f"v{i}, o{i} = {self.bound(cells, 'n')}[u{i} * {width} + {label}]")
        else:
            self.emit(f"v{i}, o{i} = {self.bound(Edges(machine), 'n')}[u{i}, {label}]")

    def condition(self, proposition: str) -> str:
        """Return code for whether a proposition holds."""
        declared = next(p for p in self.program.propositions if p.name == proposition)
        if self.uses.get(ir.Holds(proposition), 0) > 1:
            return self.scalar(ir.Holds(proposition))
        return self.scalar(declared.expr)

    def table(self, table: ir.StateTable | ir.OutputTable) -> Value:
        """Return the entry of a table for a machine's state or output."""
        i = self.machines[table.machine]
        if isinstance(table, ir.StateTable) and not table.after:
            index = f"u{i}"
        else:
            self.step_machine(self.program.machines[i])
            if table in self.known:  # the machine's decisions have set it
                return self.known[table]
            index = f"v{i}" if isinstance(table, ir.StateTable) else f"o{i}"
        values = [v if isinstance(v, bool) else float(v) for v in table.values]
        return Value(f"{self.bound(values)}[{index}]")

    def ended(self, how: str) -> str:
        """Return a name for the joined flag."""
        key = ir.Ended(how)  # type: ignore[arg-type]
        if key not in self.known:
            if how == "last":
                code = f"({self.ended('terminated')} or {self.ended('truncated')})"
            else:
                conditions = [f"({self.scalar(e.when)})" for e in self.program.ends if e.how == how]
                code = " or ".join([how, *conditions])
                if not conditions:
                    self.known[key] = Value(how)
                    return how
            name = self.fresh("e")
            self.emit(f"{name} = {code}")
            self.known[key] = Value(name)
        return self.known[key].code

    # -- expressions -----------------------------------------------------------------------------

    def scalar(self, expr: Expr) -> str:
        """Return code for a scalar expression."""
        return self.value(expr).code

    def value(self, expr: Expr) -> Value:
        """Return code for an expression; emits what it needs first, and itself when it is used again."""
        if expr in self.known:
            return self.known[expr]
        value = self.build(expr)
        simple = value.code.isidentifier() or isinstance(expr, ir.Const)
        if not value.shape and not simple and (self.uses.get(expr, 0) > 1 or value.depth > INLINE_DEPTH):
            value = Value(self.name(value))
        elif value.is_array:
            value = self.kept_array(value)
        self.known[expr] = value
        return value

    def kept_array(self, value: Value) -> Value:
        """Return an array under a name."""
        if value.code.isidentifier():
            return value
        name = self.fresh("a")
        self.emit(f"{name} = {value.code}")
        return Value(name, None, value.shape)

    def build(self, expr: Expr) -> Value:
        """Return code for an expression that is not known yet."""
        match expr:
            case ir.Const(value):
                return Value(repr(value) if isinstance(value, bool) else number_text(float(value)))
            case ir.Vector(items):
                return Value("", tuple(self.scalar(item) for item in items), (len(items),))
            case ir.Field():
                return self.field(expr)
            case ir.Param(name):
                return Value(f"params[{self.params[name]}]")
            case ir.Holds(name):
                declared = next(p for p in self.program.propositions if p.name == name)
                return self.value(declared.expr)
            case ir.Memory(name, after):
                i = self.folds[name]
                return self.value(self.program.folds[i].update) if after else Value(f"f{i}")
            case ir.Gain(name):
                return self.grow(next(s for s in self.program.sets if s.name == name))
            case ir.StateTable() | ir.OutputTable():
                return self.table(expr)
            case ir.Ended(how):
                return Value(self.ended(how))
            case ir.Reduce(op, x, "B"):
                return self.reduce(op, Value("", (self.scalar(x),), (1,)))
            case ir.Reduce(op, x, _):
                return self.reduce(op, self.value(x))
            case ir.Index(x, items):
                return self.index(self.value(x), items)
        operands = [self.value(child) for child in ir.children(expr)]
        shape = next((operand.shape for operand in operands if operand.shape), ())
        if any(operand.is_array for operand in operands):
            codes = [self.as_array(operand) for operand in operands]
            return Value(self.array_operation(expr, codes), None, shape)
        depth = 1 + max(operand.depth for operand in operands)
        if shape:
            size = math.prod(shape)
            columns = [o.items if o.items is not None else (self.name(o),) * size for o in operands]
            cells = tuple(
                self.short(scalar_code(expr, list(column), self.extreme))
                for column in zip(*columns, strict=True)
            )
            return Value("", cells, shape)
        return Value(scalar_code(expr, [operand.code for operand in operands], self.extreme), None, (), depth)

    def short(self, code: str) -> str:
        """Return a name for the code of one element of a vector."""
        if code.isidentifier() or len(code) < 12:
            return code
        name = self.fresh()
        self.emit(f"{name} = {code}")
        return name

    def as_array(self, value: Value) -> str:
        """Return code for a value as a NumPy array."""
        if value.items is not None:
            return f"_array([{', '.join(value.items)}]).reshape({value.shape!r})"
        return value.code

    def array_operation(self, expr: Expr, codes: list[str]) -> str:
        """Return code for an operation on arrays."""
        return array_code(expr, codes)

    def reduce(self, op: str, value: Value) -> Value:
        """Return code for a reduction of a vector."""
        if value.items is None:
            return self.reduce_array(op, value)
        items = list(value.items)
        if op in ("any", "all"):
            return Value("(" + (" or " if op == "any" else " and ").join(f"bool({i})" for i in items) + ")")
        if op == "count":
            return Value("(" + " + ".join(f"(1.0 if {i} else 0.0)" for i in items) + ")")
        if op in ("min", "max"):
            return Value(self.extreme(op, items))
        summed = "(" + " + ".join(items) + ")"
        return Value(summed if op == "sum" else f"({summed} / {len(items)})")

    def reduce_array(self, op: str, value: Value) -> Value:
        """Return code for a reduction of an array."""
        return Value(f"_{op}_array({value.code})")

    def extreme(self, op: str, items: list[str]) -> str:
        """Return code for the least or greatest of some values; a NaN among them is the result."""
        sign = "<" if op == "min" else ">"
        best = items[0]
        for item in items[1:]:
            a = self.name(Value(best))
            b = item if is_number(item) else self.name(Value(item))
            doubt = "" if is_number(item) or item in self.sure else f" or {b} != {b}"
            best = f"({b} if {b} {sign} {a}{doubt} else {a})"
        return best

    def index(self, value: Value, items: tuple[ir.Item, ...]) -> Value:
        """Return code for a part of a computed vector."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        if value.items is None:
            return self.array_part(value, items)
        cells = np.arange(len(value.items)).reshape(value.shape)[subscript]
        if cells.ndim == 0:
            return Value(value.items[int(cells)])
        return Value("", tuple(value.items[int(c)] for c in cells.ravel()), cells.shape)

    def array_part(self, value: Value, items: tuple[ir.Item, ...]) -> Value:
        """Return code for a part of an array."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        code = f"{value.code}[{self.bound(subscript)}]"
        shape = np.empty(value.shape)[subscript].shape
        return Value(code, None, shape) if shape else Value(f"float({code})")

    # -- reading the transition ------------------------------------------------------------------

    def field(self, field: ir.Field) -> Value:
        """Return code for a part of the transition."""
        root, path = field.root, field.path
        if root == "label":
            return self.label(self.layout.labels.index(str(path[0])))
        if root == "future":
            return self.future(field)
        if root in ("terminated", "truncated"):
            return Value(root)
        if root == "reward":
            return self.own_reward()
        if root == "info":
            return self.info(field)
        keys = next(path[:n] for n in range(len(path) + 1) if (root, path[:n]) in self.layout.arrays)
        items = path[len(keys)] if len(path) > len(keys) else ()
        rest = path[len(keys) + 1 :]
        base_shape = self.layout.arrays[root, keys]
        base = self.base(root, keys)
        if not base_shape:
            return self.scalar_base(base)
        assert not isinstance(items, str)  # keys come first
        if rest:  # obs[0][1]: join the subscripts by indexing step by step
            value = self.read(base, base_shape, items)
            for more in rest:
                assert not isinstance(more, str)  # layout has checked the path
                value = self.index(value, more)
            return value
        return self.read(base, base_shape, items)

    def label(self, position: int) -> Value:
        """Return code for a truth value that a labelling function gave."""
        return Value(f"labels[{position}]")

    def future(self, field: ir.Field) -> Value:
        """Return code for what only the end of the episode tells."""
        return Value(f"future[{self.bound(field.path[0])}]")

    def own_reward(self) -> Value:
        """Return a name for the environment's own reward."""
        return self.number("reward if reward.__class__ is float else float(reward)", "r")

    def base(self, root: str, keys: tuple[ir.Step, ...]) -> str:
        """Return a name for the array or number to which keys lead."""
        if (root, keys) not in self.bases:
            code = root
            for key in keys:
                part = key if isinstance(key, str) else key[0]
                code += f"[{self.bound(part)}]"
            if keys:
                name = self.fresh("b")
                self.emit(f"{name} = {code}")
                code = name
            self.bases[root, keys] = code
        return self.bases[root, keys]

    def number(self, code: str, prefix: str) -> Value:
        """Emit a number that comes from the transition; a NaN in it is refused."""
        name = self.name(Value(code), self.fresh(prefix))
        self.checked.append(name)
        return Value(name)

    def scalar_base(self, base: str) -> Value:
        """Return a name for a single number of an observation or action."""
        key = ("scalar", base)
        if key not in self.bases:
            self.bases[key] = self.number(f"{base} if {base}.__class__ is int else _plain({base})", "b").code
        return Value(self.bases[key])

    def read(self, base: str, shape: Shape, items: tuple[ir.Item, ...]) -> Value:
        """Return an array's part as a scalar, as separate scalars or as an array."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        cells = np.arange(math.prod(shape)).reshape(shape)[subscript]
        if math.prod(shape) <= LISTED and cells.size <= UNROLLED:
            listed = self.listed(base, shape)
            codes = [self.cell(listed, np.unravel_index(int(c), shape)) for c in cells.ravel()]
            return Value(codes[0]) if cells.ndim == 0 else Value("", tuple(codes), cells.shape)
        bound = self.bound(subscript)
        if cells.ndim == 0:
            return self.number(f"float({base}[{bound}])", "x")
        if cells.size <= UNROLLED:
            name = self.fresh("b")
            self.emit(f"{name} = {base}[{bound}].ravel().tolist()")
            self.checked.append(f"_sum({name})")
            return Value("", tuple(f"{name}[{i}]" for i in range(cells.size)), cells.shape)
        name = self.fresh("a")
        self.emit(f"{name} = _float_array({base}[{bound}])")
        self.checked.append(f"_sum_array({name})")
        return Value(name, None, cells.shape)

    def listed(self, base: str, shape: Shape) -> str:
        """Return a name for an array as a list; short vectors are unpacked at once."""
        key = ("list", base)
        if key not in self.bases:
            name = self.bases[key] = self.fresh("b")
            code = f"{base}.tolist()"
            if base == "action":  # people write env.step([0.1]) by hand, and many environments take it
                code = f"action if action.__class__ is list else {code}"
            if len(shape) == 1 and shape[0] <= UNPACKED:
                names = [self.fresh() for _ in range(shape[0])]
                self.bases.update({("name", name, (i,)): cell for i, cell in enumerate(names)})
                self.unpacked.append((len(self.lines), code, names))
            self.emit(f"{name} = {code}")
        return self.bases[key]

    def cell(self, listed: str, index: tuple[Any, ...]) -> str:
        """Return a name for one entry of a list made from an array."""
        position = tuple(int(i) for i in index)
        key = ("cell", listed, position)
        if key not in self.bases:
            name = self.bases.get(("name", listed, position))
            if name is None:
                name = self.name(Value(f"{listed}{''.join(f'[{i}]' for i in position)}"), self.fresh())
            self.bases[key] = name
            self.checked.append(name)
        return self.bases[key]

    def info(self, field: ir.Field) -> Value:
        """Return a name for an entry of `info`."""
        steps = [step if isinstance(step, str) or len(step) > 1 else step[0] for step in field.path]
        if field.default is None:
            code = "info" + "".join(f"[{self.bound(step)}]" for step in steps)
        elif len(steps) == 1:
            code = f"info.get({self.bound(steps[0])}, {number_text(field.default)})"
        else:
            code = f"_reach(info, {self.bound(tuple(steps))}, {number_text(field.default)})"
        name = self.number(code, "x").code
        self.emit(f"if {name}.__class__ is not float: {name} = _plain({name})")
        return Value(name)


class Edges(dict[tuple[int, int], tuple[int, int]]):
    """Remembers the edge taken for each state and label met; forgets all when it has grown large."""

    LIMIT = 100_000

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def __missing__(self, key: tuple[int, int]) -> tuple[int, int]:
        if len(self) >= self.LIMIT:
            self.clear()
        self[key] = found = self.machine.step(*key)
        return found


def _usual(table: ir.StateTable | ir.OutputTable) -> str:
    """Return the entry that holds where a decision tree says nothing: that of silence, or the commonest."""
    if isinstance(table, ir.OutputTable):
        return _entry(table.values[0])
    return _entry(Counter(table.values).most_common(1)[0][0])


def entry_at(table: ir.StateTable | ir.OutputTable, leaf: Leaf) -> str:
    """Return code of a table's entry where a machine's step has come to a leaf."""
    return _entry(table.values[leaf.target if isinstance(table, ir.StateTable) else leaf.output])


def _entry(value: float | bool) -> str:
    return repr(value) if isinstance(value, bool) else number_text(float(value))
