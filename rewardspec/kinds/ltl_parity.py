"""The infinite semantics of kind `ltl` for every formula: scheme `parity`.

A deterministic parity automaton says by its greatest recurring priority whether a word satisfies the formula. The
scheme pays that out of a *stake*, a memory that is 1 at the start of an episode. Each visit to a priority takes a
share of what is left of it: paid as `accept` when the priority is even, as `reject` when it is odd. Where the formula
is decided for good, the rest is paid at once. With n priorities and d = 1 - discount, the share of the i-th lowest
(i = 0 .. n - 1) is d^((n - i) / (n + 1)): with discount 0.999 and two priorities 0.01 and 0.1.

Why this is right in the limit (derived here; the sources give the idea). In a finite world, under a policy with
finite memory, the play ends in a recurrent class with a top priority p. The scales d << share_0 << share_1 << ... <<
1 separate as d goes to 0, their ratios being d^(1 / (n + 1)). (1) Before the class is reached, finitely many visits
on average take a part of the stake that vanishes, and so does what the discount takes. (2) In the class, each visit
to p takes about share_p, and what the finitely many visits to lower priorities between two of them take is smaller by
the ratio of the scales: of the stake all but a vanishing part goes to p's side, in about 1 / share_p visits, which are
early against 1 / d steps. So the discounted return goes to accept * P(satisfied) + reject * P(violated), with errors
of the order of d^(1 / (n + 1)) times numbers that depend on the world. Optimal policies need no more memory than the
automaton's state, and there are finitely many such policies, so for a discount close enough to 1 a policy of greatest
return satisfies the formula with the greatest probability. How close depends on the world.

The stake is a common factor of all that is still to be paid: a policy need not know it, its value function must.

Source: Hahn, Perez, Schewe, Somenzi, Trivedi and Wojtczak, "Model-free reinforcement learning for stochastic parity
games" (CONCUR 2020), reduce parity to reachability with a parameter that goes to 0, where a play is ended at random;
Bozkurt, Wang, Zavlanos and Pajic, "Control synthesis from linear temporal logic specifications using model-free
reinforcement learning" (ICRA 2020), discount by the state instead, for Buechi conditions. Deviation: the expected
payment in place of a random end, for every priority, and shares worked out from the discount.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import MAX_MACHINE_PROPOSITIONS, Edge, Machine
from rewardspec.kinds.ltl_machines import declare_verdict, distances, progress
from rewardspec.logic.automaton import Verdict
from rewardspec.logic.formula import Formula
from rewardspec.logic.parity import NONE, ParityMonitor, compile_parity, parity_verdicts
from rewardspec.lowering import Scope

if TYPE_CHECKING:
    from rewardspec.kinds.ltl import Ltl

UNDISCOUNTED = 0.999
"""The discount from which shares are worked out where the spec's is 1."""


def lower_parity(term: Ltl, formula: Formula, scope: Scope) -> Expr:
    """Return the payment out of the stake; declares one machine, the stake, the verdict and the end."""
    # An odd visit without a priority would escape its `reject`.
    monitor = compile_parity(formula, coloured=term.reject != 0)
    verdicts = parity_verdicts(monitor)
    counted = sorted(
        {p for s, found in enumerate(verdicts) if found is None for *_, p in monitor.edges[s]} - {NONE}
    )
    taken = shares(len(counted), scope.spec.discount or UNDISCOUNTED)
    paid = [0.0, *((term.reject if p % 2 else term.accept) * t for p, t in zip(counted, taken, strict=True))]
    left = [1.0, *(round(1.0 - t, 15) for t in taken)]
    outputs: dict[int | Verdict, int] = {p: i for i, p in enumerate(counted, 1)}
    for verdict, amount in (
        (Verdict.SATISFIED_FOR_GOOD, term.accept),
        (Verdict.VIOLATED_FOR_GOOD, term.reject),
    ):
        if verdict in verdicts and amount:
            outputs[verdict] = len(paid)
            paid.append(amount)
            left.append(0.0)
    machine = parity_machine(monitor, verdicts, outputs, paid, scope)
    scope.machine(machine)
    declare_verdict([machine], [verdicts], scope)  # what violation pays is on the edges that lead there

    def remains(before: Expr) -> Expr:
        return ir.Binary("mul", before, ir.OutputTable(machine.name, tuple(left)))

    stake, _ = scope.fold("stake", 1.0, remains, low=0.0, high=1.0)
    payment = ir.Binary("mul", stake, ir.OutputTable(machine.name, tuple(paid)))
    return ir.total((payment, *progress(term, [machine], distances([machine]), scope)))


def shares(count: int, discount: float) -> list[float]:
    """Return the shares of the stake that visits to each of `count` priorities take, lowest priority first.

    Example:
        >>> shares(2, 0.999), shares(1, 0.99)
        ([0.01, 0.1], [0.1])
    """
    ratio = 1 / scale_ratio(count, discount)
    return [float(f"{ratio ** (count - i):.6g}") for i in range(count)]


def scale_ratio(count: int, discount: float) -> float:
    """Return how many times as much each of `count` priorities takes as the one below.

    Example:
        >>> round(scale_ratio(2, 0.999)), round(scale_ratio(3, 0.99), 1)
        (10, 3.2)
    """
    spare = 1.0 - (discount if discount < 1 else UNDISCOUNTED)
    return float(spare ** (-1 / (count + 1)))


def parity_machine(
    monitor: ParityMonitor,
    verdicts: Sequence[Verdict | None],
    outputs: Mapping[int | Verdict, int],
    paid: Sequence[float],
    scope: Scope,
) -> Machine:
    """Return the automaton as a machine; `outputs` numbers the priorities and final verdicts, which pay `paid`."""
    if len(monitor.propositions) > MAX_MACHINE_PROPOSITIONS:
        raise FormulaError(
            "too-many-propositions",
            f"the formula reads {len(monitor.propositions)} propositions; the limit is {MAX_MACHINE_PROPOSITIONS}",
        )
    edges: list[tuple[Edge, ...]] = []
    accepting: set[int] = set()
    for state, leaving in enumerate(monitor.edges):
        found: list[Edge] = []
        for mask, value, target, priority in leaving:
            verdict = verdicts[target]
            output = outputs.get(priority if verdict is None else verdict, 0)
            if verdicts[state] is not None and state != monitor.start:
                output = 0  # paid on the way in, and nothing is left
            if verdict.is_satisfied if verdict else bool(output) and priority % 2 == 0:
                accepting.add(target)
            if output or target != state:
                found.append(Edge(mask, value, target, output))
        edges.append(tuple(found))
    return Machine(
        name=scope.unique("", scope.draft.machines),
        propositions=monitor.propositions,
        states=tuple(f"q{i}" for i in range(len(edges))),
        start=monitor.start,
        edges=tuple(edges),
        payments=tuple(ir.Const(number) for number in paid),
        accepting=frozenset(accepting),
        place=scope.at("formula"),
    )
