"""WaterWorld's cells: what an agent on the device wrote is summed up as what SB3's did, and a killed cell goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents import recording
from benchmarks.experiments import water

SMALL = {"hidden": (8,), "learning_starts": 64, "gradient_steps": 1, "log_every": 50}
SETTING: dict[str, Any] = {"name": "small", "task": 9, "arm": "crm", "agent": "dqn_torch", "steps": 2400}


def test_a_killed_cell_goes_on_to_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(water, "TORCH", {**water.TORCH, **SMALL, "checkpoint_seconds": 0.0})
    monkeypatch.setattr(water, "BIN", 800)
    monkeypatch.setattr(water, "scratch", lambda *_: tmp_path / "whole")
    whole = water.run(SETTING, 0)
    assert [row["steps"] for row in whole] == [800, 1600, 2400]
    assert sum(row["episodes"] for row in whole) >= 3
    log = recording.Recording.log

    def stopping(self: Any, steps: int, numbers: Any) -> None:
        if steps >= 1600:
            raise KeyboardInterrupt
        log(self, steps, numbers)

    monkeypatch.setattr(water, "scratch", lambda *_: tmp_path / "halves")
    with monkeypatch.context() as patch:
        patch.setattr(recording.Recording, "log", stopping)
        with pytest.raises(KeyboardInterrupt):
            water.run(SETTING, 0)
    assert water.run(SETTING, 0) == whole


def test_a_bin_weighs_episodes_by_their_number() -> None:
    """Two of 10 steps that paid and one of 20 that did not: 2 in 40 steps, two in three."""
    told = [
        {"steps": 400, "fresh": {"count": 2, "spec_return": 1.0, "length": 10.0}},
        {"steps": 800, "fresh": {"count": 1, "spec_return": 0.0, "length": 20.0}},
    ]
    (row,) = water.binned(told, 800)
    assert row == {"steps": 800, "episodes": 3, "reward_per_step": 2 / 40, "paid": 2 / 3}
