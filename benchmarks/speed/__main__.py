"""`python -m benchmarks speed`: measure, print a table, write the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when the libraries load, so before any of them

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from benchmarks.speed import (  # noqa: E402
    batch_step,
    compile_time,
    crm,
    device,
    native_batch,
    pycrm,
    share,
    single_step,
    tabular,
    training,
)
from benchmarks.speed.method import QUICK, Result, Settings  # noqa: E402

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
EXPERIMENTS = {
    "single": ("One environment, per step", single_step.measure),
    "batch": ("Many environments, per environment step", batch_step.measure),
    "native": ("Many environments in one compiled loop, per environment step", native_batch.measure),
    "compile": ("Compiling", compile_time.measure),
    "crm": ("Counterfactual experience", crm.measure),
    "device": ("On the device", device.measure),
    "share": ("Share of an environment's step", share.measure),
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
    found: dict[str, list[Result]] = {}
    for name in options.only or EXPERIMENTS:
        title, measure = EXPERIMENTS[name]
        found[name] = measure(settings)
        console.print(table(title, found[name]))
    path = options.json or (None if options.quick or options.only else RESULTS)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record(found, settings), indent=1) + "\n")
        console.print(f"written to {path}")
    return 0


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
            f"{_short(r.median)} {r.unit}",
            f"{_short(r.low)} - {_short(r.high)}",
            mark,
        )
    return made


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def record(found: dict[str, list[Result]], settings: Settings) -> dict[str, Any]:
    """Return the figures with what they depend on."""
    return {
        "settings": asdict(settings),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {
            name: _version(name) for name in ("numpy", "gymnasium", "torch", "numba", "minigrid", "spottl")
        },
        "results": {
            name: [{**asdict(result), "met": result.met} for result in results]
            for name, results in found.items()
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
