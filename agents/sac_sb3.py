"""Soft actor-critic on a spec (stable-baselines3), with counterfactual experience: `python -m agents.sac_sb3 --help`.

    python -m agents.sac_sb3 --spec examples/specs/half_cheetah_there_and_back.yaml --steps 100000
    python -m agents.sac_sb3 --spec examples/specs/half_cheetah_there_and_back.yaml --algo td3 --no-crm
    python -m agents.sac_sb3 --resume runs/half_cheetah_there_and_back-sac-0

The agent sees the machine's state beside the observation. With `--crm` every step that is sampled is replayed from
other machine states too, whatever state the machine was in when it was taken: see `CrmReplayBuffer`.

Source: Haarnoja et al. (arXiv 1812.05905); TD3: Fujimoto et al. (ICML 2018); CRM: Toro Icarte et al. (JAIR 73,
2022), section 3.3, which learns with DDPG where actions are continuous.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    """Run folder; runs/<spec>-<algo>-<seed> without."""
    resume: Path | None = None
    """Run folder to go on with, with its own spec and arguments."""
    quiet: bool = False
    """Show no progress."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints."""

    crm: bool = True
    """Replay steps from other machine states too."""
    ratio: float = 1.0
    """Share of the other machine states that each sampled step is replayed from."""

    algo: Literal["sac", "td3"] = "sac"
    """Soft actor-critic, or twin delayed DDPG."""
    n_envs: int = 1
    """Environments side by side."""
    gamma: float | None = None
    """Discount; the spec's, and no other where the spec has one."""
    learning_rate: float = 3e-4
    hidden: tuple[int, ...] = (256, 256)
    """Units of the networks' layers."""
    buffer_size: int = 300_000
    """Steps that are kept."""
    learning_starts: int = 1_000
    """Steps before the first update."""
    batch_size: int = 256
    """Steps in an update; with counterfactuals each of them gives several rows."""
    train_freq: int = 1
    """Steps between two updates."""
    gradient_steps: int = 1
    """Gradient steps of an update."""
    tau: float = 0.005
    """How far the target networks follow in each gradient step."""


ALGOS = ("sac", "td3")
"""Algorithms whose runs it goes on with."""

OWN = ("learning_rate", "buffer_size", "learning_starts", "batch_size", "train_freq", "gradient_steps", "tau")
"""Arguments that stable-baselines3 takes as they are."""


def main(args: Args) -> RunFolder:
    """Train, or go on."""
    if args.resume is not None:
        return go_on("sac_sb3", ALGOS, args)
    if args.spec is None:
        sys.exit("say what to learn from: --spec FILE (or --resume FOLDER)")
    refuse_numbers(args)
    return train(
        args.spec,
        with_folder(args).folder,
        env_id=args.env,
        algo=args.algo,
        steps=args.steps,
        seed=args.seed,
        n_envs=args.n_envs,
        agent=algorithm_arguments(args, OWN),
        crm=args.ratio if args.crm else None,
        checkpoint_seconds=args.checkpoint_seconds,
        show=not args.quiet,
        by="sac_sb3",
    )


def read(words: Sequence[str]) -> Args:
    """Return the arguments of a command line."""
    return with_folder(read_arguments(Args, "sac_sb3", ALGOS, words, __doc__))


def with_folder(args: Args) -> Args:
    """Return the arguments with their run folder."""
    return placed(args, f"{args.spec.stem if args.spec is not None else 'run'}-{args.algo}-{args.seed}")


if __name__ == "__main__":
    sys.exit(run(lambda: read(sys.argv[1:]), lambda args: f"run folder: {main(args).path}"))
