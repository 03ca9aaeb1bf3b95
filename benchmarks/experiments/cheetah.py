"""Does counterfactual experience make a half-cheetah run to and fro? SB3 SAC with and without it, short runs.

Task 1 of Toro Icarte et al. (JAIR 73, 2022, section 6.3). They learn with DDPG for three million steps on 20 seeds and
end at 8.31 a step with CRM and at -0.60 without. `far` is that task for one step in 25: it asks whether the two arms
part early. `near` is one that fits such a budget: marks half a metre to each side of the start in place of two, and
episodes of 300 steps in place of 1000. Random actions are paid in it about once in three hundred steps of falling
over backwards, and in `far` once in ten thousand.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiment import Figure
from benchmarks.experiments.water import RATIOS, binned, late, spread
from benchmarks.plots import Band, curves
from benchmarks.records import ROOT, Cell, Row, Setting, provenance
from benchmarks.training import trained
from rewardspec import Spec, from_data, load

TAGS = ("crm", "sac", "continuous", "mujoco")
STEPS = 120_000
SEEDS = 2
SMOKE_STEPS = 2_000

METHOD = ("arm",)
BASELINE, CLAIM = "plain", "crm"
CURVE = ("environment steps", "reward per step")

SPEC = ROOT / "examples" / "specs" / "half_cheetah_there_and_back.yaml"
SETTINGS: list[Setting] = [{"name": f"cheetah-{arm}", "arm": arm} for arm in RATIOS]
SETTINGS += [
    {**s, "name": f"{s['name']}-near", "mark": 0.5, "horizon": 300, "steps": 60_000} for s in SETTINGS
]
PUBLISHED = {"plain": -0.60, "crm": 8.31}
"""Final median reward per step after three million steps."""

SCALE = 0.01
"""What the reward is multiplied with while learning: returns of thousands are slow to fit. Figures are not scaled."""

AGENT: dict[str, Any] = {
    "policy_kwargs": {"net_arch": [256, 256]},
    "learning_rate": 1e-3,
    "buffer_size": 300_000,
    "batch_size": 64,
    "learning_starts": 5_000,
    "train_freq": 4,
    "gradient_steps": 1,
}
BIN = 10_000


def scaled(mark: float | None = None, horizon: int | None = None) -> Spec:
    """Return the gallery's spec with a reward of a hundredth; with other marks and shorter episodes where given."""
    data = load(SPEC).to_data()
    (laps,) = data["reward"]
    if mark is not None:
        data["propositions"] = {"ahead": f"x > {mark}", "behind": f"x < -{mark}"}
    if horizon is not None:
        kwargs = {**data["env"]["kwargs"], "max_episode_steps": horizon}
        data["env"] = {**data["env"], "kwargs": kwargs, "horizon": horizon}
    return from_data({**data, "reward": [{**laps, "weight": SCALE}], "tests": []})


def run(setting: Setting, seed: int) -> list[Row]:
    """Train one agent; a cell that was killed goes on from its checkpoint."""
    spec = scaled(setting.get("mark"), setting.get("horizon"))
    crm = RATIOS[setting["arm"]]
    folder = trained("cheetah", setting, seed, spec, algo="sac", n_envs=1, agent=AGENT, crm=crm)
    rows = binned(folder.rows(), BIN)
    return [
        {
            **row,
            **{
                name: None if row[name] is None else row[name] / SCALE for name in ("reward_per_step", "paid")
            },
        }
        for row in rows
    ]


def score(rows: Sequence[Row]) -> float:
    """Return the reward per step in the last fifth of the training, over the published one of CRM, in 0..1."""
    return min(1.0, max(0.0, late(rows, "reward_per_step") / PUBLISHED["crm"]))


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the reward per step over the steps."""
    return [(row["steps"], row["reward_per_step"] or 0.0) for row in rows]


def specs(setting: Setting) -> list[Spec]:
    """Return the task; the agent is paid a hundredth of it."""
    return [scaled(setting["mark"], setting["horizon"]) if "mark" in setting else load(SPEC)]


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Return the published ends beside those of our short runs."""
    told = []
    for arm, theirs in PUBLISHED.items():
        far = [cell for cell in cells if cell.setting["arm"] == arm and "mark" not in cell.setting]
        mine = [late(cell.rows, "reward_per_step") for cell in far]
        ours = round(statistics.median(mine), 2) if mine else None
        note = "theirs: DDPG after 3 million steps; ours: SAC after 120,000"
        source = "Toro Icarte et al., JAIR 73 (2022), section 6.3"
        told.append(
            Figure(
                f"half-cheetah, task 1, {arm}: reward per step", source, "paper", theirs, ours, None, "", note
            )
        )
    return told


VARIANTS = {
    None: "## As published: marks two metres to each side\n\nPublished: DDPG after 3,000,000 steps, 20 seeds: "
    f"{PUBLISHED['plain']:.2f} without counterfactuals, {PUBLISHED['crm']:.2f} with them.",
    0.5: "## Marks half a metre to each side\n\nEpisodes of 300 steps.",
}
"""What a setting's `mark` is, with its heading."""


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    lines = [
        "# Half-cheetah, there and back: SAC with and without counterfactual experience",
        "",
        "<!-- Made by `python -m benchmarks report cheetah` -->",
        "",
        "Reward per step in the last fifth of the training, exploration included; every return to the mark behind pays "
        "1000, every other step costs its effort.",
    ]
    for mark, heading in VARIANTS.items():
        own = [cell for cell in cells if cell.setting.get("mark") == mark]
        if own:
            lines += ["", *heading.split("\n"), "", *section(own, folder, mark)]
    return "\n".join([*lines, "", provenance(cells)]) + "\n"


def section(cells: Sequence[Cell], folder: Path, mark: float | None) -> list[str]:
    """Return one variant's table, and draw its curves."""
    lines = [
        "| agent | seeds | steps | reward per step: median (least to greatest) | CPU, minutes |",
        "| --- | --- | --- | --- | --- |",
    ]
    bands = []
    for arm in RATIOS:
        mine = [cell for cell in cells if cell.setting["arm"] == arm]
        if not mine:
            continue
        rates = spread([late(cell.rows, "reward_per_step") for cell in mine], "{:.2f}")
        minutes = sum(cell.facts["cpu_s"] for cell in mine) / len(mine) / 60
        steps = mine[0].setting["steps"]
        lines.append(f"| {arm} | {len(mine)} | {steps:,} | {rates} | {minutes:.1f} |")
        bands.append(Band(arm, [[(r["steps"], r["reward_per_step"] or 0.0) for r in c.rows] for c in mine]))
    name = "cheetah.svg" if mark is None else "cheetah-near.svg"
    curves(folder / name, bands, "environment steps", "reward per step", "Half-cheetah, task 1: SAC")
    return [*lines, "", f"![there and back]({name})"]
