"""One environment, as fast as hand-written Python: the program becomes one Python function.

The function's text is generated from the IR alone. It holds operators, generated names (`x7`, `u0`) and numbers
written by `repr(float)`; whatever came from a user - keys, names - is bound to a generated name in the function's
namespace and is never part of the text. Numbers are Python's own: an observation is turned into a list once
(`tolist`), because arithmetic on NumPy scalars is ten times slower.

There are two forms of the same statements: `advance`, a pure function of the state and the transition, and `fuse`, a
closure that steps the environment itself and keeps the state in its own variables, which saves building a tuple, a
call and a dozen look-ups in every step.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from rewardspec.backends.arithmetic import HELPERS
from rewardspec.backends.decisions import Leaf, Tree, bare, decision_trees, dispatch_lines, tree_lines
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

UNPACKED = 8
"""Vectors up to this size are unpacked from their list in one assignment."""

TABLED = 8
"""Machines too large for decision trees become tables where they read up to this many propositions, else they
look their edges up and remember them."""

PARTS = "action, next_obs, reward, terminated, truncated, info"

INLINE_DEPTH = 12
INLINE_LENGTH = 100
"""A condition that is longer, in characters of code, is evaluated once before a decision tree."""


@dataclass(frozen=True)
class ScalarProgram:
    """A program for one environment.

    Attributes:
        layout: The program bound to spaces.
        start: State at the start of a run.
    """

    layout: Layout
    start: State

    def __reduce__(self) -> tuple[Callable[[Layout], ScalarProgram], tuple[Layout]]:
        return compile_scalar, (self.layout,)

    @cached_property
    def advance(self) -> Callable[..., Any]:
        """The program as a pure function.

        `advance(state, obs, action, next_obs, reward, terminated, truncated, info, labels, params, future=None)`
        gives `(state, reward, terminated, truncated)`; `labels` stand in the order of `layout.labels`, `params` in
        that of `program.params`. A reward that is not finite comes out as it is: hosts must check.

        Raises:
            NotFiniteError: When a value is NaN that the reward would not show (a comparison's, say).
        """
        return _bind(self.layout, "advance")

    @cached_property
    def advance_terms(self) -> Callable[..., Any]:
        """The same with the tuple of the terms' payments at the end."""
        return _bind(self.layout, "advance_terms")

    @property
    def source(self) -> str:
        """Text of the generated function, for readers."""
        return _Emitter(self.layout).advance("advance")

    def reset(self, state: State) -> State:
        """Return the state at the start of the next episode: values of run scope are kept."""
        program = self.layout.program
        machines = len(program.machines)
        kept = [
            state[machines + i] if fold.scope == "run" else fold.start for i, fold in enumerate(program.folds)
        ]
        return (*self.start[:machines], *kept, *self.start[machines + len(kept) :])


@dataclass(frozen=True)
class FusedStep:
    """`step` of a gymnasium environment as one generated closure that holds the program's state.

    Attributes:
        step: `step(action)` -> what a gymnasium environment returns.
        begin: `begin(env_step, state, steps, obs)`: go on from there; every episode begins so.
        read: `read()` -> `(state, steps, obs)`.
    """

    step: Callable[[Any], tuple[Any, float, bool, bool, dict[str, Any]]]
    begin: Callable[[Callable[[Any], Any], State, int, Any], None]
    read: Callable[[], tuple[State, int, Any]]


def compile_scalar(layout: Layout) -> ScalarProgram:
    """Return the functions for one environment; they are generated when first asked for."""
    program = layout.program
    start: State = (
        *(m.start for m in program.machines),
        *(f.start for f in program.folds),
        *(0.0 for _ in program.terms),
    )
    return ScalarProgram(layout, start)


def fuse(
    layout: Layout,
    params: list[float],
    *,
    explain: Callable[..., Exception],
    report: Callable[[dict[str, Any], State], dict[str, Any]],
    read_labels: Callable[..., tuple[bool, ...]] | None = None,
    remember: Callable[[Any], Any] | None = None,
    extend: Callable[[Any, State], Any] | None = None,
) -> FusedStep:
    """Return a program's step fused with the environment's.

    Args:
        layout: The program bound to the environment's spaces.
        params: Values of the program's parameters; the list is read anew in every step.
        explain: `explain(error, steps, state, obs, action, next_obs, reward, terminated, truncated, info, labels)`
            gives the exception to raise. The state is that before the step, and stays.
        report: `report(info, state)` -> the info of the last step of an episode.
        read_labels: `read_labels(obs, action, next_obs, reward, terminated, truncated, info)`.
        remember: `remember(next_obs)` -> what to keep as `obs` for the next step; None where nobody reads it.
        extend: `extend(next_obs, state)` -> the observation to return.
    """
    optional = {"read_labels": read_labels, "remember": remember, "extend": extend}
    present: dict[str, Any] = {name: hook for name, hook in optional.items() if hook is not None}
    present |= {"explain": explain, "report": report}
    make = _bind(layout, "fused", frozenset(present))
    return FusedStep(*make(params, **present))


def fused_source(layout: Layout, hooks: frozenset[str] = frozenset()) -> str:
    """Return the text that `fuse` runs, for readers."""
    return _Emitter(layout).fused(hooks)


def _bind(
    layout: Layout, form: Literal["advance", "advance_terms", "fused"], hooks: frozenset[str] = frozenset()
) -> Callable[..., Any]:
    """Return the generated function of that name."""
    emitter = _Emitter(layout)
    source = emitter.fused(hooks) if form == "fused" else emitter.advance(form)
    namespace = dict(emitter.namespace)
    exec(compile(source, f"<rewardspec {form}>", "exec"), namespace)  # our own text: see the module's head
    made: Callable[..., Any] = namespace[form]
    return made


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
        self.namespace: dict[str, Any] = {"__builtins__": _BUILTINS, **HELPERS}
        self.known: dict[Expr, _Value] = {}
        self.bases: dict[tuple[Any, ...], str] = {}
        self.uses = _count_uses(self.program)
        self.machines = {m.name: i for i, m in enumerate(self.program.machines)}
        self.stepped: set[str] = set()
        self.folds = {f.name: i for i, f in enumerate(self.program.folds)}
        self.counter = 0
        self.params = {p.name: i for i, p in enumerate(self.program.params)}
        self.checked: list[str] = []
        self.unpacked: list[tuple[int, str, list[str]]] = []
        self.tables = _tables(self.program)
        self.slots = [
            *(f"u{i}" for i in range(len(self.program.machines))),
            *(f"f{i}" for i in range(len(self.program.folds))),
            *(f"s{i}" for i in range(len(self.program.terms))),
        ]

    # -- the functions ---------------------------------------------------------------------------

    def advance(self, name: Literal["advance", "advance_terms"]) -> str:
        """Return the text of the pure function."""
        terms, news, flags = self.body()
        unfelt = self.unfelt()
        if unfelt:
            # One sum finds a NaN in any value read; infinities of both signs make one too, so look again.
            self.emit(f"c = {' + '.join(unfelt)}")
            self.emit(f"if c != c: _refuse_nan({_tuple(unfelt)})")
        extra = f", {_tuple(terms)}" if name == "advance_terms" else ""
        result = [_tuple(news), self.reward(terms), flags["terminated"], flags["truncated"]]
        self.emit(f"return {', '.join(result)}{extra}")
        arguments = f"state, obs, {PARTS}, labels, params, future=None"
        unpack = [f"{', '.join(self.slots)}, = state"] if self.slots else []
        return _text(f"def {name}({arguments}):", [*unpack, *self.finished()])

    def fused(self, hooks: frozenset[str]) -> str:
        """Return the text of a function that makes `step`, `begin` and `read` of `FusedStep`."""
        terms, news, flags = self.body()
        unfelt = self.unfelt()
        self.emit(f"paid = {self.reward(terms)}")
        # The reward is NaN with every value it feels; the others are added, so that one question finds all.
        self.emit(f"if ({' + '.join([*unfelt, 'paid'])}) * 0.0 != 0.0: _refuse({_tuple(unfelt)}, paid)")
        obs = "obs" if "remember" in hooks else "None"
        labels = "labels" if "read_labels" in hooks else "()"
        state = _tuple(self.slots)  # before the assignments that end the step, and after them
        ended = " or ".join(flags[how] for how in ("terminated", "truncated"))
        kept = [*self.slots, "steps", *(["obs"] if "remember" in hooks else [])]
        returned = "next_obs"
        step = ["next_obs, reward, terminated, truncated, info = env_step(action)"]
        if "read_labels" in hooks:
            step.append(f"labels = read_labels({obs}, {PARTS})")
        step += [
            "try:",
            *(f"    {line}" for line in self.finished()),
            "except Exception as error:",
            f"    raise explain(error, steps, {state}, {obs}, {PARTS}, {labels}) from error",
            "steps += 1",
            *_assignments(self.slots, news),
        ]
        step.append(f"if {ended}: info = report(info, {state})")
        if "remember" in hooks:
            step.append("obs = remember(next_obs)")
        if "extend" in hooks:
            returned = f"extend(next_obs, {state})"
        step.append(f"return {returned}, paid, {flags['terminated']}, {flags['truncated']}, info")
        unpack = [f"{', '.join(self.slots)}, = state"] if self.slots else []
        return _text(
            f"def fused({', '.join(['params', *sorted(hooks)])}):",
            [
                " = ".join(dict.fromkeys(["env_step", "obs", *kept, "None"])),
                "def step(action):",
                f"    nonlocal {', '.join(kept)}",
                *(f"    {line}" for line in step),
                "def begin(new_env_step, state, new_steps, new_obs):",
                f"    nonlocal {', '.join(['env_step', *kept])}",
                "    env_step, steps = new_env_step, new_steps",
                *(["    obs = new_obs"] if "remember" in hooks else []),
                *(f"    {line}" for line in unpack),
                "def read():",
                f"    return {state}, steps, obs",
                "return step, begin, read",
            ],
        )

    def body(self) -> tuple[list[str], list[str], dict[str, str]]:
        """Emit the step; return code of the terms, of the next state's slots and of the two flags."""
        program = self.program
        for machine in program.machines:
            self.step_machine(machine)
        terms = [self.named(self.value(term.expr), f"t{i}") for i, term in enumerate(program.terms)]
        folds = [self.name(self.value(fold.update), f"g{i}") for i, fold in enumerate(program.folds)]
        flags = {how: self.ended(how) for how in ("terminated", "truncated")}
        machines = [f"v{i}" for i in range(len(program.machines))]
        return terms, [*machines, *folds, *(f"s{i} + {code}" for i, code in enumerate(terms))], flags

    def reward(self, terms: list[str]) -> str:
        """Return code for the sum of the terms, a float."""
        if not any(_is_float(term.expr) for term in self.program.terms):
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
        self.emit(f"{name} = {bare(value.code)}")
        return name

    def named(self, value: _Value, name: str) -> str:
        """Return the code itself where it is a name or a number, else a local name that holds it."""
        return value.code if value.code.isidentifier() or _is_number(value.code) else self.name(value, name)

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
            short = [c if len(c) <= INLINE_LENGTH else self.name(_Value(c)) for c in conditions]
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
                entry = _entry(table.values[leaf.target if isinstance(table, ir.StateTable) else leaf.output])
                if entry != defaults[name]:
                    lines.append(f"{name} = {entry}")
            return lines

        self.emit(f"v{i} = u{i}")
        for name, table in tables.items():
            self.emit(f"{name} = {defaults[name]}")
            self.known[table] = _Value(name)
        cases = [
            tree_lines(tree, conditions, lambda leaf, state=state: assignments(state, leaf))  # type: ignore[misc]
            for state, tree in enumerate(trees)
        ]
        for line in dispatch_lines(f"v{i}", cases):  # a local name is read faster than the state's
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
            self.emit(f"v{i}, o{i} = {self.bound(_Edges(machine), 'n')}[u{i}, {label}]")

    def condition(self, proposition: str) -> str:
        declared = next(p for p in self.program.propositions if p.name == proposition)
        if self.uses.get(ir.Holds(proposition), 0) > 1:
            return self.scalar(ir.Holds(proposition))
        return self.scalar(declared.expr)

    def table(self, table: ir.StateTable | ir.OutputTable) -> _Value:
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
        return _Value(f"{self.bound(values)}[{index}]")

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
            case ir.StateTable() | ir.OutputTable():
                return self.table(expr)
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
            cells = tuple(
                self.short(_code(expr, list(column), self)) for column in zip(*columns, strict=True)
            )
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
            return self.number("reward if reward.__class__ is float else float(reward)", "r")
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

    def number(self, code: str, prefix: str) -> _Value:
        """Emit a number that comes from the transition; a NaN in it is refused."""
        name = self.name(_Value(code), self.fresh(prefix))
        self.checked.append(name)
        return _Value(name)

    def scalar_base(self, base: str) -> _Value:
        key = ("scalar", base)
        if key not in self.bases:
            self.bases[key] = self.number(f"{base} if {base}.__class__ is int else _plain({base})", "b").code
        return _Value(self.bases[key])

    def read(self, base: str, shape: Shape, items: tuple[ir.Item, ...]) -> _Value:
        """Return an array's part as a scalar, as separate scalars or as an array."""
        subscript = tuple(i.slice if isinstance(i, ir.Span) else i for i in items)
        cells = np.arange(math.prod(shape)).reshape(shape)[subscript]
        if math.prod(shape) <= LISTED and cells.size <= UNROLLED:
            listed = self.listed(base, shape)
            codes = [self.cell(listed, np.unravel_index(int(c), shape)) for c in cells.ravel()]
            return _Value(codes[0]) if cells.ndim == 0 else _Value("", tuple(codes), cells.shape)
        bound = self.bound(subscript)
        if cells.ndim == 0:
            return self.number(f"float({base}[{bound}])", "x")
        if cells.size <= UNROLLED:
            name = self.fresh("b")
            self.emit(f"{name} = {base}[{bound}].ravel().tolist()")
            self.checked.append(f"_sum({name})")
            return _Value("", tuple(f"{name}[{i}]" for i in range(cells.size)), cells.shape)
        name = self.fresh("a")
        self.emit(f"{name} = _float_array({base}[{bound}])")
        self.checked.append(f"_sum_array({name})")
        return _Value(name, None, cells.shape)

    def listed(self, base: str, shape: Shape) -> str:
        """Return a name for an array as a list; short vectors are unpacked at once."""
        key = ("list", base)
        if key not in self.bases:
            name = self.bases[key] = self.fresh("b")
            if len(shape) == 1 and shape[0] <= UNPACKED:
                names = [self.fresh() for _ in range(shape[0])]
                self.bases.update({("name", name, (i,)): cell for i, cell in enumerate(names)})
                self.unpacked.append((len(self.lines), f"{base}.tolist()", names))
            self.emit(f"{name} = {base}.tolist()")
        return self.bases[key]

    def cell(self, listed: str, index: tuple[Any, ...]) -> str:
        """Return a name for one entry of a list made from an array."""
        position = tuple(int(i) for i in index)
        key = ("cell", listed, position)
        if key not in self.bases:
            name = self.bases.get(("name", listed, position))
            if name is None:
                name = self.name(_Value(f"{listed}{''.join(f'[{i}]' for i in position)}"), self.fresh())
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
        name = self.number(code, "x").code
        self.emit(f"if {name}.__class__ is not float: {name} = _plain({name})")
        return _Value(name)


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


def _tables(program: Program) -> dict[str, list[ir.StateTable | ir.OutputTable]]:
    """Return, per machine, the tables over its next state or output that the program reads, each once."""
    found: dict[str, dict[ir.StateTable | ir.OutputTable, None]] = {}
    for root in program.roots():
        for node in ir.walk(root):
            if isinstance(node, ir.OutputTable) or (isinstance(node, ir.StateTable) and node.after):
                found.setdefault(node.machine, {}).setdefault(node)
    return {machine: list(tables) for machine, tables in found.items()}


def _usual(table: ir.StateTable | ir.OutputTable) -> str:
    """Return the entry that holds where a decision tree says nothing: that of silence, or the commonest."""
    if isinstance(table, ir.OutputTable):
        return _entry(table.values[0])
    return _entry(Counter(table.values).most_common(1)[0][0])


def _entry(value: float | bool) -> str:
    return repr(value) if isinstance(value, bool) else _number(float(value))


def _is_float(expr: Expr) -> bool:
    """Return whether a value is a Python float by its form alone, so that a sum with it is one."""
    match expr:
        case ir.Const(value):
            return not isinstance(value, bool)
        case ir.StateTable() | ir.OutputTable():
            return not ir.is_boolean(expr)
        case ir.Binary(_, a, b):
            return _is_float(a) or _is_float(b)
        case ir.Combine("sum" | "product", args):
            return any(_is_float(arg) for arg in args)
        case ir.Combine(_, args) | ir.Call("abs", args):
            return all(_is_float(arg) for arg in args)
        case ir.Where(_, a, b):
            return _is_float(a) and _is_float(b)
        case ir.Unary("neg", x):
            return _is_float(x)
        case ir.Call():
            return True
    return False


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)},)" if items else "()"


def _assignments(names: list[str], values: list[str]) -> list[str]:
    """Return statements that give the slots their next values: totals first, which read what others change."""
    lines = [f"{name} = {value}" for name, value in zip(names, values, strict=True)]
    return sorted(lines, key=lambda line: not line.startswith("s"))


def _text(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines)])


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


_BUILTINS = {"float": float, "int": int, "bool": bool, "Exception": Exception}

_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}


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
