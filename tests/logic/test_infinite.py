"""Omega-automata against Spot's word acceptance and a direct reading, and the linter's questions."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from rewardspec.errors import FormulaError, MissingExtraError
from rewardspec.logic.automaton import Verdict
from rewardspec.logic.factors import project
from rewardspec.logic.finite import StateLimit
from rewardspec.logic.formula import parse_formula, spot_sere, to_spot
from rewardspec.logic.infinite import (
    OmegaMonitor,
    accepts_lasso,
    advance_frontier,
    compile_factors,
    compile_infinite,
    omega_verdicts,
)
from rewardspec.logic.questions import (
    equivalent,
    finite_infinite_differ,
    has_no_finite_violation,
    idle_parts,
    is_safety,
    is_satisfiable,
    is_tautology,
)
from tests.logic.dwyer import FORMULAS
from tests.logic.test_finite import random_text, sequence

spot = pytest.importorskip("spot")

NOT_BUECHI = {("precedence", 2), ("response chain, two effects", 4), ("constrained chain", 4)}
"""Patterns that are no recurrence properties: no deterministic Buechi automaton exists."""


def monitor_of(text: str) -> OmegaMonitor:
    return compile_infinite(parse_formula(text, None, "infinite"))


def spot_accepts(formula: Any, names: tuple[str, ...], prefix: list[int], cycle: list[int]) -> bool:
    """Ask Spot whether a lasso word satisfies a formula."""

    def letter(label: int) -> str:
        return "&".join(("" if label >> bit & 1 else "!") + name for bit, name in enumerate(names)) or "1"

    text = "; ".join([*map(letter, prefix), "cycle{" + "; ".join(map(letter, cycle)) + "}"])
    automaton = formula.translate()
    return bool(automaton.intersects(spot.parse_word(text, automaton.get_dict()).as_automaton()))


def check_structure(monitor: OmegaMonitor) -> None:
    for leaving in monitor.edges:
        for label in range(1 << len(monitor.propositions)):
            assert sum(label & mask == value for mask, value, _, _ in leaving) == 1


def compare_with_spot(text: str, rng: random.Random, words: int) -> bool:
    """Compare on random lassos; return whether there was an automaton to compare."""
    formula = parse_formula(text, None, "infinite")
    theirs = to_spot(formula.root)
    try:
        monitor = compile_infinite(formula)
    except FormulaError as error:
        assert error.code == "not-deterministic"
        assert spot.mp_class(theirs) in "PT", text  # a recurrence formula always has one
        return False
    check_structure(monitor)
    letters = 1 << len(formula.propositions)
    final = omega_verdicts(monitor)
    for _ in range(words):
        prefix = [rng.randrange(letters) for _ in range(rng.randrange(4))]
        cycle = [rng.randrange(letters) for _ in range(rng.randint(1, 4))]
        accepted = accepts_lasso(monitor, prefix, cycle)
        assert accepted == spot_accepts(theirs, formula.propositions, prefix, cycle), (text, prefix, cycle)
        state = monitor.start
        for label in prefix:
            state, _ = monitor.step(state, label)
        if final[state] is not None:
            assert accepted == (final[state] is Verdict.SATISFIED_FOR_GOOD)
    return True


@pytest.mark.parametrize("seed", range(4))
def test_random_formulas_accept_the_lassos_that_spot_accepts(seed: int) -> None:
    rng = random.Random(seed)
    compared = sum(compare_with_spot(random_text(rng, rng.randint(1, 6)), rng, 12) for _ in range(40))
    assert compared > 25


@pytest.mark.parametrize(("name", "scope", "text"), FORMULAS)
def test_the_property_patterns_compile_or_have_no_deterministic_buechi_automaton(
    name: str, scope: int, text: str
) -> None:
    compared = compare_with_spot(text, random.Random(scope), 4)
    assert compared != ((name, scope) in NOT_BUECHI)


@pytest.mark.parametrize(
    ("text", "states", "marks"),
    [
        ("G F a & G F b", 1, 2),
        ("F a & G !c & G F b", 3, 1),
        ("F a & F b & F c", 8, 1),
        ("true", 1, 1),
        ("false", 1, 1),
        (f"{sequence(40)} & G F b & G !c", 42, 1),
        ("{a; b[*]; c}[]-> d", 4, 1),
    ],
)
def test_sizes(text: str, states: int, marks: int) -> None:
    monitor = monitor_of(text)
    assert (len(monitor), monitor.n_marks) == (states, marks)


def test_a_mark_dropped_from_the_middle_leaves_the_others_in_place() -> None:
    assert monitor_of("G F b & F a & G F c").n_marks == 2
    assert compare_with_spot("G F b & F a & G F c", random.Random(2), 60)
    assert compare_with_spot("G F b & F a & G F c & G !d", random.Random(3), 60)


def test_words_of_a_recurrence_by_eye() -> None:
    monitor = monitor_of("G F a & G F b & G !c")
    a, b, c = 1, 2, 4
    assert accepts_lasso(monitor, [], [a, 0, b]) and accepts_lasso(monitor, [0], [a | b])
    assert not accepts_lasso(monitor, [b], [a]) and not accepts_lasso(monitor, [c], [a | b])


def test_a_wrong_mark_is_caught() -> None:
    rng = random.Random(1)
    right = monitor_of("G F (a & X b)")
    broken = OmegaMonitor(
        right.propositions,
        right.start,
        tuple(tuple((m, v, n, 1 - k) for m, v, n, k in leaving) for leaving in right.edges),
        1,
    )
    words = [[rng.randrange(4) for _ in range(3)] for _ in range(20)]
    assert any(accepts_lasso(broken, [], word) != accepts_lasso(right, [], word) for word in words)


def test_persistence_has_no_deterministic_buechi_automaton() -> None:
    for text in ("F G a", "G F a -> G F b", "G b & F G a"):
        with pytest.raises(FormulaError) as caught:
            monitor_of(text)
        assert caught.value.code == "not-deterministic"
    assert (caught.value.offset, caught.value.length) == (6, 5)


def test_a_formula_that_spot_cannot_finish_is_stopped() -> None:
    pairs = " & ".join(f"(G F a{i} | G F X X b{i})" for i in range(9))
    with pytest.raises(FormulaError) as caught:
        compile_infinite(
            parse_formula(f"G F ({pairs}) | G ({pairs})", None, "infinite"), StateLimit(seconds=0.5)
        )
    assert caught.value.code in ("formula-too-large", "not-deterministic")


def test_the_frontier_pays_each_mark_once_a_round() -> None:
    frontier, paid = 0b111, []
    for marks in (0b001, 0b001, 0b110, 0b010):
        frontier, hit = advance_frontier(frontier, marks, 3)
        paid.append(hit)
    assert paid == [True, False, True, True] and frontier == 0b101


# -- factors -------------------------------------------------------------------------------------------


def factors_of(text: str) -> list[tuple[tuple[str, ...], int]]:
    """Return the propositions and the number of states of each factor."""
    factors = compile_factors(parse_formula(text, None, "infinite"))
    return [(factor.propositions, len(factor)) for factor in factors]


MANY = " & ".join(f"G F p{i}" for i in range(5))
"""Enough recurrences that they are not joined."""

EACH = [((f"p{i}",), 1) for i in range(5)]


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("G F a & G F b & G !c", [(("a", "b", "c"), 2)]),  # small: joined
        (MANY, EACH),
        (f"{MANY} & G !c & F d", [*EACH, (("c",), 2), (("d",), 2)]),
        # What is implied, or holds always, is not watched.
        (f"{MANY} & G F (p0 | p1) & G F p3 & (c | !c)", EACH),
        # Recurrences that share propositions do not stand in each other's way ...
        (f"{MANY} & G F (p0 & q)", [*EACH[1:], (("p0", "q"), 1)]),
        (f"{MANY} & G F (p0 & !p1)", [*EACH[1:], (("p0", "p1"), 1)]),
        # ... but what must always hold may, and may make all of it impossible.
        (f"{MANY} & G (p0 -> !p1)", [(("p0", "p1"), 2), *EACH[2:]]),
        (f"{MANY} & G !p0", [(("p0", "p1", "p2", "p3", "p4"), 1)]),
    ],
)
def test_factors(text: str, factors: list[tuple[tuple[str, ...], int]]) -> None:
    assert sorted(factors_of(text)) == sorted(factors)


@pytest.mark.parametrize("seed", range(3))
def test_factors_accept_together_what_their_formula_accepts(seed: int) -> None:
    rng = random.Random(seed)
    pieces = ["G F a", "G F (a & b)", "G F (b | c)", "G (a -> X b)", "F c", "G !d", "G (d -> F e)", "c W e",
              "G F (d & X !d)", "F (a & F b)", "G F e"]  # fmt: skip
    for _ in range(12):
        text = " & ".join(f"({piece})" for piece in rng.sample(pieces, 5))
        formula = parse_formula(text, None, "infinite")
        whole, factors = compile_infinite(formula), compile_factors(formula)
        letters = 1 << len(formula.propositions)
        for _ in range(25):
            prefix = [rng.randrange(letters) for _ in range(rng.randrange(3))]
            cycle = [rng.randrange(letters) for _ in range(rng.randint(1, 4))]
            accepted = [
                accepts_lasso(
                    factor,
                    [project(label, formula.propositions, factor.propositions) for label in prefix],
                    [project(label, formula.propositions, factor.propositions) for label in cycle],
                )
                for factor in factors
            ]
            assert all(accepted) == accepts_lasso(whole, prefix, cycle), (text, prefix, cycle)


def test_recurrences_that_read_one_proposition_each_and_share_another_end_at_a_limit() -> None:
    """What must always hold ties them together, and their product has a mark for each of 40."""
    tied = (
        " & ".join(f"G F p{i}" for i in range(40)) + " & G (" + " | ".join(f"p{i}" for i in range(40)) + ")"
    )
    with pytest.raises(FormulaError) as caught:
        compile_factors(parse_formula(tied, None, "infinite"))
    assert caught.value.code == "formula-too-large"


# -- questions -----------------------------------------------------------------------------------------


def ask(text: str, semantics: str = "finite") -> Any:
    return parse_formula(text, None, semantics)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "finite", "infinite"),
    [
        ("F a", (True, False), (True, False)),
        ("a & !a", (False, False), (False, False)),
        ("F a | G !a", (True, True), (True, True)),
        ("G X true", (False, False), (True, True)),
        ("F !X true", (True, True), (False, False)),
        ("F a & G !a", (False, False), (False, False)),
    ],
)
def test_satisfiable_and_tautology(text: str, finite: tuple[bool, bool], infinite: tuple[bool, bool]) -> None:
    assert (is_satisfiable(ask(text)), is_tautology(ask(text))) == finite
    asked = ask(text, "infinite")
    assert (is_satisfiable(asked), is_tautology(asked)) == infinite


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ("F a", False), ("G a", False), ("a U b", False), ("F(a & X F b) & G !c", False), ("F G a", False),
        ("G F a", True), ("G(a -> X b)", True), ("G(a -> F b)", True), ("G X true", True),
        ("G(a -> WX b)", True),
    ],
)  # fmt: skip
def test_where_the_readings_differ(text: str, differs: bool) -> None:
    if text == "G(a -> WX b)":
        differs = False  # a weak next never fails for want of a step
    assert finite_infinite_differ(ask(text)) == differs


def test_liveness_and_safety() -> None:
    for text, no_violation, safe in (("G F a", True, False), ("F a", True, False), ("G a", False, True),
                                     ("a U b", False, False), ("a W b", False, True)):  # fmt: skip
        assert has_no_finite_violation(ask(text, "infinite")) == no_violation
        assert is_safety(ask(text, "infinite")) == safe
    assert has_no_finite_violation(ask("F a")) and not has_no_finite_violation(ask("G a"))


def test_equivalence_and_idle_parts() -> None:
    assert equivalent(ask("a M b"), ask("b U (a & b)")) and not equivalent(ask("X a"), ask("WX a"))
    assert equivalent(ask("X a", "infinite"), ask("WX a", "infinite"))
    idle = idle_parts(ask("G(a -> F(b & (c | !c)))"))
    assert [(str(part), part.offset) for part in idle] == [("c or not c", 14)]
    assert idle_parts(ask("F(a & X F b)")) == ()


# -- reading formulas ----------------------------------------------------------------------------------


def test_importing_the_package_loads_no_spot_and_finite_needs_none() -> None:
    code = (
        "import sys; from rewardspec.logic import compile_finite, parse_formula; "
        "compile_finite(parse_formula('F(a & X F b)')); assert 'spot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_look_like_operators_are_names_to_spot_too() -> None:
    names = ("last_door", "falsehood", "tt_x", "F1", "Gx", "xor_a", "Xa")
    formula = parse_formula(" & ".join(f"F {name}" for name in names), names, "infinite")
    assert formula.propositions == names
    assert sorted(ap.ap_name() for ap in spot.atomic_prop_collect(to_spot(formula.root))) == sorted(names)
    assert (
        len(compile_infinite(parse_formula("F last_door & G !falsehood & G F tt_x", None, "infinite"))) == 3
    )


@pytest.mark.parametrize(
    "text",
    [
        *("a U b U c", "!a U b", "a -> b -> c", "a & b | c", "G a & b", "X a U b", "F[2:3] a", "G[1:2] a"),
        *("X[3] a", "a W b M c", "F[2:] a", "{a; b}[]-> c & d", "{a;b}! | c"),
    ],
)
def test_our_precedence_is_spots(text: str) -> None:
    assert spot.are_equivalent(to_spot(parse_formula(text, None, "infinite").root), spot.formula(text))


def test_words_and_letters_mean_the_same() -> None:
    words = "always (a implies eventually b) and not c until next d and (e weak_until f) and (e release f)"
    letters = "G (a -> F b) & (!c U X d) & (e W f) & (e R f)"
    assert parse_formula(words).root == parse_formula(letters).root
    assert parse_formula("GF a").root == parse_formula("G F a").root == parse_formula("[]<> a").root


@pytest.mark.parametrize(
    ("text", "code", "offset", "length"),
    [
        ("F cofee", "unknown-proposition", 2, 5),
        ("G F a U", "formula-syntax", 6, 1),
        ("a S b", "past-operator", 2, 1),
        ("Y a", "past-operator", 0, 1),
        ("once a", "past-operator", 0, 4),
        ("F[3:1] a", "formula-syntax", 0, 6),
        ("F[0:99999] a", "formula-syntax", 0, 10),
        ("X[0] a", "formula-syntax", 0, 4),
        ("{a; b}[]-> b", "regular-expression-finite", 0, 10),
        ("G{a; b", "formula-syntax", 1, 1),
        ("a @ b", "formula-syntax", 2, 1),
        ("F(a & (b | a)", "formula-syntax", 1, 1),
    ],
)
def test_a_wrong_formula_is_an_error_at_its_place(text: str, code: str, offset: int, length: int) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text, ("a", "b", "coffee"))
    error = caught.value
    assert error.code == code and error.offset == offset
    assert error.length == length or code == "regular-expression-finite"
    assert "\n" not in error.message and "syntax error" not in error.message


def test_run_together_operators_are_explained() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula("GFa & b", ("a", "b"))
    assert caught.value.hints == ("declared here: a, b. Did you mean 'G F a'?",)


def test_a_proposition_named_like_an_operator_needs_quotes() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula("G F", ("F",))
    assert caught.value.code == "reserved-name"
    assert parse_formula('G "F"', ("F",)).propositions == ("F",)


def test_spots_complaint_about_a_regular_expression_becomes_one_line_at_its_place() -> None:
    text = "G({a and b;; c}[]-> a)"
    with pytest.raises(FormulaError) as caught:
        parse_formula(text, None, "infinite")
    error = caught.value
    assert error.code == "formula-syntax" and text[error.offset] == ";"
    assert error.message == "in this regular expression: unexpected concat operator"
    assert spot_sere("a and b")[0] == '"a" && "b"'


def test_random_bytes_end_in_a_formula_error_or_a_formula() -> None:
    rng = random.Random(5)
    alphabet = "abFGXUWRM ()!&|^-><=~{}[]:;*+$\"'01\n\té" + "andorntx"
    for _ in range(3000):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(30)))
        for semantics in ("finite", "infinite"):
            try:
                formula = ask(text, semantics)
            except FormulaError as error:
                assert "\n" not in error.message and 0 <= error.offset <= len(text)
            else:
                assert parse_formula(str(formula), None, formula.semantics).root == formula.root


def test_without_spot_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spot", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rewardspec\[ltl\]'"):
        monitor_of("G F a")


def test_questions_about_long_formulas_are_refused_rather_than_asked() -> None:
    with pytest.raises(FormulaError) as caught:
        is_safety(ask(sequence(20), "infinite"))
    assert caught.value.code == "formula-too-large"
