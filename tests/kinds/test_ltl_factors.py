"""Kind `ltl` on infinite words in several machines: what one machine for the whole formula pays, and no more states."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.analysis.check import check
from rewardspec.analysis.spec_tests import run_tests
from rewardspec.ir.program import Program
from rewardspec.kinds import ltl_infinite
from rewardspec.logic import infinite as omega
from rewardspec.vocabulary import from_data
from tests.kinds.episodes import compile_text, label_trace, play, rewards, verdict_after

pytest.importorskip("spot")

NAMES = [f"p{i}" for i in range(5)]


def patrol(k: int) -> str:
    return " & ".join(f"G F p{i}" for i in range(k))


def formula(text: str, **fields: Any) -> dict[str, Any]:
    term = {"ltl": text, "semantics": "infinite", "accept": 1, "reject": -1, **fields}
    names = [f"p{i}" for i in range(32)] + ["c", "d", "e"]
    return {"discount": 0.5, "propositions": dict.fromkeys(names), "reward": [term]}


@functools.cache
def factored(text: str, **fields: Any) -> Program:
    """Compile a formula to a machine per factor, however small their product would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(omega, "JOINED_STATES", 0)
        return compile_text(formula(text, **fields))


@functools.cache
def joint(text: str, **fields: Any) -> Program:
    """Compile a formula to one machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltl_infinite, "compile_factors", lambda formula: (omega.compile_infinite(formula),))
        return compile_text(formula(text, **fields))


TEXTS = [
    *(patrol(k) for k in (2, 3, 4, 5)),
    f"{patrol(4)} & G !c",
    f"{patrol(3)} & F c",
    f"{patrol(3)} & F c & G !d & F(d | e)",
    f"{patrol(3)} & (!c W d)",
    f"{patrol(2)} & (!c W d) & F e",
    f"{patrol(3)} & G F (p0 & p1)",
    f"{patrol(3)} & G (p0 -> X !p0)",
    f"{patrol(2)} & G (c -> F d)",
    f"{patrol(2)} & G F (c & X c) & G (d -> X e)",
    "F c & F d & F e",
    f"{patrol(2)} & G ((c | G e) W d)",
    # What ties two together ties the third, which shares a proposition with one of them.
    "G F (c & (p1 U p3)) & G F p4 & G F (p4 | !p3) & G F p0",
]

LABELS = st.sets(st.sampled_from([*NAMES, "c", "d", "e"]), max_size=4).map(
    lambda names: " ".join(sorted(names))
)


@settings(max_examples=400)
@given(
    st.sampled_from(TEXTS),
    st.sampled_from(["frontier", "every_visit"]),
    st.lists(LABELS, min_size=1, max_size=12),
)
def test_several_machines_pay_what_the_one_machine_pays(text: str, scheme: str, steps: list[str]) -> None:
    apart, together = factored(text, scheme=scheme), joint(text, scheme=scheme)
    trace = label_trace(*steps)
    assert rewards(apart, trace) == rewards(together, trace)
    assert [o.terminated for o in play(apart, trace)] == [o.terminated for o in play(together, trace)]
    played = len(play(apart, trace))
    assert verdict_after(apart, trace[:played]) == verdict_after(together, trace[:played])


def test_the_formulas_above_are_factored_when_asked_and_joined_when_small() -> None:
    assert [len(factored(text).machines) > 1 for text in TEXTS] == [True] * len(TEXTS)
    assert [len(compile_text(formula(patrol(k))).machines) for k in (2, 3, 4, 5)] == [1, 1, 1, 5]


def test_a_machine_that_forgets_to_begin_anew_is_caught() -> None:
    program = factored(patrol(2))
    assert rewards(program, label_trace("p0", "p1", "p1", "p0")) == [1, 1, 1, 1]
    first = program.machines[0]
    stuck = type(first)(**{**first.__dict__, "edges": (first.edges[0], ())})
    broken = type(program)(**{**program.__dict__, "machines": (stuck, *program.machines[1:])})
    assert rewards(broken, label_trace("p0", "p1", "p1", "p0")) == [1, 1, 1, 0]


def test_thirty_recurrences_are_thirty_machines_of_two_states() -> None:
    program = compile_text(formula(patrol(30)))
    assert [len(machine.states) for machine in program.machines] == [2] * 30
    names = [f"p{i}" for i in range(30)]
    assert rewards(program, label_trace(*names, *names[:3])) == [1] * 33
    visits = compile_text(formula(patrol(30), scheme="every_visit"))
    assert rewards(visits, label_trace(*names, *reversed(names))) == [0] * 29 + [1] + [0] * 29 + [1]


def test_nothing_is_paid_or_remembered_before_the_formula_can_hold() -> None:
    program = factored(f"{patrol(2)} & F c")
    assert rewards(program, label_trace("p0", "c", "p0", "p0", "p1")) == [0, 0, 1, 0, 1]
    assert verdict_after(program, label_trace("p0", "c")) == "open"


def test_violation_of_one_conjunct_ends_the_episode() -> None:
    outcomes = play(compile_text(formula(f"{patrol(5)} & G !c")), label_trace("p0", "p1 c", "p2"))
    assert [(o.reward, o.terminated) for o in outcomes] == [(1, False), (-1, True)]


def test_progress_rises_with_each_mark_of_a_round() -> None:
    """With discount 1/2 and five marks: Phi = -1 + seen / 5, each machine's distance being 1 or 0 of 2."""
    with_progress = compile_text(formula(patrol(5), progress=2))
    plain = compile_text(formula(patrol(5)))
    steps = label_trace("", "p0", "p1 p2")
    added = [p - q for p, q in zip(rewards(with_progress, steps), rewards(plain, steps), strict=True)]
    phi = [-1, -1, -0.8, -0.4]
    assert added == pytest.approx([0.5 * after - before for before, after in itertools.pairwise(phi)])


def test_traces_of_a_spec_and_its_lints_read_such_a_formula() -> None:
    spec = formula(f"{patrol(5)} & G !c")
    names = [f"p{i}" for i in range(5)]
    spec["propositions"] = {name: f"next_obs == {i}" for i, name in enumerate([*names, "c"])}
    spec["discount"] = 0.99
    spec["env"] = {"horizon": 500, "ends_early": False}
    spec["tests"] = [
        {"name": "a round and a slip", "trace": [["p0"], ["p0"], *([name] for name in names[1:]), ["p0"], ["c"]],
         "rewards": [1, 0, 1, 1, 1, 1, 1, -1], "verdict": "violated for good"},
    ]  # fmt: skip
    (result,) = run_tests(from_data(spec))
    assert not result.differences and not result.undecided
    assert not check(from_data(spec))
