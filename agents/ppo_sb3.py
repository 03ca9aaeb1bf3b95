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
from dataclasses import dataclass
from pathlib import Path

import tyro

from rewardspec.errors import RewardSpecError
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import resume, train


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


OWN = ("learning_rate", "n_steps", "batch_size", "n_epochs", "gae_lambda", "clip_range", "ent_coef")
"""Arguments that stable-baselines3 takes as they are."""


def main(args: Args) -> RunFolder:
    """Train, or go on."""
    if args.resume is not None:
        return resume(
            args.resume, spec=args.spec, checkpoint_seconds=args.checkpoint_seconds, show=not args.quiet
        )
    if args.spec is None:
        sys.exit("say what to learn from: --spec FILE (or --resume FOLDER)")
    agent = {name: getattr(args, name) for name in OWN if getattr(args, name) is not None}
    agent["policy_kwargs"] = {"net_arch": list(args.hidden)}
    if args.gamma is not None:
        agent["gamma"] = args.gamma
    return train(
        args.spec,
        args.folder or Path("runs") / f"{args.spec.stem}-ppo-{args.seed}",
        env_id=args.env,
        algo="ppo",
        steps=args.steps,
        seed=args.seed,
        n_envs=args.n_envs,
        agent=agent,
        checkpoint_seconds=args.checkpoint_seconds,
        show=not args.quiet,
        by="ppo_sb3",
    )


if __name__ == "__main__":
    try:
        print(f"run folder: {main(tyro.cli(Args, description=__doc__)).path}")
    except RewardSpecError as error:
        sys.exit(str(error))
