"""LTLf automata against the direct meaning of the formula, against Spot, and against the ladder of sizes."""

from __future__ import annotations

import itertools
import random
import re
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.errors import FormulaError
from rewardspec.logic import factors
from rewardspec.logic.automaton import (
    Automaton,
    Verdict,
    distance_to_accepting,
    minimise,
    refine,
    run,
    step,
    verdicts,
)
from rewardspec.logic.factors import FiniteMonitor, joint_verdict, product
from rewardspec.logic.finite import StateLimit, compile_factor, compile_finite
from rewardspec.logic.formula import parse_formula
from rewardspec.logic.syntax import show
from tests.logic.direct import holds
from tests.logic.dwyer import FORMULAS

NAMES = ("a", "b", "c")
OPERATORS = ("and", "or", "xor", "implies", "iff", "U", "R", "W", "M")
PREFIXES = ("not", "F", "G", "X", "WX", "X[2]", "F[1:2]", "G[0:2]", "F[1:]")


def random_text(rng: random.Random, size: int, names: tuple[str, ...] = NAMES) -> str:
    """Return a random formula with about `size` operators."""
    if size == 0:
        return rng.choice((*names, *names, "true", "false"))
    if rng.random() < 0.45:
        return f"{rng.choice(PREFIXES)} ({random_text(rng, size - 1, names)})"
    left = rng.randrange(size)
    parts = random_text(rng, left, names), random_text(rng, size - 1 - left, names)
    return f"({parts[0]}) {rng.choice(OPERATORS)} ({parts[1]})"


def as_sets(labels: tuple[int, ...], names: tuple[str, ...]) -> list[set[str]]:
    return [{name for bit, name in enumerate(names) if label >> bit & 1} for label in labels]


def check_structure(automaton: Automaton) -> None:
    """Every label takes exactly one edge of every state."""
    for leaving in automaton.edges:
        for label in range(1 << len(automaton.propositions)):
            assert sum(label & mask == value for mask, value, _ in leaving) == 1


def check_against_meaning(text: str, traces: list[tuple[int, ...]]) -> None:
    formula = parse_formula(text, NAMES)
    monitor = compile_finite(formula)
    names = formula.propositions
    for factor in monitor.factors:
        check_structure(factor)
    for trace in traces:
        states = monitor.start
        for length in range(1, len(trace) + 1):
            label = trace[length - 1] & ((1 << len(names)) - 1)
            states = monitor.step(states, label)
            prefix = as_sets(trace[:length], names)
            assert monitor.verdict(states).is_satisfied == holds(formula.root, prefix), (text, prefix)


@pytest.mark.parametrize("seed", range(8))
def test_every_prefix_gets_the_verdict_of_the_direct_meaning(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        traces = [tuple(rng.randrange(8) for _ in range(rng.randint(1, 7))) for _ in range(6)]
        check_against_meaning(random_text(rng, rng.randint(1, 7)), traces)


@given(st.integers(0, 10**9), st.integers(1, 6))
def test_final_verdicts_are_those_of_brute_force(seed: int, size: int) -> None:
    """Over one proposition, every continuation can be tried up to the number of states."""
    rng = random.Random(seed)
    formula = parse_formula(random_text(rng, size, ("a", "b")))
    automaton = compile_factor(formula.root)
    if len(automaton) > 5:
        return
    names = formula.propositions
    trace = tuple(rng.randrange(1 << len(names)) for _ in range(rng.randint(1, 3)))
    letters = range(1 << len(names))
    depth = min(len(automaton), 4)
    outcomes = {
        holds(formula.root, as_sets((*trace, *more), names))
        for length in range(depth + 1)
        for more in itertools.product(letters, repeat=length)
    }
    verdict = verdicts(automaton)[run(automaton, trace)]
    assert verdict.is_satisfied == holds(formula.root, as_sets(trace, names))
    if len(automaton) <= 5:  # a state is at most four steps away
        assert verdict.is_final == (len(outcomes) == 1)


@lru_cache(maxsize=1)
def spot():  # type: ignore[no-untyped-def]
    return pytest.importorskip("spot")


def test_random_formulas_of_randltl_agree_with_the_meaning_and_with_spots_own_route() -> None:
    rng = random.Random(7)
    compared = 0
    for drawn in spot().randltl(list(NAMES), 120, seed=3, tree_size=(5, 12), simplify=1):
        text = str(drawn)  # Spot writes Xa for X a; names in quotes keep them apart
        text = drawn.to_str("spot", True)
        for name in NAMES:
            text = text.replace(f'"{name}"', f" {name} ")
        for operator in "FGX":
            text = text.replace(operator, f" {operator} ")
        traces = [tuple(rng.randrange(8) for _ in range(6)) for _ in range(8)]
        words = "".join(f" {c} " if c in "abc" else c for c in text)
        check_against_meaning(words, traces)
        compared += 1
    assert compared == 120


def test_spot_reads_the_same_language_of_finite_traces() -> None:
    """Spot's LTLf: a word over the propositions and `alive`, which holds for the trace and then never."""
    rng = random.Random(11)
    for _ in range(40):
        formula = parse_formula(random_text(rng, 4, ("a", "b")).replace("WX", "X"))
        root = formula.root
        automaton = compile_factor(root)
        text = _strong(show(root))
        theirs = spot().from_ltlf(text).translate()
        for length in (1, 2, 3):
            for trace in itertools.product(range(4), repeat=length):
                labels = tuple(label & ((1 << len(formula.propositions)) - 1) for label in trace)
                ours = run(automaton, labels) in automaton.accepting
                letters = [
                    "&".join(
                        [_literal(label, bit, name) for bit, name in enumerate(formula.propositions)]
                        + ["alive"]
                    )
                    for label in labels
                ]
                word = spot().parse_word("; ".join(letters) + "; cycle{!alive}", theirs.get_dict())
                accepted = theirs.intersects(word.as_automaton())
                assert ours == accepted, (text, letters)


def _literal(label: int, bit: int, name: str) -> str:
    return name if label >> bit & 1 else f"!{name}"


def _strong(text: str) -> str:
    """Write our formula with Spot's strong next and bounds."""
    text = re.sub(r"\bX\[2\]", "X[!] X[!]", text)
    text = re.sub(r"\bX(?!\[)", "X[!]", text)
    text = re.sub(r"\bF\[1:2\] ", "_F12 ", text)
    text = re.sub(r"\bG\[0:2\] ", "_G02 ", text)
    text = re.sub(r"\bF\[1:\] ", "X[!] F ", text)
    text = text.replace("_F12 ", "F[1:2!] ").replace("_G02 ", "G[0:2] ")
    for word, symbol in (("not", "!"), ("and", "&"), ("or", "|"), ("implies", "->"), ("iff", "<->")):
        text = re.sub(rf"\b{word}\b", symbol, text)
    return text


# -- sizes ---------------------------------------------------------------------------------------------


def sequence(n: int) -> str:
    text = f"a{n}"
    for i in range(n - 1, 0, -1):
        text = f"a{i} & X F({text})"
    return f"F({text})"


def trap(n: int, extra: str = "") -> str:
    text = f"a{n}{extra}"
    for i in range(n - 1, 0, -1):
        text = f"a{i}{extra} & X(!c U ({text}))"
    return f"!c U ({text})"


def sizes(text: str) -> list[int]:
    return [len(factor) for factor in compile_finite(parse_formula(text)).factors]


@pytest.mark.parametrize("n", [1, 2, 15, 40])
def test_a_sequence_of_n_has_n_plus_1_states(n: int) -> None:
    assert sizes(sequence(n)) == [n + 1]


def test_a_sequence_that_avoids_has_one_state_more() -> None:
    assert sizes(f"{sequence(20)} & G !c") == [22]


def test_eventualities_stay_factored() -> None:
    for k in (12, 30):
        monitor = compile_finite(parse_formula(" & ".join(f"F a{i}" for i in range(k))))
        assert sum(len(factor) for factor in monitor.factors) <= 2 * k and monitor.exact


def test_the_closed_order_is_linear_and_the_open_one_is_refused_with_the_way_out() -> None:
    assert [sizes(trap(n, " & !c")) for n in (3, 12, 20)] == [[5], [14], [22]]
    assert [sizes(trap(n)) for n in (3, 6)] == [[8], [39]]
    text = trap(12)
    with pytest.raises(FormulaError) as caught:
        compile_finite(parse_formula(text), StateLimit(states=200))
    assert caught.value.code == "formula-too-large"
    assert "more than 200 states" in caught.value.message
    assert text[caught.value.offset :].startswith("!c U (a")
    suggestion = caught.value.hints[-1].split("this is small: ")[1]
    assert sizes(suggestion) == [14]


def test_thirty_propositions_do_not_matter() -> None:
    names = [f"p{i}" for i in range(30)]
    assert sizes(f"F({' & '.join(names)})") == [2]
    assert sizes(f"G({' | '.join(names)})") == [3]


@pytest.mark.parametrize(("name", "scope", "text"), FORMULAS)
def test_the_property_patterns_are_small(name: str, scope: int, text: str) -> None:
    formula = parse_formula(text, ("p", "q", "r", "s", "t", "z"))
    monitor = compile_finite(formula)
    assert monitor.exact and sum(map(len, monitor.factors)) <= 12
    rng = random.Random(scope)
    for _ in range(10):
        trace = tuple(rng.randrange(1 << len(formula.propositions)) for _ in range(6))
        states = monitor.start
        for label in trace:
            states = monitor.step(states, label)
        wanted = holds(formula.root, as_sets(trace, formula.propositions))
        assert monitor.verdict(states).is_satisfied == wanted


# -- verdicts and factors ------------------------------------------------------------------------------


def test_four_verdicts() -> None:
    monitor = compile_finite(parse_formula("F a & G !b"))
    assert len(monitor.factors) == 1
    states, read = monitor.start, []
    for label in (0b00, 0b01, 0b00, 0b10):
        states = monitor.step(states, label)
        read.append(str(monitor.verdict(states)))
    assert read == ["violated so far", "satisfied so far", "satisfied so far", "violated for good"]
    assert str(verdicts(compile_factor(parse_formula("F a").root))[1]) == "satisfied for good"


def test_factors_that_cannot_hold_together_are_noticed_when_they_share_propositions() -> None:
    monitor = compile_finite(
        parse_formula("F a & F b & G !(a & b) & G(a -> X G !b | !X true) & G(b -> G !a)")
    )
    apart = compile_finite(parse_formula("F a & G !a"))
    assert apart.exact and apart.verdict(apart.start) is Verdict.VIOLATED_FOR_GOOD
    assert monitor.exact


@pytest.mark.parametrize("text", ["F a & G !a", "X X !X true & X X X !X true"])
def test_a_monitor_that_may_miss_a_final_verdict_says_so(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no budget to look at products, both stay factored and neither factor knows that all is lost."""
    monkeypatch.setattr(factors, "JOIN_STATES", 0)
    monkeypatch.setattr(factors, "LOOK_STATES", 0)
    monitor = compile_finite(parse_formula(text))
    assert len(monitor.factors) == 2 and not monitor.exact
    assert monitor.verdict(monitor.start) is Verdict.VIOLATED_SO_FAR


def test_factors_are_joined_when_only_the_product_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "JOIN_STATES", 0)
    apart = compile_finite(parse_formula("F a & F(a & b)"))
    lost = compile_finite(parse_formula("F a & G !a"))
    assert len(apart.factors) == 2 and apart.exact
    assert len(lost.factors) == 1 and lost.verdict(lost.start) is Verdict.VIOLATED_FOR_GOOD


def test_formulas_that_end_at_different_lengths_never_meet() -> None:
    monitor = compile_finite(parse_formula("X X !X true & X X X !X true & F a"))
    assert monitor.verdict(monitor.start) is Verdict.VIOLATED_FOR_GOOD


@given(st.integers(0, 10**9))
def test_an_exact_monitor_knows_what_the_whole_automaton_knows(seed: int) -> None:
    rng = random.Random(seed)
    joint = rng.choice((" & ", " | "))
    text = joint.join(f"({random_text(rng, 2)})" for _ in range(3))
    formula = parse_formula(text, NAMES)
    monitor, whole = compile_finite(formula), compile_factor(formula.root)
    states, state = monitor.start, whole.start
    for _ in range(6):
        label = rng.randrange(1 << len(formula.propositions))
        states, state = monitor.step(states, label), step(whole, state, label)
        ours, theirs = monitor.verdict(states), verdicts(whole)[state]
        assert ours.is_satisfied == theirs.is_satisfied
        assert not ours.is_final or ours is theirs
        if monitor.exact:
            assert ours is theirs, text


def test_joint_verdicts() -> None:
    good, so_far, not_yet, lost = Verdict
    assert joint_verdict([good, good]) is good and joint_verdict([good, lost]) is lost
    assert joint_verdict([so_far, not_yet]) is not_yet and joint_verdict([so_far, good]) is so_far
    assert joint_verdict([not_yet, good], "or") is good and joint_verdict([lost, lost], "or") is lost
    assert joint_verdict([so_far, not_yet], "or") is so_far


def test_a_product_is_the_conjunction() -> None:
    left, right = (compile_factor(parse_formula(text).root) for text in ("F(a & X b)", "G(b -> a)"))
    whole = compile_factor(parse_formula("F(a & X b) & G(b -> a)").root)
    found = product([left, right], "and")
    assert found is not None and len(found) == len(whole)


def test_minimising_undoes_a_copied_state_and_keeps_outputs_apart() -> None:
    edges = (((1, 0, 0), (1, 1, 1)), ((0, 0, 2),), ((0, 0, 1),))
    copied = Automaton(("a",), 0, edges, frozenset({1, 2}))
    assert minimise(copied) == Automaton(("a",), 0, (((1, 0, 0), (1, 1, 1)), ((0, 0, 1),)), frozenset({1}))
    paid = [[(1, 1, 0, 5), (1, 0, 0, 0)], [(1, 1, 1, 6), (1, 0, 1, 0)]]
    assert refine(2, paid, [0, 0]) == [0, 1]
    same = [[(1, 1, 0, 5), (1, 0, 0, 0)], [(3, 3, 1, 5), (3, 1, 1, 5), (1, 0, 0, 0)]]
    assert refine(2, same, [0, 0]) == [0, 0]


def test_distances_count_steps_to_acceptance() -> None:
    automaton = compile_factor(parse_formula("F(a & X F b) & G !c").root)
    distances = distance_to_accepting(automaton)
    assert distances[automaton.start] == 2 and None in distances and 0 in distances


def test_a_wrong_edge_is_caught() -> None:
    """The comparison with the meaning can fail: swap the targets of one edge and it does."""
    formula = parse_formula("F(a & X b)")
    right = compile_factor(formula.root)
    mask, value, _ = right.edges[0][0]
    rest = tuple((m, v, 0) for m, v, _ in right.edges[0][1:])
    edges = (((mask, value, 0), *rest), *right.edges[1:])
    broken = Automaton(right.propositions, 0, edges, right.accepting)
    monitor = FiniteMonitor(formula.propositions, (broken,), "and", True)
    states = monitor.start
    for label in (0b01, 0b10):
        states = monitor.step(states, label)
    assert monitor.verdict(states).is_satisfied != holds(formula.root, [{"a"}, {"b"}])
