"""Every example runs and says what it promises; the README's snippet is the first of them; no link is dead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rewardspec.analysis.spec_tests import run_tests
from rewardspec.vocabulary import loads

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "demo.py")
SAYS = {
    "quickstart": r"\+1\.\d+  satisfied for good  key, door, goal",
    "dsl": r"name: cartpole-balanced[^$]*observes \(8,\)",
    "label_function": r"\{'once': \d\.\d, 'bumps': -\d\.\d\}",
    "vector": r"rewards above and below are equal[^$]*\[vector-cannot-end\]",
    "relabel": r"steps: 200\n\{'task': -\d+\.\d+, 'thrift': \d+\.\d+\}",
    "train_sb3": r"environment 3: \d+ episodes",
    "schedule": r"0 \{'speed': [^$]*3 \{[^$]*'flag': 50\.0",
    "heron": r"after  4096 steps: [6-9]\d% of held-out pairs",
    "judge": r"\{'markov': -\d+\.0, 'subgoals': 20\.0\}",
    "team": r"agent_1: earned -?\d+\.\d+, paid -?\d+\.\d+\nagent_2",
    "explain_episode": r"when goal and not hole   \+1  terminated",
}
"""What each example prints, as a regular expression."""

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def run_example(path: Path) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 40
    said = run_example(path)
    assert re.search(SAYS[path.stem], said), said


def test_the_quickstarts_spec_passes_its_own_tests() -> None:
    text = (ROOT / "examples" / "quickstart.py").read_text().split('"""')[3]
    assert all(result.passed for result in run_tests(loads(text)))


def test_the_readmes_snippet_is_the_quickstart_and_prints_what_it_says() -> None:
    readme = (ROOT / "README.md").read_text()
    quickstart = ROOT / "examples" / "quickstart.py"
    (snippet,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert snippet == quickstart.read_text()
    assert f"```text\n{run_example(quickstart)}```" in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
