"""Gradients through an inner optimisation, held against ones that are known or taken by finite differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad

from agents.bilevel import conjugate_gradient, exact, first_order, hypergradient, neumann, unrolled

SIZE, KNOBS = 6, 4


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Quadratic:
    """L = -theta^T Q theta / 2 + theta^T M phi, J = -|theta - t|^2 / 2; the condition number of Q is 10.

    The inner maximum is theta = Q^-1 M phi, so dJ/dphi = M^T Q^-1 v with v = t - theta.
    """

    def __init__(self, seed: int) -> None:
        numbers = torch.Generator().manual_seed(seed)
        draw = partial(torch.randn, generator=numbers, dtype=torch.float64)
        turn, _ = torch.linalg.qr(draw(SIZE, SIZE))
        self.most = 10.0
        self.q = turn @ torch.diag(torch.linspace(1.0, self.most, SIZE, dtype=torch.float64)) @ turn.T
        self.m, self.goal, self.phi = draw(SIZE, KNOBS), draw(SIZE), draw(KNOBS)
        self.theta = self.solved(self.phi)
        self.v = self.goal - self.theta

    def inner(self, theta: Tensor, phi: Tensor) -> Tensor:
        return -0.5 * theta @ self.q @ theta + theta @ self.m @ phi

    def outer(self, theta: Tensor) -> Tensor:
        return -0.5 * (theta - self.goal).square().sum()

    def solved(self, phi: Tensor) -> Tensor:
        return torch.linalg.solve(self.q, self.m @ phi)

    def by_implicit(self, solve: Any) -> Tensor:
        found: Tensor = hypergradient(self.inner, self.theta, self.phi, self.v, solve)
        return found

    @property
    def known(self) -> Tensor:
        return self.m.T @ torch.linalg.solve(self.q, self.v)


toys = pytest.mark.parametrize("toy", [Quadratic(seed) for seed in range(3)], ids=range(3))


def error(found: Tensor, known: Tensor) -> float:
    return float((found - known).norm() / known.norm())


@toys
def test_the_known_gradient_is_that_of_finite_differences_sign_included(toy: Quadratic) -> None:
    """Move each knob, solve the inner problem anew, see how J changes."""
    step = 1e-5
    for i, slope in enumerate(toy.known):
        moved = step * torch.eye(KNOBS, dtype=torch.float64)[i]
        change = toy.outer(toy.solved(toy.phi + moved)) - toy.outer(toy.solved(toy.phi - moved))
        assert float(change) / (2 * step) == pytest.approx(float(slope), rel=1e-6)
        assert (change > 0) == (slope > 0)


@toys
def test_more_terms_bring_the_series_to_the_known_gradient(toy: Quadratic) -> None:
    errors = [
        error(toy.by_implicit(partial(neumann, step=1 / toy.most, terms=k)), toy.known) for k in (5, 50, 200)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-3


@toys
def test_the_series_has_no_end_with_steps_that_are_too_long(toy: Quadratic) -> None:
    assert error(toy.by_implicit(partial(neumann, step=2.2 / toy.most, terms=200)), toy.known) > 1e3


@toys
def test_no_term_at_all_is_the_first_order_variant_times_the_step(toy: Quadratic) -> None:
    bare = toy.by_implicit(partial(neumann, step=5e-4, terms=0))
    assert torch.allclose(bare, 5e-4 * toy.by_implicit(first_order), rtol=1e-12)
    assert torch.allclose(toy.by_implicit(first_order), toy.m.T @ toy.v, rtol=1e-12)


@toys
def test_the_exact_solution_and_as_many_conjugate_steps_as_weights(toy: Quadratic) -> None:
    assert error(toy.by_implicit(exact), toy.known) < 1e-12
    assert error(toy.by_implicit(partial(conjugate_gradient, iterations=SIZE)), toy.known) < 1e-9
    assert error(toy.by_implicit(partial(conjugate_gradient, iterations=2)), toy.known) > 1e-3


@toys
def test_damping_shortens_both_alike(toy: Quadratic) -> None:
    damped = toy.by_implicit(partial(exact, damping=3.0))
    by_steps = toy.by_implicit(partial(conjugate_gradient, iterations=SIZE, damping=3.0))
    assert error(by_steps, damped) < 1e-9
    assert damped.norm() < toy.known.norm()


def test_conjugate_steps_end_where_the_curvature_is_upwards() -> None:
    found = conjugate_gradient(lambda v: v, torch.tensor([1.0, 2.0]), iterations=5)
    assert found.tolist() == [0.0, 0.0]
    nothing = conjugate_gradient(lambda v: -v, torch.zeros(2), iterations=3)
    assert nothing.tolist() == [0.0, 0.0]


@toys
def test_unrolled_steps_to_the_maximum_agree_and_few_steps_fall_short(toy: Quadratic) -> None:
    def climb(theta: Tensor, phi: Tensor, k: int) -> Tensor:
        slope: Tensor = grad(toy.inner)(theta, phi)
        return theta + slope / toy.most

    begun = torch.zeros(SIZE, dtype=torch.float64)
    assert error(unrolled(climb, toy.outer, begun, toy.phi, 200), toy.known) < 1e-3
    assert error(unrolled(climb, toy.outer, begun, toy.phi, 3), toy.known) > 1e-2


def test_curvature_that_changes_from_place_to_place() -> None:
    """Three actions, paid phi and for their entropy: L = sum_a p_a phi_a + H(p), at its maximum p ~ e^phi."""
    phi = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    worth = torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64)

    def inner(theta: Tensor, phi: Tensor) -> Tensor:
        log = torch.log_softmax(theta, 0)
        return (log.exp() * (phi - log)).sum()

    def outer(theta: Tensor) -> Tensor:
        return (torch.softmax(theta, 0) * worth).sum()

    v = grad(outer)(phi)  # theta = phi is a maximum
    assert grad(inner)(phi, phi).abs().max() < 1e-12
    # H is singular along (1, 1, 1), where the policy does not change: damping, and v has no part there.
    found = hypergradient(inner, phi, phi, v, partial(exact, damping=1e-9))
    assert torch.allclose(found, v, atol=1e-6)  # J(theta(phi)) = J(phi)


def test_outer_parts_by_name_and_many_learners_at_once() -> None:
    toys = [Quadratic(seed) for seed in range(3)]
    q, m, theta, v = (torch.stack([getattr(toy, name) for toy in toys]) for name in ("q", "m", "theta", "v"))
    outer = {"left": torch.stack([t.phi[:2] for t in toys]), "right": torch.stack([t.phi[2:] for t in toys])}

    def one(q: Tensor, m: Tensor, theta: Tensor, v: Tensor, outer: dict[str, Tensor]) -> Any:
        def inner(theta: Tensor, outer: dict[str, Tensor]) -> Tensor:
            phi = torch.cat([outer["left"], outer["right"]])
            return -0.5 * theta @ q @ theta + theta @ m @ phi

        return hypergradient(inner, theta, outer, v, partial(neumann, step=0.1, terms=7))

    found = torch.vmap(one)(q, m, theta, v, outer)
    alone = [toy.by_implicit(partial(neumann, step=0.1, terms=7)) for toy in toys]
    assert torch.allclose(torch.cat([found["left"], found["right"]], 1), torch.stack(alone))
