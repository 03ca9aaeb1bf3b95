"""What agents share: from `share:` to a program over what each agent's own terms pay."""

from __future__ import annotations

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.passes import fold_constants
from rewardspec.ir.program import Fold, ParamValue, Program, Term
from rewardspec.spec.agents import Inequity, ShareSpec
from rewardspec.team.roster import Roster

WEIGHT = "share.team"
"""Name of the parameter that says how much of the reward is the team's mean."""


def share_program(share: ShareSpec, me: str, roster: Roster) -> Program:
    """Return the program that pays an agent, given what every agent's own terms pay on the step (`paid`).

    Its terms are `own`, `team` and `inequity`, as far as they can differ from 0. Smoothed earnings are memory, and so
    enter the observation, as in Hughes et al.
    """
    own = ir.Field("paid")
    folds: list[Fold] = []
    terms: list[Term] = []
    params: list[ParamValue] = []
    if share.team:
        part = ir.Param(WEIGHT)
        params.append(ParamValue(WEIGHT, share.team))
        rest = ir.Binary("sub", ir.ONE, part)
        mean = ir.Reduce("mean", ir.Field("paid", who=ir.Agents("team")))
        terms.append(Term("own", "share", ir.Binary("mul", rest, own)))
        terms.append(Term("team", "share", ir.Binary("mul", part, mean)))
    else:
        terms.append(Term("own", "share", own))
    if share.inequity is not None:
        terms.append(Term("inequity", "share", _price(share.inequity, me, roster, folds)))
    return fold_constants(
        Program(
            name=f"share of {me}",
            discount=None,
            propositions=(),
            machines=(),
            folds=tuple(folds),
            params=tuple(params),
            terms=tuple(terms),
            ends=(),
        )
    )


def _price(inequity: Inequity, me: str, roster: Roster, folds: list[Fold]) -> Expr:
    """Return what unequal earnings cost an agent; see `Inequity`. An agent that has left earns nothing any more."""
    who = ir.Agents(inequity.among, but_me=True)
    others = roster.select(who, me, ir.Field("paid").place)
    if not others:
        return ir.ZERO
    mine = _earned(me, inequity, folds)
    theirs = [_earned(name, inequity, folds) for name in others]
    less = tuple(_excess(e, mine) for e in theirs)
    more = tuple(_excess(mine, e) for e in theirs)
    cost = tuple(
        ir.Binary("mul", ir.Const(price / len(others)), ir.total(gaps))
        for price, gaps in ((inequity.disadvantageous, less), (inequity.advantageous, more))
        if price
    )
    return ir.Unary("neg", ir.total(cost)) if cost else ir.ZERO


def _earned(name: str, inequity: Inequity, folds: list[Fold]) -> Expr:
    """Return an agent's earnings, smoothed where that is asked for."""
    now = ir.Field("paid", who=ir.Agents("agents", name))
    if not inequity.smoothing:
        return now
    fold = f"earned.{name}"
    kept = ir.Binary("mul", ir.Const(inequity.smoothing), ir.Memory(fold))
    folds.append(Fold(fold, 0.0, ir.Binary("add", kept, now)))
    return ir.Memory(fold, after=True)


def _excess(a: Expr, b: Expr) -> Expr:
    return ir.Combine("max", (ir.Binary("sub", a, b), ir.ZERO))
