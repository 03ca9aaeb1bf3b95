"""Command lines of the agents: whose run a folder holds, what an interrupt says, numbers that cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewardspec import UnsupportedError
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import read_run


def folder_of(agent: str | None, place: Path, **settings: Any) -> RunFolder:
    """Return a folder as an agent writes it, with nothing trained yet."""
    run = RunFolder(place)
    facts = {"settings": settings, "digest": "0", "versions": {}}
    run.create("reward: 1\n", facts if agent is None else {"agent": agent, **facts})
    return run


# -- whose run it is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "command"),
    [
        (None, "rewardspec train"),
        ("q_learning", "python -m agents.q_learning"),
        ("x; rm -r", "rewardspec train"),  # what no module is called is not shown as a command
    ],
)
def test_a_taken_folder_names_the_command_of_its_agent(
    tmp_path: Path, agent: str | None, command: str
) -> None:
    run = folder_of(agent, tmp_path / "a run")
    with pytest.raises(UnsupportedError) as caught:
        run.create("", {})
    (problem,) = caught.value.problems
    assert problem.hints[0] == f"Go on with it: {command} --resume '{run.path}'"
    run.facts.write_text("torn")
    with pytest.raises(UnsupportedError) as caught:
        run.create("", {})
    assert caught.value.problems[0].code == "run-folder-taken"


def test_the_trainer_names_the_agent_whose_run_it_cannot_take_up(tmp_path: Path) -> None:
    run = folder_of("q_learning", tmp_path / "run", steps=10)
    with pytest.raises(UnsupportedError, match=r"begun by q_learning.*\[not-a-run-folder\]") as caught:
        read_run(run)
    assert caught.value.problems[0].hints == (f"Go on with it: {run.go_on()}",)
    assert json.loads(run.facts.read_text())["agent"] == "q_learning"
