"""A term of a reward, its weight, which may change while training runs, and what a word of the vocabulary is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, SerializeAsAny, model_validator

from rewardspec.spec.values import ExpressionText, Model, Number, TermName, Whole, in_pieces

if TYPE_CHECKING:
    from rewardspec.ir.expr import Expr
    from rewardspec.lowering import Scope


class Linear(Model):
    """From one number to another, linearly in the environment steps of the run."""

    from_: Number = Field(alias="from", description="Value at the start.")
    to: Number = Field(description="Value at the end and after it.")
    over: Annotated[Whole, Field(gt=0)] = Field(description="Environment steps that the change takes.")
    after: Annotated[Whole, Field(ge=0)] = Field(0, description="Environment steps before the change begins.")


class Exponential(Model):
    """From one number towards another; the distance halves every `half_life` environment steps."""

    from_: Number = Field(alias="from", description="Value at the start.")
    to: Number = Field(0.0, description="Value approached.")
    half_life: Annotated[Whole, Field(gt=0)] = Field(
        description="Environment steps in which the distance halves."
    )


class Performance(Model):
    """From one number to another as the agent gets better, measured on finished episodes."""

    from_: Number = Field(alias="from", description="Value while the measure is at or below `low`.")
    to: Number = Field(description="Value once the measure has reached `high`.")
    measure: ExpressionText = Field("reward", description="Summed over an episode; averaged over episodes.")
    low: Number = Field(description="Average at which the change begins.")
    high: Number = Field(description="Average at which the change is complete.")
    window: Annotated[Whole, Field(gt=0)] = Field(100, description="Episodes of the exponential average.")

    @model_validator(mode="after")
    def _check_order(self) -> Performance:
        if not self.low < self.high:
            raise ValueError("'low' must be below 'high'")
        return self


class Schedule(Model):
    """A number that changes while training runs: exactly one of the forms."""

    linear: Linear | None = None
    exponential: Exponential | None = None
    piecewise: Annotated[tuple[tuple[Annotated[Whole, Field(ge=0)], Number], ...], in_pieces(100)] | None = (
        Field(None, description="Points [environment steps, value], linear between them.", max_length=100)
    )
    performance: Performance | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Schedule:
        forms = [
            name for name in ("linear", "exponential", "piecewise", "performance") if getattr(self, name)
        ]
        if len(forms) != 1:
            raise ValueError("a schedule has exactly one of: linear, exponential, piecewise, performance")
        if self.piecewise and any(
            a[0] >= b[0] for a, b in zip(self.piecewise, self.piecewise[1:], strict=False)
        ):
            raise ValueError("the steps of a piecewise schedule must increase")
        return self


Weight = Number | Schedule


class Term(Model):
    """One part of a reward: a kind or an operator with its options.

    Attributes:
        kind: Word of the vocabulary.
        body: The kind's own model.
        name: What reports call it; the kind's name when not given.
        weight: Factor on what the term pays, constant or scheduled; it can be changed while training runs.
    """

    kind: str
    body: SerializeAsAny[BaseModel]
    name: TermName | None = None
    weight: Weight | None = None


@dataclass(frozen=True)
class Kind:
    """A word of the vocabulary: its model, its main field and how it becomes IR.

    Attributes:
        model: The options.
        main: Name of the field that a bare value fills, as in `ltl: F goal`.
        lower: Makes the expression for what the term pays on a step; reports problems to the scope.
        terms: Names of the fields that hold other terms.
    """

    model: type[Model]
    main: str
    lower: Callable[[Any, Scope], Expr]
    terms: tuple[str, ...] = ()
