"""`compare`: what it says, and the exit code that a script can build on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

LAKE = "name: {name}\ndiscount: 0.9\nenv: {{id: FrozenLake-v1, kwargs: {{is_slippery: false}}}}\nreward: {reward}\n"


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    """Write specs for one lake: the goal, the same shaped and doubled, and one that fears the goal."""
    for name, reward in {
        "plain": "reward",
        "shaped": "[{markov: 2 * reward}, {potential: obs}]",
        "fearful": "[{markov: reward}, {markov: -3 * next_obs, name: fear}]",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(LAKE.format(name=name, reward=reward))
    return tmp_path


def test_a_refactoring_that_changes_nothing_passes(run: Run, lakes: Path) -> None:
    result = run("compare", "plain.yaml", "shaped.yaml")
    assert result.exit_code == 0
    assert result.stdout == (
        "'plain' and 'shaped' order all policies alike: the second is 2 times the first, plus what no policy can "
        "change (potential shaping, or payments moved between outcomes).\n"
        "   11 states (world and memory of both), discount 0.9, exact\n"
        "   pay the same everywhere       no\n"
        "   order all policies alike      yes\n"
        "   same optimal policies         yes\n"
        "   STARC distance (val, w2, w2)  0.0000\n"
        "   regret, as a share of best less worst  of the other's optimum  worst of 205 policies\n"
        "   by 'plain'                                               none                   none\n"
        "   by 'shaped'                                              none                   none\n"
    )


def test_a_change_of_task_fails_and_shows_where_the_ways_part(run: Run, lakes: Path) -> None:
    result = run("compare", "plain.yaml", "fearful.yaml", "--policies", 30)
    assert result.exit_code == 1
    assert result.stdout.startswith("'plain' and 'fearful' ask for different things.\n")
    assert "Optimal policies part after 0 steps, in this state:\n" in result.stdout
    assert "SFFF" in result.stdout.replace("\x1b[41mS\x1b[0m", "S"), "the lake is drawn"
    assert "   'plain' takes action 1 or 2\n" in result.stdout


@pytest.mark.parametrize(("required", "code"), [("reward", 1), ("order", 0), ("optimal", 0)])
def test_what_counts_as_the_same_can_be_said(run: Run, lakes: Path, required: str, code: int) -> None:
    assert run("compare", "plain.yaml", "shaped.yaml", "--require", required).exit_code == code


def test_json_holds_everything(run: Run, lakes: Path) -> None:
    data = json.loads(run("compare", "plain.yaml", "fearful.yaml", "--json").stdout)
    assert (data["order"], data["exact"], data["same"]) == ("different", True, False)
    assert data["parting"]["actions"][0] == [1, 2]
    assert len(data["regret"]) == 2


def test_environments_without_a_table_are_sampled(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nreward: -abs(next_obs[2])\n")
    (tmp_path / "b.yaml").write_text("name: b\nreward: -2 * abs(next_obs[2])\n")
    result = run("compare", "a.yaml", "b.yaml", "--env", "CartPole-v1", "--episodes", 5)
    assert result.exit_code == 0
    assert "5 random episodes" in result.stdout and "an estimate" in result.stdout
    refused = run("compare", "a.yaml", "b.yaml", "--env", "CartPole-v1", "--exact")
    assert refused.exit_code == 2
    assert "not-tabular" in refused.stderr and "Leave --exact out" in refused.stderr


def test_a_picture_of_the_parting_is_written(run: Run, lakes: Path) -> None:
    run("compare", "plain.yaml", "fearful.yaml", "--policies", 0, "--picture", "part.png")
    assert (lakes / "part.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--canon", "vall"), "there is no 'vall'"),
        (("--norm", "l3"), "there is no 'l3'"),
        (("--require", "same"), "there is no 'same'"),
        (("--picture", "part.svg"), "must end in .png"),
        (("--exact", "--sampled"), "says the opposite"),
        (("--canon", "dard"), "needs-all-transitions"),
        (("--gamma", "0.5"), "discount-mismatch"),
    ],
)
def test_what_cannot_be_compared_exits_with_2(
    run: Run, lakes: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run("compare", "plain.yaml", "shaped.yaml", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
