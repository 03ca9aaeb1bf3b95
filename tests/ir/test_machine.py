"""What is worked out from a machine alone, where its guards are too large to compare."""

from __future__ import annotations

from typing import Any

import pytest

from rewardspec.analysis.check import check
from rewardspec.analysis.lints import machines as machine_lints
from rewardspec.ir import machine as machines
from rewardspec.ir.machine import minimise
from rewardspec.logic import automaton
from rewardspec.logic.diagrams import Diagrams
from rewardspec.vocabulary import from_data
from tests.kinds.episodes import compile_text, label_trace, rewards

TWINS: dict[str, Any] = {
    "propositions": dict.fromkeys("abcd"),
    "reward": {
        "reward_machine": {
            "start": "u",
            "edges": [
                {"from": "u", "to": "v", "when": "a and (b or c)"},
                {"from": "u", "to": "w", "when": "d and not a"},
                {"from": ["v", "w"], "to": "u", "when": "(a and b) or (c and d)", "reward": 1},
            ],
        }
    },
}
"""v and w do and pay the same."""


class Small(Diagrams):
    """Diagrams that outgrow their budget at once."""

    def __init__(self, max_nodes: int = 4, seconds: float = float("inf")) -> None:
        super().__init__(min(max_nodes, 4), seconds)


@pytest.mark.parametrize("module", [automaton, machines])
def test_states_that_are_too_large_to_compare_are_left_apart(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (merged,) = compile_text(TWINS).machines
    monkeypatch.setattr(module, "Diagrams", Small)
    program = compile_text(TWINS)
    assert (len(merged.states), len(program.machines[0].states)) == (2, 3)
    small, kept = minimise(program.machines[0])
    assert small == program.machines[0] and kept == [0, 1, 2]
    assert rewards(program, label_trace("a c", "", "a b", "d", "c d")) == [0, 0, 1, 0, 1]


def test_a_lint_whose_guards_are_too_large_to_compare_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = TWINS["reward"]["reward_machine"]["edges"]
    stays = {"from": "u", "to": "u", "when": "a and b and c"}
    machine = {
        **TWINS["reward"]["reward_machine"],
        "edges": [edges[0] | {"when": "a and not (b and c)"}, stays, *edges[1:]],
    }
    spec = from_data({**TWINS, "reward": {"reward_machine": machine}})
    assert "guard-gap" in {finding.code for finding in check(spec)}
    monkeypatch.setattr(machine_lints, "Diagrams", Small)
    assert "guard-gap" not in {finding.code for finding in check(spec) if finding.severity == "warning"}
