"""A person as the judge: pairs of clips on the page of `rewardspec label`, best and worst out of the answers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardspec.learning.answers import (
    UNDO,
    Clip,
    Question,
    add_answer,
    add_question,
    answer_file,
    read_answers,
    read_lines,
    read_questions,
)
from rewardspec.learning.playing import Recipe
from rewardspec.report.clips import Clips, Shown
from rewardspec.report.label_desk import Key, UnknownQuestionError
from rewardspec.report.label_server import LabelServer, serve
from rewardspec.search.candidate import Candidate
from rewardspec.search.folder import SearchFolder
from rewardspec.search.judges import Choice, pick_by_pairs
from rewardspec.search.playing import SHOWN, load_clip
from rewardspec.spec.model import Spec
from rewardspec.training.settings import Settings

TERM = "search"
"""What the questions of a search are called."""

POLL = 0.2
"""Seconds between two looks for an answer."""


class _AgainError(Exception):
    """An answer that a choice rests on was taken back."""


class SearchDesk:
    """The questions of a search and their answers, for the page; every thread may ask.

    Attributes:
        spec: What is judged by: its description is shown.
        settings: Where it is played.
        files: The file of answers.
        pending: The question that the search waits for; None while it trains.
        settled: Answers that an earlier choice rests on: they are not taken back.
        is_over: Whether the search has ended.
    """

    def __init__(self, folder: Path, spec: Spec, settings: Settings) -> None:
        """Open the questions of a folder.

        Raises:
            UnsupportedError: `no-pictures`.
            MissingExtraError: Something that renders is not installed.
        """
        self.spec, self.settings = spec, settings
        self.files: Mapping[str, Path] = {TERM: answer_file(folder, "answers.jsonl")}
        self.pending: int | None = None
        self.settled: frozenset[int] = frozenset()
        self.is_over = False
        self._folder = folder
        self._lock = threading.Lock()
        self._clips = Clips(settings.env_id, settings.env_kwargs)

    def close(self) -> None:
        """Close the environment."""
        self._clips.close()

    def answers(self) -> dict[int, str]:
        """Return the last answer to each question, in the order in which they were given."""
        file = self.files[TERM]
        return read_answers(file, len(read_questions(self._folder, TERM)), TERM) if file.exists() else {}

    def pairs(self) -> dict[tuple[str, str], int]:
        """Return the question about each pair of candidates."""
        path = self._folder / f"{TERM}.questions.jsonl"
        lines = read_lines(path) if path.exists() else ()
        return {(str(line["pair"][0]), str(line["pair"][1])): int(line["id"]) for _, line in lines}

    def ask(self, pair: tuple[str, str], played: tuple[Recipe, Recipe]) -> int:
        """Return the question about a pair, a new one where there is none yet."""
        known = self.pairs()
        if pair not in known:
            left, right = (_shown_part(recipe) for recipe in played)
            question = Question(len(known), left, right)
            add_question(self._folder, TERM, question, played, pair=list(pair))
            return question.id
        return known[pair]

    # -- for the page ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return where things stand, as `Desk.state` does."""
        answers, pending = self.answers(), self.pending
        counts: dict[str, int] = {}
        for answer in answers.values():
            counts[answer] = counts.get(answer, 0) + 1
        is_open = pending is not None and pending not in answers
        return {
            "asked": len(read_questions(self._folder, TERM)),
            "answered": len(answers),
            "counts": counts,
            "next": [{"term": TERM, "id": pending}] if is_open else [],
            "can_undo": is_open and not self.settled >= set(answers),
            "steps": 0,
            "of": self.settings.steps,
            "finished": self.is_over,
        }

    def show(self, term: str, number: int) -> Shown:
        """Return the clips of a question.

        Raises:
            UnknownQuestionError: There is none.
            LearningError: `not-playable`, `wrong-answer`.
        """
        return self._clips.show(self._folder, TERM, self._find(term, number))

    def answer(self, term: str, number: int, answer: str) -> None:
        """Write an answer down; it is on the disk when this returns.

        Raises:
            UnknownQuestionError: There is no such question.
            LearningError: `wrong-answer` for a word that is no answer.
        """
        self._find(term, number)
        with self._lock:
            add_answer(self.files[TERM], TERM, number, answer)

    def undo(self) -> Key | None:
        """Take the last answer back that no choice rests on yet; the search asks again."""
        given = [number for number in self.answers() if number not in self.settled]
        if not given:
            return None
        self.answer(TERM, given[-1], UNDO)
        self.pending = given[-1]
        return Key(TERM, given[-1])

    def _find(self, term: str, number: int) -> Question:
        questions = read_questions(self._folder, TERM) if term == TERM else []
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(questions):
            raise UnknownQuestionError
        return questions[number]


class Person:
    """Judges by what a person says on the page; what was answered is not asked again.

    Attributes:
        desk: The questions.
    """

    name = "a person"

    def __init__(
        self,
        folder: SearchFolder,
        spec: Spec,
        settings: Settings,
        told: Callable[[str], None],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Make the environment of the clips; the page is served once there is a question.

        Args:
            folder: The search's folder.
            spec: What is judged by.
            settings: Where it is played.
            told: Hears where the page is.
            host: Where to listen.
            port: 0 for any that is free.
        """
        self._folder, self._told, self._where = folder, told, (host, port)
        self.desk = SearchDesk(folder.path, spec, settings)
        self._server: LabelServer | None = None
        self._used: dict[int, str] = {}

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self.desk.close()

    def score(self, candidate: Candidate) -> float | None:
        """Return nothing: people give no numbers."""
        return None

    def pick(self, tried: Sequence[Candidate], generation: int, want_worst: bool) -> Choice:
        """Return best and worst by the answers; waits until they are there."""
        self.desk.settled = frozenset(self.desk.answers()) - frozenset(self._unsettled(tried))
        while True:
            self._used = {}
            with contextlib.suppress(_AgainError):
                choice = pick_by_pairs(tried, want_worst, self._prefers)
                self.desk.settled = frozenset(self.desk.answers())
                return choice

    def _unsettled(self, tried: Sequence[Candidate]) -> list[int]:
        """Return the questions about these candidates alone: a search that was stopped takes the choice up again."""
        ids = {candidate.id for candidate in tried}
        return [number for pair, number in self.desk.pairs().items() if ids.issuperset(pair)]

    def _prefers(self, one: Candidate, two: Candidate) -> bool:
        """Return whether the second is better; equal and skip leave the first in its place."""
        pair = (one.id, two.id)
        mirrored = self.desk.pairs().get((two.id, one.id))
        if mirrored is not None:  # it was asked the other way round
            return self._wait(mirrored) == "left"
        played = (load_clip(self._folder.run_of(one.id)), load_clip(self._folder.run_of(two.id)))
        return self._wait(self.desk.ask(pair, played)) == "right"

    def _wait(self, question: int) -> str:
        while True:
            answers = self.desk.answers()
            if any(answers.get(number) != answer for number, answer in self._used.items()):
                raise _AgainError
            if question in answers:
                self._used[question] = answers[question]
                self.desk.pending = None
                return answers[question]
            self.desk.pending = question
            self._serve()
            time.sleep(POLL)

    def _serve(self) -> None:
        if self._server is None:
            self._server = LabelServer(self.desk, *self._where)
            serve(self._server)
            self._told(f"which is better? answer at {self._server.url}")


def _shown_part(recipe: Recipe) -> Clip:
    """Return which steps of an episode are shown: its last ones, where it is long."""
    start = max(0, len(recipe.actions) - SHOWN)
    return Clip(0, 0, start, len(recipe.actions) - start, recipe.seed)
