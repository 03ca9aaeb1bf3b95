"""Commands that learn: `train` and `watch`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import is_for_several, read_spec
from rewardspec.cli.printing import disk_trouble, draw_without_a_screen, make_folder, say, say_problem
from rewardspec.cli.training_options import (
    Algo,
    AlgoOption,
    EnvironmentId,
    Environments,
    Pairs,
    Quiet,
    Seed,
    read_settings,
)

if TYPE_CHECKING:
    from rewardspec.training.folder import RunFolder


class Policies(StrEnum):
    """Who of several agents has a policy."""

    SHARED = "shared"
    ENTRY = "entry"
    INDEPENDENT = "independent"


def train(
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC", help="A spec in YAML, or with --resume a run folder.", show_default=False
        ),
    ],
    algo: AlgoOption = Algo.PPO,
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Environment steps, over all environments.")
    ] = 100_000,
    seed: Seed = 0,
    n_envs: Environments = None,
    env: EnvironmentId = "",
    setting: Pairs = None,
    crm: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            min=0.0,
            max=1.0,
            help="Replay steps from other machine states too (dqn, sac, td3): from this share of them.",
            show_default="off",
        ),
    ] = None,
    policies: Annotated[
        Policies | None,
        typer.Option(
            help="Several agents: one policy for all, one per entry of the spec, or one each.",
            show_default="shared",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder.", show_default="runs/<spec>-<algo>-<seed>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train an agent on a spec.

    The run folder keeps the spec, versions and settings, progress by term, TensorBoard logs and checkpoints.
    A run that was stopped, at whatever moment, goes on with --resume as if it had never been: with its own
    spec and settings.

    \b
    Example:
      rewardspec train cartpole.yaml --steps 50000
      rewardspec train doorkey.yaml --algo ppo --seed 1 --out runs/first
      rewardspec train water.yaml --algo dqn --crm 1
      rewardspec train tag.yaml --env mpe2/simple_tag_v3 --policies entry
      rewardspec train runs/first --resume
      tensorboard --logdir runs
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.training.folder import RunFolder
    from rewardspec.training.loop import resume as go_on
    from rewardspec.training.loop import train as begin
    from rewardspec.training.team_loop import is_team_run, resume_team, train_team

    if not resume and RunFolder(spec).is_run:
        raise typer.BadParameter(f"'{spec}' is a run: --resume goes on with it", param_hint="SPEC")
    folder = out or (
        spec if resume and (spec.is_dir() or not spec.suffix) else Path("runs") / f"{spec.stem}-{algo}-{seed}"
    )
    try:
        if resume:
            go: Any = resume_team if is_team_run(RunFolder(folder)) else go_on
            run = go(folder, show=not quiet)
        elif is_for_several(source := read_spec(spec), env):
            if algo is not Algo.PPO or crm is not None:
                raise typer.BadParameter("several agents train with ppo", param_hint="--algo")
            run = train_team(
                source if str(spec) == "-" else spec,
                folder,
                env_id=env or None,
                policies=str(policies or Policies.SHARED),
                steps=steps,
                seed=seed,
                n_envs=n_envs,
                agent=read_settings(setting or []),
                show=not quiet,
            )
        else:
            if policies is not None:
                raise typer.BadParameter("is for environments of several agents", param_hint="--policies")
            run = begin(
                source if str(spec) == "-" else spec,
                folder,
                env_id=env or None,
                algo=str(algo),
                steps=steps,
                seed=seed,
                n_envs=n_envs,
                agent=read_settings(setting or []),
                crm=crm,
                show=not quiet,
            )
    except KeyboardInterrupt:
        say(RunFolder(folder).stopped(), err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        if disk_trouble(error) is not None and RunFolder(folder).is_run:
            say(RunFolder(folder).stopped(), err=True)
        raise
    _say_result(run)


def _say_result(run: RunFolder) -> None:
    from rewardspec.training.display import summary
    from rewardspec.training.farming import read_warnings

    rows = run.rows()
    if rows:
        say(summary(rows[-1]))
    looked = read_warnings(run)
    for problem in looked[2] if looked is not None else ():
        say_problem(problem, err=True)
    say(f"run folder: {run.path}")
    say(f"next: rewardspec watch {run.path}", err=True)


def watch(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder of `rewardspec train`.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page.", show_default="RUN/watch.html"),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Seed of the episode: the same one shows the same.")
    ] = 0,
    attempts: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=1000, help="Episodes to play until one is a success, which is shown."
        ),
    ] = 1,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Always take the likeliest action.")
    ] = False,
    agent: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of several agents, whose rewards are told (or `joint`); the first's without.",
        ),
    ] = "",
) -> None:
    """Render an episode of a trained agent as an HTML page.

    The page has the frames, the machines with their current states lit, and the reward by term over time;
    it is one file that opens in any browser. A run that is not finished plays with its newest checkpoint.

    \b
    Example:
      rewardspec watch runs/first
      rewardspec watch runs/first --attempts 20 -o success.html
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.report.watch import watch as render

    draw_without_a_screen()
    if output is not None:
        make_folder(output)
    page = render(run, output, seed=seed, attempts=attempts, deterministic=deterministic, agent=agent)
    say(f"wrote {page}", err=True)
