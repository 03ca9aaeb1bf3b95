"""Operator `diff`: pay the change of a value from step to step."""

from __future__ import annotations

from pydantic import Field

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import Model, Number, Truth


class Diff(Model):
    """Pays how much a term's value has changed since the step before.

    Formula: r_t = c * x_t - x_{t-1}, c = discount if `discounted` else 1; on the first step x_{t-1} is `start`, or,
    where there is none, r_t = 0.

    Law: undiscounted, the payments of an episode add up to x_T - start, so no loop can be farmed. For shaping that
    keeps optimal policies use the kind `potential`, whose value at a terminated state is 0.

    Source: it telescopes as the shaping of Ng, Harada and Russell (ICML 1999) does, without its end at 0.
    """

    of: Term = Field(description="The term whose value is compared.")
    discounted: Truth = Field(False, description="Multiply the new value by the spec's discount.")
    start: Number | None = Field(None, description="Value before the first step.")


def lower(term: Diff, scope: Scope) -> Expr:
    """Return the difference of the value and its memory."""
    x = scope.term(term.of, "of")
    before, _ = scope.fold("before", term.start or 0.0, lambda _: x)
    factor = scope.discount("diff with `discounted`", "discounted") if term.discounted else 1.0
    change = ir.Binary("sub", ir.scale(ir.Const(factor), x), before)
    if term.start is not None:
        return change
    begun, _ = scope.fold("begun", 0.0, lambda _: ir.ONE, low=0.0, high=1.0)
    return ir.Where(ir.Compare("gt", begun, ir.ZERO), change, ir.ZERO)


DIFF = Kind(Diff, "of", lower, ("of",))
