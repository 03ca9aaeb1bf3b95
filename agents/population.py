"""A population on disk: policies, what they earned against each other, and how far the run has come.

The file has one line for each, and is only ever added to; an iteration ends with a line that says so. Where a run was
stopped in the middle of an iteration, or of a line, what came after the last end is taken off when the file is opened,
and `lost` says what that was: it is made anew, and comes out the same. A line that is broken elsewhere was changed by
someone else, and is refused. Nothing is unpickled.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem
from rewardspec.training.folder import flush

Floats = npt.NDArray[np.float64]
Policy = npt.NDArray[np.float32]
Cell = tuple[int, ...]
"""One policy of each player, by number."""


class Population:
    """The policies of N players, and their empirical game.

    Attributes:
        policies: Per player, arrays of whatever shape its policies have.
        mean: By cell `[N]`, mean return of each player.
        square: By cell `[N]`, mean squared return.
        count: By cell, episodes; infinite where it was worked out exactly.
        ends: What was noted at the end of each iteration.
        lost: What was taken off the file, empty where nothing was.
    """

    def __init__(self, players: int, path: Path | None = None) -> None:
        """Open a population; one without a path lives in memory only.

        Args:
            players: N.
            path: The file; it is made with the first line.

        Raises:
            LearningError: `broken-population`.
        """
        self.policies: list[list[Policy]] = [[] for _ in range(players)]
        self.mean: dict[Cell, Floats] = {}
        self.square: dict[Cell, Floats] = {}
        self.count: dict[Cell, float] = {}
        self.ends: list[dict[str, Any]] = []
        self.lost, self._path = "", path
        if path is not None and path.is_file():
            self._read(path)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of policies of each player."""
        return tuple(len(own) for own in self.policies)

    def missing(self) -> list[Cell]:
        """Return the cells of which nothing is known yet."""
        return [cell for cell in np.ndindex(*self.sizes) if cell not in self.mean]

    def tables(self) -> tuple[Floats, Floats]:
        """Return means and variances of the return within a cell, both `[N, K_1, ..., K_N]`."""
        mean = np.zeros((len(self.policies), *self.sizes))
        variance = np.zeros_like(mean)
        for cell in np.ndindex(*self.sizes):
            mean[(slice(None), *cell)] = self.mean[cell]
            variance[(slice(None), *cell)] = np.maximum(self.square[cell] - self.mean[cell] ** 2, 0.0)
        return mean, variance

    # -- adding --------------------------------------------------------------------------------------------

    def add_policy(self, player: int, policy: npt.NDArray[Any]) -> None:
        """Add a policy to a player's."""
        held = np.ascontiguousarray(policy, np.float32)
        weights = base64.b64encode(held.astype("<f4").tobytes()).decode()
        row = {"policy": [player, len(self.policies[player])], "shape": list(held.shape), "weights": weights}
        self._write(row)
        self._take(row)

    def add_cell(self, cell: Cell, mean: Floats, square: Floats, count: float) -> None:
        """Add what a joint policy earned in so many episodes, or exactly where they are infinitely many."""
        row = {"cell": list(cell), "mean": [float(v) for v in mean], "square": [float(v) for v in square]}
        row["count"] = int(count) if np.isfinite(count) else None
        self._write(row)
        self._take(row)

    def end(self, notes: Mapping[str, Any]) -> None:
        """Note that an iteration is done."""
        row = {"end": dict(notes)}
        self._write(row)
        self._take(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        text = json.dumps(row)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        with self._path.open("ab") as file:
            file.write(f"{digest} {text}\n".encode())
            flush(file)

    def _take(self, row: Mapping[str, Any]) -> None:
        if "policy" in row:
            player, number = row["policy"]
            if number != len(self.policies[player]):
                raise ValueError(f"policy {number} of player {player} comes out of turn")
            flat = np.frombuffer(base64.b64decode(row["weights"]), "<f4")
            self.policies[player].append(flat.reshape(row["shape"]).astype(np.float32))
        elif "cell" in row:
            cell = tuple(row["cell"])
            self.mean[cell] = np.array(row["mean"], np.float64)
            self.square[cell] = np.array(row["square"], np.float64)
            self.count[cell] = float("inf") if row["count"] is None else float(row["count"])
        else:
            self.ends.append(dict(row["end"]))

    # -- opening -------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        lines = data.split(b"\n")
        torn = lines.pop()  # empty where the last line is whole
        rows: list[tuple[dict[str, Any], int]] = []
        offset = 0
        for number, line in enumerate(lines, start=1):
            digest, _, text = line.partition(b" ")
            if hashlib.sha256(text).hexdigest()[:16].encode() != digest:
                if number == len(lines) and not torn:  # a line's end has come after a part of it
                    torn = line
                    break
                raise self._broken(f"line {number} of {path} is not what was written there")
            offset += len(line) + 1
            rows.append((json.loads(text), offset))
        ended = [i for i, (row, _) in enumerate(rows) if "end" in row]
        kept = ended[-1] + 1 if ended else 0
        for number, (row, _) in enumerate(rows[:kept], start=1):
            try:
                self._take(row)
            except (KeyError, ValueError, TypeError, IndexError) as error:
                told = f"line {number} of {path} belongs to no population of {len(self.policies)} players"
                raise self._broken(f"{told}: {error}") from None
        stop = rows[kept - 1][1] if kept else 0
        if stop < len(data):
            self.lost = self._told([row for row, _ in rows[kept:]], torn)
            with path.open("r+b") as file:
                file.truncate(stop)
                os.fsync(file.fileno())

    def _broken(self, text: str) -> LearningError:
        hint = (
            "Restore the file, or begin in a new folder: what was learned after that line cannot be trusted."
        )
        return LearningError(Problem("broken-population", text, hints=(hint,)))

    def _told(self, rows: list[dict[str, Any]], torn: bytes) -> str:
        """Return what is taken off the file."""
        policies, cells = (sum(name in row for row in rows) for name in ("policy", "cell"))
        parts = [f"{policies} policies and {cells} cells of an iteration that was not finished"]
        if torn:
            text = torn.partition(b" ")[2]
            kinds = ((b'{"pol', "a policy"), (b'{"cel', "a cell"), (b'{"end', "the end of an iteration"))
            what = next((name for start, name in kinds if text.startswith(start)), "a line")
            parts.append(f"{what}, cut off after {len(torn):,} bytes")
        return f"lost: {' and '.join(parts)}; they are made anew after iteration {len(self.ends) - 1}"
