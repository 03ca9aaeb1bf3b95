"""The page of a run: one HTML file that loads nothing, for the screen, light and dark, and for paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.pages import described
from benchmarks.records import Cell, Failure, commits
from benchmarks.report.sections import figures_table, section
from benchmarks.report.tables import HEAD, KEY, row
from benchmarks.summary import Summary
from rewardspec.report.page import page, table, text

HERE = Path(__file__).parent


def suite_page(title: str, summaries: Sequence[Summary], failures: Mapping[str, Sequence[Failure]]) -> str:
    """Return the page.

    Args:
        title: Its title.
        summaries: What the experiments came to.
        failures: The cells that failed, by experiment.
    """
    cells = [cell for summary in summaries for cell in summary.cells]
    broken = [(name, failure) for name, found in failures.items() for failure in found]
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="lead">{text(_lead(summaries, cells, len(broken)))}</p>',
        _contents(summaries),
        "<h2>Summary</h2>",
        table(HEAD, [_row(summary) for summary in summaries]),
        f'<p class="note">{text(KEY)}</p>',
    ]
    if broken:
        rows = [[text(name), text(described(failure)), _where(failure)] for name, failure in broken]
        parts += ["<h2>Failing cells</h2>", table(["experiment", "cell", "where"], rows)]
    parts += [section(summary, failures.get(summary.experiment.name, ())) for summary in summaries]
    figures = [figure for summary in summaries for figure in summary.experiment.figures(summary.cells)]
    if figures:
        held = Counter(figure.holds for figure in figures if figure.ours is not None)
        parts += [
            '<h2 id="published">All published and independent figures</h2>',
            f"<p>{held[True]} hold, {held[False]} do not, {held[None]} are shown beside each other only.</p>",
            figures_table(figures),
        ]
    parts += ['<h2 id="made-with">What it was made with</h2>', _made_with(cells)]
    style = (HERE / "suite.css").read_text(encoding="utf-8")
    script = (HERE / "suite.js").read_text(encoding="utf-8")
    return page(title, "\n".join(parts), style=style, script=script)


def _lead(summaries: Sequence[Summary], cells: Sequence[Cell], broken: int) -> str:
    hours = sum(float(cell.facts["cpu_s"]) for cell in cells) / 3600
    failed = f"{broken} cells failed" if broken else "no cell failed"
    return (
        f"{len(summaries)} experiments, {len(cells)} cells, {hours:.1f} hours of CPU time; {failed}. A cell is one"
        " setting with one seed; its score lies between 0 and 1, and every experiment says in its file what that means."
    )


def _contents(summaries: Sequence[Summary]) -> str:
    links = [f'<a href="#{text(s.experiment.name)}">{text(s.experiment.name)}</a>' for s in summaries]
    links += ['<a href="#published">published figures</a>', '<a href="#made-with">made with</a>']
    return f'<nav class="contents">{" ".join(links)}</nav>'


def _row(summary: Summary) -> list[str]:
    name, asks, *rest = row(summary)
    link = f'<a href="#{text(name)}">{text(name)}</a>'
    return [link, f'<span class="wrap">{text(asks)}</span>', *(text(cell) for cell in rest)]


def _where(failure: Failure) -> str:
    return (
        f"<details><summary>show</summary><pre>{text(failure.where)}</pre></details>" if failure.where else ""
    )


def _made_with(cells: Sequence[Cell]) -> str:
    def told(name: str) -> list[str]:
        return [str(value) for value in dict.fromkeys(cell.facts.get(name) for cell in cells) if value]

    versions: dict[str, list[str]] = {}
    for cell in cells:
        for name, version in (cell.facts.get("versions") or {}).items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    rows = [
        ("commit", commits(told("commit"))),
        ("processor", ", ".join(told("processor"))),
        ("device", ", ".join(told("device")) or "cpu"),
        ("machines", ", ".join(told("host"))),
        (
            "memory of a cell, most",
            f"{max((int(c.facts.get('peak_mib', 0)) for c in cells), default=0):,} MiB",
        ),
        ("gone on from a checkpoint", str(sum(bool(cell.facts.get("resumed")) for cell in cells))),
        *((name, ", ".join(found)) for name, found in versions.items()),
    ]
    return table(
        (), [[text(name), f'<span class="wrap">{text(value)}</span>'] for name, value in rows if value]
    )
