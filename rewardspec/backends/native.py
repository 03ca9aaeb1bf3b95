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

import operator
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rewardspec.backends.array import ArrayState
from rewardspec.backends.array_backend import Backend
from rewardspec.backends.native_cache import load
from rewardspec.backends.native_inputs import Inputs, Order
from rewardspec.backends.native_text import NativeEmitter, batch_reductions, unpacked
from rewardspec.backends.numpy_ops import numpy_backend
from rewardspec.ir.layout import Layout
from rewardspec.sets.refusal import refuse_sets
from rewardspec.transition import Outcome, Transition

ROW = ("row", "begin")

NATIVE = "the compiled backend"
INSTEAD = "Leave `backend` out: the usual ones can, on NumPy and torch."


@dataclass(frozen=True)
class NativeProgram:
    """A program for compiled loops.

    Attributes:
        layout: The program bound to the spaces of one environment.
    """

    layout: Layout

    def __post_init__(self) -> None:
        """Refuse programs that compiled loops cannot remember.

        Raises:
            UnsupportedError: `set-not-supported`.
        """
        refuse_sets(self.layout.program, NATIVE, INSTEAD)

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


# -- B environments ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class NativeBatch:
    """A program for B environments, one compiled loop; used as `ArrayProgram` is.

    Attributes:
        layout: The program bound to the spaces of one environment.
        batch: B.
        backend: NumPy with the floating type of rewards and memory. Arithmetic itself is float64.
    """

    layout: Layout
    batch: int
    backend: Backend

    @cached_property
    def kernels(self) -> dict[Order, Any]:
        """The compiled loop over arrays whose rows lie together, and over arrays whose columns do."""
        orders: tuple[Order, ...] = ("rows", "columns")
        return {order: load(batch_text(self.layout, order), ("batch",), apart=True).batch for order in orders}

    def init(self) -> ArrayState:
        """Return the state at the start of a run: machine states, folds, the episode's total of each term, `[B]`."""
        program, kind = self.layout.program, self.backend.float_type
        return (
            *(np.full(self.batch, m.start, self.backend.state_type(len(m.states))) for m in program.machines),
            *(np.full(self.batch, f.start, kind) for f in program.folds),
            *(np.zeros(self.batch, kind) for _ in program.terms),
        )

    def reset(self, state: ArrayState, mask: Any) -> ArrayState:
        """Return the state with new episodes begun where `mask` (`[B]` bool) holds; run-scope folds are kept."""
        first = len(self.layout.program.machines)
        kept = {first + i for i, fold in enumerate(self.layout.program.folds) if fold.scope == "run"}
        return tuple(
            old if i in kept else np.where(mask, new, old)
            for i, (old, new) in enumerate(zip(state, self.init(), strict=True))
        )

    def step(
        self,
        state: ArrayState,
        transition: Transition,
        params: Mapping[str, Any] | None = None,
        active: Any = None,
    ) -> tuple[ArrayState, Outcome]:
        """Return the next state and the outcome, as `ArrayProgram.step` does; all arrays are new."""
        state, outcome, _ = self.step_checked(state, transition, params, active)
        return state, outcome

    def step_checked(
        self,
        state: ArrayState,
        transition: Transition,
        params: Mapping[str, Any] | None = None,
        active: Any = None,
        out: tuple[ArrayState, Outcome] | None = None,
    ) -> tuple[ArrayState, Outcome, bool]:
        """Return the next state, the outcome, and whether all is well.

        Args:
            state: State before the step.
            transition: Leaves `[B, ...]`. `label` may also be one array: integers with the bits of `row`'s label.
            params: Values of parameters where they differ from their initial ones.
            active: `[B]` bool, as in `ArrayProgram.step`.
            out: Arrays to write to instead of new ones, as a call returned them; none of them may be among what is
                read. An outcome without terms saves writing them.

        Returns:
            State, outcome, and False where a value that the program read is NaN or a reward not finite in an
            active environment.

        Raises:
            ValueError: When an array has not the shape of its space, or `out` has arrays of `state`.
        """
        inputs = self.inputs
        if out is not None and any(map(operator.is_, state, out[0])):
            raise ValueError("a step cannot write its results over the state that it reads")
        new, outcome = out if out is not None else (self._empty(), self._outcome())
        order, read = inputs.transition(transition)
        sound = self.kernels[order](
            inputs.state(state),
            new,
            *read,
            inputs.parameters(params),
            None if active is None else inputs.flags(active),
            outcome.reward,
            outcome.terminated,
            outcome.truncated,
            outcome.terms or None,
        )
        return new, outcome, sound

    @cached_property
    def inputs(self) -> Inputs:
        """What reads transitions."""
        return Inputs(self.layout, self.batch, self.backend)

    @cached_property
    def _types(self) -> list[Any]:
        """The types of the state's slots."""
        program, lib = self.layout.program, self.backend
        floats = len(program.folds) + len(program.terms)
        return [*(lib.state_type(len(m.states)) for m in program.machines), *[lib.float_type] * floats]

    def _empty(self) -> ArrayState:
        return tuple([np.empty(self.batch, kind) for kind in self._types])

    def _outcome(self) -> Outcome:
        kind, batch = self.backend.float_type, self.batch
        terms = tuple([np.empty(batch, kind) for _ in self.layout.program.terms])
        return Outcome(np.empty(batch, kind), np.empty(batch, np.bool_), np.empty(batch, np.bool_), terms)


def compile_native(
    layout: Layout, batch: int, *, dtype: Literal["float32", "float64"] = "float64"
) -> NativeBatch:
    """Return the program for B environments as one compiled loop; it is compiled at its first step.

    Args:
        layout: The program bound to the spaces of one environment.
        batch: B.
        dtype: Floating type of rewards and memory.

    Raises:
        MissingExtraError: When numba is not installed; at the first step.
        UnsupportedError: `set-not-supported`.
    """
    refuse_sets(layout.program, NATIVE, INSTEAD)
    return NativeBatch(layout, batch, numpy_backend(dtype))


def batch_text(layout: Layout, order: Order = "rows") -> str:
    """Return the text of the loop over B environments.

    A reduction over B needs its operand in every environment before the step can go on, so each has a loop of its own,
    which works out what it needs and keeps nothing else.
    """
    program = layout.program
    reductions: dict[Any, str] = {}
    constants: dict[str, str] = {}
    loops: list[str] = []
    for reduction in batch_reductions(program):
        emitter = NativeEmitter(layout, order, reductions, constants)
        name = f"w{len(reductions)}"
        loops += emitter.reduction_loop(reduction, name, _loads(emitter))
        reductions[reduction] = name
    emitter = NativeEmitter(layout, order, reductions, constants)
    terms, news, flags = emitter.step()
    slots = emitter.slots
    lasting = {len(program.machines) + i for i, f in enumerate(program.folds) if f.scope == "run"}
    state = [f"state_{i}, " for i in range(len(slots))]
    new = [f"new_{i}, " for i in range(len(slots))]
    lines = [
        "n = len(paid_out)",
        *([f"{''.join(state)[:-1]} = state", f"{''.join(new)[:-1]} = new"] if slots else []),
        *unpacked(layout),
        *(f"p{i} = params[{i}]" for i in range(len(program.params))),
        *loops,
        "flaws = 0",
        "for i in range(n):",
        *(f"    {line}" for line in _loads(emitter)),
        *(f"    {line}" for line in emitter.finished()),
        "    here = True if active is None else active[i]",
        "    flaws += (bad | (paid - paid != 0.0)) & here",  # infinity - infinity is NaN, too
        *(
            f"    new_{i}[i] = {value if i in lasting else f'{value} if here else {slot}'}"
            for i, (slot, value) in enumerate(zip(slots, news, strict=True))
        ),
        "    paid_out[i] = paid if here else 0.0",
        f"    terminated_out[i] = {flags['terminated']}",
        f"    truncated_out[i] = {flags['truncated']}",
    ]
    if terms:
        lines.append("    if terms_out is not None:")
        lines += [f"        terms_out[{i}][i] = {term} if here else 0.0" for i, term in enumerate(terms)]
    lines.append("return flaws == 0")
    arguments = (
        "state, new, obs, action, next_obs, reward, terminated_in, truncated_in, info, label, params, active, "
        "paid_out, terminated_out, truncated_out, terms_out"
    )
    return "\n".join(
        [
            *(f"{name} = {text}" for text, name in constants.items()),
            f"def batch({arguments}):",
            *(f"    {line}" for line in lines),
            "",
        ]
    )


def _loads(emitter: NativeEmitter) -> list[str]:
    """Return the statements that load one environment's state; a machine state out of range is taken into it."""
    program = emitter.program
    lines = ["terminated = terminated_in[i]", "truncated = truncated_in[i]"]
    for i, slot in enumerate(emitter.slots):
        if i < len(program.machines):
            lines.append(f"{slot} = min(max(state_{i}[i] * 1, 0), {len(program.machines[i].states) - 1})")
        else:
            lines.append(f"{slot} = state_{i}[i] * 1.0")
    return lines
