"""FieldWorld: an open field, or two rooms and a corridor; what a visit is worth is a spec's to say.

Source: the grids of Prajapat et al., "Submodular Reinforcement Learning" (ICLR 2024), by their released code: the
moves, the start of every task, and the two rooms. What is paid there, the gain of a set function, is a term of the kind
`submodular` here (`examples/specs/field_*.yaml`).
"""

from __future__ import annotations

from typing import Literal, get_args

from envs.grid import NOTHING, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

Layout = Literal["open", "rooms"]

MOVES: tuple[tuple[int, int], ...] = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
"""Action -> change of (row, column): stay, right, down, left, up."""

START = 34
"""Number of the cell, by rows, in which the released tasks begin, whatever their size."""

LARGEST = 1000
"""Rows, and columns, at most."""


class FieldWorld(GridWorld):
    """A field of cells to be walked over; it pays nothing, says no labels and never ends.

    Actions: 0 stay, 1 right, 2 down, 3 left, 4 up; a move out of the field stays. Observation: (row, column) as
    `Box` `[2]`, from (0, 0) at the upper left; or with `observe="index"` the number of the cell, by rows.

    `layout="rooms"` keeps two rooms of four columns, at the left and the right end, and between them a corridor two
    rows wide: of 7 x 14 cells, 68.

    Example:
        >>> env = FieldWorld(3, 4, start=(1, 0), render_mode="ansi")
        >>> env.reset(seed=0)[0], env.step(1)[0], env.step(2)[0], env.step(2)[0]
        (array([1, 0], dtype=uint8), array([1, 1], dtype=uint8), array([2, 1], dtype=uint8),
         array([2, 1], dtype=uint8))
        >>> print(env.render())
        ┌───────┐
        │. . . .│
        │. . . .│
        │. @ . .│
        └───────┘
    """

    def __init__(
        self,
        rows: int = 30,
        columns: int = 30,
        *,
        layout: Layout = "open",
        start: tuple[int, int] | None = None,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            rows: Rows of cells.
            columns: Columns of cells.
            layout: `open`, or `rooms`.
            start: (row, column) in which an episode begins; cell 34 by rows when not given, as in the released
                tasks, or the first cell of a field that has none.
            observe: See `GridWorld`.
            slip: See `GridWorld`.
            render_mode: See `GridWorld`.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        for name, value in (("rows", rows), ("columns", columns)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
                raise ValueError(f"{name} is a whole number from 1 to {LARGEST}, not {value!r}")
        if layout not in get_args(Layout):
            raise ValueError(f"layout is 'open' or 'rooms', not {layout!r}")
        self.rows, self.columns, self.layout = rows, columns, layout
        self.free = frozenset((r, c) for r in range(rows) for c in range(columns) if self._is_free(r, c))
        first = divmod(START, columns) if rows * columns > START else (0, 0)
        begin = first if start is None else (int(start[0]), int(start[1]))
        if begin not in self.free:
            raise ValueError(f"an episode cannot begin in {begin}: the field has no such cell")
        super().__init__(
            [begin], (rows - 1, columns - 1), len(MOVES), observe=observe, slip=slip, render_mode=render_mode
        )

    def _is_free(self, row: int, column: int) -> bool:
        if self.layout == "open":
            return True
        middle = (self.rows - 1) // 2
        return column < 4 or column >= self.columns - 4 or row in (middle - 1, middle)

    def rules(self, state: State, action: int) -> Effect:
        """Return the cell that a move leads to."""
        row, column = state[0] + MOVES[action][0], state[1] + MOVES[action][1]
        return ((row, column) if (row, column) in self.free else state), NOTHING, 0.0, False

    def scene(self) -> Scene:
        """Return the field, row 0 above."""

        def place(row: int, column: int) -> tuple[int, int]:
            return column, self.rows - 1 - row

        cells = {(r, c) for r in range(self.rows) for c in range(self.columns)}
        solid = frozenset(place(*cell) for cell in cells - self.free)
        return Scene(self.columns, self.rows, {}, place(self.state[0], self.state[1]), solid=solid)
