"""The run folder: everything that a run writes, and nothing outside it.

- `spec.yaml`: the spec, or the game file, as it was given
- `run.json`: settings, versions, digest of the program
- `progress.jsonl`: one row per rollout, on disk before the next one begins
- `checkpoints/N/`: all that is needed to go on from step N
- `result.json`: what the run came to, written at its end
- `warnings.json`: signs that the agent farms its reward, looked for at the run's end
- `model.zip`: the trained agent, as stable-baselines3 saves it
- `tb/`: TensorBoard
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rewardspec.errors import Problem, UnsupportedError

Row = dict[str, Any]
"""One line of progress.jsonl; `recorder.Tally.row` says what it holds."""

KEPT = 2
"""Checkpoints that are kept."""


class RunFolder:
    """A folder with one run.

    Every file appears whole or not at all: it is written beside its place, flushed to the disk and renamed.
    Only progress.jsonl grows line by line, and a torn last line is dropped when it is read.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is made or read yet."""
        self.path = Path(path)
        self.spec = self.path / "spec.yaml"
        self.facts = self.path / "run.json"
        self.progress = self.path / "progress.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.result = self.path / "result.json"
        self.warnings = self.path / "warnings.json"
        self.model = self.path / "model.zip"
        self.tensorboard = self.path / "tb"

    def create(self, spec_text: str, facts: Row) -> None:
        """Make the folder for a new run.

        Raises:
            UnsupportedError: `run-folder-taken` when something is there already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hints: tuple[str, ...] = ("Choose another folder.",)
            if self.is_run:
                hints = (f"Go on with it: {self.go_on()}", *hints)
            raise UnsupportedError(
                Problem("run-folder-taken", f"there is something in {self.path} already", hints=hints)
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.spec, lambda file: file.write(spec_text.encode()))
        write_whole(self.facts, lambda file: file.write(json.dumps(facts, indent=2).encode() + b"\n"))

    @property
    def is_run(self) -> bool:
        """Whether a run has been begun here."""
        return self.facts.is_file() and self.spec.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.model.is_file()

    def read_facts(self) -> Row:
        """Return what run.json holds.

        Raises:
            UnsupportedError: `not-a-run-folder`.
        """
        facts = self._facts()
        if facts is None:
            hint = "`rewardspec train SPEC` makes one, and so do the agents: `python -m agents.NAME --spec SPEC`."
            raise UnsupportedError(
                Problem(
                    "not-a-run-folder", f"{self.path} holds no run (no spec.yaml and run.json)", hints=(hint,)
                )
            )
        return facts

    def _facts(self) -> Row | None:
        try:
            facts = json.loads(self.facts.read_text()) if self.is_run else None
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    @property
    def agent(self) -> str | None:
        """Name of the agent of `agents/` that began the run; None where `rewardspec train` did."""
        name = (self._facts() or {}).get("agent")
        return name if isinstance(name, str) and name.isidentifier() else None

    def go_on(self) -> str:
        """Return the command that goes on with the run."""
        agent = self.agent
        command = "rewardspec train" if agent is None else f"python -m agents.{agent}"
        return f"{command} --resume {shlex.quote(str(self.path))}"

    def stopped(self) -> str:
        """Return what is said when the run is interrupted."""
        return f"stopped; go on with: {self.go_on()}" if self.is_run else "stopped; nothing was written"

    def seed(self) -> int:
        """Return the run's seed."""
        return int(self.read_facts()["settings"]["seed"])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing here; the lock goes with the process, however it ends.

        Raises:
            UnsupportedError: `run-in-use`.
        """
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                hint = "Wait for it, or stop it, and resume then."
                raise UnsupportedError(
                    Problem("run-in-use", f"another process is training in {self.path}", hints=(hint,))
                ) from None
            yield

    # -- progress -----------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Return the rows of progress so far; a torn last line does not count."""
        if not self.progress.is_file():
            return []
        rows: list[Row] = []
        for line in self.progress.read_bytes().split(b"\n")[:-1]:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def append(self, row: Row) -> None:
        """Add a row of progress; it is on the disk when this returns."""
        with self.progress.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            flush(file)

    def cut(self, steps: int) -> None:
        """Drop the rows of progress that come after a step, to be made again."""
        kept = [row for row in self.rows() if row["steps"] <= steps]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_whole(self.progress, lambda file: file.write(text.encode()))

    def write_result(self, result: Row) -> None:
        """Write what the run came to."""
        write_whole(self.result, lambda file: file.write(json.dumps(result, indent=2).encode() + b"\n"))

    # -- checkpoints --------------------------------------------------------------------------------

    def latest(self) -> Path | None:
        """Return the newest whole checkpoint."""
        if not self.checkpoints.is_dir():
            return None
        whole = [path for path in self.checkpoints.iterdir() if path.name.isdecimal()]
        return max(whole, key=lambda path: int(path.name), default=None)

    def latest_steps(self) -> int:
        """Return how many steps the newest checkpoint has behind it."""
        latest = self.latest()
        return 0 if latest is None else int(latest.name)

    def save_checkpoint(self, steps: int, write: Callable[[Path], None]) -> None:
        """Put a checkpoint in place at once, then remove the old ones.

        Args:
            steps: Environment steps taken.
            write: Writes the checkpoint's files into a folder that it is given.
        """
        place, beside = self.checkpoints / str(steps), self.checkpoints / f"{steps}.part"
        if place.exists():
            return
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write(beside)
        for path in beside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        beside.rename(place)
        flush_folder(self.checkpoints)
        known = sorted(int(path.name) for path in self.checkpoints.iterdir() if path.name.isdecimal())
        for old in known[:-KEPT]:
            shutil.rmtree(self.checkpoints / str(old), ignore_errors=True)


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that it is there whole, or as it was before."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        write(file)
        flush(file)
    beside.replace(path)
    flush_folder(path.parent)


def flush(file: IO[bytes]) -> None:
    """Bring a file's content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Bring a folder's list of names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def column(rows: Iterable[Row], name: str) -> list[Any]:
    """Return one value of every row.

    Example:
        >>> column([{"steps": 1}, {"steps": 2}], "steps")
        [1, 2]
    """
    return [row.get(name) for row in rows]
