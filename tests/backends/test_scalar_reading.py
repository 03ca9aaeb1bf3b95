"""The generated functions: how they read a transition, and what no program can take."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, NonFiniteRewardError
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap
from tests.backends.scripted import (
    ACTIONS,
    BOX,
    Scripted,
    Step,
    check,
    machine,
    walk,
)


def test_a_large_box_is_not_turned_into_a_list() -> None:
    rng = np.random.default_rng(0)
    space = spaces.Box(0, 255, (40, 30, 3), np.uint8)
    frames = rng.integers(0, 255, (13, 40, 30, 3)).astype(np.uint8)
    spec = """
name: frames
propositions:
  bright: mean(next_obs[:, :, 0]) > 126
  corner: next_obs[0, 0, 1] > 100
  row: max(next_obs[3, :5, 2]) > 200
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: bright or row, reward: 1}
    - {from: b, to: a, when: corner, reward: 2}
- markov: mean(next_obs[:, :, 1]) - sum(obs[0, :4, 2]) / 7 + count(next_obs[:, 0, 0] > 30)
"""
    env = Scripted(frames[0], [Step(f) for f in frames[1:]], space)
    source = compile_scalar(bind(compile_spec(loads(spec)), space, ACTIONS)).source
    assert "next_obs.tolist()" not in source
    check(spec, env)


def test_dict_tuple_and_whole_number_spaces() -> None:
    space = spaces.Dict(
        {
            "pose": spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float64), spaces.Discrete(5))),
            "bits": spaces.MultiBinary(3),
            "kinds": spaces.MultiDiscrete([3, 4]),
            "here": spaces.Box(-1, 1, (), np.float32),
        }
    )
    space.seed(0)
    drawn = [space.sample() for _ in range(20)]
    actions = [np.array([i % 3, i % 2]) for i in range(19)]
    env = Scripted(drawn[0], [Step(o) for o in drawn[1:]], space, spaces.MultiDiscrete([3, 2]))
    check(
        """
name: parts
propositions: {two: "next_obs.pose[1] == 2", bit: "next_obs.bits[1] == 1", some: any(obs.bits == 1)}
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: two or bit, reward: 1}
    - {from: b, to: a, when: some, reward: 2}
- markov: next_obs.pose[0][0, 1] + sum(next_obs.kinds) * next_obs.here - action[0] + obs.pose[1]
""",
        env,
        actions,
    )


@pytest.mark.parametrize("reward", [3, True, np.float32(1.5), np.float64(2.5), np.int64(4), np.array(0.5)])
def test_rewards_of_every_sort_become_floats(reward: Any) -> None:
    env = walk(0, 3)
    env.steps = [Step(s.obs, reward, np.bool_(False)) for s in env.steps]
    paid = check("name: own\npropositions: {high: reward > 1}\nreward:\n- reward\n- {once: high}", env)
    assert paid[0] == float(reward) + (reward > 1)


@pytest.mark.parametrize(
    "value", [1, 2.5, True, np.float64(1.25), np.float32(0.5), np.bool_(True), np.array(3.0)]
)
def test_info_keys_and_their_absence(value: Any) -> None:
    env = walk(0, 4)
    infos: list[dict[str, Any]] = [{"x": value, "p": [7, 8]}, {"x": 0, "y": value, "p": (1, 2)}]
    env.steps = [Step(s.obs, info=infos[i % 2]) for i, s in enumerate(env.steps)]
    check("name: told\nreward: 2 * info.x + default(info.y, -3) + info.p[1] + default(info.q.z, -1)", env)


def test_an_absent_info_key_is_named() -> None:
    env = wrap(walk(0, 2), loads("name: told\nreward: info.speed"))
    env.reset()
    with pytest.raises(MismatchError, match=re.escape("info.speed cannot be read at step 0")):
        env.step(0)


def test_one_observation_buffer_used_again_and_again() -> None:
    spec = "name: moved\ndiscount: 0.9\nreward:\n- markov: next_obs[0] - 10 * obs[0]\n- potential: obs[1]"
    drawn = walk(5)
    env = Scripted(drawn.first, drawn.steps, drawn.observation_space, buffer=True)
    wrapped = wrap(env, loads(spec))
    wrapped.reset()
    fresh = wrap(drawn, loads(spec))
    fresh.reset()
    assert [wrapped.step(0)[1] for _ in drawn.steps] == [fresh.step(0)[1] for _ in drawn.steps]


# -- values that no program can take -------------------------------------------------------------


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_refused_wherever_it_is_read(place: int, detail: bool) -> None:
    spec = """
name: four
propositions: {p: "next_obs[0] > 0", q: "next_obs[1] > 0"}
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: p and q, reward: 1}
    - {from: b, to: a, when: not p}
- markov: next_obs[2] + where(next_obs[2] > 1, next_obs[3], 0)
"""
    bad = np.ones(4, np.float32) * 0.5
    bad[place] = np.nan
    good = np.full(4, 0.5, np.float32)
    env = wrap(Scripted(good, [Step(good), Step(bad), Step(good)], BOX), loads(spec), detail=detail)
    env.reset()
    env.step(0)
    before = env.state
    with pytest.raises(NonFiniteRewardError, match=rf"next_obs\[{place}\] is NaN at step 1"):
        env.step(0)
    assert env.state == before  # nothing has moved, and nothing is stuck
    env.reset()
    assert env.step(0)[1] == 1.5


def test_a_nan_that_nobody_reads_and_infinities_pass() -> None:
    odd = np.array([np.inf, -np.inf, np.nan, 1.0], np.float32)
    spec = """
name: odd
propositions: {p: "next_obs[0] > 0", q: "next_obs[1] < 0"}
reward:
- {once: p and q}
- next_obs[3]
"""
    assert check(spec, Scripted(odd, [Step(odd), Step(odd)], BOX)) == [2.0, 1.0]


def test_an_infinite_reward_names_its_term_and_step() -> None:
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    env = wrap(
        Scripted(ones, [Step(ones), Step(zeros)], BOX),
        loads("name: n\nreward:\n- 1\n- markov: log(next_obs[0])\n  name: nearness"),
    )
    env.reset()
    env.step(0)
    with pytest.raises(NonFiniteRewardError, match="the term 'nearness' pays -inf at step 1"):
        env.step(0)


def test_an_error_of_the_environment_is_its_own() -> None:
    env = walk(0, 4)
    env.steps[2] = Step(RuntimeError("the motor is off"))
    wrapped = wrap(env, loads(machine(3, 3, 0)))
    for _ in range(2):
        wrapped.reset()
        wrapped.step(0)
        wrapped.step(0)
        with pytest.raises(RuntimeError, match="the motor is off"):
            wrapped.step(0)


def test_an_observation_of_the_wrong_shape_is_explained() -> None:
    env = wrap(Scripted(np.zeros(4), [Step(np.zeros(2))], BOX), loads("name: n\nreward: next_obs[3]"))
    env.reset()
    with pytest.raises(MismatchError, match="at step 0"):
        env.step(0)
