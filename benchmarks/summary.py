"""What the cells of an experiment say, task by task and over all tasks: what tables, page and comparison show."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import estimates
from benchmarks.estimates import Interval
from benchmarks.experiment import Experiment, Point
from benchmarks.records import Cell


@dataclass(frozen=True)
class Run:
    """One method on one task with one seed.

    Attributes:
        seed: The seed of its cell; a cell may hold many runs.
        score: 0 to 1.
        curve: Points (steps, value); empty where there is none.
        cpu_s: CPU seconds: the cell's, divided by the runs that it holds.
        wall_s: Likewise.
        cell: The cell it is from.
    """

    seed: int
    score: float
    curve: Sequence[Point]
    cpu_s: float
    wall_s: float
    cell: Cell = field(repr=False)


@dataclass(frozen=True)
class Group:
    """The runs of one method on one task."""

    task: str
    method: str
    runs: Sequence[Run]

    @property
    def scores(self) -> list[float]:
        """The scores, run by run."""
        return [run.score for run in self.runs]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.scores)

    @functools.cached_property
    def interval(self) -> Interval | None:
        """The 95 % interval of the mean; None for a single run."""
        return estimates.mean_interval(self.scores)

    @property
    def cpu_s(self) -> float:
        """CPU seconds of a run, in the mean."""
        return statistics.fmean(run.cpu_s for run in self.runs)

    @property
    def best(self) -> Run:
        """The run with the highest score."""
        return max(self.runs, key=lambda run: run.score)

    @property
    def worst(self) -> Run:
        """The run with the lowest score."""
        return min(self.runs, key=lambda run: run.score)


@dataclass(frozen=True)
class Summary:
    """An experiment's cells, sorted by task and method.

    Attributes:
        experiment: The experiment.
        cells: Its cells.
        groups: By task, then by method.
        baseline: The method that others are held against, where the experiment names one and it has runs.
        claim: The method that the experiment is about, likewise.
    """

    experiment: Experiment
    cells: Sequence[Cell]
    groups: Mapping[str, Mapping[str, Group]]
    baseline: str | None
    claim: str | None

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order of the settings."""
        return list(self.groups)

    @property
    def methods(self) -> list[str]:
        """The methods, those that the experiment names first in front."""
        return list(dict.fromkeys(method for groups in self.groups.values() for method in groups))

    @property
    def shared(self) -> list[str]:
        """The tasks over which methods are compared: those that baseline and claim both have, all without them."""
        needed = {method for method in (self.baseline, self.claim) if method is not None}
        return [task for task, groups in self.groups.items() if needed <= set(groups)]

    @property
    def comparable(self) -> list[str]:
        """The methods that have runs on all shared tasks."""
        return [
            m for m in self.methods if self.shared and all(m in self.groups[task] for task in self.shared)
        ]

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all cells."""
        return sum(float(cell.facts["cpu_s"]) for cell in self.cells)

    def scores(self, method: str) -> list[list[float]]:
        """Return a method's scores over the shared tasks, `[task][run]`."""
        return [self.groups[task][method].scores for task in self.shared]

    def winners(self, task: str) -> list[str]:
        """Return the method with the highest mean, then those that cannot be told from it at 95 %."""
        groups = self.groups[task]
        best = max(groups.values(), key=lambda group: group.mean)
        even = [name for name, group in groups.items() if group is not best and _even(best, group)]
        return [best.method, *even]

    def verdicts(self) -> dict[str, str]:
        """Return per shared task whether the claim is `better`, `worse` or `even` with the baseline."""
        if self.baseline is None or self.claim is None:
            return {}
        told = {}
        for task in self.shared:
            ours, theirs = self.groups[task][self.claim], self.groups[task][self.baseline]
            told[task] = "even" if _even(ours, theirs) else "better" if ours.mean > theirs.mean else "worse"
        return told


def _even(ours: Group, theirs: Group) -> bool:
    """Return whether the two cannot be told apart: the interval of their difference holds 0, or there is none."""
    interval = estimates.difference_interval(ours.scores, theirs.scores)
    return interval is None or interval[0] <= 0.0 <= interval[1]


def summarise(experiment: Experiment, cells: Sequence[Cell]) -> Summary:
    """Sort an experiment's cells.

    Where a folder holds cells of one setting with several numbers of steps, those with most count. Two settings that
    have task and method in common are told apart by their names.
    """
    cells = longest(cells)
    order = {str(setting["name"]): i for i, setting in enumerate(experiment.settings)}
    cells = sorted(cells, key=lambda cell: (order.get(cell.name, len(order)), cell.seed))
    named: dict[tuple[str, str], set[str]] = {}
    told = []
    for cell in cells:
        arms = experiment.arms(cell)
        for arm in arms:
            named.setdefault((arm.task, arm.method), set()).add(cell.name)
            share = len(arms)
            run = Run(
                cell.seed,
                arm.score,
                arm.curve,
                float(cell.facts["cpu_s"]) / share,
                float(cell.facts["wall_s"]) / share,
                cell,
            )
            told.append((arm.task, arm.method, run))
    groups: dict[str, dict[str, list[Run]]] = {}
    for task, method, run in told:
        first = min(named[task, method], key=lambda name: order.get(name, len(order)))
        name = method if run.cell.name == first else run.cell.name
        groups.setdefault(task, {}).setdefault(name, []).append(run)
    sorted_groups = {
        task: {method: Group(task, method, runs) for method, runs in by_method.items()}
        for task, by_method in groups.items()
    }
    methods = {method for by_method in groups.values() for method in by_method}
    return Summary(
        experiment,
        cells,
        sorted_groups,
        experiment.baseline if experiment.baseline in methods else None,
        experiment.claim if experiment.claim in methods else None,
    )


def longest(cells: Sequence[Cell]) -> list[Cell]:
    """Return of each setting the cells with most steps.

    Example:
        >>> made = [Cell({"name": "a", "steps": steps}, 0, [], {}) for steps in (5, 9)]
        >>> [cell.setting["steps"] for cell in longest(made)]
        [9]
    """
    most: dict[str, int] = {}
    for cell in cells:
        most[cell.name] = max(most.get(cell.name, 0), int(cell.setting["steps"]))
    return [cell for cell in cells if cell.setting["steps"] == most[cell.name]]


@dataclass(frozen=True)
class Contrast:
    """An experiment in one line: its claim beside its baseline, over the tasks that both have.

    Attributes:
        baseline: The baseline's interquartile mean, with its interval.
        claim: The claim's.
        better: The probability that a run of the claim beats one of the baseline.
        verdicts: Per task, `better`, `even` or `worse`.
        runs: Runs on either side.
    """

    baseline: tuple[float, Interval | None]
    claim: tuple[float, Interval | None]
    better: tuple[float, Interval | None]
    verdicts: Mapping[str, str]
    runs: int


def contrast(summary: Summary) -> Contrast | None:
    """Return the contrast of an experiment; None where it names no baseline and claim, or they share no task."""
    if summary.baseline is None or summary.claim is None or not summary.shared:
        return None
    ours, theirs = summary.scores(summary.claim), summary.scores(summary.baseline)
    return Contrast(
        (estimates.iqm(theirs), estimates.iqm_interval(theirs)),
        (estimates.iqm(ours), estimates.iqm_interval(ours)),
        (estimates.better(ours, theirs), estimates.better_interval(ours, theirs)),
        summary.verdicts(),
        sum(map(len, ours)) + sum(map(len, theirs)),
    )


def with_interval(value: float, interval: Interval | None, form: str = ".2f") -> str:
    """Return a number with its interval in brackets.

    Example:
        >>> with_interval(0.5, (0.4, 0.625)), with_interval(0.5, None)
        ('0.50 [0.40, 0.62]', '0.50')
    """
    if interval is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{interval[0]:{form}}, {interval[1]:{form}}]"
