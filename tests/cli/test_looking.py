"""`show`, `draw` and `explain`: what a spec means, as a user reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardspec.codes import CODES
from tests.cli.conftest import Run


def test_show_prints_the_program(run: Run, office: Path) -> None:
    lines = run("show", office).stdout.split("\n")
    assert lines[0] == "office"
    assert "    -> have  when coffee  pays 0.1" in lines
    assert "  effort (markov)       = -0.01 * abs(action)" in lines


def test_show_prints_the_python_that_runs(run: Run, cartpole: Path) -> None:
    assert run("show", cartpole, "--source").stdout.startswith("def advance(state, obs, action, next_obs,")


def test_show_source_needs_an_environment(run: Run, office: Path) -> None:
    result = run("show", office, "--source")
    assert result.exit_code == 1
    assert "Give one with --env ID" in result.stderr
    assert run("show", office, "--env", "CartPole-v1").exit_code == 2  # for --source only


def test_show_source_in_an_environment_that_does_not_fit(run: Run, office: Path) -> None:
    result = run("show", office, "--source", "--env", "CartPole-v1")
    assert result.exit_code == 1
    assert "office.yaml:5:11: propositions.coffee" in result.stderr


def test_draw_writes_svg_and_png(run: Run, office: Path, tmp_path: Path) -> None:
    assert run("draw", office, "-o", "pictures/office.svg").exit_code == 0
    assert run("draw", office, "-o", "office.PNG", "--machine", "task").exit_code == 0
    assert (tmp_path / "pictures/office.svg").read_text().startswith("<svg ")
    assert (tmp_path / "office.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "office.gif"], "must end in .svg or .png"),
        (["-o", "a.svg", "--machine", "tusk"], "There are: task. Did you mean 'task'?"),
        ([], "Missing option"),
        (["-o", "office.yaml/a.svg"], "cannot write 'office.yaml/a.svg'"),
    ],
)
def test_draw_says_what_it_cannot(run: Run, office: Path, arguments: list[str], said: str) -> None:
    result = run("draw", office, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_draw_of_a_spec_without_machines(run: Run, cartpole: Path) -> None:
    result = run("draw", cartpole, "-o", "a.svg")
    assert result.exit_code == 2
    assert "no machines to draw" in result.stderr


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained(run: Run, code: str) -> None:
    result = run("explain", code)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{code} ({CODES[code].severity})\n")
    assert "\nThe fix:\n" in result.stdout


def test_codes_are_listed(run: Run) -> None:
    lines = run("explain", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(CODES)


def test_unknown_code_has_a_near_miss(run: Run) -> None:
    result = run("explain", "overlaping-guards")
    assert result.exit_code == 2
    assert "Did you mean 'overlapping-guards'?" in result.stderr


def test_episode_is_explained_step_by_step(run: Run, office: Path) -> None:
    result = run("explain", office, "episode.jsonl")
    assert result.exit_code == 0
    assert result.stdout == (
        "step  true    task                       task  effort  reward\n"
        "0     -       want stays                    .   -0.01   -0.01\n"
        "1     coffee  want -> have  when coffee  +0.1   -0.01   +0.09\n"
        "2-3   -       have stays                    .       .       .\n"
        "4     office  have -> done  when office    +1   -0.01   +0.99  terminated by the spec\n"
        "\n"
        "term    return  paid on  first  last  declared at\n"
        "task      +1.1   2 of 5      1     4  office.yaml:8  - reward_machine:\n"
        "effort   -0.03   3 of 5      0     4  office.yaml:17  - markov: -0.01 * abs(action)\n"
        "reward   +1.07\n"
        "\n"
        "The episode ends at step 4; 1 more was recorded after it.\n"
    )


def test_one_step_is_explained_with_every_value(run: Run, office: Path) -> None:
    result = run("explain", office, "episode.jsonl", "--step", "4")
    assert result.stdout == (
        "step 4: +0.99, terminated by the spec\n"
        "\n"
        "read\n"
        "  next_obs.cell  =  7\n"
        "  action         =  1\n"
        "\n"
        "propositions\n"
        "  coffee  false  next_obs.cell == 3\n"
        "  office  true   next_obs.cell == 7\n"
        "\n"
        "machines\n"
        "  task  have -> done  when office\n"
        "\n"
        "paid\n"
        "  task    +1     task.pays            office.yaml:8  - reward_machine:\n"
        "  effort  -0.01  -0.01 * abs(action)  office.yaml:17  - markov: -0.01 * abs(action)\n"
    )


def test_a_long_episode_is_cut_in_the_middle(run: Run, office: Path, tmp_path: Path) -> None:
    lines = [f'{{"next_obs": {{"cell": 0}}, "action": {t}}}' for t in range(100)]
    (tmp_path / "long.jsonl").write_text("\n".join(lines))
    cut = run("explain", office, "long.jsonl").stdout
    assert "lines left out; --all shows them" in cut
    assert "\n99 " in cut and "\n50 " not in cut
    assert "\n50 " in run("explain", office, "long.jsonl", "--all").stdout


def test_an_episode_is_played_where_none_is_given(run: Run, cartpole: Path) -> None:
    first, again = (run("explain", cartpole, "--seed", "3").stdout for _ in range(2))
    assert first == again
    assert "terminated" in first and "by the spec" not in first


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"obs": 1', "x.jsonl:1:1: this line is not a transition"),
        (b"\n[1, 2]", "x.jsonl:2:1: this line is not a transition"),
        (b'{"obz": 1}', "Did you mean 'obs'?"),
        (b'{"info": 3}', "'info' must be a mapping"),
        (b'{"reward": [1, 2]}', "'reward' must be a single value"),
        (b"\n\n", "it holds no transitions"),
        (b'{"action": 1}', "there is no 'next_obs' here"),
        (b'{"next_obs": {"cell": 1}, "action": 1}\n{"action": 1}', "step 1 of the episode has no number for next_obs"),
        (b'{"next_obs": {"cell": 1}, "action": "up"}', "step 0 of the episode has no number for action"),
        (b"[" * 100_000, "this line is not a transition"),
        (bytes(range(128, 256)), "this line is not a transition"),
    ],
)  # fmt: skip
def test_a_bad_episode_is_refused_with_its_place(
    run: Run, office: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    result = run("explain", office, "x.jsonl")
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which code"),
        (["a", "b", "c"], "takes a code, or a spec and one episode"),
        (["office.yaml"], "give a recorded episode"),
        (["office.yaml", "episode.jsonl", "--step", "9"], "the episode has the steps 0 to 4"),
        (["office.yaml", "episode.jsonl", "--env", "CartPole-v1"], "plays an episode, and you gave one"),
    ],
)
def test_explain_says_what_it_needs(run: Run, office: Path, arguments: list[str], said: str) -> None:
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_draw_of_one_machine_leaves_the_others_out(run: Run, tmp_path: Path) -> None:
    term = "{{reward_machine: {{start: {0}, edges: [{{from: {0}, to: {0}_end, when: a, reward: 1}}]}}, name: {0}}}"
    text = (
        f"propositions: {{a: 'next_obs[0] > 0'}}\nreward: [{term.format('left')}, {term.format('right')}]\n"
    )
    (tmp_path / "two.yaml").write_text(text)
    assert run("draw", "two.yaml", "-o", "both.svg").exit_code == 0
    assert run("draw", "two.yaml", "-o", "one.svg", "--machine", "right").exit_code == 0
    assert "left_end" in (tmp_path / "both.svg").read_text()
    one = (tmp_path / "one.svg").read_text()
    assert "right_end" in one and "left_end" not in one


def test_the_word_spec_names_the_specs_own_environment(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("env: CartPole-v1\nreward: reward\n")
    said = run("explain", str(path), "--env", "spec")
    assert said.exit_code == 0
    assert said.stdout == run("explain", str(path)).stdout
