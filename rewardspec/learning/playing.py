"""What brings an episode back: the seed of its reset and its actions, kept as numbers beside a step's features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardspec.learning.trajectories import Segments, TrajectoryStore

Floats = npt.NDArray[np.float32]

HALF = 1 << 16
"""A seed is two numbers below this: float32 holds these exactly, and not a seed of 32 bits."""

SEED = 2
"""Columns of the seed; those of the action come after them."""


@dataclass(frozen=True)
class Recipe:
    """How an episode is played again, up to the end of a segment.

    Attributes:
        seed: Seed of the environment's reset.
        actions: `[n, A]` actions from the first step on, flat.
    """

    seed: int
    actions: Floats


def pack(seeds: Sequence[int | None], actions: npt.ArrayLike) -> Floats:
    """Return `[B, 2 + A]` what brings the step of each of B environments back.

    Args:
        seeds: Seed of the episode of each; None where it had none of its own.
        actions: `[B, ...]` what each environment was given.

    Example:
        >>> pack([70_000, None], [1, 0]).tolist()
        [[1.0, 4464.0, 1.0], [-1.0, 0.0, 0.0]]
    """
    halves = [
        divmod(seed, HALF) if seed is not None and 0 <= seed < HALF * HALF else (-1, 0) for seed in seeds
    ]
    flat = np.asarray(actions, np.float32).reshape(len(seeds), -1)
    return np.concatenate([np.array(halves, np.float32).reshape(len(seeds), SEED), flat], axis=1)


def is_playable(store: TrajectoryStore, segments: Segments, columns: slice) -> npt.NDArray[np.bool_]:
    """Return `[N]` whether the store has all that plays a segment's episode again, from its first step.

    Args:
        store: What holds the numbers of `pack`.
        segments: N segments of it.
        columns: Where in its features they stand.
    """
    first = _begin(store, segments) - segments.starts
    oldest = store.written - len(store) // store.features.shape[1]
    seeded = store.features[segments.rows[:, 0], segments.envs, columns.start] >= 0
    whole: npt.NDArray[np.bool_] = (first >= oldest) & seeded
    return whole


def recipes(store: TrajectoryStore, segments: Segments, columns: slice) -> list[Recipe]:
    """Return how each segment is played again; all of them `is_playable`."""
    begins, length = _begin(store, segments), segments.rows.shape[1]
    found = []
    for begin, start, env in zip(begins, segments.starts, segments.envs, strict=True):
        rows = np.arange(begin - start, begin + length) % len(store.features)
        played = store.features[rows, env, columns]
        found.append(Recipe(int(played[0, 0]) * HALF + int(played[0, 1]), played[:, SEED:].copy()))
    return found


def _begin(store: TrajectoryStore, segments: Segments) -> npt.NDArray[np.int64]:
    """Return `[N]` which of all steps that were ever written a segment begins with."""
    last = store.written - 1
    begin: npt.NDArray[np.int64] = last - (last - segments.rows[:, 0]) % len(store.features)
    return begin
