"""TextKeyRoom: NetHack's KeyRoom as a page of text, without NetHack."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

ACTIONS = ("N", "E", "S", "W", "PICKUP", "APPLY")
"""CALM's actions, in its order."""

MOVES = {"N": (-1, 0), "E": (0, 1), "S": (1, 0), "W": (0, -1)}
"""Move -> change of (row, column)."""

WIDTH = 80
"""Bytes of a message, zero-padded."""

KEY = "key named The Master Key of Thievery"

Cell = tuple[int, int]


class TextKeyRoom(gym.Env[Any, Any]):
    """A lit room with a key on the floor and a closet in the corner, locked, with the stairs inside.

    The text clone of MiniHack-KeyRoom-S5: its map characters, its messages and its macro for APPLY, which unlocks an
    adjacent door and opens it when the key is carried, and says "Never mind." whether it did or not. Reaching the
    stairs pays 1 and ends the episode; nothing else pays.

    The place of the key, of the door and of the agent are drawn for each episode, or once with `layout`.

    Actions: N, E, S, W, PICKUP, APPLY. Observation: `chars` `[size + 2, size + 2]` uint8 and `message` `[80]` uint8, as
    NLE gives them. Characters: `@` the agent, `(` the key, `+` the closed door, `-` or `|` walls, and the door when it
    is open (the one of the two that the wall is not made of), `>` the stairs, `.` the floor.

    Labels, true on the step on which it happens: `key`, picked up; `door`, opened; `stairs`, reached.

    Source: MiniHack's KeyRoom (Samvelyan et al., NeurIPS 2021, Datasets and Benchmarks); the actions are those of CALM
    (Pignatelli et al., arXiv 2409.12798). Deviations: the closet is one cell, and always in the corner.

    Example:
        >>> env = TextKeyRoom(layout=3)
        >>> obs, _ = env.reset(seed=0)
        >>> print(env.page())
        -------
        |.@.(.|
        |.....|
        |.....|
        |...--|
        |...+>|
        -------
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 8}  # noqa: RUF012
    label_names = ("key", "door", "stairs")

    def __init__(self, size: int = 5, *, layout: int | None = None, render_mode: str | None = None) -> None:
        """Make the room.

        Args:
            size: Cells of its side.
            layout: Seed of the places of key, door and agent, the same in every episode then; None for new ones.
            render_mode: `ansi` or None.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if isinstance(size, bool) or not isinstance(size, int) or not 3 <= size <= 60:
            raise ValueError(f"size is a whole number from 3 to 60, not {size!r}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode is 'ansi' or None, not {render_mode!r}")
        self.size, self.layout, self.render_mode = size, layout, render_mode
        self.actions = ACTIONS
        self.action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = spaces.Dict(
            {
                "chars": spaces.Box(0, 255, (size + 2, size + 2), np.uint8),
                "message": spaces.Box(0, 255, (WIDTH,), np.uint8),
            }
        )
        self._true: frozenset[str] = frozenset()
        self.message = ""
        self._draw_places(np.random.default_rng(0))

    # -- gymnasium -----------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._draw_places(self.np_random if self.layout is None else np.random.default_rng(self.layout))
        self._true, self.message = frozenset(), ""
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action."""
        if not 0 <= int(action) < len(ACTIONS):
            raise ValueError(f"an action is a number from 0 to {len(ACTIONS) - 1}, not {action!r}")
        name = ACTIONS[int(action)]
        self._true, self.message = frozenset(), ""
        if name == "PICKUP":
            self._pick_up()
        elif name == "APPLY":
            self._apply()
        else:
            self._move(MOVES[name])
        solved = "stairs" in self._true
        return self._observation(), float(solved), solved, False, {}

    def labels(self) -> frozenset[str]:
        """Return the labels that hold on the last step; none after a reset."""
        return self._true

    def render(self) -> str | None:  # type: ignore[override]
        """Return the page, where the render mode asks for it."""
        return f"{self.message}\n{self.page()}" if self.render_mode == "ansi" else None

    # -- the rules -----------------------------------------------------------------------------------------

    @property
    def stairs(self) -> Cell:
        """The corner."""
        return self.size, self.size

    @property
    def state(self) -> tuple[int, int, bool, bool]:
        """Row and column of the agent, whether it has the key, whether the door is open."""
        return (*self.agent, self.has_key, self.is_open)

    def _draw_places(self, rng: np.random.Generator) -> None:
        end = self.size
        self.walls = frozenset([(end - 1, end - 1), (end - 1, end), (end, end - 1)])
        self.door = ((end - 1, end), (end, end - 1))[int(rng.integers(2))]
        floor = [
            (row, column)
            for row in range(1, end + 1)
            for column in range(1, end + 1)
            if (row, column) not in self.walls and (row, column) != self.stairs
        ]
        key, agent = rng.choice(len(floor), 2, replace=False)
        self.key, self.agent = floor[int(key)], floor[int(agent)]
        self.has_key = self.is_open = False
        self._bare = self._bare_page()

    def _move(self, change: Cell) -> None:
        to = (self.agent[0] + change[0], self.agent[1] + change[1])
        inside = 1 <= to[0] <= self.size and 1 <= to[1] <= self.size
        if not inside or (to in self.walls and not (to == self.door and self.is_open)):
            if to == self.door:
                self.message = "This door is locked."
            return
        self.agent = to
        if to == self.stairs:
            self._true = frozenset(["stairs"])
        elif to == self.key and not self.has_key:
            self.message = f"You see here a {KEY}."

    def _pick_up(self) -> None:
        if self.agent == self.key and not self.has_key:
            self.has_key, self._true = True, frozenset(["key"])
            self.message = f"g - a {KEY}."
        else:
            self.message = "There is nothing here to pick up."

    def _apply(self) -> None:
        """Unlock and open an adjacent door; NetHack's prompt is left with the same words in any case."""
        beside = abs(self.agent[0] - self.door[0]) + abs(self.agent[1] - self.door[1]) == 1
        if self.has_key and not self.is_open and beside:
            self.is_open, self._true = True, frozenset(["door"])
        self.message = "Never mind."

    # -- the page ------------------------------------------------------------------------------------------

    def page(self) -> str:
        """Return the map, a line for each row."""
        return "\n".join(bytes(row).decode() for row in self._chars())

    def _bare_page(self) -> npt.NDArray[np.uint8]:
        """Return the room without what changes in an episode."""
        end = self.size + 1
        page = np.full((end + 1, end + 1), ord("."), np.uint8)
        page[:, [0, end]] = ord("|")
        page[[0, end], :] = ord("-")
        for row, column in self.walls:
            page[row, column] = ord("|") if (row, column) == (self.size, self.size - 1) else ord("-")
        page[self.stairs] = ord(">")
        return page

    def _chars(self) -> npt.NDArray[np.uint8]:
        page = self._bare.copy()
        in_row = self.door == (self.size - 1, self.size)
        page[self.door] = ord("+") if not self.is_open else ord("|") if in_row else ord("-")
        if not self.has_key:
            page[self.key] = ord("(")
        page[self.agent] = ord("@")
        return page

    def _observation(self) -> dict[str, Any]:
        message = self.message.encode()[:WIDTH].ljust(WIDTH, b"\0")
        return {"chars": self._chars(), "message": np.frombuffer(message, np.uint8).copy()}
