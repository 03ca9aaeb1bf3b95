"""Passes change how a program is written, never what it pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec, lower_spec
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import bind
from rewardspec.ir.passes import (
    PASSES,
    drop_false_ends,
    drop_unread,
    fold_constants,
    keep_terms_numeric,
    minimise_machines,
    simplify,
)
from rewardspec.ir.program import Edge, End, Fold, Machine, ParamValue, Program, Proposition, Term, Verdict
from rewardspec.vocabulary import from_data
from tests.agreement import worlds
from tests.kinds.episodes import compile_text, label_trace, rewards

# -- all passes, on drawn specs --------------------------------------------------------------------

STEPS, BATCH = 8, 2

EXHAUSTIVE = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def outcomes(program: Program, seed: int) -> list[Any]:
    """Return what a program says about a stretch of drawn transitions: reward, ends, terms and verdicts."""
    bound = bind(program, worlds.OBSERVATION, worlds.ACTION).program
    state = oracle.init(bound, BATCH)
    found = []
    for step in worlds.batches(seed, STEPS, BATCH):
        blank = {name: 0.5 for name, _ in bound.futures}
        state, said = oracle.step(bound, state, [replace(row, future=blank) for row in step.rows()])
        words = [
            [v.word(tuple(state.machines[b][name] for name in v.machines)) for v in bound.verdicts]
            for b in range(BATCH)
        ]
        # Written out, a NaN equals a NaN; adding 0.0 makes a negative zero a positive one.
        paid = [[repr(number + 0.0) for number in (s.reward, *s.terms)] for s in said]
        found.append([(p, s.terminated, s.truncated, w) for p, s, w in zip(paid, said, words, strict=True)])
        state = oracle.reset(bound, state, [s.terminated or s.truncated for s in said])
    return found


@EXHAUSTIVE
@given(worlds.specs(), st.integers(0, 10**6))
def test_the_compiled_program_says_what_the_written_one_says(data: dict[str, Any], seed: int) -> None:
    """To the last bit, NaN and infinities included, the sign of a zero apart: no pass may hide a NaN."""
    spec = from_data(data)
    assert outcomes(compile_spec(spec), seed) == outcomes(lower_spec(spec), seed)


@pytest.mark.parametrize("change", PASSES[:-1], ids=lambda p: p.__name__)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(worlds.specs(), st.integers(0, 10**6))
def test_each_pass_by_itself(change: Any, data: dict[str, Any], seed: int) -> None:
    written = lower_spec(from_data(data))
    assert outcomes(change(written), seed) == outcomes(written, seed)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(worlds.specs())
def test_a_second_round_of_passes_finds_nothing(data: dict[str, Any]) -> None:
    once = compile_spec(from_data(data))
    twice = once
    for change in PASSES:
        twice = change(twice)
    assert [len(m.states) for m in twice.machines] == [len(m.states) for m in once.machines]
    assert (twice.folds, twice.params, len(twice.ends)) == (once.folds, once.params, len(once.ends))


# -- fold_constants --------------------------------------------------------------------------------

X = ir.Field("reward")
B = ir.Holds("b")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (ir.Binary("add", ir.Const(2.0), ir.Const(3.0)), ir.Const(5.0)),
        (ir.Binary("mul", ir.ONE, X), X),
        (ir.Binary("add", X, ir.ZERO), X),
        (ir.Binary("sub", X, ir.ZERO), X),
        (ir.Unary("not", ir.Unary("not", B)), B),
        (ir.Where(ir.TRUE, X, ir.ONE), X),
        (ir.Where(B, X, X), X),
        (ir.Logic("and", (B, ir.TRUE)), B),
        (ir.Logic("and", (B, ir.FALSE)), ir.FALSE),
        (ir.Logic("or", (B, ir.TRUE)), ir.TRUE),
        (ir.Combine("sum", (X, ir.ZERO)), X),
        (ir.StateTable("m", (2.0, 2.0)), ir.Const(2.0)),
        (ir.Unary("not", ir.StateTable("m", (True, False))), ir.StateTable("m", (False, True))),
    ],
)
def test_worked_simplifications(node: ir.Expr, expected: ir.Expr) -> None:
    assert simplify(node) == expected


@pytest.mark.parametrize(
    "node",
    [
        ir.Binary("mul", ir.ZERO, X),  # x may be infinite
        ir.Binary("sub", X, X),
        ir.Binary("div", X, X),
        ir.Binary("div", ir.ONE, ir.ZERO),
        ir.Binary("mul", ir.Const(1e300), ir.Const(1e300)),
        ir.Binary("mul", ir.ONE, B),  # the product is a number, b is not
        ir.StateTable("m", (0.0, False)),  # a number in one state, a truth value in the other
    ],
)
def test_what_might_hide_a_nan_or_change_the_sort_of_a_value_stays(node: ir.Expr) -> None:
    assert simplify(node) == node


# -- minimise_machines -----------------------------------------------------------------------------

TWINS = {
    "propositions": {"a": None, "b": None, "c": None},
    "reward": [
        {
            "reward_machine": {
                "start": "start",
                "edges": [
                    {"from": "start", "to": "left", "when": "a"},
                    {"from": "start", "to": "right", "when": "b and not a"},
                    {"from": ["left", "right"], "to": "done", "when": "c", "reward": 1},
                    {"from": "nowhere", "to": "start", "when": "a"},
                ],
            }
        }
    ],
}
"""Two ways to the same: `left` and `right` promise the same; nothing leads to `nowhere`."""


def test_equivalent_states_are_merged_and_unreachable_ones_dropped() -> None:
    assert lower_spec(from_data(TWINS)).machines[0].states == ("start", "left", "right", "done", "nowhere")
    (machine,) = compile_text(TWINS).machines
    assert machine.states == ("start", "left|right", "done")


def test_states_that_a_table_tells_apart_stay_apart() -> None:
    """One edge shorter by the right: a potential by distance then pays the two states differently."""
    spec = {**TWINS, "discount": 1.0}
    merged = {**spec, "reward": [*TWINS["reward"], {"potential": {"machine": "reward_machine"}}]}
    assert len(compile_text(merged).machines[0].states) == 3
    program = lower_spec(from_data(spec))
    apart = ir.StateTable("reward_machine", (0.0, 1.0, 2.0, 0.0, 0.0))
    told = minimise_machines(replace(program, terms=(*program.terms, Term("told", "markov", apart))))
    assert told.machines[0].states == ("start", "left", "right", "done")
    assert told.terms[-1].expr == ir.StateTable("reward_machine", (0.0, 1.0, 2.0, 0.0))


def test_states_that_a_verdict_tells_apart_stay_apart() -> None:
    """`info` shows the verdict: states that pay alike may still differ in what is known about the formula."""
    program = lower_spec(from_data(TWINS))
    verdict = Verdict("reward_machine", ("reward_machine",), "and", ((1, 1, 3, 3, 1),))
    (machine,) = minimise_machines(replace(program, verdicts=(verdict,))).machines
    assert machine.states == ("start", "left", "right", "done")


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a machine of up to seven states, few rewards and few targets, so that many states are equivalent."""
    n = draw(st.integers(1, 7))
    edges = []
    for i in range(n):
        for guard in ("a and b", "a and not b", "not a and b"):
            if i == 0 or draw(st.booleans()):
                to, reward = f"s{draw(st.integers(0, n - 1))}", draw(st.sampled_from([0, 0, 1, 2]))
                edges.append({"from": f"s{i}", "to": to, "when": guard, "reward": reward})
    named = {edge["from"] for edge in edges} | {edge["to"] for edge in edges}
    ends = sorted(named - {edge["from"] for edge in edges})
    return {
        "start": "s0",
        "edges": edges,
        "terminal": draw(st.lists(st.sampled_from(ends), unique=True)) if ends else [],
    }


LABELS = st.lists(st.sampled_from(["", "a", "b", "a b"]), min_size=1, max_size=12)


@given(machines(), LABELS)
def test_minimising_keeps_rewards_and_ends(body: dict[str, Any], steps: list[str]) -> None:
    written = lower_spec(
        from_data({"propositions": {"a": None, "b": None}, "reward": [{"reward_machine": body}]})
    )
    small = minimise_machines(written)
    assert rewards(small, label_trace(*steps)) == rewards(written, label_trace(*steps))


def same_future(machine: Machine, one: int, other: int) -> bool:
    """Return whether no sequence of labels tells two states apart, by search over pairs of states."""
    seen, queue = {(one, other)}, [(one, other)]
    while queue:
        p, q = queue.pop()
        if p != q and {p, q} & machine.terminal:
            return False  # over here and not there, or over in another way
        if p in machine.terminal:
            continue
        for label in range(1 << len(machine.propositions)):
            (p2, paid), (q2, also) = machine.step(p, label), machine.step(q, label)
            if paid != also:
                return False
            if (p2, q2) not in seen:
                seen.add((p2, q2))
                queue.append((p2, q2))
    return True


@given(machines())
def test_no_two_states_of_a_minimal_machine_are_equivalent(body: dict[str, Any]) -> None:
    small = minimise_machines(
        lower_spec(from_data({"propositions": {"a": None, "b": None}, "reward": [{"reward_machine": body}]}))
    ).machines[0]
    pairs = [(p, q) for p in range(len(small.states)) for q in range(p)]
    assert not any(same_future(small, p, q) for p, q in pairs)


# -- the small passes ------------------------------------------------------------------------------


def program(**parts: Any) -> Program:
    empty: dict[str, Any] = dict.fromkeys(
        ("propositions", "machines", "folds", "params", "terms", "ends"), ()
    )
    return Program(name="made", discount=None, **{**empty, **parts})


def test_what_nothing_reads_is_dropped() -> None:
    """A chain of folds goes with its last reader; what feeds itself alone is as good as unread."""
    count = Fold("count", 0.0, ir.Binary("add", ir.Memory("count"), ir.ONE))
    copy = Fold("copy", 0.0, ir.Memory("count"))
    machine = Machine("m", ("a",), ("u",), 0, ((Edge(1, 1, 0, 1),),), (ir.ZERO, ir.ONE))
    parts = {
        "propositions": (Proposition("a", ir.Field("label", ("a",))),),
        "folds": (count, copy),
        "machines": (machine,),
        "params": (ParamValue("w", 1.0),),
    }
    bare = drop_unread(program(terms=(Term("t", "markov", ir.ONE),), **parts))
    assert (bare.folds, bare.machines, bare.params) == ((), (), ())
    assert bare.propositions == parts["propositions"]  # the host shows them
    reading = ir.total((ir.Memory("copy"), ir.OutputTable("m", (0.0, 1.0)), ir.Param("w")))
    kept = drop_unread(program(terms=(Term("t", "markov", reading),), **parts))
    assert (kept.folds, kept.machines, kept.params) == (parts["folds"], (machine,), parts["params"])


def test_folds_that_only_read_each_other_are_dropped() -> None:
    """The first pass kept such a pair: each is read, and neither matters."""
    pair = (Fold("a", 0.0, ir.Memory("b")), Fold("b", 0.0, ir.Memory("a")))
    assert drop_unread(program(folds=pair)).folds == ()
    assert drop_unread(program(folds=pair, terms=(Term("t", "markov", ir.Memory("a")),))).folds == pair


def test_a_machine_that_only_a_verdict_reads_is_kept() -> None:
    spec = "propositions: [a]\nreward: {ltl: F a, pay: end, accept: 0}"
    assert len(compile_text(spec).machines) == 1


def test_ends_that_cannot_come_are_dropped() -> None:
    ends = (End(ir.FALSE), End(ir.Holds("a")), End(ir.Holds("a")), End(ir.Holds("a"), "truncated"))
    assert drop_false_ends(program(ends=ends)).ends == (ends[1], ends[3])
    assert compile_text("propositions: [a]\nreward: {ltl: G !a, pay: end}").ends != ()
    assert compile_text("propositions: [a]\nreward: {ltl: G F a, pay: end}").ends == ()


def test_a_term_that_is_a_truth_value_pays_one_or_nothing() -> None:
    kept = keep_terms_numeric(program(terms=(Term("t", "markov", B), Term("s", "markov", X))))
    assert [t.expr for t in kept.terms] == [ir.Where(B, ir.ONE, ir.ZERO), X]


def test_folding_reaches_every_part_of_a_program() -> None:
    two = ir.Binary("add", ir.ONE, ir.ONE)
    says = ir.Logic("or", (B, ir.FALSE))
    folded = fold_constants(
        program(
            propositions=(Proposition("b", ir.Logic("and", (ir.Field("label", ("b",)), ir.TRUE))),),
            folds=(Fold("f", 0.0, two),),
            terms=(Term("t", "markov", two),),
            ends=(End(says),),
            futures=(("later", two),),
        )
    )
    assert folded.propositions[0].expr == ir.Field("label", ("b",))
    assert folded.folds[0].update == folded.terms[0].expr == folded.futures[0][1] == ir.Const(2.0)
    assert folded.ends[0].when == B
