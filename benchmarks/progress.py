"""How a run is shown: a live table in a terminal, a line a cell elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.engines import Ended, Event, Started
from benchmarks.records import Failure
from benchmarks.suites import Job

RECENT = 6
"""Lines of the latest cells below the table."""

SHOWN = 8
"""Cells under way that are named there."""

LEAST_S = 0.05
"""Seconds that a cell is taken to need at least."""


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
        self._to_do = Counter(job.experiment for job in todo)
        self._unknown = Counter(job.experiment for job in todo if job.mark not in expected)
        self._work = sum(max(expected.get(job.mark, 0.0), LEAST_S) for job in todo if job.mark in expected)
        self._running: dict[tuple[str, str], tuple[Job, str, float]] = {}
        self._done, self._failed = Counter[str](), Counter[str]()
        self._took: dict[str, tuple[int, float]] = {}
        self._foreseen, self._was = 0.0, 0.0
        self._lines: list[str] = []
        self._most = 1
        self._began = time.monotonic()
        self._live: Live | None = None

    @property
    def failed(self) -> int:
        """Cells that failed."""
        return self._failed.total()

    @property
    def ended(self) -> int:
        """Cells that were made or failed."""
        return self._done.total() + self._failed.total()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> float:
        """Seconds that the cells took that ended, together."""
        return sum(seconds for _, seconds in self._took.values())

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
        job = event.job
        if isinstance(event, Started):
            self._running[job.mark] = (job, event.worker, time.monotonic())
            self._most = max(self._most, len(self._running))
            return
        self._running.pop(job.mark, None)
        seconds = float(event.made.facts.get("wall_s", 0.0))
        (self._failed if isinstance(event.made, Failure) else self._done)[job.experiment] += 1
        count, took = self._took.get(job.experiment, (0, 0.0))
        self._took[job.experiment] = (count + 1, took + seconds)
        if job.mark in self._expected:
            guess = max(self._expected[job.mark], LEAST_S)
            self._work -= guess
            if not isinstance(event.made, Failure):
                self._foreseen, self._was = self._foreseen + guess, self._was + seconds
        else:
            self._unknown[job.experiment] -= 1
        self._say(self._line(event, score))

    def _line(self, event: Ended, score: float | None) -> str:
        left = f"{len(self._todo) - self.ended} left, about {clock(self.left())}"
        if isinstance(event.made, Failure):
            return f"[red]{_plain(event.job)} failed[/red] ({event.made.kind}): {_plain(event.made.reason)}; {left}"
        return f"{_plain(event.job)}: score {score:.2f} in {event.made.facts['cpu_s']:.0f} s CPU; {left}"

    def _say(self, line: str) -> None:
        if self._live is None:
            self._console.print(line, highlight=False, soft_wrap=True)
        else:
            self._lines = [*self._lines, line][-RECENT:]

    def left(self) -> float:
        """Return the seconds that are left, by what such cells took so far, here or elsewhere.

        Kept as sums, so that a run of very many cells does not spend its time on this.
        """
        pace = self._was / self._foreseen if self._foreseen else 1.0
        work = self._work * pace + sum(count * self._usual(name) for name, count in self._unknown.items())
        now = time.monotonic()
        for job, _, began in self._running.values():
            guess = self._expected.get(job.mark)
            usual = self._usual(job.experiment) if guess is None else max(guess, LEAST_S) * pace
            work -= min(now - began, usual)
        return max(work, 0.0) / self._most

    def _usual(self, experiment: str) -> float:
        """Return what cells of an experiment take here, or of all where none has ended."""
        count, seconds = self._took.get(experiment, (0, 0.0))
        if not count:
            count, seconds = (
                (sum(column) for column in zip(*self._took.values(), strict=True)) if self._took else (1, 1.0)
            )
        return seconds / count

    def _table(self) -> Table:
        table = Table(title_justify="left", title_style="bold", expand=False)
        table.title = (
            f"{self.ended} of {len(self._todo)} cells, {self.failed} failed, {clock(self.seconds)} gone,"
            f" about {clock(self.left())} left"
        )
        for column in ("experiment", "there before", "done", "running", "failed", "to do"):
            table.add_column(column, justify="left" if column == "experiment" else "right")
        running = Counter(job.experiment for job, _, _ in self._running.values())
        for name, of in self._to_do.items():
            done, failed = self._done[name], self._failed[name]
            told = (done, running[name], failed, of - done - failed - running[name])
            table.add_row(
                name, str(self.there.get(name, 0)), *(str(number) if number else "" for number in told)
            )
        shown = list(self._running.values())[:SHOWN]
        table.caption = "\n".join(
            [
                *(f"{worker}: {_plain(job)}, {clock(time.monotonic() - began)}"
                  for job, worker, began in shown),
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
