"""Strongly connected components: where a run of an automaton can stay for ever, and what it may see there."""

from __future__ import annotations

from collections.abc import Sequence


def components(successors: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[list[int], int]]:
    """Return the strongly connected components that hold a cycle, each with the union of its inner edges' marks.

    Tarjan's algorithm with an explicit stack.

    Args:
        successors: Per state its edges, as `(next state, marks)`; marks are bits.

    Example:
        >>> components([[(1, 0b1)], [(0, 0b10), (2, 0b100)], []])
        [([1, 0], 3)]
    """
    index: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_states: list[int] = []
    component: dict[int, int] = {}
    found: list[tuple[list[int], int]] = []
    for root in range(len(successors)):
        work = [(root, 0)]
        while work:
            state, position = work.pop()
            if position == 0:
                if state in index:
                    continue
                index[state] = lowest[state] = len(index)
                open_states.append(state)
            elif state not in component:
                child = successors[state][position - 1][0]
                if child not in component:
                    lowest[state] = min(lowest[state], lowest[child])
            if position < len(successors[state]):
                work.append((state, position + 1))
                child = successors[state][position][0]
                if child not in index:
                    work.append((child, 0))
            elif lowest[state] == index[state]:
                members: list[int] = []
                while not members or members[-1] != state:
                    members.append(open_states.pop())
                    component[members[-1]] = len(found)
                inside = set(members)
                inner = [marks for member in members for n, marks in successors[member] if n in inside]
                union = 0
                for marks in inner:
                    union |= marks
                found.append((members if inner else [], union))
    return [(members, marks) for members, marks in found if members]
