"""Signs that a team farms its rewards: program by program under scripted policies, and after a short training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from envs.two_buttons import TwoButtons
from rewardspec import loads, wrap_parallel
from rewardspec.analysis.farming import Played
from rewardspec.cli import app
from rewardspec.errors import Problem
from rewardspec.spec.model import Spec
from rewardspec.training.team_farming import TeamPlayed, find_team_farming, sample_team

pytest.importorskip("stable_baselines3")

UP, RIGHT, DOWN, LEFT, STAY = range(5)

ON_BUTTONS = {"agent_0": [RIGHT, *[UP] * 4], "agent_1": [LEFT, *[DOWN] * 4]}
"""Everyone goes to its button and stays there."""

HEAD = """\
discount: 0.9
env: {id: rewardspec/TwoButtons-v0, labels: environment}
propositions: [a, b, meet, button]
"""


def played(text: str, ways: dict[str, list[int]], then: int = STAY) -> tuple[Spec, TeamPlayed]:
    """Let a team go its ways in the two rooms, and then do the same for ever."""
    spec = loads(text, "team.yaml")
    env = wrap_parallel(TwoButtons(), spec, detail=True)
    done: dict[str, int] = {}

    def act(name: str, seen: Any) -> int:
        if seen[:4].tolist() in ([0, 0, 6, 4], [6, 4, 0, 0]):
            done[name] = 0
        done[name] += 1
        return [*ways[name], *[then] * 200][done[name] - 1]

    return spec, sample_team(env, act, trained=5_000, seed=0)


def warnings(text: str, ways: dict[str, list[int]], then: int = STAY) -> list[Problem]:
    return find_team_farming(*played(text, ways, then))


def test_an_agents_own_loop_is_told_with_the_line_that_pays_for_it() -> None:
    text = f"{HEAD}agents:\n  agent_0:\n    reward:\n      - {{markov: 1 if button else 0, name: on it}}\n"
    found = warnings(f"{text}  default: {{reward: {{once: button}}}}\n", ON_BUTTONS)
    assert [problem.code for problem in found] == ["farmed-loop"]
    assert found[0].message.startswith(
        "'agent_0' goes round in a loop that pays +1 a round, 95 rounds an episode"
    )
    assert (found[0].place.file, found[0].place.line) == ("team.yaml", 7)
    assert "'on it'" in found[0].hints[1]


def test_what_the_joint_terms_pay_is_the_teams_doing() -> None:
    """The team goes round the joint machine, by a label of two agents; no agent has a term that could be farmed."""
    text = f"""{HEAD}joint:
  reward:
    reward_machine:
      start: apart
      edges:
        - {{from: apart, to: there, when: a and b, reward: 1}}
        - {{from: there, to: apart, when: a and b}}
agents:
  agent_*: {{reward: {{once: button, value: 0.25}}}}
"""
    found = warnings(text, ON_BUTTONS)
    assert [problem.code for problem in found] == ["farmed-loop"]
    assert found[0].message.startswith("the team goes round in a loop that pays +1 a round")
    assert "apart -> there -> apart" in found[0].hints[0]
    assert found[0].place.line == 9


def test_most_of_all_that_an_agent_is_paid_is_meant_not_most_of_its_own_terms() -> None:
    """Standing there is all that the agent's own term pays, and a hundredth of what it gets."""
    joint = "joint: {reward: {once: a and b, value: 1000}}\n"
    text = f"{HEAD}{joint}agents: {{'agent_*': {{reward: '0.1 if button else 0'}}}}\n"
    assert not warnings(text, ON_BUTTONS)
    assert [problem.code for problem in warnings(text.replace("1000", "0.1"), ON_BUTTONS)] == ["farmed-loop"]


def test_a_joint_goal_that_pays_nothing_beside_an_agents_own_term_is_told() -> None:
    joint = "joint: {reward: {once: meet, value: 10, name: met}}\n"
    text = f"{HEAD}{joint}agents: {{'agent_*': {{reward: {{once: button, name: pressed}}}}}}\n"
    found = warnings(text, ON_BUTTONS)
    assert [problem.code for problem in found] == ["concentrated-reward"]
    assert (
        "of what each of 'agent_*' earns is earned by 'pressed', and nothing by 'joint/met'"
        in found[0].message
    )


def test_without_agents_the_one_spec_holds_for_each() -> None:
    found = warnings(f"{HEAD}reward: '1 if button else 0'\n", ON_BUTTONS)
    assert [problem.code for problem in found] == ["farmed-loop"]
    assert found[0].message.startswith("each agent goes round in a loop")


def test_a_team_that_succeeds_is_not_suspected() -> None:
    spec, sample = played(f"{HEAD}reward: '1 if button else 0'\n", ON_BUTTONS)
    (episodes,) = sample.agents.values()
    assert (
        len(episodes) == 2 * sample.episodes and sample.steps == sum(len(one.steps) for one in episodes) / 2
    )
    done = [Played(one.world, one.steps, one.memory, True) for one in episodes]
    assert not find_team_farming(spec, TeamPlayed({"*": done}))


CORNER = "(next_obs[0] == 0 and next_obs[1] == 0) or (next_obs[0] == 6 and next_obs[1] == 4)"


@pytest.mark.parametrize(
    ("reward", "is_told"), [(f"1 if {CORNER} else 0", True), ("0.1 * (next_obs[0] - obs[0])", False)]
)
def test_a_training_that_ends_in_farming_says_so(tmp_path: Path, reward: str, is_told: bool) -> None:
    """The first are paid for staying in the corner in which they begin; the others cannot gain by going round."""
    spec, run = tmp_path / "corner.yaml", tmp_path / "run"
    spec.write_text(f"{HEAD}agents:\n  default:\n    reward:\n      - markov: {reward}\n")
    small = ["--set", "n_steps=64", "--set", "learning_rate=0.01", "--n-envs", "4", "--steps", "3072", "-q"]
    result = CliRunner().invoke(app, ["train", str(spec), "--out", str(run), *small])
    assert result.exit_code == 0, result.output
    told = json.loads((run / "warnings.json").read_text())
    assert told["episodes"] >= 2 and told["steps"] == 200
    assert ("farmed-loop" in [warning["code"] for warning in told["warnings"]]) == is_told
    assert ("corner.yaml:7" in result.stderr) == is_told and f"rewardspec watch {run}" in result.stderr
    explained = CliRunner().invoke(app, ["explain", str(run)])
    assert explained.exit_code == 0
    assert ("'default' goes round" if is_told else "no sign of farming in 2 episodes") in explained.stdout
    (run / "warnings.json").unlink()
    (run / "model.zip").unlink()
    assert "the run is not over; go on with it" in CliRunner().invoke(app, ["explain", str(run)]).stdout
