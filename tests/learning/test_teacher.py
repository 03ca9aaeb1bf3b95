"""The simulated teacher: each fault of people on its own, at its rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rewardspec.kinds.preferences import Teacher
from rewardspec.learning.teacher import label_pairs

Floats = npt.NDArray[np.float64]

NUMBER = 20_000
"""Pairs over which a rate is taken: its standard error is at most .0036."""

CLOSE = 0.0125
"""Three and a half standard errors; seeds are fixed, so a test that passes goes on passing."""


def labels(a: npt.ArrayLike, b: npt.ArrayLike, seed: int = 0, **faults: Any) -> Floats:
    return label_pairs(a, b, Teacher.model_validate(faults), np.random.default_rng(seed))


def segments(length: int = 4) -> tuple[Floats, Floats]:
    a, b = np.random.default_rng(7).normal(size=(2, NUMBER, length))
    return a, b


def test_without_faults_the_greater_return_wins_and_equal_ones_are_equal() -> None:
    a, b = segments()
    assert np.array_equal(labels(a, b), (a.sum(1) > b.sum(1)).astype(float))
    assert labels([[1.0, 2.0]], [[2.0, 1.0]]).tolist() == [0.5]


@pytest.mark.parametrize(("rationality", "gap"), [(0.5, 1.0), (2.0, 0.4), (2.0, -0.4), (10.0, 0.0)])
def test_a_teacher_of_limited_rationality_errs_as_the_logistic_function_says(
    rationality: float, gap: float
) -> None:
    said = labels(np.full((NUMBER, 1), gap), np.zeros((NUMBER, 1)), rationality=rationality)
    assert set(said) <= {0.0, 1.0}
    assert said.mean() == pytest.approx(1 / (1 + np.exp(-rationality * gap)), abs=CLOSE)


def test_great_differences_do_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert labels([[1e9], [-1e9]], [[0.0], [0.0]], rationality=1e3).tolist() == [1.0, 0.0]


def test_a_myopic_teacher_weighs_a_step_by_how_late_it_comes() -> None:
    """Weights .25, .5, 1: a good end beats a better beginning, and only just not a much better one."""
    early, late = [[3.9, 0.0, 0.0]], [[0.0, 0.0, 1.0]]
    assert labels(early, late).tolist() == [1.0]
    assert labels(early, late, myopia=0.5).tolist() == [0.0]
    assert labels([[4.1, 0.0, 0.0]], late, myopia=0.5).tolist() == [1.0]
    a, b = segments()
    weighed = (a - b) @ 0.9 ** np.arange(3, -1, -1)
    assert np.array_equal(labels(a, b, myopia=0.9), (weighed > 0).astype(float))


@pytest.mark.parametrize("mistakes", [0.0, 0.1, 0.25, 1.0])
def test_mistakes_turn_their_share_of_labels_over_whatever_the_difference(mistakes: float) -> None:
    a, b = segments()
    wrong = labels(a, b, mistakes=mistakes) != labels(a, b)
    assert wrong.mean() == pytest.approx(mistakes, abs=CLOSE)
    clear = np.abs((a - b).sum(1)) > 2
    assert wrong[clear].mean() == pytest.approx(mistakes, abs=2 * CLOSE)


def test_mistakes_come_on_top_of_limited_rationality() -> None:
    """P(better wins) = p (1 - m) + (1 - p) m."""
    chance, mistakes = 1 / (1 + np.exp(-1.0)), 0.2
    said = labels(np.ones((NUMBER, 1)), np.zeros((NUMBER, 1)), rationality=1.0, mistakes=mistakes)
    expected = chance * (1 - mistakes) + (1 - chance) * mistakes
    assert said.mean() == pytest.approx(expected, abs=CLOSE)


def test_near_returns_are_equal_even_for_a_teacher_who_errs() -> None:
    a, b = segments()
    said = labels(a, b, equal_within=1.0, mistakes=0.3, rationality=1.0)
    near = np.abs((a - b).sum(1)) < 1.0
    assert np.array_equal(said == 0.5, near)
    assert labels([[1.0]], [[0.0]], equal_within=1.0).tolist() == [1.0], "less than, not at most"


def test_a_pair_whose_better_side_is_too_bad_is_skipped() -> None:
    a, b = segments()
    said = labels(a, b, skip_below=0.5, equal_within=1.0)
    bad = np.maximum(a.sum(1), b.sum(1)) < 0.5
    assert np.array_equal(np.isnan(said), bad)
    assert labels([[0.5]], [[0.0]], skip_below=0.5).tolist() == [1.0], "less than, not at most"
    assert labels([[0.0], [-2.0]], [[-9.0], [-9.0]], skip_below=-1.0).tolist()[0] == 1.0
    assert np.isnan(labels([[-2.0]], [[-9.0]], skip_below=-1.0)).all()


def test_equal_and_skipped_are_judged_by_whole_returns_not_by_what_is_remembered() -> None:
    """As B-Pref does: myopia changes who wins and nothing else."""
    a, b = [[2.0, 0.0]], [[0.0, 0.5]]
    assert labels(a, b, myopia=0.1, equal_within=1.0).tolist() == [0.0], "remembered, they differ by .3"
    assert labels(a, b, myopia=0.1, skip_below=1.0).tolist() == [0.0], "remembered, the better one has .5"


def test_the_same_seed_says_the_same_and_another_does_not() -> None:
    a, b = segments()
    first, again, other = (labels(a, b, seed, rationality=1.0, mistakes=0.1) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_pairs_have_no_labels() -> None:
    assert labels(np.zeros((0, 3)), np.zeros((0, 3)), rationality=1.0).shape == (0,)
