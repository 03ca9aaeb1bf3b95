"""The batch form of an environment by its id: B of it in torch tensors on one device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from rewardspec.errors import MismatchError, Problem, RewardSpecError, UnsupportedError, list_names, near_miss
from rewardspec.tabular.world import tabulate
from rewardspec.wrappers.tensor import TensorEnv

Maker = Callable[[int, str, int], TensorEnv]
"""`(number of environments, device, seed) -> environments`."""


def _cartpole(horizon: int) -> Maker:
    def make(num_envs: int, device: str, seed: int) -> TensorEnv:
        from envs.cartpole_batch import CartPoleBatch

        return CartPoleBatch(num_envs, device, seed, horizon=horizon)

    return make


BATCHES: dict[str, Maker] = {
    "CartPole-v0": _cartpole(200),
    "CartPole-v1": _cartpole(500),
}
"""Environments that are written for the device; finite worlds need no entry, their table is stepped."""


def batch(env_id: str, num_envs: int, device: str = "cpu", seed: int = 0) -> TensorEnv:
    """Return B environments on a device.

    Args:
        env_id: The id that gymnasium knows the environment by.
        num_envs: B.
        device: Torch device.
        seed: Seeds first states and random outcomes.

    Raises:
        UnsupportedError: `no-batch-form` when there are no such environments on a device; `unknown-device`.
        MismatchError: `no-environment` when gymnasium does not know the id.

    Example:
        >>> batch("CliffWalking-v1", 1024).single_observation_space
        Discrete(48)
    """
    refuse_device(device)
    if env_id in BATCHES:
        return BATCHES[env_id](num_envs, device, seed)
    env = _make(env_id)
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


def _make(env_id: str) -> gym.Env[Any, Any]:
    import envs  # noqa: F401  # registers the worlds

    try:
        return gym.make(env_id)
    except RewardSpecError:
        raise
    except (gym.error.Error, ImportError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise MismatchError(Problem("no-environment", f"'{env_id}' cannot be made: {reason}")) from None
