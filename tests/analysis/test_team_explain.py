"""Explained episodes of several agents: each agent's own program, what is joint, and who joins and leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardspec import loads, wrap_parallel
from rewardspec.analysis.team_explain import explain_play, explain_team, show_team
from rewardspec.errors import MismatchError
from tests.team.worlds import Stage

TEAMS = Path(__file__).parents[2] / "examples" / "teams"
SCRIPT = [
    {"scout": {"x": 1.0, "r": 1.0}, "pilot": {"x": 2.0, "r": 5.0, "end": True}},
    {"scout": {"x": 3.0, "r": 1.0}},
    {"scout": {"x": 0.0, "r": 2.0}, "cook": {"x": 4.0, "r": 7.0}},
]
SPEC = """
propositions: {far: 'next_obs[0] > 2'}
agents:
  scout: {reward: [{markov: reward, name: own}, {once: far, name: there}]}
  default: {reward: {markov: mean(others.reward), name: theirs}}
"""


def test_each_agent_is_explained_from_when_it_joins_to_when_it_leaves() -> None:
    told = explain_play(wrap_parallel(Stage(SCRIPT), loads(SPEC), detail=True))
    assert {name: (told.begins[name], len(report.steps)) for name, report in told.reports.items()} == {
        "scout": (0, 3),
        "pilot": (0, 1),
        "cook": (2, 1),
    }
    assert told.reports["scout"].totals == {"own": 4.0, "there": 1.0}
    assert [step.true for step in told.reports["scout"].steps] == [(), ("far",), ()]
    assert told.reports["pilot"].totals == {"theirs": 1.0} and told.paid == {
        "scout": 5.0,
        "pilot": 1.0,
        "cook": 2.0,
    }


def test_pages_stand_below_each_other_and_end_with_what_was_paid_in_all() -> None:
    told = explain_play(wrap_parallel(Stage(SCRIPT), loads(SPEC), detail=True))
    page = show_team(told)
    assert "=== scout ===" in page and "=== cook, by 'default', from step 2 on ===" in page
    assert page.splitlines()[-1].split() == ["cook", "+2"]
    alone = show_team(told, step=2)
    assert "=== pilot" not in alone and alone.count("===") == 4 and "agents.scout.reward" in alone
    with pytest.raises(MismatchError, match=r"'cok' played no step") as caught:
        show_team(told, agent="cok")
    assert caught.value.problems[0].code == "no-such-agent" and "'cook'" in str(caught.value)


def test_what_is_joint_stands_first_and_adds_up_to_what_was_paid() -> None:
    """Two buttons: an agent's own terms hold what it gets of the joint ones."""
    from rewardspec import load

    told = explain_team(load(TEAMS / "two_buttons.yaml"), seed=3)
    assert show_team(told).startswith("=== joint ===")
    assert {move.machine for step in told.reports["joint"].steps for move in step.moves} == {"task"}
    for agent, paid in told.paid.items():
        assert paid == pytest.approx(sum(told.reports[agent].totals.values()))


def test_an_environment_of_several_explains_a_spec_of_one_to_each() -> None:
    told = explain_team(loads("reward: 3 * reward"), "mpe2/simple_spread_v3", max_steps=2)
    assert list(told.reports) == ["agent_0", "agent_1", "agent_2"]
    assert all(len(report.steps) == 2 for report in told.reports.values())
    with pytest.raises(MismatchError, match="no environment was named"):
        explain_team(loads(SPEC))
