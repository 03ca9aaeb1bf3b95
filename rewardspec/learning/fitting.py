"""Fit an ensemble to comparisons: Bradley and Terry, with what makes labels less harmful when they are wrong.

P(a over b) = sigmoid(statistic(a) - statistic(b)); the statistic is the sum of the scores of a segment's steps, plus
what is given with it (values at its ends, for the regret model).

Sources: Christiano et al. (NeurIPS 2017) for the model; smoothing, flips and adaptive margins: "Secrets of RLHF II"
(Wang et al. 2024), `-log sigmoid(difference - margin)` with the margin that an ensemble gave before; centring:
eta * (sum of the pair's scores)^2, as TRL has it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rewardspec.kinds.reward_model import Fitting
from rewardspec.learning.models import Ensemble

Floats = npt.NDArray[np.float32]

BINS = 10
"""Bins of predicted probability over which calibration is judged."""


@dataclass(frozen=True)
class Pairs:
    """N labelled pairs of segments of L steps.

    Attributes:
        a: `[N, L, D]` inputs of one side.
        b: `[N, L, D]` of the other.
        label: `[N]` 1 where a is preferred, 0 where b is, between them for something in between.
        offset: `[N]` what is added to the difference of the statistics; None for nothing.
    """

    a: Floats
    b: Floats
    label: Floats
    offset: Floats | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.label)


@dataclass(frozen=True)
class FitReport:
    """What one refresh came to; None where there was nothing to tell it from.

    Attributes:
        pairs: Pairs fitted, those held out included.
        epochs: Passes made.
        loss: Bradley-Terry loss on the pairs fitted, mean of the members.
        held_out_loss: Likewise on those held out.
        accuracy: Share of decided pairs on which the members' mean agrees with the label, among those fitted.
        held_out_accuracy: Likewise among those held out.
        calibration_error: Expected calibration error on those held out, by ten bins of probability.
        disagreement: Standard deviation over the members of a pair's difference, mean over the pairs.
        flipped: Labels turned over.
    """

    pairs: int
    epochs: int
    loss: float
    held_out_loss: float | None
    accuracy: float | None
    held_out_accuracy: float | None
    calibration_error: float | None
    disagreement: float
    flipped: int

    def to_data(self) -> dict[str, float | int | None]:
        """Return the report as plain data."""
        return asdict(self)


def fit(model: Ensemble, pairs: Pairs, options: Fitting, rng: np.random.Generator) -> FitReport:
    """Fit an ensemble to pairs, from the weights that it has.

    Args:
        model: The ensemble; it is changed.
        pairs: At least one.
        options: How.
        rng: What splits and shuffles.
    """
    label, margin, flipped = _prepared(model, pairs, options)
    a, b = torch.from_numpy(pairs.a), torch.from_numpy(pairs.b)
    offset = torch.zeros(len(pairs)) if pairs.offset is None else torch.from_numpy(pairs.offset)
    order = rng.permutation(len(pairs))
    judging = order[: int(len(pairs) * options.held_out)]
    fitted = order[len(judging) :]
    optimiser = torch.optim.Adam(model.weights, lr=options.learning_rate, weight_decay=options.weight_decay)
    best, best_weights, since, epochs = math.inf, None, 0, 0
    for _ in range(options.epochs):
        _pass(model, (a, b, offset, label, margin), fitted, options, optimiser, rng)
        epochs += 1
        if not len(judging):
            continue
        with torch.no_grad():
            held = float(_losses(model, (a, b, offset, label, None), judging).mean())
        if held < best - 1e-6:
            best, since = held, 0
            best_weights = [weight.detach().clone() for weight in model.weights]
        else:
            since += 1
            if since >= options.patience:
                break
    if best_weights is not None:
        with torch.no_grad():
            for weight, kept in zip(model.weights, best_weights, strict=True):
                weight.copy_(kept)
    return _report(model, (a, b, offset, label, None), fitted, judging, epochs, flipped)


def _prepared(
    model: Ensemble, pairs: Pairs, options: Fitting
) -> tuple[torch.Tensor, torch.Tensor | None, int]:
    """Return labels turned over and smoothed as asked, and margins: both by what the model said until now."""
    label = torch.from_numpy(pairs.label.astype(np.float32))
    margin, flipped = None, 0
    if model.is_fitted and (options.flip_doubtful or options.adaptive_margin):
        offset = torch.zeros(len(pairs)) if pairs.offset is None else torch.from_numpy(pairs.offset)
        everything = np.arange(len(pairs))
        with torch.no_grad():
            found = _differences(
                model, torch.from_numpy(pairs.a), torch.from_numpy(pairs.b), offset, everything
            )
        strength = found.mean(0) * (2 * label - 1)  # how strongly the ensemble agrees with the label
        if options.flip_doubtful:
            flipped = int(len(pairs) * options.flip_doubtful)
            doubtful = strength.argsort()[:flipped]
            label[doubtful] = 1 - label[doubtful]
            strength[doubtful] = -strength[doubtful]
        if options.adaptive_margin:
            margin = strength.clamp(min=0)
    if options.smoothing:
        label = label + options.smoothing * (1 - 2 * label)
    return label, margin, flipped


def _pass(
    model: Ensemble,
    data: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None],
    rows: npt.NDArray[np.int64],
    options: Fitting,
    optimiser: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> None:
    """Take one step of Adam per minibatch; each member has an order of its own."""
    members = model.form.ensemble
    orders = np.stack([rng.permutation(rows) for _ in range(members)])
    for start in range(0, len(rows), options.batch_size):
        which = orders[:, start : start + options.batch_size]
        loss = _losses(model, data, which, options.centring).mean(1).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()


def _differences(
    model: Ensemble, a: torch.Tensor, b: torch.Tensor, offset: torch.Tensor, which: Any, sums: bool = False
) -> Any:
    """Return `[M, n]` statistics of a minus those of b, and their sums when asked for; `which` is `[n]` or `[M, n]`."""
    index = torch.from_numpy(which)
    length = a.shape[1]

    def statistic(side: torch.Tensor) -> torch.Tensor:
        rows = side[index]
        scores = model.scores(rows.flatten(-3, -2))
        return scores.reshape(*scores.shape[:-1], -1, length).sum(-1)

    of_a, of_b = statistic(a), statistic(b)
    difference = of_a - of_b + offset[index]
    return (difference, of_a + of_b) if sums else difference


def _losses(
    model: Ensemble,
    data: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None],
    which: Any,
    centring: float = 0.0,
) -> torch.Tensor:
    """Return `[M, n]` losses of pairs."""
    a, b, offset, label, margin = data
    difference, sums = _differences(model, a, b, offset, which, sums=True)
    index = torch.from_numpy(which)
    target = label[index]
    if margin is not None:
        difference = difference - margin[index] * torch.sign(2 * target - 1)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        difference, target.expand_as(difference), reduction="none"
    )
    total: torch.Tensor = losses + centring * sums.square() if centring else losses
    return total


def _report(
    model: Ensemble,
    data: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, None],
    fitted: npt.NDArray[np.int64],
    judging: npt.NDArray[np.int64],
    epochs: int,
    flipped: int,
) -> FitReport:
    a, b, offset, label, _ = data
    with torch.no_grad():
        found = {
            name: _differences(model, a, b, offset, rows) for name, rows in (("f", fitted), ("j", judging))
        }
        losses = {name: _losses(model, data, rows).mean() for name, rows in (("f", fitted), ("j", judging))}
    held = bool(len(judging))
    return FitReport(
        pairs=len(label),
        epochs=epochs,
        loss=float(losses["f"]),
        held_out_loss=float(losses["j"]) if held else None,
        accuracy=_accuracy(found["f"].mean(0), label[fitted]),
        held_out_accuracy=_accuracy(found["j"].mean(0), label[judging]) if held else None,
        calibration_error=calibration_error(torch.sigmoid(found["j"]).mean(0).numpy(), label[judging].numpy())
        if held
        else None,
        disagreement=float(found["f"].std(0, correction=0).mean()),
        flipped=flipped,
    )


def _accuracy(difference: torch.Tensor, label: torch.Tensor) -> float | None:
    decided = label != 0.5
    if not bool(decided.any()):
        return None
    return float(((difference > 0) == (label > 0.5))[decided].float().mean())


def calibration_error(predicted: npt.NDArray[np.floating], label: npt.NDArray[np.floating]) -> float | None:
    """Return the expected calibration error of probabilities, in ten bins; None without labels.

    Example:
        >>> calibration_error(np.array([0.95, 0.95]), np.array([1.0, 0.0]))
        0.45
    """
    if not len(label):
        return None
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    error = 0.0
    for one in np.unique(bins):
        inside = bins == one
        error += inside.mean() * abs(float(predicted[inside].mean()) - float(label[inside].mean()))
    return round(float(error), 6)


def held_losses(model: Ensemble, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Return `[M]` mean losses of the members on pairs."""
    offset = torch.zeros(len(pairs)) if pairs.offset is None else torch.from_numpy(pairs.offset)
    label = torch.from_numpy(pairs.label.astype(np.float32))
    data = (torch.from_numpy(pairs.a), torch.from_numpy(pairs.b), offset, label, None)
    with torch.no_grad():
        losses: npt.NDArray[np.float64] = _losses(model, data, np.arange(len(pairs))).mean(1).double().numpy()
    return losses
