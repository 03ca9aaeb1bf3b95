"""The offline test of a judge: counts by hand, baselines, the data set's labels, and the records of real models."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.calm import sets
from benchmarks.calm.rooms import minihack_room, text_room
from benchmarks.calm.transitions import SUBGOALS, balanced, calm_bin, natural
from rewardspec.llm.evaluation import Counts, always, count, exact_share, score

KEY, DOOR = SUBGOALS


def truths(*words: str) -> list[dict[str, bool]]:
    return [{KEY: "k" in word, DOOR: "d" in word} for word in words]


@pytest.mark.parametrize(
    ("said", "true", "paper", "strict"),
    [
        (("k", "d", ""), ("k", "d", ""), Counts(2, 0, 0, 1), Counts(2, 0, 0, 4)),
        (("k",), ("d",), Counts(1, 0, 0, 0), Counts(0, 1, 1, 0)),  # the wrong subgoal
        (("kd",), ("k",), Counts(1, 0, 0, 0), Counts(1, 1, 0, 0)),
        (("k", ""), ("", "k"), Counts(0, 1, 1, 0), Counts(0, 1, 1, 2)),
        (("", ""), ("k", "d"), Counts(0, 0, 2, 0), Counts(0, 0, 2, 2)),
        (("",), ("",), Counts(0, 0, 0, 1), Counts(0, 0, 0, 2)),
    ],
)
def test_confusion_tables_by_hand(
    said: tuple[str, ...], true: tuple[str, ...], paper: Counts, strict: Counts
) -> None:
    assert count(truths(*said), truths(*true), "paper") == paper
    assert count(truths(*said), truths(*true), "strict") == strict


def test_scores_by_hand() -> None:
    counts = Counts(tp=3, fp=1, fn=2, tn=4)
    assert (counts.precision, counts.recall, counts.accuracy) == (0.75, 0.6, 0.7)
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)


def test_who_names_nothing_scores_zero_and_not_nan() -> None:
    for counts in (Counts(), Counts(fn=5, tn=5), Counts(fp=5), Counts(tn=3)):
        assert (counts.f1, counts.precision, counts.recall) == (0.0, 0.0, 0.0)
    found = score(truths("", ""), truths("k", ""), "paper")
    assert (found.f1, found.low, found.high) == (0.0, 0.0, 0.0)


def test_always_yes_scores_high_on_a_balanced_set_and_low_on_a_natural_one() -> None:
    """Why no F1 stands alone: 34 positives of 50 give .81 to who looks at nothing, 8 % give .15."""
    even = truths(*["k"] * 17, *["d"] * 17, *[""] * 16)
    blind = count(always(True, even), even, "paper")
    assert (round(blind.precision, 2), round(blind.f1, 2)) == (0.68, 0.81)
    rare = truths(*["k"] * 4, *["d"] * 4, *[""] * 92)
    assert round(count(always(True, rare), rare, "paper").f1, 2) == 0.15
    assert count(always(False, even), even, "paper").f1 == 0.0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Right with probability .8 on 50 steps, half of them positive: F1 is .8 in the long run."""
    rng, covered = np.random.default_rng(0), 0
    for seed in range(100):
        true = truths(*["k"] * 25, *[""] * 25)
        said = [{KEY: t[KEY] ^ (rng.random() < 0.2), DOOR: False} for t in true]
        found = score(said, true, "paper", resamples=300, seed=seed)
        covered += found.low <= 0.8 <= found.high
    assert 85 <= covered <= 100


def test_steps_told_exactly() -> None:
    assert exact_share(truths("k", "d", "kd"), truths("k", "d", "k")) == pytest.approx(2 / 3)


# -- the data set ---------------------------------------------------------------------------------------------


def sort_of(events: frozenset[str]) -> str:
    return next(iter(events), "neither")


def test_the_text_room_gives_balanced_sets_whose_labels_are_calms_own() -> None:
    steps = balanced(text_room(), seed=5)
    assert Counter(sort_of(step.events) for step in steps) == {"key": 17, "door": 17, "neither": 16}
    assert all(calm_bin(step) == sort_of(step.events) for step in steps)
    played = natural(text_room(), episodes=30)
    rate = sum(map(bool, (step.events for step in played))) / len(played)
    assert 0.05 < rate < 0.25 and all(calm_bin(step) == sort_of(step.events) for step in played)


@pytest.mark.filterwarnings("ignore")
def test_the_stored_set_is_that_of_minihack() -> None:
    """Fifty steps, regenerated with NetHack: the same bytes, and every label agrees with the message and the map."""
    steps = balanced(minihack_room())
    assert Counter(sort_of(step.events) for step in steps) == {"key": 17, "door": 17, "neither": 16}
    assert all(calm_bin(step) == sort_of(step.events) for step in steps)
    assert [sets.stored(step) for step in steps] == sets.read(sets.BALANCED)
