"""What `rewardspec label` works on: the questions of a run, who answered what, and what comes next."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.kinds.preferences import Answers, Preferences
from rewardspec.learning.answers import (
    UNDO,
    Question,
    add_answer,
    answer_file,
    read_answers,
    read_questions,
)
from rewardspec.report.clips import Clips, Shown
from rewardspec.spec.model import Spec
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import read_run
from rewardspec.training.settings import Settings

AHEAD = 3
"""Open questions that a page is told of, so that it can fetch the next while one is looked at."""


class Key(NamedTuple):
    """Which question: of which learned part, and its number there."""

    term: str
    id: int


class UnknownQuestionError(LookupError):
    """There is no such question."""


class Asking(Protocol):
    """What a page of two clips works on."""

    @property
    def spec(self) -> Spec:
        """What is judged by: its description is shown."""
        ...

    @property
    def settings(self) -> Settings:
        """Where it is played."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """Per sort of question, its file of answers."""
        ...

    def state(self) -> dict[str, Any]:
        """Return where things stand."""
        ...

    def show(self, term: str, number: int) -> Shown:
        """Return the clips of a question."""
        ...

    def answer(self, term: str, number: int, answer: str) -> None:
        """Write an answer down."""
        ...

    def undo(self) -> Key | None:
        """Take the last answer back."""
        ...


class Desk:
    """A run's questions and answers, for any number of threads; training may go on in another process.

    Attributes:
        run: The run folder.
        spec: Its spec.
        settings: Its settings.
        files: Per learned part that asks people, its file of answers.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a run.

        Raises:
            UnsupportedError: `not-a-run-folder`, `spec-changed`, `asks-nobody`, `no-questions`, `no-pictures`.
            LearningError: `wrong-answer` for files that are broken.
            MissingExtraError: Something that renders is not installed.
        """
        self.run = RunFolder(folder)
        self.spec, self.settings = read_run(self.run)
        asking = [
            (learned.name, learned.settings)
            for learned in compile_spec(self.spec).learned
            if isinstance(learned.settings, Preferences) and isinstance(learned.settings.labels, Answers)
        ]
        if not asking:
            message = (
                f"the spec of the run in {self.run.path} asks nobody: none of its terms learns from people"
            )
            hint = "preferences: {labels: {file: answers.jsonl}}"
            raise UnsupportedError(Problem("asks-nobody", message, hints=(hint,)))
        self.files = {
            name: answer_file(self.run.path, settings.labels.file)
            for name, settings in asking
            if isinstance(settings.labels, Answers)
        }
        self._lock = threading.Lock()
        self._order: list[Key] = []
        for name, questions in self._questions().items():
            self._order += [Key(name, number) for number in self._answers(name, questions)]
        if not any(self._questions().values()):
            first = min(settings.after for _, settings in asking)
            hint = f"Training writes the first ones at its first refresh, after {first:,} steps; start again then."
            message = f"the run in {self.run.path} has asked no questions yet"
            raise UnsupportedError(Problem("no-questions", message, hints=(hint,)))
        self._clips = Clips(self.settings.env_id, self.settings.env_kwargs)

    def close(self) -> None:
        """Close the environment."""
        self._clips.close()

    def state(self) -> dict[str, Any]:
        """Return where things stand: counts of `asked` and `answered`, the `next` open questions, and the run.

        Raises:
            LearningError: `wrong-answer`.
        """
        asked = answered = 0
        coming: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for name, questions in self._questions().items():
            answers = self._answers(name, questions)
            asked += len(questions)
            answered += len(answers)
            for answer in answers.values():
                counts[answer] = counts.get(answer, 0) + 1
            coming += [{"term": name, "id": q.id} for q in questions if q.id not in answers]
        rows = self.run.rows()
        return {
            "asked": asked,
            "answered": answered,
            "counts": counts,
            "next": coming[:AHEAD],
            "can_undo": bool(self._order),
            "steps": rows[-1]["steps"] if rows else 0,
            "of": self.settings.steps,
            "finished": self.run.is_finished,
        }

    def show(self, term: str, number: int) -> Shown:
        """Return the clips of a question.

        Raises:
            UnknownQuestionError: There is none.
            LearningError: `not-playable`, `wrong-answer`.
        """
        return self._clips.show(self.run.path, term, self._find(term, number))

    def answer(self, term: str, number: int, answer: str) -> None:
        """Write an answer down; it is on the disk when this returns.

        Raises:
            UnknownQuestionError: There is no such question.
            LearningError: `wrong-answer` for a word that is no answer.
        """
        self._find(term, number)
        key = Key(term, number)
        with self._lock:
            add_answer(self.files[term], term, number, answer)
            if key in self._order:
                self._order.remove(key)
            if answer != UNDO:
                self._order.append(key)

    def undo(self) -> Key | None:
        """Take the last answer back; return its question, which is open again, or None where there is none."""
        with self._lock:
            last = self._order[-1] if self._order else None
        if last is not None:
            self.answer(*last, UNDO)
        return last

    def _find(self, term: str, number: int) -> Question:
        questions = read_questions(self.run.path, term) if term in self.files else []
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(questions):
            raise UnknownQuestionError
        return questions[number]

    def _questions(self) -> dict[str, list[Question]]:
        return {name: read_questions(self.run.path, name) for name in self.files}

    def _answers(self, name: str, questions: list[Question]) -> dict[int, str]:
        file = self.files[name]
        return read_answers(file, len(questions), name) if file.exists() else {}
