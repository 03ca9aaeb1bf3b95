"""The oracle: programs executed in slow, plain Python. It defines what a program means.

Nothing here is shared with the other backends, and nothing is clever: an expression is walked anew for every
environment of the batch, vectors are nested lists, and every operation is written out by its IEEE 754 meaning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewardspec.backends.oracle_sets import set_value
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Program
from rewardspec.sets.modular import Modular
from rewardspec.transition import Outcome, Transition

NAN, INFINITY = math.nan, math.inf


@dataclass
class OracleState:
    """State of B environments.

    Attributes:
        machines: Per environment, machine state by machine name.
        folds: Per environment, value by fold name; values of run scope are equal in all.
        sets: Per environment, the items of each set by its name.
    """

    machines: list[dict[str, int]]
    folds: list[dict[str, float]]
    sets: list[dict[str, frozenset[int]]] = field(default_factory=list)

    def held(self, name: str, b: int) -> frozenset[int]:
        """Return the items of a set; a state that says nothing of sets has empty ones."""
        return self.sets[b][name] if self.sets else frozenset()


def init(program: Program, batch: int = 1) -> OracleState:
    """Return the state at the start of a run."""
    return OracleState(
        [{m.name: m.start for m in program.machines} for _ in range(batch)],
        [{f.name: f.start for f in program.folds} for _ in range(batch)],
        [{s.name: frozenset() for s in program.sets} for _ in range(batch)],
    )


def reset(program: Program, state: OracleState, mask: Sequence[bool] | None = None) -> OracleState:
    """Return the state with new episodes begun where `mask` holds (everywhere when None)."""
    machines, folds, sets = [], [], []
    for b in range(len(state.machines)):
        if mask is None or mask[b]:
            machines.append({m.name: m.start for m in program.machines})
            sets.append({s.name: frozenset[int]() for s in program.sets})
            folds.append(
                {f.name: f.start if f.scope == "episode" else state.folds[b][f.name] for f in program.folds}
            )
        else:
            machines.append(dict(state.machines[b]))
            folds.append(dict(state.folds[b]))
            sets.append({s.name: state.held(s.name, b) for s in program.sets})
    return OracleState(machines, folds, sets)


def step(
    program: Program,
    state: OracleState,
    transitions: Sequence[Transition],
    params: dict[str, float] | None = None,
) -> tuple[OracleState, list[Outcome]]:
    """Return the next state and the outcome of each environment.

    Args:
        program: The program.
        state: State before the step.
        transitions: One per environment.
        params: Values of parameters, where they differ from their initial ones.
    """
    values = {p.name: p.initial for p in program.params} | (params or {})
    run = _Step(program, state, transitions, values)
    after = OracleState(
        [{m.name: run.edge(m.name, b)[0] for m in program.machines} for b in range(len(transitions))],
        [{f.name: run.fold(f.name, b) for f in program.folds} for b in range(len(transitions))],
        [{s.name: run.grown(s.name, b)[1] for s in program.sets} for b in range(len(transitions))],
    )
    outcomes = []
    for b in range(len(transitions)):
        terms = tuple(float(run.value(t.expr, b)) for t in program.terms)
        outcomes.append(
            Outcome(
                sum(terms) if terms else 0.0, run.ended("terminated", b), run.ended("truncated", b), terms
            )
        )
    return after, outcomes


def run_episode(
    program: Program, transitions: Sequence[Transition], params: dict[str, float] | None = None
) -> list[Outcome]:
    """Return the outcomes of one whole episode, futures included: what a relabeller must give."""
    futures: dict[str, float] = {}
    if program.futures and transitions:
        blank = {name: 0.0 for name, _ in program.futures}
        state = init(program)
        for transition in transitions:
            before = state
            known = _with_future(transition, blank)
            run = _Step(
                program, before, [known], {p.name: p.initial for p in program.params} | (params or {})
            )
            futures = {name: float(run.value(expr, 0)) for name, expr in program.futures}
            state, _ = step(program, before, [known], params)
    state = init(program)
    outcomes: list[Outcome] = []
    for transition in transitions:
        state, (outcome,) = step(program, state, [_with_future(transition, futures)], params)
        outcomes.append(outcome)
    return outcomes


def _with_future(transition: Transition, future: dict[str, float]) -> Transition:
    return Transition(**{**transition.__dict__, "future": future})


@dataclass
class _Step:
    program: Program
    state: OracleState
    transitions: Sequence[Transition]
    params: dict[str, float]
    edges: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    folds: dict[tuple[str, int], float] = field(default_factory=dict)
    joined: dict[int, Any] = field(default_factory=dict)
    """What reductions over the batch gave, by the identity of the expression (the program keeps it alive)."""

    def edge(self, name: str, b: int) -> tuple[int, int]:
        """Return a machine's next state and output."""
        if (name, b) not in self.edges:
            machine = self.program.machine(name)
            label = 0
            for bit, proposition in enumerate(machine.propositions):
                if self.holds(proposition, b):
                    label += 2**bit
            self.edges[name, b] = machine.step(self.state.machines[b][name], label)
        return self.edges[name, b]

    def fold(self, name: str, b: int) -> float:
        """Return a fold's value after the step."""
        if (name, b) not in self.folds:
            declared = next(f for f in self.program.folds if f.name == name)
            self.folds[name, b] = float(self.value(declared.update, b))
        return self.folds[name, b]

    def grown(self, name: str, b: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return a set before its item joins it, with the first one, and after."""
        declared = next(s for s in self.program.sets if s.name == name)
        before = self.state.held(name, b)
        if declared.first is not None:
            before = _with_item(before, self.value(declared.first, b), declared.function)
        return before, _with_item(before, self.value(declared.item, b), declared.function)

    def gain(self, name: str, b: int) -> float:
        """Return what the item adds to the value of its set."""
        function = next(s.function for s in self.program.sets if s.name == name)
        before, after = self.grown(name, b)
        if isinstance(function, Modular):  # no set: each item is paid alone, again and again
            declared = next(s for s in self.program.sets if s.name == name)
            alone = _with_item(frozenset(), self.value(declared.item, b), function.of)
            return set_value(function.of, alone)
        return set_value(function, after) - set_value(function, before)

    def holds(self, name: str, b: int) -> bool:
        return bool(self.value(next(p.expr for p in self.program.propositions if p.name == name), b))

    def ended(self, how: str, b: int) -> bool:
        if how == "last":
            return self.ended("terminated", b) or self.ended("truncated", b)
        own = bool(getattr(self.transitions[b], how))
        return own or any(bool(self.value(e.when, b)) for e in self.program.ends if e.how == how)

    def value(self, expr: Expr, b: int) -> Any:
        """Return an expression's value for environment b: a number, a truth value or a nested list."""
        match expr:
            case ir.Const(value):
                return value
            case ir.Vector(items):
                return [self.value(item, b) for item in items]
            case ir.Field():
                return read_field(expr, self.transitions[b])
            case ir.Param(name):
                return self.params[name]
            case ir.Holds(name):
                return self.holds(name, b)
            case ir.Memory(name, after):
                return self.fold(name, b) if after else self.state.folds[b][name]
            case ir.Gain(name):
                return self.gain(name, b)
            case ir.StateTable(machine, values, after):
                u = self.edge(machine, b)[0] if after else self.state.machines[b][machine]
                return values[u]
            case ir.OutputTable(machine, values):
                return values[self.edge(machine, b)[1]]
            case ir.Ended(how):
                return self.ended(how, b)
            case ir.Unary("neg", x):
                return _map(lambda v: -float(v), self.value(x, b))
            case ir.Unary("not", x):
                return _map(lambda v: not v, self.value(x, b))
            case ir.Binary(op, left, right):
                return _map2(_ARITHMETIC[op], self.value(left, b), self.value(right, b))
            case ir.Compare(op, left, right):
                return _map2(_COMPARISONS[op], self.value(left, b), self.value(right, b))
            case ir.Logic(op, args):
                result = self.value(args[0], b)
                for arg in args[1:]:
                    both = (
                        (lambda p, q: bool(p) and bool(q))
                        if op == "and"
                        else (lambda p, q: bool(p) or bool(q))
                    )
                    result = _map2(both, result, self.value(arg, b))
                return result
            case ir.Where(condition, then, otherwise):
                return _choose(self.value(condition, b), self.value(then, b), self.value(otherwise, b))
            case ir.Combine(op, args):
                result = self.value(args[0], b)
                for arg in args[1:]:
                    result = _map2(_COMBINATIONS[op], result, self.value(arg, b))
                return result
            case ir.Reduce(op, x, "value"):
                return _reduce(op, _flatten(self.value(x, b)))
            case ir.Reduce(op, x, "B"):
                # One number for all environments: asked anew for each, nested ones would cost B to their depth.
                if id(expr) not in self.joined:
                    rows = range(len(self.transitions))
                    self.joined[id(expr)] = _reduce(op, [self.value(x, row) for row in rows])
                return self.joined[id(expr)]
            case ir.Call(name, (x,)):
                return _map(_FUNCTIONS[name], self.value(x, b))
            case ir.Index(x, items):
                array = np.array(self.value(x, b))
                return array[tuple(i.slice if isinstance(i, ir.Span) else i for i in items)].tolist()
        raise TypeError(f"not an expression: {expr!r}")


def true_propositions(program: Program, state: OracleState, transition: Transition) -> list[str]:
    """Return the propositions that hold on one environment's transition, in the order of declaration."""
    run = _Step(program, state, [transition], {p.name: p.initial for p in program.params})
    return [p.name for p in program.propositions if run.holds(p.name, 0)]


def read_field(where: ir.Field, transition: Transition) -> Any:
    """Return a field's value: a number, a truth value or a nested list.

    Raises:
        KeyError: When a mapping lacks a key. Likewise IndexError and TypeError for other data that does not fit.
    """
    if where.who is not None:
        raise KeyError("a field of other agents is read once there are agents: see team/resolve.py")
    value: Any = getattr(transition, where.root)
    for part in where.path:
        if isinstance(part, str):
            if where.root == "info" and where.default is not None and (value is None or part not in value):
                return where.default
            value = value[part]
        elif isinstance(value, tuple):
            (index,) = (i for i in part if isinstance(i, int))
            value = value[index]
        else:
            value = np.asarray(value)[tuple(i.slice if isinstance(i, ir.Span) else i for i in part)]
    return np.asarray(value).tolist()


def _with_item(items: frozenset[int], item: Any, function: Any) -> frozenset[int]:
    """Return a set with an item more; the same set where the item is none, or the set can hold no more."""
    has_room = len(items) < getattr(function, "most", function.size)
    return items | {int(item)} if has_room and 0 <= item < function.size else items


def _flatten(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in _flatten(item)]
    return [value]


def _map(function: Any, value: Any) -> Any:
    return [_map(function, item) for item in value] if isinstance(value, list) else function(value)


def _map2(function: Any, a: Any, b: Any) -> Any:
    if isinstance(a, list) and isinstance(b, list):
        return [_map2(function, x, y) for x, y in zip(a, b, strict=True)]
    if isinstance(a, list):
        return [_map2(function, x, b) for x in a]
    if isinstance(b, list):
        return [_map2(function, a, y) for y in b]
    return function(a, b)


def _choose(condition: Any, a: Any, b: Any) -> Any:
    if isinstance(condition, list):
        return [
            _choose(c, a[i] if isinstance(a, list) else a, b[i] if isinstance(b, list) else b)
            for i, c in enumerate(condition)
        ]
    if isinstance(a, list) or isinstance(b, list):
        size = len(a) if isinstance(a, list) else len(b)
        return [
            _choose(condition, a[i] if isinstance(a, list) else a, b[i] if isinstance(b, list) else b)
            for i in range(size)
        ]
    return a if condition else b


def _divide(a: float, b: float) -> float:
    a, b = float(a), float(b)
    if b != 0:
        try:
            return a / b
        except OverflowError:
            return math.copysign(INFINITY, a) * math.copysign(1, b)
    if a == 0 or math.isnan(a):
        return NAN
    return math.copysign(INFINITY, a) * math.copysign(1, b)


def _floor(x: float) -> float:
    return float(math.floor(x)) if math.isfinite(x) else x


def _power(a: float, b: float) -> float:
    a, b = float(a), float(b)
    try:
        return math.pow(a, b)
    except OverflowError:
        odd = b == math.floor(b) and math.fmod(b, 2) != 0
        return -INFINITY if a < 0 and odd else INFINITY
    except ValueError:
        if a == 0 and b < 0:
            odd = b == math.floor(b) and math.fmod(b, 2) != 0
            return math.copysign(INFINITY, a) if odd else INFINITY
        return NAN


def _multiply(a: float, b: float) -> float:
    return float(a) * float(b)


_ARITHMETIC = {
    "add": lambda a, b: float(a) + float(b),
    "sub": lambda a, b: float(a) - float(b),
    "mul": _multiply,
    "div": _divide,
    "floordiv": lambda a, b: _floor(_divide(a, b)),
    "mod": lambda a, b: float(a) - float(b) * _floor(_divide(a, b)),
    "pow": _power,
}
_COMPARISONS = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


def _least(a: float, b: float) -> float:
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return NAN
    return a if a <= b else b


def _greatest(a: float, b: float) -> float:
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return NAN
    return a if a >= b else b


_COMBINATIONS = {
    "sum": _ARITHMETIC["add"],
    "product": _ARITHMETIC["mul"],
    "min": _least,
    "max": _greatest,
}


def _reduce(op: str, items: list[Any]) -> Any:
    if op == "any":
        return any(bool(item) for item in items)
    if op == "all":
        return all(bool(item) for item in items)
    if op == "count":
        return float(sum(1 for item in items if item))
    result = float(items[0])
    for item in items[1:]:
        result = _COMBINATIONS["sum" if op == "mean" else op](result, item)
    return result / len(items) if op == "mean" else result


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INFINITY


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -INFINITY if x == 0 else NAN


def _log_sigmoid(x: float) -> float:
    if math.isnan(x):
        return NAN
    return min(x, 0.0) - math.log1p(_exp(-abs(x)))


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + _exp(-x))
    return _exp(x) / (1 + _exp(x))


def _sign(x: float) -> float:
    return NAN if math.isnan(x) else float((x > 0) - (x < 0))


def _arctanh(x: float) -> float:
    if abs(x) == 1:
        return math.copysign(INFINITY, x)
    return math.atanh(x) if abs(x) < 1 else NAN


_FUNCTIONS = {
    "abs": lambda x: abs(float(x)),
    "sign": lambda x: _sign(float(x)),
    "floor": lambda x: _floor(float(x)),
    "ceil": lambda x: 0.0 - _floor(-float(x)),
    "exp": lambda x: _exp(float(x)),
    "log": lambda x: _log(float(x)),
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else NAN,
    "tanh": lambda x: math.tanh(x),
    "sigmoid": lambda x: _sigmoid(float(x)),
    "log_sigmoid": lambda x: _log_sigmoid(float(x)),
    "sin": lambda x: math.sin(x) if math.isfinite(x) else NAN,
    "cos": lambda x: math.cos(x) if math.isfinite(x) else NAN,
    "arctanh": lambda x: _arctanh(float(x)),
}
"""Every elementwise function by its IEEE 754 meaning."""
