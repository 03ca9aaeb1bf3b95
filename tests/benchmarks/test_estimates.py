"""The measures of Agarwal et al. (2021): what they are by hand, and that their intervals hold what they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import estimates

SCORES = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=6), min_size=1, max_size=4)


def test_the_interquartile_mean_leaves_out_a_quarter_at_either_end() -> None:
    """Of 0, 1, ..., 7 it is the mean of 2, 3, 4, 5, however they are dealt out to tasks."""
    assert estimates.iqm([[0, 1, 2, 3], [4, 5, 6, 7]]) == 3.5
    assert estimates.iqm([[7, 0], [1, 6], [2, 5], [3, 4]]) == 3.5
    assert estimates.iqm([[0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1000]]) == 0.5


@given(SCORES, st.data())
def test_the_chance_to_be_better_counts_pairs_task_by_task(
    ours: list[list[float]], data: st.DataObject
) -> None:
    theirs = [data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=6)) for _ in ours]
    by_hand = np.mean(
        [
            np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(x, y)])
            for x, y in zip(ours, theirs, strict=True)
        ]
    )
    found = estimates.better(ours, theirs)
    assert found == pytest.approx(by_hand)
    assert found + estimates.better(theirs, ours) == pytest.approx(1.0)


def test_the_bootstrap_draws_seeds_within_tasks_and_never_tasks() -> None:
    """Two tasks that are far apart and do not vary: an interval over tasks would be wide, this one is a point."""
    assert estimates.iqm_interval([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]) == (0.5, 0.5)
    # A task with a single run stays as it is; the other is drawn.
    low, high = estimates.bootstrap(
        [[0.0, 1.0], [0.5]], lambda a, b: np.concatenate([a, b], -1).mean(-1)
    ) or (0, 0)
    assert (low, high) == (pytest.approx(0.5 / 3), pytest.approx(2.5 / 3))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Twenty runs of a known distribution, 200 times: 95 % intervals of the mean, which the bootstrap makes a little
    too narrow for few runs."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = estimates.mean_interval(rng.beta(2, 2, size=20).tolist()) or (0.0, 0.0)
        held += low <= 0.5 <= high
    assert 0.88 <= held / 200 <= 0.98


def test_a_profile_falls_from_all_runs_to_none_and_its_band_holds_it() -> None:
    scores = [[0.1, 0.5, 0.9], [0.3, 0.3, 0.7]]
    shares, band = estimates.profile(scores, [-0.1, 0.2, 0.3, 0.6, 1.0])
    assert shares == pytest.approx([1, 5 / 6, 3 / 6, 2 / 6, 0])
    assert band is not None
    assert all(low <= share <= high for share, (low, high) in zip(shares, band, strict=True))
    assert estimates.profile([[0.5]], [0.0])[1] is None


SCORES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=5)
"""Scores that differ clearly or not at all: what is a tie must not depend on rounding."""


@given(SCORES, SCORES)
def test_the_chance_of_a_difference_is_that_of_all_ways_to_deal_the_scores_out(
    ours: list[float], theirs: list[float]
) -> None:
    pool, n = [*ours, *theirs], len(ours)
    seen = abs(np.mean(ours) - np.mean(theirs))
    ways = list(itertools.combinations(range(len(pool)), n))
    far = 0
    for way in ways:
        left = [pool[i] for i in way]
        right = [pool[i] for i in range(len(pool)) if i not in way]
        far += abs(np.mean(left) - np.mean(right)) >= seen - 1e-9
    found = estimates.chance(ours, theirs)
    assert found == pytest.approx(far / len(ways))
    assert found >= min(estimates.least_chance(n, len(theirs)), 1.0) - 1e-12


def test_where_nothing_changed_few_chances_are_small() -> None:
    """Both sides from one distribution, 300 times: at most about one in twenty is below 0.05."""
    rng = np.random.default_rng(0)
    small = sum(estimates.chance(rng.random(5).tolist(), rng.random(5).tolist()) <= 0.05 for _ in range(300))
    assert small / 300 <= 0.08


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_never_below_the_chance_nor_above_bonferroni(chances: list[float]) -> None:
    corrected = estimates.holm(chances)
    for chance, told in zip(chances, corrected, strict=True):
        assert chance <= told <= min(1.0, chance * len(chances)) + 1e-12 or told == max(corrected)
    order = np.argsort(chances, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)
