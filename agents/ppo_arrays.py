"""The arrays and numbers of the compiled PPO: what its loop reads and writes (see `ppo_native.py`).

All of them are made here, by NumPy: nothing is allocated in machine code, which so needs no reference counts (see
`machine_code.py`). Letters in shapes: C = n_steps * n_envs columns of a rollout, M transitions in a
minibatch, N environments, D inputs and H hidden units of the networks, A actions, R numbers that a world shows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.compiled_nets import aligned, scratch, view


class Knobs(NamedTuple):
    """Numbers that the loop reads."""

    n_envs: int
    n_steps: int
    batch_size: int
    n_epochs: int
    iterations: int  # of the whole run: what the learning rate is annealed over
    learning_rate: float
    anneal: bool
    gamma: float
    gae_lambda: float
    clip_range: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    horizon: int
    actions: int
    hidden: int
    inputs: int  # numbers that the networks see


class Run(NamedTuple):
    """All that changes while the loop runs: with the generator's state, what a checkpoint holds."""

    theta: Any  # parameters: the actor's, then the critic's
    first: Any  # Adam's mean of gradients
    second: Any  # and of their squares
    counts: Any  # [3] int64: rollouts, Adam steps, episodes
    worlds: Any  # [N, S] state of each environment
    machines: Any  # [N, U] int64 machine states
    memory: Any  # [N, F + K] folds and totals
    lengths: Any  # [N] int64 steps of the episode so far
    returns: Any  # [N, 2] its return by the spec, and by the environment itself
    recent: Any  # [100, 3] the latest episodes: both returns, length


class Nets(NamedTuple):
    """A run's parameters and room for their gradients, cut up into networks."""

    actor: Any  # Net
    critic: Any
    actor_gradient: Any
    critic_gradient: Any
    theta: Any  # both networks' parameters
    gradient: Any


class Batch(NamedTuple):
    """A minibatch of M transitions."""

    x: Any  # [D, M] observations
    action: Any  # [M] int64
    log_prob: Any  # [M] of the action when it was taken
    advantage: Any  # [M]
    target: Any  # [M] what the value should have been


class Rollout(NamedTuple):
    """What was seen, done and paid in C = n_steps * n_envs steps; a column is step * n_envs + environment."""

    x: Any  # [D, C + n_envs and more]: last, what the environments show after the rollout
    action: Any  # [C] int64
    log_prob: Any  # [C]
    reward: Any  # [C], with what a truncated episode would still have brought
    done: Any  # [C] bool
    h1: Any  # [H, as many as x]
    h2: Any
    value: Any  # [1, as many as x]
    advantage: Any  # [C]
    target: Any  # [C]
    order: Any  # [C] int64


class Acting(NamedTuple):
    """Room for a step of a few environments, one to a row."""

    raw: Any  # [N, R] what the world shows
    raw_next: Any
    row: Any  # [N, D] what the networks see
    h1: Any  # [N, H]
    h2: Any
    logits: Any  # [N, A]
    w3_rows: Any  # [A, H]


class Room(NamedTuple):
    """All arrays that the loop writes into and nobody keeps; made by NumPy, as that needs no compiling."""

    rollout: Any
    acting: Any
    batch: Any
    actor: Any  # Scratch for a minibatch
    critic: Any
    alone_x: Any  # [D, 1] the last observation of a truncated episode
    alone: Any  # Scratch for it


def make_acting(envs: int, obs_size: int, knobs: Knobs) -> Acting:
    """Return room for a step of so many environments."""
    raw, row, hidden, logits, w3 = (
        np.zeros(shape, np.float32)
        for shape in (
            (envs, obs_size),
            (envs, knobs.inputs),
            (envs, knobs.hidden),
            (envs, knobs.actions),
            (knobs.actions, knobs.hidden),
        )
    )
    return Acting(raw, raw.copy(), row, hidden, hidden.copy(), logits, w3)


def make_room(obs_size: int, knobs: Knobs) -> Room:
    """Return room for the loop."""
    columns, inputs, hidden, size = knobs.n_steps * knobs.n_envs, knobs.inputs, knobs.hidden, knobs.batch_size
    padded = (columns + knobs.n_envs + 63) // 64 * 64  # whole tiles: see matmul.py

    return Room(
        Rollout(
            x=aligned(inputs, padded),
            action=np.zeros(columns, np.int64),
            log_prob=aligned(columns),
            reward=aligned(columns),
            done=np.zeros(columns, np.bool_),
            h1=aligned(hidden, padded),
            h2=aligned(hidden, padded),
            value=aligned(1, padded),
            advantage=aligned(columns),
            target=aligned(columns),
            order=np.zeros(columns, np.int64),
        ),
        make_acting(knobs.n_envs, obs_size, knobs),
        Batch(aligned(inputs, size), np.zeros(size, np.int64), aligned(size), aligned(size), aligned(size)),
        scratch(hidden, knobs.actions, size),
        scratch(hidden, 1, size),
        aligned(inputs, 1),
        scratch(hidden, 1, 1),
    )


def make_nets(theta: Any, gradient: Any, knobs: Knobs) -> Nets:
    """Return views of both networks' parameters and of their gradients."""
    actor, rest = view(theta, knobs.inputs, knobs.hidden, knobs.actions)
    critic, _ = view(rest, knobs.inputs, knobs.hidden, 1)
    actor_gradient, rest = view(gradient, knobs.inputs, knobs.hidden, knobs.actions)
    critic_gradient, _ = view(rest, knobs.inputs, knobs.hidden, 1)
    return Nets(actor, critic, actor_gradient, critic_gradient, theta, gradient)
