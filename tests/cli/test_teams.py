"""The command line on specs for several agents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardspec.cli import app

SPEC = "examples/teams/two_buttons.yaml"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_check_plays_random_episodes_and_tells_what_entries_pay() -> None:
    code, said = run("check", SPEC, "--env", "spec", "--episodes", "2")
    assert code == 0 and "2 episodes, 200 steps" in said
    assert "agent_*: pressed" in said and "joint: task" in said and "agent_*: button" in said


def test_check_tells_what_is_wrong_in_an_entry(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("agents:\n  scout: {reward: {once: seen}}\n  default: {reward: others.reward}\n")
    code, said = run("check", str(bad), "--json")
    assert code == 1
    assert {problem["code"] for problem in json.loads(said)} == {"unknown-name", "agents-not-reduced"}


def test_show_draw_and_test(tmp_path: Path) -> None:
    code, said = run("show", SPEC)
    assert code == 0 and "all agents together" in said and "agents agent_*" in said
    assert run("show", SPEC, "--source")[0] == 2
    code, said = run("test", SPEC)
    assert code == 0 and "joint: in any order" in said and "4 passed" in said
    assert run("draw", SPEC, "-o", str(tmp_path / "task.svg"))[0] == 0


def test_train_and_go_on(tmp_path: Path) -> None:
    small = ("--set", "n_steps=8", "--set", "n_epochs=1", "--n-envs", "2", "--steps", "32", "-q")
    code, said = run("train", SPEC, "--policies", "independent", "--out", str(tmp_path / "run"), *small)
    assert code == 0, said
    assert run("train", str(tmp_path / "run"), "--resume", "-q")[0] == 0
    assert run("watch", str(tmp_path / "run"))[0] == 0
    assert (tmp_path / "run" / "watch.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    "words",
    [
        ("examples/specs/cartpole_centred.yaml", "--policies", "shared"),
        (SPEC, "--algo", "dqn"),
        (SPEC, "--crm", "1"),
    ],
)
def test_options_of_the_other_sort_are_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    assert run("train", *words, "--out", str(tmp_path / "run"))[0] == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [("check", "--env", "spec"), ("explain",), ("train", "--steps", "1")],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize(
    ("env", "why"),
    [
        ("{id: 'envs.two_buttons:TwoButtons'}", "'envs.two_buttons:TwoButtons' names a module"),
        ("{id: envs.two_buttons}", "no environment of several agents 'envs.two_buttons'"),
        (
            "{id: rewardspec/TwoButtons-v0, kwargs: {deep: {savedir: here}}}",
            "a path, kwargs.deep.savedir: 'here'",
        ),
        ("{id: rewardspec/TwoButtons-v0, kwargs: {map: [a, ../../b]}}", "a path, kwargs.map: '../../b'"),
    ],
    ids=["module and name", "module", "folder", "file"],
)
def test_a_spec_for_several_chooses_no_module_and_no_path(
    tmp_path: Path, words: tuple[str, ...], env: str, why: str
) -> None:
    sly = tmp_path / "sly.yaml"
    sly.write_text(f"env: {env}\ndiscount: 0.9\nagents: {{default: {{reward: reward}}}}\n")
    code, said = run(words[0], str(sly), *words[1:])
    assert code == 1
    assert why in said and "--env" in said


def test_who_names_the_environment_trusts_its_arguments(tmp_path: Path) -> None:
    from rewardspec import load
    from rewardspec.parallel_environments import make_named_environment

    place = tmp_path / "team.yaml"
    place.write_text("env: {id: 'envs.two_buttons:TwoButtons', kwargs: {steps: 3}}\nreward: reward\n")
    assert make_named_environment(load(place), "envs.two_buttons:TwoButtons").steps == 3
    assert make_named_environment(load(place), "rewardspec/TwoButtons-v0").steps != 3, (
        "arguments are its own's"
    )


def test_explain_tells_each_agent_why() -> None:
    spec = "examples/teams/simple_tag.yaml"
    code, page = run("explain", spec, "--agent", "adversary_1", "--step", "3")
    assert code == 0 and page.startswith("=== adversary_1, by 'adversary_*' ===\n\nstep 3: ")
    assert "agent_0[2:4]" in page
    assert "=== agent_0" in run("explain", spec)[1]


@pytest.mark.parametrize(
    "words",
    [
        ("examples/teams/simple_tag.yaml", "episode.jsonl"),
        ("examples/teams/simple_tag.yaml", "--step", "999"),
        ("examples/specs/chain.yaml", "--agent", "walker"),
    ],
)
def test_what_explain_has_no_page_for(words: tuple[str, ...]) -> None:
    assert run("explain", *words)[0] == 2
