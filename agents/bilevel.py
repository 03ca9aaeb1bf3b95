"""Gradients through what another optimisation arrives at, as pure functions over `torch.func`.

An inner objective L(theta, phi) is maximised over theta for given phi, and an outer one J(theta) tells how good the
theta is that came of it. At a maximum, D = dL/dtheta is zero, and the implicit function theorem gives

    dtheta/dphi = -H^-1 A,  H = dD/dtheta (negative definite there),  A = dD/dphi
    dJ/dphi     = -(H^-1 v)^T A,  v = dJ/dtheta

so all that is needed of a second derivative is its product with vectors. A solver brings w near H^-1 v:

| solver | w | for |
| --- | --- | --- |
| `first_order` | -v | the curvature is left out: H is taken for -1 |
| `neumann` | -eta sum_{k=0..K} (1 + eta H)^k v | any size; K products with H |
| `conjugate_gradient` | exact after as many steps as there are weights | curvature that is definite, or damped |
| `exact` | H^-1 v | few weights: H is written out |

`unrolled` is the other way: differentiate through the last steps of the inner optimisation themselves.

Everything here works on one learner and can be put under `torch.vmap` for many.

Source:
    Lorraine, Vicol and Duvenaud, "Optimizing Millions of Hyperparameters by Implicit Differentiation" (AISTATS 2020),
    for the Neumann series; Gupta et al., "Behavior Alignment via Reward Function Optimization" (NeurIPS 2023), for its
    signs where the inner objective is maximised. Conjugate gradients and the exact solution are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp

Outer = Any
"""What the outer loop moves: a tensor, or dicts and tuples of them."""

Objective = Callable[[Tensor, Outer], Tensor]
"""(theta `[P]`, phi) -> what is to be maximised over theta, a scalar."""

Times = Callable[[Tensor], Tensor]
"""v `[P]` -> H v `[P]`."""

Solver = Callable[[Times, Tensor], Tensor]
"""(products with H, v `[P]`) -> w `[P]`, near H^-1 v."""

State = TypeVar("State")


def curvature(objective: Callable[[Tensor], Tensor], theta: Tensor) -> Times:
    """Return the products of an objective's Hessian at `theta` `[P]` with vectors; H itself is never made.

    Example:
        >>> times = curvature(lambda x: -(x**4).sum(), torch.tensor([1.0, 2.0]))
        >>> times(torch.tensor([1.0, 1.0]))
        tensor([-12., -48.])
    """
    # H is symmetric: v^T H is as good, and what is passed forward is kept.
    _, back = vjp(grad(objective), theta)

    def times(v: Tensor) -> Tensor:
        product: Tensor = back(v)[0]
        return product

    return times


def hypergradient(inner: Objective, theta: Tensor, outer: Outer, v: Tensor, solve: Solver) -> Outer:
    """Return dJ/dphi by implicit differentiation, in the form of `outer`: where to go for a greater J.

    Args:
        inner: L(theta, phi).
        theta: Where the inner optimisation has come to, `[P]`.
        outer: phi.
        v: dJ/dtheta there, `[P]`.
        solve: One of the solvers of this file, its options filled in.

    Example:
        L = -theta^2 / 2 + theta phi ends at theta = phi, so J = -(theta - 3)^2 / 2 has the slope 3 - phi.

        >>> inner = lambda theta, phi: (-0.5 * theta**2 + theta * phi).sum()
        >>> phi = torch.tensor([1.0])
        >>> hypergradient(inner, phi, phi, 3 - phi, first_order)
        tensor([2.])
    """
    w = solve(curvature(lambda x: inner(x, outer), theta), v)

    def against(phi: Outer) -> Tensor:
        """Return -<D, w>, whose slope in phi is -w^T A."""
        along: Tensor = jvp(lambda x: inner(x, phi), (theta,), (w,))[1]
        return -along

    return grad(against)(outer)


def unrolled(
    update: Callable[[State, Outer, int], State],
    target: Callable[[State], Tensor],
    state: State,
    outer: Outer,
    steps: int,
) -> Outer:
    """Return dJ/dphi through `steps` updates of the inner optimisation: what they would have come to with another phi.

    Args:
        update: `(state, phi, number of the step) -> state`; the state holds theta and what its optimiser remembers.
        target: State -> J.
        state: Where the updates began; it is taken for a constant.
        outer: phi.
        steps: How many updates.

    Example:
        >>> halfway = lambda theta, phi, k: theta + 0.5 * (phi - theta)
        >>> unrolled(halfway, lambda theta: theta, torch.tensor(0.0), torch.tensor(1.0), 3)
        tensor(0.8750)
    """

    def reached(phi: Outer) -> Tensor:
        now = state
        for k in range(steps):
            now = update(now, phi, k)
        return target(now)

    return grad(reached)(outer)


# -- solvers -------------------------------------------------------------------------------------------------


def first_order(times: Times, v: Tensor) -> Tensor:
    """Return -v. It is `neumann` with K = 0, up to the factor eta, which optimisers such as RMSprop take out again."""
    del times
    return -v


def neumann(times: Times, v: Tensor, *, step: float, terms: int) -> Tensor:
    """Return -eta sum_{k=0..K} (1 + eta H)^k v, which goes to H^-1 v as K grows where eta < 2 / |H|.

    Args:
        times: Products with H, negative definite.
        v: `[P]`.
        step: eta.
        terms: K.

    Example:
        >>> neumann(lambda v: -2 * v, torch.tensor([1.0]), step=0.25, terms=50)
        tensor([-0.5000])
    """
    power = summed = v
    for _ in range(terms):
        power = power + step * times(power)
        summed = summed + power
    return -step * summed


def conjugate_gradient(times: Times, v: Tensor, *, iterations: int, damping: float = 0.0) -> Tensor:
    """Return (H - damping)^-1 v by conjugate gradients, a fixed number of steps without a look at any value.

    Where the curvature is not negative in a direction that comes up, the steps end there; damping makes it so.

    Source: Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems" (1952), on damping - H.
    """
    found, rest, direction = torch.zeros_like(v), v, v
    size = rest @ rest
    goes_on = torch.ones_like(size, dtype=torch.bool)
    for _ in range(iterations):
        ahead = damping * direction - times(direction)
        bend = direction @ ahead
        goes_on = goes_on & (bend > 0)
        length = torch.where(goes_on, size / torch.where(goes_on, bend, torch.ones_like(bend)), 0.0)
        found, rest = found + length * direction, rest - length * ahead
        fresh = rest @ rest
        direction = rest + torch.where(size > 0, fresh / torch.where(size > 0, size, 1.0), 0.0) * direction
        size = fresh
    return -found


def exact(times: Times, v: Tensor, *, damping: float = 0.0) -> Tensor:
    """Return (H - damping)^-1 v with H written out: P products, and a solution in P^3 operations.

    Example:
        >>> exact(lambda v: torch.tensor([-2.0, -4.0]) * v, torch.tensor([1.0, 1.0]))
        tensor([-0.5000, -0.2500])
    """
    whole = torch.eye(len(v), dtype=v.dtype, device=v.device)
    hessian = torch.vmap(times)(whole)  # row i is H e_i, and H is symmetric
    solution: Tensor = torch.linalg.solve(hessian - damping * whole, v)
    return solution
