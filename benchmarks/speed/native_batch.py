"""The compiled reward program over B environments, beside NumPy, torch, JAX, gymnax and EnvPool (C4 and C5)."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from typing import Any

import numpy as np

from benchmarks.speed import by_hand
from benchmarks.speed.batch_step import STORED, _compiled, _naive
from benchmarks.speed.cartpole import cartpoles, check_physics
from benchmarks.speed.method import Block, Result, Settings, added, ratios, take_times
from benchmarks.speed.pycrm import PYTHON, ROOT
from benchmarks.speed.workload import Replay, spec_text
from rewardspec.backends.native import NativeProgram, batch_text, compile_native
from rewardspec.backends.native_cache import load
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import Layout, bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads

NO_LOOK_UP = (
    "NumPy and torch look up tables, too; without the look-up six tenths of our time are left, to read observation,"
    " state and totals and to write state, totals and results"
)


def measure(settings: Settings) -> list[Result]:
    """Return costs per environment step and ratios to the peers'."""
    check_rewards()
    check_physics()
    results: list[Result] = []
    for batch in (4096,) if settings.quick else (4096, 65_536):
        results += automaton(batch, settings)
    return [*results, *environments(settings)]


def bound() -> Layout:
    """Return the task of `workload.py` over its environment's spaces."""
    return bind(compile_spec(loads(spec_text())), Replay.observation_space, Replay.action_space)


def check_rewards() -> None:
    """Raise unless the compiled loop pays what the version by hand pays.

    Raises:
        ValueError: When it does not.
    """
    rng, batch = np.random.default_rng(0), 256
    naive, program = by_hand.NaiveNumpy(batch), compile_native(bound(), batch)
    state = program.init()
    for _ in range(32):
        obs = rng.uniform(-1, 1, (batch, 4)).astype(np.float32)
        state, outcome = program.step(state, Transition(next_obs=obs))
        if not np.allclose(outcome.reward, naive.step(obs), atol=1e-6):
            raise ValueError("the compiled loop and the version by hand pay differently")


def automaton(batch: int, settings: Settings) -> list[Result]:
    """Return the cost of the reward program alone."""
    rng = np.random.default_rng(0)
    rows = [rng.uniform(-1, 1, (batch, 4)).astype(np.float32) for _ in range(STORED)]
    cases: dict[str, Block] = {
        "native": _native(rows),
        "native, in a loop": in_a_loop(bound(), np.stack(rows)),
        "native, by the row": _rows(np.stack(rows)),
        "numpy, float64": _compiled("numpy", "float64", rows),
        "masks": _naive(by_hand.NaiveNumpy(batch), rows),
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        cases["torch"] = _compiled("torch", "float32", [torch.from_numpy(obs) for obs in rows])
    times = {name: [t / batch for t in taken] for name, taken in take_times(cases, settings).items()}
    best, at = times["native, in a loop"], f"B = {batch:,}: "
    results = [
        Result.of(at + "the program by the row, in a compiled loop (`row`)", "ns", times["native, by the row"]),
        Result.of(
            at + "the program in a compiled loop (`batch`)", "ns", best, 2, code="C4",
            why="most of it is memory: observation, state and totals are read, state, totals and results written",
        ),
        Result.of(
            at + "the program called from Python (`step_checked`)", "ns", times["native"], 2, code="C4",
            why="2.5 to 4 us a call are Python and numba's way in: checks of shapes, eight arrays in and eight out",
        ),
        Result.of(
            at + "a first NumPy version by hand / ours", "x", ratios(times["masks"], best), 20, "high", code="C4",
            why=NO_LOOK_UP,
        ),
        Result.of(at + "our NumPy backend / ours", "x", ratios(times["numpy, float64"], best), None, "high"),
    ]  # fmt: skip
    if "torch" in times:
        results.append(
            Result.of(
                at + "our torch backend, eager, CPU / ours", "x", ratios(times["torch"], best), 20, "high",
                code="C4", why=f"torch has one thread, and its own vector kernels at this size; {NO_LOOK_UP}",
            )
        )  # fmt: skip
    jax = peer("jax", batch, settings)
    results.append(
        over_peer(
            at + "JAX's table automaton (jit, scan) / ours", jax, best, 4, "C4",
            "XLA vectorises the look-up and keeps no totals by term: 5 to 6.5 ns, 8.7 when the goal was set",
        )
    )  # fmt: skip
    return results


def environments(settings: Settings) -> list[Result]:
    """Return the cost of CartPole with the program, and the program's share of it."""
    program = NativeProgram(bound())
    results: list[Result] = []
    for batch in (1024,) if settings.quick else (1024, 65_536):
        bare, paying = cartpoles(batch, None), cartpoles(batch, program)
        times = take_times({"bare": bare.play, "spec": paying.play}, settings)
        times = {name: [t / batch for t in taken] for name, taken in times.items()}
        at = f"CartPole, B = {batch:,}: "
        results.append(Result.of(at + "environment alone, one compiled loop", "ns", times["bare"]))
        results.append(Result.of(at + "environment and spec, one compiled loop", "ns", times["spec"]))
        share = [100 * r for r in ratios(added(times, "spec", "bare"), times["spec"])]
        results.append(Result.of(at + "the spec's share of a step of 3 ns", "%", share))
        if batch == 1024:
            ours = times["spec"]
            results.append(
                over_peer(
                    at + "EnvPool without a spec / ours with one", peer("envpool", batch, settings), ours,
                    100, "C5", "EnvPool 0.8.4 takes 1.0 us here, 1.8 us when the goal was set",
                )
            )  # fmt: skip
            results.append(
                over_peer(
                    at + "gymnax with the same automaton / ours", peer("gymnax+automaton", batch, settings), ours,
                    8, "C5", "gymnax 1.0.1 takes 56 ns here; the older one of the goal 131 ns",
                )
            )  # fmt: skip
    return results


def over_peer(
    what: str, theirs: list[float] | str, ours: list[float], goal: float, code: str, why: str
) -> Result:
    """Return the ratio to a peer that ran in a process of its own."""
    if isinstance(theirs, str):
        return Result(what, "x", float("nan"), float("nan"), float("nan"), None, "high", code, theirs)
    median = statistics.median(ours)
    return Result.of(what, "x", [ns / median for ns in theirs], goal, "high", code=code, why=why)


def peer(name: str, batch: int, settings: Settings) -> list[float] | str:
    """Return a peer's nanoseconds per environment step, one figure per round; or why there are none."""
    if not PYTHON.exists():
        return "not installed: `--install-peers`"
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if shutil.which("taskset") else []
    rounds, block = max(5, settings.rounds // 8), max(0.02, 10 * settings.block)
    command = [*pinned, PYTHON, "-W", "ignore", "-m", "benchmarks.speed.peers.batches", name, str(batch)]
    environ = {**os.environ, "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [*command, str(rounds), str(block)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        return f"does not run here: {done.stderr.strip().splitlines()[-1][:120]}"
    found: list[float] = json.loads(done.stdout)
    return found


def _native(stored: list[Any]) -> Block:
    program = compile_native(bound(), len(stored[0]))
    steps = [Transition(next_obs=obs) for obs in stored]
    state, outcome, _ = program.step_checked(program.init(), steps[0])
    other, spare, _ = program.step_checked(state, steps[0])
    out = [(state, outcome), (other, spare)]

    def block(n: int) -> None:
        for i in range(n):  # two sets of arrays take turns: each step reads one and writes the other
            program.step_checked(out[i % 2][0], steps[i % STORED], out=out[1 - i % 2])

    return block


BATCHES = """
def play(steps, obs, one, other, flags, params, out):
    paid, over, cut = out
    for t in range(steps):
        if t & 1:
            batch(other, one, 0, 0, obs[t & 3], 0.0, flags, flags, 0, 0, params, None, paid, over, cut, None)
        else:
            batch(one, other, 0, 0, obs[t & 3], 0.0, flags, flags, 0, 0, params, None, paid, over, cut, None)
"""


def in_a_loop(layout: Layout, stored: Any) -> Block:
    """Return steps of a program over observations `[STORED, B, 4]`, in turns, within one compiled loop."""
    batch = stored.shape[1]
    program = compile_native(layout, batch, dtype="float32")
    play = load(batch_text(program.layout) + BATCHES, ("batch", "play"), apart=True).play
    flags, flat = np.zeros(batch, np.bool_), stored.reshape(STORED, -1)
    out = np.zeros(batch, np.float32), flags.copy(), flags.copy()
    one, other = program.init(), program.init()
    return _warm(lambda n: play(n, flat, one, other, flags, np.zeros(0), out))


def _warm(block: Block) -> Block:
    """Return a block whose code is compiled."""
    block(1)
    return block


LOOP = """
def play(steps, obs, paid, machines, memory, params):
    for t in range(steps):
        for b in range(len(paid)):
            reward, over, cut = row(
                machines[b], memory[b], 0, 0, obs[t & 3, b], 0.0, False, False, 0, 0, params
            )
            paid[b] = reward
"""


def _rows(stored: Any) -> Block:
    batch = stored.shape[1]
    program = NativeProgram(bound())
    play = program.link(LOOP, ("play",)).play
    machines = np.tile(program.start_machines, (batch, 1))
    memory = np.tile(program.start_memory, (batch, 1))
    paid = np.zeros(batch, np.float32)
    return _warm(lambda n: play(n, stored, paid, machines, memory, program.params))
