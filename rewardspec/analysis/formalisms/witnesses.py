"""The eight witnesses as finite worlds: an objective that asks for the task, and policies in the order that it wants.

All worlds have few states and few actions, so that everything can be checked by eye. `LP` verdicts say which formalisms
can order given policies as wanted: where the value of a policy is linear in unknowns, that is a linear program.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.formalisms.objectives import (
    LimitAverage,
    MarkovReward,
    Objective,
    OfPolicy,
    OrderOfOccupancies,
    OuterNonlinear,
    Regularised,
    RewardMachine,
    TemporalLogic,
    lottery_of,
    process_of,
)
from rewardspec.compiler import compile_spec
from rewardspec.tabular.world import TabularWorld, from_outcomes
from rewardspec.vocabulary import loads

Floats = npt.NDArray[np.float64]

DISCOUNT = 0.5

FIRST, SECOND = 0, 1


@dataclass(frozen=True, eq=False)
class Witness:
    """A task on a world.

    Attributes:
        key: `W1` to `W8`, as in `preorder.SEPARATIONS`.
        world: The world.
        objective: An objective of the witness's formalism that asks for the task.
        policies: Policies `[S, A]`.
        ranks: The rank that the task gives each, greater is better; equal ranks are equally good.
        spec: The task as a spec in YAML, where the language has it; else empty.
    """

    key: str
    world: TabularWorld
    objective: Objective
    policies: tuple[Floats, ...]
    ranks: tuple[int, ...]
    spec: str = ""


def path_world(*, goes_on: bool = False) -> TabularWorld:
    """Return two choices of two actions, one after the other, that lead nowhere else; the label `second` tells them.

    Args:
        goes_on: Whether a third state with the same choice follows for ever, instead of the end.
    """
    outcomes: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {
        0: {a: [(1.0, 1, 0.0, False)] for a in (FIRST, SECOND)},
        1: {a: [(1.0, 2 if goes_on else 1, 0.0, not goes_on)] for a in (FIRST, SECOND)},
    }
    if goes_on:
        outcomes[2] = {a: [(1.0, 2, 0.0, False)] for a in (FIRST, SECOND)}
    second = np.array([False, True])[None, :, None]
    return from_outcomes(outcomes, np.eye(len(outcomes))[0], labels={"second": second})


def choice_world() -> TabularWorld:
    """Return one choice of three actions with the same outcome; the labels `a1` and `a2` tell the later two."""
    outcomes = {0: {a: [(1.0, 0, 0.0, True)] for a in range(3)}}
    labels = {f"a{i}": np.array([i == a for a in range(3)])[None, :, None] for i in (1, 2)}
    return from_outcomes(outcomes, np.ones(1), labels=labels)


def two_rooms() -> TabularWorld:
    """Return two states; the second action leads to the other one."""
    outcomes = {s: {FIRST: [(1.0, s, 0.0, False)], SECOND: [(1.0, 1 - s, 0.0, False)]} for s in (0, 1)}
    return from_outcomes(outcomes, np.array([1.0, 0.0]))


def unreached_world() -> TabularWorld:
    """Return a choice, and a state beside it that nothing leads to."""
    outcomes = {s: {a: [(1.0, s, 0.0, True)] for a in (FIRST, SECOND)} for s in (0, 1)}
    return from_outcomes(outcomes, np.array([1.0, 0.0]))


def choosing(*second: float) -> Floats:
    """Return the policy `[S, 2]` that takes the second action with these probabilities, state by state."""
    return np.array([[1.0 - p, p] for p in second])


XOR = """
name: twice-the-same
discount: 0.5
env: {labels: environment}
propositions: {second: label.second}
reward:
  reward_machine:
    start: begin
    edges:
      - {from: begin, to: first, when: not second}
      - {from: begin, to: second_taken, when: second}
      - {from: first, to: done, when: not second, reward: 4}
      - {from: first, to: done, when: second, reward: 2}
      - {from: second_taken, to: done, when: second, reward: 4}
      - {from: second_taken, to: done, when: not second}
    terminal: done
"""

FOR_EVER = "((second & X second) | (!second & X !second)) & X X G !second"

OUTCOMES = """
name: three-outcomes
discount: 0.5
env: {labels: environment}
propositions: {a1: label.a1, a2: label.a2}
reward:
  markov: 1 * a1 + 2 * a2
"""


def witnesses() -> tuple[Witness, ...]:
    """Return all eight, each with five policies or more."""
    path, looped = path_world(), path_world(goes_on=True)
    pays_second = np.array([[0.0, 1.0], [0.0, 1.0 / DISCOUNT]])[:, :, None]  # J = p + q
    in_first = np.array([1.0, 0.0])[:, None, None] * np.ones((2, 2, 1))
    nothing = np.zeros((1, 3, 1))

    def negative_entropy(shares: Floats) -> float:
        return float(sum(p * np.log(p) for p in shares if p > 0))

    def lexicographic(a: Floats, b: Floats) -> bool:
        one, two = a[:, SECOND], b[:, SECOND]
        return bool((-one[0], -one[1]) >= (-two[0], -two[1]))

    return (
        Witness(
            "W1",
            path,
            RewardMachine(compile_spec(loads(XOR)), DISCOUNT),
            (choosing(1, 0), choosing(0, 1), choosing(0.5, 0.5), choosing(0, 0), choosing(1, 1)),
            (0, 1, 2, 3, 3),
            XOR,
        ),
        Witness(
            "W2",
            looped,
            TemporalLogic(FOR_EVER),
            (
                choosing(0, 0, 0.01),
                choosing(1, 0, 0),
                choosing(0.5, 0.5, 0),
                choosing(0.1, 0.1, 0),
                choosing(1, 1, 0),
            ),
            (0, 0, 1, 2, 3),
        ),
        Witness(
            "W3",
            two_rooms(),
            LimitAverage(in_first),
            (
                choosing(0.5, 0.0),
                choosing(0.02, 0.01),
                choosing(0.3, 0.3),
                choosing(0.01, 0.02),
                choosing(0.0, 0.5),
            ),
            (0, 1, 2, 3, 4),
        ),
        Witness(
            "W4",
            choice_world(),
            Regularised(nothing, DISCOUNT, 1.0, negative_entropy),
            (
                np.array([[1.0, 0.0, 0.0]]),
                np.array([[0.0, 0.0, 1.0]]),
                np.array([[0.5, 0.5, 0.0]]),
                np.array([[0.2, 0.4, 0.4]]),
                np.full((1, 3), 1 / 3),
            ),
            (0, 0, 1, 2, 3),
        ),
        Witness(
            "W5",
            path,
            OuterNonlinear(pays_second, DISCOUNT, lambda j: -((j - 1.0) ** 2)),
            (choosing(0, 0), choosing(1, 1), choosing(0.25, 0.25), choosing(0.9, 0.1), choosing(0.5, 0.5)),
            (0, 0, 1, 2, 2),
        ),
        Witness(
            "W6",
            choice_world(),
            RewardMachine(compile_spec(loads(OUTCOMES)), DISCOUNT),
            (
                np.array([[1.0, 0.0, 0.0]]),
                np.array([[0.6, 0.4, 0.0]]),
                np.array([[0.0, 1.0, 0.0]]),
                np.array([[0.5, 0.0, 0.5]]),
                np.array([[0.0, 0.0, 1.0]]),
            ),
            (0, 1, 2, 2, 3),
            OUTCOMES,
        ),
        Witness(
            "W7",
            unreached_world(),
            OfPolicy(lambda policy: float(policy[1, SECOND])),
            (
                choosing(1, 0),
                choosing(0.3, 0.2),
                choosing(0.3, 0.5),
                choosing(0.9, 0.7),
                choosing(0, 1),
            ),
            (0, 1, 2, 3, 4),
        ),
        Witness(
            "W8",
            path,
            OrderOfOccupancies(DISCOUNT, lexicographic),
            (choosing(1, 0), choosing(0.5, 1), choosing(0.5, 0), choosing(0, 1), choosing(0, 0)),
            (0, 1, 2, 3, 4),
        ),
    )


# -- which formalisms can order some policies as wanted ---------------------------------------------------------------

Linear = Literal["MR", "RRL", "RM", "FTR"]
"""Formalisms in which a policy's value is linear in what is to be found (RM: on worlds of bounded episodes)."""


def can_order(
    group: Linear, world: TabularWorld, policies: Sequence[Floats], values: Sequence[float]
) -> bool:
    """Say whether some objective of a formalism orders the policies as their values do: a linear program.

    Unknown are, for MR, the reward of each state and action; for RRL, besides, the regulariser of each choice that some
    policy makes; for FTR, the value of each trajectory. On worlds of bounded episodes a machine can remember the whole
    trajectory, so RM is as FTR.

    Args:
        group: The formalism.
        world: The world; for RM and FTR one that ends every episode after a few steps.
        policies: N policies `[S, A]`.
        values: N numbers; equal ones must come out equal.
    """
    from scipy.optimize import linprog

    features = _features(group, world, policies)
    below: list[Floats] = []
    equal: list[Floats] = []
    order = np.argsort(values, kind="stable")
    for i, j in itertools.pairwise(order):
        if np.isclose(values[i], values[j], rtol=0.0, atol=1e-9):
            equal.append(features[j] - features[i])
        else:
            below.append(features[i] - features[j])  # <= -1: any margin can be scaled to 1
    width = features.shape[1]
    found = linprog(
        np.zeros(width),
        A_ub=np.array(below) if below else None,
        b_ub=-np.ones(len(below)) if below else None,
        A_eq=np.array(equal) if equal else None,
        b_eq=np.zeros(len(equal)) if equal else None,
        bounds=(None, None),
    )
    return bool(found.status == 0)


def _features(group: Linear, world: TabularWorld, policies: Sequence[Floats]) -> Floats:
    visits = np.array([process_of(world).occupancy(policy, DISCOUNT) for policy in policies])
    flat = visits.reshape(len(policies), -1)
    if group == "MR":
        return flat
    if group == "RRL":
        choices = sorted({tuple(np.round(row, 12)) for policy in policies for row in policy})
        weights = np.zeros((len(policies), len(choices)))
        for n, policy in enumerate(policies):
            for s, row in enumerate(policy):
                weights[n, choices.index(tuple(np.round(row, 12)))] += visits[n, s].sum()
        return np.concatenate([flat, weights], axis=1)
    lotteries = [lottery_of(world, policy) for policy in policies]
    paths = sorted({path for lottery in lotteries for path in lottery})
    return np.array([[lottery.get(path, 0.0) for path in paths] for lottery in lotteries])


def is_of_linear(value: Callable[[Floats], float], points: Sequence[Floats], step: float = 1e-4) -> bool:
    """Say whether a function looks like f(linear): its gradients at all points are parallel.

    On worlds whose transitions ignore actions, returns are linear in the policy, so a value that is not f(linear) in
    the policy is none of ONMR's.

    Args:
        value: Smooth function of `[n]` numbers.
        points: Where to look, in the interior.
        step: Of central differences.
    """
    gradients = []
    for point in points:
        nudges = np.eye(len(point)) * step
        gradients.append([(value(point + e) - value(point - e)) / (2 * step) for e in nudges])
    singular = np.linalg.svd(np.array(gradients), compute_uv=False)
    return bool(len(singular) < 2 or singular[1] <= 1e-5 * max(float(singular[0]), 1e-300))


def markov_reward(world: TabularWorld, by_action: Sequence[Sequence[float]]) -> MarkovReward:
    """Return Markov rewards `[S][A]` as an objective."""
    paid: Any = np.array(by_action, np.float64)[:, :, None]
    return MarkovReward(np.broadcast_to(paid, world.next_state.shape), DISCOUNT)
