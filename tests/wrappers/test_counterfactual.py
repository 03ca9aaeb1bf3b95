"""A step replayed from another machine state pays what an environment in that state would have paid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rewardspec import Transition, UnsupportedError, compile_spec, loads, wrap
from rewardspec.backends import oracle
from rewardspec.backends.array import compile_array
from rewardspec.errors import RewardSpecError
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import from_data
from rewardspec.wrappers import counterfactual
from rewardspec.wrappers.counterfactual import Counterfactuals, CounterfactualWrapper, JointStates
from tests.agreement.worlds import ACTION, OBSERVATION, batches, specs
from tests.wrappers.specs import ENDING, MEMORY
from tests.wrappers.worlds import BufferWalk, DictWalk, Walk

TWO = """
name: two machines
discount: 0.9
propositions: {right: "next_obs[0] > 0.4", left: "next_obs[0] < -0.4", both: label.both}
reward:
- ltl: F(right & X F left)
  accept: 1
- ltl: F(left & X F right) & G !both
  accept: 2
  reject: -1
- reward_machine:
    start: calm
    edges:
    - {from: calm, to: moved, when: right or left, reward: "next_obs[0]"}
    - {from: moved, to: calm, when: not right, reward: 0.25}
"""


def label(env: Any, step: Transition) -> dict[str, bool]:
    return {"both": bool(abs(step.next_obs[1]) > 1.2)}


@pytest.mark.parametrize("text", [MEMORY, ENDING, TWO], ids=["memory", "ending", "two"])
@pytest.mark.parametrize("make", [Walk, BufferWalk])
def test_the_actual_states_counterfactual_is_what_was_paid(text: str, make: Any) -> None:
    options = {"label": label} if "label" in text else {}
    env, plain = (kind(make(), loads(text), **options) for kind in (CounterfactualWrapper, wrap))
    rng, ends = np.random.default_rng(0), 0
    for seed in range(8):
        (ours, _), (theirs, _) = env.reset(seed=seed), plain.reset(seed=seed)
        np.testing.assert_array_equal(ours, theirs)
        while True:
            action = int(rng.integers(3))
            obs, paid, terminated, truncated, info = env.step(action)
            expected = plain.step(action)
            np.testing.assert_array_equal(obs, expected[0])
            assert (paid, terminated, truncated) == expected[1:4]
            told = info.pop("counterfactual")
            assert info == expected[4]
            assert told.reward.dtype == np.float32
            own = told.states.replayed.tolist().index(told.state)
            assert told.reward[own] == np.float32(paid)
            assert told.terminated[own] == terminated
            first = told.place[1]
            np.testing.assert_array_equal(
                told.states.memory[told.next_state[own]], obs[first : first + told.states.memory.shape[1]]
            )
            if terminated or truncated:
                ends += terminated
                break
    assert ends or text is MEMORY


@pytest.mark.parametrize("text", [MEMORY, ENDING, TWO], ids=["memory", "ending", "two"])
def test_every_counterfactual_is_what_an_environment_in_that_state_pays(text: str) -> None:
    """Per step and state, a twin is brought to the same place by the same actions, its machines set, and stepped."""
    options = {"label": label} if "label" in text else {}
    env = CounterfactualWrapper(Walk(), loads(text), **options)
    twin = wrap(Walk(), loads(text), **options)
    machines = len(env.program.machines)
    compared = set()
    for seed in range(3):
        env.reset(seed=seed)
        actions: list[int] = []
        for t in range(9):
            (before, _, obs), action = env._kept, (seed + t * t) % 3
            _, _, terminated, truncated, info = env.step(action)
            told = info["counterfactual"]
            for i, row in enumerate(told.states.replayed):
                twin.reset(seed=seed)
                for past in actions:
                    twin.env.step(past)
                states = tuple(int(u) for u in told.states.states[row])
                twin._go_on((*states, *before[machines:]), t, obs)
                _, paid, ended, _, _ = twin.step(action)
                assert told.reward[i] == np.float32(paid)
                assert told.terminated[i] == ended
                assert tuple(told.states.states[told.next_state[i]]) == twin.state[:machines]
                compared.add((states, round(float(paid), 6)))
            actions.append(action)
            if terminated or truncated:
                break
    assert len({paid for _, paid in compared}) >= 3  # the states do make a difference


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(specs(), st.integers(0, 10_000), st.sampled_from(["numpy", "torch"]))
def test_a_batch_pays_what_the_oracle_pays_in_each_state(
    data: dict[str, Any], seed: int, library: Any
) -> None:
    program = compile_spec(from_data(data))
    assume(program.scope == "step")
    try:
        states = JointStates.of(program)
    except UnsupportedError as error:
        assert error.problems[0].code in ("needs-machine", "memory-follows-machine", "set-not-supported")
        assume(False)
    (batch,) = batches(seed, 1, 3)
    layout = bind(program, OBSERVATION, ACTION)
    if any(isinstance(n, ir.Reduce) and n.axis == "B" for f in program.folds for n in ir.walk(f.update)):
        with pytest.raises(UnsupportedError, match="memory-follows-machine"):
            Counterfactuals(layout, 3, library)
        return
    found = Counterfactuals(layout, 3, library, dtype="float64").replay(
        in_library(batch.transition, library),
        in_library(compile_array(layout, 3, "numpy").init(), library),
    )
    fresh = oracle.init(layout.program, 1)
    for n, row in enumerate(batch.rows()):
        for i, u in enumerate(states.replayed):
            named = {m.name: int(s) for m, s in zip(program.machines, states.states[u], strict=True)}
            state = oracle.OracleState([named], [dict(fresh.folds[0])])
            after, (outcome,) = oracle.step(layout.program, state, [row])
            assert float(found.reward[n, i]) == pytest.approx(
                float(outcome.reward), rel=1e-9, abs=1e-9, nan_ok=True
            )
            assert bool(found.terminated[n, i]) == outcome.terminated
            assert bool(found.truncated[n, i]) == outcome.truncated
            reached = tuple(int(s) for s in states.states[int(found.next_state[n, i])])
            assert reached == tuple(after.machines[0][m.name] for m in program.machines)


def in_library(value: Any, library: str) -> Any:
    """Return a transition, mapping or tuple of arrays in another library."""
    if isinstance(value, Transition):
        return Transition(*(in_library(getattr(value, name), library) for name in value.__dataclass_fields__))
    if isinstance(value, dict):
        return {key: in_library(inner, library) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(in_library(inner, library) for inner in value)
    return torch.from_numpy(value) if library == "torch" and isinstance(value, np.ndarray) else value


# -- which states there are ----------------------------------------------------------------------


def joint(text: str) -> JointStates:
    return JointStates.of(compile_spec(loads(text)))


def test_only_what_labels_can_lead_to_is_replayed() -> None:
    """Two formulas over one proposition move together: of 2 x 2 joint states there are two, and one is over."""
    states = joint("propositions: [a]\nreward: [{ltl: F a, name: x}, {ltl: F a, name: y, accept: 3}]")
    assert len(states) == len(states.states) == 2
    assert states.replayed.tolist() == [0]


def test_states_that_end_the_episode_are_reached_and_never_replayed() -> None:
    states = joint("propositions: [a, b]\nreward: {ltl: F a & G !b, reject: -1}")
    assert len(states) == 3
    assert states.replayed.tolist() == [0]
    np.testing.assert_array_equal(states.memory.sum(axis=1), 1.0)


def test_a_formula_of_several_machines_is_over_when_all_of_them_are() -> None:
    """Two orders, three states each: the episode ends in one of nine joint states."""
    text = 'propositions: [a, b, c, d]\nreward: {ltl: "F(a & X F b) & F(c & X F d)"}'
    states = joint(text)
    assert len(states) == 9
    assert len(states.replayed) == 8


def test_index_and_onto_are_the_ways_between_states_and_observations() -> None:
    states = joint(TWO)
    everything = np.arange(len(states))
    np.testing.assert_array_equal(states.index(list(states.states.T)), everything)
    assert states.index([int(u) for u in states.states[2]]) == 2
    width = states.memory.shape[1]
    obs = np.full((len(states), 3 + width), 7.0)
    shown = states.onto(obs, everything, 2)
    np.testing.assert_array_equal(shown[:, 2 : 2 + width], states.memory)
    assert (shown[:, [0, 1, -1]] == 7).all()


def test_terms_that_count_what_the_machine_does_are_refused() -> None:
    """A counter that edges advance has another value in every past; one that steps advance has not."""
    counting = """
discount: 0.9
propositions: [a]
reward:
- reward_machine:
    start: u
    counters: {n: 0}
    propositions: {many: n >= 2}
    edges:
    - {from: u, to: v, when: a and not many, count: {n: n + 1}}
    - {from: v, to: u, when: a}
- diff: {of: "reward"}
"""
    with pytest.raises(UnsupportedError, match="memory-follows-machine") as caught:
        joint(counting)
    assert "reward_machine" in caught.value.problems[0].message
    assert "diff" not in caught.value.problems[0].message


@pytest.mark.parametrize("text", ["reward: 1", "reward: {potential: 'obs[0]'}\ndiscount: 0.9"])
def test_a_spec_without_a_machine_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError, match="needs-machine"):
        CounterfactualWrapper(Walk(), loads(text))


@pytest.mark.parametrize("mode", ["none", "index"])
def test_an_agent_that_does_not_see_the_state_is_refused(mode: Any) -> None:
    with pytest.raises(UnsupportedError, match="observe-mode"):
        CounterfactualWrapper(Walk(), loads(ENDING), observe=mode)


def test_too_many_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counterfactual, "MOST_STATES", 4)
    with pytest.raises(UnsupportedError, match="too-many-states"):
        joint(TWO)


def test_a_mapping_has_the_machine_states_beside_the_rest() -> None:
    text = 'propositions: {right: "next_obs.place[0] > 0"}\nreward: {ltl: F right & F !right}'
    env = CounterfactualWrapper(DictWalk(), loads(text))
    assert env.place == ("rewardspec", 0)
    env.reset(seed=0)
    obs, *_, info = env.step(1)
    told = info["counterfactual"]
    own = told.states.replayed.tolist().index(told.state)
    np.testing.assert_array_equal(obs["rewardspec"], told.states.memory[told.next_state[own]])


def test_a_counterfactual_that_is_not_finite_is_an_error_that_names_the_term() -> None:
    text = """
propositions: {right: "next_obs[0] > 0"}
reward:
- reward_machine:
    start: u
    edges:
    - {from: u, to: v, when: right}
    - {from: v, reward: "1 / (action - action)", when: "true"}
  name: broken
"""
    env = CounterfactualWrapper(Walk(), loads(text))
    env.reset(seed=0)
    with pytest.raises(RewardSpecError, match="the term 'broken' pays inf at step 0"):
        env.step(1)
