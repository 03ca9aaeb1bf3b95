"""Specs that Hypothesis draws: the checker never fails on one, and its intervals hold on whole episodes."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.analysis.check import check
from rewardspec.analysis.intervals import Ranges
from rewardspec.analysis.subject import inspect
from rewardspec.backends import oracle
from rewardspec.codes.lints import LINT_CODES
from rewardspec.errors import MismatchError, SpecError
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import from_data
from tests.agreement import worlds

MAY_BE_NAN = ("log(", "sqrt(", "arctanh(", "exp(", "/", "%", "**", "normalise")
"""What can give NaN or infinity, which end in an error and are in no interval."""


@settings(max_examples=60)
@given(worlds.specs())
def test_check_says_something_about_every_spec(data: dict[str, Any]) -> None:
    spec = from_data(data)
    try:
        inspect(spec)
    except SpecError as error:
        assert set(check(spec)) == set(error.problems)
        return
    assert {problem.code for problem in check(spec)} <= set(LINT_CODES)


@settings(max_examples=60)
@given(worlds.specs(), st.integers(0, 9))
def test_what_a_term_pays_lies_in_its_interval(data: dict[str, Any], seed: int) -> None:
    if any(word in str(data) for word in MAY_BE_NAN):
        return
    try:
        program = inspect(from_data(data)).program
        program = bind(program, worlds.OBSERVATION, worlds.ACTION).program
    except (SpecError, MismatchError):
        return
    ranges = Ranges(program)
    intervals = [ranges.of(term.expr) for term in program.terms]
    state = oracle.init(program)
    for step in worlds.batches(seed, 10, 1):
        state, (outcome,) = oracle.step(program, state, [step.rows()[0]])
        for term, interval, paid in zip(program.terms, intervals, outcome.terms, strict=True):
            slack = 1e-9 * (1 + abs(paid))
            inside = interval.low - slack <= paid <= interval.high + slack
            assert inside or not math.isfinite(paid), f"{term.name} paid {paid}, outside {interval}"
        if outcome.terminated or outcome.truncated:
            state = oracle.reset(program, state)
