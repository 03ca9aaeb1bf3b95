"""MazeWorld: walk from one corner of a square to a box in the other, past a middle in which there is nothing to be had.

One environment (`MazeWorld`) and B of them in torch tensors (`MazeWorldBatch`); both move alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs.arguments import check_mode, only_option
from rewardspec.wrappers.remembering import Remembering

if TYPE_CHECKING:
    from torch import Tensor

    from rewardspec.transition import Transition

STRIDE = 0.045
"""Length of one stride; an action takes `STRIDES` of them, fewer where the wall or the goal comes first."""

STRIDES, MOST_STRIDES = 4, 100
START = (0.125, 0.125)
GOAL = (0.75, 0.99)
"""The goal is the box from the first to the second of these along both axes."""

CENTRE = (0.4, 0.6)
COST, PRIZE = -0.1, 100.0
HORIZON = 49
"""Steps of an episode."""

DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Action -> direction: up, right, down, left."""

SHOWN = 200
"""Pixels along a side of the picture."""


def _within(x: float, y: float, box: tuple[float, float]) -> bool:
    return box[0] <= x <= box[1] and box[0] <= y <= box[1]


class MazeWorld(gym.Env[npt.NDArray[np.float32], Any]):
    """A point in the square [0, 1] x [0, 1] that starts near one corner; the goal is a box near the opposite one.

    Actions: 0 up, 1 right, 2 down, 3 left, four strides of 0.045 each; the wall stops them, and so does the goal. One
    action in ten is drawn at random. Each costs 0.1; the goal pays 100 and ends the episode. Eight actions are the
    least, for 99.2.

    | label | true on a step at whose end |
    | --- | --- |
    | `goal` | the point is in the goal |
    | `centre` | it is in the box [0.4, 0.6] x [0.4, 0.6], where a bad hint pays |

    Observation: `[2]` float32, the point.

    Source: the environment `Maze` of Gupta et al., "Behavior Alignment via Reward Function Optimization" (NeurIPS
    2023), with all numbers from its repository. The hints that it is shown with are specs: see
    `examples/specs/maze_*.yaml`. Deviation: there the 50th action neither moves nor costs; here an episode is
    truncated after 49, which pays the same.

    Args:
        slip: Probability of an action drawn at random.
        strides: Strides of an action; with fewer the goal is further, and a random walk rarely comes there.
        render_mode: `rgb_array`, `ansi` or None.

    Example:
        >>> env = MazeWorld(slip=0)
        >>> _ = env.reset(seed=0)
        >>> rewards = [env.step(action)[1] for action in (0, 1) * 4]
        >>> round(sum(rewards), 1), sorted(env.labels())
        (99.2, ['goal'])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10}  # noqa: RUF012
    label_names: tuple[str, ...] = ("goal", "centre")

    def __init__(self, *, slip: float = 0.1, strides: int = STRIDES, render_mode: str | None = None) -> None:
        """See the class."""
        check_mode(render_mode, self.metadata["render_modes"])
        self.slip, self.strides, self.render_mode = checked(slip), counted(strides), render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = spaces.Discrete(len(DIRECTIONS))
        self._x, self._y = START

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Put the point at the start, or at `options["start"]`, a pair x, y.

        Raises:
            ValueError: When the options hold anything else, or the start lies outside the square.
        """
        super().reset(seed=seed)
        options = only_option(options, "start")
        self._x, self._y = (float(part) for part in options.get("start", START))
        if not _within(self._x, self._y, (0.0, 1.0)):
            raise ValueError(f"an episode starts within the square, not at {(self._x, self._y)}")
        return np.array([self._x, self._y], np.float32), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take up to as many strides as an action has."""
        if self.np_random.random() < self.slip:
            action = self.np_random.integers(len(DIRECTIONS))
        across, up = DIRECTIONS[int(action)]
        for _ in range(self.strides):
            x, y = self._x + STRIDE * across, self._y + STRIDE * up
            if not _within(x, y, (0.0, 1.0)):
                break
            self._x, self._y = x, y
            if _within(x, y, GOAL):
                break
        there = _within(self._x, self._y, GOAL)
        return np.array([self._x, self._y], np.float32), COST + PRIZE * there, there, False, {}

    def labels(self) -> frozenset[str]:
        """Return the names that are true on the last step."""
        boxes = {"goal": GOAL, "centre": CENTRE}
        return frozenset(name for name, box in boxes.items() if _within(self._x, self._y, box))

    def render(self) -> Any:
        """Return the square as a picture `[200, 200, 3]` uint8, or as text in which `@` is the point."""
        picture = np.full((SHOWN, SHOWN, 3), 245, np.uint8)
        for (low, high), colour in ((GOAL, (120, 200, 120)), (CENTRE, (250, 190, 190))):
            part = slice(round(low * SHOWN), round(high * SHOWN))
            picture[part, part] = colour
        column, row = (min(int(part * SHOWN), SHOWN - 1) for part in (self._x, self._y))
        picture[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = (20, 20, 20)
        if self.render_mode == "ansi":
            marks = {(120, 200, 120): "G", (250, 190, 190): "c", (20, 20, 20): "@"}
            coarse = picture[::-10, ::10].copy()
            coarse[-1 - row // 10, column // 10] = (20, 20, 20)
            return "\n".join(
                "".join(marks.get(tuple(cell), ".") for cell in line) for line in coarse.tolist()
            )
        return picture[::-1] if self.render_mode == "rgb_array" else None


def checked(slip: float) -> float:
    """Return a probability.

    Raises:
        ValueError: When it is none.
    """
    if not 0.0 <= slip <= 1.0:
        raise ValueError(f"slip is a probability, from 0 to 1, not {slip!r}")
    return slip


def counted(strides: int) -> int:
    """Return a number of strides.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(strides, bool) or not isinstance(strides, int) or not 1 <= strides <= MOST_STRIDES:
        raise ValueError(f"strides is a whole number from 1 to {MOST_STRIDES}, not {strides!r}")
    return strides


class MazeWorldBatch(Remembering):
    """B squares of `MazeWorld` on one device; a `TensorEnv` for `wrap_tensor`.

    Args:
        num_envs: B.
        slip: Probability of an action drawn at random.
        strides: Strides of an action.
        seed: Seeds those.
        horizon: Steps after which an episode is truncated.
        device: Torch device.
        dtype: `float32` or `float64`, for positions.

    Attributes:
        num_envs: B.
        label_names: `goal` and `centre`.
        single_observation_space: As `MazeWorld.observation_space`.
        single_action_space: As `MazeWorld.action_space`.
    """

    label_names: tuple[str, ...] = MazeWorld.label_names

    def __init__(
        self,
        num_envs: int,
        *,
        slip: float = 0.1,
        strides: int = STRIDES,
        seed: int = 0,
        horizon: int = HORIZON,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        """See the class."""
        import torch

        from rewardspec.tabular.draws import as_unit, begin_lanes, draw_bits

        self._torch, self._drawn, self._as_unit = torch, draw_bits, as_unit
        kind = getattr(torch, dtype)
        self.num_envs, self.horizon = num_envs, horizon
        self.slip, self.strides = checked(slip), counted(strides)
        self.single_observation_space: spaces.Space[Any] = spaces.Box(0.0, 1.0, (2,), np.dtype(dtype).type)
        self.single_action_space: spaces.Space[Any] = spaces.Discrete(len(DIRECTIONS))
        self._directions = torch.tensor(DIRECTIONS, dtype=kind, device=device)
        self._start = torch.tensor(START, dtype=kind, device=device)
        self._place = self._start.repeat(num_envs, 1)
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._draws = torch.zeros((), dtype=torch.int64, device=device)
        lanes = torch.arange(num_envs, device=device)
        self._lane = begin_lanes(lanes, seed)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's observation `[B, 2]`."""
        torch = self._torch
        self._place.copy_(torch.where(mask[:, None], self._start, self._place))
        self._steps.copy_(torch.where(mask, torch.zeros_like(self._steps), self._steps))
        return self._place.clone()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step with `action` `[B]`; return observation `[B, 2]`, reward, terminated, truncated, each `[B]`."""
        torch, place = self._torch, self._place
        bits = self._drawn(self._lane, self._draws)
        slips = self._as_unit(bits) < self.slip
        direction = self._directions[torch.where(slips, bits >> 20 & 3, action)]
        for _ in range(self.strides):
            ahead = place + STRIDE * direction
            is_free = ((ahead >= 0.0) & (ahead <= 1.0)).all(dim=1) & ~self._inside(GOAL)
            place.copy_(torch.where(is_free[:, None], ahead, place))
        self._steps.add_(1)
        there = self._inside(GOAL)
        return place.clone(), COST + PRIZE * there.to(place.dtype), there, self._steps >= self.horizon

    def label(self, transition: Transition) -> Mapping[str, Tensor]:
        """Return the labels of the last step, `[B]` bool by name."""
        return {"goal": self._inside(GOAL), "centre": self._inside(CENTRE)}

    def _memory(self) -> dict[str, Tensor]:
        return {"place": self._place, "steps": self._steps, "draws": self._draws, "lane": self._lane}

    def _inside(self, box: tuple[float, float]) -> Tensor:
        inside: Tensor = ((self._place >= box[0]) & (self._place <= box[1])).all(dim=1)
        return inside
