"""Who answers questions beside a training run: a process that asks the spec's model, a thread for a given provider."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

from rewardspec.llm.annotator import Annotator
from rewardspec.llm.provider import Provider
from rewardspec.llm.questions import STATUS

MOST_STARTS = 5
"""How often an annotator that was killed is started again."""

PATIENCE = 5.0
"""Seconds that one is waited for when it is to end."""


class AnnotatorProcess:
    """A process that answers the questions of a folder; it ends when this one does, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with (folder / "annotator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rewardspec.llm.annotator", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )
        self.close = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None


class AnnotatorThread:
    """A thread of this process that puts the questions of a folder to a provider."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        """Start it."""
        self._stop = threading.Event()
        annotator = Annotator(folder, provider)
        self._thread = threading.Thread(
            target=annotator.run, args=(self._stop, 0.02), daemon=True, name="annotator"
        )
        self._thread.start()
        self.close = weakref.finalize(self, _stop, self._stop, self._thread)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()


def status(folder: Path) -> dict[str, Any]:
    """Return what the annotator of a folder says of itself; nothing where it has said nothing."""
    try:
        told = json.loads((folder / STATUS).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and wait for it: gently, then not."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stop(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    thread.join(PATIENCE)
