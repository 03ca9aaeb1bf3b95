"""Whether optimising a proxy hurt the true reward, from episodes of two policies: any environment, no table.

Both rewards are paid for the same steps of a reference policy and of one that was optimised for the proxy. Everything
is a weighted mean over those steps, a step at time t counting discount^t; an episode that ended by itself goes on as
one more step that pays 0 and counts as much as all that would have followed, as in the exact audit; one that was cut
does not. Intervals are bootstraps over episodes.

How far the optimised policy is from the reference is told by discriminators that have learned on half of the episodes,
were stopped by another quarter and are asked about the last, each quarter once (ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.audit.hacking import promised_gain, worst_gain
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.learning.discriminator import Discriminator, Divergences, divergences

Floats = npt.NDArray[np.float64]

RESAMPLES = 500
"""Draws of episodes for the intervals."""

UPDATES, ROWS = 400, 1024
"""Updates of each discriminator, and rows of either policy that one looks at."""

EACH, PATIENCE = 20, 4
"""Updates between two looks at how well it tells what it has not learned on, and how many looks may bring nothing."""

FOLDS = (((0, 1), (2,), (3,)), ((2, 3), (0,), (1,)), ((1, 2), (3,), (0,)), ((3, 0), (1,), (2,)))
"""Quarters of the episodes: learned on, stopped by, asked about; each is asked about once."""

MOST_INPUTS = 256
"""Steps of more numbers are projected at random to this many."""

LEAST_EPISODES = 4
"""Episodes of each policy: one in each quarter."""


@dataclass(frozen=True)
class PaidEpisode:
    """An episode of T steps as both rewards paid it.

    Attributes:
        seen: `[T, n]`, what was seen before each step, memory of both specs included, and the action.
        true: `[T]`, the true reward.
        proxy: `[T]`, the proxy.
        terminated: Whether it ended by itself, or by a spec's word; False where it was cut.
    """

    seen: Floats
    true: Floats
    proxy: Floats
    terminated: bool


@dataclass(frozen=True)
class Estimate:
    """A number with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SampledAudit:
    """What episodes say.

    Attributes:
        correlation: Of the two rewards where the reference goes.
        spread: Standard deviations of true reward and proxy there.
        reference: What the reference earns of true reward and proxy, per step of the discounted occupancy.
        optimised: What the optimised policy earns of them.
        gained: By how much it earns more of the true reward than the reference.
        apart: Its estimated distance from the reference.
        promised: What theorem 5.1 promises it of the true reward, were the estimates exact; -inf where no proxy.
        worst: The least that a reward as correlated could pay it, likewise.
        episodes: Of reference and optimised policy.
        steps: Likewise.
    """

    correlation: Estimate
    spread: tuple[float, float]
    reference: tuple[Estimate, Estimate]
    optimised: tuple[Estimate, Estimate]
    gained: Estimate
    apart: Divergences
    promised: float
    worst: float
    episodes: tuple[int, int]
    steps: tuple[int, int]

    @property
    def is_hacked(self) -> bool:
        """Whether the proxy is correlated and its optimised policy surely worse than the reference."""
        return self.correlation.low > 0 and self.gained.high < 0

    @property
    def is_decided(self) -> bool:
        """Whether the episodes were enough to say on which side of the reference the optimised policy is."""
        return self.gained.low > 0 or self.gained.high < 0


def audit_by_samples(
    reference: Sequence[PaidEpisode], optimised: Sequence[PaidEpisode], discount: float, *, seed: int = 0
) -> SampledAudit:
    """Return what episodes of two policies say about a proxy.

    Args:
        reference: Episodes of the reference policy.
        optimised: Episodes of one that was optimised for the proxy.
        discount: In (0, 1).
        seed: Of resampling and networks.

    Raises:
        UnsupportedError: `constant-reward` where a reward never varies under the reference; `too-few-episodes`.
        MissingExtraError: Without torch.
    """
    for name, of in (("reference", reference), ("optimised policy", optimised)):
        if len(of) < LEAST_EPISODES:
            text = f"{len(of)} episodes of the {name} are too few: {LEAST_EPISODES} is the least"
            raise UnsupportedError(Problem("too-few-episodes", text, hints=("Ask for more: --episodes.",)))
    rng = np.random.default_rng(seed)
    sums = [np.array([_sums(episode, discount) for episode in of]) for of in (reference, optimised)]
    draws = [
        np.vstack([np.ones(len(of)), rng.multinomial(len(of), np.full(len(of), 1 / len(of)), size=RESAMPLES)])
        for of in (reference, optimised)
    ]
    totals = [draw @ one for draw, one in zip(draws, sums, strict=True)]  # [1 + RESAMPLES, 6]
    means = [total[:, 1:3] / total[:, :1] for total in totals]
    with np.errstate(divide="ignore", invalid="ignore"):
        square = totals[0][:, 3:5] / totals[0][:, :1] - means[0] ** 2
        product = totals[0][:, 5] / totals[0][:, 0] - means[0][:, 0] * means[0][:, 1]
        correlations = product / np.sqrt(np.maximum(square[:, 0] * square[:, 1], 0.0))
    spread = np.sqrt(np.maximum(square[0], 0.0))
    for i, name in enumerate(("true reward", "proxy")):
        largest = max(float(np.abs((one.true, one.proxy)[i]).max()) for one in reference)
        if spread[i] <= 1e-6 * max(largest, 1e-300):
            text = f"the {name} never varies where the reference policy goes: there is no correlation to speak of"
            hint = "Choose a reference that meets what the reward is about, or play more episodes."
            raise UnsupportedError(Problem("constant-reward", text, hints=(hint,)))
    rho = float(np.clip(correlations[0], -1.0, 1.0))
    apart = _apart(reference, optimised, discount, seed)
    gain = float((means[1][0, 1] - means[0][0, 1]) / spread[1])
    chi2 = max(apart.chi2, gain**2)  # no less is possible, and an estimate may be
    base = float(means[0][0, 0])
    return SampledAudit(
        _interval(correlations),
        (float(spread[0]), float(spread[1])),
        (_interval(means[0][:, 0]), _interval(means[0][:, 1])),
        (_interval(means[1][:, 0]), _interval(means[1][:, 1])),
        _interval(means[1][:, 0] - means[0][:, 0]),
        apart,
        base + spread[0] * promised_gain(gain, chi2, rho) if rho > 0 else float("-inf"),
        base + spread[0] * worst_gain(gain, chi2, rho),
        (len(reference), len(optimised)),
        (sum(len(one.true) for one in reference), sum(len(one.true) for one in optimised)),
    )


def _interval(values: Floats) -> Estimate:
    """Return the first value, with the interval that the others make."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (-np.inf, np.inf)
    return Estimate(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


def _counts(episode: PaidEpisode, discount: float) -> Floats:
    """Return how much each step counts, `[T]`; of an episode that ended also the rest of time after it, `[T + 1]`."""
    counts = discount ** np.arange(len(episode.true) + 1, dtype=np.float64)
    if not episode.terminated:
        return np.asarray(counts[:-1])
    counts[-1] /= 1.0 - discount
    return counts


def _sums(episode: PaidEpisode, discount: float) -> Floats:
    """Return weighted sums of 1, true, proxy, their squares and their product over an episode."""
    counts = _counts(episode, discount)
    c, r, p = counts[: len(episode.true)], episode.true, episode.proxy
    return np.array([counts.sum(), c @ r, c @ p, c @ r**2, c @ p**2, c @ (r * p)])


# -- how far apart -----------------------------------------------------------------------------------------------------


def _apart(
    reference: Sequence[PaidEpisode], optimised: Sequence[PaidEpisode], discount: float, seed: int
) -> Divergences:
    """Return the mean of four estimates: each by a discriminator that has not seen the episodes it is asked about."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rows = [_rows(of, discount) for of in (reference, optimised)]
        width = rows[0][0].shape[1]
        if width > MOST_INPUTS:
            project = np.random.default_rng(seed).standard_normal((width, MOST_INPUTS)) / np.sqrt(width)
            rows = [(x @ project, c, number) for x, c, number in rows]
        both = np.concatenate([x for x, _, _ in rows])
        # Numbers that are hardly ever another one (of a table, say) are not blown up.
        mean, scale = both.mean(axis=0), np.maximum(both.std(axis=0), np.ptp(both, axis=0) / 4.0)
        scale = np.where(scale > 1e-9, scale, 1.0)

        def tensors(of: int, fold: Sequence[int]) -> tuple[Any, Any]:
            x, counts, number = rows[of]
            own = np.isin(number % 4, fold)
            scaled = torch.tensor((x[own] - mean) / scale, dtype=torch.float32)
            return scaled, torch.tensor(counts[own], dtype=torch.float32)

        found = []
        for learned_on, stopped_by, asked_about in FOLDS:
            parts: list[Any] = [tensors(of, fold) for fold in (learned_on, stopped_by) for of in (1, 0)]
            told = _learned(parts, seed)
            (ours, of_ours), (theirs, of_theirs) = (tensors(of, asked_about) for of in (1, 0))
            with torch.no_grad():
                most = float(len(rows[0][0]))
                found.append(divergences(told(ours), told(theirs), of_ours, of_theirs, most=most))
    return Divergences(
        *(float(np.mean([getattr(one, name) for one in found])) for name in ("chi2", "kl", "tv", "outside"))
    )


def _learned(parts: Sequence[Any], seed: int) -> Discriminator:
    """Return a discriminator as it was when it told best what it had not learned on: later it learns by heart.

    Args:
        parts: Rows and weights: to learn on, of the policy and the reference; to stop by, likewise.
        seed: Of its first weights.
    """
    import torch

    ours, theirs, held_ours, held_theirs = parts
    told = Discriminator(ours[0].shape[1], hidden=(64, 64), seed=seed)
    held = (held_ours[0], held_theirs[0], held_ours[1], held_theirs[1])
    best, kept, waited = float("inf"), told.memory["weights"].clone(), 0
    for _ in range(UPDATES // EACH):
        with torch.no_grad():
            loss = float(told.loss(told.memory["weights"], *held))
        if loss < best:
            best, kept, waited = loss, told.memory["weights"].clone(), 0
        else:
            waited += 1
        if waited >= PATIENCE:
            break
        told.fit(ours[0], theirs[0], ours[1], theirs[1], steps=EACH, rows=ROWS)
    told.memory["weights"].copy_(kept)
    return told


def _rows(of: Sequence[PaidEpisode], discount: float) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return steps `[N, n + 1]` with having ended as one more, what each counts, and the episode that it is of."""
    parts, counts, numbers = [], [], []
    for number, episode in enumerate(of):
        seen = np.hstack([episode.seen, np.zeros((len(episode.seen), 1))])
        if episode.terminated:
            over = np.zeros((1, seen.shape[1]))
            over[0, -1] = 1.0
            seen = np.vstack([seen, over])
        parts.append(seen)
        counts.append(_counts(episode, discount))
        numbers.append(np.full(len(seen), number, np.int64))
    return np.concatenate(parts), np.concatenate(counts), np.concatenate(numbers)
