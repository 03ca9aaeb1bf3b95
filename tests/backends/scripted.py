"""Environments that answer as written, and a program held against the oracle in each of its generated forms.

Each reward is compared three times: that of the pure function, that of the generated `step` of a wrapped environment,
and that of the same wrapper with details, which takes another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends import oracle
from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import Layout, bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import RewardSpecWrapper, wrap

BOX = spaces.Box(-10, 10, (4,), np.float32)
ACTIONS = spaces.Discrete(3)


@dataclass
class Step:
    """What the environment answers to one action."""

    obs: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: dict[str, Any] | None = None


class Scripted(gym.Env[Any, Any]):
    """Answers as written; writes its observations into one buffer where asked to."""

    def __init__(
        self, first: Any, steps: Sequence[Step], space: Any, actions: Any = ACTIONS, buffer: bool = False
    ) -> None:
        self.observation_space, self.action_space = space, actions
        self.first, self.steps, self.at = first, list(steps), 0
        self.buffer = np.array(first) if buffer else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return self.give(self.first), {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        step = self.steps[self.at]
        self.at += 1
        if isinstance(step.obs, Exception):
            raise step.obs
        return self.give(step.obs), step.reward, step.terminated, step.truncated, dict(step.info or {})

    def give(self, obs: Any) -> Any:
        if self.buffer is None:
            return obs
        self.buffer[...] = obs
        return self.buffer


def transitions(env: Scripted, actions: Sequence[Any]) -> Iterator[Transition]:
    before = env.first
    for step, action in zip(env.steps, actions, strict=True):
        yield Transition(
            before,
            action,
            step.obs,
            step.reward,
            step.terminated,
            step.truncated,
            dict(step.info or {}),
            None,
        )
        before = step.obs


def check(
    spec: str, env: Scripted, actions: Sequence[Any] | None = None, params: dict[str, float] | None = None
) -> list[float]:
    """Hold every form of the program against the oracle over one episode; return the rewards."""
    actions = actions if actions is not None else [0] * len(env.steps)
    program = compile_spec(loads(spec))
    layout = bind(program, env.observation_space, env.action_space)
    expected, states = [], []
    state = oracle.init(layout.program)
    for transition in transitions(env, actions):
        state, (outcome,) = oracle.step(layout.program, state, [transition])
        expected.append(outcome)
        states.append((*state.machines[0].values(), *state.folds[0].values()))
    pure = list(run_pure(layout, env, actions))
    fused = wrap(env, loads(spec), observe="none")
    detailed = wrap(
        Scripted(env.first, env.steps, env.observation_space, env.action_space), loads(spec), detail=True
    )
    fused.reset()
    detailed.reset()
    for i, (outcome, after) in enumerate(zip(expected, states, strict=True)):
        for form, (paid, ended, cut, held) in {
            "pure": pure[i],
            "fused": answer(fused, actions[i]),
            "detailed": answer(detailed, actions[i]),
        }.items():
            where = f"{form}, step {i}"
            assert paid == pytest.approx(outcome.reward, rel=1e-12, abs=1e-12), where
            assert isinstance(paid, float), where
            assert (bool(ended), bool(cut)) == (outcome.terminated, outcome.truncated), where
            assert held[: len(after)] == pytest.approx(after), where
    return [outcome.reward for outcome in expected]


def run_pure(layout: Layout, env: Scripted, actions: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    compiled = compile_scalar(layout)
    state, params = compiled.start, [p.initial for p in layout.program.params]
    for t in transitions(env, actions):
        parts = (t.obs, t.action, t.next_obs, t.reward, t.terminated, t.truncated, t.info, ())
        state, paid, ended, cut = compiled.advance(state, *parts, params)
        yield paid, ended, cut, state


def answer(env: RewardSpecWrapper, action: Any) -> tuple[Any, ...]:
    _, paid, ended, cut, _ = env.step(action)
    return paid, ended, cut, env.state


def walk(seed: int, n: int = 40, width: int = 4) -> Scripted:
    """An environment whose observations wander about zero."""
    drawn = np.random.default_rng(seed).normal(0, 1, (n + 1, width)).astype(np.float32)
    return Scripted(drawn[0], [Step(obs) for obs in drawn[1:]], spaces.Box(-10, 10, (width,), np.float32))


def machine(states: int, propositions: int, seed: int) -> str:
    """A random machine over thresholds, with a payment on every edge and a terminal state."""
    rng = np.random.default_rng(seed)
    lines = ["propositions:"]
    lines += [f"  p{i}: next_obs[{i % 4}] > {rng.normal():.3f}" for i in range(propositions)]
    lines += ["reward:", "- reward_machine:", "    start: q0", "    edges:"]
    for state in range(states):
        a, b = (int(x) for x in rng.choice(propositions, 2, replace=False))
        for guard in (f"p{a} and p{b}", f"p{a} and not p{b}"):
            target, pay = int(rng.integers(states)), rng.normal()
            lines.append(f"      - {{from: q{state}, to: q{target}, when: {guard}, reward: {pay:.3f}}}")
    lines += ["- markov: 0.1 * next_obs[1]"]
    return "name: drawn\n" + "\n".join(lines)
