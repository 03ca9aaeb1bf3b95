"""How often do the maps converge to a risk-averse equilibrium? Two hundred random games, with what is left undone.

Payoffs are drawn from a standard normal distribution, 40 games of each shape. The damped map runs from the uniform
profile, alone, and as `solve` goes on from it: Newton's method, and cooling where that fails; stochastic fictitious
play runs beside it for as many rounds. Cold ones are harder: best replies turn sharply.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.records import Cell, Row, Setting, in_order, provenance
from rewardspec.games.game import Game, Solving
from rewardspec.games.solve import solve

TAGS = ("games", "exact")
STEPS = 800
"""Rounds of a map."""

SEEDS = 1
SMOKE_STEPS = 30
LIMIT_S = 1800

GAMES = 40
TEMPERATURE, COLD, DAMPING = 0.2, 0.05, 0.05
TOLERANCE = 1e-9

SHAPES = ((2, 2), (3, 3), (5, 5), (2, 2, 2), (3, 3, 3))

SETTINGS: list[Setting] = [
    {"name": f"{'x'.join(map(str, shape))}, gamma {gamma:g}", "shape": list(shape), "gamma": gamma}
    for gamma in (0.0, 1.0)
    for shape in SHAPES
] + [
    {
        "name": f"{'x'.join(map(str, shape))}, gamma {gamma:g}, temperature {COLD:g}",
        "shape": list(shape),
        "gamma": gamma,
        "temperature": COLD,
    }
    for gamma in (0.0, 1.0)
    for shape in SHAPES[2::2]
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
    solving = Solving(temperature=setting.get("temperature", TEMPERATURE), damping=DAMPING)
    for number in range(seed * GAMES, seed * GAMES + games):
        game, row = random_game(setting["shape"], number), {"game": number}
        for name, arguments in (
            ("damped", {"polish": False}),
            ("solve", {}),
            ("fictitious", {"method": "fictitious"}),
        ):
            if name == "solve" and row["damped"] <= TOLERANCE:
                row[name], row["method"] = row["damped"], "damped"
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
            if name == "solve":
                row["method"] = found.method
        rows.append(row)
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return the share of games that are solved."""
    return sum(row["solve"] <= TOLERANCE for row in rows) / len(rows) if rows else 0.0


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# Risk-averse equilibria of random games: what converges",
        "",
        "<!-- Made by `python -m benchmarks report equilibria` -->",
        "",
        f"Normal payoffs, {GAMES} games a shape, temperature {TEMPERATURE:g} where none is named,"
        f" damping {DAMPING:g}, at most {STEPS:,} rounds"
        f" from the uniform profile, variance between opponents. Converged: a residual max |BR(z) - z| of {TOLERANCE:g}"
        " at most. *Solve*: where the damped map stalls, or its rounds are over, Newton's method goes on from there,"
        " and where that fails, too, an equilibrium is followed down from a high temperature.",
        "",
        "| game | damped map | solve | by Newton | by cooling | worst residual | fictitious play | its residual, median"
        " | its worst |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals = np.zeros(6)
    for cell in in_order(cells, SETTINGS):
        found = {
            name: np.array([row[name] for row in cell.rows]) for name in ("damped", "solve", "fictitious")
        }
        damped, solved, slow = (int((part <= TOLERANCE).sum()) for part in found.values())
        count, left = len(cell.rows), found["fictitious"]
        newton, cooled = (
            sum(row["method"] == how and row["solve"] <= TOLERANCE for row in cell.rows)
            for how in ("newton", "cooled")
        )
        totals += [damped, solved, newton, cooled, slow, count]
        lines.append(
            f"| {cell.name} | {damped} of {count} | {solved} of {count} | {newton} | {cooled}"
            f" | {found['solve'].max():.0e} | {slow} of {count} | {np.median(left):.0e} | {left.max():.0e} |"
        )
    if totals[5]:
        damped, solved, newton, cooled, slow = totals[:5] / totals[5]
        lines.append(
            f"| all | **{damped:.1%}** | **{solved:.1%}** | {newton:.1%} | {cooled:.1%} | | **{slow:.1%}** | | |"
        )
    lines += [
        "",
        "Fictitious play moves by 1 / (t + 1), so an own weight that must fall far falls slowly: its residual is what"
        " says how far it has come. No map is sure to converge outside zero-sum games, potential games and the like;"
        " `solve` reports the residual of each. Where the damped map did not converge, the equilibrium that was found"
        " need not be one that it would ever have come to.",
        "",
        provenance(cells),
    ]
    return "\n".join(lines) + "\n"
