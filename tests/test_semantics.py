"""The page of the meaning is true: every table on it is what the program makes of the spec above it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.worked import EXAMPLE, say, worked_text

PAGE = Path(__file__).parents[1] / "docs" / "semantics.md"
README = PAGE.parents[1] / "README.md"


@pytest.mark.parametrize("page", [PAGE, README], ids=lambda page: page.name)
def test_every_table_is_what_the_program_says(page: Path) -> None:
    assert worked_text(page) == page.read_text(), "run: make docs"


def test_every_spec_on_the_page_is_a_worked_example() -> None:
    text = PAGE.read_text()
    assert len(EXAMPLE.findall(text)) == len(re.findall(r"```yaml", text)) >= 14


def test_an_example_with_a_wrong_number_is_not_written_down() -> None:
    with pytest.raises(AssertionError, match="expected 2, got 1"):
        say("propositions: [a]\nreward: {once: a}\ntests: [{name: wrong, trace: [[a]], return: 2}]\n")


def test_a_table_that_somebody_edits_is_stale(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace("+0.5", "+0.6", 1))
    assert worked_text(page) != page.read_text()
