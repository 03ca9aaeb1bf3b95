"""FlatWorld: steer a point over a square on which coloured discs lie, some over each other.

One environment (`FlatWorld`) and B of them in torch tensors (`FlatWorldBatch`); both move alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs.arguments import check_mode, only_option
from envs.discs import Disc, draw_picture, draw_text
from rewardspec.wrappers.remembering import Remembering

if TYPE_CHECKING:
    from torch import Tensor

    from rewardspec.transition import Transition

REACH = 2.0
"""The square is [-2, 2] x [-2, 2]."""

SECONDS = 0.08
"""Time between two steps; actions are velocities."""

DISCS: tuple[tuple[float, float, float, str], ...] = (
    (-1.4, 0.55, 0.4, "red"),
    (-1.1, 1.1, 0.5, "magenta"),
    (-1.0, -1.2, 0.3, "yellow"),
    (-1.53, -0.5, 0.32, "orange"),
    (0.1, 0.0, 0.8, "blue"),
    (0.5, -1.3, 0.35, "red"),
    (0.7, 0.7, 0.5, "green"),
    (1.5, -0.75, 0.4, "green"),
    (0.8, 0.2, 0.3, "aqua"),
)
"""Centre x, centre y, radius and colour of every disc."""

LABELS = tuple(sorted({colour for *_, colour in DISCS}))
HORIZON = 500
"""Steps of an episode."""

DIAGONAL = 0.5**0.5
DIRECTIONS = (
    (0.0, 1.0),
    (1.0, 0.0),
    (0.0, -1.0),
    (-1.0, 0.0),
    (DIAGONAL, DIAGONAL),
    (DIAGONAL, -DIAGONAL),
    (-DIAGONAL, DIAGONAL),
    (-DIAGONAL, -DIAGONAL),
    (0.0, 0.0),
)
"""Discrete action -> velocity: up, right, down, left, the four diagonals (up right first), none."""


def colours_at(x: float, y: float) -> frozenset[str]:
    """Return the colours of the discs that hold a point (their rims left out).

    Example:
        >>> sorted(colours_at(0.7, 0.3)), sorted(colours_at(1.9, 1.9))
        (['aqua', 'blue', 'green'], [])
    """
    return frozenset(colour for cx, cy, radius, colour in DISCS if (x - cx) ** 2 + (y - cy) ** 2 < radius**2)


def draw_start(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a place drawn uniformly from the square outside all discs: `[2]` x, y."""
    while True:
        place = rng.uniform(-REACH, REACH, size=2)
        if not colours_at(*place.tolist()):
            return place


def _spaces(dtype: Any, discrete: bool) -> tuple[spaces.Box, spaces.Space[Any]]:
    """Return the spaces of observations and actions; the last step may lead out of the square."""
    reach = REACH + SECONDS
    observed = spaces.Box(-reach, reach, (2,), dtype)
    return observed, spaces.Discrete(len(DIRECTIONS)) if discrete else spaces.Box(-1.0, 1.0, (2,), np.float32)


class FlatWorld(gym.Env[npt.NDArray[np.float32], Any]):
    """A point in the square [-2, 2] x [-2, 2], steered by its velocity, among nine discs of seven colours.

    An action is a velocity in [-1, 1] x [-1, 1] that holds for 0.08 seconds, or with `discrete` one of eight
    directions or none. Leaving the square pays -1 and ends the episode; nothing else is paid.

    | label | true on a step at whose end |
    | --- | --- |
    | `aqua`, `blue`, `green`, `magenta`, `orange`, `red`, `yellow` | the point is on a disc of that colour |

    Observation: `[2]` float32, the point; where the discs lie is for the agent to learn.

    Source: Voloshin et al., "Eventual Discounting Temporal Logic Counterfactual Experience Replay" (ICML 2023), with
    the discs, the start and the ends of Jackermeier and Abate, "DeepLTL" (ICLR 2025) and its repository. Deviation:
    the observation's bounds hold the point that has left the square.

    Args:
        discrete: Whether actions are nine directions and not velocities.
        render_mode: `rgb_array`, `ansi` or None.

    Example:
        >>> env = FlatWorld()
        >>> obs, _ = env.reset(seed=0, options={"start": (-0.7, 0.0)})
        >>> obs, reward, terminated, truncated, _ = env.step((1.0, 0.0))
        >>> obs.astype(float).round(2).tolist(), sorted(env.labels())
        ([-0.62, 0.0], ['blue'])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 20}  # noqa: RUF012
    label_names: tuple[str, ...] = LABELS

    def __init__(self, *, discrete: bool = False, render_mode: str | None = None) -> None:
        """See the class."""
        check_mode(render_mode, self.metadata["render_modes"])
        self.discrete, self.render_mode = discrete, render_mode
        self.observation_space, self.action_space = _spaces(np.float32, discrete)
        self._x = self._y = 0.0
        self._labels: frozenset[str] = frozenset()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Put the point somewhere outside all discs, or at `options["start"]`, a pair x, y.

        Raises:
            ValueError: When the options hold anything else, or the start lies outside the square.
        """
        super().reset(seed=seed)
        options = only_option(options, "start")
        place = options["start"] if "start" in options else draw_start(self.np_random)
        self._x, self._y = (float(part) for part in place)
        if max(abs(self._x), abs(self._y)) > REACH:
            raise ValueError(f"an episode starts within the square, not at {(self._x, self._y)}")
        self._labels = frozenset()
        return np.array([self._x, self._y], np.float32), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move the point; see what it is on."""
        across, up = DIRECTIONS[int(action)] if self.discrete else (float(action[0]), float(action[1]))
        self._x += SECONDS * min(max(across, -1.0), 1.0)
        self._y += SECONDS * min(max(up, -1.0), 1.0)
        self._labels = colours_at(self._x, self._y)
        left = abs(self._x) > REACH or abs(self._y) > REACH
        return np.array([self._x, self._y], np.float32), -1.0 if left else 0.0, left, False, {}

    def labels(self) -> frozenset[str]:
        """Return the names that are true on the last step."""
        return self._labels

    def render(self) -> Any:
        """Return the square as a picture `[400, 400, 3]` uint8, or as text in which `@` is the point."""
        discs = [Disc(x, y, radius, colour, colour[0], opacity=0.5) for x, y, radius, colour in DISCS]
        discs.append(Disc(self._x, self._y, 0.06, "black", "@"))
        if self.render_mode == "ansi":
            return draw_text(discs, -REACH, REACH)
        return draw_picture(discs, -REACH, REACH) if self.render_mode == "rgb_array" else None


class FlatWorldBatch(Remembering):
    """B squares of `FlatWorld` on one device; a `TensorEnv` for `wrap_tensor`.

    Starts come from a pool that is drawn beforehand: point i begins at start i and goes on by B, so that a run
    repeats itself and nothing is drawn on the device.

    Args:
        num_envs: B.
        discrete: Whether actions are nine directions and not velocities.
        pool: Starts in the pool.
        seed: Seed of the pool.
        horizon: Steps after which an episode is truncated.
        device: Torch device.
        dtype: `float32` or `float64`, for positions.

    Attributes:
        num_envs: B.
        label_names: The colours.
        starts: `[pool, 2]`, the pool.
        single_observation_space: As `FlatWorld.observation_space`.
        single_action_space: As `FlatWorld.action_space`.
    """

    label_names: tuple[str, ...] = LABELS

    def __init__(
        self,
        num_envs: int,
        *,
        discrete: bool = False,
        pool: int = 4096,
        seed: int = 0,
        horizon: int = HORIZON,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        """See the class."""
        import torch

        self._torch, kind = torch, getattr(torch, dtype)
        self.num_envs, self.horizon, self.discrete = num_envs, horizon, discrete
        observed, acted = _spaces(np.dtype(dtype).type, discrete)
        self.single_observation_space: spaces.Space[Any] = observed
        self.single_action_space: spaces.Space[Any] = acted
        rng = np.random.default_rng(seed)
        self.starts = torch.tensor(
            np.array([draw_start(rng) for _ in range(pool)]), dtype=kind, device=device
        )
        self._directions = torch.tensor(DIRECTIONS, dtype=kind, device=device)
        discs = torch.tensor([disc[:3] for disc in DISCS], dtype=kind, device=device)
        self._centres, self._squares = discs[:, :2], discs[:, 2].square()
        self._discs = {name: [i for i, (*_, colour) in enumerate(DISCS) if colour == name] for name in LABELS}
        self._next = torch.arange(num_envs, device=device) % pool
        self._place = self.starts[self._next].clone()
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=device)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's observation `[B, 2]`."""
        torch = self._torch
        self._place.copy_(torch.where(mask[:, None], self.starts[self._next], self._place))
        self._next.copy_(torch.where(mask, (self._next + self.num_envs) % len(self.starts), self._next))
        self._steps.copy_(torch.where(mask, torch.zeros_like(self._steps), self._steps))
        return self._place.clone()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step with `action` (`[B, 2]`, or `[B]` where discrete): observation, reward, terminated, truncated."""
        velocity = self._directions[action] if self.discrete else action.clamp(-1.0, 1.0)
        self._place.add_(SECONDS * velocity)
        self._steps.add_(1)
        left = (self._place.abs() > REACH).any(dim=1)
        return self._place.clone(), -left.to(self._place.dtype), left, self._steps >= self.horizon

    def label(self, transition: Transition) -> Mapping[str, Tensor]:
        """Return the labels of the last step, `[B]` bool by name."""
        away = (self._place[:, None] - self._centres).square().sum(dim=2)
        on = away < self._squares
        return {name: on[:, discs].any(dim=1) for name, discs in self._discs.items()}

    def _memory(self) -> dict[str, Tensor]:
        return {"place": self._place, "next": self._next, "steps": self._steps}
