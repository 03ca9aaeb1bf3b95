"""Peers that step many environments at once: JAX's table automaton, gymnax and EnvPool.

Runs in `.venv-bench`, one process a peer, on one core; prints JSON: nanoseconds of CPU time per environment step, one
figure per round. All threads of the process count (`process_time`): JAX works in threads of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.workload import EDGES, PROPOSITIONS, STATES

INNER = 64
"""Steps in one call of a compiled JAX loop."""


def tables() -> tuple[Any, Any]:
    """Return next state and payment by state and label, `[8, 32]`."""
    following = np.repeat(np.arange(STATES)[:, None], 1 << PROPOSITIONS, axis=1).astype(np.int32)
    paid = np.zeros((STATES, 1 << PROPOSITIONS), np.float32)
    for label in range(1 << PROPOSITIONS):
        for u, yes, no, v, pay in EDGES:
            if label >> yes & 1 and not label >> no & 1:
                following[u, label], paid[u, label] = v, pay
    return following, paid


def automaton() -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return the task of `workload.py` in JAX: states `[B]` and observations `[B, 4]` -> next states and rewards."""
    import jax.numpy as jnp

    following, paid = (jnp.asarray(table) for table in tables())

    def step(state: Any, obs: Any) -> tuple[Any, Any]:
        a, b, c, d = obs[:, 0], obs[:, 1], obs[:, 2], obs[:, 3]
        label = (a > 0.2) + 2 * (b > 0.1) + 4 * (c < 0) + 8 * (d > -0.3) + 16 * (a < b)
        return following[state, label], paid[state, label] - 0.1 * jnp.abs(a) - 0.01 * d * d

    return step


def jax_automaton(batch: int) -> Callable[[], int]:
    """Return a call of the automaton over stored observations; it says how many environment steps it did."""
    import jax
    import jax.numpy as jnp

    step = automaton()
    rng = np.random.default_rng(0)
    stored = jnp.asarray(rng.uniform(-1, 1, (4, batch, 4)).astype(np.float32))

    @jax.jit
    def run(state: Any, obs: Any) -> Any:
        def one(state: Any, t: Any) -> Any:
            state, reward = step(state, obs[t % 4])
            return state, reward

        return jax.lax.scan(one, state, jnp.arange(INNER))

    state = jnp.zeros(batch, jnp.int32)

    def call() -> int:
        nonlocal state
        state, rewards = run(state, stored)
        rewards.block_until_ready()
        return INNER * batch

    return call


def gymnax(batch: int, with_automaton: bool) -> Callable[[], int]:
    """Return a call of gymnax's CartPole with random actions, the automaton above it."""
    import gymnax as package
    import jax
    import jax.numpy as jnp

    env, params = package.make("CartPole-v1")
    machine = automaton()

    @jax.jit
    def run(key: Any, state: Any, machine_state: Any) -> Any:
        def one(carry: Any, _: Any) -> Any:
            key, state, u = carry
            key, first, second = jax.random.split(key, 3)
            action = jax.random.randint(first, (batch,), 0, 2)
            obs, state, reward, over, late, _ = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
                jax.random.split(second, batch), state, action, params
            )
            if with_automaton:
                u, reward = machine(u, obs)
                u = jnp.where(over | late, 0, u)
            return (key, state, u), (obs, reward, over)

        return jax.lax.scan(one, (key, state, machine_state), None, INNER)

    key = jax.random.key(0)
    _, state = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, batch), params)
    carry = (key, state, jnp.zeros(batch, jnp.int32))

    def call() -> int:
        nonlocal carry
        carry, results = run(*carry)
        jax.block_until_ready(results)
        return INNER * batch

    return call


def envpool(batch: int) -> Callable[[], int]:
    """Return a step of EnvPool's CartPole, one thread."""
    import envpool as package

    env: Any = package.make("CartPole-v1", env_type="gymnasium", num_envs=batch, num_threads=1)
    env.reset()
    actions = np.random.default_rng(0).integers(0, 2, (16, batch)).astype(np.int32)
    at = 0

    def call() -> int:
        nonlocal at
        at = (at + 1) % 16
        env.step(actions[at])
        return batch

    return call


PEERS: dict[str, Callable[[int], Callable[[], int]]] = {
    "jax": jax_automaton,
    "gymnax": lambda batch: gymnax(batch, False),
    "gymnax+automaton": lambda batch: gymnax(batch, True),
    "envpool": envpool,
}


def main(peer: str, batch: str, rounds: str, block: str) -> None:
    """Print the rounds' figures."""
    call = PEERS[peer](int(batch))
    call(), call()
    figures = []
    for _ in range(int(rounds)):
        start, steps = time.process_time_ns(), 0
        while time.process_time_ns() - start < float(block) * 1e9:
            steps += call()
        figures.append((time.process_time_ns() - start) / steps)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
