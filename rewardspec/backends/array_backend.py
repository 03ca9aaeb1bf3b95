"""What an array library must offer for programs to run on it; NumPy's and torch's are in `numpy_ops`, `torch_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewardspec.ir import expr as ir
from rewardspec.transition import Transition


@dataclass(frozen=True)
class Backend:
    """What an array library offers: one function per operation of the IR, and how values enter it.

    Attributes:
        name: `numpy` or `torch`.
        float_type: Floating type.
        ops: Elementwise operations by name (`add`, `lt`, `where`, `exp`, ...).
        reductions: Reductions over the trailing axes by name.
        batch_reductions: Reductions over B with a mask: `(values, active) -> scalar array`.
        constant: Python number, bool or NumPy array -> array on the device.
        full: (B, value, type) -> `[B]`.
        state_type: Number of states -> integer type.
        where: Elementwise choice.
        indicators: Comparisons by name that give 1 and 0 as numbers, where that is quicker than truth values.
        take: (table, index) -> table[index].
        packer: (bits, cells, B) -> function (state, truth values or ones and zeros) -> state * 2^bits + label.
        cast: (array, type) -> array of that type.
        as_float: array -> floating array.
        as_bool: array -> truth values.
        spread: (array or scalar, B) -> fresh floating `[B]`.
        read: (field, transition, B) -> array `[B, ...]`.
        flag: (value, B) -> `[B]` bool.
        quiet: Context in which floating-point warnings are off.
        expand: (array, number of axes) -> array with as many trailing axes of length 1.
        stack: (columns `[B]`, B) -> `[B, n]`.
        index: (array, subscript) -> part.
        index_type: Integer type that can index.
        reuses: Whether an operation can write its result into a buffer given as `out=`.
    """

    name: str
    float_type: Any
    ops: Mapping[str, Callable[..., Any]]
    reductions: Mapping[str, Callable[..., Any]]
    batch_reductions: Mapping[str, Callable[..., Any]]
    constant: Callable[[Any], Any]
    full: Callable[[int, Any, Any], Any]
    state_type: Callable[[int], Any]
    where: Callable[..., Any]
    indicators: Mapping[str, Callable[..., Any]]
    take: Callable[[Any, Any], Any]
    packer: Callable[[int, int, int], Callable[..., Any]]
    cast: Callable[[Any, Any], Any]
    as_float: Callable[[Any], Any]
    as_bool: Callable[[Any], Any]
    spread: Callable[[Any, int], Any]
    read: Callable[[ir.Field, Transition, int], Any]
    flag: Callable[[Any, int], Any]
    quiet: Callable[[], Any]
    expand: Callable[[Any, int], Any]
    stack: Callable[..., Any]
    index: Callable[[Any, tuple[Any, ...]], Any]
    index_type: Any
    reuses: Callable[[Callable[..., Any]], bool]

    def zeros(self, batch: int) -> Any:
        """Return `[B]` zeros."""
        return self.full(batch, 0.0, self.float_type)

    def total(self, terms: Sequence[Any], batch: int) -> Any:
        """Return the sum of the terms, `[B]`."""
        if not terms:
            return self.zeros(batch)
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result
