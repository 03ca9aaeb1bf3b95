"""Searches that really train: CartPole for a few hundred steps, in this process, judged in every way."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments.search import measured
from rewardspec import load, loads
from rewardspec.learning.playing import Recipe
from rewardspec.search.candidate import read_training
from rewardspec.search.folder import SearchFolder
from rewardspec.search.judges import ByScore, paper_queries
from rewardspec.search.loop import Plan, Search
from rewardspec.search.mutation import Mutator
from rewardspec.search.person import Person
from rewardspec.search.playing import CLIP, load_clip, teacher_score
from rewardspec.search.trainer import Budget, Job, Look, Outcome, Runs, make_run
from rewardspec.training.folder import RunFolder
from rewardspec.training.settings import choose
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)

TEXT = """\
name: balance
description: Balance the pole.
env: {id: CartPole-v1, horizon: 30}
signals: {position: {value: 'next_obs[0]', range: [-4.8, 4.8]}}
reward:
  - {markov: 1 - abs(position) / 4.8, name: centre}
"""
BASE = loads(TEXT)
SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
BUDGET = Budget(steps=64, n_envs=2, agent=SMALL)
OPTIONS = ["--steps", 64, "--n-envs", 2, "--workers", 0, "--final-seeds", 1]
OPTIONS += [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a run, trained as the search trains."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "spec.yaml").write_text(TEXT)
    with Runs(BUDGET, workers=0, clips=True) as runs:
        (outcome,) = runs.train(
            [Job("g1c1", BASE, folder / "spec.yaml", folder / "run", 3)], lambda steps: None
        )
    assert outcome.trained is not None and not outcome.failed
    assert outcome.trained.best["return"] >= outcome.trained.last["return"] > 0
    assert list(outcome.trained.trace) == ["centre"] and outcome.trained.steps >= 64
    yield folder


def test_a_training_is_an_ordinary_run_and_is_made_once(trained: Path) -> None:
    run_folder = RunFolder(trained / "run")
    assert run_folder.is_finished and read_training(run_folder.rows()) is not None
    before = (trained / "run" / "model.zip").stat().st_mtime_ns
    item = {"spec": str(trained / "spec.yaml"), "folder": str(trained / "run"), "seed": 3}
    make_run({**item, "settings": {"steps": 64}, "teacher": None, "clip": False})
    assert (trained / "run" / "model.zip").stat().st_mtime_ns == before


def test_a_clip_plays_the_agents_episode_again(trained: Path) -> None:
    import gymnasium

    recipe = load_clip(trained / "run")
    env = gymnasium.make("CartPole-v1", max_episode_steps=30)
    env.reset(seed=recipe.seed)
    ended = [any(env.step(int(action[0]))[2:4]) for action in recipe.actions]
    assert ended == [False] * (len(ended) - 1) + [True]


def test_a_teacher_scores_what_agents_do_not_what_they_are_paid(trained: Path) -> None:
    steps = teacher_score(trained / "run", loads("reward: 1"), 3, episodes=4)
    twice = teacher_score(trained / "run", loads("reward: 2"), 3, episodes=4)
    first = teacher_score(trained / "run", loads("reward: 1\nend: [{when: 'true'}]"), 3, episodes=4)
    assert (twice, first) == (2 * steps, 1.0) and 8 < steps <= 30, "after a teacher's own end nothing counts"
    lengths = len(load_clip(trained / "run").actions)
    assert teacher_score(trained / "run", loads("reward: 1"), 3, episodes=1) == lengths


def test_from_the_command_line_to_a_page(run: Run, tmp_path: Path) -> None:  # noqa: F811
    Path("cartpole.yaml").write_text(TEXT)
    Path("wanted.yaml").write_text("reward: 1 - abs(next_obs[0])")
    result = run(
        "search", "cartpole.yaml", "--generations", 2, "--candidates", 2, "--judge", "wanted.yaml", *OPTIONS
    )
    assert result.exit_code == 0, result.stderr
    folder = SearchFolder("runs/search-cartpole-0")
    assert "4 candidates trained, 0 failed" in result.stdout and str(folder.report) in result.stdout
    assert "g1c1 is trained: teacher " in result.stderr and "generation 2 of 2: best g2c" in result.stderr
    page = folder.report.read_text()
    assert "judged by teacher, proposed by mutation" in page and "trained anew" in page
    assert page.count("- **[g") == 4
    best = load(folder.best)
    assert best.provenance["search"]["candidate"] in page and best.env == BASE.env
    assert run("check", folder.best).exit_code == 0
    assert "proposed by mutation" in run("explain", folder.best).stdout
    assert "teacher" in json.loads(folder.facts.read_text())["judge"]
    again = run("search", "--resume", folder.path)
    assert again.exit_code == 0 and "4 candidates trained" in again.stdout


def test_a_search_that_is_stopped_says_how_to_go_on_and_does(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("cartpole.yaml").write_text(TEXT)
    made: list[str] = []

    def stopping(item: dict[str, str]) -> object:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(item["folder"])
        return make_run(item)

    monkeypatch.setattr("rewardspec.search.trainer.make_run", stopping)
    stopped = run("search", "cartpole.yaml", "--generations", 2, "--candidates", 2, *OPTIONS, "--out", "s")
    assert stopped.exit_code == 130
    assert "stopped; go on with: rewardspec search --resume s" in stopped.stderr
    made.clear()
    monkeypatch.setattr(
        "rewardspec.search.trainer.make_run", lambda item: (made.append(item["folder"]), make_run(item))[1]
    )
    assert run("search", "--resume", "s", "--quiet", "--workers", 0).exit_code == 0
    assert [Path(name).name for name in made] == ["g2c1", "g2c2", "final-1"]


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("--judge", "sucess"), "Did you mean 'success'?"),
        (("--judge", "person", "--noise", "0.5"), "careless without being told"),
        (("--set", "n_steps=-1"), "wrong-setting"),
        (("--env", "CartPol-v1"), "no-environment"),
        (("--proposer", "model"), "no-llm"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.delenv("REWARDSPEC_LLM", raising=False)
    Path("cartpole.yaml").write_text(TEXT)
    result = run("search", "cartpole.yaml", *arguments)
    assert result.exit_code in (1, 2) and told in result.stderr.replace("\n", " ")
    assert not Path("runs").exists()


def test_a_folder_that_holds_no_search_is_told(run: Run, tmp_path: Path) -> None:  # noqa: F811
    result = run("search", "--resume", tmp_path)
    assert result.exit_code == 1 and "[not-a-search-folder]" in result.stderr


# -- a person ------------------------------------------------------------------------------------------


class Longest:
    """Answers over HTTP as somebody would who likes the longer clip; takes the second answer back once."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.answered: list[int] = []
        self.undone = False
        self._over = False
        self.thread = threading.Thread(target=self._look, daemon=True)

    def hear(self, text: str) -> None:
        self.url = text.split()[-1]
        if not self.thread.is_alive():
            self.thread.start()

    def _ask(self, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        assert self.url is not None
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Origin": self.url.rstrip("/")}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def _look(self) -> None:
        while not self._over:
            state = self._ask("state")
            if not state["next"]:
                time.sleep(0.05)
                continue
            key = state["next"][0]  # type: ignore[index]
            if len(self.answered) == 1 and not self.undone:
                self.undone = True
                self._ask("undo", {})
                continue
            clips = self._ask(f"clips/{key['term']}/{key['id']}")
            left, right = len(clips["left"]), len(clips["right"])  # type: ignore[arg-type]
            self.answered.append(key["id"])
            self._ask("answer", {**key, "answer": "right" if right > left else "left"})

    def stop(self) -> None:
        self._over = True
        self.thread.join(10)


class Clipping:
    """Stands in for training: each candidate's clip is the beginning of one episode, of a length of its own."""

    def __init__(self, folder: SearchFolder, episode: Recipe) -> None:
        self.folder, self.episode, self.lengths = folder, episode, {}  # type: ignore[var-annotated]

    def train(self, jobs: Sequence[Job], look: Look) -> Iterator[Outcome]:
        for job in jobs:
            self.lengths[job.id] = 3 + 5 * len(self.lengths) % 7
            place = self.folder.run_of(job.id)
            place.mkdir()
            np.savez(
                place / CLIP, seed=self.episode.seed, actions=self.episode.actions[: self.lengths[job.id]]
            )
            yield Outcome(job.id, measured(0.0, {}))


def test_a_person_picks_by_pairs_of_clips_and_is_not_asked_twice(trained: Path, tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "s")
    folder.create(TEXT, {"proposer": "mutation"})
    plan, somebody = Plan(2, 3, finals=0, seed=1), Longest()
    trainer = Clipping(folder, load_clip(trained / "run"))
    settings = choose(BASE, steps=64)
    with Person(folder, BASE, settings, somebody.hear) as person:
        state = Search(folder, BASE, plan, Mutator(), trainer, person).run()
        somebody.stop()
    lengths = trainer.lengths
    assert len(lengths) == len(set(lengths.values())) == 6
    for generation, choice in state.choices.items():
        of = [lengths[c.id] for c in state.of(generation)]
        assert lengths[choice.best] == max(of)
        assert choice.worst is None or lengths[choice.worst] == min(of)
    assert state.best is not None and lengths[state.best] == max(lengths.values())
    assert somebody.undone and somebody.answered.count(0) == 2, "what was taken back is asked again"
    assert state.comparisons <= len(set(somebody.answered)) <= paper_queries(3, 2)
    kept = [line for line in folder.journal.read_text().splitlines() if not _is_judged(json.loads(line))]
    folder.journal.write_text("".join(f"{line}\n" for line in kept))
    with Person(folder, BASE, settings, lambda text: pytest.fail("nobody is to be asked")) as person:
        again = Search(folder, BASE, plan, Mutator(), trainer, person).run()
    assert (again.best, again.choices) == (state.best, state.choices)
    assert person.desk.undo() is None, "a choice rests on it"


def _is_judged(event: dict[str, object]) -> bool:
    return event["event"] in ("chosen", "best", "finished")


def test_scores_need_what_they_are_drawn_from() -> None:
    rows = [
        {"steps": 1, "seconds": 1.0, "recent": {"count": 0, "terms": {}}},
        {"steps": 2, "seconds": 1.0, "recent": _recent(3, 9.0)},
        {"steps": 3, "seconds": 1.0, "recent": _recent(25, 5.0)},
        {"steps": 4, "seconds": 2.0, "recent": _recent(25, 4.0)},
    ]
    found = read_training(rows)
    assert found is not None and found.best["return"] == 5 and found.last["return"] == 4, (
        "3 episodes are luck"
    )
    assert "success" not in found.best and found.trace["a"].values == (9.0, 5.0, 4.0)
    assert read_training(rows[:1]) is None
    assert ByScore("success").name == "success" and np.isfinite(found.seconds)


def _recent(count: int, value: float) -> dict[str, object]:
    return {"count": count, "success": None, "task_return": value, "length": value, "terms": {"a": value}}
