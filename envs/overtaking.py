"""Overtaking: two cars head for each other, each behind a lorry, and share one middle lane for overtaking.

One road as a PettingZoo environment (`Overtaking`) and B of them in torch tensors (`OvertakingBatch`); both move alike.

The road is two-way with three lanes: one each way, and a middle one that both directions overtake in. A car starts
behind its lorry, as fast as it. In the middle lane it can pass the lorry, unless the other car comes towards it there.
Daring pays if the other waits; where both dare, they meet head-on unless one of them falls back behind its lorry in
time.

Per step of 0.4 s, for each car (metres, seconds; x along its own direction, from its own start):

    v  <- clip(v + 0.4 a, 0, 24)        a = +4 in the middle lane or with a free road, -8 when braking, else what keeps
                                            the distance to the lorry
    x  <- x + 0.4 v                      the lorry: x_l <- x_l + 0.4 * 12
    y  <- y +- 0.5                       0 own lane, 1 middle; back only where the lorry is not beside the car

| action | aims at | a |
| --- | --- | --- |
| 0 keep | the own lane | +4 where the lorry is passed or far, else min(4, 1.5 (12 - v) + 0.3 (gap - 8)), at least -8 |
| 1 overtake | the middle lane | +4 |
| 2 brake | the own lane | -8 down to 6 m/s |

The cars start `D` apart, uniform in [90, 150] m, each 8 to 14 m behind its lorry. Head-on: both in the middle (y >=
0.5) and less than 5 m between them, or passed each other in this step. Touching the lorry from behind in the own lane
cannot happen: the car is held at its bumper. A crash pays `crash` (-10) to both and ends the episode; every step pays
0.1 (v - 12) / 12 to each car, so who gets past the lorry at once earns about 1.9 in 24 steps, and who waits until the
others are past about 0.7.

Source: ours. Slumbers et al. drive on a two-way road with an overtaking choice whose parameters we do not know: crash
rates here are not theirs. `envs/two_way.py` has highway-env's own two-way road.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pettingzoo import ParallelEnv

if TYPE_CHECKING:
    from torch import Tensor

Observation = npt.NDArray[np.float32]

AGENTS = ("car_0", "car_1")
ACTIONS = ("keep", "overtake", "brake")
KEEP, OVERTAKE, BRAKE = range(3)

SECONDS = 0.4
LORRY, TOP, SLOW = 12.0, 24.0, 6.0
"""Speed of a lorry, the greatest of a car, and that down to which it brakes."""

FASTER, SLOWER = 4.0, -8.0
DISTANCE = (90.0, 150.0)
GAP = (8.0, 14.0)
BESIDE = 8.0
"""Metres between car and lorry below which they are side by side."""

CLOSE = 5.0
HORIZON = 24
SIZE = 9
"""Numbers of an observation."""


class Overtaking(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """Two cars, two lorries, one middle lane; see the module for the rules.

    Observation: `[9]` float32 from the car's own side: own speed / 24, own lane (0 own to 1 middle), own lorry's lead /
    50, distance of the cars / 150 (negative once they have passed), the other's speed, lane and lorry's lead, whether
    the other is braking, the share of time passed. The last step's `info` says by `events` whether they crashed.

    Args:
        crash: Paid to both for a crash.
        render_mode: `ansi` or None.

    Example:
        >>> env = Overtaking()
        >>> _ = env.reset(seed=0)
        >>> while env.agents:
        ...     _, rewards, *_ = env.step({"car_0": 1, "car_1": 1})
        >>> rewards
        {'car_0': -10.0, 'car_1': -10.0}
    """

    metadata: dict[str, Any] = {"name": "overtaking_v0", "render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(self, crash: float = -10.0, render_mode: str | None = None) -> None:
        """See the class."""
        self.crash, self.render_mode = crash, render_mode
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        self.observation_spaces = {name: _seen_space() for name in AGENTS}
        self.action_spaces = {name: spaces.Discrete(len(ACTIONS)) for name in AGENTS}
        self._rng = np.random.default_rng()
        self._x, self._v, self._y = [0.0, 0.0], [LORRY, LORRY], [0.0, 0.0]
        self._lead, self._braking = [GAP[0], GAP[0]], [False, False]
        self._distance, self._time = DISTANCE[1], 0

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what a driver sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what a driver does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Put the cars on the road; `options={"start": (distance, lead_0, lead_1)}` says where."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        start = (options or {}).get("start")
        if start is None:
            start = (self._rng.uniform(*DISTANCE), self._rng.uniform(*GAP), self._rng.uniform(*GAP))
        self._distance, *self._lead = (float(part) for part in start)
        self._x, self._v, self._y = [0.0, 0.0], [LORRY, LORRY], [0.0, 0.0]
        self._braking, self._time = [False, False], 0
        self.agents = list(AGENTS)
        return self._seen(), {name: {} for name in AGENTS}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Drive on for 0.4 seconds."""
        before = self._distance - self._x[0] - self._x[1]
        for i, name in enumerate(AGENTS):
            self._drive(i, int(actions[name]))
        self._time += 1
        left = self._distance - self._x[0] - self._x[1]
        met = abs(left) < CLOSE or (before > 0.0) != (left > 0.0)
        crashed = met and min(self._y) >= 0.5
        late = self._time >= HORIZON and not crashed
        rewards = {
            name: self.crash if crashed else 0.1 * (self._v[i] - LORRY) / LORRY
            for i, name in enumerate(AGENTS)
        }
        if crashed or late:
            self.agents = []
        told = {"events": frozenset({"crash"} if crashed else ())}
        ends = (dict.fromkeys(AGENTS, crashed), dict.fromkeys(AGENTS, late))
        return self._seen(), rewards, *ends, {name: dict(told) for name in AGENTS}

    def _drive(self, i: int, action: int) -> None:
        gap = self._lead[i]  # of the lorry's bumper before the car's; negative once it is passed
        beside = abs(gap) < BESIDE
        out = action == OVERTAKE or (self._y[i] > 0.0 and beside)
        held = action != OVERTAKE and self._y[i] < 0.5 and 0.0 < gap < 40.0
        push = FASTER
        if action == BRAKE:
            push = SLOWER if self._v[i] > SLOW else 0.0
        elif held:
            push = min(max(1.5 * (LORRY - self._v[i]) + 0.3 * (gap - 8.0), SLOWER), FASTER)
        floor = min(SLOW, self._v[i]) if action == BRAKE else 0.0
        self._v[i] = min(max(self._v[i] + SECONDS * push, floor), TOP)
        moved = SECONDS * self._v[i]
        if self._y[i] < 0.5 and gap > 0.0:  # held at the lorry's bumper
            moved = min(moved, gap + SECONDS * LORRY - 1.0)
        self._x[i] += moved
        self._lead[i] = gap + SECONDS * LORRY - moved
        self._y[i] = min(max(self._y[i] + (0.5 if out else -0.5), 0.0), 1.0)
        self._braking[i] = action == BRAKE

    def render(self) -> str | None:
        """Return the road as text, a character for 5 m: `>` and `<` are the cars, `=` their lorries."""
        if self.render_mode != "ansi":
            return None
        lines = [["."] * 60 for _ in range(3)]
        for i, sign in enumerate("><"):
            for x, y, mark in ((self._x[i], self._y[i], sign), (self._x[i] + self._lead[i], 0.0, "=")):
                place = int((x if i == 0 else self._distance - x) // 5) + 5
                if 0 <= place < 60:
                    lines[1 if y >= 0.5 else 2 - 2 * i][place] = mark
        return "\n".join("".join(line) for line in lines)

    def _seen(self) -> dict[str, Observation]:
        left = self._distance - self._x[0] - self._x[1]
        found = {}
        for i, name in enumerate(AGENTS):
            j = 1 - i
            row = [self._v[i] / TOP, self._y[i], self._lead[i] / 50.0, left / 150.0]
            row += [self._v[j] / TOP, self._y[j], self._lead[j] / 50.0, float(self._braking[j])]
            found[name] = np.array([*row, self._time / HORIZON], np.float32)
        return found


def _seen_space() -> spaces.Box:
    most = np.array([1.0, 1.0, 6.0, 4.0, 1.0, 1.0, 6.0, 1.0, 1.0], np.float32)
    least = np.array([0.0, 0.0, -6.0, -4.0, 0.0, 0.0, -6.0, 0.0, 0.0], np.float32)
    return spaces.Box(least, most, dtype=np.float32)


class OvertakingBatch:
    """B roads on one device; a `GameBatch`.

    Starts come from a pool that is drawn beforehand: road i begins at start i and goes on by B, so that a run repeats
    itself and nothing is drawn on the device.

    Args:
        num_envs: B.
        device: Torch device.
        seed: Seed of the pool.
        crash: Paid to both for a crash.
        pool: Starts in the pool.
        dtype: `float32` or `float64`, of what moves.
    """

    agents: tuple[str, ...] = AGENTS
    event_names: tuple[str, ...] = ("crash",)
    is_symmetric = True
    horizon = HORIZON

    def __init__(
        self,
        num_envs: int,
        device: str = "cpu",
        seed: int = 0,
        *,
        crash: float = -10.0,
        pool: int = 8192,
        dtype: str = "float32",
    ) -> None:
        """See the class."""
        import torch

        self._torch, self.num_envs, self.crash = torch, num_envs, crash
        kind = getattr(torch, dtype)
        rng = np.random.default_rng(seed)
        starts = np.stack([rng.uniform(*span, size=pool) for span in (DISTANCE, GAP, GAP)], axis=1)
        self.starts = torch.tensor(starts, dtype=kind, device=device)
        self._next = torch.arange(num_envs, device=device) % pool

        def zeros() -> Tensor:
            return torch.zeros(num_envs, 2, dtype=kind, device=device)

        self.x, self.v, self.y, self.lead, self.braking = (zeros() for _ in range(5))
        self.distance = torch.zeros(num_envs, dtype=kind, device=device)
        self.time = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._crashed = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self.left = torch.zeros(num_envs, dtype=kind, device=device)
        # Constants where they are used: `where` would make a tensor of a number at every step.
        self._push = torch.tensor([FASTER, SLOWER], dtype=kind, device=device)
        self._paid = torch.tensor(crash, dtype=kind, device=device)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what a driver sees."""
        return _seen_space()

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what a driver does."""
        return spaces.Discrete(len(ACTIONS))

    def reset(self, mask: Tensor) -> Tensor:
        """Put new cars on the road where `mask` (`[B]` bool) holds; return observations `[B, 2, 9]`."""
        torch = self._torch
        start, both = self.starts[self._next], mask[:, None]
        self.distance.copy_(torch.where(mask, start[:, 0], self.distance))
        self.lead.copy_(torch.where(both, start[:, 1:], self.lead))
        self.v.copy_(torch.where(both, torch.full_like(self.v, LORRY), self.v))
        for memory in (self.x, self.y, self.braking):
            memory.copy_(torch.where(both, torch.zeros_like(memory), memory))
        self.time.copy_(torch.where(mask, torch.zeros_like(self.time), self.time))
        self._next.copy_(torch.where(mask, (self._next + self.num_envs) % len(self.starts), self._next))
        self.left.copy_(self.distance - self.x[:, 0] - self.x[:, 1])
        return self._observed()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Drive on for 0.4 seconds with actions `[B, 2]`."""
        torch = self._torch
        v, y, gap = self.v, self.y, self.lead
        brakes, dares = action == BRAKE, action == OVERTAKE
        behind = (y < 0.5) & (gap > 0.0)
        out = dares | ((y > 0.0) & (gap.abs() < BESIDE))
        held = behind & ~dares & (gap < 40.0)
        follow = (0.3 * (gap - 8.0)).add_(LORRY - v, alpha=1.5).clamp_(SLOWER, FASTER)
        push = torch.where(held, follow, self._push[0])
        push = torch.where(brakes, self._push[1] * (v > SLOW), push)
        floor = brakes * v.clamp_max(SLOW)
        faster = torch.maximum(v.add(push, alpha=SECONDS), floor).clamp_max_(TOP)
        moved = SECONDS * faster
        moved = torch.where(behind, torch.minimum(moved, gap + (SECONDS * LORRY - 1.0)), moved)
        self.v.copy_(faster)
        self.x.add_(moved)
        self.lead.add_(SECONDS * LORRY).sub_(moved)
        self.y.add_(out, alpha=1.0).sub_(0.5).clamp_(0.0, 1.0)
        self.braking.copy_(brakes)
        self.time.add_(1)
        before, left = self.left > 0.0, self.distance - self.x[:, 0] - self.x[:, 1]
        met = (left.abs() < CLOSE) | (before != (left > 0.0))
        self.left.copy_(left)
        aside = self.y >= 0.5
        crashed = met & aside[:, 0] & aside[:, 1]
        self._crashed.copy_(crashed)
        late = (self.time >= HORIZON) & ~crashed
        reward = torch.where(crashed[:, None], self._paid, (self.v - LORRY).mul_(0.1 / LORRY))
        return self._observed(), reward, crashed, late

    def events(self) -> Mapping[str, Tensor]:
        """Return whether the last step was a crash, `[B]` bool."""
        return {"crash": self._crashed.clone()}

    def _observed(self) -> Tensor:
        torch = self._torch
        # Rows of lanes, [9, 2, B]: written whole, and handed out with their axes turned round.
        speed, y, lead = (self.v / TOP).t(), self.y.t(), (self.lead / 50.0).t()
        left = (self.left / 150.0).expand(2, -1)
        clock = (self.time.to(left.dtype) / HORIZON).expand(2, -1)
        parts = [
            speed,
            y,
            lead,
            left,
            speed.flip(0),
            y.flip(0),
            lead.flip(0),
            self.braking.t().flip(0),
            clock,
        ]
        seen: Tensor = torch.stack(parts).to(torch.float32)
        return seen.permute(2, 1, 0)
