"""How much sooner is a longer task learnt by those who know its machine? CraftWorld, tabular, ten maps.

The published runs are on ten maps of the authors; ours are ten maps drawn from seeds, with as many things in as large
a field. Steps are therefore comparable in kind, not map by map.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machines
from benchmarks.experiment import Figure
from benchmarks.experiments.office import TUNED
from benchmarks.machines import (
    METHODS,
    SPECS,
    Published,
    crossings,
    draw,
    learn,
    published_table,
    rows_of,
    steps_table,
)
from benchmarks.machines import arms as arms
from benchmarks.machines import score as score
from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec import Program, Spec, compile_spec, load
from rewardspec.environments import make_environment
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import solve
from rewardspec.tabular.world import tabulate

TAGS = ("machines", "tabular")
STEPS = 2_000_000
SEEDS = 2
SMOKE_STEPS = 10_000

TASK, METHOD = ("task",), ("arm",)
BASELINE, CLAIM = "QL", "CRM"
CURVE = ("environment steps", "greedy return, of the optimum")

ALL = ("plank", "stick", "cloth", "rope", "bridge", "bed", "axe", "shears", "gold", "gem")
TASKS = ("plank", "bridge", "bed", "axe", "gold")
MAPS = 10

PUBLISHED: dict[str, dict[str, Published]] = {
    "gem": {
        "QL": Published((None, None, None), 0.04),
        "QL+RS": Published((None, None, None), 0.08),
        "CRM": Published((710, 760, 770), 1.00),
        "CRM+RS": Published((670, 710, 710), 1.00),
        "HRM": Published((270, 410, None), 0.94),
        "HRM+RS": Published((420, 590, None), 0.93),
    },
    "multi": {
        "QL": Published((None, None, None), 0.01),
        "QL+RS": Published((None, None, None), 0.04),
        "CRM": Published((600, 780, 860), 1.00),
        "CRM+RS": Published((560, 730, 800), 1.00),
        "HRM": Published((310, None, None), 0.88),
        "HRM+RS": Published((480, None, None), 0.88),
    },
}


@dataclass(frozen=True)
class Far:
    """A map and the gem.

    Attributes:
        steps: The fewest steps in which the gem is had.
        reached: Thousands of steps until CRM's reward per step reaches 0.9, the median over its runs.
    """

    steps: int
    reached: float


THEIRS = {1: Far(55, 730), 10: Far(55, 740), 4: Far(58, 760), 5: Far(62, 810), 8: Far(85, 1105)}
"""Five of the published maps, those that a public copy of the authors' repository still holds, played by this code with
two seeds each. The maps are the authors' and are not shipped."""

ON_THEIRS = (720, 760, 770)
"""Thousands of steps to 0.5, 0.9 and 0.95 there: the median over the ten runs."""

PER_TASK = (37.1, 37.7)
"""Fewest steps of a task, mean over the ten tasks and the maps: on those five, and on our ten."""


def _settings() -> list[Setting]:
    found: list[Setting] = []
    for arm, agent in METHODS.items():
        for task in PUBLISHED:
            curves = ["of_optimum", "per_step"]
            found.append(
                {"task": task, "arm": arm, "agent": agent, "runs": 5, "points": 200, "curves": curves}
            )
        for task in TASKS:
            own = {"runs": 5, "points": 200, "curves": ["of_optimum"]}
            found.append({"task": task, "arm": arm, "agent": agent, **own})
    for arm, agent in TUNED.items():
        for task in (*TASKS, *PUBLISHED):
            own = {"runs": 5, "points": 200, "curves": ["of_optimum"]}
            found.append({"task": task, "arm": arm, "agent": agent, **own})
    return [{"name": f"{s['task']}: {s['arm']}", **s} for s in found]


SETTINGS = _settings()


def specs(setting: Setting) -> list[Spec]:
    """Return the specs of a task: one, or ten for all tasks at once."""
    names = ALL if setting["task"] == "multi" else (setting["task"],)
    return [load(SPECS / f"craft_{name}.yaml") for name in names]


def programs_of(task: str) -> list[Program]:
    """Return the programs of a task."""
    return [compile_spec(spec) for spec in specs({"task": task})]


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Return the published curves beside ours."""
    return machines.figures(cells, "CraftWorld", PUBLISHED)


def run(setting: Setting, seed: int) -> list[Row]:
    """Make the runs of a cell, each with a seed of its own; run n is on map n modulo ten."""
    programs = programs_of(setting["task"])
    rows = []
    for number in range(seed * setting["runs"], (seed + 1) * setting["runs"]):
        world = tabulate(make_environment("rewardspec/CraftWorld-v0", map_seed=number % MAPS))
        rows.append(learn(programs, world, setting, number))
    return rows


def why_not_the_published(cells: Sequence[Cell]) -> list[str]:
    """Return in words and a table what the maps have to do with the steps."""
    program = compile_spec(load(SPECS / "craft_gem.yaml"))
    ours: dict[int, Far] = {}
    rows = rows_of(cells, task="gem", arm="CRM")
    for number in sorted({row["run"] % MAPS for row in rows}):
        world = tabulate(make_environment("rewardspec/CraftWorld-v0", map_seed=number))
        steps = round(1 + math.log(solve(take_product(program, world), 0.9).value, 0.9))
        reached = crossings([row for row in rows if row["run"] % MAPS == number])[1]
        if reached is not None:
            ours[number] = Far(steps, reached / 1000)
    if not ours:
        return []
    middle = [statistics.median(far.steps for far in maps.values()) for maps in (THEIRS, ours)]
    found = [
        "Where the steps are not the published ones, the maps are why: **the gem lies further off in ours**. Its"
        f" shortest way has {middle[1]:g} steps here (median; {least_and_most(ours)}), and {middle[0]:g} in five of the"
        f" published maps ({least_and_most(THEIRS)}); the ten tasks together are as far in both ({PER_TASK[1]} and"
        f" {PER_TASK[0]} steps a task), and there the curves fit. On those five (not shipped here) the same code gives"
        f" **{' / '.join(map(str, ON_THEIRS))}** for CRM on the gem; published: 710 / 760 / 770. Map by map:",
        "",
        "| shortest way | "
        + " | ".join(f"{far.steps}" for far in by_distance(THEIRS) + by_distance(ours))
        + " |",
        "| --- |" + " ---: |" * (len(THEIRS) + len(ours)),
        "| whose map | " + " | ".join(["theirs"] * len(THEIRS) + ["ours"] * len(ours)) + " |",
        "| CRM reaches 0.9 after | "
        + " | ".join(f"{far.reached:g}" for far in by_distance(THEIRS) + by_distance(ours))
        + " |",
    ]
    return found


def by_distance(maps: Mapping[int, Far]) -> list[Far]:
    """Return maps, the nearest gem first."""
    return sorted(maps.values(), key=lambda far: (far.steps, far.reached))


def least_and_most(maps: Mapping[int, Far]) -> str:
    """Return the least and the greatest distance.

    Example:
        >>> least_and_most(THEIRS)
        '55 to 85'
    """
    steps = [far.steps for far in maps.values()]
    return f"{min(steps)} to {max(steps)}"


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    lines = [
        "# CraftWorld: what knowing the machine is worth",
        "",
        "<!-- Made by `python -m benchmarks report craft` -->",
        "",
        "As [OfficeWorld](office.md), with the same constants, on a field of 39x39 cells. Ten maps, drawn from seeds"
        " 0 to 9: **not the published ones**, though as large and with as many things; run n is on map n modulo ten.",
        "",
        "## Beside the published curves",
        "",
        "Reward per step over the latest training episodes, in parts of what an optimal policy with the same"
        " exploration earns: thousands of steps until the median over runs reaches 0.5, 0.9 and 0.95, and its mean over"
        " the last tenth. Published: ten maps, six seeds each.",
        "",
        *why_not_the_published(cells),
        "",
    ]
    for task, figures in PUBLISHED.items():
        title = "one task, the gem" if task == "gem" else "ten tasks, one an episode in turn"
        lines += [f"### {title}", "", *published_table(cells, task, figures), ""]
        found = {arm: rows_of(cells, task=task, arm=arm) for arm in METHODS}
        draw(folder / f"craft-{task}.svg", f"CraftWorld, {title}", found, "per_step")
        lines += [f"![{title}](craft-{task}.svg)", ""]
    lines += [
        "## Steps to the optimum",
        "",
        "Thousands of steps until the greedy policy is within 5 % of the optimum, which here means on a shortest way:"
        " median over runs (quartiles); `-` is beyond the end of the runs. `multi` counts when the worst of the ten"
        " tasks is there. The best found are OfficeWorld's: nothing was searched for here.",
        "",
        *steps_table(cells, [*TASKS, *PUBLISHED], [*METHODS, *TUNED]),
        "",
    ]
    for task in ("bed",):
        found = {arm: rows_of(cells, task=task, arm=arm) for arm in (*METHODS, *TUNED)}
        draw(folder / f"craft-{task}-greedy.svg", f"CraftWorld, {task}", found, "of_optimum")
        lines += [f"![{task}](craft-{task}-greedy.svg)", ""]
    lines.append(provenance(cells))
    return "\n".join(lines) + "\n"
