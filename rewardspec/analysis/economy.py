"""What a spec pays for what: goals that end the episode, losses that end it, payments on every step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from rewardspec.analysis.intervals import Interval, Ranges, implied
from rewardspec.analysis.subject import Subject, constant_weight, is_change
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Machine, Program
from rewardspec.kinds.ltl import Ltl
from rewardspec.kinds.markov import Markov
from rewardspec.kinds.reward_machine import RewardMachine
from rewardspec.lowering import Path
from rewardspec.operators.combine import Sum
from rewardspec.spec.declarations import EndSpec
from rewardspec.spec.terms import Term

BOUNDED = frozenset({"potential", "reward_machine", "ltl", "once", "diff", "discount_by_count", "end"})
"""Words whose payments do not grow with the number of steps, or are looked at on their own."""

MAX_JOINT = 256
"""Joint states of machines up to which it is worked out what ends the episode."""


@dataclass(frozen=True)
class Ending:
    """A payment that comes with the end of the episode.

    Attributes:
        term: Name of the term, or `end`.
        amount: What is paid, weight included.
        path: Where the amount is written.
    """

    term: str
    amount: float
    path: Path


@dataclass(frozen=True)
class Dense:
    """A term that may pay on every step.

    Attributes:
        term: Name of the top-level term.
        path: Where it stands.
        each: What a step pays while the episode goes on, weight included.
    """

    term: str
    path: Path
    each: Interval


@dataclass(frozen=True)
class Economy:
    """The parts of a spec that the incentive lints compare.

    Attributes:
        goals: Payments above 0 that end the episode.
        losses: Payments of at most 0 that end the episode.
        finals: Payments above 0 for the verdict on the whole episode, on its last step.
        dense: Terms that may pay on every step.
        complete: Whether every term was understood; where not, only statements about single terms are safe.
    """

    goals: tuple[Ending, ...]
    losses: tuple[Ending, ...]
    finals: tuple[Ending, ...]
    dense: tuple[Dense, ...]
    complete: bool

    @property
    def best_goal(self) -> Ending | None:
        """The goal that pays the most."""
        return max(self.goals, key=lambda goal: goal.amount, default=None)

    @property
    def mildest_loss(self) -> Ending | None:
        """The loss that costs the least."""
        return max(self.losses, key=lambda loss: loss.amount, default=None)

    @property
    def each_step(self) -> Interval:
        """What a step pays in all while the episode goes on."""
        return sum((dense.each for dense in self.dense), Interval(0.0, 0.0))


@lru_cache(maxsize=1)  # every incentive lint asks for it
def economy(subject: Subject) -> Economy:
    """Return what a spec pays for what."""
    goals: list[Ending] = []
    losses: list[Ending] = []
    finals: list[Ending] = []
    dense: list[Dense] = []
    complete = True
    goes_on = assumed_alive(subject)
    for name, path, term, weight in payers(subject):
        if weight is None:
            complete = False
            continue
        if isinstance(term.body, Ltl) and term.body.pay == "end" and weight * term.body.accept > 0:
            finals.append(Ending(name, weight * term.body.accept, (*path, "accept")))
        if isinstance(term.body, Ltl | RewardMachine | EndSpec):
            for ending in endings(subject, name, path, term, weight):
                (goals if ending.amount > 0 else losses).append(ending)
            continue
        if term.kind in BOUNDED:
            continue
        if any(inner.kind in BOUNDED for _, inner in inner_terms(subject, path)):
            complete = False
            continue
        expr = subject.paid[path]
        if isinstance(term.body, Markov) and is_change(expr):
            continue  # adds up to the last value minus the first
        each = subject.ranges.of(expr, goes_on) * Interval(weight, weight)
        dense.append(Dense(name, path, each))
    for end in end_payments(subject, dense):
        (goals if end.amount > 0 else losses).append(end)
    return Economy(tuple(goals), tuple(losses), tuple(finals), tuple(dense), complete)


def payers(subject: Subject) -> Iterator[tuple[str, Path, Term, float | None]]:
    """Yield the terms whose payments add up to the reward, those in sums one by one, with their weights."""

    def inner(
        name: str, path: Path, term: Term, factor: float | None
    ) -> Iterator[tuple[str, Path, Term, float | None]]:
        own = constant_weight(term)
        weight = None if own is None or factor is None else own * factor
        if isinstance(term.body, Sum):
            for i, child in enumerate(term.body.terms):
                yield from inner(name, (*path, "terms", i), child, weight)
        else:
            yield name, path, term, weight

    for i, (name, term) in enumerate(zip(subject.names, subject.spec.reward, strict=True)):
        yield from inner(name, ("reward", i), term, 1.0)


def inner_terms(subject: Subject, path: Path) -> Iterator[tuple[Path, Term]]:
    """Yield the terms inside the term at a path."""
    for other, term in subject.terms:
        if len(other) > len(path) and other[: len(path)] == path:
            yield other, term


def endings(subject: Subject, name: str, path: Path, term: Term, weight: float) -> Iterator[Ending]:
    """Yield what a term pays on steps on which it ends the episode."""
    body = term.body
    if isinstance(body, EndSpec):
        if body.value:
            yield Ending(name, weight * body.value, (*path, "value"))
    elif isinstance(body, Ltl):
        if body.semantics != "finite":
            return
        if body.pay != "end":
            yield Ending(name, weight * body.accept, (*path, "accept"))
        verdict = next((v for v in subject.program.verdicts if v.term == subject.owners.get(path)), None)
        fails = verdict is not None and any(0 in table for table in verdict.tables)
        if fails and body.pay != "end":
            yield Ending(name, weight * body.reject, (*path, "reject"))
    elif isinstance(body, RewardMachine):
        machine = subject.machine(path)
        if machine is not None:
            yield from _terminal_payments(subject, name, path, machine, weight)


def _terminal_payments(
    subject: Subject, name: str, path: Path, machine: Machine, weight: float
) -> Iterator[Ending]:
    amounts: dict[float, None] = {}
    for state, leaving in enumerate(machine.edges):
        if state in machine.terminal:
            continue
        for edge in leaving:
            if edge.target in machine.terminal:
                paid = subject.ranges.of(machine.payments[edge.output])
                if paid.is_constant:
                    amounts.setdefault(weight * paid.low)
    for amount in amounts:
        yield Ending(name, amount, path)


def end_payments(subject: Subject, dense: list[Dense]) -> Iterator[Ending]:
    """Yield what the spec's own `end` conditions pay, with what the other terms surely pay on that step."""
    for i, end in enumerate(subject.spec.end):
        if end.how == "truncated":
            continue
        condition = end_condition(subject, i)
        total = Interval(end.value, end.value)
        if condition is not None:
            over = {
                **implied(condition),
                ir.Ended("terminated"): Interval(1, 1),
                ir.Ended("last"): Interval(1, 1),
            }
            for part in dense:
                total = total + subject.ranges.of(subject.paid[part.path], over)
        if total.low > 0 and math.isfinite(total.low):
            yield Ending("end", total.low, ("end", i))
        elif total.high <= 0 and math.isfinite(total.high) and total.high < 0:
            yield Ending("end", total.high, ("end", i))


def end_condition(subject: Subject, index: int) -> Expr | None:
    """Return the condition of an `end` of the spec as the program has it: the spec's ends come last."""
    ends = subject.program.ends
    position = len(ends) - len(subject.spec.end) + index
    return ends[position].when if 0 <= position < len(ends) else None


def assumed_alive(subject: Subject) -> Mapping[Expr, Interval]:
    """Return what is known on a step that does not end the episode.

    No end's condition holds, and no proposition does that ends the episode whenever it is true. The
    environment's own reward counts as far as it is sure to come: what it may pay besides is its goal's.
    """
    no = Interval(0.0, 0.0)
    known: dict[Expr, Interval] = {
        ir.Ended("terminated"): no,
        ir.Ended("last"): no,
        ir.Ended("truncated"): no,
    }
    known[ir.Field("terminated")] = known[ir.Field("truncated")] = no
    for end in subject.program.ends:
        known.update(implied(end.when, False))
    for name in ending_propositions(subject.program):
        known[ir.Holds(name)] = no
        condition = next(p.expr for p in subject.program.propositions if p.name == name)
        known.update(implied(condition, False))
    base = subject.declared.get(ir.Field("reward"))
    if base is not None:
        known[ir.Field("reward")] = Interval(base.low, max(base.low, min(base.high, 0.0)))
    return known


@lru_cache(maxsize=64)
def ending_propositions(program: Program) -> frozenset[str]:
    """Return the propositions whose truth ends the episode in every state of the machines."""
    found: set[str] = set()
    for proposition in program.propositions:
        fact = ir.Holds(proposition.name)
        if any(_is_sure(end.when, {fact: Interval(1.0, 1.0)}, program) for end in program.ends):
            found.add(proposition.name)
    names = [p.name for p in program.propositions if p.name not in found]
    for name in names:
        reading = [m for m in program.machines if name in m.propositions]
        if reading and _ends_in_all_states(program, reading, name):
            found.add(name)
    return frozenset(found)


def _is_sure(condition: Expr, facts: Mapping[Expr, Interval], program: Program) -> bool:
    return Ranges(program).of(condition, facts).low >= 1


def _ends_in_all_states(program: Program, machines: list[Machine], name: str) -> bool:
    """Say whether every step on which a proposition is true ends the episode, whatever the machines' states.

    Machines that do not read the proposition stay unknown; joint states in which an end holds already do not
    count.
    """
    moves = [[(u, v) for u in live_states(m) for v in sorted(targets_with(m, u, name))] for m in machines]
    if math.prod(len(pairs) for pairs in moves) > MAX_JOINT:
        return False
    seen = False
    for joint in product(*moves):
        before = {m.name: u for m, (u, _) in zip(machines, joint, strict=True)}
        after = {m.name: v for m, (_, v) in zip(machines, joint, strict=True)}
        if any(_ended_in(end.when, before, program) for end in program.ends):
            continue
        seen = True
        if not any(_ended_in(end.when, after, program) for end in program.ends):
            return False
    return seen


def _ended_in(condition: Expr, states: Mapping[str, int], program: Program) -> bool:
    """Say whether a condition surely holds when machines have come to the given states."""

    def fix(node: Expr) -> Expr:
        if isinstance(node, ir.StateTable) and node.machine in states:
            return ir.Const(node.values[states[node.machine]])
        return node

    return _is_sure(ir.rewrite(condition, fix), {}, program)


def live_states(machine: Machine) -> list[int]:
    """Return the states that do not end the episode by themselves."""
    return [u for u in range(len(machine.states)) if u not in machine.terminal]


def targets_with(machine: Machine, state: int, name: str) -> set[int]:
    """Return the states that a step on which a proposition is true may lead to."""
    bit = 1 << machine.propositions.index(name)
    fitting = [e for e in machine.edges[state] if not e.mask & bit or e.value & bit]
    targets = {edge.target for edge in fitting}
    share = sum(2.0 ** -(edge.mask & ~bit).bit_count() for edge in fitting)
    return targets if share >= 1 - 1e-12 else targets | {state}
