"""B environments at once, on NumPy or torch (CPU or CUDA): the program becomes a list of array operations.

Compiling writes a tape: instructions over numbered registers, each a function of an array library. A step runs the
tape; it has no branch that depends on data, so torch on CUDA can capture it in a graph. Machines step by a table of
(state, label) where few propositions are read, else by comparing every edge of the present state with the label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rewardspec.backends.array_backend import Backend
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Machine, SetMemory
from rewardspec.sets.family import Sets
from rewardspec.transition import Outcome, Transition

TABLED_CELLS = 1 << 16
"""Machines with at most this many (state, label) pairs step by a table."""

Register = int
ArrayState = tuple[Any, ...]
"""Machine states `[B]` integer, folds `[B]`, the episode's total of each term `[B]` (None where the host keeps none),
what sets remember `[B, ...]`."""


@dataclass(frozen=True)
class ArrayProgram:
    """A program for B environments.

    Attributes:
        layout: The program bound to the spaces of one environment.
        batch: B.
        backend: The array library with its device and floating type.
    """

    layout: Layout
    batch: int
    backend: Backend
    tape: tuple[Instruction, ...] = field(repr=False)
    blank: list[Any] = field(repr=False)
    inputs: Mapping[str, Register]
    fields: tuple[tuple[ir.Field, Register], ...]
    outputs: Outputs
    reusable: frozenset[Register]
    sets: tuple[Sets, ...] = ()
    buffers: dict[Register, Any] = field(default_factory=dict, repr=False, compare=False)

    def init(self) -> ArrayState:
        """Return the state at the start of a run."""
        return (*self._start(), *(part for each in self.sets for part in each.start(self.batch)))

    def _start(self) -> ArrayState:
        """Return the numbers at the start of a run."""
        program, lib = self.layout.program, self.backend
        return (
            *(lib.full(self.batch, m.start, lib.state_type(len(m.states))) for m in program.machines),
            *(lib.full(self.batch, f.start, lib.float_type) for f in program.folds),
            *(lib.full(self.batch, 0.0, lib.float_type) for _ in program.terms),
        )

    def reset(self, state: ArrayState, mask: Any) -> ArrayState:
        """Return the state with new episodes begun where `mask` (`[B]` bool) holds; run-scope folds are kept."""
        program, lib = self.layout.program, self.backend
        fresh = (*self._start(), *(part for each in self.sets for part in each.start(1)))
        first = len(program.machines)
        kept = {first + i for i, fold in enumerate(program.folds) if fold.scope == "run"}
        return tuple(
            None if old is None else old if i in kept else lib.where(_spread(mask, old), new, old)
            for i, (old, new) in enumerate(zip(state, fresh, strict=True))
        )

    def step(
        self,
        state: ArrayState,
        transition: Transition,
        params: Mapping[str, Any] | None = None,
        active: Any = None,
        values: Sequence[Any] | None = None,
    ) -> tuple[ArrayState, Outcome]:
        """Return the next state and the outcome.

        Args:
            state: State before the step.
            transition: Leaves `[B, ...]`; arrays of the backend's library are read as they are.
            params: Values of parameters where they differ from their initial ones.
            active: `[B]` bool; environments that are not active keep their state and are paid 0 (they were being
                reset on this step). All when None.
            values: What `read` gave for the transition, where the host has asked it already; more may follow.

        Returns:
            State and outcome; the outcome's `reward` is `[B]` of the floating type, `terminated` and `truncated` are
            `[B]` bool. Rewards that are not finite come out as they are: hosts must check.
        """
        lib, program = self.backend, self.layout.program
        regs: list[Any] = self.blank.copy()
        for register, value in zip(
            self.inputs.values(), self._inputs(transition, params, active), strict=True
        ):
            regs[register] = value
        for register, value in zip(self.outputs.state_inputs, state, strict=False):
            regs[register] = value
        sets = self.outputs.set_inputs
        for register, value in zip(sets, state[len(state) - len(sets) :], strict=True):
            regs[register] = value
        values = self.read(transition) if values is None else values
        for (_, register), value in zip(self.fields, values, strict=False):
            regs[register] = value
        buffers = self.buffers
        with lib.quiet():
            for run, arguments, target, spent in self.tape:
                if target in buffers:
                    regs[target] = run(*[regs[a] for a in arguments], out=buffers[target])
                else:
                    regs[target] = run(*[regs[a] for a in arguments])
                for register in spent:
                    regs[register] = None
        if not buffers and self.reusable:
            buffers.update(
                {target: regs[target] for target in self.reusable if getattr(regs[target], "ndim", 0)}
            )
        out = self.outputs
        terms = tuple(regs[r] for r in out.terms)
        machines, folds = len(program.machines), len(program.folds)
        totals = tuple(
            None if s is None else s + t for s, t in zip(state[machines + folds :], terms, strict=False)
        )
        grown = (regs[r] for r in out.set_outputs)
        news = (*(regs[r] for r in out.state_outputs), *totals, *grown)
        reward = lib.total(terms, self.batch)
        if active is not None:
            run_scope = {machines + i for i, f in enumerate(program.folds) if f.scope == "run"}
            news = tuple(
                None if new is None else new if i in run_scope else lib.where(_spread(active, new), new, old)
                for i, (new, old) in enumerate(zip(news, state, strict=True))
            )
            reward = lib.where(active, reward, lib.zeros(self.batch))
            terms = tuple(lib.where(active, t, lib.zeros(self.batch)) for t in terms)
        return news, Outcome(reward, regs[out.terminated], regs[out.truncated], terms)

    def read(self, transition: Transition) -> list[Any]:
        """Return what a step reads of a transition, `[B, ...]` in the order of `fields`."""
        return [self.backend.read(declared, transition, self.batch) for declared, _ in self.fields]

    def _inputs(self, transition: Transition, params: Mapping[str, Any] | None, active: Any) -> list[Any]:
        lib, program = self.backend, self.layout.program
        given = params or {}
        values = [lib.flag(transition.terminated, self.batch), lib.flag(transition.truncated, self.batch)]
        if "active" in self.inputs:
            values.append(lib.flag(True if active is None else active, self.batch))
        values.extend(given.get(p.name, p.initial) for p in program.params)
        return values


Instruction = tuple[Callable[..., Any], tuple[Register, ...], Register, tuple[Register, ...]]
"""A function, where its arguments lie, where its result goes, and what nothing reads any more."""


@dataclass(frozen=True)
class Outputs:
    """Registers where a step's results lie."""

    state_inputs: tuple[Register, ...]
    state_outputs: tuple[Register, ...]
    terms: tuple[Register, ...]
    terminated: Register
    truncated: Register
    set_inputs: tuple[Register, ...] = ()
    set_outputs: tuple[Register, ...] = ()


def compile_array(
    layout: Layout,
    batch: int,
    library: Literal["numpy", "torch"] = "numpy",
    *,
    dtype: Literal["float32", "float64"] | None = None,
    device: str = "cpu",
) -> ArrayProgram:
    """Return the program for B environments.

    Args:
        layout: The program bound to the spaces of one environment.
        batch: B.
        library: `numpy` or `torch`.
        dtype: Floating type; float64 for NumPy and float32 for torch when not given.
        device: Torch device.

    Raises:
        UnsupportedError: `needs-whole-episodes` never here: futures are read from the transition.
        MissingExtraError: When torch is not installed.
    """
    backend = _backend(library, dtype, device)
    sets = tuple(Sets(grown.function, library, device=device) for grown in layout.program.sets)
    return _Compiler(layout, batch, backend, sets).compile()


def _backend(library: str, dtype: str | None, device: str) -> Backend:
    if library == "numpy":
        from rewardspec.backends.numpy_ops import numpy_backend

        return numpy_backend(dtype or "float64")
    if library == "torch":
        from rewardspec.backends.torch_ops import torch_backend

        return torch_backend(dtype or "float32", device)
    raise UnsupportedError(
        Problem("unknown-backend", f"there is no array library '{library}': numpy or torch")
    )


class _Compiler:
    """Writes the tape, each expression once."""

    def __init__(self, layout: Layout, batch: int, backend: Backend, sets: tuple[Sets, ...]) -> None:
        self.sets, self.grown = sets, dict[str, tuple[Register, tuple[Register, ...]]]()
        self.layout, self.program, self.batch, self.lib = layout, layout.program, batch, backend
        self.tape: list[tuple[Callable[..., Any], tuple[Register, ...], Register]] = []
        self.constants: dict[Register, Any] = {}
        self.known: dict[Expr, Register] = {}
        self.fields: dict[ir.Field, Register] = {}
        self.count = 0
        self.indices: dict[str, Register] = {}
        self.cells: dict[str, list[int]] = {}
        self.outputs_of: dict[str, Register] = {}
        self.states: dict[tuple[str, bool], Register] = {}
        self.memories: dict[str, Register] = {}
        self.interned: dict[Any, Register] = {}
        self.bits: dict[Expr, Register] = {}
        self.numbers: dict[Register, Register] = {}
        self.uses = Counter(node for root in self.program.roots() for node in ir.walk(root))

    def compile(self) -> ArrayProgram:
        program = self.program
        inputs: dict[str, Register] = {"terminated": self.fresh(), "truncated": self.fresh()}
        if any(isinstance(n, ir.Reduce) and n.axis == "B" for root in program.roots() for n in ir.walk(root)):
            inputs["active"] = self.fresh()
        inputs.update({f"param:{p.name}": self.fresh() for p in program.params})
        self.inputs = inputs
        for machine in program.machines:
            self.states[machine.name, False] = self.fresh()
        for fold in program.folds:
            self.memories[fold.name] = self.fresh()
        state_inputs = (*(self.states[m.name, False] for m in program.machines), *self.memories.values())
        parts = [len(sets.start(1)) for sets in self.sets]
        set_inputs = {
            s.name: [self.fresh() for _ in range(n)] for s, n in zip(program.sets, parts, strict=True)
        }
        for machine in program.machines:
            self.step_machine(machine)
        for grown, sets in zip(program.sets, self.sets, strict=True):
            self.grow(grown, sets, set_inputs[grown.name])
        terms = tuple(self.batched(term.expr) for term in program.terms)
        folds = tuple(self.batched(fold.update) for fold in program.folds)
        terminated, truncated = self.ended("terminated"), self.ended("truncated")
        outputs = Outputs(
            state_inputs,
            (*(self.states[m.name, True] for m in program.machines), *folds),
            terms,
            terminated,
            truncated,
            tuple(register for registers in set_inputs.values() for register in registers),
            tuple(register for _, registers in self.grown.values() for register in registers),
        )
        # Results that leave the step, and what they may share memory with, must be fresh every time.
        leaving = {*outputs.state_outputs, *terms, terminated, truncated}
        passed = {
            a
            for run, arguments, target in self.tape
            if target in leaving and not self.lib.reuses(run)
            for a in arguments
        }
        reusable = frozenset(
            target for run, _, target in self.tape if self.lib.reuses(run) and target not in leaving | passed
        )
        return ArrayProgram(
            self.layout,
            self.batch,
            self.lib,
            tuple(self.instructions({*leaving, *outputs.set_outputs, *reusable})),
            [self.constants.get(register) for register in range(self.count)],
            inputs,
            tuple(self.fields.items()),
            outputs,
            reusable,
            self.sets,
        )

    def instructions(self, leaving: set[Register]) -> Iterator[Instruction]:
        """Give the tape with what each instruction is the last to read: memory that is free again is still near."""
        last = {a: i for i, (_, arguments, _) in enumerate(self.tape) for a in arguments}
        for i, (run, arguments, target) in enumerate(self.tape):
            yield run, arguments, target, tuple({a for a in arguments if last[a] == i and a not in leaving})

    def fresh(self) -> Register:
        self.count += 1
        return self.count - 1

    def emit(self, run: Callable[..., Any], *arguments: Register) -> Register:
        target = self.fresh()
        self.tape.append((run, arguments, target))
        return target

    def constant(self, value: Any) -> Register:
        key = (
            (type(value), repr(value))
            if not isinstance(value, np.ndarray)
            else (value.dtype.str, value.tobytes(), value.shape)
        )
        if key not in self.interned:
            self.interned[key] = self.fresh()
            self.constants[self.interned[key]] = self.lib.constant(value)
        return self.interned[key]

    # -- sets ------------------------------------------------------------------------------------

    def grow(self, grown: SetMemory, sets: Sets, before: list[Register]) -> None:
        """Emit what the step's item adds to a set, and the set with it."""
        lib = self.lib

        def advance(item: Any, first: Any, *state: Any) -> tuple[Any, ...]:
            if grown.first is not None:
                state = sets.add(state, lib.cast(first, lib.index_type))
            gained, state = sets.advance(state, lib.cast(item, lib.index_type))
            return (lib.as_float(gained), *state)

        item = self.batched(grown.item)
        first = item if grown.first is None else self.batched(grown.first)
        made = self.emit(advance, item, first, *before)
        parts = [self.emit(lambda x, i=i: x[i], made) for i in range(1 + len(before))]
        self.grown[grown.name] = parts[0], tuple(parts[1:])

    # -- machines --------------------------------------------------------------------------------

    def step_machine(self, machine: Machine) -> None:
        lib = self.lib
        conditions = [self.bit(name) for name in machine.propositions]
        before = self.states[machine.name, False]
        cells = len(machine.states) << len(conditions)
        if cells <= TABLED_CELLS:
            index = self.emit(lib.packer(len(conditions), cells, self.batch), before, *conditions)
            found = [
                machine.step(u, label)
                for u in range(len(machine.states))
                for label in range(1 << len(conditions))
            ]
            state_type = lib.state_type(len(machine.states))
            nexts = self.constant(np.array([target for target, _ in found], _np_type(state_type)))
            self.states[machine.name, True] = self.emit(lib.take, nexts, index)
            self.indices[machine.name] = index
            self.cells[machine.name] = [output for _, output in found]
            return
        self.compare_edges(machine, before, conditions)

    def bit(self, name: str) -> Register:
        """Emit a bit of a label: a truth value, or a 1 or 0 where nothing else asks whether the proposition holds."""
        expr = next(p.expr for p in self.program.propositions if p.name == name)
        compare = self.lib.indicators.get(expr.op) if isinstance(expr, ir.Compare) else None
        is_asked = self.uses[ir.Holds(name)] > 0 or self.uses[expr] > 1
        if compare is None or is_asked or _is_flat(expr):
            return self.value(ir.Holds(name))
        if expr not in self.bits:
            self.bits[expr] = self.emit(compare, *self.operands(expr))
        return self.bits[expr]

    def compare_edges(self, machine: Machine, before: Register, conditions: list[Register]) -> None:
        """Emit the step of a machine by comparing the label with each edge of the present state."""
        lib = self.lib
        width = max((len(edges) for edges in machine.edges), default=0)
        label = self.emit(lib.packer(len(conditions), 1 << 62, self.batch), before, *conditions)
        # Padding edges can never match: their value has a bit that their mask lacks.
        table = np.zeros((4, len(machine.states), max(width, 1)), np.int64)
        table[1] = 1
        for u, edges in enumerate(machine.edges):
            for e, edge in enumerate(edges):
                table[:, u, e] = (edge.mask, edge.value, edge.target, edge.output)
        index = self.emit(lambda u: lib.cast(u, lib.index_type), before)
        target, output = index, self.emit(lambda u: u * 0, index)
        for e in range(width):
            columns = [self.emit(lib.take, self.constant(table[k, :, e].copy()), index) for k in range(4)]
            hit = self.emit(lambda lab, mask, value: (lab & mask) == value, label, columns[0], columns[1])
            target = self.emit(lib.where, hit, columns[2], target)
            output = self.emit(lib.where, hit, columns[3], output)
        state_type = lib.state_type(len(machine.states))
        self.states[machine.name, True] = self.emit(lambda u: lib.cast(u, state_type), target)
        self.outputs_of[machine.name] = output

    def table(
        self, machine: str, values: tuple[float | bool, ...], which: Literal["before", "after", "output"]
    ) -> Register:
        """Emit a look-up by a machine's state or output."""
        lib = self.lib
        all_bool = all(isinstance(value, bool) for value in values)
        np_type: Any = np.bool_ if all_bool else _np_type(lib.float_type)
        if which == "output" and machine in self.cells:
            # The table over outputs becomes one over (state, label): one look-up instead of two.
            cells = np.array([values[output] for output in self.cells[machine]], np_type)
            return self.emit(lib.take, self.constant(cells), self.indices[machine])
        source = self.outputs_of[machine] if which == "output" else self.states[machine, which == "after"]
        index = self.emit(lambda i: lib.cast(i, lib.index_type), source)
        return self.emit(lib.take, self.constant(np.array(values, np_type)), index)

    def ended(self, how: str) -> Register:
        key = ir.Ended(how)  # type: ignore[arg-type]
        if key not in self.known:
            if how == "last":
                self.known[key] = self.emit(
                    self.lib.ops["or"], self.ended("terminated"), self.ended("truncated")
                )
            else:
                register = self.inputs[how]
                for end in self.program.ends:
                    if end.how == how:
                        register = self.emit(self.lib.ops["or"], register, self.truth(end.when))
                self.known[key] = register
        return self.known[key]

    # -- expressions -----------------------------------------------------------------------------

    def batched(self, expr: Expr) -> Register:
        """Emit an expression as floating `[B]`, constants spread out."""
        lib, batch = self.lib, self.batch
        register = self.value(expr)
        if _is_flat(expr):
            return self.emit(lambda x: lib.spread(x, batch), register)
        return self.number(register)

    def number(self, register: Register) -> Register:
        """Emit a value as floating, once."""
        if register not in self.numbers:
            self.numbers[register] = self.emit(self.lib.as_float, register)
        return self.numbers[register]

    def truth(self, expr: Expr) -> Register:
        register = self.value(expr)
        return register if ir.is_boolean(expr) else self.emit(self.lib.as_bool, register)

    def value(self, expr: Expr) -> Register:
        """Emit an expression once and return its register."""
        if expr not in self.known:
            self.known[expr] = self.build(expr)
        return self.known[expr]

    def build(self, expr: Expr) -> Register:
        lib = self.lib
        match expr:
            case ir.Const(value):
                return self.constant(value if isinstance(value, bool) else float(value))
            case ir.Vector(items):
                return self.emit(lambda *xs: lib.stack(xs, self.batch), *(self.value(item) for item in items))
            case ir.Field("terminated" | "truncated" as flag):
                return self.inputs[flag]
            case ir.Field():
                if expr not in self.fields:
                    self.fields[expr] = self.fresh()
                return self.fields[expr]
            case ir.Param(name):
                return self.inputs[f"param:{name}"]
            case ir.Holds(name):
                return self.truth(next(p.expr for p in self.program.propositions if p.name == name))
            case ir.Memory(name, after):
                if not after:
                    return self.memories[name]
                return self.batched(next(f.update for f in self.program.folds if f.name == name))
            case ir.Gain(name):
                return self.grown[name][0]
            case ir.StateTable(machine, values, after):
                return self.table(machine, values, "after" if after else "before")
            case ir.OutputTable(machine, values):
                return self.table(machine, values, "output")
            case ir.Ended(how):
                return self.ended(how)
            case ir.Reduce(reduction, x, "B"):
                reduce, batch = lib.batch_reductions[reduction], self.batch
                return self.emit(
                    lambda v, active: reduce(v, active, batch), self.value(x), self.inputs["active"]
                )
            case ir.Reduce(reduction, x, _):
                return self.emit(lib.reductions[reduction], self.value(x))
            case ir.Index(x, items):
                subscript = (slice(None), *(i.slice if isinstance(i, ir.Span) else i for i in items))
                return self.emit(lambda v: lib.index(v, subscript), self.value(x))
        operands = self.operands(expr)
        match expr:
            case ir.Logic(joint, _):
                return self.chain(lib.ops[joint], operands)
            case ir.Combine(way, _):
                return self.chain(lib.ops[{"sum": "add", "product": "mul"}.get(way, way)], operands)
            case ir.Where():
                return self.emit(lib.where, *operands)
            case ir.Unary() | ir.Binary() | ir.Compare():
                return self.emit(lib.ops[expr.op], *operands)
            case ir.Call(name, _):
                return self.emit(lib.ops[name], *operands)
        raise TypeError(f"not an expression: {expr!r}")

    def operands(self, expr: Expr) -> list[Register]:
        """Emit the operands: truth values as numbers where numbers are needed, scalars with the vectors' axes."""
        lib = self.lib
        children = ir.children(expr)
        axes = max((len(self.layout.shape(child)) for child in children), default=0)
        registers: list[Register] = []
        for position, child in enumerate(children):
            wants_truth = (
                isinstance(expr, ir.Logic)
                or (isinstance(expr, ir.Unary) and expr.op == "not")
                or (isinstance(expr, ir.Where) and (position == 0 or ir.is_boolean(expr)))
            )
            if wants_truth:
                register = self.truth(child)
            else:
                register = self.value(child)
                if ir.is_boolean(child) or (isinstance(child, ir.Field) and child.root != "reward"):
                    register = self.number(register)
            if axes and not self.layout.shape(child) and not isinstance(child, ir.Const | ir.Param):
                register = self.emit(lambda x, n=axes: lib.expand(x, n), register)
            registers.append(register)
        return registers

    def chain(self, op: Callable[..., Any], operands: list[Register]) -> Register:
        result = operands[0]
        for operand in operands[1:]:
            result = self.emit(op, result, operand)
        return result


def _spread(mask: Any, x: Any) -> Any:
    """Return a mask `[B]` with as many axes as `x` `[B, ...]`."""
    return mask.reshape(-1, *[1] * (x.ndim - 1)) if x.ndim > 1 else mask


def _is_flat(expr: Expr) -> bool:
    """Return whether an expression's value may lack the batch axis."""
    return not any(
        isinstance(
            node, ir.Field | ir.Memory | ir.Gain | ir.StateTable | ir.OutputTable | ir.Ended | ir.Holds
        )
        for node in ir.walk(expr)
    ) or any(isinstance(node, ir.Reduce) and node.axis == "B" for node in ir.walk(expr))


def _np_type(kind: Any) -> Any:
    """Return NumPy's type for a library's type."""
    return np.dtype(str(kind).rsplit(".", 1)[-1]) if not isinstance(kind, type | np.dtype) else np.dtype(kind)
