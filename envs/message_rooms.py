"""MessageRooms: twelve rooms in a row that say what happens in them, and pay at the very end."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.grid import NOTHING, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

HELPFUL: tuple[str, ...] = (
    "You unlock the heavy door with your iron key.",
    "You squeeze through a narrow crack in the wall.",
    "You push the boulder aside and walk on.",
    "A secret door swings open before you.",
    "You lower the drawbridge and cross the moat.",
    "You swim to the far bank.",
    "The guard lets you pass.",
    "You climb down the rope to the next level.",
    "You solve the riddle, and the gate rises.",
    "You find the staircase behind the tapestry and go up.",
    "You pick the lock of the portcullis.",
)
"""What is said on the way from each room to the next one."""

OTHERS: tuple[str, ...] = (
    "You see here 14 gold pieces.",
    "The newt looks at you and yawns.",
    "You hear bubbling water.",
    "You feel a draft.",
    "There is nothing here to pick up.",
    "Your kitten eats a rat.",
    "You stumble over a loose stone.",
    "The door slams shut behind you.",
    "You hear the footsteps of a guard on patrol.",
    "You dip your hand in the fountain.",
    "You feel hungry.",
    "A trap door opens under you, and you fall.",
    "You kick at empty space.",
    "The goblin steals your hat and runs.",
    "The current carries you back.",
    "It is too dark to see anything.",
    "You turn around and go back.",
    "You hear a strange wind.",
    "You wait. Nothing happens.",
    "The rope is slippery, and you slide down.",
    "A bat flutters past.",
    "You read the scroll. It is blank.",
    "The floor gives way under you.",
    "You smell smoke.",
    "You dig in the ground and find a worm.",
    "The jackal howls.",
    "You are lost and walk in circles.",
    "Your candle goes out.",
    "An arrow shoots past you.",
    "You sit down on the throne. You feel tired.",
    "The statue does not move.",
    "You have a sad feeling for a moment, then it passes.",
    "The maid sends you back to the entrance.",
)
"""What is said otherwise: three for each room but the last."""

ROOMS = len(HELPFUL) + 1

AHEAD, STAY, BACK, START = range(4)
"""What an action does in a room: leads to the next one, to this one, to the one before, to the first."""


class MessageRooms(GridWorld):
    """A row of twelve rooms; one action in four leads on, a different one in each room, and the way out pays 1.

    Of the others one stays, one leads back a room and one to the first. Each of the 44 things that can happen before
    the last room is told in a message of its own, in `info["message"]`; eleven of them, a quarter, are steps on the
    way. In the last room nothing is said: the message is empty. A blind walk gets out in one of 3,700 episodes of 100
    steps.

    Actions: 4. Observation: the room, as `Box` `[1]` uint8; `observe: index` suits networks better.

    Labels: `ahead`, the step led to another room further on or out; `out`, the agent is out.

    Source: for rewards from messages, as in ONI (Zheng et al., arXiv 2410.23022); the world and its messages are ours.

    Example:
        >>> env = MessageRooms()
        >>> _ = env.reset(seed=0)
        >>> [env.step(action)[4]["message"] for action in env.way[:2]], env.state
        (['You unlock the heavy door with your iron key.', 'You squeeze through a narrow crack in the wall.'], (2,))
    """

    label_names = ("ahead", "out")

    def __init__(
        self,
        layout: int = 0,
        *,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            layout: Seed of which action does what in which room.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if isinstance(layout, bool) or not isinstance(layout, int) or layout < 0:
            raise ValueError(f"layout is a whole number from 0 on, not {layout!r}")
        rng = np.random.default_rng(layout)
        self.layout = layout
        self._roles = [[int(role) for role in rng.permutation(4)] for _ in range(ROOMS)]
        super().__init__([(0,)], (ROOMS,), 4, observe=observe, slip=slip, render_mode=render_mode)

    @property
    def way(self) -> tuple[int, ...]:
        """The actions that lead out, room by room."""
        return tuple(roles.index(AHEAD) for roles in self._roles)

    def rules(self, state: State, action: int) -> Effect:
        """Return the room that a step leads to, and 1 on the way out."""
        room, role = state[0], self._roles[state[0]][action]
        if role == AHEAD:
            is_out = room + 1 == ROOMS
            return (room + 1,), frozenset(["ahead", "out"] if is_out else ["ahead"]), float(is_out), is_out
        return ({STAY: room, BACK: max(room - 1, 0), START: 0}[role],), NOTHING, 0.0, False

    def message(self, room: int, action: int) -> str:
        """Return what is said when an action is taken in a room."""
        if room >= ROOMS - 1:
            return ""
        role = self._roles[room][action]
        return HELPFUL[room] if role == AHEAD else OTHERS[3 * room + role - 1]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action; the info holds the message."""
        room = self.state[0]
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, terminated, truncated, {**info, "message": self.message(room, self.taken)}

    def scene(self) -> Scene:
        """Return the rooms, and the way out behind them."""
        return Scene(ROOMS + 1, 1, {(ROOMS, 0): "goal"}, (self.state[0], 0))
