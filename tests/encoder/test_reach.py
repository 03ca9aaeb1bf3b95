"""No source that is accepted can reach anything but the table of functions, whatever the source is.

Sources are drawn: whole programs from a grammar in which the forbidden stands beside the allowed, and good sources
with pieces of text put in and taken out. While one is read an audit hook of Python's listens, which hears every file
that is opened, every module that is imported and every code object that is made or run by the interpreter.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import rewardspec.encoder
from rewardspec.encoder.functions import BUILTINS, CONSTANTS, FUNCTIONS, METHODS, SORTS
from rewardspec.encoder.language import Encoder, read_encoder
from rewardspec.encoder.refusal import EncoderError
from rewardspec.ir import expr as ir
from tests.encoder.sources import GOOD
from tests.encoder.test_hostile import HOSTILE
from tests.encoder.test_meaning import source_of

HEARD: list[str] = []
LISTENING = [False]


def listen(event: str, about: tuple[object, ...]) -> None:
    # For some syntax errors CPython looks for the line in a file called as the text is, `<unknown>`.
    if LISTENING[0] and not (event == "open" and about[0] == "<unknown>"):
        HEARD.append(event)


sys.addaudithook(listen)

PLAIN = (
    ir.Const, ir.Field, ir.Unary, ir.Binary, ir.Compare, ir.Logic, ir.Where, ir.Combine, ir.Call,
)  # fmt: skip
"""Nodes that an encoder may become."""

HARMLESS = {"compile", "builtins.id"}
"""`ast.parse` is heard as `compile`: it makes a tree and no code. `copy` asks for `id`s."""

GOOD_SOURCES = [source_of(name) for name in GOOD]


def read_listening(source: str, observation: int = 10, action: int = 2) -> Encoder | None:
    """Read a source; fail where anything was reached, or where another error than a refusal comes out."""
    HEARD.clear()
    LISTENING[0] = True
    try:
        found = read_encoder(source, observation, action)
    except EncoderError as error:
        found = None
        LISTENING[0] = False
        assert error.message and error.code.startswith("encoder-")
    finally:
        LISTENING[0] = False
    assert set(HEARD) <= HARMLESS, HEARD
    if found is not None:
        check_reach(source, found)
    return found


def check_reach(source: str, encoder: Encoder) -> None:
    """Check that what is called is in the tables, and that what came out is arithmetic on the step."""
    for factor in encoder.factors:
        for node in ir.walk(factor):
            assert isinstance(node, PLAIN), node
            assert not isinstance(node, ir.Call) or node.name in ir.FUNCTIONS
            assert not isinstance(node, ir.Field) or node.root in ("obs", "action")
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    returned = next(i for i, node in enumerate(function.body) if isinstance(node, ast.Return))
    for statement in function.body[: returned + 1]:  # what stands after the return is not read
        for node in ast.walk(statement):
            if isinstance(node, ast.AnnAssign):
                node.annotation = ast.Constant(0)  # not read either
        for node in ast.walk(statement):
            assert not isinstance(node, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.For | ast.While)
            if isinstance(node, ast.Call):
                assert name_of(node.func) in REACHABLE, ast.dump(node.func)


REACHABLE = {
    *(f"np.{name}" for name in FUNCTIONS),
    *(f"numpy.{name}" for name in FUNCTIONS),
    *(f".{name}" for name in METHODS),
    *BUILTINS,
    ".reshape",
    ".append",
}


def name_of(func: ast.expr) -> str:
    names: list[str] = []
    node = func
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    dotted = ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""
    if dotted in REACHABLE:
        return dotted
    return f".{names[0]}" if names else dotted


# -- drawing sources ---------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        *(
            "observation",
            "action",
            "x",
            "y",
            "np",
            "numpy",
            "os",
            "sys",
            "open",
            "eval",
            "exec",
            "getattr",
            "type",
        ),
        *("__builtins__", "__import__", "evaluation_func", "self", "object", "abs", "len", "float", "print"),
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        *FUNCTIONS,
        *METHODS,
        *CONSTANTS,
        *(
            "__class__",
            "__globals__",
            "__dict__",
            "__reduce__",
            "load",
            "loadtxt",
            "save",
            "tofile",
            "dump",
            "T",
        ),
        *("os", "sys", "ctypes", "f2py", "random", "base", "data", "setflags", "format", "linalg", "reshape"),
    ]
)
CONSTANTS_DRAWN = st.sampled_from(
    ["0", "1", "-1", "2.5", "True", "None", "'os'", "1e999", "9**9", "...", "1j", "b''"]
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw an expression from smaller ones."""
    pair = st.tuples(inner, inner)
    operators = st.sampled_from(["+", "-", "*", "/", "**", "%", "//", "&", "|", "@", "<", "==", "and", "<<"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, ATTRIBUTES).map(lambda t: f"{t[0]}.{t[1]}"),
        st.tuples(inner, ATTRIBUTES, inner).map(lambda t: f"{t[0]}.{t[1]}({t[2]}, axis=1)"),
        st.tuples(ATTRIBUTES, inner).map(lambda t: f"np.{t[0]}({t[1]})"),
        st.tuples(ATTRIBUTES, inner, inner).map(lambda t: f"np.{t[0]}({t[1]}, {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[:, {t[1]}]"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        pair.map(lambda t: f"[{t[0]}, {t[1]}]"),
        inner.map(lambda t: f"(lambda: {t})()"),
        inner.map(lambda t: f"[{t} for i in [1]]"),
        inner.map(lambda t: f"-{t}"),
    )


EXPRESSIONS = st.recursive(
    st.sampled_from(["observation[:, 0:1]", "observation[:, 1:4]", "action[:, 0]"]) | NAMES | CONSTANTS_DRAWN,
    grown,
    max_leaves=8,
)
STATEMENTS = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: f"{t[0]} += {t[1]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: f"{t[0]}.append({t[1]})"),
    EXPRESSIONS,
    st.sampled_from(
        ["import os", "import numpy as np", "from os import system", "pass", "global x", "'''doc'''"]
    ),
)
PROGRAMS = st.tuples(st.lists(STATEMENTS, max_size=4), st.lists(EXPRESSIONS, min_size=1, max_size=3)).map(
    lambda t: "\n    ".join(
        ["def evaluation_func(observation, action):", *t[0], f"return [{', '.join(t[1])}]"]
    )
)
PIECES = st.sampled_from(
    [
        "__class__",
        ".__globals__",
        "np.load('x')",
        "open('x')",
        "os.",
        "eval(",
        ")",
        "import os\n",
        "\n",
        " ",
        "**",
        "\\",
    ]
) | st.text(max_size=3)
MUTANTS = st.tuples(
    st.sampled_from([*GOOD_SOURCES, *(source for source, _ in HOSTILE.values() if len(source) < 2000)]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=3),
)


def mutate(source: str, cuts: list[tuple[float, int, str]]) -> str:
    for where, length, piece in cuts:
        at = int(where * len(source))
        source = source[:at] + piece + source[at + length :]
    return source


QUIET = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUIET
@given(PROGRAMS)
@example(
    "def evaluation_func(observation, action):\n    return [observation[:, 0:1] + np.sum(action, axis=1)[:, None]]"
)
def test_a_program_reaches_the_table_or_is_refused(source: str) -> None:
    read_listening(source)


@QUIET
@given(MUTANTS)
def test_a_good_source_with_something_put_in_reaches_the_table_or_is_refused(
    drawn: tuple[str, list[tuple[float, int, str]]],
) -> None:
    read_listening(mutate(*drawn), 26, 2)


@pytest.mark.parametrize("name", GOOD)
def test_good_sources_are_accepted_under_the_same_ear(name: str) -> None:
    _, observation, action = GOOD[name]
    assert read_listening(source_of(name), observation, action or 1) is not None


def test_the_ear_hears_what_a_reader_that_ran_its_source_would_do() -> None:
    HEARD.clear()
    LISTENING[0] = True
    try:
        eval(compile("open(__file__).close()", "planted", "eval"), {"__file__": __file__})
    finally:
        LISTENING[0] = False
    assert {"exec", "open"} <= set(HEARD)


def test_the_reader_holds_nothing_that_could_run_a_source() -> None:
    """What turns a text into behaviour is not even named in the package; `getattr` would be a way around the table."""
    risky = {
        "eval",
        "exec",
        "compile",
        "getattr",
        "setattr",
        "globals",
        "vars",
        "locals",
        "open",
        "__import__",
    }
    for path in Path(rewardspec.encoder.__file__).parent.glob("*.py"):
        used = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not used & risky, path.name


def test_no_entry_of_the_tables_is_numpys_or_pythons_own() -> None:
    for table in (FUNCTIONS, METHODS, BUILTINS):
        assert all(type(entry).__module__ == "rewardspec.encoder.functions" for entry in table.values())
        assert all(entry.build.__module__.startswith("rewardspec.encoder") for entry in table.values())
    assert all(
        type(value).__module__ == "rewardspec.encoder.arrays"
        for value in [*CONSTANTS.values(), *SORTS.values()]
    )
