"""A process that makes one cell after another for the process that started it, and does not outlive it.

Started as `python -m benchmarks.engines.worker LINK LIFE SCRATCH`: two file descriptors, of the socket that cells are
asked and given over and of a pipe that ends when the other process does, and the folder for checkpoints.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import measuring, records
from benchmarks.experiment import load

BEGUN = "begun"
"""What is sent when all is loaded and the cell's time begins."""


def serve(link: Connection, life: int, scratch: Path) -> None:
    """Make the cells that the link asks for: (experiment, setting, seed) in, `BEGUN` and a cell or a failure out."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # where does it hang?
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    records.SCRATCH = scratch
    while True:
        try:
            name, setting, seed = link.recv()
        except EOFError:
            return
        experiment = load(name)
        link.send(BEGUN)
        link.send(measuring.make(experiment, setting, seed))


def _end_with(life: int) -> None:
    os.read(life, 1)  # nothing is ever written: this returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3]))
