"""How often do the maps converge to a risk-averse equilibrium? Two hundred random games, with what is left undone.

Payoffs are drawn from a standard normal distribution, 40 games of each shape. The damped map runs from the uniform
profile, alone and with Newton's method where it stalls; stochastic fictitious play runs beside it for as many rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec.games.game import Game, Solving
from rewardspec.games.solve import solve

TAGS = ("games", "exact")
STEPS = 800
"""Rounds of a map."""

SEEDS = 1
SMOKE_STEPS = 30
LIMIT_S = 1800

GAMES = 40
TEMPERATURE, DAMPING = 0.2, 0.05
TOLERANCE = 1e-9

SHAPES = ((2, 2), (3, 3), (5, 5), (2, 2, 2), (3, 3, 3))

SETTINGS: list[Setting] = [
    {"name": f"{'x'.join(map(str, shape))}, gamma {gamma:g}", "shape": list(shape), "gamma": gamma}
    for gamma in (0.0, 1.0)
    for shape in SHAPES
]


def random_game(shape: Sequence[int], seed: int) -> Game:
    """Return a game with normal payoffs."""
    rng = np.random.default_rng([*shape, seed])
    actions = tuple(tuple(str(a) for a in range(count)) for count in shape)
    players = tuple(f"player_{i}" for i in range(len(shape)))
    return Game("random", players, actions, rng.normal(size=(len(shape), *shape)))


def run(setting: Setting, seed: int) -> list[Row]:
    """Solve the games of a shape."""
    rows: list[Row] = []
    games = GAMES if setting["steps"] > SMOKE_STEPS else 2
    solving = Solving(temperature=TEMPERATURE, damping=DAMPING)
    for number in range(seed * GAMES, seed * GAMES + games):
        game, row = random_game(setting["shape"], number), {"game": number}
        for name, arguments in (
            ("damped", {"polish": False}),
            ("with Newton", {}),
            ("fictitious", {"method": "fictitious"}),
        ):
            if name == "with Newton" and row["damped"] <= TOLERANCE:
                row[name], row["newton"] = row["damped"], False
                continue
            found = solve(
                game,
                setting["gamma"],
                solving=solving,
                tolerance=TOLERANCE,
                rounds=setting["steps"],
                **arguments,  # type: ignore[arg-type]
            )
            row[name] = float(found.residual)
            if name == "with Newton":
                row["newton"] = found.method == "newton"
        rows.append(row)
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return the share of games that are solved."""
    return sum(row["with Newton"] <= TOLERANCE for row in rows) / len(rows) if rows else 0.0


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# Risk-averse equilibria of random games: what converges",
        "",
        "<!-- Made by `python -m benchmarks report equilibria` -->",
        "",
        f"Normal payoffs, {GAMES} games a shape, temperature {TEMPERATURE:g}, damping {DAMPING:g}, at"
        f" most {STEPS:,} rounds"
        f" from the uniform profile, variance between opponents. Converged: a residual max |BR(z) - z| of {TOLERANCE:g}"
        " at most. *With Newton*: Newton's method goes on where the damped map stalls.",
        "",
        "| game | damped map | with Newton | fictitious play | its residual, median | its worst |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals = np.zeros(4)
    for cell in cells:
        found = {
            name: np.array([row[name] for row in cell.rows])
            for name in ("damped", "with Newton", "fictitious")
        }
        shares = [(part <= TOLERANCE).sum() for part in found.values()]
        totals += [*shares, len(cell.rows)]
        told = " | ".join(f"{share} of {len(cell.rows)}" for share in shares)
        left = found["fictitious"]
        lines.append(f"| {cell.name} | {told} | {np.median(left):.0e} | {left.max():.0e} |")
    if totals[3]:
        told = " | ".join(f"**{share / totals[3]:.1%}**" for share in totals[:3])
        lines.append(f"| all | {told} | | |")
    lines += [
        "",
        "Fictitious play moves by 1 / (t + 1), so an own weight that must fall far falls slowly: its residual is what"
        " says how far it has come. No map is sure to converge outside zero-sum games, potential games and the like;"
        " `solve` reports the residual of each.",
        "",
        provenance(cells),
    ]
    return "\n".join(lines) + "\n"
