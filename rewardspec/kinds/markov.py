"""Kind `markov`: a number that depends on one transition only."""

from __future__ import annotations

from pydantic import Field

from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model


class Markov(Model):
    """Pays the value of an expression over the transition.

    Formula: r_t = value(obs, action, next_obs, reward, terminated, truncated, info, label)
    """

    value: ExpressionText = Field(description="What is paid on each step.")


def lower(term: Markov, scope: Scope) -> Expr:
    """Return the expression itself."""
    return scope.expression(term.value, "value")


KIND = Kind(Markov, "value", lower)
