"""Operator `gate`: a closed gate pays nothing, an open one everything; all timings agree on the total."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.transition import Transition
from tests.kinds.episodes import compile_text, play, rewards, value_trace

Steps = list[tuple[int, bool]]
STEPS = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=8)
ENDS = st.sampled_from(["terminated", "truncated"])


def gate(**fields: Any) -> dict[str, Any]:
    """Return a spec that gates info.x by info.h."""
    return {"reward": [{"gate": {"of": "info.x", "when": "info.h", **fields}}]}


def trace(steps: Steps, end: Any = "terminated") -> list[Transition]:
    return value_trace(end, x=[float(x) for x, _ in steps], h=[h for _, h in steps])


WORKED: Steps = [(1, False), (2, True), (4, False), (8, True)]
"""Payments 1, 2, 4, 8; the condition holds on the second and the last step."""


@pytest.mark.parametrize(
    ("fields", "paid"),
    [
        ({}, [0, 2, 0, 8]),
        ({"fallback": -1}, [-1, 2, -1, 8]),
        ({"known": "ever", "timing": "escrow"}, [0, 3, 4, 8]),
        ({"known": "end", "timing": "escrow"}, [0, 0, 0, 15]),
        ({"known": "end", "timing": "increment"}, [0, 3, -3, 15]),
        ({"known": "ever", "timing": "relabel"}, [1, 2, 4, 8]),
        ({"known": "end", "timing": "relabel"}, [1, 2, 4, 8]),
    ],
)
def test_worked_timings(fields: dict[str, Any], paid: list[float]) -> None:
    """`ever` opens on the second step for good; `end` is known on the fourth only."""
    assert rewards(gate(**fields), trace(WORKED)) == paid


@pytest.mark.parametrize("known", ["ever", "end"])
@pytest.mark.parametrize("timing", ["escrow", "increment", "relabel"])
@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_a_gate_that_stays_closed_pays_nothing_in_total(known: str, timing: str, end: str) -> None:
    steps = [(1, False), (2, known == "end"), (4, False)]
    assert sum(rewards(gate(known=known, timing=timing), trace(steps, end))) == 0


def test_relabel_pays_its_fallback_on_each_step_of_a_closed_episode() -> None:
    steps = [(1, False), (2, True), (4, False)]
    assert rewards(gate(known="end", timing="relabel", fallback=-1), trace(steps)) == [-1, -1, -1]
    assert rewards(gate(known="ever", timing="relabel", fallback=-1), trace(steps)) == [1, 2, 4]


def test_what_relabel_pays_is_known_when_the_episode_is_over() -> None:
    assert compile_text(gate(known="end", timing="relabel")).scope == "episode"
    assert compile_text(gate(known="end", timing="escrow")).scope == "step"


@given(STEPS)
def test_a_closed_gate_does_not_depend_on_the_term(steps: Steps) -> None:
    closed = [(x, False) for x, _ in steps]
    assert rewards(gate(), trace(closed)) == [0] * len(steps)


@given(STEPS)
def test_an_open_gate_is_the_identity(steps: Steps) -> None:
    opened = [(x, True) for x, _ in steps]
    assert rewards(gate(), trace(opened)) == [x for x, _ in steps]
    for known in ("ever", "end"):
        assert rewards(gate(known=known, timing="relabel"), trace(opened)) == [x for x, _ in steps]
    assert rewards(gate(known="ever", timing="escrow"), trace(opened)) == [x for x, _ in steps]
    assert rewards(gate(known="end", timing="increment"), trace(opened)) == [x for x, _ in steps]


@given(STEPS, ENDS)
def test_all_timings_agree_on_the_total(steps: Steps, end: str) -> None:
    """At discount 1: what passes is the whole sum where the gate was open, and nothing where it was not."""
    whole = sum(x for x, _ in steps)
    is_open = {"ever": any(h for _, h in steps), "end": steps[-1][1]}
    for known, opened in is_open.items():
        for timing in ("escrow", "increment", "relabel"):
            total = sum(rewards(gate(known=known, timing=timing), trace(steps, end)))
            assert total == (whole if opened else 0), (known, timing)


@given(STEPS)
def test_increments_add_up_to_the_worth_of_every_prefix(steps: Steps) -> None:
    """F_t = [open on the prefix] * (sum of the prefix): the payments so far are always F_t itself."""
    found = rewards(gate(known="end", timing="increment"), trace(steps))
    for t in range(1, len(steps) + 1):
        assert sum(found[:t]) == (sum(x for x, _ in steps[:t]) if steps[t - 1][1] else 0)


@given(STEPS)
def test_for_ever_escrow_and_increment_are_the_same(steps: Steps) -> None:
    escrow = rewards(gate(known="ever", timing="escrow"), trace(steps))
    assert rewards(gate(known="ever", timing="increment"), trace(steps)) == escrow


def test_a_last_step_of_the_programs_own_releases_the_escrow() -> None:
    spec = {**gate(known="end", timing="escrow"), "end": [{"when": "info.x == 4"}]}
    steps = trace([(1, True), (4, True), (8, True)], None)
    outcomes = play(spec, steps)
    assert [o.reward for o in outcomes] == [0, 5]
    assert outcomes[-1].terminated
