"""NavigationWorld: n agents that are to cover n landmarks without touching one another, each paid for itself.

B copies of it in torch tensors (`NavigationBatch`); every agent is an environment of its own there, so that agents
that share a policy are a batch like any other.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor

from rewardspec.tabular.draws import as_unit, begin_lanes, draw_bits
from rewardspec.wrappers.remembering import Remembering

Pays = Literal["own", "team"]

STEP, DAMPING, ACCELERATION = 0.1, 0.25, 5.0
RADIUS, ARENA = 0.15, 1.5
CONTACT, MARGIN = 100.0, 1e-3
"""Force of a contact, and how far it is felt before it."""

SPACING = 0.675
"""Least distance between two landmarks."""

HORIZON = 25
"""Steps of an episode."""

LAYOUTS = 512
"""Layouts of landmarks that are drawn beforehand; each episode has one of them."""

PUSHES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
"""Action -> direction: none, left, right, down, up."""


class NavigationBatch(Remembering):
    """B agents, `agents` to a copy of the world, as `wrap_tensor` takes them.

    Agents are discs with mass and damping that push one another when they touch. Reward of an agent on a step: minus
    the distance to the landmark that is nearest to it, minus the number of others that it touches. All agents of a copy
    begin and end together, after 25 steps. With `pays="team"` each is paid its share of the team's return, when the
    episode is over, and nothing before: who did what is to be found out.

    Observation, `[4 + 2 n + 2 (n - 1)]` float32: own velocity, own position, then landmarks and others as seen from the
    agent, each nearest first. Actions: 0 none, 1 left, 2 right, 3 down, 4 up.

    Source: cooperative navigation of the multi-agent particle environments (Lowe et al. 2017), with one reward for each
    agent, sorted observations and spaced landmarks, as LaRe's released code has it (Qu et al., AAAI 2025). Deviations:
    that code counts an agent as touching itself and adds it back; landmarks' layouts are drawn beforehand.

    Attributes:
        num_envs: B; agents of a copy stand side by side. Where they are no whole teams, the last one has agents
            besides, who do nothing.
        team: Number of agents of a copy; the returns of learned rewards are summed over them.
        device: Where the tensors live.
        single_observation_space: Of one agent.
        single_action_space: Of one agent.
        position: `[C, n, 2]`, C copies.
        velocity: `[C, n, 2]`.
        landmarks: `[C, n, 2]`.
        earned: `[C]` what the team has earned in its episode.

    Example:
        >>> world = NavigationBatch(12)
        >>> world.reset(torch.ones(12, dtype=torch.bool)).shape
        torch.Size([12, 26])
        >>> bool((world.step(torch.zeros(12, dtype=torch.int64))[1] < 0).all())
        True
    """

    single_observation_space: spaces.Space[Any]
    single_action_space: spaces.Space[Any]

    def __init__(
        self,
        num_envs: int,
        device: str | torch.device = "cpu",
        seed: int = 0,
        *,
        agents: int = 6,
        pays: Pays = "own",
    ) -> None:
        """Lay the worlds on the device.

        Args:
            num_envs: B.
            device: Torch device.
            seed: Seeds layouts and first positions.
            agents: Agents of a copy, 2 to 16, and landmarks.
            pays: Each agent its `own` reward on each step, or its share of the `team`'s return at the end.

        Raises:
            ValueError: There are too few or too many agents, or `pays` is neither.
        """
        if pays not in get_args(Pays):
            raise ValueError(f"'pays' is one of {', '.join(get_args(Pays))}")
        if not 2 <= agents <= 16:
            raise ValueError("there may be 2 to 16 agents")
        self.num_envs, self.team, self.device = num_envs, agents, torch.device(device)
        copies = -(-num_envs // agents)
        self._idle = copies * agents - num_envs
        width = 4 + 2 * agents + 2 * (agents - 1)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.single_action_space = spaces.Discrete(len(PUSHES))
        shape = (copies, agents, 2)
        self.position, self.velocity, self.landmarks = (
            torch.zeros(shape, device=self.device) for _ in range(3)
        )
        self.steps = torch.zeros(copies, dtype=torch.int64, device=self.device)
        self.earned = torch.zeros(copies, device=self.device)
        self._pays = pays
        self._layouts = torch.from_numpy(layouts(agents, np.random.default_rng(seed))).to(self.device)
        self._pushes = torch.tensor(PUSHES, device=self.device)
        self._apart = torch.eye(agents, dtype=torch.bool, device=self.device).logical_not()
        self._draws = torch.zeros((), dtype=torch.int64, device=self.device)
        lanes = torch.arange(copies * (2 * agents + 1), device=self.device).reshape(copies, -1)
        self._lane = begin_lanes(lanes, seed)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes in the copies in which `mask` (`[B]` bool) holds of an agent; return `[B, D]`."""
        over = self._by_team(mask).any(1)
        unit = as_unit(draw_bits(self._lane, self._draws))
        first = (2 * unit[:, 1:] - 1).reshape(self.position.shape) * side_of(self.team)
        marks = self._layouts[(unit[:, 0] * len(self._layouts)).long()]
        fresh = over[:, None, None]
        self.position.copy_(torch.where(fresh, first, self.position))
        self.velocity.copy_(torch.where(fresh, torch.zeros_like(first), self.velocity))
        self.landmarks.copy_(torch.where(fresh, marks, self.landmarks))
        self.steps.copy_(torch.where(over, torch.zeros_like(self.steps), self.steps))
        self.earned.copy_(torch.where(over, torch.zeros_like(self.earned), self.earned))
        return self._observe()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return observation `[B, D]`, reward `[B]`, terminated `[B]` bool (never), truncated `[B]` bool.

        Args:
            action: `[B]` of 0 to 4.
        """
        force = self._pushes[self._by_team(action)] * ACCELERATION
        away = self.position[:, :, None] - self.position[:, None]
        distance = away.norm(dim=-1).clamp(min=1e-9)
        depth = torch.nn.functional.softplus(-(distance - 2 * RADIUS) / MARGIN) * MARGIN
        contact = CONTACT * away * (depth / distance * self._apart)[..., None]
        self.velocity.mul_(1 - DAMPING).add_((force + contact.sum(2)) * STEP)
        self.position.add_(self.velocity * STEP)
        self.steps.add_(1)
        over = self.steps >= HORIZON
        own = self.rewards()
        self.earned.add_(own.sum(1))
        if self._pays == "team":
            own = (self.earned / self.team * over)[:, None].expand_as(own)
        truncated = over.repeat_interleave(self.team)
        truncated = truncated[: self.num_envs]
        return self._observe(), own.reshape(-1)[: self.num_envs], torch.zeros_like(truncated), truncated

    def rewards(self) -> Tensor:
        """Return `[C, n]` the reward of each agent where it is now."""
        to_landmarks = torch.cdist(self.position, self.landmarks)
        touching = (torch.cdist(self.position, self.position) < 2 * RADIUS) & self._apart
        return -to_landmarks.amin(2) - touching.sum(2)

    def _memory(self) -> dict[str, Tensor]:
        own = {"position": self.position, "velocity": self.velocity, "landmarks": self.landmarks}
        return {
            **own,
            "steps": self.steps,
            "earned": self.earned,
            "draws": self._draws,
            "layouts": self._layouts,
        }

    def _by_team(self, of_agents: Tensor) -> Tensor:
        """Return `[B]` as `[C, n]`; the last team's further agents have 0."""
        return torch.nn.functional.pad(of_agents, (0, self._idle)).reshape(-1, self.team)

    def _observe(self) -> Tensor:
        marks = _nearest_first(self.landmarks[:, None] - self.position[:, :, None])
        others = _nearest_first(self.position[:, None] - self.position[:, :, None])[
            :, :, 2:
        ]  # itself comes first
        seen = torch.cat([self.velocity, self.position, marks, others], dim=2)
        return seen.flatten(0, 1)[: self.num_envs]


def _nearest_first(seen: Tensor) -> Tensor:
    """Return `[C, n, 2 K]` K points as each agent sees them, `[C, n, K, 2]`, sorted by their distance."""
    order = seen.square().sum(-1).argsort(dim=-1, stable=True)
    return seen.gather(2, order[..., None].expand_as(seen)).flatten(2)


def side_of(number: int) -> float:
    """Return half the side of the square in which an episode of that many agents begins; it grows with them."""
    return ARENA * max(1.0, math.sqrt(number / 6))


def layouts(number: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return `[LAYOUTS, number, 2]` landmarks in the arena, no two of one layout nearer than `SPACING`.

    Drawn dart by dart.

    Example:
        >>> marks = layouts(6, np.random.default_rng(0))
        >>> apart = np.linalg.norm(marks[:, :, None] - marks[:, None], axis=-1) + 9 * np.eye(6)
        >>> bool(apart.min() >= SPACING)
        True
    """
    side = side_of(number)
    found = np.zeros((LAYOUTS, number, 2), np.float32)
    for layout in found:
        placed = 0
        tries = 0
        while placed < number:
            dart = rng.uniform(-side, side, 2).astype(np.float32)
            tries += 1
            if tries > 200:  # a corner into which no other fits: begin anew
                placed = tries = 0
            if (np.linalg.norm(layout[:placed] - dart, axis=1) >= SPACING).all():
                layout[placed] = dart
                placed += 1
    return found
