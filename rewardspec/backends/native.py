"""A program as machine code: one loop over B environments, and one environment's step for other compiled loops.

numba compiles text that is generated from the IR alone (`native_text.py`) and keeps the machine code on disk
(`native_cache.py`). There are three functions to a program; the first two are for loops that are compiled themselves.

`row(machines, memory, obs, action, next_obs, reward, terminated, truncated, info, label, params)` steps one
environment. It writes the new state into its first two arguments and returns `(reward, terminated, truncated)`:

    machines    [M] of an integer type: machine states, in the order of `program.machines`
    memory      [F + K] float: folds, then the episode's total of each term
    obs, action, next_obs
                one environment's, as the space has them: an array for a Box, a number for a Discrete space. For a Dict
                or Tuple space a tuple with the arrays of `leaves(layout, root)`, in that order. Where the program does
                not read it, anything (0).
    reward, terminated, truncated
                the environment's own
    info        [I] float64: the fields of `extra_fields(layout)`; anything where there are none
    label       an integer whose bit k says that `layout.labels[k]` is true; with more than 62 labels a `[L]` bool row
    params      [P] float64: `program.params`; anything where there are none

The reward is NaN where a value was NaN that the program read, and never refused: callers check it. `begin(machines,
memory)` writes the state at the start of an episode (of the run, into zeros, it is `start`); what belongs to the run
stays. `params` and `start_machines`, `start_memory` of `NativeProgram` give the first values.

How another compiled loop calls them. numba keeps machine code on disk only where a function's callees are globals of
its own module, so the loop's text is loaded together with the program's:

    module = program.link(Path("loop.py").read_text(), ("train",))
    module.train(...)                  # in loop.py: def train(...): ... reward, over, cut = row(machines[b], ...)

`row` and `begin` are then globals beside `train`, and LLVM inlines them. In a sketch, `program.row` and `program.begin`
can be passed to, or closed over by, any `numba.njit` function; that works the same without the cache.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.backends.native_cache import load
from rewardspec.backends.native_text import (
    NativeEmitter,
    unpacked,
)
from rewardspec.ir.layout import Layout

ROW = ("row", "begin")


@dataclass(frozen=True)
class NativeProgram:
    """A program for compiled loops.

    Attributes:
        layout: The program bound to the spaces of one environment.
    """

    layout: Layout

    @cached_property
    def source(self) -> str:
        """Text of the functions `row` and `begin`."""
        return row_text(self.layout)

    @cached_property
    def module(self) -> types.ModuleType:
        """The two functions, compiled."""
        return load(self.source, ROW)

    @property
    def row(self) -> Any:
        """One environment's step; see the head of this module."""
        return self.module.row

    @property
    def begin(self) -> Any:
        """`begin(machines, memory)`: write the state at the start of an episode; what belongs to the run stays."""
        return self.module.begin

    def link(self, text: str, functions: tuple[str, ...]) -> types.ModuleType:
        """Return a module of other functions that call `row` and `begin` by these names.

        Args:
            text: Source of the functions, trusted as any module is: it is run. What it imports is in reach.
            functions: Names of those that numba shall compile.
        """
        return load(f"{self.source}\n{text}", (*ROW, *functions))

    @property
    def start_machines(self) -> npt.NDArray[np.int64]:
        """State of each machine at the start, `[M]`."""
        return np.array([m.start for m in self.layout.program.machines], np.int64)

    @property
    def start_memory(self) -> npt.NDArray[np.float64]:
        """Folds and totals at the start of a run, `[F + K]`."""
        program = self.layout.program
        return np.array([*(f.start for f in program.folds), *(0.0 for _ in program.terms)], np.float64)

    @property
    def params(self) -> npt.NDArray[np.float64]:
        """Initial values of the parameters, `[P]`."""
        return np.array([p.initial for p in self.layout.program.params], np.float64)


def row_text(layout: Layout) -> str:
    """Return the text of `row` and `begin`."""
    program = layout.program
    emitter = NativeEmitter(layout)
    _, news, flags = emitter.step()
    machines, folds = len(program.machines), len(program.folds)
    places = [
        f"machines[{i}]" if i < machines else f"memory[{i - machines}]" for i in range(len(emitter.slots))
    ]
    lines = [
        *unpacked(layout),
        *(f"p{i} = params[{i}]" for i in range(len(program.params))),
        *(
            f"{slot} = {place} * {'1' if i < machines else '1.0'}"
            for i, (slot, place) in enumerate(zip(emitter.slots, places, strict=True))
        ),
        *emitter.finished(),
        *(f"{place} = {new}" for place, new in zip(places, news, strict=True)),
        f"return _nan if bad else paid, {flags['terminated']}, {flags['truncated']}",
    ]
    starts = [m.start for m in program.machines]
    begin = [
        *(f"machines[{i}] = {start}" for i, start in enumerate(starts)),
        *(f"memory[{i}] = {f.start!r}" for i, f in enumerate(program.folds) if f.scope == "episode"),
        *(f"memory[{folds + i}] = 0.0" for i in range(len(program.terms))),
        "return",
    ]
    arguments = "machines, memory, obs, action, next_obs, reward, terminated, truncated, info, label, params"
    return "\n".join(
        [
            *(f"{name} = {text}" for text, name in emitter.constants.items()),
            f"def row({arguments}):",
            *(f"    {line}" for line in lines),
            "def begin(machines, memory):",
            *(f"    {line}" for line in begin),
            "",
        ]
    )
