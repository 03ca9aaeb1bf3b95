"""Replay buffers of stable-baselines3 paid anew."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.layout import bind
from rewardspec.wrappers.offline import Label, Relabeller
from rewardspec.wrappers.single import SpecLike, as_program
from rewardspec.wrappers.stored import Data

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer


def relabel_buffer(
    buffer: BaseBuffer,
    spec: SpecLike,
    *,
    label: Label | None = None,
    params: Mapping[str, float] | None = None,
) -> ReplayBuffer:
    """Return a copy of a replay buffer with the rewards and ends of a spec.

    Each column (environment) is run from its oldest step to its newest. Four things are known of such a buffer:

    - In a full one the oldest episode has lost its beginning; the program starts where the buffer does.
    - Where the program ends an episode that the data play on, it starts anew at the next step: to an off-policy
      learner every step is a transition like any other.
    - A `TimeLimit.truncated` end is kept in `timeouts` when the buffer handles timeouts; otherwise every end
      counts as terminated.
    - Observations stay as they are: the memory of the spec does not enter them.

    Args:
        buffer: A `ReplayBuffer` or `DictReplayBuffer`.
        spec: A spec, a compiled program or the path of a YAML file.
        label: As for `relabel`.
        params: As for `relabel`.

    Returns:
        A deep copy, with new `rewards` (float32), `dones` and `timeouts`.

    Raises:
        UnsupportedError: `unsupported-buffer` for rollout buffers, which keep neither ends nor final
            observations, and for hindsight buffers, which pay by the environment; `lost-final-observation`
            when the spec reads `next_obs` and the buffer was made with `optimize_memory_usage`, which
            overwrites the last observation of an episode with the first of the next.
    """
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.her import HerReplayBuffer

    if not isinstance(buffer, ReplayBuffer) or isinstance(buffer, HerReplayBuffer):
        raise UnsupportedError(
            Problem(
                "unsupported-buffer",
                f"a {type(buffer).__name__} cannot be paid anew",
                hints=("Replay buffers and arrays can; a rollout buffer lacks ends and final observations.",),
            )
        )
    program = as_program(spec)
    layout = bind(program, buffer.observation_space, buffer.action_space)
    if buffer.optimize_memory_usage and any(field.root == "next_obs" for field in layout.shapes):
        raise UnsupportedError(
            Problem(
                "lost-final-observation",
                "with `optimize_memory_usage` the last observation of an episode is overwritten, and the "
                "spec reads `next_obs`",
                hints=(
                    "Collect with optimize_memory_usage=False, or write the spec over `obs` and `action`.",
                ),
            )
        )
    relabeller = Relabeller(layout, label, params, "restart")
    copied = copy.deepcopy(buffer)
    order = stored_order(buffer)
    for column in range(buffer.n_envs):
        result = relabeller.run(column_data(buffer, order, column))
        copied.rewards[order, column] = result.reward
        copied.dones[order, column] = result.terminated | result.truncated
        if buffer.handle_timeout_termination:
            copied.timeouts[order, column] = result.truncated & ~result.terminated
    return copied


def stored_order(buffer: ReplayBuffer) -> npt.NDArray[np.intp]:
    """Return the positions of the stored steps, oldest first."""
    if not buffer.full:
        return np.arange(buffer.pos)
    # With shared observations the step at `pos` has lost its own observation to the newest step's successor.
    first = buffer.pos + (1 if buffer.optimize_memory_usage else 0)
    return np.arange(first, buffer.pos + buffer.buffer_size) % buffer.buffer_size


def column_data(buffer: ReplayBuffer, order: npt.NDArray[np.intp], column: int) -> Data:
    """Return one environment's steps, in the shapes of the spaces (SB3 keeps Discrete values as vectors)."""
    done = buffer.dones[order, column] != 0
    timeout = buffer.timeouts[order, column] != 0
    next_obs = None if buffer.optimize_memory_usage else buffer.next_observations
    return Data(
        len(order),
        _column(buffer.observation_space, buffer.observations, order, column),
        _column(buffer.action_space, buffer.actions, order, column),
        None if next_obs is None else _column(buffer.observation_space, next_obs, order, column),
        buffer.rewards[order, column].astype(np.float64),
        done & ~timeout,
        done & timeout,
        None,
        {},
    )


def _column(space: spaces.Space[Any], stored: Any, order: npt.NDArray[np.intp], column: int) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _column(part, stored[key], order, column) for key, part in space.spaces.items()}
    return stored[order, column].reshape(len(order), *(space.shape or ()))
