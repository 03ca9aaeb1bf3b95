"""LTL on infinite words to deterministic generalised Buechi automata, through Spot.

A word is accepted when every mark is seen infinitely often. Each conjunct at the top is translated on its own; where
their product is small it is taken afterwards (`F a & G !c & G F b & G F d` needs three states and two marks), else
they stay side by side.

A formula such as `F G a` has no deterministic Buechi automaton, and paying on visits to a nondeterministic one would
let the agent be paid for its guesses; `compile_infinite` says so, and `parity` has an automaton for it. Nothing here
builds automata with jumps (limit-deterministic ones).
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rewardspec.errors import FormulaError
from rewardspec.logic.automaton import Verdict, distance_to, refine, to_hoa
from rewardspec.logic.components import components
from rewardspec.logic.finite import DEFAULT_LIMIT, StateLimit, compile_factor, decided_by_prefixes, split
from rewardspec.logic.formula import Formula, load_spot, to_spot
from rewardspec.logic.guards import cubes_overlap, merge_cubes, move_bits
from rewardspec.logic.syntax import Node, names_in, show

OmegaEdge = tuple[int, int, int, int]
"""`(mask, value, next, marks)`: taken when `label & mask == value`; bit j of `marks` is mark j."""

SMALL_FORMULA: Final = 24
"""Operators and names up to which Spot translates in this process; beyond, in a child that can be stopped."""

JOINED_STATES: Final = 16
"""States up to which factors are joined into one machine, the memory of the marks seen included."""

MAX_MARKS: Final = 32
"""Acceptance sets that Spot's automata may have, as the library is built."""

SMALL_PARITY: Final = 12
"""The same where Spot may have to determinise, which can take exponentially many states more."""

MAX_MEMORY: Final = 2 << 30
"""Bytes of address space that the child may use."""


@dataclass(frozen=True)
class OmegaMonitor:
    """A deterministic, total generalised Buechi automaton.

    Attributes:
        propositions: Bit i of a label is `propositions[i]`.
        start: State before the first label.
        edges: For each state its edges; disjoint cubes that cover every label, and the marks seen on them.
        n_marks: Number of marks, at least 1. A run is accepted when it sees each of them infinitely often.
    """

    propositions: tuple[str, ...]
    start: int
    edges: tuple[tuple[OmegaEdge, ...], ...]
    n_marks: int

    def __len__(self) -> int:
        return len(self.edges)

    def step(self, state: int, label: int) -> tuple[int, int]:
        """Return the next state and the marks seen on the way (plain; compiled programs use tables)."""
        for mask, value, target, marks in self.edges[state]:
            if label & mask == value:
                return target, marks
        raise ValueError(f"state {state} has no edge for label {label:#b}: the automaton is not total")


def compile_infinite(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> OmegaMonitor:
    """Compile an LTL or PSL formula to one deterministic generalised Buechi automaton.

    Args:
        formula: Parsed with `semantics="infinite"`.
        limit: Most states, and seconds for each conjunct.

    Raises:
        FormulaError: `not-deterministic` when no such automaton exists (or Spot finds none);
            `formula-too-large`.
        MissingExtraError: Spot is not installed.
    """
    automata = [_translate_part(part, limit) for part in _conjuncts(formula)]
    return _join(automata, formula.root, formula.propositions, limit)


def compile_factors(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> tuple[OmegaMonitor, ...]:
    """Compile a formula to automata of its conjuncts, to be stepped side by side; to one where that is small.

    No two of them stand in each other's way: they read different propositions, or each has one state and asks for
    one thing again and again (`G F a`, `G F (a & b)`). What is decided for good, and which marks matter, is then
    known factor by factor, and is what their product would say.

    Raises:
        FormulaError: As `compile_infinite`.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> text = " & ".join(f"G F a{i}" for i in range(30))
        >>> [len(factor) for factor in compile_factors(parse_formula(text, None, "infinite"))] == [1] * 30
        True
    """
    parts = _conjuncts(formula)
    automata = [_translate_part(part, limit) for part in parts]
    alone = [simplify(_read_off(a, names_in(part), limit)) for a, part in zip(automata, parts, strict=True)]
    factors: list[OmegaMonitor] = []
    for group in _groups(alone):
        names = tuple(dict.fromkeys(name for i in group for name in alone[i].propositions))
        whole = alone[group[0]]
        if len(group) > 1:
            whole = _join([automata[i] for i in group], formula.root, names, limit)
        factors.append(whole)
    factors = _drop_implied(factors)
    if len(factors) > 1 and _joint_size(factors) <= JOINED_STATES:
        return (_join(automata, formula.root, formula.propositions, limit),)
    return tuple(factors)


def _conjuncts(formula: Formula) -> tuple[Node, ...]:
    combine, parts = split(formula.root)
    return parts if combine == "and" else (formula.root,)


def _join(automata: Sequence[Any], root: Node, names: tuple[str, ...], limit: StateLimit) -> OmegaMonitor:
    """Return the simplified product of Spot's automata."""
    spot = load_spot()
    whole: Any = None
    for automaton in automata:
        if whole is not None and whole.num_sets() + automaton.num_sets() > MAX_MARKS:
            raise too_large(root, f"{MAX_MARKS} acceptance sets")
        whole = automaton if whole is None else spot.product(whole, automaton)
        if whole.num_states() > limit.states:
            raise too_large(root, f"{limit.states} states")
        if whole.num_edges() > limit.cubes * whole.num_states():
            raise too_large(root, f"{limit.cubes} edges from one state")
    return simplify(_read_off(whole, names, limit))


def _groups(alone: Sequence[OmegaMonitor]) -> list[list[int]]:
    """Return the automata, by number, in groups that must be looked at together: they share propositions.

    Two that only ask for something again and again need not: whatever is done for one leaves the other possible.
    """
    loose = {i for i, monitor in enumerate(alone) if _is_recurrence(monitor)}
    groups = [(set(monitor.propositions), [i]) for i, monitor in enumerate(alone)]
    while True:
        meet = next(
            (
                (left, right)
                for left, right in itertools.combinations(groups, 2)
                if left[0] & right[0] and not loose.issuperset(left[1] + right[1])
            ),
            None,
        )
        if meet is None:
            return sorted(sorted(members) for _, members in groups)
        groups = [group for group in groups if group not in meet]
        groups.append((meet[0][0] | meet[1][0], meet[0][1] + meet[1][1]))


def _is_recurrence(monitor: OmegaMonitor) -> bool:
    """Say whether an automaton has one state and one mark that some labels see and others do not."""
    return len(monitor) == 1 == monitor.n_marks and {k for _, _, _, k in monitor.edges[0]} == {0, 1}


def _drop_implied(factors: Sequence[OmegaMonitor]) -> list[OmegaMonitor]:
    """Return the factors without those that hold always, and recurrences that another one implies."""
    kept = list(factors)
    for factor in factors:
        if len(kept) > 1 and (
            omega_verdicts(factor)[factor.start] is Verdict.SATISFIED_FOR_GOOD
            or any(_implies(other, factor) for other in kept if other is not factor)
        ):
            kept = [other for other in kept if other is not factor]
    return kept


def _implies(left: OmegaMonitor, right: OmegaMonitor) -> bool:
    """Say whether every label on which one recurrence sees its mark is one for the other."""
    if not (_is_recurrence(left) and _is_recurrence(right)):
        return False
    if not set(left.propositions) & set(right.propositions):
        return False
    names = tuple(dict.fromkeys(left.propositions + right.propositions))
    seen, missed = _cubes_over(left, names, 1), _cubes_over(right, names, 0)
    return not any(cubes_overlap(a, b) for a in seen for b in missed)


def _cubes_over(monitor: OmegaMonitor, names: Sequence[str], marks: int) -> list[tuple[int, int]]:
    place = [names.index(name) for name in monitor.propositions]
    return [(move_bits(m, place), move_bits(v, place)) for m, v, _, k in monitor.edges[0] if k == marks]


def _joint_size(factors: Sequence[OmegaMonitor]) -> int:
    """Return how many states a machine for all factors may have, its memory of the marks seen included."""
    size = 1
    for factor in factors:
        lost = omega_verdicts(factor).count(Verdict.VIOLATED_FOR_GOOD)
        size *= (len(factor) - lost) * (1 << watched_marks(factor))
    return size


def watched_marks(monitor: OmegaMonitor) -> int:
    """Return how many marks are to be waited for; 0 where every run that can be accepted sees the only one always.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> [watched_marks(compile_infinite(parse_formula(text, None, "infinite"))) for text in ("F a", "G F a")]
        [0, 1]
    """
    return 0 if monitor.n_marks == 1 and not _components(_only_homes(monitor), without=1) else monitor.n_marks


def _only_homes(monitor: OmegaMonitor) -> OmegaMonitor:
    home = homes(monitor)
    edges = tuple(
        tuple(edge for edge in leaving if state in home and edge[2] in home)
        for state, leaving in enumerate(monitor.edges)
    )
    return replace(monitor, edges=edges)


def homes(monitor: OmegaMonitor) -> dict[int, int]:
    """Return for each state on a cycle with every mark the number of its component."""
    every = (1 << monitor.n_marks) - 1
    found: dict[int, int] = {}
    for number, (members, marks) in enumerate(_components(monitor)):
        if marks == every:
            found.update(dict.fromkeys(members, number))
    return found


def _translate_part(part: Node, limit: StateLimit) -> Any:
    """Return a deterministic, complete generalised Buechi automaton of one conjunct."""
    spot = load_spot()
    formula = to_spot(part)
    # Spot is exponential in the depth of F(a & X F(b & ...)); progression is linear.
    accept = decided_by_prefixes(part)
    if accept is not None:
        return spot.automaton(to_hoa(compile_factor(part, limit, accept), "Buchi"))
    for effort in ("low", "high"):
        automaton = translate(part, "tgba", effort, limit)
        if spot.is_deterministic(automaton):
            return automaton
    # Spot may keep choices that determinising to another acceptance shows to be needless.
    automaton = translate(part, "parity", "high", limit)
    if not automaton.acc().is_generalized_buchi():
        automaton = spot.rabin_to_buchi_if_realizable(automaton)
    if automaton is None or not spot.is_deterministic(automaton):
        rank = str(spot.mp_class(formula)) if spot.length(formula) <= SMALL_FORMULA else ""
        raise _not_deterministic(part, rank)
    return automaton


def translate(part: Node, kind: str, effort: str, limit: StateLimit) -> Any:
    """Return Spot's automaton of a formula, made by a child process unless the formula is small.

    Args:
        part: The formula.
        kind: What Spot shall make, such as `tgba` or `parity max even`.
        effort: How hard Spot shall try to make it small: `low` or `high`.
        limit: The child may take that many seconds.

    Raises:
        FormulaError: `formula-too-large` when the child runs out of time or memory.
    """
    spot = load_spot()
    formula = to_spot(part)
    if spot.length(formula) <= (SMALL_FORMULA if kind == "tgba" else SMALL_PARITY):
        return spot.translate(formula, kind, "deterministic", "complete", effort)
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(MAX_MEMORY), kind, effort],
            input=str(formula),
            capture_output=True,
            text=True,
            timeout=limit.seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise too_large(part, f"{limit.seconds:g} s") from None
    except subprocess.CalledProcessError:
        raise too_large(part, f"{MAX_MEMORY >> 30} GiB") from None
    return spot.automaton(done.stdout)


CHILD: Final = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
import spot
formula = spot.formula(sys.stdin.read())
print(spot.translate(formula, sys.argv[2], 'deterministic', 'complete', sys.argv[3]).to_str('hoa'))
"""


def too_large(part: Node, what: str) -> FormulaError:
    """Return the error for a formula whose automaton needs more than `what`."""
    return FormulaError(
        "formula-too-large",
        f"the automaton of this formula needs more than {what}",
        part.offset,
        part.length,
        (f"the part is: {show(part)[:160]}", "split it into several 'ltl' terms, or make it shorter"),
    )


def _not_deterministic(part: Node, rank: str) -> FormulaError:
    why = {"P": "a persistence property ('from some step on, always')", "T": "a reactivity property"}
    return FormulaError(
        "not-deterministic",
        f"no deterministic Buechi automaton is known for '{show(part)[:120]}', "
        f"{why.get(rank, 'which Spot could not determinise')}",
        part.offset,
        part.length,
        (
            "leave 'scheme' out, or write 'scheme: parity', which pays for every formula",
            "'G F a' (again and again) has one; so has 'F G a' once it says when: 'G (ready implies G a)'",
        ),
    )


# -- from Spot's automaton to cubes --------------------------------------------------------------------


def _read_off(automaton: Any, names: tuple[str, ...], limit: StateLimit) -> OmegaMonitor:
    spot = load_spot()
    if automaton.acc().is_f():  # nothing is accepted: one mark that is never seen
        n_marks, always = 1, 0
    elif automaton.acc().is_t():  # everything is: one mark that is always seen
        n_marks, always = 1, 1
    elif automaton.acc().is_generalized_buchi():
        n_marks, always = automaton.num_sets(), 0
    else:
        raise ValueError(f"not a generalised Buechi automaton: {automaton.get_acceptance()}")
    bits = {automaton.register_ap(ap): names.index(ap.ap_name()) for ap in automaton.ap()}
    edges = []
    for state in range(automaton.num_states()):
        leaving: list[OmegaEdge] = []
        for edge in automaton.out(state):
            marks = always | sum(1 << mark for mark in edge.acc.sets() if mark < n_marks)
            leaving += [(mask, value, edge.dst, marks) for mask, value in cubes_of(edge.cond, bits)]
            if len(leaving) > limit.cubes:
                raise FormulaError(
                    "formula-too-large", f"a state of this formula needs more than {limit.cubes} edges"
                )
        edges.append(tuple(leaving))
    assert spot.is_deterministic(automaton)
    return OmegaMonitor(names, automaton.get_init_state_number(), tuple(edges), n_marks)


def cubes_of(condition: Any, bits: dict[int, int]) -> list[tuple[int, int]]:
    """Return the paths to true of a diagram of Spot's library, as disjoint cubes."""
    import buddy

    found = []
    stack = [(condition, 0, 0)]
    while stack:
        node, mask, value = stack.pop()
        if node == buddy.bddfalse:
            continue
        if node == buddy.bddtrue:
            found.append((mask, value))
            continue
        bit = 1 << bits[buddy.bdd_var(node)]
        stack.append((buddy.bdd_low(node), mask | bit, value))
        stack.append((buddy.bdd_high(node), mask | bit, value | bit))
    return found


def simplify(monitor: OmegaMonitor) -> OmegaMonitor:
    """Return an automaton of the same words with fewer states and marks.

    States where the verdict is final become loops with every mark or none; marks off the accepting
    components are cleared; a mark that every cycle with all the others carries is dropped; then states that
    no word can tell apart by its marks are merged.
    """
    return _merge_states(_drop_marks(_clear_marks(_close_final(monitor))))


def _close_final(monitor: OmegaMonitor) -> OmegaMonitor:
    every = (1 << monitor.n_marks) - 1
    edges = [
        leaving if verdict is None else ((0, 0, state, every if verdict.is_satisfied else 0),)
        for state, (leaving, verdict) in enumerate(zip(monitor.edges, omega_verdicts(monitor), strict=True))
    ]
    return replace(monitor, edges=tuple(edges))


def _drop_marks(monitor: OmegaMonitor) -> OmegaMonitor:
    mark = 0
    while mark < monitor.n_marks and monitor.n_marks > 1:
        bit, every = 1 << mark, (1 << monitor.n_marks) - 1
        if any(marks | bit == every for _, marks in _components(monitor, without=bit)):
            mark += 1
            continue
        edges = tuple(
            tuple((m, v, n, marks & (bit - 1) | (marks >> mark + 1) << mark) for m, v, n, marks in leaving)
            for leaving in monitor.edges
        )
        monitor = replace(monitor, edges=edges, n_marks=monitor.n_marks - 1)
    return monitor


def _clear_marks(monitor: OmegaMonitor) -> OmegaMonitor:
    """Clear the marks of edges that leave no accepting component: what is seen there is not lasting."""
    home = homes(monitor)
    edges = tuple(
        tuple((m, v, n, marks if state in home else 0) for m, v, n, marks in leaving)
        for state, leaving in enumerate(monitor.edges)
    )
    return replace(monitor, edges=edges)


def _merge_states(monitor: OmegaMonitor) -> OmegaMonitor:
    """Return the automaton with states merged that no word can tell apart by the marks it sees."""
    classes = refine(len(monitor), monitor.edges, [None] * len(monitor))
    first = {number: state for state, number in reversed(list(enumerate(classes)))}
    edges = []
    for number in range(len(first)):
        cubes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for mask, value, target, marks in monitor.edges[first[number]]:
            cubes.setdefault((classes[target], marks), []).append((mask, value))
        edges.append(tuple((m, v, n, k) for (n, k), found in cubes.items() for m, v in merge_cubes(found)))
    return OmegaMonitor(monitor.propositions, classes[monitor.start], tuple(edges), monitor.n_marks)


# -- what the structure says ---------------------------------------------------------------------------


def omega_verdicts(monitor: OmegaMonitor) -> tuple[Verdict | None, ...]:
    """Return for each state whether every word from here is accepted, none is, or (None) it is still open."""
    every = (1 << monitor.n_marks) - 1
    good = [state for part, marks in _components(monitor) if marks == every for state in part]
    # A run is rejected when from some step on it misses a mark: a cycle without that mark.
    bad = [
        state
        for mark in range(monitor.n_marks)
        for part, _ in _components(monitor, without=1 << mark)
        for state in part
    ]
    plain = [[(m, v, n) for m, v, n, _ in leaving] for leaving in monitor.edges]
    can_accept, can_reject = distance_to(plain, good), distance_to(plain, bad)
    return tuple(
        Verdict.VIOLATED_FOR_GOOD if a is None else Verdict.SATISFIED_FOR_GOOD if r is None else None
        for a, r in zip(can_accept, can_reject, strict=True)
    )


def _components(monitor: OmegaMonitor, without: int = 0) -> list[tuple[list[int], int]]:
    """Return the components that hold a cycle, and the marks in them; edges with a mark of `without` are left out."""
    return components(
        [[(n, marks) for _, _, n, marks in leaving if not marks & without] for leaving in monitor.edges]
    )


def advance_frontier(frontier: int, marks: int, n_marks: int) -> tuple[int, bool]:
    """Return the accepting frontier after an edge, and whether the edge earns the frontier's reward.

    The frontier is the set of marks still to be seen in this round (bits; start with all of them). An edge
    that carries one of them is paid and takes it off; when none is left, a new round begins.

    Source: Hasanbeig, Kantaros, Abate, Kroening, Pappas and Lee, "Reinforcement learning for temporal logic
        control synthesis with probabilistic satisfaction guarantees" (CDC 2019): the accepting frontier.
        Deviation: an edge may carry several marks, all of which are taken off; the next round begins with
        every mark, where theirs leaves out the one just seen.

    Example:
        >>> advance_frontier(0b11, 0b01, 2), advance_frontier(0b10, 0b01, 2), advance_frontier(0b10, 0b10, 2)
        ((2, True), (2, False), (3, True))
    """
    rest = frontier & ~marks
    return (rest or (1 << n_marks) - 1), rest != frontier


def accepts_lasso(monitor: OmegaMonitor, prefix: Sequence[int], cycle: Sequence[int]) -> bool:
    """Say whether the word `prefix cycle cycle ...` is accepted."""
    state = monitor.start
    for label in prefix:
        state, _ = monitor.step(state, label)
    seen: dict[int, int] = {}
    rounds: list[int] = []  # marks of each round of the cycle
    while state not in seen:
        seen[state] = len(rounds)
        union = 0
        for label in cycle:
            state, marks = monitor.step(state, label)
            union |= marks
        rounds.append(union)
    union = 0
    for marks in rounds[seen[state] :]:
        union |= marks
    return union == (1 << monitor.n_marks) - 1
