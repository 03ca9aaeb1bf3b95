"""Who says which candidate is best and which is worst, and how many comparisons that takes.

Best and worst of K come out of pairs: K - 1 for the best and, the first pair telling both, at most K - 2 more for the
worst; the last generation needs no worst, and the best of all N generations takes N - 1 more. In all at most
2 N (K - 1) - (K - 1), which is never more than the paper counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rewardspec.errors import LearningError, Problem
from rewardspec.search.candidate import Candidate


def paper_queries(candidates: int, generations: int) -> int:
    """Return how many comparisons the paper counts for a search: 2 N (K - 1) - 1.

    Example:
        >>> paper_queries(6, 5)
        49
    """
    return 2 * generations * (candidates - 1) - 1


@dataclass(frozen=True)
class Choice:
    """What a judge says of a generation.

    Attributes:
        best: Its best candidate.
        worst: Its worst one; None where nobody asked, or there is only one.
        comparisons: Pairs that were looked at.
    """

    best: str
    worst: str | None
    comparisons: int


class Judge(Protocol):
    """Who judges."""

    @property
    def name(self) -> str:
        """What records and pages call it."""
        ...

    def pick(self, tried: Sequence[Candidate], generation: int, want_worst: bool) -> Choice:
        """Return the best of some trained candidates, and the worst, which is another, where that is wanted.

        Args:
            tried: Candidates of one generation; or, at the end, the best ones of all.
            generation: Which; one more than there are for the choice at the end.
            want_worst: Whether the worst is wanted.
        """
        ...

    def score(self, candidate: Candidate) -> float | None:
        """Return a number for pages; None where the judge has none."""
        ...


def pick_by_pairs(
    tried: Sequence[Candidate], want_worst: bool, prefers: Callable[[Candidate, Candidate], bool]
) -> Choice:
    """Return best and worst by comparing pairs.

    Args:
        tried: At least one candidate.
        want_worst: Whether the worst is wanted.
        prefers: Whether the second of two is better than the first; where they are alike the first one stays.
    """
    best = worst = tried[0]
    comparisons = 0
    for number, other in enumerate(tried[1:]):
        comparisons += 1
        is_better = prefers(best, other)
        if number == 0:  # the first pair tells both
            best, worst = (other, best) if is_better else (best, other)
            continue
        if is_better:
            best = other
        elif want_worst:
            comparisons += 1
            if prefers(other, worst):
                worst = other
    if want_worst and len(tried) > 1:
        return Choice(best.id, worst.id, comparisons)
    return Choice(best.id, None, comparisons)


@dataclass(frozen=True)
class ByScore:
    """Prefers what scores higher by a measure: the proxy of the paper.

    Attributes:
        measure: `success`, `return`, `length` or `teacher`.
    """

    measure: str

    @property
    def name(self) -> str:
        """What pages call it."""
        return self.measure

    def score(self, candidate: Candidate) -> float | None:
        """Return the greatest value of the measure along training."""
        return None if candidate.trained is None else candidate.trained.best.get(self.measure)

    def pick(self, tried: Sequence[Candidate], generation: int, want_worst: bool) -> Choice:
        """Return best and worst.

        Raises:
            LearningError: `unjudged` where a candidate has no such score.
        """
        for candidate in tried:
            if self.score(candidate) is None:
                hint = "Judge by what the environment tells: --judge return, length, or a spec of your own."
                message = f"nobody says the {self.measure} of '{candidate.id}': the environment does not tell"
                raise LearningError(Problem("unjudged", message, hints=(hint,)))
        return pick_by_pairs(tried, want_worst, lambda one, two: self._of(two) > self._of(one))

    def _of(self, candidate: Candidate) -> float:
        score = self.score(candidate)
        assert score is not None
        return score


@dataclass(frozen=True)
class Careless:
    """A judge who at times does not look: in a share of generations best and worst are drawn.

    Attributes:
        inner: Who judges when it looks.
        share: Of the generations in which it does not.
        seed: Of the draws.
    """

    inner: Judge
    share: float
    seed: int = 0

    @property
    def name(self) -> str:
        """What pages call it."""
        return f"{self.inner.name}, {self.share:.0%} at random"

    def score(self, candidate: Candidate) -> float | None:
        """Return the inner judge's."""
        return self.inner.score(candidate)

    def pick(self, tried: Sequence[Candidate], generation: int, want_worst: bool) -> Choice:
        """Return best and worst, or two drawn."""
        choice = self.inner.pick(tried, generation, want_worst)
        rng = np.random.default_rng((self.seed, generation))
        if rng.random() >= self.share:
            return choice
        order = rng.permutation(len(tried))
        worst = tried[order[1]].id if choice.worst is not None else None
        return Choice(tried[order[0]].id, worst, choice.comparisons)


@dataclass(frozen=True)
class Swapped:
    """Tells the worst for the best: the control that shows whether feedback is used at all.

    The choice at the end, which asks for no worst one, is the inner judge's own.

    Attributes:
        inner: Who judges.
    """

    inner: Judge

    @property
    def name(self) -> str:
        """What pages call it."""
        return f"{self.inner.name}, best and worst swapped"

    def score(self, candidate: Candidate) -> float | None:
        """Return the inner judge's."""
        return self.inner.score(candidate)

    def pick(self, tried: Sequence[Candidate], generation: int, want_worst: bool) -> Choice:
        """Return best and worst, swapped."""
        choice = self.inner.pick(tried, generation, want_worst)
        if choice.worst is None:
            return choice
        return Choice(choice.worst, choice.best, choice.comparisons)
