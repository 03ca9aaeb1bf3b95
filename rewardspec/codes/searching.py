"""The codes of searching for a reward."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

SEARCHING: dict[str, Explanation] = {
    "unfit-search": Explanation(
        "`rewardspec search` begins with a spec for one agent whose every term is written down. A reward that is "
        "itself learned, judged by a model or shared by several agents cannot be proposed and compared in this way.",
        "$ rewardspec search preferences.yaml  # `preferences: {labels: ...}` is learned while an agent trains",
        "$ rewardspec search cartpole.yaml",
    ),
    "search-stuck": Explanation(
        "A generation of a search needs so many candidates that can be trained. Proposals were refused by the checker, "
        "or failed in training, until the requests that a generation may take were used up; or every candidate failed "
        "for one and the same reason. The reasons of all are in the folder's journal.jsonl and on its page. What was "
        "trained is kept: `--resume` goes on.",
        "$ rewardspec search cartpole.yaml --rounds 1  # with a model that writes no spec",
        "$ REWARDSPEC_LLM=http://127.0.0.1:8080/v1 rewardspec search cartpole.yaml --rounds 20",
    ),
    "unjudged": Explanation(
        "A judge ranks candidates by a number that training must tell: the environment says no success, or no episode "
        "ended within the steps that a candidate gets.",
        "$ rewardspec search cartpole.yaml --judge success --steps 10",
        "$ rewardspec search cartpole.yaml --judge return --steps 20000",
    ),
    "not-a-search-folder": Explanation(
        "The folder holds no search, or its journal was changed by hand.",
        "$ rewardspec search --resume runs/first  # a run of `rewardspec train`",
        "$ rewardspec search --resume runs/search-cartpole-0",
    ),
}
"""The codes of searching for a reward."""
