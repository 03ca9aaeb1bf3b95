"""Operators that join several terms into one: sum, product, least, greatest, lexicographic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.tolerance import clip
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.values import Model, Range, Whole


class Terms(Model):
    """Several terms."""

    terms: tuple[Term, ...] = Field(description="The terms to join.", min_length=1, max_length=100)


class Sum(Terms):
    """Pays the sum of its terms, each times its weight.

    Law: linear in every term; a term of weight 0 may be left out.
    """


class Product(Terms):
    """Pays the product of its terms.

    Law: with all factors but one in [0, 1] and that one not negative, the product is at most that one. A base that
    may be negative turns a penalty into a bonus; the checker warns.
    """


class Min(Terms):
    """Pays the least of its terms on each step.

    Law: at most each term; does not depend on their order.
    """


class Max(Terms):
    """Pays the greatest of its terms on each step.

    Law: at least each term; does not depend on their order.
    """


class Lexicographic(Terms):
    """Pays one number that orders steps by the first term, then by the second, and so on.

    Each term is held in `range` and rounded to one of `levels` equal levels q_k; the payment is the number with the
    digits q_1 q_2 ... q_n in base `levels`, divided by its largest value, so that it lies in [0, 1].

    Formula: r = sum_k q_k L^(n-k) / (L^n - 1), q_k = floor((clip(x_k) - low) / (high - low) * (L - 1) + 1/2)

    Law: of two steps the one with the lexicographically greater (q_1, ..., q_n) is paid more. The order is that of
    single steps: sums over an episode may trade many small gains for one large loss.
    """

    range: Range = Field((0.0, 1.0), description="Least and greatest value of every term.")
    levels: Annotated[Whole, Field(ge=2, le=1000)] = Field(10, description="Levels told apart in each term.")

    @model_validator(mode="after")
    def _check_digits(self) -> Lexicographic:
        if not self.range[0] < self.range[1]:
            raise ValueError("the range must run from a smaller number to a greater one")
        if self.levels ** len(self.terms) > 2**50:
            raise ValueError(
                f"{len(self.terms)} terms of {self.levels} levels do not fit into one float: use fewer levels"
            )
        return self


def lower_terms(term: Terms, scope: Scope) -> tuple[Expr, ...]:
    """Return what each of the terms pays."""
    return tuple(scope.term(inner, "terms", i) for i, inner in enumerate(term.terms))


def lower_sum(term: Sum, scope: Scope) -> Expr:
    """Return the sum."""
    return ir.total(lower_terms(term, scope))


def _joined(op: Literal["product", "min", "max"]) -> Callable[[Terms, Scope], Expr]:
    def lower(term: Terms, scope: Scope) -> Expr:
        parts = lower_terms(term, scope)
        return parts[0] if len(parts) == 1 else ir.Combine(op, parts)

    return lower


def lower_lexicographic(term: Lexicographic, scope: Scope) -> Expr:
    """Return the number whose digits are the rounded terms."""
    low, high = term.range
    top = term.levels - 1
    digits: list[Expr] = []
    for i, paid in enumerate(reversed(lower_terms(term, scope))):
        held = clip(paid, ir.Const(low), ir.Const(high))
        share = ir.Binary("mul", ir.Binary("sub", held, ir.Const(low)), ir.Const(top / (high - low)))
        level = ir.Call("floor", (ir.Binary("add", share, ir.Const(0.5)),))
        digits.append(ir.Binary("mul", level, ir.Const(float(term.levels**i))))
    return ir.Binary("div", ir.total(tuple(digits)), ir.Const(float(term.levels ** len(term.terms) - 1)))


SUM = Kind(Sum, "terms", lower_sum, ("terms",))
PRODUCT = Kind(Product, "terms", _joined("product"), ("terms",))
MIN = Kind(Min, "terms", _joined("min"), ("terms",))
MAX = Kind(Max, "terms", _joined("max"), ("terms",))
LEXICOGRAPHIC = Kind(Lexicographic, "terms", lower_lexicographic, ("terms",))
