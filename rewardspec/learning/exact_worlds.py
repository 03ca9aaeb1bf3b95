"""Finite worlds whose reward is a function of features: exact values of many rewards at once, and segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rewardspec.compiler import compile_spec, term_names
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import TOLERANCE
from rewardspec.tabular.world import TabularWorld
from rewardspec.vocabulary import from_data

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Reward = nn.Module | Sequence[float] | Floats | Tensor
"""F weights of features, or a network from features `[..., F]` to rewards `[...]`."""

MAX_STATES = 3000
"""Values come from dense linear solves, S x S for each policy."""

MAX_SWEEPS = 20_000
"""Sweeps of value iteration at discount 1, where no linear solve is sure to exist."""

SOLVED_AT_ONCE = 1 << 24
"""Entries of the matrices that one batch of solves holds."""


# -- worlds with features ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FeatureWorld:
    """A finite world whose reward is a function of features of a transition.

    To the S states of the world comes one more, S, in which an episode is over: nothing leads out of it and nothing
    is paid there, whatever the reward says about features that are zero. Segments that run into an end go on there.

    Attributes:
        world: The world; its own reward is not read.
        features: `[S, A, K, F]` float64.
        names: F names.
        discount: Per step, in (0, 1].

    Example:
        >>> from envs.delivery_world import DeliveryWorld
        >>> board = label_features(DeliveryWorld().table(), discount=0.999)
        >>> board.names, len(board.distinct)
        (('gas', 'goal', 'sheep', 'coin', 'roadblock', 'brick'), 8)
    """

    world: TabularWorld
    features: Floats
    names: tuple[str, ...]
    discount: float

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        shape = (*self.world.next_state.shape, len(self.names))
        if self.features.shape != shape:
            raise wrong_setting(f"features of this world have the shape {shape}, not {self.features.shape}")
        if not np.isfinite(self.features).all():
            raise wrong_setting("a feature is NaN or infinite")
        if not 0 < self.discount <= 1:
            raise wrong_setting(f"a discount lies in (0, 1], and {self.discount:g} does not")
        if self.world.n_states > MAX_STATES:
            raise wrong_setting(
                f"exact values are for {MAX_STATES} states at most, not {self.world.n_states}"
            )

    @cached_property
    def _grouped(self) -> tuple[Floats, Integers]:
        rows, numbers = np.unique(self.features.reshape(-1, len(self.names)), axis=0, return_inverse=True)
        return rows, numbers.reshape(self.world.next_state.shape)

    @property
    def distinct(self) -> Floats:
        """`[D, F]`: every feature vector that there is; a reward is D numbers."""
        return self._grouped[0]

    @cached_property
    def row(self) -> Integers:
        """`[S + 1, A, K]`: which of the D feature vectors a transition has; D in the state in which all is over."""
        over = np.full((1, *self.world.next_state.shape[1:]), len(self.distinct))
        return np.concatenate([self._grouped[1], over])

    @cached_property
    def next_state(self) -> Integers:
        """`[S + 1, A, K]`: as the world's, and S where an episode is over."""
        states = self.world.n_states
        over = np.full((1, *self.world.next_state.shape[1:]), states)
        return np.concatenate([np.where(self.world.terminated, states, self.world.next_state), over])

    @cached_property
    def probability(self) -> Floats:
        """`[S + 1, A, K]`."""
        over = np.zeros((1, *self.world.probability.shape[1:]))
        over[..., 0] = 1.0
        return np.concatenate([self.world.probability, over])

    @cached_property
    def expected(self) -> Tensor:
        """`[S, A, D]` float64: probability of each feature vector."""
        states, actions, _ = self.world.next_state.shape
        counts = np.zeros((states * actions, len(self.distinct)))
        where = np.repeat(np.arange(states * actions), self.world.next_state.shape[2])
        np.add.at(counts, (where, self.row[:-1].reshape(-1)), self.world.probability.reshape(-1))
        return torch.from_numpy(counts.reshape(states, actions, -1))

    @cached_property
    def onward(self) -> Tensor:
        """`[S, A, S]` float64: probability of each next state; what is missing to 1 ends the episode."""
        states, actions, outcomes = self.world.next_state.shape
        table = np.zeros((states * actions, states + 1))
        where = np.repeat(np.arange(states * actions), outcomes)
        np.add.at(table, (where, self.next_state[:-1].reshape(-1)), self.world.probability.reshape(-1))
        return torch.from_numpy(np.ascontiguousarray(table[:, :-1]).reshape(states, actions, states))

    @cached_property
    def start(self) -> Tensor:
        """`[S]` float64: probability of the first state."""
        return torch.from_numpy(self.world.start)

    def paid(self, reward: Reward) -> Tensor:
        """Return `[D]` float64: what a reward pays for each distinct feature vector; differentiable.

        Raises:
            UnsupportedError: `wrong-setting` when there is not one weight for each feature.
        """
        vectors = torch.from_numpy(self.distinct)
        if isinstance(reward, nn.Module):
            return reward(vectors).reshape(len(vectors))  # type: ignore[no-any-return]
        weights = torch.as_tensor(reward, dtype=torch.float64)
        if weights.shape != (len(self.names),):
            raise wrong_setting(f"there are {len(self.names)} features and {weights.numel()} weights")
        return vectors @ weights


def label_features(world: TabularWorld, discount: float) -> FeatureWorld:
    """Return a world whose features are its labels, 1 where one holds and 0 where not."""
    bits = np.arange(len(world.labels))
    features = (world.label[..., None] >> bits & 1).astype(np.float64)
    return FeatureWorld(world, features, world.labels, discount)


def term_features(spec: Spec, world: TabularWorld, discount: float | None = None) -> FeatureWorld:
    """Return a world whose features are what the terms of a spec pay at weight 1.

    Args:
        spec: Its terms must pay without memory.
        world: The finite world that they are read on.
        discount: Per step; the spec's own when not given.

    Raises:
        UnsupportedError: `wrong-setting` for a term that remembers, and where nobody names a discount.

    Example:
        >>> from envs.delivery_world import DeliveryWorld
        >>> from rewardspec import load
        >>> world = term_features(load("examples/specs/delivery.yaml"), DeliveryWorld().table())
        >>> world.names, world.discount
        (('gas', 'goal', 'sheep', 'coin', 'roadblock', 'brick'), 0.999)
    """
    rate = discount if discount is not None else spec.discount
    if rate is None:
        raise wrong_setting(
            "neither the spec nor the caller names a discount", "Write `discount:` in the spec."
        )
    data, names = spec.to_data(), term_names(spec)
    data.pop("tests", None)
    columns = []
    for name, term in zip(names, data["reward"], strict=True):
        alone = {**data, "reward": [{**term, "weight": 1}] if isinstance(term, dict) else [term]}
        product = take_product(compile_spec(from_data(alone)), world)
        if product.n_memory > 1:
            raise wrong_setting(
                f"the term '{name}' remembers what was before, and features are those of one transition",
                "Leave the term out, or learn its weight by other means.",
            )
        columns.append(product.reward[0])
    return FeatureWorld(world, np.stack(columns, axis=-1), tuple(names), rate)


def with_weights(spec: Spec, weights: Sequence[float] | Floats | Tensor) -> Spec:
    """Return a spec with other weights on its terms, in their order."""
    data = spec.to_data()
    data.pop("tests", None)  # they state the returns of the old weights
    data["reward"] = [
        {**(term if isinstance(term, dict) else {"markov": term}), "weight": float(weight)}
        for term, weight in zip(data["reward"], weights, strict=True)
    ]
    return from_data(data)


# -- values ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Values:
    """Optimal values of P rewards.

    Attributes:
        states: `[P, S + 1]` float64, optimal return from each state; 0 where all is over.
        policy: `[P, S, A]` float64, every optimal action alike.
    """

    states: Tensor
    policy: Tensor


def optimal_values(world: FeatureWorld, paid: Tensor) -> Values:
    """Return optimal values and policies: policy iteration in batches of dense solves.

    Args:
        world: The world. At discount 1 values are found by sweeps, and must be finite.
        paid: `[P, D]` or `[D]` (then P is 1), what each reward pays for each distinct feature vector.

    Raises:
        UnsupportedError: `wrong-setting` where discount 1 lets some policy earn without end.
    """
    paid = paid.detach().double().reshape(-1, len(world.distinct))
    states, actions, _ = world.onward.shape
    reward = torch.einsum("sad,pd->psa", world.expected, paid)
    onward = world.discount * world.onward.reshape(states * actions, states)

    def worth(values: Tensor) -> Tensor:
        return reward + (values @ onward.T).reshape(-1, states, actions)

    if world.discount == 1:
        values = _sweep(worth, torch.zeros(len(paid), states, dtype=torch.float64))
    else:
        chosen, values = reward.argmax(dim=2), torch.zeros(0, dtype=torch.float64)
        while True:
            values = _evaluate(world, functional.one_hot(chosen, actions).double(), reward)
            ahead = worth(values)
            best, better = ahead.max(dim=2)
            margin = 1e-12 * values.abs().amax(dim=1).clamp(min=1.0)[:, None]
            improves = best > ahead.gather(2, chosen[..., None])[..., 0] + margin
            if not improves.any():
                break
            chosen = torch.where(improves, better, chosen)
    ahead = worth(values)
    margin = TOLERANCE * values.abs().amax(dim=1).clamp(min=1e-300)[:, None, None]
    best_actions = (ahead >= ahead.amax(dim=2, keepdim=True) - margin).double()
    policy = best_actions / best_actions.sum(dim=2, keepdim=True)
    return Values(functional.pad(values, (0, 1)), policy)


def _sweep(worth: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    for _ in range(MAX_SWEEPS):
        after = worth(values).amax(dim=2)
        change = float((after - values).abs().max())
        values = after
        if change <= 1e-13 * max(float(values.abs().max()), 1e-300):
            return values
    raise wrong_setting("with discount 1 the optimal return is not finite: some policy earns without end")


def _evaluate(world: FeatureWorld, policy: Tensor, reward: Tensor) -> Tensor:
    """Return `[P, S]`: the return of each policy `[P, S, A]` for its own reward `[P, S, A]`."""
    return accumulate(world, policy, (policy * reward).sum(dim=2, keepdim=True))[..., 0]


def accumulate(world: FeatureWorld, policy: Tensor, earned: Tensor) -> Tensor:
    """Return `[P, S, C]`: what `earned` `[P, S, C]` of a step adds up to, discounted, under each policy."""
    states = world.onward.shape[0]
    at_once = max(1, SOLVED_AT_ONCE // states**2)
    unit, solved = torch.eye(states, dtype=torch.float64), []
    for first in range(0, len(policy), at_once):
        some = slice(first, first + at_once)
        onward = torch.einsum("psa,sat->pst", policy[some], world.onward)
        solved.append(torch.linalg.solve(unit - world.discount * onward, earned[some]))
    return torch.cat(solved)


def returns(world: FeatureWorld, policy: Tensor, reward: Reward) -> Tensor:
    """Return `[P]`: the expected return of each policy `[P, S, A]` from the world's first states."""
    need_discount(world)
    earned = torch.einsum("psa,sad,d->ps", policy, world.expected, world.paid(reward).detach())
    return accumulate(world, policy, earned[..., None])[..., 0] @ world.start


# -- segments ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Segments:
    """N pieces of trajectories, L steps each.

    Attributes:
        states: `[N, L + 1]` int64; S where all is over.
        actions: `[N, L]` int64.
        outcomes: `[N, L]` int64, which of a transition's K outcomes came.
    """

    states: Integers
    actions: Integers
    outcomes: Integers

    def __len__(self) -> int:
        """Return N."""
        return len(self.states)

    def take(self, which: npt.NDArray[Any]) -> Segments:
        """Return some of the segments."""
        return Segments(self.states[which], self.actions[which], self.outcomes[which])


def follow(
    world: FeatureWorld, first: npt.ArrayLike, actions: npt.ArrayLike, rng: np.random.Generator | None = None
) -> Segments:
    """Return the segments that actions lead to.

    Args:
        world: The world.
        first: `[N]`, where each begins.
        actions: `[N, L]`.
        rng: Draws outcomes; needed only where there are several.

    Example:
        >>> from envs.delivery_world import DeliveryWorld
        >>> board = label_features(DeliveryWorld(board=[[0, 1], [2, 2]]).table(), discount=0.9)
        >>> follow(board, [0], [[3, 1, 1]]).states  # stays, reaches the goal, and all is over
        array([[0, 0, 2, 2]])
    """
    taken = np.asarray(actions, np.int64)
    states = [np.asarray(first, np.int64)]
    outcomes = np.zeros(taken.shape, np.int64)
    for t in range(taken.shape[1]):
        here = (states[-1], taken[:, t])
        if rng is not None:
            thresholds = world.probability[here].cumsum(axis=1)[:, :-1]
            outcomes[:, t] = (rng.random((len(taken), 1)) >= thresholds).sum(axis=1)
        states.append(world.next_state[*here, outcomes[:, t]])
    return Segments(np.stack(states, axis=1), taken, outcomes)


def draw_segments(world: FeatureWorld, count: int, length: int, rng: np.random.Generator) -> Segments:
    """Return segments of random actions from the world's first states."""
    first = rng.choice(world.world.n_states, count, p=world.world.start)
    actions = rng.integers(world.world.n_actions, size=(count, length))
    return follow(world, first, actions, rng)


def need_discount(world: FeatureWorld) -> None:
    """Raise unless the discount is below 1."""
    if world.discount >= 1:
        raise wrong_setting(
            "policies are evaluated by a linear solve below discount 1", "Choose a discount below 1."
        )


def wrong_setting(text: str, *hints: str) -> UnsupportedError:
    """Return the error of an argument that cannot be."""
    return UnsupportedError(Problem("wrong-setting", text, hints=hints))
