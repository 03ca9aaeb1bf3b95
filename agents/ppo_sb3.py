"""Proximal policy optimisation on a spec (stable-baselines3): `python -m agents.ppo_sb3 --help`.

    python -m agents.ppo_sb3 --spec examples/specs/minigrid_doorkey.yaml --steps 300000
    python -m agents.ppo_sb3 --spec examples/specs/office_coffee.yaml --env rewardspec/OfficeWorld-v0
    python -m agents.ppo_sb3 --resume runs/minigrid_doorkey-ppo-0

The agent sees the machine's state beside the observation. Counterfactual experience is none of its own policy's, and
so is not for PPO: see `dqn_sb3.py` and `sac_sb3.py`.

Source: Schulman et al. (arXiv 1707.06347).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.bounds import refuse_numbers
from agents.command import placed, run
from agents.sb3 import algorithm_arguments, go_on, read_arguments
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import train


@dataclass
class Args:
    """What to learn from, and how."""

    spec: Path | None = None
    """Spec in YAML."""
    env: str | None = None
    """Gymnasium id; the one that the spec names without."""
    steps: int = 100_000
    """Environment steps, over all environments."""
    seed: int = 0
    """Seed of everything random."""
    folder: Path | None = None
    """Run folder; runs/<spec>-ppo-<seed> without."""
    resume: Path | None = None
    """Run folder to go on with, with its own spec and arguments."""
    quiet: bool = False
    """Show no progress."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints."""

    n_envs: int = 16
    """Environments side by side."""
    gamma: float | None = None
    """Discount; the spec's, and no other where the spec has one."""
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    """Units of the networks' layers."""
    n_steps: int = 128
    """Steps of each environment in a rollout."""
    batch_size: int = 256
    """Steps in a gradient step."""
    n_epochs: int = 4
    """How often a rollout is gone over."""
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float | None = None
    """What exploration is worth; 0.01 without where actions are discrete, else nothing."""


ALGOS = ("ppo",)
"""Algorithms whose runs it goes on with."""

OWN = ("learning_rate", "n_steps", "batch_size", "n_epochs", "gae_lambda", "clip_range", "ent_coef")
"""Arguments that stable-baselines3 takes as they are."""


def main(args: Args) -> RunFolder:
    """Train, or go on."""
    if args.resume is not None:
        return go_on("ppo_sb3", ALGOS, args)
    if args.spec is None:
        sys.exit("say what to learn from: --spec FILE (or --resume FOLDER)")
    refuse_numbers(args)
    return train(
        args.spec,
        with_folder(args).folder,
        env_id=args.env,
        algo="ppo",
        steps=args.steps,
        seed=args.seed,
        n_envs=args.n_envs,
        agent=algorithm_arguments(args, OWN),
        checkpoint_seconds=args.checkpoint_seconds,
        show=not args.quiet,
        by="ppo_sb3",
    )


def read(words: Sequence[str]) -> Args:
    """Return the arguments of a command line."""
    return with_folder(read_arguments(Args, "ppo_sb3", ALGOS, words, __doc__))


def with_folder(args: Args) -> Args:
    """Return the arguments with their run folder."""
    return placed(args, f"{args.spec.stem if args.spec is not None else 'run'}-ppo-{args.seed}")


if __name__ == "__main__":
    sys.exit(run(lambda: read(sys.argv[1:]), lambda args: f"run folder: {main(args).path}"))
