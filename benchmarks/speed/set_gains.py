"""Marginal gains of many trajectories at once, over Python loops that take one trajectory after the other.

The first loop works the value of every prefix out anew, which is how the released code of submodular reinforcement
learning goes about it (our own words of it: that code is not run here). The last is what one would write who minds the
time: a Python set of what was covered, asked cell by cell; of a Gaussian process, one linear system a step. Between
them, for the process: prefixes anew, but in NumPy and without the repeated rows that the released code keeps.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.speed.method import Block, Result, Settings, ratios, take_times
from rewardspec.sets.coverage import Coverage
from rewardspec.sets.family import Sets
from rewardspec.sets.ground import Grid
from rewardspec.sets.information import LogDet, information
from rewardspec.sets.processes import covariance

BATCH = 500
"""Trajectories, as the released settings have them in an update."""

SWINGS = (
    "it swings with the load, for ours lives on the caches: 108 x and 81 x in two runs, at loads of 9 and 25"
)

Loop = Callable[[Any, list[int]], list[float]]
"""(function, a walk) -> its gains."""

BLOCK = ((0, 0), (0, 1), (1, 0), (1, 1))


def measure(settings: Settings) -> list[Result]:
    """Return how many times as fast gains are, on one thread."""
    batch = 20 if settings.quick else BATCH
    rng, grid = np.random.default_rng(0), Grid((30, 30))
    covering = Coverage(grid.block(BLOCK), rng.uniform(0, 1, grid.size))
    telling = information(covariance(grid.centres(), lengthscale=10.0), 1e-3, most=40)
    results = []
    for what, function, steps, loops in (
        (
            "coverage of a grid, 80 steps",
            covering,
            80,
            {"every prefix anew": prefix_coverage, "a set that grows": growing_coverage},
        ),
        (
            "information of a process, 40 steps",
            telling,
            40,
            {
                **released(telling),
                "every prefix anew, each cell once, NumPy": prefix_information,
                "a set that grows": growing_information,
            },
        ),
    ):
        walks = np.array([walk(grid, steps, rng) for _ in range(batch)])
        check(function, walks, loops)
        # A loop takes a few of the trajectories: a block must stay short. Times are of one trajectory.
        few = walks[: 2 if settings.quick else 5]
        cases: dict[str, Block] = {name: one_by_one(loop, function, few) for name, loop in loops.items()}
        cases["NumPy"] = together(Sets(function, in_place=True), walks)
        if has_torch():
            import torch

            torch.set_num_threads(1)
            sets = Sets(function, "torch", in_place=True)
            cases["torch on the CPU"] = together(sets, torch.from_numpy(walks))
        times = {
            name: [t / (len(few) if name in loops else batch) for t in taken]
            for name, taken in take_times(cases, settings).items()
        }
        at = f"{what}, {batch} trajectories: "
        for i, name in enumerate(loops):
            goal = 100 if i == 0 else None
            why = SWINGS if what.startswith("coverage") and goal else ""
            share = ratios(times[name], times["NumPy"])
            results.append(Result.of(f"{at}{name} / ours", "x", share, goal, "high", why=why))
        results += [
            Result.of(f"{at}{name}, per step and trajectory", "ns", [t / steps for t in times[name]])
            for name in cases
            if name not in loops
        ]
    return results


def walk(grid: Grid, steps: int, rng: np.random.Generator) -> list[int]:
    """Return the cells of a random walk."""
    at, cells = np.array([1, 4]), []
    for _ in range(steps):
        cells.append(int(at[0] * grid.counts[1] + at[1]))
        at = np.clip(at + [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)][rng.integers(5)], 0, grid.counts[0] - 1)
    return cells


def gains_together(sets: Sets, walks: Any) -> list[Any]:
    """Return the gain of every step, `[T]` of `[B]`."""
    state, gains = sets.start(len(walks)), []
    for t in range(walks.shape[1]):
        gained, state = sets.advance(state, walks[:, t])
        gains.append(gained)
    return gains


def prefix_coverage(function: Coverage, walk: list[int]) -> list[float]:
    """Return gains as differences of the values of prefixes, each worked out from its first cell."""
    members, weights = function.members.array.tolist(), function.weights.array.tolist()
    values = [0.0]
    for t in range(1, len(walk) + 1):
        covered = {cell for at in walk[:t] for cell in members[at] if cell >= 0}
        values.append(sum(weights[cell] for cell in covered))
    return [after - before for before, after in pairwise(values)]


def growing_coverage(function: Coverage, walk: list[int]) -> list[float]:
    """Return gains by a set of covered cells that grows."""
    members, weights = function.members.array.tolist(), function.weights.array.tolist()
    covered: set[int] = set()
    gains = []
    for at in walk:
        new = [cell for cell in members[at] if cell >= 0 and cell not in covered]
        gains.append(sum(weights[cell] for cell in new))
        covered.update(new)
    return gains


def has_torch() -> bool:
    """Return whether torch is installed."""
    return importlib.util.find_spec("torch") is not None


def released(function: LogDet) -> dict[str, Loop]:
    """Return a loop of log-determinants over all visits so far, repeats included, as in the released code."""
    if not has_torch():
        return {}
    import torch

    kernel, noise = torch.tensor(function.kernel.array), function.noise

    def gains(function: LogDet, walk: list[int]) -> list[float]:
        visits, values = torch.tensor(walk), [torch.zeros(())]
        for t in range(1, len(walk) + 1):
            seen = visits[:t]
            told = torch.logdet(kernel[seen][:, seen] + noise * torch.eye(t)) - t * math.log(noise)
            values.append(function.scale * told)
        return [float(after - before) for before, after in pairwise(values)]

    return {"every prefix anew, as released": gains}


def prefix_information(function: LogDet, walk: list[int]) -> list[float]:
    """Return gains as differences of log-determinants, one for each prefix."""
    values = [0.0]
    for t in range(1, len(walk) + 1):
        items = sorted(set(walk[:t]))
        told = np.eye(len(items)) + function.kernel.array[np.ix_(items, items)] / function.noise
        values.append(function.scale * float(np.linalg.slogdet(told)[1]))
    return [after - before for before, after in pairwise(values)]


def growing_information(function: LogDet, walk: list[int]) -> list[float]:
    """Return gains by the variance that is left, a linear system a step."""
    kernel, items, gains = function.kernel.array, list[int](), list[float]()
    for at in walk:
        if at in items:
            gains.append(0.0)
            continue
        left = float(kernel[at, at])
        if items:
            shared = kernel[at, items]
            known = kernel[np.ix_(items, items)] + function.noise * np.eye(len(items))
            left -= float(shared @ np.linalg.solve(known, shared))
        gains.append(function.scale * float(np.log1p(max(left, 0.0) / function.noise)))
        items.append(at)
    return gains


def check(function: Any, walks: np.ndarray[Any, Any], loops: Mapping[str, Loop]) -> None:
    """Raise unless all give the same gains where no cell is visited twice: what is faster and wrong is not faster."""
    once = list(dict.fromkeys(walks[0].tolist()))
    ours = [float(gained[0]) for gained in gains_together(Sets(function), np.array([once]))]
    for name, loop in loops.items():
        if not np.allclose(loop(function, once), ours, atol=1e-6):
            raise AssertionError(f"{name} gives other gains")


def one_by_one(gains: Loop, function: Any, walks: np.ndarray[Any, Any]) -> Block:
    """Return a block that takes the trajectories one after the other, n times over."""
    listed = walks.tolist()

    def block(n: int) -> None:
        for _ in range(n):
            for each in listed:
                gains(function, each)

    return block


def together(sets: Sets, walks: Any) -> Block:
    """Return a block that takes all trajectories at once, n times over."""

    def block(n: int) -> None:
        for _ in range(n):
            gains_together(sets, walks)

    return block
