"""`compare RUN_A RUN_B`: what changed between two runs, and whether it is more than noise.

Each method on each task is a line: the difference of the mean scores with its 95 % interval (bootstrap over runs), the
probability that a run of B beats one of A, and the chance of so great a difference where nothing changed (a permutation
test), corrected for the number of lines by Holm's method. Few runs cannot show anything: where even the clearest
outcome would stay above 0.05, the line says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import estimates
from benchmarks.estimates import Interval
from benchmarks.records import commits
from benchmarks.summary import Group, Summary, with_interval

SURE = 0.05
WORDS = ("down", "up", "no telling", "too few runs", "the same", "only in A", "only in B")
"""What may be said of a line, in the order in which lines are shown."""


@dataclass(frozen=True)
class Change:
    """One method on one task in two runs.

    Attributes:
        experiment: The experiment.
        task: The task.
        method: The method.
        a: Mean score in A; None where it is missing.
        b: Mean score in B.
        runs: How many runs there are in A and in B.
        difference: Interval of B less A.
        better: Probability that a run of B beats one of A.
        chance: Of so great a difference by noise, corrected.
        cost: CPU seconds of a run in B over those in A.
        word: One of `WORDS`.
    """

    experiment: str
    task: str
    method: str
    a: float | None
    b: float | None
    runs: tuple[int, int]
    difference: Interval | None = None
    better: float | None = None
    chance: float | None = None
    cost: float | None = None
    word: str = "the same"


def changes(a: Sequence[Summary], b: Sequence[Summary]) -> list[Change]:
    """Return what changed from run A to run B, what is sure and worse first."""
    groups = [
        {
            (summary.experiment.name, task, method): group
            for summary in summaries
            for task, by_method in summary.groups.items()
            for method, group in by_method.items()
        }
        for summaries in (a, b)
    ]
    found = [_change(name, groups[0].get(name), groups[1].get(name)) for name in {**groups[0], **groups[1]}]
    tested = [i for i, change in enumerate(found) if change.chance is not None]
    corrected = estimates.holm([found[i].chance or 0.0 for i in tested])
    for i, chance in zip(tested, corrected, strict=True):
        found[i] = _judged(found[i], chance, len(tested))
    return sorted(found, key=lambda change: WORDS.index(change.word))


def _change(name: tuple[str, str, str], a: Group | None, b: Group | None) -> Change:
    runs = (len(a.runs) if a else 0, len(b.runs) if b else 0)
    change = Change(*name, a.mean if a else None, b.mean if b else None, runs)
    if a is None or b is None:
        return replace(change, word="only in B" if a is None else "only in A")
    cost = b.cpu_s / a.cpu_s if a.cpu_s else None
    if sorted(a.scores) == sorted(b.scores):
        return replace(change, cost=cost, word="the same")
    return replace(
        change,
        cost=cost,
        difference=estimates.difference_interval(b.scores, a.scores),
        better=estimates.better([b.scores], [a.scores]),
        chance=estimates.chance(b.scores, a.scores),
    )


def _judged(change: Change, chance: float, tests: int) -> Change:
    if chance <= SURE:
        word = "up" if (change.b or 0.0) > (change.a or 0.0) else "down"
    elif estimates.least_chance(*change.runs) * tests > SURE and estimates.least_chance(*change.runs) > SURE:
        word = "too few runs"
    else:
        word = "no telling"
    return replace(change, chance=chance, word=word)


def verdict(found: Sequence[Change], a: Sequence[Summary], b: Sequence[Summary]) -> str:
    """Return in a few sentences what changed."""
    counted = Counter(change.word for change in found)
    told = ", ".join(f"{counted[word]} {word}" for word in WORDS if counted[word])
    made = [
        commits(list(dict.fromkeys(str(c.facts.get("commit")) for s in run for c in s.cells)))
        for run in (a, b)
    ]
    lines = [
        f"A: {made[0]}; B: {made[1]}.",
        f"{len(found)} methods on tasks: {told}.",
        "up, down: sure at 0.05 after Holm's correction; no telling: as good as noise; too few runs: no outcome could"
        " be sure with so few; the same: to the last digit.",
    ]
    return "\n".join(lines)


def rows(found: Sequence[Change]) -> list[list[str]]:
    """Return a line of text for each change."""

    def number(value: float | None, form: str = ".2f") -> str:
        return "" if value is None else f"{value:{form}}"

    return [
        [
            c.word,
            c.experiment,
            c.task,
            c.method,
            number(c.a),
            number(c.b),
            "" if c.a is None or c.b is None else with_interval(c.b - c.a, c.difference, "+.2f"),
            number(c.better),
            number(c.chance, ".3f"),
            f"{c.runs[0]} / {c.runs[1]}",
            number(c.cost),
        ]
        for c in found
    ]


HEAD = (
    "",
    "experiment",
    "task",
    "method",
    "A",
    "B",
    "B less A",
    "P(B better)",
    "chance",
    "runs",
    "CPU, B to A",
)


def markdown(found: Sequence[Change]) -> str:
    """Return the table in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows(found)]
    return "\n".join(lines)
