"""Cells that go wrong are told apart and do not stop the others; a run that is killed goes on where it was."""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.engines import Ended, Limits, local
from benchmarks.records import ROOT, Cell, Failure
from benchmarks.store import Store
from benchmarks.suites import SUITES, Job, Part, Plan

FAULTY, COUNTING = "tests.benchmarks.faulty", "tests.benchmarks.counting"


def faulty(only: list[str], limits: Limits) -> dict[str, Cell | Failure]:
    jobs = Plan(experiments=[FAULTY], only=only).jobs()
    events = list(local.run(1, jobs, limits))
    return {event.job.setting["name"]: event.made for event in events if isinstance(event, Ended)}


def test_each_way_to_go_wrong_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    ways = ["raises", "leaves", "nan", "nothing", "array", "overrates", "leaks", "dies", "good"]
    made = faulty(ways, Limits(120.0, 500, tmp_path))
    assert isinstance(made["good"], Cell)
    told = {way: (f.kind, f.reason) for way, f in made.items() if isinstance(f, Failure)}
    held, dies = told.pop("leaks"), told.pop("dies")
    assert told == {
        "raises": ("raised", "ValueError: the reward is a turnip"),
        "leaves": ("raised", "SystemExit: 3"),
        "nan": ("not finite", "rows[0]['return'] is nan"),
        "nothing": ("no rows", "the experiment returned no rows"),
        "array": ("not data", "rows[0]['return'] is a set: rows hold numbers, text, lists and dicts"),
        "overrates": ("score", "the score is 7.0: not a number from 0 to 1"),
    }
    assert held[0] == "memory" and held[1].endswith("its limit is 500 MiB")
    assert dies[0] == "died" and dies[1].endswith("killed by SIGKILL")
    assert 'raise ValueError("the reward is a turnip")' in made["raises"].where


def test_a_cell_that_hangs_is_ended_and_says_where_it_hung(tmp_path: Path) -> None:
    made = faulty(["hangs"], Limits(0.5, None, tmp_path))["hangs"]
    assert isinstance(made, Failure)
    assert (made.kind, made.reason) == ("time", "not done after its time limit of 0.5 s")
    assert "about to hang" in made.where and "faulty.py" in made.where


def counting(out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks", *(more or ("run", COUNTING, "--out", str(out)))]
    environment = {**os.environ, "COUNTING_LOG": str(out / "made.txt"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_that_is_killed_at_any_moment_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """Twice killed somewhere in the middle, with a torn line left behind; then to the end."""
    rng, there = random.Random(0), 0
    records = Store(tmp_path).records(COUNTING)
    for attempt in range(2):
        run = counting(tmp_path, *(("resume", "--out", str(tmp_path)) if attempt else ()))
        more, until = rng.randrange(1, 9), time.monotonic() + 100
        while len(records.cells()) < there + more and time.monotonic() < until:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert there < len(records.cells()) < 40
        there = len(records.cells())
    with records.path.open("a") as file:
        file.write('{"setting": {"name": "ne')
    run = counting(tmp_path, "resume", "--out", str(tmp_path))
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert f"{there} of 40 cells are there" in said
    lines = [json.loads(line) for line in records.path.read_text().splitlines()]
    marks = [Job(COUNTING, line["setting"], line["seed"]).mark for line in lines]
    assert sorted(marks) == sorted(job.mark for job in Plan(experiments=[COUNTING]).jobs())
    # Only what was under way when the run was killed was made twice: two cells, twice at most.
    made = collections.Counter((tmp_path / "made.txt").read_text().splitlines())
    assert len(made) == 40 and sum(made.values()) <= 40 + 2 * 2
    # The killed sessions are noted as well, up to a last cell whose note the kill forestalled.
    noted = [session["made"] for session in Store(tmp_path).sessions()]
    assert len(noted) == 3 and 38 <= sum(noted) <= 40


def test_processes_end_with_the_run_that_is_killed(tmp_path: Path) -> None:
    run = counting(tmp_path)
    place, until = tmp_path / "scratch" / "logs", time.monotonic() + 60
    while not (tmp_path / f"{COUNTING}.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert place.is_dir()
    children = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    assert children
    run.kill()
    run.communicate()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() and not is_zombie(pid) for pid in children):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_cells_come_seed_by_seed_and_steps_can_be_chosen() -> None:
    jobs = Plan(experiments=[COUNTING], only=["near: *"], seeds=2, steps=7).jobs()
    told = [(job.setting["name"], job.setting["steps"], job.seed) for job in jobs]
    names = ("near: plain", "near: better")
    assert told == [(name, 7, seed) for seed in (0, 1) for name in names]
    assert [job.setting["steps"] for job in Part(smoke=True, seeds=1, first=1).jobs([COUNTING])] == [1]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_cells_of_experiments_that_there_are(name: str) -> None:
    jobs = Plan(name).jobs()
    assert len({job.mark for job in jobs}) == len(jobs)
    assert jobs or name == "multiagent"


def test_a_run_that_there_is_not_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no run to go on with \(no run.json\): `run` begins one"):
        Store(tmp_path).read_plan()
    (tmp_path / "run.json").write_text('{"format": 0}')
    with pytest.raises(SystemExit, match="of another version: `run` with the same options goes on"):
        Store(tmp_path).read_plan()
