"""One environment, as fast as hand-written Python: the program becomes one Python function.

The function's text is generated from the IR alone. It holds operators, generated names (`x7`, `u0`) and numbers
written by `repr(float)`; whatever came from a user - keys, names, tables - is bound to a generated name in the
function's namespace and is never part of the text. Numbers are Python's own: an observation is turned into a list once
(`tolist`), because arithmetic on NumPy scalars is ten times slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product as grid
from typing import Any

import numpy as np

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout, Shape
from rewardspec.ir.program import Machine, Program

State = tuple[Any, ...]
"""Machine states, then folds, then the episode's total of each term."""

UNROLLED = 32
"""Vectors up to this size become separate scalars; longer ones stay NumPy arrays."""

LISTED = 256
"""Boxes up to this size are turned into lists as a whole."""

TABLED = 8
"""Machines that read up to this many propositions become tables; others look their edges up and remember them."""

INLINE_DEPTH = 12


@dataclass(frozen=True)
class ScalarProgram:
    """A program for one environment.

    Attributes:
        layout: The program bound to spaces.
        start: State at the start of a run.
        advance: `advance(state, obs, action, next_obs, reward, terminated, truncated, info, labels, params)` ->
            `(state, reward, terminated, truncated)`; `labels` in the order of `layout.labels`, `params` in that of
            `program.params`. A reward that is not finite comes out as it is: hosts must check.
        advance_terms: The same with the tuple of the terms' payments at the end.
        source: Text of the generated functions.
    """

    layout: Layout
    start: State
    advance: Callable[..., Any]
    advance_terms: Callable[..., Any]
    source: str

    def __reduce__(self) -> tuple[Callable[[Layout], ScalarProgram], tuple[Layout]]:
        return compile_scalar, (self.layout,)

    def reset(self, state: State) -> State:
        """Return the state at the start of the next episode: values of run scope are kept."""
        program = self.layout.program
        machines = len(program.machines)
        kept = [
            state[machines + i] if fold.scope == "run" else fold.start for i, fold in enumerate(program.folds)
        ]
        return (*self.start[:machines], *kept, *self.start[machines + len(kept) :])


def compile_scalar(layout: Layout) -> ScalarProgram:
    """Return the functions for one environment."""
    program = layout.program
    start: State = (
        *(m.start for m in program.machines),
        *(f.start for f in program.folds),
        *(0.0 for _ in program.terms),
    )
    plain, detailed = _Emitter(layout), _Emitter(layout)
    sources = [plain.function("advance", with_terms=False), detailed.function("advance_terms", with_terms=True)]
    functions = []
    for emitter, source, name in zip((plain, detailed), sources, ("advance", "advance_terms"), strict=True):
        namespace = dict(emitter.namespace)
        exec(compile(source, f"<rewardspec {name}>", "exec"), namespace)  # our own text: see the module's docstring
        functions.append(namespace[name])
    return ScalarProgram(layout, start, functions[0], functions[1], "\n".join(sources))


@dataclass(frozen=True)
class _Value:
    """Generated code for a value: one text (scalar or array) or one text per element."""

    code: str = ""
    items: tuple[str, ...] | None = None
    shape: Shape = ()
    depth: int = 0

    @property
    def is_array(self) -> bool:
        return bool(self.shape) and self.items is None


class _Emitter:
    """Writes one function: statements in order of need, each expression once."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.program = layout, layout.program
        self.lines: list[str] = []
        self.namespace: dict[str, Any] = {"__builtins__": {"float": float, "int": int, "bool": bool}, **_HELPERS}
        self.known: dict[Expr, _Value] = {}
        self.bases: dict[tuple[Any, ...], str] = {}
        self.uses = _count_uses(self.program)
        self.machines = {m.name: i for i, m in enumerate(self.program.machines)}
        self.stepped: set[str] = set()
        self.folds = {f.name: i for i, f in enumerate(self.program.folds)}
        self.counter = 0
        self.params = {p.name: i for i, p in enumerate(self.program.params)}
        self.checked: list[str] = []

    # -- the function ----------------------------------------------------------------------------

    def function(self, name: str, *, with_terms: bool) -> str:
        program = self.program
        machines = [f"u{i}" for i in range(len(program.machines))]
        folds = [f"f{i}" for i in range(len(program.folds))]
        totals = [f"s{i}" for i in range(len(program.terms))]
        slots = [*machines, *folds, *totals]
        if slots:
            self.emit(f"{', '.join(slots)}, = state")
        for machine in program.machines:
            self.step_machine(machine)
        terms = []
        for i, term in enumerate(program.terms):
            value = self.scalar(term.expr)
            self.emit(f"t{i} = {value}")
            terms.append(f"t{i}")
        news = []
        for i, fold in enumerate(program.folds):
            news.append(self.name(self.value(fold.update), f"g{i}"))
        flags = {how: self.ended(how) for how in ("terminated", "truncated")}
        if self.checked:
            # One sum finds a NaN in any value read; infinities of both signs make one too, so look again.
            self.emit(f"c = {' + '.join(self.checked)}")
            self.emit(f"if c != c: _refuse_nan(({', '.join(self.checked)},))")
        reward = " + ".join(terms) if terms else "0.0"
        if len(terms) < 2:
            reward += " + 0.0"
        after = [
            *(f"v{i}" for i in range(len(machines))),
            *news,
            *(f"s{i} + t{i}" for i in range(len(terms))),
        ]
        state = f"({', '.join(after)},)" if after else "()"
        extra = f", ({', '.join(terms)},)" if with_terms else ""
        self.emit(f"return {state}, {reward}, {flags['terminated']}, {flags['truncated']}{extra}")
        head = (
            f"def {name}(state, obs, action, next_obs, reward, terminated, truncated, info, labels, params, future=None):"
        )
        return "\n".join([head, *(f"    {line}" for line in self.lines)])

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def fresh(self, prefix: str = "x") -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def bound(self, value: Any, prefix: str = "k") -> str:
        """Return a name in the namespace for a value that must not appear in the text."""
        name = self.fresh(prefix)
        self.namespace[name] = value
        return name

    def name(self, value: _Value, name: str | None = None) -> str:
        """Return a local name that holds a scalar value."""
        if value.code.isidentifier() and name is None:
            return value.code
        name = name or self.fresh()
        self.emit(f"{name} = {value.code}")
        return name

    # -- machines --------------------------------------------------------------------------------

    def step_machine(self, machine: Machine) -> None:
        """Emit the machine's label, next state `v<i>` and, where read, its output `o<i>`."""
        i = self.machines[machine.name]
        # Conditions first: a proposition may need other values, which are emitted on the way.
        conditions = [self.condition(p) for p in machine.propositions]
        label = f"l{i}"
        self.emit(f"{label} = {conditions and f'1 if {conditions[0]} else 0' or '0'}")
        for bit, condition in enumerate(conditions[1:], 1):
            self.emit(f"if {condition}: {label} += {1 << bit}")
        if len(conditions) <= TABLED:
            width = 1 << len(conditions)
            cells = [machine.step(u, label_) for u in range(len(machine.states)) for label_ in range(width)]
            nexts = self.bound([target for target, _ in cells], "n")
            outputs = self.bound([output for _, output in cells], "n")
            self.emit(f"i{i} = u{i} * {width} + {label}")
            self.emit(f"v{i} = {nexts}[i{i}]")
            if any(output for _, output in cells):
                self.emit(f"o{i} = {outputs}[i{i}]")
            else:
                self.emit(f"o{i} = 0")
        else:
            edges = self.bound(_Edges(machine), "n")
            self.emit(f"v{i}, o{i} = {edges}[u{i}, {label}]")
        self.stepped.add(machine.name)

    def condition(self, proposition: str) -> str:
        declared = next(p for p in self.program.propositions if p.name == proposition)
        if self.uses.get(ir.Holds(proposition), 0) > 1:
            return self.scalar(ir.Holds(proposition))
        return self.scalar(declared.expr)

    def table(self, machine: str, values: tuple[float | bool, ...], index: str) -> str:
        return f"{self.bound([v if isinstance(v, bool) else float(v) for v in values])}[{index}{self.machines[machine]}]"

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
                    self.known[key] = _Value(how)
                    return how
            name = self.fresh("e")
            self.emit(f"{name} = {code}")
            self.known[key] = _Value(name)
        return self.known[key].code

    # -- expressions -----------------------------------------------------------------------------

    def scalar(self, expr: Expr) -> str:
        return self.value(expr).code

    def value(self, expr: Expr) -> _Value:
        """Return code for an expression; emits what it needs first, and itself when it is used again."""
        if expr in self.known:
            return self.known[expr]
        value = self.build(expr)
        simple = value.code.isidentifier() or isinstance(expr, ir.Const)
        if not value.shape and not simple and (self.uses.get(expr, 0) > 1 or value.depth > INLINE_DEPTH):
            value = _Value(self.name(value))
        elif value.is_array and not value.code.isidentifier():
            name = self.fresh("a")
            self.emit(f"{name} = {value.code}")
            value = _Value(name, None, value.shape)
        self.known[expr] = value
        return value

    def build(self, expr: Expr) -> _Value:
        match expr:
            case ir.Const(value):
                return _Value(repr(value) if isinstance(value, bool) else _number(float(value)))
            case ir.Vector(items):
                return _Value("", tuple(self.scalar(item) for item in items), (len(items),))
            case ir.Field():
                return self.field(expr)
            case ir.Param(name):
                return _Value(f"params[{self.params[name]}]")
            case ir.Holds(name):
                declared = next(p for p in self.program.propositions if p.name == name)
                return self.value(declared.expr)
            case ir.Memory(name, after):
                i = self.folds[name]
                return self.value(self.program.folds[i].update) if after else _Value(f"f{i}")
            case ir.StateTable(machine, values, after):
                return _Value(self.table(machine, values, "v" if after else "u"))
            case ir.OutputTable(machine, values):
                return _Value(self.table(machine, values, "o"))
            case ir.Ended(how):
                return _Value(self.ended(how))
            case ir.Reduce(op, x, "B"):
                return self.reduce(op, _Value("", (self.scalar(x),), (1,)))
            case ir.Reduce(op, x, _):
                return self.reduce(op, self.value(x))
            case ir.Index(x, items):
                return self.index(self.value(x), items)
        operands = [self.value(child) for child in ir.children(expr)]
        shape = next((operand.shape for operand in operands if operand.shape), ())
        if any(operand.is_array for operand in operands):
            codes = [self.as_array(operand) for operand in operands]
            return _Value(_array_code(expr, codes), None, shape)
        depth = 1 + max(operand.depth for operand in operands)
        if shape:
            size = math.prod(shape)
            columns = [o.items if o.items is not None else (self.name(o),) * size for o in operands]
            cells = tuple(self.short(_code(expr, list(column), self)) for column in zip(*columns, strict=True))
            return _Value("", cells, shape)
        return _Value(_code(expr, [operand.code for operand in operands], self), None, (), depth)

    def short(self, code: str) -> str:
        """Return a name for the code of one element of a vector."""
        if code.isidentifier() or len(code) < 12:
            return code
        name = self.fresh()
        self.emit(f"{name} = {code}")
        return name

    def as_array(self, value: _Value) -> str:
        if value.items is not None:
            return f"_array([{', '.join(value.items)}]).reshape({value.shape!r})"
        return value.code

    def reduce(self, op: str, value: _Value) -> _Value:
        if value.items is None:
            return _Value(f"_{op}_array({value.code})")
        items = list(value.items)
        if op in ("any", "all"):
            return _Value("(" + (" or " if op == "any" else " and ").join(f"bool({i})" for i in items) + ")")
        if op == "count":
            return _Value("(" + " + ".join(f"(1.0 if {i} else 0.0)" for i in items) + ")")
        if op in ("min", "max"):
            return _Value(self.extreme(op, items))
        summed = "(" + " + ".join(items) + ")"
        return _Value(summed if op == "sum" else f"({summed} / {len(items)})")

    def extreme(self, op: str, items: list[str]) -> str:
        """Return code for the least or greatest of some values; a NaN among them is the result."""
        sign = "<" if op == "min" else ">"
        best = items[0]
        for item in items[1:]:
            a = self.fresh()
            self.emit(f"{a} = {best}")
            if _is_number(item):
                best = f"({item} if {item} {sign} {a} else {a})"
            else:
                b = self.fresh()
                self.emit(f"{b} = {item}")
                best = f"({b} if {b} {sign} {a} or {b} != {b} else {a})"
        return best

    def index(self, value: _Value, items: tuple[ir.Item, ...]) -> _Value:
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        if value.items is None:
            code = f"{value.code}[{self.bound(subscript)}]"
            shape = np.empty(value.shape)[subscript].shape
            return _Value(code, None, shape) if shape else _Value(f"float({code})")
        cells = np.arange(len(value.items)).reshape(value.shape)[subscript]
        if cells.ndim == 0:
            return _Value(value.items[int(cells)])
        return _Value("", tuple(value.items[int(c)] for c in cells.ravel()), cells.shape)

    # -- reading the transition ------------------------------------------------------------------

    def field(self, field: ir.Field) -> _Value:
        root, path = field.root, field.path
        if root == "label":
            return _Value(f"labels[{self.layout.labels.index(str(path[0]))}]")
        if root == "future":
            return _Value(f"future[{self.bound(path[0])}]")
        if root in ("terminated", "truncated"):
            return _Value(root)
        if root == "reward":
            return _Value(self.name(_Value("float(reward)"), self.fresh("r")))
        if root == "info":
            return self.info(field)
        keys = next(path[:n] for n in range(len(path) + 1) if (root, path[:n]) in self.layout.arrays)
        items = path[len(keys)] if len(path) > len(keys) else ()
        rest = path[len(keys) + 1 :]
        base_shape = self.layout.arrays[root, keys]
        base = self.base(root, keys)
        if not base_shape:
            return self.scalar_base(base)
        if rest:  # obs[0][1]: join the subscripts by indexing step by step
            value = self.read(base, base_shape, items)
            for more in rest:
                assert not isinstance(more, str)  # layout has checked the path
                value = self.index(value, more)
            return value
        assert not isinstance(items, str)  # keys come first
        return self.read(base, base_shape, items)

    def base(self, root: str, keys: tuple[ir.Step, ...]) -> str:
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

    def scalar_base(self, base: str) -> _Value:
        key = ("scalar", base)
        if key not in self.bases:
            name = self.fresh("b")
            self.emit(f"{name} = {base}.item() if hasattr({base}, 'item') else {base}")
            self.namespace["hasattr"] = hasattr
            self.bases[key] = name
        return _Value(self.bases[key])

    def read(self, base: str, shape: Shape, items: tuple[ir.Item, ...]) -> _Value:
        """Return an array's part as a scalar, as separate scalars or as an array."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        cells = np.arange(math.prod(shape)).reshape(shape)[subscript]
        if math.prod(shape) <= LISTED:
            key = ("list", base)
            if key not in self.bases:
                name = self.fresh("b")
                self.emit(f"{name} = {base}.tolist()")
                self.bases[key] = name
            listed = self.bases[key]
            if cells.size <= UNROLLED:
                codes = [self.cell(listed, np.unravel_index(int(c), shape)) for c in cells.ravel()]
                return _Value(codes[0]) if cells.ndim == 0 else _Value("", tuple(codes), cells.shape)
        bound = self.bound(subscript)
        if cells.ndim == 0:
            name = self.name(_Value(f"float({base}[{bound}])"))
            self.checked.append(name)
            return _Value(name)
        if cells.size <= UNROLLED:
            name = self.fresh("b")
            self.emit(f"{name} = {base}[{bound}].ravel().tolist()")
            return _Value("", tuple(f"{name}[{i}]" for i in range(cells.size)), cells.shape)
        name = self.fresh("a")
        self.emit(f"{name} = _float_array({base}[{bound}])")
        self.checked.append(f"_sum_array({name})")
        return _Value(name, None, cells.shape)

    def cell(self, listed: str, index: tuple[Any, ...]) -> str:
        """Return a name for one entry of a list made from an array."""
        key = ("cell", listed, tuple(int(i) for i in index))
        if key not in self.bases:
            name = self.fresh()
            self.emit(f"{name} = {listed}{''.join(f'[{int(i)}]' for i in index)}")
            self.bases[key] = name
            self.checked.append(name)
        return self.bases[key]

    def info(self, field: ir.Field) -> _Value:
        key = self.bound(field.path[0])
        if field.default is not None:
            code = f"info.get({key}, {_number(field.default)})"
        else:
            code = f"info[{key}]"
        for step in field.path[1:]:
            part = step if isinstance(step, str) else step if len(step) > 1 else step[0]
            code += f"[{self.bound(part)}]"
        return _Value(self.name(_Value(f"_plain({code})")))


class _Edges(dict[tuple[int, int], tuple[int, int]]):
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


def _count_uses(program: Program) -> dict[Expr, int]:
    """Count how often each expression is needed, shared parts once."""
    counts: dict[Expr, int] = {}
    propositions = {p.name: p.expr for p in program.propositions}
    folds = {f.name: f.update for f in program.folds}
    seen: set[Expr] = set()

    def visit(expr: Expr) -> None:
        counts[expr] = counts.get(expr, 0) + 1
        if expr in seen:
            return
        seen.add(expr)
        if isinstance(expr, ir.Holds):
            visit(propositions[expr.name])
        elif isinstance(expr, ir.Memory) and expr.after:
            visit(folds[expr.fold])
        for child in ir.children(expr):
            visit(child)

    for machine in program.machines:
        for name in machine.propositions:
            visit(ir.Holds(name))
    for fold in program.folds:
        visit(fold.update)
    for root in (*(t.expr for t in program.terms), *(e.when for e in program.ends)):
        visit(root)
    return counts


def _number(value: float) -> str:
    """Return a number's text; the only text that a user's number ever becomes."""
    if math.isfinite(value):
        text = repr(float(value))
        return f"({text})" if value < 0 else text
    return "_nan" if math.isnan(value) else "_inf" if value > 0 else "(-_inf)"


def _is_number(code: str) -> bool:
    try:
        float(code.strip("()"))
    except ValueError:
        return False
    return True


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def _code(expr: Expr, args: list[str], emitter: _Emitter) -> str:
    """Return the code of one scalar operation on operands that have code."""
    match expr:
        case ir.Unary("neg", _):
            return f"(-{args[0]})"
        case ir.Unary("not", _):
            return f"(not {args[0]})"
        case ir.Binary("div", _, _) if _is_number(args[1]) and float(args[1].strip("()")) != 0:
            return f"({args[0]} / {args[1]})"
        case ir.Binary(op, _, _) if op not in _SIGNS:
            return f"_{op}({args[0]}, {args[1]})"
        case ir.Binary(op, _, _) | ir.Compare(op, _, _):
            return f"({args[0]} {_SIGNS[op]} {args[1]})"
        case ir.Logic(op, _):
            return "(" + f" {op} ".join(args) + ")"
        case ir.Where():
            return f"({args[1]} if {args[0]} else {args[2]})"
        case ir.Combine("sum", _):
            return "(" + " + ".join(args) + ")"
        case ir.Combine("product", _):
            return "(" + " * ".join(args) + ")"
        case ir.Combine(op, _):
            return emitter.extreme(op, args)
        case ir.Call("abs", _):
            return f"_abs({args[0]})"
        case ir.Call(name, _):
            return f"_{name}({args[0]})"
    raise TypeError(f"not an operation: {expr!r}")


def _array_code(expr: Expr, args: list[str]) -> str:
    """Return the code of one operation on NumPy arrays."""
    match expr:
        case ir.Unary(op, _) | ir.Binary(op, _, _) | ir.Compare(op, _, _):
            return f"_array_{op}({', '.join(args)})"
        case ir.Logic(op, _) | ir.Combine(op, _):
            code = args[0]
            for arg in args[1:]:
                code = f"_array_{op}({code}, {arg})"
            return code
        case ir.Where():
            return f"_array_where({', '.join(args)})"
        case ir.Call(name, _):
            return f"_array_{name}({args[0]})"
    raise TypeError(f"not an operation: {expr!r}")


# -- scalar arithmetic with IEEE 754 results instead of exceptions --------------------------------


class NanReadError(ArithmeticError):
    """A value that the program read from the transition is NaN."""


def _refuse_nan(values: tuple[float, ...]) -> None:
    if any(value != value for value in values):
        raise NanReadError


def _div(a: float, b: float) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return float(np.float64(a) / np.float64(b))


def _floor(x: float) -> float:
    return math.floor(x) + 0.0 if x - x == 0 else x


def _ceil(x: float) -> float:
    return math.ceil(x) + 0.0 if x - x == 0 else x


def _floordiv(a: float, b: float) -> float:
    return _floor(_div(a, b))


def _mod(a: float, b: float) -> float:
    return a - b * _floor(_div(a, b))


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (OverflowError, ValueError):
        return float(np.float64(a) ** np.float64(b))


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.0 else float(np.exp(x))


def _log(x: float) -> float:
    return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _log_sigmoid(x: float) -> float:
    return (x if x < 0 else x * 0.0) - math.log1p(math.exp(-abs(x))) if x - x == 0 else float(-np.logaddexp(0.0, -x))


def _sin(x: float) -> float:
    return math.sin(x) if x - x == 0 else math.nan


def _cos(x: float) -> float:
    return math.cos(x) if x - x == 0 else math.nan


def _arctanh(x: float) -> float:
    return math.atanh(x) if -1 < x < 1 else float(np.arctanh(np.float64(x)))


def _sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else x * 0.0 if x == 0 else math.nan


def _plain(value: Any) -> Any:
    """Return an info value as a Python number."""
    if isinstance(value, bool | float | int):
        return value
    if hasattr(value, "item"):
        return value.item()
    return float(value)


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return call


def _array_sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


_HELPERS: Mapping[str, Any] = {
    "_refuse_nan": _refuse_nan,
    "_nan": math.nan,
    "_inf": math.inf,
    "_abs": abs,
    "_tanh": math.tanh,
    "_div": _div,
    "_floor": _floor,
    "_ceil": _ceil,
    "_floordiv": _floordiv,
    "_mod": _mod,
    "_pow": _pow,
    "_exp": _exp,
    "_log": _log,
    "_sqrt": _sqrt,
    "_sigmoid": _sigmoid,
    "_log_sigmoid": _log_sigmoid,
    "_sin": _sin,
    "_cos": _cos,
    "_arctanh": _arctanh,
    "_sign": _sign,
    "_plain": _plain,
    "_array": np.array,
    "_float_array": lambda x: np.asarray(x, dtype=np.float64),
    "_sum_array": lambda x: float(np.sum(x)),
    "_mean_array": lambda x: float(np.mean(x)),
    "_min_array": lambda x: float(np.min(x)),
    "_max_array": lambda x: float(np.max(x)),
    "_any_array": lambda x: bool(np.any(x)),
    "_all_array": lambda x: bool(np.all(x)),
    "_count_array": lambda x: float(np.count_nonzero(x)),
    "_array_where": np.where,
    "_array_neg": lambda x: -_as_float(x),
    "_array_not": np.logical_not,
    "_array_and": np.logical_and,
    "_array_or": np.logical_or,
    "_array_add": _quiet(lambda a, b: _as_float(a) + b),
    "_array_sum": _quiet(lambda a, b: _as_float(a) + b),
    "_array_sub": _quiet(lambda a, b: _as_float(a) - b),
    "_array_mul": _quiet(lambda a, b: _as_float(a) * b),
    "_array_product": _quiet(lambda a, b: _as_float(a) * b),
    "_array_div": _quiet(lambda a, b: np.divide(_as_float(a), b)),
    "_array_floordiv": _quiet(lambda a, b: np.floor(np.divide(_as_float(a), b))),
    "_array_mod": _quiet(lambda a, b: _as_float(a) - b * np.floor(np.divide(_as_float(a), b))),
    "_array_pow": _quiet(lambda a, b: np.power(_as_float(a), b)),
    "_array_min": np.minimum,
    "_array_max": np.maximum,
    "_array_lt": np.less,
    "_array_le": np.less_equal,
    "_array_gt": np.greater,
    "_array_ge": np.greater_equal,
    "_array_eq": np.equal,
    "_array_ne": np.not_equal,
    "_array_abs": lambda x: np.abs(_as_float(x)),
    "_array_sign": lambda x: np.sign(_as_float(x)),
    "_array_floor": np.floor,
    "_array_ceil": np.ceil,
    "_array_exp": _quiet(lambda x: np.exp(_as_float(x))),
    "_array_log": _quiet(lambda x: np.log(_as_float(x))),
    "_array_sqrt": _quiet(lambda x: np.sqrt(_as_float(x))),
    "_array_tanh": lambda x: np.tanh(_as_float(x)),
    "_array_sigmoid": _quiet(_array_sigmoid),
    "_array_log_sigmoid": _quiet(lambda x: -np.logaddexp(0.0, -_as_float(x))),
    "_array_sin": _quiet(lambda x: np.sin(_as_float(x))),
    "_array_cos": _quiet(lambda x: np.cos(_as_float(x))),
    "_array_arctanh": _quiet(lambda x: np.arctanh(_as_float(x))),
}


def _as_float(x: Any) -> Any:
    return np.asarray(x, dtype=np.float64)
