"""The hints pay what they say, the controllers reach what they are known for, and a page is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import envs  # noqa: F401  # registers the worlds
from benchmarks.experiments import barfi
from benchmarks.records import Cell
from envs.maze_world import DIRECTIONS, STRIDE, MazeWorld
from rewardspec import from_data, wrap
from rewardspec.wrappers.single import RewardSpecWrapper


def controlled(proportional: float, derivative: float, episodes: int, env: gym.Env[Any, Any]) -> list[float]:
    """Return the returns of a PD controller on the pole's angle."""
    returns = []
    for seed in range(episodes):
        obs, _ = env.reset(seed=seed)
        before, total, over = 0.0, 0.0, False
        while not over:
            action = int(proportional * obs[2] + derivative * (obs[2] - before) > 0)
            before = obs[2]
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


def test_controllers_score_what_they_are_known_for() -> None:
    """Measured over 50 episodes for the method's sheet: 500 +- 0 and 304 +- 133; with D = 0.05 72.5 +- 18.5."""
    env = gym.make("CartPole-v1")
    assert controlled(0.1, 0.5, 20, env) == [500.0] * 20
    assert 220 < np.mean(controlled(0.1, 0.1, 30, env)) < 390
    assert 60 < np.mean(controlled(0.1, 0.05, 30, env)) < 90


@pytest.mark.parametrize(("hint", "right", "wrong"), [("good", 5.0, -1.0), ("harmful", -5.0, 1.0)])
def test_the_controllers_hint_compares_with_what_it_would_do(hint: str, right: float, wrong: float) -> None:
    env = hinted("cartpole", hint)
    obs, _ = env.reset(seed=3)
    before, rng = 0.0, np.random.default_rng(0)
    for _ in range(40):
        wanted = int(0.1 * obs[2] + 0.5 * (obs[2] - before) > 0)
        before = obs[2]
        action = wanted if rng.random() < 0.8 else 1 - wanted
        obs, reward, terminated, _, _ = env.step(action)
        if terminated:
            break
        assert reward == pytest.approx(1.0 + (right if action == wanted else wrong))


def hinted(world: str, hint: str) -> RewardSpecWrapper:
    spec = from_data(barfi.spec_of(world, hint))
    assert spec.env is not None and spec.env.id is not None
    return wrap(gym.make(spec.env.id, **spec.env.kwargs), spec)


@pytest.mark.parametrize("hint", ["good", "good, true distance", "harmful"])
def test_the_mazes_hints_add_up_over_strides(hint: str) -> None:
    """Walk stride by stride beside the world and compare."""
    pays = {
        "good": lambda x, y: -((x - 0.87) ** 2 + 0.0144),
        "good, true distance": lambda x, y: -((x - 0.87) ** 2 + (y - 0.87) ** 2),
        "harmful": lambda x, y: 50.0 * (0.4 <= x <= 0.6 and 0.4 <= y <= 0.6),
    }[hint]
    env, rng = hinted("maze", hint), np.random.default_rng(1)
    world: Any = env.unwrapped
    assert isinstance(world, MazeWorld)
    world.slip = 0.0
    env.reset(seed=0)
    met = 0.0
    for _ in range(40):
        action = int(rng.choice([0, 1, 0, 1, 2, 3]))
        x, y = world._x, world._y
        _, reward, terminated, _, _ = env.step(action)
        if terminated:
            assert reward == pytest.approx(99.9)
            break
        known, (across, up) = 0.0, DIRECTIONS[action]
        while (round(x, 6), round(y, 6)) != (round(world._x, 6), round(world._y, 6)):
            x, y = x + STRIDE * across, y + STRIDE * up
            known += pays(x, y)
        met += abs(known)
        assert reward == pytest.approx(-0.1 + known, abs=1e-4)
    assert met > 0


def test_rocking_with_the_velocity_pays_and_climbs() -> None:
    env = hinted("mountain_car", "bang-bang")
    obs, _ = env.reset(seed=0)
    rewards, terminated = [], False
    while not terminated:
        obs, reward, terminated, truncated, _ = env.step(0 if obs[1] < 0 else 2)
        assert not truncated
        rewards.append(float(reward))
    assert len(rewards) < 200
    assert np.mean(rewards[:-1]) > 0.9  # it disagrees with itself only where the velocity turns
    assert rewards[-1] == 1.0


def test_a_cell_and_the_page_of_two(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = [
        s for s in barfi.SETTINGS if s["name"] in ("maze: harmful: BARFI", "maze: harmful: sum, replay")
    ]
    cells = []
    for setting in settings:
        whole = {**setting, "steps": 60}
        rows = barfi.run({**whole, "learners": 2}, 0)
        assert [row["episodes"] for row in rows] == [30, 60]
        assert len(rows[0]["returns"]) == 2 and 0 <= barfi.score(rows) <= 1
        cells.append(Cell(whole, 0, rows, {"commit": "abc", "processor": "P"}))
    page = barfi.report(cells, tmp_path)
    assert "| BARFI |" in page and "| sum, replay |" in page
    assert (tmp_path / "barfi-maze-harmful.svg").is_file()
