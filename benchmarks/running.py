"""`list`, `run` and `resume`."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks import pages, runner
from benchmarks.engines import Limits, local, ray_cluster
from benchmarks.experiment import load, names
from benchmarks.progress import clock
from benchmarks.records import RESULTS, ROOT
from benchmarks.store import Store
from benchmarks.suites import SUITES, Plan
from rewardspec.errors import near_miss

DEFAULT_SUITE = "cpu-hour"
RUNS = ROOT / "runs"


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
    check_suite(suite)
    if suite is None and not options.experiments:
        suite = DEFAULT_SUITE
    out = options.out or (RUNS / suite if suite else RESULTS)
    plan = Plan(suite, options.experiments, options.only or (), options.seeds, options.steps)
    return _make(plan, Store(out), options, console)


def resume_run(options: argparse.Namespace, console: Console) -> int:
    """Go on with a run that was stopped or killed."""
    store = Store(options.out)
    plan = Plan(**store.read_plan())
    if plan.suite is not None and plan.suite not in SUITES:
        sys.exit(f"{store.path} was begun with the suite '{plan.suite}', which this checkout does not have")
    return _make(plan, store, options, console)


def _make(plan: Plan, store: Store, options: argparse.Namespace, console: Console) -> int:
    for name in plan.experiments:
        load(name)
    jobs = plan.jobs()
    if not jobs:
        sys.exit("no cell fits: `list` shows the experiments, SETTINGS in their files the settings")
    limits = Limits(options.limit, options.memory, store.scratch.resolve())
    if options.engine == "ray":
        ray_cluster.join(options.address)
        workers = options.workers or ray_cluster.processors()
        engine = partial(ray_cluster.run, options.workers)
    else:
        workers = options.workers or runner.default_workers()
        engine = partial(local.run, workers)
    outcome = runner.run(jobs, store, engine, limits, console, workers, plan)
    console.print(runner.told(outcome, workers), highlight=False, soft_wrap=True)
    for name in dict.fromkeys(job.experiment for job in jobs):
        pages.write(name, store, console, overview=plan.suite is None)
    return 1 if outcome.failed else 0


def check_suite(suite: str | None) -> None:
    """Refuse a suite that there is not.

    Raises:
        SystemExit: There is none of the name.
    """
    if suite is not None and suite not in SUITES:
        sys.exit(f"there is no suite '{suite}'.{near_miss(suite, list(SUITES))} `list` shows them.")
