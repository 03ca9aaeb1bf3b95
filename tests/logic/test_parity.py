"""Parity automata against Spot's word acceptance, for every formula: persistence and reactivity too."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rewardspec.errors import FormulaError
from rewardspec.logic.automaton import Verdict
from rewardspec.logic.finite import StateLimit
from rewardspec.logic.formula import parse_formula, to_spot
from rewardspec.logic.parity import NONE, ParityMonitor, accepts_lasso, compile_parity, parity_verdicts
from tests.logic.dwyer import FORMULAS
from tests.logic.test_finite import random_text, sequence
from tests.logic.test_infinite import spot_accepts

spot = pytest.importorskip("spot")


def monitor_of(text: str, *, coloured: bool = False) -> ParityMonitor:
    return compile_parity(parse_formula(text, None, "infinite"), coloured=coloured)


def disagreement(text: str, monitor: ParityMonitor, rng: random.Random, words: int) -> str:
    """Return how an automaton and Spot differ on random lassos; nothing where they agree on all."""
    formula = parse_formula(text, None, "infinite")
    theirs = to_spot(formula.root)
    letters = 1 << len(formula.propositions)
    final = parity_verdicts(monitor)
    for _ in range(words):
        prefix = [rng.randrange(letters) for _ in range(rng.randrange(4))]
        cycle = [rng.randrange(letters) for _ in range(rng.randint(1, 4))]
        accepted = accepts_lasso(monitor, prefix, cycle)
        if accepted != spot_accepts(theirs, formula.propositions, prefix, cycle):
            return f"{text}: {prefix} {cycle}"
        state = monitor.start
        for label in prefix:
            state, _ = monitor.step(state, label)
        if final[state] is not None and accepted != (final[state] is Verdict.SATISFIED_FOR_GOOD):
            return f"{text}: decided wrongly after {prefix}"
    return ""


def check_structure(monitor: ParityMonitor) -> None:
    for leaving in monitor.edges:
        for label in range(1 << len(monitor.propositions)):
            assert sum(label & mask == value for mask, value, _, _ in leaving) == 1


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_random_formulas_accept_the_lassos_that_spot_accepts(seed: int, coloured: bool) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        text = random_text(rng, rng.randint(1, 6))
        monitor = monitor_of(text, coloured=coloured)
        check_structure(monitor)
        assert not disagreement(text, monitor, rng, 10)


@pytest.mark.parametrize(("name", "scope", "text"), FORMULAS)
def test_every_property_pattern_has_a_small_automaton(name: str, scope: int, text: str) -> None:
    monitor = monitor_of(text)
    check_structure(monitor)
    assert len(monitor) <= 20 and len(monitor.priorities) <= 3
    assert not disagreement(text, monitor, random.Random(scope), 5)


@pytest.mark.parametrize(
    ("text", "states", "priorities"),
    [
        ("F G a", 1, (0, 1)),
        ("F G a | G F b", 1, (0, 1, 2)),
        ("G F a -> G F b", 1, (0, 1, 2)),
        ("(G F a -> G F b) & (G F c -> G F d)", 2, (0, 1, 2, 3, 4)),
        ("G F a & F G b", 1, (0, 1)),
        ("F G a & G !c & F d", 3, (0, 1)),
        (f"{sequence(40)} & F G b & G !c", 42, (0, 1)),
        ("G F a", 1, (0,)),
        ("G !a", 2, (0,)),
        ("true", 1, (0,)),
        ("false", 1, ()),
    ],
)
def test_sizes(text: str, states: int, priorities: tuple[int, ...]) -> None:
    monitor = monitor_of(text)
    assert (len(monitor), monitor.priorities) == (states, priorities)


def test_colouring_leaves_no_cycle_without_a_priority_that_is_not_decided() -> None:
    plain, coloured = monitor_of("G F a & F G b"), monitor_of("G F a & F G b", coloured=True)
    assert NONE in {p for leaving in plain.edges for *_, p in leaving}
    assert {p for leaving in coloured.edges for *_, p in leaving} == {1, 2, 3}
    assert not disagreement("G F a & F G b", coloured, random.Random(1), 40)


def test_a_wrong_priority_is_caught() -> None:
    right = monitor_of("F G a | G F b")
    for wrong in range(3):
        broken = replace(
            right,
            edges=tuple(
                tuple((m, v, n, p + 1 if p == wrong else p) for m, v, n, p in leaving)
                for leaving in right.edges
            ),
        )
        assert disagreement("F G a | G F b", broken, random.Random(0), 60)


@pytest.mark.parametrize(("pairs", "limit"), [(8, StateLimit(seconds=0.5)), (3, StateLimit(states=5))])
def test_what_is_too_large_ends_at_a_limit(pairs: int, limit: StateLimit) -> None:
    text = " & ".join(f"(G F a{i} -> G F b{i})" for i in range(pairs))
    with pytest.raises(FormulaError) as caught:
        compile_parity(parse_formula(text, None, "infinite"), limit)
    assert caught.value.code == "formula-too-large"
