"""Cells of several specs: what separate networks did is one curve, and a killed cell goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agents import recording
from benchmarks.experiments import multitask
from benchmarks.experiments.multitask import Arm

SMALL: dict[str, Any] = {"hidden": (8,), "n_envs": 8, "learning_starts": 64, "log_every": 20, "crm": "states"}


@pytest.mark.parametrize("apart", [False, True])
def test_a_killed_cell_goes_on_to_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    small = {**SMALL, "checkpoint_seconds": 0.0}
    monkeypatch.setattr(multitask, "ARMS", {"small": Arm("dqn_torch", apart, small)})
    for name in ("coffee", "mail"):
        (tmp_path / "errands").mkdir(exist_ok=True)
        shutil.copy(multitask.TASKS / "errands" / f"{name}.yaml", tmp_path / "errands")
    monkeypatch.setattr(multitask, "TASKS", tmp_path)
    monkeypatch.setattr(multitask, "scratch", lambda *_: tmp_path / "whole")
    setting = {"name": "small", "set": "errands", "arm": "small", "steps": 2560}
    whole = multitask.run(setting, 0)
    assert [row["steps"] for row in whole] == ([1280, 2560] if apart else [640, 1280, 1920, 2560])
    assert set(whole[-1]["greedy"]) == set(whole[0]["paid"]) == {"coffee", "mail"}
    log = recording.Recording.log

    def stopping(self: Any, steps: int, numbers: Any) -> None:
        if steps >= 1280:
            raise KeyboardInterrupt
        log(self, steps, numbers)

    monkeypatch.setattr(multitask, "scratch", lambda *_: tmp_path / "halves")
    with monkeypatch.context() as patch:
        patch.setattr(recording.Recording, "log", stopping)
        with pytest.raises(KeyboardInterrupt):
            multitask.run(setting, 0)
    assert multitask.run(setting, 0) == whole


def test_where_no_machine_goes_on_nothing_is_replayed() -> None:
    stages = {name: multitask.has_stages(spec) for name, spec in multitask.tasks_of("places").items()}
    assert [name for name, has in stages.items() if has] == ["coffee_to_office"]
    assert len(stages) == 8


def test_a_task_counts_from_when_it_has_paid_half_at_some_time() -> None:
    told = [
        {"steps": 10, "return/a": 1.0, "return/b": None},
        {"steps": 20, "return/a": 0.0, "return/b": 0.4},
        {"steps": 30, "return/a": None, "return/b": 0.6},
    ]
    rows = multitask.rows_of(told, {"a": 0.0, "b": 1.0})
    assert [list(row["paid"].values()) for row in rows] == [[1.0, 0.0], [0.0, 0.4], [0.0, 0.6]]
    assert multitask.steps_to_all(rows) == 30
    assert multitask.steps_to_all(rows, 0.7) is None
    assert multitask.score(rows) == 0.5
