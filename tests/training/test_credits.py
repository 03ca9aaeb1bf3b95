"""`rewardspec explain RUN` of a run with a latent reward: which factor earned what."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardspec.cli import app
from rewardspec.errors import UnsupportedError
from rewardspec.training.credits import describe_credit, has_latent

SPEC = """\
name: upright
discount: 0.99
env: {id: CartPole-v1, horizon: 500}
reward:
  - heron: {factors: [{name: calm, value: '-abs(next_obs[1])'}], after: 10000, model: {hidden: [4]}}
    weight: 0
  - latent:
      factors: [{name: lean, value: 'abs(next_obs[2])'}, {name: drift, value: 'next_obs[0]'}]
      target: -abs(next_obs[2])
      decoder: {hidden: []}
      fit: {updates: 300, learning_rate: 0.02, episodes: 32}
      after: 800
      every: 800
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("credits")
    (folder / "spec.yaml").write_text(SPEC)
    command = [
        "train",
        str(folder / "spec.yaml"),
        "--algo",
        "ppo",
        "--steps",
        "1024",
        "--out",
        str(folder / "run"),
    ]
    done = CliRunner().invoke(app, [*command, "--set", "n_steps=256", "--n-envs", "1"])
    assert done.exit_code == 0, done.output
    return folder / "run"


def test_each_factor_is_told_with_what_it_earned(run: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(run)])
    assert done.exit_code == 0, done.output
    assert "latent: the latest" in done.output and "earned a step" in done.output
    rows = [line.split() for line in done.output.splitlines() if line.startswith(("lean", "drift"))]
    assert [row[0] for row in rows] == ["lean", "drift"], "the one that matters stands first"
    lean, drift = ([float(value) for value in row[1:]] for row in rows)
    assert lean[0] > 0 and lean[4] - lean[3] > 5 * (drift[4] - drift[3])


def test_a_run_that_has_saved_nothing_says_so(run: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text((run / "spec.yaml").read_text())
    assert has_latent(tmp_path)
    with pytest.raises(UnsupportedError, match="no checkpoint"):
        describe_credit(tmp_path)
