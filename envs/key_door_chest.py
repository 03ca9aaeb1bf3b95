"""KeyDoorChest: fetch the key, open the door, open the chest, in rooms of any size."""

from __future__ import annotations

from envs.grid import MOVES, NOTHING, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

LARGEST = 120
"""Cells of a room's side: positions are bytes."""

HERE: dict[str, frozenset[str]] = {name: frozenset([name]) for name in ("key", "door", "chest")}


class KeyDoorChest(GridWorld):
    """Two rooms of length x length cells, a wall with a locked door between them, a key here and a chest there.

    The agent starts in the lower left corner of the left room. The key lies in that room's upper left corner and
    is taken by stepping onto it; the door, in the middle of the wall, lets in who has the key; the chest is in the
    lower right corner of the right room and pays 1, and the episode is over. For studies of scale: a blind walk
    meets the three in this order ever more rarely as the rooms grow.

    Actions: 0 up, 1 right, 2 down, 3 left; a move against a wall or the locked door stays. Observation: (x, y,
    has the key, door is open) as `Box` `[4]` uint8.

    Labels, true on the step on which it happens: `key`, taken; `door`, opened; `chest`, opened.

    Example:
        >>> env = KeyDoorChest(2)
        >>> env.reset(seed=0)
        (array([0, 0, 0, 0], dtype=uint8), {})
        >>> env.step(0)[0], env.labels()
        (array([0, 1, 1, 0], dtype=uint8), frozenset({'key'}))
    """

    label_names = ("key", "door", "chest")

    def __init__(
        self,
        length: int = 5,
        *,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            length: Cells of a room's side.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if isinstance(length, bool) or not isinstance(length, int) or not 2 <= length <= LARGEST:
            raise ValueError(f"length is a whole number from 2 to {LARGEST}, not {length!r}")
        self.length = length
        self.key, self.door, self.chest = (0, length - 1), (length, length // 2), (2 * length, 0)
        largest = (2 * length, length - 1, 1, 1)
        super().__init__([(0, 0, 0, 0)], largest, 4, observe=observe, slip=slip, render_mode=render_mode)

    def rules(self, state: State, action: int) -> Effect:
        """Return where a move leads and what it takes or opens."""
        x, y, has_key, is_open = state
        x = min(max(x + MOVES[action][0], 0), 2 * self.length)
        y = min(max(y + MOVES[action][1], 0), self.length - 1)
        if x == self.length and ((x, y) != self.door or not has_key):
            return state, NOTHING, 0.0, False
        if (x, y) == self.key and not has_key:
            return (x, y, 1, is_open), HERE["key"], 0.0, False
        if (x, y) == self.door and not is_open:
            return (x, y, has_key, 1), HERE["door"], 0.0, False
        if (x, y) == self.chest:
            return (x, y, has_key, is_open), HERE["chest"], 1.0, True
        return (x, y, has_key, is_open), NOTHING, 0.0, False

    def scene(self) -> Scene:
        """Return the rooms; what the agent carries is no longer there."""
        x, y, has_key, is_open = self.state
        things = {self.door: "open door" if is_open else "door", self.chest: "chest"}
        if not has_key:
            things[self.key] = "key"
        solid = frozenset((self.length, row) for row in range(self.length)) - {self.door}
        return Scene(2 * self.length + 1, self.length, things, (x, y), solid=solid)
