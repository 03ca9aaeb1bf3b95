"""Numbers of a set function's description: an array that is read only, compares and hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class Table:
    """A read-only array that is equal to another by its numbers.

    Attributes:
        array: The numbers.

    Example:
        >>> Table([[1, 2], [3, 4]]) == Table(np.array([[1, 2], [3, 4]]))
        True
        >>> Table([0.5, 0.25])
        Table([0.5, 0.25])
    """

    __slots__ = ("array",)
    array: npt.NDArray[Any]

    def __init__(self, numbers: npt.ArrayLike) -> None:
        """Copy the numbers: whole ones as int64, truth values as they are, others as float64."""
        given = np.asarray(numbers)
        kind = (
            given.dtype if given.dtype == np.bool_ else np.int64 if given.dtype.kind in "iu" else np.float64
        )
        array: npt.NDArray[Any] = np.array(given, dtype=kind, order="C")
        array.setflags(write=False)
        object.__setattr__(self, "array", array)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Table does not change")

    def __reduce__(self) -> tuple[type, tuple[npt.NDArray[Any]]]:
        return Table, (self.array,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.array.dtype == other.array.dtype and np.array_equal(self.array, other.array)

    def __hash__(self) -> int:
        return hash((self.array.shape, self.array.tobytes()))

    def __repr__(self) -> str:
        if self.array.size <= 16:
            return f"Table({self.array.tolist()})"
        digest = hashlib.sha256(self.array.tobytes()).hexdigest()[:16]
        sides = "x".join(map(str, self.array.shape))
        return f"Table({sides} {self.array.dtype}, sha256 {digest})"


def padded(rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Return lists of whole numbers as one array `[rows, longest]`, shorter ones filled up with -1.

    Example:
        >>> padded([[1, 2], [3]]).tolist()
        [[1, 2], [3, -1]]
    """
    longest = max((len(row) for row in rows), default=0)
    return np.array([[*row, *[-1] * (longest - len(row))] for row in rows], np.int64).reshape(
        len(rows), longest
    )
