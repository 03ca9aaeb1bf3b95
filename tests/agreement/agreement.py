"""Runs one program on all backends and says where one of them leaves the oracle."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pytest

from rewardspec.backends import array, decisions, emitter, native, native_text, oracle, scalar
from rewardspec.compiler import compile_spec
from rewardspec.errors import UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout, bind
from rewardspec.transition import Outcome, Transition
from rewardspec.vocabulary import from_data
from tests.agreement import interpreted, worlds

STEPS, BATCH = 10, 3


class DisagreementError(AssertionError):
    """A backend and the oracle differ."""


@dataclass(frozen=True)
class Backends:
    """The functions under test; mutants replace one of them."""

    compile_scalar: Callable[..., Any] = scalar.compile_scalar
    fuse: Callable[..., Any] = scalar.fuse
    compile_array: Callable[..., Any] = array.compile_array
    native: Any = native


def check_agreement(
    data: dict[str, Any], seed: int, backends: Backends = Backends(), torch: bool = True
) -> None:
    """Raise when a backend pays, ends or remembers differently from the oracle."""
    program = compile_spec(from_data(data))
    layout = bind(program, worlds.OBSERVATION, worlds.ACTION)
    steps = worlds.batches(seed, STEPS, BATCH)
    with small_tables(backends) if seed % 2 else nullcontext():
        check_scalar(layout, steps, backends)
        check_fused(layout, steps, backends)
        check_array(layout, steps, backends, "numpy")
        with mock.patch.object(backends.native, "load", interpreted.load):
            if layout.program.sets:  # it remembers no sets, and says so
                with pytest.raises(UnsupportedError, match="set-not-supported"):
                    check_native(layout, steps, backends)
            else:
                check_native(layout, steps, backends)
        if torch:
            check_array(layout, steps, backends, "torch")


def check_native(layout: Layout, steps: list[worlds.Batch], backends: Backends) -> None:
    """Compare both forms of the compiled backend with the oracle."""
    check_row(layout, steps, backends)
    check_array(layout, steps, backends, "native")


@contextmanager
def small_tables(backends: Backends) -> Iterator[None]:
    """Let every machine be too large for tables, and every vector for separate scalars."""
    limits: list[tuple[Any, dict[str, int]]] = [
        (emitter, {"TABLED": 0, "UNROLLED": 1, "LISTED": 1, "UNPACKED": 1}),
        (decisions, {"MAX_STATES": 0}),
        (sys.modules[backends.compile_array.__module__], {"TABLED_CELLS": 1}),
        (sys.modules[backends.native.NativeEmitter.__module__], {"TABLED_CELLS": 0}),
    ]
    with ExitStack() as stack:
        for module, values in limits:
            stack.enter_context(mock.patch.multiple(module, **values))
        yield


def check_fused(layout: Layout, steps: list[worlds.Batch], backends: Backends) -> None:
    """Compare the closure that steps an environment itself with the oracle, in the first environment."""
    program = layout.program
    rows = iter([step.rows()[0] for step in steps])
    now: list[Transition] = []

    def env_step(action: Any) -> tuple[Any, ...]:
        row = next(rows)
        now[:] = [row]
        return row.next_obs, row.reward, row.terminated, row.truncated, row.info

    fused = backends.fuse(
        layout,
        [p.initial for p in program.params],
        explain=lambda error, *parts: NotFinite(),
        report=lambda info, state: info,
        read_labels=(lambda *parts: tuple(now[0].label[name] for name in layout.labels))
        if layout.labels
        else None,
        remember=lambda obs: obs,
    )
    start = backends.compile_scalar(layout).start
    reference = oracle.init(program)
    fused.begin(env_step, start, 0, steps[0].rows()[0].obs)
    for t, step in enumerate(steps):
        row = step.rows()[0]
        before = fused.read()
        after, (expected,) = oracle.step(program, reference, [row])
        try:
            _, reward, terminated, truncated, _ = fused.step(row.action)
        except NotFinite:
            if math.isfinite(expected.reward):
                raise DisagreementError(f"fused, step {t}: refuses {expected.reward}") from None
            same(f"fused, step {t}, state after a refusal", float(fused.read()[0] == before[0]), 1.0)
            return
        compare(f"fused, step {t}", Outcome(reward, terminated, truncated, expected.terms), expected, program)
        for slot, value in zip(
            fused.read()[0], [*after.machines[0].values(), *after.folds[0].values()], strict=False
        ):
            same(f"fused, step {t}, memory", slot, value)
        reference = after
        if expected.terminated or expected.truncated:
            reference = oracle.reset(program, reference)
            fused.begin(env_step, backends.compile_scalar(layout).reset(fused.read()[0]), 0, row.next_obs)


class NotFinite(Exception):
    """Stands for the explanation that a host would raise."""


def check_scalar(layout: Layout, steps: list[worlds.Batch], backends: Backends) -> None:
    """Compare the scalar backend with the oracle on each environment of its own."""
    compiled = backends.compile_scalar(layout)
    program = layout.program
    for b in range(BATCH):
        state, reference = compiled.start, oracle.init(program)
        sums = [0.0] * len(program.terms)
        for t, step in enumerate(steps):
            row = step.rows()[b]
            labels = tuple(row.label[name] for name in layout.labels)
            reference, (expected,) = oracle.step(program, reference, [row])
            arguments = (
                row.obs,
                row.action,
                row.next_obs,
                row.reward,
                row.terminated,
                row.truncated,
                row.info,
                labels,
            )
            params = [p.initial for p in program.params]
            state_plain, reward, terminated, truncated = compiled.advance(state, *arguments, params)
            state, reward_2, _, _, terms = compiled.advance_terms(state, *arguments, params)
            where = f"scalar, environment {b}, step {t}"
            compare(where, Outcome(reward, terminated, truncated, terms), expected, program)
            same(where + ", reward of both functions", reward, reward_2)
            for name, slot, value in zip(
                [m.name for m in program.machines] + [f.name for f in program.folds],
                state,
                [*reference.machines[0].values(), *reference.folds[0].values()],
                strict=False,
            ):
                same(f"{where}, memory {name}", slot, value)
            first = len(program.machines) + len(program.folds)
            for i, paid in enumerate(expected.terms):
                sums[i] += paid
                same(f"{where}, total of {program.terms[i].name}", state[first + i], sums[i])
            for left, right in zip(state_plain, state, strict=True):
                for one, other in zip(np.ravel(left), np.ravel(right), strict=True):  # sets remember arrays
                    same(f"{where}, state of both functions", float(one), float(other))
            if expected.terminated or expected.truncated:
                state, reference = compiled.reset(state), oracle.reset(program, reference)
                sums = [0.0] * len(program.terms)


def check_array(layout: Layout, steps: list[worlds.Batch], backends: Backends, library: str) -> None:
    """Compare an array backend with the oracle, one environment not active on every third step."""
    program = layout.program
    if library == "native":
        compiled = backends.native.compile_native(layout, BATCH)
    else:
        compiled = backends.compile_array(layout, BATCH, library, dtype="float64")
    convert = _as_tensors if library == "torch" else lambda x: x
    # Sums over a batch round otherwise, and `normalise` divides what is left of them by as little as 1e-8.
    joins_batch = any(isinstance(n, ir.Reduce) and n.axis == "B" for r in program.roots() for n in ir.walk(r))
    tolerance = 1e-7 if joins_batch else 1e-9
    state, reference = compiled.init(), oracle.init(program, BATCH)
    for t, step in enumerate(steps):
        active = np.ones(BATCH, bool)
        if t % 3 == 2:
            active[t % BATCH] = False
        rows = step.rows()
        reference, expected = step_active(program, reference, rows, active)
        state, got = compiled.step(
            state, convert_transition(step.transition, convert), active=convert(active)
        )
        where = f"{library}, step {t}"
        for b in range(BATCH):
            if active[b]:
                mine = Outcome(
                    float(got.reward[b]),
                    bool(got.terminated[b]),
                    bool(got.truncated[b]),
                    tuple(float(x[b]) for x in got.terms),
                )
                compare(f"{where}, environment {b}", mine, expected[b], program, tolerance)
            else:
                same(f"{where}, environment {b}, not active", float(got.reward[b]), 0.0)
            values = [*reference.machines[b].values(), *reference.folds[b].values()]
            names = [m.name for m in program.machines] + [f.name for f in program.folds]
            for name, slot, value in zip(names, state, values, strict=False):
                same(f"{where}, environment {b}, memory {name}", float(slot[b]), value)
        over = np.array(
            [active[b] and (expected[b].terminated or expected[b].truncated) for b in range(BATCH)]
        )
        reference, state = oracle.reset(program, reference, list(over)), compiled.reset(state, convert(over))


def check_row(layout: Layout, steps: list[worlds.Batch], backends: Backends) -> None:
    """Compare the step of one environment, as other compiled loops call it, with the oracle."""
    program = layout.program
    compiled = backends.native.NativeProgram(layout)
    machines, memory, params = compiled.start_machines, compiled.start_memory, compiled.params
    reference = oracle.init(program)
    for t, step in enumerate(steps):
        row = step.rows()[0]
        reference, (expected,) = oracle.step(program, reference, [row])
        before = memory[len(program.folds) :].copy()
        label = sum(1 << k for k, name in enumerate(layout.labels) if row.label[name])
        observed = (leaves_of(layout, root, getattr(row, root)) for root in ("obs", "action", "next_obs"))
        info = np.array([oracle.read_field(f, row) for f in native_text.extra_fields(layout)], np.float64)
        reward, terminated, truncated = compiled.row(
            machines, memory, *observed, row.reward, row.terminated, row.truncated, info, label, params
        )
        paid = tuple(memory[len(program.folds) :] - before)
        where = f"row, step {t}"
        same(f"{where}, reward", reward, expected.reward)
        if math.isfinite(expected.reward):
            compare(where, Outcome(reward, terminated, truncated, paid), expected, program, 1e-6)
        else:  # what is infinite once stays so in the totals
            memory[len(program.folds) :] = 0.0
        for name, slot, value in zip(
            [m.name for m in program.machines] + [f.name for f in program.folds],
            [*machines, *memory],
            [*reference.machines[0].values(), *reference.folds[0].values()],
            strict=False,
        ):
            same(f"{where}, memory {name}", slot, value)
        if expected.terminated or expected.truncated:
            compiled.begin(machines, memory)
            reference = oracle.reset(program, reference)


def leaves_of(layout: Layout, root: str, value: Any) -> Any:
    """Return an observation or action as a row function takes it."""
    paths = native_text.leaves(layout, root)
    parts = []
    for path in paths:
        part = value
        for key in path:
            part = part[key if isinstance(key, str) else key[0]]
        parts.append(part)
    return 0 if not paths else tuple(parts) if paths[0] else parts[0]


def step_active(program: Any, state: Any, rows: list[Transition], active: Any) -> tuple[Any, list[Outcome]]:
    """Step the oracle on the active environments; the others keep what belongs to the episode."""
    chosen = [b for b in range(len(rows)) if active[b]]
    part = oracle.OracleState(
        [state.machines[b] for b in chosen], [state.folds[b] for b in chosen], [state.sets[b] for b in chosen]
    )
    after, outcomes = oracle.step(program, part, [rows[b] for b in chosen])
    machines, folds, sets = list(state.machines), [dict(f) for f in state.folds], list(state.sets)
    results: list[Any] = [None] * len(rows)
    for i, b in enumerate(chosen):
        machines[b], folds[b], sets[b] = after.machines[i], after.folds[i], after.sets[i]
        results[b] = outcomes[i]
    for fold in program.folds:  # what belongs to the run is shared by all
        if fold.scope == "run":
            for values in folds:
                values[fold.name] = after.folds[0][fold.name]
    return oracle.OracleState(machines, folds, sets), results


def compare(where: str, got: Outcome, expected: Outcome, program: Any, tolerance: float = 1e-9) -> None:
    """Raise when outcomes differ."""
    for term, mine, reference in zip(program.terms, got.terms, expected.terms, strict=True):
        same(f"{where}, term {term.name}", mine, reference, tolerance)
    same(f"{where}, reward", got.reward, expected.reward, tolerance)
    if (bool(got.terminated), bool(got.truncated)) != (expected.terminated, expected.truncated):
        raise DisagreementError(
            f"{where}: ends {got.terminated, got.truncated}, oracle {expected.terminated, expected.truncated}"
        )


def same(where: str, got: float, expected: float, tolerance: float = 1e-9) -> None:
    """Raise unless two numbers are equal up to rounding; NaN equals NaN."""
    got, expected = float(got), float(expected)
    if math.isnan(got) and math.isnan(expected):
        return
    if not math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance):
        raise DisagreementError(f"{where}: {got!r}, oracle {expected!r}")


def _as_tensors(value: Any) -> Any:
    import torch

    return torch.as_tensor(value)


def convert_transition(transition: Transition, convert: Callable[[Any], Any]) -> Transition:
    """Return a batched transition with every array converted."""

    def every(value: Any) -> Any:
        return {k: convert(v) for k, v in value.items()} if isinstance(value, dict) else convert(value)

    return Transition(
        **{name: None if value is None else every(value) for name, value in transition.__dict__.items()}
    )
