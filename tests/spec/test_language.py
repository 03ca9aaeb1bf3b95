"""The language page is up to date, and what it shows works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from docs.generate import LANGUAGE, language_text, main
from rewardspec import dsl as rs
from rewardspec.compiler import compile_spec
from rewardspec.spec.text import read_text
from rewardspec.vocabulary import from_data, loads

PAGE = LANGUAGE.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_page_is_not_stale() -> None:
    assert language_text() == PAGE, "run `make docs`"


def test_check_tells_a_stale_page_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("old")
    monkeypatch.setattr("docs.generate.PAGES", {page: lambda: "new"})
    assert main(["--check"]) == 1
    assert page.read_text() == "old"
    assert main([]) == 0
    assert page.read_text() == "new"
    assert main(["--check"]) == 0


@pytest.mark.parametrize("text", SNIPPETS, ids=lambda text: text.split("\n")[0][:30])
def test_every_yaml_snippet_compiles(text: str) -> None:
    compile_spec(from_data(whole(text)))


def whole(text: str) -> dict[str, Any]:
    """Return a spec that holds a snippet: a term, a list of terms, or some keys of a document."""
    if text.startswith("# yaml-language-server"):
        return {"reward": 1}
    if text.startswith("- "):
        text = f"reward:\n{text}"
    data = read_text(text).value
    is_term = isinstance(data.get("end"), str)  # the operator `end`, not the document's list of ends
    if is_term or not set(data) & {"reward", "signals", "propositions", "end", "tests", "name"}:
        data = {"reward": data}
    names = ["coffee", "office", "broken", "goal"]
    return {"discount": 0.9, "reward": 1, "propositions": names, **data}


def test_the_python_programs_give_the_specs_that_they_speak_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = "0\n[1]\n(0,1,'a',ConstantRewardFunction(1))"
    (tmp_path / "t1.txt").write_text(machine)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"rs": rs, "gymnasium": gymnasium}
    for program in PROGRAMS:
        exec(program, names)
        if "spec =" in program:
            compile_spec(names["spec"])
            assert loads(names["spec"].to_yaml()) == names["spec"]
    corridor = names["Corridor"]()
    corridor.x, corridor.hour = 4, 11
    assert corridor.labels() == {"door"}
    assert names["text"].splitlines()[2] == machine.splitlines()[2]


def test_links_lead_to_headings_of_the_page() -> None:
    headings = {
        line.lstrip("# ").lower().replace(" ", "-") for line in PAGE.splitlines() if line.startswith("#")
    }
    links = re.findall(r"\]\(#([^)]*)\)", PAGE)
    assert links
    assert set(links) <= headings
