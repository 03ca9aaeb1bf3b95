"""Training candidates side by side, each in its run folder, as `rewardspec train` does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rewardspec.errors import LearningError, Problem, RewardSpecError
from rewardspec.search.candidate import Trained, read_training
from rewardspec.search.playing import CLIP, save_clip, teacher_score
from rewardspec.search.pool import Pool, attempt
from rewardspec.spec.model import Spec
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import build, resume, train
from rewardspec.training.settings import choose
from rewardspec.vocabulary import load

PATIENCE = 10.0
"""Seconds for which a run folder may still be in use by the process of a search that was killed."""

TEACHER = "teacher"
"""The measure that a teacher's spec adds."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        id: Of the candidate, or `final-1`.
        spec: The spec.
        spec_file: Where it is.
        folder: The run folder.
        seed: Seed of the training.
    """

    id: str
    spec: Spec
    spec_file: Path
    folder: Path
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What became of a job: what training came to, or why it failed."""

    id: str
    trained: Trained | None = None
    failed: str = ""


Look = Callable[[Mapping[str, int]], None]
"""Called now and then with the environment steps that each unfinished job has behind it."""


class Trainer(Protocol):
    """Who trains."""

    def train(self, jobs: Sequence[Job], look: Look) -> Iterator[Outcome]:
        """Yield what became of each job, in the order in which they end."""
        ...


@dataclass(frozen=True)
class Budget:
    """How each candidate is trained: arguments of `rewardspec.training.loop.train`.

    Attributes:
        steps: Environment steps.
        algo: Algorithm.
        env_id: Environment; the spec's own where it is None.
        n_envs: Environments side by side.
        agent: Arguments of the algorithm.
    """

    steps: int = 20_000
    algo: str = "ppo"
    env_id: str | None = None
    n_envs: int | None = None
    agent: Mapping[str, Any] = field(default_factory=dict)

    def check(self, base: Spec) -> None:
        """Raise, before anything is trained, what would stop every training.

        Raises:
            RewardSpecError: As `train`.
        """
        settings = choose(base, **asdict(self))
        model, envs, _ = build(base, settings)
        for env in envs:
            env.close()  # type: ignore[no-untyped-call]
        del model


class Runs:
    """Trains in processes of its own, or in this one.

    Attributes:
        budget: How each candidate is trained.
        workers: Trainings at once; 0 for this process, one after the other.
        limit: Seconds that one may take, in a process of its own; None for no limit.
        teacher: File of a spec that scores what agents play; None without.
        clips: Whether each keeps an episode for people to see.
    """

    def __init__(
        self,
        budget: Budget,
        workers: int | None = None,
        limit: float | None = None,
        teacher: Path | None = None,
        clips: bool = False,
    ) -> None:
        """See the class; as many at once as there are cores where nothing is said."""
        self.budget, self.limit, self.teacher, self.clips = budget, limit, teacher, clips
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        self._pool: Pool | None = None

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.close()

    def train(self, jobs: Sequence[Job], look: Look) -> Iterator[Outcome]:
        """Yield what became of each job. A run that was stopped goes on; one that is finished is only read."""
        items = [self._item(job) for job in jobs]
        if not self.workers:
            for job, item in zip(jobs, items, strict=True):
                look(_steps(jobs))
                value, failed, fatal = attempt(make_run, item)
                if fatal is not None:
                    raise fatal
                yield _outcome(job, value, failed)
            return
        if self._pool is None:
            self._pool = Pool(make_run, self.workers, self.limit)
        for done in self._pool.run(items, lambda: look(_steps(jobs))):
            yield _outcome(jobs[done.item], done.value, done.failed)

    def _item(self, job: Job) -> dict[str, Any]:
        return {
            "spec": str(job.spec_file),
            "folder": str(job.folder),
            "seed": job.seed,
            "settings": asdict(self.budget),
            "teacher": None if self.teacher is None else str(self.teacher),
            "clip": self.clips,
        }


def make_run(item: Mapping[str, Any]) -> dict[str, Any]:
    """Make one run, or go on with it, and return what it came to, as data; for any process."""
    run = RunFolder(item["folder"])
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if run.is_run:
                resume(run.path, show=False)
            else:
                _clear(run.path)
                train(Path(item["spec"]), run.path, seed=item["seed"], show=False, **item["settings"])
            break
        except RewardSpecError as error:
            if error.problems[0].code != "run-in-use" or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    trained = read_training(run.rows())
    if trained is None:
        steps = item["settings"]["steps"]
        hint = "Give it more --steps, or the spec a shorter `env.horizon`."
        message = f"no episode ended within its {steps:,} steps"
        raise LearningError(Problem("unjudged", message, hints=(hint,)))
    data = trained.to_data()
    if item["teacher"] is not None:
        score = teacher_score(run.path, load(item["teacher"]), item["seed"])
        data["best"][TEACHER] = data["last"][TEACHER] = score
    if item["clip"] and not (run.path / CLIP).is_file():
        save_clip(run.path, item["seed"])
    return data


def _clear(path: Path) -> None:
    """Remove what a process left that was killed while it made the folder: the start of its first file."""
    if path.is_dir() and not RunFolder(path).is_run:
        for name in ("spec.yaml", "spec.yaml.part", "run.json.part"):
            (path / name).unlink(missing_ok=True)


def _steps(jobs: Sequence[Job]) -> dict[str, int]:
    found = {}
    for job in jobs:
        rows = RunFolder(job.folder).rows()
        found[job.id] = int(rows[-1]["steps"]) if rows else 0
    return found


def _outcome(job: Job, value: Any, failed: str) -> Outcome:
    return Outcome(job.id, None if value is None else Trained.from_data(value), failed)
