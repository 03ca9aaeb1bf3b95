"""Finished cells are on disk whole, count once, and what was killed goes on with what is missing."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from benchmarks import runner
from benchmarks.commands import main
from benchmarks.engines import Ended
from benchmarks.experiment import load, names
from benchmarks.measuring import measured
from benchmarks.records import Cell, Failure, Records
from benchmarks.store import Store
from benchmarks.suites import Job

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


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Here the file may not grow beyond a size; the write is cut in the middle of the line."""
    records = Records(tmp_path / "x.jsonl")
    records.append(cell(0))
    whole = records.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 40, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            records.append(cell(1))
        with pytest.raises(SystemExit, match="All cells before it are there, whole; make room and `resume`"):
            runner.keep(Ended(Job("x", SETTING, 1), cell(1), ""), Store(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert records.path.read_bytes() == whole
    records.append(cell(1))
    assert records.cells() == [cell(0), cell(1)]


def test_a_failure_is_kept_until_the_cell_is_made(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    failed = Failure(SETTING, 0, "raised", "ValueError: no", "", {})
    records.append(failed)
    assert (records.cells(), records.failures()) == ([], [failed])
    records.append(cell(0))
    records.append(failed)  # a run that made it again for nothing
    assert (records.cells(), records.failures()) == ([cell(0)], [])


def test_lines_of_the_first_version_are_read_and_of_a_later_one_refused(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.jsonl")
    old = {"setting": SETTING, "seed": 0, "rows": [{"steps": 1}], "facts": {"commit": "abc"}}
    records.path.write_text(json.dumps(old) + "\n")
    assert [made.facts for made in records.cells()] == [{"commit": "abc"}]
    records.path.write_text(json.dumps(old) + "\n" + json.dumps({**old, "format": 9}) + "\n")
    with pytest.raises(
        SystemExit, match=r"x.jsonl:2: written by a newer version \(format 9; .*another --out"
    ):
        records.cells()


@pytest.mark.parametrize(
    "line", ["<<<<<<< HEAD", "{}", "[]", '{"setting": {}, "seed": 0, "rows": 1, "facts": {}}']
)
def test_a_line_that_is_no_cell_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    records = Records(tmp_path / "x.jsonl")
    records.append(cell(0))
    with records.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SystemExit, match=r"x.jsonl:2: this line is no cell.*take the line out"):
        records.cells()


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    who = f"another run writes into .*process {os.getpid()} on .*--out"
    with first.lock(), pytest.raises(SystemExit, match=who), second.lock():
        pass
    with second.lock():
        pass


def test_a_cell_notes_what_it_took() -> None:
    made = measured(lambda setting, seed: [{"steps": setting["steps"] + seed}], SETTING, 3)
    assert made.rows == [{"steps": 13}]
    assert {"commit", "code", "versions", "processor", "host", "device"} < set(made.facts)
    assert {"wall_s", "cpu_s", "peak_mib"} < set(made.facts)


@pytest.mark.parametrize("name", names())
def test_every_experiment_has_the_form(name: str) -> None:
    experiment = load(name).module
    assert experiment.__doc__.splitlines()[0].rstrip()
    assert len({setting["name"] for setting in experiment.SETTINGS}) == len(experiment.SETTINGS)
    assert json.loads(json.dumps(experiment.SETTINGS)) == experiment.SETTINGS
    assert experiment.SEEDS >= 1 and experiment.STEPS > experiment.SMOKE_STEPS > 0
    assert experiment.TAGS and callable(experiment.run)
    assert 0.0 <= experiment.score([]) <= 1.0


def test_list_names_the_experiments_and_the_suites(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "sparse" in said and "cpu-hour" in said
