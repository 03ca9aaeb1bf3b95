"""The published figures on OfficeWorld, and how curves are read."""

from __future__ import annotations

import gymnasium as gym
import pytest

import envs  # noqa: F401  (registers the worlds)
from benchmarks.experiments import craft, office
from benchmarks.machines import METHODS, crossings, learn, near, packed, score, spread, steps_to_95
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import reward_per_step, solve, uniform
from rewardspec.tabular.world import tabulate

OPTIMAL = {"coffee": 0.072933, "mail": 0.031371, "both": 0.031345, "patrol": 0.028068}
"""Optimal reward per step, 10 % of the actions random, as the released code has it (estimated from episodes)."""


@pytest.mark.parametrize("task", OPTIMAL)
def test_the_published_optima_are_those_of_machines_that_pay_for_a_broken_decoration(task: str) -> None:
    world = tabulate(gym.make("rewardspec/OfficeWorld-v0"))
    found = {}
    for how in ("", ", released"):
        (program,) = office.programs_of(f"{task}{how}" if task != "both" or not how else "single, released")
        product = take_product(program, world)
        found[how] = reward_per_step(product, uniform(solve(product, 0.9).optimal, 0.1)).of_episodes
    assert found[", released"] == pytest.approx(OPTIMAL[task], rel=0.004)
    assert found[""] < 0.8 * OPTIMAL[task]


@pytest.mark.parametrize("method", ["CRM", "CRM+RS", "HRM"])
def test_learning_takes_the_published_number_of_steps(method: str) -> None:
    task = "single, released"
    setting = {"agent": METHODS[method], "steps": 30_000, "points": 30, "curves": ["of_optimum", "per_step"]}
    world = tabulate(gym.make("rewardspec/OfficeWorld-v0"))
    rows = [learn(office.programs_of(task), world, setting, seed) for seed in range(5)]
    published = office.PUBLISHED[task][method].steps
    assert [near(a, b) for a, b in zip(crossings(rows), published, strict=True)] == [True, True, True]
    assert 0.0 < score(rows) < 1.0


def test_curves_are_read_as_they_were_written() -> None:
    row = {"every": 10, "of_optimum": packed([0, 96, 50, 95, 97, 100]), "per_step": [0, 400, 600, 1000]}
    assert steps_to_95(row) == 40, "once is not enough"
    assert crossings([row]) == [30, 40, 40]
    assert spread([10_000, 20_000, 30_000, None]) == "20 (10 to 30)"
    assert spread([None, None, 5_000]) == "- (5 to -)"
    assert not near(86_000, 74) and near(85_000, 74) and near(None, None) and not near(None, 3)


def test_every_setting_has_a_name_of_its_own() -> None:
    for experiment in (office, craft):
        names = [setting["name"] for setting in experiment.SETTINGS]
        assert len(set(names)) == len(names)
