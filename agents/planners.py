"""What a planner makes of a submodular spec, the yardstick for SubPO: `python -m agents.planners --help`.

    python -m agents.planners --spec examples/specs/field_items.yaml --width 2000

It knows the world and the set function. Greedy takes the best next step; beam search keeps the best walks of each
length, a lower bound of the optimum; in small worlds all walks are tried.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from agents.value_iteration import read_world
from rewardspec import compile_spec, load
from rewardspec.errors import RewardSpecError
from rewardspec.tabular.planning import MOST_WALKS, Walks, beam_search, best_walk, greedy


@dataclass
class Args:
    """What to plan."""

    spec: Path
    """Spec in YAML: one submodular term on a finite world without chance."""
    env: str | None = None
    """Gymnasium id; the one that the spec names without."""
    width: int = 1000
    """Walks that the beam keeps."""


def plan(args: Args) -> dict[str, float]:
    """Return what each planner's walk is paid.

    Raises:
        RewardSpecError: Whatever is wrong with the spec, or in the way of planning.
    """
    walks = Walks.of(compile_spec(load(args.spec)), read_world(args))
    found = {"greedy": greedy(walks).paid, "beam": beam_search(walks, args.width).paid}
    if walks.next_state.shape[1] ** walks.steps <= MOST_WALKS:
        found["best"] = best_walk(walks).paid
    return found


if __name__ == "__main__":
    try:
        for name, paid in plan(tyro.cli(Args, description=__doc__)).items():
            print(f"{name:8} {paid:.6g}")
    except RewardSpecError as error:
        sys.exit(str(error))
