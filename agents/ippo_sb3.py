"""PPO for several agents on a spec (stable-baselines3), with one policy or many: `python -m agents.ippo_sb3 --help`.

    python -m agents.ippo_sb3 --spec examples/teams/two_buttons.yaml --steps 100000
    python -m agents.ippo_sb3 --spec examples/teams/simple_tag.yaml --policies entry
    python -m agents.ippo_sb3 --spec examples/teams/two_buttons.yaml --policies independent
    python -m agents.ippo_sb3 --resume runs/two_buttons-ippo-0

Source: Gupta et al. (AAMAS 2017 workshops) share parameters; de Witt et al. (arXiv 2011.09533) learn independently.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tyro

from agents.bounds import refuse_numbers
from agents.command import other_agent, placed, resumed, run
from agents.sb3 import algorithm_arguments, refuse_changed
from rewardspec.training.folder import RunFolder
from rewardspec.training.team_loop import Policies, resume_team, train_team


@dataclass
class Args:
    """What to learn from, and how."""

    spec: Path | None = None
    """Spec in YAML, with `agents:` or without."""
    env: str | None = None
    """PettingZoo environment, as in mpe2/simple_spread_v3 or package.module; the one that the spec names without."""
    policies: Policies = "shared"
    """One policy for all (shared), for each entry of the spec (entry), or for each agent (independent)."""
    steps: int = 100_000
    """Environment steps, over all games; a step of all agents is one."""
    seed: int = 0
    """Seed of everything random."""
    folder: Path | None = None
    """Run folder; runs/<spec>-ippo-<seed> without."""
    resume: Path | None = None
    """Run folder to go on with, with its own spec and arguments."""
    quiet: bool = False
    """Show no progress."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints."""

    n_envs: int = 8
    """Games side by side."""
    indicator: bool = True
    """Let agents that share a policy see which of them they are."""
    gamma: float | None = None
    """Discount; the spec's, and no other where the spec has one."""
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    """Units of the networks' layers."""
    n_steps: int = 128
    """Steps of each game in a rollout."""
    batch_size: int = 256
    """Steps in a gradient step."""
    n_epochs: int = 4
    """How often a rollout is gone over."""
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float | None = None
    """What exploration is worth; 0.01 without where actions are discrete, else nothing."""


OWN = ("learning_rate", "n_steps", "batch_size", "n_epochs", "gae_lambda", "clip_range", "ent_coef")
"""Arguments that stable-baselines3 takes as they are."""


def main(args: Args) -> RunFolder:
    """Train, or go on."""
    if args.resume is not None:
        return resume_team(
            args.resume,
            spec=args.spec,
            checkpoint_seconds=args.checkpoint_seconds,
            show=not args.quiet,
        )
    if args.spec is None:
        sys.exit("say what to learn from: --spec FILE (or --resume FOLDER)")
    refuse_numbers(args)
    return train_team(
        args.spec,
        with_folder(args).folder,  # type: ignore[arg-type]
        env_id=args.env,
        policies=args.policies,
        steps=args.steps,
        seed=args.seed,
        n_envs=args.n_envs,
        indicator=args.indicator,
        agent=algorithm_arguments(args, OWN),
        checkpoint_seconds=args.checkpoint_seconds,
        show=not args.quiet,
        by="ippo_sb3",
    )


def read(words: Sequence[str]) -> Args:
    """Return the arguments of a command line; a run that is gone on with keeps those it was begun with.

    Raises:
        UnsupportedError: `not-a-run-folder`; `settings-changed`.
    """
    run_folder = resumed(words)
    before = Args() if run_folder is None else begun(run_folder)
    args = tyro.cli(Args, description=__doc__, args=list(words), default=before)
    if run_folder is not None:
        refuse_changed(run_folder, before, args)
    return with_folder(args)


def begun(folder: RunFolder) -> Args:
    """Return the arguments of a run of this agent."""
    held: Any = folder.read_facts().get("settings")
    if not isinstance(held, dict) or folder.agent not in (None, "ippo_sb3") or "policies" not in held:
        raise other_agent(folder, "ippo_sb3")
    given = {**held["agent"], **held, "env": held["env_id"]}
    if "net_arch" in held["agent"].get("policy_kwargs", {}):
        given["hidden"] = tuple(held["agent"]["policy_kwargs"]["net_arch"])
    return Args(**{place.name: given[place.name] for place in fields(Args) if place.name in given})


def with_folder(args: Args) -> Args:
    """Return the arguments with their run folder."""
    return placed(args, f"{args.spec.stem if args.spec is not None else 'run'}-ippo-{args.seed}")


if __name__ == "__main__":
    sys.exit(run(lambda: read(sys.argv[1:]), lambda args: f"run folder: {main(args).path}"))
