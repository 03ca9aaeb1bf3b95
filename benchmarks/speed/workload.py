"""The task that all single-environment cases share: five propositions over four floats, eight states, a dense term.

Nothing here needs rewardspec, so that a peer's process can load it too.
"""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np

STATES, PROPOSITIONS = 8, 5
EDGES = [
    # from, proposition that must hold, proposition that must not, to, reward
    (i, i % PROPOSITIONS, (i + 1) % PROPOSITIONS, (i + 1) % STATES, round(0.1 * i, 1))
    for i in range(STATES)
]
CONDITIONS = ("{}[0] > 0.2", "{}[1] > 0.1", "{}[2] < 0", "{}[3] > -0.3", "{}[0] < {}[1]")


def spec_text(observe: str = "none", terms: Literal["machine", "both"] = "both") -> str:
    """Return the task as a spec."""
    lines = ["name: bench", f"observe: {observe}", "propositions:"]
    lines += [f"  p{i}: {condition.format('next_obs', 'next_obs')}" for i, condition in enumerate(CONDITIONS)]
    lines += ["reward:", "- reward_machine:", "    start: q0", "    edges:"]
    lines += [
        f"    - {{from: q{u}, to: q{v}, when: p{yes} and not p{no}, reward: {pay}}}"
        for u, yes, no, v, pay in EDGES
    ]
    if terms == "both":
        lines.append("- markov: -0.1 * abs(next_obs[0]) - 0.01 * next_obs[3] * next_obs[3]")
    return "\n".join(lines)


class Replay(gym.Env[Any, Any]):
    """An environment that costs nothing: it hands out stored observations and never ends."""

    observation_space = gym.spaces.Box(-10, 10, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, kind: Literal["random", "smooth"]) -> None:
        self.stored = observations(kind)
        self.mask, self.at = len(self.stored) - 1, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin at the first observation."""
        self.at = 0
        return self.stored[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hand out the next observation."""
        self.at += 1
        return self.stored[self.at & self.mask], 1.0, False, False, {}


def observations(kind: Literal["random", "smooth"]) -> list[Any]:
    """Return float32 observations `[4]`.

    `random`: 64 that have nothing to do with each other, so that every proposition flips all the time and no branch
    can be foreseen: the worst case. `smooth`: 4,096 that move as those of an environment do (each keeps 98 % of the
    one before).
    """
    rng = np.random.default_rng(0)
    if kind == "random":
        return list(rng.uniform(-1, 1, (64, 4)).astype(np.float32))
    found, at = [], np.zeros(4)
    for _ in range(4096):
        at = 0.98 * at + rng.normal(0, 0.1, 4)
        found.append(at.astype(np.float32))
    return found


def stepping(env: Any) -> Any:
    """Return a block of steps of an environment that never ends."""
    env.reset()

    def block(n: int) -> None:
        step = env.step
        for _ in range(n):
            step(0)

    return block


def rewards_of(env: Any, n: int) -> list[float]:
    """Return the rewards of the first n steps."""
    env.reset()
    return [float(env.step(0)[1]) for _ in range(n)]
