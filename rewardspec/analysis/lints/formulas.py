"""Lints of temporal formulas: what can never or always hold, what pays too soon, what is never paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rewardspec.analysis.subject import Subject
from rewardspec.errors import FormulaError, MissingExtraError, Problem
from rewardspec.ir import expr as ir
from rewardspec.kinds.ltl import Ltl
from rewardspec.kinds.ltl_parity import scale_ratio
from rewardspec.logic.automaton import Automaton, Verdict, step, verdicts
from rewardspec.logic.finite import StateLimit, compile_factor, compile_finite, split
from rewardspec.logic.formula import Formula, parse_formula
from rewardspec.logic.questions import (
    finite_infinite_differ,
    has_no_finite_violation,
    idle_parts,
    is_satisfiable,
    is_tautology,
)
from rewardspec.logic.syntax import Node, show
from rewardspec.lowering import Path

SMALL = StateLimit(states=300, cubes=1_024, nodes=100_000, seconds=0.5)
"""Questions about a formula are asked within this size; a larger one passes unasked."""

MAX_PARTS = 40

APART = 3
"""How many times as much a priority should weigh as the one below: random small worlds are then nearly all solved."""


def formulas(subject: Subject) -> Iterator[tuple[Path, Ltl, Formula]]:
    """Yield every formula of a spec, parsed."""
    for path, _, body in subject.of_kind(Ltl):
        try:
            yield path, body, parse_formula(body.formula, subject.spec.propositions, body.semantics)
        except FormulaError:  # reported by the compiler
            continue


def lint_formulas(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with each formula; what can never or must always hold is not looked at further."""
    for path, body, formula in formulas(subject):
        if trivial := _ask(_trivial, subject, path, body, formula):
            yield from trivial
        elif soon := _ask(_paid_too_soon, subject, path, body, formula):
            yield from soon
        else:
            yield from _ask(_never_paid, subject, path, body, formula)
            yield from _ask(_idle, subject, path, body, formula)
            yield from _ask(_readings, subject, path, body, formula)
            yield from _ask(_close_scales, subject, path, body, formula)


Question = Callable[[Subject, Path, Ltl, Formula], Iterator[Problem]]


def _ask(question: Question, subject: Subject, path: Path, body: Ltl, formula: Formula) -> list[Problem]:
    """Return the findings of one question; none where it is too large to answer, or needs a missing Spot."""
    try:
        return list(question(subject, path, body, formula))
    except (FormulaError, MissingExtraError):
        return []


def _trivial(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    place = (*path, "formula")
    if not _can_hold(formula):
        yield subject.finding(
            "unsatisfiable-formula",
            "error",
            f"no {_trace(formula)} satisfies {show(formula.root)}",
            place,
            (_conflict(formula), "It can never be paid: change the formula."),
        )
    elif _always_holds(formula):
        yield subject.finding(
            "tautological-formula",
            "error",
            f"every {_trace(formula)} satisfies {show(formula.root)}",
            place,
            ("It is paid whatever the agent does: change the formula, or use `markov` for a constant.",),
        )


def _trace(formula: Formula) -> str:
    return "finite trace" if formula.semantics == "finite" else "infinite word"


def _can_hold(formula: Formula) -> bool:
    if formula.semantics == "infinite":
        return is_satisfiable(formula)
    monitor = compile_finite(formula)
    return monitor.verdict(monitor.start) is not Verdict.VIOLATED_FOR_GOOD


def _always_holds(formula: Formula) -> bool:
    """Say whether a formula is a tautology, as far as it can be asked part by part."""
    if formula.semantics == "infinite":
        return is_tautology(formula)
    combine, parts = split(formula.root)
    wholes = parts if combine == "and" else (formula.root,)
    return all(is_tautology(_sub(formula, part), SMALL) for part in wholes)


def _sub(formula: Formula, part: Node) -> Formula:
    return Formula(formula.text, part, formula.semantics, formula.propositions)


def _conflict(formula: Formula) -> str:
    """Return a line that names two parts of a conjunction which exclude each other."""
    parts = formula.root.args if formula.root.op == "and" else ()
    for i, part in enumerate(parts[:10]):
        if not is_satisfiable(_sub(formula, part), SMALL):
            return f"'{show(part)}' alone can never hold."
        for other in parts[:i]:
            if not is_satisfiable(_sub(formula, Node("and", (other, part))), SMALL):
                return f"'{show(other)}' and '{show(part)}' exclude each other."
    return ""


def _paid_too_soon(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    """Yield formulas that `pay: first` pays for one step of any kind, or that look at one step only."""
    if body.semantics != "finite" or body.pay != "first":
        return
    combine, parts = split(formula.root)
    automata = [compile_factor(part, SMALL) for part in parts]
    join = all if combine == "and" else any
    shown = show(formula.root)
    if all(_looks_at_one_step(automaton) for automaton in automata):
        yield subject.finding(
            "first-step-only",
            "error",
            f"only the first step decides {shown}",
            (*path, "formula"),
            (f"Without a temporal operator a formula speaks of the first step. Did you mean 'F({shown})'?",),
        )
    elif join(_holds_at_once(automaton) for automaton in automata):
        yield subject.finding(
            "paid-on-first-step",
            "error",
            f"a single step can already satisfy {shown}, so `pay: first` pays and ends the episode there",
            (*path, "formula"),
            (
                "Write `pay: end` to pay for the whole episode, or join it with what is to be reached, "
                f"as in 'F goal & {shown}'.",
            ),
        )


def _looks_at_one_step(automaton: Automaton) -> bool:
    """Say whether every first label decides for good."""
    found = verdicts(automaton)
    return all(found[target].is_final for _, _, target in automaton.edges[automaton.start])


def _holds_at_once(automaton: Automaton) -> bool:
    """Say whether the first step satisfies so far without an effort.

    Either no first label leaves the verdict open at "violated so far", or a step on which nothing is true
    satisfies a formula that a later step could still violate.
    """
    found = verdicts(automaton)
    firsts = {found[target] for _, _, target in automaton.edges[automaton.start]}
    nothing = found[step(automaton, automaton.start, 0)]
    never_open = Verdict.VIOLATED_SO_FAR not in firsts and Verdict.SATISFIED_SO_FAR in firsts
    return never_open or nothing is Verdict.SATISFIED_SO_FAR


def _never_paid(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    shown = show(formula.root)
    if body.semantics == "finite":
        verdict = next((v for v in subject.program.verdicts if v.term == subject.owners.get(path)), None)
        if verdict is None:
            return
        join = all if verdict.combine == "and" else any
        fail = any if verdict.combine == "and" else all
        can_settle = join(3 in table for table in verdict.tables)
        can_fail = fail(0 in table for table in verdict.tables)
        if body.pay == "for_good" and not can_settle:
            yield subject.finding(
                "accept-never-paid",
                "error",
                f"no trace satisfies {shown} for good, so `pay: for_good` never pays `accept`",
                (*path, "formula"),
                ("Write `pay: end`: it pays by the verdict on the whole episode.",),
            )
    else:
        can_fail = not has_no_finite_violation(formula)
    if body.reject and not can_fail and not (body.semantics == "finite" and body.pay == "end"):
        ways = "`pay: end` pays it on the last step of the episode" if body.semantics == "finite" else ""
        yield subject.finding(
            "reject-never-paid",
            "warning",
            f"no finite episode violates {shown} for good, so `reject: {body.reject:g}` is never paid",
            (*path, "reject"),
            (
                "It only says what must happen some day (liveness), and some day may always still come.",
                "Leave `reject` out, or say what must not happen, as in '& G "
                f"!lava'{'; ' + ways if ways else ''}.",
            ),
        )


def _idle(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    idle = idle_parts(formula, SMALL, MAX_PARTS)
    for part in idle[:3]:
        start = (*path, "formula")
        place = subject.spec.place(start)
        yield subject.finding(
            "vacuous-formula",
            "warning",
            f"the part '{show(part)}' makes no difference to {show(formula.root)}",
            start,
            ("Leave it out; if it was meant to matter, the formula does not say what you mean.",),
            place=place.within(part.offset, part.length) if place.excerpt and part.length > 1 else place,
        )


def _readings(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    if body.semantics != "finite":
        return
    last = next((n for n in _nodes(formula.root) if _asks_for_last_step(n)), None)
    if last is None and not finite_infinite_differ(formula, SMALL):
        return
    step = next((n for n in _nodes(formula.root) if n.op == "X"), None)
    reason = ""
    if last is not None:
        reason = f"'{show(last)}' asks only for the last step of the episode."
    elif step is not None:
        reason = f"'{show(step)}' needs a next step, and the last step of an episode has none."
    yield subject.finding(
        "finite-reading",
        "info",
        f"on finite traces {show(formula.root)} does not say what it says on infinite ones",
        (*path, "formula"),
        (
            reason,
            "`semantics: infinite` reads it over endless behaviour; "
            "write 'WX' for a next step that need not exist.",
        ),
    )


def _close_scales(subject: Subject, path: Path, body: Ltl, formula: Formula) -> Iterator[Problem]:
    """Yield formulas paid by `scheme: parity` whose priorities take shares of the stake that are much alike."""
    stake = next((f for f in subject.program.folds if f.name == f"{subject.owners.get(path)}.stake"), None)
    machine = subject.machine(path)
    discount = subject.spec.discount
    if body.semantics != "infinite" or stake is None or machine is None or not discount:
        return
    left = {
        value for node in ir.walk(stake.update) if isinstance(node, ir.OutputTable) for value in node.values
    }
    count = len([value for value in left if 0 < value < 1])
    if count < 2 or (apart := scale_ratio(count, discount)) >= APART:
        return
    needed = 1 - (1 / (2 * APART)) ** (count + 1)
    yield subject.finding(
        "close-scales",
        "warning",
        f"with discount {discount:g} each of the {count} priorities of {show(formula.root)} weighs only {apart:.1f} "
        "times as much as the one below",
        (*path, "formula"),
        (
            "`scheme: parity` tells 'from some step on, always' from 'often' by these weights, and can take one for "
            "the other.",
            f"With discount {needed:.4g} they are {2 * APART} times apart.",
            "Or say what has a deterministic Buechi automaton, as in 'G F a' or 'G (ready implies G a)'.",
        ),
    )


def _asks_for_last_step(node: Node) -> bool:
    """Say whether a part is `G F x` or `F G x`, which on finite traces are the same."""
    return node.op in ("F", "G") and {node.op, node.args[0].op} == {"F", "G"} and node.high is None


def _nodes(root: Node) -> Iterator[Node]:
    """Yield every part of a formula, outer ones first."""
    yield root
    for arg in root.args:
        yield from _nodes(arg)


def lint_payments(subject: Subject) -> Iterator[Problem]:
    """Yield formulas whose violation is paid better than their satisfaction.

    A formula that is only ever punished (`accept: -1`, nothing for its violation) says what is unwanted.
    """
    for path, _, body in subject.of_kind(Ltl):
        if body.accept <= body.reject and body.reject > 0:
            yield subject.finding(
                "accept-not-above-reject",
                "warning",
                f"satisfying the formula pays {body.accept:g}, violating it {body.reject:g}",
                (*path, "accept"),
                ("The agent learns to violate it. Make `accept` the greater one, or negate the formula.",),
            )
