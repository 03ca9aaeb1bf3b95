"""The same cells on a Ray cluster, of whose two nodes one is killed in the middle.

Ray is large and slow to start, so these tests run where it is installed and `RAY_TESTS=1` asks for them:

    RAY_TESTS=1 python -m pytest tests/benchmarks/test_ray.py
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.commands import main
from benchmarks.records import ROOT
from benchmarks.store import Store
from benchmarks.suites import Job, Plan

COUNTING, FAULTY = "tests.benchmarks.counting", "tests.benchmarks.faulty"
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None or os.environ.get("RAY_TESTS") != "1",
    reason="starts a Ray cluster: needs Ray and RAY_TESTS=1",
)


@dataclass
class Cluster:
    """A head and a second node, each a tree of processes, at two loopback addresses."""

    address: str
    folder: Path
    environment: dict[str, str]

    def run(self, out: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks", "run", *more, "--out", str(out)]
        return subprocess.Popen(
            [*command, "--engine", "ray", "--address", self.address],
            cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *arguments, "--block"],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


def children(parent: int) -> list[int]:
    """Return all processes that a process started, and those they started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    for pid in [*children(process.pid), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        port = free.getsockname()[1]
    folder = Path("/tmp") / f"ray-{secrets.token_hex(3)}"  # its sockets need a short path
    folder.mkdir()
    held = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    made = Cluster(
        f"127.0.0.2:{port}", folder, {**os.environ, **held, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    )
    node = ["--num-cpus=2", f"--object-store-memory={100 * 2**20}"]
    head = made.start("--head", "--node-ip-address=127.0.0.2", f"--port={port}", "--include-dashboard=false",
                      f"--temp-dir={folder}", *node)  # fmt: skip
    try:
        until = time.monotonic() + 120
        asked = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "health-check"]
        while subprocess.run(
            [*asked, "--address", made.address], env=made.environment, capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < until, (folder / "log.txt").read_text()
            time.sleep(0.5)
        second = made.start(f"--address={made.address}", "--node-ip-address=127.0.0.3", *node)
        yield made, second
        kill_tree(second)
    finally:
        kill_tree(head)
        for entry in Path("/proc").glob("[0-9]*"):  # what left the tree: the folder is in its command
            with suppress(OSError, ValueError):
                if str(folder) in (entry / "cmdline").read_text():
                    os.kill(int(entry.name), signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(folder)], check=False)


@needs_ray
@pytest.mark.timeout(600)
def test_a_node_that_dies_in_the_middle_loses_no_cell_and_none_counts_twice(
    cluster: tuple[Cluster, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    made, second = cluster
    run = made.run(tmp_path, COUNTING, "--seeds", "40")
    records, until = Store(tmp_path).records(COUNTING), time.monotonic() + 300
    try:
        while len(records.cells()) < 20 and run.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert 20 <= len(records.cells()) < 160, run.poll() is not None and run.communicate()
        kill_tree(second)
        said, _ = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 0, said
    marks = [Job(COUNTING, cell.setting, cell.seed).mark for cell in records.cells()]
    assert sorted(marks) == sorted(job.mark for job in Plan(experiments=[COUNTING], seeds=40).jobs())
    assert len(records.path.read_text().splitlines()) == 160


@needs_ray
@pytest.mark.timeout(600)
def test_cells_that_go_wrong_are_told_apart_there_too(
    cluster: tuple[Cluster, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    run = cluster[0].run(tmp_path, FAULTY, "--limit", "20", "--memory", "600")
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 1, said
    told = {failure.name: failure.kind for failure in Store(tmp_path).records(FAULTY).failures()}
    assert told == {
        "raises": "raised", "leaves": "raised", "nan": "not finite", "nothing": "no rows", "array": "not data",
        "overrates": "score", "leaks": "memory", "dies": "died", "hangs": "time",
    }  # fmt: skip
    assert [cell.name for cell in Store(tmp_path).records(FAULTY).cells()] == ["good"]


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")
def test_an_address_that_is_no_cluster_is_refused_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(address: str) -> str:
        with pytest.raises(SystemExit) as refused:
            main(["run", COUNTING, "--engine", "ray", "--address", address])
        return str(refused.value)

    assert "HOST:PORT" in ask("somewhere")
    assert re.match(r"nothing answers at 127.0.0.1:1 \(.*refused", ask("127.0.0.1:1"))
    monkeypatch.setattr("benchmarks.engines.ray_cluster.JOIN_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        threading.Thread(target=silent.accept, daemon=True).start()
        said = ask(f"127.0.0.1:{silent.getsockname()[1]}")
    assert "is no" in said and "Ray cluster" in said


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is here")
def test_without_ray_the_extra_is_named() -> None:
    with pytest.raises(SystemExit, match=r"rewardspec\[distributed\]"):
        main(["run", COUNTING, "--engine", "ray"])
