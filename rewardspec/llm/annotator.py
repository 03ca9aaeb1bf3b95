"""The annotator: takes the newest questions of a queue, asks a model, and writes what it says.

python -m rewardspec.llm.annotator FOLDER        # what a learner starts; ends with the learner
rewardspec llm annotate FOLDER                   # the same by hand, where a learner has left questions
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rewardspec.errors import RewardSpecError
from rewardspec.llm.feedback import Question, read_answer, request_for
from rewardspec.llm.provider import Provider
from rewardspec.llm.questions import STATUS, Answered, AnswerFile, Queue, write_whole

TRANSIENT = frozenset(["llm-unreachable", "llm-overloaded", "llm-bad-response"])
"""What may be over when it is tried again; anything else ends the annotator."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries, at most."""


class Annotator:
    """Answers the questions of a folder, one batch after another.

    Attributes:
        folder: Where queue and answers are.
        answered: The questions that have an answer.
        asked: Questions that this annotator has asked.
        unread: Those among them whose answer says nothing that can be read.
    """

    def __init__(self, folder: Path, provider: Provider | None = None) -> None:
        """Take up what an annotator before this one has left.

        Args:
            folder: The folder.
            provider: Who is asked; the model that the queue names when not given.

        Raises:
            LanguageModelError: `broken-queue`.
        """
        self.folder, self._provider = folder, provider
        self._file = AnswerFile(folder)
        self._file.mend()
        self.answered: set[frozenset[str]] = {frozenset(each.question) for each in self._file.read_new()}
        self.asked = self.unread = 0
        self._lock = threading.Lock()

    def take(self) -> tuple[Queue, list[Question]] | None:
        """Return the queue and its newest unanswered questions, the newest first; None where there are none."""
        queue = Queue.read(self.folder)
        if queue is None:
            return None
        batch: list[Question] = []
        for question in reversed(queue.questions):
            if frozenset(question) not in self.answered:
                batch.append(question)
                if len(batch) == queue.batch:
                    break
        return (queue, batch) if batch else None

    def answer(self, queue: Queue, batch: Sequence[Question], stop: threading.Event | None = None) -> None:
        """Ask a batch; what was asked before `stop` is set is written.

        Raises:
            LanguageModelError: What the provider finds wrong; answers that came in time are written.
        """
        provider = self._opened(queue)
        over = threading.Event()  # one that failed is enough: the others would wait for the same server

        def put(question: Question) -> None:
            if over.is_set() or (stop is not None and stop.is_set()):
                return
            request = request_for(question, queue.task, queue.note, queue.answer_tokens)
            try:
                completion = provider.complete(request)
            except Exception:
                over.set()
                raise
            value = read_answer(completion.text, question)
            with self._lock:
                self._file.add(
                    Answered(question, value, completion.card.name, request.prompt, completion.text)
                )
                self.answered.add(frozenset(question))
                self.asked += 1
                self.unread += value is None

        with ThreadPoolExecutor(min(queue.parallel, len(batch))) as pool:
            failed = [future.exception() for future in [pool.submit(put, question) for question in batch]]
        first = next((error for error in failed if error is not None), None)
        if first is not None:
            raise first

    def run(self, stop: threading.Event, pause: float = 0.2) -> None:
        """Answer until told to stop, or until the model cannot be asked any more.

        Args:
            stop: Ends it.
            pause: Seconds between two looks at an empty queue; a failing server gets longer ones.
        """
        wait = pause
        while not stop.is_set():
            try:
                taken = self.take()
                if taken is None:
                    self._tell("waits")
                    stop.wait(pause)
                    continue
                self._tell("asks")
                self.answer(*taken, stop=stop)
                wait = pause
            except RewardSpecError as error:
                problem = error.problems[0]
                if problem.code not in TRANSIENT:
                    self._tell("ended", str(error))
                    return
                self._tell("tries again", str(error))
                wait = min(2 * wait, LONGEST_PAUSE)
                stop.wait(wait)
        self._tell("stopped")

    def _opened(self, queue: Queue) -> Provider:
        if self._provider is None:
            from rewardspec.llm.providers import open_provider

            self._provider = open_provider(queue.llm)
        return self._provider

    def _tell(self, state: str, why: str = "") -> None:
        told = {
            "state": state,
            "why": why[:2000],
            "asked": self.asked,
            "unread": self.unread,
            "pid": os.getpid(),
        }
        if told != getattr(self, "_told", None):
            self._told = told
            write_whole(self.folder / STATUS, told)


def _end_with_stdin() -> None:
    """End this process when who started it is gone: at once, what was not written is asked again."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def main(folder: str) -> int:
    """Answer until stdin is closed."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    Annotator(Path(folder)).run(threading.Event())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
