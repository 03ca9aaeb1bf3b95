"""B CartPoles in one compiled loop, written for this benchmark: the environment below the compiled reward program.

Physics and limits are those of gymnasium's `CartPoleEnv` (Euler, 500 steps); an environment whose episode is over
begins the next one in the same step. The loop's text is linked with a program's, so that environment, reward program
and random actions are one machine-code loop; `DYNAMICS` is the same without a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rewardspec.backends.native import NativeProgram
from rewardspec.backends.native_cache import load

HORIZON = 500

MOTION = """
def move(state, seeds, obs, fell):
    xs, speeds, angles, spins = state[0], state[1], state[2], state[3]
    for b in range(state.shape[1]):
        seed = seeds[b]
        seed ^= seed << _np.uint64(13)
        seed ^= seed >> _np.uint64(7)
        seed ^= seed << _np.uint64(17)
        seeds[b] = seed
        force = 10.0 if seed & _np.uint64(1) else -10.0
        x, speed, angle, spin = xs[b], speeds[b], angles[b], spins[b]
        # |angle| < 0.5 while an episode lasts: the next terms of both series are below 1e-13.
        q = angle * angle
        sin = angle * (1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72 * (1 - q / 110)))))
        cos = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56 * (1 - q / 90 * (1 - q / 132)))))
        push = (force + 0.05 * spin * spin * sin) * (1 / 1.1)
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - (0.1 / 1.1) * cos * cos))
        x, speed = x + 0.02 * speed, speed + 0.02 * (push - (0.05 / 1.1) * turn * cos)
        angle, spin = angle + 0.02 * spin, spin + 0.02 * turn
        xs[b], speeds[b], angles[b], spins[b] = x, speed, angle, spin
        fell[b] = (abs(x) > 2.4) | (abs(angle) > 12 * 2 * 3.141592653589793 / 360)
    flat = obs.reshape(-1)
    for b in range(state.shape[1]):  # apart: with these stores the loop above would stay scalar
        flat[4 * b], flat[4 * b + 1], flat[4 * b + 2], flat[4 * b + 3] = xs[b], speeds[b], angles[b], spins[b]
"""
"""Every cart moves by an action of its own; a loop without branches, which LLVM turns into vector code."""

PLAY = """
def play(steps, state, clock, seeds, obs, paid, over, machines, memory, params):
    total = 0.0
    for t in range(steps):
        move(state, seeds, obs, over)
        for b in range(len(paid)):
            clock[b] += 1
            fell, late = over[b], clock[b] >= 500
            {pay}
            paid[b], over[b] = reward, fell or late
            total += reward
            if fell or late:
                clock[b] = 0
                for k in range(4):
                    state[k, b] = ((seeds[b] >> _np.uint64(16 * k)) & _np.uint64(65535)) * (0.1 / 65536) - 0.05
                {begin}
    return total
"""
WITH = {
    "pay": "reward, fell, late = row(machines[b], memory[b], 0, 0, obs[b], 1.0, fell, late, 0, 0, params)",
    "begin": "begin(machines[b], memory[b])",
}
WITHOUT = {"pay": "reward = 1.0", "begin": "pass"}


@dataclass
class CartPoles:
    """B environments, with or without a reward program.

    Attributes:
        play: `play(n)`: n steps of every environment with random actions.
        arrays: `state`, `clock`, `seeds`, `obs`, `paid`, `over`, and with a program `machines`, `memory`, `params`.
    """

    kernel: Any
    arrays: dict[str, Any]

    def play(self, steps: int) -> None:
        """Step every environment so many times."""
        self.kernel(steps, *self.arrays.values())


def cartpoles(batch: int, program: NativeProgram | None) -> CartPoles:
    """Return B environments in the middle of their episodes."""
    rng = np.random.default_rng(0)
    parts = PLAY.format(**(WITHOUT if program is None else WITH))
    if program is None:
        module = load(MOTION + parts, ("move", "play"))
        machines, memory, params = np.zeros((1, 1), np.int64), np.zeros((1, 1)), np.zeros(1)
    else:
        module = program.link(MOTION + parts, ("move", "play"))
        machines = np.tile(program.start_machines, (batch, 1))
        memory, params = np.tile(program.start_memory, (batch, 1)), program.params
    arrays = {
        "state": rng.uniform(-0.05, 0.05, (4, batch)),
        "clock": np.zeros(batch, np.int64),
        "seeds": rng.integers(1, 1 << 62, batch).astype(np.uint64),
        "obs": np.zeros((batch, 4), np.float32),
        "paid": np.zeros(batch, np.float32),
        "over": np.zeros(batch, np.bool_),
        "machines": machines,
        "memory": memory,
        "params": params,
    }
    made = CartPoles(module.play, arrays)
    made.play(1)
    return made


def check_physics() -> None:
    """Raise unless the loop moves the cart as gymnasium does.

    Raises:
        ValueError: When it does not.
    """
    import gymnasium as gym

    move = load(MOTION, ("move",)).move
    env: Any = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    state, obs, fell = (
        np.array([env.state], np.float64).T.copy(),
        np.zeros((1, 4), np.float32),
        np.zeros(1, bool),
    )
    seeds = np.array([12345], np.uint64)
    for t in range(400):
        move(state, seeds, obs, fell)
        _, _, over, _, _ = env.step(int(seeds[0] & np.uint64(1)))
        if not np.allclose(state[:, 0], env.state, rtol=1e-9, atol=1e-9) or fell[0] != over:
            raise ValueError(f"step {t}: {state[:, 0]}, gymnasium {env.state}")
        if over:
            env.reset()
            state[:, 0] = env.state
