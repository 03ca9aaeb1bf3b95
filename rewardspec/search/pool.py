"""A few processes that do pieces of work: one that dies or hangs costs its piece, not the others.

The standard pool breaks as a whole when one process is killed, and waits for ever for one that hangs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from rewardspec.errors import MissingExtraError, RewardSpecError

POLL = 0.5
"""Seconds between two looks at what goes on."""

GRACE = 5.0
"""Seconds that a process has to end before it is killed."""

Work = Callable[[Any], Any]
"""A function of a module, which takes and returns plain data."""


@dataclass(frozen=True)
class Done:
    """What became of a piece: a value, or the reason why there is none."""

    item: int
    value: Any = None
    failed: str = ""


@dataclass
class _Worker:
    process: BaseProcess
    line: Connection
    item: int | None = None
    began: float = field(default_factory=time.monotonic)


class Pool:
    """Processes that stay for many pieces: what they import, they import once.

    Attributes:
        work: What is done with each piece.
        workers: Processes at once.
        limit: Seconds that a piece may take; None for no limit.
    """

    def __init__(self, work: Work, workers: int, limit: float | None = None) -> None:
        """Start nothing yet."""
        self.work, self.workers, self.limit = work, workers, limit
        self._there: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")  # torch does not survive a fork

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once; training can be stopped at any moment."""
        for worker in self._there:
            worker.process.terminate()
        for worker in self._there:
            _end(worker)
        self._there = []

    def run(self, items: Sequence[Any], look: Callable[[], None] = lambda: None) -> Iterator[Done]:
        """Yield what became of each piece, in the order in which they end.

        Args:
            items: The pieces.
            look: Called every moment while there is something to wait for.

        Raises:
            MissingExtraError: A package is not installed: no piece can be done.
        """
        waiting = deque(range(len(items)))
        busy: dict[int, _Worker] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    item = waiting.popleft()
                    busy[item] = self._give(item, items[item])
                yield from self._collect(busy)
                look()
        finally:
            if busy:  # whoever asked has gone: nobody waits for these
                self.close()

    def _give(self, item: int, value: Any) -> _Worker:
        """Hand a piece to a process that is free, or to a new one."""
        worker = next((w for w in self._there if w.item is None and w.process.is_alive()), None)
        if worker is None:
            here, there = self._context.Pipe()
            process = self._context.Process(
                target=_serve, args=(there, self.work, os.getpid()), name="rewardspec search", daemon=True
            )
            process.start()
            there.close()
            worker = _Worker(process, here)
            self._there.append(worker)
        worker.item, worker.began = item, time.monotonic()
        worker.line.send(value)
        return worker

    def _collect(self, busy: dict[int, _Worker]) -> Iterator[Done]:
        ready = wait([worker.line for worker in busy.values()], timeout=POLL)
        for item, worker in list(busy.items()):
            if worker.line in ready:
                del busy[item]
                yield self._answer(item, worker)
            elif self.limit is not None and time.monotonic() - worker.began > self.limit:
                del busy[item]
                self._drop(worker)
                yield Done(item, failed=f"it was stopped after {self.limit:g} s, which is the limit")

    def _answer(self, item: int, worker: _Worker) -> Done:
        try:
            value, failed, fatal = worker.line.recv()
        except (EOFError, OSError):
            worker.process.join(GRACE)
            code = worker.process.exitcode
            self._drop(worker)
            how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
            return Done(item, failed=f"its process {how}")
        worker.item = None
        if fatal is not None:
            raise fatal
        return Done(item, value, failed)

    def _drop(self, worker: _Worker) -> None:
        worker.process.terminate()
        _end(worker)
        self._there.remove(worker)


def _end(worker: _Worker) -> None:
    worker.process.join(GRACE)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.line.close()


def _serve(line: Connection, work: Work, parent: int) -> None:
    """Do pieces until nobody hands out more; in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that shows the search answers Ctrl-C
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_go_with, args=(parent,), daemon=True).start()
    while True:
        try:
            item = line.recv()
        except (EOFError, OSError):
            return
        line.send(attempt(work, item))


def _go_with(parent: int) -> None:
    """End when the search has been killed: whoever goes on with it must find its run folders free."""
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)


def attempt(work: Work, item: Any) -> tuple[Any, str, RewardSpecError | None]:
    """Return what a piece comes to, why it failed, and the error that no other piece will be spared."""
    try:
        return work(item), "", None
    except MissingExtraError as error:
        return None, "", error
    except RewardSpecError as error:
        return None, error.problems[0].render(), None
    except Exception as error:  # whatever an environment or an algorithm raises
        first = (str(error).strip().splitlines() or [""])[0]
        return None, f"{type(error).__name__}: {first}"[:500], None
