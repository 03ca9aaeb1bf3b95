"""The generated functions inside a wrapper: copies, subclasses, states, and the pure function beside it."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.errors import NonFiniteRewardError
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import from_data, loads
from rewardspec.wrappers.single import RewardSpecWrapper, wrap
from tests.agreement import worlds
from tests.backends.scripted import (
    ACTIONS,
    BOX,
    Scripted,
    Step,
    answer,
    check,
    machine,
    walk,
)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env)), copy.copy])
@pytest.mark.parametrize("observe", ["none", "onehot"])
def test_a_copy_in_mid_episode_goes_on_alone(copied: Any, observe: Any) -> None:
    spec = machine(6, 4, 3) + "\n- markov: next_obs[0] - obs[0]\n- diff: next_obs[2]\n  weight: 3"
    whole, env = (wrap(walk(7), loads(spec), observe=observe) for _ in range(2))
    whole.reset()
    env.reset()
    for _ in range(10):
        whole.step(0), env.step(0)
    names = list(env.params)
    other = copied(env)
    if other.env is not env.env:  # a shallow copy shares the environment
        env.set_param(names[0], 100.0)
        for _ in range(5):
            env.step(0)
    for _ in range(20):
        left, right = other.step(0), whole.step(0)
        assert left[1:] == right[1:] and np.array_equal(left[0], right[0])
    assert other.state == whole.state


def test_a_subclass_may_override_step() -> None:
    class Doubled(RewardSpecWrapper):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            obs, reward, terminated, truncated, info = super().step(action)
            return obs, 2 * reward, terminated, truncated, info

    env = Doubled(walk(0), loads("name: n\nreward: 21"))
    env.reset()
    assert env.step(0)[1] == 42


def test_the_wrapper_steps_the_environment_as_it_is_at_reset() -> None:
    env = walk(0)
    wrapped = wrap(env, loads("name: n\nreward: reward"))
    wrapped.reset()
    step = wrapped.step
    assert step(0)[1] == 0.0
    env.step = lambda action: (env.first, 7.0, False, False, {})  # type: ignore[method-assign]
    wrapped.reset()
    assert step(0)[1] == 7.0  # one function for the wrapper's whole life: who holds it holds the right one


def test_state_can_be_set_and_is_followed() -> None:
    env = wrap(
        walk(0), loads('name: n\npropositions: {p: "next_obs[0] > -100"}\nreward: {once: p}'), observe="none"
    )
    env.reset()
    start = env.state
    assert [env.step(0)[1] for _ in range(2)] == [1.0, 0.0]
    env.state = start
    assert env.step(0)[1] == 1.0


def test_without_terms_machines_or_reading() -> None:
    assert check("name: n\nreward: 2", walk(0, 3)) == [2.0] * 3
    assert math.isclose(sum(check("name: n\nreward:\n- {markov: 2, weight: 0.5}", walk(0, 3))), 3.0)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.specs(), st.integers(0, 1000))
def test_the_generated_step_is_the_pure_function(data: dict[str, Any], seed: int) -> None:
    """On drawn specs; the pure function is held against the oracle in tests/agreement."""
    layout = bind(compile_spec(from_data(data)), worlds.OBSERVATION, worlds.ACTION)
    rows = [batch.rows()[0] for batch in worlds.batches(seed, 8, 3)]
    script = [Step(t.next_obs, t.reward, t.terminated, t.truncated, dict(t.info or {})) for t in rows]
    env = Scripted(rows[0].obs, script, worlds.OBSERVATION, worlds.ACTION)
    wrapped = wrap(env, layout.program, label=lambda _, t: rows[env.at - 1].label or {}, observe="none")
    wrapped.reset()
    compiled = compile_scalar(layout)
    state, params, obs = compiled.start, [p.initial for p in layout.program.params], rows[0].obs
    for t in rows:
        labels = tuple((t.label or {})[name] for name in layout.labels)
        parts = (obs, t.action, t.next_obs, t.reward, t.terminated, t.truncated, t.info, labels)
        state, paid, ended, cut = compiled.advance(state, *parts, params)
        obs = t.next_obs
        if not math.isfinite(paid):
            with pytest.raises(NonFiniteRewardError):
                wrapped.step(t.action)
            return
        assert answer(wrapped, t.action)[:3] == (paid, ended, cut)
        assert repr(wrapped.state) == repr(state)  # as text: NaN may be remembered, as long as it is not paid


def test_data_and_text_give_the_same_function() -> None:
    spec = machine(4, 4, 9)
    layouts = [
        bind(compile_spec(read), BOX, ACTIONS) for read in (loads(spec), from_data(loads(spec).to_data()))
    ]
    assert len({compile_scalar(layout).source for layout in layouts}) == 1
