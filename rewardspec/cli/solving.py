"""The command that solves games: `equilibrium`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardspec.cli.printing import make_folder, say, write

if TYPE_CHECKING:
    from rewardspec.games.game import Game, Solving
    from rewardspec.games.risk import Risk
    from rewardspec.games.solve import Solution

MOST = 1000
"""Values of gamma in one sweep."""


class RiskMeasure(StrEnum):
    """What is disliked."""

    VARIANCE = "variance"
    REALISED_VARIANCE = "realised_variance"
    LOWER_PARTIAL_MOMENT = "lower_partial_moment"
    CVAR = "cvar"


class Map(StrEnum):
    """How an equilibrium is iterated for."""

    DAMPED = "damped"
    FICTITIOUS = "fictitious"


def equilibrium(
    game: Annotated[
        Path, typer.Argument(metavar="GAME", help="A game in YAML; `-` reads stdin.", show_default=False)
    ],
    gamma: Annotated[
        str,
        typer.Option(
            metavar="VALUES", help="Dislike of risk: a number, several as 0,0.5,2, or FROM:TO:STEP."
        ),
    ] = "0:1:0.1",
    measure: Annotated[RiskMeasure, typer.Option(help="What is disliked.")] = RiskMeasure.VARIANCE,
    level: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="For cvar: share of worst outcomes.", show_default="0.25"),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="For lower_partial_moment: payoff below which it counts.",
            show_default="the mean",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Weight of the entropy.", show_default="the game's"),
    ] = None,
    tremble: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, help="Share of play on all actions.", show_default="the game's"),
    ] = None,
    damping: Annotated[
        float | None, typer.Option(metavar="N", help="Step of the damped map.", show_default="the game's")
    ] = None,
    method: Annotated[Map, typer.Option(help="How it is iterated for.")] = Map.DAMPED,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Iterations at most.")] = 20_000,
    beside: Annotated[
        bool,
        typer.Option("--beside/--alone", help="Solve for Nash and maximin, too (needs SciPy and nashpy)."),
    ] = True,
    ranked: Annotated[
        bool, typer.Option("--alpha-rank", help="Rank the actions by alpha-rank, too (needs OpenSpiel).")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the table there as well: .csv or .json."),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The picture: .svg, .png or .pdf.", show_default="NAME-equilibrium.svg"
        ),
    ] = None,
    no_draw: Annotated[bool, typer.Option("--no-draw", help="Draw nothing.")] = False,
) -> None:
    """Solve a game for its risk-averse equilibria.

    Prints strategies, expected payoffs and variances by gamma, with the residual of each: what has not
    converged is said to have not. Nash equilibria and maximin strategies stand below, and all of it is drawn.

    \b
    Example:
      rewardspec equilibrium examples/games/chicken.yaml --gamma 0:1:0.1
      rewardspec equilibrium stag_hunt.yaml --gamma 0,0.02,0.5 -o stag_hunt.csv --draw stag_hunt.png
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.analysis.columns import align
    from rewardspec.games import table
    from rewardspec.games.risk import Risk
    from rewardspec.games.solve import solve

    if output is not None and output.suffix not in (".csv", ".json"):
        raise typer.BadParameter(f"'{output}' must end in .csv or .json", param_hint="--output")
    if draw is not None and draw.suffix not in (".svg", ".png", ".pdf"):
        raise typer.BadParameter(f"'{draw}' must end in .svg, .png or .pdf", param_hint="--draw")
    values = read_gammas(gamma)
    risk = _risk(Risk(measure.value, 0.25 if level is None else level, target), level, target)
    read = _read(game)
    solving = _solving(read, temperature, tremble, damping)
    found = [
        solve(read, value, risk=risk, solving=solving, method=method.value, rounds=rounds) for value in values
    ]
    if beside:
        found += _beside(read)
    if ranked:
        from rewardspec.games.alpha_rank import alpha_rank

        found.append(alpha_rank(read))
    for line in align(table.lines(read, found, risk), right=(1, 4, 5, 6, 7)):
        say(line)
    if any(not one.converged for one in found):
        say("not converged: another --damping, a higher --temperature or more --rounds may help", err=True)
    if output is not None:
        write(output, (table.to_csv if output.suffix == ".csv" else table.to_json)(read, found, risk))
    if not no_draw:
        _draw(read, found, draw or Path(f"{game.stem if str(game) != '-' else 'game'}-equilibrium.svg"))


def read_gammas(text: str) -> list[float]:
    """Return the values that `0.5`, `0,0.5,2` or `0:1:0.1` (the last one included) mean.

    Raises:
        SpecError: `negative-gamma`.
        typer.BadParameter: When it is none of these.

    Example:
        >>> read_gammas("0:1:0.25"), read_gammas("0,2")
        ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 2.0])
    """
    from rewardspec.games.solve import refuse_gamma

    hint = f"'{text}' is no number, no list as 0,0.5,2 and no range FROM:TO:STEP as 0:1:0.1"
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            refuse_gamma(first)
            if not step > 0.0 or not last >= first:
                raise typer.BadParameter(f"'{text}' leads nowhere: FROM:TO:STEP rises", param_hint="--gamma")
            count = (last - first) / step
            if not count <= MOST:
                raise typer.BadParameter(f"'{text}' has more than {MOST} values", param_hint="--gamma")
            found = [round(first + i * step, 12) for i in range(int(count + 1e-9) + 1)]
        else:
            found = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(hint, param_hint="--gamma") from None
    for value in found:
        refuse_gamma(value)
    return found


def _risk(risk: Risk, level: float | None, target: float | None) -> Risk:
    for given, name, measure in ((level, "level", "cvar"), (target, "target", "lower_partial_moment")):
        if given is not None and risk.measure != measure:
            raise typer.BadParameter(
                f"is for the measure {measure}, not {risk.measure}", param_hint=f"--{name}"
            )
    if not 0.0 < risk.level < 1.0:
        raise typer.BadParameter(f"{risk.level:g} is no share within (0, 1)", param_hint="--level")
    return risk


def _read(path: Path) -> Game:
    from rewardspec.games.text import load_game, loads_game

    return loads_game(sys.stdin.buffer.read(), "<stdin>") if str(path) == "-" else load_game(path)


def _solving(game: Game, temperature: float | None, tremble: float | None, damping: float | None) -> Solving:
    from dataclasses import replace

    own = game.solving
    return replace(
        own,
        temperature=own.temperature if temperature is None else temperature,
        tremble=own.tremble if tremble is None else tremble,
        damping=own.damping if damping is None else damping,
    )


def _beside(game: Game) -> list[Solution]:
    from rewardspec.games.nash import find_nash, maximin

    try:
        return [*find_nash(game, at_most=5), maximin(game)]
    except ImportError as error:
        say(str(error), err=True)
        return []


def _draw(game: Game, found: list[Solution], place: Path) -> None:
    from rewardspec.games.table import draw

    make_folder(place)
    try:
        draw(game, found, place)
    except ImportError:
        say(
            "no picture: matplotlib or SciPy is not installed (pip install 'rewardspec[report,games]')",
            err=True,
        )
    else:
        say(f"picture: {place}", err=True)
