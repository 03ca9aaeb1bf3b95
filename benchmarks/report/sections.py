"""One experiment's part of the page."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from benchmarks import estimates
from benchmarks.experiment import Figure
from benchmarks.pages import described
from benchmarks.records import Failure
from benchmarks.report.charts import Bar, intervals
from benchmarks.report.curves import Band, band
from benchmarks.report.tables import verdicts
from benchmarks.summary import Summary, contrast, with_interval
from rewardspec import Spec, compile_spec
from rewardspec.analysis.draw import draw_svg
from rewardspec.errors import RewardSpecError
from rewardspec.report.charts import short
from rewardspec.report.page import data, table, text

TONES = 12
"""Colours that there are."""

LEVELS = tuple(i / 50 for i in range(51))
"""Scores of a performance profile."""

DRAWN = 4
"""Tasks of an experiment whose machines are drawn."""

SHARES = (0.5, 0.9)
"""Parts of the best end of a curve that sample efficiency is told for."""


def section(summary: Summary, failures: Sequence[Failure]) -> str:
    """Return an experiment's part of the page."""
    name = summary.experiment.name
    tones = {method: i % TONES for i, method in enumerate(summary.methods)}
    parts = [
        f'<section class="experiment" id="{text(name)}">',
        f"<h2>{text(name)}</h2>",
        f'<p class="lead">{text(summary.experiment.asks)}</p>',
        *(f'<p class="no">{text(described(failure))}</p>' for failure in failures),
    ]
    if summary.groups:
        parts += [
            _verdict(summary),
            _legend(tones),
            _over_tasks(summary, tones),
            "<h3>Scores, task by task</h3>",
            _scores(summary),
            _learning(summary, tones),
            "<h3>What it cost</h3>",
            _costs(summary),
            _seeds(summary),
        ]
    parts += [_figures(summary.experiment.figures(summary.cells)), _specs(summary), "</section>"]
    return "\n".join(part for part in parts if part)


def _verdict(summary: Summary) -> str:
    told = contrast(summary)
    if told is None:
        return ""
    return (
        f"<p>Over {len(summary.shared)} task{'s' * (len(summary.shared) != 1)}, <b>{text(summary.claim)}</b> against"
        f" {text(summary.baseline)}: interquartile mean {with_interval(*told.claim)} against"
        f" {with_interval(*told.baseline)}; a run is better than one of the baseline with probability"
        f" {with_interval(*told.better)}; tasks better / even / worse: {verdicts(told)}.</p>"
    )


def _legend(tones: Mapping[str, int]) -> str:
    buttons = "".join(
        f'<button type="button" class="key" data-method="{tone}" aria-pressed="true">'
        f'<i class="swatch tone{tone}"></i>{text(method)}</button>'
        for method, tone in tones.items()
    )
    return f'<p class="legend toggles">{buttons}<span class="note">click to hide or show a method</span></p>'


def _over_tasks(summary: Summary, tones: Mapping[str, int]) -> str:
    methods = summary.comparable
    if len(methods) < 2:
        return ""
    scores = {method: summary.scores(method) for method in methods}
    bars = [Bar(m, tones[m], estimates.iqm(s), estimates.iqm_interval(s)) for m, s in scores.items()]
    parts = [
        '<div class="pair">',
        f"<div><h3>Interquartile mean</h3>{intervals(bars, f'over {len(summary.shared)} tasks, 95 % interval')}</div>",
    ]
    against = summary.baseline or methods[0]
    if against in methods:
        bars = [
            Bar(
                m,
                tones[m],
                estimates.better(s, scores[against]),
                estimates.better_interval(s, scores[against]),
            )
            for m, s in scores.items()
            if m != against
        ]
        told = f"that a run beats one of {against} on the same task; a half is chance"
        parts.append(f"<div><h3>Probability of improvement</h3>{intervals(bars, told, 0.5)}</div>")
    parts.append("</div>")
    series = []
    for method in methods:
        shares, spans = estimates.profile(scores[method], LEVELS)
        spans = spans or [(share, share) for share in shares]
        points = [
            [mark, _round(share), _round(low), _round(high)]
            for mark, share, (low, high) in zip(LEVELS, shares, spans, strict=True)
        ]
        series.append({"name": method, "tone": tones[method], "points": points})
    chart = {"series": series, "x": "score", "y": "share of runs above it", "most": 1}
    parts.append(f"<h3>Performance profile</h3>{_chart(chart, 'wide')}")
    return "\n".join(parts)


def _scores(summary: Summary) -> str:
    methods, rows = summary.methods, []
    for task, groups in summary.groups.items():
        first, *even = summary.winners(task)
        row = [text(task or summary.experiment.name)]
        for method in methods:
            if method not in groups:
                row.append("")
                continue
            group = groups[method]
            told = with_interval(group.mean, group.interval)
            runs = f'<span class="note">{len(group.runs)}</span>'
            mark = "best" if method == first else "even" if method in even else ""
            row.append(f'<span class="{mark}">{told}</span> {runs}')
        rows.append(row)
    note = (
        '<p class="note">Mean with its 95 % interval, then how many runs. <span class="best">Best</span> on its task;'
        ' <span class="even">not told apart from the best</span> (the interval of the difference holds 0, or there is'
        " one run only).</p>"
    )
    return table(["task", *methods], rows) + note


def _learning(summary: Summary, tones: Mapping[str, int]) -> str:
    x_label, y_label = summary.experiment.axes
    charts, rows = [], []
    for task, groups in summary.groups.items():
        ends = [run.curve[-1][0] for group in groups.values() for run in group.runs if len(run.curve) > 1]
        if not ends:
            continue
        bands = {m: found for m, group in groups.items() if (found := band(group, max(ends))) is not None}
        series = [_series(method, tones[method], found) for method, found in bands.items()]
        chart = {"series": series, "x": x_label, "y": y_label, "most": max(ends)}
        charts.append(f"<div><h4>{text(task or summary.experiment.name)}</h4>{_chart(chart)}</div>")
        best = max(float(found.mean[-1]) for found in bands.values())
        if best > 0:
            rows.append(
                [text(task or summary.experiment.name), *(_soon(bands.get(m), best) for m in summary.methods)]
            )
    if not charts:
        return ""
    head = (
        '<h3>Learning curves</h3><p class="note">Mean over runs with its 95 % interval, pointwise. Drag to zoom, double'
        ' click to see all. <label><input type="checkbox" class="clock"> against CPU time</label>'
        ' <label><input type="checkbox" class="ends"> best and worst run</label></p>'
    )
    told = " / ".join(f"{share:.0%}" for share in SHARES)
    soon = (
        f"<h3>Sample efficiency</h3>{table(['task', *summary.methods], rows)}"
        f'<p class="note">{text(x_label)} until the mean curve reaches {told} of where the best of the task ends; CPU'
        " seconds of a run until the latter in brackets.</p>"
    )
    return f'{head}<div class="multiples">{"".join(charts)}</div>{soon if rows else ""}'


def _series(method: str, tone: int, found: Band) -> dict[str, Any]:
    columns = zip(found.x, found.mean, found.low, found.high, strict=True)
    return {
        "name": method,
        "tone": tone,
        "points": [[_round(number) for number in point] for point in columns],
        "ends": [
            [[_round(x), _round(y)] for x, y in zip(found.x, curve, strict=True)]
            for curve in (found.best, found.worst)
        ],
        "seconds": _round(found.seconds / float(found.x[-1])) if found.x[-1] else 0,
    }


def _soon(found: Band | None, best: float) -> str:
    if found is None:
        return ""
    times = [found.reaches(share * best) for share in SHARES]
    told = " / ".join("never" if time is None else short(time) for time in times)
    last = times[-1]
    return told if last is None else f"{told} ({found.seconds * last / float(found.x[-1]):.3g} s)"


def _costs(summary: Summary) -> str:
    rows = []
    for method in summary.methods:
        runs = [run for groups in summary.groups.values() if method in groups for run in groups[method].runs]
        peaks = [int(run.cell.facts.get("peak_mib", 0)) for run in runs]
        middle = statistics.median(run.cpu_s for run in runs)
        total = sum(run.cpu_s for run in runs)
        rows.append(
            [text(method), str(len(runs)), f"{middle:.3g} s", f"{total / 60:.1f} min", f"{max(peaks):,} MiB"]
        )
    return table(["method", "runs", "CPU of a run, median", "CPU in all", "memory, most"], rows)


def _seeds(summary: Summary) -> str:
    rows = []
    for task, groups in summary.groups.items():
        for method, group in groups.items():
            if len(group.runs) > 1:
                ends = [f"{run.score:.2f} (seed {run.seed})" for run in (group.best, group.worst)]
                rows.append([text(task), text(method), *ends])
    if not rows:
        return ""
    told = table(["task", "method", "best", "worst"], rows)
    return f"<details><summary>Best and worst seed</summary>{told}</details>"


def _figures(figures: Sequence[Figure]) -> str:
    return f"<h3>Beside published figures</h3>{figures_table(figures)}" if figures else ""


def figures_table(figures: Sequence[Figure]) -> str:
    """Return published figures beside ours."""
    said = {True: '<span class="yes">yes</span>', False: '<span class="no">no</span>', None: ""}
    rows = []
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        ours = "not measured" if figure.ours is None else f"{_number(figure.ours)}{text(unit)}"
        theirs = f"{_number(figure.theirs)}{text(unit)}"
        source = (
            f'<span class="wrap">{text(figure.source)} <span class="tag">{text(figure.tag)}</span></span>'
        )
        note = f'<span class="wrap note">{text(figure.note)}</span>'
        rows.append([text(figure.what), theirs, ours, said[figure.holds], source, note])
    return table(["what", "theirs", "ours", "holds", "source", ""], rows)


def _number(value: float | str) -> str:
    return text(value) if isinstance(value, str) else f"{value:g}"


def _specs(summary: Summary) -> str:
    """Return the specs of the first tasks with their machines, those of the claim where it has some."""
    parts = []
    for task, groups in list(summary.groups.items())[:DRAWN]:
        group = groups.get(summary.claim or "") or next(iter(groups.values()))
        cell = group.runs[0].cell
        specs: Sequence[Spec] = []
        with suppress(
            Exception
        ):  # a checkout that has changed since may have no such spec; the rest is told anyway
            specs = summary.experiment.specs(cell.setting)
        if not specs:
            continue
        more = f" and {len(specs) - 1} more" if len(specs) > 1 else ""
        digest = cell.facts.get("spec")
        told = f", digest {digest} as it ran" if digest else ""
        parts.append(
            f"<details><summary>{text(task or specs[0].name)}: {text(specs[0].name)}{more}{told}</summary>"
            f"{_drawing(specs[0])}<pre>{text(specs[0].to_yaml())}</pre></details>"
        )
    return f"<h3>What was declared</h3>{''.join(parts)}" if parts else ""


def _drawing(spec: Spec) -> str:
    try:
        program = compile_spec(spec)
        return f'<div class="drawing">{draw_svg(program)}</div>' if program.machines else ""
    except RewardSpecError as error:
        return f'<p class="note">{text(str(error).splitlines()[0])}</p>'


def _chart(chart: Mapping[str, Any], kind: str = "") -> str:
    return f'<div class="plot {kind}"><script type="application/json">{data(chart)}</script></div>'


def _round(number: float) -> float:
    return float(f"{number:.4g}")
