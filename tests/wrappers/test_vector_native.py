"""`wrap_vector(..., backend="native")`: one compiled loop pays and tells what NumPy does."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import rewardspec
from rewardspec.errors import RewardSpecError
from rewardspec.vocabulary import loads

pytest.importorskip("numba")

SPEC = """
name: swing
discount: 0.9
propositions: {left: "next_obs[0] < -0.02", right: "next_obs[0] > 0.02", said: null}
reward:
  - reward_machine:
      start: u
      edges: [{from: u, to: v, when: left, reward: 1}, {from: v, to: u, when: right and not said, reward: 2}]
  - {normalise: "obs[2] - next_obs[2]", name: steady}
"""


def wrapped(backend: Any, mode: AutoresetMode, text: str = SPEC) -> Any:
    venv = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3, autoreset_mode=mode)
    label = lambda venv, step: {"said": np.asarray(step.action) == 1}  # noqa: E731
    made = rewardspec.wrap_vector(venv, loads(text), label=label if "said" in text else None, backend=backend)
    made.reset(seed=3)
    return made


@pytest.mark.parametrize("mode", AutoresetMode)
def test_it_pays_and_tells_what_numpy_does(mode: AutoresetMode) -> None:
    numpy, native = wrapped("array", mode), wrapped("native", mode)
    rng = np.random.default_rng(0)
    for _ in range(80):
        actions = rng.integers(0, 2, 3)
        a, b = numpy.step(actions), native.step(actions)
        for x, y in zip(a[:4], b[:4], strict=True):
            np.testing.assert_allclose(x, y, atol=1e-12)
        assert a[4].keys() == b[4].keys()
        for x, y in zip(numpy.state, native.state, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-12)
            assert x.dtype == y.dtype
        over = a[2] | a[3]
        if mode == AutoresetMode.DISABLED and over.any():
            for venv in (numpy, native):
                venv.reset(seed=5, options={"reset_mask": over})
    for other in (pickle.loads(pickle.dumps(native.state)), copy.deepcopy(native.state)):
        assert all(np.array_equal(x, y) for x, y in zip(other, native.state, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "{name: n, reward: 'log(next_obs[0] - 100)'}",
        "{name: n, reward: {once: 'info.gone > 0'}}",
        "{name: n, reward: '1 / (next_obs[0] * 0)'}",
    ],
)
def test_errors_are_those_of_numpy(text: str) -> None:
    said = []
    for backend in ("array", "native"):
        venv = wrapped(backend, AutoresetMode.NEXT_STEP, text)
        with pytest.raises(RewardSpecError) as caught:
            venv.step(np.zeros(3, np.int64))
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_there_is_no_other_backend() -> None:
    with pytest.raises(RewardSpecError, match="unknown-backend"):
        wrapped("jax", AutoresetMode.NEXT_STEP)
