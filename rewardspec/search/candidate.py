"""What is known of one candidate: its spec, where it comes from, and what training on it came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rewardspec.spec.model import Spec
from rewardspec.training.folder import Row

POINTS = 10
"""Values along training that a track holds, at most, as in the paper."""

FEWEST = 20
"""Episodes from which a score is drawn, where training had as many."""

MEASURES = ("success", "return", "length")
"""What every training tells of its episodes, besides what each term paid."""

IN_ROWS = {"success": "success", "return": "task_return", "length": "length"}


@dataclass(frozen=True)
class Track:
    """One number along training.

    Attributes:
        values: Up to `POINTS` values, evenly along training, first and last among them.
        greatest: Of all values.
        mean: Likewise.
        least: Likewise.
    """

    values: tuple[float, ...]
    greatest: float
    mean: float
    least: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Track:
        """Return the track of a series.

        Example:
            >>> Track.of([float(i) for i in range(19)]).values
            (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0)
        """
        last = len(values) - 1
        points = min(POINTS, len(values))
        places = [round(i * last / max(points - 1, 1)) for i in range(points)]
        return cls(
            tuple(float(values[i]) for i in places),
            float(max(values)),
            float(sum(values) / len(values)),
            float(min(values)),
        )

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"values": list(self.values), "max": self.greatest, "mean": self.mean, "min": self.least}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Track:
        """Return what `to_data` gave."""
        return cls(tuple(data["values"]), data["max"], data["mean"], data["min"])


@dataclass(frozen=True)
class Trained:
    """What training on a candidate came to.

    Attributes:
        best: By measure, the greatest value over the rows of progress: what the paper calls the task score. It is
            biased upwards; `last` is not.
        last: By measure, the value at the end of training.
        trace: By term, its mean return of an episode along training.
        lengths: Steps of an episode along training.
        steps: Environment steps.
        seconds: Of training.
    """

    best: Mapping[str, float]
    last: Mapping[str, float]
    trace: Mapping[str, Track]
    lengths: Track
    steps: int = 0
    seconds: float = 0.0

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "best": dict(self.best),
            "last": dict(self.last),
            "trace": {name: track.to_data() for name, track in self.trace.items()},
            "lengths": self.lengths.to_data(),
            "steps": self.steps,
            "seconds": self.seconds,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Trained:
        """Return what `to_data` gave."""
        return cls(
            dict(data["best"]),
            dict(data["last"]),
            {name: Track.from_data(track) for name, track in data["trace"].items()},
            Track.from_data(data["lengths"]),
            int(data["steps"]),
            float(data["seconds"]),
        )


@dataclass(frozen=True)
class Candidate:
    """A spec that was admitted.

    Attributes:
        id: `g2c1`: generation and number within it.
        generation: From 1.
        spec: The spec.
        parent: The candidate that it was made from; None in the first generation.
        by: Who proposed it.
        changes: What tells it apart from its parent, or from the spec that the search began with.
        round: Which request of the generation it came from.
        index: Which proposal of that request it was.
        trained: What training came to; None where it has not been trained to the end.
        failed: Why it could not be trained; empty where it could.
    """

    id: str
    generation: int
    spec: Spec
    parent: str | None = None
    by: str = ""
    changes: tuple[str, ...] = ()
    round: int = 0
    index: int = 0
    trained: Trained | None = field(default=None, compare=False)
    failed: str = ""


def read_training(rows: Sequence[Row]) -> Trained | None:
    """Return what rows of progress say; None where no episode ended.

    Scores are drawn from the rows whose window holds `FEWEST` episodes, where there are such rows.
    """
    ended = [row for row in rows if row["recent"]["count"]]
    if not ended:
        return None
    full = [row for row in ended if row["recent"]["count"] >= FEWEST] or ended
    best, last = {}, {}
    for name, key in IN_ROWS.items():
        found = [row["recent"][key] for row in full if row["recent"][key] is not None]
        if found and all(math.isfinite(value) for value in found):
            best[name], last[name] = float(max(found)), float(found[-1])
    names = list(ended[0]["recent"]["terms"])
    trace = {name: Track.of([row["recent"]["terms"][name] for row in ended]) for name in names}
    lengths = Track.of([row["recent"]["length"] for row in ended])
    return Trained(best, last, trace, lengths, int(rows[-1]["steps"]), float(rows[-1]["seconds"]))
