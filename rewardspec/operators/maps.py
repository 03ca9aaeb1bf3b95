"""Operators that change what a term pays, step by step: affine, clip, sigmoid, tanh, log-sigmoid, threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.tolerance import clip
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import Model, Number

Slope = Annotated[Number, Field(gt=0)]


class Mapped(Model):
    """A term to be mapped."""

    of: Term = Field(description="The term whose payment is mapped.")


class Affine(Mapped):
    """Pays scale * x + shift.

    Law: with a positive scale and episodes of fixed length, the order of policies is kept. A shift in episodes of
    varying length is a living reward or cost.
    """

    scale: Number = Field(1.0, description="Factor.")
    shift: Number = Field(0.0, description="Paid on every step besides.")


class Clip(Mapped):
    """Pays x held between two bounds.

    Law: idempotent; monotone.
    """

    low: Number | None = Field(None, description="Least payment.")
    high: Number | None = Field(None, description="Greatest payment.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Clip:
        if self.low is None and self.high is None:
            raise ValueError("clip needs 'low', 'high' or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("clip's 'low' is above its 'high'")
        return self


class Sigmoid(Mapped):
    """Pays 1 / (1 + exp(-slope * (x - centre))).

    Law: strictly monotone; between 0 and 1; one half at the centre.
    """

    slope: Slope = Field(1.0, description="Steepness.")
    centre: Number = Field(0.0, description="Where it is one half.")


class Tanh(Mapped):
    """Pays tanh(slope * (x - centre)).

    Law: strictly monotone; between -1 and 1; odd about the centre.
    """

    slope: Slope = Field(1.0, description="Steepness.")
    centre: Number = Field(0.0, description="Where it is zero.")


class LogSigmoid(Mapped):
    """Pays log(1 / (1 + exp(-slope * (x - centre)))).

    Law: strictly monotone; below 0; close to slope * (x - centre) far below the centre.
    """

    slope: Slope = Field(1.0, description="Steepness.")
    centre: Number = Field(0.0, description="Where it is log(1/2).")


class Threshold(Mapped):
    """Pays `above` where x >= at, else `below`.

    Law: unchanged by any strictly monotone map of both x and `at`.
    """

    at: Number = Field(description="The threshold; reaching it counts.")
    above: Number = Field(1.0, description="Paid at and above the threshold.")
    below: Number = Field(0.0, description="Paid below it.")


def lower_affine(term: Affine, scope: Scope) -> Expr:
    """Return scale * x + shift."""
    scaled = ir.scale(ir.Const(term.scale), scope.term(term.of, "of"))
    return ir.Binary("add", scaled, ir.Const(term.shift)) if term.shift else scaled


def lower_clip(term: Clip, scope: Scope) -> Expr:
    """Return x held between the bounds."""
    x = scope.term(term.of, "of")
    if term.low is None:
        assert term.high is not None  # the model has checked
        return ir.Combine("min", (x, ir.Const(term.high)))
    if term.high is None:
        return ir.Combine("max", (x, ir.Const(term.low)))
    return clip(x, ir.Const(term.low), ir.Const(term.high))


def _curve(name: str) -> Callable[[Sigmoid | Tanh | LogSigmoid, Scope], Expr]:
    def lower(term: Sigmoid | Tanh | LogSigmoid, scope: Scope) -> Expr:
        x = scope.term(term.of, "of")
        moved = ir.Binary("sub", x, ir.Const(term.centre)) if term.centre else x
        return ir.Call(name, (ir.scale(ir.Const(term.slope), moved),))

    return lower


def lower_threshold(term: Threshold, scope: Scope) -> Expr:
    """Return one of two numbers."""
    reached = ir.Compare("ge", scope.term(term.of, "of"), ir.Const(term.at))
    return ir.Where(reached, ir.Const(term.above), ir.Const(term.below))


AFFINE = Kind(Affine, "of", lower_affine, ("of",))
CLIP = Kind(Clip, "of", lower_clip, ("of",))
SIGMOID = Kind(Sigmoid, "of", _curve("sigmoid"), ("of",))
TANH = Kind(Tanh, "of", _curve("tanh"), ("of",))
LOG_SIGMOID = Kind(LogSigmoid, "of", _curve("log_sigmoid"), ("of",))
THRESHOLD = Kind(Threshold, "of", lower_threshold, ("of",))
