"""What a kind's `lower` works with: names in sight, a place to report problems, and the program under construction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rewardspec.errors import FormulaError, Place, Problem, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import (
    End,
    Fold,
    Judged,
    Learned,
    Machine,
    ParamValue,
    Proposition,
    SetMemory,
    Verdict,
)
from rewardspec.ir.text import ROOTS, parse_expression, size_exceeds
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Exponential, Kind, Linear, Performance, Schedule, Term, Weight

if TYPE_CHECKING:
    from rewardspec.sets.family import SetFunction

Path = tuple["str | int", ...]

STEPS = "run.steps"
"""Name of the fold that counts the environment steps of the run, for schedules."""

STRIDE = "run.stride"
"""Name of the parameter that says how many environments step together, for schedules."""

MAX_PARTS = 200_000
"""Parts of all expressions of a spec together, names written out."""

MAX_TERM_PARTS = 50_000
"""Parts of what one term pays."""

DUMMY = ir.ZERO
"""Stands for an expression that could not be read; the problem has been noted."""


@dataclass
class Draft:
    """The parts of a program while it is being built."""

    propositions: dict[str, Proposition] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    folds: dict[str, Fold] = field(default_factory=dict)
    params: dict[str, ParamValue] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    futures: dict[str, Expr] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    learned: dict[str, Learned] = field(default_factory=dict)
    sets: dict[str, SetMemory] = field(default_factory=dict)
    judged: dict[str, Judged] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    parts: int = 0
    """Parts of all expressions that were read."""


@dataclass(frozen=True)
class Scope:
    """The surroundings of one term.

    Attributes:
        spec: The whole spec.
        vocabulary: The kinds and operators that terms may name.
        draft: The program under construction.
        names: What declared names stand for in expressions.
        path: Where the term stands in the document.
        owner: The term's name; what it declares is named after it.
    """

    spec: Spec
    vocabulary: Mapping[str, Kind]
    draft: Draft
    names: Mapping[str, Expr]
    path: Path = ()
    owner: str = "reward"

    # -- places and problems ---------------------------------------------------------------------

    def at(self, *path: str | int) -> Place:
        """Return the place of a field of this term."""
        return self.spec.place((*self.path, *path))

    def problem(self, code: str, message: str, *path: str | int, hints: Iterable[str] = ()) -> None:
        """Note a problem at a field of this term."""
        self.draft.problems.append(Problem(code, message, self.at(*path), tuple(hints)))

    def formula_problem(self, error: FormulaError, *path: str | int) -> None:
        """Note a problem that a parser found at an offset of a field's text."""
        self.draft.problems.append(error.at(self.at(*path)))

    # -- expressions -----------------------------------------------------------------------------

    def expression(
        self,
        text: str,
        *path: str | int,
        roots: tuple[str, ...] = tuple(ROOTS),
        names: Mapping[str, Expr] | None = None,
    ) -> Expr:
        """Return the IR of a numeric expression; note a problem and return zero where it cannot be read."""
        place = self.at(*path)
        if self.draft.parts > MAX_PARTS:  # said already
            return DUMMY
        try:
            found = parse_expression(text, self.names if names is None else names, place, roots=roots)
        except FormulaError as error:
            self.formula_problem(self._declared_later(error, text) if names is None else error, *path)
            return DUMMY
        self.draft.parts += sum(1 for _ in ir.walk(found))
        if self.draft.parts > MAX_PARTS:
            message = f"up to here the expressions have more than {MAX_PARTS} parts, names written out"
            self.problem("expression-too-large", message, *path)
        return found

    def _declared_later(self, error: FormulaError, text: str) -> FormulaError:
        """Return an error with another hint, where an unknown name is declared further down."""
        name = text[error.offset : error.offset + error.length]
        if error.code != "unknown-name" or name not in {*self.spec.signals, *self.spec.propositions}:
            return error
        hint = (
            f"'{name}' is declared further down. An expression reads what stands above it, "
            "and signals stand above propositions: move it up."
        )
        return FormulaError(error.code, error.message, error.offset, error.length, (hint,))

    def condition(self, text: str, *path: str | int, names: Mapping[str, Expr] | None = None) -> Expr:
        """Return the IR of a truth-valued expression; a bare field counts as true when it is not 0."""
        before = len(self.draft.problems)
        found = self.expression(text, *path, names=names)
        if len(self.draft.problems) > before:
            return ir.FALSE
        if ir.is_boolean(found):
            return found
        if isinstance(found, ir.Field):
            return ir.Compare("ne", found, ir.ZERO, found.place)
        self.problem(
            "expected-truth-value",
            "a number stands where a truth value is needed",
            *path,
            hints=("Compare it, as in x > 0.",),
        )
        return ir.FALSE

    # -- parts of the program --------------------------------------------------------------------

    def unique(self, suffix: str, taken: Mapping[str, Any]) -> str:
        """Return `owner.suffix`, numbered where that is taken."""
        name = f"{self.owner}.{suffix}" if suffix else self.owner
        number, candidate = 2, name
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        return candidate

    def fold(
        self,
        suffix: str,
        start: float,
        update: Any,
        *,
        scope: str = "episode",
        observed: bool = True,
        low: float = float("-inf"),
        high: float = float("inf"),
    ) -> tuple[Expr, Expr]:
        """Declare a memory and return its values before and after the step.

        Args:
            suffix: Name, which the term's name precedes.
            start: Value at the start.
            update: A function from the value before the step to the next value (both expressions).
            scope: `episode` or `run`.
            observed: Whether the agent must see it.
            low: Least value.
            high: Greatest value.
        """
        name = self.unique(suffix, self.draft.folds)
        before, after = ir.Memory(name), ir.Memory(name, after=True)
        fold = Fold(name, start, update(before), scope, observed, low, high)  # type: ignore[arg-type]
        self.draft.folds[name] = fold
        return before, after

    def machine(self, machine: Machine) -> None:
        """Declare a machine; its terminal states end the episode."""
        self.draft.machines[machine.name] = machine
        if machine.terminal:
            flags = tuple(u in machine.terminal for u in range(len(machine.states)))
            self.end(ir.StateTable(machine.name, flags))

    def proposition(self, name: str, expr: Expr, place: Place) -> None:
        """Declare a proposition of this term's own."""
        self.draft.propositions[name] = Proposition(name, expr, place)

    def end(self, when: Expr, how: str = "terminated") -> None:
        """Declare a condition that ends the episode."""
        self.draft.ends.append(End(when, how))  # type: ignore[arg-type]

    def param(self, suffix: str, initial: float) -> Expr:
        """Declare a number that the host may change."""
        name = self.unique(suffix, self.draft.params)
        self.draft.params[name] = ParamValue(name, initial)
        return ir.Param(name)

    def future(self, suffix: str, expr: Expr) -> Expr:
        """Return a field for the value that an expression has at the last step of the episode."""
        name = self.unique(suffix, self.draft.futures)
        self.draft.futures[name] = expr
        return ir.Field("future", (name,))

    def learned(
        self,
        kind: str,
        inputs: tuple[Expr, ...] | None,
        measures: Iterable[tuple[str, Expr]],
        settings: object,
        whole: tuple[ir.Root, ...] = ("obs", "action"),
    ) -> Expr:
        """Return a field for what a model will say of a step; see `Learned`."""
        name = self.unique("", self.draft.learned)
        self.draft.learned[name] = Learned(name, kind, inputs, tuple(measures), settings, whole, self.at())
        return ir.Field("learned", (name,))

    def judged(self, kind: str, questions: tuple[str, ...], settings: object) -> tuple[Expr, ...]:
        """Declare a proposition for each question, which a judge answers on every step; see `Judged`.

        It is named after the question, so that traces can be read; a number tells it apart from what has that name.
        """
        labels: list[str] = []
        for question in questions:
            number, label = 2, question
            while label in self.draft.propositions or label in self.names:
                label, number = f"{question} ({number})", number + 1
            self.proposition(label, ir.Field("label", (label,), place=self.at()), self.at())
            labels.append(label)
        name = self.unique("", self.draft.judged)
        self.draft.judged[name] = Judged(name, kind, questions, tuple(labels), settings, self.at())
        return tuple(ir.Holds(label) for label in labels)

    def grown(self, function: SetFunction, item: Expr, first: Expr | None, place: Place) -> Expr:
        """Declare a set that grows by an item a step and return what the item adds; see `SetMemory`."""
        name = self.unique("set", self.draft.sets)
        self.draft.sets[name] = SetMemory(name, function, item, first, place=place)
        return ir.Gain(name)

    def verdict(self, verdict: Verdict) -> None:
        """Declare how a formula's verdict is read from its machines; a second formula of one term is numbered."""
        taken = {declared.term for declared in self.draft.verdicts}
        names = itertools.chain([verdict.term], (f"{verdict.term}_{n}" for n in itertools.count(2)))
        term = next(name for name in names if name not in taken)
        self.draft.verdicts.append(replace(verdict, term=term))

    def discount(self, what: str, *path: str | int) -> float:
        """Return the spec's discount; note a problem where there is none."""
        if self.spec.discount is None:
            self.problem(
                "missing-discount",
                f"{what} needs the spec's discount, and none is declared",
                *path,
                hints=("Add the agent's discount at the top level, for example `discount: 0.99`.",),
            )
            return 1.0
        return self.spec.discount

    # -- terms and weights -----------------------------------------------------------------------

    def term(self, term: Term, *path: str | int, owner: str | None = None) -> Expr:
        """Return what a term inside this one pays on a step, its weight included."""
        inner = Scope(
            self.spec,
            self.vocabulary,
            self.draft,
            self.names,
            (*self.path, *path),
            owner or term.name or self.owner,
        )
        return inner.lower(term)

    def lower(self, term: Term) -> Expr:
        """Return what the term that this scope belongs to pays on a step, its weight included."""
        kind = self.vocabulary.get(term.kind)
        if kind is None:
            self.problem(
                "unknown-kind",
                f"'{term.kind}' is not a kind of reward",
                hints=(near_miss(term.kind, self.vocabulary),),
            )
            return DUMMY
        paid = kind.lower(term.body, self)
        if size_exceeds([paid], MAX_TERM_PARTS):
            self.problem(
                "expression-too-large",
                f"what this term pays has more than {MAX_TERM_PARTS} parts when it is written out",
                hints=("Nest fewer operators that read their term several times.",),
            )
            return DUMMY
        if term.weight is None:
            return paid
        return ir.scale(self.weight(term.weight, "weight"), paid)

    def weight(self, weight: Weight, *path: str | int) -> Expr:
        """Return a constant weight as a parameter, a schedule as an expression over the run's steps."""
        suffix = str(path[-1]) if path else "weight"
        if not isinstance(weight, Schedule):
            return self.param(suffix, weight)
        if weight.linear:
            return self._linear(weight.linear)
        if weight.exponential:
            return self._exponential(weight.exponential)
        if weight.piecewise:
            return self._piecewise(weight.piecewise)
        assert weight.performance is not None  # the model holds exactly one form
        return self._performance(weight.performance, *path)

    def steps(self) -> Expr:
        """Return the environment steps of the run before this one, all environments counted."""
        if STEPS not in self.draft.folds:
            self.draft.params[STRIDE] = ParamValue(STRIDE, 1.0)
            taken = ir.Binary("mul", ir.Param(STRIDE), ir.Reduce("sum", ir.ONE, "B"))
            update = ir.Binary("add", ir.Memory(STEPS), taken)
            self.draft.folds[STEPS] = Fold(STEPS, 0.0, update, "run", observed=False, low=0.0)
        return ir.Memory(STEPS)

    def _linear(self, line: Linear) -> Expr:
        return _piece(self.steps(), float(line.after), line.from_, float(line.after + line.over), line.to)

    def _exponential(self, curve: Exponential) -> Expr:
        halvings = ir.Binary("div", self.steps(), ir.Const(float(curve.half_life)))
        left = ir.Binary("pow", ir.Const(0.5), halvings)
        distance = ir.Binary("mul", ir.Const(curve.from_ - curve.to), left)
        return ir.Binary("add", ir.Const(curve.to), distance)

    def _piecewise(self, points: tuple[tuple[int, float], ...]) -> Expr:
        steps = self.steps()
        value: Expr = ir.Const(points[-1][1])
        for (x0, y0), (x1, y1) in reversed(list(itertools.pairwise(points))):
            piece = _piece(steps, float(x0), y0, float(x1), y1)
            value = ir.Where(ir.Compare("lt", steps, ir.Const(float(x1))), piece, value)
        return value

    def _performance(self, form: Performance, *path: str | int) -> Expr:
        measure = self.expression(form.measure, *path, "performance", "measure")
        _earned, earned_now = self.fold(
            "measure", 0.0, lambda before: ir.Binary("add", before, measure), observed=False
        )
        rate = ir.Const(1.0 / form.window)
        name = self.unique("average", self.draft.folds)
        before = ir.Memory(name)
        moved = ir.Binary("add", before, ir.Binary("mul", rate, ir.Binary("sub", earned_now, before)))
        ended = ir.Ended("last")
        # Over a batch: the mean of the environments' new averages, so that all share one schedule.
        update = ir.Reduce("mean", ir.Where(ended, moved, before), "B")
        self.draft.folds[name] = Fold(name, form.low, update, "run", observed=False)
        return _piece(before, form.low, form.from_, form.high, form.to)


def _piece(x: Expr, x0: float, y0: float, x1: float, y1: float) -> Expr:
    """Return y0 up to x0, y1 from x1 on, and the line between them."""
    share: Expr = ir.Binary("div", ir.Binary("sub", x, ir.Const(x0)), ir.Const(x1 - x0))
    share = ir.Combine("min", (ir.Combine("max", (share, ir.ZERO)), ir.ONE))
    return ir.Binary("add", ir.Const(y0), ir.Binary("mul", ir.Const(y1 - y0), share))
