"""The folder of a run: the records of its experiments, what was asked, and a lock that keeps other runs out."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.records import RESULTS, SCRATCH, Cell, Failure, Records
from rewardspec.training.folder import write_whole


class Store:
    """A folder with one file of records an experiment (`NAME.jsonl`), `run.json` and `.lock`."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is made or read yet."""
        self.path = path

    @property
    def scratch(self) -> Path:
        """Where unfinished cells keep their checkpoints, and workers what they print."""
        return SCRATCH if self.path.resolve() == RESULTS.resolve() else self.path / "scratch"

    def records(self, experiment: str) -> Records:
        """Return the records of an experiment."""
        return Records(self.path / f"{experiment}.jsonl")

    def experiments(self) -> list[str]:
        """Return the experiments that there are records of."""
        return sorted(path.stem for path in self.path.glob("*.jsonl"))

    def cells(self) -> dict[str, list[Cell]]:
        """Return all finished cells by experiment."""
        return {name: self.records(name).cells() for name in self.experiments()}

    def failures(self) -> dict[str, list[Failure]]:
        """Return all failed cells by experiment."""
        return {name: self.records(name).failures() for name in self.experiments()}

    def write_plan(self, plan: dict[str, Any]) -> None:
        """Keep what the run was asked for, so that `resume` knows."""
        self._write({"format": 1, "plan": plan, "sessions": self.sessions()})

    def sessions(self) -> list[dict[str, Any]]:
        """Return how long the run took, session by session; a killed one until its last finished cell."""
        try:
            held = json.loads((self.path / "run.json").read_text())
            return [dict(session) for session in held["sessions"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def note_session(self, number: int, session: dict[str, Any]) -> None:
        """Note how long a session, the run's `number`th from 0 on, has taken so far."""
        others = self.sessions()[:number]
        self._write({"format": 1, "plan": self.read_plan(), "sessions": [*others, session]})

    def _write(self, held: dict[str, Any]) -> None:
        text = json.dumps(held, indent=1).encode() + b"\n"
        write_whole(self.path / "run.json", lambda file: file.write(text))

    def read_plan(self) -> dict[str, Any]:
        """Return what the run was asked for.

        Raises:
            SystemExit: The folder holds no run.
        """
        try:
            plan = json.loads((self.path / "run.json").read_text())
        except FileNotFoundError:
            sys.exit(f"{self.path} holds no run to go on with (no run.json): `run` begins one")
        except ValueError as error:
            sys.exit(
                f"{self.path / 'run.json'} cannot be read ({error}): `run` with the same options goes on"
            )
        if not isinstance(plan, dict) or plan.get("format") != 1 or not isinstance(plan.get("plan"), dict):
            sys.exit(f"{self.path / 'run.json'} is of another version: `run` with the same options goes on")
        return dict(plan["plan"])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs out of the folder; the lock goes with the process, however it ends.

        Raises:
            SystemExit: Another run writes here; it is named.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.pread(file, 500, 0).decode(errors="replace").strip() or "not known to us"
                sys.exit(
                    f"another run writes into {self.path} ({holder}): wait for it, stop it, or give this one a folder"
                    " of its own with --out"
                )
            # The file stays when the lock goes: a new one of the same name would be another lock.
            os.ftruncate(file, 0)
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            os.pwrite(file, f"process {os.getpid()} on {platform.node()}, since {since}\n".encode(), 0)
            yield
        finally:
            os.close(file)
