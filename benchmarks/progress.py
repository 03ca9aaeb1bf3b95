"""How a run is shown: a live table in a terminal, a line a cell elsewhere."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.engines import Ended, Event, Started
from benchmarks.records import Failure
from benchmarks.suites import Job

RECENT = 6
"""Lines of the latest cells below the table."""


class Progress:
    """Counts what happens and shows it; a context."""

    def __init__(
        self,
        todo: Sequence[Job],
        there: Mapping[str, int],
        expected: Mapping[tuple[str, str], float],
        console: Console,
    ) -> None:
        """Say what is to come.

        Args:
            todo: The cells to make.
            there: How many cells of each experiment there are already.
            expected: Seconds that cells took elsewhere, by `Job.mark`.
            console: Where to show it.
        """
        self.there = dict(there)
        self._todo, self._expected, self._console = list(todo), expected, console
        self._running: dict[tuple[str, str], tuple[Job, str, float]] = {}
        self._ended: dict[tuple[str, str], tuple[Job, bool, float]] = {}
        self._lines: list[str] = []
        self._most = 1
        self._began = time.monotonic()
        self._live: Live | None = None

    @property
    def failed(self) -> int:
        """Cells that failed."""
        return sum(not fine for _, fine, _ in self._ended.values())

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> float:
        """Seconds that the cells took that ended, together."""
        return sum(seconds for _, _, seconds in self._ended.values())

    def __enter__(self) -> Progress:
        """Begin to show."""
        if self._console.is_terminal and self._todo:
            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show the last state and stop."""
        if self._live is not None:
            self._live.stop()

    def tell(self, event: Event, score: float | None = None) -> None:
        """Take in what happened; `score` is that of a cell that is finished."""
        mark = event.job.mark
        if isinstance(event, Started):
            self._running[mark] = (event.job, event.worker, time.monotonic())
            self._most = max(self._most, len(self._running))
            return
        _, _, began = self._running.pop(mark, (event.job, "", time.monotonic()))
        self._ended[mark] = (event.job, not isinstance(event.made, Failure), time.monotonic() - began)
        self._say(self._line(event, score))

    def _line(self, event: Ended, score: float | None) -> str:
        left = f"{len(self._todo) - len(self._ended)} left, about {clock(self.left())}"
        if isinstance(event.made, Failure):
            return f"[red]{_plain(event.job)} failed[/red] ({event.made.kind}): {_plain(event.made.reason)}; {left}"
        return f"{_plain(event.job)}: score {score:.2f} in {event.made.facts['cpu_s']:.0f} s CPU; {left}"

    def _say(self, line: str) -> None:
        if self._live is None:
            self._console.print(line, highlight=False, soft_wrap=True)
        else:
            self._lines = [*self._lines, line][-RECENT:]

    def left(self) -> float:
        """Return the seconds that are left, by what such cells took so far, here or elsewhere."""
        pace = self._pace()
        todo = [job for job in self._todo if job.mark not in self._ended]
        work = sum(self._guess(job) * pace for job in todo)
        now = time.monotonic()
        work -= sum(min(now - began, self._guess(job) * pace) for job, _, began in self._running.values())
        return work / self._most

    def _pace(self) -> float:
        """Return how much longer cells take here than was expected of them."""
        pairs = [(self._guess(job), seconds) for job, fine, seconds in self._ended.values() if fine]
        expected = sum(guess for guess, _ in pairs)
        return sum(seconds for _, seconds in pairs) / expected if expected else 1.0

    def _guess(self, job: Job) -> float:
        if job.mark in self._expected:
            return max(self._expected[job.mark], 0.05)
        mine = [s for other, _, s in self._ended.values() if other.experiment == job.experiment]
        mine = mine or [seconds for _, _, seconds in self._ended.values()]
        return statistics.fmean(mine) if mine else 1.0

    def _table(self) -> Table:
        table = Table(title_justify="left", title_style="bold", expand=False)
        table.title = (
            f"{len(self._ended)} of {len(self._todo)} cells, {self.failed} failed, {clock(self.seconds)} gone,"
            f" about {clock(self.left())} left"
        )
        for column in ("experiment", "there before", "done", "running", "failed", "to do"):
            table.add_column(column, justify="left" if column == "experiment" else "right")
        for name in dict.fromkeys(job.experiment for job in self._todo):
            mine = [job for job in self._todo if job.experiment == name]
            ended = [fine for job, fine, _ in self._ended.values() if job.experiment == name]
            running = sum(job.experiment == name for job, _, _ in self._running.values())
            told = (sum(ended), running, len(ended) - sum(ended), len(mine) - len(ended) - running)
            table.add_row(
                name, str(self.there.get(name, 0)), *(str(number) if number else "" for number in told)
            )
        table.caption = "\n".join(
            [
                *(f"{worker}: {_plain(job)}, {clock(time.monotonic() - began)}"
                  for job, worker, began in self._running.values()),
                *self._lines,
            ]
        )  # fmt: skip
        table.caption_justify = "left"
        return table


def clock(seconds: float) -> str:
    """Return a time in few characters.

    Example:
        >>> clock(7), clock(150), clock(9000)
        ('7 s', '2.5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _plain(value: object) -> str:
    return str(value).replace("[", "\\[")
