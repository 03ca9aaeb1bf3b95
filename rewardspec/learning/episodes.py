"""Whole episodes with their returns: what return decomposition learns from."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardspec.learning.trajectories import TrajectoryStore

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Episodes:
    """E whole episodes, their steps one after another.

    Several agents that share a return are one episode: its steps are those of all agents.

    Attributes:
        inputs: `[S, D]` what a model sees of each step.
        starts: `[E]` first step of each.
        lengths: `[E]` number of steps, at least 1.
        returns: `[E]` sum of the target over the episode.
    """

    inputs: Floats
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """Return E."""
        return len(self.starts)

    def only(self, which: npt.NDArray[np.int64]) -> Episodes:
        """Return some of them; they share the steps."""
        return Episodes(self.inputs, self.starts[which], self.lengths[which], self.returns[which])

    def parts(self, held_out: float) -> tuple[Episodes, Episodes]:
        """Return those that are fitted and those that only judge.

        Which is which follows from what they hold, so that an episode that comes again at a later refresh is not
        fitted in one and judged in the other.
        """
        digests = np.array(
            [
                zlib.crc32(self.inputs[start : start + length].tobytes())
                for start, length in zip(self.starts, self.lengths, strict=True)
            ],
            np.int64,
        )
        order = np.argsort(digests, kind="stable")
        number = int(len(self) * held_out)
        return self.only(np.sort(order[number:])), self.only(np.sort(order[:number]))


def episodes_of(inputs: npt.ArrayLike, target: npt.ArrayLike, lengths: npt.ArrayLike) -> Episodes:
    """Return episodes from their steps one after another.

    Args:
        inputs: `[S, D]`.
        target: `[S]` what adds up to the returns.
        lengths: `[E]` steps of each, together S.

    Example:
        >>> episodes_of([[0.0], [1.0], [2.0]], [1.0, 1.0, 5.0], [2, 1]).returns
        array([2., 5.])
    """
    lengths = np.asarray(lengths, np.int64)
    starts = np.cumsum(lengths) - lengths
    returns = np.add.reduceat(np.asarray(target, np.float64), starts) if len(lengths) else np.zeros(0)
    return Episodes(np.asarray(inputs, np.float32), starts, lengths, returns)


def whole_episodes(store: TrajectoryStore, inputs: slice, target: int, team: int = 1) -> Episodes:
    """Return the episodes of which a store has every step, from the first to the one that ended it.

    Args:
        store: The stored steps.
        inputs: Columns of what a model sees.
        target: Column of what adds up to the returns.
        team: Environments, side by side, that share a return and begin and end together: agents of one world. An
            episode has the steps of all of them then.
    """
    width = inputs.stop - inputs.start
    kept = store.kept_rows()
    if not len(kept):
        return episodes_of(np.zeros((0, width)), [], [])
    episodes, steps = store.episodes[kept], store.steps[kept]
    rows: list[npt.NDArray[np.int64]] = []
    lengths: list[int] = []
    for env in range(0, episodes.shape[1], team):
        begins = np.flatnonzero(steps[:, env] == 0)
        ends = np.append(begins[1:], len(kept))
        for begin, end in zip(begins, ends, strict=True):
            # The last one is whole when its environment has gone on to another episode.
            if end < len(kept) or store.has_ended(env, int(episodes[begin, env])):
                of_team = np.arange(env, env + team)[:, None]
                rows.append((kept[begin:end] * episodes.shape[1] + of_team).ravel())
                lengths.append(int(end - begin) * team)
    places = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    steps_of_all = store.features[places // episodes.shape[1], places % episodes.shape[1]]
    return episodes_of(steps_of_all[:, inputs], steps_of_all[:, target], lengths)
