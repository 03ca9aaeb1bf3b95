"""`step` of a gymnasium environment as a C function that pays by a compiled program.

The C function calls the environment's `step`, looks at the five results where they lie in memory, pays by `row`
(`native.py`) and puts the reward into the tuple that came back. Whatever is not plainly what the spaces promise -
another type or shape, NaN, a reward that is not finite - goes to the generated Python of the scalar backend, together
with what the environment returned: nothing is decided twice, and every error is the scalar backend's.

numba compiles the function for C's calling convention and keeps it on disk; CPython makes a callable of its address
(`PyCFunction_NewEx`). So no C compiler is needed, and numba's dispatcher, which would cost more than all the rest, has
no part in a step. The callable owns, through its `self`, all that the machine code points to.

A ready-made labeller is called from there and its labels are put together as bits. Not compiled are programs that read
other labels, `info`, or parts of Dict and Tuple spaces: what these cost is Python's own.
"""

from __future__ import annotations

import copy
import ctypes
import math
import struct
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.native import NativeProgram
from rewardspec.backends.native_cache import import_numba, load_callback
from rewardspec.backends.native_step_text import HEAD, OWNED, step_text
from rewardspec.backends.native_text import MASKED_LABELS, extra_fields, leaves
from rewardspec.backends.scalar import FusedStep, ScalarProgram, State
from rewardspec.ir.layout import Layout

if TYPE_CHECKING:
    from rewardspec.wrappers.memory import Memory

MAX_KEPT = 4096
"""Observations up to this size are kept for programs that read the one before."""

_PLAIN = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4"]


def can_step(
    layout: Layout, observation_space: Any, action_space: Any, labels_are_ready: bool = False
) -> bool:
    """Return whether the C function can read what a program reads; generated Python must do it otherwise.

    Args:
        layout: The program.
        observation_space: The environment's.
        action_space: The environment's.
        labels_are_ready: Whether a ready-made labeller gives all labels.
    """
    from rewardspec.backends.native_capi import is_supported

    spaces_of = {"obs": observation_space, "next_obs": observation_space, "action": action_space}
    if not is_supported() or extra_fields(layout):
        return False
    if layout.labels and not (labels_are_ready and len(layout.labels) <= MASKED_LABELS):
        return False
    for root, space in spaces_of.items():
        found = leaves(layout, root)
        if not found:
            continue
        if found != [()] or not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete):
            return False
        if space.shape and np.dtype(space.dtype) not in [np.dtype(name) for name in _PLAIN]:
            return False
        if root == "obs" and math.prod(space.shape or ()) > MAX_KEPT:
            return False
    return True


def fuse_native(
    layout: Layout,
    params: array[float],
    scalar: ScalarProgram,
    spaces_: tuple[Any, Any],
    *,
    explain: Callable[..., Exception],
    report: Callable[[dict[str, Any], State], dict[str, Any]],
    read_ready: Callable[..., tuple[bool, ...]] | None = None,
    extend: Callable[[Any, State], Any] | None = None,
    appended: tuple[Memory, npt.DTypeLike] | None = None,
) -> FusedStep:
    """Return a program's step fused with the environment's, as `scalar.fuse` does, in machine code.

    Args:
        layout: The program bound to the environment's spaces; `can_step` holds for it.
        params: Values of the program's parameters, `array("d")`; read anew in every step.
        scalar: The same program for what is not plain.
        spaces_: The environment's observation and action space.
        explain: As in `scalar.fuse`.
        report: As in `scalar.fuse`.
        read_ready: As in `scalar.fuse`.
        extend: As in `scalar.fuse`.
        appended: Where all that `extend` does is to append memory, one-hot, to an observation `[n]` (see
            `can_append`): that memory, and the type of the extended observation. The C function then does it.

    Raises:
        MissingExtraError: When numba is not installed.
    """
    import_numba()
    cell = _Cell(layout, params, spaces_, None if appended is None else appended[1])
    # Where machine states are all that an observation is extended by, they are read where they lie.
    shown = (
        None if any(f.observed for f in layout.program.folds) else cell.integers[HEAD : HEAD + cell.machines]
    )

    def slow(action: Any, result: Any, labels: tuple[bool, ...]) -> Any:
        """Do what the C function does, in generated Python, for one step."""
        before, steps, obs = cell.read()
        next_obs, reward, terminated, truncated, info = result
        if read_ready is not None and not labels:
            labels = read_ready(action, next_obs, info)
        parts = (obs, action, next_obs, reward, terminated, truncated, info, labels)
        try:
            state, paid, ended, cut = scalar.advance(before, *parts, params)
            if paid - paid != 0.0:
                raise NotFiniteError
            cell.write(state, steps + 1, next_obs)
        except Exception as error:
            raise explain(error, steps, before, *parts) from error
        return finish((next_obs, paid, ended, cut, info))

    def finish(result: Any) -> Any:
        """Put memory into the observation, and what is told at an episode's end into the info."""
        next_obs, paid, ended, cut, info = result
        if ended or cut:
            info = report(info, cell.state())
        if extend is not None:
            state: Any = shown if shown is not None else cell.state()
            next_obs = extend(next_obs, state)
        return next_obs, paid, ended, cut, info

    def loosely(action: Any) -> Any:
        """Take the action by name."""
        return step(action)

    blank = None if appended is None else np.zeros(spaces_[0].shape[0] + appended[0].width, appended[1])
    text = step_text(layout, spaces_, extend is not None, None if appended is None else appended[0], blank)
    text = NativeProgram(layout).source + text
    last = finish if extend is not None and blank is None else report
    arrays = [] if blank is None else [extend, blank.copy, blank.copy(), blank.copy()]
    owned: list[Any] = [cell.words, None, slow, last, loosely, (), read_ready, *arrays, params]
    functions = ("row", "attempt") if blank is None else ("row", "attempt", "is_plain", "extended")
    step = _callable(load_callback(text, "step", functions), owned)
    show = None if blank is None else _callable(load_callback(text, "show", functions), owned)

    def begin(env_step: Callable[[Any], Any], state: State, steps: int, obs: Any) -> None:
        owned[OWNED.index("ENV_STEP")] = env_step
        if state is start and steps == 0 and obs is None:
            words[begun] = fresh  # a third of the time that packing takes
        else:
            cell.write(state, steps, obs)

    words, start, begun = cell.integers, scalar.start, slice(HEAD - 1, cell.before.start)
    cell.write(start, 0, None)
    anew: Any = cell.words[begun].copy()
    fresh = memoryview(anew)
    return FusedStep(step, begin, cell.read, show)


def can_append(space: Any) -> bool:
    """Return whether the C function can append memory to observations of a space."""
    return (
        isinstance(space, spaces.Box)
        and len(space.shape) == 1
        and np.dtype(space.dtype) in [np.dtype(name) for name in _PLAIN]
    )


class _Cell:
    """The memory of one step, in 64-bit words that the C function reads and writes.

    After those of `WORDS` stand machine states and room for the next ones, folds and totals likewise, and the
    observation before the step as float64.
    """

    def __init__(self, layout: Layout, params: array[float], spaces_: tuple[Any, Any], shown: Any) -> None:
        """Begin at nothing; `shown` is the NumPy type of extended observations, or None."""
        program = layout.program
        self.machines, self.floats = len(program.machines), len(program.folds) + len(program.terms)
        # The whole state, over the room for next machine states: an episode's end reads it and a reset writes it.
        self.packed = struct.Struct(f"={self.machines}q{8 * self.machines}x{self.floats}d")
        self.shape = tuple(spaces_[0].shape or ()) if leaves(layout, "obs") else None
        self.kind = np.dtype(spaces_[0].dtype)
        self.odd: Any = None  # an observation before the step that is not what its space says
        kept = 0 if self.shape is None else max(1, math.prod(self.shape))
        self.words = np.zeros(HEAD + 2 * (self.machines + self.floats) + kept, np.int64)
        # Memory views: NumPy's slices cost three times as much, and an episode's end reads and writes twice.
        words: Any = self.words
        self.integers = memoryview(words)
        self.numbers = self.integers.cast("B").cast("d")
        kinds = [id(np.dtype(np.dtype(space.dtype).str)) if space.shape else 0 for space in spaces_]
        kinds.append(0 if shown is None else id(np.dtype(shown)))
        self.words[: HEAD - 4] = [id(np.ndarray), id(tuple), id(True), *kinds, params.buffer_info()[0]]
        first = HEAD + 2 * self.machines
        self.before = slice(first + 2 * self.floats, None)

    def state(self) -> State:
        """Return the state as the scalar backend has it."""
        return self.packed.unpack_from(self.integers, 8 * HEAD)

    def read(self) -> tuple[State, int, Any]:
        """Return the state, the steps of the episode, and the observation before the next one."""
        obs: Any = None
        if self.shape is not None:
            obs = np.array(self.numbers[self.before]).astype(self.kind).reshape(self.shape)
            obs = self.odd if self.odd is not None else obs if self.shape else obs.item()
        return self.state(), self.integers[HEAD - 1], obs

    def write(self, state: State, steps: int, obs: Any) -> None:
        """Go on from there."""
        if self.shape is not None and obs is not None:
            self.odd = None
            try:
                self.numbers[self.before] = np.array(obs, np.float64).reshape(self.shape).ravel().data
            except (TypeError, ValueError):
                self.odd = copy.deepcopy(obs)
                self.numbers[self.before.start] = math.nan  # so that the next step looks closer
        self.packed.pack_into(self.integers, 8 * HEAD, *state)
        self.integers[HEAD - 1] = steps


class _MethodDef(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


METH_FASTCALL_KEYWORDS = 0x0080 | 0x0002


def _callable(callback: Any, owned: list[Any]) -> Callable[..., Any]:
    """Return a built-in function of a C function; its `self` is the list, which owns the C function too."""
    name = callback.__name__.encode()
    definition = _MethodDef(name, callback.address, METH_FASTCALL_KEYWORDS, None)
    owned += [callback, definition]
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    made: Callable[..., Any] = make(ctypes.addressof(definition), owned, None)
    return made
