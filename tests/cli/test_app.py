"""The command line as a whole: help, version, exit codes, plain output, and errors without tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

COMMANDS = (
    "new",
    "check",
    "test",
    "show",
    "draw",
    "explain",
    "train",
    "watch",
    "label",
    "freeze",
    "equilibrium",
    "convert",
    "schema",
)
ON_A_SPEC = ("check", "test", "show", "explain", "convert")


def test_help_lists_every_command_in_one_uncut_line_each(run: Run) -> None:
    lines = run("--help").stdout.split("\n")
    for command in COMMANDS:
        line = next(line for line in lines if line.startswith(f"  {command} "))
        assert line.endswith(".") and not line.endswith("...")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"\n  Example:\n    rewardspec {command} " in result.stdout


def test_without_a_command_there_is_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_version(run: Run) -> None:
    assert run("--version").stdout == "rewardspec 0.1.0\n"


def test_unknown_command_is_a_usage_error_with_a_near_miss(run: Run) -> None:
    result = run("chek")
    assert result.exit_code == 2
    assert "'check'" in result.stderr


@pytest.mark.parametrize("command", ON_A_SPEC)
def test_missing_file(run: Run, command: str) -> None:
    result = run(command, "nope.yaml")
    assert result.exit_code == 1
    assert "nope.yaml: " in result.output and "no such file or directory" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ON_A_SPEC)
def test_directory(run: Run, command: str, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    result = run(command, "folder.yaml")
    assert result.exit_code == 1
    assert "is a directory" in result.output


@pytest.mark.parametrize("command", ON_A_SPEC)
def test_binary_file(run: Run, command: str, tmp_path: Path) -> None:
    (tmp_path / "noise.yaml").write_bytes(bytes(range(255, 0, -1)) * 4)
    result = run(command, "noise.yaml")
    assert result.exit_code == 1
    assert "is not UTF-8" in result.output


def test_stdin_is_a_spec(run: Run) -> None:
    result = run("check", "-", text="reward: cofee\n")
    assert result.exit_code == 1
    assert result.stdout.startswith("<stdin>:1:9: reward: error: unknown name 'cofee' [unknown-name]\n")


def test_error_of_a_command_goes_to_stderr(run: Run, office: Path) -> None:
    result = run("show", office, "--source", "--env", "CartPol-v1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no environment 'CartPol-v1' [no-environment]\n")
    assert "Did you mean 'CartPole-v1'?" in result.stderr


def test_a_spec_cannot_choose_a_module_to_import(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sly.yaml").write_text("env: {id: 'this:Zen-v0'}\nreward: 1\n")
    result = run("check", "sly.yaml", "--env", "spec")
    assert result.exit_code == 1
    assert "names a module" in result.output
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "words",
    [("train", "sly.yaml", "--steps", "1"), ("compare", "sly.yaml", "sly.yaml"), ("explain", "sly.yaml")],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize(
    ("sly", "why"),
    [
        ("env: {id: 'this:Zen-v0'}", "names a module"),
        ("env: {id: CartPole-v1, kwargs: {deep: {savedir: here}}}", "a path, kwargs.deep.savedir: 'here'"),
        ("env: {id: CartPole-v1, kwargs: {xml_file: [ant.xml, ../../ant.xml]}}", "'../../ant.xml'"),
    ],
    ids=["module", "folder", "file"],
)
def test_no_command_takes_a_module_or_a_path_from_a_spec(
    run: Run, tmp_path: Path, words: tuple[str, ...], sly: str, why: str
) -> None:
    (tmp_path / "sly.yaml").write_text(f"{sly}\nreward: 1\ndiscount: 0.9\n")
    result = run(*words)
    assert result.exit_code == (2 if words[0] == "compare" else 1)
    assert why in result.output
    assert "If you trust it, name the environment yourself: --env" in result.output
    assert "this" not in sys.modules


def test_missing_extra_names_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid", None)
    result = run("new", "MiniGrid-Empty-5x5-v0")
    assert result.exit_code == 1
    assert "pip install 'rewardspec[minigrid]'" in result.stderr


def in_a_process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m rewardspec`."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "rewardspec", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_python_m_rewardspec_is_the_same_program(tmp_path: Path, office: Path) -> None:
    done = in_a_process("test", str(office), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "passed  office.yaml: coffee first, then the office\n1 passed\n"


def test_no_escape_codes_where_output_is_no_terminal(tmp_path: Path, office: Path) -> None:
    for environment in ({}, {"NO_COLOR": "1"}, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}):
        done = in_a_process("check", str(office), cwd=tmp_path, **environment)
        assert "\x1b" not in done.stdout + done.stderr


def test_a_terminal_that_cannot_show_a_letter_gets_a_question_mark(tmp_path: Path) -> None:
    (tmp_path / "greek.yaml").write_text("name: λ\nreward: cofee # λ\n", encoding="utf-8")
    done = in_a_process("check", "greek.yaml", cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 1
    assert "reward: cofee # ?" in done.stdout
    assert done.stderr == ""


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, rewardspec.cli\n"
        "print([name for name in ('numpy', 'gymnasium', 'pydantic', 'torch', 'rich.console') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_terminal_gets_colours_unless_it_wants_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rewardspec.cli.printing import say

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    say(("FAILED", "red"), " [bracketed] office.yaml")
    assert capsys.readouterr().out == "\x1b[31mFAILED\x1b[0m [bracketed] office.yaml\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    say(("FAILED", "red"), " office.yaml")
    assert capsys.readouterr().out == "FAILED office.yaml\n"
