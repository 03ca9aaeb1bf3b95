"""Tabular agents over the product of OfficeWorld and a machine, and products and their solutions on CraftWorld.

The peer is Q-learning in plain Python over a dictionary, with the machine stepped edge by edge and counterfactual
experience as a list of tuples: the manner of the code that was published with reward machines. That code itself needs
Python 3.7 and TensorFlow 1; it was timed once, on a like machine, learning included: 15.0 k steps a second without
and 4.3 k with counterfactual experience. The lines that name it are against those two figures, not against a run
beside ours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from agents.q_learning import Args, Learner, task_of
from benchmarks.records import ROOT
from benchmarks.speed.method import Result, Settings, ratios, take_times
from envs.office_world import START, OfficeWorld
from rewardspec import compile_spec, load
from rewardspec.environments import make_environment
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import solve
from rewardspec.tabular.world import TabularWorld, tabulate

SPECS = ROOT / "examples" / "specs"

REFERENCE = {"plain": 15_000, "crm": 4_300}
"""Steps a second of the published code, timed once on a like machine."""

GOAL = 20.0


def measure(settings: Settings) -> list[Result]:
    """Return the times of tabular learning, of products and of their solutions."""
    world = tabulate(make_environment("rewardspec/OfficeWorld-v0"))
    learners = {method: trained(world, method) for method in ("plain", "crm", "hrm")}
    hands = {method: ByHand(counterfactual=method == "crm") for method in ("plain", "crm")}
    for hand in hands.values():
        hand.take(1_000 if settings.quick else 60_000)
    cases: dict[str, Callable[[int], Any]] = {name: agent.learn for name, agent in learners.items()}
    cases |= {f"{name} by hand": hand.take for name, hand in hands.items()}
    times = take_times(cases, replace(settings, rounds=min(settings.rounds, 60)))
    results = []
    for method, name in (("plain", "Q-learning"), ("crm", "CRM")):
        step, told = times[method], f"{name} on OfficeWorld, learning included"
        results.append(Result.of(f"a step of {told}", "ns", step))
        by_hand = ratios(times[f"{method} by hand"], step)
        results.append(Result.of(f"{told}: times plain Python's speed", "x", by_hand, GOAL, "high"))
        published = [1e9 / ns / REFERENCE[method] for ns in step]
        results.append(Result.of(f"{told}: times the published code's, quoted", "x", published, GOAL, "high"))
    results.append(Result.of("a step of HRM on OfficeWorld, learning included", "ns", times["hrm"]))
    memory = learners["crm"].tasks[0].product.n_memory
    extra = [(a - b) / (memory - 1) for a, b in zip(times["crm"], times["plain"], strict=True)]
    results.append(Result.of("CRM: each further counterfactual update", "ns", extra))
    return results + exact(settings)


def trained(world: TabularWorld, method: Any) -> Learner:
    """Return an agent that has learnt for a while: times depend on how long episodes are."""
    args = Args(method=method)
    task = task_of(compile_spec(load(SPECS / "office_both.yaml")), world, args, 0.9)
    learner = Learner([task], args, 0.9)
    learner.learn(60_000)
    return learner


def exact(settings: Settings) -> list[Result]:
    """Return the times of a product and its solution on CraftWorld: 1,521 states, 4 actions, 7 machine states."""
    world = tabulate(make_environment("rewardspec/CraftWorld-v0"))
    program = compile_spec(load(SPECS / "craft_gem.yaml"))
    product = take_product(program, world)
    solve(product)
    repeats = 3 if settings.quick else 15
    works: dict[str, Callable[[], Any]] = {
        "the product of CraftWorld with the gem's machine": partial(take_product, program, world),
        "value iteration on it, to the exact optimum": partial(solve, product),
    }
    return [
        Result.of(
            what, "ms", [milliseconds(work) for _ in range(repeats)], 1000 if "product" in what else None
        )
        for what, work in works.items()
    ]


def milliseconds(work: Callable[[], Any]) -> float:
    """Return the CPU time of doing it once."""
    start = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - start)


# -- the peer --------------------------------------------------------------------------------------------------------

Edges = dict[int, list[tuple[Callable[[frozenset[str]], bool], int, float]]]

MACHINE: Edges = {
    0: [
        (lambda p: "mail" in p and "decoration" not in p, 1, 0.0),
        (lambda p: "coffee" in p and "mail" not in p and "decoration" not in p, 2, 0.0),
        (lambda p: "decoration" in p, -1, 0.0),
    ],
    1: [
        (lambda p: "coffee" in p and "decoration" not in p, 3, 0.0),
        (lambda p: "decoration" in p, -1, 0.0),
    ],
    2: [
        (lambda p: "mail" in p and "decoration" not in p, 3, 0.0),
        (lambda p: "decoration" in p, -1, 0.0),
    ],
    3: [
        (lambda p: "office" in p and "decoration" not in p, -1, 1.0),
        (lambda p: "decoration" in p, -1, 0.0),
    ],
}
"""The machine of `office_both.yaml`: state -> (guard, next state, reward); -1 is the end."""


class ByHand:
    """Q-learning as one writes it in plain Python, with or without counterfactual experience."""

    def __init__(self, *, counterfactual: bool) -> None:
        """Begin an episode, nothing learnt."""
        self.world, self.counterfactual = OfficeWorld(), counterfactual
        self.q: dict[tuple[tuple[int, ...], int], dict[int, float]] = {}
        self.known: dict[tuple[int, frozenset[str]], tuple[int, float]] = {}
        self.moves: dict[tuple[tuple[int, ...], int], tuple[tuple[int, ...], frozenset[str]]] = {}
        self.random = random.Random(0)
        self.state, self.machine, self.steps = START, 0, 0

    def values(self, state: tuple[int, ...], machine: int) -> dict[int, float]:
        """Return the values of a state's actions."""
        key = (state, machine)
        if key not in self.q:
            self.q[key] = dict.fromkeys(range(4), 2.0)
        return self.q[key]

    def follow(self, machine: int, label: frozenset[str]) -> tuple[int, float]:
        """Return the machine's next state and what it pays; remembered, as the published code does."""
        key = (machine, label)
        if key not in self.known:
            taken = [(to, reward) for guard, to, reward in MACHINE[machine] if guard(label)]
            self.known[key] = taken[0] if taken else (machine, 0.0)
        return self.known[key]

    def take(self, steps: int) -> None:
        """Take steps and learn from each."""
        draw = self.random
        for _ in range(steps):
            values = self.values(self.state, self.machine)
            if draw.random() < 0.1:
                action = draw.choice((0, 1, 2, 3))
            else:
                best = max(values.values())
                action = draw.choice([a for a in values if values[a] == best])
            move = (self.state, action)
            if (
                move not in self.moves
            ):  # our rules are slower than the published world's: not part of the race
                after, label, _, _ = self.world.rules(self.state, action)
                self.moves[move] = (after, label)
            after, label = self.moves[move]
            experience = []
            for u in MACHINE if self.counterfactual else (self.machine,):
                to, reward = self.follow(u, label)
                experience.append((u, to, reward))
            for u, to, reward in experience:
                here = self.values(self.state, u)
                goal = reward if to < 0 else reward + 0.9 * max(self.values(after, to).values())
                here[action] += 0.5 * (goal - here[action])
            self.state, self.steps = after, self.steps + 1
            self.machine, _ = self.follow(self.machine, label)
            if self.machine < 0 or self.steps == 1000:
                self.state, self.machine, self.steps = START, 0, 0
