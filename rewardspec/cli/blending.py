"""What a run has learned to pay: the command `freeze`, and what `explain` says of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardspec.cli.printing import say, write


def freeze(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)],
    learner: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Which learner of the run.", show_default="the best one"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here, not to stdout.")
    ] = None,
) -> None:
    """Write what a run of BARFI has learned as a plain spec.

    \b
    Example:
      rewardspec freeze runs/maze > frozen.yaml
      rewardspec train frozen.yaml --algo ppo
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.training.blends import freeze as frozen

    write(output, frozen(run, learner).to_yaml())


def is_run(word: str) -> bool:
    """Return whether a word names a run folder: of such a run `explain` says what its learned reward goes by."""
    return (Path(word) / "run.json").is_file()


def explain_run(run: Path) -> None:
    """Say which factors a run has learned to pay for; of BARFI, which hints it trusts, drawn beside it."""
    from rewardspec.training.blends import describe, draw, read_blend
    from rewardspec.training.credits import describe_credit, has_latent

    if has_latent(run):
        say(describe_credit(run))
        return
    blend = read_blend(run)
    say(describe(blend))
    picture = run / "blend.svg"
    try:
        draw(blend, picture)
    except ImportError:
        say("no picture: matplotlib is not installed (pip install 'rewardspec[report]')")
    else:
        say(f"picture: {picture}")
