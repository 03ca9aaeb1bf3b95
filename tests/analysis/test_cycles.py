"""A positive loop is found exactly where some simple loop of the machine has a positive sum."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.analysis import cycles
from rewardspec.analysis.cycles import find_positive_cycle
from rewardspec.ir import expr as ir
from rewardspec.ir.machine import reachable
from rewardspec.ir.program import Edge, Machine

PAID = (0.0, 1.0, -1.0, 0.5, -2.0)


def machine_of(edges: list[list[tuple[int, int]]], terminal: frozenset[int]) -> Machine:
    """Return a machine whose state u has an edge on proposition i for its i-th (target, output)."""
    n = len(edges)
    cubes = [
        tuple(Edge(0b1111, 1 << i, target, output) for i, (target, output) in enumerate(leaving))
        for leaving in edges
    ]
    payments = tuple(ir.Const(value) for value in PAID)
    return Machine("m", tuple("abcd"), tuple(f"s{u}" for u in range(n)), 0, tuple(cubes), payments, terminal)


def has_positive_cycle(machine: Machine) -> bool:
    """Look at every simple loop."""
    live = reachable(machine) - machine.terminal
    best = {
        (u, v): max(PAID[e.output] for e in machine.edges[u] if e.target == v)
        for u in live
        for v in {e.target for e in machine.edges[u]}
    }
    for length in range(1, len(live) + 1):
        for loop in permutations(sorted(live), length):
            pairs = list(zip(loop, (*loop[1:], loop[0]), strict=True))
            if all(pair in best for pair in pairs) and sum(best[pair] for pair in pairs) > 1e-9:
                return True
    return False


machines = st.integers(1, 5).flatmap(
    lambda n: st.builds(
        machine_of,
        st.lists(
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, len(PAID) - 1)), max_size=4),
            min_size=n,
            max_size=n,
        ),
        st.frozensets(st.integers(0, n - 1), max_size=1),
    )
)


@settings(max_examples=500)
@given(machines)
def test_a_loop_is_found_exactly_where_there_is_one(machine: Machine) -> None:
    found = find_positive_cycle(machine, PAID)
    assert (found is not None) == has_positive_cycle(machine)
    if found is not None:
        assert sum(PAID[edge.output] for _, edge in found) > 0
        states = [state for state, _ in found]
        assert len(set(states)) == len(states)
        assert [edge.target for _, edge in found] == [*states[1:], states[0]]
        assert all(edge in machine.edges[state] for state, edge in found)
        assert set(states) <= reachable(machine) - machine.terminal


def test_a_long_loop_is_found_and_a_telescoping_one_is_not() -> None:
    ring = [[((u + 1) % 300, 1 if u == 7 else 0)] for u in range(300)]
    found = find_positive_cycle(machine_of(ring, frozenset()), PAID)
    assert found is not None and len(found) == 300
    ring[9] = [(10, 2)]  # what step 7 pays, step 9 costs
    assert find_positive_cycle(machine_of(ring, frozenset()), PAID) is None


def test_a_planted_error_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the relaxation only loops of one and two steps would be found."""
    triangle = machine_of([[(1, 1)], [(2, 0)], [(0, 0)]], frozenset())
    assert find_positive_cycle(triangle, PAID) is not None
    monkeypatch.setattr(cycles, "_circle", lambda came: None)
    assert find_positive_cycle(triangle, PAID) is None
