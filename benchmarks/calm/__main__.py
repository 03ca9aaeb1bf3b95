"""Ask a model about the steps of KeyRoom, and put what it says into the table.

python -m benchmarks.calm steps                    # the balanced set, anew from MiniHack
python -m benchmarks.calm ask qwen-coder-1.5b      # a fetched model; goes on where it stopped
python -m benchmarks.calm ask smollm2 24           # the first 24 steps alone
python -m benchmarks.calm table                    # replays the records and writes the page
"""

from __future__ import annotations

import json
import sys

from benchmarks.calm import sets
from rewardspec.llm.local import LocalWeights
from rewardspec.llm.progress import Shown
from rewardspec.llm.records import Recorder
from rewardspec.llm.weights import weights_named

EPISODES = 60


def make_sets() -> None:
    """Play MiniHack and store the balanced set, and the counts of the natural one."""
    from benchmarks.calm.rooms import minihack_room
    from benchmarks.calm.transitions import EVENTS, balanced, natural

    sets.write(sets.BALANCED, map(sets.stored, balanced(minihack_room())))
    steps = natural(minihack_room(), EPISODES)
    counts = {event: sum(event in step.events for step in steps) for event in EVENTS}
    sets.NATURAL.write_text(json.dumps({"episodes": EPISODES, "steps": len(steps), **counts}) + "\n")


def ask(model: str, first: int | None = None) -> None:
    """Put the steps of the balanced set to a model and record what it says."""
    weights = weights_named(model)
    steps = sets.in_turn(sets.read(sets.BALANCED))[:first]
    with LocalWeights(weights.file, weights.name, sha256=weights.sha256) as local:
        recorder = Recorder(local, sets.records_of(model))
        with Shown(recorder, len(steps), weights.name) as shown:
            for step in steps:
                shown.complete(sets.request_of(step))


def write_table() -> None:
    """Write the page, and each model's scores beside its records."""
    for model in sets.models():
        sets.records_of(model).with_suffix(".scores.json").write_text(sets.scores_text(model))
    (sets.FOLDER / "table.md").write_text(sets.table(), encoding="utf-8")
    print(sets.table())


def main(words: list[str]) -> None:
    """Run one of the three."""
    if words == ["steps"]:
        make_sets()
    elif words[:1] == ["ask"] and len(words) in (2, 3):
        ask(words[1], int(words[2]) if len(words) == 3 else None)
    elif words == ["table"]:
        write_table()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
