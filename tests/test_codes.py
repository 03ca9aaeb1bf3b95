"""The table of codes is complete, its examples do what they say, and docs/errors.md is made from it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rewardspec
from rewardspec.analysis.pages import NOT_A_SPEC, NOT_RUN, document, provoke
from rewardspec.codes import CODES
from rewardspec.codes.lints import LINT_CODES

PACKAGE = Path(rewardspec.__file__).parent
DOCS = PACKAGE.parent / "docs" / "errors.md"
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+\Z")

RAISERS = {
    "Problem",
    "FormulaError",
    "ModelError",
    "Finding",
    "_Mismatch",
    "_collide",
    "fail",
    "problem",
    "report",
}
"""What a code is handed to."""

NOT_CODES = {
    "utf-8",
    "graphviz-pure",
    "stable-baselines3",
    "left-out",
    "lax-or",
    "toro-icarte",
    "constrained-str",
    "same-origin",
    "latin-1",
    "local-llm",
    "risk-averse",
    "alpha-rank",
    "open-spiel",
    "highway-env",
    "two-way-v0",
}
"""Other words with a hyphen that stand in the package."""


def words_with_hyphens() -> Iterator[tuple[str, str, bool]]:
    """Yield each kebab-case text of the package, where it stands, and whether a raiser is handed it."""
    sources = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "envs").glob("*.py")]
    sources += (PACKAGE.parent / "agents").glob("*.py")
    for path in sorted(sources):
        if path.parent.name == "codes":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        raised = {id(arg) for call in ast.walk(tree) if isinstance(call, ast.Call) for arg in codes_in(call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEBAB.match(node.value):
                yield node.value, f"{path.relative_to(PACKAGE.parent)}:{node.lineno}", id(node) in raised


def codes_in(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in RAISERS:
        yield from call.args
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")


def test_every_code_that_is_raised_is_in_the_table() -> None:
    unknown = {
        (word, place)
        for word, place, is_raised in words_with_hyphens()
        if word not in CODES and (is_raised or word not in NOT_CODES)
    }
    assert not unknown, "give it a line in rewardspec/codes/ (or in NOT_CODES above, if it is no code)"


def test_the_table_holds_no_code_that_nothing_raises() -> None:
    texts: set[str] = set()
    patterns: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "codes":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr):  # f"unread-{sort}"
                parts = (re.escape(v.value) if isinstance(v, ast.Constant) else "[a-z]+" for v in node.values)
                patterns.append("".join(parts))
    unused = [
        c for c in CODES if c not in texts and not any(re.fullmatch(p, c) for p in patterns if "-" in p)
    ]
    assert not unused


RUN = [c for c, e in CODES.items() if c not in NOT_A_SPEC and not e.example.startswith(NOT_RUN)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", [code for code in RUN if code not in LINT_CODES])
def test_the_example_of_an_error_provokes_it_and_the_fix_does_not(code: str) -> None:
    assert code in {problem.code for problem in provoke(CODES[code].example)}
    fix = CODES[code].fix
    if fix.endswith("\n"):
        assert not [problem.render() for problem in provoke(fix) if problem.severity == "error"]


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_something(code: str) -> None:
    explanation = CODES[code]
    assert explanation.summary.endswith((".", ")")) and len(explanation.summary) > 20
    assert explanation.example.strip() and explanation.fix.strip()
    assert explanation.severity in ("error", "warning", "info")


@pytest.mark.filterwarnings("ignore")
def test_docs_errors_is_made_from_the_table() -> None:
    assert DOCS.read_text(encoding="utf-8") == document(), "run: python docs/generate.py"
    headings = re.findall(r"^## (.+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == sorted(CODES)
