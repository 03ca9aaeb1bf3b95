"""MatrixGame: a game in normal form, played once or several rounds, each seeing what all did the round before.

One game as a PettingZoo environment (`MatrixGame`) and B of them in torch tensors (`MatrixGameBatch`). Games with
high-risk outcomes are in `examples/games`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pettingzoo import ParallelEnv

from rewardspec.games.game import Game

if TYPE_CHECKING:
    from torch import Tensor

Observation = npt.NDArray[np.float32]


class MatrixGame(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """A game in normal form, repeated.

    Observation: `[1 + P]` float32, one-hot: the first round, or which of the P joint actions was played last. Payoffs
    are those of the game; after `rounds` of them the episode is truncated.

    Args:
        game: The game.
        rounds: How often it is played.
        render_mode: None; there is nothing to see.

    Example:
        >>> from rewardspec.games.game import symmetric
        >>> env = MatrixGame(symmetric("chicken", [[0, -1], [1, -10]]), rounds=2)
        >>> _ = env.reset()
        >>> env.step({"row": 1, "column": 0})[1]
        {'row': 1.0, 'column': -1.0}
    """

    metadata: dict[str, Any] = {"name": "matrix_game_v0", "render_modes": []}  # noqa: RUF012

    def __init__(self, game: Game, rounds: int = 1, render_mode: str | None = None) -> None:
        """See the class."""
        if rounds < 1:
            raise ValueError(f"a game is played once or more often, not {rounds} times")
        self.game, self.rounds, self.render_mode = game, rounds, render_mode
        self.possible_agents = list(game.players)
        self.agents: list[str] = []
        size = 1 + math.prod(game.shape)
        self.observation_spaces = {name: spaces.Box(0.0, 1.0, (size,), np.float32) for name in game.players}
        self.action_spaces = {
            name: spaces.Discrete(count) for name, count in zip(game.players, game.shape, strict=True)
        }
        self._played = 0

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what an agent does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin; there is no chance in the game, so the seed makes no difference."""
        self.agents, self._played = list(self.possible_agents), 0
        return self._seen(0), {name: {} for name in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play a round."""
        joint = tuple(int(actions[name]) for name in self.possible_agents)
        rewards = {name: float(self.game.payoffs[(i, *joint)]) for i, name in enumerate(self.possible_agents)}
        self._played += 1
        over = self._played >= self.rounds
        seen = self._seen(1 + int(np.ravel_multi_index(joint, self.game.shape)))
        told = self.possible_agents
        if over:
            self.agents = []
        ends = (dict.fromkeys(told, False), dict.fromkeys(told, over))
        return seen, rewards, *ends, {name: {} for name in told}

    def render(self) -> None:
        """There is nothing to see."""

    def _seen(self, number: int) -> dict[str, Observation]:
        row = np.zeros(1 + math.prod(self.game.shape), np.float32)
        row[number] = 1.0
        return {name: row.copy() for name in self.possible_agents}


class MatrixGameBatch:
    """B repeated games on one device; a `GameBatch`.

    Args:
        game: The game.
        num_envs: B.
        device: Torch device.
        seed: Makes no difference: there is no chance in the game.
        rounds: How often each is played.
    """

    event_names: tuple[str, ...] = ()

    def __init__(
        self, game: Game, num_envs: int, device: str = "cpu", seed: int = 0, *, rounds: int = 1
    ) -> None:
        """See the class."""
        import torch

        if rounds < 1:
            raise ValueError(f"a game is played once or more often, not {rounds} times")
        self._torch, self.game, self.num_envs, self.horizon = torch, game, num_envs, rounds
        self.agents, self.is_symmetric = game.players, False
        size = 1 + math.prod(game.shape)
        self._rows = torch.eye(size, device=device)
        players = len(game.players)
        self._payoffs = torch.tensor(
            game.payoffs.reshape(players, -1).T.copy(), dtype=torch.float32, device=device
        )
        strides = [math.prod(game.shape[i + 1 :]) for i in range(players)]
        self._strides = torch.tensor(strides, device=device)
        self._spaces = {name: spaces.Discrete(n) for name, n in zip(game.players, game.shape, strict=True)}
        self._seen = spaces.Box(0.0, 1.0, (size,), np.float32)
        self._last = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._played = torch.zeros(num_envs, dtype=torch.int64, device=device)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what an agent sees."""
        return self._seen

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what an agent does."""
        return self._spaces[agent]

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return observations `[B, N, D]`."""
        zero = self._torch.zeros_like(self._last)
        self._last.copy_(self._torch.where(mask, zero, self._last))
        self._played.copy_(self._torch.where(mask, zero, self._played))
        return self._observed()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Play a round with actions `[B, N]`."""
        joint = (action * self._strides).sum(dim=1)
        self._last.copy_(joint + 1)
        self._played.add_(1)
        over = self._played >= self.horizon
        reward = self._payoffs.index_select(0, joint)
        return self._observed(), reward, self._torch.zeros_like(over), over

    def events(self) -> Mapping[str, Tensor]:
        """Return nothing: payoffs say it all."""
        return {}

    def _observed(self) -> Tensor:
        rows = self._rows.index_select(0, self._last)
        return rows.unsqueeze(1).expand(-1, len(self.agents), -1)
