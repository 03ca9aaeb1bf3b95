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
from rewardspec.backends.native_text import MASKED_LABELS, extra_fields, leaves
from rewardspec.backends.scalar import FusedStep, ScalarProgram, State
from rewardspec.ir.layout import Layout, Shape

if TYPE_CHECKING:
    from rewardspec.wrappers.memory import Memory

HEAD = 10
"""Words of the cell before the state, the steps of the episode last: see `_Cell`."""

MAX_KEPT = 4096
"""Observations up to this size are kept for programs that read the one before."""

_PLAIN = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4"]


OWNED = ("CELL", "ENV_STEP", "SLOW", "LAST", "LOOSELY", "NO_LABELS", "READ_LABELS", "COPY", "BLANK", "KEPT")
"""What the callable owns, by position, as its text calls it; two arrays are kept, and behind them stands what must only
live as long."""


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
    cell = _Cell(layout, params, spaces_)
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

    def conclude(result: Any) -> Any:
        """Put what is told at an episode's end into the info."""
        next_obs, paid, ended, cut, info = result
        return next_obs, paid, ended, cut, report(info, cell.state())

    def loosely(action: Any) -> Any:
        """Take the action by name."""
        return step(action)

    blank = None if appended is None else np.zeros(spaces_[0].shape[0] + appended[0].width, appended[1])
    text = step_text(layout, spaces_, extend is not None, None if appended is None else appended[0], blank)
    callback = load_callback(NativeProgram(layout).source + text)
    last = finish if blank is None else conclude
    arrays = [] if blank is None else [blank.copy, blank, blank.copy(), blank.copy()]
    owned: list[Any] = [cell.words, None, slow, last, loosely, (), read_ready, *arrays, params, callback]
    step = _callable(callback.address, owned)

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
    return FusedStep(step, begin, cell.read)


def can_append(space: Any) -> bool:
    """Return whether the C function can append memory to observations of a space."""
    return (
        isinstance(space, spaces.Box)
        and len(space.shape) == 1
        and np.dtype(space.dtype) in [np.dtype(name) for name in _PLAIN]
    )


class _Cell:
    """The memory of one step, in 64-bit words that the C function reads and writes.

    Words 0 to 9: address of the type of arrays, of tuples; of True; of the observation's and the action's NumPy type;
    address of the parameters; then room for the reward and the two flags; steps of the episode. After them machine
    states and room for the next ones, folds and totals likewise, and the observation before the step as float64.
    """

    def __init__(self, layout: Layout, params: array[float], spaces_: tuple[Any, Any]) -> None:
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
        self.words[:6] = [id(np.ndarray), id(tuple), id(True), *kinds, params.buffer_info()[0]]
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


def _callable(address: int, owned: list[Any]) -> Callable[[Any], Any]:
    """Return a built-in function of an address; its `self` is the list, which owns the definition too."""
    definition = _MethodDef(b"step", address, METH_FASTCALL_KEYWORDS, b"Step the environment and pay.")
    owned.append(definition)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    made: Callable[[Any], Any] = make(ctypes.addressof(definition), owned, None)
    return made


# -- the text ---------------------------------------------------------------------------------------


def step_text(
    layout: Layout, spaces_: tuple[Any, Any], extends: bool, memory: Memory | None = None, blank: Any = None
) -> str:
    """Return the text of the C function, which stands behind that of `row`.

    Args:
        layout: The program.
        spaces_: The environment's observation and action space.
        extends: Whether memory enters the observation.
        memory: Where it is appended one-hot to a vector, that memory; then `blank` is an extended observation.
        blank: Array `[n + width]`.
    """
    program = layout.program
    machines, floats = len(program.machines), len(program.folds) + len(program.terms)
    observation, action = spaces_
    at = HEAD
    places: dict[str, int] = {}
    for name, size in (("u", machines), ("v", machines), ("f", floats), ("g", floats), ("before", 0)):
        places[name] = at
        at += size
    reads = {field.root for field in layout.shapes}
    looks = blank is not None or "next_obs" in reads or "obs" in reads
    lines = [
        *_read("next_obs", "c.tuple_item(result, 0)", observation, 3, looks),
        *_read("action", "acted", action, 4, "action" in reads),
        *(_number("reward", "c.tuple_item(result, 1)") if "reward" in reads else ["reward = 0.0"]),
        "terminated, truncated = c.is_true(c.tuple_item(result, 2)), c.is_true(c.tuple_item(result, 3))",
        "if terminated < 0 or truncated < 0:",
        "    c.clear_error()",
        "    return False",
        *(f"{name} = {_words(place, size, 'int64')}" for name, place, size in (
            ("u", places["u"], machines), ("v", places["v"], machines)
        )),
        *(f"{name} = {_words(place, size, 'float64')}" for name, place, size in (
            ("f", places["f"], floats), ("g", places["g"], floats)
        )),
        f"params = c.carray(c.pointer(c.word(cell + 40), c.float64), ({max(1, len(program.params))},))",
        *(["obs = 0"] if "obs" not in reads else _before(places["before"], observation)),
        *(f"v[{i}] = u[{i}]" for i in range(machines)),
        *(f"g[{i}] = f[{i}]" for i in range(floats)),
        "paid, over, cut = row("
        "v, g, obs, action, next_obs, reward, terminated != 0, truncated != 0, 0, label, params)",
        "if not paid - paid == 0.0:",
        "    return False",
        *(f"u[{i}] = v[{i}]" for i in range(machines)),
        *(f"f[{i}] = g[{i}]" for i in range(floats)),
        *(_keep(places["before"], observation) if "obs" in reads else []),
        "c.put_word(cell + 72, c.word(cell + 72) + 1)",
        "out = c.carray(c.pointer(cell + 48, c.float64), (3,))",
        "out[0] = paid",
        "out[1] = (2.0 if not terminated else 1.0) if over else 0.0",
        "out[2] = (2.0 if not truncated else 1.0) if cut else 0.0",
        "return True",
    ]  # fmt: skip
    text = "\nfrom rewardspec.backends import native_capi as c\n"
    text += f"{', '.join(OWNED)} = {', '.join(map(str, range(len(OWNED))))}\n"
    text += "def attempt(cell, acted, result, label):\n"
    text += (
        "    if c.word(result + 8) != c.word(cell + 8) or c.tuple_size(result) != 5:\n        return False\n"
    )
    text += "".join(f"    {line}\n" for line in lines)
    append = (
        ""
        if memory is None
        else "".join(f"    {line}\n" for line in _append(observation, memory, blank, places, machines))
    )
    read = READ.format(count=len(layout.labels)) if layout.labels else ""
    return text + STEP.format(read=read, append=append, always=extends and memory is None)


def _append(space: Any, memory: Memory, blank: Any, places: dict[str, int], machines: int) -> list[str]:
    """Return the statements that put a new observation, with memory, in place of the environment's."""
    head = space.shape[0]
    lines = [
        # The last two arrays are kept: one that nobody else holds is filled again, as `zip` does with its tuples. It
        # must be as it was made, for its owner may have changed its shape, type or flags.
        "place, like = KEPT + (c.word(cell + 72) & 1), c.list_item(this, BLANK)",
        "made = c.list_item(this, place)",
        "alone = c.word(made) == 1 and c.word(made + c.WATCHERS) == 0",
        "alone = alone and c.word(made + c.DTYPE) == c.word(like + c.DTYPE)",
        "alone = alone and c.small(made + c.FLAGS) == c.small(like + c.FLAGS)",
        f"if alone and c.small(made + c.AXES) == 1 and c.word(c.word(made + c.SIZES)) == {len(blank)}:",
        "    c.increase(made)",
        "else:",
        "    made = c.call_none(c.list_item(this, COPY))",
        "    if made == 0:",
        "        c.decrease(result)",
        "        return 0",
        "    c.increase(made)",
        "    c.list_put(this, place, made)",
        f"given = c.carray(c.pointer(c.word(c.tuple_item(result, 0) + c.DATA), c.{np.dtype(space.dtype)}), ({head},))",
        f"shown = c.carray(c.pointer(c.word(made + c.DATA), c.{blank.dtype}), ({len(blank)},))",
        f"for k in range({head}):",
        "    shown[k] = given[k]",
        f"for k in range({head}, {len(blank)}):",
        "    shown[k] = 0.0",
    ]
    at = head
    for position, size in memory.machines:
        lines.append(
            f"shown[{at} + min(max(c.word(cell + {8 * (places['u'] + position)}), 0), {size - 1})] = 1.0"
        )
        at += size
    for position, _, _ in memory.folds:
        lines.append(f"shown[{at}] = {_words(places['f'] + position - machines, 1, 'float64')}[0]")
        at += 1
    return [*lines, "c.tuple_put(result, 0, made)"]


def _words(place: int, size: int, kind: str) -> str:
    return f"c.carray(c.pointer(cell + {8 * place}, c.{kind}), ({max(1, size)},))"


def _before(place: int, space: Any) -> list[str]:
    """Return the statements that give the observation before the step its shape."""
    shape = tuple(space.shape or ())
    size = math.prod(shape)
    if not shape:
        return [f"obs = {_words(place, 1, 'float64')}[0]"]
    return [f"obs = {_words(place, size, 'float64')}" + (f".reshape({shape!r})" if len(shape) > 1 else "")]


def _keep(place: int, space: Any) -> list[str]:
    """Return the statements that keep the observation for the next step."""
    shape: Shape = tuple(space.shape or ())
    if not shape:
        return [f"{_words(place, 1, 'float64')}[0] = next_obs"]
    size = math.prod(shape)
    return [
        f"kept, given = {_words(place, size, 'float64')}, next_obs.ravel()",
        f"for k in range({size}):",
        "    kept[k] = given[k]",
    ]


def _number(name: str, code: str) -> list[str]:
    """Return the statements that read a single number."""
    return [
        f"{name} = c.to_double({code})",
        f"if {name} == -1.0 and c.error_set() != 0:",
        "    c.clear_error()",
        "    return False",
    ]


def _read(name: str, code: str, space: Any, kind: int, is_read: bool) -> list[str]:
    """Return the statements that read an observation or action, or leave where it is not what the space says."""
    if not is_read:
        return [f"{name} = 0"]
    shape = tuple(space.shape or ())
    if not shape:
        return _number(name, code)
    dtype = np.dtype(space.dtype).name
    return [
        f"thing = {code}",
        f"if c.word(thing + c.TYPE) != c.word(cell) or c.word(thing + c.DTYPE) != c.word(cell + {8 * kind}):",
        "    return False",
        f"if c.small(thing + c.AXES) != {len(shape)} or c.small(thing + c.FLAGS) & 0x101 != 0x101:",
        "    return False",  # 0x101: aligned, and C's order
        *(
            line
            for axis, size in enumerate(shape)
            for line in (f"if c.word(c.word(thing + c.SIZES) + {8 * axis}) != {size}:", "    return False")
        ),
        f"{name} = c.carray(c.pointer(c.word(thing + c.DATA), c.{dtype}), {shape!r})",
    ]


READ = """    if c.word(result + c.TYPE) == c.word(cell + 8) and c.tuple_size(result) == 5:
        labels = c.call_three(c.list_item(this, READ_LABELS), action, c.tuple_item(result, 0), c.tuple_item(result, 4))
        if labels == 0:
            c.decrease(result)
            return 0
        for k in range({count}):
            label |= c.is_true(c.tuple_item(labels, k)) << k
"""

STEP = """
def step(this, arguments, count, names):
    if count != 1 or names != 0:
        return c.call_with(c.list_item(this, LOOSELY), arguments, count, names)
    cell = c.word(c.list_item(this, CELL) + c.DATA)
    action = c.word(arguments)
    env_step = c.list_item(this, ENV_STEP)
    c.increase(env_step)
    result = c.call_one(env_step, action)
    c.decrease(env_step)
    if result == 0:
        return 0
    labels, label = 0, 0
{read}    if not attempt(cell, action, result, label):
        told = labels if labels != 0 else c.list_item(this, NO_LABELS)
        final = c.call_three(c.list_item(this, SLOW), action, result, told)
        c.decrease(result)
        if labels != 0:
            c.decrease(labels)
        return final
    if labels != 0:
        c.decrease(labels)
    out = c.carray(c.pointer(cell + 48, c.float64), (3,))
    over, cut = out[1], out[2]
    paid = c.from_double(out[0])
    if paid == 0:
        c.decrease(result)
        return 0
    if c.word(result) != 1:  # somebody else sees this tuple
        shared, result = result, c.new_tuple(5)
        if result == 0:
            c.decrease(shared)
            c.decrease(paid)
            return 0
        for k in range(5):
            item = c.tuple_item(shared, k)
            c.increase(item)
            c.tuple_put(result, k, item)
        c.decrease(shared)
    c.tuple_put(result, 1, paid)
    if over == 2.0 or cut == 2.0:  # the program's own word
        truth = c.word(cell + 16)
        if over == 2.0:
            c.increase(truth)
            c.tuple_put(result, 2, truth)
        if cut == 2.0:
            c.increase(truth)
            c.tuple_put(result, 3, truth)
{append}    if {always} or over != 0.0 or cut != 0.0:
        final = c.call_one(c.list_item(this, LAST), result)
        c.decrease(result)
        return final
    return result
"""
