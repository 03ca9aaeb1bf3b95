"""The linter: everything that can be said about a spec alone. With an environment: `probe`."""

from __future__ import annotations

from collections.abc import Iterable

from rewardspec.analysis.lints import LINTS
from rewardspec.analysis.spec_tests import run_tests
from rewardspec.analysis.subject import inspect
from rewardspec.errors import Problem, RewardSpecError, SpecError, near_miss
from rewardspec.spec.model import Spec
from rewardspec.spec.parts import parts
from rewardspec.team.compile import compile_team

SHARED = ("unread-proposition", "unread-signal", "no-tests")
"""Codes that a spec for several agents has only where each of its parts has them: what one leaves out another reads."""

_RANK = {"error": 0, "warning": 1, "info": 2}


def check(spec: Spec) -> tuple[Problem, ...]:
    r"""Return every finding about a spec, in the order of their places.

    Errors stop the spec from compiling or make it useless; warnings are probably mistakes; infos are worth
    knowing. A spec that does not compile is not looked at further: its problems are the compiler's.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("propositions: {lava: 'info.lava'}\nreward: {ltl: G !lava}")
        >>> [problem.code for problem in check(spec) if problem.severity == "error"]
        ['paid-on-first-step']
    """
    try:
        if spec.is_for_agents:
            compile_team(spec)
        found = [_lint(part) for _, part in parts(spec)]
    except SpecError as error:
        return sort_findings(error.problems)
    if spec.is_for_agents and spec.tests:
        found = [[p for p in part if p.code != "no-tests"] for part in found]
    everywhere = set.intersection(*map(set, found))
    findings = [p for part in found for p in part if p.code not in SHARED or p in everywhere]
    return sort_findings(dict.fromkeys([*findings, *_wrong_tests(spec)]))


def _lint(spec: Spec) -> list[Problem]:
    subject = inspect(spec)
    return [problem for lint in LINTS for problem in lint(subject)]


def _wrong_tests(spec: Spec) -> tuple[Problem, ...]:
    """Return what is wrong in the tests themselves; whether they pass is for `run_tests` to say."""
    try:
        run_tests(spec)
    except RewardSpecError as error:
        return error.problems
    return ()


def sort_findings(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order of their places; at one place the gravest first."""
    return tuple(
        sorted(
            problems,
            key=lambda p: (
                p.place.file,
                p.place.line,
                p.place.column,
                p.place.path,
                _RANK[p.severity],
                p.code,
            ),
        )
    )


def filter_findings(problems: Iterable[Problem], ignore: Iterable[str] = ()) -> tuple[Problem, ...]:
    """Return the problems whose codes are not to be ignored.

    Raises:
        ValueError: `ignore` names a code that there is not.
    """
    from rewardspec.codes import CODES

    ignored = set(ignore)
    for code in sorted(ignored - set(CODES)):
        hint = near_miss(code, CODES) or " `rewardspec explain --list` lists them all."
        raise ValueError(f"no finding has the code '{code}'.{hint}")
    return tuple(problem for problem in problems if problem.code not in ignored)
