"""A program with learned parts, split in two that every backend can run: before the models speak, and after.

The first is an ordinary program. Besides the terms that are known at once it has a term for every number that a model
sees, that a learner compares, or that a learned term needs besides what its model says. The second pays the learned
terms from those numbers and from what the models say; it reads nothing of the environment and remembers nothing, so
stored steps can be paid anew whenever a model has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rewardspec.backends.array import ArrayProgram, compile_array
from rewardspec.backends.scalar import ScalarProgram, compile_scalar
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Learned, Program, Term
from rewardspec.transition import Transition

Floats = npt.NDArray[np.float64]

MAX_SIZES = 16
"""Numbers of steps for which the second program is kept compiled: one step, a rollout, a replay buffer, ..."""


@dataclass(frozen=True)
class Columns:
    """Where the numbers of one learned part stand in a step's features."""

    learned: Learned
    inputs: slice
    measures: slice


@dataclass(frozen=True)
class Split:
    """A layout with learned parts, split.

    Attributes:
        whole: The layout as it was bound.
        layout: Of the first program: the known terms, then the features.
        known: Names of the known terms.
        columns: Per learned part, where its numbers are among the features.
        carried: What else the learned terms read, by name, in the order of the last features.
        residual: The second program: the learned terms, over `future` fields of what was carried and said.
        width: Number of features.
    """

    whole: Layout
    layout: Layout
    known: tuple[str, ...]
    columns: tuple[Columns, ...]
    carried: tuple[str, ...]
    residual: Layout
    width: int
    _programs: dict[tuple[int, str, str, str], ArrayProgram] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def order(self) -> tuple[int, ...]:
        """For each term of the spec, its position in the known terms followed by the learned ones."""
        names = (*self.known, *(term.name for term in self.residual.program.terms))
        return tuple(names.index(term.name) for term in self.whole.program.terms)

    @cached_property
    def _single(self) -> ScalarProgram:
        return compile_scalar(self.residual)

    def pay_one(
        self, features: Sequence[float], said: Mapping[str, float], params: Sequence[float]
    ) -> tuple[float, ...]:
        """Return what each learned term pays for one step.

        Args:
            features: F features of the step.
            said: Per learned part, what its model says.
            params: Value of every parameter of the program, in its order.
        """
        first = self.width - len(self.carried)
        future = {name: features[first + i] for i, name in enumerate(self.carried)} | dict(said)
        program = self._single
        nothing: tuple[Any, ...] = (None, None, None, 0.0, False, False, {}, ())
        terms: tuple[float, ...] = program.advance_terms(program.start, *nothing, params, future)[4]
        return terms

    def _compiled(
        self,
        number: int,
        library: Literal["numpy", "torch"],
        dtype: Literal["float32", "float64"],
        device: str,
    ) -> ArrayProgram:
        """Return the second program for N steps; compiled once for each of the first few sizes."""
        key = (number, library, dtype, device)
        if key in self._programs:
            return self._programs[key]
        run = compile_array(self.residual, number, library, dtype=dtype, device=device)
        if len(self._programs) < MAX_SIZES:
            self._programs[key] = run
        return run

    def pay_tensor(self, features: Any, said: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        """Do the same as `pay` in torch, on the device of the features: `[N, F]` -> `[K, N]`."""
        import torch

        number = len(features)
        first = self.width - len(self.carried)
        future = {name: features[:, first + i] for i, name in enumerate(self.carried)} | dict(said)
        dtype: Literal["float32", "float64"] = "float64" if features.dtype == torch.float64 else "float32"
        run = self._compiled(number, "torch", dtype, str(features.device))
        zeros = torch.zeros(number, dtype=features.dtype, device=features.device)
        flags = torch.zeros(number, dtype=torch.bool, device=features.device)
        transition = Transition(reward=zeros, terminated=flags, truncated=flags, future=future)
        _, outcome = run.step(run.init(), transition, params)
        return torch.stack([paid.expand(number) for paid in outcome.terms])

    def pay(self, features: Floats, said: Mapping[str, Floats], params: Mapping[str, float]) -> Floats:
        """Return what each learned term pays for stored steps.

        Args:
            features: `[N, F]` features of N steps.
            said: Per learned part, `[N]` what its model says.
            params: Value of every parameter of the program.

        Returns:
            `[K, N]`, K learned terms in the order of the residual program.
        """
        number = len(features)
        first = self.width - len(self.carried)
        future = {name: features[:, first + i] for i, name in enumerate(self.carried)} | dict(said)
        terms = self.residual.program.terms
        if all(
            isinstance(term.expr, ir.Field) for term in terms
        ):  # the common case: the model's word as it is
            return np.stack([np.asarray(future[_name(term.expr)], np.float64) for term in terms])
        run = self._compiled(number, "numpy", "float64", "cpu")
        zeros = np.zeros(number)
        flags = np.zeros(number, np.bool_)
        transition = Transition(reward=zeros, terminated=flags, truncated=flags, future=future)
        _, outcome = run.step(run.init(), transition, params)
        return np.stack([np.broadcast_to(np.asarray(paid, np.float64), number) for paid in outcome.terms])


def split(layout: Layout) -> Split:
    """Return a layout with learned parts, split.

    Args:
        layout: A program that was bound to an environment; it has at least one learned part.
    """
    program = layout.program
    known = tuple(term for term in program.terms if not reads_learned(term.expr))
    features: list[Term] = []
    columns: list[Columns] = []
    for learned in program.learned:
        start = len(features)
        inputs = learned.inputs or ()
        features += [
            Term(f"{learned.name}.input_{i}", "input", numeric(expr), learned.place)
            for i, expr in enumerate(inputs)
        ]
        middle = len(features)
        features += [
            Term(f"{learned.name}.{name}", "measure", numeric(expr), learned.place)
            for name, expr in learned.measures
        ]
        columns.append(Columns(learned, slice(start, middle), slice(middle, len(features))))
    carried: dict[Expr, str] = {}
    rest = tuple(
        replace(term, expr=_without_environment(term.expr, carried))
        for term in program.terms
        if reads_learned(term.expr)
    )
    features += [Term(name, "carried", numeric(expr)) for expr, name in carried.items()]
    first = replace(program, terms=(*known, *features), learned=())
    second = Program(
        f"{program.name}.learned", program.discount, (), (), (), program.params, rest, (), observe="none"
    )
    shapes = {field: () for field in second.fields()}
    own = {field: shape for field, shape in layout.shapes.items() if field.root != "learned"}
    return Split(
        whole=layout,
        layout=replace(layout, program=first, shapes=own),
        known=tuple(term.name for term in known),
        columns=tuple(columns),
        carried=tuple(carried.values()),
        residual=Layout(second, shapes, {}, ()),
        width=len(features),
    )


def reads_learned(expr: Expr) -> bool:
    """Return whether an expression depends on what a model says."""
    return any(isinstance(node, ir.Field) and node.root == "learned" for node in ir.walk(expr))


def numeric(expr: Expr) -> Expr:
    """Return an expression as a number: a truth value becomes 1 or 0."""
    return ir.Where(expr, ir.ONE, ir.ZERO) if ir.is_boolean(expr) else expr


def _without_environment(expr: Expr, carried: dict[Expr, str]) -> Expr:
    """Return a learned term that reads `future` fields only; what they stand for goes into `carried`."""
    if isinstance(expr, ir.Field) and expr.root == "learned":
        return ir.Field("future", expr.path)
    if isinstance(expr, ir.Const | ir.Param):
        return expr
    if not reads_learned(expr):
        name = carried.setdefault(expr, f"carried_{len(carried)}")
        value = ir.Field("future", (name,))
        return ir.Compare("ne", value, ir.ZERO) if ir.is_boolean(expr) else value
    return ir.map_children(expr, lambda child: _without_environment(child, carried))


def _name(expr: Expr) -> str:
    assert isinstance(expr, ir.Field)
    return str(expr.path[0])
