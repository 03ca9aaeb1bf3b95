"""The README's table: a part between two markers, made from a small file that `table` writes from a run's records.

Nobody edits either by hand: a test holds the README to the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.records import RESULTS, ROOT, Failure, commits
from benchmarks.report import tables
from benchmarks.summary import Summary
from rewardspec.training.folder import write_whole

README = ROOT / "README.md"
TABLE = RESULTS / "table.json"
BEGIN = "<!-- Begin of the table that `python -m benchmarks table` writes; edit nothing here. -->"
END = "<!-- End of the table. -->"


def contents(
    suite: str,
    cells: int,
    summaries: Sequence[Summary],
    failures: Mapping[str, Sequence[Failure]],
    sessions: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the table is made from, as plain data.

    Args:
        suite: The suite.
        cells: How many cells it has.
        summaries: What they came to.
        failures: Those that failed.
        sessions: How long the run took, session by session, where this is known.
    """
    made = [cell for summary in summaries for cell in summary.cells]

    def told(name: str) -> list[str]:
        return [str(value) for value in dict.fromkeys(cell.facts.get(name) for cell in made) if value]

    return {
        "suite": suite,
        "commits": told("commit"),
        "processor": told("processor"),
        "cells": [len(made), cells],
        "failed": sum(map(len, failures.values())),
        "cpu_s": round(sum(summary.cpu_s for summary in summaries)),
        "wall_s": round(sum(float(session["seconds"]) for session in sessions)) if sessions else None,
        "workers": max((int(session["workers"]) for session in sessions), default=None),
        "rows": [tables.row(summary) for summary in summaries],
    }


def part(held: Mapping[str, Any]) -> str:
    """Return the README's part, markers included."""
    made, of = held["cells"]
    wall = f" in {held['wall_s'] / 60:.0f} minutes with {held['workers']} processes" if held["wall_s"] else ""
    missing = (
        f" {of - made - held['failed']} cells of the suite were not made yet."
        if made + held["failed"] < of
        else ""
    )
    failed = f" {held['failed']} failed." if held["failed"] else ""
    said = (
        f"Suite `{held['suite']}`: {made} cells{wall}, {held['cpu_s'] / 60:.0f} minutes of CPU time on"
        f" {' and '.join(held['processor'])}, at {commits(held['commits']).rstrip(',')}.{failed}{missing}"
    )
    body = tables.lines(held["rows"])
    return "\n".join([BEGIN, "", *body, "", said, "", tables.KEY, "", END])


def write(held: Mapping[str, Any], readme: Path = README, table: Path = TABLE) -> None:
    """Put the table in place of the one that the README has.

    Raises:
        SystemExit: The README has not both markers.
    """
    text = replaced(readme.read_text(encoding="utf-8"), part(held))
    data = json.dumps(held, indent=1, ensure_ascii=False).encode() + b"\n"
    write_whole(table, lambda file: file.write(data))
    write_whole(readme, lambda file: file.write(text.encode()))


def replaced(text: str, new: str) -> str:
    """Return a text with the part between the markers, and they, replaced.

    Raises:
        SystemExit: The text has not both markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the README has no place for the table: put these lines into it:\n{BEGIN}\n{END}")
    return before + new + after
