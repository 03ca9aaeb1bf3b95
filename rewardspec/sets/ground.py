"""Ground sets: cells of a grid as items, points as cells, and what lies near a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

MAX_CELLS = 1_000_000
"""Cells of a grid: a memory that has a number for each is kept for every environment."""

Metric = Literal["square", "diamond", "disc"]
"""How far apart two cells are: by the larger difference of coordinates, by their sum, or as the crow flies."""


@dataclass(frozen=True)
class Grid:
    """Cells of equal size in a box, counted by rows: the last coordinate runs fastest.

    Attributes:
        counts: Cells along each axis.
        low: Where the first cell begins, per axis; 0 when not given.
        cell: Length of a cell along each axis; 1 when not given.

    Example:
        >>> grid = Grid((2, 3), low=(-1.0, 0.0), cell=(1.0, 0.5))
        >>> grid.find(np.array([[-0.5, 0.7], [0.0, 1.49], [5.0, 0.0]]))
        array([ 1,  5, -1])
    """

    counts: tuple[int, ...]
    low: tuple[float, ...] = ()
    cell: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Fill in what is not given.

        Raises:
            ValueError: When the axes do not fit each other, or there are too many cells.
        """
        axes = len(self.counts)
        object.__setattr__(self, "low", tuple(map(float, self.low)) or (0.0,) * axes)
        object.__setattr__(self, "cell", tuple(map(float, self.cell)) or (1.0,) * axes)
        if not axes or len(self.low) != axes or len(self.cell) != axes:
            raise ValueError(f"a grid of {axes} axes has as many lower bounds and cell lengths")
        if any(count < 1 for count in self.counts) or self.size > MAX_CELLS:
            raise ValueError(
                f"a grid has 1 to {MAX_CELLS:,} cells, not {' x '.join(map(str, self.counts))}: choose larger cells"
            )
        if not all(math.isfinite(low) and 0 < cell < math.inf for low, cell in zip(self.low, self.cell)):  # noqa: B905
            raise ValueError("lower bounds are finite and cells have a length above 0")

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.counts)

    def find(self, points: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the cells of points `[..., axes]`; -1 beyond the grid."""
        index = np.floor((np.asarray(points, np.float64) - self.low) / self.cell)
        is_inside = ((index >= 0) & (index < self.counts)).all(axis=-1)
        strides = np.cumprod([1, *self.counts[:0:-1]])[::-1]
        found: npt.NDArray[np.int64] = np.where(is_inside, index @ strides, -1).astype(np.int64)
        return found

    def indices(self) -> npt.NDArray[np.int64]:
        """Return every cell's whole-number coordinates, `[cells, axes]`."""
        return np.stack(np.unravel_index(np.arange(self.size), self.counts), axis=1).astype(np.int64)

    def centres(self) -> npt.NDArray[np.float64]:
        """Return every cell's middle, `[cells, axes]`."""
        middle: npt.NDArray[np.float64] = np.array(self.low) + (self.indices() + 0.5) * np.array(self.cell)
        return middle

    def near(self, radius: float, metric: Metric = "square") -> list[list[int]]:
        """Return per cell the cells that are no farther than `radius` cells, itself included.

        Example:
            >>> Grid((3, 3)).near(1, "diamond")[0]
            [0, 1, 3]
        """
        reach = math.floor(radius)
        axes = len(self.counts)
        offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * axes, indexing="ij"), -1).reshape(
            -1, axes
        )
        if metric == "diamond":
            offsets = offsets[np.abs(offsets).sum(axis=1) <= radius]
        elif metric == "disc":
            offsets = offsets[(offsets**2).sum(axis=1) <= radius**2]
        return self.block(offsets)

    def block(self, offsets: npt.ArrayLike | Sequence[Sequence[int]]) -> list[list[int]]:
        """Return per cell the cells at the offsets from it `[k, axes]` that lie in the grid, in ascending order."""
        reached = self.indices()[:, None, :] + np.asarray(offsets)[None, :, :]
        is_inside = ((reached >= 0) & (reached < self.counts)).all(axis=-1)
        strides = np.cumprod([1, *self.counts[:0:-1]])[::-1]
        numbers = reached @ strides
        return [sorted(row[inside].tolist()) for row, inside in zip(numbers, is_inside, strict=True)]


def around(edges: Sequence[Sequence[int]], radius: int) -> list[list[int]]:
    """Return per node of a graph the nodes that are at most `radius` edges away, itself included.

    Example:
        >>> around([[1], [0, 2], [1, 3], [2]], 2)
        [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3]]
    """
    found = []
    for start in range(len(edges)):
        seen = rim = {start}
        for _ in range(radius):
            rim = {node for at in rim for node in edges[at]} - seen
            seen = seen | rim
        found.append(sorted(seen))
    return found
