"""Deterministic automata on labels: edges are cubes, verdicts have four values.

An automaton reads one label a step. It is deterministic and total: the cubes that leave a state are pairwise
disjoint and cover every label.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeVar

from rewardspec.logic.diagrams import NO_VARIABLE, Diagrams, TooLargeError
from rewardspec.logic.guards import merge_cubes

Edge = tuple[int, int, int]
"""`(mask, value, next)`: taken when `label & mask == value`."""

MealyEdge = tuple[int, int, int, Hashable]
"""`(mask, value, next, output)`: an edge with something to tell edges apart by, such as a reward."""


MAX_NODES: Final = 1_000_000
"""Diagram nodes up to which states are compared."""


class Verdict(Enum):
    """What a finite trace says about a formula; its value is how people read it."""

    SATISFIED_FOR_GOOD = "satisfied for good"
    SATISFIED_SO_FAR = "satisfied so far"
    VIOLATED_SO_FAR = "violated so far"
    VIOLATED_FOR_GOOD = "violated for good"

    @property
    def is_final(self) -> bool:
        """Whether no continuation of the trace can change it."""
        return self in (Verdict.SATISFIED_FOR_GOOD, Verdict.VIOLATED_FOR_GOOD)

    @property
    def is_satisfied(self) -> bool:
        """Whether the trace so far satisfies the formula."""
        return self in (Verdict.SATISFIED_FOR_GOOD, Verdict.SATISFIED_SO_FAR)

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Automaton:
    """A deterministic, total automaton on finite traces.

    Attributes:
        propositions: Bit i of a label is `propositions[i]`.
        start: State before the first label. A trace has at least one step, so whether `start` accepts
            matters only when the automaton comes back to it.
        edges: For each state its edges; disjoint cubes that cover every label, self-loops included.
        accepting: States in which the trace so far is accepted.
    """

    propositions: tuple[str, ...]
    start: int
    edges: tuple[tuple[Edge, ...], ...]
    accepting: frozenset[int]

    def __len__(self) -> int:
        return len(self.edges)


def step(automaton: Automaton, state: int, label: int) -> int:
    """Return the state after reading one label.

    Example:
        >>> seen = Automaton(("a",), 0, (((1, 0, 0), (1, 1, 1)), ((0, 0, 1),)), frozenset({1}))
        >>> step(seen, 0, 0b1), step(seen, 0, 0b0)
        (1, 0)
    """
    for mask, value, target in automaton.edges[state]:
        if label & mask == value:
            return target
    raise ValueError(f"state {state} has no edge for label {label:#b}: the automaton is not total")


def run(automaton: Automaton, labels: Iterable[int]) -> int:
    """Return the state after reading labels from the start."""
    state = automaton.start
    for label in labels:
        state = step(automaton, state, label)
    return state


def verdicts(automaton: Automaton) -> tuple[Verdict, ...]:
    """Return the verdict of each state.

    `SATISFIED_FOR_GOOD`: every state that can follow accepts, this one included; `VIOLATED_FOR_GOOD`: none
    does. The start state counts as a trace that has not satisfied the formula yet.

    Example:
        >>> seen = Automaton(("a",), 0, (((1, 0, 0), (1, 1, 1)), ((0, 0, 1),)), frozenset({1}))
        >>> [str(verdict) for verdict in verdicts(seen)]
        ['violated so far', 'satisfied for good']
    """
    can_accept = distance_to(automaton.edges, automaton.accepting)
    can_reject = distance_to(automaton.edges, set(range(len(automaton))) - automaton.accepting)
    found = []
    for state in range(len(automaton)):
        if can_accept[state] is None:
            found.append(Verdict.VIOLATED_FOR_GOOD)
        elif can_reject[state] is None:
            found.append(Verdict.SATISFIED_FOR_GOOD)
        elif state in automaton.accepting:
            found.append(Verdict.SATISFIED_SO_FAR)
        else:
            found.append(Verdict.VIOLATED_SO_FAR)
    return tuple(found)


def distance_to_accepting(automaton: Automaton) -> tuple[int | None, ...]:
    """Return for each state the least number of steps to an accepting state; None where there is no way.

    Example:
        >>> distance_to_accepting(Automaton((), 0, (((0, 0, 1),), ((0, 0, 1),)), frozenset({1})))
        (1, 0)
    """
    return distance_to(automaton.edges, automaton.accepting)


def distance_to(edges: Sequence[Sequence[Edge]], targets: Iterable[int]) -> tuple[int | None, ...]:
    """Return for each state the least number of edges to a target; None where there is no way."""
    before: list[set[int]] = [set() for _ in edges]
    for state, leaving in enumerate(edges):
        for _, _, target in leaving:
            before[target].add(state)
    distance: list[int | None] = [None] * len(edges)
    queue: deque[tuple[int, int]] = deque((target, 0) for target in targets)
    while queue:
        state, steps = queue.popleft()
        if distance[state] is None:
            distance[state] = steps
            queue.extend((previous, steps + 1) for previous in before[state] if distance[previous] is None)
    return tuple(distance)


def reachable(edges: Sequence[Sequence[Edge]], start: int) -> list[int]:
    """Return the states that can be reached, breadth first, `start` first."""
    order = {start: None}
    queue = deque([start])
    while queue:
        for _, _, target in edges[queue.popleft()]:
            if target not in order:
                order[target] = None
                queue.append(target)
    return list(order)


def trim(automaton: Automaton) -> Automaton:
    """Return the automaton without unreachable states; states are numbered breadth first from 0."""
    order = reachable(automaton.edges, automaton.start)
    number = {state: i for i, state in enumerate(order)}
    return Automaton(
        automaton.propositions,
        0,
        tuple(tuple((m, v, number[n]) for m, v, n in automaton.edges[state]) for state in order),
        frozenset(number[state] for state in automaton.accepting if state in number),
    )


def minimise(automaton: Automaton) -> Automaton:
    """Return the smallest automaton that gives the same verdict on every trace, states breadth first.

    Whether the start state accepts does not matter while nothing returns to it, and is then set to False.
    """
    return minimise_by(automaton, [None] * len(automaton))[0]


Known = TypeVar("Known", bound=Hashable)


def minimise_by(automaton: Automaton, known: Sequence[Known]) -> tuple[Automaton, tuple[Known, ...]]:
    """Return the smallest automaton as `minimise` does, states apart of which different things are known.

    Args:
        automaton: The automaton.
        known: For each state what tells it apart.

    Returns:
        The automaton, and for each of its states what is known of it.
    """
    order = reachable(automaton.edges, automaton.start)
    automaton, known = trim(automaton), [known[state] for state in order]
    accepting = automaton.accepting
    if not any(n == automaton.start for leaving in automaton.edges for _, _, n in leaving):
        accepting = accepting - {automaton.start}
    edges = [[(m, v, n, None) for m, v, n in leaving] for leaving in automaton.edges]
    initial = [(state in accepting, known[state]) for state in range(len(automaton))]
    classes = refine(len(automaton), edges, initial)
    first = {c: state for state, c in reversed(list(enumerate(classes)))}
    merged = tuple(
        merge_edges((m, v, classes[n]) for m, v, n in automaton.edges[first[c]]) for c in range(len(first))
    )
    start = classes[automaton.start]
    small = Automaton(automaton.propositions, start, merged, frozenset(classes[state] for state in accepting))
    return trim(small), tuple(known[first[c]] for c in reachable(merged, start))


def merge_edges(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return the edges with the cubes to each target merged into fewer, in the order of first targets."""
    cubes: dict[int, list[tuple[int, int]]] = {}
    for mask, value, target in edges:
        cubes.setdefault(target, []).append((mask, value))
    return tuple((m, v, target) for target, found in cubes.items() for m, v in merge_cubes(found))


def to_hoa(automaton: Automaton, acceptance: Literal["Buchi", "co-Buchi"]) -> str:
    """Return an automaton as one on infinite words, in the HOA format.

    Args:
        automaton: The automaton.
        acceptance: `Buchi` accepts words whose prefixes are accepted again and again, `co-Buchi` those whose
            prefixes are all accepted from some step on.

    Source: Babiak et al., "The Hanoi Omega-Automata Format" (CAV 2015).
    """
    names = automaton.propositions
    quoted = "".join(f' "{name}"' for name in names)
    marked = automaton.accepting
    if acceptance == "co-Buchi":
        marked = frozenset(range(len(automaton))) - marked
    lines = [
        "HOA: v1",
        f"States: {len(automaton)}",
        f"Start: {automaton.start}",
        f"AP: {len(names)}{quoted}",
        f"acc-name: {acceptance}",
        f"Acceptance: 1 {'Inf' if acceptance == 'Buchi' else 'Fin'}(0)",
        "properties: deterministic complete",
        "--BODY--",
    ]
    for state, leaving in enumerate(automaton.edges):
        lines.append(f"State: {state}" + (" {0}" if state in marked else ""))
        for mask, value, target in leaving:
            literals = [f"{'' if value >> b & 1 else '!'}{b}" for b in range(len(names)) if mask >> b & 1]
            lines.append(f"[{'&'.join(literals) or 't'}] {target}")
    return "\n".join([*lines, "--END--"])


def refine(
    n_states: int, edges: Sequence[Sequence[MealyEdge]], initial_classes: Sequence[Hashable]
) -> list[int]:
    """Return the coarsest partition of states that no trace can tell apart.

    Two states share a class when they share an initial class and, for every label, their edges have equal
    outputs and lead to one class.

    Args:
        n_states: Number of states.
        edges: For each state `(mask, value, next, output)`, disjoint; labels that no edge takes are treated
            alike in all states.
        initial_classes: For each state what is known to tell it apart, such as "is accepting".

    Returns:
        classes: The class of each state, numbered in the order of their first states. Where the diagrams would take
            more than `MAX_NODES` nodes, no two states share one: nothing is then merged, which is right too.

    Source: partition refinement after Hopcroft (1971), the largest part of a split class keeping its name so
        that only the states in front of the smaller parts are looked at again; edges are compared as
        decision diagrams, so no label is ever enumerated.

    Example:
        >>> refine(3, [[(1, 1, 1, 0)], [(0, 0, 2, 5)], [(0, 0, 2, 5)]], ["x", "x", "x"])
        [0, 1, 1]
    """
    diagrams = Diagrams(MAX_NODES)
    try:
        return _refine(diagrams, edges, initial_classes)
    except TooLargeError:
        return list(range(n_states))


def _refine(
    diagrams: Diagrams, edges: Sequence[Sequence[MealyEdge]], initial_classes: Sequence[Hashable]
) -> list[int]:
    roots = []
    for leaving in edges:
        root = diagrams.leaf(("no edge",))
        for mask, value, target, output in leaving:
            root = diagrams.from_cube((mask, value), diagrams.leaf((output, target)), root)
        roots.append(root)

    def target_of(leaf: int) -> int | None:
        payload = diagrams.payload[leaf]
        assert isinstance(payload, tuple)
        return payload[1] if len(payload) == 2 else None

    def rename(leaf: int, class_of: Sequence[int]) -> int:
        payload = diagrams.payload[leaf]
        assert isinstance(payload, tuple)
        return diagrams.leaf(("class", payload[0], class_of[payload[1]])) if len(payload) == 2 else leaf

    return refine_diagrams(diagrams, roots, initial_classes, target_of, rename)


def refine_diagrams(
    diagrams: Diagrams,
    roots: Sequence[int],
    initial_classes: Sequence[Hashable],
    target_of: Callable[[int], int | None],
    rename: Callable[[int, Sequence[int]], int],
    top: int = NO_VARIABLE,
) -> list[int]:
    """Return the partition of `refine` for states whose edges are decision diagrams.

    Args:
        diagrams: Where the diagrams live.
        roots: For each state the diagram from labels to bottoms.
        initial_classes: As in `refine`.
        target_of: The state a bottom leads to, None when it leads to none.
        rename: A bottom and the classes of all states -> the leaf that says what can be seen of the bottom.
        top: Variables from here on belong to the bottoms.
    """
    names: dict[Hashable, int] = {}
    class_of = [names.setdefault(known, len(names)) for known in initial_classes]
    members: list[set[int]] = [set() for _ in names]
    before: list[set[int]] = [set() for _ in roots]
    for state, root in enumerate(roots):
        members[class_of[state]].add(state)
        for bottom in diagrams.bottoms(root, top):
            target = target_of(bottom)
            if target is not None:
                before[target].add(state)

    seen_as = [-1] * len(roots)
    stale = set(range(len(roots)))
    while stale:
        diagrams.check_time()
        memo: dict[int, int] = {}
        for state in stale:
            seen_as[state] = diagrams.relabel(
                roots[state], lambda bottom: rename(bottom, class_of), memo, top
            )
        moved: list[int] = []
        for number in sorted({class_of[state] for state in stale}):
            parts: dict[int, list[int]] = {}
            for state in sorted(members[number]):
                parts.setdefault(seen_as[state], []).append(state)
            largest = max(parts.values(), key=len)
            for part in parts.values():
                if part is largest:
                    continue
                for state in part:
                    class_of[state] = len(members)
                members[number].difference_update(part)
                members.append(set(part))
                moved.extend(part)
        stale = {previous for state in moved for previous in before[state]}
    order: dict[int, int] = {}
    return [order.setdefault(number, len(order)) for number in class_of]
