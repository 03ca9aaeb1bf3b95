"""B environments: nanoseconds per environment step of the array backend, and over a first NumPy version."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.speed import by_hand
from benchmarks.speed.method import Block, Result, Settings, ratios, take_times
from benchmarks.speed.workload import Replay, spec_text
from rewardspec.backends.array import compile_array
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads

BATCH = 65_536
STORED = 4
"""Observations of so many steps take turns."""


def measure(settings: Settings) -> list[Result]:
    """Return the cost of a step for NumPy (rows and columns in memory) and torch on the CPU."""
    batch = 4096 if settings.quick else BATCH
    rng = np.random.default_rng(0)
    rows = [rng.uniform(-1, 1, (batch, 4)).astype(np.float32) for _ in range(STORED)]
    columns = [np.asfortranarray(obs) for obs in rows]
    check_rewards(rows)
    naive = by_hand.NaiveNumpy(batch)
    cases: dict[str, Block] = {
        "naive": _naive(naive, rows),
        "naive, columns": _naive(naive, columns),
        "numpy, float32, columns": _compiled("numpy", "float32", columns),
        "numpy, float32": _compiled("numpy", "float32", rows),
        "numpy, float64": _compiled("numpy", "float64", rows),
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        cases["torch"] = _compiled("torch", "float32", [torch.from_numpy(obs) for obs in rows])
    times = {name: [t / batch for t in taken] for name, taken in take_times(cases, settings).items()}
    at = f"B = {batch:,}: "
    results = [
        Result.of(
            at + "NumPy, float32, observation columns together", "ns", times["numpy, float32, columns"], 12
        ),
        Result.of(
            at + "NumPy, float32, observation rows as vectors give them", "ns", times["numpy, float32"]
        ),
        Result.of(at + "NumPy, float64 (the default), rows", "ns", times["numpy, float64"]),
        Result.of(at + "a first NumPy version by hand, rows", "ns", times["naive"]),
        Result.of(
            at + "a first NumPy version / ours, rows",
            "x",
            ratios(times["naive"], times["numpy, float32"]),
            None,
            "high",
        ),
        Result.of(
            at + "a first NumPy version / ours, columns",
            "x",
            ratios(times["naive, columns"], times["numpy, float32, columns"]),
            None,
            "high",
        ),
    ]
    if "torch" in times:
        results.append(Result.of(at + "torch on the CPU, one thread, eager", "ns", times["torch"]))
    return results


def _naive(machine: by_hand.NaiveNumpy, stored: list[Any]) -> Block:
    def block(n: int) -> None:
        for i in range(n):
            machine.step(stored[i % STORED])

    return block


def _compile(library: Any, dtype: Any, batch: int) -> Any:
    layout = bind(compile_spec(loads(spec_text())), Replay.observation_space, Replay.action_space)
    return compile_array(layout, batch, library, dtype=dtype)


def _compiled(library: str, dtype: str, stored: list[Any]) -> Block:
    program = _compile(library, dtype, len(stored[0]))
    steps = [Transition(next_obs=obs) for obs in stored]
    state = program.init()

    def block(n: int) -> None:
        nonlocal state
        for i in range(n):
            state, _ = program.step(state, steps[i % STORED])

    return block


def check_rewards(stored: list[Any]) -> None:
    """Raise unless the array backend pays what the version by hand pays.

    Raises:
        ValueError: When it does not.
    """
    batch = len(stored[0])
    program, naive = _compile("numpy", "float64", batch), by_hand.NaiveNumpy(batch)
    state = program.init()
    for _ in range(4):
        for obs in stored:
            state, outcome = program.step(state, Transition(next_obs=obs))
            if not np.allclose(outcome.reward, naive.step(obs), atol=1e-6):
                raise ValueError("the array backend and the version by hand pay differently")
