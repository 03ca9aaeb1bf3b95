"""Kind `potential`: shaping that leaves the optimal policies alone (Ng, Harada and Russell 1999)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rewardspec.errors import list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import distances_to, value_iteration
from rewardspec.ir.program import Machine
from rewardspec.logic.automaton import distance_to
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Number

STATE_ROOTS = ("obs",)

Method = Literal["distance", "value", "value_iteration"]


class Potential(Model):
    """Pays discount * potential(after) - potential(before), with the potential of a terminated episode 0.

    Formula: r_t = gamma * Phi(s_{t+1}) - Phi(s_t); Phi = 0 where `terminated`, as computed where `truncated`.

    The potential is an expression over `obs` (read on the observation before and after the step), or it is read from
    the state of another term's machine:

    - `distance`: minus the least number of edges to acceptance (up to and with the nearest edge that pays the most,
      for a reward machine), divided by the largest such number plus 1; between -1 and 0.
    - `value_iteration`: minus the value of the state when the machine is taken for a decision process whose actions
      are its edges: the released form of automated reward shaping.
    - `value`: the same value with a positive sign.

    Source: Ng, Harada and Russell (ICML 1999), theorem 1. Machine forms: Toro Icarte et al. (JAIR 73, 2022), section
    5; the minus sign of `value_iteration` is that of their released code.
    """

    of: ExpressionText | None = Field(None, description="Potential of a state, an expression over obs.")
    machine: str | None = Field(None, description="Name of the term whose machine gives the potential.")
    method: Method = Field("distance", description="How a machine's state gives a potential.")
    scale: Number = Field(1.0, description="Factor on the potential.")
    machine_discount: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.9, description="Discount of the value iteration on the machine."
    )

    @model_validator(mode="after")
    def _check_one(self) -> Potential:
        if (self.of is None) == (self.machine is None):
            raise ValueError("a potential is either an expression over obs or read from a 'machine'")
        return self


def shaped(discount: float, after: Expr, before: Expr) -> Expr:
    """Return discount * after - before, with `after` taken as 0 where the episode has terminated."""
    alive = ir.Where(ir.Ended("terminated"), ir.ZERO, after)
    return ir.Binary("sub", ir.scale(ir.Const(discount), alive), before)


def at_next_observation(state: Expr) -> Expr:
    """Return a state expression read on the observation after the step."""

    def move(node: Expr) -> Expr:
        if isinstance(node, ir.Field) and node.root == "obs":
            return replace(node, root="next_obs")
        return node

    return ir.rewrite(state, move)


def machine_potential(machine: Machine, method: Method, scale: float, discount: float) -> tuple[float, ...]:
    """Return the potential of each state of a machine, times `scale`."""
    if method == "distance":
        distances = goal_distances(machine)
        known = [d for d in distances if d is not None]
        far = max(known, default=0) or 1
        # States that cannot reach the goal are one further away than any that can.
        return tuple(-scale * ((far + 1 if d is None else d) / (far + 1)) for d in distances)
    values = value_iteration(machine, discount)
    sign = -1.0 if method == "value_iteration" else 1.0
    return tuple(sign * scale * value for value in values)


def goal_distances(machine: Machine) -> list[int | None]:
    """Return, per state, how many edges there are to the goal, None where there is no way.

    The goal of an automaton is an accepting state. Of what pays it is a best-paying edge, counted itself: where a
    task begins anew, the state that the edge leads to is as far from the next payment as the initial one.
    """
    constant = {i: p.value for i, p in enumerate(machine.payments) if isinstance(p, ir.Const)}
    best = max(constant.values(), default=0.0)
    if best <= 0:
        return distances_to(machine, machine.accepting)
    paying = {output for output, value in constant.items() if value == best}
    goal = len(machine.states)  # a state of its own, which every best-paying edge enters
    edges = [
        [(e.mask, e.value, goal if e.output in paying else e.target) for e in leaving]
        if state not in machine.terminal
        else []
        for state, leaving in enumerate(machine.edges)
    ]
    distances = list(distance_to([*edges, []], [goal]))[:goal]
    paid = {e.target for leaving in machine.edges for e in leaving if e.output in paying}
    # Paid, and nothing more to come: there already.
    return [0 if d is None and state in paid else d for state, d in enumerate(distances)]


def lower(term: Potential, scope: Scope) -> Expr:
    """Return the shaping payment."""
    discount = scope.discount("a potential")
    if term.of is not None:
        names = {name: expr for name, expr in scope.names.items() if _reads_only_state(expr)}
        before = ir.scale(
            ir.Const(term.scale), scope.expression(term.of, "of", roots=STATE_ROOTS, names=names)
        )
        return shaped(discount, at_next_observation(before), before)
    assert term.machine is not None  # the model holds exactly one of the two
    found = [
        m
        for m in scope.draft.machines.values()
        if m.name == term.machine or m.name.startswith(term.machine + ".")
    ]
    if not found:
        known = list(scope.draft.machines)
        scope.problem(
            "unknown-machine",
            f"there is no machine named '{term.machine}'",
            "machine",
            hints=(f"Machines here: {list_names(known)}.{near_miss(term.machine, known)}",),
        )
        return ir.ZERO
    paid: list[Expr] = []
    for machine in found:  # a formula kept in factors has several machines: potentials add up
        values = machine_potential(machine, term.method, term.scale, term.machine_discount)
        after = ir.StateTable(machine.name, values, after=True)
        before = ir.StateTable(machine.name, values, after=False)
        paid.append(shaped(discount, after, before))
    return ir.total(tuple(paid))


def _reads_only_state(expr: Expr) -> bool:
    return all(
        not isinstance(node, ir.Field | ir.Holds | ir.Memory)
        or (isinstance(node, ir.Field) and node.root == "obs")
        for node in ir.walk(expr)
    )


KIND = Kind(Potential, "of", lower)
