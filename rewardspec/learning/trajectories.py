"""A store of the latest steps, from which segments are drawn: bounded, seeded by its user, on disk when asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem

SLACK = 0.25
"""Share of rows beyond the capacity that a store on disk has: what a killed run wrote after its last checkpoint lies
there, and what the checkpoint knows is still whole."""


@dataclass(frozen=True)
class Segments:
    """Where N segments of equal length stand in a store.

    Attributes:
        rows: `[N, L]` rows of their steps.
        envs: `[N]` columns: which environment.
        starts: `[N]` number of the first step within its episode.
        episodes: `[N]` number of the episode, counted over the run for each environment.
    """

    rows: npt.NDArray[np.int64]
    envs: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    episodes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.envs)

    def only(self, which: npt.NDArray[np.integer[Any]]) -> Segments:
        """Return some of them."""
        return Segments(self.rows[which], self.envs[which], self.starts[which], self.episodes[which])


class TrajectoryStore:
    """The features of the latest steps of several environments that step together.

    A row holds one step of every environment; the rows form a ring. A segment is some consecutive steps of one episode
    of one environment.

    Attributes:
        capacity: Rows that are kept.
        features: `[rows, B, F]` float32.
        episodes: `[rows, B]` which episode of its environment a step belongs to.
        steps: `[rows, B]` which step of its episode it is.
        written: Rows written in all.
    """

    def __init__(self, steps: int, n_envs: int, width: int, folder: Path | None = None) -> None:
        """Make an empty store.

        Args:
            steps: Steps to keep, over all environments.
            n_envs: B.
            width: F.
            folder: Where the arrays live as files; in memory when None. An existing store there is opened as it is,
                and `take_state` says how much of it counts.

        Raises:
            LearningError: `broken-store` when the files there are of another shape.
        """
        self.capacity = max(-(-steps // n_envs), 2)
        rows = self.capacity if folder is None else self.capacity + max(int(self.capacity * SLACK), 1)
        self._rows = rows
        self.features = _array(folder, "features", (rows, n_envs, width), np.float32)
        self.episodes = _array(folder, "episodes", (rows, n_envs), np.int64)
        self.steps = _array(folder, "steps", (rows, n_envs), np.int64)
        self.written = 0
        self._episode = np.zeros(n_envs, np.int64)
        self._step = np.zeros(n_envs, np.int64)

    def __len__(self) -> int:
        """Return the number of steps that are kept."""
        return min(self.written, self.capacity) * int(self.features.shape[1])

    def add(self, features: npt.ArrayLike, ended: npt.ArrayLike) -> None:
        """Keep a step of every environment.

        Args:
            features: `[B, F]`.
            ended: `[B]` whether the step was the last of its episode.
        """
        row = self.written % self._rows
        self.features[row] = features
        self.episodes[row] = self._episode
        self.steps[row] = self._step
        over = np.asarray(ended, np.bool_)
        self._episode += over
        self._step = np.where(over, 0, self._step + 1)
        self.written += 1

    def latest(self, most: int | None = None) -> npt.NDArray[np.float32]:
        """Return `[N, F]` features of the steps that are kept, oldest first; the latest `most` of them."""
        rows = self.kept_rows()
        n_envs = self.features.shape[1]
        if most is not None:
            rows = rows[-max(most // n_envs, 1) :]
        return self.features[rows].reshape(-1, self.features.shape[2])

    def draw(self, number: int, length: int, rng: np.random.Generator) -> Segments:
        """Return `number` segments, drawn evenly from all that are whole; fewer, or none, where there are none.

        Args:
            number: N.
            length: Steps of a segment.
            rng: What draws.
        """
        kept = self.kept_rows()
        n_envs = self.features.shape[1]
        span = len(kept) - length + 1
        if span < 1:
            return _no_segments(length)
        last = kept[length - 1 :]
        whole = (self.episodes[kept[:span]] == self.episodes[last]) if length > 1 else None
        if whole is None:
            places = rng.integers(span * n_envs, size=number)
        else:
            fitting = np.flatnonzero(whole)
            if not len(fitting):
                return _no_segments(length)
            places = fitting[rng.integers(len(fitting), size=number)]
        first, envs = places // n_envs, places % n_envs
        rows = kept[first[:, None] + np.arange(length)]
        begin = rows[:, 0]
        return Segments(rows, envs, self.steps[begin, envs], self.episodes[begin, envs])

    def has_ended(self, env: int, episode: int) -> bool:
        """Return whether an environment has gone on to another episode."""
        return bool(self._episode[env] > episode)

    def take(self, segments: Segments, columns: slice) -> npt.NDArray[np.float32]:
        """Return `[N, L, C]` features of segments."""
        return self.features[segments.rows, segments.envs[:, None], columns]

    def kept_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows that are kept, oldest first."""
        number = min(self.written, self.capacity)
        return np.arange(self.written - number, self.written, dtype=np.int64) % self._rows

    # -- checkpoints -------------------------------------------------------------------------------

    @property
    def is_on_disk(self) -> bool:
        """Whether the arrays are files, which a checkpoint need not copy."""
        return isinstance(self.features, np.memmap)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint needs: all that is kept, or where the files stand."""
        found: dict[str, npt.NDArray[Any]] = {
            "written": np.array(self.written),
            "episode": self._episode.copy(),
            "step": self._step.copy(),
        }
        if self.is_on_disk:
            for array in (self.features, self.episodes, self.steps):
                if isinstance(array, np.memmap):
                    array.flush()
            return found
        filled = min(self.written, self._rows)
        return found | {
            "features": self.features[:filled],
            "episodes": self.episodes[:filled],
            "steps": self.steps[:filled],
        }

    def take_state(self, saved: dict[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave.

        Raises:
            LearningError: `broken-store` when it does not fit.
        """
        try:
            for name in ("features", "episodes", "steps"):
                if name in saved:
                    getattr(self, name)[: len(saved[name])] = saved[name]
            self.written = int(saved["written"])
            self._episode[:], self._step[:] = saved["episode"], saved["step"]
        except (KeyError, ValueError) as error:
            raise LearningError(Problem("broken-store", f"the stored steps do not fit: {error}")) from error


def _no_segments(length: int) -> Segments:
    none = np.zeros(0, np.int64)
    return Segments(np.zeros((0, length), np.int64), none, none, none)


def _array(folder: Path | None, name: str, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    if folder is None:
        return np.zeros(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    try:
        found = np.lib.format.open_memmap(path, "r+")
    except (OSError, ValueError) as error:
        raise LearningError(Problem("broken-store", f"{path} cannot be read: {error}")) from error
    if found.shape != shape or found.dtype != dtype:
        message = f"{path} holds {found.dtype} of shape {found.shape}, and {shape} is needed"
        raise LearningError(Problem("broken-store", message, hints=("Use another folder.",)))
    return found
