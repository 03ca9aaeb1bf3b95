"""Do labels of NetHack's messages bring points, at a budget of minutes? ONI's Score task with an oracle's labels.

The paper trains for two thousand million steps; what can be seen here is the machinery at work in the game itself, and
what it costs. The agent is SB3's PPO on the nine by nine characters around the player and the bottom lines.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records import ROOT, Cell, Row, Setting, provenance
from benchmarks.training import trained
from rewardspec import Spec, from_data, load

TAGS = ("language models", "ppo", "sparse")
STEPS = 100_000
SEEDS = 3
SMOKE_STEPS = 1024

BASELINE, CLAIM = "score", "score and messages"
CURVE = ("environment steps", "points, mean of the latest 100 episodes")

GALLERY = ROOT / "examples" / "specs" / "nethack_score.yaml"
ENVIRONMENTS = 8

SETTINGS: list[Setting] = [
    {"name": "score", "terms": ["score"]},
    {"name": "score and messages", "terms": ["score", "messages"]},
    {"name": "messages alone", "terms": ["messages"]},
]

FULL = 200.0
"""Points that count as a score of 1."""


def spec_of(setting: Setting) -> Spec:
    """Return the gallery's spec with the setting's terms alone."""
    data = load(GALLERY).to_data()
    kept = {key: value for key, value in data.items() if key not in ("tests", "description")}
    terms: list[Any] = [term for term in data["reward"] if term["name"] in setting["terms"]]
    return from_data({**kept, "name": "nethack-" + "-".join(setting["terms"]), "reward": terms})


def specs(setting: Setting) -> list[Spec]:
    """Return what the agent is paid by."""
    return [spec_of(setting)]


def run(setting: Setting, seed: int) -> list[Row]:
    """Train one agent; a cell that was killed goes on from its checkpoint."""
    folder = trained("nethack", setting, seed, spec_of(setting), n_envs=ENVIRONMENTS)
    rows: list[Row] = [
        {"steps": row["steps"], "points": row["recent"]["task_return"], "length": row["recent"]["length"]}
        for row in folder.rows()
        if row["recent"]["count"]
    ]
    told = folder.path / "learned.jsonl"
    if rows and told.exists():
        last = json.loads(told.read_text().splitlines()[-1])
        rows[-1] |= {name: last[name] for name in ("messages", "labels", "helpful")}
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return the points of the latest episodes, 200 as 1."""
    return min(max(rows[-1]["points"] / FULL, 0.0), 1.0) if rows else 0.0


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the points over the steps."""
    return [(row["steps"], row["points"]) for row in rows]


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# NetHack's score, with and without feedback on its messages",
        "",
        "<!-- Made by `python -m benchmarks report nethack` -->",
        "",
        f"SB3 PPO on `NetHackScore-v0`, {STEPS:,} steps, {ENVIRONMENTS} environments side by side; the gallery's"
        " [nethack_score](../../examples/specs/nethack_score.yaml), whole and in parts. Labels are an oracle's, by"
        " phrases; a small network carries them over (classification). Points are the game's own, of the latest 100"
        " training episodes.",
        "",
        "| arm | seeds | points: mean (least to greatest) | steps an episode | messages shown | of these helpful |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for setting in SETTINGS:
        ends = [cell.rows[-1] for cell in cells if cell.name == setting["name"] and cell.rows]
        if not ends:
            continue
        points = [row["points"] for row in ends]
        told = [row for row in ends if "messages" in row]
        shown = f"{statistics.median(row['messages'] for row in told):,.0f}" if told else ""
        helpful = f"{statistics.median(row['helpful'] for row in told):.0%}" if told else ""
        lines.append(
            f"| {setting['name']} | {len(ends)} | {statistics.fmean(points):.0f} ({min(points):.0f} to"
            f" {max(points):.0f}) | {statistics.fmean(row['length'] for row in ends):,.0f} | {shown} | {helpful} |"
        )
    lines += ["", provenance(cells)]
    return "\n".join(lines) + "\n"
