"""The suites: which cells belong together. A suite is data; `python -m benchmarks list` shows what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from benchmarks.experiment import Experiment, load, names
from benchmarks.records import Setting, key


@dataclass(frozen=True)
class Job:
    """A cell that is to be made."""

    experiment: str
    setting: Setting
    seed: int

    @property
    def mark(self) -> tuple[str, str]:
        """What tells the cell apart from all others."""
        return self.experiment, key(self.setting, self.seed)

    def __str__(self) -> str:
        """Return what a line calls it."""
        return f"{self.experiment}: {self.setting['name']}, seed {self.seed}"


@dataclass(frozen=True)
class Part:
    """Cells of a suite: those of the experiments, tags and settings that are named, all where none are.

    Attributes:
        experiments: Names, as patterns (`*`, `?`).
        settings: The setting's name fits one of them, as patterns.
        tags: The experiment has one of them.
        seeds: Seeds of each setting; the experiment's when not given.
        steps: Environment steps of a cell; the setting's or the experiment's when not given.
        first: How many settings of each experiment; all when not given.
        smoke: Whether cells have the few steps that are enough to see that they run.
    """

    experiments: Sequence[str] = ("*",)
    settings: Sequence[str] = ("*",)
    tags: Sequence[str] = ()
    seeds: int | None = None
    steps: int | None = None
    first: int | None = None
    smoke: bool = False

    def jobs(self, known: Sequence[str]) -> Iterator[Job]:
        """Return the cells among the experiments that are known, seed by seed within each."""
        for name in known:
            if not any(fnmatchcase(name, pattern) for pattern in self.experiments):
                continue
            experiment = load(name)
            if self.tags and not set(self.tags) & set(experiment.tags):
                continue
            settings = [s for s in experiment.settings if self._has(str(s["name"]))][: self.first]
            for seed in range(self.seeds or experiment.seeds):
                for setting in settings:
                    yield Job(name, {**setting, "steps": self._steps(experiment, setting)}, seed)

    def _has(self, name: str) -> bool:
        return fits(name, self.settings)

    def _steps(self, experiment: Experiment, setting: Setting) -> int:
        if self.steps is not None:
            return self.steps
        return experiment.smoke_steps if self.smoke else int(setting.get("steps", experiment.steps))


@dataclass(frozen=True)
class Suite:
    """Cells with a purpose."""

    purpose: str
    parts: Sequence[Part]


SUITES: dict[str, Suite] = {
    "smoke": Suite(
        "A few steps of three settings of every experiment, to see that they run; for CI.",
        [Part(seeds=1, first=3, smoke=True)],
    ),
    "cpu-hour": Suite(
        "What the README's table shows: about an hour on two cores.",
        [
            Part(["office", "craft", "knox", "overoptimisation", "starc", "multiagent"]),
            Part(["water"], seeds=2),
            Part(["sparse"], ["*-declared", "*-sparse"], seeds=4),
            Part(["heron"], ["pendulum-[hts]*", "mountain-car-[hts]*", "cartpole-*"], seeds=3),
            Part(["barfi"], ["maze: *: BARFI*", "maze: *: sum*", "maze: *: primary*"]),
            Part(
                ["submodular"], ["*: SubPO-M", "*: SubPO-M, natural", "*: ModPO", "*: prefix weight"], seeds=3
            ),
        ],
    ),
    "sparse": Suite(
        "Reward machines and formulas against sparse and hand-shaped reward.",
        [Part(["office", "craft", "water", "sparse", "cheetah", "multitask"])],
    ),
    "learned": Suite(
        "Rewards that are learnt: rankings, preferences, doubtful hints, latent factors, subgoals, feedback in words.",
        [Part(["heron", "knox", "barfi", "overoptimisation", "lare", "calm", "search", "oni"])],
    ),
    "submodular": Suite("Rewards with diminishing returns.", [Part(["submodular*"])]),
    "multiagent": Suite(
        "Rewards of several agents.", [Part(["multiagent", "driving", "trust", "equilibria"])]
    ),
    "papers": Suite(
        "What published or independently measured figures are held against; `report` shows them side by side.",
        [
            Part(
                ["office", "craft"],
                settings=["single, released: *", "multi, released: *", "gem: *", "multi: *"],
            ),
            Part(["cheetah", "knox", "submodular", "overoptimisation", "starc"]),
            Part(["heron"], settings=["pendulum-heron", "pendulum-true"]),
            Part(
                ["barfi"],
                settings=["maze: good: BARFI", "maze: harmful: BARFI", "maze: harmful: sum, 2000 *"],
            ),
        ],
    ),
}
"""The suites by name. `speed` is measured by a command of its own: `python -m benchmarks speed`."""


@dataclass(frozen=True)
class Plan:
    """What a run is asked for; plain data, so that it can be gone on with.

    Attributes:
        suite: A suite's name; all cells of the experiments when None.
        experiments: Keep those of these experiments only; all when empty.
        only: Keep settings whose names fit one of these patterns; all when empty.
        seeds: Seeds of each setting, whatever the suite says.
        steps: Environment steps of a cell, likewise.
    """

    suite: str | None = None
    experiments: Sequence[str] = ()
    only: Sequence[str] = ()
    seeds: int | None = None
    steps: int | None = None

    def jobs(self) -> list[Job]:
        """Return the cells, each once; seed by seed, so that a run cut short has whole rounds."""
        parts = [Part()] if self.suite is None else SUITES[self.suite].parts
        found: dict[tuple[str, str], Job] = {}
        for part in parts:
            chosen = replace(part, seeds=self.seeds or part.seeds, steps=self.steps or part.steps)
            for job in chosen.jobs(list(self.experiments) or names()):
                if not self.only or fits(str(job.setting["name"]), self.only):
                    found[job.mark] = job
        return sorted(found.values(), key=lambda job: job.seed)


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name is one of these, or fits one of them as a pattern.

    Example:
        >>> fits("maze: good", ["maze: *"]), fits("a[1]", ["a[1]"]), fits("maze", ["m"])
        (True, True, False)
    """
    return any(pattern == name or fnmatchcase(name, pattern) for pattern in patterns)
