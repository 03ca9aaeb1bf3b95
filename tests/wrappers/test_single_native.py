"""`wrap(..., backend="native")`: the C function does what the generated Python does, and owns what it points to."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import rewardspec
from rewardspec.backends.native_step import can_step
from rewardspec.errors import MismatchError, NonFiniteRewardError, UnsupportedError
from rewardspec.vocabulary import loads

pytest.importorskip("numba")

SPEC = """
name: both
discount: 0.9
propositions: {high: "next_obs[0] > 0.5", low: "next_obs[1] < -0.5"}
reward:
  - reward_machine:
      start: u
      edges: [{from: u, to: v, when: high and not low, reward: 1}, {from: v, to: u, when: low, reward: 0.5}]
  - {potential: "obs[0]", name: pot}
  - {markov: "0.1 * reward - 0.01 * abs(action)", weight: {linear: {from: 1, to: 0, over: 20}}}
end: [{when: "next_obs[1] > 1.9", value: -3}]
"""
BOX = spaces.Box(-9, 9, (2,), np.float32)


class Script(gym.Env[Any, Any]):
    """Returns what it is told to."""

    observation_space: Any = BOX
    action_space: Any = spaces.Discrete(3)

    def __init__(self, results: list[Any]) -> None:
        self.results, self.at = results, 0

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        result = self.results[self.at % len(self.results)]
        self.at += 1
        if isinstance(result, Exception):
            raise type(result)(*result.args)  # anew: an error keeps the frames that it went through
        return result


def drawn(n: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        (rng.uniform(-1, 1, 2).astype(np.float32), float(rng.normal()), False, False, {}) for _ in range(n)
    ]


def pair(results: list[Any], text: str = SPEC, **more: Any) -> list[Any]:
    found = []
    for backend in ("scalar", "native"):
        env = rewardspec.wrap(Script(results), loads(text), backend=backend, **more)
        env.reset()
        found.append(env)
    return found


def same(a: Any, b: Any) -> None:
    assert np.array_equal(a[0], b[0])
    assert a[0].dtype == b[0].dtype
    assert a[1] == pytest.approx(b[1], abs=1e-12)
    assert type(b[1]) is float
    assert a[2:4] == b[2:4]
    assert a[4].keys() == b[4].keys()


def is_compiled(env: Any) -> bool:
    return type(env.step).__name__ == "builtin_function_or_method"


@pytest.mark.parametrize("observe", ["none", "onehot", "dict"])
def test_it_pays_ends_and_remembers_as_generated_python_does(observe: Any) -> None:
    results = drawn(50)
    results[30] = (np.array([0.1, 1.95], np.float32), 0.0, False, False, {})
    results[40] = (np.array([0.1, 0.2], np.float32), 0.0, False, True, {})
    scalar, native = pair(results, observe=observe)
    assert is_compiled(native)
    for t in range(120):
        a, b = scalar.step(t % 3), native.step(t % 3)
        if observe == "dict":
            assert np.array_equal(a[0]["rewardspec"], b[0]["rewardspec"])
            a, b = (a[0]["obs"], *a[1:]), (b[0]["obs"], *b[1:])
        same(a, b)
        assert scalar.state == pytest.approx(native.state)
        assert scalar.machine_states == native.machine_states
        if b[2] or b[3]:
            assert a[4]["rewardspec"]["state"] == b[4]["rewardspec"]["state"]
            assert a[4]["rewardspec"]["return"] == pytest.approx(b[4]["rewardspec"]["return"])
            scalar.reset(), native.reset()


SHOWN = """
name: shown
discount: 0.9
propositions: {high: "next_obs[0] > 3", low: "next_obs[1] < 2"}
reward:
  - name: counted
    reward_machine:
      start: u
      counters: {n: 0}
      propositions: {rare: n < 5}
      edges: [{from: u, to: v, when: high and rare, reward: 1, count: {n: n + 1}}, {from: v, to: u, when: low}]
  - name: plain
    reward_machine:
      start: a
      edges: [{from: a, to: b, when: low}, {from: b, to: c, when: high, reward: 2}, {from: c, to: a, when: low}]
"""


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64])
def test_memory_is_appended_in_machine_code(kind: Any) -> None:
    space, rng = spaces.Box(0, 9, (2,), kind), np.random.default_rng(1)
    results = [(rng.integers(0, 9, 2).astype(kind), 0.0, False, t % 7 == 6, {}) for t in range(40)]
    given = [result[0].copy() for result in results]
    envs = []
    for backend in ("scalar", "native"):
        env = Script(results)
        env.observation_space = space
        envs.append(rewardspec.wrap(env, loads(SHOWN), backend=backend, observe="onehot"))
        envs[-1].reset()
    scalar, native = envs
    kept = []
    for _ in range(40):
        a, b = scalar.step(0), native.step(0)
        same(a, b)
        assert native.observation_space.contains(b[0])
        kept.append((b[0], b[0].copy()))
        if b[3]:
            scalar.reset(), native.reset()
    assert len({tuple(obs[2:].tolist()) for obs, _ in kept}) > 6  # machine states, and the counter's number
    assert all(np.array_equal(obs, then) for obs, then in kept)  # an array of its own for every step
    assert all(np.array_equal(result[0], obs) for result, obs in zip(results, given, strict=True))


def changed_shape(obs: Any) -> None:
    obs.resize((obs.size, 1), refcheck=False)


def changed_size(obs: Any) -> None:
    obs.resize(1, refcheck=False)


def changed_flags(obs: Any) -> None:
    obs.setflags(write=False)


def changed_type(obs: Any) -> None:
    obs.dtype = np.int32


@pytest.mark.parametrize("change", [None, changed_shape, changed_size, changed_flags, changed_type])
def test_an_observation_that_nobody_holds_any_more_is_filled_again(change: Any) -> None:
    scalar, native = pair(drawn(60), SHOWN, observe="onehot")
    first = native.step(0)[0]
    scalar.step(0)
    seen, kept = set(), first[:3]  # a view holds the array
    weak, then = weakref.ref(first), first.copy()
    del first
    for _ in range(50):
        a, b = scalar.step(0), native.step(0)
        same(a, b)
        assert b[0].flags.writeable
        seen.add(id(b[0]))
        if change is not None:
            change(b[0])
    assert np.array_equal(kept, then[:3])
    assert weak() is not None
    del kept
    assert weak() is None
    # Whoever looks at one observation while the next is made needs two arrays.
    assert change is not None or len(seen) == 2


def test_an_observation_that_is_watched_is_not_filled_again() -> None:
    native = pair(drawn(20), SHOWN, observe="onehot")[1]
    watched = [weakref.ref(native.step(0)[0]) for _ in range(6)]
    assert [weak() for weak in watched[:4]] == [None] * 4


@pytest.mark.parametrize(
    "first",
    [
        np.array([0.5, 3], np.float32),
        np.array([0.1, 3]),
        np.ones(4, np.float32)[::2],
        [1, 2],
        np.array([7, 8]),
    ],
)
def test_the_first_observation_of_an_episode_shows_memory_too(first: Any) -> None:
    class Begins(Script):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return first, {}

    scalar, native = (
        rewardspec.wrap(Begins(drawn(5)), loads(SHOWN), backend=backend, observe="onehot")
        for backend in ("scalar", "native")
    )
    kept = []
    for _ in range(3):
        a, b = scalar.reset()[0], native.reset()[0]
        assert np.array_equal(a, b)
        assert (a.dtype, a[2:].tolist()) == (b.dtype, [1, 0, 1, 0, 0, 0])
        kept.append((b, b.copy(), native.step(0)[0]))
        scalar.step(0)
    assert all(np.array_equal(obs, then) for obs, then, _ in kept)
    before = sys.getrefcount(first)
    for _ in range(50):
        native.reset()
    assert sys.getrefcount(first) == before


def test_a_first_observation_of_another_size_is_refused_as_generated_python_does() -> None:
    class Begins(Script):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return np.zeros(3, np.float32), {}

    for backend in ("scalar", "native"):
        env = rewardspec.wrap(Begins(drawn(5)), loads(SHOWN), backend=backend, observe="onehot")
        with pytest.raises(ValueError, match="broadcast"):
            env.reset()


ODD = {
    "float64 observation": (np.array([0.7, 0.1]), 1.0, False, False, {}),
    "reversed observation": (np.array([0.1, 0.7], np.float32)[::-1], 1.0, False, False, {}),
    "strided observation": (np.zeros(4, np.float32)[::2], 1.0, False, False, {}),
    "integer reward": (np.zeros(2, np.float32), 3, False, False, {}),
    "NumPy reward": (np.zeros(2, np.float32), np.float32(0.5), False, False, {}),
    "0-d reward": (np.zeros(2, np.float32), np.array(0.5), False, False, {}),
    "NumPy flags": (np.zeros(2, np.float32), 0.0, np.False_, np.bool_(True), {}),
    "infinite observation": (np.array([np.inf, 0], np.float32), 0.0, False, False, {}),
    "a list of five": [np.zeros(2, np.float32), 0.0, False, False, {}],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_what_is_not_plain_is_read_all_the_same(odd: Any) -> None:
    text = SPEC.replace('potential: "obs[0]"', 'potential: "tanh(obs[0])"')
    scalar, native = pair([*drawn(2), odd, *drawn(3)], text)
    for _ in range(6):
        same(scalar.step(1), native.step(1))
    assert scalar.state == pytest.approx(native.state)


WRONG = {
    "NaN": ((np.array([0, np.nan], np.float32), 0.0, False, False, {}), NonFiniteRewardError),
    "NaN reward": ((np.zeros(2, np.float32), float("nan"), False, False, {}), NonFiniteRewardError),
    "infinite reward": ((np.zeros(2, np.float32), float("inf"), False, False, {}), NonFiniteRewardError),
    "too short": ((np.zeros(1, np.float32), 0.0, False, False, {}), MismatchError),
    "no array": ((None, 0.0, False, False, {}), MismatchError),
    "a word as reward": ((np.zeros(2, np.float32), "much", False, False, {}), MismatchError),
    "four results": ((np.zeros(2, np.float32), 0.0, False, {}), ValueError),
    "no tuple": (None, TypeError),
    "an error inside": (KeyError("inside"), KeyError),
}


@pytest.mark.parametrize(("wrong", "error"), WRONG.values(), ids=list(WRONG))
def test_errors_are_those_of_generated_python_and_leave_the_state(wrong: Any, error: Any) -> None:
    scalar, native = pair([*drawn(3), wrong, *drawn(3)])
    for _ in range(3):
        same(scalar.step(0), native.step(0))
    before, said = native.state, []
    for env in (scalar, native):
        with pytest.raises(error) as caught:
            env.step(0)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert native.state == before
    same(scalar.step(0), native.step(0))


def test_actions_that_are_no_numbers() -> None:
    scalar, native = pair(drawn(3))
    for action in (np.int64(1), np.array(2), True):
        same(scalar.step(action), native.step(action))
    for env in (scalar, native):
        with pytest.raises(MismatchError):
            env.step("left")


def test_it_is_called_as_a_method_is() -> None:
    _, native = pair(drawn(3))
    native.step(action=1)
    for wrong in ((), (1, 2)):
        with pytest.raises(TypeError):
            native.step(*wrong)
    with pytest.raises(TypeError):
        native.step(act=1)


def test_references_are_given_back() -> None:
    shared = (np.zeros(2, np.float32), 0.5, False, False, {})
    odd = (np.zeros(2), 0.5, False, False, {})
    bad = (np.full(2, np.nan, np.float32), 0.5, False, False, {})
    told = object()
    end = (np.zeros(2, np.float32), 0.5, True, False, {"told": told})
    _, native = pair([shared, odd, end, bad, RuntimeError("inside")])
    held = [shared, odd, bad, end, *shared, *odd, *bad, *end, told, native.unwrapped, None, True, False]

    def cycle() -> None:
        native.unwrapped.at = 0
        native.step(0), native.step(0)
        assert native.step(0)[4]["told"] is told
        for error in (NonFiniteRewardError, RuntimeError):
            with pytest.raises(error):
                native.step(0)

    for _ in range(3):
        cycle()
    gc.collect()
    before = [sys.getrefcount(thing) for thing in held]
    for _ in range(200):
        cycle()
    gc.collect()
    after = [sys.getrefcount(thing) for thing in held]
    grown = [(repr(thing), a, b) for thing, a, b in zip(held, before, after, strict=True) if abs(a - b) > 20]
    assert not grown


def test_results_are_new_and_freed() -> None:
    class Counted(np.ndarray):
        pass

    class Fresh(Script):
        def step(self, action: Any) -> Any:
            obs = np.zeros(2, np.float32)
            self.last = weakref.ref(obs)
            return obs, 1.0, False, False, {}

    env = rewardspec.wrap(Fresh([]), loads(SPEC), backend="native", observe="none")
    env.reset()
    first = env.step(0)
    second = env.step(0)
    assert first is not second
    assert first[1] != second[1] or first[0] is not second[0]
    assert env.unwrapped.last() is second[0]
    del second
    assert env.unwrapped.last() is None


def test_a_tuple_that_the_environment_keeps_is_not_written_to() -> None:
    kept = (np.array([0.9, 0.0], np.float32), 0.25, False, False, {})
    _, native = pair([kept], observe="none")
    assert native.step(0)[1] != 0.25
    assert kept[1] == 0.25


def test_the_function_outlives_its_wrapper() -> None:
    _, native = pair(drawn(9))
    step, gone = native.step, weakref.ref(native)
    del native
    gc.collect()
    assert gone() is None
    assert np.isfinite([step(0)[1] for _ in range(20)]).all()
    del step
    gc.collect()


def test_an_environment_that_resets_itself_inside_its_step() -> None:
    class Inside(Script):
        outer: Any = None

        def step(self, action: Any) -> Any:
            if self.at == 3:
                self.at += 1
                self.outer.reset()
            return super().step(action)

    env = Inside(drawn(9))
    env.outer = native = rewardspec.wrap(env, loads(SPEC), backend="native")
    native.reset()
    for _ in range(9):
        assert np.isfinite(native.step(0)[1])


def test_copies_and_pickles_go_on_alone() -> None:
    _, native = pair(drawn(20))
    for _ in range(5):
        native.step(1)
    for other in (copy.deepcopy(native), pickle.loads(pickle.dumps(native))):
        assert other.state == native.state
        same(copy.deepcopy(native).step(2), other.step(2))
        assert is_compiled(other)
        assert other.state != native.state


def test_parameters_and_state_can_be_changed() -> None:
    scalar, native = pair(drawn(9))
    name = next(iter(native.params))
    for env in (scalar, native):
        env.step(0)
        env.set_param(name, 3.0)
        env.state = (1, *env.state[1:])
    same(scalar.step(0), native.step(0))
    assert native.machine_states == scalar.machine_states
    assert native.load_run_state(scalar.run_state()) is None


SAID = """
name: said
env: {labels: environment}
propositions: {warm: label.warm, high: "next_obs[0] > 0", late: label.late}
reward:
  - reward_machine:
      start: u
      edges: [{from: u, to: v, when: warm and not high, reward: 1}, {from: v, to: u, when: late or high, reward: 0.5}]
  - {markov: "0.1 * reward + (0.01 if late else 0)"}
"""


class Saying(Script):
    """Says what it was told to beside its results, each time it is asked."""

    label_names = ("late", "odd", "warm")

    def __init__(self, results: list[Any], said: list[Any]) -> None:
        super().__init__(results)
        self.said, self.asked = said, 0

    def labels(self) -> Any:
        self.asked += 1
        said = self.said[(self.at - 1) % len(self.said)]
        if isinstance(said, Exception):
            raise type(said)(*said.args)
        return said


def saying(results: list[Any], said: list[Any]) -> list[Any]:
    found = []
    for backend in ("scalar", "native"):
        env = rewardspec.wrap(Saying(results, said), loads(SAID), backend=backend)
        env.reset()
        found.append(env)
    assert is_compiled(found[1])
    return found


def test_labels_that_an_environment_says_are_read_once_a_step() -> None:
    said = [{"warm"}, set(), {"late"}, {"late", "warm"}, {"odd"}, {"warm"}, {"late"}]
    results = drawn(30)
    for i, odd in enumerate(ODD.values()):
        results[3 * i + 1] = odd
    scalar, native = saying(results, said)
    for t in range(60):
        same(scalar.step(t % 3), native.step(t % 3))
        assert scalar.state == pytest.approx(native.state)
        assert native.unwrapped.asked == t + 1


def test_an_error_of_labels_passes_through_and_leaves_the_state() -> None:
    nan = (np.full(2, np.nan, np.float32), 0.0, False, False, {})
    scalar, native = saying([*drawn(3), nan], [{"warm"}, {"late"}, KeyError("labels")])
    for env in (scalar, native):
        env.step(0), env.step(0)
        before = env.state
        with pytest.raises(KeyError, match="labels"):
            env.step(0)
        with pytest.raises(NonFiniteRewardError):
            env.step(0)
        assert env.state == before
        assert env.unwrapped.asked == 4


def test_references_to_labels_are_given_back() -> None:
    odd = (np.zeros(2), 0.5, False, False, {})
    _, native = saying([drawn(1)[0], odd, None], [{"warm"}])
    told: list[Any] = []
    labels = native._labels.labels
    read = labels.read
    labels.read = lambda *step: told.append(read(*step)) or told[-1]
    native._fused = None
    native.reset()
    native.step(0), native.step(0)
    with pytest.raises(TypeError):
        native.step(0)
    assert len(told) == 2
    others = [tuple([name]) for name in "ab"]
    assert [sys.getrefcount(one) for one in told] == [sys.getrefcount(one) for one in others]


def test_what_it_cannot_read_stays_with_generated_python() -> None:
    text = "{name: n, propositions: {seen: null}, reward: {once: seen}}"
    env = rewardspec.wrap(Script(drawn(3)), loads(text), label=lambda env, step: ["seen"], backend="native")
    env.reset()
    assert env.step(0)[1] == 1.0
    assert not is_compiled(env)
    detailed = rewardspec.wrap(Script(drawn(3)), loads(SPEC), backend="native", detail=True)
    detailed.reset()
    assert "terms" in detailed.step(0)[4]["rewardspec"]


@pytest.mark.parametrize(
    ("space", "obs", "reads"),
    [
        (spaces.Discrete(5), 3, "next_obs == 3"),
        (spaces.Discrete(5), np.int64(3), "next_obs == 3 and obs == 3"),
        (
            spaces.Box(0, 255, (3, 4, 2), np.uint8),
            np.full((3, 4, 2), 200, np.uint8),
            "next_obs[2, 3, 1] == 200",
        ),
        (spaces.Box(0, 255, (40,), np.int32), np.full(40, 200, np.int32), "sum(next_obs) == 8000"),
        (spaces.Box(0, 9, (), np.float64), np.array(2.5), "next_obs > 2"),
        (spaces.MultiDiscrete([4, 4]), np.array([1, 2]), "next_obs[1] == 2 and obs[0] == 1"),
        (spaces.MultiBinary(3), np.ones(3, np.int8), "next_obs[1] == 1"),
    ],
)
def test_other_spaces(space: Any, obs: Any, reads: str) -> None:
    class Other(Script):
        observation_space = space

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return obs, {}

    text = f"name: n\nreward: {{markov: 'where({reads}, 1, 0)'}}"
    env = rewardspec.wrap(Other([(obs, 0.0, False, False, {})]), loads(text), backend="native")
    env.reset()
    assert [env.step(0)[1] for _ in range(3)] == [1.0] * 3
    assert is_compiled(env) == can_step(env.layout, space, env.action_space)


def test_there_is_no_other_backend() -> None:
    with pytest.raises(UnsupportedError, match="unknown-backend"):
        rewardspec.wrap(Script([]), loads(SPEC), backend="nativ")  # type: ignore[arg-type]
