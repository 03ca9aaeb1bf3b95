"""The `tests:` block of a spec: traces and recorded transitions with what they must earn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rewardspec.analysis.columns import align
from rewardspec.analysis.recorded import KEYS, RecordedError, find_unreadable, transition_of
from rewardspec.analysis.subject import is_learned
from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, SpecError, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import bind_to_values
from rewardspec.ir.program import VERDICTS, Program
from rewardspec.ir.show import show_name
from rewardspec.spec.declarations import TestSpec
from rewardspec.spec.model import Spec
from rewardspec.transition import Outcome, Transition

TOLERANCE = 1e-6
"""Relative and absolute difference up to which two payments are equal."""

MAX_ROWS = 60
"""Steps of a test that a page shows; the middle of a longer one is left out."""


@dataclass(frozen=True)
class Row:
    """One step of a test run.

    Attributes:
        label: Propositions that were true.
        states: State name by machine, after the step.
        terms: Payment by term; undecided terms are left out.
        terminated: Whether the episode is over.
        truncated: Likewise, by truncation.
    """

    label: tuple[str, ...]
    states: dict[str, str]
    terms: dict[str, float]
    terminated: bool
    truncated: bool


@dataclass(frozen=True)
class TestResult:
    """What one test gave.

    Attributes:
        name: Name of the test.
        differences: What differs from what the test expects, one line each; empty when it passed.
        rows: The steps.
        undecided: Terms that a trace of labels does not decide, since they read more of the transition.
        learned: Terms whose payments are learned while an agent trains: no test of a spec decides them.
    """

    __test__ = False  # not a test class of pytest's

    name: str
    differences: tuple[str, ...]
    rows: tuple[Row, ...]
    undecided: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.differences


def run_tests(spec: Spec, program: Program | None = None, only: str = "") -> tuple[TestResult, ...]:
    """Run the tests of a spec.

    Args:
        spec: The spec.
        program: Its program, when it has been compiled already.
        only: Text that a test's name must hold to be run; empty for all.

    Raises:
        SpecError: When a test itself is wrong: an unknown proposition, term, machine or state.
    """
    if spec.is_for_agents:
        from rewardspec.analysis.team_tests import run_team_tests

        return run_team_tests(spec, only)
    program = program or compile_spec(spec)
    problems: list[Problem] = []
    results: list[TestResult] = []
    for i, test in enumerate(spec.tests):
        if only not in test.name:
            continue
        try:
            results.append(_Run(spec, program, test, i).run())
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return tuple(results)


def decide_without_learner(program: Program) -> tuple[Program, tuple[str, ...]]:
    """Return the part of a program that is paid without a learner, and the names of the terms that are learned.

    Only terms may depend on what a learned model says, so nothing else changes.
    """
    learned = tuple(term.name for term in program.terms if is_learned(term.expr))
    return replace(
        program, terms=tuple(t for t in program.terms if t.name not in learned), learned=()
    ), learned


def decide_by_labels(program: Program) -> tuple[Program, tuple[str, ...]]:
    """Return the part of a program that labels alone decide, and the names of the terms that they do not.

    Declared propositions are read from the label; ends and terms that read more are left out.
    """
    propositions = tuple(
        p if _only_memory(p.expr) else replace(p, expr=ir.Field("label", (p.name,)))
        for p in program.propositions
    )
    folds = {f.name: f.update for f in program.folds}
    added = {s.name: [e for e in (s.item, s.first) if e is not None] for s in program.sets}
    decided: dict[str, bool] = {}

    def is_decided(expr: ir.Expr) -> bool:
        for node in ir.walk(expr):
            if isinstance(node, ir.Field) and node.root not in ("terminated", "truncated", "label", "future"):
                return False
            if isinstance(node, ir.Gain) and not all(map(is_decided, added[node.set])):
                return False
            if isinstance(node, ir.Memory):
                if node.fold not in decided:
                    decided[node.fold] = True  # a fold may read itself
                    decided[node.fold] = is_decided(folds[node.fold])
                if not decided[node.fold]:
                    return False
        return True

    undecided = tuple(t.name for t in program.terms if not is_decided(t.expr))
    return (
        replace(
            program,
            propositions=propositions,
            folds=tuple(f for f in program.folds if is_decided(f.update)),
            sets=tuple(s for s in program.sets if all(map(is_decided, added[s.name]))),
            terms=tuple(t for t in program.terms if t.name not in undecided),
            ends=tuple(e for e in program.ends if is_decided(e.when)),
            futures=tuple((n, e) for n, e in program.futures if is_decided(e)),
        ),
        undecided,
    )


def _only_memory(expr: ir.Expr) -> bool:
    """Return whether a proposition is about memory alone, as those of counters and of a formula's rounds are."""
    nodes = list(ir.walk(expr))
    return any(isinstance(n, ir.Memory | ir.StateTable) for n in nodes) and not any(
        isinstance(n, ir.Field) for n in nodes
    )


class _Run:
    def __init__(self, spec: Spec, program: Program, test: TestSpec, index: int) -> None:
        self.spec, self.test, self.index = spec, test, index
        self.program, self.learned = decide_without_learner(program)
        self.undecided: tuple[str, ...] = ()
        if test.trace is not None:
            self.program, self.undecided = decide_by_labels(self.program)

    def fail(self, code: str, message: str, *path: str | int, hint: str = "") -> SpecError:
        place = self.spec.place(("tests", self.index, *path))
        return SpecError(Problem(code, message, place, (hint,) if hint else ()))

    def run(self) -> TestResult:
        self.check_expectations()
        transitions = self.trace() if self.test.trace is not None else self.recorded()
        if self.test.end is not None and transitions:
            ended: dict[str, Any] = {self.test.end: True}
            transitions[-1] = replace(transitions[-1], **ended)
        program = self.program
        if self.test.trace is None and transitions:
            program = bind_to_values(program, transitions[0]).program
        outcomes = oracle.run_episode(program, transitions)
        rows = self.rows(program, transitions, outcomes)
        differences = tuple(self.compare(program, rows))
        return TestResult(self.test.name, differences, tuple(rows), self.undecided, self.learned)

    # -- what goes in ----------------------------------------------------------------------------

    def trace(self) -> list[Transition]:
        known = {*self.spec.propositions, *self.program.judged_labels}
        declared = [p.name for p in self.program.propositions if p.name in known]
        transitions = []
        for t, names in enumerate(self.test.trace or ()):
            for k, name in enumerate(names):
                if name not in declared:
                    hint = f"declared here: {list_names(declared)}.{near_miss(name, declared)}"
                    raise self.fail(
                        "unknown-proposition", f"unknown proposition '{name}'", "trace", t, k, hint=hint
                    )
            transitions.append(Transition(label={name: name in names for name in declared}, info={}))
        return transitions

    def recorded(self) -> list[Transition]:
        labels = [str(f.path[0]) for f in self.program.fields() if f.root == "label" and f.path]
        transitions = []
        for t, data in enumerate(self.test.transitions or ()):
            try:
                transitions.append(transition_of(data, labels))
            except RecordedError as error:
                code = "unknown-key" if error.key not in KEYS else "wrong-value"
                raise self.fail(code, error.message, "transitions", t, error.key, hint=error.hint) from None
        unreadable = find_unreadable(self.program, transitions)
        if unreadable is not None:
            t, read = unreadable
            message = f"the spec reads {read}, which this transition does not have"
            raise self.fail("unreadable-transition", message, "transitions", t)
        return transitions

    # -- what comes out --------------------------------------------------------------------------

    def rows(
        self, program: Program, transitions: Sequence[Transition], outcomes: Sequence[Outcome]
    ) -> list[Row]:
        state = oracle.init(program)
        rows: list[Row] = []
        for transition, outcome in zip(transitions, outcomes, strict=True):
            known = replace(
                transition, future=transition.future or {name: 0.0 for name, _ in program.futures}
            )
            true = tuple(oracle.true_propositions(program, state, known))
            state, _ = oracle.step(program, state, [known])
            names = {m.name: m.states[state.machines[0][m.name]] for m in program.machines}
            terms = {t.name: float(p) for t, p in zip(program.terms, outcome.terms, strict=True)}
            rows.append(Row(true, names, terms, outcome.terminated, outcome.truncated))
            if outcome.terminated or outcome.truncated:
                break
        return rows

    def check_expectations(self) -> None:
        expected = self.test.return_
        terms = [t.name for t in self.program.terms]
        if isinstance(expected, Mapping):
            for name in expected:
                if name in self.learned:
                    raise self.fail(
                        "undecided-term",
                        f"what '{name}' pays is learned while an agent trains, so no test decides it",
                        "return",
                        name,
                        hint="Leave the term out: the test is about the others then.",
                    )
                if name in self.undecided:
                    raise self.fail(
                        "undecided-term",
                        f"a trace of propositions does not decide '{name}', which reads more",
                        "return",
                        name,
                        hint="Give the test `transitions:` with what the term reads, or leave the term out.",
                    )
                if name not in terms:
                    hint = f"Terms here: {list_names(terms)}.{near_miss(name, terms)}"
                    raise self.fail(
                        "unknown-term", f"there is no term named '{name}'", "return", name, hint=hint
                    )
        machines = {m.name: m for m in self.program.machines}
        for name, state in self.expected_states().items():
            if name not in machines:
                hint = f"Machines here: {list_names(machines)}.{near_miss(name, machines)}"
                raise self.fail("unknown-machine", f"there is no machine named '{name}'", "state", hint=hint)
            known = [part for joined in machines[name].states for part in joined.split("|")]
            if state not in known:
                hint = f"States here: {list_names(known)}.{near_miss(state, known)}"
                raise self.fail("unknown-state", f"'{name}' has no state '{state}'", "state", hint=hint)
        for name, verdict in self.expected_verdicts().items():
            formulas = [v.term for v in self.program.verdicts]
            if name not in formulas:
                hint = f"Formulas here: {list_names(formulas)}.{near_miss(name, formulas)}"
                raise self.fail("unknown-term", f"there is no formula named '{name}'", "verdict", hint=hint)
            words = (*VERDICTS, "open")
            if verdict not in words:
                raise self.fail(
                    "wrong-value",
                    f"'{verdict}' is no verdict",
                    "verdict",
                    hint=f"One of: {list_names(words)}.",
                )

    def expected_states(self) -> dict[str, str]:
        expected = self.test.state
        if isinstance(expected, str):
            written = [m.name for m in self.program.machines if m.payments != (ir.ZERO,)] or [
                m.name for m in self.program.machines
            ]
            if len(written) != 1:
                raise self.fail(
                    "unknown-machine",
                    f"the spec has {len(written)} machines: say which, as in {{name: {expected}}}",
                    "state",
                )
            return {written[0]: expected}
        return dict(expected or {})

    def expected_verdicts(self) -> dict[str, str]:
        expected = self.test.verdict
        if isinstance(expected, str):
            formulas = [v.term for v in self.program.verdicts]
            if len(formulas) != 1:
                raise self.fail(
                    "unknown-term", f"the spec has {len(formulas)} formulas: say which", "verdict"
                )
            return {formulas[0]: expected}
        return dict(expected or {})

    def compare(self, program: Program, rows: Sequence[Row]) -> list[str]:
        """Return one line for each expectation that was not met."""
        test, found = self.test, []
        totals = {t.name: math.fsum(row.terms[t.name] for row in rows) for t in program.terms}
        if isinstance(test.return_, Mapping):
            for name, expected in test.return_.items():
                if not _equal(totals[name], expected):
                    found.append(f"return of {name}: expected {expected:g}, got {totals[name]:g}")
        elif test.return_ is not None and not _equal(sum(totals.values()), test.return_):
            parts = ", ".join(f"{name} {value:g}" for name, value in totals.items())
            found.append(f"return: expected {test.return_:g}, got {sum(totals.values()):g} ({parts})")
        if test.rewards is not None:
            paid = [sum(row.terms.values()) for row in rows]
            if len(paid) != len(test.rewards):
                found.append(f"rewards: expected {len(test.rewards)} steps, got {len(paid)}")
            for t, (expected, got) in enumerate(zip(test.rewards, paid, strict=False)):
                if not _equal(got, expected):
                    found.append(f"reward of step {t}: expected {expected:g}, got {got:g}")
        last = rows[-1] if rows else None
        for name, state in self.expected_states().items():
            machine = program.machine(name)
            reached = last.states[name] if last else machine.states[machine.start]
            if state not in reached.split("|"):
                found.append(f"state of {name}: expected {state}, got {reached}")
        for name, verdict in self.expected_verdicts().items():
            said = self.verdict(program, name, last)
            if verdict != said:
                found.append(f"verdict of {name}: expected {verdict}, got {said}")
        over = last is not None and last.terminated
        if test.terminated is not None and over != test.terminated:
            found.append(f"terminated: expected {str(test.terminated).lower()}, got {str(over).lower()}")
        ended = next((t for t, row in enumerate(rows) if row.terminated or row.truncated), None)
        if test.ends_at is not None and ended != test.ends_at:
            found.append(f"ends_at: expected {test.ends_at}, got {'no end' if ended is None else ended}")
        given = len(test.trace if test.trace is not None else test.transitions or ())
        if ended is not None and ended + 1 < given and test.ends_at is None:
            found.append(
                f"the episode ended at step {ended}, and the test goes on for {given - ended - 1} more"
            )
        return found

    def verdict(self, program: Program, name: str, last: Row | None) -> str:
        declared = next(v for v in program.verdicts if v.term == name)
        states = []
        for machine_name in declared.machines:
            machine = program.machine(machine_name)
            states.append(machine.states.index(last.states[machine_name]) if last else machine.start)
        return declared.word(tuple(states))


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def show_result(result: TestResult) -> list[str]:
    r"""Return a result as lines: what was expected and what came, then the steps.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> test = "{name: opened, trace: [[], [door]], return: 2}"
        >>> spec = loads(f"propositions: {{door: null}}\nreward: {{once: door}}\ntests: [{test}]")
        >>> print(*show_result(run_tests(spec)[0]), sep="\n")
        return: expected 2, got 1 (once 1)
        <BLANKLINE>
        step  true  once
           0  -        .
           1  door    +1
    """
    lines = list(result.differences)
    if result.rows:
        lines += ["", *_steps(result.rows)]
    if result.undecided:
        verb = "is" if len(result.undecided) == 1 else "are"
        lines.append(f"{list_names(result.undecided)} {verb} not decided by propositions, and not counted")
    if result.learned:
        verb = "is" if len(result.learned) == 1 else "are"
        lines.append(f"{list_names(result.learned)} {verb} learned while an agent trains, and not counted")
    return lines if result.differences else lines[1:]


def _steps(rows: Sequence[Row]) -> list[str]:
    """Return the steps of a test as a table: true propositions, machine states, payment by term."""
    machines = [name for name in rows[0].states if len({row.states[name] for row in rows}) > 1]
    terms = list(rows[0].terms)
    header = ["step", "true", *(f"{name} (state)" for name in machines), *terms, ""]
    table = [header]
    for t, row in enumerate(rows):
        end = "terminated" if row.terminated else "truncated" if row.truncated else ""
        states = [show_name(row.states[name]) for name in machines]
        paid = [f"{row.terms[name]:+.6g}" if row.terms[name] else "." for name in terms]
        table.append([str(t), ", ".join(row.label) or "-", *states, *paid, end])
    if len(table) > MAX_ROWS:
        half = MAX_ROWS // 2
        table = [*table[:half], ["...", *[""] * (len(header) - 1)], *table[-half:]]
    return align(table, right=(0, *range(2 + len(machines), 2 + len(machines) + len(terms))))
