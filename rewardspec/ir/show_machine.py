"""Machines as tables that a person can read: a line per state and edge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rewardspec.ir import expr as ir
from rewardspec.ir.program import Edge, Machine
from rewardspec.ir.show import ELIDED, show_expr, show_name
from rewardspec.logic.diagrams import TooLargeError
from rewardspec.logic.guards import cubes_to_guard

MAX_CUBES = 256
"""Cubes of one guard up to which a shorter form of it is sought."""

MAX_STATES = 200
"""States of one machine that a page lists."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """The edges from one state that share target and output, as one.

    Attributes:
        target: Next state.
        output: The machine's output.
        guard: Short guard text, `true` when it always holds.
    """

    target: int
    output: int
    guard: str


def arrows(machine: Machine, state: int) -> list[Arrow]:
    """Return the edges that leave a state, cubes with the same target and output joined into one guard.

    Example:
        >>> edges = (Edge(0b01, 0b01, 1), Edge(0b11, 0b10, 1)), ()
        >>> arrows(Machine("m", ("a", "b"), ("s", "t"), 0, edges, (ir.ZERO,)), 0)
        [Arrow(target=1, output=0, guard='a or b')]
    """
    cubes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge in machine.edges[state]:
        cubes.setdefault((edge.target, edge.output), []).append((edge.mask, edge.value))
    return [
        Arrow(target, output, join_cubes(joined, machine.propositions))
        for (target, output), joined in cubes.items()
    ]


def join_cubes(cubes: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    """Return the guard of a union of disjoint cubes; very many are only counted."""
    if len(cubes) <= MAX_CUBES:
        try:
            return cubes_to_guard(cubes, names)
        except TooLargeError:
            pass
    first = cubes_to_guard(cubes[:1], names)
    return f"{first} or {ELIDED} ({len(cubes) - 1} more cases)"


def can_stay(edges: Iterable[Edge]) -> bool:
    """Return whether some label takes none of the edges of a state, so that the machine stays where it is.

    Example:
        >>> can_stay([Edge(0b1, 0b1, 1)]), can_stay([Edge(0b1, 0b1, 1), Edge(0b1, 0b0, 0)])
        (True, False)
    """
    bits = [edge.mask.bit_count() for edge in edges]
    widest = max(bits, default=0)
    # Disjoint cubes leave nothing over exactly when their shares of all labels add up to one.
    return sum(1 << (widest - count) for count in bits) < 1 << widest


def show_machine(machine: Machine, machines: Iterable[Machine] = (), outputs: bool = False) -> str:
    """Return a machine as a table: a line per state and edge.

    Args:
        machine: The machine.
        machines: All machines of the program, for the payments that read them.
        outputs: Whether to number the edges' outputs.

    Example:
        >>> edges = (Edge(0b11, 0b01, 1, 1),), ()
        >>> paid = ir.ZERO, ir.Const(0.1)
        >>> machine = Machine("m", ("coffee", "broken"), ("want", "have"), 0, edges, paid, frozenset({1}))
        >>> print(show_machine(machine))
        want  (start)
          -> have  when coffee and not broken  pays 0.1
          stays otherwise
        have  (terminal)
    """
    lines: list[str] = []
    machines = (*machines, machine)
    for state, name in enumerate(machine.states[:MAX_STATES]):
        marks = [
            word
            for word, given in (
                ("start", state == machine.start),
                ("accepting", state in machine.accepting),
                ("terminal", state in machine.terminal),
            )
            if given
        ]
        lines.append(show_name(name) + (f"  ({', '.join(marks)})" if marks else ""))
        leaving = arrows(machine, state)
        targets = [show_name(machine.states[arrow.target]) for arrow in leaving]
        width = min(max((len(target) for target in targets), default=0), 24)
        for arrow, target in zip(leaving, targets, strict=True):
            text = f"  -> {target:{width}}  " + ("always" if arrow.guard == "true" else f"when {arrow.guard}")
            paid = machine.payments[arrow.output]
            if paid != ir.ZERO:
                text += f"  pays {show_expr(paid, machines)}"
            if outputs and arrow.output:
                text += f"  (output {arrow.output})"
            lines.append(text)
        if state in machine.terminal:
            continue
        if not leaving:
            lines.append("  stays")
        elif can_stay(machine.edges[state]):
            lines.append("  stays otherwise")
    if len(machine.states) > MAX_STATES:
        lines.append(f"{ELIDED} {len(machine.states) - MAX_STATES} more states")
    return "\n".join(lines)
