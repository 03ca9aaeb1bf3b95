"""Do teams learn what their specs say? PPO, one policy for all or one each, on two buttons, spread and tag.

Two buttons is solved when a greedy team ends the episode by meeting with both buttons pressed; the fewest steps are
those of the exact solution of the same spec over the world's table. In spread the arms differ in the reward alone, and
all are judged by the environment's own reward, which none but `own` is paid by. In tag hunters and prey learn together.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots import Band, curves
from benchmarks.records import ROOT, Cell, Row, Setting, in_order, provenance
from benchmarks.training import trained
from rewardspec import Spec, from_data, load
from rewardspec.training.team_loop import play_team

TAGS = ("agents", "ppo")
STEPS = 30_000
SEEDS = 3
SMOKE_STEPS = 128
TASK, METHOD = ("task",), ("reward", "policies")
RESOURCES = {"cpus": 1, "gpus": 0, "memory_mib": 2048}

SPECS = ROOT / "examples" / "teams"
EPISODES = 20
"""Greedy episodes that a finished team plays for its figures; one where nothing is random."""

BUTTONS: dict[str, Any] = {"task": "two_buttons", "steps": 40_000, "n_envs": 16, "agent": {"ent_coef": 0.03}}
MPE: dict[str, Any] = {"steps": 24_000, "n_envs": 16, "agent": {"learning_rate": 7e-4, "ent_coef": 0.005}}

ARMS: dict[str, dict[str, Any]] = {
    "buttons, shared policy": {**BUTTONS, "reward": "declared", "policies": "shared"},
    "buttons, a policy each": {**BUTTONS, "reward": "declared", "policies": "independent"},
    "spread, own reward": {**MPE, "task": "simple_spread", "reward": "own", "policies": "shared"},
    "spread, difference": {**MPE, "task": "simple_spread", "reward": "declared", "policies": "shared"},
    "tag, declared": {**MPE, "steps": 8_192, "task": "simple_tag", "reward": "declared", "policies": "entry"},
}

SETTINGS: list[Setting] = [{"name": name, **arm} for name, arm in ARMS.items()]


def spec_of(setting: Setting) -> Spec:
    """Return the gallery's spec, or the environment's own reward with the same discount."""
    declared = load(SPECS / f"{setting['task']}.yaml")
    if setting["reward"] == "declared":
        return declared
    data = declared.to_data()
    kept = {name: data[name] for name in ("rewardspec", "discount", "env") if name in data}
    return from_data({**kept, "name": f"{declared.name}-own", "reward": {"markov": "reward", "name": "own"}})


def specs(setting: Setting) -> list[Spec]:
    """Return what the agents are paid by; the records keep its digest."""
    return []  # digests of single programs: a team's is in its run folder


def run(setting: Setting, seed: int) -> list[Row]:
    """Train one team; a cell that was killed goes on from its checkpoint."""
    folder = trained(
        "multiagent",
        setting,
        seed,
        spec_of(setting),
        policies=setting["policies"],
        n_envs=setting["n_envs"],
        agent={"n_steps": max(4, min(128, setting["steps"] // setting["n_envs"])), **setting["agent"]},
        checkpoint_seconds=60,
    )
    rows: list[Row] = [
        {
            "steps": row["steps"],
            "task_return": row["recent"]["task_return"],
            "spec_return": row["recent"]["spec_return"],
            "measures": row["recent"].get("measures", {}),
        }
        for row in folder.rows()
    ]
    once = setting["task"] == "two_buttons" or setting["steps"] <= SMOKE_STEPS
    played = play_team(folder.path, 1 if once else EPISODES)
    rows[-1]["greedy"] = {
        "length": statistics.fmean(episode["l"] for episode in played),
        "terminated": statistics.fmean(episode["measures"]["terminated"] for episode in played),
        "task_return": statistics.fmean(episode["task_return"] for episode in played),
        "returns": {
            name: statistics.fmean(episode["measures"][name] for episode in played)
            for name in played[0]["measures"]
            if name != "terminated"
        },
    }
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return the share of greedy episodes that were solved; without an end, how near 0 the task's return is."""
    if not rows or "greedy" not in rows[-1]:
        return 0.0
    greedy = rows[-1]["greedy"]
    if not greedy["task_return"]:  # two buttons pays nothing by itself
        return float(greedy["terminated"])
    return float(1.0 / (1.0 + abs(greedy["task_return"])))


def curve(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """Return the task's own return over training, or the share of episodes solved where it pays nothing."""
    return [
        (
            row["steps"],
            row["measures"].get("terminated", 0.0) if not row["task_return"] else row["task_return"],
        )
        for row in rows
        if row["task_return"] is not None
    ]


def fewest_steps() -> int:
    """Return the steps of the best team in two buttons, from the exact solution of the gallery's spec."""
    from envs.two_buttons import TwoButtonsTogether
    from rewardspec.tabular.product import take_product
    from rewardspec.tabular.solve import solve
    from rewardspec.team.compile import compile_team

    joint = compile_team(load(SPECS / "two_buttons.yaml")).joint
    assert joint is not None
    product = take_product(joint, TwoButtonsTogether().table())
    best = solve(product).action_values.argmax(axis=2)
    memory, state, steps = 0, int(product.world.start.argmax()), 0
    while True:
        at, steps = (memory, state, int(best[memory, state]), 0), steps + 1
        if product.ended[at]:
            return steps
        memory, state = int(product.next_memory[at]), int(product.world.next_state[at[1:]])


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    best = fewest_steps()
    lines = [
        "# Teams that learn from specs",
        "",
        "<!-- Made by `python -m benchmarks report multiagent` -->",
        "",
        "SB3 PPO over several agents (`agents/ippo_sb3.py`), 16 games side by side; a step of all agents is one."
        " Figures are of greedy play after training: in two buttons one episode (nothing is random), else the mean"
        f" of {EPISODES}. `While exploring` is the share of the latest 100 training episodes that were solved, seed by"
        " seed. Brackets hold the least and the greatest of the seeds.",
        "",
        f"Two buttons: the fewest steps are {best}, from the exact solution of the spec's joint machine over the table"
        " of the world (961 states times the machine's).",
        "",
        "| arm | steps | seeds | solved | while exploring | length | task's own return, mean over agents"
        " | in the first rollout | return by the spec |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(cell.name for cell in in_order(cells, SETTINGS)):
        mine = [cell for cell in cells if cell.setting["name"] == name and cell.rows]
        greedy = [cell.rows[-1]["greedy"] for cell in mine]
        solved = sum(g["terminated"] == 1.0 for g in greedy)
        is_buttons = mine[0].setting["task"] == "two_buttons"
        paid = sorted({entry for g in greedy for entry in g["returns"]})
        by_agent = ", ".join(
            f"{agent.removeprefix('return of ')} {_span([g['returns'][agent] for g in greedy])}"
            for agent in paid
        )
        lines.append(
            f"| {name} | {mine[0].setting['steps']:,} | {len(mine)} |"
            f" {f'{solved} of {len(mine)} | {_explored(mine)}' if is_buttons else '- | -'} |"
            f" {_span([g['length'] for g in greedy])} |"
            f" {'-' if is_buttons else _span([g['task_return'] for g in greedy])} |"
            f" {'-' if is_buttons else _span([cell.rows[0]['task_return'] for cell in mine])} | {by_agent} |"
        )
    lines += ["", *_pictures(cells, folder), "", provenance(cells)]
    return "\n".join(lines) + "\n"


def _explored(cells: Sequence[Cell]) -> str:
    """Return the share of the latest training episodes that ended by meeting, by seed."""
    return ", ".join(f"{cell.rows[-1]['measures'].get('terminated', 0.0):.0%}" for cell in cells)


def _span(found: Sequence[float | None]) -> str:
    values = [value for value in found if value is not None]
    if not values:  # no episode was over yet
        return "-"
    return f"{statistics.fmean(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def _pictures(cells: Sequence[Cell], folder: Path) -> list[str]:
    shown = []
    for task in dict.fromkeys(cell.setting["task"] for cell in cells):
        mine = [cell for cell in cells if cell.setting["task"] == task]
        bands = [
            Band(name, [curve(cell.rows) for cell in mine if cell.setting["name"] == name])
            for name in dict.fromkeys(cell.setting["name"] for cell in mine)
        ]
        what = "episodes solved" if task == "two_buttons" else "environment's own return, mean over agents"
        curves(folder / f"multiagent-{task}.svg", bands, "environment steps", what, f"{task}: PPO")
        shown.append(f"![{task}](multiagent-{task}.svg)")
    return shown
