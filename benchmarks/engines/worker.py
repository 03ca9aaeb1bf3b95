"""A process that makes one cell after another for the process that started it, and does not outlive it."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

from benchmarks import measuring, records
from benchmarks.experiment import load

BEGUN = "begun"
"""What is sent when all is loaded and the cell's time begins."""


def serve(link: Any, scratch: str, log: str) -> None:
    """Make the cells that the link asks for: (experiment, setting, seed) in, `BEGUN` and a cell or a failure out."""
    os.setsid()  # the cell's own processes end with this one; Ctrl-C reaches the parent alone
    quiet(Path(log))
    threading.Thread(target=_die_with_parent, daemon=True).start()
    records.SCRATCH = Path(scratch)
    while True:
        try:
            name, setting, seed = link.recv()
        except EOFError:
            return
        experiment = load(name)
        link.send(BEGUN)
        link.send(measuring.make(experiment, setting, seed))


def quiet(log: Path) -> None:
    """Write what this process prints into a file, with its stack when it crashes or gets SIGUSR1."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False)


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)
