"""Measures of risk: what they are on draws that can be checked by eye, and the laws that make them usable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.games.game import Floats
from rewardspec.games.response import respond
from rewardspec.games.risk import MEASURES, Risk, RiskCurve, covariance, measure_risk, moments, worst_mean

SEEDS = st.integers(0, 10**6)
CONVEX = [Risk(), Risk("lower_partial_moment"), Risk("lower_partial_moment", target=0.3), Risk("cvar", 0.3)]


def drawn(seed: int) -> tuple[Floats, Floats, Floats]:
    """Return a strategy, a table and the opponents' probabilities."""
    rng = np.random.default_rng(seed)
    actions, outcomes = rng.integers(2, 6, size=2)
    return (
        rng.dirichlet(np.ones(actions)),
        rng.normal(size=(actions, outcomes)),
        rng.dirichlet(np.ones(outcomes)),
    )


@given(SEEDS)
def test_sigma_is_positive_semidefinite_and_gives_the_variance(seed: int) -> None:
    x, table, p = drawn(seed)
    sigma = covariance(table, p)
    assert np.linalg.eigvalsh(sigma).min() > -1e-12
    assert x @ sigma @ x == pytest.approx(moments(x, table, p).variance, abs=1e-12)


@given(SEEDS)
def test_a_constant_on_a_row_leaves_sigma_alone(seed: int) -> None:
    _, table, p = drawn(seed)
    moved = table.copy()
    moved[0] += 17.0
    assert covariance(moved, p) == pytest.approx(covariance(table, p), abs=1e-10)


@given(SEEDS)
def test_realised_variance_is_that_of_the_payoff_drawn(seed: int) -> None:
    x, table, p = drawn(seed)
    chance = np.outer(x, p)
    mean = (chance * table).sum()
    found = moments(x, table, p)
    assert found.realised_variance == pytest.approx((chance * (table - mean) ** 2).sum())
    assert found.realised_variance >= found.variance - 1e-12


def test_the_measures_on_a_draw_of_two() -> None:
    """Payoffs 1 and -10 with probabilities 0.9 and 0.1: mean -0.1, shortfall of the bad one 9.9."""
    x, table, p = np.ones(1), np.array([[1.0, -10.0]]), np.array([0.9, 0.1])
    assert measure_risk(Risk(), x, table, p) == pytest.approx(0.9 * 1.1**2 + 0.1 * 9.9**2)
    assert measure_risk(Risk("lower_partial_moment"), x, table, p) == pytest.approx(0.1 * 9.9**2)
    assert measure_risk(Risk("lower_partial_moment", target=-8.0), x, table, p) == pytest.approx(0.1 * 2.0**2)
    assert worst_mean(table[0], p, 0.1) == pytest.approx(-10.0)
    assert measure_risk(Risk("cvar", 0.2), x, table, p) == pytest.approx(-0.1 + 4.5)


@pytest.mark.parametrize("measure", MEASURES)
def test_opponents_who_do_not_mix_bring_no_risk(measure: str) -> None:
    table, sure = np.array([[1.0, -3.0], [0.0, 2.0]]), np.array([0.0, 1.0])
    assert measure_risk(Risk(measure), np.array([0.0, 1.0]), table, sure) == pytest.approx(0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("risk", CONVEX, ids=lambda risk: f"{risk.measure}-{risk.target}")
@given(seed=SEEDS)
@settings(max_examples=30)
def test_gradients_and_values_of_a_convex_risk(risk: Risk, seed: int) -> None:
    x, table, p = drawn(seed)
    curve = RiskCurve(risk, table, p)
    here = curve(x)
    close = 0.01 if risk.measure == "cvar" else 1e-10  # its kink is rounded there
    assert here.value == pytest.approx(measure_risk(risk, x, table, p), abs=close)
    rng = np.random.default_rng(seed)
    way = rng.dirichlet(np.ones(len(x))) - x
    step = 1e-6
    rise = (curve(x + step * way).value - curve(x - step * way).value) / (2 * step)
    assert rise == pytest.approx(float(here.gradient @ way), abs=1e-4)
    assert np.linalg.eigvalsh(here.hessian).min() > -1e-8


@pytest.mark.parametrize("risk", CONVEX, ids=lambda risk: f"{risk.measure}-{risk.target}")
@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_nothing_beats_a_best_reply(risk: Risk, temperature: float) -> None:
    rng = np.random.default_rng(1)
    for seed in range(8):
        _, table, p = drawn(seed)

        def value(x: Floats, table: Floats = table, p: Floats = p) -> float:
            curve = RiskCurve(risk, table, p)(x).value if temperature else measure_risk(risk, x, table, p)
            entropy = -float(x @ np.log(np.maximum(x, 1e-300)))
            return float(x @ table @ p) - 0.7 * curve + temperature * entropy

        best = respond(table, p, 0.7, risk, temperature)
        assert best.sum() == pytest.approx(1.0) and best.min() >= 0.0
        others = [rng.dirichlet(np.full(len(best), 0.5)) for _ in range(40)]
        near = [0.99 * best + 0.01 * other for other in others]
        assert max(map(value, [*others, *near])) <= value(best) + 1e-6


def test_nothing_beats_a_best_reply_to_realised_variance() -> None:
    rng = np.random.default_rng(1)
    for seed in range(8):
        _, table, p = drawn(seed)

        def value(x: Floats, table: Floats = table, p: Floats = p) -> float:
            found = moments(x, table, p)
            return (
                found.expected
                - 0.7 * found.realised_variance
                - 0.2 * float(x @ np.log(np.maximum(x, 1e-300)))
            )

        best = respond(table, p, 0.7, Risk("realised_variance"), 0.2)
        assert max(value(rng.dirichlet(np.ones(len(best)))) for _ in range(200)) <= value(best) + 1e-9
