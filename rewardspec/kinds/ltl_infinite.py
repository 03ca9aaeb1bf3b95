"""The infinite semantics of kind `ltl`: which automaton watches a formula, and the frontier held in one machine.

The schemes: `frontier` and `every_visit` for deterministic (generalised) Buechi automata, in one machine (here) or in
one per conjunct (`ltl_factors`); `parity` for every formula (`ltl_parity`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import payment
from rewardspec.ir.program import Edge, Machine
from rewardspec.kinds.ltl_factors import lower_factors
from rewardspec.kinds.ltl_machines import declare_verdict, distances, progress
from rewardspec.kinds.ltl_parity import lower_parity
from rewardspec.logic.formula import Formula
from rewardspec.logic.infinite import OmegaMonitor, advance_frontier, compile_factors, omega_verdicts
from rewardspec.lowering import Scope

if TYPE_CHECKING:
    from rewardspec.kinds.ltl import Ltl

MAX_STATES = 20_000
"""States that an automaton may have once it remembers which acceptance sets are still to be visited."""

MAX_EDGES = 100_000
"""Edges that it may have."""


def lower_infinite(term: Ltl, formula: Formula, scope: Scope) -> Expr:
    """Return the payment on infinite words; declares machines, their verdict and the end on violation for good."""
    scope.discount("`semantics: infinite`", "semantics")
    if term.scheme == "parity":
        return lower_parity(term, formula, scope)
    try:
        factors = compile_factors(formula)
    except FormulaError as error:
        if error.code != "not-deterministic" or term.scheme is not None:
            raise
        return lower_parity(term, formula, scope)
    if len(factors) > 1:
        return lower_factors(term, factors, scope)
    return _lower_joint(term, factors[0], scope)


def _lower_joint(term: Ltl, monitor: OmegaMonitor, scope: Scope) -> Expr:
    """Return the payment by one machine, which holds the accepting frontier in its states."""
    machine, origins = with_frontier(
        monitor, term.scheme or "frontier", term.accept, scope.unique("", scope.draft.machines)
    )
    machine = replace(machine, place=scope.at("formula"))
    scope.machine(machine)
    verdicts = omega_verdicts(monitor)
    violated = declare_verdict([machine], [[verdicts[state] for state in origins]], scope)
    paid = ir.Where(violated, ir.Const(term.reject), payment(machine))
    return ir.total((paid, *progress(term, [machine], distances([machine]), scope)))


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
        hints=(
            "Conjuncts that share no propositions are kept apart and stay small: let them share none,",
            "or split the formula into several 'ltl' terms, each of which is then paid by itself.",
        ),
    )
