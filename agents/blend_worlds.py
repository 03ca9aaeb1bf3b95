"""What of a spec is blended, and the environments in which that is paid part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym

from agents.device import Tasks
from envs.batches import batch, refuse_device
from envs.gymnasium_batch import GymnasiumBatch
from rewardspec.errors import Problem, UnsupportedError, list_names, near_miss
from rewardspec.ir.layout import bind
from rewardspec.ir.program import Program
from rewardspec.kinds.barfi import BlendSettings
from rewardspec.learning.features import split
from rewardspec.wrappers.tensor import TensorWrapper, wrap_tensor


@dataclass(frozen=True)
class Parts:
    """What of a program is blended.

    Attributes:
        args: The arguments, with what a `barfi` term says in their place.
        primary: Name of the term that is scored.
        hints: Name of a hint -> name of the term that pays it.
        inputs: Expressions that weights are made of; empty for the whole observation.
        low: Least values of what weights are made of; empty for the arguments' or the space's own.
        high: Greatest values.
    """

    args: Any
    primary: str
    hints: dict[str, str]
    inputs: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def parts_of(program: Program, args: Any) -> Parts:
    """Return what of a program is blended.

    Raises:
        UnsupportedError: `wrong-setting` when there is no such primary term, no hint, or more than a `barfi` term.
    """
    if not program.learned:
        primary, others = split_terms([term.name for term in program.terms], args.primary)
        return Parts(args, primary, {name: name for name in others})
    learned = program.learned[0]
    if len(program.terms) > 1 or not isinstance(learned.settings, BlendSettings):
        text = "BARFI learns one `barfi` term and nothing beside it"
        hint = "Other terms can stand in it as hints, or as the primary reward."
        raise UnsupportedError(Problem("wrong-setting", text, learned.place, hints=(hint,)))
    said = learned.settings
    args = replace(
        args,
        blend=said.blend.features,
        learnt=said.blend.terms,
        gamma_rate=args.gamma_rate if said.discount == "learned" else 0.0,
    )
    hints = {name: f"{learned.name}.{name}" for name, _ in learned.measures if name != "primary"}
    low, high = said.blend.low or (), said.blend.high or ()
    return Parts(args, f"{learned.name}.primary", hints, said.blend.of or (), low, high)


def split_terms(names: list[str], primary: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the primary term and the hints.

    Raises:
        UnsupportedError: `wrong-setting` when there is no term of that name, or no other.

    Example:
        >>> split_terms(["goal", "centre"], "goal")
        ('goal', ('centre',))
    """
    chosen = names[0] if primary is None else primary
    if chosen not in names:
        hint = f"There are {list_names(names)}.{near_miss(chosen, names)}"
        raise UnsupportedError(Problem("wrong-setting", f"no term is named '{chosen}'", hints=(hint,)))
    if len(names) == 1:
        text = f"'{chosen}' is the only term, and there is no hint beside it"
        raise UnsupportedError(
            Problem("wrong-setting", text, hints=("Write the hints as terms, each with a name.",))
        )
    return chosen, tuple(name for name in names if name != chosen)


def bounds_of(space: Any, low: Sequence[float], high: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the bounds of a vector space, or those that were given in their place.

    Raises:
        UnsupportedError: `wrong-setting` when they have another length.
    """
    dims = space.shape[0]
    for name, given in (("low", low), ("high", high)):
        if given and len(given) != dims:
            text = f"{name} has {len(given)} numbers, and an observation has {dims}"
            raise UnsupportedError(Problem("wrong-setting", text))
    return list(low) or space.low.tolist(), list(high) or space.high.tolist()


def horizon_of(args: Any, tasks: Tasks) -> int:
    """Return the steps of an episode.

    Raises:
        UnsupportedError: `wrong-setting` when nobody says.
    """
    spec = next(iter(tasks.specs.values()))
    said = args.horizon or (spec.env.horizon if spec.env is not None else None)
    said = said or tasks.arguments.get("max_episode_steps") or gym.spec(tasks.env_id).max_episode_steps
    if said is None:
        text = f"nobody says how long an episode of '{tasks.env_id}' is"
        raise UnsupportedError(Problem("wrong-setting", text, hints=("Pass --horizon.",)))
    return int(said)


def worlds_of(tasks: Tasks, count: int, device: str, seed: int) -> TensorWrapper:
    """Return environments on the device, or a loop over gymnasium's where there are none.

    Of a `barfi` term its parts are paid, each as a term of its own.
    """
    refuse_device(device)
    envs: Any
    try:
        envs = batch(tasks.env_id, count, device, seed, **tasks.arguments)
    except UnsupportedError as error:
        if error.problems[0].code != "no-batch-form":
            raise
        envs = GymnasiumBatch(tasks.env_id, count, device, seed, **tasks.arguments)
    (program,) = tasks.programs.values()
    if program.learned:
        program = split(bind(program, envs.single_observation_space, envs.single_action_space)).layout.program
    return wrap_tensor(envs, program, device=device)
