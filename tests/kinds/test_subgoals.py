"""Subgoals: what is paid when, by whom it is said, and which hosts can ask."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import rewardspec
from rewardspec import SpecError, UnsupportedError, compile_spec, loads
from rewardspec.analysis.spec_tests import run_tests
from rewardspec.backends import oracle
from rewardspec.transition import Transition

KEYROOM = """
discount: 0.5
propositions: {{key: label.key, door: label.door}}
reward:
  subgoals:
    subgoals: [pick up the key, open the door]
    judge: {judge}
    bonus: 2
    {more}
"""
BY_CONDITIONS = "{oracle: [key, door]}"
BY_MODEL = "{llm: default}"


def spec_of(judge: str = BY_CONDITIONS, more: str = "") -> rewardspec.Spec:
    return loads(KEYROOM.format(judge=judge, more=more))


def paid(spec: rewardspec.Spec, *trace: str, terminated: bool = False) -> list[float]:
    """Return what is paid for steps on which the key (k) and the door (d) are said to be reached."""
    steps = [
        Transition(
            label={
                **dict.fromkeys(("key", "pick up the key"), "k" in said),
                **dict.fromkeys(("door", "open the door"), "d" in said),
            },
            terminated=terminated and i == len(trace) - 1,
            truncated=False,
        )
        for i, said in enumerate(trace)
    ]
    return [float(outcome.reward) for outcome in oracle.run_episode(compile_spec(spec), steps)]


@pytest.mark.parametrize("judge", [BY_CONDITIONS, BY_MODEL])
def test_each_subgoal_pays_once(judge: str) -> None:
    spec = spec_of(judge)
    assert paid(spec, "", "k", "k", "d", "kd") == [0, 2, 0, 2, 0]
    assert paid(spec, "kd", "kd") == [4, 0]


def test_an_episode_is_paid_at_most_the_bonus_for_each() -> None:
    """Whatever a judge says, and however often: the law that bounds what can be farmed."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        said = ["".join(c for c in "kd" if rng.random() < 0.5) for _ in range(20)]
        assert sum(paid(spec_of(BY_MODEL), *said)) <= 4


def test_repeated_always_it_is_the_papers_maximum() -> None:
    assert paid(spec_of(more="repeat: always"), "", "k", "kd", "d") == [0, 2, 2, 2]


def test_as_a_potential_it_telescopes() -> None:
    """The sum of discounted payments is -Phi(start) where the episode terminates: 0, whatever was reached."""
    spec = spec_of(more="shaping: potential")
    rewards = paid(spec, "", "k", "", "d", "", terminated=True)
    assert rewards == [0, 1, -1, 0, -4]  # 0.5 * 2 - 0, 0.5 * 2 - 2, 0.5 * 4 - 2, 0 - 4
    assert sum(r * 0.5**t for t, r in enumerate(rewards)) == pytest.approx(0.0)
    assert paid(spec, "", "k", "", "d", "")[-1] == 0.5 * 4 - 4  # cut off, it stays as computed


def test_traces_name_subgoals_by_their_words() -> None:
    text = KEYROOM.format(judge=BY_MODEL, more="") + (
        "tests:\n  - {name: the key, trace: [[], [pick up the key], [pick up the key]], rewards: [0, 2, 0]}\n"
    )
    assert run_tests(loads(text))[0].passed


class Room(gym.Env[Any, Any]):
    """Counts its steps: the key lies at 1, the door at 3."""

    observation_space = spaces.Box(0, 9, (1,), np.float64)
    action_space = spaces.Discrete(2)
    at = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return np.array([0.0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return np.array([float(self.at)]), 0.0, False, False, {}


JUDGED = """
propositions: {given: null, late: 'next_obs[0] > 2'}
reward:
  - subgoals: {subgoals: [pick up the key, open the door]}
  - {once: given, value: 10}
  - {once: late, value: 100}
"""


def judge(env: Any, step: Transition) -> list[str]:
    assert float(step.next_obs[0]) == float(step.obs[0]) + 1 == float(env.unwrapped.at)
    return {1.0: ["pick up the key"], 3.0: ["open the door"]}.get(float(step.next_obs[0]), [])


@pytest.mark.parametrize("detail", [False, True])
def test_a_judge_and_a_labelling_function_stand_side_by_side(detail: bool) -> None:
    env = rewardspec.wrap(
        Room(), loads(JUDGED), label=lambda env, step: ["given"], judge=judge, detail=detail
    )
    env.reset()
    assert [env.step(0)[1] for _ in range(4)] == [11, 0, 101, 0]
    env.reset()
    assert env.step(0)[1] == 11


def test_stored_steps_are_judged_or_carry_what_was_said() -> None:
    data = {"obs": [[0.0], [1.0], [2.0], [3.0]], "action": [0, 0, 0], "terminated": [False] * 3}
    spec = loads("reward: {subgoals: {subgoals: [pick up the key, open the door]}}")

    def say(env: None, step: Transition) -> list[str]:
        return ["open the door"] if float(step.next_obs[0]) == 3 else []

    assert rewardspec.relabel(data, spec, judge=say).reward.tolist() == [0, 0, 1]
    label = {"pick up the key": [True, False, False], "open the door": [False, True, True]}
    assert rewardspec.relabel(data | {"label": label}, spec).reward.tolist() == [1, 1, 0]
    with pytest.raises(UnsupportedError, match="needs-judge"):
        rewardspec.relabel(data, spec)
    with pytest.raises(UnsupportedError, match="needs-judge"):  # a labelling function is no judge
        rewardspec.relabel(data, spec, label=say)


def test_without_a_judge_it_is_refused_when_wrapping() -> None:
    with pytest.raises(UnsupportedError, match="needs-judge"):
        rewardspec.wrap(Room(), loads(JUDGED), label=lambda env, step: ["given"])


def test_conditions_need_no_judge() -> None:
    spec = loads(
        "propositions: {key: 'next_obs[0] == 1'}\n"
        "reward: {subgoals: {subgoals: [pick up the key], judge: {oracle: [key]}}}"
    )
    env = rewardspec.wrap(Room(), spec)
    env.reset()
    assert [env.step(0)[1] for _ in range(3)] == [1, 0, 0]


def test_what_was_reached_is_shown_to_the_agent() -> None:
    env = rewardspec.wrap(Room(), loads(JUDGED), label=lambda env, step: [], judge=judge)
    env.reset()
    assert np.asarray(env.step(0)[0]).tolist() == [1, 1, 0, 0, 0]


def test_a_subgoal_with_the_name_of_a_proposition_is_told_apart() -> None:
    program = compile_spec(loads("propositions: {key: reward > 0}\nreward: {subgoals: {subgoals: [key]}}"))
    assert program.judged_labels == ("key (2)",)


def test_a_mistake_in_the_judge_is_shown_where_it_stands() -> None:
    """The kind has the name of its main key: the place of a key beside it is still its own."""
    with pytest.raises(SpecError, match=r"1:57: (.|\n)*Did you mean 'crop9'") as e:
        loads("reward: {subgoals: {subgoals: [a], judge: {observation: crop8}}}")
    assert e.value.problems[0].place.path == "reward.subgoals.judge.observation"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{subgoals: []}", "1 to 16 subgoals"),
        ("{subgoals: [a, A]}", "duplicate-name"),
        ("{subgoals: [a], repeat: always, shaping: potential}", "leave 'repeat' out"),
        ("{subgoals: [a], shaping: potential}", "missing-discount"),
        ('{subgoals: [a], task: "go\\nthere"}', "not-one-line"),
        ("{subgoals: [a], judge: {oracle: [reward + 1]}}", "expected-truth-value"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(SpecError, match=code):
        compile_spec(loads(f"reward: {{subgoals: {text}}}"))
