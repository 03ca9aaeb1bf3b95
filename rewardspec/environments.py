"""Environments by their gymnasium ids, with the packages that register them imported first."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from rewardspec.errors import MismatchError, Problem, list_names, missing_extra

if TYPE_CHECKING:
    from rewardspec.spec.declarations import EnvSpec

PACKAGES: dict[str, tuple[str, str]] = {
    "MiniGrid-": ("minigrid", "minigrid"),
    "BabyAI-": ("minigrid", "minigrid"),
    "MiniHack-": ("minihack", "minihack"),
    "NetHack": ("nle", "minihack"),
}
"""How ids begin -> the package that registers them, and the extra that installs it."""

OURS = "rewardspec/"
"""How the ids of our own worlds begin. They live in the folder `envs` of a checkout, not in the package."""

MUJOCO = ("Ant", "HalfCheetah", "Hopper", "Humanoid", "Inverted", "Pusher", "Reacher", "Swimmer", "Walker2d")
"""How the ids begin that gymnasium registers itself but that need MuJoCo."""


def make_environment(env_id: str, **arguments: Any) -> gym.Env[Any, Any]:
    """Make the environment of that id.

    NetHack environments keep gymnasium's promises (see `SteadyNLE`), and those of NLE itself show what MiniHack's
    show, where `observation_keys` asks for it (see `NetHackViews`).

    Args:
        env_id: Gymnasium id; `package:Name-v0` imports the package first.
        arguments: What `gymnasium.make` takes besides.

    Raises:
        MismatchError: `no-environment`: there is none of that id, or it cannot be made.
        MissingExtraError: The package that it comes from is not installed.

    Example:
        >>> make_environment("CartPole-v1").spec.max_episode_steps
        500
    """
    register(env_id)
    keys: list[str] | None = None
    if env_id.startswith("NetHack") and "observation_keys" in arguments:
        from rewardspec.labels.nethack_views import NetHackViews, sources

        keys = list(arguments["observation_keys"])
        arguments = {**arguments, "observation_keys": sources(keys)}
    try:
        env = gym.make(env_id, **arguments)
    except gym.error.UnregisteredEnv as error:
        raise MismatchError(_unknown(env_id, error)) from None
    except Exception as error:  # whatever the environment's own code raises
        reason = str(error).strip().splitlines()
        shown = reason[0] if reason else type(error).__name__
        text = f"'{env_id}' cannot be made: {shown}"
        raise MismatchError(Problem("no-environment", text, hints=hints_on_import(env_id, error))) from error
    if env_id.startswith(("MiniHack-", "NetHack")):
        from rewardspec.labels.steady_nle import SteadyNLE

        env = SteadyNLE(env)
        return env if keys is None else NetHackViews(env, keys)
    return env


def make_seen_environment(env_id: str, **arguments: Any) -> gym.Env[Any, Any]:
    """Make the environment of that id so that it draws pictures, where it can; else as it is.

    Args:
        env_id: As for `make_environment`.
        arguments: Likewise.

    Raises:
        MismatchError: As `make_environment`.
        MissingExtraError: Likewise.

    Example:
        >>> make_seen_environment("CartPole-v1").render_mode, make_seen_environment("Blackjack-v1").render_mode
        ('rgb_array', 'rgb_array')
    """
    if "render_mode" not in arguments and draws_pictures(env_id) is not False:
        try:
            return make_environment(env_id, render_mode="rgb_array", **arguments)
        except MismatchError:  # it takes no render mode, or there is something else, which is said below
            pass
    return make_environment(env_id, **arguments)


def draws_pictures(env_id: str) -> bool | None:
    """Return whether an environment says that it draws pictures; None where it says nothing before it is made."""
    register(env_id)
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        entry: Any = gym.registry[name].entry_point
        entry = gym.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
    except Exception:  # making it says it better
        return None
    modes = getattr(entry, "metadata", {}).get("render_modes")
    return None if modes is None else "rgb_array" in modes


def choose_environment(env_id: str | None, named: EnvSpec | None) -> tuple[str | None, dict[str, Any]]:
    r"""Return id and arguments of the environment to make: the one that whoever runs this asks for, or the spec's.

    A spec may come from anywhere. So the environment that it names imports no module of its author's choosing, and gets
    no path to read or to write; whoever trusts it names the environment again.

    Args:
        env_id: What whoever runs this asks for; None, or empty, for the spec's own.
        named: The environment that the spec names.

    Returns:
        The id, None where nobody names one; and the spec's arguments where it is the spec's environment.

    Raises:
        MismatchError: `no-environment`: the spec's environment names a module, or its arguments hold a path.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> sly = loads("env: {id: MiniHack-River-v0, kwargs: {savedir: /tmp}}\nreward: reward")
        >>> choose_environment(None, sly.env)
        Traceback (most recent call last):
        ...
        rewardspec.errors.MismatchError: the spec gives its environment a path, kwargs.savedir: '/tmp' [no-env...
        >>> choose_environment("MiniHack-River-v0", sly.env)
        ('MiniHack-River-v0', {'savedir': '/tmp'})
    """
    own = named.id if named is not None else None
    arguments = dict(named.kwargs) if named is not None and env_id in (None, "", own) else {}
    if env_id or own is None:
        return env_id or None, arguments
    hint = f"If you trust it, name the environment yourself: --env {own} (env_id={own!r} in Python)."
    if ":" in own:
        message = f"the spec's environment '{own}' names a module"
        raise MismatchError(Problem("no-environment", message, hints=(hint,)))
    found = _first_path(arguments)
    if found is not None:
        key, text = found
        shown = text if len(text) <= 60 else text[:57] + "..."
        message = f"the spec gives its environment a path, kwargs.{key}: '{shown}'"
        raise MismatchError(Problem("no-environment", message, hints=(hint,)))
    return own, arguments


def _first_path(arguments: dict[str, Any]) -> tuple[str, str] | None:
    """Return the first argument that may name a file or a folder, with its key; None where there is none."""
    opened: list[tuple[str, Any]] = list(reversed(arguments.items()))
    while opened:
        key, value = opened.pop()
        if isinstance(value, dict):
            opened += [(f"{key}.{inner}", item) for inner, item in value.items()]
        elif isinstance(value, list | tuple):
            opened += [(key, item) for item in value]
        elif isinstance(value, str) and "\n" not in value:
            is_place = key.lower().endswith(("dir", "path", "folder"))
            if is_place or value.startswith((".", "~")) or "/" in value or "\\" in value:
                return key, value
    return None


def hints_on_import(env_id: str, error: Exception) -> tuple[str, ...]:
    """Return what helps where the module that an id names lies in a folder that Python does not search."""
    package = env_id.partition(":")[0].partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or error.name not in (None, package):
        return ()
    if not lies_here(package):
        return ()
    return (
        f"'{package}' lies in this folder, where Python does not look: put PYTHONPATH=. before the command.",
    )


def lies_here(package: str) -> bool:
    """Return whether a module of that name lies in the present folder."""
    return package.isidentifier() and (Path(f"{package}.py").is_file() or Path(package).is_dir())


def register(env_id: str) -> None:
    """Import the package that registers an id, where we know it.

    Raises:
        MissingExtraError: It is not installed.
    """
    for beginning, (package, extra) in PACKAGES.items():
        if env_id.startswith(beginning):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # deprecations that are their authors' to mend
                    importlib.import_module(package)
            except ImportError:
                raise missing_extra(package, extra, f"'{env_id}'") from None
    if env_id.startswith(OURS):
        has_our_worlds()
    if env_id.startswith(MUJOCO) and env_id in gym.registry and importlib.util.find_spec("mujoco") is None:
        raise missing_extra("mujoco", "mujoco", f"'{env_id}'")


def has_our_worlds() -> bool:
    """Import (and so register) the worlds of the checkout that this package is run from; return whether there are any.

    A package of the name `envs` that lies elsewhere is another's, and is left alone.
    """
    folder = Path(__file__).resolve().parents[1] / "envs"
    found = importlib.util.find_spec("envs")
    if found is None or found.origin is None or Path(found.origin).resolve().parent != folder:
        return False
    importlib.import_module("envs")
    return True


def _unknown(env_id: str, error: Exception) -> Problem:
    """Return the problem of an id that nobody registered, with ids that are near."""
    hints: tuple[str, ...]
    if env_id.startswith(OURS) and not has_our_worlds():
        hint = (
            "The worlds 'rewardspec/...' are in the repository's folder 'envs', not in the installed package."
        )
        return Problem("no-environment", f"there is no environment '{env_id}'", hints=(hint,))
    if _names_several(env_id):
        hints = (
            "It is an environment of several agents: `rewardspec check` and `train` take it, with a spec for several.",
            f"`rewardspec new {env_id}` writes one to begin with; in Python `wrap_parallel` takes the place of `wrap`.",
        )
        return Problem("no-environment", f"'{env_id}' is no environment of one agent", hints=hints)
    from rewardspec.parallel_environments import known_ids as parallel_ids

    module, _, whole = env_id.rpartition(":")
    name = _without_version(whole)
    versions: dict[str, list[str]] = {}
    for other in (*_known_ids(), *parallel_ids()):
        versions.setdefault(_without_version(other), []).append(other)
    if name in versions:
        hints = (f"There are: {list_names(versions[name])}.",)
    elif _is_environment(getattr(sys.modules.get(module), whole, None)):
        told = f"gymnasium.register(id='{whole}-v0', entry_point='{module}:{whole}')"
        hints = (f"'{whole}' is a class of '{module}', and not registered. Write there: {told}",)
    else:
        close = difflib.get_close_matches(name, list(versions), n=1)
        hints = (f"Did you mean '{versions[close[0]][-1]}'?",) if close else ()
        if not module:
            hints += (f"If a module of yours registers it, name that too: 'module:{whole}'.",)
        elif not close:
            hints = (str(error).splitlines()[0],)
    return Problem("no-environment", f"there is no environment '{env_id}'", hints=hints)


def _is_environment(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, gym.Env)


def _without_version(env_id: str) -> str:
    return re.sub(r"[-_]v\d+$", "", env_id)


def _names_several(env_id: str) -> bool:
    """Return whether a name is that of an environment of several agents."""
    from rewardspec.parallel_environments import is_parallel_id

    return is_parallel_id(env_id) or env_id.rpartition(":")[2] == "parallel_env"


def _known_ids() -> Iterator[str]:
    """Yield the ids that can be made; those that gymnasium keeps for its own tests are left out."""
    beginnings = {package: beginning for beginning, (package, _) in PACKAGES.items()}
    for package in beginnings:
        if importlib.util.find_spec(package) is not None:
            register(f"{beginnings[package]}x")
    has_our_worlds()
    yield from sorted(env_id for env_id in gym.registry if "/" not in env_id or env_id.startswith(OURS))
