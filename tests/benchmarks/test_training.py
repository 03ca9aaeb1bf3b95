"""A cell that was killed while it trained goes on from its checkpoint, to the numbers of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import training
from benchmarks.training import trained
from rewardspec import load, loads
from rewardspec.training.folder import RunFolder

ONE = loads("env: {id: CartPole-v1}\ndiscount: 0.9\nreward: reward")
TEAM = load("examples/teams/two_buttons.yaml")


@pytest.mark.parametrize(
    ("spec", "more"), [(ONE, {}), (TEAM, {"policies": "shared"})], ids=["one agent", "a team"]
)
def test_a_cell_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Any, more: dict[str, Any]
) -> None:
    def rows(folder: RunFolder) -> list[dict[str, Any]]:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in folder.rows()]

    def cell(name: str) -> RunFolder:
        monkeypatch.setattr(training, "scratch", lambda *_: tmp_path / name)
        agent = {"n_steps": 128, "n_epochs": 1}
        return trained("any", {"steps": 3072}, 3, spec, n_envs=8, agent=agent, checkpoint_seconds=0.0, **more)

    whole = rows(cell("whole"))
    write, told = RunFolder.append, list[int]()

    def killed(self: RunFolder, row: dict[str, Any]) -> None:
        write(self, row)
        told.append(row["steps"])
        if row["steps"] == 2048:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        cell("halves")
    monkeypatch.setattr(RunFolder, "append", lambda self, row: (told.append(row["steps"]), write(self, row)))
    halves = cell("halves")
    assert rows(halves) == whole and halves.is_finished
    assert told == [1024, 2048, 2048, 3072], (
        "the checkpoint was of step 1024: nothing before it is made again"
    )
