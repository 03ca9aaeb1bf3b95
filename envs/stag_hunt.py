"""StagHunt: two hunters on a grid, a stag that needs both, a hare for each: a dilemma of trust that is walked out.

One hunt as a PettingZoo environment (`StagHunt`) and B of them in torch tensors (`StagHuntBatch`).

The grid has `size` x `size` cells, an odd number. The hunters start in opposite corners, the stag stands in the
middle, and a hare sits two cells before each hunter (one where the size is 3). All move at once, one cell or not at
all. Who steps on the stag's cell, or on the own hare's, has chosen and stays there. The sun sets after `horizon`
steps, which are just enough to reach the stag, so who has walked towards it comes home with nothing if the other took
the hare.

| choice | the other chose the stag | the other chose the hare, or nothing |
| --- | --- | --- |
| stag | `together` (10) | `alone` (0) |
| hare | `hare` (5) | `both_hares` (4) where the other has one, too, else `hare` |
| nothing | 0 | 0 |

The payoffs are paid at the end of the episode, which comes when both have chosen or at sunset. With the defaults,
hunters who do not look at each other play the stag hunt of `examples/games/stag_hunt.yaml`.

Source: the stag hunt of Rousseau and its gridworlds (as in Peysakhovich and Lerer, "Prosocial Learning Agents Solve
Generalized Stag Hunts Better than Selfish Ones", AAMAS 2018). Layout and payoffs are ours: they are not those of the
trust dilemma in Slumbers et al., which we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pettingzoo import ParallelEnv

if TYPE_CHECKING:
    from torch import Tensor

Observation = npt.NDArray[np.float32]

AGENTS = ("hunter_0", "hunter_1")
ACTIONS = ("stay", "up", "right", "down", "left")
MOVES = ((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns of each action, as the hunter sees the grid: from its own corner."""

NOTHING, STAG, HARE = 0, 1, 2
EVENTS = ("both_stag", "both_hare", "stag_alone")


class Hunt(NamedTuple):
    """Where a hunt stands. Cells are as each hunter sees them: its own corner is (0, 0).

    Attributes:
        cells: Per hunter, its row and column from its own corner.
        choices: Per hunter, `NOTHING`, `STAG` or `HARE`.
        time: Steps taken.
    """

    cells: tuple[tuple[int, int], tuple[int, int]]
    choices: tuple[int, int]
    time: int


class Rules(NamedTuple):
    """What a hunt is made with.

    Attributes:
        size: Rows and columns of the grid, odd.
        horizon: Steps until sunset.
        together: Paid to both for the stag.
        alone: Paid for the stag without the other.
        hare: Paid for a hare while the other has none.
        both_hares: Paid to both for a hare each.
    """

    size: int = 5
    horizon: int = 4
    together: float = 10.0
    alone: float = 0.0
    hare: float = 5.0
    both_hares: float = 4.0

    @property
    def stag_cell(self) -> tuple[int, int]:
        """The middle, which is the same from both corners."""
        return self.size // 2, self.size // 2

    @property
    def hare_cell(self) -> tuple[int, int]:
        """The cell of the own hare, seen from the own corner."""
        return 0, min(2, self.size // 2)

    def payoff(self, own: int, other: int) -> float:
        """Return what a hunter is paid in the end."""
        if own == STAG:
            return self.together if other == STAG else self.alone
        if own == HARE:
            return self.both_hares if other == HARE else self.hare
        return 0.0


def rules(size: int = 5, horizon: int | None = None, **payoffs: float) -> Rules:
    """Return the rules of a hunt; without a horizon there is just time to reach the stag.

    Raises:
        ValueError: When the size is no odd number from 3 up, or the sun sets before the first step.
    """
    if size < 3 or size % 2 == 0:
        raise ValueError(f"the size is an odd number from 3 up, not {size}")
    time = 2 * (size // 2) if horizon is None else horizon
    if time < 1:
        raise ValueError(f"the sun sets after one step or later, not after {time}")
    return Rules(size, time, **payoffs)


def begin() -> Hunt:
    """Return where every hunt begins."""
    return Hunt(((0, 0), (0, 0)), (NOTHING, NOTHING), 0)


def move(rule: Rules, hunt: Hunt, actions: tuple[int, int]) -> tuple[Hunt, tuple[float, float], bool]:
    """Return where the hunt stands after a step, what is paid, and whether it is over."""
    cells, choices = [], []
    for (row, column), choice, action in zip(hunt.cells, hunt.choices, actions, strict=True):
        if choice == NOTHING:
            down, across = MOVES[action]
            row = min(max(row + down, 0), rule.size - 1)
            column = min(max(column + across, 0), rule.size - 1)
            choice = {rule.stag_cell: STAG, rule.hare_cell: HARE}.get((row, column), NOTHING)
        cells.append((row, column))
        choices.append(choice)
    after = Hunt((cells[0], cells[1]), (choices[0], choices[1]), hunt.time + 1)
    over = NOTHING not in choices or after.time >= rule.horizon
    paid = (rule.payoff(choices[0], choices[1]), rule.payoff(choices[1], choices[0])) if over else (0.0, 0.0)
    return after, paid, over


def events_of(hunt: Hunt, over: bool) -> frozenset[str]:
    """Return the names of what came out at the end of a hunt."""
    if not over:
        return frozenset()
    stags, hares = hunt.choices.count(STAG), hunt.choices.count(HARE)
    found = {"both_stag": stags == 2, "both_hare": hares == 2, "stag_alone": stags == 1}
    return frozenset(name for name, holds in found.items() if holds)


def seen_size(rule: Rules) -> int:
    """Return D: cell of each hunter and choice of each, one-hot, and the time."""
    return 2 * rule.size**2 + 2 * 3 + 1


class StagHunt(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """Two hunters, a stag, two hares; see the module for the rules.

    Observation: `[2 size^2 + 7]` float32 from the hunter's own corner: own cell and the other's one-hot, own choice and
    the other's one-hot (nothing, stag, hare), the share of the day that has passed. Actions: 0 stay, 1 up, 2 right,
    3 down, 4 left. The last step's `info` says by `events` what came of it.

    Args:
        size: Rows and columns, odd.
        horizon: Steps until sunset; just enough to reach the stag where None.
        together: Paid to both for the stag.
        alone: Paid for the stag without the other.
        hare: Paid for a hare while the other has none.
        both_hares: Paid to both for a hare each.
        render_mode: `ansi` or None.

    Example:
        >>> env = StagHunt(size=3)
        >>> _ = env.reset()
        >>> for action in (3, 2):  # down, then right: on the stag
        ...     _, rewards, *_ = env.step({"hunter_0": action, "hunter_1": action})
        >>> rewards
        {'hunter_0': 10.0, 'hunter_1': 10.0}
    """

    metadata: dict[str, Any] = {"name": "stag_hunt_v0", "render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(
        self, size: int = 5, horizon: int | None = None, render_mode: str | None = None, **payoffs: float
    ) -> None:
        """See the class."""
        self.rules, self.render_mode = rules(size, horizon, **payoffs), render_mode
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        seen = spaces.Box(0.0, 1.0, (seen_size(self.rules),), np.float32)
        self.observation_spaces = dict.fromkeys(AGENTS, seen)
        self.action_spaces = {name: spaces.Discrete(len(ACTIONS)) for name in AGENTS}
        self._hunt = begin()

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what a hunter sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what a hunter does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin a hunt; there is no chance in it, so the seed makes no difference."""
        self.agents, self._hunt = list(AGENTS), begin()
        return self._seen(), {name: {} for name in AGENTS}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Move both."""
        self._hunt, paid, over = move(
            self.rules, self._hunt, (int(actions[AGENTS[0]]), int(actions[AGENTS[1]]))
        )
        chosen = NOTHING not in self._hunt.choices
        told = events_of(self._hunt, over)
        if over:
            self.agents = []
        rewards = dict(zip(AGENTS, paid, strict=True))
        ends = (dict.fromkeys(AGENTS, chosen), dict.fromkeys(AGENTS, over and not chosen))
        return self._seen(), rewards, *ends, {name: {"events": told} for name in AGENTS}

    def render(self) -> str | None:
        """Return the grid as text: `0` and `1` are the hunters, `S` the stag, `h` the hares."""
        if self.render_mode != "ansi":
            return None
        last = self.rules.size - 1
        grid = [["."] * self.rules.size for _ in range(self.rules.size)]
        (row, column), (stag_row, stag_column) = self.rules.hare_cell, self.rules.stag_cell
        grid[row][column] = grid[last - row][last - column] = "h"
        grid[stag_row][stag_column] = "S"
        (r0, c0), (r1, c1) = self._hunt.cells
        grid[r0][c0] = "0"
        grid[last - r1][last - c1] = "1"
        return "\n".join("".join(line) for line in grid)

    def _seen(self) -> dict[str, Observation]:
        return {name: observe(self.rules, self._hunt, i) for i, name in enumerate(AGENTS)}


def observe(rule: Rules, hunt: Hunt, hunter: int) -> Observation:
    """Return what a hunter sees, `[D]` float32."""
    row = np.zeros(seen_size(rule), np.float32)
    area = rule.size**2
    for place, who in enumerate((hunter, 1 - hunter)):
        r, c = hunt.cells[who]
        row[place * area + r * rule.size + c] = 1.0
        row[2 * area + 3 * place + hunt.choices[who]] = 1.0
    row[-1] = hunt.time / rule.horizon
    return row


class StagHuntBatch:
    """B hunts on one device; a `GameBatch`.

    Args:
        num_envs: B.
        device: Torch device.
        seed: Makes no difference: there is no chance in a hunt.
        size: Rows and columns, odd.
        horizon: Steps until sunset.
        payoffs: As of `StagHunt`.
    """

    agents: tuple[str, ...] = AGENTS
    event_names: tuple[str, ...] = EVENTS
    is_symmetric = True

    def __init__(
        self,
        num_envs: int,
        device: str = "cpu",
        seed: int = 0,
        *,
        size: int = 5,
        horizon: int | None = None,
        **payoffs: float,
    ) -> None:
        """See the class."""
        import torch

        self._torch, self.num_envs, self.rules = torch, num_envs, rules(size, horizon, **payoffs)
        rule = self.rules
        self.horizon = rule.horizon
        self._seen = spaces.Box(0.0, 1.0, (seen_size(rule),), np.float32)
        # Cell and action -> cell; cell -> choice; both choices -> payoff.
        leads = [
            [
                min(max(cell // size + down, 0), size - 1) * size
                + min(max(cell % size + across, 0), size - 1)
                for down, across in MOVES
            ]
            for cell in range(size**2)
        ]
        chosen = [
            {rule.stag_cell: STAG, rule.hare_cell: HARE}.get((cell // size, cell % size), NOTHING)
            for cell in range(size**2)
        ]
        paid = [[rule.payoff(own, other) for other in range(3)] for own in range(3)]
        self._leads = torch.tensor(leads, device=device)
        self._chosen = torch.tensor(chosen, device=device)
        self._paid = torch.tensor(paid, dtype=torch.float32, device=device)
        self.cell = torch.zeros(num_envs, 2, dtype=torch.int64, device=device)
        self.choice = torch.zeros(num_envs, 2, dtype=torch.int64, device=device)
        self.time = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._over = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what a hunter sees."""
        return self._seen

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what a hunter does."""
        return spaces.Discrete(len(ACTIONS))

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new hunts where `mask` (`[B]` bool) holds; return observations `[B, 2, D]`."""
        torch = self._torch
        for memory in (self.cell, self.choice):
            memory.copy_(torch.where(mask[:, None], torch.zeros_like(memory), memory))
        self.time.copy_(torch.where(mask, torch.zeros_like(self.time), self.time))
        return self._observed()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Move both hunters of every hunt by actions `[B, 2]`."""
        torch = self._torch
        free = self.choice == NOTHING
        self.cell.copy_(torch.where(free, self._leads[self.cell, action], self.cell))
        self.choice.copy_(torch.where(free, self._chosen[self.cell], self.choice))
        self.time.add_(1)
        chosen = (self.choice != NOTHING).all(dim=1)
        late = (self.time >= self.horizon) & ~chosen
        self._over.copy_(chosen | late)
        paid = self._paid[self.choice, self.choice.flip(1)]
        return self._observed(), torch.where(self._over[:, None], paid, 0.0), chosen, late

    def events(self) -> Mapping[str, Tensor]:
        """Return what came out where a hunt has just ended, `[B]` bool by name."""
        stags, hares = (self.choice == STAG).sum(1), (self.choice == HARE).sum(1)
        found = {"both_stag": stags == 2, "both_hare": hares == 2, "stag_alone": stags == 1}
        return {name: holds & self._over for name, holds in found.items()}

    def _observed(self) -> Tensor:
        area, size = self.rules.size**2, seen_size(self.rules)
        places = [
            self.cell,
            self.cell.flip(1) + area,
            self.choice + 2 * area,
            self.choice.flip(1) + (2 * area + 3),
        ]
        seen = self._paid.new_zeros(self.num_envs, 2, size)
        seen.scatter_(2, self._torch.stack(places, dim=2), 1.0)
        seen[:, :, -1] = (self.time / self.horizon)[:, None]
        return seen
