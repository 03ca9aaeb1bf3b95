"""Finished cells are on disk whole, count once, and what was killed goes on with what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import runner
from benchmarks.records import ROOT, Cell, Records, measured

SETTING = {"name": "a", "steps": 10}


def cell(seed: int, reached: int = 1) -> Cell:
    return Cell(SETTING, seed, [{"steps": reached}], {"commit": None})


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    assert records.cells() == []
    records.append(cell(0))
    records.append(cell(1))
    assert records.cells() == [cell(0), cell(1)]


def test_a_torn_line_is_cut_off_and_the_next_cell_is_whole(tmp_path: Path) -> None:
    """A kill in the middle of a write, or a full disk, leaves half a line."""
    records = Records(tmp_path / "x.jsonl")
    records.append(cell(0))
    whole = records.path.read_bytes()
    for torn in (b"{", whole[:-1], whole[: len(whole) // 2]):
        records.path.write_bytes(whole + torn)
        assert records.cells() == [cell(0)]
        records.append(cell(1))
        assert records.cells() == [cell(0), cell(1)]
        assert all(json.loads(line) for line in records.path.read_text().splitlines())


def test_a_cell_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    records.append(cell(0, reached=1))
    records.append(cell(0, reached=2))
    assert records.cells() == [cell(0, reached=1)]


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    first, second = (Records(tmp_path / "x.jsonl") for _ in range(2))
    with first.lock(), pytest.raises(SystemExit, match="another process"), second.lock():
        pass
    with second.lock():
        pass


def test_a_cell_notes_what_it_took() -> None:
    made = measured(lambda setting, seed: [{"steps": setting["steps"] + seed}], SETTING, 3)
    assert made.rows == [{"steps": 13}]
    assert {"commit", "code", "versions", "processor", "wall_s", "cpu_s", "peak_mib"} == set(made.facts)


def test_cells_come_seed_by_seed_and_steps_can_be_chosen() -> None:
    experiment = SimpleNamespace(
        SETTINGS=[{"name": "a"}, {"name": "b", "steps": 7}], SEEDS=2, STEPS=5, SMOKE_STEPS=1
    )
    told = [
        (s["name"], s["steps"], seed)
        for s, seed in runner.wanted(experiment, steps=None, seeds=None, smoke=False)
    ]
    assert told == [("a", 5, 0), ("b", 7, 0), ("a", 5, 1), ("b", 7, 1)]
    told = [
        (s["name"], s["steps"], seed)
        for s, seed in runner.wanted(experiment, steps=None, seeds=None, smoke=True)
    ]
    assert told == [("a", 1, 0), ("b", 1, 0)]


@pytest.mark.parametrize("name", runner.names())
def test_every_experiment_has_the_form(name: str) -> None:
    experiment = runner.load(name)
    assert experiment.__doc__.splitlines()[0].rstrip()
    assert len({setting["name"] for setting in experiment.SETTINGS}) == len(experiment.SETTINGS)
    assert json.loads(json.dumps(experiment.SETTINGS)) == experiment.SETTINGS
    assert experiment.SEEDS >= 1 and experiment.STEPS > experiment.SMOKE_STEPS > 0
    assert experiment.TAGS and callable(experiment.run)
    assert 0.0 <= experiment.score([]) <= 1.0


def test_list_names_the_experiments() -> None:
    command = [sys.executable, "-m", "benchmarks", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert "sparse" in done.stdout
