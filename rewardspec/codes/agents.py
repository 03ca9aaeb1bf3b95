"""The codes of agents: what a spec, a machine or a run lacks for an agent to learn from it."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

AGENTS: dict[str, Explanation] = {
    "needs-machine": Explanation(
        "Counterfactual experience and options over a machine's edges need a machine: a reward machine, an LTL "
        "formula or a potential over one. This spec has none.",
        "$ python -m agents.q_learning --method crm --spec markov.yaml",
        "$ python -m agents.q_learning --method plain --spec markov.yaml",
    ),
    "settings-changed": Explanation(
        "A run can be resumed only with the arguments that it was begun with: with others its numbers would be those "
        "of neither.",
        "$ python -m agents.q_learning --resume runs/office --learning-rate 0.1",
        "$ python -m agents.q_learning --resume runs/office",
    ),
}
