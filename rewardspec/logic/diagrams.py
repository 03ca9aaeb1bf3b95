"""Decision diagrams: the symbolic form of guards, edges and automaton states.

A reduced ordered decision diagram tests numbered variables from the smallest number down; equal functions
have the same node, so comparing functions is comparing integers. Leaves are integers too: 0 and 1 for
boolean functions, anything for functions into states or classes.

Source: Bryant, "Graph-based algorithms for Boolean function manipulation" (1986); several leaves: Fujita,
McGeer and Yang, "Multi-terminal binary decision diagrams" (1997); `cover`: Minato, "Fast generation of
irredundant sum-of-products forms from binary decision diagrams" (1992).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from typing import Final

NO_VARIABLE: Final = 1 << 62
"""The variable of a leaf: greater than every variable."""

Cube = tuple[int, int]
"""A set of labels: `(mask, value)` holds the labels with `label & mask == value`."""


class TooLargeError(Exception):
    """Something outgrew its budget.

    Attributes:
        what: The budget, as in "2000 states".
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Diagrams:
    """A store of shared diagram nodes.

    Args:
        max_nodes: Nodes after which `TooLargeError` is raised.
        seconds: Processor seconds after which it is raised too (this thread's; looked at now and then).

    Example:
        >>> d = Diagrams()
        >>> a, b = d.variable(0), d.variable(1)
        >>> d.both(a, b) == d.negation(d.either(d.negation(a), d.negation(b)))
        True
    """

    FALSE: Final = 0
    TRUE: Final = 1

    def __init__(self, max_nodes: int = 1_000_000, seconds: float = float("inf")) -> None:
        self.max_nodes = max_nodes
        self.seconds = seconds
        self.deadline = time.thread_time() + seconds
        self.level: list[int] = []
        self.low: list[int] = []
        self.high: list[int] = []
        self.payload: dict[int, Hashable] = {}
        self._unique: dict[tuple[int, int, int], int] = {}
        self._leaves: dict[Hashable, int] = {}
        self._choices: dict[tuple[int, int, int], int] = {}
        self.leaf(False)
        self.leaf(True)

    def __len__(self) -> int:
        return len(self.level)

    def leaf(self, payload: Hashable) -> int:
        """Return the leaf that carries `payload`; `False` and `True` are nodes 0 and 1."""
        key = (type(payload), payload)  # so that 0 and False, 1 and True stay apart
        if key not in self._leaves:
            self._leaves[key] = self._append(NO_VARIABLE, len(self.level), len(self.level))
            self.payload[self._leaves[key]] = payload
        return self._leaves[key]

    def node(self, variable: int, low: int, high: int) -> int:
        """Return the node "if variable then high else low"."""
        if low == high:
            return low
        key = (variable, low, high)
        found = self._unique.get(key)
        if found is None:
            found = self._unique[key] = self._append(variable, low, high)
        return found

    def _append(self, variable: int, low: int, high: int) -> int:
        number = len(self.level)
        if number >= self.max_nodes:
            raise TooLargeError(f"{self.max_nodes} diagram nodes")
        if number % 256 == 0:
            self.check_time()
        self.level.append(variable)
        self.low.append(low)
        self.high.append(high)
        return number

    def check_time(self) -> None:
        """Raise `TooLargeError` when the processor time is spent."""
        if time.thread_time() > self.deadline:
            raise TooLargeError(f"{self.seconds:g} s of processor time")

    def variable(self, number: int) -> int:
        """Return the function that is the variable itself."""
        return self.node(number, self.FALSE, self.TRUE)

    def choice(self, condition: int, then: int, otherwise: int) -> int:
        """Return "if condition then `then` else `otherwise`", for a boolean condition and any leaves."""
        if condition == self.TRUE:
            return then
        if condition == self.FALSE or then == otherwise:
            return otherwise
        if then == self.TRUE and otherwise == self.FALSE:
            return condition
        key = (condition, then, otherwise)
        found = self._choices.get(key)
        if found is not None:
            return found
        level, low, high = self.level, self.low, self.high
        top = min(level[condition], level[then], level[otherwise])
        lows, highs = [], []
        for part in key:
            tests_top = level[part] == top
            lows.append(low[part] if tests_top else part)
            highs.append(high[part] if tests_top else part)
        result = self.node(top, self.choice(*lows), self.choice(*highs))
        self._choices[key] = result
        return result

    def both(self, left: int, right: int) -> int:
        """Return the conjunction."""
        return self.choice(left, right, self.FALSE)

    def either(self, left: int, right: int) -> int:
        """Return the disjunction."""
        return self.choice(left, self.TRUE, right)

    def negation(self, function: int) -> int:
        """Return the negation."""
        return self.choice(function, self.FALSE, self.TRUE)

    def from_cube(self, cube: Cube, then: int = TRUE, otherwise: int = FALSE) -> int:
        """Return "then" on the labels of a cube and "otherwise" elsewhere; variable i is bit i."""
        mask, value = cube
        condition = self.TRUE
        for bit in range(mask.bit_length() - 1, -1, -1):
            if mask >> bit & 1:
                positive = value >> bit & 1
                condition = (
                    self.node(bit, self.FALSE, condition)
                    if positive
                    else self.node(bit, condition, self.FALSE)
                )
        return self.choice(condition, then, otherwise)

    def relabel(self, function: int, rename: Callable[[int], int], memo: dict[int, int], top: int) -> int:
        """Return the function with each bottom replaced by `rename(bottom)`.

        A bottom is a node that tests no variable below `top`; `rename` must return such nodes.
        """
        found = memo.get(function)
        if found is None:
            if self.level[function] >= top:
                found = rename(function)
            else:
                low = self.relabel(self.low[function], rename, memo, top)
                high = self.relabel(self.high[function], rename, memo, top)
                found = self.node(self.level[function], low, high)
            memo[function] = found
        return found

    def bottoms(self, function: int, top: int = NO_VARIABLE) -> list[int]:
        """Return the distinct nodes at which the tests of variables below `top` end, in a fixed order."""
        found: list[int] = []
        seen = {function}
        stack = [function]
        while stack:
            node = stack.pop()
            if self.level[node] >= top:
                found.append(node)
                continue
            for child in (self.high[node], self.low[node]):
                if child not in seen:
                    seen.add(child)
                    stack.append(child)
        return found

    def paths(self, function: int, limit: int, top: int = NO_VARIABLE) -> Iterator[tuple[int, int, int]]:
        """Yield `(mask, value, bottom)` for every path; the cubes are disjoint and cover every label.

        Raises:
            TooLargeError: There are more than `limit` paths.
        """
        stack = [(function, 0, 0)]
        count = 0
        while stack:
            node, mask, value = stack.pop()
            if self.level[node] >= top:
                count += 1
                if count > limit:
                    raise TooLargeError(f"{limit} edges from one state")
                yield mask, value, node
                continue
            bit = 1 << self.level[node]
            stack.append((self.low[node], mask | bit, value))
            stack.append((self.high[node], mask | bit, value | bit))

    def cover(self, function: int) -> list[Cube]:
        """Return few cubes, possibly overlapping, whose union is a boolean function (Minato's method)."""
        return self._cover(function, function, {})[0]

    def _cover(
        self, lower: int, upper: int, memo: dict[tuple[int, int], tuple[list[Cube], int]]
    ) -> tuple[list[Cube], int]:
        """Return cubes for some function between `lower` and `upper`, and that function."""
        if lower == self.FALSE:
            return [], self.FALSE
        if upper == self.TRUE:
            return [(0, 0)], self.TRUE
        key = (lower, upper)
        if key in memo:
            return memo[key]
        top = min(self.level[lower], self.level[upper])
        lower0, lower1 = self._cofactors(lower, top)
        upper0, upper1 = self._cofactors(upper, top)
        only0, function0 = self._cover(self.both(lower0, self.negation(upper1)), upper0, memo)
        only1, function1 = self._cover(self.both(lower1, self.negation(upper0)), upper1, memo)
        rest = self.either(
            self.both(lower0, self.negation(function0)), self.both(lower1, self.negation(function1))
        )
        shared, function_shared = self._cover(rest, self.both(upper0, upper1), memo)
        bit = 1 << top
        cubes = [(mask | bit, value) for mask, value in only0]
        cubes += [(mask | bit, value | bit) for mask, value in only1]
        cubes += shared
        covered = self.either(function_shared, self.node(top, function0, function1))
        memo[key] = cubes, covered
        return memo[key]

    def _cofactors(self, function: int, variable: int) -> tuple[int, int]:
        if self.level[function] == variable:
            return self.low[function], self.high[function]
        return function, function
