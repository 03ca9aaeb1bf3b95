"""Set functions by their definitions, on Python sets: slow, and sharing nothing with what is tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def coverage(members: Sequence[Sequence[int]], weights: Sequence[float], items: Iterable[int]) -> float:
    return math.fsum(weights[cell] for cell in {c for i in items for c in members[i] if c >= 0})


def facility_location(service: Sequence[Sequence[float]], items: Iterable[int]) -> float:
    chosen = set(items)
    return math.fsum(
        max((service[i][place] for i in chosen), default=0.0) for place in range(len(service[0]))
    )


def saturated_sum(amounts: Sequence[Sequence[float]], caps: Sequence[float], items: Iterable[int]) -> float:
    chosen = set(items)
    return math.fsum(min(cap, math.fsum(amounts[i][k] for i in chosen)) for k, cap in enumerate(caps))


def log_det(kernel: Sequence[Sequence[float]], noise: float, items: Iterable[int]) -> float:
    """logdet(I + K / noise) by Gaussian elimination with pivots."""
    chosen = sorted(set(items))
    rows = [[kernel[i][j] / noise + (i == j) for j in chosen] for i in chosen]
    total = 0.0
    for k in range(len(rows)):
        pivot = max(range(k, len(rows)), key=lambda r: abs(rows[r][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        total += math.log(abs(rows[k][k]))
        for r in range(k + 1, len(rows)):
            factor = rows[r][k] / rows[k][k]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[k], strict=True)]
    return total
