"""Several small automata in place of one large one, and the verdict that they give together.

Twelve eventualities are twelve automata of two states, or one of 4096. Stepped side by side they know, label
by label, whether the whole formula is satisfied so far. What they may not know is that a verdict is *final*:
`F a`, `F b` and `G !(a & b) & G(a -> X G !b) & G(b -> X G !a)` can each still be satisfied, but not together.
`combine_factors` therefore joins factors that share propositions when the joint verdict would miss such a
fact, as far as their product is small enough to look at, and says in `exact` whether that was far enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from rewardspec.logic.automaton import (
    Automaton,
    Edge,
    Verdict,
    distance_to,
    distance_to_accepting,
    merge_edges,
    minimise_by,
    step,
    verdicts,
)
from rewardspec.logic.guards import move_bits

JOIN_STATES: Final = 32
"""States up to which factors are joined when the product is no larger than their sum."""

LOOK_STATES: Final = 256
"""Joint states up to which factors are searched for final verdicts that none of them knows."""

LOOK_EDGES: Final = 8_192
"""Joint edges up to which the same is done."""


@dataclass(frozen=True)
class FiniteMonitor:
    """What watches an LTLf formula: automata stepped side by side.

    Attributes:
        propositions: The propositions of the formula; each factor has its own subset.
        factors: The automata.
        combine: `and` when the formula is their conjunction, `or` when their disjunction.
        exact: Whether the joint verdict is known to say "for good" as soon as it is true. Where it is False,
            `joint_verdict` may say "so far" of a verdict that is in fact final; it is never wrong otherwise.
        far: Per factor, per state: how far the parts of the formula in it are from acceptance, see `remoteness`. Over
            the factors it adds up to a number from 0 to 1, the same however the parts were joined, except where the
            verdict is final.
    """

    propositions: tuple[str, ...]
    factors: tuple[Automaton, ...]
    combine: str
    exact: bool
    far: tuple[tuple[Fraction, ...], ...] = ()

    @property
    def start(self) -> tuple[int, ...]:
        """The state of each factor before the first label."""
        return tuple(factor.start for factor in self.factors)

    def step(self, states: Sequence[int], label: int) -> tuple[int, ...]:
        """Return the states after a label over `propositions` (plain; compiled programs use tables)."""
        return tuple(
            step(factor, state, project(label, self.propositions, factor.propositions))
            for factor, state in zip(self.factors, states, strict=True)
        )

    def verdict(self, states: Sequence[int]) -> Verdict:
        """Return the joint verdict of factor states."""
        return joint_verdict(
            [verdicts(factor)[state] for factor, state in zip(self.factors, states, strict=True)],
            self.combine,
        )


def project(label: int, names: Sequence[str], wanted: Sequence[str]) -> int:
    """Return a label over `names` as one over `wanted`."""
    return sum(1 << bit for bit, name in enumerate(wanted) if label >> names.index(name) & 1)


def joint_verdict(found: Sequence[Verdict], combine: str = "and") -> Verdict:
    """Return the verdict on a conjunction or disjunction from the verdicts of its parts.

    "So far" answers are exact. "For good" answers are right when given, but one may be missing; see
    `FiniteMonitor.exact`.

    Example:
        >>> print(joint_verdict([Verdict.SATISFIED_FOR_GOOD, Verdict.SATISFIED_SO_FAR]))
        satisfied so far
    """
    decides, agrees = Verdict.VIOLATED_FOR_GOOD, Verdict.SATISFIED_FOR_GOOD
    if combine == "or":
        decides, agrees = agrees, decides
    if decides in found:
        return decides
    if all(verdict is agrees for verdict in found):
        return agrees
    satisfied = [verdict.is_satisfied for verdict in found]
    holds = all(satisfied) if combine == "and" else any(satisfied)
    return Verdict.SATISFIED_SO_FAR if holds else Verdict.VIOLATED_SO_FAR


@dataclass(frozen=True)
class Part:
    """An automaton and how far each of its states is from acceptance."""

    automaton: Automaton
    far: tuple[Fraction, ...]

    def __len__(self) -> int:
        return len(self.automaton)


def remoteness(distances: Sequence[Sequence[int | None]]) -> tuple[tuple[Fraction, ...], ...]:
    """Return how far each state of each automaton is from acceptance, as shares that add up to 1 at most.

    A state at distance d counts d / (largest distance + 1), and 1 where there is no way; automata that have no way to
    go in any state (`G !c`) count 0, and the others share 1 between them.

    Example:
        >>> [[str(share) for share in shares] for shares in remoteness([[2, 1, 0], [0, None], [1, 0]])]
        [['1/3', '1/6', '0'], ['0', '0'], ['1/4', '0']]
    """
    counted = sum(any(found) for found in distances) or 1
    shares: list[tuple[Fraction, ...]] = []
    for found in distances:
        further = max((d for d in found if d is not None), default=0) + 1
        scale = Fraction(1, further * counted) if any(found) else Fraction(0)
        shares.append(tuple((further if d is None else d) * scale for d in found))
    return tuple(shares)


def _ways(automaton: Automaton) -> list[int | None]:
    """Return each state's distance to acceptance; a start that goes on like another state is as near as that.

    It differs in that no step has been taken yet: of `G !c` there is nothing to be done then either.
    """
    found = list(distance_to_accepting(automaton))
    start = automaton.start
    for state, leaving in enumerate(automaton.edges):
        if state != start and leaving == automaton.edges[start]:
            found[start] = found[state]
    return found


def combine_factors(
    automata: Sequence[Automaton], combine: str, propositions: tuple[str, ...]
) -> FiniteMonitor:
    """Return the monitor of a conjunction or disjunction, its factors joined where that is wise."""
    far = remoteness([_ways(automaton) for automaton in automata])
    joined: list[Part] = []
    exact, can_wait = True, True
    for group in _sharing([Part(*pair) for pair in zip(automata, far, strict=True)]):
        group = _join_small(group, combine)
        whole = join(group, combine) if len(group) > 1 else group[0]
        if whole is not None and len(group) > 1 and _verdicts_suffice(group, whole, combine):
            joined.extend(group)
        elif whole is not None:
            joined.append(whole)
        else:
            joined.extend(group)
            exact = exact and _have_common_way([part.automaton for part in group], combine)
        can_wait = can_wait and all(
            _can_linger(part.automaton, combine) for part in ([whole] if whole else group)
        )
    joined = _join_small(joined, combine)
    return FiniteMonitor(
        propositions,
        tuple(part.automaton for part in joined),
        combine,
        len(joined) == 1 or (exact and can_wait),
        tuple(part.far for part in joined),
    )


def _sharing(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the parts in groups that share no proposition with each other."""
    groups: list[tuple[set[str], list[Part]]] = []
    for part in parts:
        names, members = set(part.automaton.propositions), [part]
        apart = []
        for group in groups:
            if group[0] & names:
                names |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _join_small(parts: Sequence[Part], combine: str) -> list[Part]:
    """Return the parts with neighbours joined while the product is no larger than the two."""
    joined: list[Part] = []
    for part in parts:
        whole = None
        if joined and len(joined[-1]) + len(part) <= JOIN_STATES:
            whole = join([joined[-1], part], combine)
        if whole is not None and len(whole) <= len(joined[-1]) + len(part):
            joined[-1] = whole
        else:
            joined.append(part)
    return joined


def product(automata: Sequence[Automaton], combine: str) -> Automaton | None:
    """Return the minimal automaton of a conjunction or disjunction, None when too large to look at."""
    whole = join([Part(automaton, (Fraction(0),) * len(automaton)) for automaton in automata], combine)
    return None if whole is None else whole.automaton


def join(parts: Sequence[Part], combine: str) -> Part | None:
    """Return the product of parts, None when too large to look at; states that are not equally far stay apart."""
    automata = [part.automaton for part in parts]
    names = tuple(dict.fromkeys(name for automaton in automata for name in automaton.propositions))
    moved = [_over(automaton, names) for automaton in automata]
    start = tuple(automaton.start for automaton in automata)
    number = {start: 0}
    order = [start]
    edges: list[tuple[Edge, ...]] = []
    budget = LOOK_EDGES
    for states in order:  # grows while we read it
        leaving: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
        for table, state in zip(moved, states, strict=True):
            leaving = [
                (mask | m, value | v, (*targets, n))
                for mask, value, targets in leaving
                for m, v, n in table[state]
                if not (value ^ v) & mask & m
            ]
            if len(leaving) > budget:
                return None
        budget -= len(leaving)
        for _, _, targets in leaving:
            if targets not in number:
                if len(order) >= LOOK_STATES:
                    return None
                number[targets] = len(order)
                order.append(targets)
        edges.append(merge_edges((m, v, number[targets]) for m, v, targets in leaving))
    holds = all if combine == "and" else any
    accepting = frozenset(
        number[states]
        for states in order
        if holds(state in automaton.accepting for automaton, state in zip(automata, states, strict=True))
    )
    whole = Automaton(names, 0, tuple(edges), accepting)
    # Where all is decided, how far a part had come no longer matters.
    far = [
        Fraction(not verdict.is_satisfied)
        if verdict.is_final
        else sum((part.far[state] for part, state in zip(parts, states, strict=True)), Fraction(0))
        for states, verdict in zip(order, verdicts(whole), strict=True)
    ]
    return Part(*minimise_by(whole, far))


def _over(automaton: Automaton, names: Sequence[str]) -> list[list[Edge]]:
    """Return the edges of an automaton with labels over `names`."""
    place = [names.index(name) for name in automaton.propositions]
    return [
        [(move_bits(m, place), move_bits(v, place), n) for m, v, n in leaving] for leaving in automaton.edges
    ]


def _verdicts_suffice(parts: Sequence[Part], joint: Part, combine: str) -> bool:
    """Say whether the joint verdict of the factors equals the verdict of their product, everywhere."""
    automata, whole = [part.automaton for part in parts], joint.automaton
    tables = [_over(automaton, whole.propositions) for automaton in (*automata, whole)]
    known = [verdicts(automaton) for automaton in (*automata, whole)]
    start = tuple(automaton.start for automaton in (*automata, whole))
    seen, order = {start}, [start]
    for states in order:  # grows while we read it
        found = [verdict[state] for verdict, state in zip(known, states, strict=True)]
        if joint_verdict(found[:-1], combine) is not found[-1]:
            return False
        leaving: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
        for table, state in zip(tables, states, strict=True):
            leaving = [
                (mask | m, value | v, (*targets, n))
                for mask, value, targets in leaving
                for m, v, n in table[state]
                if not (value ^ v) & mask & m
            ]
        for _, _, targets in leaving:
            if targets not in seen:
                seen.add(targets)
                order.append(targets)
    return True


def _can_linger(automaton: Automaton, combine: str) -> bool:
    """Say whether a verdict that can still be reached can then be kept for as long as one likes.

    Factors without common propositions can be satisfied independently of each other, but not always at the
    same step (`the trace has three steps` and `it has four`). They can when each may wait for the others in
    states that it wants: accepting ones under `and`, rejecting ones under `or`.
    """
    wanted = (
        set(automaton.accepting) if combine == "and" else set(range(len(automaton))) - automaton.accepting
    )
    can_stay = set(wanted)
    while True:
        kept = {state for state in can_stay if any(n in can_stay for _, _, n in automaton.edges[state])}
        if kept == can_stay:
            break
        can_stay = kept
    reaches = distance_to(automaton.edges, wanted)
    lingers = distance_to(automaton.edges, can_stay)
    return all(b is not None for a, b in zip(reaches, lingers, strict=True) if a is not None)


def _have_common_way(automata: Sequence[Automaton], combine: str) -> bool:
    """Say whether one label, repeated, settles every factor the wanted way from wherever that is possible.

    Then no two factors can stand in each other's way. Tries three labels: all true, all false, and all true
    but those that some factor must avoid (`c` of `G !c`). Sufficient, not necessary.
    """
    avoided = {name for automaton in automata for name in _avoided_names(automaton, combine)}
    everything = {name for automaton in automata for name in automaton.propositions}
    return any(
        all(_settles(automaton, _label_of(true, automaton.propositions), combine) for automaton in automata)
        for true in (everything, set(), everything - avoided)
    )


def _label_of(true: set[str], names: Sequence[str]) -> int:
    return sum(1 << bit for bit, name in enumerate(names) if name in true)


def _wanted(automaton: Automaton, combine: str) -> set[int]:
    """Return the states that the wanted verdict needs: accepting under `and`, rejecting under `or`."""
    accepting = set(automaton.accepting)
    return accepting if combine == "and" else set(range(len(automaton))) - accepting


def _avoided_names(automaton: Automaton, combine: str) -> set[str]:
    """Return the propositions whose truth can lead to where the wanted verdict is out of reach."""
    reaches = distance_to(automaton.edges, _wanted(automaton, combine))
    found: set[str] = set()
    for state, leaving in enumerate(automaton.edges):
        for _, value, target in leaving:
            if reaches[state] is not None and reaches[target] is None:
                found |= {name for bit, name in enumerate(automaton.propositions) if value >> bit & 1}
    return found


def _settles(automaton: Automaton, label: int, combine: str) -> bool:
    """Say whether `label`, repeated, leads every state that can be wanted into wanted states for ever."""
    wanted = _wanted(automaton, combine)
    reaches = distance_to(automaton.edges, wanted)
    following = [step(automaton, state, label) for state in range(len(automaton))]
    for state in range(len(automaton)):
        if reaches[state] is None:
            continue
        for _ in range(len(automaton)):  # then it is on its cycle
            state = following[state]
        cycle = {state}
        while following[state] not in cycle:
            state = following[state]
            cycle.add(state)
        if not cycle <= wanted:
            return False
    return True
