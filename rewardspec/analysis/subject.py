"""What a lint looks at: the spec, the program as written, and what each term inside another pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel

from rewardspec.analysis.intervals import INF, Interval, Ranges
from rewardspec.compiler import declare_names, find_terms, lower_spec, term_names
from rewardspec.errors import Place, Problem, Severity
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.passes import fold_constants, simplify
from rewardspec.ir.program import Machine, Program
from rewardspec.kinds.potential import at_next_observation
from rewardspec.lowering import Draft, Path, Scope
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Kind, Schedule, Term
from rewardspec.vocabulary import VOCABULARY

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, eq=False)  # compared by identity, so that what is worked out for it can be kept
class Subject:
    """A spec under inspection.

    Attributes:
        spec: The spec.
        program: The program as written, no state merged and nothing dropped.
        paid: By path of a term: what it pays before its weight.
        owners: By path of a term: the name its machines and memories go by.
    """

    spec: Spec
    program: Program
    paid: Mapping[Path, Expr]
    owners: Mapping[Path, str]

    @cached_property
    def ranges(self) -> Ranges:
        """The intervals of expressions, from what the spec declares."""
        return Ranges(self.program, self.declared)

    @cached_property
    def meanings(self) -> Mapping[str, Expr]:
        """What each declared signal and proposition stands for in an expression."""
        return declare_names(self.spec, Draft())

    @cached_property
    def declared(self) -> dict[Expr, Interval]:
        """The declared ranges by expression; a range of `obs.x` holds for `next_obs.x` as well, and back."""
        known: dict[Expr, Interval] = {}
        for name, signal in self.spec.signals.items():
            if signal.range is None:
                continue
            interval, value = Interval(*sorted(signal.range)), self.meanings[name]
            for expr in (value, at_next_observation(value), at_observation(value)):
                known[ir.rewrite(expr, simplify)] = known[expr] = interval
        env = self.spec.env
        if env is not None and env.base_reward is not None:
            known[ir.Field("reward")] = Interval(*sorted(env.base_reward))
        return known

    @cached_property
    def terms(self) -> tuple[tuple[Path, Term], ...]:
        """Every term with its path, inner ones included, outer ones first."""
        return tuple(find_terms(self.spec))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the top-level terms."""
        return tuple(term_names(self.spec))

    def name(self, path: Path) -> str:
        """Return the name of the top-level term that a path lies in."""
        return self.names[int(path[1])]

    def of_kind(self, body: type[Body]) -> Iterator[tuple[Path, Term, Body]]:
        """Yield the terms whose body is of a model, with their paths."""
        for path, term in self.terms:
            if isinstance(term.body, body):
                yield path, term, term.body

    def machine(self, path: Path) -> Machine | None:
        """Return the machine that the term at a path declares."""
        place = self.spec.place(path)
        owner = self.owners.get(path)
        for machine in self.program.machines:
            if machine.name == owner or (machine.place == place and machine.name.startswith(f"{owner}")):
                return machine
        return None

    @property
    def horizon(self) -> int | None:
        """The declared horizon."""
        return self.spec.env.horizon if self.spec.env else None

    @property
    def ends_early(self) -> bool | None:
        """Whether the environment can terminate by itself before the horizon, as declared."""
        return self.spec.env.ends_early if self.spec.env else None

    def steps_worth(self) -> float:
        """Return the discounted number of steps of the longest episode; infinite where nothing bounds it."""
        return steps_worth(self.spec.discount, self.horizon)

    def finding(
        self,
        code: str,
        severity: Severity,
        message: str,
        path: Path = (),
        hints: Iterable[str] = (),
        place: Place | None = None,
    ) -> Problem:
        """Return a finding at a path of the spec."""
        return Problem(code, message, place or self.spec.place(path), tuple(h for h in hints if h), severity)


def inspect(spec: Spec) -> Subject:
    """Return what the lints look at.

    Raises:
        SpecError: The spec does not compile.
    """
    paid: dict[Path, Expr] = {}
    owners: dict[Path, str] = {}

    def recording(kind: Kind) -> Kind:
        lower: Callable[[Any, Scope], Expr] = kind.lower

        def record(body: Any, scope: Scope) -> Expr:
            owners[scope.path] = scope.owner
            paid[scope.path] = lower(body, scope)
            return paid[scope.path]

        return replace(kind, lower=record)

    program = lower_spec(spec, {word: recording(kind) for word, kind in VOCABULARY.items()})
    paid = {path: ir.rewrite(expr, simplify) for path, expr in paid.items()}
    return Subject(spec, fold_constants(program), paid, owners)


def at_observation(expr: Expr) -> Expr:
    """Return an expression over `next_obs` read on the observation before the step."""

    def move(node: Expr) -> Expr:
        return replace(node, root="obs") if isinstance(node, ir.Field) and node.root == "next_obs" else node

    return ir.rewrite(expr, move)


def is_change(expr: Expr) -> bool:
    """Say whether an expression is a state's value after the step minus that before it, or the reverse.

    Such payments add up to the last value minus the first: no loop can be farmed for them.
    """
    match expr:
        case ir.Binary("sub", a, b):
            if at_observation(a) == at_observation(b) and a != b:
                return True
            return isinstance(b, ir.Const) and b.value == 0 and is_change(a)
        case ir.Binary("mul", ir.Const(), x) | ir.Binary("mul", x, ir.Const()) | ir.Unary("neg", x):
            return is_change(x)
        case ir.Combine("sum", args):
            return all(is_change(arg) for arg in args)
        case ir.Binary("add", a, b):
            return is_change(a) and is_change(b)
    return False


def is_learned(expr: Expr) -> bool:
    """Say whether an expression reads what a learned model says, which has no range that could be declared."""
    return any(isinstance(node, ir.Field) and node.root == "learned" for node in ir.walk(expr))


def is_judged(expr: Expr, program: Program) -> bool:
    """Say whether what an expression pays depends on what a judge says of a step."""
    judged = {*program.judged_labels}
    updates = {fold.name: fold.update for fold in program.folds}
    ahead, seen = [expr], set[str]()
    while judged and ahead:
        for node in ir.walk(ahead.pop()):
            if isinstance(node, ir.Holds) and node.name in judged:
                return True
            if isinstance(node, ir.Memory) and node.fold not in seen:
                seen.add(node.fold)
                ahead.append(updates[node.fold])
    return False


def steps_worth(discount: float | None, horizon: int | None) -> float:
    """Return 1 + discount + discount^2 + ... over the steps of an episode.

    Example:
        >>> steps_worth(0.5, 2), steps_worth(1.0, 7), steps_worth(None, None)
        (1.5, 7.0, inf)
    """
    if discount is None or discount == 1:
        return INF if horizon is None else float(horizon)
    return (1 - (0.0 if horizon is None else discount**horizon)) / (1 - discount)


def constant_weight(term: Term) -> float | None:
    """Return a term's weight, None where it is scheduled."""
    if isinstance(term.weight, Schedule):
        return None
    return 1.0 if term.weight is None else float(term.weight)
