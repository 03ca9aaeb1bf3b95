"""The speed benchmark runs, compares equals and reports what it measured; no test here looks at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import single_step
from benchmarks.speed.__main__ import record
from benchmarks.speed.method import QUICK, Block, Result, added, quiet_ratios, ratios, take_times
from benchmarks.speed.pycrm import require_equal

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_and_writes_what_it_measured(tmp_path: Path) -> None:
    """All experiments run in `make bench-smoke`."""
    path = tmp_path / "speed.json"
    path.write_text(json.dumps({"compile": earlier_figures()}))
    command = [sys.executable, "-m", "benchmarks", "speed", "--quick", "--json", str(path)]
    command += ["--only", "single", "--only", "batch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_text())
    assert list(written) == ["single", "batch", "compile"]
    assert written["compile"] == earlier_figures()  # what is not measured again stays
    for name in ("single", "batch"):
        assert {"commit", "processor", "python", "versions", "settings"} <= set(written[name])
        for result in written[name]["results"]:
            assert result["low"] <= result["median"] <= result["high"]
            assert (result["met"] is None) == (result["goal"] is None)
    assert "TransformReward" in done.stdout
    assert "TransformReward" in path.with_suffix(".md").read_text()


def earlier_figures() -> dict[str, Any]:
    found = [Result("a", "ms", 1.0, 0.5, 2.0), Result("b", "ms", float("nan"), float("nan"), float("nan"))]
    data = record(found, QUICK)
    assert data["results"][1]["median"] is None
    return {**data, "load": 0.0, "commit": "earlier"}


def test_everybody_who_is_compared_pays_the_same() -> None:
    single_step.check_rewards()


def test_a_peer_that_pays_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_step.by_hand.ConstantReward, "get_reward", lambda self, s_info: self.c + 0.1)
    with pytest.raises(ValueError, match="like Toro Icarte pays"):
        single_step.check_rewards()
    with pytest.raises(ValueError, match="at step 1"):
        require_equal("a peer", [1.0, 2.0], [1.0, 3.0])


def test_cases_take_turns_and_ratios_are_of_one_round() -> None:
    done: list[str] = []

    def case(name: str) -> Block:
        def block(n: int) -> None:
            done.append(name)
            sum(range(n))

        return block

    times = take_times({"a": case("a"), "b": case("b")}, QUICK)
    assert {name: len(taken) for name, taken in times.items()} == {"a": QUICK.rounds, "b": QUICK.rounds}
    last = done[-2 * QUICK.rounds :]
    assert all(set(last[i : i + 2]) == {"a", "b"} for i in range(0, len(last), 2))
    assert added({"x": [5.0, 9.0], "y": [1.0, 2.0]}, "x", "y") == [4.0, 7.0]
    assert ratios([4.0, 6.0], [2.0, 2.0]) == [2.0, 3.0]
    assert quiet_ratios([4.0, 6.0, 8.0], [2.0, 0.1, 2.0]) == [2.0, 4.0]


def test_goals_are_met_from_the_right_side() -> None:
    assert Result.of("low is good", "x", [1.0, 2.0, 3.0], 2.0).met is True
    assert Result.of("low is good", "x", [1.0, 2.0, 3.0], 1.9).met is False
    assert Result.of("high is good", "x", [1.0, 2.0, 3.0], 2.1, "high").met is False
    assert Result.of("no goal", "ns", [1.0, 2.0]).met is None
