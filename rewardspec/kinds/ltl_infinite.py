"""The infinite semantics of kind `ltl`: a deterministic (generalised) Buechi automaton that pays by a scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import payment
from rewardspec.ir.program import Edge, Machine, Verdict
from rewardspec.logic.automaton import Verdict as LogicVerdict
from rewardspec.logic.formula import Formula
from rewardspec.logic.infinite import OmegaMonitor, advance_frontier, compile_infinite, omega_verdicts
from rewardspec.lowering import Scope

if TYPE_CHECKING:
    from rewardspec.kinds.ltl import Ltl

MAX_STATES = 20_000
"""States that an automaton may have once it remembers which acceptance sets are still to be visited."""

MAX_EDGES = 100_000
"""Edges that it may have; `G F a & G F b & ...` needs about 4 times as many for each further set."""


def lower_infinite(term: Ltl, formula: Formula, scope: Scope) -> Expr:
    """Return the payment on infinite words; declares one machine, its verdict and the end on violation for good."""
    from rewardspec.kinds.ltl import progress

    monitor = compile_infinite(formula)
    scope.discount("`semantics: infinite`", "semantics")
    machine, origins = with_frontier(
        monitor, term.scheme or "frontier", term.accept, scope.unique("", scope.draft.machines)
    )
    scope.machine(machine)
    verdicts = omega_verdicts(monitor)
    numbers = {LogicVerdict.VIOLATED_FOR_GOOD: 0, LogicVerdict.SATISFIED_FOR_GOOD: 3, None: 1}
    table = tuple(numbers[verdicts[state]] for state in origins)
    scope.verdict(Verdict(scope.owner, (machine.name,), "and", (table,), infinite=True))
    violated = ir.StateTable(machine.name, tuple(value == 0 for value in table))
    scope.end(violated)
    paid = ir.Where(violated, ir.Const(term.reject), payment(machine))
    return ir.total((paid, *progress(term, [machine], scope)))


def with_frontier(monitor: OmegaMonitor, scheme: str, accept: float, name: str) -> tuple[Machine, list[int]]:
    """Return the automaton with the accepting frontier in its states, and each state's automaton state.

    An edge pays `accept` when it takes marks off the frontier (`frontier`), or only when it takes off the last one and
    a new round begins (`every_visit`). `accepting` are the states that a paying edge leads to.
    """
    every = (1 << monitor.n_marks) - 1
    start = (monitor.start, every)
    number = {start: 0}
    order = [start]
    edges: list[tuple[Edge, ...]] = []
    accepting: set[int] = set()
    n_edges = 0
    for state, frontier in order:  # grows while it is walked: breadth first
        leaving: list[Edge] = []
        for mask, value, target, marks in monitor.edges[state]:
            rest, hit = advance_frontier(frontier, marks, monitor.n_marks)
            pays = hit if scheme == "frontier" else hit and rest == every
            key = (target, rest)
            if key not in number:
                if len(order) >= MAX_STATES:
                    raise _too_large(f"{MAX_STATES} states")
                number[key] = len(order)
                order.append(key)
            if pays:
                accepting.add(number[key])
            if pays or number[key] != number[state, frontier]:
                leaving.append(Edge(mask, value, number[key], int(pays)))
        edges.append(tuple(leaving))
        n_edges += len(leaving)
        if n_edges > MAX_EDGES:
            raise _too_large(f"{MAX_EDGES} edges")
    machine = Machine(
        name=name,
        propositions=monitor.propositions,
        states=tuple(f"q{i}" for i in range(len(order))),
        start=0,
        edges=tuple(edges),
        payments=(ir.ZERO, ir.Const(accept)),
        accepting=frozenset(accepting),
    )
    return machine, [state for state, _ in order]


def _too_large(what: str) -> FormulaError:
    return FormulaError(
        "formula-too-large",
        f"with its acceptance sets remembered the automaton has more than {what}",
        hints=("split it into several 'ltl' terms: each 'G F a' of its own is small, and is paid by itself",),
    )
