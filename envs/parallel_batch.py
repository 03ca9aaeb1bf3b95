"""B copies of a PettingZoo environment, stepped one after the other, as a batch of games.

What is written for the device is hundreds of times as fast; this is for environments that others wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem

if TYPE_CHECKING:
    from torch import Tensor


class ParallelBatch:
    """B `ParallelEnv`s; a `GameBatch`.

    All agents act until the episode is over for all of them, see a vector, and have whole numbers for actions.

    Args:
        make: Makes one environment.
        num_envs: B.
        seed: Seed of the first resets; each copy has its own.
        horizon: Steps after which an episode is truncated, if the environment has not done so.
        is_symmetric: Whether every agent sees and does the same from its own side.

    Raises:
        MismatchError: `unfit-agents` when agents see no vectors, or of different lengths, or act otherwise.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        num_envs: int,
        seed: int = 0,
        *,
        horizon: int = 1000,
        is_symmetric: bool = False,
    ) -> None:
        """See the class."""
        self.envs = [make() for _ in range(num_envs)]
        self.num_envs, self.horizon, self.is_symmetric = num_envs, horizon, is_symmetric
        one = self.envs[0]
        self.agents: tuple[str, ...] = tuple(one.possible_agents)
        self.event_names: tuple[str, ...] = ()
        self._spaces = {name: (one.observation_space(name), one.action_space(name)) for name in self.agents}
        self._refuse_unfit()
        self.size = int(np.prod(self._spaces[self.agents[0]][0].shape))
        self._seeds = [seed + i for i in range(num_envs)]
        self._seen = np.zeros((num_envs, len(self.agents), self.size), np.float32)
        self._steps = np.zeros(num_envs, np.int64)
        self._over = np.ones(num_envs, np.bool_)

    def _refuse_unfit(self) -> None:
        sizes = set()
        for name, (seen, done) in self._spaces.items():
            if not isinstance(seen, spaces.Box) or not isinstance(done, spaces.Discrete):
                text = f"'{name}' sees {seen} and does {done}; a population takes vectors and whole numbers"
                raise MismatchError(Problem("unfit-agents", text))
            sizes.add(int(np.prod(seen.shape)))
        if len(sizes) > 1:
            text = f"the agents see vectors of {len(sizes)} lengths: {sorted(sizes)}"
            hint = "Pad them: supersuit.pad_observations_v0."
            raise MismatchError(Problem("unfit-agents", text, hints=(hint,)))

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what an agent sees, flattened."""
        seen: spaces.Box = self._spaces[agent][0]
        return spaces.Box(seen.low.ravel(), seen.high.ravel(), dtype=np.float32)

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what an agent does."""
        done: spaces.Discrete = self._spaces[agent][1]
        return done

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return observations `[B, N, D]`."""
        import torch

        for i in np.flatnonzero(mask.numpy()).tolist():
            seed, self._seeds[i] = self._seeds[i], None  # type: ignore[call-overload]
            obs, _ = self.envs[i].reset(seed=seed)
            self._see(i, obs)
            self._steps[i], self._over[i] = 0, False
        return torch.from_numpy(self._seen.copy())

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step every copy whose episode is not over with actions `[B, N]`."""
        import torch

        reward = np.zeros((self.num_envs, len(self.agents)), np.float32)
        ends = np.zeros((2, self.num_envs), np.bool_)
        chosen = action.numpy()
        for i, env in enumerate(self.envs):
            if self._over[i]:
                ends[0, i] = True
                continue
            first = [int(self._spaces[name][1].start) for name in self.agents]
            acts = {
                name: int(a) + start
                for name, a, start in zip(self.agents, chosen[i].tolist(), first, strict=True)
                if name in env.agents
            }
            obs, paid, terminated, truncated, _ = env.step(acts)
            self._see(i, obs)
            reward[i] = [float(paid.get(name, 0.0)) for name in self.agents]
            self._steps[i] += 1
            ends[0, i] = all(terminated.get(name, True) for name in self.agents)
            late = not env.agents or any(truncated.values()) or self._steps[i] >= self.horizon
            ends[1, i] = late and not ends[0, i]
            self._over[i] = ends[:, i].any()
        return (
            torch.from_numpy(self._seen.copy()),
            torch.from_numpy(reward),
            torch.from_numpy(ends[0].copy()),
            torch.from_numpy(ends[1].copy()),
        )

    def events(self) -> Mapping[str, Tensor]:
        """Return nothing: what happens in an environment of others is not known by name."""
        return {}

    def _see(self, i: int, obs: Mapping[str, Any]) -> None:
        for j, name in enumerate(self.agents):
            if name in obs:
                self._seen[i, j] = np.asarray(obs[name], np.float32).ravel()
