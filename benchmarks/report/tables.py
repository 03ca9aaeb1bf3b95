"""The table of a run in Markdown, an experiment a line, and all scores as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.summary import Contrast, Summary, contrast, with_interval

HEAD = (
    "experiment", "what is asked", "held against", "IQM", "claim", "IQM", "chance that a run is better",
    "tasks: better / even / worse", "CPU",
)  # fmt: skip

KEY = (
    "IQM: interquartile mean of the scores (0 to 1) over tasks and seeds, with its 95 % interval (bootstrap, stratified"
    " by task). The chance is that of a run of the claim to beat one of the baseline on the same task; a task counts as"
    " better or worse where the 95 % interval of the difference of means leaves 0 out."
)


def row(summary: Summary) -> list[str]:
    """Return an experiment's line."""
    told = contrast(summary)
    minutes = f"{summary.cpu_s / 60:.1f} min"
    asks = summary.experiment.asks
    if told is None:
        best = max(((name, group.mean) for groups in summary.groups.values() for name, group in groups.items()),
                   key=lambda pair: pair[1], default=("", 0.0))  # fmt: skip
        return [
            summary.experiment.name,
            asks,
            "",
            "",
            best[0],
            f"{best[1]:.2f}" if best[0] else "",
            "",
            "",
            minutes,
        ]
    return [
        summary.experiment.name,
        asks,
        str(summary.baseline),
        with_interval(*told.baseline),
        str(summary.claim),
        with_interval(*told.claim),
        with_interval(*told.better),
        verdicts(told),
        minutes,
    ]


def verdicts(told: Contrast) -> str:
    """Return on how many tasks the claim is better, even and worse."""
    counted = Counter(told.verdicts.values())
    return " / ".join(str(counted[word]) for word in ("better", "even", "worse"))


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of the table in Markdown."""
    head = ["| " + " | ".join(HEAD) + " |", "| --- | --- | --- | --- | --- | --- | --- | --- | ---: |"]
    return [*head, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]


def markdown(summaries: Sequence[Summary]) -> str:
    """Return the table in Markdown, with a line that says what its columns are."""
    return "\n".join([*lines([row(summary) for summary in summaries]), "", KEY])


def scores_csv(summaries: Sequence[Summary]) -> str:
    """Return every run's score as CSV: one line an experiment, task, method and run."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    facts = ("commit", "code", "spec", "processor", "device", "host", "peak_mib")
    write.writerow(
        ["experiment", "setting", "task", "method", "seed", "steps", "score", "cpu_s", "wall_s", *facts]
    )
    for summary in summaries:
        for task, groups in summary.groups.items():
            for method, group in groups.items():
                for run in group.runs:
                    setting: Mapping[str, object] = run.cell.setting
                    write.writerow(
                        [
                            summary.experiment.name,
                            setting["name"],
                            task,
                            method,
                            run.seed,
                            setting["steps"],
                            f"{run.score:.6g}",
                            f"{run.cpu_s:.3f}",
                            f"{run.wall_s:.3f}",
                            *(run.cell.facts.get(name, "") for name in facts),
                        ]
                    )
    return out.getvalue()
