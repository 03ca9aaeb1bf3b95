"""What can be worked out from a machine alone: reachability, distances, values, minimisation, payments."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Edge, Machine
from rewardspec.logic.automaton import distance_to, refine
from rewardspec.logic.diagrams import Diagrams, TooLargeError
from rewardspec.logic.guards import union_of

MAX_CUBES = 1_000_000
"""Cubes up to which the labels are listed that no edge of a state takes."""


def payment(machine: Machine) -> Expr:
    """Return what a machine pays on a step: a table of its constant payments plus its expressions."""
    numbers = tuple(float(expr.value) if isinstance(expr, ir.Const) else 0.0 for expr in machine.payments)
    parts: list[Expr] = []
    if any(numbers):
        parts.append(ir.OutputTable(machine.name, numbers))
    for index, expr in enumerate(machine.payments):
        if not isinstance(expr, ir.Const):
            taken = ir.OutputTable(machine.name, tuple(i == index for i in range(len(numbers))))
            parts.append(ir.Where(taken, expr, ir.ZERO))
    return ir.total(tuple(parts))


def reachable(machine: Machine) -> frozenset[int]:
    """Return the states that some sequence of labels leads to; edges out of terminal states do not count."""
    seen, queue = {machine.start}, deque([machine.start])
    while queue:
        state = queue.popleft()
        if state in machine.terminal:
            continue
        for edge in machine.edges[state]:
            if edge.target not in seen:
                seen.add(edge.target)
                queue.append(edge.target)
    return frozenset(seen)


def distances_to(machine: Machine, goals: Iterable[int]) -> list[int | None]:
    """Return, per state, the least number of edges to one of the goals, None where there is no way."""
    edges = [
        [] if state in machine.terminal else [(e.mask, e.value, e.target) for e in leaving]
        for state, leaving in enumerate(machine.edges)
    ]
    return list(distance_to(edges, goals))


def value_iteration(
    machine: Machine, discount: float, tolerance: float = 1e-7, rounds: int = 10_000
) -> list[float]:
    """Return each state's value when the machine is a decision process whose actions are its edges.

    Staying where no guard holds is an action too (it pays 0). A terminal state is worth 0. Payments that are
    expressions count as 0.

    Source: Toro Icarte et al. (JAIR 73, 2022), section 5.
    """
    values = [0.0] * len(machine.states)
    numbers = [float(p.value) if isinstance(p, ir.Const) else 0.0 for p in machine.payments]
    for _ in range(rounds):
        change = 0.0
        for state, edges in enumerate(machine.edges):
            if state in machine.terminal:
                continue
            best = max(
                (numbers[edge.output] + discount * values[edge.target] for edge in edges),
                default=0.0,
            )
            best = max(best, discount * values[state]) if _has_gap(edges) else best
            change = max(change, abs(best - values[state]))
            values[state] = best
        if change < tolerance:
            break
    return values


def _has_gap(edges: tuple[Edge, ...]) -> bool:
    """Return whether disjoint cubes leave some label uncovered: their sizes do not add up to all labels."""
    bits = max((edge.mask.bit_length() for edge in edges), default=0)
    return sum(1 << (bits - edge.mask.bit_count()) for edge in edges) < 1 << bits


def minimise(machine: Machine, known: Sequence[Hashable] | None = None) -> tuple[Machine, list[int]]:
    """Return the smallest machine with the same payments, ends and acceptance on every sequence of labels.

    Where the guards are too large to compare, unreachable states are dropped and none are merged.

    Args:
        machine: The machine.
        known: Per state, what else must stay apart (values of tables over its states).

    Returns:
        The machine, and for each of its states one state of the given machine that it stands for. A state that
        stands for several has their names, joined by `|`.
    """
    kept = sorted(reachable(machine))
    index = {state: i for i, state in enumerate(kept)}
    leaving = [() if u in machine.terminal else machine.edges[u] for u in kept]
    edges = [[(e.mask, e.value, index[e.target], e.output) for e in out] for out in leaving]
    # How an episode ended is worth telling: terminal states stay apart even where they pay alike.
    initial = [
        (u if u in machine.terminal else None, u in machine.accepting, None if known is None else known[u])
        for u in kept
    ]
    try:
        stays = [[(m, v, i, 0) for m, v in uncovered(out)] for i, out in enumerate(leaving)]
        classes = refine(len(kept), [a + b for a, b in zip(edges, stays, strict=True)], initial)
    except TooLargeError:
        classes = list(range(len(kept)))
    groups: dict[int, list[int]] = {}
    for i, number in enumerate(classes):
        groups.setdefault(number, []).append(kept[i])
    members = sorted(groups.values())
    number_of = {state: i for i, group in enumerate(members) for state in group}
    first = [group[0] for group in members]
    small = replace(
        machine,
        states=tuple("|".join(machine.states[u] for u in group) for group in members),
        start=number_of[machine.start],
        edges=tuple(
            ()
            if u in machine.terminal
            else tuple(
                Edge(e.mask, e.value, number_of[e.target], e.output)
                for e in machine.edges[u]
                if not (number_of[e.target] == i and e.output == 0)
            )
            for i, u in enumerate(first)
        ),
        terminal=frozenset(i for i, u in enumerate(first) if u in machine.terminal),
        accepting=frozenset(i for i, u in enumerate(first) if u in machine.accepting),
    )
    return small, first


def uncovered(edges: tuple[Edge, ...]) -> list[tuple[int, int]]:
    """Return disjoint cubes for the labels that no edge takes; raise `TooLargeError` where there are too many."""
    if not edges:
        return [(0, 0)]
    if not _has_gap(edges):
        return []
    diagrams = Diagrams()
    covered = union_of(diagrams, [(edge.mask, edge.value) for edge in edges])
    return [
        (mask, value)
        for mask, value, bottom in diagrams.paths(covered, MAX_CUBES)
        if bottom == Diagrams.FALSE
    ]
