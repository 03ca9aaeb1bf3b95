"""Kind `heron`: a reward learned from a ranking of factors, most important first."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.kinds.reward_model import Refreshing, lower_inputs, warn_ensemble
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Name, Number

MAX_FACTORS = 64
"""Factors of one ranking."""


class Spread(Model):
    """A margin in units of the factor's standard deviation over what is compared."""

    std: Annotated[Number, Field(ge=0)] = Field(description="Standard deviations.")


class Factor(Model):
    """One ranked part of a reward; larger is better."""

    name: Name = Field(description="What reports call it.")
    value: ExpressionText = Field(description="Its value on a step; larger is better.")
    margin: Annotated[Number, Field(ge=0)] | Spread = Field(
        0.0,
        description="By how much one side must exceed the other to decide, at least: a number, or {std: x}.",
    )


class Heron(Refreshing):
    """Pays what a model says that was fitted to comparisons by a ranking of factors.

    Two segments are compared factor by factor, most important first: the first factor whose means differ by more than
    its margin decides; where none decides, the pair is a tie and is left out. An ensemble of networks is fitted to the
    decided pairs (Bradley and Terry): P(a over b) = sigmoid(sum of r over a - sum of r over b). No weights between
    factors are needed.

    With margins the comparison is not transitive, so no reward may fit it wholly: `cycle_rate` in the log is the share
    of triples in a circle.

    Source: Bukharin et al., "Deep Reinforcement Learning from Hierarchical Preference Design" (arXiv 2309.02632), the
    decision tree with strict margins and discarded ties. Segments of more than one step, held-out pairs and ensembles
    are ours; the released code compares single steps, and pays each step once, when it is collected (`relabel: false`),
    with spreads taken over all data (`spread_over: store`) or over the pairs drawn (`draw`). Its script for robots pays
    the environment's reward, and what the model says is only what the critic is fitted to (`goes_into: value_target`).
    """

    factors: tuple[Factor, ...] = Field(
        description="The ranking, most important first.", min_length=1, max_length=MAX_FACTORS
    )
    spread_over: Literal["store", "draw"] = Field(
        "store", description="Over what a margin's standard deviation is taken."
    )
    emphasis: Annotated[Number, Field(gt=0)] = Field(
        1.0,
        description="What is said is multiplied by this to the power of the first factor's value on the step, where "
        "that factor counts levels; 1 for none.",
    )
    goes_into: Literal["reward", "value_target"] = Field(
        "reward",
        description="`value_target` pays nothing: what is said of a step stands in for its return when an on-policy "
        "agent fits its critic, and advantages are those of the other terms.",
    )


def lower_factors(factors: tuple[Factor, ...], scope: Scope, *path: str) -> tuple[tuple[str, Expr], ...]:
    """Return the named values of a ranking that stands at a path of a term; note a factor that is ranked twice."""
    seen: set[str] = set()
    for i, factor in enumerate(factors):
        if factor.name in seen:
            scope.problem(
                "duplicate-name",
                f"the factor '{factor.name}' is ranked twice",
                *path,
                i,
                "name",
                hints=(
                    "A ranking names each factor once; two factors of one rank are one factor, their sum.",
                ),
            )
        seen.add(factor.name)
    return tuple(
        (factor.name, scope.expression(factor.value, *path, i, "value")) for i, factor in enumerate(factors)
    )


def lower(term: Heron, scope: Scope) -> Expr:
    """Return what the model will say, times the emphasis."""
    measures = lower_factors(term.factors, scope, "factors")
    warn_ensemble(term, scope)
    said = scope.learned("heron", lower_inputs(term, scope), measures, term)
    if term.emphasis == 1.0:
        return said
    return ir.Binary("mul", said, ir.Binary("pow", ir.Const(term.emphasis), measures[0][1]))


KIND = Kind(Heron, "factors", lower)
