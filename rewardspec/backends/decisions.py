"""Decision trees of machines: each state asks only the propositions that decide, and only until they have.

A machine of thirty propositions rarely reads more than two of them in one state. Written as nested `if`s that
is cheaper than any table, because a label never has to be put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from rewardspec.ir.program import Edge, Machine

MAX_STATES = 64
MAX_TESTS = 160
"""Larger machines are not written out: their text would grow without being read faster."""


@dataclass(frozen=True)
class Leaf:
    """The edge is known: the next state and the machine's output."""

    target: int
    output: int


@dataclass(frozen=True)
class Test:
    """Ask one proposition (a bit of the label)."""

    bit: int
    yes: Tree
    no: Tree


Tree: TypeAlias = Leaf | Test


class _TooManyTests(Exception):
    pass


def decision_trees(machine: Machine) -> tuple[Tree, ...] | None:
    """Return one tree per state; None where they would be too large.

    Example:
        >>> from rewardspec.ir.expr import ZERO
        >>> machine = Machine("m", ("a", "b"), ("q0", "q1"), 0, ((Edge(0b01, 0b01, 1),), ()), (ZERO,))
        >>> decision_trees(machine)
        (Test(bit=0, yes=Leaf(target=1, output=0), no=Leaf(target=0, output=0)), Leaf(target=1, output=0))
    """
    if len(machine.states) > MAX_STATES:
        return None
    left = MAX_TESTS

    def grow(state: int, edges: Sequence[Edge]) -> Tree:
        nonlocal left
        if not edges:
            return Leaf(state, 0)
        if edges[0].mask == 0:
            return Leaf(edges[0].target, edges[0].output)
        bit = _most_asked(edges)
        left -= 1
        if left < 0:
            raise _TooManyTests
        yes, no = (grow(state, _given(edges, bit, truth)) for truth in (True, False))
        return yes if yes == no else Test(bit, yes, no)

    try:
        return tuple(grow(state, edges) for state, edges in enumerate(machine.edges))
    except _TooManyTests:
        return None


def _most_asked(edges: Sequence[Edge]) -> int:
    """Return the bit that most edges look at, the lowest of several."""
    asked: Counter[int] = Counter()
    for edge in edges:
        asked.update(bit for bit in range(edge.mask.bit_length()) if edge.mask >> bit & 1)
    return max(sorted(asked), key=lambda bit: asked[bit])


def _given(edges: Sequence[Edge], bit: int, truth: bool) -> list[Edge]:
    """Return the edges that remain once a bit is known, without that bit."""
    flag = 1 << bit
    kept = [edge for edge in edges if not edge.mask & flag or bool(edge.value & flag) == truth]
    return [replace(edge, mask=edge.mask & ~flag, value=edge.value & ~flag) for edge in kept]


# -- as Python text ------------------------------------------------------------------------------


def tree_lines(tree: Tree, conditions: Sequence[str], assign: Callable[[Leaf], list[str]]) -> list[str]:
    """Return a tree as nested `if` statements.

    Args:
        tree: The tree.
        conditions: Code of each bit's proposition.
        assign: Statements of a leaf; none where nothing changes.
    """
    if isinstance(tree, Leaf):
        return assign(tree)
    yes = tree_lines(tree.yes, conditions, assign)
    no = tree_lines(tree.no, conditions, assign)
    return branch(conditions[tree.bit], yes, no)


def trees_lines(
    name: str,
    trees: Sequence[Tree],
    conditions: Sequence[str],
    assign: Callable[[int, Leaf], list[str]],
) -> list[str]:
    """Return a machine's step as nested `if` statements; `name` holds its state, `assign` is told it and the leaf."""
    cases = [
        tree_lines(tree, conditions, lambda leaf, state=state: assign(state, leaf))  # type: ignore[misc]
        for state, tree in enumerate(trees)
    ]
    return dispatch_lines(name, cases)


def dispatch_lines(name: str, cases: Sequence[list[str]]) -> list[str]:
    r"""Return `cases[name]` as a binary search over a state number; neighbours that do the same are one case.

    Example:
        >>> print("\n".join(dispatch_lines("u", [["x = 1"], ["x = 2"], ["x = 2"], []])))
        if u < 1:
            x = 1
        elif u < 3:
            x = 2
    """
    starts = [i for i in range(len(cases)) if i == 0 or cases[i] != cases[i - 1]]

    def search(low: int, high: int) -> list[str]:
        if high - low == 1:
            return cases[starts[low]]
        middle = (low + high) // 2
        return branch(f"{name} < {starts[middle]}", search(low, middle), search(middle, high))

    return search(0, len(starts))


def branch(condition: str, yes: list[str], no: list[str]) -> list[str]:
    """Return an `if` statement that leaves out what does nothing."""
    if yes == no:
        return yes
    if not yes:
        denied = condition if condition.isidentifier() else f"({bare(condition)})"
        return [f"if not {denied}:", *_indented(no)]
    lines = [f"if {bare(condition)}:", *_indented(yes)]
    if no and _is_one_if(no):
        lines += [f"el{no[0]}", *no[1:]]
    elif no:
        lines += ["else:", *_indented(no)]
    return lines


def bare(code: str) -> str:
    """Return an expression's code without the brackets around all of it.

    Example:
        >>> bare("(x > 1)"), bare("(x > 1) or (y > 1)")
        ('x > 1', '(x > 1) or (y > 1)')
    """
    depth = 0
    for i, character in enumerate(code):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return code[1:i] if i == len(code) - 1 and i > 0 else code
    return code


def _is_one_if(lines: list[str]) -> bool:
    return lines[0].startswith("if ") and all(line.startswith((" ", "elif ", "else:")) for line in lines[1:])


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
