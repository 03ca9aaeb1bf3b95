"""`check`, `test` and `schema`: whole texts, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import OFFICE, Run

UNREAD = "propositions: {high: 'next_obs[0] > 0'}\nreward: 1\n"


def test_check_prints_findings_and_a_summary(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(OFFICE.replace("when: coffee", "when: cofee"))
    result = run("check", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout == (
        "bad.yaml:11:40: reward[0].reward_machine.edges[0].when: error: unknown proposition 'cofee'"
        " [unknown-proposition]\n"
        "  11 |         - {from: want, to: have, when: cofee, reward: 0.1}\n"
        "     |                                        ^^^^^\n"
        "   declared here: coffee, office. Did you mean 'coffee'?\n"
        "1 spec: 1 error\n"
        "`rewardspec explain unknown-proposition` shows an example and the fix.\n"
    )


def test_check_of_a_good_spec(run: Run, cartpole: Path) -> None:
    result = run("check", cartpole)
    assert (result.exit_code, result.stdout) == (0, "1 spec: no findings\n")


def test_check_gives_json(run: Run, tmp_path: Path, cartpole: Path) -> None:
    (tmp_path / "bad.yaml").write_text("reward: cofee\n")
    result = run("check", "bad.yaml", cartpole, "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert list(finding) == ["code", "severity", "message", "file", "line", "column", "path", "hints"]
    assert (finding["code"], finding["file"], finding["line"], finding["column"]) == (
        "unknown-name",
        "bad.yaml",
        1,
        9,
    )
    assert json.loads(run("check", cartpole, "--json").stdout) == []


def test_check_fails_on_warnings_only_when_strict(run: Run, tmp_path: Path) -> None:
    (tmp_path / "unread.yaml").write_text(UNREAD)
    assert run("check", "unread.yaml").exit_code == 0
    strict = run("check", "unread.yaml", "--strict")
    assert strict.exit_code == 1
    assert "warning: " in strict.stdout and "[unread-proposition]" in strict.stdout
    assert run("check", "unread.yaml", "--strict", "--ignore", "unread-proposition").exit_code == 0


def test_check_refuses_to_ignore_what_there_is_not(run: Run, cartpole: Path) -> None:
    result = run("check", cartpole, "--ignore", "gard-gap")
    assert result.exit_code == 2
    assert "no finding has the code 'gard-gap'. Did you mean 'guard-gap'?" in " ".join(result.stderr.split())


def test_check_compares_the_discount(run: Run, office: Path) -> None:
    assert "[discount-mismatch]" in run("check", office, "--gamma", "0.99").stdout
    assert "[discount-mismatch]" not in run("check", office, "--gamma", "0.95").stdout


def test_check_plays_in_an_environment(run: Run, cartpole: Path) -> None:
    result = run("check", cartpole, "--env", "spec", "--episodes", "3")
    assert result.exit_code == 0
    assert result.stdout.startswith("random play: 3 episodes, ")
    assert "   term    least  greatest  mean return\n   markov " in result.stdout


def test_check_with_an_environment_that_lacks_what_the_spec_reads(run: Run, office: Path) -> None:
    result = run("check", office, "--env", "CartPole-v1")
    assert result.exit_code == 1
    assert "[no-such-key]" in result.stdout


def test_check_with_an_unknown_environment(run: Run, cartpole: Path) -> None:
    result = run("check", cartpole, "--env", "CartPole-v9")
    assert result.exit_code == 1
    assert "There are: CartPole-v0, CartPole-v1." in result.stdout


def test_check_records_an_episode_that_explain_reads(run: Run, cartpole: Path, tmp_path: Path) -> None:
    assert run("check", cartpole, "--env", "spec", "--episodes", "1", "--record", "one.jsonl").exit_code == 0
    steps = (tmp_path / "one.jsonl").read_text().count("\n")
    explained = run("explain", cartpole, "one.jsonl").stdout
    assert f"{steps} of {steps}" in explained


@pytest.mark.parametrize("arguments", [["--record", "x.jsonl"], ["--env", "spec", "--record", "x.txt"]])
def test_check_refuses_a_recording_it_cannot_make(run: Run, cartpole: Path, arguments: list[str]) -> None:
    assert run("check", cartpole, *arguments).exit_code == 2


def test_a_failing_test_shows_what_was_expected_and_every_step(run: Run, tmp_path: Path) -> None:
    text = OFFICE.replace("task: 1.1", "task: 2").replace("state: done", "state: have")
    (tmp_path / "fails.yaml").write_text(text)
    result = run("test", "fails.yaml")
    assert result.exit_code == 1
    assert result.stdout == (
        "FAILED  fails.yaml: coffee first, then the office\n"
        "        return of task: expected 2, got 1.1\n"
        "        state of task: expected have, got done\n"
        "\n"
        "        step  true    task (state)  task\n"
        "           0  -       want             .\n"
        "           1  coffee  have          +0.1\n"
        "           2  office  done            +1  terminated\n"
        "        effort is not decided by propositions, and not counted\n"
        "0 passed, 1 failed\n"
    )


def test_passing_tests_show_their_steps_when_asked(run: Run, office: Path) -> None:
    assert "task (state)" not in run("test", office).stdout
    assert "task (state)" in run("test", office, "-v").stdout


def test_tests_are_chosen_by_name(run: Run, office: Path) -> None:
    assert run("test", office, "-k", "coffee").stdout.endswith("1 passed\n")
    assert run("test", office, "-k", "tea").stdout == "0 passed\n"


def test_a_test_that_is_wrong_itself_is_a_problem_with_a_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(OFFICE.replace("[coffee], [office]]", "[cofee], [office]]"))
    result = run("test", "bad.yaml")
    assert result.exit_code == 1
    assert "unknown proposition 'cofee'" in result.stdout
    assert result.stdout.endswith("0 passed, 1 problem\n")


def test_a_spec_without_tests_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("reward: 1\n")
    result = run("test", "bare.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("bare.yaml: no tests.")


def test_test_gives_json(run: Run, office: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("reward: cofee\n")
    result = run("test", office, "bad.yaml", "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert [(one["name"], one["passed"]) for one in data["results"]] == [
        ("coffee first, then the office", True)
    ]
    assert data["results"][0]["steps"][1]["terms"] == {"task": 0.1}
    assert [problem["code"] for problem in data["problems"]] == ["unknown-name"]


def test_recorded_transitions_take_labels_as_lists(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text(
        "propositions: {has_key: label.carrying_key}\n"
        "reward: {once: has_key}\n"
        "tests:\n"
        "  - {name: key, transitions: [{label: []}, {label: [carrying_key]}], return: 1}\n"
    )
    assert run("test", "labels.yaml").stdout.endswith("1 passed\n")


def test_schema_is_written(run: Run, tmp_path: Path) -> None:
    printed = json.loads(run("schema").stdout)
    assert printed["properties"]["reward"]
    assert run("schema", "-o", "deep/down/schema.json").exit_code == 0
    assert json.loads((tmp_path / "deep/down/schema.json").read_text()) == printed
