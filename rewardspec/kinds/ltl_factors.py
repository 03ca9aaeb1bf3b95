"""The infinite semantics of kind `ltl`, one small machine per conjunct: `G F a0 & ... & G F a29` is 30 machines.

Each machine remembers which marks of its own were seen in this round. A proposition of the term's own, `round`, is
true on the first step of a new round, all marks having been seen before it; every machine reads it and begins anew.
Where some conjunct must first be brought to where it can hold for ever (`F d`), nothing is paid or remembered before
that: a second proposition, `armed`, says when. The payments are those of the one machine for the whole formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import MAX_MACHINE_PROPOSITIONS, Edge, Machine
from rewardspec.kinds.ltl_machines import declare_verdict, distances, progress
from rewardspec.logic.automaton import Verdict
from rewardspec.logic.infinite import OmegaMonitor, homes, omega_verdicts, watched_marks
from rewardspec.lowering import Scope

if TYPE_CHECKING:
    from rewardspec.kinds.ltl import Ltl

MAX_MARKS = 10
"""Marks that one factor may have: its machine remembers each subset of them."""


@dataclass(frozen=True)
class Watcher:
    """A factor's machine and what its states stand for.

    Attributes:
        machine: Output 1 is that of edges on which a mark is seen for the first time in a round.
        origins: Per machine state, the automaton's state.
        full: Per machine state, whether all marks of this round have been seen.
        watches: Whether there are marks to wait for.
    """

    machine: Machine
    origins: tuple[int, ...]
    full: tuple[bool, ...]
    watches: bool


def lower_factors(term: Ltl, factors: Sequence[OmegaMonitor], scope: Scope) -> Expr:
    """Return the payment of a conjunction by the accepting frontier; declares a machine per factor."""
    verdicts = [omega_verdicts(factor) for factor in factors]
    at_home = [homes(factor) for factor in factors]
    waits = [
        any(s not in home and v is not Verdict.VIOLATED_FOR_GOOD for s, v in enumerate(found))
        for home, found in zip(at_home, verdicts, strict=True)
    ]
    begins = scope.unique("round", scope.draft.propositions)
    armed = scope.unique("armed", scope.draft.propositions) if any(waits) else ""
    watchers: list[Watcher] = []
    for number, factor in enumerate(factors, 1):
        name = scope.unique(f"factor_{number}", scope.draft.machines)
        watcher = watch(factor, name, begins, armed, scope)
        scope.machine(watcher.machine)
        watchers.append(watcher)

    place = scope.at("formula")
    ready = ir.conjunction(
        tuple(
            ir.StateTable(w.machine.name, tuple(u in home for u in w.origins), after=False)
            for w, home, wait in zip(watchers, at_home, waits, strict=True)
            if wait
        )
    )
    complete = [(w.machine.name, w.full) for w in watchers if w.watches]
    if complete:
        seen = tuple(ir.StateTable(name, full, after=False) for name, full in complete)
        scope.proposition(begins, ir.conjunction(seen), place)
        if armed:
            scope.proposition(armed, ready, place)
    hit: Expr = ir.disjunction(tuple(ir.OutputTable(name, (False, True)) for name, _ in complete))
    if not complete:  # nothing to wait for again and again: each step is as good as the next
        hit = ready
    elif term.scheme == "every_visit":
        hit = ir.conjunction((hit, *(ir.StateTable(name, full) for name, full in complete)))
    machines = [watcher.machine for watcher in watchers]
    violated = declare_verdict(
        machines,
        [[found[u] for u in w.origins] for w, found in zip(watchers, verdicts, strict=True)],
        scope,
    )
    paid = ir.Where(violated, ir.Const(term.reject), ir.Where(hit, ir.Const(term.accept), ir.ZERO))
    return ir.total((paid, *progress(term, machines, distances(machines), scope)))


def watch(factor: OmegaMonitor, name: str, begins: str, armed: str, scope: Scope) -> Watcher:
    """Return the machine of a factor that remembers which of its marks were seen in this round.

    Args:
        factor: The automaton.
        name: The machine's name.
        begins: The proposition that is true on the first step of a round.
        armed: The proposition that marks count on this step; empty where they always do.
        scope: The surroundings of the term.
    """
    n_marks = watched_marks(factor)
    if n_marks > MAX_MARKS:
        raise FormulaError(
            "formula-too-large",
            f"conjuncts that share propositions ask for {n_marks} things again and again, more than {MAX_MARKS}",
            hints=("Split the formula into several 'ltl' terms, each of which is then paid by itself.",),
        )
    propositions = factor.propositions
    if n_marks:
        propositions = (*propositions, begins, *((armed,) if armed else ()))
    if len(propositions) > MAX_MACHINE_PROPOSITIONS:
        raise FormulaError(
            "too-many-propositions",
            f"one factor of the formula reads {len(propositions)} propositions; the limit is "
            f"{MAX_MACHINE_PROPOSITIONS}",
        )
    bits = 1 << len(factor.propositions), (2 << len(factor.propositions) if armed and n_marks else 0)
    every = (1 << n_marks) - 1
    number = {(factor.start, 0): 0}
    order = [(factor.start, 0)]
    edges: list[tuple[Edge, ...]] = []
    for state, seen in order:  # grows while it is walked
        leaving: list[Edge] = []
        for mask, value, target, marks in factor.edges[state]:
            for more, held, then, hit in _cases(seen, marks & every, every, *bits):
                if (target, then) not in number:
                    number[target, then] = len(order)
                    order.append((target, then))
                if hit or (target, then) != (state, seen):
                    leaving.append(Edge(mask | more, value | held, number[target, then], int(hit)))
        edges.append(tuple(leaving))
    home = homes(factor)
    machine = Machine(
        name=name,
        propositions=propositions,
        states=tuple(_name_state(state, seen, len(factor), n_marks) for state, seen in order),
        start=0,
        edges=tuple(edges),
        payments=(ir.ZERO, ir.ZERO),
        accepting=frozenset(number[s, seen] for s, seen in order if s in home and seen == every),
        place=scope.at("formula"),
    )
    return Watcher(machine, tuple(s for s, _ in order), tuple(k == every for _, k in order), n_marks > 0)


def _cases(seen: int, marks: int, every: int, begins: int, armed: int) -> list[tuple[int, int, int, bool]]:
    """Return what the bits `begins` and `armed` of a label make of marks: `(mask, value, seen next, hit)`.

    Args:
        seen: The marks seen in this round.
        marks: Those on the edge.
        every: All marks; 0 where there are none to wait for.
        begins: The bit that is 1 on the first step of a round.
        armed: The bit that is 1 where marks count; 0 where there is no such bit.
    """
    if every and seen == every:
        stays = [(begins, 0, seen, False)]
        if armed:
            stays.append((begins | armed, begins, seen, False))
        return [*stays, (begins | armed, begins | armed, marks, bool(marks))]
    if not marks & ~seen:
        return [(0, 0, seen, False)]
    unarmed = [(armed, 0, seen, False)] if armed else []
    return [*unarmed, (armed, armed, seen | marks, True)]


def _name_state(state: int, seen: int, n_states: int, n_marks: int) -> str:
    """Return `wanted` or `seen` for a factor of one state and one mark, else `q1`, `q1_seen`, `q1_seen_1_3`."""
    if n_states == 1 and n_marks == 1:
        return "seen" if seen else "wanted"
    if n_marks <= 1:
        return f"q{state}_seen" if seen and n_marks else f"q{state}"
    return "_".join(
        [f"q{state}", *(["seen"] if seen else []), *(str(k + 1) for k in range(n_marks) if seen >> k & 1)]
    )
