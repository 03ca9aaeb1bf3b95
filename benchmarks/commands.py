"""The command line: `python -m benchmarks list | run | resume | report | speed`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import pages, runner
from benchmarks.engines import Limits, local
from benchmarks.experiment import load, names
from benchmarks.progress import clock
from benchmarks.records import RESULTS, ROOT
from benchmarks.store import Store
from benchmarks.suites import SUITES, Plan
from rewardspec.errors import near_miss

DEFAULT_SUITE = "cpu-hour"
RUNS = ROOT / "runs"


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    table: dict[str, Callable[[argparse.Namespace, Console], int]] = {}

    def command(name: str, function: Callable[[argparse.Namespace, Console], int]) -> argparse.ArgumentParser:
        said = (function.__doc__ or "").split("\n")[0]
        table[name] = function
        return commands.add_parser(name, help=said, description=said)

    _ = command("list", list_all)
    run = command("run", run_cells)
    run.add_argument(
        "experiments", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; default: a suite"
    )
    run.add_argument(
        "--suite", help=f"of {', '.join(SUITES)}; default where no NAME is given: {DEFAULT_SUITE}"
    )
    run.add_argument("--smoke", action="store_true", help="the same as --suite smoke")
    run.add_argument("--seeds", type=_whole, help="seeds of each setting (default: the experiment's)")
    run.add_argument("--steps", type=_whole, help="environment steps of a cell (default: the experiment's)")
    run.add_argument("--only", nargs="+", metavar="SETTING", help="settings to run, as names or patterns")
    run.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/SUITE; for a NAME benchmarks/results)"
    )
    _ways(run)
    resume = command("resume", resume_run)
    resume.add_argument(
        "--out", type=Path, default=RUNS / DEFAULT_SUITE, help=f"its folder (runs/{DEFAULT_SUITE})"
    )
    _ways(resume)
    report = command("report", write_report)
    report.add_argument(
        "experiments", nargs="*", metavar="NAME", help="default: all that there are records of"
    )
    report.add_argument(
        "--out", type=Path, default=RESULTS, help="folder of the records (benchmarks/results)"
    )
    options = parser.parse_args(list(arguments))
    return table[options.command](options, Console(width=None if sys.stdout.isatty() else 120))


def _ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_whole, help="cells at once (default: all processors)")
    parser.add_argument(
        "--limit", type=_seconds, help="seconds that a cell may take (default: the experiment's, or 2 h)"
    )
    parser.add_argument(
        "--memory", type=_whole, help="MiB that a cell may take (default: the experiment's, or 8192)"
    )


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def list_all(_: argparse.Namespace, console: Console) -> int:
    """Show the experiments and the suites, and what they would take here."""
    table = Table("experiment", "settings", "seeds", "steps", "tags", "what it asks")
    for name in names():
        e = load(name)
        table.add_row(name, str(len(e.settings)), str(e.seeds), f"{e.steps:,}", ", ".join(e.tags), e.asks)
    console.print(table)
    workers = runner.default_workers()
    table = Table("suite", "cells", "CPU", f"here, {workers} workers", "what it is for")
    for name, suite in SUITES.items():
        told = runner.projection(Plan(name).jobs(), workers)
        guess = "" if told.known == told.cells else f" ({told.cells - told.known} cells guessed)"
        wall = f"{clock(told.wall_s)}{guess}" if told.known else "not known"
        table.add_row(name, str(told.cells), clock(told.cpu_s), wall, suite.purpose)
    table.add_row("speed", "", "", "", "Speed as ratios within one run; `python -m benchmarks speed`.")
    console.print(table)
    return 0


def run_cells(options: argparse.Namespace, console: Console) -> int:
    """Make the cells of a suite or of experiments that are not there yet."""
    suite = "smoke" if options.smoke else options.suite
    if suite is not None and suite not in SUITES:
        sys.exit(f"there is no suite '{suite}'.{near_miss(suite, list(SUITES))} `list` shows them.")
    if suite is None and not options.experiments:
        suite = DEFAULT_SUITE
    out = options.out or (RUNS / suite if suite else RESULTS)
    plan = Plan(suite, options.experiments, options.only or (), options.seeds, options.steps)
    return _make(plan, Store(out), options, console, begin=True)


def resume_run(options: argparse.Namespace, console: Console) -> int:
    """Go on with a run that was stopped or killed."""
    store = Store(options.out)
    plan = Plan(**store.read_plan())
    if plan.suite is not None and plan.suite not in SUITES:
        sys.exit(f"{store.path} was begun with the suite '{plan.suite}', which this checkout does not have")
    return _make(plan, store, options, console, begin=False)


def _make(plan: Plan, store: Store, options: argparse.Namespace, console: Console, *, begin: bool) -> int:
    for name in plan.experiments:
        load(name)
    jobs = plan.jobs()
    if not jobs:
        sys.exit("no cell fits: `list` shows the experiments, SETTINGS in their files the settings")
    workers = options.workers or runner.default_workers()
    limits = Limits(options.limit, options.memory, store.scratch)
    outcome = runner.run(jobs, store, partial(local.run, workers), limits, console, plan if begin else None)
    console.print(runner.told(outcome, workers), highlight=False, soft_wrap=True)
    for name in dict.fromkeys(job.experiment for job in jobs):
        pages.write(name, store, console, overview=plan.suite is None)
    return 1 if outcome.failed else 0


def write_report(options: argparse.Namespace, console: Console) -> int:
    """Write the page of each experiment beside its records."""
    store = Store(options.out)
    for name in options.experiments or store.experiments():
        load(name)
        pages.write(name, store, console, overview=True)
    return 0
