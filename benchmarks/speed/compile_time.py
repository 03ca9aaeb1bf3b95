"""How long specs take to compile: the ladder of formulas on which other tools blow up."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks.speed.method import Result, Settings
from benchmarks.speed.workload import Replay, spec_text
from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import from_data, loads


def sequence(n: int, name: str) -> str:
    """Return `F(a1 & X F(a2 & ...))`."""
    formula = f"{name}{n}"
    for i in range(n - 1, 0, -1):
        formula = f"{name}{i} & X F({formula})"
    return f"F({formula})"


def eventualities(n: int, name: str) -> str:
    """Return `F a1 & F a2 & ...`."""
    return " & ".join(f"F {name}{i}" for i in range(1, n + 1))


def safe_sequence(n: int, name: str) -> str:
    """Return a sequence with `G !a0` beside it."""
    return f"{sequence(n, name)} & G !{name}0"


LADDER: tuple[tuple[str, Callable[[int, str], str], int, float | None], ...] = (
    ("F(a1 & X F(a2 & ...)), n = 15", sequence, 15, 50),
    ("F(a1 & X F(a2 & ...)), n = 40", sequence, 40, 1000),
    ("F a1 & ... & F a12", eventualities, 12, 50),
    ("F(a1 & X F(...)) & G !c, n = 20", safe_sequence, 20, None),
)


def measure(settings: Settings) -> list[Result]:
    """Return CPU time from a spec as data to the program that steps one environment."""
    repeats = 3 if settings.quick else 15
    compile_formula(sequence(2, "warm"), 2, "warm")  # loads Spot
    results = []
    for what, formula, n, goal in LADDER:
        names = [f"r{i}x" for i in range(repeats)]  # new ones every time: nothing may be remembered
        taken = [_milliseconds(partial(compile_formula, formula(n, name), n, name)) for name in names]
        results.append(Result.of(f"compiling {what}", "ms", taken, goal))
    taken = [_milliseconds(_bench_spec) for _ in range(repeats)]
    results.append(Result.of("reading and compiling the spec of the step benchmarks", "ms", taken))
    return results


def compile_formula(formula: str, n: int, name: str) -> None:
    """Compile a spec of one formula over labels down to generated Python."""
    propositions = {f"{name}{i}": None for i in range(n + 1)}
    data = {"name": "ladder", "propositions": propositions, "reward": [{"ltl": formula}]}
    layout = bind(compile_spec(from_data(data)), Replay.observation_space, Replay.action_space)
    _ = compile_scalar(layout).advance


def _bench_spec() -> None:
    layout = bind(compile_spec(loads(spec_text())), Replay.observation_space, Replay.action_space)
    _ = compile_scalar(layout).advance


def _milliseconds(work: Callable[[], None]) -> float:
    start = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - start)
