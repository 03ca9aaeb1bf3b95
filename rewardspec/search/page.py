"""The page of a search, in Markdown: the tree of candidates, their scores, and what a child does differently."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from rewardspec.search.candidate import Candidate, Trained
from rewardspec.search.folder import SearchFolder
from rewardspec.search.judges import Judge, paper_queries
from rewardspec.search.state import State
from rewardspec.spec.model import Spec
from rewardspec.training.folder import write_whole

REFUSALS = 20
"""Proposals that came to nothing and are listed, the latest ones."""

CHANGES = 8
"""Lines of changes that are shown of a candidate."""


def write_page(
    folder: SearchFolder, base: Spec, state: State, judge: Judge, generations: int, candidates: int
) -> None:
    """Write the page of a search as it stands."""
    text = page(folder, base, state, judge, generations, candidates)
    write_whole(folder.report, lambda file: file.write(text.encode()))


def page(
    folder: SearchFolder, base: Spec, state: State, judge: Judge, generations: int, candidates: int
) -> str:
    """Return the page of a search as it stands."""
    facts = folder.read_facts()
    running = "" if state.is_finished else " It is not finished."
    lines = [
        f"# Search: {plain(base.name)}",
        "",
        f"{generations} generations of {candidates} candidates, judged by {plain(judge.name)}, proposed by "
        f"{plain(str(facts.get('proposer', '')))}; begun {plain(str(facts.get('date', '')))}.{running}",
        "",
        "## Generations",
        "",
        *_generations(state, judge),
        "",
        f"{state.comparisons} pairs were compared; the count of Yu et al., 2N(K-1) - 1, is "
        f"{paper_queries(candidates, generations)}. Greatest values along training are biased upwards, and so is the "
        "best of several candidates: the trainings at the end are the ones to quote.",
        "",
        "## Candidates",
        "",
        "*Best* is the greatest value along training, *end* the one at its end.",
        "",
        *_tree(state, judge),
    ]
    if state.best is not None:
        lines += ["", *_finals(state)]
        lines += ["", *_spec(state.candidates[state.best])]
    lines += _refused(state)
    return "\n".join(lines) + "\n"


def _generations(state: State, judge: Judge) -> list[str]:
    lines = [
        "| generation | best | its score | mean of all | worst | refused | failed |",
        "| ---: | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for generation in sorted({c.generation for c in state.candidates.values()}):
        choice = state.choices.get(generation)
        scores = [s for c in state.trained(generation) if (s := judge.score(c)) is not None]
        refused = sum(r.generation == generation for r in state.refusals)
        failed = sum(bool(c.failed) for c in state.of(generation))
        best = state.candidates[choice.best] if choice is not None else None
        score = None if best is None else judge.score(best)
        mean = f"{statistics.fmean(scores):.4g}" if scores else ""
        lines.append(
            f"| {generation} | {best.id if best else ''} | {'' if score is None else f'{score:.4g}'} | {mean} "
            f"| {choice.worst or '' if choice else ''} | {refused} | {failed} |"
        )
    return lines


def _tree(state: State, judge: Judge) -> list[str]:
    """Return the candidates as a nested list, each below its parent."""
    children: dict[str | None, list[Candidate]] = {}
    for candidate in state.candidates.values():
        children.setdefault(candidate.parent, []).append(candidate)
    lines: list[str] = []

    def show(candidate: Candidate, depth: int) -> None:
        pad = "  " * depth
        lines.append(f"{pad}- {_title(candidate, state, judge)}")
        shown = candidate.changes[:CHANGES]
        lines.extend(f"{pad}  - {code(change)}" for change in shown)
        if len(candidate.changes) > len(shown):
            lines.append(f"{pad}  - and {len(candidate.changes) - len(shown)} changes more")
        for child in children.get(candidate.id, ()):
            show(child, depth + 1)

    for candidate in children.get(None, ()):
        show(candidate, 0)
    return lines


def _title(candidate: Candidate, state: State, judge: Judge) -> str:
    marks = []
    for choice in state.choices.values():
        if candidate.id == choice.best:
            marks.append("best")
        if candidate.id == choice.worst:
            marks.append("worst")
    if candidate.id == state.best:
        marks.append("**best of all**")
    told = f" ({', '.join(marks)})" if marks else ""
    if candidate.failed:
        return f"**{candidate.id}**{told}: failed: {code(candidate.failed)}"
    if candidate.trained is None:
        return f"**{candidate.id}**{told}: not trained yet"
    link = f"[{candidate.id}](specs/{candidate.id}.yaml)"
    score = judge.score(candidate)
    judged = "" if score is None else f" score {score:.4g};"
    return f"**{link}**{told}:{judged} {_measures(candidate.trained)}"


def _measures(trained: Trained) -> str:
    parts = [f"{n} best {v:.4g}, end {trained.last[n]:.4g}" for n, v in trained.best.items()]
    return "; ".join(parts) or "no measure"


def _finals(state: State) -> list[str]:
    lines = [f"## {state.best}, trained anew", ""]
    trained = [final for final in state.finals.values() if final.trained is not None]
    names = list(dict.fromkeys(name for f in trained if f.trained for name in f.trained.best))
    if not names:
        return [*lines, "No training was asked for, or none came to its end."]
    lines += [
        "| seed | " + " | ".join(f"{name}: best | end" for name in names) + " |",
        "| ---: |" + " ---: | ---: |" * len(names),
    ]
    columns: dict[tuple[str, str], list[float]] = {}
    for final in sorted(state.finals.values(), key=lambda f: f.number):
        cells = []
        for name in names:
            for sort in ("best", "last"):
                value = getattr(final.trained, sort).get(name) if final.trained else None
                if value is not None:
                    columns.setdefault((name, sort), []).append(value)
                cells.append("" if value is None else f"{value:.4g}")
        failed = f" (failed: {code(final.failed)})" if final.failed else ""
        lines.append(f"| {final.seed}{failed} | " + " | ".join(cells) + " |")
    means = [_mean(columns.get((name, sort), [])) for name in names for sort in ("best", "last")]
    lines.append("| mean ± sd | " + " | ".join(means) + " |")
    greatest = [
        f"{max(c):.4g}" if (c := columns.get((n, s), [])) else "" for n in names for s in ("best", "last")
    ]
    lines.append("| greatest (FTS under best) | " + " | ".join(greatest) + " |")
    return lines


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.4g} ± {spread:.2g}"


def _spec(candidate: Candidate) -> list[str]:
    text = candidate.spec.to_yaml().rstrip()
    fence = "`" * max(3, 1 + max((len(m) for m in re.findall("`+", text)), default=0))
    return ["## The spec", "", f"{fence}yaml", text, fence]


def _refused(state: State) -> list[str]:
    if not state.refusals:
        return []
    lines = ["", "## What came to nothing", ""]
    for refusal in state.refusals[-REFUSALS:]:
        first = refusal.reason.split("\n")[0]
        lines.append(
            f"- generation {refusal.generation}, request {refusal.round + 1}, proposal {refusal.index + 1}: "
            f"{code(first)}"
        )
    if len(state.refusals) > REFUSALS:
        lines.append(f"- and {len(state.refusals) - REFUSALS} before them, in journal.jsonl")
    return lines


def plain(text: str) -> str:
    r"""Return a text that Markdown takes as it is, in one line.

    Example:
        >>> plain("a *b*\n<c>")
        'a \\*b\\* \\<c\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return a text as code in one line, whatever is in it.

    Example:
        >>> code("a `b` | c")
        '``a `b` / c``'
    """
    text = " ".join(text.split()).replace("|", "/")[:300] or " "
    if "`" not in text:
        return f"`{text}`"
    marks = "`" * (1 + max(len(found) for found in re.findall("`+", text)))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"
