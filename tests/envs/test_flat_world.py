"""FlatWorld: where the discs are, what steering does, and the same in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  # registers the worlds
from envs.flat_world import (
    DIRECTIONS,
    DISCS,
    REACH,
    SECONDS,
    FlatWorld,
    FlatWorldBatch,
    colours_at,
    draw_start,
)
from rewardspec import load, wrap
from rewardspec.wrappers.tensor import wrap_tensor

SPECS = Path(__file__).parents[2] / "examples" / "specs"


def at(x: float, y: float, **arguments: Any) -> FlatWorld:
    env = FlatWorld(**arguments)
    env.reset(options={"start": (x, y)})
    return env


def test_gymnasium_has_nothing_against_it() -> None:
    for discrete in (False, True):
        check_env(gym.make("rewardspec/FlatWorld-v0", discrete=discrete, render_mode="ansi").unwrapped)


@pytest.mark.parametrize("disc", DISCS)
def test_a_disc_says_its_colour_within_its_radius_only(disc: tuple[float, float, float, str]) -> None:
    """Walk across each disc from left to right through its centre and compare with the distance."""
    x, y, radius, colour = disc
    env = at(max(x - radius - 0.213, -1.993), y)
    others = [other for other in DISCS if other[3] == colour and other != disc]
    for _ in range(40):
        (px, py), *_ = env.step((0.5, 0.0))
        within = bool(np.hypot(px - x, py - y) < radius)
        assert not any(np.hypot(px - ox, py - oy) < r for ox, oy, r, _ in others)
        assert (colour in env.labels()) == within


def test_discs_that_overlap_say_both_colours() -> None:
    env = at(0.5, 0.62)
    env.step((0.0, 0.0))
    assert env.labels() == {"blue", "green"}
    env = at(0.78, 0.3)
    env.step((0.0, 0.0))
    assert env.labels() == {"blue", "green", "aqua"}


def test_discs_overlap_as_in_deepltl() -> None:
    """Its repository lists which colours can be met at one point; a fine grid meets just these."""
    grid = np.linspace(-REACH, REACH, 161)
    met = {colours_at(x, y) for x in grid for y in grid}
    alone = ["red", "magenta", "blue", "green", "aqua", "yellow", "orange"]
    joint = [
        ("red", "magenta"),
        ("blue", "green"),
        ("green", "aqua"),
        ("blue", "aqua"),
        ("blue", "green", "aqua"),
    ]
    assert met == {frozenset(), *(frozenset([one]) for one in alone), *map(frozenset, joint)}


def test_velocities_are_limited_and_hold_for_a_fixed_time() -> None:
    env = at(0.0, 1.5)
    obs, reward, terminated, truncated, _ = env.step((-3.0, 0.5))
    assert obs == pytest.approx([-SECONDS, 1.5 + SECONDS / 2])
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_leaving_the_square_costs_one_and_ends_the_episode() -> None:
    env = at(1.95, 1.5)
    obs, reward, terminated, _, _ = env.step((1.0, 0.0))
    assert (reward, terminated) == (-1.0, True)
    assert env.observation_space.contains(obs)


def test_directions_are_as_fast_as_each_other() -> None:
    assert [round(float(np.hypot(*direction)), 9) for direction in DIRECTIONS] == [1.0] * 8 + [0.0]
    assert len(set(DIRECTIONS)) == 9
    env = at(0.0, 1.5, discrete=True)
    assert env.step(4)[0] == pytest.approx([SECONDS / 2**0.5, 1.5 + SECONDS / 2**0.5])


def test_episodes_start_outside_all_discs() -> None:
    rng = np.random.default_rng(0)
    starts = np.array([draw_start(rng) for _ in range(300)])
    for x, y, radius, _ in DISCS:
        assert (np.hypot(starts[:, 0] - x, starts[:, 1] - y) >= radius).all()
    assert starts.min() < -1.8 and starts.max() > 1.8


def test_wrong_options_and_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="only option"):
        FlatWorld().reset(options={"layout": 1})
    with pytest.raises(ValueError, match="within the square"):
        FlatWorld().reset(options={"start": (0.0, 2.5)})
    with pytest.raises(ValueError, match="render_mode"):
        FlatWorld(render_mode="human")


def test_pictures_and_text_show_the_point_and_the_discs() -> None:
    picture = at(-1.0, 0.0, render_mode="rgb_array").render()
    assert picture.shape == (400, 400, 3)
    assert picture[200, 100].max() < 40  # the point
    assert picture[200, 150, 2] > picture[200, 150, 0] + 40  # the blue disc, half its colour
    text = at(-1.0, 0.0, render_mode="ansi").render().splitlines()
    assert text[11][11] == "@" and text[11][21] == "b"


@pytest.mark.parametrize("discrete", [False, True])
def test_a_batch_moves_as_its_squares_one_by_one(discrete: bool) -> None:
    """Observations, labels, rewards and ends agree on recorded actions, over many episodes."""
    spec = load(SPECS / "flat_sequence.yaml")
    count, horizon, pool = 6, 50, 32
    tenv = FlatWorldBatch(count, discrete=discrete, pool=pool, horizon=horizon, dtype="float64")
    batch = wrap_tensor(tenv, spec, dtype="float64")
    singles = [FlatWorld(discrete=discrete) for _ in range(count)]
    wrapped = [wrap(env, spec, observe="none") for env in singles]
    starts, turn, length = tenv.starts.numpy(), list(range(count)), [0] * count
    for i, env in enumerate(wrapped):
        env.reset(options={"start": starts[turn[i]]})
    batch.reset()
    rng, ends, said = np.random.default_rng(0), 0, set[str]()
    drift = rng.uniform(-1, 1, size=(count, 2))
    for step in range(400):
        if step % 12 == 0:  # keep a direction for a while, to get somewhere
            drift, way = rng.uniform(-1.2, 1.2, size=(count, 2)), rng.integers(9, size=count)
        actions = way if discrete else drift
        _, reward, terminated, truncated, infos = batch.step(torch.tensor(actions))
        for i, env in enumerate(wrapped):
            obs, paid, ended, _, _ = env.step(int(actions[i]) if discrete else actions[i])
            length[i] += 1
            said |= singles[i].labels()
            assert infos["final_obs"][i, :2].numpy() == pytest.approx(obs, abs=1e-6)
            assert (float(reward[i]), bool(terminated[i])) == (paid, ended)
            assert bool(truncated[i]) == (length[i] == horizon)
            ends += ended
            if ended or truncated[i]:
                turn[i], length[i] = (turn[i] + count) % pool, 0
                env.reset(options={"start": starts[turn[i]]})
    assert ends > 10
    assert len(said) >= 6
