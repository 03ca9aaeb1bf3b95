"""Does one network learn many specs at once? DQN and PPO on eight places and on four errands of the office, together.

The worlds of a batch are alike and each is paid by its own spec; machines are one padded table
(`rewardspec/wrappers/stacked.py`). `places` has eight specs of one step each, but for one that has two; `errands` are
the four tasks of Toro Icarte et al. (JAIR 73, 2022): random moves do the longest three once in several million
episodes, since most end on a decoration. Here the discount is 0.98 (theirs is 0.9, under which a value sixty steps
before the goal is 0.002, which is a network's noise) and the cell comes one-hot.

Three ways to use what a step has shown: for no other spec (`apart`: a network for each spec, with its share of the
steps), for the other states of its own machine (`own`), or for every state of every machine (`shared`), which costs
more computing for the same steps. PPO learns from its own steps alone and is cheaper by the step: it gets ten times
as many.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.experiments.water import spread
from benchmarks.plots import Band, curves
from benchmarks.records import ROOT, Cell, Row, Setting, provenance, scratch
from rewardspec import Spec, from_data, load
from rewardspec.compiler import compile_spec
from rewardspec.training.folder import RunFolder

TAGS = ("crm", "dqn", "ppo", "several tasks")
STEPS = 60_000
SEEDS = 5
SMOKE_STEPS = 800

TASK, METHOD = ("set",), ("arm",)
BASELINE, CLAIM = "dqn apart", "dqn shared"
CURVE = ("environment steps", "mean return of the tasks, while training")

SPECS = ROOT / "examples" / "specs"
PLACES = ("coffee", "mail", "office", "a", "b", "c", "d")
ERRANDS = ("coffee", "mail", "both", "patrol")


@dataclass(frozen=True)
class Arm:
    """A way to learn: which agent, one network or one for each spec, its arguments, steps per step of the setting."""

    agent: str
    apart: bool
    arguments: Mapping[str, Any]
    pace: int = 1


DQN = {
    "heads": True,
    "hidden": (256,),
    "n_envs": 8,
    "train_freq": 1,
    "gradient_steps": 4,
    "batch_size": 32,
    "learning_rate": 5e-4,
    "tau": 0.05,
    "learning_starts": 1_000,
    "exploration_fraction": 0.1,
    "log_every": 250,
}
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
    for tasks, steps in (("places", 40_000), ("errands", STEPS))
    for arm in ARMS
]


@cache
def tasks_of(name: str) -> dict[str, Spec]:
    """Return the specs of a set, by name."""
    if name == "errands":
        return {task: _errand(task) for task in ERRANDS}
    return {**{place: _reach(place) for place in PLACES}, "coffee to office": _errand("coffee")}


def _errand(task: str) -> Spec:
    """Return the gallery's spec of a task, with this experiment's discount and observation."""
    data = load(SPECS / f"office_{task}.yaml").to_data()
    return from_data({**data, "discount": 0.98, "env": {**data["env"], "kwargs": {"observe": "index"}}})


def _reach(place: str) -> Spec:
    """Return the spec of going to one place."""
    data = _errand("coffee").to_data()
    safe, broken = "goal and not decoration", {"from": "on the way", "to": "broken", "when": "decoration"}
    machine = {
        "start": "on the way",
        "edges": [{"from": "on the way", "to": "there", "when": safe, "reward": 1}, broken],
        "terminal": ["there", "broken"],
    }
    return from_data(
        {
            **{key: data[key] for key in ("discount", "env")},
            "name": f"to-{place}",
            "propositions": {"goal": f"label.{place}", "decoration": "label.decoration"},
            "reward": [{"name": "place", "reward_machine": machine}],
        }
    )


def run(setting: Setting, seed: int) -> list[Row]:
    """Train an arm; a cell that was killed goes on from its checkpoints."""
    import torch

    torch.set_num_threads(1)
    arm, tasks = ARMS[setting["arm"]], tasks_of(setting["set"])
    steps, place = setting["steps"] * arm.pace, scratch("multitask", setting, seed)
    if not arm.apart:
        return rows_of(*trained(arm, place, tasks, steps, seed))
    share = steps // len(tasks)
    found = [
        rows_of(*trained(arm, place / name, {name: spec}, share, seed + 1000 * i))
        for i, (name, spec) in enumerate(tasks.items())
    ]
    return joined(found)


def trained(
    arm: Arm, place: Path, tasks: Mapping[str, Spec], steps: int, seed: int
) -> tuple[list[Row], dict[str, float]]:
    """Train one network on some specs; return its rows of progress, and what it earns by spec when it is greedy."""
    from agents import dqn_torch, ppo_torch

    agent: Any = {"dqn_torch": dqn_torch, "ppo_torch": ppo_torch}[arm.agent]
    folder, texts = RunFolder(place / "run"), place / "specs"
    texts.mkdir(parents=True, exist_ok=True)
    for name, spec in tasks.items():
        (texts / f"{name}.yaml").write_text(spec.to_yaml())
    given: dict[str, Any] = {"resume": folder.path} if folder.is_run else {"folder": folder.path}
    (only,) = tasks if len(tasks) == 1 else (None,)
    given |= {"specs": texts} if only is None else {"spec": texts / f"{only}.yaml"}
    arguments = dict(arm.arguments)
    if "crm" in arguments and only is not None and not has_stages(tasks[only]):
        arguments["crm"] = "none"  # there is no other state to replay a step from
    args = agent.Args(steps=steps, seed=seed, quiet=True, **arguments, **given)
    earned = agent.train(args, Console(quiet=True))
    if only is not None:
        return [{**row, f"return/{only}": row["return"]} for row in folder.rows()], {only: earned["return"]}
    return folder.rows(), {name: earned[f"return/{name}"] for name in tasks}


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
    """Return the share of the tasks that the greedy policy does."""
    return max(0.0, min(1.0, statistics.fmean(rows[-1]["greedy"].values())))


def steps_to_all(rows: Sequence[Row], level: float = 0.5) -> int | None:
    """Return the steps after which every task had paid `level` on average at some time; None for never."""
    best: dict[str, float] = {}
    for row in rows:
        best = {name: max(paid, best.get(name, 0.0)) for name, paid in row["paid"].items()}
        if min(best.values()) >= level:
            return int(row["steps"])
    return None


SETS = {"places": "Eight places", "errands": "The four errands"}
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
        "half of its reward after the last step. Medians over the seeds, least and greatest in brackets. DQN's "
        "settings were chosen by four runs of `dqn shared`, PPO's entropy (0.1) by three on the places, seed 0.",
    ]
    for name, heading in SETS.items():
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
    curves(folder / picture, bands, *CURVE, f"{SETS[name]}: DQN")
    return [*lines, "", f"![{name}]({picture})"]
