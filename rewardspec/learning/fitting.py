"""Fit an ensemble to comparisons: Bradley and Terry, with what makes labels less harmful when they are wrong.

P(a over b) = sigmoid(statistic(a) - statistic(b)); the statistic is the sum of the scores of a segment's steps, plus
what is given with it (values at its ends, for the regret model).

Sources: Christiano et al. (NeurIPS 2017) for the model; smoothing, flips and adaptive margins: "Secrets of RLHF II"
(Wang et al. 2024), `-log sigmoid(difference - margin)` with the margin that an ensemble gave before; centring:
eta * (sum of the pair's scores)^2, as TRL has it. Two deviations: only labels that the ensemble's mean contradicts are
turned over, where the paper turns over a fixed share, and margins below 0 count as 0.

What is reported is told by the labels as they were given, neither turned over nor smoothed: by the others the model
would be judged by its own opinion. When to stop is told by the treated ones of the pairs held out: wrong labels would
stop a fit that is sure of the right ones. Which pairs are held out follows from what they hold, so that one that comes
again at a later refresh, when the weights go on from where they are, is not fitted in one and judged in the other.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from rewardspec.kinds.reward_model import Fitting
from rewardspec.learning.models import Ensemble

Floats = npt.NDArray[np.float32]

BINS = 10
"""Bins of predicted probability over which calibration is judged."""

BLOCK = 65_536
"""Steps that are judged at a time, so that many pairs need no more memory than few."""


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
        loss: Bradley-Terry loss on the pairs fitted, mean of the members, by the labels as given.
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


@dataclass(frozen=True)
class _Data:
    """Pairs as tensors: `[N, L, D]` sides, `[N]` offsets, labels and margins."""

    a: torch.Tensor
    b: torch.Tensor
    offset: torch.Tensor
    label: torch.Tensor
    margin: torch.Tensor | None = None


def fit(model: Ensemble, pairs: Pairs, options: Fitting, rng: np.random.Generator) -> FitReport:
    """Fit an ensemble to pairs, from the weights that it has.

    Args:
        model: The ensemble; it is changed.
        pairs: At least one.
        options: How.
        rng: What shuffles.
    """
    given = _tensors(pairs)
    judging, fitted = _parts(pairs, options.held_out)
    treated, flipped = _treated(model, given, options)
    optimiser = torch.optim.Adam(model.weights, lr=options.learning_rate, weight_decay=options.weight_decay)
    best, best_weights, since, epochs = math.inf, None, 0, 0
    for _ in range(options.epochs):
        _pass(model, treated, fitted, options, optimiser, rng)
        epochs += 1
        if not len(judging):
            continue
        held = float(_judged(model, replace(treated, margin=None), judging)[1].mean())
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
    return _report(model, given, fitted, judging, epochs, flipped)


def _tensors(pairs: Pairs) -> _Data:
    offset = np.zeros(len(pairs), np.float32) if pairs.offset is None else pairs.offset
    sides = (torch.from_numpy(side.astype(np.float32, copy=False)) for side in (pairs.a, pairs.b, offset))
    a, b, added = sides
    return _Data(a, b, added, torch.from_numpy(pairs.label.astype(np.float32)))


def _parts(pairs: Pairs, held_out: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows of the pairs that only judge and of those that are fitted, by what the pairs hold."""
    digests = [
        (zlib.crc32(a.tobytes()) + zlib.crc32(b.tobytes())) & 0xFFFFFFFF
        for a, b in zip(pairs.a, pairs.b, strict=True)
    ]
    order = np.argsort(np.array(digests, np.int64), kind="stable")
    number = int(len(pairs) * held_out)
    return np.sort(order[:number]), np.sort(order[number:])


def _treated(model: Ensemble, data: _Data, options: Fitting) -> tuple[_Data, int]:
    """Return the pairs with labels turned over and smoothed as asked, and margins; and how many were turned over.

    What is doubtful, and by how much a pair is told apart, is what the model said until now.
    """
    label, margin, flipped = data.label.clone(), None, 0
    if model.is_fitted and (options.flip_doubtful or options.adaptive_margin):
        found = _judged(model, data, np.arange(len(label)))[0]
        strength = found.mean(0) * (2 * label - 1)  # how strongly the ensemble agrees with the label
        if options.flip_doubtful:
            doubtful = strength.argsort()[: int(len(label) * options.flip_doubtful)]
            doubtful = doubtful[strength[doubtful] < 0]
            flipped = len(doubtful)
            label[doubtful] = 1 - label[doubtful]
            strength[doubtful] = -strength[doubtful]
        if options.adaptive_margin:
            margin = strength.clamp(min=0)
    if options.smoothing:
        label = label + options.smoothing * (1 - 2 * label)
    return replace(data, label=label, margin=margin), flipped


def _pass(
    model: Ensemble,
    data: _Data,
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
        loss = _losses(model, data, which, options.centring)[1].mean(1).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()


def _losses(
    model: Ensemble, data: _Data, which: npt.NDArray[np.int64], centring: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `[M, n]` differences of the statistics and losses of pairs; `which` is `[n]` or `[M, n]`."""
    index, length = torch.from_numpy(which), data.a.shape[1]

    def statistic(side: torch.Tensor) -> torch.Tensor:
        scores = model.scores(side[index].flatten(-3, -2))
        return scores.reshape(*scores.shape[:-1], -1, length).sum(-1)

    of_a, of_b = statistic(data.a), statistic(data.b)
    difference = of_a - of_b + data.offset[index]
    target = data.label[index]
    told = difference if data.margin is None else difference - data.margin[index] * torch.sign(2 * target - 1)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        told, target.expand_as(told), reduction="none"
    )
    return difference, losses + centring * (of_a + of_b).square() if centring else losses


def _judged(model: Ensemble, data: _Data, rows: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `_losses` does for `[n]` rows, without gradients and in blocks."""
    size = max(BLOCK // (data.a.shape[1] * model.form.ensemble), 1)
    with torch.no_grad():
        found = [_losses(model, data, rows[i : i + size]) for i in range(0, max(len(rows), 1), size)]
    differences, losses = zip(*found, strict=True)
    return torch.cat(differences, 1), torch.cat(losses, 1)


def _report(
    model: Ensemble,
    given: _Data,
    fitted: npt.NDArray[np.int64],
    judging: npt.NDArray[np.int64],
    epochs: int,
    flipped: int,
) -> FitReport:
    held, label = bool(len(judging)), given.label
    of_fitted, loss = _judged(model, given, fitted)
    of_held, held_loss = _judged(model, given, judging)
    return FitReport(
        pairs=len(label),
        epochs=epochs,
        loss=float(loss.mean()),
        held_out_loss=float(held_loss.mean()) if held else None,
        accuracy=_accuracy(of_fitted.mean(0), label[fitted]),
        held_out_accuracy=_accuracy(of_held.mean(0), label[judging]),
        calibration_error=calibration_error(torch.sigmoid(of_held).mean(0).numpy(), label[judging].numpy()),
        disagreement=float(of_fitted.std(0, correction=0).mean()),
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


def held_losses(model: Ensemble, pairs: Pairs, held_out: float = 0.0) -> npt.NDArray[np.float64]:
    """Return `[M]` mean losses of the members on the pairs that `fit` holds out; on all where it holds none out."""
    judging, fitted = _parts(pairs, held_out)
    losses = _judged(model, _tensors(pairs), judging if len(judging) else fitted)[1]
    found: npt.NDArray[np.float64] = losses.mean(1).double().numpy()
    return found
