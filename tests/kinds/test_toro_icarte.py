"""Toro Icarte's text format: read with its meaning, written so that the repository reads the same machine."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.errors import SpecError, UnsupportedError
from rewardspec.kinds.reward_machine import RewardMachine
from rewardspec.kinds.toro_icarte import propositions_of, read_toro_icarte, write_toro_icarte
from rewardspec.logic.guards import guard_holds, parse_guard
from rewardspec.vocabulary import from_data

DOCUMENTED = """\
0      # initial state
[2]    # terminal state
(0,0,'!e&!n',ConstantRewardFunction(0))
(0,1,'e&!g&!n',ConstantRewardFunction(0))
(0,2,'e&g&!n',ConstantRewardFunction(1))
(1,1,'!g&!n',ConstantRewardFunction(0))
(1,2,'g&!n',ConstantRewardFunction(1))
"""
"""The example in the docstring of `_load_reward_machine`."""

CHEETAH = """\
0   # initial state
[]  # terminal state
(0,0,'!c',RewardControl())
(0,1,'c',RewardControl())
(1,1,'!d',RewardControl())
(1,0,'d',ConstantRewardFunction(1000))"""


class TheirMachine:
    """What the repository's code makes of a text, for constant rewards: written from its description."""

    def __init__(self, text: str) -> None:
        lines = [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]
        self.start, self.terminal = int(lines[0]), {int(n) for n in lines[1].strip("[]").split(",") if n}
        self.edges: dict[int, dict[str, tuple[int, float]]] = {}
        for line in lines[2:]:
            source, target, guard, reward = line[1:-1].split(",", 3)
            paid = float(reward.removeprefix("ConstantRewardFunction(").removesuffix(")"))
            self.edges.setdefault(int(source), {})[guard.strip("'")] = (int(target), paid)

    def step(self, state: int, label: set[str]) -> tuple[int | None, float]:
        """Return the next state (None: the episode is over) and the reward."""
        for guard, (target, paid) in self.edges.get(state, {}).items():
            if any(all(holds(literal, label) for literal in part.split("&")) for part in guard.split("|")):
                return (None if target in self.terminal else target), paid
        return None, 0.0


def holds(literal: str, label: set[str]) -> bool:
    if literal.startswith("!"):
        return not holds(literal[1:], label)
    return literal == "True" or (literal != "False" and literal in label)


def step(machine: RewardMachine, state: str, label: set[str]) -> tuple[str | None, float]:
    """Step a machine by the house's rules: no guard holds, then it stays and pays nothing."""
    leaving = [edge for edge in machine.edges if state in edge.from_]
    taken = [
        edge for edge in leaving if edge.when != "otherwise" and guard_holds(parse_guard(edge.when), label)
    ]
    assert len(taken) <= 1
    for edge in taken or [edge for edge in leaving if edge.when == "otherwise"]:
        target = state if edge.to is None else edge.to
        return (None if target in machine.terminal else target), float(edge.reward)
    return state, 0.0


def compiles(body: dict[str, Any]) -> bool:
    from rewardspec.compiler import compile_spec

    names = list(propositions_of(body))
    compile_spec(from_data({"propositions": names, "reward": [{"reward_machine": body}]}))
    return True


def test_the_documented_example_reads_as_it_is_meant() -> None:
    body = read_toro_icarte(DOCUMENTED)
    assert body == {
        "start": "u0",
        "edges": [
            {"from": "u0", "to": "u0", "when": "not e and not n"},
            {"from": "u0", "to": "u1", "when": "e and not g and not n"},
            {"from": "u0", "to": "u2", "when": "e and g and not n", "reward": 1},
            {"from": "u1", "to": "u1", "when": "not g and not n"},
            {"from": "u1", "to": "u2", "when": "g and not n", "reward": 1},
            {"from": ["u0", "u1"], "to": "fallen", "when": "otherwise"},
        ],
        "terminal": ["u2", "fallen"],
    }
    assert propositions_of(body) == ("e", "n", "g")
    assert compiles(body)


def test_reward_functions_become_expressions() -> None:
    body = read_toro_icarte(CHEETAH)
    assert [edge["reward"] for edge in body["edges"]] == ["info.reward_ctrl"] * 3 + [1000]
    assert "terminal" not in body
    assert compiles(body)
    assert write_toro_icarte(RewardMachine(**body)).splitlines()[2:] == CHEETAH.splitlines()[2:]
    mine = read_toro_icarte(CHEETAH.replace("Control", "Mine"), functions={"RewardMine": "info.mine"})
    assert mine["edges"][0]["reward"] == "info.mine"


def test_transitions_from_terminal_states_are_skipped_and_blank_lines_too() -> None:
    body = read_toro_icarte(
        '0\n[1]\n\n(0,1,"True",ConstantRewardFunction(-.5)) # pays\n'
        "(1,1,'True',ConstantRewardFunction(0))\n"
    )
    assert body == {
        "start": "u0",
        "edges": [{"from": "u0", "to": "u1", "when": "true", "reward": -0.5}],
        "terminal": ["u1"],
    }


def test_a_gap_of_ours_is_written_as_a_self_loop() -> None:
    machine = RewardMachine(
        start="want", terminal="done", edges=[{"from": "want", "to": "done", "when": "a or b", "reward": 2}]
    )
    assert write_toro_icarte(machine).splitlines() == [
        "0 # initial state",
        "[1] # terminal state",
        "(0,1,'a|b',ConstantRewardFunction(2))",
        "(0,0,'!a&!b',ConstantRewardFunction(0))",
    ]


def test_an_edge_without_a_target_is_written_as_a_self_loop() -> None:
    edges = [{"from": "a", "to": "b", "when": "x"}, {"from": ["a", "b"], "when": "otherwise", "reward": -1}]
    machine = RewardMachine(start="a", edges=edges)
    assert write_toro_icarte(machine).splitlines()[2:] == [
        "(0,1,'x',ConstantRewardFunction(0))",
        "(0,0,'!x',ConstantRewardFunction(-1))",
        "(1,1,'True',ConstantRewardFunction(-1))",
    ]


GUARDS = st.sampled_from(["a", "!a", "a&b", "!a&b", "a&!b|!a&b", "True", "False", "c", "!c&a", "!!b"])
LINES = st.tuples(st.integers(0, 3), st.integers(0, 3), GUARDS, st.integers(-2, 2) | st.just(0.25))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a text whose guards do not overlap: each one excludes those before it from the same state."""
    lines = draw(st.lists(LINES, min_size=1, max_size=8))
    labels = [{name for i, name in enumerate("abc") if bits >> i & 1} for bits in range(8)]
    taken: dict[int, list[set[str]]] = {}
    kept = []
    for source, target, guard, reward in lines:
        true = [
            x for x in labels if any(all(holds(y, x) for y in part.split("&")) for part in guard.split("|"))
        ]
        if not any(x in taken.get(source, []) for x in true) and all(
            k[0] != source or k[2] != guard for k in kept
        ):
            taken.setdefault(source, []).extend(true)
            kept.append((source, target, guard, reward))
    start = kept[0][0]
    terminal = draw(st.lists(st.integers(0, 4).filter(lambda n: n != start), max_size=2, unique=True))
    body = "\n".join(f"({s},{t},'{g}',ConstantRewardFunction({r}))" for s, t, g, r in kept)
    return f"{start}\n[{','.join(map(str, terminal))}]\n{body}"


TRACES = st.lists(st.sets(st.sampled_from("abc")), max_size=12)


@given(texts(), TRACES)
def test_ours_pays_what_theirs_pays_and_so_does_what_is_written(text: str, trace: list[set[str]]) -> None:
    machine = RewardMachine(**read_toro_icarte(text))
    written = write_toro_icarte(machine)
    again = RewardMachine(**read_toro_icarte(written))
    theirs, rewritten = TheirMachine(text), TheirMachine(written)
    a: int | None = theirs.start
    b: int | None = rewritten.start
    u: str | None = machine.start
    v: str | None = again.start
    for label in trace:
        if a is None or b is None or u is None or v is None:
            break
        (a, paid), (b, paid_written) = theirs.step(a, label), rewritten.step(b, label)
        (u, paid_here), (v, paid_again) = step(machine, u, label), step(again, v, label)
        assert paid == paid_here == paid_written == paid_again
        assert (a is None) == (u is None) == (b is None) == (v is None), "all end together"


def test_the_comparison_can_fail() -> None:
    """A gap that stayed where it is would be caught: there, the same label ends the episode."""
    machine = RewardMachine(
        **{k: v for k, v in read_toro_icarte(DOCUMENTED).items() if k != "edges"},
        edges=read_toro_icarte(DOCUMENTED)["edges"][:5],
    )
    assert step(machine, "u0", {"n"}) == ("u0", 0.0)
    assert TheirMachine(DOCUMENTED).step(0, {"n"}) == (None, 0.0)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "1:1", "the text stops too early"),
        ("0\n[1]", "2:1", "the text stops too early"),
        ("x\n[1]\n(0,1,'a',ConstantRewardFunction(1))", "1:1", "a state is a whole number"),
        ("0.5\n[1]\n(0,1,'a',ConstantRewardFunction(1))", "1:1", "a state is a whole number"),
        ("0 1\n[1]\n(0,1,'a',ConstantRewardFunction(1))", "1:3", "this line should end here"),
        ("0\n1\n(0,1,'a',ConstantRewardFunction(1))", "2:1", "the terminal states are a list, such as [2]"),
        ("0\n[1\n(0,1,'a',ConstantRewardFunction(1))", "2:3", "a ',' is missing here"),
        ("0\n[1]\n(0;1,'a',ConstantRewardFunction(1))", "3:3", "a ',' is missing here"),
        (
            "0\n[1]\n(0,1,a,ConstantRewardFunction(1))",
            "3:6",
            "a guard in quotes is missing here, such as 'a&!b'",
        ),
        (
            "0\n[1]\n(0,1,'(a)',ConstantRewardFunction(1))",
            "3:7",
            "'(' does not belong into a guard of this format",
        ),
        ("0\n[1]\n(0,1,'a&',ConstantRewardFunction(1))", "3:", "[formula-syntax]"),
        ("0\n[1]\n(0,1,'a',__import__('os'))", "3:10", "the reward function '__import__' is not known"),
        ("0\n[1]\n(0,1,'a',ConstantRewardFunction(nan))", "3:33", "ConstantRewardFunction takes one number"),
        ("0\n[1]\n(0,1,'a',ConstantRewardFunction(1)", "3:35", "a ')' is missing here"),
        ("0\n[1]\n(0,1,'a',ConstantRewardFunction(1)))", "3:36", "this line should end here"),
        ("5\n[1]\n(0,1,'a',ConstantRewardFunction(1))", "1:1", "no transition leaves the initial state 5"),
        (
            "0\n[1]\n(0,1,'a',ConstantRewardFunction(1))\n(0,0,'a',ConstantRewardFunction(0))",
            "4:2",
            "two transitions leave state 0 with the guard 'a'",
        ),
    ],
)
def test_errors_have_line_and_column(text: str, where: str, message: str) -> None:
    with pytest.raises((SpecError, UnsupportedError)) as error:
        read_toro_icarte(text, "t1.txt")
    assert f"t1.txt:{where}" in str(error.value)
    assert message in str(error.value)


def test_all_problems_are_found_at_once() -> None:
    with pytest.raises(SpecError) as error:
        read_toro_icarte("0\n[1]\n(0,1,a,X())\n(0,1,'b' X())\n(0,1,'c',ConstantRewardFunction(1))")
    assert [problem.place.line for problem in error.value.problems] == [3, 4]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"counters": {"n": 0}}, "the text format has no counters"),
        ({"edges": [{"from": "u0", "reward": "obs[0]"}]}, "the text format cannot pay 'obs[0]'"),
        ({"edges": [{"from": "u0", "reward": "true"}]}, "the text format cannot pay 'true'"),
    ],
)
def test_what_the_format_cannot_say_is_refused(fields: dict[str, Any], message: str) -> None:
    machine = RewardMachine(**{"start": "u0", "edges": [{"from": "u0"}], **fields})
    with pytest.raises(UnsupportedError, match="toro-icarte-unsupported") as error:
        write_toro_icarte(machine)
    assert message in str(error.value)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*"()[],'\"0123&|!#.-\n ", "True", "a", "ConstantRewardFunction"])).map(
        "".join
    )
)
def test_any_text_ends_in_a_machine_or_in_our_errors(text: str) -> None:
    with contextlib.suppress(SpecError, UnsupportedError):
        read_toro_icarte("0\n[1]\n(0,1,'a',ConstantRewardFunction(1))\n" + text)
