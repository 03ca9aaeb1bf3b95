"""`rewardspec label`: served by a real process, ended by Ctrl-C; what it refuses is a line and no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Run as Command
from tests.learning.people import UPRIGHT, Run

pytestmark = pytest.mark.filterwarnings("ignore:.*pays 0 until its questions are answered")


def test_a_page_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    Run(tmp_path / "run").play(50)
    (tmp_path / "run" / "answers.jsonl").write_text('{"id": 0, "answer": "left"}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "rewardspec", "label", "run", "--port", "0", "--host", "0.0.0.0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A shell has what it puts into the background ignore interrupts, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().split()[2]
    port = url.rstrip("/").rpartition(":")[2]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=30) as answer:
        assert json.load(answer)["answered"] == 1
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "everybody who reaches this machine can answer" in told
    assert (
        told.splitlines()[-1]
        == f"1 of 4 questions are answered, in {(tmp_path / 'run').resolve()}/answers.jsonl"
    )
    assert "Traceback" not in told


def test_what_cannot_be_labelled_is_told_in_a_line(run: Command, tmp_path: Path) -> None:
    Run(tmp_path / "early")
    Run(tmp_path / "taught", UPRIGHT.replace("{file: answers.jsonl}", "{teacher: reward}"))
    for folder, code in (
        ("early", "no-questions"),
        ("taught", "asks-nobody"),
        ("nowhere", "not-a-run-folder"),
    ):
        result = run("label", folder)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert f"[{code}]" in result.stderr
    assert run("label", "early", "--port", "70000").exit_code == 2
