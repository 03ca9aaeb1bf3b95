"""An experiment of many short cells, which notes in a file each time that one is made."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

TASK, METHOD = ("task",), ("method",)
SETTINGS: list[dict[str, Any]] = [
    {"name": f"{task}: {method}", "task": task, "method": method}
    for task in ("near", "far")
    for method in ("plain", "better")
]
TAGS = ("counting",)
STEPS = 5
SEEDS = 10
SMOKE_STEPS = 1


def run(setting: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    time.sleep(0.05)
    if "COUNTING_LOG" in os.environ:
        with open(os.environ["COUNTING_LOG"], "a") as file:
            file.write(f"{setting['name']} {seed}\n")
    return rows_of(setting, seed)


def rows_of(setting: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    return [{"steps": setting["steps"], "value": (seed % 5) / 10 + 0.2 * (setting["method"] == "better")}]


def score(rows: Sequence[dict[str, Any]]) -> float:
    return float(rows[-1]["value"]) if rows else 0.0
