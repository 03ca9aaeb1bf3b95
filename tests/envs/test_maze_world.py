"""MazeWorld: strides, walls, the goal, and the same in batches."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  # registers the worlds
from envs import batches
from envs.maze_world import GOAL, START, MazeWorld, MazeWorldBatch

UP, RIGHT, DOWN, LEFT = range(4)


def at(x: float, y: float) -> MazeWorld:
    env = MazeWorld(slip=0.0)
    env.reset(options={"start": (x, y)})
    return env


def test_gymnasium_has_nothing_against_it() -> None:
    check_env(gym.make("rewardspec/MazeWorld-v0", render_mode="ansi").unwrapped)


@pytest.mark.parametrize(
    ("action", "moved"), [(UP, (0, 0.18)), (RIGHT, (0.18, 0)), (DOWN, (0, -0.18)), (LEFT, (-0.18, 0))]
)
def test_an_action_takes_four_strides(action: int, moved: tuple[float, float]) -> None:
    obs, reward, terminated, truncated, _ = at(0.5, 0.5).step(action)
    assert obs == pytest.approx(np.add((0.5, 0.5), moved), abs=1e-6)
    assert (reward, terminated, truncated) == (pytest.approx(-0.1), False, False)


def test_the_wall_stops_strides_that_would_leave() -> None:
    obs, *_ = at(0.125, 0.125).step(LEFT)
    assert obs == pytest.approx((0.035, 0.125), abs=1e-6)  # two strides fit


def test_the_goal_stops_strides_pays_and_ends() -> None:
    env = at(0.73, 0.8)
    obs, reward, terminated, _, _ = env.step(RIGHT)
    assert obs == pytest.approx((0.775, 0.8), abs=1e-6)
    assert (reward, terminated, env.labels()) == (pytest.approx(99.9), True, {"goal"})


def test_a_timeout_scores_what_the_published_maze_pays() -> None:
    env = gym.make("rewardspec/MazeWorld-v0", slip=0.0)
    env.reset(seed=0)
    rewards, truncated = [], False
    while not truncated:
        _, reward, terminated, truncated, _ = env.step(LEFT)
        rewards.append(float(reward))
        assert not terminated
    assert sum(rewards) == pytest.approx(-4.9)


def test_one_action_in_ten_is_drawn_at_random() -> None:
    """Of those drawn, three in four are none that was chosen."""
    env = MazeWorld()
    env.reset(seed=1)
    strays = 0
    for _ in range(4000):
        env.reset(options={"start": (0.5, 0.5)})
        obs, *_ = env.step(UP)
        strays += bool(obs[1] < 0.6)
    assert strays == pytest.approx(4000 * 0.075, abs=4 * (4000 * 0.075) ** 0.5)


@pytest.mark.parametrize("strides", [4, 1])
def test_the_batch_moves_as_single_worlds_do(strides: int) -> None:
    rng = np.random.default_rng(0)
    single = [MazeWorld(slip=0.0, strides=strides) for _ in range(16)]
    batch = MazeWorldBatch(16, slip=0.0, strides=strides, dtype="float64")
    for env in single:
        env.reset()
    batch.reset(torch.ones(16, dtype=torch.bool))
    for _ in range(60):
        actions = rng.integers(0, 4, 16) // 2 if rng.random() < 0.5 else rng.integers(0, 4, 16)
        outcomes = [env.step(action) for env, action in zip(single, actions, strict=True)]
        obs, reward, terminated, _ = batch.step(torch.as_tensor(actions))
        assert np.allclose(obs.numpy(), [o[0] for o in outcomes], atol=1e-6)
        assert np.allclose(reward.numpy(), [o[1] for o in outcomes])
        assert terminated.tolist() == [o[2] for o in outcomes]
        said: Any = batch.label(None)  # type: ignore[arg-type]
        assert said["centre"].tolist() == ["centre" in env.labels() for env in single]
        for env, over in zip(single, terminated.tolist(), strict=True):
            if over:
                env.reset()
        batch.reset(terminated)


def test_batches_slip_as_often_and_repeat_themselves() -> None:
    batch = MazeWorldBatch(20_000, seed=3)
    everyone = torch.ones(20_000, dtype=torch.bool)
    batch.reset(everyone)
    saved = batch.state_dict()
    obs, *_ = batch.step(torch.full((20_000,), UP))
    strays = int((obs[:, 1] < START[1] + 0.17).sum())
    assert strays == pytest.approx(20_000 * 0.075, abs=4 * (20_000 * 0.075) ** 0.5)
    batch.load_state_dict(saved)
    assert torch.equal(batch.step(torch.full((20_000,), UP))[0], obs)


def test_a_batch_takes_its_horizon_by_gymnasiums_name() -> None:
    worlds: Any = batches.batch("rewardspec/MazeWorld-v0", 2, strides=1, max_episode_steps=7)
    worlds.reset(torch.ones(2, dtype=torch.bool))
    ends = [bool(worlds.step(torch.tensor([2, 3]))[3].all()) for _ in range(7)]
    assert ends == [False] * 6 + [True]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        MazeWorld(slip=2.0)
    with pytest.raises(ValueError, match="from 1 to 100"):
        MazeWorld(strides=0)
    with pytest.raises(ValueError, match="within the square"):
        MazeWorld().reset(options={"start": (2, 0)})
    assert GOAL[0] < 0.87 < GOAL[1]
