"""Where labelled pairs come from: a ranking of factors, a simulated teacher, or people's answers in a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rewardspec.kinds.heron import Factor, Heron
from rewardspec.kinds.preferences import Answers, Preferences, Ranking
from rewardspec.learning.answers import Questions
from rewardspec.learning.features import Columns
from rewardspec.learning.fitting import Pairs
from rewardspec.learning.playing import is_playable, recipes
from rewardspec.learning.ranking import compare, cycle_rate, margins_of
from rewardspec.learning.teacher import label_pairs
from rewardspec.learning.trajectories import Segments, TrajectoryStore

Floats = npt.NDArray[np.float32]

Gains = Callable[[Segments], Floats]
"""What the agent's values say that a segment gained: value of where it ends minus value of where it begins, `[N]`."""


@dataclass(frozen=True)
class Drawn:
    """What a refresh has to fit.

    Attributes:
        pairs: The labelled pairs; none where all were tied or skipped.
        facts: Numbers for the log.
    """

    pairs: Pairs
    facts: dict[str, float]


class Comparisons(Protocol):
    """A source of labelled pairs."""

    def draw(self, store: TrajectoryStore, rng: np.random.Generator, gains: Gains | None) -> Drawn:
        """Return the pairs of one refresh."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint needs."""

    def take_state(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave."""


def comparisons_for(columns: Columns, folder: Path | None) -> Comparisons:
    """Return the source of pairs that a learned part's options ask for."""
    settings = columns.learned.settings
    if isinstance(settings, Heron):
        return ByRanking(columns, settings)
    assert isinstance(settings, Preferences)
    if isinstance(settings.labels, Answers):
        return ByPeople(columns, settings, Questions(folder, columns.learned.name, settings.labels.file))
    return Labelled(columns, settings)


def label_by_ranking(
    a: Floats, b: Floats, factors: tuple[Factor, ...], spread_from: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return the preferred side of each pair and the margins used.

    Args:
        a: `[N, L, K]` factors of the steps of one side; their means over a segment are compared.
        b: `[N, L, K]` of the other.
        factors: The ranking.
        spread_from: `[S, K]` means of segments over which margins in units of a spread are taken.
    """
    margins = margins_of(factors, spread_from)
    return compare(a.mean(1, dtype=np.float64), b.mean(1, dtype=np.float64), margins), margins


class ByRanking:
    """HERON: pairs drawn anew at each refresh, labelled by the ranking; ties are left out."""

    def __init__(self, columns: Columns, settings: Heron) -> None:
        """Compare by `settings.factors`, which stand in the part's measures."""
        self._columns, self._settings = columns, settings

    def draw(self, store: TrajectoryStore, rng: np.random.Generator, gains: Gains | None = None) -> Drawn:
        """Return the decided pairs among those drawn."""
        settings, columns = self._settings, self._columns
        left, right = (store.draw(settings.pairs, settings.segment, rng) for _ in range(2))
        a, b = store.take(left, columns.measures), store.take(right, columns.measures)
        if not len(a):
            return Drawn(_no_pairs(store, columns, settings.segment), {"drawn": 0.0})
        drawn = np.concatenate([a, b]).mean(1, dtype=np.float64)
        spread = drawn if settings.spread_over == "draw" else self._all_means(store, drawn)
        sides, margins = label_by_ranking(a, b, settings.factors, spread)
        decided = sides != 0
        pairs = Pairs(
            store.take(left, columns.inputs)[decided],
            store.take(right, columns.inputs)[decided],
            (sides[decided] > 0).astype(np.float32),
        )
        facts = {
            "drawn": float(len(a)),
            "ties": float(np.mean(~decided)),
            "cycle_rate": cycle_rate(drawn, margins, rng),
        }
        facts |= {f"margin/{f.name}": float(m) for f, m in zip(settings.factors, margins, strict=True)}
        return Drawn(pairs, facts)

    def _all_means(self, store: TrajectoryStore, drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the factors of all stored steps; of longer segments the means that were drawn."""
        if self._settings.segment > 1:
            return drawn
        return store.latest()[:, self._columns.measures].astype(np.float64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return nothing: pairs are not kept."""
        return {}

    def take_state(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up nothing."""


class Labelled:
    """Pairs that are labelled once and kept: by a simulated teacher, or by a ranking."""

    def __init__(self, columns: Columns, settings: Preferences) -> None:
        """Begin without a label."""
        self._columns, self._settings = columns, settings
        width = columns.inputs.stop - columns.inputs.start
        shape = (0, settings.segment, width)
        self._a, self._b = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._label, self._offset = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._asked = 0

    def draw(self, store: TrajectoryStore, rng: np.random.Generator, gains: Gains | None = None) -> Drawn:
        """Ask for labels of new pairs, within the budget; return all pairs that were ever labelled."""
        settings, columns = self._settings, self._columns
        left_over = settings.pairs if settings.budget is None else settings.budget - self._asked
        number = min(settings.pairs, max(left_over, 0))
        left, right = (store.draw(number, settings.segment, rng) for _ in range(2))
        facts = {"drawn": float(len(left))}
        if len(left):
            a, b = store.take(left, columns.measures), store.take(right, columns.measures)
            label = self._say(a, b, rng, facts)
            kept = ~np.isnan(label)
            self._asked += len(left)
            self._keep(store, left, right, label, kept, gains)
        facts["labels"] = float(len(self._label))
        offset = self._offset if settings.statistic == "regret" else None
        return Drawn(Pairs(self._a, self._b, self._label, offset), facts)

    def _say(
        self, a: Floats, b: Floats, rng: np.random.Generator, facts: dict[str, float]
    ) -> npt.NDArray[np.float64]:
        """Return labels; NaN where there is none."""
        labels = self._settings.labels
        if isinstance(labels, Ranking):
            drawn = np.concatenate([a, b]).mean(1, dtype=np.float64)
            sides, margins = label_by_ranking(a, b, labels.ranking, drawn)
            facts["cycle_rate"] = cycle_rate(drawn, margins, rng)
            found = np.where(sides == 0, np.nan, (sides > 0).astype(np.float64))
        else:
            assert not isinstance(labels, Answers)
            found = label_pairs(a[:, :, 0], b[:, :, 0], labels, rng)
        facts["ties"] = float(np.isnan(found).mean())
        return found

    def _keep(
        self,
        store: TrajectoryStore,
        left: Segments,
        right: Segments,
        label: npt.NDArray[np.float64],
        kept: npt.NDArray[np.bool_],
        gains: Gains | None,
    ) -> None:
        inputs = self._columns.inputs
        self._a = np.concatenate([self._a, store.take(left, inputs)[kept]])
        self._b = np.concatenate([self._b, store.take(right, inputs)[kept]])
        self._label = np.concatenate([self._label, label[kept].astype(np.float32)])
        offset = gains(left) - gains(right) if gains is not None else np.zeros(len(left), np.float32)
        self._offset = np.concatenate([self._offset, offset[kept].astype(np.float32)])

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the labelled pairs."""
        kept = {"a": self._a, "b": self._b, "label": self._label, "offset": self._offset}
        return kept | {"asked": np.array(self._asked)}

    def take_state(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the labelled pairs up again."""
        self._a, self._b = saved["a"], saved["b"]
        self._label, self._offset = saved["label"], saved["offset"]
        self._asked = int(saved["asked"])


class ByPeople:
    """Pairs that people are asked about: questions are written at each refresh, answers read at each.

    What is drawn depends on what is stored and on how many were asked before, and on no other generator: a run that
    was killed and goes on asks on where it was.

    Attributes:
        played: Where in the store what plays an episode again stands (see `playing.pack`); None where it is not there.
    """

    played: slice | None = None

    def __init__(self, columns: Columns, settings: Preferences, questions: Questions) -> None:
        """Ask by `questions`."""
        self._columns, self._settings, self._questions = columns, settings, questions
        self._has_told = False

    def draw(self, store: TrajectoryStore, rng: np.random.Generator, gains: Gains | None = None) -> Drawn:
        """Write new questions, as long as not too many are open; return the pairs that were answered."""
        settings, inputs = self._settings, self._columns.inputs
        budget = settings.pairs if settings.budget is None else settings.budget - self._questions.asked
        number = min(settings.pairs - self._questions.open, max(budget, 0))
        left, right = self._draw(store, max(number, 0))
        offset = gains(left) - gains(right) if gains is not None and len(left) else None
        played = None
        if self.played is not None:
            played = (recipes(store, left, self.played), recipes(store, right, self.played))
        self._questions.ask(left, right, store.take(left, inputs), store.take(right, inputs), offset, played)
        a, b, label, extra = self._questions.answered(settings.segment, inputs.stop - inputs.start)
        facts = {"drawn": float(len(left)), "labels": float(len(label)), "open": float(self._questions.open)}
        if not len(label) and not self._has_told:
            self._has_told = True
            text = (
                f"'{self._questions.name}' pays 0 until its questions are answered: {self._questions.command}"
            )
            warnings.warn(text, stacklevel=2)
        return Drawn(Pairs(a, b, label, extra if settings.statistic == "regret" else None), facts)

    def _draw(self, store: TrajectoryStore, number: int) -> tuple[Segments, Segments]:
        """Return pairs that are worth a person's time: both sides can be shown, and share no step."""
        rng = np.random.default_rng((store.written, self._questions.asked))
        length = self._settings.segment
        left, right = (store.draw(4 * number, length, rng) for _ in range(2))
        fit = (left.envs != right.envs) | (left.episodes != right.episodes)
        fit |= np.abs(left.starts - right.starts) >= length
        if self.played is not None:
            fit &= is_playable(store, left, self.played) & is_playable(store, right, self.played)
        kept = np.flatnonzero(fit)[:number]
        return left.only(kept), right.only(kept)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return nothing: questions and answers are files of the run, and stay."""
        return {}

    def take_state(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up nothing."""


def _no_pairs(store: TrajectoryStore, columns: Columns, segment: int) -> Pairs:
    none = np.zeros((0, segment, columns.inputs.stop - columns.inputs.start), np.float32)
    return Pairs(none, none, np.zeros(0, np.float32))
