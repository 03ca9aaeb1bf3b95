"""Whatever is handed to the reader and the compiler, the outcome is a program or a `SpecError`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError, UnsupportedError
from rewardspec.spec.scalars import UNPRINTABLE
from rewardspec.vocabulary import VOCABULARY, from_data, loads

SEEDS = [path.read_text() for path in sorted((Path(__file__).parents[1] / "bad_specs").glob("*[!8].yaml"))]
SEEDS = [text for text in SEEDS if len(text) < 1500]

pytestmark = pytest.mark.timeout(600)


def at_least(number: int) -> settings:
    """Return settings with that many examples, or as many as the profile asks for when it asks for more."""
    return settings(max_examples=max(number, settings().max_examples))


def survives(read: Callable[[Any], Any], value: Any) -> SpecError | None:
    """Read and compile; return the error, whose text must be printable and not be pydantic's."""
    try:
        compile_spec(read(value))
    except SpecError as error:
        text = str(error)
        assert error.problems and text
        assert not UNPRINTABLE.search(text), "a message holds a character that cannot be seen"
        assert len(text) < 30_000
        assert "pydantic" not in text and "Input should" not in text
        assert all(problem.code for problem in error.problems)
        return error
    except UnsupportedError:  # Spot is not asked about formulas that are too large
        return None
    return None


@given(st.text())
@example("\ud800")
@example("reward: &a [*a]")
def test_any_text(text: str) -> None:
    survives(loads, text)


@given(st.binary(max_size=300))
@example(b"\xff\xfereward: 1")
@example("reward: 1".encode("utf-16"))
def test_any_bytes(data: bytes) -> None:
    survives(loads, data)


# -- documents that are nearly right ---------------------------------------------------------------------

PIECES = [
    ":", "- ", "{", "}", "[", "]", ",", "'", '"', "#", "|", ">", "&a ", "*a", "!", "!!str ", "%", "@", "`",
    "~", "\t",
    "\n", "\n  ", "null", "true", "on", "1e400", "9" * 400, ".inf", "0x1F", "1:30", "2020-01-01", "<<: ",
    "---\n",
    "...", "\0", "\u200b", "\u2028", "é", "🤖", "reward: ", "ltl: ", "of: ", "when: ", "weight: ", "name: ",
    "obs[0]",
    "F ", "not ", "(", ")", "**", "==", "-", "0", "\\x41", "markov", "sum", "end",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Draw a bad spec with some of its spans cut, doubled, moved or replaced by a telling piece."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        span = text[start:stop]
        new = draw(st.sampled_from(["", span + span, span[::-1], *PIECES]) | st.text(max_size=3))
        text = text[:start] + new + text[stop:]
    return text


@at_least(600)
@given(mutated())
def test_a_spec_with_mistakes(text: str) -> None:
    survives(loads, text)


KEYS = st.sampled_from(
    [
        "name", "discount", "env", "signals", "propositions", "reward", "end", "observe", "tests",
        "rewardspec",
        "weight", "of", "terms", "when", "edges", "start", "from", "to", "terminal", "count", "counters",
        "low", "high",
        "formula", "semantics", "pay", "accept", "progress", "machine", "method", "scale", "linear",
        "piecewise",
        "over", "trace", "transitions", "return", "range", "levels", "factor", "power", "value", "how",
        "known",
        "timing", *VOCABULARY,
    ]
)  # fmt: skip
TEXTS = st.sampled_from(
    [
        "reward",
        "obs[0]",
        "a",
        "F a",
        "G F a",
        "a and b",
        "otherwise",
        "infinite",
        "linear",
        "u",
        "ever",
        "escrow",
        "",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@at_least(600)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_plain_data(data: dict[str, Any]) -> None:
    survives(from_data, data)


TERMS = st.recursive(
    TEXTS | st.floats() | st.integers(),
    lambda inner: st.builds(
        lambda word, body, options: {word: body, **options},
        st.sampled_from(list(VOCABULARY)),
        inner | st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner | VALUES, max_size=4),
        st.dictionaries(KEYS, VALUES, max_size=3),
    ),
    max_leaves=6,
)


@at_least(600)
@given(st.lists(TERMS, max_size=3))
def test_any_terms(terms: list[Any]) -> None:
    survives(from_data, {"discount": 0.9, "propositions": ["a", "b"], "reward": terms})


def test_keys_that_are_no_texts() -> None:
    for key in (1, None, (1, 2), 2.5, b"reward"):
        assert survives(from_data, {key: 1, "reward": 1}) is not None
        assert survives(from_data, {"reward": {key: 1}}) is not None
        assert survives(from_data, {"reward": {"markov": 1, key: 1}}) is not None
        assert survives(from_data, {"reward": 1, "signals": {key: "1"}}) is not None


def test_names_of_a_page_do_not_fill_the_message() -> None:
    name = "b" * 9000
    for data in (
        {"reward": name},
        {"reward": f"{name}(1)"},
        {"reward": {"ltl": name}},
        {"reward": {"potential": {"machine": name}}, "discount": 0.9},
        {"reward": 1, "env": {"labels": name}},
        {"reward": 1, "signals": {name: 1}},
        {"reward": 1, name: 1},
    ):
        error = survives(from_data, data)
        assert error is not None and len(str(error)) < 1200


def test_data_that_holds_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for key in ("reward", "signals", "tests", "end"):
        assert survives(from_data, {"reward": 1, key: loop}) is not None


# -- expressions, guards and formulas --------------------------------------------------------------------

EXPRESSION_PARTS = [
    "1", "0.5", "1e308", "obs", "obs[0]", "next_obs", "info.x", "label.a", "action", "reward",
    "terminated", "s", "a",
    "+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", " and ", " or ", " not ", " if ", " else ",
    "(", ")",
    "[", "]", ",", ":", ".", "abs(", "max(", "clip(", "norm(", "tolerance(", "where(", "default(", "sum(",
    "é", "'",
    '"', "#", "\\", "=", ":=", "lambda ", "for ", " in ", " is ", "~", "^", "&", "|", "@", "!", "None",
    "True", "...",
    "_", "__class__", "0x1F", "1j", "f''", "\n", "\t", "await ", "yield ", "*", "\0", "９", "𝟏", "ﬁ",
]  # fmt: skip


@at_least(1000)
@given(st.lists(st.sampled_from(EXPRESSION_PARTS), max_size=14).map("".join) | st.text(max_size=30))
def test_any_expression(text: str) -> None:
    survives(from_data, {"signals": {"s": "reward + 1"}, "propositions": {"a": "s > 0"}, "reward": [text]})


FORMULA_PARTS = [
    "a", "b", "c", "true", "false", "0", "1", " and ", " or ", " not ", " xor ", " implies ", " iff ", "&",
    "|", "!",
    "^", "->", "<->", "(", ")", "F ", "G ", "X ", "WX ", " U ", " R ", " W ", " M ", "[]", "<>", "F[2:3]",
    "X[3]",
    "G[:2]", "[", "]", "{", "}", "{a;b}", "{a[*]}[]->", "'", '"a"', "GF", "once ", " since ", "é", ",",
    ".", "3",
]  # fmt: skip
FORMULAS = st.lists(st.sampled_from(FORMULA_PARTS), max_size=12).map("".join) | st.text(max_size=20)


@at_least(600)
@given(FORMULAS)
def test_any_guard(text: str) -> None:
    edges = [
        {"from": "u", "to": "v", "when": text, "reward": 1},
        {"from": "u", "to": "u", "when": "otherwise"},
    ]
    machine = {"reward_machine": {"start": "u", "edges": edges}}
    survives(from_data, {"propositions": ["a", "b", "c"], "reward": [machine]})


@at_least(600)
@given(FORMULAS)
def test_any_formula_on_finite_traces(text: str) -> None:
    survives(from_data, {"propositions": ["a", "b", "c"], "reward": [{"ltl": text}]})


@settings(max_examples=60)
@given(FORMULAS)
def test_any_formula_on_infinite_words(text: str) -> None:
    survives(from_data, {"propositions": ["a", "b", "c"], "reward": [{"ltl": text, "semantics": "infinite"}]})


# -- the check has been seen to fail ---------------------------------------------------------------------


def test_another_exception_is_noticed() -> None:
    def broken(value: Any) -> Any:
        raise KeyError(value)

    with pytest.raises(KeyError):
        survives(broken, "reward: 1")


def test_mutation_reaches_the_compiler_too() -> None:
    """Mutants must not all die in the YAML parser: some reach the reader, some the compiler."""
    codes: set[str] = set()
    chance = random.Random(0)
    for _ in range(300):
        text = chance.choice(SEEDS)
        at = chance.randrange(len(text))
        error = survives(loads, text[:at] + chance.choice(PIECES) + text[at + chance.randrange(3) :])
        codes.update(problem.code for problem in error.problems) if error else None
    assert {"yaml-syntax", "unknown-key", "unknown-name", "wrong-type"} <= codes
    assert len(codes) > 25
