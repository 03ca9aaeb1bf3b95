"""Solutions of a game as rows: for the terminal, for CSV and JSON, and as a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewardspec.errors import missing_extra
from rewardspec.games.frontier import efficient_frontier
from rewardspec.games.game import Game
from rewardspec.games.risk import Risk
from rewardspec.games.solve import Solution

ITERATED = ("risk-averse", "logit")
"""Concepts with a gamma of their own."""


def rows(game: Game, solutions: Sequence[Solution], risk: Risk) -> list[dict[str, Any]]:
    """Return one mapping per solution and player, plain data.

    Keys: `concept`, `gamma` (None for what has none), `player`, `strategy` (probability by action), `expected`,
    `variance`, `realised_variance`, `risk` (by the measure), `utility`, `regret`, `residual`, `converged`, `method`.
    """
    found = []
    for solution in solutions:
        for i, player in enumerate(game.players):
            strategy = dict(zip(game.actions[i], (float(p) for p in solution.strategies[i]), strict=True))
            found.append(
                {
                    "concept": solution.concept,
                    "gamma": solution.gamma if solution.concept in ITERATED else None,
                    "player": player,
                    "strategy": strategy,
                    "expected": float(solution.expected[i]),
                    "variance": float(solution.variance[i]),
                    "realised_variance": float(solution.realised_variance[i]),
                    "measure": risk.measure,
                    "risk": float(solution.risk[i]),
                    "utility": float(solution.utility[i]),
                    "regret": float(solution.regret),
                    "residual": float(solution.residual),
                    "converged": bool(solution.converged),
                    "method": solution.method,
                }
            )
    return found


def to_json(game: Game, solutions: Sequence[Solution], risk: Risk) -> str:
    """Return the rows as JSON."""
    return json.dumps({"game": game.name, "solutions": rows(game, solutions, risk)}, indent=1) + "\n"


def to_csv(game: Game, solutions: Sequence[Solution], risk: Risk) -> str:
    """Return the rows as CSV; a strategy is spread over columns `p(action)`."""
    made = rows(game, solutions, risk)
    names = dict.fromkeys(f"p({action})" for own in game.actions for action in own)
    head = [key for key in made[0] if key != "strategy"] if made else []
    held = io.StringIO()
    writer = csv.DictWriter(held, [*head[:3], *names, *head[3:]], restval="", lineterminator="\n")
    writer.writeheader()
    for row in made:
        strategy = row.pop("strategy")
        writer.writerow({**row, **{f"p({action})": p for action, p in strategy.items()}})
    return held.getvalue()


def lines(game: Game, solutions: Sequence[Solution], risk: Risk) -> list[tuple[str, ...]]:
    """Return the table for a terminal: head and rows; one row for all players where they do the same."""
    extra = risk.measure not in ("variance", "realised_variance")
    head = ["", "gamma", "player", "strategy", "EU", "Var", "Var realised"]
    head += ([risk.measure] if extra else []) + ["residual", "converged"]
    found = [tuple(head)]
    alike = game.is_symmetric
    for solution in solutions:
        first = solution.strategies[0]
        together = alike and all(np.allclose(first, other, atol=1e-9) for other in solution.strategies)
        for i in range(1 if together else len(game.players)):
            strategy = " ".join(
                f"{name} {p:.4f}" for name, p in zip(game.actions[i], solution.strategies[i], strict=True)
            )
            row = [
                solution.concept if i == 0 else "",
                f"{solution.gamma:g}" if solution.concept in ITERATED and i == 0 else "",
                "all" if together else game.players[i],
                strategy,
                f"{solution.expected[i] + 0.0:.4f}",
                f"{solution.variance[i]:.4f}",
                f"{solution.realised_variance[i]:.4f}",
            ]
            row += [f"{solution.risk[i]:.4f}"] if extra else []
            row += ["", ""] if i else [f"{solution.residual:.1e}", _how(solution)]
            found.append(tuple(row))
    return found


def _how(solution: Solution) -> str:
    if not solution.converged:
        return "no"
    return {"newton": "by Newton", "cooled": "by cooling"}.get(solution.method, "yes")


def draw(game: Game, solutions: Sequence[Solution], place: Path) -> None:
    """Draw strategies against gamma and, per player, mean against variance, into an SVG, PNG or PDF file.

    Beside the equilibria by gamma stand Nash equilibria and maximin, and the frontiers of the first and the last gamma.

    Raises:
        MissingExtraError: Without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        raise missing_extra("matplotlib", "report", "a picture of equilibria") from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rewardspec"  # the same figures make the same file
    from matplotlib import pyplot

    by_gamma = [solution for solution in solutions if solution.concept in ITERATED]
    others = [solution for solution in solutions if solution.concept not in ITERATED]
    players = 1 if game.is_symmetric else len(game.players)
    figure, panels = pyplot.subplots(
        players, 2, figsize=(9, 3.2 * players), layout="constrained", squeeze=False
    )
    for i, (left, right) in enumerate(panels):
        gammas = [solution.gamma for solution in by_gamma]
        for k, name in enumerate(game.actions[i]):
            left.plot(gammas, [solution.strategies[i][k] for solution in by_gamma], "o-", ms=3, label=name)
        who = "everybody" if game.is_symmetric and players == 1 else game.players[i]
        left.set(xlabel="gamma", ylabel="probability", ylim=(-0.03, 1.03), title=f"{game.name}: {who}")
        left.legend(frameon=False)
        for solution in {id(s): s for s in (by_gamma[:1] + by_gamma[-1:])}.values():
            frontier = efficient_frontier(game.tables[i], game.opponents(i, solution.strategies))
            style = {"color": "0.6", "lw": 1, "label": f"frontier, gamma {solution.gamma:g}"}
            right.plot(
                frontier.variance, frontier.expected, "-" if solution is by_gamma[0] else "--", **style
            )
        dots = right.scatter(
            [s.variance[i] for s in by_gamma], [s.expected[i] for s in by_gamma], c=gammas, s=22, zorder=3
        )
        for solution, mark in zip(others, "*xs^vD<>" * (len(others) // 8 + 1), strict=False):
            at = (solution.variance[i], solution.expected[i])
            right.plot(*at, mark, color="C3" if solution.concept == "nash" else "C2", label=solution.concept)
        widest = max(s.variance[i] for s in solutions)
        if widest < 1e-12:  # the opponents' play makes no difference: do not blow rounding up
            right.set_xlim(-0.05, 1.0)
        right.set(xlabel="variance over the opponents' draw", ylabel="expected payoff")
        shown = dict(zip(*reversed(right.get_legend_handles_labels()), strict=True))
        right.legend(shown.values(), shown.keys(), frameon=False)
        figure.colorbar(dots, ax=right, label="gamma")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(place, metadata={"Date": None} if place.suffix == ".svg" else None)
    pyplot.close(figure)
