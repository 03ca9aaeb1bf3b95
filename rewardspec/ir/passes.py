"""Passes: functions from a program to a program that means the same.

`PASSES` is the tuple that the compiler applies, in this order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import minimise
from rewardspec.ir.program import Machine, Program, Term


def fold_constants(program: Program) -> Program:
    """Replace operations on constants by their value, and drop neutral operands."""
    return _rewrite(program, simplify)


def _rewrite(program: Program, change: Callable[[Expr], Expr]) -> Program:
    return map_expressions(program, lambda expr: ir.rewrite(expr, change))


def map_expressions(program: Program, every: Callable[[Expr], Expr]) -> Program:
    """Return the program with a function applied to each expression that a step evaluates."""
    return replace(
        program,
        propositions=tuple(replace(p, expr=every(p.expr)) for p in program.propositions),
        folds=tuple(replace(f, update=every(f.update)) for f in program.folds),
        sets=tuple(
            replace(s, item=every(s.item), first=None if s.first is None else every(s.first))
            for s in program.sets
        ),
        ends=tuple(replace(e, when=every(e.when)) for e in program.ends),
        terms=tuple(replace(t, expr=every(t.expr)) for t in program.terms),
        futures=tuple((name, every(expr)) for name, expr in program.futures),
        learned=tuple(
            replace(
                learned,
                inputs=None if learned.inputs is None else tuple(map(every, learned.inputs)),
                measures=tuple((name, every(expr)) for name, expr in learned.measures),
            )
            for learned in program.learned
        ),
    )


def simplify(node: Expr) -> Expr:
    """Return a simpler expression with the same value, given that the operands are simple already.

    Nothing here may hide a NaN: `0 * x` stays, since x may be infinite.
    """
    match node:
        case ir.Unary("not", ir.Const(value)):
            return ir.Const(not value)
        case ir.Unary("neg", ir.Const(value)):
            return ir.Const(-float(value))
        case ir.Unary("not", ir.Unary("not", x)):
            return x
        case ir.Unary("not", ir.StateTable(machine, values, after)):
            return ir.StateTable(machine, tuple(not value for value in values), after)
        case ir.Unary("not", ir.OutputTable(machine, values)):
            return ir.OutputTable(machine, tuple(not value for value in values))
        case ir.Binary(op, ir.Const(a), ir.Const(b)):
            return _constant(op, float(a), float(b)) or node
        case ir.Binary("mul", ir.Const(1.0), x) | ir.Binary("mul", x, ir.Const(1.0)) if not ir.is_boolean(x):
            return x
        case ir.Binary("add", ir.Const(value), x) | ir.Binary("add", x, ir.Const(value)) if (
            value == 0 and not ir.is_boolean(x)
        ):
            return x
        case ir.Binary("sub", x, ir.Const(value)) if value == 0 and not ir.is_boolean(x):
            return x
        case ir.Where(ir.Const(value), a, b):
            return a if value else b
        case ir.Where(_, a, b) if a == b:
            return a
        case ir.Logic(op, args):
            return _logic(op, args)
        case ir.Combine("sum", args):
            return _sum(args)
        case ir.StateTable(_, values) if len(set(map(repr, values))) == 1:
            return ir.Const(values[0])
        case ir.OutputTable(_, values) if len(set(map(repr, values))) == 1:
            return ir.Const(values[0])
    return node


def _constant(op: str, a: float, b: float) -> Expr | None:
    try:
        value = {"add": a + b, "sub": a - b, "mul": a * b, "div": a / b if b else math.nan}.get(op, math.nan)
    except OverflowError:
        return None
    return ir.Const(value) if math.isfinite(value) else None


def _logic(op: str, args: tuple[Expr, ...]) -> Expr:
    absorbing, neutral = (ir.FALSE, ir.TRUE) if op == "and" else (ir.TRUE, ir.FALSE)
    flat: dict[Expr, None] = {}
    for arg in args:
        flat.update(dict.fromkeys(arg.args if isinstance(arg, ir.Logic) and arg.op == op else (arg,)))
    if absorbing in flat:
        return absorbing
    kept = tuple(arg for arg in flat if arg != neutral)
    if len(kept) <= 1:
        return kept[0] if kept else neutral
    return ir.Logic(op, kept)  # type: ignore[arg-type]


def _sum(args: tuple[Expr, ...]) -> Expr:
    flat: list[Expr] = []
    for arg in args:
        flat.extend(arg.args if isinstance(arg, ir.Combine) and arg.op == "sum" else (arg,))
    kept = tuple(arg for arg in flat if not (isinstance(arg, ir.Const) and arg.value == 0))
    if len(kept) == 1 and ir.is_boolean(kept[0]):
        kept = (*kept, ir.ZERO)
    return ir.total(kept)


def minimise_machines(program: Program) -> Program:
    """Merge machine states that no trace can tell apart, as far as tables over the states agree too."""
    tables: dict[str, list[tuple[float | bool, ...]]] = {}
    for root in program.roots():
        for node in ir.walk(root):
            if isinstance(node, ir.StateTable):
                tables.setdefault(node.machine, []).append(node.values)
    for verdict in program.verdicts:
        for name, table in zip(verdict.machines, verdict.tables, strict=True):
            tables.setdefault(name, []).append(table)
    machines: list[Machine] = []
    kept: dict[str, list[int]] = {}
    for machine in program.machines:
        known = list(zip(*tables[machine.name], strict=True)) if machine.name in tables else None
        small, classes = minimise(machine, known)
        machines.append(small)
        kept[machine.name] = classes

    def shrink(values: tuple[float | bool, ...], machine: str) -> tuple[float | bool, ...]:
        return tuple(values[state] for state in kept[machine])

    def change(node: Expr) -> Expr:
        if isinstance(node, ir.StateTable):
            return ir.StateTable(node.machine, shrink(node.values, node.machine), node.after)
        return node

    program = _rewrite(replace(program, machines=tuple(machines)), change)
    verdicts = tuple(
        replace(
            verdict,
            tables=tuple(
                tuple(int(v) for v in shrink(table, name))
                for name, table in zip(verdict.machines, verdict.tables, strict=True)
            ),
        )
        for verdict in program.verdicts
    )
    return replace(program, verdicts=verdicts)


def drop_unread(program: Program) -> Program:
    """Drop what nothing reads of machines, memory and parameters: a fold that only folds like it read is unread."""
    updates = {fold.name: fold.update for fold in program.folds}
    added = {s.name: [e for e in (s.item, s.first) if e is not None] for s in program.sets}
    todo = list(replace(program, folds=(), sets=()).roots())
    folds: set[str] = set()
    sets: set[str] = set()
    machines = {name for verdict in program.verdicts for name in verdict.machines}
    params: set[str] = set()
    while todo:
        for node in ir.walk(todo.pop()):
            match node:
                case ir.Memory(name) if name not in folds:
                    folds.add(name)
                    todo.append(updates[name])
                case ir.Gain(name) if name not in sets:
                    sets.add(name)
                    todo.extend(added[name])
                case ir.StateTable(name) | ir.OutputTable(name):
                    machines.add(name)
                case ir.Param(name):
                    params.add(name)
    return replace(
        program,
        machines=tuple(m for m in program.machines if m.name in machines),
        folds=tuple(f for f in program.folds if f.name in folds),
        sets=tuple(s for s in program.sets if s.name in sets),
        params=tuple(p for p in program.params if p.name in params),
    )


def drop_unread_propositions(program: Program) -> Program:
    """Drop propositions that no machine, term, memory or end reads, directly or through another proposition."""
    known = {p.name: p for p in program.propositions}
    todo = list(replace(program, propositions=()).roots())
    waiting = [name for machine in program.machines for name in machine.propositions]
    read: set[str] = set()
    while todo or waiting:
        while todo:
            waiting.extend(node.name for node in ir.walk(todo.pop()) if isinstance(node, ir.Holds))
        name = waiting.pop() if waiting else ""
        if name in known and name not in read:
            read.add(name)
            todo.append(known[name].expr)
    return replace(program, propositions=tuple(p for p in program.propositions if p.name in read))


def drop_false_ends(program: Program) -> Program:
    """Drop ends whose condition can never hold."""
    return replace(program, ends=tuple(dict.fromkeys(end for end in program.ends if end.when != ir.FALSE)))


def keep_terms_numeric(program: Program) -> Program:
    """Make a term that is a truth value pay 1 or 0."""

    def numeric(term: Term) -> Term:
        if ir.is_boolean(term.expr):
            return replace(term, expr=ir.Where(term.expr, ir.ONE, ir.ZERO))
        return term

    return replace(program, terms=tuple(numeric(term) for term in program.terms))


PASSES = (
    fold_constants,
    minimise_machines,
    fold_constants,
    drop_false_ends,
    drop_unread,
    keep_terms_numeric,
)
"""The passes in the order in which the compiler applies them."""
