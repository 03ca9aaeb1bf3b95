"""The pages of the guide: their Python runs, their YAML is read, and the site's menu leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import rewardspec
from docs.site import linked, pages
from rewardspec.kinds import KINDS
from rewardspec.operators import OPERATORS

ROOT = Path(__file__).parents[1]
RUN = ("guide.md", "coming-from.md")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str) -> None:
    scope: dict[str, Any] = {}
    found = blocks(page, "python")
    assert len(found) >= 4
    for code in found:
        exec(compile(code, page, "exec"), scope)


@pytest.mark.parametrize("page", RUN)
def test_the_yaml_of_a_page_is_read(page: str) -> None:
    for text in blocks(page, "yaml"):
        assert rewardspec.compile_spec(rewardspec.loads(text))


def test_the_sites_menu_names_pages_that_there_are() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    named = [path for entry in menu for part in entry.values() for path in _paths(part)]
    assert all((ROOT / path).is_file() for path in named if path != "index.md")
    assert {"docs/guide.md", "docs/language.md", "docs/errors.md", "docs/benchmarks.md"} <= set(named)


def _paths(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part]
    return [path for entry in part for path in (entry.values() if isinstance(entry, dict) else [entry])]


def test_what_pages_link_to_is_on_the_site() -> None:
    there = {path.as_posix() for path in pages(ROOT)} | {path.as_posix() for path in linked(ROOT)}
    assert "examples/label_function.py" in there and "benchmarks/results/office.md" in there


def test_every_kind_and_operator_has_a_page_whose_example_compiles() -> None:
    written = {path.stem for path in (ROOT / "docs" / "terms").glob("*.md")} - {"README"}
    assert written == {*KINDS, *OPERATORS}
    for word in sorted(written):
        example, *_ = blocks(f"terms/{word}.md", "yaml")
        spec = rewardspec.loads(example)
        assert rewardspec.check(spec) is not None
        assert f"{word}:" in example


def options_of(words: list[str], command: Any) -> tuple[str, set[str]]:
    """Return the command that words name, empty for none, and what it takes."""
    named: list[str] = []
    for word in words:
        inner = getattr(command, "commands", {})
        if word not in inner:
            break
        command = inner[word]
        named.append(word)
    taken = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return " ".join(named), taken | {"--help"}


def test_the_commands_of_pages_have_the_options_that_pages_give_them() -> None:
    from typer.main import get_command

    from rewardspec.cli import app

    command, wrong, seen = get_command(app), list[str](), 0
    for page in (
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks" / "results").glob("*.md"),
    ):
        for line in page.read_text().splitlines():
            for words in re.findall(r"\brewardspec ((?:[a-z]+ )[^`|#]*)", line):
                name, taken = options_of(words.split(), command)
                given = re.findall(r"(?<!\S)--[a-z][a-z-]*", words)
                seen += bool(name)
                wrong += [
                    f"{page.name}: rewardspec {name} {option}"
                    for option in given
                    if name and option not in taken
                ]
    assert not wrong
    assert seen > 100
