"""Many programs in one padded table: each environment of a batch is paid by its own spec, without a branch.

A program that pays by machines is a finite thing: given the joint state of its machines and the truth values that it
reads, what it pays and where it goes is known. So it is run once over every joint state and every label, by the array
backend itself, and the answers are kept: next state, payment, end. Labels that no state tells apart become one class,
so that a column is a class and not one of 2^P labels. Tables of M specs are padded to one shape and stacked:

    class = class_of[m, label]        cell = ((m * U) + u) * C + class        next[cell], pay[cell], ends[cell]

Numbers that a program reads beside its truth values (`reward`, `-abs(action)`, an edge that pays `next_obs[0]`) are
*readings*. Each distinct one is computed once for the whole batch, and enters with the weight that the table gives:

    reward = pay[cell, 0] + sum over k of pay[cell, k] * reading[k]

which is exact for every program that is affine in its readings; others are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.backends.array import ArrayProgram, compile_array
from rewardspec.errors import Place, Problem, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Program, Proposition, Term
from rewardspec.transition import Transition

if TYPE_CHECKING:
    from torch import Tensor

MAX_BITS = 16
"""Truth values that one program may read: its classes are found among 2^16 labels."""

MAX_ROWS = 1 << 22
"""Joint states times labels of one program."""

TERMINATED, TRUNCATED = 1, 2
"""Bits of the table of ends."""


@dataclass(frozen=True)
class MachineTable:
    """A program as a table over joint machine states and classes of labels.

    P truth values, K readings, U joint states that can be reached, C classes.

    Attributes:
        bits: The P truth values that the program reads, as expressions over a transition.
        readings: The K numbers that it reads.
        class_of: `[2^P]` int64: label -> class; bit i of a label is `bits[i]`.
        next: `[U, C]` int64.
        pay: `[U, C, 1 + K]` float64: what is paid, and the weight of each reading.
        ends: `[U, C]` int64: `TERMINATED`, `TRUNCATED` or both where the program ends the episode.
        states: Per joint state, the state of every machine; the first is the one at the start.
        live: How many of the states, the first ones, an episode goes on in; the others are come to as it ends.
    """

    bits: tuple[Expr, ...]
    readings: tuple[Expr, ...]
    class_of: npt.NDArray[np.int64]
    next: npt.NDArray[np.int64]
    pay: npt.NDArray[np.float64]
    ends: npt.NDArray[np.int64]
    states: tuple[tuple[int, ...], ...]
    live: int


# -- one program -------------------------------------------------------------------------------------------


def tabulate_program(layout: Layout) -> MachineTable:
    r"""Return a program as a table.

    Args:
        layout: The program, bound to the spaces of one environment.

    Raises:
        UnsupportedError: `unfit-stack` for memory that is a number (counters, sums, running statistics), for a
            payment that is not affine in what it reads, and for programs that are too large.

    Example:
        >>> from rewardspec import loads
        >>> from rewardspec.compiler import compile_spec
        >>> spec = loads("propositions: {a: next_obs > 1, b: next_obs > 2}\nreward: {ltl: F a & G !b}")
        >>> table = tabulate_program(bind(compile_spec(spec), spaces.Discrete(4)))
        >>> table.class_of.tolist(), table.next.tolist(), table.live
        ([0, 1, 2, 2], [[0, 2, 1], [1, 1, 1], [2, 2, 1]], 1)
        >>> table.pay[0, :, 0].tolist(), table.ends[0].tolist()
        ([0.0, 1.0, 0.0], [0, 1, 1])
    """
    split = _Split(layout)
    program = layout.program
    if program.folds:
        raise _unfit(f"'{program.folds[0].name}' is a number that is remembered from step to step", Place())
    if program.sets:
        raise _unfit(f"'{program.sets[0].name}' is a set that grows from step to step", program.sets[0].place)
    bits, count = list(split.bits), len(split.bits)
    sizes = [len(machine.states) for machine in program.machines]
    joint = int(np.prod(sizes, dtype=object)) if sizes else 1
    if count > MAX_BITS or joint << count > MAX_ROWS:
        reason = f"{joint} joint machine states times {count} truth values are too many for a table"
        raise _unfit(reason, Place(), f"At most {MAX_BITS} truth values and {MAX_ROWS} cells.")
    answers = _ask(split, joint)
    nexts, ends, pay = answers
    start = int(np.ravel_multi_index([m.start for m in program.machines], sizes)) if sizes else 0
    kept, live = _reachable(nexts, ends, start)
    number = np.zeros(joint, np.int64)  # what follows the end of an episode does not matter
    number[kept] = np.arange(len(kept))
    nexts, ends, pay = number[nexts[kept]], ends[kept], pay[kept]
    # One row per label: labels with equal rows are one class.
    rows = np.concatenate([nexts[..., None], ends[..., None], pay], axis=2).transpose(1, 0, 2)
    _, first, class_of = np.unique(
        rows.reshape(1 << count, -1), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)  # classes in the order of the labels: that of silence is 0
    rank = np.argsort(order)
    first = first[order]
    return MachineTable(
        tuple(bits),
        tuple(split.readings),
        rank[class_of.reshape(-1)],
        nexts[:, first],
        pay[:, first],
        ends[:, first],
        tuple(tuple(int(i) for i in np.unravel_index(u, sizes)) if sizes else () for u in kept),
        live,
    )


def _reachable(
    nexts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], start: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the states that can be reached and how many of them, the first ones, an episode goes on in."""
    live, frontier = {start: None}, [start]
    while frontier:
        goes_on = nexts[frontier][ends[frontier] == 0]
        frontier = [int(u) for u in np.unique(goes_on) if int(u) not in live]
        live.update(dict.fromkeys(frontier))
    found = list(live)
    over = [int(u) for u in np.unique(nexts[found]) if int(u) not in live]
    return np.array(found + over, np.int64), len(live)


def _ask(
    split: _Split, joint: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Run the program over every joint state, label and unit of reading: next and ends `[U, L]`, pay `[U, L, 1+K]`."""
    program, count, known = split.program, len(split.bits), len(split.readings)
    labels = 1 << count
    sizes = [len(machine.states) for machine in program.machines]
    space = spaces.Box(-np.inf, np.inf, (max(known, 1),), np.float64)
    runner = compile_array(bind(program, space, None), labels, "numpy", dtype="float64")
    label = {_bit(i): (np.arange(labels) >> i & 1).astype(bool) for i in range(count)}
    never = np.zeros(labels, np.bool_)
    flags = {
        how: label[_bit(split.bits[at])] if (at := ir.Field(how)) in split.bits else never
        for how in ("terminated", "truncated")
    }
    nexts, ends = np.zeros((joint, labels), np.int64), np.zeros((joint, labels), np.int64)
    pay = np.zeros((joint, labels, 1 + known))
    step = Transition(label=label, terminated=flags["terminated"], truncated=flags["truncated"])
    blank = runner.init()
    for u in range(joint):
        own = np.unravel_index(u, sizes) if sizes else ()
        state = (
            tuple(np.full_like(old, new) for old, new in zip(blank, own, strict=False)) + blank[len(sizes) :]
        )
        for k in range(known + 1):
            units = np.zeros((labels, max(known, 1)))
            if k:
                units[:, k - 1] = 1.0
            news, outcome = runner.step(state, replace(step, next_obs=units))
            pay[u, :, k] = outcome.reward
        if sizes:
            nexts[u] = np.ravel_multi_index([news[i].astype(np.int64) for i in range(len(sizes))], sizes)
        ends[u] = (outcome.terminated & ~flags["terminated"]) * TERMINATED
        ends[u] += (outcome.truncated & ~flags["truncated"]) * TRUNCATED
    pay[:, :, 1:] -= pay[:, :, :1]
    return nexts, ends, pay


class _Split:
    """A program over truth values and readings by number, and what they stand for.

    Attributes:
        bits: Expression of each truth value -> its number.
        readings: Expression of each reading -> its number.
        program: The program that reads `label.b<i>` and `next_obs[k]` in their place.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout, program = layout, layout.program
        self.bits: dict[Expr, int] = {}
        self.readings: dict[Expr, int] = {}
        self._initial: dict[str, float] = {p.name: p.initial for p in program.params}
        self._place = Place()
        self._meaning = {p.name: self._settled(p.expr) for p in program.propositions}
        read = {name for machine in program.machines for name in machine.propositions}
        propositions = tuple(
            Proposition(p.name, self._truth(self._meaning[p.name]))
            for p in program.propositions
            if p.name in read
        )
        terms = []
        for term in program.terms:
            self._place = term.place
            terms.append(replace(term, expr=self._rewritten(self._settled(term.expr))[0]))
        self._place = Place()
        ends = tuple(replace(end, when=self._truth(self._settled(end.when))) for end in program.ends)
        self.program = replace(
            program,
            propositions=propositions,
            terms=tuple(terms),
            ends=ends,
            params=(),
            machines=program.machines,
            verdicts=(),
            labels=None,
        )

    def _settled(self, expr: Expr) -> Expr:
        """Return the expression with the parameters' initial values and with the propositions' own expressions."""

        def settle(node: Expr) -> Expr:
            if isinstance(node, ir.Param):
                return ir.Const(float(self._initial[node.name]))
            if isinstance(node, ir.Holds):
                found = next(p.expr for p in self.layout.program.propositions if p.name == node.name)
                return ir.rewrite(found, settle)
            return node

        return ir.rewrite(expr, settle)

    def _truth(self, expr: Expr) -> Expr:
        rewritten, has_reading = self._rewritten(expr)
        if has_reading:
            raise _unfit("a condition compares what is read with a machine's state", self._place)
        return rewritten

    def _rewritten(self, expr: Expr) -> tuple[Expr, bool]:
        """Return the expression over bits and readings, and whether it has a reading in it."""
        nodes = list(ir.walk(expr))
        if any(isinstance(node, ir.Reduce) and node.axis == "B" for node in nodes):
            raise _unfit("it reads the other environments of the batch, which have other specs", self._place)
        if any(isinstance(node, ir.Memory) for node in nodes):
            raise _unfit("it remembers a number from step to step", self._place)
        for node in nodes:
            if isinstance(node, ir.Ended):
                for how in ("terminated", "truncated"):
                    self.bits.setdefault(ir.Field(how), len(self.bits))
        reads = any(isinstance(node, ir.Field) for node in nodes)
        alone = not any(isinstance(node, ir.StateTable | ir.OutputTable | ir.Ended) for node in nodes)
        if alone and not reads:
            return expr, False
        if isinstance(expr, ir.StateTable | ir.OutputTable | ir.Ended):
            return expr, False
        scalar = self.layout.shape(expr) == ()
        if alone and scalar and ir.is_boolean(expr) and not isinstance(expr, ir.Unary | ir.Where):
            return ir.Field("label", (_bit(self.bits.setdefault(expr, len(self.bits))),)), False
        if alone and scalar and not any(ir.is_boolean(node) for node in nodes):
            at = self.readings.setdefault(expr, len(self.readings))
            return ir.Field("next_obs", ((at,),)), True
        before = dict(self.bits), dict(self.readings)
        try:
            return self._parts(expr)
        except UnsupportedError:
            if not alone or not scalar:
                raise
        # Not affine in its parts, but without a machine's state in it: the whole is one reading.
        self.bits, self.readings = before
        at = self.readings.setdefault(expr, len(self.readings))
        return ir.Field("next_obs", ((at,),)), True

    def _parts(self, expr: Expr) -> tuple[Expr, bool]:
        done = [self._rewritten(child) for child in ir.children(expr)]
        made, reading = [part for part, _ in done], [has for _, has in done]
        match expr:
            case ir.Unary("neg", _):
                affine = True
            case ir.Binary("add" | "sub", _, _) | ir.Combine("sum", _):
                affine = True
            case ir.Binary("mul", _, _) | ir.Combine("product", _):
                affine = sum(reading) <= 1
            case ir.Binary("div", _, _):
                affine = not reading[1]
            case ir.Where():
                affine = not reading[0]
            case _:
                affine = not any(reading)
        if not affine:
            raise _unfit("what it pays is not affine in the numbers that it reads", self._place)
        return _with_children(expr, made), any(reading)


def _with_children(expr: Expr, parts: Sequence[Expr]) -> Expr:
    """Return the operation over other operands."""
    match expr:
        case ir.Unary():
            return replace(expr, x=parts[0])
        case ir.Binary() | ir.Compare():
            return replace(expr, a=parts[0], b=parts[1])
        case ir.Where():
            return replace(expr, condition=parts[0], a=parts[1], b=parts[2])
        case ir.Reduce() | ir.Index():
            return replace(expr, x=parts[0])
        case ir.Vector():
            return replace(expr, items=tuple(parts))
        case ir.Logic() | ir.Combine() | ir.Call():
            return replace(expr, args=tuple(parts))
    raise TypeError(f"not an operation: {expr!r}")


def _bit(i: int) -> str:
    return f"b{i}"


def _unfit(reason: str, place: Place, *hints: str) -> UnsupportedError:
    more = hints or ("Train on this spec alone: wrap_tensor pays by any program.",)
    return UnsupportedError(Problem("unfit-stack", f"a spec cannot be one of a stack: {reason}", place, more))


# -- many programs, on the device --------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What the specs of a stack read on one step, for B environments.

    Attributes:
        bits: `[B, P + 1]` int64 of 0 and 1, every truth value that any spec reads; the last is always 0.
        values: `[B, K]` floating, every reading of any spec.
        terminated: `[B]` bool, the environment's own.
        truncated: `[B]` bool, likewise.
    """

    bits: Tensor
    values: Tensor
    terminated: Tensor
    truncated: Tensor


class StackedMachines:
    """The tables of M specs, padded to one shape, on a device.

    Attributes:
        names: Names of the specs.
        tables: The table of each, not padded.
        states: U, the most joint states of any.
        classes: C, the most classes of any.
        live: `[M]` int64, how many states of each, the first ones, an episode goes on in. Each starts in state 0.
        readings: The K numbers that the specs read: columns of `Reading.values`.
        reads: `[M, K]` bool, which spec reads which.
    """

    def __init__(
        self, layouts: Mapping[str, Layout], batch: int, *, device: str = "cpu", dtype: Any = "float32"
    ) -> None:
        """Tabulate the programs and lay them on the device.

        Args:
            layouts: The programs by name, each bound to the same spaces.
            batch: B, for readings.
            device: Torch device.
            dtype: `float32` or `float64`, for payments.

        Raises:
            UnsupportedError: `unfit-stack`, with the name of the spec that does not fit; `unknown-device`.
        """
        import torch

        self.names = tuple(layouts)
        self.tables: tuple[MachineTable, ...] = tuple(_named(name, layouts[name]) for name in layouts)
        bits = {bit: None for table in self.tables for bit in table.bits}
        readings = {reading: None for table in self.tables for reading in table.readings}
        self._reader = _reader(layouts, tuple(bits), tuple(readings), batch, device, dtype)
        kind = self._reader.backend.float_type
        specs, self.states = len(self.tables), max(len(table.next) for table in self.tables)
        self.classes = max(table.next.shape[1] for table in self.tables)
        width = max(max(len(table.bits) for table in self.tables), 1)
        columns = np.full((specs, width), len(bits))  # the column that is always 0
        class_of = np.zeros((specs, 1 << width), np.int64)
        nexts = np.zeros((specs, self.states, self.classes), np.int64)
        ends = np.zeros_like(nexts)
        pay = np.zeros((specs, self.states, self.classes, 1 + len(readings)))
        number_of_bit = {bit: i for i, bit in enumerate(bits)}
        number_of_reading = {reading: i for i, reading in enumerate(readings)}
        for m, table in enumerate(self.tables):
            u, c = table.next.shape
            columns[m, : len(table.bits)] = [number_of_bit[bit] for bit in table.bits]
            class_of[m, : len(table.class_of)] = table.class_of
            nexts[m, :u, :c], ends[m, :u, :c], pay[m, :u, :c, 0] = table.next, table.ends, table.pay[..., 0]
            for k, reading in enumerate(table.readings, 1):
                pay[m, :u, :c, 1 + number_of_reading[reading]] = table.pay[..., k]
        self._bits, self._values = len(bits), len(readings)
        self.readings = tuple(readings)
        read = [[reading in table.readings for reading in readings] for table in self.tables]
        self.reads = torch.as_tensor(np.array(read, bool).reshape(specs, len(readings)), device=device)
        self._columns = torch.as_tensor(columns, device=device)
        self._place_value = torch.as_tensor(1 << np.arange(width), device=device)
        self._class_of = torch.as_tensor(class_of, device=device).flatten()
        self._next = torch.as_tensor(nexts, device=device).flatten()
        self._ends = torch.as_tensor(ends, device=device).flatten()
        self._pay = torch.as_tensor(pay, device=device, dtype=kind).flatten(0, 2)
        self._labels = class_of.shape[1]
        self._none = torch.zeros(batch, dtype=kind, device=device)
        self.live = torch.as_tensor([table.live for table in self.tables], device=device)

    def read(self, transition: Transition) -> Reading:
        """Return what the specs read on a batched transition, each thing once."""
        import torch

        _, outcome = self._reader.step(self._reader.init(), transition)
        found = [*outcome.terms, self._none]
        bits = torch.stack([*found[: self._bits], self._none], dim=1).to(torch.int64)
        values = (
            torch.stack(found[self._bits : -1], dim=1) if self._values else self._none.new_zeros(len(bits), 0)
        )
        return Reading(bits, values, outcome.terminated, outcome.truncated)

    def classify(self, spec: Tensor, bits: Tensor) -> Tensor:
        """Return the class of labels for specs: `[...]` int64 from `[...]` int64 and `[..., P + 1]` of a reading."""
        own = bits.gather(-1, self._columns[spec])
        return self._class_of[spec * self._labels + (own * self._place_value).sum(-1)]

    def step(
        self, spec: Tensor, u: Tensor, classes: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step machines: of B environments, or of any states that one wants to know about.

        Args:
            spec: `[...]` int64, whose machine.
            u: `[...]` int64, its state.
            classes: `[...]` int64, the class of the label for that spec.
            values: `[..., K]` readings.

        Returns:
            Next state, reward, and whether the program ends the episode by terminating and by truncating it,
            all `[...]`; the environment's own flags are not in them.
        """
        import torch

        cell = (spec * self.states + u) * self.classes + classes
        pay = self._pay[cell]
        reward = pay[..., 0]
        if self._values:
            weight = pay[..., 1:]
            # A reading that is not this spec's may be infinite, and 0 times infinity is NaN.
            reward = reward + torch.where(weight != 0, weight * values, torch.zeros_like(weight)).sum(-1)
        ends = self._ends[cell]
        return self._next[cell], reward, (ends & TERMINATED) != 0, (ends & TRUNCATED) != 0


def terms_with(layout: Layout, reading: Expr) -> list[Term]:
    """Return the terms of a tabulated program that pay by a reading of its table."""
    program = layout.program
    alone = ((term, replace(program, terms=(term,))) for term in program.terms)
    return [term for term, one in alone if reading in _Split(replace(layout, program=one)).readings]


def _named(name: str, layout: Layout) -> MachineTable:
    try:
        return tabulate_program(layout)
    except UnsupportedError as error:
        raise UnsupportedError(
            [replace(problem, message=f"'{name}': {problem.message}") for problem in error.problems]
        ) from None


def _reader(
    layouts: Mapping[str, Layout],
    bits: tuple[Expr, ...],
    readings: tuple[Expr, ...],
    batch: int,
    device: str,
    dtype: Any,
) -> ArrayProgram:
    """Return one array program whose terms are everything that any spec reads."""
    terms = tuple(Term(f"read{i}", "markov", expr) for i, expr in enumerate((*bits, *readings)))
    program = Program("stack", None, (), (), (), (), terms, ())
    shapes = {field: shape for layout in layouts.values() for field, shape in layout.shapes.items()}
    arrays = {key: shape for layout in layouts.values() for key, shape in layout.arrays.items()}
    labels = tuple(dict.fromkeys(name for layout in layouts.values() for name in layout.labels))
    return compile_array(Layout(program, shapes, arrays, labels), batch, "torch", dtype=dtype, device=device)
