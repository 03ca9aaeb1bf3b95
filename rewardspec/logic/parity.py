"""LTL on infinite words to deterministic parity automata, through Spot: every formula has one.

Each edge has a priority, or none. A word is accepted when the greatest priority that it sees again and again is
even; one that from some step on sees none is rejected. `F G a` needs one state: `not a` has priority 1, `a` has 0.

Conjuncts at the top that prefixes decide (`G !c`, `F(a & X F b)`) come from progression, not from Spot, and are
joined afterwards: the other conjuncts' priorities count where all of these hold so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rewardspec.logic.automaton import Automaton, Verdict, distance_to, reachable, refine
from rewardspec.logic.components import components
from rewardspec.logic.finite import DEFAULT_LIMIT, StateLimit, compile_factor, decided_by_prefixes, split
from rewardspec.logic.formula import Formula, load_spot
from rewardspec.logic.guards import merge_cubes, move_bits
from rewardspec.logic.infinite import cubes_of, too_large, translate
from rewardspec.logic.syntax import Node

NONE: Final = -1
"""The priority of an edge that has none: below all others, and odd as acceptance reads it."""

ParityEdge = tuple[int, int, int, int]
"""`(mask, value, next, priority)`: taken when `label & mask == value`."""


@dataclass(frozen=True)
class ParityMonitor:
    """A deterministic, total parity automaton (greatest priority, even accepts).

    Attributes:
        propositions: Bit i of a label is `propositions[i]`.
        start: State before the first label.
        edges: For each state its edges; disjoint cubes that cover every label, each with a priority or `NONE`.
    """

    propositions: tuple[str, ...]
    start: int
    edges: tuple[tuple[ParityEdge, ...], ...]

    def __len__(self) -> int:
        return len(self.edges)

    @property
    def priorities(self) -> tuple[int, ...]:
        """The priorities that edges have, lowest first."""
        return tuple(sorted({p for leaving in self.edges for _, _, _, p in leaving} - {NONE}))

    def step(self, state: int, label: int) -> tuple[int, int]:
        """Return the next state and the priority seen on the way (plain; compiled programs use tables)."""
        for mask, value, target, priority in self.edges[state]:
            if label & mask == value:
                return target, priority
        raise ValueError(f"state {state} has no edge for label {label:#b}: the automaton is not total")


def compile_parity(
    formula: Formula, limit: StateLimit = DEFAULT_LIMIT, *, coloured: bool = False
) -> ParityMonitor:
    """Compile an LTL or PSL formula to a deterministic parity automaton with few priorities.

    Args:
        formula: Parsed with `semantics="infinite"`.
        limit: Most states and edges, and seconds for Spot.
        coloured: Whether every edge on a cycle that is not decided yet shall have a priority. It may take one more.

    Raises:
        FormulaError: `formula-too-large`.
        MissingExtraError: Spot is not installed.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> compile_parity(parse_formula("F G a", None, "infinite")).edges
        (((1, 0, 0, 1), (1, 1, 0, 0)),)
    """
    combine, parts = split(formula.root)
    if combine == "or":
        parts = (formula.root,)
    decided = {part: accept for part in parts if (accept := decided_by_prefixes(part)) is not None}
    rest = [part for part in parts if part not in decided]
    monitor = _from_spot(rest, formula, limit)
    for part, accept in decided.items():
        monitor = _guarded(monitor, compile_factor(part, limit, accept), formula.root, limit)
    monitor = _close_final(_clear_priorities(monitor))
    if coloured:
        monitor = _colour(monitor)
    return _merge_states(_renumber(monitor))


def _from_spot(parts: Sequence[Node], formula: Formula, limit: StateLimit) -> ParityMonitor:
    """Return the automaton of a conjunction as Spot makes it; of an empty one, one that accepts everything."""
    if not parts:
        return ParityMonitor(formula.propositions, 0, (((0, 0, 0, 0),),))
    spot = load_spot()
    root = formula.root
    whole = parts[0] if len(parts) == 1 else Node("and", tuple(parts), offset=root.offset, length=root.length)
    automaton = translate(whole, "parity max even", "high", limit)
    automaton = spot.reduce_parity(automaton, False)
    automaton = spot.change_parity(automaton, spot.parity_kind_max, spot.parity_style_even)
    if not (spot.is_deterministic(automaton) and spot.is_complete(automaton)):
        raise ValueError(f"Spot made no deterministic, complete parity automaton of {whole}")
    if automaton.num_states() > limit.states:
        raise too_large(formula.root, f"{limit.states} states")
    bits = {automaton.register_ap(ap): formula.propositions.index(ap.ap_name()) for ap in automaton.ap()}
    edges = tuple(
        tuple(
            (mask, value, edge.dst, max(edge.acc.sets(), default=NONE))
            for edge in automaton.out(state)
            for mask, value in cubes_of(edge.cond, bits)
        )
        for state in range(automaton.num_states())
    )
    return ParityMonitor(formula.propositions, automaton.get_init_state_number(), edges)


def _guarded(monitor: ParityMonitor, guard: Automaton, root: Node, limit: StateLimit) -> ParityMonitor:
    """Return the product in which a priority counts only where the prefix so far is one that `guard` accepts.

    Acceptance of `guard` changes once at most (see `decided_by_prefixes`): from some step on it is what its word is.
    """
    place = [monitor.propositions.index(name) for name in guard.propositions]
    others = [
        [(move_bits(m, place), move_bits(v, place), n) for m, v, n in leaving] for leaving in guard.edges
    ]
    start = (monitor.start, guard.start)
    number, order = {start: 0}, [start]
    edges: list[tuple[ParityEdge, ...]] = []
    for left, right in order:  # grows while it is read
        cubes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        count = 0
        for mask, value, target, priority in monitor.edges[left]:
            for m, v, n in others[right]:
                if (value ^ v) & mask & m:
                    continue
                key = (target, n)
                if key not in number:
                    if len(order) >= limit.states:
                        raise too_large(root, f"{limit.states} states")
                    number[key] = len(order)
                    order.append(key)
                seen = priority if n in guard.accepting else NONE
                cubes.setdefault((number[key], seen), []).append((mask | m, value | v))
                count += 1
        if count > limit.cubes:
            raise too_large(root, f"{limit.cubes} edges from one state")
        edges.append(tuple((m, v, n, p) for (n, p), found in cubes.items() for m, v in merge_cubes(found)))
    return ParityMonitor(monitor.propositions, 0, tuple(edges))


# -- fewer priorities and states -----------------------------------------------------------------------


def _clear_priorities(monitor: ParityMonitor) -> ParityMonitor:
    """Clear the priorities of edges that no run takes twice."""
    home = _homes(monitor.edges)
    edges = tuple(
        tuple(
            (m, v, n, p if state in home and home[state] == home.get(n) else NONE) for m, v, n, p in leaving
        )
        for state, leaving in enumerate(monitor.edges)
    )
    return replace(monitor, edges=edges)


def _homes(edges: Sequence[Sequence[ParityEdge]]) -> dict[int, int]:
    """Return for each state on a cycle the number of its component."""
    found = components([[(n, 0) for _, _, n, _ in leaving] for leaving in edges])
    return {state: number for number, (members, _) in enumerate(found) for state in members}


def _close_final(monitor: ParityMonitor) -> ParityMonitor:
    """Make states where the verdict is final loops: of priority 0 where every word is accepted, else of none."""
    edges = tuple(
        leaving if verdict is None else ((0, 0, state, 0 if verdict.is_satisfied else NONE),)
        for state, (leaving, verdict) in enumerate(zip(monitor.edges, parity_verdicts(monitor), strict=True))
    )
    return replace(monitor, edges=edges)


def _colour(monitor: ParityMonitor) -> ParityMonitor:
    """Give edges without a priority, on cycles that are not decided, one that is odd and below all others."""
    home, final = _homes(monitor.edges), parity_verdicts(monitor)
    edges = tuple(
        tuple(
            (m, v, n, p + 2 if p != NONE else 1 if home.get(state, NONE) == home.get(n) else NONE)
            for m, v, n, p in leaving
        )
        if final[state] is None
        else tuple((m, v, n, p if p == NONE else p + 2) for m, v, n, p in leaving)
        for state, leaving in enumerate(monitor.edges)
    )
    return replace(monitor, edges=edges)


def _renumber(monitor: ParityMonitor) -> ParityMonitor:
    """Give neighbouring priorities of one parity the same number, lowest first from 0 or 1."""
    number: dict[int, int] = {NONE: NONE}
    last = NONE
    for priority in monitor.priorities:
        if last == NONE:
            last = priority % 2
        elif priority % 2 != last % 2:
            last += 1
        number[priority] = last
    edges = tuple(tuple((m, v, n, number[p]) for m, v, n, p in leaving) for leaving in monitor.edges)
    return replace(monitor, edges=edges)


def _merge_states(monitor: ParityMonitor) -> ParityMonitor:
    """Return the automaton without what cannot be reached, states merged that see the same on every word."""
    plain = [[(m, v, n) for m, v, n, _ in leaving] for leaving in monitor.edges]
    kept = reachable(plain, monitor.start)
    index = {state: i for i, state in enumerate(kept)}
    old = [[(m, v, index[n], p) for m, v, n, p in monitor.edges[state]] for state in kept]
    classes = refine(len(kept), old, [None] * len(kept))
    first = {number: state for state, number in reversed(list(enumerate(classes)))}
    edges = []
    for number in range(len(first)):
        cubes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for mask, value, target, priority in old[first[number]]:
            cubes.setdefault((classes[target], priority), []).append((mask, value))
        edges.append(tuple((m, v, n, p) for (n, p), found in cubes.items() for m, v in merge_cubes(found)))
    return ParityMonitor(monitor.propositions, classes[0], tuple(edges))


# -- what the structure says ---------------------------------------------------------------------------


def parity_verdicts(monitor: ParityMonitor) -> tuple[Verdict | None, ...]:
    """Return for each state whether every word from here is accepted, none is, or (None) it is still open.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> found = compile_parity(parse_formula("G !c & F G a", None, "infinite"))
        >>> sorted(str(verdict) for verdict in parity_verdicts(found))
        ['None', 'violated for good']
    """
    plain = [[(m, v, n) for m, v, n, _ in leaving] for leaving in monitor.edges]
    can_accept = distance_to(plain, _winning(monitor, even=True))
    can_reject = distance_to(plain, _winning(monitor, even=False))
    return tuple(
        Verdict.VIOLATED_FOR_GOOD if a is None else Verdict.SATISFIED_FOR_GOOD if r is None else None
        for a, r in zip(can_accept, can_reject, strict=True)
    )


def _winning(monitor: ParityMonitor, *, even: bool) -> Iterable[int]:
    """Yield states on a cycle whose greatest priority is even, or on one where it is odd or there is none."""
    for top in (NONE, *monitor.priorities):
        if (top % 2 == 0) != even:
            continue
        for members, seen in components(
            [[(n, int(p == top)) for _, _, n, p in leaving if p <= top] for leaving in monitor.edges]
        ):
            if seen:
                yield from members


def accepts_lasso(monitor: ParityMonitor, prefix: Sequence[int], cycle: Sequence[int]) -> bool:
    """Say whether the word `prefix cycle cycle ...` is accepted."""
    state = monitor.start
    for label in prefix:
        state, _ = monitor.step(state, label)
    begun: dict[int, int] = {}
    rounds: list[int] = []  # greatest priority of each round of the cycle
    while state not in begun:
        begun[state] = len(rounds)
        seen: list[int] = []
        for label in cycle:
            state, priority = monitor.step(state, label)
            seen.append(priority)
        rounds.append(max(seen))
    return max(rounds[begun[state] :]) % 2 == 0
