"""Values of set functions by their definitions, in plain Python: what the oracle pays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rewardspec.sets.coverage import Coverage, FacilityLocation
from rewardspec.sets.information import LogDet
from rewardspec.sets.saturating import SaturatedSum


def set_value(function: Any, items: Iterable[int]) -> float:
    """Return F of a set of items, from the function's numbers alone: none of its own methods is called.

    Raises:
        TypeError: When there is no such family.
    """
    chosen = sorted(set(items))
    match function:
        case Coverage(members=members, weights=weights):
            listed = members.array.tolist()
            covered = {cell for item in chosen for cell in listed[item] if cell >= 0}
            return math.fsum(float(weights.array[cell]) for cell in covered)
        case FacilityLocation(service=service):
            rows = service.array.tolist()
            places = range(len(rows[0]))
            return math.fsum(max((rows[item][place] for item in chosen), default=0.0) for place in places)
        case SaturatedSum(amounts=amounts, caps=caps):
            rows = amounts.array.tolist()
            return math.fsum(
                min(cap, math.fsum(rows[item][group] for item in chosen))
                for group, cap in enumerate(caps.array.tolist())
            )
        case LogDet(kernel=kernel, noise=noise, scale=scale, each=each):
            rows = kernel.array.tolist()
            told = [[rows[i][j] / noise + (i == j) for j in chosen] for i in chosen]
            return scale * _log_determinant(told) + each * len(chosen)
    raise TypeError(f"no set function: {function!r}")


def _log_determinant(rows: Sequence[Sequence[float]]) -> float:
    """Return the logarithm of the determinant of a positive definite matrix, by Gaussian elimination."""
    left, total = [list(row) for row in rows], 0.0
    for k, pivot in enumerate(left):
        total += math.log(pivot[k])
        for below in left[k + 1 :]:
            factor = below[k] / pivot[k]
            for j in range(k, len(pivot)):
                below[j] -= factor * pivot[j]
    return total
