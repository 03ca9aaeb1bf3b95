"""The command line: `python -m benchmarks list | run | resume | report | compare | speed | table`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import running, telling
from benchmarks.experiment import names
from benchmarks.records import RESULTS
from benchmarks.running import DEFAULT_SUITE, RUNS
from benchmarks.suites import SUITES

COMMANDS = {
    "list": running.list_all,
    "run": running.run_cells,
    "resume": running.resume_run,
    "report": telling.write_report,
    "compare": telling.compare_runs,
    "table": telling.write_table,
}


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands."""
    options = _parser().parse_args(list(arguments))
    return COMMANDS[options.command](options, Console(width=None if sys.stdout.isatty() else 120))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parts = {}
    for name, function in COMMANDS.items():
        said = (function.__doc__ or "").split("\n")[0]
        parts[name] = commands.add_parser(name, help=said, description=said)
    commands.add_parser("speed", help="Measure speed, as ratios within one run.", add_help=False)

    run = parts["run"]
    _named(run, "default: a suite")
    run.add_argument(
        "--suite", help=f"of {', '.join(SUITES)}; default where no NAME is given: {DEFAULT_SUITE}"
    )
    run.add_argument("--smoke", action="store_true", help="the same as --suite smoke")
    run.add_argument("--seeds", type=_whole, help="seeds of each setting (default: the experiment's)")
    run.add_argument("--steps", type=_whole, help="environment steps of a cell (default: the experiment's)")
    run.add_argument("--only", nargs="+", metavar="SETTING", help="settings to run, as names or patterns")
    run.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/SUITE; of a NAME benchmarks/results)"
    )
    _ways(run)

    resume = parts["resume"]
    resume.add_argument(
        "--out", type=Path, default=RUNS / DEFAULT_SUITE, help=f"its folder (runs/{DEFAULT_SUITE})"
    )
    _ways(resume)

    report = parts["report"]
    _named(report, "default: all that there are records of")
    report.add_argument("--suite", help="only the cells of a suite")
    report.add_argument(
        "--out", type=Path, default=RESULTS, help="folder of the records (benchmarks/results)"
    )
    report.add_argument(
        "--format",
        choices=("html", "md", "csv"),
        default="html",
        help="a page, and one in Markdown for each experiment; or one table; or all scores",
    )
    report.add_argument("--to", type=Path, help="where to (default: report.html in OUT, or in runs)")

    compare = parts["compare"]
    compare.add_argument("a", type=Path, metavar="RUN_A", help="folder of a run")
    compare.add_argument("b", type=Path, metavar="RUN_B", help="folder of another")
    compare.add_argument("--format", choices=("text", "md"), default="text")

    table = parts["table"]
    table.add_argument("--suite", default=DEFAULT_SUITE, help=f"the suite (default: {DEFAULT_SUITE})")
    table.add_argument("--out", type=Path, default=RESULTS, help="folder of the records (benchmarks/results)")
    return parser


def _named(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("experiments", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; {default}")


def _ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="who makes the cells (local)"
    )
    parser.add_argument("--address", default="auto", help="of a Ray cluster's head, HOST:PORT")
    parser.add_argument("--workers", type=_whole, help="cells at once (default: all processors)")
    parser.add_argument(
        "--limit", type=_seconds, help="seconds for a cell (default: the experiment's, or 2 h)"
    )
    parser.add_argument("--memory", type=_whole, help="MiB for a cell (default: the experiment's, or 8192)")


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
