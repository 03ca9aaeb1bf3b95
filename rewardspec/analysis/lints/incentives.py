"""Lints of incentives: is the goal worth more than waiting, than repeating something, than dying early."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rewardspec.analysis.economy import Dense, Economy, Ending, economy
from rewardspec.analysis.intervals import Interval
from rewardspec.analysis.subject import Subject, steps_worth
from rewardspec.errors import Problem
from rewardspec.ir import expr as ir
from rewardspec.kinds.potential import Potential

RATIO = 1_000.0
"""How much larger one term may be than another before the smaller one is lost beside it."""

NOTHING = 1e-3
"""A goal worth less than this at the horizon is worth nothing."""

MAX_STEPS = 1_000_000


def lint_goal(subject: Subject) -> Iterator[Problem]:
    """Yield what an agent would rather do than reach the goal."""
    wealth = economy(subject)
    goal = wealth.best_goal
    yield from _vanishing(subject, (*wealth.goals, *wealth.finals))
    if goal is None:
        yield from _constant_sign(subject, wealth)
        return
    idle = next(iter(_idling(subject, wealth, goal)), None)
    if idle is not None:
        yield idle
    yield from _repeating(subject, wealth, goal, sure_reported=idle is not None)
    yield from _dying(subject, wealth, goal)


def _span(subject: Subject) -> str:
    steps = f"{subject.horizon} steps" if subject.horizon else "an endless episode"
    discount = subject.spec.discount
    return f"{steps} at discount {discount:g}" if discount is not None and discount < 1 else steps


def _vanishing(subject: Subject, goals: Sequence[Ending]) -> Iterator[Problem]:
    """Yield the case in which even the best-paid goal is worth nothing from as far away as the horizon."""
    discount, horizon = subject.spec.discount, subject.horizon
    if discount is None or horizon is None or discount == 1 or not goals:
        return
    goal = max(goals, key=lambda goal: goal.amount)
    worth = discount**horizon * goal.amount
    if worth >= NOTHING:
        return
    better = math.exp(math.log(0.05) / horizon)
    reach = int(math.log(NOTHING / goal.amount) / math.log(discount)) if goal.amount > NOTHING else 0
    yield subject.finding(
        "goal-worth-nothing",
        "warning",
        f"at the horizon the goal is worth {discount:g}^{horizon} * {goal.amount:g} = {worth:.2g}",
        ("discount",),
        (
            f"A goal more than {reach} steps away is worth less than {NOTHING:g}.",
            f"With discount {_round_up(better)} it is still worth 5% of its payment after {horizon} steps.",
        ),
    )


def _round_up(discount: float) -> str:
    """Return a discount with as few nines as tell it apart from 1, rounded up."""
    digits = max(2, 1 - math.floor(math.log10(1 - discount)))
    return f"{math.ceil(discount * 10**digits) / 10**digits:.{digits}f}"


def _idling(subject: Subject, wealth: Economy, goal: Ending) -> Iterator[Problem]:
    """Yield the case in which waiting surely pays more than it costs to wait."""
    if not wealth.complete:
        return
    sure = wealth.each_step.low
    if not sure > 0 or not math.isfinite(sure):
        return
    discount = subject.spec.discount
    cost = None if discount is None else (1 - discount) * goal.amount
    total = sure * subject.steps_worth()
    if cost is None and (not math.isfinite(total) or total <= goal.amount):
        return
    if cost is not None and sure <= cost:
        return
    largest = max(wealth.dense, key=lambda dense: dense.each.low)
    waiting = f"each step of waiting pays at least {sure:g}"
    loss = (
        f"and makes the goal's {goal.amount:g} worth only {cost:.2g} less"
        if cost is not None
        else f"{total:g} over {_span(subject)}, more than the goal's {goal.amount:g}"
    )
    limit = cost if cost else goal.amount / subject.steps_worth()
    yield subject.finding(
        "idling-beats-goal",
        "warning",
        f"{waiting}, {loss}: the best plan is not to reach '{goal.term}'",
        largest.path,
        (
            f"Pay less than {limit:.2g} a step, raise the goal, or shape with a potential: "
            f"{_named(largest)} pays "
            f"{largest.each} a step.",
        )
        if limit
        else (
            f"Without discounting every paid step before the goal is a gain: {_named(largest)} pays "
            f"{largest.each} a "
            "step. Shape with a potential, or take a constant off it so that steps cost.",
        ),
    )


def _named(dense: Dense) -> str:
    return f"'{dense.term}'"


def _repeating(subject: Subject, wealth: Economy, goal: Ending, sure_reported: bool) -> Iterator[Problem]:
    """Yield terms that may pay more over an episode than the goal that ends it."""
    steps = subject.steps_worth()
    if not math.isfinite(steps):
        return
    for dense in wealth.dense:
        most = dense.each.high
        if not most > 0 or not math.isfinite(most) or (sure_reported and dense.each.low > 0):
            continue
        total = most * steps
        if total <= goal.amount:
            continue
        yield subject.finding(
            "repetition-beats-goal",
            "warning",
            f"'{dense.term}' pays up to {most:g} a step, {total:.4g} over {_span(subject)}; reaching "
            f"'{goal.term}' "
            f"pays {goal.amount:g} and ends it",
            dense.path,
            (
                f"Below {goal.amount / steps:.2g} a step it cannot outweigh the goal.",
                "Or pay it once (`once`), pay its change (`potential`, `diff`), or let it fall "
                "(`discount_by_count`).",
            ),
        )


def _dying(subject: Subject, wealth: Economy, goal: Ending) -> Iterator[Problem]:
    """Yield the case in which failing at once is better than a goal that takes its time."""
    loss = wealth.mildest_loss
    cost = -wealth.each_step.high
    if loss is None or not wealth.complete or not cost > 0 or not math.isfinite(cost):
        return
    patience = steps_until(subject, goal.amount, cost, loss.amount)
    if patience is None:
        return
    limit = f" of {subject.horizon}" if subject.horizon else ""
    needed = -cost * subject.steps_worth()
    cure = (
        f"Let failing cost more than living through the episode: below {needed:.3g}; or let a step cost "
        "less than "
        f"{(goal.amount - loss.amount) / subject.steps_worth():.2g}."
        if math.isfinite(needed)
        else "Let failing cost more than the steps, or let a step cost less."
    )
    yield subject.finding(
        "dying-beats-goal",
        "warning",
        f"every step costs at least {cost:g}, failing {abs(loss.amount):g}: failing at once is better than "
        "a goal "
        f"({goal.amount:g}) that takes more than {patience}{limit} steps",
        loss.path,
        (cure,),
    )


def steps_until(subject: Subject, goal: float, cost: float, loss: float) -> int | None:
    """Return after how many steps the goal is no longer worth its way, None when it is to the horizon.

    The goal after t steps is worth discount^t * goal - cost * (1 + discount + ...); failing now, `loss`.
    """
    discount, horizon = subject.spec.discount, subject.horizon
    last = MAX_STEPS if horizon is None else horizon
    if horizon is None and discount is None:
        return None

    def worth(steps: int) -> float:
        return (1.0 if discount is None else discount**steps) * goal - cost * steps_worth(discount, steps)

    if worth(last) >= loss:
        return None
    low, high = 0, last  # the worth falls with every step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if worth(middle) < loss else (middle, high)
    return low


def _constant_sign(subject: Subject, wealth: Economy) -> Iterator[Problem]:
    """Yield the sign of a reward that is the same on every step, where the environment can end an episode."""
    if not subject.ends_early or not wealth.complete or not wealth.dense or wealth.losses:
        return
    total = sum((_with_base(subject, dense) for dense in wealth.dense), Interval(0.0, 0.0))
    place = max(wealth.dense, key=lambda dense: dense.each.magnitude).path
    if total.low > 0:
        yield subject.finding(
            "living-reward",
            "info",
            f"every step pays at least {total.low:g} and episodes can end early: an agent is paid for "
            "staying alive",
            place,
            (
                "Right where an early end is a failure; wrong where it is the goal, which would then be "
                "put off.",
            ),
        )
    elif total.high < 0:
        yield subject.finding(
            "step-cost",
            "info",
            f"every step costs at least {-total.high:g} and episodes can end early: an agent is paid for "
            "ending them",
            place,
            (
                "Right where an early end is the goal; wrong where it is a failure, which would then be "
                "sought.",
            ),
        )


def _with_base(subject: Subject, dense: Dense) -> Interval:
    """Return what a term pays a step with the environment's own reward in its whole range."""
    return subject.ranges.of(subject.paid[dense.path]) if _reads_reward(subject, dense) else dense.each


def _reads_reward(subject: Subject, dense: Dense) -> bool:
    return any(
        isinstance(node, ir.Field) and node.root == "reward" for node in ir.walk(subject.paid[dense.path])
    )


def lint_scales(subject: Subject) -> Iterator[Problem]:
    """Yield terms that are lost beside others: payments of an episode against payments of an episode."""
    wealth = economy(subject)
    worth: dict[str, tuple[float, tuple[int | str, ...], str]] = {}
    steps = subject.steps_worth()
    for dense in wealth.dense:
        if not dense.each.is_bounded or dense.each.magnitude == 0:
            continue
        if any(dense.term == other.term and other != dense for other in wealth.dense):
            continue
        amount = dense.each.magnitude * (steps if math.isfinite(steps) else 1.0)
        worth[dense.term] = (amount, dense.path, f"{dense.each} a step")
    if math.isfinite(steps) or not worth:
        for ending in (*wealth.goals, *wealth.losses):
            if ending.amount and abs(ending.amount) > worth.get(ending.term, (0.0,))[0]:
                worth[ending.term] = (abs(ending.amount), ending.path, f"{ending.amount:g} at its end")
    if len(worth) < 2:
        return
    largest = max(worth, key=lambda name: worth[name][0])
    for name, (amount, path, shown) in worth.items():
        if amount * RATIO < worth[largest][0]:
            over = f" over {_span(subject)}" if math.isfinite(steps) else " on a step"
            yield subject.finding(
                "dwarfed-term",
                "warning",
                f"'{name}' ({shown}) is worth at most {amount:.2g}{over}, '{largest}' "
                f"({worth[largest][2]}) up to "
                f"{_short(worth[largest][0])}: {worth[largest][0] / amount:,.0f} times as much",
                path,
                (
                    f"A weight of about {_short(worth[largest][0] / amount / 10)} on '{name}' "
                    "would let it be felt.",
                ),
            )


def _short(number: float) -> str:
    """Return a number with three digits, large ones without an exponent."""
    return f"{number:,.0f}" if 1_000 <= number < 1e9 else f"{number:.3g}"


def lint_potential_terms(subject: Subject) -> Iterator[Problem]:
    """Yield potentials with so large a range that the steps' differences drown the goal's payment."""
    wealth = economy(subject)
    goal = wealth.best_goal
    if goal is None:
        return
    for path, _, body in subject.of_kind(Potential):
        if body.of is None:
            continue
        each = subject.ranges.of(subject.paid[path])
        if each.is_bounded and each.magnitude > RATIO * goal.amount:
            yield subject.finding(
                "oversized-shaping",
                "warning",
                f"the shaping pays {each} a step, more than {RATIO:g} times the goal's {goal.amount:g}",
                path,
                (f"A `scale` of {goal.amount / each.magnitude:.2g} brings it to the goal's size.",),
            )
