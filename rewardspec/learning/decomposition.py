"""Return decomposition: fit an ensemble so that what it pays in an episode adds up to the episode's return.

With T the length of an episode, R its return and m the mean of the rewards over K of its steps, drawn without
replacement, the loss of an episode is

- RD: (R / T - m)^2 over all steps, K = T;
- RRD: the same over K < T steps; in expectation RD plus S^2 (1 - K / T) / K, S^2 the variance (over T - 1) of the
  rewards within the episode: an upper bound of RD that keeps rewards even;
- RRD unbiased: RRD minus s^2 (1 - K / T) / K, s^2 the variance (over K - 1) of the K rewards, whose expectation is S^2:
  RD in expectation, at K steps' cost.

Sources: Ren et al., "Learning Long-Term Reward Redistribution via Randomized Return Decomposition" (ICLR 2022), for the
randomised losses; Qu et al. (LaRe, AAAI 2025) for their use on factors. Deviations: an episode of no more than K steps
is taken whole, with the constant 0 (the released code draws K > T with replacement, and one of its forms then *adds*
variance, the constant 1 - K / T being below 0); returns are standardised, by R / T over what is stored, and the
networks' output is carried over exactly when that scale changes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from rewardspec.errors import MismatchError, Problem
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Learned
from rewardspec.kinds.latent import EncoderSource, Latent
from rewardspec.learning.episodes import Episodes
from rewardspec.learning.models import LEAST_SPREAD, Ensemble

Floats = npt.NDArray[np.float64]

BLOCK = 65_536
"""Steps that are judged at a time."""


@dataclass(frozen=True)
class DecompositionReport:
    """What one refresh came to; None where there was nothing to tell it from.

    Attributes:
        episodes: Episodes fitted, those held out included.
        updates: Steps of Adam.
        loss: Squared error of R / T over whole episodes, among those fitted; mean of the members.
        held_out_loss: Likewise on those held out.
        explained: Share of the variance of the held-out R / T that the members' mean explains: 1 is all, 0 as much as
            a constant does.
        equal_lengths: Whether all episodes have one length, so that a constant part of the reward is not told from
            one that is paid once.
    """

    episodes: int
    updates: int
    loss: float
    held_out_loss: float | None
    explained: float | None
    equal_lengths: bool

    def to_data(self) -> dict[str, float | int | None]:
        """Return the report as plain data."""
        return asdict(self)


def refuse_other_widths(term: Latent, learned: Learned, layout: Layout) -> None:
    """Raise where a source was written for arrays of other widths than an environment has.

    Raises:
        MismatchError: `encoder-widths`.
    """
    if not isinstance(term.factors, EncoderSource):
        return
    seen = "next_obs" if term.phase == "next_state" else "obs"
    for root, width in ((seen, term.factors.observation), ("action", term.factors.action)):
        shape = layout.arrays.get((root, ()))
        if shape is not None and shape != (width,):
            what = "the action" if root == "action" else "the observation"
            message = f"the source of '{learned.name}' is for {width} numbers of {what}, whose shape here is {shape}"
            hint = "Flatten it, or ask for factors for this environment: rewardspec llm factors SPEC"
            raise MismatchError(Problem("encoder-widths", message, learned.place, (hint,)))


def decompose(
    model: Ensemble, episodes: Episodes, options: Latent, rng: np.random.Generator
) -> tuple[DecompositionReport, Floats]:
    """Fit an ensemble to the returns of whole episodes, from the weights that it has.

    Args:
        model: The ensemble; it is changed.
        episodes: At least one.
        options: The loss, how many steps it draws, and how it is minimised.
        rng: What draws.

    Returns:
        What it came to, and `[M]` the members' losses on episodes held out, on all where none are.
    """
    fitted, judging = episodes.parts(options.fit.held_out)
    if not model.is_fitted:
        model.see(episodes.inputs)
    rates = fitted.returns / fitted.lengths
    centre, spread = float(rates.mean()), float(rates.std())
    set_scale(model, centre, spread if spread > LEAST_SPREAD else 1.0)
    longest = int(fitted.lengths.max())
    most = longest if options.loss == "rd" else min(options.subsample, longest)
    number = min(options.fit.episodes, len(fitted))
    optimiser = torch.optim.Adam(
        model.weights, lr=options.fit.learning_rate, weight_decay=options.fit.weight_decay
    )
    for _ in range(options.fit.updates):
        which = np.stack([rng.choice(len(fitted), number, replace=False) for _ in model.mean])
        loss = batch_loss(model, fitted, which, most, options.loss == "rrd_unbiased", rng)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.sum())
        optimiser.step()
    model.is_fitted = True
    own, _ = _judged(model, fitted)
    held: Floats | None = None
    explained = None
    if len(judging):
        held, together = _judged(model, judging)
        variance = float(np.var(judging.returns / judging.lengths))
        explained = 1.0 - together / variance if variance > 0 else None
    report = DecompositionReport(
        episodes=len(episodes),
        updates=options.fit.updates,
        loss=float(own.mean()),
        held_out_loss=None if held is None else float(held.mean()),
        explained=explained,
        equal_lengths=bool((episodes.lengths == episodes.lengths[0]).all()),
    )
    return report, own if held is None else held


def set_scale(model: Ensemble, centre: float, spread: float) -> None:
    """Let a network's output of 0 stand for the reward `centre` and of 1 for `centre + spread`, and what it pays stay.

    Source: van Hasselt et al., "Learning values across many orders of magnitude" (NeurIPS 2016), Pop-Art.
    """
    # A member pays (output - mean) / scale.
    old_spread, old_centre = 1.0 / model.scale, -model.mean / model.scale
    if model.is_fitted:
        ratio = torch.from_numpy(old_spread / spread)[:, None, None]
        shift = torch.from_numpy((old_centre - centre) / spread)[:, None, None]
        with torch.no_grad():
            model.weights[-2].mul_(ratio)
            model.weights[-1].mul_(ratio).add_(shift)
    model.scale[:] = 1.0 / spread
    model.mean[:] = -centre / spread
    model.forget_fast()


def batch_loss(
    model: Ensemble,
    episodes: Episodes,
    which: npt.NDArray[np.int64],
    most: int,
    unbiased: bool,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return `[M]` the members' losses on episodes, in units of the spread of R / T.

    Args:
        model: M networks.
        episodes: What they are fitted to.
        which: `[M, E]` the episodes of each member.
        most: K, steps that are drawn from an episode; one of no more than K is taken whole.
        unbiased: Whether the variance that drawing adds is taken off.
        rng: What draws.
    """
    index, taken = draw_steps(episodes, which, most, rng)  # [M, E, K] each
    inputs = torch.from_numpy(episodes.inputs)[torch.from_numpy(index.reshape(len(index), -1))]
    rewards = _paid(model, inputs).view(index.shape)
    mask = torch.from_numpy(taken)
    number = mask.sum(-1)
    mean = (rewards * mask).sum(-1) / number
    lengths = torch.from_numpy(episodes.lengths[which])
    target = torch.from_numpy((episodes.returns / episodes.lengths)[which])
    loss = (target - mean).square()
    if unbiased:
        away = ((rewards - mean.unsqueeze(-1)) * mask).square().sum(-1) / (number - 1).clamp(min=1)
        loss = loss - away * (1.0 - number / lengths) / number
    spread = torch.from_numpy(model.scale).double().square()
    return loss.mean(-1) * spread


def draw_steps(
    episodes: Episodes, which: npt.NDArray[np.int64], most: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return up to `most` different steps of each episode, all of a shorter one.

    Args:
        episodes: The episodes.
        which: `[...]` which of them.
        most: K.
        rng: What draws.

    Returns:
        `[..., K]` places among all steps, and whether each counts: shorter episodes have fewer.
    """
    lengths = episodes.lengths[which][..., None]
    longest = int(lengths.max())
    if longest <= most:
        offsets = np.broadcast_to(np.arange(most), (*which.shape, most))
    else:
        keys = rng.random((*which.shape, longest))
        keys[np.broadcast_to(np.arange(longest), keys.shape) >= lengths] = 2.0
        offsets = np.argpartition(keys, most - 1, axis=-1)[..., :most]
    taken = offsets < lengths
    return episodes.starts[which][..., None] + np.where(taken, offsets, 0), taken


def _paid(model: Ensemble, inputs: torch.Tensor) -> torch.Tensor:
    """Return `[M, N]` what the members pay, in double precision from the networks' output on."""
    scores = model.scores(inputs).double()
    mean, scale = (torch.from_numpy(part).double()[:, None] for part in (model.mean, model.scale))
    return (scores - mean) / scale


def paid_rates(model: Ensemble, episodes: Episodes) -> Floats:
    """Return `[M, E]` the mean reward that each member pays in whole episodes."""
    steps = np.concatenate(
        [
            np.arange(start, start + length)
            for start, length in zip(episodes.starts, episodes.lengths, strict=True)
        ]
    )
    inputs = torch.from_numpy(episodes.inputs)
    with torch.no_grad():
        found = [
            _paid(model, inputs[torch.from_numpy(steps[i : i + BLOCK])]).numpy()
            for i in range(0, len(steps), BLOCK)
        ]
    ends = np.cumsum(episodes.lengths)
    sums = np.add.reduceat(np.concatenate(found, axis=1), ends - episodes.lengths, axis=1)
    rates: Floats = sums / episodes.lengths
    return rates


def _judged(model: Ensemble, episodes: Episodes) -> tuple[Floats, float]:
    """Return `[M]` the members' squared errors of R / T over whole episodes, and that of their mean."""
    rates = paid_rates(model, episodes)
    wanted = episodes.returns / episodes.lengths
    return np.square(rates - wanted).mean(1), float(np.square(rates.mean(0) - wanted).mean())
