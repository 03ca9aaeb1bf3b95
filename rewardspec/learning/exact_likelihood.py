"""How well a statistic of segments foretells preferences: logistic models, held out fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rewardspec.learning.exact_preferences import PreferenceModel, Preferences, Statistic
from rewardspec.learning.exact_worlds import (
    FeatureWorld,
    Floats,
    Reward,
    Segments,
    optimal_values,
    wrong_setting,
)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """How well a logistic model of some statistics foretells preferences.

    Attributes:
        weights: `[C]`, of each statistic, fitted to all preferences.
        uniform: Probability of an answer given at random, fitted too; 0 where it was not asked for.
        held_out: Mean cross entropy over folds, each foretold by a model of the others.
        folds: Cross entropy of each fold.
    """

    weights: Floats
    uniform: float
    held_out: float
    folds: Floats


def likelihood_columns(
    world: FeatureWorld, preferences: Preferences, reward: Reward, of: Statistic | Literal["three"]
) -> Floats:
    """Return `[N, C]`: statistics of the left segments less those of the right ones.

    Args:
        world: The world.
        preferences: Pairs of segments.
        reward: The reward that the pairs were shown with.
        of: A statistic, then C is 1; or `three`: partial return, value at the end, value at the start.
    """

    def measured(segments: Segments) -> Floats:
        if of != "three":
            return PreferenceModel(of).measure(world, segments, reward)[:, None]
        summed = PreferenceModel("partial_return").measure(world, segments, reward)
        values = np.asarray(optimal_values(world, world.paid(reward)).states[0])
        return np.stack([summed, values[segments.states[:, -1]], values[segments.states[:, 0]]], axis=1)

    return measured(preferences.left) - measured(preferences.right)


def fit_likelihood(
    columns: Floats, label: Floats, *, uniform: bool = False, folds: int = 10, seed: int = 0
) -> Likelihood:
    """Return the logistic model of differences of statistics, and how well it foretells what it has not seen.

    Formula: P(left preferred) = (1 - c) / (1 + exp(-w · x)) + c / 2

    Fitted by L-BFGS to the end, where the published fits are 3,000 steps of gradient descent.

    Args:
        columns: `[N, C]`, as of `likelihood_columns`.
        label: `[N]`, 1 for the left segment, 0 for the right one, 0.5 for neither.
        uniform: Whether to fit c; it is 0 when not.
        folds: Parts that the preferences are cut into.
        seed: Seeds the cut.

    Raises:
        UnsupportedError: `wrong-setting` for fewer than two folds, or fewer preferences than folds.
    """
    if not 2 <= folds <= len(label):
        raise wrong_setting(
            f"{len(label)} preferences cannot be cut into {folds} folds, of which there must be two"
        )
    spread = np.abs(columns).mean(axis=0)
    spread[spread == 0] = 1.0
    x, y = torch.from_numpy(columns / spread), torch.from_numpy(np.asarray(label, np.float64))
    fold = np.random.default_rng(seed).permutation(len(label)) % folds
    tested = []
    for number in range(folds):
        seen = torch.from_numpy(fold != number)
        found = _fit(x[seen], y[seen], uniform)
        tested.append(float(_entropy(x[~seen], y[~seen], *found)))
    weights, lapse = _fit(x, y, uniform)
    share = float(torch.sigmoid(lapse)) if uniform else 0.0
    return Likelihood(weights.numpy() / spread, share, float(np.mean(tested)), np.array(tested))


def _entropy(x: Tensor, y: Tensor, weights: Tensor, lapse: Tensor) -> Tensor:
    """Return the cross entropy; `lapse` is the logit of c, -inf for none."""
    gap = x @ weights
    # log((1 - c) p + c / 2), in logarithms throughout: p may be 0 and c may be, too
    guess = functional.logsigmoid(lapse) - np.log(2)
    judged = functional.logsigmoid(-lapse)
    left = torch.logaddexp(judged + functional.logsigmoid(gap), guess)
    right = torch.logaddexp(judged + functional.logsigmoid(-gap), guess)
    return -(y * left + (1 - y) * right).mean()


def _fit(x: Tensor, y: Tensor, uniform: bool) -> tuple[Tensor, Tensor]:
    weights = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    lapse = torch.tensor(-2.0 if uniform else -1e3, dtype=torch.float64, requires_grad=uniform)
    fitted = [weights, lapse] if uniform else [weights]
    optimiser = torch.optim.LBFGS(fitted, max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        # a trace of decay, without which weights of separable preferences grow for ever
        loss = _entropy(x, y, weights, lapse) + 1e-9 * (weights**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach(), lapse.detach()
