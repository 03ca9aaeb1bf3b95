"""Two agents press two buttons, then meet: a task that neither can do alone, with PettingZoo's parallel API.

The rules are written once, over the state of both, in `TwoButtonsTogether`: that is also the task for one who steers
both, and its table, from which the best a team can do is computed exactly. `TwoButtons` hands each agent its part.

Source: our own, in the manner of the tasks of Neary et al. (AAMAS 2021, arXiv 2007.01962), whose agents press buttons
for each other and meet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from envs.arguments import check_mode
from envs.grid import MOVES, NOTHING, Effect, GridWorld, State
from envs.grid_picture import Image, Scene, paint, write

WIDTH, HEIGHT = 7, 5

STARTS = ((0, 0), (6, 4))
"""Cells in which the agents begin."""

BUTTONS = ((1, 4), (5, 0))
"""Cells of the buttons, each for its agent."""

GAP = (3, 2)
"""The gap in the wall between the two rooms."""

STAY = 4
"""The action that stays; 0 to 3 are up, right, down and left."""

AGENTS = ("agent_0", "agent_1")

STEPS = 100
"""Steps after which an episode is truncated."""

WALLS = frozenset((3, y) for y in range(HEIGHT) if (3, y) != GAP)


class TwoButtonsTogether(GridWorld):
    """The world for one who steers both agents: state (x0, y0, x1, y1), action 5 * a0 + a1.

    Labels: `a`, agent_0 stands on its button; `b`, agent_1 on its own; `meet`, both stand in one cell.

    Example:
        >>> env = TwoButtonsTogether()
        >>> env.reset(seed=0)[0].tolist(), len(env.states)
        ([0, 0, 6, 4], 961)
    """

    label_names = ("a", "b", "meet")

    def __init__(self, *, slip: float = 0.0, render_mode: str | None = None) -> None:
        """Make the world; `slip` draws the joint action at random."""
        largest = (WIDTH - 1, HEIGHT - 1, WIDTH - 1, HEIGHT - 1)
        super().__init__([STARTS[0] + STARTS[1]], largest, 25, slip=slip, render_mode=render_mode)

    def rules(self, state: State, action: int) -> Effect:
        """Move both agents at once; they may share a cell."""
        first, second = move(state[:2], action // 5), move(state[2:], action % 5)
        return first + second, true_labels(first, second), 0.0, False

    def scene(self) -> Scene:
        """Return both rooms."""
        return scene(self.state[:2], self.state[2:])


def move(cell: State, action: int) -> State:
    """Return the cell that a move leads to; walls and the border stop it."""
    dx, dy = MOVES.get(action, (0, 0))
    x, y = cell[0] + dx, cell[1] + dy
    return (x, y) if 0 <= x < WIDTH and 0 <= y < HEIGHT and (x, y) not in WALLS else cell


def true_labels(first: State, second: State) -> frozenset[str]:
    """Return what is true of where the agents stand."""
    true = {
        "a": first == BUTTONS[0],
        "b": second == BUTTONS[1],
        "meet": first == second,
    }
    return frozenset(name for name, holds in true.items() if holds)


def scene(first: State, second: State) -> Scene:
    """Return both rooms with the agents in them."""
    things = {BUTTONS[0]: "button a", BUTTONS[1]: "button b"}
    cells = (first[0], first[1]), (second[0], second[1])
    return Scene(WIDTH, HEIGHT, things, cells[0], solid=WALLS, second=cells[1])


class TwoButtons(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """Two rooms with a gap between them, and a button for each agent in the room in which it begins.

    Each agent's actions: 0 up, 1 right, 2 down, 3 left, 4 stay. Its observation: its own cell and the other's,
    `[x, y, x', y']` uint8. The world pays nothing and never ends by itself but for its `steps`: both are the spec's.

    Labels of the team (`labels(None)`): `a`, `b` and `meet`, as `TwoButtonsTogether` has them. Labels of an agent:
    `button`, it stands on its own; `meet`.

    Example:
        >>> env = TwoButtons()
        >>> observations, infos = env.reset(seed=0)
        >>> observations["agent_1"].tolist()
        [6, 4, 0, 0]
        >>> env.step({"agent_0": 0, "agent_1": 4})[0]["agent_0"].tolist()
        [0, 1, 6, 4]
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "name": "two_buttons_v0",
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 8,
    }
    label_names = ("a", "b", "meet", "button")

    def __init__(self, *, slip: float = 0.0, steps: int = STEPS, render_mode: str | None = None) -> None:
        """Make the world.

        Args:
            slip: Probability, for each agent, that a move drawn at random is taken in place of the chosen one.
            steps: Steps after which an episode is truncated.
            render_mode: `ansi`, `rgb_array` or None.

        Raises:
            ValueError: When an argument is none of these.
        """
        if not 0.0 <= slip <= 1.0:
            raise ValueError(f"slip is a probability, not {slip!r}")
        check_mode(render_mode, self.metadata["render_modes"])
        self.slip, self.steps, self.render_mode = slip, steps, render_mode
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        high = np.array([WIDTH - 1, HEIGHT - 1] * 2, np.uint8)
        space = spaces.Box(np.zeros(4, np.uint8), high, dtype=np.uint8)
        self.observation_spaces = {name: spaces.Box(space.low, space.high, dtype=np.uint8) for name in AGENTS}
        self.action_spaces = {name: spaces.Discrete(5) for name in AGENTS}
        self._cells: dict[str, State] = dict(zip(AGENTS, STARTS, strict=True))
        self._true: frozenset[str] = NOTHING
        self._taken = 0
        self._random: np.random.Generator = seeding.np_random(None)[0]

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's observation."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's action."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin an episode, with the agents in their corners."""
        if seed is not None:
            self._random = seeding.np_random(seed)[0]
        self.agents = list(AGENTS)
        self._cells = dict(zip(AGENTS, STARTS, strict=True))
        self._true, self._taken = NOTHING, 0
        return self._observations(), {name: {} for name in AGENTS}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Move both agents at once."""
        for name in self.agents:
            chosen = int(actions[name])
            if self.slip and self._random.random() < self.slip:
                chosen = int(self._random.integers(5))
            self._cells[name] = move(self._cells[name], chosen)
        self._true = true_labels(*self._cells.values())
        self._taken += 1
        cut = self._taken >= self.steps
        names, self.agents = self.agents, [] if cut else self.agents
        return (
            self._observations(),
            dict.fromkeys(names, 0.0),
            dict.fromkeys(names, False),
            dict.fromkeys(names, cut),
            {name: {} for name in names},
        )

    def labels(self, agent: str | None = None) -> frozenset[str]:
        """Return the labels that hold on the last step: the team's, or those of an agent; none after a reset."""
        if agent is None:
            return self._true
        pressed = "a" if agent == AGENTS[0] else "b"
        return frozenset({"button"} if pressed in self._true else ()) | (self._true & {"meet"})

    def state(self) -> Any:
        """Return where both agents are, `[x0, y0, x1, y1]` uint8."""
        return np.array(self._cells[AGENTS[0]] + self._cells[AGENTS[1]], np.uint8)

    def render(self) -> Image | str | None:
        """Return the present state as the render mode says: text, or pixels `[height, width, 3]` uint8."""
        seen = scene(self._cells[AGENTS[0]], self._cells[AGENTS[1]])
        if self.render_mode == "ansi":
            return write(seen)
        return paint(seen) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Hold nothing open."""

    def _observations(self) -> dict[str, Any]:
        first, second = self._cells[AGENTS[0]], self._cells[AGENTS[1]]
        return {
            AGENTS[0]: np.array(first + second, np.uint8),
            AGENTS[1]: np.array(second + first, np.uint8),
        }
