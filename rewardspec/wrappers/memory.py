"""How a program's memory enters the observation, so that the task stays Markov."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import Problem, UnsupportedError, list_names, near_miss
from rewardspec.ir.program import Observe, Program
from rewardspec.sets.family import Sets

KEY = "rewardspec"
"""Key of the memory in a Dict observation."""

MAX_ROWS = 256
"""Machines of up to this many states have a ready row of memory for each."""


@dataclass(frozen=True)
class Memory:
    """The parts of a program's state that the agent must see.

    Attributes:
        machines: Per machine with more than one state, its position in the state and its number of states.
        folds: Per observed fold, its position in the state and its bounds.
        sets: Per observed set, its parts in the state, and its function for summaries of them.
    """

    machines: tuple[tuple[int, int], ...]
    folds: tuple[tuple[int, float, float], ...]
    sets: tuple[tuple[slice, Sets], ...] = ()

    @staticmethod
    def of(program: Program) -> Memory:
        """Return the memory of a program."""
        machines = tuple((i, len(m.states)) for i, m in enumerate(program.machines) if len(m.states) > 1)
        first = len(program.machines)
        folds = tuple((first + i, f.low, f.high) for i, f in enumerate(program.folds) if f.observed)
        return Memory(machines, folds, tuple(_observed_sets(program)))

    def __bool__(self) -> bool:
        return bool(self.machines or self.folds or self.sets)

    @property
    def width(self) -> int:
        """Length of the memory as a vector with one-hot machine states."""
        return sum(size for _, size in self.machines) + len(self.folds) + sum(self.set_widths)

    @property
    def set_widths(self) -> tuple[int, ...]:
        """Length of each set's summary."""
        return tuple(sets.width for _, sets in self.sets)

    def bounds(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return least and greatest values of the vector."""
        ones = sum(size for _, size in self.machines)
        last = sum(self.set_widths)
        low = [0.0] * ones + [low for _, low, _ in self.folds] + [0.0] * last
        high = [1.0] * ones + [high for _, _, high in self.folds] + [1.0] * last
        return np.array(low, np.float32), np.array(high, np.float32)

    def vector(self, state: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Return the memory of one environment as a vector `[width]` of float32."""
        return self.writer(0, np.float32)(state)

    def writer(self, head: int, dtype: npt.DTypeLike) -> Callable[[Sequence[Any]], npt.NDArray[Any]]:
        """Return a function from the state of one environment to a new array `[head + width]`, the memory last.

        Example:
            >>> Memory(machines=((0, 3),), folds=()).writer(2, np.float32)((1,)).tolist()
            [0.0, 0.0, 0.0, 1.0, 0.0]
        """
        rows = self.rows(head, dtype)
        if rows is not None:
            ((position, _),) = self.machines
            return lambda state: rows[state[position]].copy()
        first = head + sum(size for _, size in self.machines)
        folds = [(first + i, position) for i, (position, _, _) in enumerate(self.folds)]
        ends = list(accumulate(self.set_widths, initial=first + len(self.folds)))
        summaries = [(end, parts, sets) for end, (parts, sets) in zip(ends, self.sets, strict=False)]
        blank = np.zeros(head + self.width, dtype)
        starts = [head + sum(size for _, size in self.machines[:i]) for i in range(len(self.machines))]
        machines = [(start, position) for start, (position, _) in zip(starts, self.machines, strict=True)]

        def write(state: Sequence[Any]) -> npt.NDArray[Any]:
            out = blank.copy()
            for start, position in machines:
                out[start + state[position]] = 1.0
            for offset, position in folds:
                out[offset] = state[position]
            for offset, parts, sets in summaries:
                out[offset : offset + sets.width] = sets.summary(tuple(state[parts]))[0]
            return out

        return write

    def rows(self, head: int, dtype: npt.DTypeLike) -> list[npt.NDArray[Any]] | None:
        """Return `[head + width]` per machine state, ready to be copied; None but for one machine of usual size."""
        if self.folds or self.sets or len(self.machines) != 1 or self.width > MAX_ROWS:
            return None
        return list(np.eye(self.width, head + self.width, head, dtype=dtype))

    def vectors(self, state: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Return the memory of B environments as `[B, width]` float32; state slots are `[B]` arrays."""
        batch = len(state[0])
        out = np.zeros((batch, self.width), np.float32)
        rows, offset = np.arange(batch), 0
        for position, size in self.machines:
            out[rows, offset + state[position]] = 1.0
            offset += size
        for position, _, _ in self.folds:
            out[:, offset] = state[position]
            offset += 1
        for parts, sets in self.sets:
            out[:, offset : offset + sets.width] = sets.summary(tuple(state[parts]))
            offset += sets.width
        return out

    def index(self, state: Sequence[Any]) -> Any:
        """Return the joint machine state as one number; works on numbers and on `[B]` arrays alike."""
        joint: Any = 0
        for position, size in self.machines:
            u = state[position]  # [B] arrays are of the smallest type that holds one machine's states
            joint = joint * size + (u.astype(np.int64) if isinstance(u, np.ndarray) else u)
        return joint

    @property
    def joint_states(self) -> int:
        """Number of joint machine states."""
        return int(np.prod([size for _, size in self.machines], dtype=object)) if self.machines else 1


def _observed_sets(program: Program) -> Iterator[tuple[slice, Sets]]:
    """Yield the place of each observed set in a state, where sets come last, and its function on NumPy."""
    first = len(program.machines) + len(program.folds) + len(program.terms)
    for grown in program.sets:
        sets = Sets(grown.function)
        count = len(sets.start(1))
        if grown.observed:
            yield slice(first, first + count), sets
        first += count


@dataclass(frozen=True)
class Extension:
    """An observation space with memory, and how an observation is put into it.

    Attributes:
        mode: The mode that was chosen.
        space: The space of one environment's extended observation.
        extend: `(obs, state) -> obs` for one environment.
        extend_batch: The same for B environments: leaves `[B, ...]`, state slots `[B]`.
    """

    mode: Observe
    space: spaces.Space[Any]
    extend: Callable[[Any, Sequence[Any]], Any]
    extend_batch: Callable[[Any, Sequence[Any]], Any]


def extension(program: Program, space: spaces.Space[Any], mode: Observe) -> Extension | None:
    """Return how memory enters the observation; None where there is nothing to add.

    Args:
        program: The program.
        space: Observation space of one environment.
        mode: `onehot` appends machine states one-hot and other memory as numbers; `index` appends (or multiplies in,
            for a Discrete space) the joint machine state; `dict` puts it beside the observation; `none` leaves it
            out; `auto` is `onehot` for vectors and Discrete spaces, else `dict`.

    Raises:
        UnsupportedError: When there is no such mode, or it does not fit the space.
    """
    if mode not in get_args(Observe):
        hint = f"One of: {list_names(get_args(Observe))}.{near_miss(str(mode), get_args(Observe))}"
        raise UnsupportedError(Problem("observe-mode", f"there is no `observe: {mode}`", hints=(hint,)))
    memory = Memory.of(program)
    if not memory or mode == "none":
        return None
    is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1
    if mode == "auto":
        mode = "onehot" if is_vector or isinstance(space, spaces.Discrete) else "dict"
    if mode == "dict":
        return _beside(memory, space)
    if mode == "index":
        return _indexed(memory, space)
    if is_vector:
        assert isinstance(space, spaces.Box)
        return _appended(memory, space)
    if isinstance(space, spaces.Discrete):
        return _one_hot_discrete(memory, space)
    raise _unfit("onehot", space)


def _unfit(mode: str, space: spaces.Space[Any]) -> UnsupportedError:
    return UnsupportedError(
        Problem(
            "observe-mode",
            f"`observe: {mode}` does not fit an observation of type {type(space).__name__} with shape {space.shape}",
            hints=("Use `observe: dict`, which puts the memory beside the observation, or `observe: none`.",),
        )
    )


def _float_type(space: spaces.Box) -> type:
    return np.float64 if space.dtype == np.float64 else np.float32


def _appended(memory: Memory, space: spaces.Box) -> Extension:
    low, high = memory.bounds()
    dtype: Any = _float_type(space)
    extended = spaces.Box(
        np.concatenate([space.low.astype(dtype), low.astype(dtype)]),
        np.concatenate([space.high.astype(dtype), high.astype(dtype)]),
        dtype=dtype,
    )
    size = space.shape[0]
    write = memory.writer(size, dtype)

    def extend(obs: Any, state: Sequence[Any]) -> Any:
        out = write(state)
        out[:size] = obs
        return out

    rows = memory.rows(size, dtype)
    if rows is not None:
        # One array filled and one copied is what this costs at least: it is the usual case, and in every step.
        heads, position = [row[:size] for row in rows], memory.machines[0][0]

        def extend(obs: Any, state: Sequence[Any]) -> Any:
            u = state[position]
            heads[u][...] = obs
            return rows[u].copy()

    def extend_batch(obs: Any, state: Sequence[Any]) -> Any:
        return np.concatenate([np.asarray(obs, dtype), memory.vectors(state).astype(dtype)], axis=1)

    return Extension("onehot", extended, extend, extend_batch)


def _one_hot_discrete(memory: Memory, space: spaces.Discrete) -> Extension:
    count, first = int(space.n), int(space.start)
    low, high = memory.bounds()
    zeros, ones = np.zeros(count, np.float32), np.ones(count, np.float32)
    extended = spaces.Box(np.concatenate([zeros, low]), np.concatenate([ones, high]), dtype=np.float32)
    write = memory.writer(count, np.float32)

    def extend(obs: Any, state: Sequence[Any]) -> Any:
        out = write(state)
        out[int(obs) - first] = 1.0
        return out

    def extend_batch(obs: Any, state: Sequence[Any]) -> Any:
        rows = np.zeros((len(obs), count), np.float32)
        rows[np.arange(len(obs)), np.asarray(obs) - first] = 1.0
        return np.concatenate([rows, memory.vectors(state)], axis=1)

    return Extension("onehot", extended, extend, extend_batch)


def _indexed(memory: Memory, space: spaces.Space[Any]) -> Extension:
    if memory.folds or memory.sets:
        raise UnsupportedError(
            Problem(
                "observe-mode",
                "`observe: index` cannot show memory that is numbers (counters, sums, what was visited)",
                hints=("Use `observe: onehot` or `observe: dict`.",),
            )
        )
    joint = memory.joint_states
    if isinstance(space, spaces.Discrete):
        count, first = int(space.n), int(space.start)

        def extend(obs: Any, state: Sequence[Any]) -> Any:
            return np.int64(memory.index(state) * count + obs - first)

        def extend_batch(obs: Any, state: Sequence[Any]) -> Any:
            return np.asarray(memory.index(state), np.int64) * count + np.asarray(obs) - first

        return Extension("index", spaces.Discrete(count * joint), extend, extend_batch)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        dtype: Any = _float_type(space)
        low = np.append(space.low, 0).astype(dtype)
        high = np.append(space.high, joint - 1).astype(dtype)

        def append(obs: Any, state: Sequence[Any]) -> Any:
            return np.append(obs, memory.index(state)).astype(dtype)

        def append_batch(obs: Any, state: Sequence[Any]) -> Any:
            column = np.asarray(memory.index(state))[:, None]
            return np.concatenate([obs, column], axis=1).astype(dtype)

        return Extension("index", spaces.Box(low, high, dtype=dtype), append, append_batch)
    raise _unfit("index", space)


def _beside(memory: Memory, space: spaces.Space[Any]) -> Extension:
    low, high = memory.bounds()
    box = spaces.Box(low, high, dtype=np.float32)
    write = memory.writer(0, np.float32)
    if isinstance(space, spaces.Dict):
        key = KEY
        while key in space.spaces:  # wrapped twice: the outer memory stands beside the inner one
            key += "_outer"
        extended: spaces.Space[Any] = spaces.Dict({**space.spaces, key: box})
        return Extension(
            "dict",
            extended,
            lambda obs, state: {**obs, key: write(state)},
            lambda obs, state: {**obs, key: memory.vectors(state)},
        )
    return Extension(
        "dict",
        spaces.Dict({"obs": space, KEY: box}),
        lambda obs, state: {"obs": obs, KEY: write(state)},
        lambda obs, state: {"obs": obs, KEY: memory.vectors(state)},
    )
