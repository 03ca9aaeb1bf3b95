"""`python -m benchmarks speed`: measure, print a table, write the figures as JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when the libraries load, so before any of them

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from benchmarks.measuring import commit, processor  # noqa: E402
from benchmarks.records import RESULTS as FOLDER  # noqa: E402
from benchmarks.speed import (  # noqa: E402
    batch_step,
    cells,
    compile_time,
    crm,
    device,
    learned,
    native_batch,
    pycrm,
    set_gains,
    share,
    single_step,
    stl,
    tabular,
    training,
)
from benchmarks.speed.method import QUICK, Result, Settings  # noqa: E402
from rewardspec.training.folder import write_whole  # noqa: E402

RESULTS = FOLDER / "speed.json"
EXPERIMENTS = {
    "single": ("One environment, per step", single_step.measure),
    "batch": ("Many environments, per environment step", batch_step.measure),
    "native": ("Many environments in one compiled loop, per environment step", native_batch.measure),
    "cells": ("Cells of an empirical game", cells.measure),
    "compile": ("Compiling", compile_time.measure),
    "crm": ("Counterfactual experience", crm.measure),
    "device": ("On the device", device.measure),
    "learned": ("Learning a reward beside an agent", learned.measure),
    "sets": ("Gains of set functions, many trajectories at once", set_gains.measure),
    "share": ("Share of an environment's step", share.measure),
    "stl": ("Signal temporal logic, a monitor", stl.measure),
    "tabular": ("Tabular agents and exact solutions", tabular.measure),
    "training": (
        "Training with PPO on CartPole, and from a spec file to a solved CartPole",
        training.measure,
    ),
}


def main(arguments: list[str]) -> int:
    """Measure and report; the exit status does not depend on the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks speed", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="only try that everything runs: figures are rough"
    )
    parser.add_argument("--rounds", type=int, default=None, help="rounds per experiment (default: 120)")
    parser.add_argument(
        "--only", choices=EXPERIMENTS, action="append", help="run these experiments (default: all)"
    )
    parser.add_argument(
        "--json", type=Path, default=None, help="where to write the figures (default: results/speed.json)"
    )
    parser.add_argument(
        "--install-peers", action="store_true", help="put the peers into .venv-bench, where it is missing"
    )
    options = parser.parse_args(arguments)
    settings: Settings = QUICK if options.quick else Settings()
    if options.rounds is not None:
        settings = replace(settings, rounds=max(2, options.rounds))
    if options.install_peers:
        pycrm.install()
    console = Console(width=None if sys.stdout.isatty() else 130)
    path = options.json or (None if options.quick else RESULTS)
    for name in options.only or EXPERIMENTS:
        title, measure = EXPERIMENTS[name]
        found = measure(settings)
        console.print(table(title, found))
        if path is not None:
            keep(path, name, record(found, settings))
    if path is not None:
        console.print(f"written to {path} and {path.with_suffix('.md')}", highlight=False)
    return 0


def keep(path: Path, name: str, measured: dict[str, Any]) -> None:
    """Put one experiment's figures in place of its earlier ones, in the file and on the page beside it."""
    held = json.loads(path.read_text()) if path.is_file() else {}
    kept = {**held, name: measured}
    held = {experiment: kept[experiment] for experiment in EXPERIMENTS if experiment in kept}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(held, indent=1, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))
    write_whole(path.with_suffix(".md"), lambda file: file.write(page(held).encode()))


def page(held: dict[str, Any]) -> str:
    """Return all figures as a page in Markdown."""
    lines = [
        "# Speed",
        "",
        "<!-- Made by `python -m benchmarks speed`: edit nothing here. -->",
        "",
        "CPU time of one thread, short blocks in shuffled order, ratios within a round: medians and quartiles over the"
        " rounds. *Met* says whether the median meets the goal; the codes are those of the project's list of goals.",
    ]
    for name, measured in held.items():
        lines += ["", f"## {EXPERIMENTS[name][0]}", "", "| | what | goal | measured | quartiles | met |"]
        lines.append("| --- | --- | ---: | ---: | ---: | --- |")
        for r in measured["results"]:
            sign = "≤" if r["better"] == "low" else "≥"
            goal = "" if r["goal"] is None else f"{sign} {r['goal']:g} {r['unit']}"
            figure = "" if r["median"] is None else f"{_short(r['median'])} {r['unit']}"
            span = "" if r["median"] is None else f"{_short(r['low'])} - {_short(r['high'])}"
            met = {None: "", True: "yes", False: "**no**"}[r["met"]]
            why = f" *({r['why']})*" if r.get("why") else ""
            lines.append(f"| {r.get('code', '')} | {r['what']}{why} | {goal} | {figure} | {span} | {met} |")
        versions = ", ".join(f"{k} {v}" for k, v in measured["versions"].items() if v)
        rounds = measured["settings"]["rounds"]
        lines += [
            "",
            f"Commit {measured['commit']}, {measured['processor']}, {measured['cores']} cores, load"
            f" {measured['load']:.1f}, {rounds} rounds; Python {measured['python']}, {versions}.",
        ]
    return "\n".join(lines) + "\n"


def table(title: str, results: list[Result]) -> Table:
    """Return one experiment's lines."""
    made = Table(title=title, title_justify="left", title_style="bold")
    made.add_column("")
    made.add_column("what")
    for column in ("goal", "measured", "quartiles"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("met", justify="center")
    for r in results:
        sign = "≤" if r.better == "low" else "≥"
        goal = "" if r.goal is None else f"{sign} {r.goal:g} {r.unit}"
        mark = {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}[r.met]
        made.add_row(
            r.code,
            r.what + (f"\n  [dim]{r.why}[/dim]" if r.why else ""),
            goal,
            "" if math.isnan(r.median) else f"{_short(r.median)} {r.unit}",
            "" if math.isnan(r.median) else f"{_short(r.low)} - {_short(r.high)}",
            mark,
        )
    return made


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def record(found: list[Result], settings: Settings) -> dict[str, Any]:
    """Return an experiment's figures with what they depend on; what could not be measured has null for figures."""
    return {
        "settings": asdict(settings),
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {
            name: _version(name) for name in ("numpy", "gymnasium", "torch", "numba", "minigrid", "spottl")
        },
        "results": [_without_nan({**asdict(result), "met": result.met}) for result in found],
    }


def _without_nan(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in data.items()
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
