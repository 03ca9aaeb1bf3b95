"""Questions to people and the files of their answers: what is read, what is refused, what a kill leaves behind."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardspec.environments import make_environment
from rewardspec.errors import LearningError
from rewardspec.learning.answers import (
    Question,
    Questions,
    add_answer,
    answer_file,
    read_answers,
    read_questions,
    read_recipes,
)
from rewardspec.learning.learner import RewardLearner
from rewardspec.learning.playing import Recipe, is_playable, pack, recipes
from rewardspec.learning.trajectories import TrajectoryStore
from rewardspec.training.loop import resume, train
from rewardspec.vocabulary import loads
from tests.learning.people import UPRIGHT, Run, environment

pytestmark = pytest.mark.filterwarnings("ignore:.*pays 0 until its questions are answered")


def answers(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines))
    return path


LEFT = '{"id": 0, "answer": "left"}\n'


# -- the file of answers ---------------------------------------------------------------------------------


def test_the_last_answer_counts_and_undo_opens_a_question_again(tmp_path: Path) -> None:
    file = answers(
        tmp_path / "a.jsonl", LEFT, '{"id": 2, "answer": "skip"}\n', "\n", '{"id": 0, "answer": "equal"}\n',
        '{"id": 1, "answer": "right"}\n', '{"id": 1, "answer": "undo"}\n',
    )  # fmt: skip
    assert list(read_answers(file, 3).items()) == [(2, "skip"), (0, "equal")]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    assert read_answers(answers(tmp_path / "a.jsonl", LEFT, '{"id": 1, "ans'), 3) == {0: "left"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("left\n", "line 2: it is not JSON"),
        ("[" * 5000 + "\n", "line 2: it is not JSON"),
        ('{"id": 1, "answer": "' + "x" * 10_000 + '"}\n', "more than 10000 characters"),
        ("3\n", "line 2: it is not of the form"),
        ('{"id": 1}\n', "line 2: it is not of the form"),
        ('{"id": 7, "answer": "left"}\n', "there is no question 7; ids are 0 to 2"),
        ('{"id": -1, "answer": "left"}\n', "there is no question -1"),
        ('{"id": true, "answer": "left"}\n', "there is no question True"),
        ('{"id": "0/../1", "answer": "left"}\n', "there is no question '0/../1'"),
        ('{"id": 1, "answer": "lefd"}\n', "'lefd' is no answer"),
        ('{"id": 1, "answer": ["left"]}\n', "is no answer"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(LearningError, match="wrong-answer") as raised:
        read_answers(answers(tmp_path / "a.jsonl", LEFT, line, LEFT), 3)
    assert "a.jsonl, line 2" in str(raised.value)
    assert reason in str(raised.value)


def test_terms_that_share_a_file_read_their_own_answers(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    add_answer(file, "comfort", 8, "left")
    add_answer(file, "safety", 0, "right")
    assert read_answers(file, 9, "comfort") == {8: "left"}
    assert read_answers(file, 1, "safety") == {0: "right"}


@pytest.mark.parametrize(
    ("before", "after"), [(LEFT + '{"id": 1, "an', LEFT), (LEFT.strip(), LEFT), ("", ""), ('{"i', "")]
)
def test_an_answer_never_joins_half_a_line(tmp_path: Path, before: str, after: str) -> None:
    file = answers(tmp_path / "a.jsonl", before)
    add_answer(file, "comfort", 2, "right")
    assert file.read_text() == after + '{"term": "comfort", "id": 2, "answer": "right"}\n'


def test_answers_of_many_at_once_are_all_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"

    def work(number: int) -> None:
        for i in range(20):
            add_answer(file, "comfort", number * 20 + i, "left")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_answers(file, 100)) == list(range(100))


def test_a_word_that_is_no_answer_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="'best' is no answer"):
        add_answer(tmp_path / "a.jsonl", "comfort", 0, "best")
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../a.jsonl",
        "/etc/a.jsonl",
        "out/a.jsonl",
        "spec.yaml",
        "progress.jsonl",
        "learned.jsonl",
        "comfort.questions.jsonl",
        ".",
    ],
)
def test_answers_lie_in_the_run_and_are_no_other_file_of_it(tmp_path: Path, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    (run / "out").symlink_to(outside)
    with pytest.raises(LearningError, match="wrong-answer"):
        answer_file(run, name)
    assert answer_file(run, "mine/a.jsonl").is_relative_to(run.resolve())


def test_people_need_a_folder() -> None:
    with pytest.raises(LearningError, match="needs-folder"):
        RewardLearner(loads(UPRIGHT)).wrap(gym.make("CartPole-v1"))


# -- questions -------------------------------------------------------------------------------------------


def test_a_question_has_what_plays_its_clips_again(tmp_path: Path) -> None:
    """Played again from seed and actions, the steps of a clip show what the learner kept of them."""
    run = Run(tmp_path / "run")
    (report,) = run.play(50)
    assert (report["drawn"], report["labels"], report["open"], report["pairs"]) == (4, 0, 4, 0)
    questions = read_questions(tmp_path / "run", "comfort")
    assert [question.id for question in questions] == [0, 1, 2, 3]
    env = make_environment("CartPole-v1")
    for question in questions:
        check_playable(tmp_path / "run", question, env)


def check_playable(folder: Path, question: Question, env: gym.Env[Any, Any]) -> None:
    found = read_recipes(folder, "comfort", question)
    assert found is not None
    with np.load(folder / "comfort.questions" / f"{question.id}.npz") as file:
        inputs = [file["a"], file["b"]]
    for clip, recipe, kept in zip((question.left, question.right), found, inputs, strict=True):
        seen = [env.reset(seed=recipe.seed)[0]]
        for flat in recipe.actions:
            action = flat.reshape(env.action_space.shape).astype(env.action_space.dtype)
            assert env.action_space.contains(action if action.shape else int(action))
            seen.append(env.step(action if action.shape else int(action))[0])
        assert len(kept) == clip.steps
        assert np.array_equal(np.asarray(seen[clip.start + 1 :], np.float32), kept)


@pytest.mark.parametrize(
    ("algorithm", "env_id", "options"),
    [
        (PPO, "CartPole-v1", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}),
        (PPO, "Pendulum-v1", {"n_steps": 64, "batch_size": 64, "n_epochs": 1}),
        (SAC, "Pendulum-v1", {"learning_starts": 60, "batch_size": 16}),
    ],
)
def test_agents_of_sb3_leave_playable_questions(
    tmp_path: Path, algorithm: Any, env_id: str, options: dict[str, Any]
) -> None:
    """Clipped and unscaled actions count, not what the policy's network said."""
    learner = RewardLearner(loads(UPRIGHT), folder=tmp_path)
    vector = DummyVecEnv([lambda: environment(learner, env_id) for _ in range(2)])
    model = algorithm("MlpPolicy", vector, seed=1, gamma=0.99, **options)
    model.learn(128, callback=learner.callback())
    questions = read_questions(tmp_path, "comfort")
    assert len(questions) == 4
    env = make_environment(env_id)
    for question in questions:
        check_playable(tmp_path, question, env)


def test_a_clip_is_never_compared_with_itself(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("pairs: 4", "pairs: 200").replace("segment: 8", "segment: 4"))
    run.play(50)
    questions = read_questions(tmp_path / "run", "comfort")
    assert len(questions) == 200
    for question in questions:
        a, b = question.left, question.right
        assert (a.env, a.episode) != (b.env, b.episode) or abs(a.start - b.start) >= 4


def test_episodes_whose_start_is_forgotten_are_not_asked_about() -> None:
    """A ring of 6 rows: the first episode began before them, the second within."""
    store = TrajectoryStore(6, 1, 4)
    for step in range(9):
        store.add(
            np.concatenate([[[float(step)]], pack([7 if step < 5 else 90_000], [[step]])], 1), [step == 4]
        )
    drawn = store.draw(200, 2, np.random.default_rng(0))
    played = slice(1, 4)
    begins = store.features[drawn.rows[:, 0], 0, 0]
    whole = is_playable(store, drawn, played)
    assert set(begins[whole]) == {5, 6, 7}
    assert set(begins[~whole]) == {3}
    recipe = recipes(store, drawn.only(np.flatnonzero(begins == 7)[:1]), played)[0]
    assert recipe.seed == 90_000
    assert recipe.actions[:, 0].tolist() == [5, 6, 7, 8]


def test_episodes_without_a_seed_are_not_asked_about(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    for env in run.envs:
        env.paid.reset()
    run.play(30)
    store = run.learner.store
    assert store is not None
    drawn = store.draw(100, 2, np.random.default_rng(0))
    whole = is_playable(store, drawn, slice(4, 7))
    assert (whole == (drawn.episodes > 0)).all()
    assert whole.any() and not whole.all()


@pytest.mark.parametrize("seed", [0, 65_535, 65_536, 2**31 - 1, 2**32 - 1])
def test_seeds_are_kept_to_the_last_bit(seed: int) -> None:
    row = pack([seed], [0])[0].astype(np.float32)
    assert int(row[0]) * 65_536 + int(row[1]) == seed


def test_questions_survive_a_kill_and_half_a_line(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.play(50)
    file = tmp_path / "run" / "comfort.questions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"id": 4, "left": {"env"')
    torn = file.read_bytes()
    again = Run(tmp_path / "run", UPRIGHT.replace("pairs: 4", "pairs: 6"))
    assert file.read_bytes() == torn  # whoever only looks on leaves it alone: another process may be writing
    again.play(50)
    assert file.read_bytes().startswith(whole)
    assert [question.id for question in read_questions(tmp_path / "run", "comfort")] == list(range(6))


@pytest.mark.parametrize(
    "line", ["3", '{"id": 1}', '{"id": 0, "left": {}, "right": {}}', '{"id": 0, "left": 1, "right": 2}']
)
def test_a_file_of_questions_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "comfort.questions.jsonl").write_text(line + "\n")
    with pytest.raises(LearningError, match="wrong-answer"):
        _ = Questions(tmp_path, "comfort", "answers.jsonl").asked


def test_what_plays_a_question_again_may_be_broken(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.play(50)
    question = read_questions(tmp_path / "run", "comfort")[1]
    file = tmp_path / "run" / "comfort.questions" / "1.npz"
    for content in (b"", b"PK\x03\x04half", file.read_bytes()[:200]):
        file.write_bytes(content)
        with pytest.raises(LearningError, match="cannot be read"):
            read_recipes(tmp_path / "run", "comfort", question)


# -- a run that is answered ------------------------------------------------------------------------------


def test_without_answers_it_pays_nothing_and_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("pairs: 4", "pairs: 4\n      when_tied: stop"))
    with pytest.warns(UserWarning, match="'comfort' pays 0 until .*: rewardspec label") as told:
        reports = run.play(150)
    assert len(told) == 1
    assert [(r["drawn"], r["labels"], r["open"], r["pairs"]) for r in reports] == [(4, 0, 4, 0)] + [
        (0, 0, 4, 0)
    ] * 2
    assert set(run.learner.pay(np.ones((3, 4)))) == {0.0}


def test_answers_are_read_at_the_next_refresh_and_make_room_for_questions(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.play(50)
    file = tmp_path / "run" / "answers.jsonl"
    for number, answer in enumerate(["left", "skip", "equal"]):
        add_answer(file, "comfort", number, answer)
    (report,) = run.play(50)
    assert (report["drawn"], report["labels"], report["open"], report["pairs"]) == (3, 2, 4, 2)
    assert run.learner.models["comfort"].is_fitted
    pairs = Questions(tmp_path / "run", "comfort", "answers.jsonl").answered(8, 4)
    assert pairs[2].tolist() == [1.0, 0.5]
    with np.load(tmp_path / "run" / "comfort.questions" / "2.npz") as kept:
        assert np.array_equal(pairs[0][1], kept["a"])
    file.write_text(file.read_text() + "rubbish\n")
    with pytest.raises(LearningError, match="line 4"):
        run.play(50)


def test_a_budget_ends_the_asking(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("pairs: 4", "pairs: 4\n      budget: 6"))
    file = tmp_path / "run" / "answers.jsonl"
    for asked in (4, 6, 6):
        run.play(50)
        assert len(read_questions(tmp_path / "run", "comfort")) == asked
        for number in range(asked):
            add_answer(file, "comfort", number, "left")


def test_a_run_that_was_killed_after_asking_asks_no_other_questions(tmp_path: Path) -> None:
    """What was answered between the checkpoint and the kill stays answered, and is about the same clips."""
    straight, killed = Run(tmp_path / "straight"), Run(tmp_path / "killed")
    straight.play(110)
    killed.play(40)
    place = tmp_path / "checkpoint"
    place.mkdir()
    killed.learner.save(place)
    killed.play(30)  # the refresh at 100 steps asks, and then the process dies

    again = Run(tmp_path / "killed")
    again.play(40)
    assert again.learner.store is not None
    again.learner.load(place)
    assert len(read_questions(tmp_path / "killed", "comfort")) == 4
    reports = again.play(70)
    assert [report["drawn"] for report in reports] == [0, 0]
    for name in ("comfort.questions.jsonl",):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "straight" / name).read_text()
    state = [run.learner._rng.bit_generator.state for run in (straight, again)]
    assert state[0] == state[1]
    for number in range(4):
        ours, theirs = (
            read_recipes(tmp_path / name, "comfort", read_questions(tmp_path / name, "comfort")[number])
            for name in ("straight", "killed")
        )
        assert ours is not None
        assert theirs is not None
        for a, b in zip(ours, theirs, strict=True):
            assert isinstance(a, Recipe)
            assert a.seed == b.seed
            assert np.array_equal(a.actions, b.actions)


def test_plain_loops_may_ask_without_saying_how_to_play(tmp_path: Path) -> None:
    """Whoever has pictures of his own needs no seeds; the questions then say so."""
    run = Run(tmp_path / "run")
    for _ in range(60):
        told = [env.step(0) for env in run.envs]
        ended = [terminated or truncated for _, _, terminated, truncated, _ in told]
        run.learner.observe([info["learned"].features for *_, info in told], ended)
        for env, over in zip(run.envs, ended, strict=True):
            if over:
                env.reset()
    run.learner.refresh(120)
    question = read_questions(tmp_path / "run", "comfort")[0]
    assert question.left.seed is None
    assert read_recipes(tmp_path / "run", "comfort", question) is None
    line = json.loads((tmp_path / "run" / "comfort.questions.jsonl").read_text().splitlines()[0])
    assert set(line["left"]) == {"env", "episode", "start", "steps"}


def test_a_run_is_trained_answered_meanwhile_and_resumed(tmp_path: Path) -> None:
    """`rewardspec train` asks, is stopped, is answered, and goes on with the answers."""
    text = UPRIGHT.replace("every: 100", "every: 1000").replace("after: 100", "after: 1000")

    def stop(row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    options = {"steps": 3000, "n_envs": 2, "checkpoint_seconds": 0}
    agent = {"n_steps": 250, "batch_size": 250, "n_epochs": 1}
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(loads(text), folder, agent=agent, show=stop, **options)
    questions = read_questions(folder, "comfort")
    assert len(questions) == 4
    env = make_environment("CartPole-v1")
    for question in questions:
        check_playable(folder, question, env)
        add_answer(folder / "answers.jsonl", "comfort", question.id, "left")
    resume(folder, show=False, checkpoint_seconds=0)
    told = [json.loads(line) for line in (folder / "learned.jsonl").read_text().splitlines()]
    assert [report["labels"] for report in told if report["steps"] > 1000] == [4.0, 4.0]
    for question in read_questions(folder, "comfort")[4:]:
        check_playable(folder, question, env)
    assert [question.id for question in read_questions(folder, "comfort")] == list(range(8))
