"""Operator `gate`: pay a term only where a condition holds, with three explicit timings for what is known later."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import ExpressionText, Model, Number


class Gate(Model):
    """Pays a term where a condition holds.

    `known: step` (default): the condition is read on the same step; the fallback is paid where it does not hold.

    `known: ever`: the gate is open for an episode in which the condition has held on some step; `known: end`: for one
    on whose last step it holds. Neither is known in time, so a timing must be chosen:

    - `escrow`: payments are held back; they are paid in one sum when the gate is known to be open (for `end`: on the
      last step), and lost where it stays closed. The undiscounted total of the episode is exact.
    - `increment`: pays F_t - F_{t-1} for F_t = [the gate is open on the prefix up to t] * (sum of payments up to t).
      The total is exact at discount 1; for `end` a payment may be taken back. For `ever` it equals `escrow`.
    - `relabel`: pays each step itself once the episode is over; only for stored trajectories.

    Law: a closed gate pays nothing of the term; an open one pays it unchanged; all timings agree on the total of an
    episode at discount 1 (with fallback 0).

    Source: the gate of G-RA; `increment` telescopes to F of the whole episode.
    """

    of: Term = Field(description="The gated term.")
    when: ExpressionText = Field(description="Truth-valued expression.")
    fallback: Number = Field(0.0, description="Paid per step where the gate is closed.")
    known: Literal["step", "ever", "end"] = Field("step", description="When the condition is known.")
    timing: Literal["escrow", "increment", "relabel"] | None = Field(
        None, description="How a condition known later is paid."
    )

    @model_validator(mode="after")
    def _check_timing(self) -> Gate:
        if self.known == "step" and self.timing is not None:
            raise ValueError("a gate known at its step needs no 'timing'")
        if self.known != "step" and self.timing is None:
            raise ValueError(
                f"a gate known at '{self.known}' needs a 'timing': escrow, increment or relabel (none is the default)"
            )
        if self.fallback and self.timing in ("escrow", "increment"):
            raise ValueError("a 'fallback' goes with gates known at their step and with 'timing: relabel'")
        return self


def lower(term: Gate, scope: Scope) -> Expr:
    """Return what the gate lets through on a step."""
    x = scope.term(term.of, "of")
    holds = scope.condition(term.when, "when")
    fallback = ir.Const(term.fallback)
    if term.known == "step":
        return ir.Where(holds, x, fallback)
    is_open = holds if term.known == "end" else _opened(holds, scope)
    if term.timing == "relabel":
        opened = scope.future("open", ir.Where(is_open, ir.ONE, ir.ZERO))
        return ir.Where(ir.Compare("ne", opened, ir.ZERO), x, fallback)
    if term.known == "ever":
        return _escrow(x, is_open, scope)
    if term.timing == "escrow":
        return _escrow(x, ir.Logic("and", (ir.Ended("last"), is_open)), scope)
    _, earned = scope.fold("earned", 0.0, lambda before: ir.Binary("add", before, x))
    worth: Expr = ir.Where(is_open, earned, ir.ZERO)
    paid, _ = scope.fold("paid", 0.0, lambda _: worth)
    return ir.Binary("sub", worth, paid)


def _opened(holds: Expr, scope: Scope) -> Expr:
    """Return whether a condition has held on this step or an earlier one."""
    _, after = scope.fold("open", 0.0, lambda before: ir.Where(holds, ir.ONE, before), low=0.0, high=1.0)
    return ir.Compare("gt", after, ir.ZERO)


def _escrow(x: Expr, release: Expr, scope: Scope) -> Expr:
    """Return the sum held back, on the steps on which it is released."""
    held, _ = scope.fold("held", 0.0, lambda before: ir.Where(release, ir.ZERO, ir.Binary("add", before, x)))
    return ir.Where(release, ir.Binary("add", held, x), ir.ZERO)


GATE = Kind(Gate, "of", lower, ("of",))
