"""Any gymnasium environment, B of them one after the other, behind the interface of environments on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rewardspec.environments import make_environment
from rewardspec.errors import Problem, UnsupportedError


class GymnasiumBatch:
    """B environments in a plain loop of Python; a `TensorEnv` for `wrap_tensor` where there is no faster form.

    Every episode is seeded, by the seed, the environment's place and the number of the episode, so that a run that was
    stopped goes on as it would have: between episodes there is nothing else to remember.

    Args:
        env_id: What gymnasium makes.
        num_envs: B.
        device: Where the tensors live; the environments are on the CPU.
        seed: Seeds every episode.
        arguments: Of `gymnasium.make`.

    Attributes:
        num_envs: B.
        single_observation_space: A `Box`.
        single_action_space: Any space whose actions are numbers or vectors.

    Example:
        >>> batch = GymnasiumBatch("MountainCar-v0", 2)
        >>> obs = batch.reset(torch.ones(2, dtype=torch.bool))
        >>> batch.step(torch.tensor([0, 2]))[1]
        tensor([-1., -1.])
    """

    def __init__(
        self, env_id: str, num_envs: int, device: str = "cpu", seed: int = 0, **arguments: Any
    ) -> None:
        """Make the environments.

        Raises:
            UnsupportedError: `no-batch-form` when observations are no arrays.
        """
        self.envs = [make_environment(env_id, **arguments) for _ in range(num_envs)]
        self.num_envs, self.device, self._seed = num_envs, device, seed
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        if not isinstance(self.single_observation_space, gym.spaces.Box):
            text = f"the observations of '{env_id}' are {self.single_observation_space}, no array"
            raise UnsupportedError(Problem("no-batch-form", text))
        self._episodes = np.zeros(num_envs, np.int64)
        self._obs = np.zeros((num_envs, *self.single_observation_space.shape), np.float32)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return all observations `[B, ...]`."""
        for i in np.flatnonzero(mask.cpu().numpy()):
            number = np.random.SeedSequence((self._seed, int(i), int(self._episodes[i]))).generate_state(1)[0]
            self._obs[i], _ = self.envs[i].reset(seed=int(number))
            self._episodes[i] += 1
        return torch.as_tensor(self._obs, device=self.device).clone()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return observation `[B, ...]`, reward, terminated, truncated, each `[B]`."""
        reward = np.zeros(self.num_envs, np.float32)
        ends = np.zeros((2, self.num_envs), bool)
        for i, (env, chosen) in enumerate(zip(self.envs, action.cpu().numpy(), strict=True)):
            self._obs[i], reward[i], ends[0, i], ends[1, i], _ = env.step(chosen)
        obs, *rest = (torch.as_tensor(part, device=self.device) for part in (self._obs, reward, *ends))
        return obs.clone(), rest[0], rest[1], rest[2]

    def state_dict(self) -> dict[str, Tensor]:
        """Return how many episodes each environment has begun: enough between episodes."""
        return {"episodes": torch.as_tensor(self._episodes).clone()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave; call `reset` next."""
        self._episodes[:] = saved["episodes"].cpu().numpy()
