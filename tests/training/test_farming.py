"""A short training that ends in farming says so: in the run folder, on the command line, and in `explain RUN`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardspec.cli import app

pytest.importorskip("stable_baselines3")

STAY = """\
name: stay
discount: 0.95
env: {id: FrozenLake-v1, kwargs: {is_slippery: false}}
reward:
  - markov: 1 if next_obs == 0 else 10 * reward
"""

SHORT = ("--steps", "2048", "--n-envs", "4", "--set", "n_steps=64", "--set", "batch_size=64", "--quiet")
FAST = ("--set", "learning_rate=0.01", "--set", "n_epochs=4")


def test_an_agent_that_learns_to_stay_at_the_start_is_warned_of(tmp_path: Path) -> None:
    spec = tmp_path / "stay.yaml"
    spec.write_text(STAY)
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["train", str(spec), "--out", str(run), *SHORT, *FAST])
    assert result.exit_code == 0, result.output
    told = json.loads((run / "warnings.json").read_text())
    assert "farmed-loop" in [warning["code"] for warning in told["warnings"]]
    assert told["warnings"][0]["place"]["line"] == 5
    assert "stay.yaml:5" in result.stderr and "warning: the agent goes round in a loop" in result.stderr
    explained = CliRunner().invoke(app, ["explain", str(run)])
    assert explained.exit_code == 0
    assert "goes round in a loop" in explained.stdout and "success 0 %" in explained.stdout


def test_a_run_that_is_paid_for_success_alone_has_no_sign(tmp_path: Path) -> None:
    spec = tmp_path / "goal.yaml"
    spec.write_text(STAY.replace("1 if next_obs == 0 else 10 * reward", "reward"))
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["train", str(spec), "--out", str(run), *SHORT])
    assert result.exit_code == 0, result.output
    assert "warning" not in result.stderr
    assert "no sign of farming" in CliRunner().invoke(app, ["explain", str(run)]).stdout
