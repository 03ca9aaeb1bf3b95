"""The batch form of an environment by its id: B of it in torch tensors on one device."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from rewardspec.environments import make_environment
from rewardspec.errors import MismatchError, Problem, UnsupportedError, list_names, near_miss
from rewardspec.tabular.world import tabulate
from rewardspec.wrappers.tensor import TensorEnv

Maker = Callable[..., TensorEnv]
"""`(number of environments, device, seed, **arguments of gymnasium.make) -> environments`."""


def _cartpole(horizon: int) -> Maker:
    def make(num_envs: int, device: str, seed: int) -> TensorEnv:
        from envs.cartpole_batch import CartPoleBatch

        return CartPoleBatch(num_envs, device, seed, horizon=horizon)

    return make


def _world(module: str, name: str) -> Maker:
    def make(num_envs: int, device: str, seed: int, **arguments: Any) -> TensorEnv:
        if "max_episode_steps" in arguments:  # as `gymnasium.make` calls it
            arguments["horizon"] = arguments.pop("max_episode_steps")
        made = getattr(importlib.import_module(module), name)
        world: TensorEnv = made(num_envs, device=device, seed=seed, **arguments)
        return world

    return make


BATCHES: dict[str, Maker] = {
    "CartPole-v0": _cartpole(200),
    "CartPole-v1": _cartpole(500),
    "rewardspec/WaterWorld-v0": _world("envs.water_world", "WaterWorldBatch"),
    "rewardspec/LetterWorld-v0": _world("envs.letter_world", "LetterWorldBatch"),
    "rewardspec/FlatWorld-v0": _world("envs.flat_world", "FlatWorldBatch"),
    "rewardspec/MazeWorld-v0": _world("envs.maze_world", "MazeWorldBatch"),
    "rewardspec/NavigationWorld-v0": _world("envs.navigation_world", "NavigationBatch"),
}
"""Environments that are written for the device; finite worlds need no entry, their table is stepped."""


def batch(env_id: str, num_envs: int, device: str = "cpu", seed: int = 0, **arguments: Any) -> TensorEnv:
    """Return B environments on a device.

    Args:
        env_id: The id that gymnasium knows the environment by.
        num_envs: B.
        device: Torch device.
        seed: Seeds first states and random outcomes.
        arguments: What the world is made with, as for `gymnasium.make`.

    Raises:
        UnsupportedError: `no-batch-form` when there are no such environments on a device; `unknown-device`.
        MismatchError: `no-environment` when gymnasium does not know the id, or the arguments do not fit.

    Example:
        >>> batch("CliffWalking-v1", 1024).single_observation_space
        Discrete(48)
    """
    refuse_device(device)
    if env_id in BATCHES:
        try:
            return BATCHES[env_id](num_envs, device, seed, **arguments)
        except (TypeError, ValueError) as error:
            text = f"'{env_id}' cannot be made in a batch: {error}"
            raise MismatchError(Problem("no-environment", text)) from error
    env = make_environment(env_id, **arguments)
    try:
        world = tabulate(env)
    except MismatchError:
        hint = (
            f"There are: {list_names(BATCHES)}, and every finite world.{near_miss(env_id, BATCHES)} Any class with "
            "reset(mask) and step(action) in torch can be one: see rewardspec.wrappers.tensor.TensorEnv."
        )
        text = f"'{env_id}' has no form that steps on a device"
        raise UnsupportedError(Problem("no-batch-form", text, hints=(hint,))) from None
    finally:
        env.close()  # type: ignore[no-untyped-call]
    from rewardspec.tabular.batch import TabularBatch

    made: Any = TabularBatch(world, num_envs, device, seed)  # its Discrete is a narrower type than Space
    return made  # type: ignore[no-any-return]


def refuse_device(device: str) -> None:
    """Raise unless tensors can be made on a device.

    Raises:
        UnsupportedError: `unknown-device`.
    """
    from rewardspec.backends.torch_ops import torch_backend

    torch_backend("float32", device)
