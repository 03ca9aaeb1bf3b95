"""Kind `difference`: what a team's value loses when this agent is left out."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.show import show_field
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model


class Difference(Model):
    """Pays an agent its part in a value of the team: the value, less the value without this agent.

    Formula: D_i = G(z) - G(z without i), G an expression over `team`, `agents['...']`, `others` or `opponents`

    Law: what of G does not depend on agent i cancels; with the others as they are, D_i changes by as much as G does, so
    what is better for the agent is better for the team.

    Source: Wolpert and Tumer, "Optimal payoff functions for members of collectives" (2001); Agogino and Tumer (2008).
    Leaving an agent out takes it from every reduction; what it did to the others' next observations stays.
    """

    value: ExpressionText = Field(
        description="Value of the team, read over several agents: min, max, sum, mean, any, all, count.",
        examples=["max(team.next_obs[0])"],
    )


def lower(term: Difference, scope: Scope) -> Expr:
    """Return the value less the same value over all agents but this one."""
    value = scope.expression(term.value, "value")
    for node in ir.walk(value):
        if isinstance(node, ir.Field) and (node.who is None or node.who.is_one):
            whose = "the agent's own" if node.who is None else "a single agent's"
            scope.problem(
                "field-not-allowed",
                f"'{show_field(node)}' is {whose}, and a difference reward leaves agents out",
                "value",
                hints=("Read the value over several agents, as in max(team.next_obs[0]).",),
            )
            return ir.ZERO
        if isinstance(node, ir.Holds):
            scope.problem(
                "field-not-allowed",
                f"the proposition '{node.name}' says nothing that an agent could be left out of",
                "value",
                hints=("Write what it says, or make it a signal.",),
            )
            return ir.ZERO

    def leave_out(node: Expr) -> Expr:
        if isinstance(node, ir.Field) and node.who is not None:
            return replace(node, who=replace(node.who, but_me=True))
        return node

    return ir.Binary("sub", value, ir.rewrite(value, leave_out))


KIND = Kind(Difference, "value", lower)
