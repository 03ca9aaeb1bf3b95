"""How a run in progress is shown: a live bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rewardspec.training.folder import Row

LINES = 20
"""Lines that a whole run prints where there is no terminal."""


@contextmanager
def shown(
    name: str,
    steps: int,
    console: Console | None = None,
    done: int = 0,
    describe: Callable[[Row], str] | None = None,
) -> Iterator[Callable[[Row], None]]:
    """Show a run while the context lasts; call what it gives with every row of progress.

    Args:
        name: What to call the run.
        steps: Steps of the whole run.
        console: Where to; the terminal's when not given.
        done: Steps taken before, of a run that is resumed.
        describe: What to say of a row in a line; `summary` when not given.
    """
    console, describe = console or Console(), describe or summary
    if console.is_terminal:
        with _bar(name, steps, console, done, describe) as show:
            yield show
    else:
        yield _lines(name, steps, console, done, describe)


@contextmanager
def _bar(
    name: str, steps: int, console: Console, done: int, describe: Callable[[Row], str]
) -> Iterator[Callable[[Row], None]]:
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    bars = Progress(*columns, expand=True)
    line = Text("", style="dim")
    run = bars.add_task(name, total=steps, completed=done)

    def show(row: Row) -> None:
        bars.update(run, completed=min(row["steps"], steps))
        line.plain = describe(row)

    with Live(Group(bars, line), console=console):
        yield show


def _lines(
    name: str, steps: int, console: Console, done: int, describe: Callable[[Row], str]
) -> Callable[[Row], None]:
    began = time.monotonic()
    printed = done

    def show(row: Row) -> None:
        nonlocal printed
        if row["steps"] - printed < steps / LINES and row["steps"] < steps:
            return
        printed = row["steps"]
        spent = time.monotonic() - began
        left = spent * max(0, steps - row["steps"]) / max(1, row["steps"] - done)
        console.print(
            f"{name}: {row['steps']} of {steps} steps, {describe(row)}, {_clock(left)} left",
            highlight=False,
            soft_wrap=True,
        )

    return show


def summary(row: Row) -> str:
    """Return success rate and return by term of the latest episodes, in a line.

    Example:
        >>> recent = {"count": 5, "success": 0.4, "task_return": 0.3, "terms": {"key": 0.5}}
        >>> summary({"steps": 100, "recent": recent})
        "success 40 %, task's return 0.3, by term: key 0.5"
    """
    recent = row["recent"]
    if not recent["count"]:
        return "no episode has ended yet"
    parts = [] if recent["success"] is None else [f"success {100 * recent['success']:.0f} %"]
    parts.append(f"task's return {recent['task_return']:.3g}")
    paid = ", ".join(f"{name} {value:.3g}" for name, value in list(recent["terms"].items())[:6])
    return ", ".join([*parts, f"by term: {paid}"])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
