"""Every code of the linter: its example trips it with its severity, and its fix does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rewardspec.analysis
from rewardspec.analysis.check import check, filter_findings
from rewardspec.analysis.lints import LINTS, Lint
from rewardspec.analysis.optimisers import check_discount
from rewardspec.codes.lints import ENVIRONMENT, LINT_CODES
from rewardspec.errors import Problem
from rewardspec.vocabulary import loads

AGENTS_DISCOUNT = 0.99

RAISED = {"no-environment", "unfit-objective"}
"""Codes in the same files that are raised, not found: their pages stand elsewhere."""


def findings(text: str) -> tuple[Problem, ...]:
    spec = loads(text)
    return (*check(spec), *check_discount(spec, AGENTS_DISCOUNT))


@pytest.mark.parametrize("code", [code for code in LINT_CODES if code not in ENVIRONMENT])
def test_example_trips_its_code_with_its_severity_at_a_place(code: str) -> None:
    found = [problem for problem in findings(LINT_CODES[code].example) if problem.code == code]
    assert found, "the example does not trip it"
    assert LINT_CODES[code].severity in {problem.severity for problem in found}
    for problem in found:
        assert problem.place.line
        assert all(
            isinstance(line, str) and line.strip() == line != "" for line in (problem.message, *problem.hints)
        )


@pytest.mark.parametrize("code", [code for code in LINT_CODES if code not in ENVIRONMENT])
def test_fix_is_the_near_neighbour_that_does_not_trip_it(code: str) -> None:
    found = findings(LINT_CODES[code].fix)
    assert code not in {problem.code for problem in found}
    grave = [
        problem.render()
        for problem in found
        if problem.severity != "info" and problem.code != "discount-mismatch"
    ]
    assert not grave, "the fix has other faults"


def test_every_code_in_the_lints_is_in_the_table_and_every_entry_is_used() -> None:
    folder = Path(rewardspec.analysis.__file__).parent
    named = ("check.py", "optimisers.py", "probe.py")
    files = [*(folder / name for name in named), *(folder / "lints").glob("*.py")]
    source = "\n".join(path.read_text() for path in files)
    source = source.replace('f"unread-{section[:-1]}"', '"unread-proposition" "unread-signal"')
    assert set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source)) - RAISED == set(LINT_CODES)


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.__name__)
def test_every_lint_is_needed_by_some_example(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = {code: page.example for code, page in LINT_CODES.items() if code not in ENVIRONMENT}
    before = {code for code, text in examples.items() if code in {p.code for p in findings(text)}}
    monkeypatch.setattr(
        "rewardspec.analysis.check.LINTS", tuple(other for other in LINTS if other is not lint)
    )
    after = {code for code, text in examples.items() if code in {p.code for p in findings(text)}}
    assert after < before


def test_findings_can_be_ignored_by_code_and_a_misspelt_code_is_said() -> None:
    found = check(loads(LINT_CODES["unread-proposition"].example))
    assert "unread-proposition" in {p.code for p in found}
    assert "unread-proposition" not in {p.code for p in filter_findings(found, ["unread-proposition"])}
    with pytest.raises(ValueError, match="unread-propositoin"):
        filter_findings(found, ["unread-propositoin"])


def test_tests_that_name_what_there_is_not_are_found_before_they_are_run() -> None:
    spec = loads("{propositions: [a], reward: {once: a}, tests: [{name: t, trace: [[b]], return: {onc: 1}}]}")
    assert [p.code for p in check(spec) if p.severity == "error"] == ["unknown-term"]
