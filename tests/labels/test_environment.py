"""`labels: environment`: what an environment says about itself is read on one environment and on a batch."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rewardspec import MismatchError, SpecError, UnsupportedError, loads, wrap, wrap_vector
from rewardspec.labels import load_labeller
from rewardspec.wrappers.tensor import wrap_tensor

SPEC = """
env: {labels: environment}
propositions: {door: label.at_door, noon: label.noon}
reward:
- ltl: F(noon & X F door)
"""


class Corridor(gym.Env[Any, Any]):
    """Walks one cell a step and says where it is, and what time it is."""

    observation_space = spaces.Discrete(10)
    action_space = spaces.Discrete(2)
    label_names = ("at_door", "noon", "raining")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, Any]:
        self.at = 0
        return 0, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, Any]:
        self.at += 1
        return self.at, 0.0, False, False, {}

    def labels(self) -> frozenset[str]:
        return frozenset(name for name, cell in (("at_door", 4), ("noon", 2)) if cell == self.at)


class Corridors:
    """B of them in tensors."""

    single_observation_space = Corridor.observation_space
    single_action_space = Corridor.action_space
    label_names = Corridor.label_names

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.at = torch.zeros(num_envs, dtype=torch.int64)

    def reset(self, mask: torch.Tensor) -> torch.Tensor:
        self.at = torch.where(mask, torch.zeros_like(self.at), self.at)
        return self.at

    def step(self, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.at = self.at + 1
        never = torch.zeros(self.num_envs, dtype=torch.bool)
        return self.at, torch.zeros(self.num_envs), never, never

    def label(self, transition: Any) -> dict[str, torch.Tensor]:
        return {
            "at_door": transition.next_obs == 4,
            "noon": transition.next_obs == 2,
            "raining": transition.next_obs < 0,
        }


def play(env: Any) -> list[float]:
    """Return the rewards until the episode ends."""
    env.reset(seed=0)
    rewards, ended = [], False
    while not ended:
        _, reward, ended, _, _ = env.step(0)
        rewards.append(float(reward))
    return rewards


def test_the_names_that_it_says_are_the_labels() -> None:
    assert play(wrap(Corridor(), loads(SPEC))) == [0, 0, 0, 1]


def test_wrappers_between_do_not_matter() -> None:
    env = gym.wrappers.TransformReward(gym.wrappers.TimeLimit(Corridor(), 9), lambda reward: reward)
    assert play(wrap(env, loads(SPEC))) == [0, 0, 0, 1]


def test_a_batch_says_its_labels_too() -> None:
    venv = wrap_tensor(Corridors(3), loads(SPEC))
    venv.reset()
    rewards = [venv.step(torch.zeros(3, dtype=torch.int64))[1].tolist() for _ in range(5)]
    assert rewards == [[0] * 3, [0] * 3, [0] * 3, [1] * 3, [0] * 3]


@pytest.mark.parametrize(
    "host", [lambda spec: wrap(Corridor(), spec), lambda spec: wrap_tensor(Corridors(2), spec)]
)
def test_an_unknown_name_is_refused_when_wrapping(host: Any) -> None:
    with pytest.raises(MismatchError) as caught:
        host(loads(SPEC.replace("label.noon", "label.moon")))
    (problem,) = caught.value.problems
    assert problem.code == "unknown-label"
    assert problem.message.endswith("has no label 'moon'")
    assert problem.hints == ("it says: at_door, noon, raining. Did you mean 'noon'?",)
    assert problem.place.line == 3


def test_every_unknown_name_is_listed() -> None:
    with pytest.raises(MismatchError) as caught:
        wrap(Corridor(), loads(SPEC.replace("label.noon", "label.moon").replace("at_door", "at_dor")))
    assert [problem.code for problem in caught.value.problems] == ["unknown-label"] * 2


@pytest.mark.parametrize(
    "host", [lambda s: wrap(gym.make("CartPole-v1"), s), lambda s: wrap_tensor(Mute(), s)]
)
def test_an_environment_that_says_none_is_refused(host: Any) -> None:
    with pytest.raises(MismatchError) as caught:
        host(loads(SPEC))
    assert caught.value.problems[0].code == "labeller-mismatch"


class Mute:
    """A batch that says no labels."""

    num_envs = 2
    single_observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    single_action_space = spaces.Discrete(2)


def test_a_function_of_the_caller_is_preferred() -> None:
    spec = loads(SPEC)
    assert play(wrap(Corridor(), spec, label=lambda env, step: ["noon", "at_door"])) == [0, 1]


def test_above_a_vector_environment_it_is_out_of_reach() -> None:
    venv = gym.vector.SyncVectorEnv([Corridor, Corridor])
    spec = loads(SPEC.replace("ltl: F(noon & X F door)", "once: noon"))
    with pytest.raises(UnsupportedError) as caught:
        wrap_vector(venv, spec)
    assert caught.value.problems[0].code == "vector-labeller"


def test_what_can_be_no_name_is_refused_when_the_spec_is_read() -> None:
    assert load_labeller("environment").check("at_door") is None
    with pytest.raises(SpecError):
        from rewardspec.compiler import compile_spec

        compile_spec(loads(SPEC.replace("label.noon", "label[3]")))
