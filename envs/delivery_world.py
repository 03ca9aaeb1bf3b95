"""DeliveryWorld: drive a parcel over roads and bricks to the goal, past sheep, coins, roadblocks and houses.

Source: W. B. Knox, S. Hatgis-Kessell, S. Booth, S. Niekum, P. Stone, A. Allievi, "Models of Human Preference for
Learning Reward Functions", TMLR 2024 (arXiv 2206.02231): the board that its subjects saw, its reward, and the
distribution of its random boards. Where the published code is at odds with itself, as in paying coins on a terminal
step, this world keeps to the rules of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from envs.grid import MOVES, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

Board = tuple[tuple[int, ...], ...]
"""Codes by row and column, the upper row first."""

CODES: dict[int, tuple[str, str | None]] = {
    0: ("gas", None),
    1: ("gas", "goal"),
    2: ("gas", "house"),
    3: ("gas", "sheep"),
    4: ("gas", "coin"),
    5: ("gas", "roadblock"),
    6: ("brick", None),
    7: ("brick", "goal"),
    8: ("brick", "house"),
    9: ("brick", "sheep"),
    10: ("brick", "coin"),
    11: ("brick", "roadblock"),
}
"""Code of a cell -> what driving on it costs (`gas` on a road), and what is there."""

BOARD: Board = (
    (0, 0, 5, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 4, 0, 0, 0, 0, 6),
    (0, 0, 3, 0, 0, 0, 0, 6, 6, 6),
    (4, 0, 5, 0, 2, 3, 3, 6, 6, 0),
    (6, 6, 0, 0, 0, 0, 0, 0, 0, 0),
    (6, 0, 4, 0, 0, 0, 0, 0, 0, 0),
    (6, 2, 0, 3, 5, 2, 0, 0, 0, 0),
    (0, 4, 0, 0, 0, 0, 0, 10, 6, 6),
    (0, 0, 5, 0, 0, 0, 0, 6, 6, 7),
    (0, 0, 0, 0, 0, 0, 5, 0, 0, 4),
)
"""The board of the published study."""

WEIGHTS: dict[str, float] = {
    "gas": -1.0,
    "goal": 50.0,
    "sheep": -50.0,
    "coin": 1.0,
    "roadblock": -1.0,
    "brick": -2.0,
}
"""What each label is worth there."""

ENDS = ("goal", "sheep")

LARGEST = 256
"""Rows or columns of a board: positions are bytes."""


@dataclass(frozen=True)
class Delivery:
    """A board and what each label is worth on it."""

    board: Board
    weights: Mapping[str, float]


def draw_delivery(map_seed: int) -> Delivery:
    """Return a random board with random weights: 3 to 15 rows, 5 to 10 columns, one goal, no houses, no bricks.

    Shares of sheep, roadblocks and coins and their weights come from the lists of the published random tasks (see
    the module). The numbers drawn are our own: no published task is reproduced.

    Example:
        >>> drawn = draw_delivery(11)
        >>> drawn.board
        ((0, 5, 3, 0, 0), (0, 0, 0, 3, 3), (1, 4, 3, 0, 0))
        >>> drawn.weights["goal"]
        1.0
    """
    rng = np.random.default_rng(map_seed)
    rows, columns = int(rng.choice([3, 6, 10, 15])), int(rng.choice([5, 6, 10]))
    while True:
        shares = [rng.choice([0.0, 0.1, 0.3]), rng.choice([0.0, 0.1, 0.5, 0.8]), rng.choice([0.0, 0.1, 0.2])]
        if sum(shares) < 1:
            break
    counts = [int(share * rows * columns) for share in shares]
    cells = np.zeros(rows * columns, np.int64)
    goal, *places = rng.permutation(rows * columns)
    cells[goal] = 1
    for code, count in zip((3, 5, 4), counts, strict=True):
        cells[places[:count]], places = code, places[count:]
    weights = {
        "gas": -1.0,
        "goal": float(rng.choice([0, 1, 5, 10, 50])),
        "sheep": float(rng.choice([-5, -10, -50, -100])),
        "coin": 1.0,
        "roadblock": float(rng.choice([-2, -5, -10])),
        "brick": float(rng.choice([-1, -2, -3])),
    }
    board = tuple(tuple(int(code) for code in row) for row in cells.reshape(rows, columns))
    return Delivery(board, weights)


class DeliveryWorld(GridWorld):
    """A board of roads and bricks. The goal pays, a sheep that is run over costs as much, and both end the episode.

    Actions: 0 up, 1 right, 2 down, 3 left; a move against the border or a house stays. Observation: (x, y) as `Box`
    `[2]` uint8, from (0, 0) at the lower left. An episode starts in any cell that is neither house, goal nor sheep.

    The reward is the sum of the weights of the labels that hold on the step:

    | label | true on a step | weight |
    | --- | --- | --- |
    | `gas` | on the road | -1 |
    | `brick` | on bricks, in place of `gas` | -2 |
    | `goal` | into the goal, alone | 50 |
    | `sheep` | into a sheep, alone | -50 |
    | `coin` | into a coin's cell, with `gas` or `brick`; the coin stays | 1 |
    | `roadblock` | into a roadblock's cell, with `gas` or `brick` | -1 |

    A move that stays pays `gas` or `brick` alone, by the cell where the agent is.

    Example:
        >>> env = DeliveryWorld()
        >>> env.reset(options={"start": (8, 1)})
        (array([8, 1], dtype=uint8), {})
        >>> env.step(1)[1:3], env.labels()
        ((50.0, True), frozenset({'goal'}))
    """

    label_names = tuple(WEIGHTS)

    def __init__(
        self,
        map_seed: int | None = None,
        *,
        board: Sequence[Sequence[int]] | None = None,
        weights: Mapping[str, float] | None = None,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            map_seed: Which random board and weights (see `draw_delivery`); None for the published ones.
            board: Codes by row and column, the upper row first, in place of a seed's (see `CODES`).
            weights: Weights that differ from those of the seed or of the published board.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if map_seed is not None and (
            isinstance(map_seed, bool) or not isinstance(map_seed, int) or map_seed < 0
        ):
            raise ValueError(f"map_seed is a whole number, at least 0, or None, not {map_seed!r}")
        if map_seed is not None and board is not None:
            raise ValueError("map_seed and board exclude each other")
        made = Delivery(BOARD, WEIGHTS) if map_seed is None else draw_delivery(map_seed)
        self.board = made.board if board is None else _checked(board)
        unknown = sorted(set(weights or {}) - set(WEIGHTS))
        if unknown:
            raise ValueError(f"weights are of {', '.join(WEIGHTS)}, not of {unknown[0]!r}")
        self.weights: dict[str, float] = {**made.weights, **(weights or {})}
        height, width = len(self.board), len(self.board[0])
        self._ground: dict[tuple[int, int], str] = {}
        self._things: dict[tuple[int, int], str] = {}
        for row, codes in enumerate(self.board):
            for column, code in enumerate(codes):
                cell = (column, height - 1 - row)
                self._ground[cell], thing = CODES[code]
                if thing is not None:
                    self._things[cell] = thing
        starts = sorted(
            cell for cell in self._ground if self._things.get(cell) in (None, "coin", "roadblock")
        )
        if not starts:
            raise ValueError("the board has no cell in which an episode could start")
        super().__init__(
            starts, (width - 1, height - 1), 4, observe=observe, slip=slip, render_mode=render_mode
        )

    def rules(self, state: State, action: int) -> Effect:
        """Return the cell that a move leads to, what holds on the way, and what that is worth."""
        cell = (state[0] + MOVES[action][0], state[1] + MOVES[action][1])
        thing = self._things.get(cell)
        if cell not in self._ground or thing == "house":
            cell, thing = (state[0], state[1]), None
        if thing in ENDS:
            true = frozenset([thing])
        else:
            true = frozenset([self._ground[cell]] if thing is None else [self._ground[cell], thing])
        return cell, true, sum(self.weights[name] for name in true), thing in ENDS

    def scene(self) -> Scene:
        """Return the board."""
        x, y = self.state
        bricks = frozenset(cell for cell, ground in self._ground.items() if ground == "brick")
        width, height = len(self.board[0]), len(self.board)
        return Scene(width, height, self._things, (x, y), paved=bricks)


def _checked(board: Sequence[Sequence[int]]) -> Board:
    """Return a user's board, or say what is wrong with it."""
    rows = tuple(tuple(row) for row in board)
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise ValueError("a board has one row or more, all of the same length")
    if max(len(rows), len(rows[0])) > LARGEST:
        raise ValueError(f"a board has at most {LARGEST} rows and columns")
    for number, row in enumerate(rows):
        for code in row:
            if isinstance(code, bool) or not isinstance(code, int) or code not in CODES:
                raise ValueError(f"row {number} of the board holds {code!r}: codes are 0 to {max(CODES)}")
    return rows
