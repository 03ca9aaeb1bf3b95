"""What is measured while an agent trains: rows of progress, TensorBoard, checkpoints; an SB3 callback."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stable_baselines3.common.callbacks import BaseCallback

from rewardspec.training import checkpoint
from rewardspec.training.environments import Episodes
from rewardspec.training.folder import Row, RunFolder
from rewardspec.training.settings import WINDOW

if TYPE_CHECKING:
    from rewardspec.learning.callback import LearnedRewardCallback

LEAST_ROW = 1000
"""Environment steps between two rows of progress, at least: DQN and SAC have rollouts of a few steps."""

SHARE = 0.05
"""Share of the run that checkpoints may cost, at most."""


@dataclass
class Tally:
    """Finished episodes, summed up: since the last row, and the last `WINDOW` of them.

    Attributes:
        fresh: Episodes finished since the last row.
        window: The latest episodes of the run.
        finished: Episodes finished in all.
    """

    fresh: list[dict[str, Any]] = field(default_factory=list)
    window: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    finished: int = 0

    def add(self, episode: dict[str, Any]) -> None:
        """Count a finished episode."""
        self.fresh.append(episode)
        self.window.append(episode)
        self.finished += 1

    def row(self, steps: int, seconds: float) -> Row:
        """Return a row of progress, and begin the next.

        Returns:
            `steps` taken in the run; `episodes` finished in it; `fresh` of them since the last row, with
            their mean `success`, `task_return` (the environment's own), `spec_return` and `length`, null
            where none was finished; the same over the latest `WINDOW` episodes as `recent`, with `terms`,
            the mean return of each term of the spec; `seconds` of wall time, the one entry that another run
            will not repeat.
        """
        latest = list(self.window)
        row: Row = {"steps": steps, "episodes": self.finished, "fresh": _means(self.fresh)}
        row["recent"] = {
            **_means(latest),
            "terms": {
                name: sum(episode["terms"][name] for episode in latest) / len(latest)
                for name in (latest[0]["terms"] if latest else ())
            },
        }
        if latest and latest[0].get("measures"):
            row["recent"]["measures"] = {
                name: sum(episode["measures"][name] for episode in latest) / len(latest)
                for name in latest[0]["measures"]
            }
        row["seconds"] = round(seconds, 3)
        self.fresh = []
        return row


def _means(episodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(name: str) -> float | None:
        values = [float(episode[name]) for episode in episodes if episode[name] is not None]
        return sum(values) / len(values) if values else None

    return {
        "count": len(episodes),
        "success": mean("success"),
        "task_return": mean("task_return"),
        "spec_return": mean("r"),
        "length": mean("l"),
    }


class Recorder(BaseCallback):
    """Writes a row of progress after each rollout, and a checkpoint now and then.

    TensorBoard gets, besides SB3's own `rollout/ep_rew_mean` (the spec's return), `rollout/return/<term>`
    for each term, `rollout/task_return`, the environment's own, and `rollout/success_rate`.
    """

    def __init__(
        self,
        folder: RunFolder,
        envs: Sequence[Episodes],
        every: float,
        show: Callable[[Row], None] | None = None,
        learning: LearnedRewardCallback | None = None,
    ) -> None:
        """Write to `folder`.

        Args:
            folder: The run folder.
            envs: The environments that the agent trains in.
            every: Seconds between two checkpoints; 0 for one after every row.
            show: Called with every row.
            learning: What learns rewards beside the agent; its state is part of every checkpoint.
        """
        super().__init__()
        self._learning = learning
        self._folder, self._envs, self._every, self._show = folder, envs, every, show
        self._tally = Tally()
        self._written = 0
        self._before = 0.0
        self._began = self._saved = time.monotonic()
        self._pause = every

    def notes(self) -> dict[str, Any]:
        """Return what the recorder must remember, for a checkpoint."""
        return {
            "window": list(self._tally.window),
            "fresh": self._tally.fresh,
            "finished": self._tally.finished,
            "written": self._written,
            "seconds": self._seconds(),
        }

    def take_up(self, notes: dict[str, Any]) -> None:
        """Go on from what `notes` gave."""
        self._tally = Tally(list(notes["fresh"]), deque(notes["window"], maxlen=WINDOW), notes["finished"])
        self._written, self._before = notes["written"], notes["seconds"]

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def _on_rollout_start(self) -> None:
        """Save, when it is time: between two rollouts nothing is half done."""
        steps = self.num_timesteps
        is_row_due = steps - self._written >= LEAST_ROW
        if is_row_due:
            self._write_row()
        if steps == 0 or (time.monotonic() - self._saved >= self._pause if self._every else is_row_due):
            self.save()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._tally.add(info["episode"])
        return True

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._written:
            self._write_row()

    def _write_row(self) -> None:
        row = self._tally.row(self.num_timesteps, self._seconds())
        self._written = self.num_timesteps
        self._folder.append(row)
        self._log(row)
        if self._show is not None:
            self._show(row)

    def _log(self, row: Row) -> None:
        """Write the same to TensorBoard, with what SB3 has noted since the last time."""
        recent = row["recent"]
        for name in ("task_return", "spec_return"):
            if recent[name] is not None:
                self.logger.record(f"rollout/{name}", recent[name])
        for term, paid in recent["terms"].items():
            self.logger.record(f"rollout/return/{term}", paid)
        for name, mean in recent.get("measures", {}).items():
            self.logger.record(f"rollout/measure/{name}", mean)
        self.model.dump_logs()  # both families of algorithms have it

    def save(self) -> None:
        """Write a checkpoint of the run as it is now."""
        begun = time.monotonic()
        notes = self.notes()

        def write(place: Path) -> None:
            checkpoint.save(self.model, self._envs, notes, place)
            if self._learning is not None:
                self._learning.save(place)

        self._folder.save_checkpoint(self.num_timesteps, write)
        self._saved = time.monotonic()
        self._pause = max(self._every, (self._saved - begun) / SHARE)
