"""The exact parts of the experiment on overoptimisation, and the effect that it is about, small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.experiments import overoptimisation as experiment
from benchmarks.experiments.overoptimisation import (
    FEATURES,
    MEMBERS,
    NS,
    Task,
    best_of,
    kl_of_best,
    law,
    planted,
    policy_gradient,
    rank_weights,
)


def test_best_of_n_weighs_ranks_as_drawing_without_replacement_does() -> None:
    scores = np.arange(5.0)
    for n in (1, 2, 5):
        weights = rank_weights(5, n)
        assert weights.sum() == pytest.approx(1)
        drawn = np.random.default_rng(n).permuted(np.tile(scores, (20_000, 1)), axis=1)[:, :n].max(1)
        assert weights @ scores == pytest.approx(drawn.mean(), abs=0.03)


def test_the_divergence_of_best_of_n_is_that_of_its_ranks() -> None:
    for n in (1, 4, 16):
        weights = rank_weights(20_000, n)
        held = weights[weights > 0]
        assert kl_of_best(n) == pytest.approx(float(held @ np.log(held * 20_000)), abs=0.01)
    assert kl_of_best(16) == pytest.approx(1.8351, abs=1e-4)


def test_shared_errors_leave_a_floor_under_the_error_of_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Var(mean error) = v (rho + (1 - rho) / M), where errors have a variance: normal ones here."""

    class Normal:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)
            self.normal = self.rng.normal

        def standard_t(self, _degrees: int, size: Any) -> Any:
            return self.rng.normal(size=size)

    for rho in (0.0, 0.45, 1.0):
        gold, members = planted(100_000, rho, Normal())  # type: ignore[arg-type]
        errors = members - gold
        assert errors.mean(0).var() == pytest.approx(rho + (1 - rho) / MEMBERS, rel=0.03)
        assert np.corrcoef(errors)[0, 1] == pytest.approx(rho, abs=0.02)


def ends(case: str, optimiser: str = "best of n") -> dict[str, float]:
    setting = {"name": "x", "optimiser": optimiser, "case": case, "steps": 8192}
    rows = [experiment.run(setting, seed) for seed in range(3)]
    return {
        row["by"]: float(np.mean([each[i]["gold"][-1] for each in rows])) for i, row in enumerate(rows[0])
    }


def test_with_errors_of_their_own_pessimists_win_and_the_mean_does_not_last() -> None:
    own = ends("independent errors")
    assert own["WCO"] > 2.5 and own["UWO"] > 2.5
    assert own["single"] < 0.7 and own["mean"] < 0.7
    assert own["gold"] > own["UWO"]


def test_with_shared_errors_no_combination_helps() -> None:
    for optimiser in experiment.OPTIMISERS:
        told = ends("shared errors", optimiser)
        assert {round(end, 3) for by, end in told.items() if by != "gold"} == {round(told["single"], 3)}


def test_gradient_ascent_on_gold_finds_its_peak() -> None:
    """w x - c mean(x^2) in expectation: greatest at |mean| = D / (2 c), a KL of D^2 / (8 c^2)."""
    weights = np.eye(FEATURES)[0]
    curve = policy_gradient(
        Task(weights, lambda x: np.zeros((MEMBERS, len(x)))), "gold", np.random.default_rng(0)
    )
    assert curve["gold"][0] == pytest.approx(-1) and curve["kl"][0] == 0
    assert curve["gold"][-1] == pytest.approx(FEATURES / 4 - 1, abs=0.05)
    assert curve["kl"][-1] == pytest.approx(FEATURES**2 / 8, rel=0.2), "the last of it is slow"


@pytest.mark.parametrize("optimiser", experiment.OPTIMISERS)
def test_the_law_is_found_again(optimiser: str) -> None:
    kl = np.array([kl_of_best(n) for n in NS])
    d = np.sqrt(np.maximum(kl, 1e-12))
    gold = 0.3 + d * (2 - 0.5 * (d if optimiser == "best of n" else np.log(d)))
    alpha, beta, explained = law(kl.tolist(), gold.tolist(), optimiser)
    assert (alpha, beta, explained) == pytest.approx((2, 0.5, 1), abs=1e-3)


def test_the_best_of_one_is_anyone() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    curve = best_of(scores, 2 * scores)
    assert curve["kl"][0] == 0 and curve["gold"][0] == pytest.approx(2 * scores.mean(), abs=1e-4)
    assert curve["gold"] == sorted(curve["gold"])


@pytest.mark.parametrize("case", experiment.FITTED)
def test_every_fitted_case_makes_its_rows(case: str) -> None:
    for optimiser in experiment.OPTIMISERS:
        rows = experiment.run({"name": "x", "optimiser": optimiser, "case": case, "steps": 4096}, 0)
        assert [row["by"] for row in rows] == ["gold", "single", *experiment.ways(optimiser)]
        assert all(np.isfinite(row[what]).all() for row in rows for what in ("kl", "proxy", "gold"))
        assert 0 <= experiment.score(rows) <= 1
