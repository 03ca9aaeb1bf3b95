"""docs/equilibria.md shows what the command prints, and its snippets run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardspec import loads
from rewardspec.cli import app
from rewardspec.games.text import load_game, loads_game

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "equilibria.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def without_rounding(text: str) -> str:
    """Leave out residuals, whose last digits are the processor's."""
    return re.sub(r" +\d\.\de[-+]\d\d", " R", text)


def test_the_table_on_the_page_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = blocks("sh")[0].split()[1:]
    result = CliRunner().invoke(app, [*words, "--no-draw"])
    assert without_rounding(result.stdout) == without_rounding(blocks("text")[0])


def test_the_games_on_the_page_are_the_examples() -> None:
    chicken, jackpot, team = blocks("yaml")
    for text, name in ((chicken, "chicken"), (jackpot, "jackpot")):
        shown, held = loads_game(text), load_game(ROOT / "examples" / "games" / f"{name}.yaml")
        assert shown.actions == held.actions and (shown.payoffs == held.payoffs).all()
        assert shown.solving.temperature == held.solving.temperature
    risk = loads(team).agents["default"].risk
    assert risk is not None and risk.gamma == 0.5


def test_the_snippet_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    (snippet,) = blocks("python")
    exec(compile(snippet, "equilibria.md", "exec"), {})
    assert "0.9" in capsys.readouterr().out
