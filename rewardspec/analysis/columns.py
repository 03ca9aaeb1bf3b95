"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

WIDEST = 48
"""Characters of a cell beyond which the column is not made wider for it."""


def align(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    r"""Return rows as lines with their columns under each other.

    Args:
        rows: Cells; every row has as many.
        right: Columns whose cells stand at the right.

    Example:
        >>> print(*align([("step", "paid"), ("0", "-0.5"), ("12", "1")], right=(0, 1)), sep="\n")
        step  paid
           0  -0.5
          12     1
    """
    if not rows:
        return []
    widths = [
        max((len(cell) for cell in column if len(cell) <= WIDEST), default=0)
        for column in zip(*rows, strict=True)
    ]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
