"""Tabular agents on reward machines: the cells, the published figures and the tables of `office` and `craft`.

Two measures. *Steps to 95 %*: after how many steps the greedy policy's discounted return is at least 95 % of the
optimum that value iteration gives, and stays so at the next evaluation. *Reward per step*, the published one: of each
of the latest training episodes its reward by its length, in parts of what an optimal policy with the same exploration
gets, averaged; of the curves' median over runs, when it first reaches 0.5, 0.9 and 0.95.

Published figures: R. Toro Icarte, T. Q. Klassen, R. Valenzano, S. A. McIlraith, JAIR 73 (2022), as the curves in the
authors' public repository have them (results/summary).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.q_learning import Args, Learner, task_of
from benchmarks.experiment import Arm, Figure
from benchmarks.records import ROOT, Cell, Row, Setting
from rewardspec import Program
from rewardspec.tabular.world import TabularWorld

SPECS = ROOT / "examples" / "specs"

METHODS: dict[str, dict[str, Any]] = {
    "QL": {"method": "plain", "bootstrap_at_limit": False},
    "QL+RS": {"method": "plain", "bootstrap_at_limit": False, "shaping": "value_iteration"},
    "CRM": {"method": "crm"},
    "CRM+RS": {"method": "crm", "shaping": "value_iteration"},
    "HRM": {"method": "hrm"},
    "HRM+RS": {"method": "hrm", "shaping": "value_iteration"},
}
"""The published methods with the published constants, which are the agent's own (eps 0.1, alpha 0.5, q_init 2)."""

SOURCE = "Toro Icarte et al., JAIR 73 (2022), result files of the authors' repository"
LEVELS = (0.5, 0.9, 0.95)
NEAR = 0.15
"""How far from a published number of steps counts as the same."""


@dataclass(frozen=True)
class Published:
    """A published curve: thousands of steps to `LEVELS` (None: never), and where it ends."""

    steps: tuple[int | None, int | None, int | None]
    end: float


def learn(programs: Sequence[Program], world: TabularWorld, setting: Setting, seed: int) -> Row:
    """Return the curves of one run, a point every `every` steps.

    `of_optimum`: the greedy policy's return in per cent of the optimum, of the task that does worst. `per_step`: the
    published measure in thousandths of the optimum, where the setting's `curves` name it.
    """
    args = Args(seed=seed, window=setting.get("window", 100), **setting["agent"])
    gamma = programs[0].discount or 0.9
    learner = Learner([task_of(program, world, args, gamma) for program in programs], args, gamma)
    every = max(1, setting["steps"] // setting["points"])
    of_optimum, per_step = [], []
    for _ in range(setting["steps"] // every):
        learner.learn(every)
        row = learner.row()
        of_optimum.append(round(100 * (row["return/least_of_optimum"] or 0.0)))
        per_step.append(round(1000 * (row["reward_per_step/of_optimum"] or 0.0)))
    curves: dict[str, Any] = {"of_optimum": packed(of_optimum), "per_step": per_step}
    return {"run": seed, "every": every, **{name: curves[name] for name in setting["curves"]}}


def packed(values: Sequence[float]) -> list[list[float]]:
    """Return a curve as [value, times in a row]: a greedy policy's return stands still for long.

    Example:
        >>> packed([0, 0, 100])
        [[0, 2], [100, 1]]
    """
    return [[value, len(list(same))] for value, same in itertools.groupby(values)]


def curve(row: Row, name: str) -> npt.NDArray[np.float64]:
    """Return a curve of a row, point by point, in parts of the optimum.

    Example:
        >>> curve({"of_optimum": [[0, 2], [100, 1]]}, "of_optimum").tolist()
        [0.0, 0.0, 1.0]
    """
    if name == "per_step":
        return np.array(row[name]) / 1000
    values, times = zip(*row[name], strict=True)
    return np.repeat(np.array(values) / 100, times)


def score(rows: Sequence[Row]) -> float:
    """Return the mean, over steps and runs, of the greedy policy's return in parts of the optimum."""
    return (
        float(np.mean([np.clip(curve(row, "of_optimum"), 0.0, 1.0).mean() for row in rows])) if rows else 0.0
    )


def steps_to_95(row: Row) -> int | None:
    """Return after how many steps the greedy policy is within 5 % of the optimum, also at the next evaluation."""
    good = curve(row, "of_optimum") >= 0.95
    good &= np.append(good[1:], good[-1:])
    return int(row["every"] * (np.flatnonzero(good)[0] + 1)) if good.any() else None


def crossings(rows: Sequence[Row]) -> list[int | None]:
    """Return when the median curve of reward per step first reaches each level."""
    median = np.median([curve(row, "per_step") for row in rows], axis=0)
    return [
        int(rows[0]["every"] * (np.flatnonzero(median >= level)[0] + 1)) if (median >= level).any() else None
        for level in LEVELS
    ]


def end(rows: Sequence[Row]) -> float:
    """Return the median reward per step over the last tenth of the curves."""
    median = np.median([curve(row, "per_step") for row in rows], axis=0)
    return float(median[-max(1, len(median) // 10) :].mean())


def arms(cell: Cell) -> list[Arm]:
    """Return the runs of a cell, each with its own score."""
    told = []
    for row in cell.rows:
        values = curve(row, "of_optimum")
        points = [(row["every"] * (i + 1), float(value)) for i, value in enumerate(values)]
        told.append(Arm(cell.setting["task"], cell.setting["arm"], score([row]), points))
    return told


def figures(
    cells: Sequence[Cell], world: str, published: Mapping[str, Mapping[str, Published]]
) -> list[Figure]:
    """Return the published curves beside ours: steps to 0.9 of the optimum, and where they end."""
    told = []
    for task, methods in published.items():
        for method, theirs in methods.items():
            rows = rows_of(cells, task=task, arm=method)
            ours = crossings(rows)[1] if rows else None
            steps = "never" if theirs.steps[1] is None else float(theirs.steps[1])
            what = f"{world}, {task.split(',')[0]}, {method}"
            told.append(
                Figure(
                    f"{what}: steps to 0.9",
                    SOURCE,
                    "figure files",
                    steps,
                    None if not rows else "never" if ours is None else ours / 1000,
                    near(ours, theirs.steps[1]) if rows else None,
                    "" if steps == "never" else "thousand",
                )
            )
            told.append(
                Figure(
                    f"{what}: end of the curve",
                    SOURCE,
                    "figure files",
                    theirs.end,
                    round(end(rows), 2) if rows else None,
                    abs(end(rows) - theirs.end) <= max(NEAR * theirs.end, 0.02) if rows else None,
                    "of the optimum",
                )
            )
    return told


# -- tables ----------------------------------------------------------------------------------------------------------


def rows_of(cells: Sequence[Cell], **wanted: Any) -> list[Row]:
    """Return the rows of the cells whose setting has these values."""
    return [row for c in cells if all(c.setting.get(k) == v for k, v in wanted.items()) for row in c.rows]


def thousands(steps: int | None) -> str:
    """Return steps in thousands, `-` for never."""
    return "-" if steps is None else f"{steps / 1000:g}"


def spread(times: Sequence[int | None]) -> str:
    """Return median and quartiles in thousands of steps; `>` where they lie beyond the runs' end."""
    numbers = [np.inf if t is None else t / 1000 for t in times]
    low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75), method="inverted_cdf")
    told = [f"{x:g}" if np.isfinite(x) else "-" for x in (middle, low, high)]
    return f"{told[0]} ({told[1]} to {told[2]})"


def near(ours: int | None, published: int | None) -> bool:
    """Return whether a number of steps is within 15 % of the published one, or both are never."""
    if ours is None or published is None:
        return ours is published
    return abs(ours / 1000 - published) <= NEAR * published


def published_table(cells: Sequence[Cell], task: str, published: Mapping[str, Published]) -> list[str]:
    """Return the table that holds our curves against the published ones."""
    lines = [
        "| method | runs | published: 0.5 / 0.9 / 0.95 | ours | end, published | end, ours | within 15 % |",
        "| --- | ---: | --- | --- | ---: | ---: | --- |",
    ]
    for method, figures in published.items():
        rows = rows_of(cells, task=task, arm=method)
        if not rows:
            continue
        ours = crossings(rows)
        fits = [near(a, b) for a, b in zip(ours, figures.steps, strict=True)]
        fits.append(abs(end(rows) - figures.end) <= max(NEAR * figures.end, 0.02))
        told = "yes" if all(fits) else "no: " + ", ".join(
            name for name, fit in zip(("0.5", "0.9", "0.95", "end"), fits, strict=True) if not fit
        )  # fmt: skip
        lines.append(
            f"| {method} | {len(rows)} | {' / '.join('-' if s is None else str(s) for s in figures.steps)} | "
            f"{' / '.join(map(thousands, ours))} | {figures.end:.2f} | {end(rows):.2f} | {told} |"
        )
    return lines


def steps_table(cells: Sequence[Cell], tasks: Sequence[str], arms: Sequence[str]) -> list[str]:
    """Return the table of thousands of steps to 95 % of the optimum: tasks down, arms across."""
    lines = [f"| task | runs | {' | '.join(arms)} |", f"| --- | ---: |{' ---: |' * len(arms)}"]
    for task in tasks:
        found = {arm: rows_of(cells, task=task, arm=arm) for arm in arms}
        if any(found.values()):
            told = [spread([steps_to_95(row) for row in rows]) if rows else "" for rows in found.values()]
            lines.append(f"| {task} | {max(map(len, found.values()))} | {' | '.join(told)} |")
    return lines


LABELS = {"per_step": "reward per step, of the optimum", "of_optimum": "greedy return, of the optimum"}


def draw(place: Path, title: str, arms: Mapping[str, Sequence[Row]], what: str) -> None:
    """Draw a curve's median over runs, with the quartiles as bands, into an SVG file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rewardspec"  # the same figures make the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for i, (name, rows) in enumerate(arms.items()):
        if rows:
            values: npt.NDArray[np.float64] = np.array([curve(row, what) for row in rows])
            steps = rows[0]["every"] * np.arange(1, values.shape[1] + 1)
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
            axes.fill_between(steps, low, high, color=f"C{i}", alpha=0.25, linewidth=0)
            axes.plot(steps, middle, color=f"C{i}", label=name)
    axes.axhline(1.0, color="0.5", linestyle="--", linewidth=0.8)
    axes.set(xlabel="environment steps", ylabel=LABELS[what], title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=" "))
    if any(arms.values()):
        axes.legend(frameon=False)
    place.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(place, metadata={"Date": None})
    pyplot.close(figure)
