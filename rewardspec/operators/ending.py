"""Operator `end`: end the episode under a condition, with a last payment."""

from __future__ import annotations

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.declarations import EndSpec
from rewardspec.spec.terms import Kind


def lower(term: EndSpec, scope: Scope) -> Expr:
    """Declare the end and return its payment; the spec's top-level `end` list comes here too.

    Law: the value is paid once, on the step that ends the episode; potentials are 0 there when it is `terminated`.
    """
    condition = scope.condition(term.when, "when")
    scope.end(condition, term.how)
    return ir.Where(condition, ir.Const(term.value), ir.ZERO) if term.value else ir.ZERO


END = Kind(EndSpec, "when", lower)
