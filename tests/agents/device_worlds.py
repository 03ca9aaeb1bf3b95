"""Worlds on the device that are small enough to know what an agent must learn in them, and specs for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rewardspec.tabular.batch import TabularBatch
from rewardspec.tabular.world import TabularWorld

LAKE = """
name: lake
discount: 0.95
env: {id: FrozenLake-v1, kwargs: {is_slippery: false}}
propositions: {there: next_obs == CELL}
reward: {ltl: F there}
"""
"""Walk to a cell of the frozen lake. Without slipping the best return is 1."""

CORRIDOR = """
name: corridor
discount: 0.95
env: {id: Corridor-v0, labels: environment}
propositions: {left: label.left, right: label.right}
reward: {ltl: TASK}
"""
"""Walk to the ends of seven cells, from the middle."""

TASKS = {"left": "F left", "right": "F right", "both": "F(right & X F left)"}


def corridor(num_envs: int, device: str, seed: int) -> TabularBatch:
    cells = np.arange(7)
    nexts = np.stack([np.maximum(cells - 1, 0), np.minimum(cells + 1, 6)], axis=1)[:, :, None]
    shape = nexts.shape
    label = (nexts == 0) * 1 + (nexts == 6) * 2
    world = TabularWorld(
        nexts,
        np.ones(shape),
        np.zeros(shape),
        np.zeros(shape, bool),
        label,
        np.eye(7)[3],
        ("left", "right"),
        horizon=40,
    )
    return TabularBatch(world, num_envs, device, seed)


def corridor_specs(folder: Path, tasks: Iterable[str] = TASKS) -> Path:
    folder.mkdir()
    for name in tasks:
        (folder / f"{name}.yaml").write_text(CORRIDOR.replace("TASK", TASKS[name]))
    return folder


def lake(folder: Path, cell: int) -> Path:
    path = folder / f"cell_{cell}.yaml"
    path.write_text(LAKE.replace("CELL", str(cell)))
    return path


class Throw:
    """One step an episode: a number is thrown, and `-(number - target)^2` is the world's reward."""

    single_observation_space: Any = spaces.Box(-1.0, 1.0, (2,), np.float32)
    single_action_space: Any = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, num_envs: int, device: str, seed: int) -> None:
        self.num_envs = num_envs
        self.target = torch.linspace(-0.8, 0.8, num_envs, device=device)

    def reset(self, mask: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.target, torch.ones_like(self.target)], dim=1)

    def step(self, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
        over = torch.ones_like(self.target, dtype=torch.bool)
        return self.reset(over), -(action[:, 0] - self.target).square(), over, torch.zeros_like(over)


class Spot(Throw):
    """The same with a picture: a bright spot to the left or to the right, and the side to be said."""

    single_observation_space: Any = spaces.Box(0, 255, (4, 6, 3), np.uint8)
    single_action_space: Any = spaces.Discrete(2)

    def __init__(self, num_envs: int, device: str, seed: int) -> None:
        self.num_envs = num_envs
        self.side = torch.arange(num_envs, device=device) % 2
        self.picture = torch.zeros(num_envs, 4, 6, 3, dtype=torch.uint8, device=device)
        rows = torch.arange(num_envs, device=device)
        self.picture[rows, rows % 4, self.side * 3 + rows % 3] = 255

    def reset(self, mask: torch.Tensor) -> torch.Tensor:
        return self.picture.clone()

    def step(self, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
        over = torch.ones(self.num_envs, dtype=torch.bool, device=action.device)
        return self.picture.clone(), (action == self.side).to(torch.float32), over, torch.zeros_like(over)
