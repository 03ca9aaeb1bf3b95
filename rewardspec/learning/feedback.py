"""Feedback on messages beside an agent: what was shown, what is asked, what was answered, and what it teaches (ONI).

Nothing here waits for a model. A refresh writes the queue and reads the answers that are there: two files on disk. Who
fits and who pays is one thread, so nothing needs a lock.
"""

from __future__ import annotations

import json
import re
import tempfile
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem
from rewardspec.ir.program import Learned
from rewardspec.kinds.feedback import Annotator, Feedback, PhraseOracle
from rewardspec.learning.annotators import MOST_STARTS, AnnotatorProcess, AnnotatorThread, status
from rewardspec.learning.message_models import MessageModel
from rewardspec.learning.messages import code_of
from rewardspec.llm.feedback import TIE, Question, answer_of_phrases
from rewardspec.llm.provider import Provider
from rewardspec.llm.questions import Answered, AnswerFile, Queue

MOST_MESSAGES = 100_000
"""Different messages that are kept; more are not asked about and pay nothing."""

SETTLED_ON = 2_000
"""Messages, those shown last, over which mean and spread of a ranking are taken."""

TRIES = 4
"""How often a pair is drawn anew, on the average, where it was asked before."""

FOLDER = "feedback"
"""Name of the folder, in that of a run, in which questions and answers are."""


@dataclass(frozen=True)
class FeedbackReport:
    """What one refresh came to.

    Attributes:
        messages: Different messages so far.
        labels: Answers so far, those that could not be read left out.
        new: Those among them that came since the last refresh.
        waiting: Questions that wait.
        dropped: Questions that were dropped so far, because too many waited.
        left_out: Sightings of messages that were not kept, because there were too many.
        unread: Share of the answers that could not be read; None without answers.
        helpful: Share of the labels that are helpful, or of pairs that are no tie; None without labels.
        loss: Of the last step of Adam; None where nothing was fitted.
        annotating: Whether an annotator runs.
    """

    messages: int
    labels: int
    new: int
    waiting: int
    dropped: int
    left_out: int
    unread: float | None
    helpful: float | None
    loss: float | None
    annotating: bool

    def to_data(self) -> dict[str, float | int | None]:
        """Return the report as plain data."""
        return asdict(self)


class FeedbackSource:
    """The messages of one term, their labels, and who is asked for them.

    Attributes:
        options: The term.
        model: What pays.
        shown: How often each message was shown, by number; the one shown last is the last.
        labels: 1 or 0 by message.
        pairs: Pairs of messages with 1 where the first is better, 0 where the second is, 1/2 for a tie.
        unread: Questions whose answers could not be read.
        dropped: Questions that were dropped.
        left_out: Sightings that were not kept.
    """

    def __init__(
        self,
        learned: Learned,
        model: MessageModel,
        folder: Path | None,
        provider: Provider | None,
        rng: np.random.Generator,
    ) -> None:
        """Know nothing yet; nothing is started."""
        assert isinstance(learned.settings, Feedback)
        self.options, self.model = learned.settings, model
        self._learned, self._given, self._provider, self._rng = learned, folder, provider, rng
        self.shown: dict[int, int] = {}
        self.labels: dict[int, float] = {}
        self.pairs: list[tuple[int, int, float]] = []
        self.unread = self.dropped = self.left_out = 0
        self._asked: set[frozenset[int]] = set()
        self._waiting: dict[frozenset[int], Question] = {}
        self._lately: dict[int, None] = {}
        self._answers: AnswerFile | None = None
        self._folder: Path | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._annotator: AnnotatorProcess | AnnotatorThread | None = None
        self._written: tuple[Question, ...] | None = None
        self._starts, self._told = 0, False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out who answers: in another process there is nobody to be asked."""
        return {**self.__dict__, "_annotator": None, "_scratch": None, "_answers": None, "_provider": None}

    # -- what was shown --------------------------------------------------------------------------------

    def know(self, text: str) -> int:
        """Keep a message that is being shown; return its number."""
        code, texts = code_of(text), self.model.texts
        if code not in texts and len(texts) < MOST_MESSAGES:
            texts[code] = text
        return code

    def saw(self, codes: Iterable[int]) -> None:
        """Count messages that were shown on a step, one for each environment."""
        for code in codes:
            if code not in self.model.texts:
                self.left_out += 1
                continue
            self.shown[code] = self.shown.pop(code, 0) + 1
            self._lately.pop(code, None)
            self._lately[code] = None

    # -- a refresh -------------------------------------------------------------------------------------

    def refresh(self) -> dict[str, Any]:
        """Queue what was shown and has no label, take the answers that are there, fit; return what it came to.

        Raises:
            LanguageModelError: `no-llm` and the like where there is no model to be asked; `broken-queue`.
        """
        self._ask()
        before = self._number
        for answered in self._answered():
            self._take(answered)
        loss = self._fit() if self._number else None
        self.model.settle(dict(list(self.shown.items())[-SETTLED_ON:]))
        answers = self._number + self.unread
        report = FeedbackReport(
            messages=len(self.model.texts),
            labels=self._number,
            new=self._number - before,
            waiting=len(self._waiting),
            dropped=self.dropped,
            left_out=self.left_out,
            unread=self.unread / answers if answers else None,
            helpful=self._helpful(),
            loss=loss,
            annotating=self._annotator is not None and self._annotator.is_alive,
        )
        return report.to_data()

    @property
    def _number(self) -> int:
        return len(self.pairs) if self.options.model == "ranking" else len(self.labels)

    def _helpful(self) -> float | None:
        if not self._number:
            return None
        if self.options.model == "ranking":
            return sum(label != TIE for *_, label in self.pairs) / len(self.pairs)
        return sum(self.labels.values()) / len(self.labels)

    def _fit(self) -> float | None:
        if self.options.model == "retrieval":
            self.model.labels, self.model.is_fitted = self.labels, True
            return None
        if self.options.model == "classification":
            return self.model.fit_labels(self.labels, self._rng)
        return self.model.fit_pairs(self.pairs, self._rng)

    # -- questions -------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Queue questions about what was shown since the last refresh, the newest last."""
        lately = [code for code in self._lately if code or self.options.empty == "ask"]
        self._lately.clear()
        asked = ((code,) for code in lately) if self.options.model != "ranking" else self._drawn(lately)
        texts, waiting = self.model.texts, self._waiting
        for codes in asked:
            key = frozenset(codes)
            if key in self._asked:
                continue
            question = waiting.pop(key, None) or tuple(texts[code] for code in codes)
            waiting[key] = question
        for key in list(waiting)[: max(len(waiting) - self.options.queue, 0)]:
            del waiting[key]
            self.dropped += 1

    def _drawn(self, lately: list[int]) -> Iterable[tuple[int, ...]]:
        """Yield new pairs: one message that was shown lately, and any other, in either order."""
        known = [code for code in self.shown if code or self.options.empty == "ask"]
        drawn: set[frozenset[int]] = set()
        if not lately or len(known) < 2:
            return
        for _ in range(TRIES * self.options.pairs):
            a = lately[int(self._rng.integers(len(lately)))]
            b = known[int(self._rng.integers(len(known)))]
            key = frozenset((a, b))
            if a == b or key in drawn or key in self._asked:
                continue
            drawn.add(key)
            yield (a, b) if self._rng.random() < 0.5 else (b, a)
            if len(drawn) == self.options.pairs:
                return

    # -- answers ---------------------------------------------------------------------------------------

    def _answered(self) -> list[Answered]:
        judge = self.options.judge
        if isinstance(judge, PhraseOracle):
            return [
                Answered(question, answer_of_phrases(judge.oracle, question))
                for question in self._waiting.values()
            ]
        if self._waiting or self._answers is not None:
            self.open()
        if self._answers is None:
            return []
        found = self._answers.read_new()
        self._post(judge, {frozenset(map(code_of, answered.question)) for answered in found})
        return found

    def _take(self, answered: Answered) -> None:
        """Take up an answer, unless the question was answered before: labels are never revised."""
        codes = tuple(map(code_of, answered.question))
        key = frozenset(codes)
        if key in self._asked or len(codes) != (2 if self.options.model == "ranking" else 1):
            return
        self._asked.add(key)
        self._waiting.pop(key, None)
        for code, text in zip(codes, answered.question, strict=True):
            self.model.texts.setdefault(code, text)
        value = answered.value
        if value is None:
            self.unread += 1
            if not self.options.as_released:
                return
            value = TIE if len(codes) == 2 else 0.0
        if len(codes) == 2:
            self.pairs.append((codes[0], codes[1], value))
        else:
            self.labels[codes[0]] = value

    # -- who is asked ----------------------------------------------------------------------------------

    def open(self) -> None:
        """See that somebody answers; nothing is waited for.

        Raises:
            LanguageModelError: `no-llm`, `unknown-weights` and the like where there is no model to be asked.
        """
        if not isinstance(self.options.judge, Annotator):
            return
        if self._folder is None:
            if self._provider is None:  # said now, and not by a process that ends beside the run
                from rewardspec.llm.providers import open_provider

                open_provider(self.options.judge.llm, self._learned.place)
            self._folder = self._place()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._answers = AnswerFile(self._folder)
        if self._annotator is not None and self._annotator.is_alive:
            return
        if self._annotator is not None and status(self._folder).get("state") == "ended":
            if not self._told:
                self._told = True
                why = status(self._folder).get("why")
                warnings.warn(
                    f"nobody labels messages for '{self._learned.name}' any more: {why}", stacklevel=2
                )
            return
        if self._starts < MOST_STARTS:
            self._starts += 1
            if self._annotator is not None:
                self._annotator.close()
            self._annotator = (
                AnnotatorProcess(self._folder)
                if self._provider is None
                else AnnotatorThread(self._folder, self._provider)
            )

    def close(self) -> None:
        """End who answers; the next refresh starts one again. What was asked and not answered is asked again then."""
        if self._annotator is not None:
            self._annotator.close()
            self._annotator, self._starts = None, 0

    def _place(self) -> Path:
        """Return the folder of the questions: another one for another task, whose labels are others."""
        judge = self.options.judge
        assert isinstance(judge, Annotator)
        about = json.dumps([self._learned.name, self.options.task, judge.note, judge.llm])
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', self._learned.name)[:80]}-{zlib.crc32(about.encode()):08x}"
        if self._given is not None:
            return self._given / FOLDER / name
        self._scratch = tempfile.TemporaryDirectory(prefix="rewardspec-", ignore_cleanup_errors=True)
        return Path(self._scratch.name) / name

    def _post(self, judge: Annotator, answered: set[frozenset[int]]) -> None:
        """Write the queue, where it has changed."""
        assert self._folder is not None
        questions = tuple(question for key, question in self._waiting.items() if key not in answered)
        if questions == self._written:
            return
        Queue(
            task=self.options.task,
            note=judge.note,
            llm=judge.llm,
            batch=judge.batch,
            parallel=judge.parallel,
            answer_tokens=judge.answer_tokens,
            questions=questions,
        ).write(self._folder)
        self._written = questions

    # -- plain data ------------------------------------------------------------------------------------

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint needs."""
        data = {
            "texts": [[code, text] for code, text in self.model.texts.items()],
            "shown": list(self.shown.items()),
            "labels": list(self.labels.items()),
            "pairs": self.pairs,
            "unread": [list(question) for question in self._unread_questions()],
            "counts": [self.unread, self.dropped, self.left_out],
            "waiting": [list(question) for question in self._waiting.values()],
            "lately": list(self._lately),
        }
        return {"messages": np.array(json.dumps(data))}

    def _unread_questions(self) -> Iterable[frozenset[int]]:
        answered = {frozenset((code,)) for code in self.labels} | {frozenset(pair[:2]) for pair in self.pairs}
        return self._asked - answered

    def take_state(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave.

        Raises:
            LearningError: `broken-checkpoint`.
        """
        try:
            data = json.loads(str(arrays["messages"]))
            texts = {int(code): str(text) for code, text in data["texts"]}
            shown = {int(code): int(number) for code, number in data["shown"]}
            labels = {int(code): float(label) for code, label in data["labels"]}
            pairs = [(int(a), int(b), float(label)) for a, b, label in data["pairs"]]
            waiting = [tuple(map(str, question)) for question in data["waiting"]]
            unread, dropped, left_out = map(int, data["counts"])
            unreadable = [frozenset(map(int, codes)) for codes in data["unread"]]
            lately = [int(code) for code in data["lately"]]
        except (ValueError, KeyError, TypeError) as error:
            problem = Problem("broken-checkpoint", f"the messages of the learner cannot be read: {error}")
            raise LearningError(problem) from error
        self.model.texts.clear()
        self.model.texts.update(texts)
        self.shown, self.labels, self.pairs = shown, labels, pairs
        self.unread, self.dropped, self.left_out = unread, dropped, left_out
        self._waiting = {frozenset(map(code_of, question)): question for question in waiting}
        self._lately = dict.fromkeys(lately)
        self._asked = {frozenset((code,)) for code in labels} | {frozenset(pair[:2]) for pair in pairs}
        self._asked.update(unreadable)
        if self.options.model == "retrieval":
            self.model.labels = self.labels
