"""B copies of a finite world on a device: reset and step are gathers from its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rewardspec.tabular.draws import as_unit, begin_lanes, draw_bits
from rewardspec.tabular.world import TabularWorld
from rewardspec.transition import Transition
from rewardspec.wrappers.remembering import Remembering


class TabularBatch(Remembering):
    """B environments over one `TabularWorld`, as `wrap_tensor` takes them.

    A step is a handful of gathers over `[B]`, whatever the world's rules (by `index_select`, on a processor four times
    faster than indexing). Nothing waits for the device, all
    memory keeps its address, and random numbers come from a counter on the device: a CUDA graph can capture
    reset and step without registering a generator, and the same seed gives the same episodes on every device.

    Attributes:
        world: The world.
        num_envs: B.
        device: Where the tensors live.
        single_observation_space: Space of one environment's observation.
        single_action_space: Space of one environment's action.
        label_names: Names that `label` answers for.
        state: `[B]` int64, the number of the present state.
        steps: `[B]` int64, steps of the present episode.

    Example:
        >>> import gymnasium as gym
        >>> from rewardspec.tabular.world import tabulate
        >>> batch = TabularBatch(tabulate(gym.make("CliffWalking-v1")), 2)
        >>> everyone = torch.ones(2, dtype=torch.bool)
        >>> batch.reset(everyone)
        tensor([36, 36])
        >>> batch.step(torch.tensor([0, 1]))[:2]
        (tensor([24, 36]), tensor([  -1., -100.]))
    """

    def __init__(
        self,
        world: TabularWorld,
        num_envs: int,
        device: str | torch.device = "cpu",
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Put the table on the device.

        Args:
            world: The world.
            num_envs: B.
            device: Torch device.
            seed: Seeds the first states and random outcomes.
            dtype: Of rewards.
        """
        self.world, self.num_envs, self.device = world, num_envs, torch.device(device)
        self.single_observation_space: spaces.Space[Any] = world.observation_space
        self.single_action_space: spaces.Space[Any] = world.action_space
        self.label_names = world.labels

        def put(array: Any, kind: torch.dtype | None = None) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), device=self.device).to(kind)

        _, self._actions, self._outcomes = world.next_state.shape
        # One row per state, action and outcome.
        self._next_state = put(world.next_state.reshape(-1))
        self._reward = put(world.reward.reshape(-1), dtype)
        self._terminated = put(world.terminated.reshape(-1))
        bits = np.arange(len(world.labels))[:, None]
        self._holds = put((world.label.reshape(1, -1) >> bits & 1).astype(np.bool_))
        self._observation = put(world.observation)
        self._thresholds = put(_thresholds(world.probability), torch.float32).flatten(0, 1)
        first = np.flatnonzero(world.start)
        self._first = put(first)
        self._first_thresholds = put(_thresholds(world.start[first]), torch.float32)
        # What an episode remembers.
        self.state = self._first[:1].repeat(num_envs)
        self.steps = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._row = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._draws = torch.zeros((), dtype=torch.int64, device=self.device)
        lanes = torch.arange(num_envs, dtype=torch.int64, device=self.device)
        self._lane = begin_lanes(lanes, seed)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return all observations `[B, ...]`."""
        if len(self._first) == 1:
            first = self._first.expand(self.num_envs)
        else:
            first = self._first[torch.searchsorted(self._first_thresholds, self._random(), right=True)]
        self.state.copy_(torch.where(mask, first, self.state))
        self.steps.copy_(torch.where(mask, torch.zeros_like(self.steps), self.steps))
        return self._observation.index_select(0, self.state)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return observation `[B, ...]`, reward `[B]`, terminated `[B]` bool, truncated `[B]` bool.

        Args:
            action: `[B]` whole numbers from 0 to A - 1.
        """
        row = self.state * self._actions + action
        if self._outcomes > 1:
            drawn = (self._random().unsqueeze(1) >= self._thresholds.index_select(0, row)).sum(dim=1)
            row = row * self._outcomes + drawn
        self._row.copy_(row)
        torch.index_select(self._next_state, 0, row, out=self.state)
        self.steps.add_(1)
        horizon = self.world.horizon
        truncated = (
            self.steps >= horizon if horizon is not None else torch.zeros_like(self.steps, dtype=torch.bool)
        )
        obs = self._observation.index_select(0, self.state)
        return obs, self._reward.index_select(0, row), self._terminated.index_select(0, row), truncated

    def label(self, transition: Transition) -> Mapping[str, Tensor]:
        """Return which labels hold on the last step, `[B]` bool by name; each is looked up when it is read."""
        return _Holding(self.label_names, self._holds, self._row)

    # -- for checkpoints -----------------------------------------------------------------------------------

    def _memory(self) -> dict[str, Tensor]:
        return {
            "state": self.state,
            "steps": self.steps,
            "row": self._row,
            "draws": self._draws,
            "lane": self._lane,
        }

    def _random(self) -> Tensor:
        """Return `[B]` float32, uniform in [0, 1): a hash of the seed, the environment and a counter of draws."""
        return as_unit(draw_bits(self._lane, self._draws))


def _thresholds(probability: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return `[..., K - 1]`: a number drawn from [0, 1) means the outcome whose index counts those not above it.

    An outcome that cannot happen is never drawn, however sums are rounded: nothing is above the last possible one.
    """
    above = np.cumsum(probability, axis=-1)
    later = np.cumsum(probability[..., ::-1], axis=-1)[..., ::-1]
    is_last = np.concatenate([later[..., 1:], np.zeros_like(later[..., :1])], axis=-1) == 0.0
    return np.where(is_last, 2.0, above)[..., :-1]


class _Holding(Mapping[str, Tensor]):
    """Labels of the last step by name, `[B]` bool, looked up when they are read."""

    def __init__(self, names: tuple[str, ...], holds: Tensor, row: Tensor) -> None:
        """Look up `holds` `[labels, rows]` bool at `row` `[B]`."""
        self._names, self._holds, self._row = names, holds, row

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._holds[self._names.index(name)].index_select(0, self._row)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
