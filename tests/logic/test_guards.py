"""Guards: their grammar, the cubes they become, and the way back to text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardspec.errors import FormulaError
from rewardspec.logic.guards import (
    cubes_overlap,
    cubes_to_guard,
    find_gap,
    find_overlap,
    guard_cubes,
    guard_holds,
    merge_cubes,
    parse_guard,
    show_cube,
    show_guard,
    show_label,
)

NAMES = ("a", "b", "c", "last_door", "falsehood", "tt_x", "not_b")

guards = st.recursive(
    st.sampled_from((*NAMES, "true", "false")),
    lambda inner: st.one_of(
        inner.map(lambda g: f"not ({g})"),
        st.tuples(inner, st.sampled_from(("and", "or", "xor", "implies", "iff")), inner).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
    ),
    max_leaves=8,
)


def true_names(label: int) -> set[str]:
    return {name for bit, name in enumerate(NAMES) if label >> bit & 1}


def matches(cubes: tuple[tuple[int, int], ...], label: int) -> int:
    return sum(label & mask == value for mask, value in cubes)


@given(guards)
def test_the_cubes_of_a_guard_are_disjoint_and_hold_exactly_its_labels(text: str) -> None:
    guard = parse_guard(text, NAMES)
    cubes = guard_cubes(guard, NAMES)
    for label in range(1 << len(NAMES)):
        assert matches(cubes, label) == int(guard_holds(guard, true_names(label)))


@given(guards)
def test_a_guard_survives_printing_and_the_way_through_cubes(text: str) -> None:
    guard = parse_guard(text, NAMES)
    assert parse_guard(show_guard(guard), NAMES) == guard
    cubes = guard_cubes(guard, NAMES)
    back = parse_guard(cubes_to_guard(cubes, NAMES), NAMES)
    merged = merge_cubes(cubes)
    assert len(merged) <= max(1, len(cubes))
    for label in range(1 << len(NAMES)):
        assert guard_holds(back, true_names(label)) == bool(matches(merged, label))
        assert bool(matches(merged, label)) == bool(matches(cubes, label))


@given(st.lists(guards, max_size=3))
def test_a_gap_is_a_label_that_no_guard_takes(texts: list[str]) -> None:
    cubes = [cube for text in texts for cube in guard_cubes(parse_guard(text), NAMES)]
    gap = find_gap(cubes)
    uncovered = [label for label in range(1 << len(NAMES)) if not matches(tuple(cubes), label)]
    assert (gap in uncovered) if uncovered else gap is None


@given(guards, guards)
def test_an_overlap_is_a_label_that_both_guards_take(left: str, right: str) -> None:
    cubes = [guard_cubes(parse_guard(text), NAMES) for text in (left, right)]
    label = find_overlap(*cubes)
    shared = [x for x in range(1 << len(NAMES)) if matches(cubes[0], x) and matches(cubes[1], x)]
    assert (label in shared) if shared else label is None
    assert any(cubes_overlap(x, y) for x in cubes[0] for y in cubes[1]) == bool(shared)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("not a and b", "(not a) and b"),
        ("a or b and c", "a or (b and c)"),
        ("a xor b or c", "(a xor b) or c"),
        ("a and b xor c", "(a and b) xor c"),
        ("a -> b -> c", "a -> (b -> c)"),
        ("a -> b <-> c", "(a -> b) <-> c"),
        ("!a && ~b || c ^ a", "(not a and not b) or (c xor a)"),
        ("a => b <=> c", "(a implies b) iff c"),
    ],
)
def test_precedence_is_that_of_python_with_arrows_last(text: str, same: str) -> None:
    assert parse_guard(text) == parse_guard(same)


def test_names_that_begin_like_operators_are_names() -> None:
    for name in ("last_door", "falsehood", "tt_x", "not_b", "xor_a", "android", "truely", "F1", "Gx"):
        guard = parse_guard(f"not {name}", [name])
        assert guard_cubes(guard, [name]) == ((1, 0),)


def test_thirty_propositions_stay_small() -> None:
    names = [f"p{i}" for i in range(30)]
    assert len(guard_cubes(parse_guard(" and ".join(names)), names)) == 1
    assert len(guard_cubes(parse_guard(" or ".join(names)), names)) == 30
    pairs = " or ".join(f"p{i} and p{i + 15}" for i in range(6))
    assert len(guard_cubes(parse_guard(pairs), names)) <= 64
    with pytest.raises(FormulaError) as caught:
        guard_cubes(parse_guard(" xor ".join(names)), names)
    assert caught.value.code == "guard-too-large"


@pytest.mark.parametrize(
    ("text", "code", "offset", "length"),
    [
        ("cofee and b", "unknown-proposition", 0, 5),
        ("a and", "formula-syntax", 2, 3),
        ("", "formula-syntax", 0, 1),
        ("a b", "formula-syntax", 2, 1),
        ("(a or b", "formula-syntax", 0, 1),
        ("a) or b", "formula-syntax", 1, 1),
        ("a and or b", "formula-syntax", 6, 2),
        ("a > 3", "formula-syntax", 2, 1),
        ("()", "formula-syntax", 0, 2),
        ("a and 'b'", "formula-syntax", 6, 1),
        ("a &" * 4000 + "a", "formula-too-long", 0, 1),
        ("not " * 300 + "a", "formula-too-long", 400, 1),
    ],
)
def test_a_wrong_guard_is_an_error_at_its_place(text: str, code: str, offset: int, length: int) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_guard(text, ("a", "b", "coffee"))
    assert caught.value.code == code
    if code != "formula-too-long":
        assert (caught.value.offset, caught.value.length) == (offset, length)


def test_an_unknown_name_comes_with_the_nearest() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_guard("cofee", ("coffee", "office"))
    assert caught.value.hints == ("declared here: coffee, office. Did you mean 'coffee'?",)


def test_a_declared_operator_word_is_refused() -> None:
    with pytest.raises(FormulaError, match="also an operator") as caught:
        parse_guard("a and or", ("a", "or"))
    assert caught.value.code == "reserved-name"


@given(st.text(alphabet="ab ()!&|^-><=~andortxi_'\"1[]{}é\n", max_size=40))
def test_any_text_is_a_guard_or_a_formula_error(text: str) -> None:
    try:
        guard = parse_guard(text, None)
    except FormulaError as error:
        assert 0 <= error.offset <= len(text)
    else:
        assert parse_guard(show_guard(guard)) == guard


def test_messages_read_well() -> None:
    names = ("coffee", "office", "mail")
    assert show_cube((0b11, 0b01), names) == "coffee and not office"
    assert show_label(0b101, names) == "coffee, mail"
    every = [(7, value) for value in range(7)]
    assert cubes_to_guard(every, names) == "not (coffee and office and mail)"
    assert cubes_to_guard([], names) == "false" and cubes_to_guard([(0, 0)], names) == "true"
    assert (
        list(itertools.islice(merge_cubes(every), 3)) == [(1, 0), (3, 1), (7, 3)]
        or len(merge_cubes(every)) == 3
    )
