"""Lints of how terms are joined and mapped: products, gates, normalisation, shaping."""

from __future__ import annotations

from collections.abc import Iterator

from rewardspec.analysis.economy import economy
from rewardspec.analysis.intervals import Interval
from rewardspec.analysis.subject import Subject, constant_weight, is_change
from rewardspec.errors import Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.machine import reachable
from rewardspec.ir.program import Machine
from rewardspec.ir.text import parse_expression
from rewardspec.kinds.markov import Markov
from rewardspec.kinds.reward_machine import RewardMachine
from rewardspec.lowering import Path
from rewardspec.operators.combine import Lexicographic, Product
from rewardspec.operators.gate import Gate
from rewardspec.operators.history import Diff
from rewardspec.operators.maps import Affine
from rewardspec.operators.normalise import Normalise
from rewardspec.spec.terms import Term

BREAKS_SUMS = ("clip", "normalise", "tanh", "sigmoid", "log_sigmoid", "threshold")
"""Operators that change step payments unevenly, so that differences no longer add up to end minus start."""

TOLERANCE = 1e-9


def lint_products(subject: Subject) -> Iterator[Problem]:
    """Yield products in which a factor may turn the others' meaning round."""
    for path, _, body in subject.of_kind(Product):
        intervals = [
            subject.ranges.of(subject.paid[(*path, "terms", i)]) * _sign(term)
            for i, term in enumerate(body.terms)
        ]
        varying = [i for i, interval in enumerate(intervals) if not interval.is_constant]
        for i in varying:
            interval = intervals[i]
            if len(varying) < 2 or not interval.is_bounded or interval.low >= -TOLERANCE:
                continue
            others = [j for j in varying if j != i]
            hint = (
                f"Shift it to 0 or more (its range here is {interval}), for example with `exp`, `sigmoid` or "
                f"`affine: {{of: ..., shift: {-interval.low:g}}}`; or add it instead of multiplying."
            )
            yield subject.finding(
                "negative-product",
                "warning",
                f"this factor lies in {interval}; where it is negative, the reward falls as the other factor"
                f"{'s' if len(others) > 1 else ''} rise{'' if len(others) > 1 else 's'}",
                (*path, "terms", i),
                (hint,),
            )
            break


def _sign(term: Term) -> Interval:
    weight = constant_weight(term)
    return Interval(1.0, 1.0) if weight is None else Interval(weight, weight)


def lint_normalise(subject: Subject) -> Iterator[Problem]:
    """Yield scales and shifts that the running normalisation around them undoes."""
    for path, _, body in subject.of_kind(Normalise):
        if body.mean is not None or body.std is not None:
            continue
        inner, reasons = body.of, []
        weight = constant_weight(inner)
        if weight is not None and inner.weight is not None and weight > 0:
            reasons.append(f"`weight: {weight:g}`")
        if isinstance(inner.body, Affine) and inner.body.scale > 0:
            if inner.body.scale != 1:
                reasons.append(f"`scale: {inner.body.scale:g}`")
            if inner.body.shift and body.centre:
                reasons.append(f"`shift: {inner.body.shift:g}`")
        if reasons:
            yield subject.finding(
                "normalised-scale",
                "warning",
                f"{' and '.join(reasons)} inside `normalise` has no effect: dividing by the running spread "
                "undoes it",
                (*path, "of"),
                ("Leave it out, or put the factor outside, as the `weight` of `normalise`.",),
            )


def lint_telescoping(subject: Subject) -> Iterator[Problem]:
    """Yield maps over differences that no longer add up."""
    for path, term in subject.terms:
        inner = getattr(term.body, "of", None)
        if term.kind not in BREAKS_SUMS or not isinstance(inner, Term):
            continue
        if inner.kind in ("diff", "potential") or (
            isinstance(inner.body, Markov) and is_change(subject.paid[(*path, "of")])
        ):
            yield subject.finding(
                "broken-telescoping",
                "info",
                f"`{term.kind}` over a difference: the payments no longer add up to the last value minus "
                "the first",
                path,
                (
                    "An agent can gain by many small steps forward and few large ones back. "
                    f"Apply `{term.kind}` to the value before its difference is taken.",
                ),
            )


def lint_gates(subject: Subject) -> Iterator[Problem]:
    """Yield gates that open by a change, which an agent can bring about by going back and forth."""
    for path, _, body in subject.of_kind(Gate):
        if body.known == "step":
            continue
        condition = parse_expression(body.when, subject.meanings)
        if any(is_change(node) for node in ir.walk(condition) if isinstance(node, ir.Binary)):
            yield subject.finding(
                "gate-on-change",
                "info",
                "the gate opens by a change from one step to the next, not by where the episode stands",
                (*path, "when"),
                ("One step back and one forward can open it. Compare the value itself with a bound.",),
            )


def lint_lexicographic(subject: Subject) -> Iterator[Problem]:
    """Yield a note on what a lexicographic order of steps does not order."""
    for path, _, body in subject.of_kind(Lexicographic):
        if len(body.terms) > 1:
            yield subject.finding(
                "lexicographic-steps",
                "info",
                "the order is that of single steps: over an episode many small gains may outweigh one loss "
                "in the "
                "first term",
                path,
                (
                    f"Its smallest step in the first term is worth {body.levels ** (len(body.terms) - 1)} "
                    "of the last "
                    "term's; use a machine or a `gate` where the first must hold throughout.",
                ),
            )


def lint_shaping(subject: Subject) -> Iterator[Problem]:
    """Yield the terms beside a goal that can change which policy is best."""
    wealth = economy(subject)
    goal = wealth.best_goal
    if goal is None:
        return
    changing: dict[str, str] = {}
    for dense in wealth.dense:
        if dense.term != goal.term and not dense.each.is_constant:  # constants: see the incentives
            changing[dense.term] = "paid step by step"
    for path, _, body in subject.of_kind(Diff):
        if not body.discounted:
            changing[subject.name(path)] = "`diff` without discount, whose last value is kept"
    for path, _, _ in subject.of_kind(Markov):
        if len(path) == 2 and is_change(subject.paid[path]):
            changing[subject.name(path)] = "a difference without discount, whose last value is kept"
    first: Path = ()
    for i, name in enumerate(subject.names):
        if name in changing:
            first = ("reward", i)
            break
    if changing:
        listed = "; ".join(f"'{name}' ({why})" for name, why in list(changing.items())[:5])
        yield subject.finding(
            "may-change-optimum",
            "info",
            f"beside the goal '{goal.term}', {len(changing)} term{'s' * (len(changing) > 1)} can change "
            "which policy is "
            f"best: {listed}",
            first,
            (
                "Only `potential` leaves the best policies alone. That is right for a cost you mean, wrong "
                "for a hint.",
            ),
        )
    yield from _uneven_edges(subject)


def _uneven_edges(subject: Subject) -> Iterator[Problem]:
    """Yield machines whose payments along the way depend on the way."""
    for path, _, _ in subject.of_kind(RewardMachine):
        machine = subject.machine(path)
        if machine is None or not machine.terminal & reachable(machine):
            continue
        conflict = _find_conflict(machine)
        if conflict is None:
            continue
        state, earlier, later = conflict
        yield subject.finding(
            "uneven-payments",
            "info",
            f"ways to state '{machine.states[state]}' pay different sums: {earlier:g} and {later:g}",
            path,
            (
                "So the payments along the way prefer one way to the goal. Right if you mean it; as a "
                "hint, use "
                "`potential: {machine: ...}`.",
            ),
        )


def _find_conflict(machine: Machine) -> tuple[int, float, float] | None:
    """Return a state that is not terminal, and two sums of payments with which it can be reached."""
    sums = {machine.start: 0.0}
    queue = [machine.start]
    for state in queue:  # grows while we read it
        if state in machine.terminal:
            continue
        for edge in machine.edges[state]:
            paid = machine.payments[edge.output]
            if edge.target in machine.terminal or not isinstance(paid, ir.Const):
                continue
            if edge.target == state and float(paid.value) <= 0:
                continue  # a penalty for what is better left, on any way
            total = sums[state] + float(paid.value)
            if edge.target not in sums:
                sums[edge.target] = total
                queue.append(edge.target)
            elif abs(sums[edge.target] - total) > TOLERANCE:
                return edge.target, sums[edge.target], total
    return None


def lint_weights(subject: Subject) -> Iterator[Problem]:
    """Yield terms of weight 0."""
    for path, term in subject.terms:
        if term.weight is not None and constant_weight(term) == 0:
            yield subject.finding(
                "zero-weight",
                "info",
                f"the weight of '{term.name or term.kind}' is 0: it pays nothing",
                (*path, "weight"),
                (
                    "It is computed and reported all the same. Remove the term, or set the weight while "
                    "training runs.",
                ),
            )
