"""How times are taken: CPU time of one thread, short blocks in shuffled order, ratios within a round.

On a shared machine a wall clock says how busy the others are, and even CPU time drifts by tens of per cent with the
clock rate and the caches. What stays is the ratio of two blocks that ran within milliseconds of each other: so every
round runs a block of every case, in an order drawn anew, a figure is taken per round, and the median over the
rounds is reported with its quartiles.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Block = Callable[[int], None]
"""Does the case's work n times."""

Unit = Literal["x", "ns", "ms", "%", "GB/s", "G/s", "M/s"]
"""`G/s` and `M/s` count environment steps."""

Times = dict[str, list[float]]
"""Per case, per round: nanoseconds of CPU time for doing it once."""


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        rounds: Number of rounds.
        block: Seconds that a block takes.
        quick: Whether this only tries that everything runs; figures are then rough.
    """

    rounds: int = 120
    block: float = 0.004
    quick: bool = False


QUICK = Settings(rounds=5, block=0.0005, quick=True)


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        what: What was measured, for a reader who has not seen the code.
        unit: `x` for ratios, else a unit of time, share or rate.
        median: Median over the rounds.
        low: First quartile.
        high: Third quartile.
        goal: What it should be, None where there is none.
        better: Whether `low` or `high` figures are better.
        code: Name of the goal in the project's list, as C1.
        why: Why a figure misses its goal, or is not there.
    """

    what: str
    unit: Unit
    median: float
    low: float
    high: float
    goal: float | None = None
    better: Literal["low", "high"] = "low"
    code: str = ""
    why: str = ""

    @staticmethod
    def of(
        what: str,
        unit: Unit,
        values: Sequence[float],
        goal: float | None = None,
        better: Literal["low", "high"] = "low",
        code: str = "",
        why: str = "",
    ) -> Result:
        """Return the result of one figure per round."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        made = Result(what, unit, median, low, high, goal, better, code, why)
        return replace(made, why="") if made.met else made

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None where there is none."""
        if self.goal is None:
            return None
        return self.median <= self.goal if self.better == "low" else self.median >= self.goal


def absent(code: str, what: str, why: str) -> Result:
    """Return a line for a goal that cannot be measured here."""
    return Result(what, "x", math.nan, math.nan, math.nan, None, "high", code, why)


def take_times(cases: Mapping[str, Block], settings: Settings, seed: int = 0) -> Times:
    """Return the time of every case in every round."""
    counts = {name: _count(block, settings.block) for name, block in cases.items()}
    times: Times = {name: [] for name in cases}
    order, shuffle = list(cases), random.Random(seed).shuffle
    for _ in range(settings.rounds):
        shuffle(order)
        for name in order:
            times[name].append(_time(cases[name], counts[name]))
    return times


def _count(block: Block, seconds: float) -> int:
    """Return how often a block must do its work to last that long; warms it up on the way."""
    count = 1
    while (taken := _time(block, count) * count / 1e9) < seconds / 2:
        count *= 2 if taken > seconds / 10 else 8
    return max(1, round(count * seconds / taken))


def _time(block: Block, count: int) -> float:
    start = time.thread_time_ns()
    block(count)
    return (time.thread_time_ns() - start) / count


def added(times: Times, case: str, without: str) -> list[float]:
    """Return what a case takes more than another, per round."""
    return [a - b for a, b in zip(times[case], times[without], strict=True)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of two figures, per round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def quiet_ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return ratios to a small difference: rounds in which noise has swallowed it do not count."""
    floor = statistics.median(below) / 3
    return [a / b for a, b in zip(above, below, strict=True) if b > floor]
