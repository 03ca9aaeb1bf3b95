"""The folder of a search: everything that it writes, and the journal from which it goes on after a kill.

- `spec.yaml`: the spec that the search began with, as it was given
- `search.json`: settings, versions, who proposes and who judges
- `journal.jsonl`: what happened, a line each, on the disk before the next thing begins
- `specs/g2c1.yaml`: every candidate, an ordinary spec
- `runs/g2c1/`, `runs/final-1/`: its training, a run folder of `rewardspec train`
- `records.jsonl`: what a language model answered; it is not asked again
- `teacher.yaml`: the spec that judges, where one does
- `best.yaml`, `report.md`: the best spec so far, and the page
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.training.folder import RunFolder, flush, write_whole

Event = dict[str, Any]
"""One line of the journal; `event` says what sort."""


class SearchFolder:
    """A folder with one search."""

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is made or read yet."""
        self.path = Path(path)
        self.spec = self.path / "spec.yaml"
        self.facts = self.path / "search.json"
        self.journal = self.path / "journal.jsonl"
        self.records = self.path / "records.jsonl"
        self.teacher = self.path / "teacher.yaml"
        self.best = self.path / "best.yaml"
        self.report = self.path / "report.md"

    def create(self, spec_text: str, facts: Event, teacher: str | None = None) -> None:
        """Make the folder for a new search.

        Args:
            spec_text: The spec that it begins with, as it was given.
            facts: Settings, and who proposes and judges.
            teacher: The text of the spec that judges; None where none does.

        Raises:
            UnsupportedError: `run-folder-taken` when something is there already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hints: tuple[str, ...] = ("Choose another folder.",)
            if self.is_search:
                hints = (f"Go on with it: {self.go_on()}", *hints)
            message = f"there is something in {self.path} already"
            raise UnsupportedError(Problem("run-folder-taken", message, hints=hints))
        for part in ("specs", "runs"):
            (self.path / part).mkdir(parents=True)
        write_whole(self.spec, lambda file: file.write(spec_text.encode()))
        if teacher is not None:
            write_whole(self.teacher, lambda file: file.write(teacher.encode()))
        write_whole(self.facts, lambda file: file.write(json.dumps(facts, indent=2).encode() + b"\n"))

    @property
    def is_search(self) -> bool:
        """Whether a search has been begun here."""
        return self.facts.is_file() and self.spec.is_file()

    def read_facts(self) -> Event:
        """Return what search.json holds.

        Raises:
            UnsupportedError: `not-a-search-folder`.
        """
        try:
            facts = json.loads(self.facts.read_text()) if self.is_search else None
        except (OSError, ValueError):
            facts = None
        if not isinstance(facts, dict):
            hint = "`rewardspec search SPEC` makes one."
            message = f"{self.path} holds no search (no spec.yaml and search.json)"
            raise UnsupportedError(Problem("not-a-search-folder", message, hints=(hint,)))
        return facts

    def go_on(self) -> str:
        """Return the command that goes on with the search."""
        return f"rewardspec search --resume {shlex.quote(str(self.path))}"

    def stopped(self) -> str:
        """Return what is said when the search is interrupted."""
        return f"stopped; go on with: {self.go_on()}" if self.is_search else "stopped; nothing was written"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from searching here.

        Raises:
            UnsupportedError: `run-in-use`.
        """
        with RunFolder(self.path).lock():
            yield

    def spec_of(self, candidate: str) -> Path:
        """Return where a candidate's spec is."""
        return self.path / "specs" / f"{candidate}.yaml"

    def run_of(self, job: str) -> Path:
        """Return the run folder of a candidate or of a final training."""
        return self.path / "runs" / job

    def write_spec(self, candidate: str, text: str) -> None:
        """Write a candidate's spec; it is on the disk when this returns."""
        write_whole(self.spec_of(candidate), lambda file: file.write(text.encode()))

    # -- journal ------------------------------------------------------------------------------------

    def append(self, event: str, **fields: Any) -> Event:
        """Add a line to the journal; it is on the disk when this returns."""
        line = {"event": event, **fields}
        with self.journal.open("ab") as file:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            flush(file)
        return line

    def events(self) -> list[Event]:
        """Return what happened so far; half a line, which a kill left, is cut off.

        Raises:
            UnsupportedError: `not-a-search-folder` for a line that is none.
        """
        if not self.journal.is_file():
            return []
        text = self.journal.read_bytes()
        whole, _, torn = text.rpartition(b"\n")
        if torn:
            with self.journal.open("r+b") as file:
                file.truncate(len(text) - len(torn))
                flush(file)
        found: list[Event] = []
        for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                message = f"{self.journal}, line {number}: it is no event of a search"
                hint = "Nobody but the search writes there; begin a new one in another folder."
                raise UnsupportedError(Problem("not-a-search-folder", message, hints=(hint,)))
            found.append(event)
        return found
