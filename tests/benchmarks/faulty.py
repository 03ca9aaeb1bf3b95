"""An experiment of which most cells go wrong, each in its own way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

WAYS = ("good", "raises", "hangs", "leaks", "nan", "nothing", "array", "dies", "leaves", "overrates")
SETTINGS: list[dict[str, Any]] = [{"name": way} for way in WAYS]
TAGS = ("faulty",)
STEPS = 5
SEEDS = 1
SMOKE_STEPS = 1


def run(setting: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    way = setting["name"]
    if way == "raises":
        raise ValueError("the reward is a turnip")
    if way == "hangs":
        print("about to hang", flush=True)
        while True:
            time.sleep(1)
    if way == "leaks":
        held = []
        while True:
            held.append(b"x" * (32 << 20))
            time.sleep(0.01)
    if way == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "leaves":
        raise SystemExit(3)
    if way == "nothing":
        return []
    return [
        {"steps": setting["steps"], "return": {"nan": float("nan"), "array": {1}}.get(way, 0.5), "way": way}
    ]


def score(rows: Sequence[dict[str, Any]]) -> float:
    return 7.0 if rows[0]["way"] == "overrates" else float(rows[0]["return"])
