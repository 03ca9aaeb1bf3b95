"""OfficeWorld: fetch coffee and mail, patrol, and break no decoration.

Source: R. Toro Icarte, T. Q. Klassen, R. Valenzano, S. A. McIlraith, "Reward Machines: Exploiting Reward
Function Structure in Reinforcement Learning", JAIR 73 (2022), section 6.1; the places are those of the authors'
public repository. The world pays nothing and never ends by itself: both are the spec's.
"""

from __future__ import annotations

from typing import Any

from envs.grid import DOWN, LEFT, MOVES, RIGHT, UP, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

WIDTH, HEIGHT, ROOM = 12, 9, 3
"""Cells; four by three rooms of 3x3 cells."""

START = (2, 1)

THINGS: dict[tuple[int, int], str] = {
    (1, 1): "a",
    (1, 7): "b",
    (10, 7): "c",
    (10, 1): "d",
    (7, 4): "mail",
    (8, 2): "coffee",
    (3, 6): "coffee",
    (4, 4): "office",
    **dict.fromkeys([(4, 1), (7, 1), (4, 7), (7, 7), (1, 4), (10, 4)], "decoration"),
}
"""Cell (x, y) -> the label that holds when the agent has stepped into it or stayed in it."""

DOORS: frozenset[tuple[int, int, int]] = frozenset(
    {(x, y, RIGHT) for x in (2, 5, 8) for y in (1, 7)}
    | {(x, 5, UP) for x in (1, 4, 7, 10)}
    | {(x, 2, UP) for x in (1, 10)}
)
"""Doors through the walls between rooms, each from its left or lower side."""

OPPOSITE = {UP: DOWN, RIGHT: LEFT}


def _list_walls() -> frozenset[tuple[int, int, int]]:
    """Return (x, y, move) for every move that a wall stops."""
    walls = {(x, y, UP) for x in range(WIDTH) for y in range(ROOM - 1, HEIGHT, ROOM)}
    walls |= {(x, y, RIGHT) for x in range(ROOM - 1, WIDTH, ROOM) for y in range(HEIGHT)}
    walls |= {(x, -1, UP) for x in range(WIDTH)} | {(-1, y, RIGHT) for y in range(HEIGHT)}
    walls -= DOORS
    return frozenset(
        walls | {(x + MOVES[move][0], y + MOVES[move][1], OPPOSITE[move]) for x, y, move in walls}
    )


WALLS = _list_walls()


class OfficeWorld(GridWorld):
    """A building of twelve rooms with coffee, mail, an office, decorations and four places A to D.

    Actions: 0 up, 1 right, 2 down, 3 left; a move against a wall stays. Observation: (x, y) as `Box` `[2]`
    uint8, from (0, 0) at the lower left to (11, 8). The agent starts at (2, 1).

    Labels: `coffee`, `mail`, `office`, `decoration`, `a`, `b`, `c`, `d`: the agent is at such a place.

    Example:
        >>> env = OfficeWorld()
        >>> env.reset(seed=0)
        (array([2, 1], dtype=uint8), {})
        >>> env.step(3)[0], env.labels()
        (array([1, 1], dtype=uint8), frozenset({'a'}))
    """

    label_names = ("coffee", "mail", "office", "decoration", "a", "b", "c", "d")

    def __init__(
        self, *, observe: Observe = "position", slip: float = 0.0, render_mode: str | None = None
    ) -> None:
        """Make the world; see `GridWorld` for the arguments."""
        super().__init__(
            [START], (WIDTH - 1, HEIGHT - 1), 4, observe=observe, slip=slip, render_mode=render_mode
        )

    def rules(self, state: State, action: int) -> Effect:
        """Return the cell that a move leads to and the label of what is there."""
        x, y = state
        if (x, y, action) not in WALLS:
            x, y = x + MOVES[action][0], y + MOVES[action][1]
        thing = THINGS.get((x, y))
        return (x, y), LABEL[thing], 0.0, False

    def scene(self) -> Scene:
        """Return the building."""
        x, y = self.state
        above = frozenset((x, y) for x, y, move in WALLS if move == UP)
        beside = frozenset((x, y) for x, y, move in WALLS if move == RIGHT)
        return Scene(WIDTH, HEIGHT, THINGS, (x, y), above, beside)


LABEL: dict[Any, frozenset[str]] = {thing: frozenset([thing]) for thing in THINGS.values()} | {
    None: frozenset()
}
