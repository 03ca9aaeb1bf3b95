"""Lints of reward machines: guards that leave gaps, states in vain, loops that pay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from rewardspec.analysis.cycles import find_positive_cycle
from rewardspec.analysis.economy import Economy, economy
from rewardspec.analysis.intervals import INF, Interval
from rewardspec.analysis.subject import Subject
from rewardspec.errors import FormulaError, Problem, list_names
from rewardspec.ir import expr as ir
from rewardspec.ir.machine import distances_to, minimise, reachable
from rewardspec.ir.program import Machine
from rewardspec.kinds.reward_machine import OTHERWISE, EdgeSpec, RewardMachine
from rewardspec.logic.diagrams import Cube, Diagrams, TooLargeError
from rewardspec.logic.guards import (
    cubes_to_guard,
    find_gap,
    guard_cubes,
    guard_names,
    parse_guard,
    show_label,
    union_of,
)
from rewardspec.lowering import Path

MAX_COMPARED = 2_000
"""States up to which a machine is minimised to find states that could be merged."""

SHOWN_STATES = 6


@dataclass(frozen=True)
class Case:
    """One edge as it was written, for one of the states that it leaves."""

    index: int
    edge: EdgeSpec
    cubes: tuple[Cube, ...]

    @property
    def stays_in_silence(self) -> bool:
        """Whether it only spells out that nothing happens."""
        silent = self.edge.reward.strip() in ("0", "0.0") and not self.edge.count
        return silent and (self.edge.to is None or self.edge.from_ == (self.edge.to,))


def read_cases(subject: Subject, term: RewardMachine) -> tuple[dict[str, list[Case]], tuple[str, ...]]:
    """Return the written edges by state, their guards as cubes, and the propositions that these read."""
    declared = [*subject.spec.propositions, *term.propositions]
    texts = {edge.when for edge in term.edges if not is_otherwise(edge)}
    parsed = {text: parse_guard(text, declared) for text in texts}
    names = tuple(dict.fromkeys(name for text in sorted(texts) for name in guard_names(parsed[text])))
    cubes = {text: guard_cubes(guard, names) for text, guard in parsed.items()}
    cases: dict[str, list[Case]] = {}
    for index, edge in enumerate(term.edges):
        for state in edge.from_:
            own = () if is_otherwise(edge) else cubes[edge.when]
            cases.setdefault(state, []).append(Case(index, edge, own))
    return cases, names


def is_otherwise(edge: EdgeSpec) -> bool:
    """Say whether an edge takes what the other guards of its state leave."""
    return edge.when.strip() in (OTHERWISE, "else")


def lint_guards(subject: Subject) -> Iterator[Problem]:
    """Yield labels for which a state has no edge, and edges that no label takes."""
    for path, _, body in subject.of_kind(RewardMachine):
        try:
            cases, names = read_cases(subject, body)
            yield from _gaps(subject, path, cases, names)
        except (FormulaError, TooLargeError):  # too large to compare; the compiler has accepted the machine
            continue


def _gaps(
    subject: Subject, path: Path, cases: dict[str, list[Case]], names: tuple[str, ...]
) -> Iterator[Problem]:
    gaps: dict[str, int] = {}
    spelt_out: dict[str, Case] = {}
    dead: dict[int, Case] = {}
    for state, leaving in cases.items():
        covered = [cube for case in leaving for cube in case.cubes]
        gap = find_gap(covered)
        for case in leaving:
            takes_rest = is_otherwise(case.edge)
            if (takes_rest and gap is None) or (not takes_rest and not case.cubes):
                dead.setdefault(case.index, case)
        if gap is None or any(is_otherwise(case.edge) for case in leaving):
            continue
        silent = next((case for case in leaving if case.stays_in_silence), None)
        if silent is not None:
            gaps[state], spelt_out[state] = gap, silent
            continue
        # That nothing happens where nothing is true needs no saying.
        something = find_gap([*covered, (_bits_read(covered), 0)])
        if something is not None:
            gaps[state] = something
    for index, case in dead.items():
        reason = (
            "the other guards leave nothing over" if is_otherwise(case.edge) else "its guard is never true"
        )
        yield subject.finding(
            "edge-never-taken",
            "warning",
            f"no label takes this edge: {reason}",
            (*path, "edges", index, "when"),
            ("Remove the edge, or change the guard.",),
        )
    for state, case in spelt_out.items():
        gap = gaps.pop(state)
        yield subject.finding(
            "guard-gap",
            "warning",
            f"state '{state}' says when it stays, but has no edge for: {show_label(gap, names)}",
            (*path, "edges", case.index),
            (
                "There it stays and pays 0 as well. If that is meant, write `when: otherwise` on the edge "
                "that stays;",
                f"if not, add an edge for `{_complete(cases[state], names)}`.",
            ),
        )
    if gaps:
        state, gap = next(iter(gaps.items()))
        others = f" (and likewise for {len(gaps) - 1} more: {list_names(list(gaps)[1:], SHOWN_STATES)})"
        yield subject.finding(
            "guard-gap",
            "info",
            f"state '{state}' has no edge for: {show_label(gap, names)}" + (others if len(gaps) > 1 else ""),
            (*path, "edges"),
            ("It stays there and pays 0. To say so in the spec, add an edge with `when: otherwise`.",),
        )


def _bits_read(cubes: Sequence[Cube]) -> int:
    """Return the bits that some cube looks at."""
    return reduce(or_, (mask for mask, _ in cubes), 0)


def _complete(leaving: list[Case], names: tuple[str, ...]) -> str:
    """Return a guard for the labels that no edge of a state takes."""
    diagrams = Diagrams()
    covered = union_of(diagrams, [cube for case in leaving for cube in case.cubes])
    return cubes_to_guard(diagrams.cover(diagrams.negation(covered)), names)


def lint_states(subject: Subject) -> Iterator[Problem]:
    """Yield states that nothing reaches, that earn nothing any more, or that could be one."""
    for path, _, body in subject.of_kind(RewardMachine):
        machine = subject.machine(path)
        if machine is None:
            continue
        reached = reachable(machine)
        lost = [machine.states[u] for u in range(len(machine.states)) if u not in reached]
        if lost:
            yield subject.finding(
                "unreachable-state",
                "warning",
                f"no sequence of labels leads to {_states(lost)}",
                _place_of_state(path, body, lost[0]),
                (f"Reached from '{body.start}': {list_names(machine.states[u] for u in sorted(reached))}.",),
            )
        yield from _traps(subject, path, body, machine, reached)
        yield from _twins(subject, path, machine)


def _states(names: Sequence[str]) -> str:
    return f"state '{names[0]}'" if len(names) == 1 else f"the states {list_names(names, SHOWN_STATES)}"


def _place_of_state(path: Path, body: RewardMachine, state: str) -> Path:
    for i, edge in enumerate(body.edges):
        if state in edge.from_:
            return (*path, "edges", i, "from")
        if state == edge.to:
            return (*path, "edges", i, "to")
    return path


def payments(subject: Subject, machine: Machine) -> list[Interval]:
    """Return, per output of a machine, the interval of what it pays."""
    return [subject.ranges.of(paid) for paid in machine.payments]


def _traps(
    subject: Subject, path: Path, body: RewardMachine, machine: Machine, reached: frozenset[int]
) -> Iterator[Problem]:
    """Yield states that go on without hope, when some path through the machine would have paid."""
    paid = payments(subject, machine)
    positive = {
        state
        for state in reached - machine.terminal
        for edge in machine.edges[state]
        if paid[edge.output].high > 0
    }
    if not positive:
        return
    distances = distances_to(machine, positive)
    hopeless = {u for u in reached - machine.terminal if distances[u] is None}
    entries = [
        (edge.target, paid[edge.output].high > 0)
        for u in reached - hopeless - machine.terminal
        for edge in machine.edges[u]
        if edge.target in hopeless
    ]
    traps = sorted({target for target, rewarded in entries if not rewarded})
    if traps:
        names = [machine.states[u] for u in traps]
        yield subject.finding(
            "trap-state",
            "warning",
            f"from {_states(names)} no positive payment of this machine can be reached, and the episode "
            "goes on",
            _place_of_state(path, body, names[0]),
            (
                f"Make it terminal (`terminal: [{', '.join(names[:SHOWN_STATES])}]`), so that no steps are "
                "spent there, "
                "or add an edge that leads back.",
            ),
        )
    done = sorted({target for target, rewarded in entries if rewarded} - set(traps))
    if done:
        names = [machine.states[u] for u in done]
        yield subject.finding(
            "machine-finished",
            "info",
            f"in {_states(names)} the machine has paid all it can pay, and the episode goes on",
            _place_of_state(path, body, names[0]),
            (f"If the task is done there, add `terminal: [{', '.join(names[:SHOWN_STATES])}]`.",),
        )


def _twins(subject: Subject, path: Path, machine: Machine) -> Iterator[Problem]:
    """Yield states that no sequence of labels tells apart; terminal states may differ in name only."""
    if len(machine.states) > MAX_COMPARED:
        return
    tables = [
        node.values
        for root in subject.program.roots()
        for node in ir.walk(root)
        if isinstance(node, ir.StateTable) and node.machine == machine.name
    ]
    known = [
        (*(table[u] for table in tables), u if u in machine.terminal else -1)
        for u in range(len(machine.states))
    ]
    small, _ = minimise(machine, known)
    kept = reachable(machine)
    if len(small.states) == len(kept):
        return
    groups = [name.split("|") for name in small.states if "|" in name]
    if any(state not in machine.states for group in groups for state in group):
        return  # a state's own name holds the separator
    shown = "; ".join(" = ".join(f"'{state}'" for state in group[:SHOWN_STATES]) for group in groups[:3])
    yield subject.finding(
        "equivalent-states",
        "info",
        f"these states pay and end alike on every sequence of labels: {shown}",
        path,
        ("The compiler merges them. If they were meant to differ, an edge or a payment is missing.",),
    )


def lint_cycles(subject: Subject) -> Iterator[Problem]:
    """Yield a loop of each machine that pays more than it costs."""
    for path, _, body in subject.of_kind(RewardMachine):
        machine = subject.machine(path)
        if machine is None:
            continue
        wealth = economy(subject)
        # What every step costs besides lowers what a round of the loop is worth.
        step_cost = min(0.0, sum(min(0.0, dense.each.high) for dense in wealth.dense if dense.each.high < 0))
        paid = [interval.high for interval in payments(subject, machine)]
        # What an edge pays is unknown where no range is declared: no loop is claimed through it.
        gains = [amount + step_cost if amount < INF else -INF for amount in paid]
        found = find_positive_cycle(machine, gains)
        if found is None:
            continue
        states = [state for state, _ in found]
        gain = sum(gains[edge.output] for _, edge in found)
        loop = " -> ".join(
            f"{machine.states[state]} [{cubes_to_guard([(edge.mask, edge.value)], machine.propositions)}: "
            f"{paid[edge.output]:+g}]"
            for state, edge in found[:8]
        )
        loop += " -> ..." if len(found) > 8 else f" -> {machine.states[states[0]]}"
        ends = bool(machine.terminal & reachable(machine))
        comparison, harmless = _against_goal(wealth, subject, gain, len(found))
        if body.counters:  # a guard over a counter may end the loop; which one does is not known here
            comparison, harmless = "The machine's counters may bound how often.", True
        yield subject.finding(
            "positive-reward-cycle",
            "warning" if ends and not harmless else "info",
            f"a loop of {len(found)} step{'s' * (len(found) > 1)} pays {gain:+g} a round"
            + (
                ", and an agent may go round instead of finishing"
                if ends
                else "; the machine has no end to compare"
            ),
            _place_of_loop(path, body, machine, found),
            (
                f"The loop: {loop}.",
                comparison,
                "Pay only what cannot be repeated: make the payments of a round add up to 0 or less, pay "
                "once in a "
                "chain of states that does not return, or use `progress` / `potential`."
                if not harmless
                else "",
            ),
        )


def _against_goal(wealth: Economy, subject: Subject, gain: float, length: int) -> tuple[str, bool]:
    """Return a line that compares the loop with the best goal, and whether the loop is surely worth less."""
    goal = wealth.best_goal
    if goal is None:
        return "", False
    worth = subject.steps_worth() / length * gain
    if worth == float("inf"):
        rounds = int(goal.amount // gain) + 1
        pay = "round pays" if rounds == 1 else "rounds pay"
        return f"{rounds} {pay} more than the goal ({goal.amount:g}, '{goal.term}').", False
    span = f"{subject.horizon} steps" if subject.horizon else "an endless episode"
    discount = f" at discount {subject.spec.discount:g}" if subject.spec.discount else ""
    amounts = f"it is worth about {worth:.4g}; the goal is worth {goal.amount:g} ('{goal.term}')."
    return f"Over {span}{discount} {amounts}", worth < goal.amount


def _place_of_loop(
    path: Path, body: RewardMachine, machine: Machine, loop: Sequence[tuple[int, object]]
) -> Path:
    """Return the path of the written edge that leaves the loop's first state for its second."""
    first = machine.states[loop[0][0]]
    second = machine.states[loop[1][0]] if len(loop) > 1 else first
    for i, edge in enumerate(body.edges):
        if first in edge.from_ and (edge.to or first) == second:
            return (*path, "edges", i)
    return path
