"""The page that sets the runs of several rewards beside each other: learning curves and time to success."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardspec.report.charts import Curves, line_chart, short
from rewardspec.report.page import page, table, text
from rewardspec.report.player import player
from rewardspec.report.recording import Episode
from rewardspec.report.watch import facts_table, outcome
from rewardspec.training.folder import Row, RunFolder, write_whole
from rewardspec.training.settings import WINDOW

LEVEL = 0.9
"""Success rate from which an agent counts as having learnt the task."""

FEWEST = 20
"""Episodes from which a success rate is drawn."""


@dataclass(frozen=True)
class Arm:
    """Runs of one reward, one per seed.

    Attributes:
        name: What the page calls the reward.
        runs: The run folders.
    """

    name: str
    runs: Sequence[RunFolder]

    def times(self) -> list[int | None]:
        """Return per seed the time to success, in environment steps; None where it was not reached."""
        return [time_to_success(run.rows()) for run in self.runs]

    def final(self) -> list[float]:
        """Return per seed the success rate over the last episodes of the run."""
        return [(last_row(run)["recent"]["success"] or 0.0) for run in self.runs]


def time_to_success(rows: Sequence[Row], level: float = LEVEL) -> int | None:
    """Return the step at which the success rate over the latest 100 episodes first reaches a level.

    Example:
        >>> counted = [(40, 1.0), (100, 0.8), (100, 0.95)]
        >>> recent = [{"count": count, "success": success} for count, success in counted]
        >>> time_to_success([{"steps": 1000 * i, "recent": row} for i, row in enumerate(recent)])
        2000
    """
    reached = (
        row["steps"]
        for row in rows
        if row["recent"]["count"] >= WINDOW and (row["recent"]["success"] or 0.0) >= level
    )
    return next(reached, None)


def last_row(run: RunFolder) -> Row:
    """Return the last row of progress; an empty one of a run that has none yet."""
    empty: Row = {"steps": 0, "seconds": 0.0, "episodes": 0}
    empty["recent"] = {"count": 0, "success": None, "task_return": None, "length": None, "terms": {}}
    return (run.rows() or [empty])[-1]


def verdict(arms: Sequence[Arm]) -> str:
    """Return in a sentence, from the numbers alone, how the first arm compares with the others."""
    steps = max((last_row(run)["steps"] for arm in arms for run in arm.runs), default=0)
    told = []
    for arm in arms:
        reached = [time for time in arm.times() if time is not None]
        median = f" (median of those: {statistics.median(reached):,.0f} steps)" if reached else ""
        told.append(f"{arm.name}: {len(reached)} of {len(arm.runs)} seeds{median}")
    return f"Seeds with {LEVEL:.0%} success within {short(steps)} steps. " + "; ".join(told) + "."


def comparison_page(
    title: str,
    lead: str,
    arms: Sequence[Arm],
    episode: Episode | None,
    notes: Sequence[str] = (),
    tests: Sequence[tuple[str, bool]] = (),
) -> str:
    """Return the page.

    Args:
        title: Its title.
        lead: What was done, in a sentence or two.
        arms: The rewards and their runs; the first is the one the page is about.
        episode: An episode to show, of an agent of the first arm.
        notes: What else a reader must know, a paragraph each.
        tests: The tests of the first arm's spec, and whether each holds.
    """
    main = arms[0].runs[0]
    body, script = player(episode) if episode is not None else ("", "")
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="lead">{text(lead)}</p>',
        _figures(arms),
        "<h2>Learning curves</h2>",
        line_chart(_curves(arms), "environment steps", f"success over the latest {WINDOW} episodes", LEVEL),
        "<h2>Time to success, every seed as it is</h2>",
        _table(arms),
        *(f'<p class="note">{text(note)}</p>' for note in notes),
    ]
    if episode is not None:
        parts += [
            "<h2>An episode of the trained agent</h2>",
            f'<p class="note">{outcome(episode)} Agent: {text(arms[0].name)}, seed {main.seed()}.</p>',
            body,
        ]
    parts += ["<h2>What was declared</h2>", f"<pre>{text(main.spec.read_text())}</pre>"]
    if tests:
        parts.append(_tests(tests))
    for arm in arms[1:]:
        parts += [f"<h2>{text(arm.name)}</h2>", f"<pre>{text(arm.runs[0].spec.read_text())}</pre>"]
    parts += ["<h2>How it was run</h2>", _host(), facts_table(main.read_facts())]
    return page(title, "\n".join(parts), script=script)


def _figures(arms: Sequence[Arm]) -> str:
    """Return the numbers that matter most, large."""
    cards = []
    for tone, arm in enumerate(arms):
        times = arm.times()
        reached = [time for time in times if time is not None]
        middle = f"median {short(statistics.median(reached))} steps" if reached else "not reached by any seed"
        cards.append(
            f'<div class="figure"><b class="tone-name{tone}">{len(reached)} of {len(times)}</b>'
            f"<span>{text(arm.name)}: seeds with {LEVEL:.0%} success, {middle}</span></div>"
        )
        mean = statistics.fmean(arm.final())
        cards.append(
            f'<div class="figure"><b class="tone-name{tone}">{mean:.0%}</b>'
            f"<span>{text(arm.name)}: success rate at the end, mean of the seeds</span></div>"
        )
    return f'<div class="figures">{"".join(cards)}</div>'


def _curves(arms: Sequence[Arm]) -> list[Curves]:
    return [
        Curves(
            arm.name,
            [
                [
                    (float(row["steps"]), row["recent"]["success"] or 0.0)
                    for row in run.rows()
                    if row["recent"]["count"] >= FEWEST
                ]
                for run in arm.runs
            ],
            tone,
        )
        for tone, arm in enumerate(arms)
    ]


def _table(arms: Sequence[Arm]) -> str:
    head = (
        "reward", "seed", "steps to 50 %", f"steps to {LEVEL:.0%}", "success at the end", "task's return",
        "episode length", "episodes", "seconds",
    )  # fmt: skip
    rows = []
    for tone, arm in enumerate(arms):
        for run in arm.runs:
            progress = run.rows()
            last = last_row(run)
            recent = last["recent"]
            rows.append(
                (
                    f'<span class="tone-name{tone}">{text(arm.name)}</span>',
                    str(run.seed()),
                    _steps(time_to_success(progress, 0.5)),
                    _steps(time_to_success(progress)),
                    _number(recent["success"], "{:.0%}"),
                    _number(recent["task_return"], "{:.3f}"),
                    _number(recent["length"], "{:.0f}"),
                    f"{last['episodes']:,}",
                    f"{last['seconds']:.0f}",
                )
            )
    note = (
        f"Success, the task's own return and the length of episodes are over the latest {WINDOW} "
        "training episodes, with the agent exploring. The environment itself tells what a success is."
    )
    return table(head, rows) + f'<p class="note">{note}</p>'


def _steps(steps: int | None) -> str:
    return "not reached" if steps is None else f"{steps:,}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _tests(tests: Sequence[tuple[str, bool]]) -> str:
    rows = [
        ('<span class="yes">holds</span>' if holds else '<span class="no">fails</span>', text(name))
        for name, holds in tests
    ]
    return "<p>Its tests, run before training:</p>" + table((), rows)


def _host() -> str:
    said = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one torch thread per run."
    return f'<p class="note">{text(said)}</p>'


def save_page(content: str, place: Path) -> Path:
    """Write a page; it is there whole or not at all."""
    write_whole(place, lambda file: file.write(content.encode()))
    return place
