"""What both semantics of kind `ltl` make of their automata: machines, a verdict on infinite words, `progress`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import MAX_MACHINE_PROPOSITIONS, Edge, Machine, Verdict
from rewardspec.kinds.potential import goal_distances, shaped
from rewardspec.logic import automaton as automata
from rewardspec.logic.factors import remoteness
from rewardspec.lowering import Scope

if TYPE_CHECKING:
    from rewardspec.kinds.ltl import Ltl


def from_automaton(name: str, automaton: automata.Automaton, scope: Scope) -> Machine:
    """Return an automaton as a machine that pays nothing; self-loops are left out."""
    if len(automaton.propositions) > MAX_MACHINE_PROPOSITIONS:
        raise FormulaError(
            "too-many-propositions",
            f"one factor of the formula reads {len(automaton.propositions)} propositions; "
            f"the limit is {MAX_MACHINE_PROPOSITIONS}",
        )
    edges = tuple(
        tuple(Edge(mask, value, target) for mask, value, target in leaving if target != state)
        for state, leaving in enumerate(automaton.edges)
    )
    return Machine(
        name=name,
        propositions=automaton.propositions,
        states=tuple(f"q{i}" for i in range(len(edges))),
        start=automaton.start,
        edges=edges,
        payments=(ir.ZERO,),
        accepting=automaton.accepting,
        place=scope.at("formula"),
    )


def progress(
    term: Ltl, machines: Sequence[Machine], far: Sequence[Sequence[Fraction]], scope: Scope
) -> tuple[Expr, ...]:
    """Return the shaping by distance to acceptance, one potential per machine.

    Args:
        term: The term.
        machines: The machines of the formula.
        far: Per machine, per state, how far it is from acceptance: `remoteness`.
        scope: The surroundings of the term.
    """
    if not term.progress:
        return ()
    discount = scope.discount("`progress`", "progress")
    shaping: list[Expr] = []
    for machine, shares in zip(machines, far, strict=True):
        values = tuple(-term.progress * float(share) for share in shares)
        after = ir.StateTable(machine.name, values, after=True)
        before = ir.StateTable(machine.name, values, after=False)
        shaping.append(shaped(discount, after, before))
    return tuple(shaping)


def distances(machines: Sequence[Machine]) -> tuple[tuple[Fraction, ...], ...]:
    """Return, per machine, per state, how far it is from acceptance or from its best payment."""
    return remoteness([goal_distances(machine) for machine in machines])


def declare_verdict(
    machines: Sequence[Machine], verdicts: Sequence[Sequence[automata.Verdict | None]], scope: Scope
) -> Expr:
    """Declare the verdict of a formula and the end on violation for good; return whether that is so.

    Args:
        machines: The machines of the formula's conjuncts.
        verdicts: Per machine, per state: what is decided for good there, None where nothing is.
        scope: The surroundings of the term.
    """
    numbers = {automata.Verdict.VIOLATED_FOR_GOOD: 0, automata.Verdict.SATISFIED_FOR_GOOD: 3, None: 1}
    tables = tuple(tuple(numbers[verdict] for verdict in found) for found in verdicts)
    names = tuple(machine.name for machine in machines)
    scope.verdict(Verdict(scope.owner, names, "and", tables, infinite=True))
    violated = ir.disjunction(
        tuple(
            ir.StateTable(name, tuple(value == 0 for value in table))
            for name, table in zip(names, tables, strict=True)
            if 0 in table
        )
    )
    scope.end(violated)
    return violated
