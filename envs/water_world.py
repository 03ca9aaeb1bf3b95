"""WaterWorld: push a point about a box in which coloured balls drift, and touch the colours in some order.

One environment (`WaterWorld`) and B of them in torch tensors (`WaterWorldBatch`); both move alike.
"""

from __future__ import annotations

import math
import random
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

SIZE = 400.0
"""Side of the box."""

RADIUS = 15.0
"""Radius of the agent and of every ball: they touch at twice that distance."""

BALL_SPEED = 30.0
MOST_SPEED = 90.0
"""Greatest speed of the agent along each axis."""

PUSH = 30.0
"""What one action adds to the agent's velocity."""

SECONDS = 0.1
"""Time between two steps."""

COLOURS = ("red", "green", "blue", "yellow", "cyan", "magenta")
"""Colours of the balls `a` to `f`."""

PER_COLOUR = 2
BALLS = len(COLOURS) * PER_COLOUR
LOW, HIGH = RADIUS, SIZE - RADIUS
PUSHES = ((0.0, 0.0), (0.0, PUSH), (PUSH, 0.0), (0.0, -PUSH), (-PUSH, 0.0))
"""Action -> change of velocity: none, up, right, down, left."""

HORIZON = 600
"""Steps of an episode."""


def draw_layout(map_seed: int) -> npt.NDArray[np.float64]:
    """Return where everything is and how it moves when an episode begins.

    Numbers are drawn as the published code draws them, with Python's generator, so that seeds 0 to 10 should
    give the published maps (which are pickles, and were not compared). Balls do not overlap, and keep
    four radii away from the agent.

    Returns:
        `[1 + balls, 4]` x, y, velocity x, velocity y; the agent first, then two balls of each colour.

    Example:
        >>> layout = draw_layout(0)
        >>> layout.shape, layout[0].round(1).tolist()
        ((13, 4), [342.4, 310.4, 0.0, 0.0])
    """
    rng = random.Random(map_seed)

    def place() -> tuple[float, float]:
        span = SIZE - 2 * RADIUS
        return 2 * RADIUS + rng.random() * span, 2 * RADIUS + rng.random() * span

    bodies = [(*place(), 0.0, 0.0)]
    for _ in range(BALLS):
        angle = rng.random() * 2 * math.pi
        while True:
            x, y = place()
            gaps = [math.hypot(x - other[0], y - other[1]) for other in bodies]
            if gaps[0] > 4 * RADIUS and min(gaps) >= 2 * RADIUS:
                break
        bodies.append((x, y, BALL_SPEED * math.sin(angle), BALL_SPEED * math.cos(angle)))
    return np.array(bodies)


class WaterWorld(gym.Env[npt.NDArray[np.float32], Any]):
    """A box of 400 by 400 with an agent and two balls of each of six colours, all of radius 15.

    Balls keep their velocity and bounce off the walls; nothing bounces off anything else. An action pushes the
    agent one way (or not at all). The world pays nothing and never ends: tasks are specs over its labels.

    | label | true on a step at whose end |
    | --- | --- |
    | `a` ... `f` | the agent touches a ball of that colour that it did not touch before the step |

    Observation: `[52]` float32: the agent's position / 400 and velocity / 90, then for each ball its position and
    velocity relative to the agent's, / 400 and / 120.

    Source: Sidor (2016); Toro Icarte et al. (JAIR 73, 2022), section 6.2, and their repository `reward_machines`
    (`envs/water`) for all numbers. Deviation: there, labels are read before the agent moves and so come one step
    late; here they are those of the transition.

    Args:
        map_seed: Every episode begins alike, as this number says; None for another map in every episode.
        render_mode: `rgb_array`, `ansi` or None.

    Example:
        >>> env = WaterWorld(map_seed=0)
        >>> obs, _ = env.reset(seed=0)
        >>> obs, reward, terminated, truncated, _ = env.step(2)
        >>> obs[:4].astype(float).round(3).tolist(), sorted(env.labels())
        ([0.864, 0.776, 0.333, 0.0], [])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 20}  # noqa: RUF012
    label_names: tuple[str, ...] = tuple("abcdef")

    def __init__(self, *, map_seed: int | None = 0, render_mode: str | None = None) -> None:
        """See the class."""
        self.observation_space = spaces.Box(-2.0, 2.0, (4 + 4 * BALLS,), np.float32)
        self.action_space = spaces.Discrete(len(PUSHES))
        check_mode(render_mode, self.metadata["render_modes"])
        self.map_seed, self.render_mode = map_seed, render_mode
        self._layout = None if map_seed is None else draw_layout(map_seed).tolist()
        self._agent, self._balls = [0.0] * 4, [[0.0] * 4] * BALLS
        self._touching = [False] * BALLS
        self._labels: frozenset[str] = frozenset()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Put everything where the map says, or `options["layout"]`; see `draw_layout` for what that holds.

        Raises:
            ValueError: When the options hold anything else, or the layout has another shape.
        """
        super().reset(seed=seed)
        options = only_option(options, "layout")
        if "layout" in options:
            layout = np.asarray(options["layout"], np.float64).tolist()
            if np.shape(layout) != (1 + BALLS, 4):
                raise ValueError(f"a layout has the shape {(1 + BALLS, 4)}, not {np.shape(layout)}")
        elif self._layout is not None:
            layout = self._layout
        else:
            layout = draw_layout(int(self.np_random.integers(2**31))).tolist()
        self._agent, self._balls = list(layout[0]), [list(ball) for ball in layout[1:]]
        self._touching = [False] * BALLS
        self._labels = frozenset()
        return self._observe(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Push the agent, let 0.1 seconds pass, see what it touches now."""
        agent, push = self._agent, PUSHES[action]
        agent[2] = min(max(agent[2] + push[0], -MOST_SPEED), MOST_SPEED)
        agent[3] = min(max(agent[3] + push[1], -MOST_SPEED), MOST_SPEED)
        _drift(agent)
        for ball in self._balls:
            _drift(ball)
        x, y, _, _ = agent
        nearest = (2 * RADIUS) ** 2
        touching = [(ball[0] - x) ** 2 + (ball[1] - y) ** 2 <= nearest for ball in self._balls]
        if touching != self._touching:
            self._labels = frozenset(
                self.label_names[i // PER_COLOUR]
                for i, (now, before) in enumerate(zip(touching, self._touching, strict=True))
                if now and not before
            )
            self._touching = touching
        elif self._labels:
            self._labels = frozenset()
        return self._observe(), 0.0, False, False, {}

    def labels(self) -> frozenset[str]:
        """Return the names that are true on the last step."""
        return self._labels

    def _observe(self) -> npt.NDArray[np.float32]:
        x, y, across, up = self._agent
        seen = [x / SIZE, y / SIZE, across / MOST_SPEED, up / MOST_SPEED]
        most = MOST_SPEED + BALL_SPEED
        for bx, by, b_across, b_up in self._balls:
            seen += ((bx - x) / SIZE, (by - y) / SIZE, (b_across - across) / most, (b_up - up) / most)
        return np.array(seen, np.float32)

    def render(self) -> Any:
        """Return the box as a picture `[400, 400, 3]` uint8, or as text in which `@` is the agent."""
        balls = [
            Disc(ball[0], ball[1], RADIUS, COLOURS[i // PER_COLOUR], self.label_names[i // PER_COLOUR])
            for i, ball in enumerate(self._balls)
        ]
        discs = [*balls, Disc(self._agent[0], self._agent[1], RADIUS, "black", "@", is_ring=True)]
        if self.render_mode == "ansi":
            return draw_text(discs, 0.0, SIZE)
        return draw_picture(discs, 0.0, SIZE) if self.render_mode == "rgb_array" else None


def _drift(body: list[float]) -> None:
    """Move a body [x, y, velocity x, velocity y]; at a wall it stops short and turns back."""
    x, y, across, up = body
    x += SECONDS * across
    y += SECONDS * up
    if not LOW <= x <= HIGH:
        x = LOW if x < LOW else HIGH
        body[2] = -across
    if not LOW <= y <= HIGH:
        y = LOW if y < LOW else HIGH
        body[3] = -up
    body[0], body[1] = x, y


class WaterWorldBatch(Remembering):
    """B boxes of `WaterWorld` on one device; a `TensorEnv` for `wrap_tensor`.

    With `map_seed=None` the boxes play maps of a pool that is drawn beforehand: box i begins with map i and goes on
    by B, so that a run repeats itself and nothing is drawn on the device.

    Args:
        num_envs: B.
        map_seed: The map of every episode; None for those of the pool.
        pool: Maps in the pool.
        seed: First map of the pool.
        horizon: Steps after which an episode is truncated.
        device: Torch device.
        dtype: `float32` or `float64`, for positions and observations.

    Attributes:
        num_envs: B.
        label_names: `a` to `f`.
        single_observation_space: As `WaterWorld.observation_space`.
        single_action_space: As `WaterWorld.action_space`.
    """

    label_names: tuple[str, ...] = WaterWorld.label_names

    def __init__(
        self,
        num_envs: int,
        *,
        map_seed: int | None = 0,
        pool: int = 1024,
        seed: int = 0,
        horizon: int = HORIZON,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        """See the class."""
        import torch

        self._torch = torch
        kind, self.num_envs, self.horizon = getattr(torch, dtype), num_envs, horizon
        self.single_observation_space: spaces.Space[Any] = spaces.Box(
            -2.0, 2.0, (4 + 4 * BALLS,), np.dtype(dtype).type
        )
        self.single_action_space: spaces.Space[Any] = spaces.Discrete(len(PUSHES))
        numbers = range(seed, seed + pool) if map_seed is None else [map_seed]
        maps = [draw_layout(number) for number in numbers]
        self._maps = torch.tensor(np.array(maps), dtype=kind, device=device)
        self._pushes = torch.tensor(PUSHES, dtype=kind, device=device)
        most = MOST_SPEED + BALL_SPEED
        self._scale = 1 / torch.tensor([SIZE, SIZE, most, most], dtype=kind, device=device)
        self._own_scale = 1 / torch.tensor([SIZE, SIZE, MOST_SPEED, MOST_SPEED], dtype=kind, device=device)
        self._map = torch.arange(num_envs, device=device) % len(maps)
        self._bodies = self._maps[self._map].clone()
        self._touching = torch.zeros(num_envs, BALLS, dtype=torch.bool, device=device)
        self._began = torch.zeros_like(self._touching)
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._nothing = torch.zeros(num_envs, dtype=kind, device=device)
        self._never = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's observation `[B, 52]`."""
        torch = self._torch
        self._bodies.copy_(torch.where(mask[:, None, None], self._maps[self._map], self._bodies))
        self._map.copy_(torch.where(mask, (self._map + self.num_envs) % len(self._maps), self._map))
        self._touching.logical_and_(~mask[:, None])
        self._steps.copy_(torch.where(mask, torch.zeros_like(self._steps), self._steps))
        return self._observe()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step with `action` `[B]`; return observation `[B, 52]`, reward, terminated, truncated, each `[B]`."""
        torch, bodies = self._torch, self._bodies
        velocity = bodies[:, :, 2:].clone()
        velocity[:, 0] = (velocity[:, 0] + self._pushes[action]).clamp(-MOST_SPEED, MOST_SPEED)
        position = bodies[:, :, :2] + SECONDS * velocity
        inside = position.clamp(LOW, HIGH)
        bodies[:, :, 2:] = torch.where(inside == position, velocity, -velocity)
        bodies[:, :, :2] = inside
        across, up = (inside[:, 1:] - inside[:, :1]).unbind(dim=2)
        touching = across * across + up * up <= (2 * RADIUS) ** 2
        self._began.copy_(touching & ~self._touching)
        self._touching.copy_(touching)
        self._steps.add_(1)
        return self._observe(), self._nothing, self._never, self._steps >= self.horizon

    def label(self, transition: Transition) -> Mapping[str, Tensor]:
        """Return the labels of the last step, `[B]` bool by name."""
        holds = self._began.reshape(self.num_envs, len(COLOURS), PER_COLOUR).any(dim=2)
        return {name: holds[:, i] for i, name in enumerate(self.label_names)}

    def _memory(self) -> dict[str, Tensor]:
        return {
            "bodies": self._bodies,
            "touching": self._touching,
            "began": self._began,
            "map": self._map,
            "steps": self._steps,
        }

    def _observe(self) -> Tensor:
        seen = (self._bodies - self._bodies[:, :1]) * self._scale
        seen[:, 0] = self._bodies[:, 0] * self._own_scale
        return seen.reshape(self.num_envs, -1)
