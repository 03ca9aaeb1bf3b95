"""Kind `feedback`: what it pays for a message, what it reads, and what is refused. Asking: tests/llm, learning:
tests/learning/test_feedback.py."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rewardspec import MismatchError, RewardLearner, SpecError, UnsupportedError, from_data, loads
from rewardspec.compiler import compile_spec
from rewardspec.ir.show import show_expr

KEY, NEWT = "You have a key.", "The newt yawns."
SCRIPT = ((KEY, NEWT, "", KEY, NEWT, KEY, "", KEY), (NEWT, KEY, KEY, ""))
"""What is said in two episodes, step by step."""


class Talking(gym.Env[Any, Any]):
    """Says what a script says; the message is where it is asked for."""

    def __init__(self, where: str = "info", script: tuple[tuple[str, ...], ...] = SCRIPT) -> None:
        text = gym.spaces.Box(0, 255, (256,), np.uint8)
        parts = {"x": gym.spaces.Box(-1, 1, (1,)), "message": text}
        self.where, self.script, self.episode = where, script, -1
        self.observation_space = gym.spaces.Dict(parts if where == "obs" else {"x": parts["x"]})
        self.action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.episode, self.at = (self.episode + 1) % len(self.script), 0
        return self._seen(""), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        said, self.at = self.script[self.episode][self.at], self.at + 1
        info = {"message": said} if self.where == "info" else {}
        return self._seen(said), 0.0, self.at == len(self.script[self.episode]), False, info

    def _seen(self, said: str) -> dict[str, Any]:
        row = np.frombuffer(said.encode().ljust(256, b"\0"), np.uint8).copy()
        return {"x": np.zeros(1, np.float32)} | ({"message": row} if self.where == "obs" else {})


def spec(weight: float = 1.0, **fields: Any) -> Any:
    given = {"task": "Get the key.", "message": "info.message", "judge": {"oracle": ["key"]}, **fields}
    return from_data({"reward": {"feedback": given, "weight": weight}})


def play(learner: RewardLearner, env: gym.Env[Any, Any]) -> tuple[list[float], list[Any]]:
    """Play an episode; return its rewards and the features of its steps."""
    env.reset()
    rewards, rows = [], []
    while True:
        _, reward, terminated, truncated, info = env.step(0)
        rewards.append(float(reward))
        rows.append(info["learned"].features)
        learner.observe([rows[-1]], [terminated or truncated])
        if terminated or truncated:
            return rewards, rows


def test_a_message_pays_its_label_over_the_cube_of_its_count_in_the_episode() -> None:
    """Acceptance: exact values for a scripted sequence over two episodes; counts begin anew."""
    learner = RewardLearner(spec(weight=0.5))
    env = learner.wrap(Talking())
    first, rows = play(learner, env)
    assert first == [0.0] * 8, "no message has a label yet"
    learner.refresh(1000)
    told = [0.5 * value for value in (1, 0, 0, 1 / 8, 0, 1 / 27, 0, 1 / 64)]
    assert learner.pay(rows).tolist() == told, "stored steps are paid by the labels of today"
    second, _ = play(learner, env)
    assert second == [0.0, 0.5, 0.0625, 0.0]
    third, _ = play(learner, env)
    assert third == told


def test_the_power_is_what_the_spec_says() -> None:
    learner = RewardLearner(spec(power=1))
    env = learner.wrap(Talking())
    _, rows = play(learner, env)
    learner.refresh(1000)
    assert learner.pay(rows).tolist() == [1, 0, 0, 1 / 2, 0, 1 / 3, 0, 1 / 4]


@pytest.mark.parametrize(("empty", "asked"), [("ignore", {KEY, NEWT}), ("ask", {KEY, NEWT, ""})])
def test_an_empty_message_is_asked_about_on_demand_alone(empty: str, asked: set[str]) -> None:
    learner = RewardLearner(spec(empty=empty, judge={"oracle": ["key"]}))
    play(learner, learner.wrap(Talking()))
    (report,) = learner.refresh(1000)
    assert report["labels"] == len(asked) and report["messages"] == 3


def test_what_is_paid_is_written_in_the_program() -> None:
    def paid(**fields: Any) -> str:
        return show_expr(compile_spec(spec(**fields)).terms[0].expr)

    assert paid() == 'feedback.weight * (learned(feedback) / info["feedback.shown"] ** 3)'
    assert "where(learned(feedback) > 0.5, 1, 0)" in paid(model="classification")
    assert "where(learned(feedback) >= 0, learned(feedback), 0)" in paid(model="ranking")
    assert "where(learned(feedback) >= -0.5, " in paid(model="ranking", cutoff=-0.5)
    assert "where" not in paid(model="ranking", as_released=True), "the released code pays the raw score"


def test_bytes_and_texts_are_the_same_message() -> None:
    learner = RewardLearner(spec(message="next_obs.message"))
    other = RewardLearner(spec())
    _, rows = play(learner, learner.wrap(Talking("obs")))
    _, others = play(other, other.wrap(Talking("info")))
    assert np.array_equal(rows, others)


def test_long_messages_are_cut_and_then_alike() -> None:
    long = "The wall is engraved: " + "x" * 300
    learner = RewardLearner(spec(longest=123))
    env = learner.wrap(Talking(script=((long, long + "y"),)))
    _, rows = play(learner, env)
    assert rows[1][2] == 8, "the second is the same message again: 2 cubed"


def test_it_stands_inside_operators() -> None:
    text = """
reward:
  clip: {feedback: {task: t, message: info.message, judge: {oracle: [key]}}, weight: 10}
  high: 2
"""
    learner = RewardLearner(loads(text))
    env = learner.wrap(Talking())
    _, rows = play(learner, env)
    learner.refresh(1000)
    assert learner.pay(rows).tolist() == [2, 0, 0, 10 / 8, 0, 10 / 27, 0, 10 / 64]


def test_an_environment_without_the_message_is_refused() -> None:
    with pytest.raises(MismatchError, match=r"no message in next_obs\.message: the observation has x"):
        RewardLearner(spec(message="next_obs.message")).wrap(Talking())
    env = RewardLearner(spec(message="info.words")).wrap(Talking())
    env.reset()
    with pytest.raises(MismatchError, match="no-message"):
        env.step(0)


def test_a_device_has_no_messages() -> None:
    with pytest.raises(UnsupportedError, match="needs-messages"):
        RewardLearner(spec()).wrap_tensor(None)


@pytest.mark.parametrize(
    "message",
    ["next_obs.message + 1", "obs.message", "next_obs", "reward", "next_obs.message[0:3]", "abs(info.m)"],
)
def test_what_is_no_message_is_refused_when_the_spec_is_read(message: str) -> None:
    with pytest.raises(SpecError, match="not-a-message"):
        compile_spec(spec(message=message))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cutoff": 0.5}, "a label is 0 or 1"),
        ({"model": "ranking", "cutoff": 0.5, "as_released": True}, "applies no cutoff"),
        ({"longest": 122}, "longest"),
        ({"task": "a\nb"}, "not-one-line"),
        ({"judge": {"oracle": []}}, "oracle"),
    ],
)
def test_options_that_contradict_each_other_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        spec(**fields)
