"""B cart-poles in torch tensors: gymnasium's CartPole-v1, transition for transition, on any device.

Source:
    The equations and constants are those of gymnasium's `CartPoleEnv` (Euler's method; after Barto, Sutton and
    Anderson 1983). It computes in float64; so does this with `dtype=torch.float64`, while float32 is twice as fast and
    drifts apart by rounding over an episode.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rewardspec.tabular.draws import as_unit, begin_lanes, draw_bits
from rewardspec.wrappers.remembering import Remembering

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MAX_X, MAX_ANGLE = 2.4, 12 * 2 * math.pi / 360
START = 0.05
"""The first state is uniform within this of zero."""


class CartPoleBatch(Remembering):
    """B environments as `wrap_tensor` takes them.

    Attributes:
        num_envs: B.
        device: Where the tensors live.
        single_observation_space: That of CartPole-v1: position, velocity, angle, angular velocity, float32.
        single_action_space: `Discrete(2)`: push to the left, to the right.
        state: `[B, 4]`.
        steps: `[B]` int64, steps of the present episode.

    Example:
        >>> batch = CartPoleBatch(3)
        >>> obs = batch.reset(torch.ones(3, dtype=torch.bool))
        >>> obs.shape, bool((obs.abs() <= 0.05).all())
        (torch.Size([3, 4]), True)
        >>> batch.step(torch.tensor([0, 1, 1]))[1]
        tensor([1., 1., 1.])
    """

    single_observation_space: spaces.Space[Any]
    single_action_space: spaces.Space[Any]

    def __init__(
        self,
        num_envs: int,
        device: str | torch.device = "cpu",
        seed: int = 0,
        *,
        horizon: int | None = 500,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Lay the environments on the device.

        Args:
            num_envs: B.
            device: Torch device.
            seed: Seeds the first states.
            horizon: Steps after which an episode is truncated, None for never.
            dtype: Of the state and the rewards; observations are float32.
        """
        self.num_envs, self.device, self._horizon = num_envs, torch.device(device), horizon
        bound = np.array([2 * MAX_X, np.inf, 2 * MAX_ANGLE, np.inf], np.float32)
        self.single_observation_space = spaces.Box(-bound, bound, dtype=np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.state = torch.zeros(num_envs, 4, dtype=dtype, device=self.device)
        self.steps = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._draws = torch.zeros((), dtype=torch.int64, device=self.device)
        lanes = torch.arange(4 * num_envs, device=self.device).reshape(num_envs, 4)
        self._lane = begin_lanes(lanes, seed)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return all observations `[B, 4]`."""
        self.state.copy_(torch.where(mask.unsqueeze(1), self._first(), self.state))
        self.steps.copy_(torch.where(mask, torch.zeros_like(self.steps), self.steps))
        return self.state.to(torch.float32, copy=True)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return observation `[B, 4]`, reward `[B]` (always 1), terminated `[B]` bool, truncated `[B]` bool.

        Args:
            action: `[B]` of 0 and 1.
        """
        x, speed, angle, turning = self.state.unbind(1)
        force = (2.0 * action - 1.0).to(x.dtype) * FORCE
        cosine, sine = torch.cos(angle), torch.sin(angle)
        push = (force + POLE * HALF_LENGTH * turning.square() * sine) / (CART + POLE)
        angular = (GRAVITY * sine - cosine * push) / (
            HALF_LENGTH * (4.0 / 3.0 - POLE * cosine.square() / (CART + POLE))
        )
        linear = push - POLE * HALF_LENGTH * angular * cosine / (CART + POLE)
        x, speed = x + TAU * speed, speed + TAU * linear
        angle, turning = angle + TAU * turning, turning + TAU * angular
        self.state.copy_(torch.stack([x, speed, angle, turning], dim=1))
        self.steps.add_(1)
        terminated = (x.abs() > MAX_X) | (angle.abs() > MAX_ANGLE)
        truncated = self.steps >= self._horizon if self._horizon is not None else torch.zeros_like(terminated)
        return self.state.to(torch.float32, copy=True), torch.ones_like(x), terminated, truncated

    def _memory(self) -> dict[str, Tensor]:
        return {"state": self.state, "steps": self.steps, "draws": self._draws, "lane": self._lane}

    def _first(self) -> Tensor:
        """Return `[B, 4]` first states: a hash of the seed, the environment and a counter of draws."""
        unit = as_unit(draw_bits(self._lane, self._draws), self.state.dtype)
        return (2.0 * unit - 1.0) * START
