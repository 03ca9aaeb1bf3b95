"""Two players (or more) learn a risk-averse equilibrium of a game in normal form, round by round.

    python -m agents.rae --game examples/games/chicken.yaml --gamma 0.5
    python -m agents.rae --game examples/games/stag_hunt.yaml --gamma 0.1 --method damped --frontier hunters.svg
    python -m agents.rae --game examples/games/jackpot.yaml --measure cvar --gamma 1

In every round all players reply to the same old beliefs about each other,

    BR(p) = argmax_x  x . M p - gamma R(x, p) + tau H(x)

and beliefs move towards the replies: by 1 / (t + 1) in stochastic fictitious play, which is what Slumbers et al. use,
or by a constant with `--method damped`, which gets to an equilibrium faster where there is a stable one. The residual
max |BR(z) - z| says how near it is. `rewardspec equilibrium` solves a game for many gammas at once and beside Nash
equilibria; here one can watch.

Source:
    Slumbers et al. (arXiv 2205.15434); `rewardspec/games/` says what of it is known and what is ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from agents.command import run_whole
from rewardspec.analysis.columns import align
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.games import table
from rewardspec.games.frontier import efficient_frontier
from rewardspec.games.game import Game, Profile
from rewardspec.games.risk import Measure, Risk
from rewardspec.games.solve import Solution, describe, distance, refuse_gamma, refuse_solving, reply
from rewardspec.games.text import load_game


@dataclass
class Args:
    """Learn a risk-averse equilibrium."""

    game: Path
    """A game file."""
    gamma: float = 0.5
    """Dislike of risk; 0 gives the logit equilibrium."""
    measure: Measure = "variance"
    level: float = 0.25
    """For the measure cvar."""
    target: float | None = None
    """For the measure lower_partial_moment."""
    method: Literal["fictitious", "damped"] = "fictitious"
    rounds: int = 3000
    tolerance: float = 1e-9
    """Residual at which to stop."""
    temperature: float | None = None
    """Weight of the entropy; the game's own without."""
    tremble: float | None = None
    """Share of play on all actions; the game's own without."""
    damping: float | None = None
    """Step of `damped`; the game's own without."""
    frontier: Path | None = None
    """Picture of where the players end between mean and variance (.svg, .png or .pdf)."""
    json: Path | None = None
    """Where to write the way and the end as JSON."""


def learn(game: Game, args: Args) -> tuple[Solution, list[dict[str, float]]]:
    """Play; return where it ended, and the residual at every power of two on the way.

    Raises:
        SpecError: `negative-gamma`, `wrong-solving`.
    """
    risk = Risk(args.measure, args.level, args.target)
    given = {name: getattr(args, name) for name in ("temperature", "tremble", "damping")}
    solving = replace(game.solving, **{name: value for name, value in given.items() if value is not None})
    refuse_gamma(args.gamma)
    refuse_solving(game, solving)
    beliefs: Profile = solving.start or game.uniform()
    replies, residual = beliefs, np.inf
    way: list[dict[str, float]] = []
    for t in range(1, args.rounds + 1):
        replies = reply(
            game, beliefs, args.gamma, risk, solving, near=replies
        )  # all from the same old beliefs
        residual = distance(replies, beliefs)
        if t & (t - 1) == 0:
            way.append({"round": t, "residual": residual, **_spread(game, beliefs)})
        if residual <= args.tolerance:
            break
        step = solving.damping if args.method == "damped" else 1.0 / (t + 1)
        beliefs = tuple(old + step * (new - old) for old, new in zip(beliefs, replies, strict=True))
    way.append({"round": t, "residual": residual, **_spread(game, beliefs)})
    found = describe(
        game, beliefs, args.gamma, risk, solving, concept="risk-averse" if args.gamma else "logit"
    )
    return replace(found, converged=residual <= args.tolerance, rounds=t, method=args.method), way


def _spread(game: Game, beliefs: Profile) -> dict[str, float]:
    found = describe(game, beliefs)
    return {"expected": float(found.expected[0]), "variance": float(found.variance[0])}


def main(args: Args, console: Console | None = None) -> None:
    """Learn, and show the way and the end."""
    console = console or Console(highlight=False, soft_wrap=True)
    if args.rounds < 1:
        raise UnsupportedError(Problem("wrong-setting", f"rounds is {args.rounds}; it is at least 1"))
    if args.frontier is not None and args.frontier.suffix not in (".svg", ".png", ".pdf"):
        text = f"frontier is {args.frontier}; it must end in .svg, .png or .pdf"
        raise UnsupportedError(Problem("wrong-setting", text))
    game, risk = load_game(args.game), Risk(args.measure, args.level, args.target)
    found, way = learn(game, args)
    rows = [("round", "residual", f"EU of {game.players[0]}", "Var")]
    rows += [
        (f"{row['round']:,}", f"{row['residual']:.1e}", f"{row['expected']:.4f}", f"{row['variance']:.4f}")
        for row in way
    ]
    for line in align(rows, right=(0, 1, 2, 3)):
        console.print(line)
    console.print("")
    for line in align(table.lines(game, [found], risk), right=(1, 4, 5, 6, 7)):
        console.print(line)
    for i, player in enumerate(game.players):
        frontier = efficient_frontier(game.tables[i], game.opponents(i, found.strategies), 11)
        least = np.interp(found.expected[i], frontier.expected, frontier.variance)
        told = f"least variance for the same expected payoff {least:.4f}, its own {found.variance[i]:.4f}"
        console.print(f"{player}: {told} (the entropy's price; certificate {frontier.residual.max():.0e})")
    if args.frontier is not None:
        table.draw(game, [found], args.frontier)
        console.print(f"picture: {args.frontier}")
    if args.json is not None:
        held = {"way": way, "end": table.rows(game, [found], risk), "settings": _plain(args)}
        args.json.write_text(json.dumps(held, indent=1) + "\n")


def _plain(args: Args) -> dict[str, object]:
    return {name: str(v) if isinstance(v, Path) else v for name, v in asdict(args).items()}


def run_command(words: Sequence[str]) -> int:
    """Learn as a command line says; return the exit status."""
    return run_whole(Args, main, words, __doc__)


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
