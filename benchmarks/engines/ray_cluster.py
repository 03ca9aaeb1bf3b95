"""The processors of a Ray cluster: the same cells, the same limits, and rows that come back to one process.

Each cell is a task. Ray runs it again, up to `RETRIES` times, when its process or node dies; what is lost with a node
is only what was under way there. Within a task the cell is made by a process of its own (`process.py`), which is kept
from cell to cell and carries the limits of time and memory, so that a cell that hangs takes nothing with it.

Every node needs this checkout at the same place, with the same packages: a shared file system, or one image. A node
with other sources makes no cells; its failures say so. Checkpoints are in the run's folder where nodes share it, else
in the node's own temporary folder.
"""

from __future__ import annotations

import atexit
import importlib
import math
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.engines import Ended, Event, Limits, Started
from benchmarks.engines.process import Worker, start
from benchmarks.experiment import load
from benchmarks.measuring import made_with
from benchmarks.records import ROOT, Cell, Failure
from benchmarks.suites import Job

CONNECT_S = 5.0
"""Seconds that an address gets to answer at all."""

JOIN_S = 120.0
"""Seconds that it gets to answer as a Ray cluster."""

RETRIES = 3
AHEAD = 1.25
"""Cells that are under way, as a multiple of the processors: so that none waits for the one that hands out."""

POLL_S = 0.1
BATCH = 256
"""Cells that are taken in at once, at most."""

SIZE_S = 5.0
"""How often the size of the cluster is asked for."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def run(workers: int | None, jobs: Sequence[Job], limits: Limits) -> Iterator[Event]:
    """Make cells on the cluster that was joined.

    Args:
        workers: Cells at once; None for as many as there are processors, and some that wait their turn.
        jobs: The cells.
        limits: What a cell may take.
    """
    ray = _ray()
    make = ray.remote(max_retries=RETRIES)(make_cell)
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    queue, going = deque(jobs), dict[Any, Job]()
    sources, asked, room = str(made_with()["code"]), -SIZE_S, 1
    try:
        while queue or going:
            if time.monotonic() - asked > SIZE_S:  # nodes come and go
                asked, room = time.monotonic(), workers or math.ceil(AHEAD * processors())
            while queue and len(going) < room:
                job = queue.popleft()
                need = load(job.experiment).resources
                task = make.options(num_cpus=need.cpus, num_gpus=need.gpus if has_gpus else 0)
                going[task.remote(job, limits, sources)] = job
                yield Started(job, "cluster")
            ready, _ = ray.wait(list(going), num_returns=min(BATCH, len(going)), timeout=POLL_S)
            for task in ready:
                job = going.pop(task)
                made = _taken(ray, task, job)
                yield Ended(job, made, str(made.facts.get("host", "")))
    finally:
        ray.shutdown()


def processors() -> int:
    """Return how many processors the cluster has now."""
    return max(1, int(_ray().cluster_resources().get("CPU", 1)))


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        sys.exit("--engine ray needs Ray: pip install 'rewardspec[distributed]'")


def _taken(ray: Any, task: Any, job: Job) -> Cell | Failure:
    try:
        made: Cell | Failure = ray.get(task)
    except ray.exceptions.RayError as error:
        said = f"lost with its process or node, {RETRIES + 1} times: {type(error).__name__}"
        return Failure(job.setting, job.seed, "died", said, str(error)[-1000:], made_with())
    return made


def join(address: str) -> None:
    """Join a cluster.

    Args:
        address: Of its head, `HOST:PORT`; `auto` for the cluster that this machine belongs to.

    Raises:
        SystemExit: Ray is not installed, or no cluster answers at the address within two minutes.
    """
    ray = _ray()
    if address != "auto":
        _answers(address)
    variables = {**ONE_THREAD, "PYTHONPATH": str(ROOT)}
    for name in ("MPLBACKEND", "MUJOCO_GL", "SDL_VIDEODRIVER"):
        if name in os.environ:
            variables[name] = os.environ[name]
    try:
        ray.init(address, runtime_env={"env_vars": variables}, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # whatever Ray says: an authentication that fails, another version
        sys.exit(f"no Ray cluster can be joined at {address}: {type(error).__name__}: {error}")


def _answers(address: str) -> None:
    """Refuse an address at which no Ray cluster answers in bounded time."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit(
            f"--address is that of the cluster's head, HOST:PORT (as `ray start --head` prints it), not {address}"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        sys.exit(
            f"nothing answers at {address} ({error}): is the cluster up (`ray status`), and does a firewall let this"
            " machine in?"
        )
    asked = [
        sys.executable,
        "-c",
        "from ray.scripts.scripts import main; main()",
        "health-check",
        "--address",
        address,
    ]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=JOIN_S, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"what answers at {address} is no Ray cluster, or a sick one: no word within {JOIN_S:g} s")
    if told.returncode:
        last = (told.stderr or told.stdout).strip().splitlines()[-1:]
        sys.exit(
            f"what answers at {address} is no healthy Ray cluster that lets us in: {' '.join(last) or 'no word'}"
        )


# -- on the nodes ------------------------------------------------------------------------------------------------------

_kept: list[Worker] = []
"""The process of this one that makes its cells, while it waits for the next."""


def make_cell(job: Job, limits: Limits, sources: str) -> Cell | Failure:
    """Make a cell on this node, within its limits."""
    if made_with()["code"] != sources:
        said = f"{platform.node()} has other sources ({made_with()['code']}) than the one that hands out ({sources})"
        return Failure(job.setting, job.seed, "died", said, "", made_with())
    here = replace(limits, scratch=_scratch(limits.scratch))
    worker = _kept.pop() if _kept else start(f"ray {platform.node()} {os.getpid()}", here)
    worker.give(job)
    made = worker.look(here)
    while made is None:
        worker.link.poll(POLL_S)
        made = worker.look(here)
    worker.job = None
    holds_gpu = load(job.experiment).resources.gpus > 0  # which one may differ from cell to cell
    if holds_gpu or (isinstance(made, Failure) and made.kind in ("time", "memory", "died")):
        worker.end()
    else:
        _kept.append(worker)
    return made


def _scratch(asked: Path) -> Path:
    try:
        asked.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / "rewardspec-benchmarks"
    return asked


@atexit.register
def _end_kept() -> None:
    while _kept:
        _kept.pop().end()
