"""What the learners of BARFI climb, and where the outer loop should go: pure functions of one learner.

`torch.vmap` makes them many. The policy climbs L, on stored episodes, with what its method pays; the outer loop climbs
J, the primary return on the newest episodes, less what weights and discount cost, and looks through L by one of the
ways of `agents/bilevel.py`.

Source:
    Gupta, Chandak, Jordan, Thomas and da Silva, "Behavior Alignment via Reward Function Optimization" (NeurIPS 2023);
    averages, prices and what is discounted by what are those of the released code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import grad

from agents.bilevel import Solver, conjugate_gradient, exact, first_order, hypergradient, neumann, unrolled
from agents.blend import Batch, Blend, Features, LinearPolicy, ascend, policy_objective, rewards_to_go

Outer = dict[str, Tensor]
"""What the outer loop moves: `phi` `[F, K]`, and `horizon`, a scalar whose sigmoid is the learned discount."""


class Objectives:
    """The objectives of one learner, by the settings of a run.

    Attributes:
        args: The settings.
        policy: How weights become actions.
        blend: How weights become a reward.
        seen: What the policy is linear in.
        weighed: What the blend's weights are linear in.
        gamma: Discount of the primary return.
        reads: Name of the part of a batch that `weighed` is made of: `obs`, or `inputs`.
    """

    def __init__(
        self,
        args: Any,
        policy: LinearPolicy,
        blend: Blend,
        seen: Features,
        weighed: Features,
        gamma: float,
        reads: str,
    ) -> None:
        """See the class."""
        self.args, self.policy, self.blend = args, policy, blend
        self.seen, self.weighed, self.gamma, self.reads = seen, weighed, gamma, reads
        self._solve = solver(args)

    def state(self, batch: Batch) -> Tensor:
        """Return features for the blend's weights, `[..., F]`."""
        return self.weighed.of(batch[self.reads])

    def returns(self, outer: Outer, batch: Batch, method: str) -> Tensor:
        """Return rewards-to-go `[N, T]`, of what a method learns from."""
        primary, hints, mask = batch["primary"], batch["hints"], batch["mask"]
        if method == "primary":
            return rewards_to_go(primary * mask, self.gamma)
        if method == "potential":
            # With the hint as potential the sums telescope: what is left of the shaping is a baseline.
            return rewards_to_go(primary * mask, self.gamma) - hints.sum(-1) * mask
        if method == "sum":
            gamma = torch.sigmoid(outer["horizon"]) if self.args.method == "barfi" else self.gamma
            return rewards_to_go((primary + hints.sum(-1)) * mask, gamma)
        paid = self.blend.reward(outer["phi"], self.state(batch), primary, hints)
        return rewards_to_go(paid * mask, torch.sigmoid(outer["horizon"]))

    def inner(self, theta: Tensor, outer: Outer, batch: Batch) -> Tensor:
        """Return L, what the policy climbs: the returns of the blend, and its entropy."""
        x, returns = self.seen.of(batch["obs"]), self.returns(outer, batch, "barfi")
        return policy_objective(self.policy, theta, x, batch, returns, self.args.ent_coef)

    def slope(self, theta: Tensor, x: Tensor, batch: Batch, returns: Tensor) -> Tensor:
        """Return dL/dtheta `[P]` on episodes whose features `[N, T, F]` and returns `[N, T]` are known."""
        found: Tensor = grad(
            lambda w: policy_objective(self.policy, w, x, batch, returns, self.args.ent_coef)
        )(theta)
        return found

    def primary(self, theta: Tensor, batch: Batch) -> Tensor:
        """Return J: the primary return, without the entropy."""
        returns = rewards_to_go(batch["primary"] * batch["mask"], self.gamma)
        if self.args.centred and len(returns) > 1:
            # What the other episodes came to from the same step on: it changes no expectation, and less is noise.
            returns = returns - (returns.sum(0) - returns) / (len(returns) - 1)
        return policy_objective(self.policy, theta, self.seen.of(batch["obs"]), batch, returns, 0.0)

    def price(self, outer: Outer) -> Tensor:
        """Return what the weights and the discount cost. The norm is not squared, as in the released code."""
        args = self.args
        norm = (outer["phi"].square().sum() + 1e-12).sqrt()
        return args.gamma_penalty * torch.sigmoid(outer["horizon"]) + args.blend_penalty * norm

    def _less_the_price(self, climb: Outer, outer: Outer) -> Outer:
        price = grad(self.price)(outer)
        return {name: climb[name] - price[name] for name in outer}

    def implicit(self, theta: Tensor, outer: Outer, newest: Batch, stored: Batch) -> tuple[Outer, Tensor]:
        """Return where to go for a greater J by implicit differentiation, and |dJ/dtheta|.

        Args:
            theta: The policy's weights `[P]`.
            outer: What is moved.
            newest: Episodes of the present policy, for J.
            stored: Episodes that the curvature of L is taken from.
        """
        v = grad(self.primary)(theta, newest)
        climb = hypergradient(lambda w, o: self.inner(w, o, stored), theta, outer, v, self._solve)
        return self._less_the_price(climb, outer), v.norm()

    def through_steps(self, begun: list[Tensor], outer: Outer, newest: Batch, batches: Batch) -> Outer:
        """Return where to go for a greater J, through the policy's last steps themselves.

        Args:
            begun: The policy's weights before them, and what its optimiser remembered.
            outer: What is moved.
            newest: Episodes of the policy that came of them, for J.
            batches: The episodes of each step, `[steps, N, T, ...]`.
        """
        args = self.args

        def update(state: list[Tensor], outer: Outer, k: int) -> list[Tensor]:
            batch = {name: part[k] for name, part in batches.items()}
            slope = grad(self.inner)(state[0], outer, batch)
            theta, kept = ascend(args.optimiser, args.learning_rate, state[0], slope, state[1:])
            return [theta, *kept]

        steps = len(batches["mask"])
        climb = unrolled(update, lambda state: self.primary(state[0], newest), begun, outer, steps)
        return self._less_the_price(climb, outer)


def solver(args: Any) -> Solver:
    """Return the solver that the arguments name; the unrolled variant needs none."""
    found: dict[str, Callable[..., Tensor]] = {
        "neumann": partial(neumann, step=args.eta, terms=args.terms),
        "first_order": first_order,
        "conjugate_gradient": partial(conjugate_gradient, iterations=args.terms, damping=args.damping),
        "exact": partial(exact, damping=args.damping),
        "unrolled": first_order,
    }
    return found[args.solve]
