"""What a PettingZoo environment must offer, and what an agent does that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem, UnsupportedError


def as_parallel(env: Any) -> Any:
    """Return an environment with PettingZoo's parallel API; an AEC environment goes through PettingZoo's conversion.

    Raises:
        UnsupportedError: `not-an-environment`.
    """
    from pettingzoo import AECEnv, ParallelEnv

    if isinstance(env, ParallelEnv):
        return env
    if isinstance(env, AECEnv):
        from pettingzoo.utils.conversions import aec_to_parallel

        if not env.metadata.get("is_parallelizable", False):
            message = f"the agents of {type(env.unwrapped).__name__} take turns, and cannot act together"
            turns = "PettingZoo converts AEC environments whose metadata says `is_parallelizable`."
            raise UnsupportedError(Problem("not-an-environment", message, hints=(turns,)))
        return aec_to_parallel(env)
    hint = "Give one as `mpe2.simple_spread_v3.parallel_env()` makes it; `rewardspec.wrap` takes gymnasium's."
    message = f"a {type(env).__name__} is no PettingZoo environment"
    if isinstance(env, type) and issubclass(env, ParallelEnv | AECEnv):
        message = f"{env.__name__} is a class of environments, and not one of them"
        hint = f"Make one first: {env.__name__}()."
    elif isinstance(env, str):
        hint = "Make it first, as in simple_spread_v3.parallel_env(); `make_parallel_vec` takes names."
    raise UnsupportedError(Problem("not-an-environment", message, hints=(hint,)))


def possible_agents(env: Any) -> tuple[str, ...]:
    """Return all agents that there may be.

    Raises:
        MismatchError: `no-such-agent` where the environment does not say.
    """
    names = getattr(env, "possible_agents", None)
    if not names:
        message = f"{type(env.unwrapped).__name__} does not say which agents there may be"
        hint = "It needs `possible_agents`, so that the spec is checked before the first step."
        raise MismatchError(Problem("no-such-agent", message, hints=(hint,)))
    return tuple(names)


def idle_action(space: spaces.Space[Any], agent: str) -> Any:
    """Return what an agent does that is not there, or that its spec has sent away: 0, or the nearest to it.

    Example:
        >>> idle_action(spaces.Box(1.0, 2.0, (2,)), "a").tolist(), int(idle_action(spaces.Discrete(3), "a"))
        ([1.0, 1.0], 0)
    """
    if isinstance(space, spaces.Discrete):
        return np.int64(space.start)
    if isinstance(space, spaces.Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high).astype(space.dtype)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start.copy()
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, space.dtype)
    if isinstance(space, spaces.Dict):
        return {key: idle_action(part, agent) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(idle_action(part, agent) for part in space.spaces)
    raise UnsupportedError(
        Problem("unfit-spaces", f"the agent '{agent}' acts in {space}, where there is no idle action")
    )


def blank(space: spaces.Space[Any]) -> Any:
    """Return an observation of zeros for an agent that has seen nothing yet; None where a space has none."""
    try:
        return idle_action(space, "")
    except UnsupportedError:
        return None
