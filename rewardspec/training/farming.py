"""What a trained agent does with its reward, looked at when a run is over: a few episodes, and the rows of progress.

The signs themselves are in `rewardspec/analysis/farming.py`. The episodes are a sample: at most `EPISODES`, and no more
than one step in `EVERY` that the agent trained for, so that looking costs next to nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rewardspec.analysis.farming import Played, Taken, find_farming, find_rising
from rewardspec.errors import Place, Problem
from rewardspec.ir.program import Program
from rewardspec.spec.model import Spec
from rewardspec.training.environments import Episodes
from rewardspec.training.folder import RunFolder, write_whole

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

EPISODES = 10
"""Episodes of the sample, at most."""

MOST, LEAST, EVERY = 2_000, 200, 25
"""Steps of the sample: one in `EVERY` of the run's, but between `LEAST` and `MOST`."""

SHOWN = 8
"""Numbers of an observation that are kept; a longer one is kept as a digest."""


def look_back(
    run: RunFolder, spec: Spec, played: Sequence[Played], rows: Sequence[Mapping[str, Any]]
) -> list[Problem]:
    """Write what episodes and rows of a run show into its folder, and return it.

    Args:
        run: The run folder.
        spec: The spec.
        played: The sample; empty where none could be played.
        rows: Rows of progress.
    """
    found = [*find_farming(spec, played), *find_rising(rows, spec.place(()))]
    write_warnings(run, len(played), sum(len(one.steps) for one in played), found)
    return found


def write_warnings(run: RunFolder, episodes: int, steps: int, found: Sequence[Problem]) -> None:
    """Write what was found into a run's folder, and how much was looked at."""
    told = {"episodes": episodes, "steps": steps, "warnings": [_plain(problem) for problem in found]}
    write_whole(run.warnings, lambda out: out.write(json.dumps(told, indent=2).encode() + b"\n"))


def _plain(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "code": problem.code,
        "message": problem.message,
        "hints": list(problem.hints),
        "place": {name: getattr(place, name) for name in PLACE},
    }


PLACE = ("file", "line", "column", "path", "excerpt", "length")


def read_warnings(run: RunFolder) -> tuple[int, int, list[Problem]] | None:
    """Return how many episodes and steps were looked at when a run was over, and what was found.

    None where the run is of another agent, or not over.
    """
    try:
        told = json.loads(run.warnings.read_text())
        found = [
            Problem(
                str(one["code"]),
                str(one["message"]),
                Place(**{name: one["place"][name] for name in PLACE}),
                tuple(map(str, one["hints"])),
                "warning",
            )
            for one in told["warnings"]
        ]
        return int(told["episodes"]), int(told["steps"]), found
    except (OSError, ValueError, KeyError, TypeError):
        return None


def describe(run: RunFolder) -> str | None:
    """Return what was found in words, one warning after the other; None where nothing was looked for."""
    read = read_warnings(run)
    if read is None:
        return None
    episodes, steps, found = read
    if not found:
        looked = (
            f" in {episodes} episode{'s' * (episodes != 1)} ({steps:,} steps) of the trained agent"
            if episodes
            else ""
        )
        return f"no sign of farming{looked}"
    return "\n".join(f"warning: {problem.render()}" for problem in found)


# -- the sample --------------------------------------------------------------------------------------------------------


def steps_to_play(trained: int) -> int:
    """Return how many steps a sample has after a training of so many.

    Example:
        >>> [steps_to_play(trained) for trained in (1_000, 20_000, 1_000_000)]
        [200, 800, 2000]
    """
    return min(MOST, max(LEAST, trained // EVERY))


def sample(model: BaseAlgorithm, env: Episodes, *, trained: int, seed: int, chance: bool) -> list[Played]:
    """Play a few episodes of a trained agent, in an environment that tells details.

    Args:
        model: The agent.
        env: Made with `detail=True`.
        trained: Steps that the agent trained for.
        seed: Of episodes and choices.
        chance: Whether actions are drawn as in training; else the likeliest is taken.
    """
    from stable_baselines3.common.utils import set_random_seed

    left = steps_to_play(trained)
    set_random_seed(seed)
    found: list[Played] = []

    def now() -> tuple[Hashable, Hashable]:
        return situation(env), memory(env.paid.program, env.paid.state)

    for number in range(EPISODES):
        if left <= 0:
            break
        obs, _ = env.reset(seed=seed if number == 0 else None)
        begun = now()
        before = env.paid.machine_states
        steps: list[Taken] = []
        success = None
        for _ in range(left):
            action, _ = model.predict(obs, deterministic=not chance)
            taken = (
                action[()] if isinstance(action, np.ndarray) else action
            )  # 0-d arrays are no numbers to tables
            obs, _, terminated, truncated, info = env.step(taken)
            told = info["rewardspec"]
            after = told["state"]
            moves = {name: (before[name], after[name]) for name in after}
            before = after
            true = frozenset(told.get("true", ()))
            steps.append(Taken(*now(), told["terms"], moves, true))
            if terminated or truncated:
                success = info["episode"]["success"]
                break
        left -= len(steps)
        found.append(Played(begun[0], steps, begun[1], success))
    return found


def memory(program: Program, state: Sequence[Any]) -> Hashable:
    """Return what a program remembers now of what an agent is shown: machine states, counters."""
    first = len(program.machines)
    folds = [state[first + i] for i, fold in enumerate(program.folds) if fold.observed]
    return (*map(int, state[:first]), *map(float, folds))


def situation(env: Episodes) -> Hashable:
    """Return the state that an environment is in: what it says itself where it can be asked, else what it shows.

    Floating-point observations hardly ever come back, so continuous worlds show loops of machines alone.
    """
    told = told_situation(env)
    return as_key(env.paid.present_obs) if told is None else told


def told_situation(env: Any) -> Hashable:
    """Return the state that an environment says it is in; None where it cannot be asked.

    Grid worlds of this repository have `state`, gymnasium's tables `s`, MiniGrid a `hash()`.
    """
    inner: Any = env.unwrapped
    told = getattr(inner, "state", None)
    if isinstance(told, tuple) and all(isinstance(number, int) for number in told):
        return told
    number = getattr(inner, "s", None)
    if isinstance(number, int | np.integer):
        return int(number)
    registered = getattr(env, "spec", None)
    if registered is not None and registered.id.startswith(("MiniGrid-", "BabyAI-")):
        return str(inner.hash())
    return None


def as_key(obs: Any) -> Hashable:
    """Return an observation as something that can be looked up; equal ones give equal keys.

    Example:
        >>> as_key({"b": np.array([1, 2]), "a": 3}) == as_key({"a": 3, "b": np.array([1, 2])})
        True
    """
    if isinstance(obs, Mapping):
        return tuple((name, as_key(obs[name])) for name in sorted(obs))
    if isinstance(obs, tuple):
        return tuple(map(as_key, obs))
    if isinstance(obs, np.ndarray):
        if obs.size <= SHOWN:
            return tuple(obs.ravel().tolist())
        return hashlib.sha256(obs.tobytes()).hexdigest()[:16]
    return obs if isinstance(obs, Hashable) else repr(obs)
