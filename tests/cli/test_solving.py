"""`rewardspec equilibrium`: the table, the files, the picture, and what is wrong with what was asked."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CHICKEN = "game: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n"


@pytest.fixture
def chicken(tmp_path: Path) -> Path:
    (tmp_path / "chicken.yaml").write_text(CHICKEN)
    return Path("chicken.yaml")


def test_the_table_has_a_line_for_every_gamma_with_its_residual(run: Run, chicken: Path) -> None:
    result = run("equilibrium", chicken, "--gamma", "0:1:0.5", "--no-draw")
    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split() == [
        "gamma",
        "player",
        "strategy",
        "EU",
        "Var",
        "Var",
        "realised",
        "residual",
        "converged",
    ]
    assert [line.split()[:4] for line in lines[:3]] == [
        ["logit", "0", "all", "swerve"],
        ["risk-averse", "0.5", "all", "swerve"],
        ["risk-averse", "1", "all", "swerve"],
    ]
    assert "swerve 0.9473 dare 0.0527" in lines[1] and lines[1].endswith("yes")
    assert sum(line.startswith("nash") for line in lines) == 3 and lines[-1].startswith("maximin")


def test_files_hold_the_same_rows(run: Run, chicken: Path) -> None:
    run("equilibrium", chicken, "--gamma", "0.5", "-o", "t.csv", "--no-draw")
    run("equilibrium", chicken, "--gamma", "0.5", "-o", "t.json", "--no-draw")
    with open("t.csv") as file:
        rows = list(csv.DictReader(file))
    told = json.loads(Path("t.json").read_text())["solutions"]
    assert len(rows) == len(told) == 2 * (1 + 3 + 1)
    assert float(rows[0]["p(dare)"]) == told[0]["strategy"]["dare"] == pytest.approx(0.0527, abs=1e-4)
    assert told[0]["realised_variance"] > told[0]["variance"] > 0 and told[0]["residual"] < 1e-12


def test_it_is_drawn(run: Run, chicken: Path) -> None:
    run("equilibrium", chicken, "--gamma", "0,1")
    assert "<svg" in Path("chicken-equilibrium.svg").read_text()
    run("equilibrium", chicken, "--gamma", "0,1", "--draw", "there/picture.png")
    assert Path("there/picture.png").read_bytes()[:4] == b"\x89PNG"


def test_what_has_not_converged_is_said_to_have_not(run: Run, chicken: Path) -> None:
    words = ("--rounds", "5", "--method", "fictitious", "--alone", "--no-draw")
    result = run("equilibrium", chicken, "--gamma", "0.5", *words)
    assert result.stdout.splitlines()[1].endswith(" no")
    assert "not converged" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--gamma", "-1"), 1, "[negative-gamma]"),
        (("--gamma", "-1:0:0.5"), 1, "[negative-gamma]"),
        (("--gamma", "1:0:0.1"), 2, "leads nowhere"),
        (("--gamma", "0:1:1e-9"), 2, "more than"),
        (("--gamma", "much"), 2, "no number"),
        (("--level", "0.1"), 2, "for the measure cvar"),
        (("--measure", "cvar", "--level", "2"), 2, "no share"),
        (("-o", "table.xls"), 2, ".csv or .json"),
        (("--draw", "picture.gif"), 2, ".svg"),
        (("--damping", "0"), 1, "[wrong-solving]"),
    ],
)
def test_what_cannot_be_asked(
    run: Run, chicken: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    result = run("equilibrium", chicken, *arguments)
    assert result.exit_code == status
    assert said in result.stderr


def test_a_mistake_in_the_game_is_shown_where_it_is(run: Run) -> None:
    result = run("equilibrium", "-", text=CHICKEN.replace("-10]", "-10, 3]"))
    assert result.exit_code == 1
    assert "<stdin>:3:22: symmetric[1]: 3 items, where 'opponent 1' has 2 [payoff-shape]" in result.stderr


def test_alpha_rank_stands_below_where_it_is_asked_for(run: Run, chicken: str) -> None:
    """Either of the two who dares alone: half each, and much to gain from playing so."""
    result = run("equilibrium", chicken, "--gamma", "0", "--alone", "--alpha-rank", "--no-draw")
    last = result.stdout.splitlines()[-1].split()
    assert last[:6] == ["alpha-rank", "all", "swerve", "0.5000", "dare", "0.5000"] and last[-2:] == [
        "2.0e+00",
        "yes",
    ]
