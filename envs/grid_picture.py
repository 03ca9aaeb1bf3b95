"""Drawings of grid worlds: a scene as text and as pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from envs.grid_icons import COLOURS, ICONS, SIZE

Image = npt.NDArray[np.uint8]

CELL, MARGIN = 12, 2
"""Pixels of a cell's side, and around the icon in it, before the picture is made larger."""

FLOOR = ((247, 243, 233), (240, 234, 220))
BRICKS = ((222, 160, 130), (212, 148, 118))
MORTAR = (184, 120, 92)
WALL = (72, 66, 88)
GROUND_OF_AGENT = (255, 222, 120)
GROUND_OF_SECOND = (150, 205, 235)

SYMBOLS: dict[str, str] = {
    "coffee": "c",
    "mail": "m",
    "office": "o",
    "decoration": "*",
    "a": "A",
    "b": "B",
    "c": "C",
    "d": "D",
    "wood": "w",
    "grass": "g",
    "iron": "i",
    "toolshed": "T",
    "workbench": "W",
    "factory": "F",
    "bridge": "=",
    "gem": "$",
    "key": "k",
    "door": "D",
    "open door": "'",
    "chest": "x",
    "open chest": "X",
    "goal": "G",
    "mark": "+",
    "house": "H",
    "sheep": "s",
    "coin": "$",
    "roadblock": "%",
    "dry tomato": "t",
    "tomato": "T",
    "bucket": "u",
    "button a": "A",
    "button b": "B",
}
"""What -> its character in text."""

JOINTS = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
"""Where walls meet; 1 for a wall that goes up from there, 2 right, 4 down, 8 left, summed."""


@dataclass(frozen=True)
class Scene:
    """What is to be seen: cells (x, y), x to the right and y upwards, from (0, 0).

    Attributes:
        width: Cells.
        height: Cells.
        things: Cell -> what is there, a name of `ICONS`.
        agent: The agent's cell.
        above: Cells with a wall on their upper side.
        beside: Cells with a wall on their right side.
        solid: Cells that are wall.
        paved: Cells that are laid with bricks.
        second: The cell of a second agent, where there are two.
    """

    width: int
    height: int
    things: Mapping[tuple[int, int], str]
    agent: tuple[int, int]
    above: frozenset[tuple[int, int]] = frozenset()
    beside: frozenset[tuple[int, int]] = frozenset()
    solid: frozenset[tuple[int, int]] = frozenset()
    paved: frozenset[tuple[int, int]] = frozenset()
    second: tuple[int, int] | None = None

    def has_wall_above(self, x: int, y: int) -> bool:
        """Return whether a wall is on the upper side of a cell; row -1 is below the picture."""
        return 0 <= x < self.width and (y in (-1, self.height - 1) or (x, y) in self.above)

    def has_wall_beside(self, x: int, y: int) -> bool:
        """Return whether a wall is on the right side of a cell; column -1 is left of the picture."""
        return 0 <= y < self.height and (x in (-1, self.width - 1) or (x, y) in self.beside)


def write(scene: Scene) -> str:
    """Return the scene as text, a character a cell and `@` for the agent; walls take lines of their own.

    Example:
        >>> print(write(Scene(3, 1, {(2, 0): "goal"}, (0, 0), beside=frozenset({(1, 0)}))))
        ┌───┬─┐
        │@ .│G│
        └───┴─┘
    """
    # Gaps between two columns or rows of cells get a column or line only where there is a wall in them.
    columns = [
        x for x in range(-1, scene.width) if any(scene.has_wall_beside(x, y) for y in range(scene.height))
    ]
    rows = [y for y in range(-1, scene.height) if any(scene.has_wall_above(x, y) for x in range(scene.width))]
    lines = []
    for y in reversed(range(-1, scene.height)):
        if y in rows:
            lines.append("".join(_wall_line(scene, y, columns)))
        if y >= 0:
            lines.append("".join(_cell_line(scene, y, columns)))
    return "\n".join(lines)


def _cell_line(scene: Scene, y: int, columns: list[int]) -> list[str]:
    parts = []
    for x in range(-1, scene.width):
        if x >= 0:
            parts.append(_character(scene, (x, y)))
        if x in columns:
            parts.append("│" if scene.has_wall_beside(x, y) else " ")
        elif x >= 0:
            parts.append(" ")
    return parts


def _character(scene: Scene, cell: tuple[int, int]) -> str:
    if cell == scene.agent:
        return "@" if cell != scene.second else "%"
    if cell == scene.second:
        return "&"
    ground = ":" if cell in scene.paved else "."
    return "#" if cell in scene.solid else SYMBOLS.get(scene.things.get(cell, ""), ground)


def _wall_line(scene: Scene, y: int, columns: list[int]) -> list[str]:
    parts = []
    for x in range(-1, scene.width):
        if x >= 0:
            parts.append("─" if scene.has_wall_above(x, y) else " ")
        if x in columns:
            up, down = scene.has_wall_beside(x, y + 1), scene.has_wall_beside(x, y)
            left, right = scene.has_wall_above(x, y), scene.has_wall_above(x + 1, y)
            parts.append(JOINTS[up + 2 * right + 4 * down + 8 * left])
        elif x >= 0:
            parts.append("─" if scene.has_wall_above(x, y) and scene.has_wall_above(x + 1, y) else " ")
    return parts


def paint(scene: Scene, scale: int = 3) -> Image:
    """Return the scene as `[height, width, 3]` uint8, each pixel of the art `scale` pixels wide and high."""
    image = np.empty((scene.height * CELL + 2, scene.width * CELL + 2, 3), np.uint8)
    for y in range(scene.height):
        for x in range(scene.width):
            top, left = (scene.height - 1 - y) * CELL + 1, x * CELL + 1
            cell = image[top : top + CELL, left : left + CELL]
            cell[:] = WALL if (x, y) in scene.solid else FLOOR[(x + y) % 2]
            if (x, y) in scene.paved:
                _lay_bricks(cell, BRICKS[(x + y) % 2])
            if (x, y) == scene.agent:
                cell[1:-1, 1:-1] = GROUND_OF_AGENT
            if (x, y) == scene.second:
                cell[CELL // 2 if (x, y) == scene.agent else 1 : -1, 1:-1] = GROUND_OF_SECOND
            has_agent = (x, y) in (scene.agent, scene.second)
            name = "agent" if has_agent else scene.things.get((x, y))
            if name is not None:
                colours, is_there = _icon(name)
                place = cell[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
                place[is_there] = colours[is_there]
    for y in range(-1, scene.height):
        for x in range(-1, scene.width):
            top, left = (scene.height - 1 - y) * CELL, x * CELL
            if scene.has_wall_above(x, y):
                image[top : top + 2, left : left + CELL + 2] = WALL
            if scene.has_wall_beside(x, y):
                image[top : top + CELL + 2, left + CELL : left + CELL + 2] = WALL
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _lay_bricks(cell: Image, colour: tuple[int, int, int]) -> None:
    """Paint courses of bricks three pixels high, each half a brick off the one below."""
    cell[:] = colour
    cell[3::4] = MORTAR
    for course in range(3):
        cell[4 * course : 4 * course + 3, (2 if course % 2 else 5) :: 6] = MORTAR


@cache
def _icon(name: str) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Return the colours of an icon `[8, 8, 3]` and where it is not see-through `[8, 8]`."""
    rows = ICONS[name].split()
    colours = np.array([[COLOURS.get(letter, (0, 0, 0)) for letter in row] for row in rows], np.uint8)
    return colours, np.array([[letter != "." for letter in row] for row in rows])
