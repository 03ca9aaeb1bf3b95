"""Learning curves of many runs, brought to one grid: their mean, its interval, and when it reaches a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.estimates import LEVEL, Floats
from benchmarks.experiment import Point
from benchmarks.summary import Group

POINTS = 60
"""Points of the grid."""

RESAMPLES = 500


@dataclass(frozen=True)
class Band:
    """The curves of one method on one task.

    Attributes:
        x: `[P]` the grid.
        mean: `[P]` mean over the runs.
        low: `[P]` lower end of its pointwise 95 % interval (bootstrap over runs); the mean itself for a single run.
        high: `[P]` upper end.
        best: `[P]` the run with the highest score.
        worst: `[P]` the run with the lowest score.
        seconds: CPU seconds of a run, in the mean, so that x can be told in time.
    """

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    best: Floats
    worst: Floats
    seconds: float

    def reaches(self, level: float) -> float | None:
        """Return the x at which the mean is at a level for the first time; None for never.

        Example:
            >>> x = np.array([0.0, 1.0, 2.0])
            >>> Band(x, x, x, x, x, x, 1.0).reaches(1.5)
            2.0
        """
        there = np.flatnonzero(self.mean >= level - 1e-9)
        return float(self.x[there[0]]) if len(there) else None


def band(group: Group, most: float | None = None) -> Band | None:
    """Return a group's curves; None where its runs have none.

    Args:
        group: The runs.
        most: Where the grid ends; where the group's longest curve does when not given.
    """
    runs = [run for run in group.runs if len(run.curve) > 1]
    if not runs:
        return None
    first = min(run.curve[0][0] for run in runs)
    grid = np.linspace(first, most or max(run.curve[-1][0] for run in runs), POINTS)
    brought = {id(run): _brought(run.curve, grid) for run in runs}
    curves = np.stack(list(brought.values()))
    rng = np.random.default_rng(0)
    drawn = curves[rng.integers(len(curves), size=(RESAMPLES, len(curves)))].mean(axis=1)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    best, worst = (pick(runs, key=lambda run: run.score) for pick in (max, min))
    return Band(grid, curves.mean(axis=0), low, high, brought[id(best)], brought[id(worst)], group.cpu_s)


def _brought(curve: Sequence[Point], grid: Floats) -> Floats:
    points = np.array(curve, float)
    return np.interp(grid, points[:, 0], points[:, 1])
