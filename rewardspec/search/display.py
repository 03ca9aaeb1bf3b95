"""How a search in progress is shown: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from rewardspec.search.loop import Show

SHOWN = 4
"""Trainings whose steps are told beside the bar."""


class Lines:
    """A line for everything that happens."""

    def __init__(self, console: Console) -> None:
        """Write to a console."""
        self._console = console

    def say(self, text: str) -> None:
        """Write a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def look(self, done: int, steps: Mapping[str, int]) -> None:
        """Write nothing: it is told when something is over."""


class Bar(Lines):
    """A bar over all trainings, with lines above it."""

    def __init__(self, console: Console, bars: Progress, task: Any, each: int) -> None:
        """Move the bar `task`; every training takes `each` steps."""
        super().__init__(console)
        self._bars, self._task, self._each = bars, task, each

    def look(self, done: int, steps: Mapping[str, int]) -> None:
        """Move the bar: finished trainings, and shares of those that go on."""
        going = {name: taken for name, taken in steps.items() if 0 < taken < self._each}
        shares = sum(taken / self._each for taken in going.values())
        told = ", ".join(f"{name} {taken:,}" for name, taken in list(going.items())[:SHOWN])
        self._bars.update(self._task, completed=done + shares, going=told)


@contextmanager
def shown(total: int, done: int, steps: int, console: Console | None = None) -> Iterator[Show]:
    """Show a search while the context lasts.

    Args:
        total: Trainings of the whole search.
        done: Those that are over.
        steps: Steps of each.
        console: Where to; the terminal's stderr when not given.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        TextColumn("[bold]search"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trainings"),
        TimeElapsedColumn(),
        TextColumn("left"),
        Remaining(),
        TextColumn("{task.fields[going]}", style="dim"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("search", total=total, completed=done, going="")
        yield Bar(bars.console, bars, task, steps)
