"""Specs that the tests of the wrappers share."""

from __future__ import annotations

from rewardspec import Spec, loads

MEMORY = """
name: memory
discount: 0.9
signals: {x: "next_obs[0]"}
propositions: {right: x > 0.3, left: x < -0.3}
reward:
- reward_machine:
    start: neutral
    edges:
    - {from: neutral, to: was_right, when: right, reward: 0.5}
    - {from: was_right, to: was_left, when: left, reward: x}
    - {from: was_left, to: was_right, when: right, reward: 1}
- potential: -abs(obs[0])
- diff: {of: x}
- once: left
  value: 2
- markov: default(info.bonus, -1) + info.sum * 0.1 + info.where.x
- markov: reward * action
  weight: 0.5
  name: own
"""
"""Every way to read a transition, memory in a machine and in numbers, no end of its own."""

ENDING = """
name: ending
propositions: {right: "next_obs[0] > 0.8", left: "next_obs[0] < -0.8"}
reward:
- ltl: F right & G !left
  accept: 1
  reject: -1
- markov: -0.1
  name: cost
"""
"""A formula that ends the episode by itself."""


def memory() -> Spec:
    """Return `MEMORY` as a spec."""
    return loads(MEMORY)


def ending() -> Spec:
    """Return `ENDING` as a spec."""
    return loads(ENDING)
