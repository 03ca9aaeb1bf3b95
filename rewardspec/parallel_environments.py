"""PettingZoo environments by name, from families that are known; others by the module that makes them."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rewardspec.environments import OURS, choose_environment, has_our_worlds, hints_on_import, lies_here
from rewardspec.errors import MismatchError, Problem, list_names, missing_extra, near_miss

if TYPE_CHECKING:
    from rewardspec.spec.model import Spec

FAMILIES: dict[str, tuple[str, ...]] = {
    "mpe2": (
        "simple_v3",
        "simple_adversary_v3",
        "simple_crypto_v3",
        "simple_push_v3",
        "simple_reference_v3",
        "simple_speaker_listener_v4",
        "simple_spread_v3",
        "simple_tag_v3",
        "simple_world_comm_v3",
    ),
}
"""Package -> its modules that make environments, as in `mpe2/simple_spread_v3`."""


def is_parallel_id(env_id: str) -> bool:
    """Return whether a name is of a known environment of several agents.

    Example:
        >>> is_parallel_id("mpe2/simple_spread_v3"), is_parallel_id("CartPole-v1")
        (True, False)
    """
    return env_id in _own_ids() or registered(env_id) is not None


def makes_several(env_id: str) -> bool:
    """Return whether a name that is trusted is of an environment of several agents: a known one, or a module's.

    A module is imported to see whether it makes one, by what is named behind a colon. A name with dots and no colon is
    a module's, which has `parallel_env`: no gymnasium id is written so.

    Example:
        >>> [makes_several(name) for name in ("mpe2.simple_tag_v3", "gymnasium.envs:CartPole-v1", "ALE/Pong-v5")]
        [True, False, False]
    """
    if is_parallel_id(env_id):
        return True
    module, sign, maker = env_id.partition(":")
    is_module = all(part.isidentifier() for part in module.split("."))
    if not is_module or not (sign or "." in module):  # as in CartPole-v1, ALE/Pong-v5
        return False
    if not sign:
        package = module.partition(".")[0]
        return importlib.util.find_spec(package) is not None or lies_here(package)
    try:
        made = getattr(importlib.import_module(module), maker, None)
    except Exception:  # whatever the module's own code raises: who makes the environment tells
        return False
    return _is_parallel(made) if isinstance(made, type) else callable(made)


def _is_parallel(made: type) -> bool:
    """Return whether a class is one of PettingZoo's."""
    if importlib.util.find_spec("pettingzoo") is None:
        return False
    from pettingzoo import AECEnv, ParallelEnv

    return issubclass(made, ParallelEnv | AECEnv)


def known_ids() -> tuple[str, ...]:
    """Return the names that there are; our own only in a checkout, which has them."""
    return (*_own_ids(), *_registry())


def registered(env_id: str) -> str | None:
    """Return the id under which PettingZoo itself knows an environment with the parallel API, from its release 1.27 on.

    Whatever an installed package has registered is made from a spec's word, as with gymnasium's ids.

    Example:
        >>> registered("classic/rps_v2"), registered("rps"), registered("CartPole-v1")
        ('classic/rps-v2', None, None)
    """
    known = re.sub(r"_v(?=\d+$)", "-v", env_id)
    may_be = "/" in env_id and not env_id.startswith((OURS, *(f"{package}/" for package in FAMILIES)))
    return known if may_be and known in _registry() else None


def _registry() -> Mapping[str, Any]:
    """Return PettingZoo's own registry, by id; empty where there is none."""
    if importlib.util.find_spec("pettingzoo") is None:
        return {}
    found: Mapping[str, Any] = getattr(importlib.import_module("pettingzoo"), "parallel_registry", {})
    return found


def _own_ids() -> tuple[str, ...]:
    ours = tuple(OURS + name for name in _our_worlds())
    return (*ours, *(f"{package}/{name}" for package, names in FAMILIES.items() for name in names))


def make_named_environment(spec: Spec, env_id: str | None = None) -> Any:
    r"""Make the environment of that name, or the one that the spec names, with the spec's arguments where it is that.

    Args:
        spec: The spec; what its environment may not do is said at `choose_environment`.
        env_id: Name of the environment, trusted; the spec's own where it is None or empty.

    Raises:
        MismatchError: `no-environment` where none is named, the spec's names a module or is given a path, or it cannot
            be made.
        MissingExtraError: A package is not installed.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> sly = loads("env: {id: mpe2/simple_spread_v3, kwargs: {N: 2, log_dir: here}}\nreward: reward")
        >>> make_named_environment(sly)
        Traceback (most recent call last):
        ...
        rewardspec.errors.MismatchError: the spec gives its environment a path, kwargs.log_dir: 'here' [no-env...
    """
    name, arguments = choose_environment(env_id, spec.env)
    if name is None:
        hint = "Give one with --env ID, or add `env: {id: ...}` to the spec."
        raise MismatchError(Problem("no-environment", "no environment was named", hints=(hint,)))
    return make_parallel_environment(name, trusted=bool(env_id), **arguments)


def make_parallel_environment(env_id: str, *, trusted: bool = False, **arguments: Any) -> Any:
    """Make a PettingZoo environment with the parallel API.

    Args:
        env_id: A known name (`mpe2/simple_spread_v3`, `rewardspec/TwoButtons-v0`, `butterfly/pistonball-v6`), or, where
            it is `trusted`, a module with a function `parallel_env` (`my_package.my_game`) or `module:name`.
        trusted: Whether the name comes from whoever runs this, and not from a spec: a module's code is run.
        arguments: What the environment takes.

    Raises:
        MismatchError: `no-environment`.
        MissingExtraError: A package is not installed.

    Example:
        >>> make_parallel_environment("mpe2/simple_spread_v3", N=2).possible_agents
        ['agent_0', 'agent_1']
    """
    if importlib.util.find_spec("pettingzoo") is None:
        raise missing_extra("pettingzoo", "multiagent", f"'{env_id}'")
    package, _, name = env_id.partition("/")
    ours = _our_worlds()
    if (known := registered(env_id)) is not None:
        make = importlib.import_module("pettingzoo").make
        return _made(env_id, lambda: make("parallel", known, **arguments))
    if env_id.startswith(OURS) and name in ours:
        where = ours[name]
    elif name in FAMILIES.get(package, ()):
        if importlib.util.find_spec(package) is None:
            raise missing_extra(package, "multiagent", f"'{env_id}'")
        where = f"{package}.{name}:parallel_env"
    elif trusted and "/" not in env_id:
        where = env_id if ":" in env_id else f"{env_id}:parallel_env"
    else:
        raise MismatchError(_unknown(env_id))
    module, _, maker = where.partition(":")
    return _made(env_id, lambda: getattr(importlib.import_module(module), maker)(**arguments))


def _made(env_id: str, make: Callable[[], Any]) -> Any:
    """Return what a maker makes, with its troubles in our words.

    Raises:
        MismatchError: `no-environment`.
    """
    try:
        return make()
    except Exception as error:  # whatever the environment's own code raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text, hints = f"'{env_id}' cannot be made: {reason}", hints_on_import(env_id, error)
        raise MismatchError(Problem("no-environment", text, hints=hints)) from error


def _unknown(env_id: str) -> Problem:
    known = known_ids()
    hint = f"There are: {list_names(known)}.{near_miss(env_id, known)}"
    more = "Any other by its module, on the command line or in Python: --env package.module."
    return Problem(
        "no-environment", f"there is no environment of several agents '{env_id}'", hints=(hint, more)
    )


def _our_worlds() -> dict[str, str]:
    if not has_our_worlds():
        return {}
    worlds: dict[str, str] = importlib.import_module("envs").PARALLEL_WORLDS
    return worlds
