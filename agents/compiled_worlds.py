"""Environments in machine code, for agents whose whole loop is compiled.

A compiled world is three functions over plain arrays, always with the same signature, so that a loop that calls them
through pointers (about 2 ns a call) is compiled once for all worlds:

    reset(tables, states, n, rng)               write the first state of an episode of environment n
    step(tables, states, n, action, rng)        go on in place; returns (reward, terminated, label)
    observe(tables, states, n, obs)             write what the observation space holds into obs[n], as float32

`states` is `[N, S]` float64 and `obs` `[N, R]` float32. `tables` are empty but for finite worlds. Bit k of a label is
the world's k-th name. Whole arrays and n go through the pointer, as a row of an array costs numba two atomic counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from numba import boolean, float32, float64, int64, njit, typeof, types, void

from rewardspec.environments import make_environment
from rewardspec.errors import MismatchError, Problem
from rewardspec.tabular.world import TabularWorld, tabulate


class Tables(NamedTuple):
    """A finite world's arrays, as in `TabularWorld`; chances are summed up over the last axis."""

    next_state: Any  # [S, A, K] int64
    chance: Any  # [S, A, K] float64
    reward: Any  # [S, A, K] float64
    terminated: Any  # [S, A, K] bool
    label: Any  # [S, A, K] int64
    start: Any  # [S] float64
    observation: Any  # [S, R] float32


NO_TABLES = Tables(
    *(np.zeros((0, 0, 0), kind) for kind in (np.int64, np.float64, np.float64, np.bool_, np.int64)),
    np.zeros(0),
    np.zeros((0, 0), np.float32),
)

TABLES, RNG = typeof(NO_TABLES), types.npy_rng
RESET_SIGNATURE = void(TABLES, float64[:, ::1], int64, RNG)
STEP_SIGNATURE = types.Tuple((float64, boolean, int64))(TABLES, float64[:, ::1], int64, int64, RNG)
OBSERVE_SIGNATURE = void(TABLES, float64[:, ::1], int64, float32[:, ::1])
RESET, STEP, OBSERVE = map(types.FunctionType, (RESET_SIGNATURE, STEP_SIGNATURE, OBSERVE_SIGNATURE))


# -- CartPole -----------------------------------------------------------------------------------------------


def reset_cartpole(tables, states, n, rng):
    """Draw position, speed, angle and angular speed."""
    for i in range(4):
        states[n, i] = -0.05 + 0.1 * rng.random()


def step_cartpole(tables, states, n, action, rng):
    """Push the cart for 0.02 s (explicit Euler), with the constants and the limits of gymnasium's CartPole-v1.

    Source: A. G. Barto, R. S. Sutton, C. W. Anderson, "Neuronlike adaptive elements that can solve difficult
    learning control problems", IEEE SMC 13 (1983), with the corrected equations of R. V. Florian (2007).
    """
    gravity, cart_and_pole, pole, half_length, dt = 9.8, 1.1, 0.1, 0.5, 0.02
    x, x_dot, theta, theta_dot = states[n, 0], states[n, 1], states[n, 2], states[n, 3]
    force = 10.0 if action == 1 else -10.0
    cos, sin = math.cos(theta), math.sin(theta)
    pushed = (force + pole * half_length * theta_dot * theta_dot * sin) / cart_and_pole
    theta_acc = (gravity * sin - cos * pushed) / (
        half_length * (4.0 / 3.0 - pole * cos * cos / cart_and_pole)
    )
    x_acc = pushed - pole * half_length * theta_acc * cos / cart_and_pole
    states[n, 0] = x + dt * x_dot
    states[n, 1] = x_dot + dt * x_acc
    states[n, 2] = theta + dt * theta_dot
    states[n, 3] = theta_dot + dt * theta_acc
    fallen = abs(states[n, 0]) > 2.4 or abs(states[n, 2]) > 12.0 * 2.0 * math.pi / 360.0
    return 1.0, fallen, 0


def observe_cartpole(tables, states, n, obs):
    """Show the state."""
    for i in range(4):
        obs[n, i] = states[n, i]


# -- finite worlds ------------------------------------------------------------------------------------------


def reset_table(tables, states, n, rng):
    """Draw the first state."""
    drawn, first = rng.random(), 0
    while first < tables.start.size - 1 and drawn >= tables.start[first]:
        first += 1
    states[n, 0] = first


def step_table(tables, states, n, action, rng):
    """Look up the outcome, drawn where there are several."""
    s, k = int(states[n, 0]), 0
    outcomes = tables.chance.shape[2]
    if outcomes > 1:
        drawn = rng.random()
        while k < outcomes - 1 and drawn >= tables.chance[s, action, k]:
            k += 1
    states[n, 0] = tables.next_state[s, action, k]
    return tables.reward[s, action, k], tables.terminated[s, action, k], tables.label[s, action, k]


def observe_table(tables, states, n, obs):
    """Look up the observation."""
    row = tables.observation[int(states[n, 0])]
    for i in range(row.size):
        obs[n, i] = row[i]


# -- by id --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompiledWorld:
    """An environment in machine code.

    Attributes:
        tables: See above.
        reset: See above; plain Python, `compiled` gives machine code.
        step: Likewise.
        observe: Likewise.
        state_size: S.
        obs_size: Numbers that `observe` writes.
        observation_space: Space of the environment's observation.
        action_space: Its actions.
        horizon: Steps after which an episode is truncated; a very large number for never.
        labels: Names of the label's bits.
    """

    tables: Tables
    reset: Any
    step: Any
    observe: Any
    state_size: int
    obs_size: int
    observation_space: gym.Space[Any]
    action_space: gym.spaces.Discrete
    horizon: int
    labels: tuple[str, ...] = ()

    def compiled(self) -> tuple[Any, Any, Any]:
        """Return `reset`, `step` and `observe` as machine code."""
        signatures = (RESET_SIGNATURE, STEP_SIGNATURE, OBSERVE_SIGNATURE)
        functions = (self.reset, self.step, self.observe)
        return tuple(
            njit(s, error_model="numpy", cache=True)(f) for s, f in zip(signatures, functions, strict=True)
        )


FOREVER = 1 << 62


def compiled_world(
    env_id: str, arguments: Mapping[str, Any] | None = None, horizon: int | None = None
) -> CompiledWorld:
    """Return an environment's compiled form.

    Args:
        env_id: Gymnasium id.
        arguments: What `gymnasium.make` takes besides.
        horizon: Steps after which an episode is truncated where the environment has no time limit of its own.

    Raises:
        MismatchError: `no-environment`; `not-tabular` when there is no compiled form.
    """
    env = make_environment(env_id, **(arguments or {}))
    own = env.spec.max_episode_steps if env.spec is not None else None
    limit = own or horizon or FOREVER
    if isinstance(env.unwrapped, CartPoleEnv) and not arguments:
        space, actions = env.observation_space, env.action_space
        return CompiledWorld(
            NO_TABLES, reset_cartpole, step_cartpole, observe_cartpole, 4, 4, space, actions, limit
        )
    try:
        return of_table(tabulate(env), limit)
    except MismatchError:
        text = f"'{env_id}' has no compiled form"
        given = f" with the arguments {dict(arguments)}" if arguments else ""
        hints = (
            "These have: CartPole-v0 and CartPole-v1 without arguments, the finite worlds of `envs` (OfficeWorld and "
            "others with a method 'table'), FrozenLake, Taxi and CliffWalking.",
            "`python -m agents.ppo_sb3` and `rewardspec train` take any environment.",
        )
        raise MismatchError(Problem("not-tabular", text + given, hints=hints)) from None


def of_table(world: TabularWorld, horizon: int | None = None) -> CompiledWorld:
    """Return a finite world's compiled form."""
    tables = Tables(
        np.ascontiguousarray(world.next_state, np.int64),
        np.cumsum(world.probability, axis=2),
        np.ascontiguousarray(world.reward, np.float64),
        np.ascontiguousarray(world.terminated, np.bool_),
        np.ascontiguousarray(world.label, np.int64),
        np.cumsum(world.start),
        np.ascontiguousarray(world.observation.reshape(world.n_states, -1), np.float32),
    )
    limit = horizon or world.horizon or FOREVER
    size = tables.observation.shape[1]
    space = world.observation_space
    return CompiledWorld(
        tables,
        reset_table,
        step_table,
        observe_table,
        1,
        size,
        space,
        world.action_space,
        limit,
        world.labels,
    )
