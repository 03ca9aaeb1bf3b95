"""How well a judge recognises subgoals: counts, F1 with intervals, and the judges that look at nothing beside it.

Two scores of the same answers:

- `paper`: one decision per step, whether *any* subgoal was named against whether any was reached. Naming the wrong one
  counts as right.
- `strict`: one decision per step and subgoal. A wrong one that is named is a false positive and a false negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Truths = Sequence[Mapping[str, bool]]
"""Per step, subgoal -> truth."""

Mode = Literal["paper", "strict"]

Decisions = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
"""`[N, D]` said and true, N steps with D decisions each."""


@dataclass(frozen=True)
class Counts:
    """A confusion table of decisions."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @property
    def precision(self) -> float:
        """Share of what was named that was right; 0 where nothing was."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """Share of what was there that was named; 0 where nothing was."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN), 0 without a true positive.

        Example:
            >>> round(Counts(tp=34, fp=16).f1, 2), Counts(fn=3, tn=4).f1
            (0.81, 0.0)
        """
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        n = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.tn) / n if n else 0.0


@dataclass(frozen=True)
class Score:
    """A judge's score on a set of steps.

    Attributes:
        counts: The confusion table.
        low: Lower end of the 95 % bootstrap interval of F1, over steps.
        high: Upper end.
    """

    counts: Counts
    low: float
    high: float

    @property
    def f1(self) -> float:
        """F1 of the counts."""
        return self.counts.f1


def count(said: Truths, true: Truths, mode: Mode) -> Counts:
    """Return the confusion table of a judge's answers.

    Example:
        >>> wrong = count([{"key": True, "door": False}], [{"key": False, "door": True}], "paper")
        >>> wrong, count([{"key": True, "door": False}], [{"key": False, "door": True}], "strict")
        (Counts(tp=1, fp=0, fn=0, tn=0), Counts(tp=0, fp=1, fn=1, tn=0))
    """
    return _counts(*_decisions(said, true, mode))


def score(said: Truths, true: Truths, mode: Mode, *, resamples: int = 2000, seed: int = 0) -> Score:
    """Return counts and the interval of F1: steps drawn again with replacement, 2.5 and 97.5 percentiles."""
    decided = _decisions(said, true, mode)
    rng, n = np.random.default_rng(seed), len(said)
    rows = rng.integers(n, size=(resamples, n))
    hit, fp, fn = (table.sum(axis=1)[rows].sum(axis=1) for table in _tables(*decided)[:3])
    drawn = np.where(hit > 0, 2 * hit / np.maximum(2 * hit + fp + fn, 1), 0.0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Score(_counts(*decided), float(low), float(high))


def always(truth: bool, true: Truths) -> list[dict[str, bool]]:
    """Return the answers of a judge that says the same of every step: the baselines."""
    return [dict.fromkeys(step, truth) for step in true]


def exact_share(said: Truths, true: Truths) -> float:
    """Return the share of steps on which every subgoal is told right."""
    return float(np.mean([dict(a) == dict(b) for a, b in zip(said, true, strict=True)]))


def _decisions(said: Truths, true: Truths, mode: Mode) -> Decisions:
    """Return what was decided and what was true, in the columns of a mode."""
    if len(said) != len(true) or not true:
        raise ValueError(f"{len(said)} answers for {len(true)} steps")
    names = list(true[0])
    told: npt.NDArray[np.bool_] = np.array([[bool(step.get(name, False)) for name in names] for step in said])
    held: npt.NDArray[np.bool_] = np.array([[bool(step[name]) for name in names] for step in true])
    if mode == "paper":
        told = np.logical_or.reduce(told, axis=1, keepdims=True)
        held = np.logical_or.reduce(held, axis=1, keepdims=True)
    return told, held


def _tables(said: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], ...]:
    """Return where decisions are true and false positives, false and true negatives."""
    return said & true, said & ~true, ~said & true, ~said & ~true


def _counts(said: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> Counts:
    return Counts(*(int(table.sum()) for table in _tables(said, true)))
