"""What a run has learned to pay: the command `freeze`, and what `explain` says of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardspec.cli.printing import say, write

if TYPE_CHECKING:
    from rewardspec.training.folder import RunFolder


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


def _of_training(run: RunFolder) -> bool:
    """Say how a run of `rewardspec train` ended, or how far it is; return whether it is one."""
    from rewardspec.training.display import summary
    from rewardspec.training.farming import describe

    found = describe(run)
    if found is None and run.agent is not None:
        return False
    rows = run.rows()
    if rows:
        say(summary(rows[-1]))
    if found is None:
        over = "the run is over, and was before signs of farming were looked for"
        found = over if run.is_finished else f"the run is not over; go on with it: {run.go_on()}"
    say(found)
    return True


def _is_of_several(run: RunFolder) -> bool:
    """Return whether several agents learned in a run: nothing that they are paid is learned."""
    from rewardspec.training.team_loop import is_team_run

    return run.agent == "psro" or is_team_run(run)


def explain_run(run: Path) -> None:
    """Say how a run ended and what speaks against its reward, and what it has learned to pay for.

    Of latent rewards that is which factor earned what; of feedback what messages are worth; of BARFI which hints it
    trusts, drawn beside it.
    """
    from rewardspec.training.blends import describe, draw, read_blend
    from rewardspec.training.credits import describe_credit, has_latent
    from rewardspec.training.folder import RunFolder
    from rewardspec.training.messages import describe_messages, has_feedback

    folder = RunFolder(run)
    told, learned = _of_training(folder), ((has_latent, describe_credit), (has_feedback, describe_messages))
    for is_so, describes in () if _is_of_several(folder) else learned:
        if is_so(run):
            say(describes(run))
            told = True
    if told:
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
