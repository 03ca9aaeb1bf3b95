"""Kind `reward_machine`: states, guarded edges, rewards on the edges, counters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.analysis.spec_tests import run_tests
from rewardspec.errors import SpecError
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from tests.kinds.episodes import compile_text, label_trace, play, rewards, states_after

COFFEE = """
propositions: [coffee, office, broken]
reward:
  reward_machine:
    start: want
    edges:
    - {from: want, to: have, when: coffee and not broken, reward: 0.1}
    - {from: have, to: done, when: office and not broken, reward: 1}
    - {from: [want, have], to: lost, when: broken, reward: -1}
    terminal: [done, lost]
"""


def machine(**fields: Any) -> dict[str, Any]:
    """Return a spec of one machine over a, b, c."""
    return {
        "propositions": {"a": None, "b": None, "c": None},
        "reward": [{"reward_machine": {"start": "u", **fields}}],
    }


def test_the_edges_taken_pay() -> None:
    assert rewards(COFFEE, label_trace("", "coffee", "", "office")) == [0, 0.1, 0, 1]


def test_what_no_guard_covers_leaves_the_machine_where_it_is_and_pays_nothing() -> None:
    steps = label_trace("office", "", "coffee", "coffee", "")
    assert rewards(COFFEE, steps) == [0, 0, 0.1, 0, 0]
    assert states_after(compile_text(COFFEE), steps) == {"reward_machine": "have"}


def test_an_edge_from_several_states_leaves_each_of_them() -> None:
    assert rewards(COFFEE, label_trace("broken")) == [-1]
    assert rewards(COFFEE, label_trace("coffee", "broken")) == [0.1, -1]


@pytest.mark.parametrize("end", ["office", "broken"])
def test_each_terminal_state_ends_the_episode(end: str) -> None:
    outcomes = play(COFFEE, label_trace("coffee", end, "coffee"))
    assert [(o.terminated, o.truncated) for o in outcomes] == [(False, False), (True, False)]


def test_the_environments_own_end_is_passed_on() -> None:
    (outcome,) = play(COFFEE, label_trace("coffee", end="truncated"))
    assert (outcome.reward, outcome.terminated, outcome.truncated) == (0.1, False, True)


def test_a_self_loop_pays_each_time() -> None:
    spec = machine(edges=[{"from": "u", "when": "a", "reward": 2}])
    assert rewards(spec, label_trace("a", "", "a", "a")) == [2, 0, 2, 2]


def test_otherwise_is_what_the_other_guards_of_the_state_leave() -> None:
    edges = [
        {"from": "u", "to": "v", "when": "a and b", "reward": 5},
        {"from": "u", "when": "otherwise", "reward": -1},
        {"from": "v", "when": "c", "reward": 7},
    ]
    assert rewards(machine(edges=edges), label_trace("", "a", "b c", "a b", "", "c")) == [-1, -1, -1, 5, 0, 7]


def test_otherwise_alone_is_every_step() -> None:
    assert rewards(
        machine(edges=[{"from": "u", "when": "otherwise", "reward": 3}]), label_trace("", "a")
    ) == [3, 3]


GUARDS = st.recursive(
    st.sampled_from(["a", "b", "c", "true"]),
    lambda g: st.one_of(
        g.map(lambda x: f"not ({x})"),
        st.tuples(g, st.sampled_from(["and", "or", "xor", "implies"]), g).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
    ),
    max_leaves=4,
)
LABELS = ["", "a", "b", "c", "a b", "a c", "b c", "a b c"]


def truth(guard: str, label: str) -> bool:
    """Return a guard's value by Python's own reading of it; `p implies q` is `p <= q` on truth values."""
    words = guard.replace("implies", "<=").replace("xor", "!=").replace("true", "True")
    return bool(eval(words, {}, {name: name in label.split() for name in "abc"}))  # drawn above, not a user's


@given(GUARDS)
def test_an_edge_is_taken_exactly_where_its_guard_holds(guard: str) -> None:
    edges = [{"from": "u", "when": guard, "reward": 1}, {"from": "u", "when": "otherwise", "reward": -1}]
    assert rewards(machine(edges=edges), label_trace(*LABELS)) == [
        1 if truth(guard, x) else -1 for x in LABELS
    ]


@given(GUARDS, GUARDS)
def test_two_guards_that_can_hold_together_are_refused_with_a_valuation_of_both(one: str, other: str) -> None:
    edges = [{"from": "u", "to": "v", "when": one}, {"from": "u", "to": "w", "when": other}]
    both = [x for x in LABELS if truth(one, x) and truth(other, x)]
    if not both:
        compile_text(machine(edges=edges))
        return
    with pytest.raises(SpecError) as raised:
        compile_text(machine(edges=edges))
    (problem,) = raised.value.problems
    assert problem.code == "overlapping-guards"
    shown = problem.message.removeprefix("two edges leave 'u' on a step with ")
    assert shown.replace("nothing true", "").replace(",", "") in both


def test_a_reward_may_be_an_expression_over_the_step() -> None:
    spec = {
        "propositions": {"fast": "next_obs - obs > 1"},
        "signals": {"gain": "next_obs - obs"},
        "reward": [
            {
                "reward_machine": {
                    "start": "u",
                    "edges": [{"from": "u", "when": "fast", "reward": "10 * gain + info.k"}],
                }
            }
        ],
    }
    steps = [Transition(obs=0, next_obs=1, info={"k": 0.5}), Transition(obs=1, next_obs=4, info={"k": 0.5})]
    assert rewards(spec, steps) == [0, 30.5]


THREE_COFFEES = """
propositions: [coffee, office]
reward:
  reward_machine:
    start: out
    counters: {drunk: 0}
    propositions: {enough: drunk >= 3}
    edges:
    - {from: out, when: coffee and not office, count: {drunk: drunk + 1}}
    - {from: out, to: in, when: office and enough, reward: 1 + drunk / 10}
    - {from: out, when: office and not enough, reward: -1, count: {drunk: 0}}
    terminal: in
"""
"""Three coffees, then the office: one line per edge, where a plain machine needs a state per coffee."""


def test_three_coffees_then_the_office() -> None:
    steps = label_trace("coffee", "coffee", "", "coffee", "office")
    assert rewards(THREE_COFFEES, steps) == [0, 0, 0, 0, 1.3]
    assert play(THREE_COFFEES, steps)[-1].terminated


def test_too_early_at_the_office_the_count_begins_anew() -> None:
    steps = label_trace(
        "coffee", "coffee", "office", "coffee", "office", "coffee", "coffee", "coffee", "office"
    )
    assert rewards(THREE_COFFEES, steps) == [0, 0, -1, 0, -1, 0, 0, 0, 1.3]


def test_guards_read_a_counter_before_the_step_changes_it() -> None:
    spec = machine(
        counters={"n": 0},
        propositions={"many": "n >= 1"},
        edges=[
            {"from": "u", "when": "a and not many", "reward": "n", "count": {"n": "n + 1"}},
            {"from": "u", "when": "a and many", "reward": "n + 10", "count": {"n": "n + 1"}},
        ],
    )
    assert rewards(spec, label_trace("a", "a", "", "a")) == [0, 11, 0, 12]


@given(st.lists(st.sampled_from(["", "coffee", "office"]), min_size=1, max_size=12))
def test_counting_is_unrolling(steps: list[str]) -> None:
    """The counting machine pays what the plain machine with one state per coffee pays, capped at four."""
    edges = []
    for n in range(5):
        edges.append({"from": f"n{n}", "to": f"n{min(n + 1, 4)}", "when": "coffee and not office"})
        to, paid = ("in", 1) if n >= 3 else ("n0", -1)
        edges.append({"from": f"n{n}", "to": to, "when": "office", "reward": paid})
    plain = {
        "propositions": {"coffee": None, "office": None},
        "reward": [{"reward_machine": {"start": "n0", "edges": edges, "terminal": "in"}}],
    }
    counting = THREE_COFFEES.replace(" + drunk / 10", "")
    assert rewards(counting, label_trace(*steps)) == rewards(plain, label_trace(*steps))


def test_two_machines_add_up_and_each_keeps_its_state() -> None:
    spec = machine(edges=[{"from": "u", "to": "v", "when": "a", "reward": 1}])
    spec["reward"] += [
        {"reward_machine": {"start": "x", "edges": [{"from": "x", "when": "a", "reward": 10}]}}
    ]
    assert rewards(spec, label_trace("a", "a", "a")) == [11, 10, 10]
    assert states_after(compile_text(spec), label_trace("a", "a"))["reward_machine"] == "v"


def test_a_machine_of_ten_thousand_states_compiles() -> None:
    """A corridor: a moves on, every thousandth door pays; the last state ends the episode."""
    edges = [
        {"from": f"s{i}", "to": f"s{i + 1}", "when": "a", "reward": int((i + 1) % 1000 == 0)}
        for i in range(9_999)
    ]
    spec = machine(edges=edges, terminal="s9999")
    spec["reward"][0]["reward_machine"]["start"] = "s0"
    program = compile_text(spec)
    (built,) = program.machines
    assert len(built.states) == 10_000
    state, total = built.start, 0
    for _ in range(9_999):
        state, output = built.step(state, 1)
        total += output > 0
    assert (built.states[state], total) == ("s9999", 9)
    assert state in built.terminal


def test_machines_inside_one_term_keep_their_counters_and_propositions_apart() -> None:
    results = run_tests(
        loads("""
        propositions: [a, b]
        reward:
        - sum:
          - reward_machine:
              start: s
              counters: {n: 0}
              propositions: {enough: n >= 1}
              edges: [{from: s, when: a and not enough, count: {n: n + 1}, reward: n + 1}]
          - reward_machine:
              start: s
              counters: {n: 10}
              propositions: {enough: n >= 12}
              edges: [{from: s, when: b and not enough, count: {n: n + 1}, reward: n}]
        tests:
        - {name: each counts for itself, trace: [[a], [a], [b], [b], [b]], rewards: [1, 0, 10, 11, 0]}
        """)
    )
    assert [result.differences for result in results] == [()]
