"""What a proposer is told: where the search stands. It is put together anew each time, never appended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rewardspec.search.admission import Proposal
from rewardspec.search.candidate import Candidate
from rewardspec.search.differences import differences
from rewardspec.spec.model import Spec

PARTS = ("trace", "differences", "bad", "score")
"""Parts of the feedback that can be left out, or, the score, put in: the paper's ablations."""


@dataclass(frozen=True)
class Feedback:
    """Which parts a proposer is told, besides the best spec of the generation before.

    Attributes:
        trace: What each term paid along training.
        differences: What told the best specs of earlier generations apart, each with its trace.
        bad: The worst spec of the generation before.
        score: The judged score itself. Off in the paper but for one ablation: a person gives none.
        is_open: Nothing is told at all: every generation proposes as the first one does. The control.
    """

    trace: bool = True
    differences: bool = True
    bad: bool = True
    score: bool = False
    is_open: bool = False


@dataclass(frozen=True)
class Standing:
    """Where the search stands when a proposer is asked.

    Attributes:
        base: The spec that the search began with.
        generation: The one that is proposed for, from 1.
        goods: The best of each generation before, in order; empty in the first, and in an open loop.
        bad: The worst of the generation before; None likewise, and where it is left out.
        refused: Why proposals of this generation were refused, or could not be trained, the latest last.
        feedback: What of it a proposer is told.
        seed: Of the search.
    """

    base: Spec
    generation: int
    goods: tuple[Candidate, ...] = ()
    bad: Candidate | None = None
    refused: tuple[str, ...] = ()
    feedback: Feedback = field(default_factory=Feedback)
    seed: int = 0

    @property
    def good(self) -> Candidate | None:
        """The best of the generation before."""
        return self.goods[-1] if self.goods else None

    def history(self) -> list[tuple[Candidate, tuple[str, ...]]]:
        """Return what became of the best specs: each but the last, with what the next one does differently."""
        return [
            (before, differences(before.spec, after.spec))
            for before, after in zip(self.goods, self.goods[1:], strict=False)
        ]


class Proposer(Protocol):
    """Who proposes."""

    @property
    def name(self) -> str:
        """What records and pages call it."""
        ...

    def propose(self, standing: Standing, need: int, round: int) -> Sequence[Proposal]:
        """Return proposals, more than are needed or fewer.

        Equal arguments give equal proposals, or what was proposed the first time: a search that was stopped asks again.

        Args:
            standing: Where the search stands.
            need: Candidates that are missing.
            round: Which request of this generation it is, from 0.
        """
        ...
