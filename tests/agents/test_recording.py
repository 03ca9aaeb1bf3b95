"""The files that agents write: TensorBoard reads the same numbers as progress.jsonl, also after a run was resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agents import recording as module
from agents.recording import recording
from rewardspec import compile_spec
from rewardspec.vocabulary import loads

PROGRAM = compile_spec(loads("reward: 1"))
QUIET = Console(quiet=True)


@dataclass(frozen=True)
class Args:
    folder: Path | None = None
    resume: Path | None = None
    checkpoint_seconds: float = 0.0


def log(run, start, stop):
    for steps in range(start, stop, 10):
        run.log(steps, {"return": steps / 4, "loss/value": None if steps == 10 else 1.0 + start})


def resumed_run(folder):
    """Write steps 10 to 50 with a checkpoint at 30, and again from there to 60."""
    with recording("test", Args(folder), PROGRAM, steps=60, console=QUIET) as run:
        log(run, 10, 40)
        run.save(30, {"a": np.zeros(1)}, {})
        log(run, 40, 60)
    with recording("test", replace(Args(), resume=folder), PROGRAM, steps=60, console=QUIET) as run:
        assert run.start == 30
        log(run, 40, 70)


def scalars(folder):
    """Return what TensorBoard shows: by tag, (step, value) pairs."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tb"))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_shows_each_step_of_a_resumed_run_once(tmp_path):
    resumed_run(tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "progress.jsonl").read_text().splitlines()]
    assert [row["steps"] for row in rows] == [10, 20, 30, 40, 50, 60]
    for tag, found in scalars(tmp_path / "run").items():
        assert found == [(row["steps"], row[tag]) for row in rows if row[tag] is not None]
    # Steps 40 and 50 were written twice; the second time counts.
    values = [11.0, 11.0, 41.0, 41.0, 41.0]
    assert scalars(tmp_path / "run")["loss/value"] == list(zip(range(20, 70, 10), values, strict=True))


def test_without_tensorboard_there_is_progress_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "has_tensorboard", lambda: False)
    with recording("test", Args(tmp_path / "run"), PROGRAM, steps=30) as run:
        log(run, 10, 40)
    assert len((tmp_path / "run" / "progress.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "run" / "tb").exists()
    assert "no TensorBoard here" in capsys.readouterr().out


def test_recording_loads_no_torch(tmp_path):
    text = f"""
import sys
from pathlib import Path
from tests.agents.test_recording import resumed_run
resumed_run(Path({str(tmp_path / "run")!r}))
print([name for name in ("torch", "stable_baselines3", "tensorflow") if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", text], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
