"""The peer `pyrewardmachines` (PyCRM) on the task of `workload.py`, in a process and an environment of its own.

`.venv-bench` holds it, gymnasium and NumPy; `--install-peers` makes it. It is installed without its dependencies: of
these, torch and stable-baselines3 are for its agents only.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from benchmarks.speed.method import Settings, added, quiet_ratios, take_times
from benchmarks.speed.workload import EDGES, PROPOSITIONS, Replay, rewards_of, stepping

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PACKAGE = "pyrewardmachines==1.1.1"
JAX = ("jax", "flax", "optax", "gymnax", "six")
RTAMT = ("rtamt==0.4.10",)
ENVPOOL = ("envpool==0.8.4", "gym==0.26.2", "gym_notices", "dm-env", "optree", "types-protobuf", "packaging")


def install() -> None:
    """Make the peer's environment where it is missing."""
    import gymnasium
    import numpy

    if PYTHON.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-bench"], check=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, f"numpy=={numpy.__version__}", f"gymnasium=={gymnasium.__version__}"], check=True)
    subprocess.run([*pip, "--no-deps", PACKAGE], check=True)
    # gymnax with all that it needs, `six` included, which it does not name. EnvPool's newer wheels lack files that
    # their import reads, this one wants gym.
    subprocess.run([*pip, *JAX], check=False)
    subprocess.run([*pip, "--no-deps", *ENVPOOL], check=False)
    subprocess.run([*pip, *RTAMT], check=False)


def over_transform(
    kind: Literal["random", "smooth"], settings: Settings, expected: Sequence[float]
) -> list[float] | None:
    """Return, per round, what CrossProduct adds over what TransformReward adds; None where it is not installed.

    Raises:
        ValueError: When it pays other rewards.
    """
    if not PYTHON.exists():
        return None
    command = [
        PYTHON,
        "-m",
        "benchmarks.speed.pycrm",
        kind,
        str(settings.rounds),
        str(settings.block),
        str(len(expected)),
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    answer = json.loads(done.stdout)
    require_equal("pyrewardmachines", answer["rewards"], expected)
    return [float(ratio) for ratio in answer["ratios"]]


def require_equal(name: str, paid: Sequence[float], expected: Sequence[float]) -> None:
    """Raise when rewards differ.

    Raises:
        ValueError: Naming the first step that differs.
    """
    for step, (got, wanted) in enumerate(zip(paid, expected, strict=True)):
        if not math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-9):
            raise ValueError(
                f"{name} pays {got} at step {step}, and the oracle {wanted}: there is nothing to compare"
            )


# -- in the peer's process -------------------------------------------------------------------------


def cross_product(env: Any) -> Any:
    """Return the environment with the task as PyCRM's README writes one."""
    from pycrm.automaton import RewardMachine
    from pycrm.crossproduct import CrossProduct
    from pycrm.label import LabellingFunction

    Events = Enum("Events", [f"P{i}" for i in range(PROPOSITIONS)])

    class Labels(LabellingFunction[Any, Any]):  # type: ignore[misc]
        @LabellingFunction.event
        def p0(self, obs: Any, action: Any, next_obs: Any) -> Any:
            return Events.P0 if next_obs[0] > 0.2 else None

        @LabellingFunction.event
        def p1(self, obs: Any, action: Any, next_obs: Any) -> Any:
            return Events.P1 if next_obs[1] > 0.1 else None

        @LabellingFunction.event
        def p2(self, obs: Any, action: Any, next_obs: Any) -> Any:
            return Events.P2 if next_obs[2] < 0 else None

        @LabellingFunction.event
        def p3(self, obs: Any, action: Any, next_obs: Any) -> Any:
            return Events.P3 if next_obs[3] > -0.3 else None

        @LabellingFunction.event
        def p4(self, obs: Any, action: Any, next_obs: Any) -> Any:
            return Events.P4 if next_obs[0] < next_obs[1] else None

    def paying(pay: float) -> Any:
        def reward(obs: Any, action: Any, next_obs: Any) -> float:
            a, d = float(next_obs[0]), float(next_obs[3])
            return pay + -0.1 * abs(a) - 0.01 * d * d

        return reward

    guards = {u: f"P{yes} and not P{no}" for u, yes, no, _, _ in EDGES}

    class Machine(RewardMachine):  # type: ignore[misc]
        @property
        def u_0(self) -> int:
            return 0

        def _get_state_transition_function(self) -> dict[int, dict[str, int]]:
            return {u: {guards[u]: v, f"not ({guards[u]})": u} for u, _, _, v, _ in EDGES}

        def _get_reward_transition_function(self) -> dict[int, dict[str, Any]]:
            return {
                u: {guards[u]: paying(pay), f"not ({guards[u]})": paying(0.0)} for u, _, _, _, pay in EDGES
            }

    class Product(CrossProduct[Any, Any, Any, Any]):  # type: ignore[misc]
        observation_space, action_space = env.observation_space, env.action_space

    return Product(env, Machine(Events), Labels(), max_steps=10**12)


def main(kind: Literal["random", "smooth"], rounds: str, block: str, checked: str) -> None:
    """Print rewards and ratios as JSON."""
    import gymnasium as gym

    rewards = rewards_of(cross_product(Replay(kind)), int(checked))
    envs = {
        "null": Replay(kind),
        "transform": gym.wrappers.TransformReward(Replay(kind), lambda reward: reward),
        "pycrm": cross_product(Replay(kind)),
    }
    times = take_times(
        {name: stepping(env) for name, env in envs.items()}, Settings(int(rounds), float(block))
    )
    ratios = quiet_ratios(added(times, "pycrm", "null"), added(times, "transform", "null"))
    print(json.dumps({"rewards": rewards, "ratios": ratios}))


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
