"""Environments on a device that pay learned terms by their models, for agents that live there too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rewardspec.ir.layout import Layout
from rewardspec.wrappers.tensor import TensorEnv, TensorWrapper

if TYPE_CHECKING:
    from torch import Tensor

    from rewardspec.learning.learner import RewardLearner


class LearnedTensorWrapper(TensorWrapper):
    """B device-resident environments that pay a spec with learned terms; see `RewardLearner.wrap_tensor`.

    Every step's infos have `learned`, the features `[B, F]` that a learner observes, and `paid`, `[B]` what the learned
    terms paid. A refresh happens in Python, so a step can be neither captured in a CUDA graph nor compiled.

    Attributes:
        learner: Whose models pay.
    """

    def __init__(self, tenv: TensorEnv, learner: RewardLearner, **options: Any) -> None:
        """See `RewardLearner.wrap_tensor`."""
        self.learner = learner
        learner.team = int(getattr(tenv, "team", 1))
        super().__init__(tenv, learner.program, **{**options, "totals": False})  # it has its own
        shape, dtype = (self.num_envs, len(self.program.terms)), self._array.backend.float_type
        self._totals = self._torch.zeros(shape, dtype=dtype, device=self.device)

    def _bound(self, layout: Layout) -> Layout:
        self._split = self.learner.bind(layout)
        return self._split.layout

    def reset(self) -> Any:
        """Begin new episodes everywhere; return the observations `[B, ...]`."""
        self._totals.zero_()
        return super().reset()

    def step(self, action: Tensor) -> tuple[Any, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step the environments and pay: what is known by the program, what is learned by the models."""
        torch = self._torch
        obs, _, terminated, truncated, infos = super().step(action)
        split = self._split
        values = list(infos["terms"].values())
        known, features = values[: len(split.known)], torch.stack(values[len(split.known) :], dim=1)
        learned = self.learner.pay_tensor(features, self._params).to(features.dtype)
        terms = torch.stack([[*known, *learned][i] for i in split.order], dim=1)
        totals = self._totals + terms
        self._totals.copy_(totals * ~(terminated | truncated).unsqueeze(1))
        names = [term.name for term in self.program.terms]
        infos |= {
            "terms": dict(zip(names, terms.unbind(1), strict=True)),
            "return": dict(zip(names, totals.unbind(1), strict=True)),
            "learned": features,
            "paid": learned.sum(0),
        }
        reward = torch.nan_to_num(terms.sum(1), nan=0.0, posinf=0.0, neginf=0.0)
        return obs, reward, terminated, truncated, infos

    def _memory(self) -> dict[str, Tensor]:
        return {**super()._memory(), "totals": self._totals}
