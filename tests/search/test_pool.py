"""Processes that do pieces of work: a piece may fail, kill its process or hang, and the others are done anyhow."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from rewardspec.errors import LearningError, MissingExtraError, Problem
from rewardspec.search.pool import Pool, attempt


def work(item: Any) -> Any:
    if item == "fail":
        raise ValueError("no\nsuch thing")
    if item == "refuse":
        raise LearningError(Problem("unjudged", "no episode ended"))
    if item == "miss":
        raise MissingExtraError(Problem("missing-extra", "torch is not there"))
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(60)
    return os.getpid() if item == "who" else item


def test_what_fails_dies_or_hangs_costs_its_piece_alone() -> None:
    items = ["a", "fail", "die", "b", "hang", "c"]
    with Pool(work, 2, limit=3) as pool:
        found = {items[done.item]: (done.value, done.failed) for done in pool.run(items)}
    assert {name: found[name] for name in "abc"} == {name: (name, "") for name in "abc"}
    assert found["fail"] == (None, "ValueError: no")
    assert found["die"] == (None, "its process was ended by signal 9")
    assert found["hang"] == (None, "it was stopped after 3 s, which is the limit")


def test_processes_stay_for_the_next_pieces_and_end_with_the_pool() -> None:
    with Pool(work, 1) as pool:
        first = [done.value for done in pool.run(["who"])]
        assert [done.value for done in pool.run(["who", "who"])] == first * 2
        (process,) = [worker.process for worker in pool._there]
    assert not process.is_alive()


def test_what_no_piece_would_be_spared_is_raised() -> None:
    with Pool(work, 1) as pool, pytest.raises(MissingExtraError, match="torch is not there"):
        list(pool.run(["miss", "a"]))
    assert attempt(work, "refuse") == (None, "no episode ended [unjudged]", None)


def test_whoever_stops_listening_stops_the_processes() -> None:
    with Pool(work, 2) as pool:
        told = pool.run(["a", "hang"])
        assert next(told).value == "a"
        there = [worker.process for worker in pool._there]
        told.close()  # type: ignore[attr-defined]
        assert not any(process.is_alive() for process in there)
