"""A monitor of signal temporal logic: one environment and many, beside rtamt and a version by hand (goal C8)."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.speed.batch_step import STORED
from benchmarks.speed.method import Block, Result, Settings, added, take_times
from benchmarks.speed.native_batch import in_a_loop
from benchmarks.speed.pycrm import PYTHON, ROOT
from benchmarks.speed.workload import Replay, stepping
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import from_data
from rewardspec.wrappers.single import wrap

THEIRS = "always[0,10]((x >= 0.5) or (eventually[0,5](y >= 0.2)))"
SPEC = {
    "rewardspec": 1,
    "observe": "none",
    "signals": {"x": "next_obs[0]", "y": "next_obs[1]"},
    "reward": {"stl": "G[0, 10](x >= 0.5 or F[0, 5](y >= 0.2))"},
}
APART = "timed in processes of their own, one after the other: a load that changes in between moves it; 31 x without"
MOVED = (
    "21 remembered numbers move on in every step, 360 KB read and 360 KB written at this B, which is most of it; a ring"
    " moves none, but needs a memory with an index, which the IR has not. The goal's sketch had one ring for all"
    " environments, whose episodes begin apart here"
)
HORIZON, BATCH, CHECKED_STEPS = 15, 4096, 500


class Extreme:
    """The greatest of the last numbers, by a deque whose numbers fall: what a careful person writes by hand."""

    def __init__(self, width: int) -> None:
        self.width, self.step = width, 0
        self.held: deque[tuple[int, float]] = deque()

    def add(self, value: float) -> float:
        """Take the next number; return the greatest of the last `width`."""
        held, self.step = self.held, self.step + 1
        while held and held[-1][1] <= value:
            held.pop()
        held.append((self.step, value))
        if held[0][0] <= self.step - self.width:
            held.popleft()
        return held[0][1]


class ByHand:
    """The same formula in plain Python."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self) -> Any:
        """Begin anew."""
        self.eventually, self.always, self.steps = Extreme(6), Extreme(11), 0
        self.late: deque[float] = deque([0.0] * 5)
        return self.env.reset()

    def step(self, action: Any) -> Any:
        """Step the environment and pay."""
        obs, _, terminated, truncated, info = self.env.step(action)
        x, y, *_ = obs.tolist()
        self.late.append(x - 0.5)
        worst = -self.always.add(-max(self.late.popleft(), self.eventually.add(y - 0.2)))
        self.steps += 1
        return obs, worst if self.steps > HORIZON else 0.0, terminated, truncated, info


def measure(settings: Settings) -> list[Result]:
    """Return costs of a step and ratios to rtamt's."""
    check_rewards()
    cases = {
        "null": Replay("smooth"),
        "spec": wrap(Replay("smooth"), from_data(SPEC)),
        "spec, native": wrap(Replay("smooth"), from_data(SPEC), backend="native"),
        "by hand": ByHand(Replay("smooth")),
    }
    blocks: dict[str, Block] = {name: stepping(env) for name, env in cases.items()}
    times = take_times({**blocks, "batch": _batch()}, settings)
    single = {name: added(times, name, "null") for name in cases if name != "null"}
    many = [ns / BATCH for ns in times["batch"]]
    formula = "G[0, 10](x >= 0.5 or F[0, 5](y >= 0.2))"
    results = [
        Result.of(f"{formula}: a spec adds to a step", "ns", single["spec"]),
        Result.of("the same by hand, with deques, unchecked", "ns", single["by hand"]),
        Result.of("the spec, compiled, adds", "ns", single["spec, native"]),
        Result.of(f"the spec over B = {BATCH:,}, in a compiled loop, per environment step", "ns", many),
    ]
    theirs = rtamt(settings)
    if isinstance(theirs, str):
        return [
            *results,
            Result("rtamt's monitor / ours", "x", *[float("nan")] * 3, 25, "high", "C8", theirs),
        ]
    results.append(Result.of("rtamt 0.4.10's online monitor, a step", "ns", theirs))
    for name, what in (("spec", "a spec"), ("spec, native", "a compiled spec")):
        values = [ns / statistics.median(single[name]) for ns in theirs]
        results.append(Result.of(f"rtamt's monitor / {what}", "x", values, 25, "high", "C8", APART))
    values = [ns / statistics.median(many) for ns in theirs]
    results.append(Result.of("rtamt's monitor / ours, vectorised", "x", values, 5000, "high", "C8", MOVED))
    return results


def check_rewards() -> None:
    """Raise unless everybody pays what the definition says.

    Raises:
        ValueError: When one does not.
    """
    env = Replay("smooth")
    env.reset()
    x, y = np.array([env.step(0)[0][:2] for _ in range(CHECKED_STEPS)], np.float64).T
    expected = [by_definition(x, y, t - HORIZON) for t in range(CHECKED_STEPS)]
    made: dict[str, Any] = {
        "the spec": wrap(Replay("smooth"), from_data(SPEC)),
        "the compiled spec": wrap(Replay("smooth"), from_data(SPEC), backend="native"),
        "the version by hand": ByHand(Replay("smooth")),
    }
    for name, paying in made.items():
        paying.reset()
        paid = [paying.step(0)[1] for _ in range(CHECKED_STEPS)]
        if not np.allclose(paid, expected, atol=1e-6):
            raise ValueError(f"{name} does not pay what the definition says")


def by_definition(x: Sequence[float], y: Sequence[float], t: int) -> float:
    """Return the formula's robustness at a step, 0 before the first."""
    if t < 0:
        return 0.0
    return min(max(x[t + k] - 0.5, max(y[t + k + j] - 0.2 for j in range(6))) for k in range(11))


def _batch() -> Block:
    layout = bind(compile_spec(from_data(SPEC)), Replay.observation_space, Replay.action_space)
    obs = np.random.default_rng(0).uniform(-1, 1, (STORED, BATCH, 4)).astype(np.float32)
    return in_a_loop(layout, obs)


def rtamt(settings: Settings) -> list[float] | str:
    """Return nanoseconds per step of rtamt's monitor, one figure a round; or why there are none."""
    if not PYTHON.exists():
        return "not installed: `--install-peers`"
    command = [PYTHON, "-W", "ignore", "-m", "benchmarks.speed.peers.stl_rtamt", THEIRS]
    numbers = [str(max(5, settings.rounds // 8)), str(max(0.02, 10 * settings.block))]
    done = subprocess.run([*command, *numbers], cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        return f"does not run here: {done.stderr.strip().splitlines()[-1][:120]}"
    found: list[float] = json.loads(done.stdout)
    return found
