"""Questions and answers on disk: two files in a folder, each with one writer, so that nobody waits for anybody.

`questions.json` is the queue, written by who learns: all that waits for an answer, the newest last, replaced as a whole
at once. `answers.jsonl` grows by a line per answer and is written by who annotates. A question stays in the queue until
its answer has been read, so one that was taken and never answered, because a process was killed, is asked again; one
that was answered is not. `annotator.json` tells what the annotator does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.llm.feedback import Question

QUESTIONS, ANSWERS, STATUS = "questions.json", "answers.jsonl", "annotator.json"

SAID = 1000
"""Characters of an answer that are kept, its last ones."""


@dataclass(frozen=True)
class Queue:
    """What waits for an answer, and how it is to be asked.

    Attributes:
        task: What the agent is to do.
        note: What else the model is told.
        llm: Which model.
        batch: Questions that are taken at a time.
        parallel: Requests under way at the same time.
        answer_tokens: Tokens of an answer, at most.
        questions: The questions, the newest last.
    """

    task: str
    note: str = ""
    llm: str = "default"
    batch: int = 100
    parallel: int = 4
    answer_tokens: int = 200
    questions: tuple[Question, ...] = ()

    def write(self, folder: Path) -> None:
        """Put the queue in place of the one before, in one piece."""
        write_whole(folder / QUESTIONS, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Queue | None:
        """Return the queue; None where there is none yet.

        Raises:
            LanguageModelError: `broken-queue`.
        """
        path = folder / QUESTIONS
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise _broken(path, str(error)) from None
        try:
            questions = tuple(_question(each) for each in data.pop("questions"))
            queue = cls(**data, questions=questions)
            texts = (queue.task, queue.note, queue.llm)
            numbers = (queue.batch, queue.parallel, queue.answer_tokens)
            if not all(isinstance(text, str) for text in texts) or not all(
                isinstance(number, int) and number >= 1 for number in numbers
            ):
                raise ValueError("an option is of another form")
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise _broken(path, str(error)) from None
        return queue


@dataclass(frozen=True)
class Answered:
    """An answer.

    Attributes:
        question: What was asked.
        value: What was read from it; None for nothing.
        model: Who said it.
        prompt: Name and digest of the prompt file.
        said: The end of the text.
    """

    question: Question
    value: float | None
    model: str = ""
    prompt: str = ""
    said: str = ""


class AnswerFile:
    """The answers of a folder, for the one who writes them or for one who reads them.

    Attributes:
        path: The file; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        """Begin at the first answer."""
        self.path = folder / ANSWERS
        self._place = 0

    def read_new(self) -> list[Answered]:
        """Return the answers that were written since the last call; a line that is being written waits.

        Raises:
            LanguageModelError: `broken-queue` for a line that is no answer.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._place)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._place += len(whole)
        return [self._answer(line) for line in whole.splitlines() if line.strip()]

    def _answer(self, line: bytes) -> Answered:
        try:
            data = json.loads(line)
            value = data["value"]
            if value not in (None, 0, 0.5, 1):
                raise ValueError(f"{value!r} is no answer")
            texts = (str(data[name]) for name in ("model", "prompt", "said"))
            return Answered(_question(data["question"]), None if value is None else float(value), *texts)
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(self.path, str(error)) from None

    def mend(self) -> None:
        """Cut off a line that was being written when its writer was killed."""
        if not self.path.is_file():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)

    def add(self, answered: Answered) -> None:
        """Write an answer at the end, in one piece."""
        line = json.dumps({**asdict(answered), "said": answered.said[-SAID:]}, ensure_ascii=False) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode("utf-8", "replace"))


def write_whole(path: Path, data: Any) -> None:
    """Write plain data so that who reads sees all of it or what was there before."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    os.replace(new, path)


def _question(data: Any) -> Question:
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) not in (1, 2):
        raise ValueError("a question is one message or two")
    if not all(isinstance(text, str) for text in data):
        raise ValueError("a message is a text")
    return tuple(data)


def _broken(path: Path, why: str) -> LanguageModelError:
    hint = "Take the file away; what was answered is asked anew then."
    return LanguageModelError(Problem("broken-queue", f"{path} cannot be read: {why[:200]}", hints=(hint,)))
