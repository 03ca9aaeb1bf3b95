"""Operators that remember how often something happened in the episode: `once`, `discount_by_count`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import ExpressionText, Model, Number


class Once(Model):
    """Pays a value on the first step of the episode on which a condition holds, and never again in it.

    Law: an episode is paid at most once; the order of other steps does not matter.
    """

    when: ExpressionText = Field(description="Truth-valued expression, for example a proposition.")
    value: ExpressionText = Field("1", description="What is paid.")


class DiscountByCount(Model):
    """Pays a term less and less often as it is paid again and again in an episode.

    With n the number of payments so far, this one included (a payment is a step on which `when` holds; by default,
    on which the term is not 0): x * factor^(n-1), or x * n^(-power).

    Law: n = 1 leaves x alone; never flips a sign; factor 1 and power 0 are the identity. With a factor below 1 the
    total of an episode stays below max(x) / (1 - factor), so a loop is worth a bounded amount.

    Source: the power form is ONI's count discount N^(-beta) (Zheng et al. 2024), counted per episode here.
    """

    of: Term = Field(description="The term.")
    when: ExpressionText | None = Field(None, description="What counts as a payment.")
    factor: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None, description="Factor per earlier payment."
    )
    power: Annotated[Number, Field(ge=0)] | None = Field(None, description="Exponent of the count.")

    @model_validator(mode="after")
    def _check_one(self) -> DiscountByCount:
        if (self.factor is None) == (self.power is None):
            raise ValueError("discount_by_count needs either 'factor' or 'power'")
        return self


def lower_once(term: Once, scope: Scope) -> Expr:
    """Return the value on the step on which the condition first holds."""
    holds = scope.condition(term.when, "when")
    value = scope.expression(term.value, "value")
    paid, _ = scope.fold("paid", 0.0, lambda paid: ir.Where(holds, ir.ONE, paid), low=0.0, high=1.0)
    first = ir.Logic("and", (holds, ir.Compare("eq", paid, ir.ZERO)))
    return ir.Where(first, value, ir.ZERO)


def lower_discount_by_count(term: DiscountByCount, scope: Scope) -> Expr:
    """Return the term times a falling function of the count."""
    x = scope.term(term.of, "of")
    counts = ir.Compare("ne", x, ir.ZERO) if term.when is None else scope.condition(term.when, "when")
    before, after = scope.fold(
        "count", 0.0, lambda n: ir.Binary("add", n, ir.Where(counts, ir.ONE, ir.ZERO)), low=0.0
    )
    if term.factor is not None:
        falling: Expr = ir.Binary("pow", ir.Const(term.factor), before)
    else:
        falling = ir.Binary("pow", after, ir.Const(-float(term.power or 0.0)))
    return ir.Where(counts, ir.Binary("mul", x, falling), ir.ZERO if term.when is None else x)


ONCE = Kind(Once, "when", lower_once)
DISCOUNT_BY_COUNT = Kind(DiscountByCount, "of", lower_discount_by_count, ("of",))
