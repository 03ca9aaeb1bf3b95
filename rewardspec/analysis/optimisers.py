"""Does an agent optimise what a spec asks for? Its discount and its objective beside the spec's."""

from __future__ import annotations

from collections.abc import Iterable

from rewardspec.errors import Problem
from rewardspec.spec.model import Spec


def check_discount(spec: Spec, gamma: float) -> tuple[Problem, ...]:
    r"""Return a problem when an agent's discount is not the spec's.

    Args:
        spec: The spec.
        gamma: The agent's discount.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> print(check_discount(loads("discount: 0.9\nreward: 1"), 0.99)[0].message)
        the agent discounts with 0.99, the spec with 0.9
    """
    if spec.discount is None or abs(spec.discount - gamma) <= 1e-9:
        return ()
    return (
        Problem(
            "discount-mismatch",
            f"the agent discounts with {gamma:g}, the spec with {spec.discount:g}",
            spec.place(("discount",)),
            (
                "Shaping by potentials keeps the best policies for the spec's discount only.",
                f"Give the agent gamma={spec.discount:g}, or write `discount: {gamma:g}` in the spec.",
            ),
        ),
    )


def check_objective(spec: Spec, agent: str, served: Iterable[str] = ("discounted",)) -> tuple[Problem, ...]:
    r"""Return a problem when an agent cannot optimise what the spec's objective says.

    Args:
        spec: The spec.
        agent: What the agent is called.
        served: Kinds of objectives that it optimises.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> print(check_objective(loads("objective: limit_average\nreward: 1"), "ppo")[0].message)
        ppo goes by discounted returns, and the spec's objective is limit_average
    """
    served, kind = tuple(served), spec.objective.kind
    if kind in served:
        return ()
    optimises = "discounted returns" if served == ("discounted",) else " and ".join(served)
    hints = ["On finite worlds: python -m agents.value_iteration --spec SPEC."]
    if kind == "regularised":
        hints.append("Where actions are vectors: rewardspec train SPEC --algo sac, whose entropy it is.")
    text = f"{agent} goes by {optimises}, and the spec's objective is {kind}"
    return (Problem("unfit-objective", text, spec.place(("objective",)), tuple(hints)),)
