"""The page, the tables and the comparison say what the records hold; the README's table is not written by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks import compare, measuring, readme
from benchmarks.commands import main
from benchmarks.experiment import Experiment, load
from benchmarks.records import ROOT, Cell, Failure
from benchmarks.report import tables
from benchmarks.report.page import suite_page
from benchmarks.store import Store
from benchmarks.suites import Plan
from benchmarks.summary import Summary, summarise
from tests.benchmarks import counting
from tests.report.browser import Browser, chromium

NAME = "tests.benchmarks.counting"


class Named:
    """The counting experiment, which says what is held against what, and gives curves."""

    BASELINE, CLAIM = "plain", "better"

    def __getattr__(self, name: str) -> Any:
        return getattr(counting, name)

    @staticmethod
    def curve(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
        return [(0, 0.0), (5, rows[-1]["value"])]


EXPERIMENT = Experiment(NAME, Named())  # type: ignore[arg-type]


def cells(lift: float = 0.0, seeds: int = 10) -> list[Cell]:
    made = []
    for job in Plan(experiments=[NAME], seeds=seeds).jobs():
        rows = [{**row, "value": row["value"] + lift} for row in counting.rows_of(job.setting, job.seed)]
        facts = {"commit": "abc", "cpu_s": 2.0, "wall_s": 3.0, "peak_mib": 100, "processor": "P"}
        made.append(Cell(job.setting, job.seed, rows, {**facts, "versions": {"python": "3.11"}}))
    return made


def summary(lift: float = 0.0, seeds: int = 10) -> Summary:
    return summarise(EXPERIMENT, cells(lift, seeds))


FAILED = Failure(
    {"name": "near: plain", "steps": 5}, 3, "raised", "ValueError: <b>no</b>", "Traceback <i>", {}
)


def test_cells_are_sorted_by_task_and_method_and_told_apart() -> None:
    made = summary()
    assert (made.tasks, made.methods) == (["near", "far"], ["plain", "better"])
    assert made.groups["far"]["better"].mean == pytest.approx(0.4)
    assert made.winners("near") == ["better"]
    assert made.verdicts() == {"near": "better", "far": "better"}
    one = summary(seeds=1)
    assert one.groups["near"]["plain"].interval is None
    assert one.winners("near") == ["better", "plain"]  # one run each: nothing is told apart


def test_the_table_says_who_is_better_and_by_how_much() -> None:
    row = dict(zip(tables.HEAD, tables.row(summary()), strict=True))
    assert row["held against"] == "plain" and row["claim"] == "better"
    assert re.fullmatch(r"0\.40 \[0\.3\d, 0\.4\d\]", row["IQM"])
    assert re.fullmatch(r"0\.8\d \[0\.\d\d, 0\.9\d\]", row["chance that a run is better"])
    assert row["tasks: better / even / worse"] == "2 / 0 / 0"
    assert row["CPU"] == "1.3 min"


def test_the_csv_holds_every_run() -> None:
    lines = list(csv.DictReader(io.StringIO(tables.scores_csv([summary()]))))
    assert len(lines) == 40
    assert {(line["task"], line["method"]) for line in lines} == {
        (t, m) for t in ("near", "far") for m in ("plain", "better")
    }
    assert lines[0]["commit"] == "abc" and float(lines[0]["cpu_s"]) == 2.0


def test_the_page_loads_nothing_and_names_all_that_it_should(tmp_path: Path) -> None:
    content = suite_page("Counting", [summary()], {NAME: [FAILED]})
    assert not re.search(r"""(src|href)=["'](?!#)""", content) and "@import" not in content
    for said in (
        "Performance profile",
        "Probability of improvement",
        "Interquartile mean",
        "Learning curves",
    ):
        assert said in content
    for said in (
        "Sample efficiency",
        "Best and worst seed",
        "Failing cells",
        "commit abc",
        "python",
        "What it cost",
    ):
        assert said in content
    assert (
        "ValueError: &lt;b&gt;no&lt;/b&gt;" in content and "Traceback &lt;i&gt;" in content
    )  # text stays text


@pytest.mark.skipif(chromium() is None, reason="no chromium here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_draws_its_charts_and_a_method_can_be_hidden(tmp_path: Path, dark: bool) -> None:
    place = tmp_path / "report.html"
    place.write_text(suite_page("Counting", [summary()], {}))
    with Browser(1200, 900, dark) as browser:
        browser.go(place.as_uri())
        count = "document.querySelectorAll('{}').length"
        assert browser.wait(count.format(".plot .line")) == 3 * 2  # a profile and two tasks, two methods each
        browser.run("document.querySelector('.toggles').scrollIntoView()")
        browser.click(".toggles button")
        assert browser.run(count.format(".plot .line")) == 3
        assert browser.run(count.format(".bars g.off")) == 1
        browser.run("document.querySelector('input.ends').click()")
        assert browser.run(count.format(".plot .end")) == 2 * 2
        browser.run("document.querySelector('input.clock').click()")
        assert "CPU seconds" in browser.run("document.querySelector('.multiples').innerHTML")


def test_a_comparison_tells_a_change_from_noise() -> None:
    same = compare.changes([summary()], [summary()])
    assert {change.word for change in same} == {"the same"}
    up = compare.changes([summary()], [summary(lift=0.3)])
    assert {change.word for change in up} == {"up"}
    assert all(change.chance is not None and change.chance < 0.05 for change in up)
    noise = compare.changes([summary()], [summary(lift=0.02)])
    assert {change.word for change in noise} == {"no telling"}
    few = compare.changes([summary(seeds=2)], [summary(lift=0.3, seeds=2)])
    assert {change.word for change in few} == {"too few runs"}
    gone = compare.changes([summary()], [])
    assert {change.word for change in gone} == {"only in A"}
    assert "| up |" in compare.markdown(up)
    assert "4 up" in compare.verdict(up, [summary()], [summary(lift=0.3)])


def test_the_table_is_put_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page, table = tmp_path / "README.md", tmp_path / "table.json"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    held = readme.contents("cpu-hour", 41, [summary()], {NAME: [FAILED]}, [{"seconds": 3600, "workers": 2}])
    readme.write(held, page, table)
    said = page.read_text()
    assert said.startswith("before\n") and said.endswith("after\n") and "old" not in said
    assert "40 cells in 60 minutes with 2 processes" in said and "at commit abc. 1 failed." in said
    assert readme.part(json.loads(table.read_text())) in said
    page.write_text("no place")
    with pytest.raises(SystemExit, match="put these lines into it"):
        readme.write(held, page, table)


def test_the_readmes_table_is_the_one_that_was_made() -> None:
    held = json.loads(readme.TABLE.read_text())
    assert readme.part(held) in readme.README.read_text(), "`python -m benchmarks table` writes it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "--out", "{folder}"], "holds no cells of what is asked"),
        (["report", "ofice"], "Did you mean 'office'?"),
        (["run", "--suite", "smok"], "Did you mean 'smoke'?"),
        (["run", "office", "--only", "nothing"], "no cell fits"),
        (["resume", "--out", "{folder}"], "holds no run to go on with"),
    ],
)
def test_the_commands_say_what_is_wrong(tmp_path: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(said)):
        main([argument.format(folder=tmp_path) for argument in arguments])


def test_every_kept_record_can_be_told() -> None:
    """Arms, curves and figures of each experiment fit the records that are in the repository."""
    store = Store(ROOT / "benchmarks" / "results")
    for name in store.experiments():
        experiment = load(name)
        made = summarise(experiment, store.records(name).cells()[-3:])
        for groups in made.groups.values():
            for group in groups.values():
                assert all(0.0 <= score <= 1.0 for score in group.scores), name
        assert all(figure.ours is None or figure.tag for figure in experiment.figures(made.cells))
        for cell in made.cells[:1]:
            assert all(spec.name for spec in experiment.specs(cell.setting))


def test_the_experiment_of_the_page_on_experiments_runs_and_is_told() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    module = ModuleType("corridor")
    exec(compile(code, "docs/experiments.md", "exec"), module.__dict__)
    corridor = Experiment("corridor", module)
    made = []
    for setting in corridor.settings[:2]:
        for seed in range(3):
            cell = measuring.make(corridor, {**setting, "steps": 1000}, seed)
            assert isinstance(cell, Cell), cell
            made.append(cell)
    told = summarise(corridor, made)
    assert (told.tasks, told.baseline, told.claim) == (["20"], "sparse", "shaped")
    assert told.groups["20"]["shaped"].mean > told.groups["20"]["sparse"].mean
    assert made[0].facts["spec"] != made[-1].facts["spec"]
    assert "obs[0] / 20" in suite_page("Corridor", [told], {})
