"""`audit`: the verdict, the exit code, the picture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

LAKE = "name: {name}\ndiscount: 0.9\nenv: {{id: FrozenLake-v1, kwargs: {{is_slippery: false}}}}\nreward: {reward}\n"


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    """Write a good proxy and one whose optimum idles: standing near the start pays."""
    (tmp_path / "good.yaml").write_text(LAKE.format(name="good", reward="2 * reward"))
    idle = "[{markov: reward}, {markov: 0.2 if next_obs == 1 else 0, name: idle}]"
    (tmp_path / "idle.yaml").write_text(LAKE.format(name="idle", reward=idle))
    return tmp_path


def test_a_good_proxy_passes(run: Run, lakes: Path) -> None:
    result = run("audit", "good.yaml", "--reference", "true:0.3", "--divergence", "chi2")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "'good' is not hacked: its optimum is as good by 'environment' as can be.\n"
    )
    assert "chi2: at every strength that was tried, no worse than the reference" in result.stdout


def test_a_hacked_proxy_fails_and_says_where_it_breaks(run: Run, lakes: Path) -> None:
    result = run("audit", "idle.yaml", "--reference", "true:0.3", "-o", "curve.png")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "'idle' is hacked: its optimum earns less of 'environment' than the reference"
    )
    assert "root of chi2: turns bad between strength" in result.stdout
    assert (lakes / "curve.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads(
        run("audit", "idle.yaml", "--reference", "true:0.3", "--divergence", "tv", "--json").stdout
    )
    assert data["hacked"] is True and data["proxy_optimum"]["true"] < data["reference"]["true"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--reference", "true"), 2, "is none of `uniform`"),
        (("--reference", "best:0.1"), 2, "is none of `uniform`"),
        (("--divergence", "chi"), 2, "Did you mean 'chi2'"),
        (("--env", "CartPole-v1"), 1, "not-tabular"),
        (("--env", "CartPole-v1"), 1, "Train on the proxy and audit by episodes: --optimised RUN"),
        (("--env", "CartPole-v1", "--exact"), 1, "An exact audit needs a table"),
        (("--optimised", "runs/x", "--exact"), 2, "is for exact audits"),
        (("--optimised", "runs/x"), 1, "not-a-run-folder"),
        (("--true", "good.yaml", "--gamma", "0.5"), 1, "discount-mismatch"),
    ],
)
def test_what_cannot_be_audited_is_said(
    run: Run, lakes: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run("audit", "good.yaml", *arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())


def test_other_objectives_are_refused(run: Run, lakes: Path) -> None:
    rate = (lakes / "good.yaml").read_text() + "objective: limit_average\n"
    (lakes / "rate.yaml").write_text(rate)
    for command in (("audit", "rate.yaml"), ("compare", "rate.yaml", "good.yaml")):
        result = run(*command)
        assert result.exit_code != 0 and "[unfit-objective]" in result.stderr
    assert "maximises the average reward per step" in run("show", "rate.yaml").stdout
    assert "limit-average" in run("formalisms", "rate.yaml").stdout.lower()


POLE = """\
name: {name}
discount: 0.9
env: {{id: CartPole-v1}}
reward: {reward}
"""


def test_without_a_table_a_trained_policy_is_audited_by_episodes(run: Run, tmp_path: Path) -> None:
    """The proxy reads its own counter, the true reward does not: each is paid in an environment of its own."""
    pytest.importorskip("stable_baselines3")
    (tmp_path / "true.yaml").write_text(POLE.format(name="upright", reward="1 - 4 * abs(next_obs[2])"))
    (tmp_path / "proxy.yaml").write_text(
        POLE.format(
            name="left", reward="[{markov: '1 - 4 * abs(next_obs[2])'}, {once: 'next_obs[0] < -0.1'}]"
        )
    )
    short = ("--steps", "256", "--n-envs", "2", "--set", "n_steps=64", "--set", "batch_size=64", "--quiet")
    assert run("train", "proxy.yaml", "--out", "run", *short).exit_code == 0
    arguments = ("audit", "proxy.yaml", "--true", "true.yaml", "--optimised", "run", "--episodes", "8")
    result = run(*arguments)
    assert result.exit_code in (0, 1)
    assert "reference: random, 8 episodes" in result.stdout and "optimised: run, 8 episodes" in result.stdout
    assert "Only what these policies visited is known" in " ".join(result.stdout.split())
    data = json.loads(run(*arguments, "--reference", "run", "--json").stdout)
    assert data["hacked"] is False and data["estimated"]["correlation"]["value"] > 0.5
    again = json.loads(run(*arguments, "--reference", "run", "--json").stdout)
    assert again == data
    other = run("audit", "proxy.yaml", "--optimised", "run", "--env", "Acrobot-v1")
    assert other.exit_code == 1 and "was trained in 'CartPole-v1'" in other.stderr
