"""Rewards learnt from preferences between segments, exactly: finite worlds, successor features, no simulation.

Two models of what people prefer: the larger sum of rewards (`partial_return`), or the smaller regret, that is, the
segment whose actions are nearer to the best ones (`regret`). The second needs optimal values of every reward that is
tried while learning; they are the largest value among a bank of policies whose successor features are known.

Source: W. B. Knox, S. Hatgis-Kessell, S. Booth, S. Niekum, P. Stone, A. Allievi, "Models of Human Preference for
Learning Reward Functions", TMLR 2024 (arXiv 2206.02231), sections 3 to 5, and their published code.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rewardspec.errors import LearningError, Problem
from rewardspec.learning.exact_worlds import (
    FeatureWorld,
    Floats,
    Reward,
    Segments,
    accumulate,
    need_discount,
    optimal_values,
    returns,
    wrong_setting,
)

Statistic = Literal["partial_return", "regret"]
Form = Literal["advantage", "value_change"]

TRIES = 5
"""Times that as many rewards are drawn as a bank is to have policies, until it has them."""

NEAR_OPTIMAL = 0.9
"""The scaled return from which on a learnt reward counts as near-optimal."""


@dataclass(frozen=True, eq=False)
class Preferences:
    """N answers to the question which of two segments is better.

    Attributes:
        left: N segments.
        right: N segments, as long.
        label: `[N]` float64: 1 for the left one, 0 for the right one, 0.5 for neither.
    """

    left: Segments
    right: Segments
    label: Floats

    def __post_init__(self) -> None:
        """Refuse what is no preference."""
        if not len(self.left) == len(self.right) == len(self.label):
            told = f"{len(self.left)} and {len(self.right)} segments with {len(self.label)} labels"
            raise LearningError(Problem("unreadable-data", f"preferences do not pair up: {told}"))
        if not ((self.label >= 0) & (self.label <= 1)).all():
            raise LearningError(Problem("unreadable-data", "a label of a preference lies in [0, 1]"))

    def __len__(self) -> int:
        """Return N."""
        return len(self.label)

    def take(self, which: npt.NDArray[Any]) -> Preferences:
        """Return some of the preferences."""
        return Preferences(self.left.take(which), self.right.take(which), self.label[which])


@dataclass(frozen=True)
class PreferenceModel:
    """What makes one segment preferred to another.

    Formula: P(left preferred) = 1 / (1 + exp(-(statistic(left) - statistic(right)))), where the statistic is

    - `partial_return`: Σ r_t;
    - `regret`, form `advantage`: Σ Q*(s_t, a_t) - V*(s_t), the regret with its sign changed;
    - `regret`, form `value_change`: Σ r_t + V*(s_L) - V*(s_0).

    Law: both forms of regret are the same where transitions are deterministic and the discount is 1. Below 1 they
    differ by (1 - discount) Σ V*(s_t+1), and shaping by a potential leaves the first one unchanged but not the
    second. In random worlds the second takes good luck for good judgement.

    Noiseless labels prefer the larger statistic, and neither where both are equal. Statistics are rounded to
    `decimals` before labels are made, so that equal ones are equal.

    Attributes:
        statistic: `partial_return` or `regret`.
        form: `advantage` or `value_change`; of regret only.
        noiseless: Whether labels are without noise.
        decimals: Of statistics when labels are made.
    """

    statistic: Statistic = "regret"
    form: Form = "advantage"
    noiseless: bool = False
    decimals: int = 2

    def __post_init__(self) -> None:
        """Refuse words that there are not."""
        if self.statistic not in ("partial_return", "regret"):
            raise wrong_setting(f"statistic is 'partial_return' or 'regret', not {self.statistic!r}")
        if self.form not in ("advantage", "value_change"):
            raise wrong_setting(f"form is 'advantage' or 'value_change', not {self.form!r}")

    def measure(self, world: FeatureWorld, segments: Segments, reward: Reward) -> Floats:
        """Return `[N]`: the statistic of each segment, with exact optimal values of the reward."""
        paid = world.paid(reward).detach()
        values = torch.zeros(world.world.n_states + 1, dtype=torch.float64)
        if self.statistic == "regret":
            values = optimal_values(world, paid).states[0]
        return np.asarray(_measure(self, world, _Steps(world, segments), paid, values))

    def label(
        self,
        world: FeatureWorld,
        left: Segments,
        right: Segments,
        reward: Reward,
        rng: np.random.Generator | None = None,
    ) -> Preferences:
        """Return what a teacher prefers who follows this model and has this reward; `rng` draws noisy labels."""
        gap = np.round(self.measure(world, left, reward), self.decimals) - np.round(
            self.measure(world, right, reward), self.decimals
        )
        if self.noiseless:
            return Preferences(left, right, (np.sign(np.round(gap, self.decimals)) + 1) / 2)
        if rng is None:
            raise wrong_setting("noisy labels are drawn, and there is no generator to draw them with")
        chance = 1.0 / (1.0 + np.exp(-np.clip(gap, -500, 500)))
        return Preferences(left, right, (rng.random(len(gap)) < chance).astype(np.float64))


class _Steps:
    """Where segments find what they are paid and worth."""

    def __init__(self, world: FeatureWorld, segments: Segments) -> None:
        self.states = torch.from_numpy(segments.states)
        self.actions = torch.from_numpy(segments.actions)
        self.rows = torch.from_numpy(world.row[segments.states[:, :-1], segments.actions, segments.outcomes])


def _measure(
    model: PreferenceModel, world: FeatureWorld, steps: _Steps, paid: Tensor, values: Tensor
) -> Tensor:
    """Return `[N]`: the statistic, differentiable in `paid` `[D]` and `values` `[S + 1]`."""
    if model.statistic == "regret" and model.form == "advantage":
        ahead = world.expected @ paid + world.discount * (world.onward @ values[:-1])
        advantage = functional.pad(ahead - values[:-1, None], (0, 0, 0, 1))
        return advantage[steps.states[:, :-1], steps.actions].sum(dim=1)
    rewarded = functional.pad(paid, (0, 1))[steps.rows].sum(dim=1)
    if model.statistic == "partial_return":
        return rewarded
    return rewarded + values[steps.states[:, -1]] - values[steps.states[:, 0]]


# -- learning ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bank:
    """Policies whose successor features are known; optimal values of a reward are the best among them.

    Formula: V_r(s) = Σ_p softmax_p(V_p(s) / temperature) V_p(s), V_p(s) = ψ_p(s) · r

    Attributes:
        features: `[P, S, D]` float64, ψ: discounted expected number of times that each feature vector is met.
    """

    features: Tensor

    def values(self, paid: Tensor, temperature: float) -> Tensor:
        """Return `[S + 1]`: about the optimal values of a reward `[D]`; differentiable."""
        each = self.features @ paid
        return functional.pad((torch.softmax(each / temperature, dim=0) * each).sum(dim=0), (0, 1))


def draw_bank(
    world: FeatureWorld,
    policies: int = 60,
    seed: int = 0,
    *,
    over: Literal["features", "vectors"] = "features",
) -> Bank:
    """Return policies, each optimal for some random reward.

    Weights have random signs and magnitudes with normal logarithms, e^±2, so that any feature can outweigh the others
    by far; the published code draws from a list of nine weights, 0 to ±50. It also removes the policies that are
    optimal for the true reward, which a learner does not know, and which on a plain board are all sensible ones; here
    they stay if they are drawn.

    Args:
        world: The world, with a discount below 1.
        policies: P, or fewer where no more are found.
        seed: Seeds the rewards.
        over: Rewards are linear in the features, or drawn for each distinct feature vector.

    Raises:
        UnsupportedError: `wrong-setting` for discount 1.
    """
    need_discount(world)
    generator = torch.Generator().manual_seed(seed)
    width = len(world.names) if over == "features" else len(world.distinct)
    found: dict[bytes, Tensor] = {}
    for _ in range(TRIES):
        normal = torch.randn(2, policies, width, dtype=torch.float64, generator=generator)
        paid = normal[0].sign() * torch.exp(2 * normal[1])
        if over == "features":
            paid = paid @ torch.from_numpy(world.distinct).T
        for policy in optimal_values(world, paid).policy:
            found.setdefault(policy.numpy().tobytes(), policy)
        if len(found) >= policies:
            break
    policy = torch.stack(list(found.values())[:policies])
    return Bank(accumulate(world, policy, torch.einsum("psa,sad->psd", policy, world.expected)))


@dataclass(frozen=True, eq=False)
class LearntReward:
    """A reward learnt from preferences.

    Attributes:
        reward: F weights `[F]` float64, or the network.
        loss: Cross entropy of the training preferences under it.
        losses: Cross entropy before each step.
    """

    reward: Tensor | nn.Module
    loss: float
    losses: list[float]


class _Weights(nn.Module):
    """A linear reward without bias. It begins at random: zero would be an opinion of what is never seen."""

    def __init__(self, features: int, seed: int) -> None:
        super().__init__()
        drawn = torch.rand(features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        self.weights = nn.Parameter((2 * drawn - 1) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return the rewards of feature vectors."""
        return features @ self.weights


def small_network(features: int, hidden: Sequence[int] = (32, 32), seed: int = 0) -> nn.Module:
    """Return a network from features to a reward, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes, layers = [features, *hidden], list[nn.Module]()
        for width, after in itertools.pairwise(sizes):
            layers += [nn.Linear(width, after, dtype=torch.float64), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], 1, dtype=torch.float64))


def learn_reward_from_preferences(
    world: FeatureWorld,
    preferences: Preferences,
    model: PreferenceModel,
    *,
    bank: Bank | None = None,
    reward: nn.Module | None = None,
    iterations: int = 600,
    learning_rate: float | None = None,
    temperature: float = 1e-3,
    seed: int = 0,
) -> LearntReward:
    """Return the reward under which a preference model makes the preferences likeliest: full-batch Adam.

    As published: for regret the reward of the least loss on the way is returned, for partial return the last one.
    Pairs are not doubled by swapping them, since both orders have the same loss, and probabilities are not clamped,
    since their logarithms are computed without taking them.

    Args:
        world: The world.
        preferences: Pairs of segments with labels.
        model: The model that is assumed; whether it is noiseless does not matter here.
        bank: Policies for the values that regret needs; `draw_bank(world)` when not given.
        reward: A network to train in place of linear weights (in place; see `small_network`).
        iterations: Steps of Adam. The published code takes 5,000 or more.
        learning_rate: Its step size; 0.5 for weights, 0.01 for a network when not given.
        temperature: Of the softmax over the bank.
        seed: Draws the weights to begin with; and the bank when none is given.

    Raises:
        LearningError: `unreadable-data` when there are no preferences.

    Example:
        >>> from envs.delivery_world import WEIGHTS, DeliveryWorld
        >>> from rewardspec.learning.exact_worlds import draw_segments, label_features
        >>> board, rng = label_features(DeliveryWorld().table(), discount=0.999), np.random.default_rng(0)
        >>> left, right = (draw_segments(board, 300, 3, rng) for _ in range(2))
        >>> teacher = PreferenceModel("regret", noiseless=True)
        >>> told = teacher.label(board, left, right, list(WEIGHTS.values()))
        >>> learnt = learn_reward_from_preferences(board, told, teacher, iterations=200)
        >>> scaled_return(board, list(WEIGHTS.values()), learnt.reward).near_optimal
        True
    """
    if not len(preferences):
        raise LearningError(Problem("unreadable-data", "there are no preferences to learn from"))
    learner = _Weights(len(world.names), seed) if reward is None else reward
    rate = learning_rate if learning_rate is not None else (0.5 if reward is None else 0.01)
    if model.statistic == "regret" and bank is None:
        bank = draw_bank(world, seed=seed, over="features" if reward is None else "vectors")
    optimiser = torch.optim.Adam(learner.parameters(), lr=rate)
    left, right = _Steps(world, preferences.left), _Steps(world, preferences.right)
    label = torch.from_numpy(preferences.label)
    nowhere = torch.zeros(world.world.n_states + 1, dtype=torch.float64)

    def loss_now() -> Tensor:
        paid = world.paid(learner)
        values = nowhere if bank is None else bank.values(paid, temperature)
        gap = _measure(model, world, left, paid, values) - _measure(model, world, right, paid, values)
        return functional.binary_cross_entropy_with_logits(gap, label)

    def kept() -> dict[str, Tensor]:
        return {name: value.clone() for name, value in learner.state_dict().items()}

    losses: list[float] = []
    best, least = kept(), float("inf")
    for step in range(iterations + 1):
        loss = loss_now()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            text = f"the loss of step {step} is {losses[-1]}"
            raise LearningError(Problem("wrong-setting", text, hints=("Choose a smaller learning rate.",)))
        if model.statistic == "partial_return" or losses[-1] < least:
            best, least = kept(), losses[-1]
        if step < iterations:
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    learner.load_state_dict(best)
    found = learner.weights.detach() if isinstance(learner, _Weights) else learner
    return LearntReward(found, least, losses)


# -- how good a learnt reward is ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ScaledReturn:
    """What optimal behaviour for a learnt reward is worth by the true one.

    Attributes:
        learnt: True expected return of the policy that is optimal for the learnt reward, ties taken alike.
        optimal: Of the policy that is optimal for the true reward.
        uniform: Of random actions.
    """

    learnt: float
    optimal: float
    uniform: float

    @property
    def value(self) -> float:
        """1 for optimal behaviour, 0 for behaviour as good as random."""
        span = self.optimal - self.uniform
        return (self.learnt - self.uniform) / span if span else 1.0

    @property
    def near_optimal(self) -> bool:
        """Whether the value is at least 0.9."""
        return self.value >= NEAR_OPTIMAL


def scaled_return(world: FeatureWorld, truth: Reward, learnt: Reward) -> ScaledReturn:
    """Return how good optimal behaviour for a learnt reward is, exactly, from the world's first states."""
    need_discount(world)
    both = torch.stack([world.paid(learnt).detach(), world.paid(truth).detach()])
    policy = optimal_values(world, both).policy
    uniform = torch.full_like(policy[:1], 1.0 / policy.shape[2])
    mine, best, blind = returns(world, torch.cat([policy, uniform]), truth).tolist()
    return ScaledReturn(mine, best, blind)
