"""`report`, `compare` and `table`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import compare, pages, readme
from benchmarks.experiment import load
from benchmarks.records import RESULTS, Cell, Failure
from benchmarks.report import tables
from benchmarks.report.page import suite_page
from benchmarks.running import RUNS, check_suite
from benchmarks.store import Store
from benchmarks.suites import Job, Plan
from benchmarks.summary import Summary, summarise
from rewardspec.training.folder import write_whole


def write_report(options: argparse.Namespace, console: Console) -> int:
    """Write a run's page, with one in Markdown beside the records of each experiment; or a table; or all scores."""
    store = Store(options.out)
    summaries, failures = summaries_of(store, options.experiments, options.suite)
    if options.format != "html":
        told = tables.markdown(summaries) if options.format == "md" else tables.scores_csv(summaries)
        if options.to is None:
            print(told.rstrip("\n"))
        else:
            _put(options.to, told.rstrip("\n") + "\n", console)
        return 0
    for summary in summaries:
        pages.write(summary.experiment.name, store, console, overview=bool(options.experiments))
    place = options.to or (RUNS if store.path.resolve() == RESULTS else store.path) / "report.html"
    title = f"Benchmarks: {options.suite or ', '.join(options.experiments) or store.path.name}"
    _put(place, suite_page(title, summaries, failures), console)
    return 0


def _put(place: Path, text: str, console: Console) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, lambda file: file.write(text.encode()))
    console.print(f"written to {place}", highlight=False, soft_wrap=True)


def compare_runs(options: argparse.Namespace, console: Console) -> int:
    """Say what changed from one run to another, and whether it is noise."""
    (a, _), (b, _) = (summaries_of(Store(place)) for place in (options.a, options.b))
    found = compare.changes(a, b)
    if options.format == "md":
        print(compare.markdown(found) + "\n\n" + compare.verdict(found, a, b))
        return 0
    table = Table(*compare.HEAD)
    for row in compare.rows(found):
        table.add_row(*row)
    console.print(table)
    console.print(compare.verdict(found, a, b), highlight=False, soft_wrap=True)
    return 0


def write_table(options: argparse.Namespace, console: Console) -> int:
    """Put a suite's table into the README, with the commit that it was measured at."""
    store = Store(options.out)
    summaries, failures = summaries_of(store, (), options.suite)
    cells = len(Plan(options.suite).jobs())
    readme.write(readme.contents(options.suite, cells, summaries, failures, store.sessions()))
    console.print(f"written to {readme.README} and {readme.TABLE}", highlight=False, soft_wrap=True)
    return 0


def summaries_of(
    store: Store, experiments: Sequence[str] = (), suite: str | None = None
) -> tuple[list[Summary], dict[str, list[Failure]]]:
    """Return what a folder's records say, and the cells that failed.

    Args:
        store: The folder.
        experiments: Only those of these.
        suite: Only the cells of this suite.

    Raises:
        SystemExit: The folder holds nothing of the kind.
    """
    check_suite(suite)
    marks = None if suite is None else {job.mark for job in Plan(suite, tuple(experiments)).jobs()}

    def kept(name: str, cell: Cell | Failure) -> bool:
        return marks is None or Job(name, cell.setting, cell.seed).mark in marks

    summaries: list[Summary] = []
    failures: dict[str, list[Failure]] = {}
    for name in experiments or store.experiments():
        experiment, records = load(name), store.records(name)
        cells = [cell for cell in records.cells() if kept(name, cell)]
        failed = [failure for failure in records.failures() if kept(name, failure)]
        if cells or failed:
            summaries.append(summarise(experiment, cells))
            failures[name] = failed
    if not summaries:
        sys.exit(f"{store.path} holds no cells of what is asked: `run` makes them")
    return summaries, failures
