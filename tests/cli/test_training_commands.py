"""`train` and `watch`: what is given on the command line reaches the run, and mistakes are named."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytest.importorskip("stable_baselines3")

SHORT = ("--steps", "256", "--n-envs", "2", "--set", "n_steps=64", "--set", "batch_size=64", "--quiet")


def test_train_writes_a_run_folder_and_resume_goes_on(run: Run, cartpole: Path, tmp_path: Path) -> None:
    result = run("train", cartpole, "--seed", "3", *SHORT)
    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "runs/cartpole-ppo-3"
    assert result.stdout.endswith("run folder: runs/cartpole-ppo-3\n")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["settings"]["seed"] == 3 and facts["settings"]["n_envs"] == 2
    assert facts["settings"]["agent"]["n_steps"] == 64

    taken = run("train", cartpole, "--seed", "3", *SHORT)
    assert taken.exit_code == 1
    assert "[run-folder-taken]" in taken.stderr

    for arguments in ([folder, "--resume"], [cartpole, "--seed", "3", "--resume"]):
        resumed = run("train", *arguments, "--quiet")
        assert resumed.exit_code == 0, resumed.stderr
        assert "run folder: " in resumed.stdout

    watched = run("watch", folder, "-o", "page.html", "--seed", "1")
    assert watched.exit_code == 0, watched.stderr
    assert "balance" in (tmp_path / "page.html").read_text()
    assert run("watch", folder, "-o", "new/folder/page.html").exit_code == 0
    assert run("watch", folder, "-o", "new").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--algo", "pp"], 2, "'ppo', 'dqn', 'sac', 'td3'"),
        (["--steps", "0"], 2, "--steps"),
        (["--set", "learning_rate"], 2, "is not NAME=VALUE"),
        (["--set", "learning_rat=1"], 1, "learning_rat: Did you mean 'learning_rate'?"),
        (["--out", "cartpole.yaml/run"], 1, "error: not a directory: 'cartpole.yaml/run'"),
        (["--algo", "sac"], 1, "[unfit-algorithm]"),
        (["--env", "CartPol-v1"], 1, "Did you mean 'CartPole-v1'?"),
        (["--out", "nowhere", "--resume"], 1, "[not-a-run-folder]"),
    ],
)
def test_train_says_what_it_cannot(
    run: Run, cartpole: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    result = run("train", cartpole, *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not (tmp_path / "runs").exists()


def test_an_interrupt_says_how_to_go_on(run: Run, cartpole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rewardspec.training.folder.RunFolder.append", interrupted)
    result = run("train", cartpole, "--out", "a", *SHORT)
    assert result.exit_code == 130
    assert result.stderr.endswith("stopped; go on with: rewardspec train --resume a\n")
    monkeypatch.setattr("rewardspec.training.loop.build", interrupted)
    result = run("train", cartpole, "--out", "b", *SHORT)
    assert (result.exit_code, result.stderr) == (130, "stopped; nothing was written\n")


def test_a_full_disk_says_how_to_go_on(run: Run, cartpole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rewardspec.training.folder import RunFolder

    def fill(folder: RunFolder, steps: int, write: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 26368 vs 26320")  # what torch makes of it

    monkeypatch.setattr(RunFolder, "save_checkpoint", fill)
    result = run("train", cartpole, *SHORT)
    assert result.exit_code == 1
    assert result.stderr == (
        "stopped; go on with: rewardspec train --resume runs/cartpole-ppo-0\nerror: no space left on device\n"
    )


def test_train_needs_an_environment(run: Run, office: Path) -> None:
    result = run("train", office)
    assert result.exit_code == 1
    assert "--env ID" in result.stderr


def test_watch_needs_a_run(run: Run, tmp_path: Path) -> None:
    result = run("watch", tmp_path)
    assert result.exit_code == 1
    assert "[not-a-run-folder]" in result.stderr


def test_a_run_in_place_of_a_spec_is_told_how_to_go_on(run: Run, cartpole: Path, tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "spec.yaml").write_text(cartpole.read_text())
    (tmp_path / "begun" / "run.json").write_text("{}")
    refused = run("train", "begun")
    assert refused.exit_code == 2 and "'begun' is a run: --resume goes on with it" in refused.stderr


@pytest.mark.parametrize("name", ["lr", "learning_rat"])
def test_an_argument_that_the_algorithm_does_not_have_is_told_what_it_is_called(
    run: Run, cartpole: Path, name: str
) -> None:
    result = run("train", cartpole, "--algo", "PPO", "--set", f"{name}=0.1", "--out", "runs/x")
    assert result.exit_code == 1
    assert f"PPO has no argument '{name}' [wrong-setting]" in result.stderr
    assert f"{name}: Did you mean 'learning_rate'?" in result.stderr and "gae_lambda" in result.stderr
