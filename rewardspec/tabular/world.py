"""A finite world as arrays: what kernels step, what a product is taken with, what value iteration solves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem

MAX_LABELS = 62
"""A label is one 64-bit integer."""


@dataclass(frozen=True, eq=False)
class TabularWorld:
    """A finite Markov decision process with a label on every transition.

    S states, A actions, K outcomes of a state and an action (1 where nothing is random; short lists are filled up
    with outcomes of probability 0).

    Attributes:
        next_state: `[S, A, K]` int64.
        probability: `[S, A, K]` float64, sums to 1 over K.
        reward: `[S, A, K]` float64, the world's own.
        terminated: `[S, A, K]` bool, where the world itself ends the episode.
        label: `[S, A, K]` int64; bit i says that `labels[i]` is true on the transition.
        start: `[S]` float64, probability of the first state.
        labels: Names of the label's bits.
        observation: What an agent observes in each state, `[S, ...]`; the state's number where nothing else is said.
        observation_space: Space of one observation.
        action_space: Space of one action, `Discrete(A)`.
        horizon: Steps after which an episode is truncated, None for never.
    """

    next_state: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    label: npt.NDArray[np.int64]
    start: npt.NDArray[np.float64]
    labels: tuple[str, ...] = ()
    observation: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    observation_space: spaces.Space[Any] = field(default_factory=lambda: spaces.Discrete(1))
    action_space: spaces.Discrete = field(default_factory=lambda: spaces.Discrete(1))
    horizon: int | None = None

    def __post_init__(self) -> None:
        """Fill in the observation where none is given, and refuse arrays that do not fit."""
        states, actions, _ = self.next_state.shape
        if not self.observation.size:
            object.__setattr__(self, "observation", np.arange(states))
            object.__setattr__(self, "observation_space", spaces.Discrete(states))
        object.__setattr__(self, "action_space", spaces.Discrete(actions))
        wrong = [
            name
            for name in ("probability", "reward", "terminated", "label")
            if getattr(self, name).shape != self.next_state.shape
        ]
        if wrong or self.start.shape != (states,) or len(self.observation) != states:
            raise ValueError(f"arrays of a world must have the shape {self.next_state.shape}: {wrong}")
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"a world has at most {MAX_LABELS} labels, not {len(self.labels)}")
        if not np.allclose(self.probability.sum(axis=2), 1.0) or not np.isclose(self.start.sum(), 1.0):
            raise ValueError("probabilities of a world must sum to 1")

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.next_state.shape[0])

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.next_state.shape[1])

    @property
    def is_deterministic(self) -> bool:
        """Whether every state and action has one outcome."""
        return bool((self.probability.max(axis=2) == 1.0).all())

    def names(self, label: int) -> frozenset[str]:
        """Return the names that a label says are true."""
        return frozenset(name for bit, name in enumerate(self.labels) if label >> bit & 1)


def from_outcomes(
    outcomes: Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]],
    start: npt.NDArray[np.float64],
    *,
    labels: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    horizon: int | None = None,
) -> TabularWorld:
    """Return the world of gymnasium's toy-text tables: `P[state][action]` lists (probability, next, reward, ended).

    Args:
        outcomes: The table.
        start: `[S]` probability of the first state.
        labels: Per name, `[S, A, K]` bool or anything that broadcasts to it; none when not given.
        horizon: Steps after which an episode is truncated.

    Example:
        >>> world = from_outcomes({0: {0: [(1.0, 0, 1.0, True)]}}, np.array([1.0]))
        >>> world.n_states, world.n_actions, world.is_deterministic
        (1, 1, True)
    """
    states, actions = len(outcomes), len(outcomes[0])
    most = max(len(listed) for by_action in outcomes.values() for listed in by_action.values())
    shape = (states, actions, most)
    next_state, reward = np.zeros(shape, np.int64), np.zeros(shape)
    probability, terminated = np.zeros(shape), np.zeros(shape, np.bool_)
    for s, by_action in outcomes.items():
        for a, listed in by_action.items():
            for k, (chance, target, paid, ended) in enumerate(listed):
                probability[s, a, k], next_state[s, a, k] = chance, target
                reward[s, a, k], terminated[s, a, k] = paid, ended
    label = np.zeros(shape, np.int64)
    for bit, holds in enumerate((labels or {}).values()):
        label |= np.broadcast_to(holds, shape).astype(np.int64) << bit
    return TabularWorld(
        next_state, probability, reward, terminated, label, start, tuple(labels or {}), horizon=horizon
    )


def tabulate(env: gym.Env[Any, Any]) -> TabularWorld:
    """Return the table of an environment that has one.

    Known are environments with a method `table()` (ours) and gymnasium's toy-text environments with their `P`.

    Args:
        env: The environment, wrapped or not. A TimeLimit above it becomes the horizon.

    Raises:
        MismatchError: `not-tabular` when the environment offers no table.

    Example:
        >>> world = tabulate(gym.make("FrozenLake-v1"))
        >>> world.n_states, world.n_actions, world.next_state.shape[2], world.horizon
        (16, 4, 3, 100)
    """
    inner: Any = env.unwrapped
    horizon = env.spec.max_episode_steps if env.spec is not None else None
    if callable(getattr(inner, "table", None)):
        world: TabularWorld = inner.table(horizon=horizon)
        return world
    if isinstance(getattr(inner, "P", None), Mapping) and hasattr(inner, "initial_state_distrib"):
        return from_outcomes(inner.P, np.asarray(inner.initial_state_distrib, np.float64), horizon=horizon)
    text = (
        f"{type(inner).__name__} is no finite world: it has neither a method 'table' nor a toy-text table 'P'"
    )
    hint = "Tables exist for rewardspec's grid worlds and gymnasium's FrozenLake, Taxi and CliffWalking."
    raise MismatchError(Problem("not-tabular", text, hints=(hint,)))
