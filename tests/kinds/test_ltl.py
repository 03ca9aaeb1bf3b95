"""Kind `ltl`: when a formula pays, on finite traces and on infinite words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.errors import SpecError
from rewardspec.logic import automaton as automata
from rewardspec.logic import factors
from rewardspec.logic.finite import compile_factor
from rewardspec.logic.formula import parse_formula
from tests.kinds.episodes import (
    End,
    compile_text,
    discounted,
    label_trace,
    play,
    rewards,
    verdict_after,
)
from tests.logic.direct import holds


def formula(text: str, **fields: Any) -> dict[str, Any]:
    """Return a spec of one formula that pays 1 and -1."""
    term = {"ltl": text, "accept": 1, "reject": -1, **fields}
    return {"discount": 0.5, "propositions": dict.fromkeys("abcd"), "reward": [term]}


# -- finite traces: when it pays -------------------------------------------------------------------

ERRAND = "F(a & X F b) & G !c"
"""a, later b, never c."""


@pytest.mark.parametrize(
    ("pay", "steps", "end", "paid"),
    [
        # first: the first step at which the trace so far satisfies the formula
        ("first", ["", "a", "", "b"], None, [0, 0, 0, 1]),
        ("first", ["a b", "", "b"], None, [0, 0, 1]),
        ("first", ["a", "c"], None, [0, -1]),
        ("first", ["a", ""], None, [0, 0]),
        ("first", ["a", ""], "terminated", [0, 0]),
        ("first", ["a", ""], "truncated", [0, 0]),
        ("first", ["a", "b"], "truncated", [0, 1]),
        # for_good: c may always come, so satisfaction is never for good
        ("for_good", ["a", "b", ""], None, [0, 0, 0]),
        ("for_good", ["a", "b", "c"], None, [0, 0, -1]),
        ("for_good", ["a", "b", ""], "terminated", [0, 0, 0]),
        # end: by the verdict on the whole trace
        ("end", ["a", "b", ""], None, [0, 0, 0]),
        ("end", ["a", "b", ""], "terminated", [0, 0, 1]),
        ("end", ["a", "b", ""], "truncated", [0, 0, 1]),
        ("end", ["a", "", ""], "terminated", [0, 0, -1]),
        ("end", ["a", "c", ""], None, [0, -1]),
        ("end", ["a", "c"], "truncated", [0, -1]),
    ],
)
def test_when_a_finite_trace_is_paid(pay: str, steps: list[str], end: End, paid: list[float]) -> None:
    assert rewards(formula(ERRAND, pay=pay), label_trace(*steps, end=end)) == paid


@pytest.mark.parametrize("pay", ["first", "for_good"])
def test_what_nothing_can_undo_is_paid_at_once(pay: str) -> None:
    assert rewards(formula("F(a & X F b)", pay=pay), label_trace("a", "", "b", "b")) == [0, 0, 1]


def test_first_pays_what_later_steps_could_undo() -> None:
    """`F a & G !c` holds after a; with `first` the episode is over before a c can spoil it."""
    assert rewards(formula("F a & G !c"), label_trace("a", "c")) == [1]
    assert rewards(formula("F a & G !c", pay="for_good"), label_trace("a", "c")) == [0, -1]


@pytest.mark.parametrize(
    ("pay", "steps", "ends"),
    [
        ("first", ["a"], [True]),
        ("first", ["", "c"], [False, True]),
        ("for_good", ["a", "c"], [False, True]),
        ("end", ["a", ""], [False, False]),
        ("end", ["a", "c"], [False, True]),
    ],
)
def test_a_paid_verdict_ends_the_episode(pay: str, steps: list[str], ends: list[bool]) -> None:
    outcomes = play(formula("F a & G !c", pay=pay), label_trace(*steps))
    assert [o.terminated for o in outcomes] == ends
    assert not any(o.truncated for o in outcomes)


def test_next_is_strong_and_weak_next_is_not() -> None:
    """At the last step there is no next one: X a is false there, WX a is true."""
    assert rewards(formula("X a", pay="end"), label_trace("", end="truncated")) == [-1]
    assert rewards(formula("WX a", pay="end"), label_trace("", end="truncated")) == [1]


def test_accept_defaults_to_one_and_reject_to_nothing() -> None:
    spec = "propositions: [a, c]\nreward: {ltl: F a & G !c}"
    assert rewards(spec, label_trace("", "a")) == [0, 1]
    assert rewards(spec, label_trace("", "c")) == [0, 0]


FORMULAS = [
    "F a", "G !c", "F(a & X F b)", "a U b", "F(a & b)", "G(a -> X b)", "X a", "WX a", "a R b", "F G a", "G F a",
    "G(c -> X d)", "!c U (a & X(!c U b))",
]  # fmt: skip
STEPS = st.lists(
    st.sampled_from(["", "a", "b", "c", "d", "a b", "a c", "b d", "a b c d"]), min_size=1, max_size=6
)
ENDS = st.sampled_from([None, "terminated", "truncated"])


@given(st.sampled_from(FORMULAS), STEPS, st.sampled_from(["terminated", "truncated"]))
def test_end_pays_the_direct_meaning_of_the_formula(text: str, steps: list[str], end: End) -> None:
    """Whatever happens on the way, the episode's sum is 1 or -1, as the recursion on the trace says.

    Where violation for good ends the episode early, the shorter trace violates the formula too.
    """
    paid = rewards(formula(text, pay="end"), label_trace(*steps, end=end))
    root = parse_formula(text, list("abcd"), "finite").root
    whole = [set(step.split()) for step in steps]
    assert sum(paid) == (1 if holds(root, whole) else -1)
    assert all(not holds(root, whole[:n]) for n in range(len(paid), len(whole)))


@given(st.sampled_from(FORMULAS), STEPS)
def test_first_pays_at_the_shortest_prefix_that_satisfies(text: str, steps: list[str]) -> None:
    root = parse_formula(text, list("abcd"), "finite").root
    whole = [set(step.split()) for step in steps]
    good = [n for n in range(1, len(steps) + 1) if holds(root, whole[:n])]
    paid = rewards(formula(text), label_trace(*steps))
    if paid[-1] == 1:
        assert len(paid) == good[0]
    else:
        assert not good
        assert paid[:-1] == [0] * (len(paid) - 1)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(FORMULAS), min_size=2, max_size=4, unique=True),
    st.sampled_from(["&", "|"]),
    st.sampled_from(["first", "for_good", "end"]),
    STEPS,
    ENDS,
)
def test_factors_pay_what_their_product_pays(
    parts: list[str], join: str, pay: str, steps: list[str], end: End
) -> None:
    """A conjunction or disjunction is kept as several machines; the one automaton of the whole says the same."""
    text = f" {join} ".join(f"({part})" for part in parts)
    whole = compile_factor(parse_formula(text, list("abcd"), "finite").root)
    known = automata.verdicts(whole)
    expected: list[float] = []
    state = whole.start
    for i, step in enumerate(steps):
        label = sum(1 << bit for bit, name in enumerate(whole.propositions) if name in step.split())
        state = automata.step(whole, state, label)
        value = known[state].name
        last = end is not None and i == len(steps) - 1
        satisfied = (
            value
            in {
                "first": ("SATISFIED_SO_FAR", "SATISFIED_FOR_GOOD"),
                "for_good": ("SATISFIED_FOR_GOOD",),
                "end": ("SATISFIED_SO_FAR", "SATISFIED_FOR_GOOD") if last else (),
            }[pay]
        )
        rejected = value == "VIOLATED_FOR_GOOD" or (pay == "end" and last and not satisfied)
        expected.append(1 if satisfied else -1 if rejected else 0)
        if value == "VIOLATED_FOR_GOOD" or (satisfied and pay != "end"):
            break
    assert rewards(formula(text, pay=pay), label_trace(*steps, end=end)) == expected


def test_twelve_eventualities_stay_small_machines() -> None:
    """Their product has 4096 states; side by side they have no more than two each."""
    names = [f"p{i}" for i in range(12)]
    spec = {
        "propositions": dict.fromkeys(names),
        "reward": [{"ltl": " & ".join(f"F {name}" for name in names)}],
    }
    program = compile_text(spec)
    assert len(program.machines) > 1
    assert sum(len(machine.states) for machine in program.machines) <= 2 * 12
    assert rewards(program, label_trace(*names)) == [0] * 11 + [1]


# -- finite traces: verdicts and progress ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "steps", "word"),
    [
        ("F a & G !c", [""], "violated so far"),
        ("F a & G !c", ["a"], "satisfied so far"),
        ("F a & G !c", ["a", "c"], "violated for good"),
        ("F a", ["", "a"], "satisfied for good"),
        ("G !c", [""], "satisfied so far"),
        ("F a | G !c", ["c"], "violated so far"),
        ("F a | G !c", ["c", "a"], "satisfied for good"),
    ],
)
def test_verdicts_in_words(text: str, steps: list[str], word: str) -> None:
    assert verdict_after(compile_text(formula(text, pay="end")), label_trace(*steps)) == word


def test_two_formulas_in_one_term_have_a_verdict_each() -> None:
    program = compile_text("{propositions: [a, b], reward: {sum: [{ltl: F a}, {ltl: F b}], name: both}}")
    assert [verdict.term for verdict in program.verdicts] == ["both", "both_2"]


@pytest.mark.parametrize(("text", "said"), [("f a", "'F'"), ("Finally a", "'F'"), ("a u a", "'U'")])
def test_an_operator_by_another_name_is_told_its_own(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=f"The operator is written {said}"):
        compile_text(f"{{propositions: [a], reward: {{ltl: '{text}'}}}}")


def test_worked_progress() -> None:
    """F(a & X F b) is two edges away at the start, then one: Phi = -2/3, -1/3, 0; the discount is 1/2."""
    spec = formula("F(a & X F b)", progress=3)
    assert rewards(spec, label_trace("", "a", "b")) == pytest.approx([-1 + 2, -0.5 + 2, 0 + 1 + 1])


@given(st.sampled_from(FORMULAS), st.sampled_from(["first", "for_good", "end"]), STEPS, ENDS)
def test_progress_telescopes(text: str, pay: str, steps: list[str], end: End) -> None:
    """What progress adds sums to gamma^T Phi(u_T) - Phi(u_0): 0 >= Phi >= -scale, and 0 where it terminated."""
    with_progress = play(formula(text, pay=pay, progress=3), label_trace(*steps, end=end))
    without = play(formula(text, pay=pay), label_trace(*steps, end=end))
    added = discounted([p.reward - q.reward for p, q in zip(with_progress, without, strict=True)], 0.5)
    # An episode that ends at once is paid -Phi(u_0).
    start = -rewards(formula(text, pay=pay, progress=3), label_trace(steps[0], end="terminated"))[0]
    start += rewards(formula(text, pay=pay), label_trace(steps[0], end="terminated"))[0]
    assert -3 <= start <= 0
    rest = (added + start) / 0.5 ** len(without)
    assert -3 - 1e-9 <= rest <= 1e-9
    if without[-1].terminated:
        assert rest == pytest.approx(0)


# -- infinite words --------------------------------------------------------------------------------


def infinite(text: str, scheme: str, **fields: Any) -> dict[str, Any]:
    return formula(text, semantics="infinite", scheme=scheme, **fields)


@pytest.mark.parametrize(
    ("scheme", "steps", "paid"),
    [
        # frontier: each set once a round, in any order
        ("frontier", ["a", "a", "b", "a", "b"], [1, 0, 1, 1, 1]),
        ("frontier", ["", "b", "b", "a", "", "a"], [0, 1, 0, 1, 0, 1]),
        # every_visit: only what completes a round
        ("every_visit", ["a", "a", "b", "a", "b"], [0, 0, 1, 0, 1]),
        ("every_visit", ["", "b", "b", "a", "", "a"], [0, 0, 0, 1, 0, 0]),
        # both at once: one step, one payment
        ("frontier", ["a b", "a b"], [1, 1]),
        ("every_visit", ["a b", "a b"], [1, 1]),
    ],
)
def test_a_and_b_again_and_again(scheme: str, steps: list[str], paid: list[float]) -> None:
    assert rewards(infinite("G F a & G F b", scheme), label_trace(*steps)) == paid


@pytest.mark.parametrize("scheme", ["frontier", "every_visit"])
def test_with_one_set_every_accepting_edge_pays(scheme: str) -> None:
    assert rewards(infinite("G F a", scheme), label_trace("a", "", "a", "a")) == [1, 0, 1, 1]


@given(st.lists(st.sampled_from(["", "a"]), min_size=1, max_size=10))
def test_a_alone_is_not_farmed(steps: list[str]) -> None:
    """Where b never comes, the frontier pays for at most one a, and every_visit for none."""
    assert sum(rewards(infinite("G F a & G F b", "frontier"), label_trace(*steps))) == float("a" in steps)
    assert sum(rewards(infinite("G F a & G F b", "every_visit"), label_trace(*steps))) == 0


@given(STEPS)
def test_the_frontier_is_rounds_counted_by_hand(steps: list[str]) -> None:
    left, expected_frontier, expected_visits = {"a", "b"}, [], []
    for step in steps:
        hit = left & set(step.split())
        left = left - hit or {"a", "b"}
        expected_frontier.append(float(bool(hit)))
        expected_visits.append(float(bool(hit) and left == {"a", "b"}))
    text = "G F a & G F b"
    assert rewards(infinite(text, "frontier"), label_trace(*steps)) == expected_frontier
    assert rewards(infinite(text, "every_visit"), label_trace(*steps)) == expected_visits


def test_reject_is_paid_and_ends_the_episode() -> None:
    outcomes = play(infinite("G F a & G !c", "frontier"), label_trace("a", "a c", "a"))
    assert [o.reward for o in outcomes] == [1, -1]
    assert [o.terminated for o in outcomes] == [False, True]


def test_an_episodes_end_decides_nothing() -> None:
    """An infinite word has no end: nothing is paid for being cut off."""
    for end in ("terminated", "truncated"):
        assert rewards(infinite("G F a", "frontier"), label_trace("", "", end=end)) == [0, 0]


@pytest.mark.parametrize(
    ("text", "steps", "word"),
    [
        ("G F a & G !c", ["a"], "open"),
        ("G F a & G !c", ["c"], "violated for good"),
        ("F a", ["a"], "satisfied for good"),
        ("F a", [""], "open"),
    ],
)
def test_verdicts_on_infinite_words(text: str, steps: list[str], word: str) -> None:
    assert verdict_after(compile_text(infinite(text, "frontier")), label_trace(*steps)) == word


def test_progress_on_infinite_words_goes_up_towards_the_next_payment() -> None:
    """A round is two edges long here: one nearer after the first of a and b, and a new round begins at two."""
    text = "G F (a & !b) & G F (b & !a)"
    spec = {**infinite(text, "every_visit", progress=3), "discount": 1}
    plain = {**infinite(text, "every_visit"), "discount": 1}
    steps = label_trace("", "a", "", "b", "b")
    added = [p - q for p, q in zip(rewards(spec, steps), rewards(plain, steps), strict=True)]
    assert added == pytest.approx([0, 1, 0, -1, 1])


@given(STEPS, st.sampled_from(["frontier", "every_visit"]))
def test_progress_on_infinite_words_telescopes(steps: list[str], scheme: str) -> None:
    """What it adds to an episode that terminates is -Phi(u_0), the same for all traces."""
    text = "G F a & G F b & G !c"
    paid = rewards(infinite(text, scheme, progress=3), label_trace(*steps, end="terminated"))
    plain = rewards(infinite(text, scheme), label_trace(*steps, end="terminated"))
    added = discounted([p - q for p, q in zip(paid, plain, strict=True)], 0.5)
    at_once = rewards(infinite(text, scheme, progress=3), label_trace("", end="terminated"))
    assert added == pytest.approx(at_once[0])
    assert at_once[0] > 0


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["F a", "F b", "G !c", "F(a & X F b)", "F d", "G(a -> X b)", "a U d", "F(d & F a)"]),
             min_size=2, max_size=4, unique=True),
    st.sampled_from(["first", "for_good", "end"]),
    STEPS,
    ENDS,
)  # fmt: skip
def test_progress_of_a_conjunction_is_the_same_however_its_factors_were_joined(
    parts: list[str], pay: str, steps: list[str], end: End
) -> None:
    text = " & ".join(f"({part})" for part in parts)
    joined = compile_text(formula(text, pay=pay, progress=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "JOIN_STATES", 0)
        patch.setattr(factors, "LOOK_STATES", 0)
        apart = compile_text(formula(text, pay=pay, progress=3))
    trace = label_trace(*steps, end=end)
    payments = zip(
        play(joined, trace), play(apart, trace), strict=False
    )  # apart may know later that all is lost
    assert all(p.reward == pytest.approx(q.reward) for p, q in payments if p.terminated == q.terminated)


def test_each_conjunct_brings_its_share_of_progress_and_what_only_must_not_happen_none() -> None:
    spec = {**formula("F a & F b & G !c", progress=4), "discount": 1}
    assert rewards(spec, label_trace("", "a", "", "b")) == pytest.approx([0, 1, 0, 1 + 1])
    assert rewards(spec, label_trace("b", "c")) == pytest.approx([1, -1 + 1])
    alone = {**formula("F a & G !c", progress=4), "discount": 1}
    assert rewards(alone, label_trace("", "a")) == pytest.approx([0, 2 + 1])
