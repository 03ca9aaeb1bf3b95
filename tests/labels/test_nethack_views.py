"""NetHack's own tasks, seen and trained on as MiniHack's are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardspec import load, loads
from rewardspec.environments import make_environment
from rewardspec.labels.nethack_views import CROPS, PICTURE, NetHackViews, sources
from rewardspec.training.environments import make_env
from rewardspec.training.loop import train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

SPEC = Path(__file__).parents[2] / "examples" / "specs" / "nethack_score.yaml"


def test_views_are_those_of_minihack() -> None:
    """MiniHack shows its views and what they are made of; ours of the latter are the former, in a corner as well."""
    crops = tuple(f"{name}_crop" for name in CROPS)
    asked = (*crops, "pixel")
    env: Any = make_environment("MiniHack-Room-5x5-v0", observation_keys=(*asked, *sources(asked)))
    views = NetHackViews(env, asked)
    obs, _ = env.reset(seed=3)
    env.action_space.seed(3)
    for step in range(30):
        seen = views.observation(obs)
        assert views.observation_space.contains(seen)
        for key in crops if step else asked:
            np.testing.assert_array_equal(seen[key], obs[key], err_msg=key)
        obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            obs, _ = env.reset()


def test_at_the_maps_edge_a_view_shows_nothing_beyond() -> None:
    views = NetHackViews(
        make_environment("NetHackScore-v0", observation_keys=("chars", "blstats")), ["chars_crop"]
    )
    chars = np.arange(21 * 79, dtype=np.int64).reshape(21, 79) % 251 + 1
    for x, y in ((0, 0), (78, 20), (0, 20), (40, 10)):
        crop = views.observation({"chars": chars, "blstats": np.array([x, y, *[0] * 25])})["chars_crop"]
        assert crop[4, 4] == chars[y, x] and crop.shape == (9, 9)
        assert (crop[:4] == 0).all() == (y == 0) and (crop[:, 5:] == 0).all() == (x == 78)


def test_scores_keys_are_nles_own_without_views() -> None:
    env = make_environment("NetHackScore-v0", observation_keys=("message", "blstats"))
    assert set(env.observation_space.spaces) == {"message", "blstats"}  # type: ignore[attr-defined]
    obs, _ = env.reset(seed=0)
    assert b"welcome to NetHack" in bytes(obs["message"])


def test_an_agent_trains_on_nethacks_score(tmp_path: Path) -> None:
    few = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
    folder = train(load(SPEC), tmp_path / "run", steps=512, n_envs=2, agent=few, show=False)
    told = [json.loads(line) for line in (folder.path / "learned.jsonl").read_text().splitlines()]
    assert told[-1]["labels"] > 10, "all but the empty message"
    assert told[-1]["messages"] - told[-1]["labels"] in (0, 1)


def test_who_watches_sees_tiles() -> None:
    env = make_env(loads("reward: reward"), "NetHackScore-v0", {}, seen=True)
    env.reset(seed=0)
    picture = env.get_wrapper_attr("raw")["pixel"]
    assert picture.shape == PICTURE and picture.dtype == np.uint8 and picture.std() > 1
