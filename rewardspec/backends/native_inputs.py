"""How a batched transition goes into a compiled loop: flat arrays of known length, numbers, bits.

Machine code checks no bounds, so every array is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rewardspec.backends.array import ArrayState
from rewardspec.backends.array_backend import Backend
from rewardspec.backends.native_text import MASKED_LABELS, extra_fields, leaves
from rewardspec.ir.layout import Layout
from rewardspec.transition import Transition

Order = Literal["rows", "columns"]
ROOTS = ("obs", "action", "next_obs")
"""The parts of a transition that hold arrays, in the order of a loop's arguments."""

_KINDS = frozenset(np.dtype(name) for name in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))


class Inputs:
    """Reads transitions of B environments for one program.

    Args:
        layout: The program bound to the spaces of one environment.
        batch: B.
        backend: Reads what lies in infos.
    """

    def __init__(self, layout: Layout, batch: int, backend: Backend) -> None:
        self.batch, self.backend, self.labels = batch, backend, layout.labels
        self.shape = (batch,)
        self.parts = {
            root: [(path, (batch, *layout.arrays[root, path])) for path in leaves(layout, root)]
            for root in ROOTS
            if leaves(layout, root)
        }
        listed = [(root, *part) for root, parts in self.parts.items() for part in parts]
        self.alone = listed[0][::2] if len(listed) == 1 and not listed[0][1] else None
        self.reads_reward = any(field.root == "reward" for field in layout.shapes)
        self.extra_fields = extra_fields(layout)
        self.params = {p.name: p.initial for p in layout.program.params}
        self.initial = np.array(list(self.params.values()), np.float64)
        self.no_flags = np.zeros(batch, np.bool_)

    def state(self, state: ArrayState) -> ArrayState:
        """Return the slots of a state as arrays `[B]`."""
        for slot in state:
            if type(slot) is not np.ndarray or slot.shape != self.shape or slot.dtype not in _KINDS:
                return tuple([self.checked(np.asarray(slot)) for slot in state])
        return state

    def transition(self, transition: Transition) -> tuple[Order, tuple[Any, ...]]:
        """Return how arrays lie in memory, and all that a loop reads, in the order of its arguments."""
        order, *observed = self.observed(transition)
        reward = self.numbers(transition.reward) if self.reads_reward else 0.0
        flags = self.flags(transition.terminated), self.flags(transition.truncated)
        return order, (*observed, reward, *flags, self.extra(transition), self.label(transition.label))

    def observed(self, transition: Transition) -> tuple[Order, Any, Any, Any]:
        """Return how arrays lie in memory, then `obs`, `action` and `next_obs` as flat arrays or tuples of such."""
        if (
            self.alone is not None
        ):  # the usual case; at B = 4,096 the rest of this would take as long as the loop
            root, shape = self.alone
            array = getattr(transition, root)
            is_plain = type(array) is np.ndarray and array.shape == shape and array.dtype in _KINDS
            if is_plain and array.flags.c_contiguous:
                read: list[Any] = [0, 0, 0]
                read[ROOTS.index(root)] = array.ravel()
                return "rows", *read
        found = {
            root: [self.leaf(getattr(transition, root), *part) for part in parts]
            for root, parts in self.parts.items()
        }
        arrays = [array for listed in found.values() for array in listed]
        is_c = all([array.flags.c_contiguous for array in arrays])
        is_f = not is_c and all([array.flags.f_contiguous and array.ndim <= 2 for array in arrays])
        order: Order = "columns" if is_f else "rows"
        flat: dict[str, Any] = {}
        for root, listed in found.items():
            joined = [array.ravel("K" if is_f else "C") for array in listed]
            flat[root] = tuple(joined) if self.parts[root][0][0] else joined[0]
        return order, flat.get("obs", 0), flat.get("action", 0), flat.get("next_obs", 0)

    def leaf(self, value: Any, path: tuple[Any, ...], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the array to which keys lead."""
        for key in path:
            value = value[key if isinstance(key, str) else key[0]]
        return self.checked(np.asarray(value), shape)

    def checked(self, array: npt.NDArray[Any], shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
        """Return an array of numbers that numba knows.

        Raises:
            ValueError: When the shape is another.
        """
        if array.shape != (shape or self.shape):
            raise ValueError(f"an array has the shape {array.shape}, not {shape or self.shape}")
        return array if array.dtype in _KINDS else array.astype(np.float64)

    def numbers(self, value: Any) -> npt.NDArray[Any]:
        """Return a number for every environment."""
        array = np.asarray(value)
        return np.ascontiguousarray(self.checked(array)) if array.ndim else np.full(self.batch, float(array))

    def flags(self, value: Any) -> npt.NDArray[np.bool_]:
        """Return a truth value for every environment."""
        if value is False:
            return self.no_flags
        array = np.asarray(value, np.bool_)
        if not array.ndim:
            return np.full(self.batch, bool(array))
        if array.shape != (self.batch,):
            raise ValueError(f"flags have the shape {array.shape}, not {(self.batch,)}")
        return np.ascontiguousarray(array)

    def extra(self, transition: Transition) -> Any:
        """Return the numbers of info and future, flat `[B * I]`."""
        if not self.extra_fields:
            return 0
        columns = np.empty((self.batch, len(self.extra_fields)))
        for i, field in enumerate(self.extra_fields):
            columns[:, i] = self.backend.read(field, transition, self.batch)
        return columns.ravel()

    def label(self, label: Any) -> Any:
        """Return the labels as bits, `[B]` int64; where they are too many, as truth values, flat `[B * L]`.

        Raises:
            ValueError: When an array of bits has not the shape `[B]`, or of truth values `[B, L]`.
        """
        if not self.labels:
            return 0
        if not isinstance(label, Mapping):
            array = np.asarray(label)
            bits = len(self.labels) <= MASKED_LABELS
            shape = (self.batch,) if bits else (self.batch, len(self.labels))
            if array.shape != shape or array.dtype.kind not in "iub":
                raise ValueError(f"labels have the shape {array.shape} and type {array.dtype}, not {shape}")
            return np.ascontiguousarray(array, np.int64 if bits else np.bool_).ravel()
        columns = [self.flags(label[name]) for name in self.labels]
        if len(columns) > MASKED_LABELS:
            return np.stack(columns, axis=1).ravel()
        joined = np.zeros(self.batch, np.int64)
        for i, column in enumerate(columns):
            joined |= column.astype(np.int64) << i
        return joined

    def parameters(self, given: Mapping[str, Any] | None) -> npt.NDArray[np.float64]:
        """Return the values of the parameters, `[P]`."""
        if not given:
            return self.initial
        return np.array([given.get(name, initial) for name, initial in self.params.items()], np.float64)
