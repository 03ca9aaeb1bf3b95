"""Experts that play MiniGrid and MiniHack tasks: subgoal by subgoal, by breadth-first search on the live map."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

Cell = tuple[int, int]

# -- MiniGrid ----------------------------------------------------------------------------------------------

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Direction -> step."""


def find(env: Any, kind: str, colour: str | None = None) -> Cell:
    """Return where the first object of a type (and colour) lies in a MiniGrid."""
    grid = env.unwrapped.grid
    for i, thing in enumerate(grid.grid):
        if thing is not None and thing.type == kind and (colour is None or thing.color == colour):
            return i % grid.width, i // grid.width
    raise LookupError(kind)


def face(env: Any, target: Cell | None) -> list[int]:
    """Return the actions that bring the agent before `target`, or before any empty cell where there is none."""
    inner = env.unwrapped

    def free(cell: Cell) -> bool:
        thing = inner.grid.get(*cell)
        return thing is None or thing.can_overlap()

    start = (*(int(part) for part in inner.agent_pos), int(inner.agent_dir))
    ways: dict[tuple[int, int, int], list[int]] = {start: []}
    ahead = deque(ways)
    while ahead:
        state = x, y, direction = ahead.popleft()
        front = (x + AHEAD[direction][0], y + AHEAD[direction][1])
        if front == target or (target is None and inner.grid.get(*front) is None):
            return ways[state]
        for action, following in (
            (LEFT, (x, y, (direction - 1) % 4)),
            (RIGHT, (x, y, (direction + 1) % 4)),
            (FORWARD, (*front, direction) if free(front) else state),
        ):
            if following not in ways:
                ways[following] = [*ways[state], action]
                ahead.append(following)
    raise LookupError(f"no way to {target}")


def doorkey(env: Any) -> Iterator[int]:
    """Yield actions: key, door, goal."""
    yield from [*face(env, find(env, "key")), PICKUP]
    yield from [*face(env, find(env, "door")), TOGGLE]
    yield from [*face(env, find(env, "goal")), FORWARD]


def unlock_pickup(env: Any) -> Iterator[int]:
    """Yield actions: key, door, empty hands, box."""
    yield from [*face(env, find(env, "key")), PICKUP]
    yield from [*face(env, find(env, "door")), TOGGLE]
    yield from [*face(env, None), DROP]
    yield from [*face(env, find(env, "box")), PICKUP]


def obstructed_maze(env: Any) -> Iterator[int]:
    """Yield actions: key, the locked door, empty hands, ball; other doors are opened on the way."""
    inner = env.unwrapped
    yield from [*face(env, find(env, "key")), PICKUP]
    locked = next(
        (i % inner.grid.width, i // inner.grid.width)
        for i, thing in enumerate(inner.grid.grid)
        if thing is not None and thing.type == "door" and thing.is_locked
    )
    yield from [*face(env, locked), TOGGLE]
    yield from [*face(env, None), DROP]
    yield from [*face(env, find(env, "ball", "blue")), PICKUP]


# -- MiniHack ----------------------------------------------------------------------------------------------

COMPASS = {(0, -1): "k", (1, 0): "l", (0, 1): "j", (-1, 0): "h",
           (1, -1): "u", (1, 1): "n", (-1, 1): "b", (-1, -1): "y"}  # fmt: skip
"""Step -> NetHack's key."""


class Screen:
    """The map of a live MiniHack: characters by place, and where the agent is."""

    def __init__(self, env: Any) -> None:
        inner = env.unwrapped
        keys = inner._observation_keys
        self.chars = inner.last_observation[keys.index("chars")].copy()
        x, y = inner.last_observation[keys.index("blstats")][:2]
        self.agent: Cell = (int(x), int(y))

    def __contains__(self, char: str) -> bool:
        return bool((self.chars == ord(char)).any())

    def at(self, cell: Cell) -> str:
        return chr(self.chars[cell[1], cell[0]])

    def places(self, char: str) -> list[Cell]:
        return [(x, y) for x in range(79) for y in range(21) if self.at((x, y)) == char]


def key_of(env: Any, key: str) -> int:
    """Return the action that presses a key."""
    return [int(action) for action in env.unwrapped.actions].index(ord(key))


def walk(screen: Screen, target: Cell, walls: str = " |-", door: Cell | None = None) -> list[str]:
    """Return the keys that lead to `target` past `walls`; a door is entered and left straight only."""
    ways: dict[Cell, list[str]] = {screen.agent: []}
    ahead = deque(ways)
    while ahead:
        here = ahead.popleft()
        if here == target:
            return ways[here]
        for (across, down), key in COMPASS.items():
            cell = here[0] + across, here[1] + down
            if cell in ways or not (0 <= cell[0] < 79 and 0 <= cell[1] < 21):
                continue
            is_slanted = across != 0 and down != 0
            if (screen.at(cell) in walls and cell != door) or (is_slanted and door in (here, cell)):
                continue
            ways[cell] = [*ways[here], key]
            ahead.append(cell)
    raise LookupError(f"no way to {target}")


def around(cell: Cell) -> list[Cell]:
    """Return the four cells beside a cell."""
    return [(cell[0] + across, cell[1] + down) for across, down in ((0, -1), (1, 0), (0, 1), (-1, 0))]


def shortest(ways: Iterable[Callable[[], list[str]]]) -> list[str]:
    """Return the shortest of the ways that there are."""
    found = []
    for way in ways:
        with contextlib.suppress(LookupError):
            found.append(way())
    if not found:
        raise LookupError("no way")
    return min(found, key=len)


def look_for(env: Any, char: str, walls: str) -> Iterator[str]:
    """Yield keys that lead from place to unseen place until the map shows `char`."""
    visited: set[Cell] = set()
    while char not in (screen := Screen(env)):
        visited.add(screen.agent)
        rest = [cell for cell in screen.places(".") if cell not in visited]
        yield shortest(partial(walk, screen, cell, walls) for cell in rest)[0]


def key_room(env: Any) -> Iterator[str]:
    """Yield keys: to the key, pick it up, to the door, unlock it, through it to the stairs."""
    walls = " |-+>"
    yield from look_for(env, "(", walls)
    screen = Screen(env)
    yield from walk(screen, screen.places("(")[0], walls)
    yield ","
    yield from look_for(env, "+", walls)
    screen = Screen(env)
    door = screen.places("+")[0]
    yield from shortest(partial(walk, screen, cell, walls) for cell in around(door))
    yield "a"
    yield from walk(Screen(env), door, door=door)
    screen = Screen(env)
    yield from walk(screen, screen.places(">")[0], door=door)


def river(env: Any) -> Iterator[str]:
    """Yield keys: push a boulder due east into the water, another one behind it, cross, go to the stairs.

    Raises LookupError where no two boulders can be pushed along one row.
    """
    walls, row = " `}", None
    yield from look_for(env, "}", walls)
    bank = min(x for x, _ in Screen(env).places("}"))
    for edge in (bank, bank + 1):
        way, row = shortest_push(Screen(env), walls, row, edge)
        yield from way
        while (before := Screen(env)).at((edge, row)) in "} ":
            yield "l"
            if Screen(env).agent == before.agent and Screen(env).at((edge, row)) in "} ":
                raise LookupError("the boulder is stuck")
    yield from look_for(env, ">", walls)
    screen = Screen(env)
    yield from walk(screen, screen.places(">")[0], walls)


def shortest_push(screen: Screen, walls: str, row: int | None, edge: int) -> tuple[list[str], int]:
    """Return the way to the west side of a boulder that can be pushed east as far as `edge`, and its row."""
    ways: list[tuple[list[str], int]] = []
    for x, y in screen.places("`"):
        ahead = {screen.at((across, y)) for across in range(x + 1, edge)}
        if x < edge and row in (None, y) and not ahead & set("`}"):
            with contextlib.suppress(LookupError):
                ways.append((walk(screen, (x - 1, y), walls), y))
    if not ways:
        raise LookupError("no boulder to push")
    return min(ways, key=lambda way: len(way[0]))


def room(env: Any) -> Iterator[str]:
    """Yield keys: to the stairs."""
    screen = Screen(env)
    yield from walk(screen, screen.places(">")[0])
