"""Does a declared reward teach what the sparse one does not? SB3 PPO on MiniGrid and MiniHack, equal settings.

The declared specs are the gallery's; `sparse` pays what the environment pays, and so does `shown`, whose agent sees the
declared machine's state: what of the gain is the reward's, and what the observation's?
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots import Band, curves
from benchmarks.records import ROOT, Cell, Row, Setting, provenance
from benchmarks.training import trained
from rewardspec import Spec, from_data, load
from rewardspec.report.comparison import FEWEST, LEVEL, time_to_success

TAGS = ("sparse", "ppo")
STEPS = 300_000
SEEDS = 5
SMOKE_STEPS = 2_048

TASK, METHOD = ("task",), ("reward",)
BASELINE, CLAIM = "sparse", "declared"
CURVE = ("environment steps", "success, latest 100 episodes")

SPECS = ROOT / "examples" / "specs"
TASKS: dict[str, dict[str, Any]] = {
    "doorkey-8x8": {"spec": "minigrid_doorkey.yaml", "n_envs": 16, "steps": 300_000},
    "keyroom-s5": {"spec": "minihack_keyroom.yaml", "n_envs": 16, "steps": 200_000},
}
REWARDS = ("declared", "sparse", "shown")
SETTINGS: list[Setting] = [
    {"name": f"{task}-{reward}", "task": task, "reward": reward, **facts}
    for task, facts in TASKS.items()
    for reward in REWARDS
]


def spec_of(setting: Setting) -> Spec:
    """Return the setting's spec: the gallery's, or the environment's own reward with the same discount.

    Where the machine is only shown, its edges pay nothing.
    """
    declared = load(SPECS / setting["spec"])
    if setting["reward"] == "declared":
        return declared
    data = declared.to_data()
    own = {"markov": "reward", "name": "sparse"}
    name = f"{declared.name}-{setting['reward']}"
    if setting["reward"] == "sparse":
        kept = {key: data[key] for key in ("rewardspec", "discount", "env") if key in data}
        return from_data({**kept, "name": name, "reward": own})
    machines = [term for term in data["reward"] if "reward_machine" in term]
    for term in machines:
        for edge in term["reward_machine"]["edges"]:
            edge.pop("reward", None)
    kept = {key: value for key, value in data.items() if key not in ("tests", "description")}
    return from_data({**kept, "name": name, "reward": [*machines, own]})


def run(setting: Setting, seed: int) -> list[Row]:
    """Train one agent; a cell that was killed goes on from its checkpoint."""
    folder = trained(
        "sparse", setting, seed, spec_of(setting), n_envs=setting["n_envs"], agent=setting.get("agent")
    )
    kept = ("count", "success", "task_return", "length")
    return [
        {"steps": row["steps"], "recent": {name: row["recent"][name] for name in kept}}
        for row in folder.rows()
    ]


def score(rows: Sequence[Row]) -> float:
    """Return the success rate over the last 100 training episodes."""
    return float(rows[-1]["recent"]["success"] or 0.0) if rows else 0.0


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the success rate over the steps."""
    return [
        (row["steps"], row["recent"]["success"] or 0.0) for row in rows if row["recent"]["count"] >= FEWEST
    ]


def specs(setting: Setting) -> list[Spec]:
    """Return what the agent is paid by."""
    return [spec_of(setting)]


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    lines = [
        "# A declared reward against the sparse one",
        "",
        "<!-- Made by `python -m benchmarks report sparse` -->",
        "",
        f"SB3 PPO, 16 environments, equal settings and budget. Time to success: the step at which {LEVEL:.0%} of the"
        " latest 100 training episodes are solved (the environment says so). The declared specs are the gallery's;"
        " their agents see the machine's state besides the observation. `shown`: the sparse reward, with that state"
        " shown and nothing paid for it.",
        "",
        "| task | reward | seeds | solved by | steps to it: median (least to greatest) | success at the end |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for task in dict.fromkeys(cell.setting["task"] for cell in cells):
        bands = []
        for reward in REWARDS:
            mine = [c for c in cells if c.setting["task"] == task and c.setting["reward"] == reward]
            if not mine:
                continue
            times = [time_to_success(cell.rows) for cell in mine]
            reached = sorted(t for t in times if t is not None)
            span = (
                f"{statistics.median(reached):,.0f} ({reached[0]:,} to {reached[-1]:,})"
                if reached
                else "never"
            )
            mean = statistics.fmean(score(cell.rows) for cell in mine)
            lines.append(f"| {task} | {reward} | {len(mine)} | {len(reached)} | {span} | {mean:.0%} |")
            points = [
                [
                    (row["steps"], row["recent"]["success"] or 0.0)
                    for row in cell.rows
                    if row["recent"]["count"] >= FEWEST
                ]
                for cell in mine
            ]
            bands.append(Band(reward, points))
        picture = folder / f"sparse-{task}.svg"
        curves(
            picture, bands, "environment steps", "success, latest 100 episodes", f"{task}: PPO", mark=LEVEL
        )
    pictures = [f"![{task}](sparse-{task}.svg)" for task in dict.fromkeys(c.setting["task"] for c in cells)]
    lines += [
        "",
        *pictures,
        "",
        provenance(cells),
    ]
    return "\n".join(lines) + "\n"
