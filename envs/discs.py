"""Pictures of worlds that are made of discs in a square: RGB arrays and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "green": (46, 160, 67),
    "blue": (39, 96, 214),
    "yellow": (240, 200, 30),
    "cyan": (30, 190, 200),
    "magenta": (200, 60, 190),
    "orange": (242, 140, 40),
    "aqua": (60, 210, 200),
    "black": (25, 25, 25),
}
"""Name -> red, green, blue, 0 to 255."""

PAPER = (250, 250, 247)


@dataclass(frozen=True)
class Disc:
    """A disc or a ring.

    Attributes:
        x: Centre, in the world's own unit.
        y: Centre; upwards.
        radius: In the world's own unit.
        colour: A key of `COLOURS`.
        letter: What stands for it in text.
        opacity: 1 hides what is below.
        is_ring: Whether only its rim is drawn.
    """

    x: float
    y: float
    radius: float
    colour: str
    letter: str
    opacity: float = 1.0
    is_ring: bool = False


def draw_picture(discs: Sequence[Disc], low: float, high: float, size: int = 400) -> npt.NDArray[np.uint8]:
    """Return the square from (`low`, `low`) to (`high`, `high`) with the discs on it, later ones on top.

    Returns:
        `[size, size, 3]` uint8; the first row is the top.

    Example:
        >>> picture = draw_picture([Disc(0, 0, 1, "red", "r")], -2, 2, size=40)
        >>> picture.shape, picture[20, 20].tolist(), picture[0, 0].tolist()
        ((40, 40, 3), [214, 48, 49], [250, 250, 247])
    """
    picture = np.full((size, size, 3), PAPER, np.float64)
    scale = size / (high - low)
    across = np.arange(size) + 0.5
    for disc in discs:
        x, y, radius = (disc.x - low) * scale, size - (disc.y - low) * scale, disc.radius * scale
        distance = np.hypot(across - x, across[:, None] - y)
        cover = np.clip(radius - distance + 0.5, 0.0, 1.0)  # half-covered pixels smooth the rim
        if disc.is_ring:
            cover -= np.clip(radius - max(2.0, radius / 4) - distance + 0.5, 0.0, 1.0)
        cover = (cover * disc.opacity)[:, :, None]
        picture += cover * (np.array(COLOURS[disc.colour], np.float64) - picture)
    return np.rint(picture).astype(np.uint8)


def draw_text(discs: Sequence[Disc], low: float, high: float, rows: int = 20) -> str:
    """Return the square as text, each disc by its letter, later ones on top; two characters a row's height.

    Example:
        >>> print(draw_text([Disc(0.1, 0.1, 0.9, "red", "r"), Disc(-1.5, -1.5, 0.1, "black", "@")], -2, 2, rows=4))
        +--------+
        |        |
        |   rrr  |
        |   rrr  |
        | @      |
        +--------+
    """
    columns = 2 * rows
    x = low + (np.arange(columns) + 0.5) * (high - low) / columns
    y = high - (np.arange(rows) + 0.5) * (high - low) / rows
    field = np.full((rows, columns), " ")
    for disc in discs:
        field[np.hypot(x - disc.x, y[:, None] - disc.y) <= disc.radius] = disc.letter
        row = min(max(int((high - disc.y) / (high - low) * rows), 0), rows - 1)
        column = min(max(int((disc.x - low) / (high - low) * columns), 0), columns - 1)
        field[row, column] = disc.letter  # however small it is
    edge = "+" + "-" * columns + "+"
    return "\n".join([edge, *("|" + "".join(line) + "|" for line in field), edge])
