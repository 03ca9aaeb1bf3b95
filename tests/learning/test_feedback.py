"""Rewards from feedback on messages: what the three models learn, what waits and is dropped, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from benchmarks.oni.captions import captions
from envs.message_rooms import HELPFUL, OTHERS, MessageRooms
from rewardspec import RewardLearner, from_data, wrap_learned
from rewardspec.compiler import compile_spec
from rewardspec.kinds.feedback import Feedback
from rewardspec.learning.message_models import MessageModel
from rewardspec.learning.messages import code_of
from rewardspec.llm.questions import Answered, Queue
from rewardspec.llm.scripted import Scripted
from rewardspec.training.environments import make_env
from tests.kinds.test_feedback import KEY, NEWT, Talking, play, spec


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions on several threads take longer, and much longer where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


NETWORK = {"embedding": 8, "channels": 16, "features": 32, "hidden": [32]}


def model_of(kind: str, texts: list[str], **fit: Any) -> MessageModel:
    options = {"task": "t", "model": kind, "longest": 128, "network": NETWORK, "fit": fit}
    model = MessageModel(Feedback.model_validate(options), seed=0)
    model.texts = {code_of(text): text for text in texts}
    return model


def test_a_classifier_knows_captions_that_it_has_not_seen_and_a_table_does_not() -> None:
    """Acceptance: 400 held out, at least .95; templates with other numbers are what retrieval misses."""
    drawn = captions(1000, np.random.default_rng(0))
    labels = {code_of(text): float(helpful) for text, helpful in drawn[:600]}
    held = drawn[600:]
    model = model_of(
        "classification", [text for text, _ in drawn], learning_rate=5e-3, updates=260, batch_size=64
    )
    assert model.of([code_of(held[0][0])]) == [0.0], "before the first fit"
    model.fit_labels(labels, np.random.default_rng(0))
    said = np.array(model.of([code_of(text) for text, _ in held])) > 0.5
    assert np.mean(said == [helpful for _, helpful in held]) >= 0.95
    gold = [text for text, _ in held if text.endswith("gold pieces.")]
    table = model_of("retrieval", [text for text, _ in drawn])
    table.labels = labels
    assert len(gold) >= 5, "numbers that no labelled caption has"
    assert table.of([code_of(text) for text in gold]) == [0.0] * len(gold)
    assert min(model.of([code_of(text) for text in gold])) > 0.5


@pytest.mark.parametrize(("flipped", "least"), [(0.0, 0.8), (0.2, 0.6)])
def test_a_ranking_finds_the_order_of_messages(flipped: float, least: float) -> None:
    """Acceptance: Kendall's tau from 2000 pairs, labels right or a fifth of them turned over."""
    texts, rng = [text for text, _ in captions(60, np.random.default_rng(3))], np.random.default_rng(1)
    model = model_of("ranking", texts, learning_rate=6e-3, updates=120, batch_size=256)
    pairs = []
    for _ in range(2000):
        a, b = (int(i) for i in rng.choice(len(texts), 2, replace=False))
        is_first = (a < b) != (rng.random() < flipped)
        pairs.append((code_of(texts[a]), code_of(texts[b]), float(is_first)))
    model.fit_pairs(pairs, rng)
    found = kendalltau(model.scores(texts), -np.arange(len(texts))).statistic
    assert found >= least


def ranks(as_released: bool) -> tuple[RewardLearner, list[Any]]:
    script = ((KEY, NEWT, NEWT, NEWT, "A door opens.", NEWT),)
    given = {"oracle": ["door", "key"]}
    fields = {"network": NETWORK, "fit": {"learning_rate": 3e-3, "updates": 60}, "longest": 128}
    learner = RewardLearner(spec(model="ranking", judge=given, as_released=as_released, **fields))
    _, rows = play(learner, learner.wrap(Talking(script=script)))
    learner.refresh(1000)
    return learner, rows


def test_scores_are_normalised_and_cut_and_raw_in_the_released_code() -> None:
    learner, rows = ranks(as_released=False)
    paid = learner.pay(rows)
    model = learner.models["feedback"]
    assert isinstance(model, MessageModel)
    said = model.reward(np.array(rows)[:, :2])
    assert abs(said.mean()) < 1e-6 and abs(said.std() - 1) < 1e-6, "over the messages as they were shown"
    assert said[4] > said[0] > 0 > said[1]
    assert paid.tolist() == [said[0], 0, 0, 0, said[4], 0], "what is below the mean pays nothing"
    released, same = ranks(as_released=True)
    raw = released.models["feedback"]
    assert isinstance(raw, MessageModel)
    scores = raw.scores([KEY, NEWT, "A door opens."])
    assert released.pay(same) == pytest.approx(
        [scores[0], scores[1], scores[1] / 8, scores[1] / 27, scores[2], scores[1] / 64]
    )


def source_of(learner: RewardLearner) -> Any:
    return learner._feedback["feedback"]


def test_too_many_questions_drop_the_oldest_and_are_put_again_when_shown_again(tmp_path: Path) -> None:
    script = (tuple(f"Message {i}." for i in range(5)), ("Message 0.", "Message 4."))
    learner = RewardLearner(spec(judge={"llm": "default"}, queue=3), folder=tmp_path, provider=Scripted([]))
    source = source_of_wrapped(learner, script)
    source.open = lambda: None  # nobody answers
    source._folder, source._answers = tmp_path, None

    def waiting() -> list[str]:
        return [question[0] for question in source._waiting.values()]

    env = learner.wrap(Talking(script=script))
    play(learner, env)
    (report,) = learner.refresh(1000)
    assert waiting() == ["Message 2.", "Message 3.", "Message 4."] and report["dropped"] == 2
    play(learner, env)
    learner.refresh(3000)
    assert waiting() == ["Message 3.", "Message 0.", "Message 4."], "the one shown last is the newest"


def source_of_wrapped(learner: RewardLearner, script: Any) -> Any:
    learner.wrap(Talking(script=script))
    return source_of(learner)


def test_a_label_is_never_revised_and_an_unreadable_answer_is_none() -> None:
    for as_released in (False, True):
        learner = RewardLearner(spec(as_released=as_released))
        source = source_of_wrapped(learner, ((KEY,),))
        source._take(Answered((KEY,), 1.0))
        source._take(Answered((KEY,), 0.0))
        source._take(Answered((NEWT,), None))
        source._take(Answered((NEWT,), 1.0))
        assert source.labels == {code_of(KEY): 1.0} | ({code_of(NEWT): 0.0} if as_released else {})
        assert source.unread == 1


@pytest.mark.parametrize("model", ["retrieval", "classification", "ranking"])
def test_a_learner_goes_on_where_it_was(tmp_path: Path, model: str) -> None:
    """The learning curve of a run that was stopped is that of one that was not."""
    more: dict[str, Any] = (
        {}
        if model == "retrieval"
        else {"network": NETWORK, "longest": 128, "fit": {"updates": 20, "learning_rate": 3e-3}}
    )

    def begun() -> tuple[RewardLearner, gym.Env[Any, Any]]:
        learner = RewardLearner(spec(model=model, pairs=2, **more), seed=3)
        return learner, learner.wrap(Talking())

    learner, env = begun()
    _, rows = play(learner, env)
    learner.refresh(1000)
    play(learner, env)
    learner.save(tmp_path)
    other, again = begun()
    other.load(tmp_path)
    assert other.pay(rows) == pytest.approx(learner.pay(rows), rel=1e-4)
    for each, its in ((learner, env), (other, again)):
        its.unwrapped.episode = 1  # type: ignore[attr-defined]
        play(each, its)
    assert learner.refresh(3000) == other.refresh(3000)
    assert other.pay(rows) == pytest.approx(learner.pay(rows), rel=1e-4)


def test_what_was_learned_is_paid_without_a_learner(tmp_path: Path) -> None:
    learner = RewardLearner(spec(model="classification", network=NETWORK, longest=128, fit={"updates": 20}))
    env = learner.wrap(Talking())
    play(learner, env)
    learner.refresh(1000)
    expected, _ = play(learner, env)
    learner.save_models(tmp_path / "learned.npz")
    paid = wrap_learned(
        Talking(), spec(model="classification", network=NETWORK, longest=128, fit={"updates": 20}), tmp_path
    )
    paid.unwrapped.episode = 0  # type: ignore[attr-defined]
    assert episode(paid) == expected


def episode(env: gym.Env[Any, Any]) -> list[float]:
    env.reset()
    rewards = []
    while True:
        _, reward, terminated, truncated, _ = env.step(0)
        rewards.append(float(reward))
        if terminated or truncated:
            return rewards


def test_ppo_is_paid_anew_before_its_advantages(tmp_path: Path) -> None:
    """Labels that arrive at a refresh pay the very rollout that showed the messages first."""
    from stable_baselines3 import PPO

    learner = RewardLearner(spec(after=1, every=1, judge={"oracle": list(HELPFUL)}), folder=tmp_path)
    env = learner.wrap(gym.wrappers.TimeLimit(MessageRooms(observe="index"), 20))
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, device="cpu", seed=0)
    model.learn(64, callback=learner.callback())
    source = source_of(learner)
    said = [source.model.texts[code] for code in source.labels]
    assert any(text in HELPFUL for text in said) and any(text in OTHERS for text in said)
    paid = model.rollout_buffer.rewards.sum()
    assert paid > 0.5, "nothing had a label when the steps were taken"


def test_minihack_says_its_messages() -> None:
    pytest.importorskip("minihack")
    text = {"task": "Pick up the key.", "judge": {"oracle": ["key", "It's a wall"]}}
    program = compile_spec(from_data({"reward": ["reward", {"feedback": text}]}))
    learner = RewardLearner(program, seed=0)
    env = make_env(program, "MiniHack-KeyRoom-S5-v0", learner=learner)
    env.reset(seed=0)
    for step in range(60):
        _, _, terminated, truncated, info = env.step(step % env.action_space.n)
        learner.observe([info["learned"].features], [terminated or truncated])
        if terminated or truncated:
            env.reset()
    (report,) = learner.refresh(1000)
    env.close()
    assert report["labels"] >= 2, source_of(learner).model.texts


def test_a_queue_is_read_as_it_was_written(tmp_path: Path) -> None:
    queue = Queue("Leave.", "A note.", "smollm2", 7, 2, 50, (("a",), ("b", "c\x00\udcff")))
    queue.write(tmp_path)
    found = Queue.read(tmp_path)
    assert found is not None and found.questions[0] == ("a",) and found.batch == 7
    assert json.loads((tmp_path / "questions.json").read_bytes())["task"] == "Leave."
