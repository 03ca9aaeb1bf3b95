"""Does one network learn many specs at once? DQN and PPO on eight places and on four errands of the office, together.

The worlds of a batch are alike and each is paid by its own spec; machines are one padded table
(`rewardspec/wrappers/stacked.py`). `places` are eight specs of one step each, but for one that has two; `errands` are
the four tasks of Toro Icarte et al. (JAIR 73, 2022): random moves do the longest three once in several million
episodes, since most end on a decoration. Their discount is 0.9, under which a value sixty steps before the goal is
0.002, which is a network's noise: here it is 0.98, an episode has 200 steps, and the cell comes one-hot.

Three ways to use what a step has shown: for no other spec (`apart`: a network for each, with its share of the steps),
for the other states of its own machine (`own`), or for every state of every machine (`shared`), which costs more
computing for the same steps. PPO learns from its own steps alone and is cheaper by the step: it gets ten times as many.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.experiments.water import spread
from benchmarks.plots import Band, curves
from benchmarks.records import ROOT, Cell, Row, Setting, provenance, scratch
from rewardspec import Spec, load
from rewardspec.compiler import compile_spec
from rewardspec.training.folder import RunFolder

TAGS = ("crm", "dqn", "ppo", "several tasks")
STEPS = 60_000
SEEDS = 5
SMOKE_STEPS = 800

TASK, METHOD = ("set",), ("arm",)
BASELINE, CLAIM = "dqn apart", "dqn shared"
CURVE = ("environment steps", "mean return of the tasks, while training")

TASKS = ROOT / "examples" / "tasks"
SETS = {"places": ("Eight places", 60_000), "errands": ("The four errands", 80_000)}
"""Folders of specs, with headings and DQN's environment steps."""


@dataclass(frozen=True)
class Arm:
    """A way to learn: which agent, one network or one for each spec, its arguments, steps per step of the setting."""

    agent: str
    apart: bool
    arguments: Mapping[str, Any]
    pace: int = 1


DQN = {"heads": True, "hidden": (256,), "log_every": 25}
PPO = {"n_envs": 64, "n_steps": 64, "ent_coef": 0.1, "log_every": 5}
ARMS = {
    "dqn shared": Arm("dqn_torch", False, {**DQN, "crm": "tasks"}),
    "dqn own": Arm("dqn_torch", False, {**DQN, "crm": "states"}),
    "dqn apart": Arm("dqn_torch", True, {**DQN, "crm": "states"}),
    "ppo": Arm("ppo_torch", False, PPO, pace=10),
    "ppo apart": Arm("ppo_torch", True, PPO, pace=10),
}
SETTINGS: list[Setting] = [
    {"name": f"{tasks}: {arm}", "set": tasks, "arm": arm, "steps": steps}
    for tasks, (_, steps) in SETS.items()
    for arm in ARMS
]


def tasks_of(name: str) -> dict[str, Spec]:
    """Return the specs of a set, by name."""
    return {path.stem: load(path) for path in sorted((TASKS / name).glob("*.yaml"))}


def run(setting: Setting, seed: int) -> list[Row]:
    """Train an arm; a cell that was killed goes on from its checkpoints."""
    import torch

    torch.set_num_threads(1)
    arm, tasks = ARMS[setting["arm"]], tasks_of(setting["set"])
    steps, place = setting["steps"] * arm.pace, scratch("multitask", setting, seed)
    if not arm.apart:
        rows, earned = trained(arm, place, steps, seed, specs=TASKS / setting["set"])
        return rows_of(rows, {task: earned[f"return/{task}"] for task in tasks})
    runs = []
    for i, (task, spec) in enumerate(tasks.items()):
        crm = {} if "crm" not in arm.arguments or has_stages(spec) else {"crm": "none"}
        path = TASKS / setting["set"] / f"{task}.yaml"
        rows, earned = trained(arm, place / task, steps // len(tasks), seed + 1000 * i, spec=path, **crm)
        runs.append(
            rows_of([{**row, f"return/{task}": row["return"]} for row in rows], {task: earned["return"]})
        )
    return joined(runs)


def trained(
    arm: Arm, place: Path, steps: int, seed: int, **arguments: Any
) -> tuple[list[Row], dict[str, float]]:
    """Train one network; return its rows of progress, and what it earns when it is greedy, as the agent tells them."""
    from agents import dqn_torch, ppo_torch

    agent: Any = {"dqn_torch": dqn_torch, "ppo_torch": ppo_torch}[arm.agent]
    folder = RunFolder(place / "run")
    begun: dict[str, Any] = {"resume": folder.path} if folder.is_run else {"folder": folder.path}
    given = {**arm.arguments, "steps": steps, "seed": seed, "quiet": True, **arguments, **begun}
    earned = agent.train(agent.Args(**given), Console(quiet=True))
    return folder.rows(), earned


def has_stages(spec: Spec) -> bool:
    """Return whether a machine of the spec has two states or more in which an episode goes on."""
    return any(len(machine.states) - len(machine.terminal) > 1 for machine in compile_spec(spec).machines)


def rows_of(told: Sequence[Row], earned: Mapping[str, float]) -> list[Row]:
    """Return rows of steps and returns by task, as the last finished episodes had them; the last row has `greedy`."""
    seen = dict.fromkeys(earned, 0.0)
    rows: list[Row] = []
    for row in told:
        seen |= {name: row[f"return/{name}"] for name in seen if row[f"return/{name}"] is not None}
        rows.append({"steps": row["steps"], "paid": dict(seen)})
    rows[-1]["greedy"] = dict(earned)
    return rows


def joined(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Return one run of the rows of several, of one task each, as if they had trained side by side."""
    many = len(runs)
    rows: list[Row] = [
        {
            "steps": many * rows[0]["steps"],
            "paid": {name: paid for row in rows for name, paid in row["paid"].items()},
        }
        for rows in zip(*runs, strict=True)
    ]
    rows[-1]["greedy"] = {name: paid for run in runs for name, paid in run[-1]["greedy"].items()}
    return rows


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the mean return of the tasks over the steps."""
    return [(row["steps"], statistics.fmean(row["paid"].values())) for row in rows]


def specs(setting: Setting) -> list[Spec]:
    """Return what the agents are paid by."""
    return list(tasks_of(setting["set"]).values())


def score(rows: Sequence[Row]) -> float:
    """Return what the greedy policy earns, the mean over the tasks: the share of them that it does."""
    return statistics.fmean(rows[-1]["greedy"].values()) if rows else 0.0


def steps_to_all(rows: Sequence[Row], level: float = 0.5) -> int | None:
    """Return the steps after which every task had paid `level` on average at some time; None for never."""
    best: dict[str, float] = {}
    for row in rows:
        best = {name: max(paid, best.get(name, 0.0)) for name, paid in row["paid"].items()}
        if min(best.values()) >= level:
            return int(row["steps"])
    return None


SAID = {
    "dqn shared": "DQN, a step teaches every task (`--crm tasks`)",
    "dqn own": "DQN, a step teaches its own task (`--crm states`)",
    "dqn apart": "DQN, a network for each task",
    "ppo": "PPO, one policy",
    "ppo apart": "PPO, a policy for each task",
}


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    lines = [
        "# One network for many specs",
        "",
        "<!-- Made by `python -m benchmarks report multitask` -->",
        "",
        "OfficeWorld, discount 0.98, the cell one-hot. The agent sees which task it has and the state of its machine. "
        "DQN has one hidden layer of 256 units, PPO two of 64. A task is done where the greedy policy earns at least "
        "half of its reward after the last step. Medians over the seeds, least and greatest in brackets. All else is "
        "the agents' own but PPO's entropy (0.1), batch (64 environments of 64 steps) and DQN's hidden layer, each "
        "chosen by a few runs with seed 0.",
    ]
    for name, (heading, _) in SETS.items():
        mine = [cell for cell in cells if cell.setting["set"] == name]
        if mine:
            lines += ["", f"## {heading}", "", *section(mine, folder, name)]
    return "\n".join([*lines, "", provenance(cells)]) + "\n"


def section(cells: Sequence[Cell], folder: Path, name: str) -> list[str]:
    """Return the tables of one set, and draw its curves."""
    by_arm = {arm: found for arm in ARMS if (found := [c for c in cells if c.setting["arm"] == arm])}
    tasks = list(tasks_of(name))
    lines = [
        f"| arm | seeds | steps | tasks done of {len(tasks)} | steps until each had paid half | CPU, minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for arm, found in by_arm.items():
        done = spread([sum(paid >= 0.5 for paid in c.rows[-1]["greedy"].values()) for c in found], "{:.0f}")
        took = spread([steps_to_all(c.rows) or math.inf for c in found], "{:,.0f}").replace("inf", "never")
        steps, minutes = found[0].rows[-1]["steps"], statistics.median(c.facts["cpu_s"] for c in found) / 60
        lines.append(f"| {SAID[arm]} | {len(found)} | {steps:,} | {done} | {took} | {minutes:.1f} |")
    lines += ["", "Seeds in which the greedy policy does the task:", ""]
    lines += [f"| arm | {' | '.join(tasks)} |", f"| --- |{' --- |' * len(tasks)}"]
    for arm, found in by_arm.items():
        counts = [sum(c.rows[-1]["greedy"][task] >= 0.5 for c in found) for task in tasks]
        lines.append(f"| {SAID[arm]} | {' | '.join(f'{count} of {len(found)}' for count in counts)} |")
    bands = [
        Band(arm, [curve(c.rows) for c in found]) for arm, found in by_arm.items() if arm.startswith("dqn")
    ]
    picture = f"multitask-{name}.svg"
    curves(folder / picture, bands, *CURVE, f"{SETS[name][0]}: DQN")
    return [*lines, "", f"![{name}]({picture})"]
