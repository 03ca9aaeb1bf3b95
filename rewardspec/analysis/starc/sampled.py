"""The distance of two rewards on any environment, from episodes of a random policy.

Both specs are paid for the same episodes: the same seeds, the same actions. Values of the random policy are fitted by
least squares (LSTD) on random Fourier features of the observation, each spec's memory included. What is compared are
the two rewards shaped by their own fitted values, on the transitions that were seen.

Source: Skalse et al., "STARC", ICLR 2024, section on continuous environments, where values come from SARSA; LSTD is
ours (S. Bradtke, A. Barto, "Linear Least-Squares Algorithms for Temporal Difference Learning", 1996). A single outcome
stands for the expectation over next states, so chance in the environment adds noise to both, and rewards that differ by
redistribution over outcomes alone are told apart (as with `val_potential`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem
from rewardspec.ir.program import Program
from rewardspec.wrappers.single import wrap

Floats = npt.NDArray[np.float64]

FEATURES = 100
"""Random Fourier features beside the observation itself."""

MOST_INPUTS = 256
"""Longer observations are projected at random to this many numbers."""

RIDGE = 1e-9
"""Regularisation of the fit, relative to the mean of the matrix's diagonal."""

TRIVIAL = 1e-4
"""A canonical reward smaller than this part of what it was computed from asks for nothing."""

RESAMPLES = 100
"""Draws of episodes for the interval."""

MAX_STEPS = 10_000
"""Steps after which an episode that nothing ends is left."""


@dataclass(frozen=True)
class SampledDistance:
    """What episodes of a random policy say about two specs.

    Attributes:
        distance: Between 0 and 2, in L2 over the transitions seen.
        low: Lower end of the 95 % bootstrap interval over episodes.
        high: Upper end.
        trivial: Of each spec, whether no preference was seen.
        pays_alike: Whether both paid the same at every step.
        correlation: Of the two discounted returns over episodes; NaN where one of them never varies.
        returns: Mean discounted return by each.
        episodes: How many.
        steps: Of all episodes.
    """

    distance: float
    low: float
    high: float
    trivial: tuple[bool, bool]
    pays_alike: bool
    correlation: float
    returns: tuple[float, float]
    episodes: int
    steps: int


@dataclass
class _Episode:
    """One episode as one spec saw it; T steps, n numbers an observation."""

    seen: Floats
    """`[T + 1, n]`, memory included."""
    world: Floats
    """`[T + 1, m]`, the environment's own observations."""
    reward: Floats
    """`[T]`"""
    terminated: bool

    def __len__(self) -> int:
        return len(self.reward)


def compare_by_samples(
    first: Program,
    second: Program,
    make: Callable[[], gym.Env[Any, Any]],
    *,
    discount: float,
    episodes: int = 100,
    seed: int = 0,
) -> SampledDistance:
    r"""Return the distance of two specs on an environment, from random episodes.

    Args:
        first: A compiled spec.
        second: Another.
        make: Makes the environment anew; seeds and actions must determine an episode.
        discount: In (0, 1).
        episodes: How many.
        seed: Of episodes, actions, features and resampling.

    Raises:
        MismatchError: The environment lacks what a spec reads; `not-reproducible` where the same seeds and actions gave
            other observations.
        UnsupportedError: What `wrap` refuses.

    Example:
        >>> from rewardspec import compile_spec, loads
        >>> one = compile_spec(loads("name: one\nreward: -abs(next_obs[2])"))
        >>> two = compile_spec(loads("name: two\nreward: 3 - 2 * abs(next_obs[2])"))
        >>> found = compare_by_samples(one, two, lambda: gym.make("CartPole-v1"), discount=0.9, episodes=20)
        >>> found.distance > 0.1  # a constant matters where an episode can end early
        True
    """
    played = tuple(list(_play(program, make, episodes, seed)) for program in (first, second))
    _refuse_other_worlds(*played)
    lengths = np.array([max(len(a), len(b)) for a, b in zip(*played, strict=True)])
    canonical = [_Canonical(of, lengths.tolist(), discount, seed) for of in played]
    distance, trivial = _apart(canonical, lengths, np.ones(episodes))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(episodes, np.full(episodes, 1.0 / episodes), size=RESAMPLES)
    drawn = [_apart(canonical, lengths, times.astype(np.float64))[0] for times in draws]
    low, high = np.percentile(drawn, [2.5, 97.5]) if episodes > 1 else (0.0, 2.0)
    earned = np.array([[_discounted(e.reward, discount) for e in of] for of in played])
    varies = earned.std(axis=1) > 1e-12
    alike = all(
        len(a) == len(b) and np.allclose(a.reward, b.reward, rtol=1e-12, atol=1e-12)
        for a, b in zip(*played, strict=True)
    )
    return SampledDistance(
        distance,
        float(min(low, distance)),
        float(max(high, distance)),
        trivial,
        alike,
        float(np.corrcoef(earned)[0, 1]) if varies.all() else float("nan"),
        (float(earned[0].mean()), float(earned[1].mean())),
        episodes,
        int(lengths.sum()),
    )


# -- episodes ----------------------------------------------------------------------------------------------------------


def _play(
    program: Program, make: Callable[[], gym.Env[Any, Any]], episodes: int, seed: int
) -> Iterator[_Episode]:
    """Play random episodes, paid by one program."""
    inner = _Tap(make())
    env = wrap(inner, program)
    with closing(env):
        for episode in range(episodes):
            env.action_space.seed(seed + episode)
            obs, _ = env.reset(seed=seed + episode)
            seen = [numbers_of(env.observation_space, obs)]
            world = [numbers_of(inner.observation_space, inner.last)]
            paid: list[float] = []
            over = terminated = False
            while not over and len(paid) < MAX_STEPS:
                obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
                seen.append(numbers_of(env.observation_space, obs))
                world.append(numbers_of(inner.observation_space, inner.last))
                paid.append(float(reward))
                over = terminated or truncated
            yield _Episode(np.stack(seen), np.stack(world), np.array(paid), bool(terminated))


class _Tap(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps the environment's own last observation."""

    last: Any = None

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.last, info = self.env.reset(**options)
        return self.last, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.last, *rest = self.env.step(action)
        return self.last, *rest


def numbers_of(space: spaces.Space[Any], value: Any) -> Floats:
    """Return the numbers of an observation, one-hot where they are names; leaves without numbers are left out."""
    if isinstance(space, spaces.Dict):
        parts = [numbers_of(part, value[name]) for name, part in space.items()]
        return np.concatenate(parts) if parts else np.zeros(0)
    if isinstance(space, spaces.Tuple):
        return np.concatenate([numbers_of(part, v) for part, v in zip(space, value, strict=True)])
    if isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return np.asarray(spaces.flatten(space, value), np.float64).reshape(-1)
    return np.zeros(0)


def _refuse_other_worlds(first: Sequence[_Episode], second: Sequence[_Episode]) -> None:
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        both = min(len(a), len(b)) + 1
        if not np.array_equal(a.world[:both], b.world[:both], equal_nan=True):
            text = f"episode {number} took another course with the same seed and the same actions"
            hint = "Both specs must be paid for the same episodes: the environment has to follow `reset(seed=...)`."
            raise MismatchError(Problem("not-reproducible", text, hints=(hint,)))


# -- values ------------------------------------------------------------------------------------------------------------


class _Canonical:
    """One spec's reward, to be shaped by values fitted on any choice of the episodes.

    Rows are the steps of all episodes; an episode that the other spec goes on with is filled up with rows of zeros.
    """

    def __init__(
        self, episodes: Sequence[_Episode], lengths: Sequence[int], discount: float, seed: int
    ) -> None:
        embed = _Features([e.seen for e in episodes], seed)
        nows, afters, squares, targets = [], [], [], []
        for episode, length in zip(episodes, lengths, strict=True):
            features = embed(episode.seen)
            now, after = features[:-1], discount * features[1:]
            if episode.terminated:
                after[-1] = 0.0
            squares.append(now.T @ (now - after))
            targets.append(now.T @ episode.reward)
            filling = ((0, length - len(episode)), (0, 0))
            nows.append(np.pad(now, filling))
            afters.append(np.pad(after, filling))
        self.now, self.after = np.concatenate(nows), np.concatenate(afters)
        self.reward = np.concatenate(
            [np.pad(e.reward, (0, n - len(e))) for e, n in zip(episodes, lengths, strict=True)]
        )
        self.squares, self.targets = np.stack(squares), np.stack(targets)

    def form(self, times: Floats, weights: Floats) -> tuple[Floats, bool]:
        """Return the canonical reward of every row, of norm 1 by the weights, and whether it is trivial.

        Args:
            times: `[E]`, how often each episode counts.
            weights: `[rows]`, the same for each row.
        """
        matrix, target = np.tensordot(times, self.squares, 1), times @ self.targets
        matrix[np.diag_indices_from(matrix)] += RIDGE * float(np.abs(np.diag(matrix)).mean()) + 1e-300
        fitted = np.linalg.solve(matrix, target)
        values, following = self.now @ fitted, self.after @ fitted
        found = self.reward + following - values
        terms = np.abs(self.reward) + np.abs(following) + np.abs(values)
        size, whole = (float(np.sqrt(weights @ x**2)) for x in (found, terms))
        if size <= TRIVIAL * whole:
            return np.zeros_like(found), True
        return found / size, False


def _apart(
    canonical: Sequence[_Canonical], lengths: npt.NDArray[np.int64], times: Floats
) -> tuple[float, tuple[bool, bool]]:
    """Return the distance where each episode counts so many times."""
    weights = np.repeat(times, lengths)
    (one, nothing), (two, neither) = (of.form(times, weights) for of in canonical)
    return float(np.sqrt(weights @ (one - two) ** 2)), (nothing, neither)


class _Features:
    """1, the numbers of an observation scaled to unit variance, and random Fourier features of them."""

    def __init__(self, seen: Sequence[Floats], seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = np.concatenate(seen)
        width = rows.shape[1]
        self.project = None
        if width > MOST_INPUTS:
            self.project = rng.standard_normal((width, MOST_INPUTS)) / np.sqrt(width)
            rows = rows @ self.project
        # Zeros and ones alone: a table, on which the linear part is exact for one-hot observations.
        self.is_table = bool(np.isin(rows, (0.0, 1.0)).all()) and bool(
            (rows.sum(axis=1) == rows.sum(axis=1)[0]).all()
        )
        self.mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self.scale = np.where(spread > 1e-12, spread, np.inf)
        known = max(int((spread > 1e-12).sum()), 1)
        self.directions = rng.standard_normal((rows.shape[1], FEATURES)) / np.sqrt(known)
        self.phases = rng.uniform(0.0, 2.0 * np.pi, FEATURES)

    def __call__(self, seen: Floats) -> Floats:
        rows = seen if self.project is None else seen @ self.project
        if self.is_table:
            return np.array(rows)
        scaled = (rows - self.mean) / self.scale
        waves = np.cos(scaled @ self.directions + self.phases)
        return np.concatenate([np.ones((len(rows), 1)), scaled, waves], axis=1)


def _discounted(reward: Floats, discount: float) -> float:
    return float(reward @ discount ** np.arange(len(reward)))
