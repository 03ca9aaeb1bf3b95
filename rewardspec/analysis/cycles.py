"""Loops of a machine whose payments add up to more than nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rewardspec.ir.machine import reachable
from rewardspec.ir.program import Edge, Machine

Loop = list[tuple[int, Edge]]
"""States in order, each with the edge that leaves it for the next one; the last leads back to the first."""

MAX_WORK = 5_000_000
"""Edges looked at before the search gives up."""

TOLERANCE = 1e-12


def find_positive_cycle(machine: Machine, paid: Sequence[float]) -> Loop | None:
    """Return a loop with a positive sum of payments, or None.

    A loop of one or two steps is preferred: it is the easiest to read.

    Args:
        machine: The machine; loops through terminal states do not count.
        paid: Per output, the most that it pays.

    Source: Bellman and Ford's relaxation for longest paths; a circle of predecessors is a positive cycle
        (Cherkassky and Goldberg, "Negative-cycle detection algorithms", 1999).
    """
    live = sorted(reachable(machine) - machine.terminal)
    edges = [
        (state, edge.target, paid[edge.output], edge)
        for state in live
        for edge in machine.edges[state]
        if edge.target not in machine.terminal
    ]
    if not any(gain > 0 for _, _, gain, _ in edges):
        return None
    short = _short_cycle(edges)
    if short is not None:
        return short
    best = {state: 0.0 for state in live}
    came: dict[int, tuple[int, Edge]] = {}
    for _ in range(min(len(live) + 1, 1 + MAX_WORK // max(1, len(edges)))):
        changed = False
        for state, target, gain, edge in edges:
            if best[state] + gain > best[target] + TOLERANCE:
                best[target] = best[state] + gain
                came[target] = (state, edge)
                changed = True
        if not changed:
            return None
        loop = _circle(came)
        if loop is not None:
            return loop
    return None


def _short_cycle(edges: Sequence[tuple[int, int, float, Edge]]) -> Loop | None:
    """Return the best loop of one step, else the best one of two."""
    best: dict[tuple[int, int], tuple[float, Edge]] = {}
    for state, target, gain, edge in edges:
        if (state, target) not in best or gain > best[state, target][0]:
            best[state, target] = (gain, edge)
    single = [(gain, state, edge) for (state, target), (gain, edge) in best.items() if state == target]
    if single:
        gain, state, edge = max(single, key=lambda item: (item[0], -item[1]))
        if gain > TOLERANCE:
            return [(state, edge)]
    found: tuple[float, Loop] | None = None
    for (state, target), (gain, edge) in best.items():
        if state < target and (target, state) in best:
            back, returning = best[target, state]
            if gain + back > TOLERANCE and (found is None or gain + back > found[0]):
                found = (gain + back, [(state, edge), (target, returning)])
    return found[1] if found else None


def _circle(came: dict[int, tuple[int, Edge]]) -> Loop | None:
    """Return a circle among predecessors, in the direction of the edges, least state first."""
    visited: dict[int, int] = {}
    for start in came:
        state = start
        while state in came and state not in visited:
            visited[state] = start
            state = came[state][0]
        if state in came and visited[state] == start:
            loop: Loop = []
            end = state
            while True:
                before, edge = came[state]
                loop.append((before, edge))
                state = before
                if state == end:
                    break
            loop.reverse()
            first = loop.index(min(loop, key=lambda item: item[0]))
            return loop[first:] + loop[:first]
    return None
