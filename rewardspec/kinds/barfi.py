"""Kind `barfi`: a primary reward and hints that may be wrong, blended by weights that an outer loop learns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Name, Number

FEATURES = {"fourier": 1, "tiles": 2, "random": 1, "raw": 0, "constant": 0}
"""Name of features -> how many whole numbers they take."""

BlendTerm = Literal["bias", "primary", "auxiliary"]


class Blend(Model):
    """Weights that are linear in features of the state."""

    features: str = Field(
        "fourier(3)",
        description="What weights are linear in: `fourier(order)`, `tiles(tilings, tiles)`, `random(units)`, `raw` or "
        "`constant`.",
        max_length=40,
    )
    of: tuple[ExpressionText, ...] | None = Field(
        None,
        description="Numbers that the features are made of; the whole observation when not given.",
        min_length=1,
        max_length=256,
    )
    low: tuple[Number, ...] | None = Field(
        None, description="Their least values, to scale by; the observation space's own when not given."
    )
    high: tuple[Number, ...] | None = Field(None, description="Their greatest values.")
    terms: Annotated[tuple[BlendTerm, ...], Field(min_length=1, max_length=3)] = Field(
        ("bias", "primary", "auxiliary"),
        description="Which weights are learned; what is left out weighs 1, a bias nothing.",
    )

    @field_validator("features")
    @classmethod
    def _check_features(cls, text: str) -> str:
        found = re.fullmatch(r"(\w+)(?:\(([\d,\s]*)\))?", text.strip())
        numbers = [part for part in ((found[2] if found else "") or "").split(",") if part.strip()]
        if not found or FEATURES.get(found[1]) != len(numbers) or not all(int(part) for part in numbers):
            raise ValueError("features are fourier(3), tiles(5, 4), random(32), raw or constant")
        return text.strip()

    @model_validator(mode="after")
    def _check_lengths(self) -> Blend:
        if len(set(self.terms)) < len(self.terms):
            raise ValueError("'terms' names each weight once")
        if (self.low is None) != (self.high is None) or (
            self.low is not None
            and self.high is not None
            and (
                len(self.low) != len(self.high)
                or any(a >= b for a, b in zip(self.low, self.high, strict=True))
            )
        ):
            raise ValueError(
                "'low' and 'high' stand together, one number each, every low one below its high one"
            )
        if self.of is not None and (self.low is None or len(self.low) != len(self.of)):
            raise ValueError("'of' needs 'low' and 'high', a number for each of its expressions")
        return self


class Barfi(Model):
    """Pays a blend of a primary reward and of hints, whose weights are learned so that the primary return is greatest.

    Formula: r_t = w_0(s_t) + w_1(s_t) primary_t + sum_i w_{i+1}(s_t) auxiliary_i,t with weights linear in features of
    the state

    The inner loop is a policy that learns from the blend; the outer one moves the weights, and the discount, by how the
    primary return of what the policy becomes depends on them. Only the primary reward is scored: a hint that misleads
    loses its weight, or gets one below zero. `python -m agents.barfi` trains it; `rewardspec freeze RUN` makes a plain
    spec of what was learned, for any other agent.

    Source: Gupta et al., "Behavior Alignment via Reward Function Optimization" (NeurIPS 2023). The released gridworld
    leaves the weight of the primary reward out (`terms: [bias, auxiliary]`), its half-cheetah has three numbers
    (`features: constant`).
    """

    primary: ExpressionText = Field(description="What is scored.")
    auxiliary: dict[Name, ExpressionText] = Field(
        description="The hints, by name: an expression each.", min_length=1, max_length=64
    )
    blend: Blend = Field(Blend.model_validate({}), description="The weights.")
    discount: Literal["learned", "fixed"] = Field(
        "learned", description="Whether the policy's discount is learned too, or stays the spec's."
    )

    @model_validator(mode="after")
    def _check_names(self) -> Barfi:
        taken = next((name for name in ("primary", "bias") if name in self.auxiliary), None)
        if taken is not None:
            raise ValueError(f"a hint cannot be called '{taken}': that is another part of the blend")
        return self


@dataclass(frozen=True)
class BlendSettings:
    """What a program keeps of a `barfi` term besides its expressions."""

    blend: Blend
    discount: Literal["learned", "fixed"]


def lower(term: Barfi, scope: Scope) -> Expr:
    """Return what the blend will say."""
    primary = scope.expression(term.primary, "primary")
    hints = {name: scope.expression(text, "auxiliary", name) for name, text in term.auxiliary.items()}
    for name, hint in hints.items():
        if not any(isinstance(node, ir.Field | ir.Memory | ir.Holds) for node in ir.walk(hint)):
            scope.problem(
                "constant-hint",
                f"the hint '{name}' pays the same on every step",
                "auxiliary",
                name,
                hints=(
                    "It tells no step from another. Leave it out: `bias` is a constant of the blend already.",
                ),
            )
    potential = next((i for i, other in enumerate(scope.spec.reward) if other.kind == "potential"), None)
    if term.discount == "learned" and potential is not None:
        scope.problem(
            "learned-discount",
            "a potential needs the agent's discount, and here that is learned",
            "discount",
            hints=(
                "Say `discount: fixed`.",
                "Or give the potential as a hint: its weight is learned, where it helps.",
            ),
        )
    inputs: tuple[Expr, ...] = (ir.Field("obs"),)
    if term.blend.of is not None:
        inputs = tuple(scope.expression(text, "blend", "of", i) for i, text in enumerate(term.blend.of))
    settings = BlendSettings(term.blend, term.discount)
    return scope.learned("barfi", inputs, (("primary", primary), *hints.items()), settings)


KIND = Kind(Barfi, "primary", lower)
