"""Rollouts in which some rows do not count, and the spaces of a policy without an environment of its own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecEnv


class MaskedRolloutBuffer(RolloutBuffer):
    """SB3's rollout buffer, of which only steps are learnt from on which the row's agent acted.

    With every row counting it gives the same batches as SB3's.
    """

    def reset(self) -> None:
        """Begin a rollout."""
        super().reset()
        self.counts = np.zeros((self.buffer_size, self.n_envs), np.bool_)

    def add_masked(
        self,
        obs: Any,
        action: Any,
        reward: Any,
        episode_start: Any,
        value: Any,
        log_prob: Any,
        counts: Any,
    ) -> None:
        """Add a step of all rows; `counts` is `[rows]` bool."""
        self.counts[self.pos] = counts
        self.add(obs, action, reward, episode_start, value, log_prob)

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield batches of the steps that count, in random order."""
        assert self.full, "a rollout is learnt from when it is whole"
        flat = np.flatnonzero(self.counts.swapaxes(0, 1).reshape(-1))
        order = flat[np.random.permutation(len(flat))]
        if not self.generator_ready:
            for name in ("observations", "actions", "values", "log_probs", "advantages", "returns"):
                self.__dict__[name] = self.swap_and_flatten(self.__dict__[name])
            self.generator_ready = True
        size = batch_size or len(order)
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            if len(batch) > 1:  # advantages are normalised within a batch
                yield self._get_samples(batch)


class GroupSpaces(VecEnv):
    """What a policy needs to know of its rows: how many there are, what they see and do. It cannot be stepped."""

    def __init__(
        self, rows: int, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> None:
        """Hold the spaces."""
        super().__init__(rows, observation_space, action_space)

    def reset(self) -> Any:
        """Refuse: the games are stepped by `Rows`."""
        raise NotImplementedError

    def step_async(self, actions: Any) -> None:
        """Refuse."""
        raise NotImplementedError

    def step_wait(self) -> Any:
        """Refuse."""
        raise NotImplementedError

    def close(self) -> None:
        """Hold nothing open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return None for each row: there is no environment to ask."""
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return that nothing is wrapped."""
        return [False] * self.num_envs
