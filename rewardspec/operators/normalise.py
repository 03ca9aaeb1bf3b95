"""Operator `normalise`: subtract a mean and divide by a spread, both constant or both running."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Fold
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import Model, Number, Truth, Whole


class Normalise(Model):
    """Pays (x - mean) / max(std, epsilon).

    With `mean` and `std` given they are constants. Otherwise they run: every value of the term, over all steps of the
    run and all environments of a batch, enters the statistics (population variance, ddof 0) before it is normalised.
    `freeze_after` stops them; so does setting the parameter `<term>.frozen` to 1, and 0 lets them go on. Running
    statistics outlive episodes and are part of the state that is saved.

    Law: with constants, affine; after freezing, affine; shift of x by a constant leaves the running form unchanged.

    Source: parallel update of mean and variance, Chan, Golub and LeVeque (1983).
    """

    of: Term = Field(description="The term.")
    mean: Number | None = Field(
        None, description="Constant mean; running when neither it nor `std` is given."
    )
    std: Annotated[Number, Field(gt=0)] | None = Field(None, description="Constant standard deviation.")
    centre: Truth = Field(True, description="Whether the running mean is subtracted.")
    epsilon: Annotated[Number, Field(gt=0)] = Field(1e-8, description="Least divisor.")
    freeze_after: Annotated[Whole, Field(gt=0)] | None = Field(
        None, description="Environment steps of the run after which the statistics stand still."
    )

    @model_validator(mode="after")
    def _check_form(self) -> Normalise:
        if (self.mean is not None or self.std is not None) and self.freeze_after is not None:
            raise ValueError("'freeze_after' goes with running statistics, not with constants")
        return self


def lower(term: Normalise, scope: Scope) -> Expr:
    """Return the normalised term."""
    x = scope.term(term.of, "of")
    if term.mean is not None or term.std is not None:
        centred = ir.Binary("sub", x, ir.Const(term.mean)) if term.mean else x
        return ir.Binary("div", centred, ir.Const(max(term.std, term.epsilon))) if term.std else centred
    mean, variance = _running(term, x, scope)
    spread = ir.Combine("max", (ir.Call("sqrt", (variance,)), ir.Const(term.epsilon)))
    return ir.Binary("div", ir.Binary("sub", x, mean) if term.centre else x, spread)


def _running(term: Normalise, x: Expr, scope: Scope) -> tuple[Expr, Expr]:
    """Declare running statistics; return mean and variance with this step's values included."""
    frozen: Expr = ir.Compare("ne", scope.param("frozen", 0.0), ir.ZERO)
    if term.freeze_after is not None:
        done = ir.Compare("ge", scope.steps(), ir.Const(float(term.freeze_after)))
        frozen = ir.Logic("or", (frozen, done))
    names = {key: scope.unique(key, scope.draft.folds) for key in ("count", "mean", "squares")}
    old = {key: ir.Memory(name) for key, name in names.items()}
    number = ir.Reduce("sum", ir.ONE, "B")
    batch_mean = ir.Reduce("mean", x, "B")
    away = ir.Binary("sub", x, batch_mean)
    batch_squares = ir.Reduce("sum", ir.Binary("mul", away, away), "B")
    count = ir.Binary("add", old["count"], number)
    delta = ir.Binary("sub", batch_mean, old["mean"])
    share = ir.Binary("div", number, count)
    mean = ir.Binary("add", old["mean"], ir.Binary("mul", delta, share))
    between = ir.Binary("mul", ir.Binary("mul", delta, delta), ir.Binary("mul", old["count"], share))
    squares = ir.Binary("add", old["squares"], ir.Binary("add", batch_squares, between))
    for key, new in (("count", count), ("mean", mean), ("squares", squares)):
        kept = ir.Where(frozen, old[key], new)
        scope.draft.folds[names[key]] = Fold(names[key], 0.0, kept, "run", observed=False)
    variance = ir.Binary(
        "div",
        ir.Memory(names["squares"], after=True),
        ir.Combine("max", (ir.Memory(names["count"], after=True), ir.ONE)),
    )
    return ir.Memory(names["mean"], after=True), variance


NORMALISE = Kind(Normalise, "of", lower, ("of",))
