"""`python -m agents.rae`: fictitious play in the open comes to the solver's equilibrium."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.rae import Args, learn, run_command
from rewardspec.games.solve import solve
from rewardspec.games.text import load_game

GAMES = Path(__file__).parents[2] / "examples" / "games"


@pytest.mark.parametrize("method", ["fictitious", "damped"])
def test_it_comes_to_the_solvers_equilibrium(method: str) -> None:
    game = load_game(GAMES / "chicken.yaml")
    found, way = learn(game, Args(GAMES / "chicken.yaml", 0.5, method=method, tolerance=1e-8))  # type: ignore[arg-type]
    assert found.converged and way[0]["round"] == 1 and way[-1]["residual"] <= 1e-8
    assert found.strategies[0] == pytest.approx(solve(game, 0.5).strategies[0], abs=1e-7)


def test_the_first_rounds_by_hand() -> None:
    """Chicken at gamma 0: the reply to uniform beliefs is softmax((-0.5, -4.5) / 0.1), and beliefs go half the way."""
    _, way = learn(load_game(GAMES / "chicken.yaml"), Args(GAMES / "chicken.yaml", 0.0, rounds=2))
    assert way[0]["residual"] == pytest.approx(0.5) and way[0]["expected"] == pytest.approx(-2.5)
    assert way[1]["round"] == 2 and way[1]["expected"] == pytest.approx(0.25 * (0.75 * 0 - 0.75 + 0.75 - 2.5))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out.json"
    assert run_command(["--game", str(GAMES / "jackpot.yaml"), "--rounds", "50", "--json", str(place)]) == 0
    said = capsys.readouterr().out
    assert "residual" in said and "least variance for the same expected payoff" in said and " no" in said
    assert json.loads(place.read_text())["way"][-1]["round"] == 50


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--gamma", "-1"], "negative-gamma"),
        (["--rounds", "0"], "wrong-setting"),
        (["--tremble", "1"], "wrong-solving"),
        (["--frontier", "x.gif"], "wrong-setting"),
    ],
)
def test_what_cannot_be_asked(capsys: pytest.CaptureFixture[str], words: list[str], code: str) -> None:
    assert run_command(["--game", str(GAMES / "chicken.yaml"), *words]) == 1
    assert f"[{code}]" in capsys.readouterr().err
