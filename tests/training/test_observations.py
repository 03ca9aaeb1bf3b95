"""What an agent sees of an environment: categories one-hot, numbers as they are, pictures as pictures."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.errors import UnsupportedError
from rewardspec.training.environments import make_env
from rewardspec.training.observations import Encoded
from rewardspec.vocabulary import loads


class Shows(gym.Env[Any, int]):
    """An environment that shows what it is told."""

    def __init__(self, space: spaces.Space[Any], value: Any) -> None:
        self.observation_space, self.value = space, value
        self.action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.value, {}


def seen(space: spaces.Space[Any], value: Any) -> tuple[Encoded, Any]:
    env = Encoded(Shows(space, value))
    obs, _ = env.reset()
    assert env.observation_space.contains(obs)
    return env, obs


def test_vectors_stay_and_categories_become_one_hot() -> None:
    box = spaces.Box(-2, 2, (2,), np.float64)
    _, obs = seen(box, np.array([0.5, -1.0]))
    assert obs.tolist() == [0.5, -1.0]
    _, obs = seen(spaces.Discrete(4, start=2), np.int64(3))
    assert obs.tolist() == [0, 1, 0, 0]
    _, obs = seen(spaces.MultiDiscrete([2, 3]), np.array([1, 2]))
    assert obs.tolist() == [0, 1, 0, 0, 1]


def test_mappings_are_joined_in_the_order_of_their_keys_and_texts_left_out() -> None:
    space = spaces.Dict({"way": spaces.Discrete(2), "word": spaces.Text(5), "at": spaces.Box(0, 9, (1,))})
    env, obs = seen(space, {"way": 1, "word": "go", "at": np.array([4.0], np.float32)})
    names = list(space.spaces)
    expected = {"way": [0.0, 1.0], "word": [], "at": [4.0]}
    assert obs.tolist() == [number for name in names for number in expected[name]]
    assert env.policy == "MlpPolicy"


def test_tuples_are_joined() -> None:
    _, obs = seen(spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(2))), (0, np.array([1, 0], np.int8)))
    assert obs.tolist() == [1, 0, 1, 0]


def test_pictures_stay_pictures() -> None:
    picture = spaces.Box(0, 255, (40, 40, 3), np.uint8)
    value = picture.sample()
    env, obs = seen(picture, value)
    assert obs is value
    assert env.policy == "CnnPolicy"
    space = spaces.Dict({"camera": picture, "speed": spaces.Box(0, 1, (1,))})
    env, obs = seen(space, {"camera": value, "speed": np.array([0.5], np.float32)})
    assert env.policy == "MultiInputPolicy"
    assert obs["vector"].tolist() == [0.5]


@pytest.mark.parametrize("space", [spaces.Text(5), spaces.Box(0, 1, (600, 600))], ids=["text", "large"])
def test_what_no_network_can_read_is_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(UnsupportedError, match="unreadable-observation"):
        Encoded(Shows(space, None))


def test_minigrid_shows_types_colours_and_states_and_the_machine() -> None:
    text = "propositions: {key: label.carrying_key}\nenv: {labels: minigrid}\nreward:\n  reward_machine:\n"
    text += (
        "    start: a\n    edges: [{from: a, to: b, when: key, reward: 1}, {from: b, to: a, when: not key}]\n"
    )
    env = make_env(loads(text), "MiniGrid-DoorKey-5x5-v0")
    obs, _ = env.reset(seed=3)
    assert obs.shape == (7 * 7 * 20 + 4 + 2,)
    inner: Any = env.env
    assert list(inner.env.observation_space.spaces) == ["direction", "image", "mission", "rewardspec"]
    assert obs[:4].argmax() == inner.raw["direction"]
    image = inner.raw["image"].reshape(49, 3)
    for part, count, start in ((0, 11, 0), (1, 6, 11), (2, 3, 17)):
        shown = obs[4:-2].reshape(49, 20)[:, start : start + count]
        assert (shown.sum(axis=1) == 1).all()
        assert (shown.argmax(axis=1) == image[:, part]).all()
    assert obs[-2:].tolist() == [1, 0]


def test_minihack_shows_a_map_and_the_status_line() -> None:
    pytest.importorskip("minihack")
    env = make_env(loads("reward: obs.blstats[10]"), "MiniHack-Room-5x5-v0")
    obs, _ = env.reset(seed=3)
    inner: Any = env.env
    assert set(inner.raw) == {"chars_crop", "blstats"}
    assert obs.shape == env.observation_space.shape
    assert env.observation_space.contains(obs)
    cells = obs[27:] if next(iter(inner.env.observation_space.spaces)) == "blstats" else obs[:-27]
    assert cells.sum() == 81
    watched = make_env(loads("reward: obs.blstats[10]"), "MiniHack-Room-5x5-v0", seen=True)
    assert watched.observation_space == env.observation_space
