"""Capital letters as pixels, for pictures without a font."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

ROWS, COLUMNS = 7, 5

LETTERS: dict[str, str] = {
    "a": "0E 11 11 1F 11 11 11",
    "b": "1E 11 11 1E 11 11 1E",
    "c": "0E 11 10 10 10 11 0E",
    "d": "1E 11 11 11 11 11 1E",
    "e": "1F 10 10 1E 10 10 1F",
    "f": "1F 10 10 1E 10 10 10",
    "g": "0E 11 10 17 11 11 0E",
    "h": "11 11 11 1F 11 11 11",
    "i": "0E 04 04 04 04 04 0E",
    "j": "07 02 02 02 02 12 0C",
    "k": "11 12 14 18 14 12 11",
    "l": "10 10 10 10 10 10 1F",
    "m": "11 1B 15 15 11 11 11",
    "n": "11 19 15 13 11 11 11",
    "o": "0E 11 11 11 11 11 0E",
    "p": "1E 11 11 1E 10 10 10",
    "q": "0E 11 11 11 15 12 0D",
    "r": "1E 11 11 1E 14 12 11",
    "s": "0F 10 10 0E 01 01 1E",
    "t": "1F 04 04 04 04 04 04",
    "u": "11 11 11 11 11 11 0E",
    "v": "11 11 11 11 11 0A 04",
    "w": "11 11 11 15 15 15 0A",
    "x": "11 11 0A 04 0A 11 11",
    "y": "11 11 11 0A 04 04 04",
    "z": "1F 01 02 04 08 10 1F",
}
"""Letter -> its rows from the top, five bits each, the left pixel first."""


@cache
def pixels(letter: str) -> npt.NDArray[np.bool_]:
    r"""Return where the capital of a letter from a to z has ink: `[7, 5]` bool. Read-only, kept.

    Example:
        >>> print("\n".join("".join(".#"[ink] for ink in row) for row in pixels("a").astype(int)))
        .###.
        #...#
        #...#
        #####
        #...#
        #...#
        #...#
    """
    rows = np.array([int(row, 16) for row in LETTERS[letter].split()])
    ink = (rows[:, None] >> np.arange(COLUMNS - 1, -1, -1) & 1).astype(np.bool_)
    ink.setflags(write=False)
    return ink
