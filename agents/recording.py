"""What every agent of this folder writes down: a run folder with settings, progress, TensorBoard and checkpoints.

    with recording("q_learning", args, program, steps=args.steps) as run:
        start, arrays, notes = run.start, run.arrays, run.notes      # where a stopped run goes on
        ...
        run.log(step, {"return": 0.7})
        run.save(step, {"q": q}, {"episodes": 12})

A checkpoint is arrays and plain data: nothing of it is unpickled.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from rewardspec import Program
from rewardspec.errors import LearningError, Problem, UnsupportedError
from rewardspec.training.display import shown
from rewardspec.training.folder import Row, RunFolder
from rewardspec.training.versions import versions

FREE = ("folder", "resume", "quiet", "device", "checkpoint_seconds")
"""Arguments that may differ when a run is resumed: they decide no number."""

Arrays = dict[str, npt.NDArray[Any]]


class Recording:
    """A run of an agent while it trains.

    Attributes:
        folder: The run folder.
        start: Environment steps taken when the run was stopped; 0 for a new one.
        arrays: Arrays of the checkpoint that the run goes on from; empty for a new one.
        notes: Its plain data.
    """

    def __init__(self, folder: RunFolder, every: float, show: Callable[[Row], None]) -> None:
        """Go on with the newest checkpoint in `folder`, or begin."""
        self.folder, self._every, self._show = folder, every, show
        self.start, self.arrays, self.notes = _latest(folder)
        folder.cut(self.start)
        rows = folder.rows()
        self._before = float(rows[-1]["seconds"]) if rows else 0.0
        self._began = self._saved = time.monotonic()
        self._board: Board | None = None

    def log(self, steps: int, numbers: Mapping[str, float | None]) -> None:
        """Write a row of progress, durably, and the same for TensorBoard where that is installed.

        Args:
            steps: Environment steps taken, over all environments.
            numbers: By TensorBoard's name (`return`, `loss/value`); None where there is nothing to say yet.
        """
        seconds = round(self._before + time.monotonic() - self._began, 3)
        row: Row = {"steps": int(steps), **numbers, "seconds": seconds}
        self.folder.append(row)
        if self._board is None and has_tensorboard():
            self._board = Board(self.folder.tensorboard, self.start)
        if self._board is not None:
            self._board.write(steps, numbers)
        self._show(row)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._saved >= self._every

    def save(self, steps: int, arrays: Mapping[str, npt.NDArray[Any]], notes: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all.

        Args:
            steps: Environment steps taken; the rows of progress after it are dropped when the run is resumed.
            arrays: All that the run needs, generators' states included.
            notes: The rest, as plain data.
        """

        def write(place: Path) -> None:
            np.savez(place / "arrays.npz", allow_pickle=False, **arrays)
            (place / "notes.json").write_text(json.dumps(dict(notes)))

        self.folder.save_checkpoint(steps, write)
        self._saved = time.monotonic()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`: what the run came to."""
        from rewardspec.training.folder import write_whole

        text = json.dumps(dict(result), indent=2) + "\n"
        write_whole(self.folder.path / "result.json", lambda file: file.write(text.encode()))

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


class Board:
    """A file of scalars for TensorBoard, written by the package `tensorboard` alone: torch's writer loads torch."""

    def __init__(self, folder: Path, start: int) -> None:
        """Begin a file in `folder`; what older files say after step `start` counts no longer."""
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventFileWriter(str(folder))
        if start:
            begun = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            # TensorBoard drops what was written before this event at its step or later; `start` itself is kept.
            self._file.add_event(self._event(wall_time=time.time(), step=start + 1, session_log=begun))

    def write(self, steps: int, numbers: Mapping[str, float | None]) -> None:
        """Write the numbers that are there."""
        values = [
            self._summary.Value(tag=name, simple_value=float(value))
            for name, value in numbers.items()
            if value is not None
        ]
        event = self._event(wall_time=time.time(), step=int(steps), summary=self._summary(value=values))
        self._file.add_event(event)

    def close(self) -> None:
        """Write what is left and close the file."""
        self._file.close()


def has_tensorboard() -> bool:
    """Return whether scalars can be written for TensorBoard; `progress.jsonl` has the same numbers."""
    return importlib.util.find_spec("tensorboard") is not None


@contextmanager
def recording(
    agent: str,
    args: Any,
    program: Program | Mapping[str, Program],
    *,
    steps: int,
    spec_text: str = "",
    console: Console | None = None,
) -> Iterator[Recording]:
    """Begin a run, or go on with the one that `args.resume` names.

    Args:
        agent: The agent's name.
        args: Its arguments, a dataclass with `folder`, `resume`, `checkpoint_seconds`, and whatever decides the run.
        program: The compiled spec, or several by name.
        steps: Environment steps of the whole run.
        spec_text: The spec as it was written, for the folder.
        console: Where to show progress.

    Raises:
        UnsupportedError: `run-folder-taken`, `run-in-use`, `not-a-run-folder`; `spec-changed` when the checkpoint
            belongs to another spec; `settings-changed` when it belongs to other arguments.
        LearningError: `broken-checkpoint`.
    """
    digest = program.digest() if isinstance(program, Program) else {k: p.digest() for k, p in program.items()}
    settings = {key: _plain(value) for key, value in dataclasses.asdict(args).items() if key not in FREE}
    facts = {"agent": agent, "settings": settings, "digest": digest, "versions": versions()}
    if args.resume is not None:
        folder = RunFolder(args.resume)
        _refuse_other(folder, facts)
    else:
        folder = RunFolder(args.folder)
        folder.create(spec_text, facts)
    if not has_tensorboard():
        (console or Console()).print("no TensorBoard here (`pip install tensorboard`): see progress.jsonl")
    done = folder.latest_steps()
    with folder.lock(), shown(agent, steps, console, done, describe) as show:
        run = Recording(folder, args.checkpoint_seconds, show)
        try:
            yield run
        finally:
            run.close()


def describe(row: Row) -> str:
    """Return a row of progress in a line.

    Example:
        >>> describe({"steps": 10, "return": 0.5, "loss": None, "seconds": 1.0})
        'return 0.5'
    """
    told = [
        f"{name} {value:.4g}"
        for name, value in row.items()
        if name not in ("steps", "seconds") and value is not None
    ]
    return ", ".join(told) if told else "nothing measured yet"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _refuse_other(folder: RunFolder, facts: Row) -> None:
    """Raise when the run in a folder is not one that these arguments can go on with."""
    begun = folder.read_facts()
    if begun.get("digest") != facts["digest"]:
        hint = "Give the spec that it was trained on, or train in a new folder."
        raise UnsupportedError(
            Problem("spec-changed", f"the run in {folder.path} was trained on another spec", hints=(hint,))
        )
    refuse_other_settings(folder, facts["agent"], facts["settings"])


def refuse_other_settings(folder: RunFolder, agent: str, settings: Row) -> None:
    """Raise when the run in a folder was begun by another agent, or with other arguments than these.

    Raises:
        UnsupportedError: `not-a-run-folder`, `settings-changed`.
    """
    begun = folder.read_facts()
    other = {"agent": begun.get("agent"), **begun.get("settings", {})}
    asked = {"agent": agent, **json.loads(json.dumps(settings))}
    changed = [name for name in asked if asked[name] != other.get(name)]
    if changed:
        said = ", ".join(f"{name} is {other.get(name)!r} there and {asked[name]!r} here" for name in changed)
        hint = "Resume with the arguments that the run was begun with."
        raise UnsupportedError(
            Problem("settings-changed", f"the run in {folder.path} is another: {said}", hints=(hint,))
        )


def _latest(folder: RunFolder) -> tuple[int, Arrays, dict[str, Any]]:
    place = folder.latest()
    if place is None:
        return 0, {}, {}
    try:
        with np.load(place / "arrays.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return int(place.name), arrays, json.loads((place / "notes.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise LearningError(Problem("broken-checkpoint", f"{place} cannot be read: {reason}")) from error
