"""Fill in the worked examples of a page: what the program makes of the YAML above each block of text.

A YAML block with `tests:` is followed by the steps of its tests, which must pass; one without, by what the checker
holds against it. So no table on the page was typed by hand, and none can be behind the program.
"""

from __future__ import annotations

import re
from pathlib import Path

from rewardspec.analysis.check import check
from rewardspec.analysis.spec_tests import run_tests, show_result
from rewardspec.errors import SpecError
from rewardspec.vocabulary import loads

EXAMPLE = re.compile(
    r"^```yaml\n(?P<spec>(?:(?!```).*\n)*)```\n\n```text\n(?P<said>(?:(?!```).*\n)*)```$", re.MULTILINE
)
"""A block of YAML with the block of text right after it; neither reaches over the end of a block, so that a block of
YAML that nothing is said of does not swallow the next."""


def worked_text(page: Path) -> str:
    """Return a page with every worked example done anew.

    Raises:
        AssertionError: A spec on the page does not pass its own tests.
    """
    return EXAMPLE.sub(_work, page.read_text(encoding="utf-8"))


def _work(example: re.Match[str]) -> str:
    spec = example["spec"]
    return f"```yaml\n{spec}```\n\n```text\n{say(spec).rstrip()}\n```"


def say(text: str) -> str:
    """Return the tests of a spec as tables, or, where it has none, the errors and warnings about it."""
    try:
        spec = loads(text, "spec.yaml")
        results = run_tests(spec)
    except SpecError as error:
        return "\n".join(problem.render() for problem in error.problems)
    if not results:
        return "\n".join(problem.render() for problem in check(spec) if problem.severity != "info")
    told: list[str] = []
    for result in results:
        assert result.passed, "\n".join([result.name, *show_result(result)])
        title = [f"{result.name}:"] if len(results) > 1 else []
        told.append("\n".join(line.rstrip() for line in [*title, *show_result(result)]))
    return "\n\n".join(told)
