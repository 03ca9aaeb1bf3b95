"""A small classifier in a judge's place: it says what the judge said, and its file is read as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import rewardspec
from benchmarks.calm.rooms import text_room
from benchmarks.calm.transitions import SUBGOALS, balanced, natural
from envs.text_key_room import ACTIONS, TextKeyRoom
from rewardspec.errors import LanguageModelError, UnsupportedError
from rewardspec.llm.distil import Distilled, distil, features
from rewardspec.llm.evaluation import score
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request
from rewardspec.llm.teaching import distil_judges, with_distilled

SPEC = """
reward:
  subgoals:
    subgoals: [pick up the key, open the door]
    judge: {distilled: judge.npz}
"""


@pytest.fixture(scope="module")
def judge() -> Distilled:
    steps = natural(text_room(), episodes=40)
    seen = [(step.obs, step.action, step.next_obs) for step in steps]
    return distil(seen, [step.truth for step in steps], "crop9", source="oracle")


def test_it_says_what_the_judge_said_on_steps_that_it_never_saw(judge: Distilled) -> None:
    steps = balanced(text_room(), seed=99)
    said = [judge.judge(step.obs, step.action, step.next_obs) for step in steps]
    assert judge.held.agreement > 0.98 and judge.held.steps > 50
    assert score(said, [step.truth for step in steps], "strict").f1 > 0.95


def test_from_its_file_it_pays(judge: Distilled, tmp_path: Path) -> None:
    judge.save(tmp_path / "judge.npz")
    env = rewardspec.wrap_judged(TextKeyRoom(layout=0), rewardspec.loads(SPEC), folder=tmp_path)
    env.reset(seed=0)
    way = ("W", "W", "PICKUP", "PICKUP", "S", "S", "E", "E", "APPLY", "APPLY", "E")
    assert [env.step(ACTIONS.index(move))[1] for move in way] == [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]


def test_numbers_are_learned_from_too() -> None:
    """A threshold that is crossed upwards: a step is judged by where it begins and where it ends."""
    rng = np.random.default_rng(0)
    before = rng.uniform(-1, 1, (600, 2))
    after = before + rng.uniform(-0.3, 0.3, (600, 2))
    said = [{"cross": bool(b[0] < 0 <= a[0])} for b, a in zip(before, after, strict=True)]
    steps = [(b, "go", a) for b, a in zip(before, after, strict=True)]
    assert features("numbers", *steps[0]).shape == (2048 + 10,)
    assert distil(steps, said, "numbers", source="oracle").held.agreement > 0.9


def test_a_judge_that_never_said_yes_teaches_nothing() -> None:
    obs, _ = TextKeyRoom().reset(seed=0)
    steps = [(obs, "N", obs)] * 10
    with pytest.raises(LanguageModelError, match="too-little-said"):
        distil(steps, [dict.fromkeys(SUBGOALS, False)] * 10, "crop9", source="oracle")


@pytest.mark.parametrize(
    "changes",
    [
        {"about": np.array("{}")},
        {"about": np.array("[")},
        {"weights": np.zeros((2, 3))},
        {"centre": np.full(2048, np.nan)},
        {"weights": np.array([{"a": 1}], dtype=object)},  # would be unpickled
        {"spread": np.array(["x"])},
    ],
)
def test_a_file_that_is_no_judge_is_refused(
    judge: Distilled, tmp_path: Path, changes: dict[str, Any]
) -> None:
    judge.save(tmp_path / "judge.npz")
    arrays = dict(np.load(tmp_path / "judge.npz").items())
    np.savez(tmp_path / "judge.npz", **{**arrays, **changes})
    with pytest.raises(LanguageModelError, match="broken-judge"):
        rewardspec.wrap_judged(TextKeyRoom(), rewardspec.loads(SPEC), folder=tmp_path)


def test_no_file_other_subgoals_and_paths_that_lead_away_are_refused(
    judge: Distilled, tmp_path: Path
) -> None:
    judge.save(tmp_path / "judge.npz")
    other = SPEC.replace("open the door", "open the chest")
    for text, folder in (
        (SPEC, tmp_path / "empty"),
        (other, tmp_path),
        (SPEC.replace("judge.npz", "../judge.npz"), tmp_path / "run"),
        (SPEC.replace("judge.npz", str(tmp_path / "judge.npz")), tmp_path / "run"),
    ):
        with pytest.raises(LanguageModelError, match="broken-judge"):
            rewardspec.wrap_judged(TextKeyRoom(), rewardspec.loads(text), folder=folder)


class Seer:
    """Stands for a model that is never wrong about the pole: it looks at the environment itself."""

    card = ModelCard("seer", "scripted")

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env, self.asked = env, 0

    def complete(self, request: Request) -> Completion:
        self.asked += 1
        lean, drift = bool(self.env.unwrapped.state[2] > 0), bool(self.env.unwrapped.state[1] > 0)
        said = {"lean right": lean, "drift right": drift}
        text = json.dumps({question: said[question] for question in request.schema["properties"]})
        return Completion((Answer(text),), self.card, 1, 1)


ASKS = """
reward:
  - {clip: {subgoals: {subgoals: [lean right], judge: {llm: default, observation: numbers}}}, high: 1, name: lean}
  - {subgoals: [drift right], judge: {observation: numbers}}
"""


def test_play_is_judged_and_a_classifier_takes_the_models_place(tmp_path: Path) -> None:
    spec, env = rewardspec.loads(ASKS), gym.make("CartPole-v1")
    model = Seer(env)
    found = distil_judges(spec, env, model, steps=3000, calls=800)
    assert list(found) == [judged.name for judged in rewardspec.compile_spec(spec).judged]
    assert model.asked <= 801
    for name, classifier in found.items():
        assert classifier.held.agreement > 0.85 and classifier.source == "seer"
        classifier.save(tmp_path / f"{name}.npz")
    fast = with_distilled(spec, {name: f"{name}.npz" for name in found})
    assert fast.to_yaml().count("distilled:") == 2
    wrapped = rewardspec.wrap_judged(env, fast, folder=tmp_path)
    wrapped.reset(seed=3)
    assert {wrapped.step(1)[1] for _ in range(8)} & {1.0, 2.0}


def test_a_spec_that_asks_no_model_is_refused() -> None:
    spec = rewardspec.loads("reward: {subgoals: {subgoals: [lean], judge: {oracle: ['next_obs[2] > 0']}}}")
    with pytest.raises(UnsupportedError, match=r"\[nothing-judged\]"):
        distil_judges(spec, gym.make("CartPole-v1"))
