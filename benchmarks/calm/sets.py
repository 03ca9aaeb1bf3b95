"""The sets as they are stored, what is asked about their steps, and the table of what was said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.calm.transitions import EVENTS, SUBGOALS, TASK, Step
from rewardspec.kinds.subgoals import Subgoals
from rewardspec.llm.answers import read_answer
from rewardspec.llm.evaluation import Mode, Score, Truths, always, exact_share, score
from rewardspec.llm.judges import request_for
from rewardspec.llm.provider import Request
from rewardspec.llm.records import Replay
from rewardspec.llm.views import show

FOLDER = Path(__file__).parents[1] / "results" / "calm"
BALANCED = FOLDER / "balanced.jsonl"
NATURAL = FOLDER / "natural.json"

NOTE = (
    "On the map @ is the agent, ( is the key, + is a closed door, > is the stairs, . is the floor; - and | are walls. "
    "When a door is opened, its + becomes - or |. The message 'Never mind.' tells nothing."
)

TERM = Subgoals.model_validate(
    {"task": TASK, "subgoals": SUBGOALS, "judge": {"llm": "default", "observation": "crop9", "note": NOTE}}
)
"""What the models are asked for: the easiest cell of CALM's table, a 9x9 crop with given subgoals."""

StoredStep = dict[str, Any]
"""`before` and `after` as lines, `action`, `truth` by subgoal, `episode`."""


def stored(step: Step) -> StoredStep:
    """Return a step as it is stored and shown: a 9x9 crop and the message."""
    return {
        "before": show(step.obs, "crop9"),
        "action": step.action,
        "after": show(step.next_obs, "crop9"),
        "truth": step.truth,
        "episode": step.episode,
    }


def write(path: Path, steps: Iterable[StoredStep]) -> None:
    """Write a set, a step a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(step)}\n" for step in steps), encoding="utf-8")


def read(path: Path) -> list[StoredStep]:
    """Return a stored set."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def request_of(step: StoredStep) -> Request:
    """Return what is asked about a step."""
    return request_for(TERM, SUBGOALS, step["before"], step["action"], step["after"])


def records_of(model: str) -> Path:
    """Return the file of what a model said."""
    return FOLDER / f"{model}.jsonl"


def in_turn(steps: Sequence[StoredStep]) -> list[StoredStep]:
    """Return the steps in the order in which models are asked: the sorts take turns, so that any beginning is balanced.

    Example:
        >>> steps = [{"truth": {"a": t, "b": False}} for t in (True, True, False, False)]
        >>> [step["truth"]["a"] for step in in_turn(steps)]
        [True, False, True, False]
    """
    sorts: dict[tuple[bool, ...], list[StoredStep]] = {}
    for step in steps:
        sorts.setdefault(tuple(step["truth"].values()), []).append(step)
    return [step for row in zip_longest(*sorts.values()) for step in row if step is not None]


def replay(model: str, steps: Sequence[StoredStep]) -> tuple[list[StoredStep], list[dict[str, bool]], int]:
    """Return the steps that a model was asked about, what it said of each, and how many answers could not be read."""
    provider = Replay(records_of(model), model)
    asked = [step for step in steps if provider.store.find(model, request_of(step)) is not None]
    read_ones = [read_answer(provider.complete(request_of(step)).text, SUBGOALS) for step in asked]
    nothing = dict.fromkeys(SUBGOALS, False)
    return asked, [nothing if said is None else said for said in read_ones], read_ones.count(None)


def scores_of(said: Truths, steps: Sequence[StoredStep]) -> dict[str, Any]:
    """Return all scores of a judge's answers as plain data; equal answers give equal bytes."""
    true = [step["truth"] for step in steps]
    found: dict[str, Any] = {"steps": len(steps), "exact": round(exact_share(said, true), 4)}
    modes: tuple[Mode, ...] = ("paper", "strict")
    for mode in modes:
        found[mode] = _plain(score(said, true, mode))
    for goal, event in zip(SUBGOALS, EVENTS, strict=True):
        there = [answer for answer, truth in zip(said, true, strict=True) if truth[goal]]
        found[f"{event} named right"] = (
            f"{sum(answer == {g: g == goal for g in SUBGOALS} for answer in there)}/{len(there)}"
        )
    rest = [answer for answer, truth in zip(said, true, strict=True) if not any(truth.values())]
    found["neither named right"] = f"{sum(not any(answer.values()) for answer in rest)}/{len(rest)}"
    return found


def _plain(found: Score) -> dict[str, Any]:
    counts = found.counts
    return {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "tn": counts.tn,
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "f1": round(found.f1, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
    }


def at_natural_rate(found: dict[str, Any], rate: float) -> float:
    """Return the F1 that the paper's rule would give where so large a share of the steps reaches a subgoal."""
    counts = found["paper"]
    hit = counts["tp"] / max(counts["tp"] + counts["fn"], 1) * rate
    false = counts["fp"] / max(counts["fp"] + counts["tn"], 1) * (1 - rate)
    return 2 * hit / (hit + false + rate) if hit else 0.0


def models() -> list[str]:
    """Return the models that have records."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl") if path != BALANCED)


def scores_of_model(model: str) -> dict[str, Any]:
    """Return a model's scores, replayed from its records, with those of the judges that look at nothing beside them."""
    asked, said, unreadable = replay(model, read(BALANCED))
    true = [step["truth"] for step in asked]
    return {
        "model": model,
        **scores_of(said, asked),
        "unreadable": unreadable,
        "always yes": scores_of(always(True, true), asked),
        "always no": scores_of(always(False, true), asked),
    }


def scores_text(model: str) -> str:
    """Return a model's scores as they are stored."""
    return json.dumps(scores_of_model(model), indent=1) + "\n"


def _row(name: str, one: dict[str, Any], share: float) -> str:
    """Return a row of the page."""
    cells = [
        f"{one[m]['f1']:.2f} ({one[m]['interval'][0]:.2f} to {one[m]['interval'][1]:.2f})"
        for m in ("paper", "strict")
    ]
    cells += [f"{one['exact']:.2f}", *(one[f"{sort} named right"] for sort in (*EVENTS, "neither"))]
    return f"| {name} | {one['steps']} | {' | '.join(cells)} | {at_natural_rate(one, share):.2f} |"


def table() -> str:
    """Return the page; every score in it is replayed from records."""
    steps = read(BALANCED)
    rate = json.loads(NATURAL.read_text(encoding="utf-8"))
    share = (rate["key"] + rate["door"]) / rate["steps"]
    lines = [
        "# Do small models see that a subgoal was reached?",
        "",
        "<!-- Made by `python -m benchmarks.calm table` -->",
        "",
        f"{len(steps)} steps of MiniHack-KeyRoom-S5 by a scripted player, labels exact: 17 pick up the key, 17 open the"
        " door, 16 do neither. The judge sees a 9x9 crop before and after the step, both messages, the action, and"
        " which characters became others. It answers under a JSON schema, greedily. `always yes` and `always no` are"
        " scored on the same steps as the model above them. F1 with its 95 % bootstrap interval.",
        "",
        "| judge | steps | paper's F1: any subgoal | strict F1: the right one | told exactly | key | door | neither"
        " | at the natural rate |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    true = [step["truth"] for step in steps]
    whole = {
        f"always {word}, all steps": scores_of(always(word == "yes", true), steps) for word in ("yes", "no")
    }
    for name, one in whole.items():
        lines.append(_row(name, one, share))
    for model in models():
        found = scores_of_model(model)
        for name, one in (
            (f"**{model}**", found),
            *((each, found[each]) for each in ("always yes", "always no")),
        ):
            lines.append(_row(name, one, share))
    lines += [
        "",
        f"The natural rate: of {rate['steps']:,} steps of {rate['episodes']} episodes, {rate['key']} pick up the key"
        f" and {rate['door']} open the door ({share:.1%}). The last column weighs hits and false alarms on the balanced"
        " set by it. It is rough: sixteen negatives without a false alarm leave a rate of up to a sixth possible.",
        "",
        "The prompt is ours and not the paper's, and tells what the characters are, that a door which is opened becomes"
        " `-` or `|`, and that `Never mind.` says nothing. These are small models; the paper's have 7 to 70 billion"
        " weights. Records: `benchmarks/results/calm/`, one JSON line a call, with the model's name and its weights'"
        " digest.",
    ]
    return "\n".join(lines) + "\n"
