"""A joint machine as one agent can tell it, against the machine itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from envs.two_buttons import TwoButtons
from rewardspec import SpecError, load, loads, wrap_parallel
from rewardspec.ir.program import Machine
from rewardspec.team.compile import compile_team
from rewardspec.team.projection import Projection, find_disagreement, project_machine

EDGES = {
    "buttons": """
      start: none
      edges:
        - {from: none, to: first, when: a and not b}
        - {from: none, to: second, when: b and not a}
        - {from: none, to: both, when: a and b}
        - {from: first, to: both, when: b}
        - {from: second, to: both, when: a}
        - {from: both, to: done, when: meet, reward: 1}
      terminal: done""",
    "in order": """
      start: u
      edges:
        - {from: u, to: v, when: a}
        - {from: v, to: w, when: b}
        - {from: w, to: done, when: a, reward: 1}
      terminal: done""",
}


def machine(name: str, extra: str = "") -> Machine:
    text = f"propositions: [a, b, meet]\njoint:\n  reward:\n    reward_machine:{EDGES[name]}{extra}\n"
    joint = compile_team(loads(text)).joint
    assert joint is not None
    return joint.machines[0]


def test_states_that_differ_by_what_others_did_are_one() -> None:
    """Neary et al., figure 3: each agent sees its button and the meeting, and none of the other's part."""
    projection = project_machine(machine("buttons"), ["a", "meet"])
    assert projection.machine.states == ("none|second", "first|both", "done")
    assert projection.machine.propositions == ("a", "meet") and projection.done == {2}
    steps = [projection.machine.step(0, label) for label in (0b00, 0b01, 0b10)]
    assert steps == [(0, 0), (1, 0), (0, 0)]  # a button, or the meeting too early
    state, output = projection.machine.step(1, 0b10)
    assert state == 2 and projection.machine.payments[output].value == 1  # type: ignore[union-attr]


def test_projections_onto_everything_change_nothing() -> None:
    whole = machine("buttons")
    projection = project_machine(whole, ["a", "b", "meet"])
    for word in itertools.product(range(8), repeat=4):
        u, v = whole.start, projection.machine.start
        for label in word:
            u, output = whole.step(u, label) if u not in whole.terminal else (u, 0)
            local = sum(
                1 << i
                for i, n in enumerate(projection.machine.propositions)
                if label >> whole.propositions.index(n) & 1
            )
            v, own = projection.machine.step(v, local)
            assert projection.classes[u] == v
            assert whole.payments[output] == projection.machine.payments[own]


def test_a_machine_that_decomposes_is_done_when_all_its_parts_are() -> None:
    whole = machine("buttons")
    assert (
        find_disagreement(whole, [project_machine(whole, p) for p in (["a", "meet"], ["b", "meet"])]) is None
    )


def test_a_machine_that_does_not_is_told_by_a_trace() -> None:
    """`a, b, a` in this order: one who sees only `a` counts two, whenever `b` came."""
    whole = machine("in order")
    parts: list[Projection] = [project_machine(whole, ["a"]), project_machine(whole, ["b"])]
    trace = find_disagreement(whole, parts)
    assert trace is not None
    state = whole.start
    for name in trace:
        state, _ = whole.step(state, 1 << whole.propositions.index(name))
    assert state not in whole.terminal


def play(spec: Any, moves: list[tuple[int, int]]) -> list[tuple[float, float]]:
    env = wrap_parallel(TwoButtons(), spec)
    env.reset()
    paid = []
    for pair in moves:
        rewards = env.step(dict(zip(env.agents, pair, strict=True)))[1]
        paid.append((rewards["agent_0"], rewards["agent_1"]))
    return paid


UP, RIGHT, DOWN, LEFT, STAY = range(5)
TO_BUTTONS = [(RIGHT, LEFT), (UP, DOWN), (UP, DOWN), (UP, DOWN), (UP, DOWN)]
TO_MEETING = [(RIGHT, LEFT), (DOWN, UP), (DOWN, UP), (RIGHT, LEFT)]


def test_agents_with_projections_are_paid_for_their_own_part() -> None:
    """In the gallery's task both are paid by the one machine; with `local`, each by its own."""
    spec = load("examples/teams/two_buttons.yaml")
    moves = [*TO_BUTTONS, *TO_MEETING]
    assert play(spec, moves)[-1] == (1, 1) and sum(map(sum, play(spec, moves)[:-1])) == 0.5
    data = spec.to_data()
    data["agents"] = {"agent_0": {"local": ["a", "meet"]}, "agent_1": {"local": ["b", "meet"]}}
    from rewardspec import from_data

    assert play(from_data(data), moves)[-1] == (1, 1)
    env = wrap_parallel(TwoButtons(), from_data(data))
    assert env.observation_space("agent_0").shape == (
        4 + 3,
    )  # the projection's states, not the machine's five


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{local: [c]}", "unknown-proposition"),
        ("{local: []}", "cannot tell any states"),
    ],
)
def test_projections_that_are_none(text: str, why: str) -> None:
    joint = f"joint:\n  reward:\n    reward_machine:{EDGES['buttons']}"
    spec = f"propositions: [a, b, meet]\n{joint}\nagents: {{default: {text}}}"
    with pytest.raises(SpecError, match=why):
        compile_team(loads(spec))


def test_a_projection_cannot_hide_a_payment() -> None:
    text = EDGES["buttons"].replace("when: a and not b}", "when: a and not b, reward: 0.5}")
    joint = f"joint:\n  reward:\n    reward_machine:{text}"
    spec = f"propositions: [a, b, meet]\n{joint}\nagents: {{default: {{local: [b, meet]}}}}"
    with pytest.raises(SpecError, match=r"unfit-projection"):
        compile_team(loads(spec))
