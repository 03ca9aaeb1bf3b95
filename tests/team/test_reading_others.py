"""Expressions over other agents: who is meant, how several values become one, and what an absent agent counts as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rewardspec
from rewardspec import MismatchError, SpecError, loads, wrap_parallel
from rewardspec.backends import oracle
from rewardspec.backends.array import compile_array
from rewardspec.ir import expr as ir
from rewardspec.team.resolve import bind_agent
from rewardspec.team.roster import Roster, assign
from rewardspec.transition import Transition
from tests.team.worlds import AGENTS, Stage, play

SCRIPT = [
    {"scout": {"x": 1, "r": 1, "fuel": 5}, "pilot": {"x": 3, "r": 2}, "cook": {"x": -2, "r": 4}},
    {"scout": {"x": 2, "r": 10}, "pilot": {"x": 5, "r": 20, "end": True}, "cook": {"x": 7, "r": 40}},
    {"scout": {"x": 4, "r": 100}, "cook": {"x": 6, "r": 400}},
]
"""The pilot leaves after two of three steps."""


def paid(expression: str, agent: str = "scout", more: str = "") -> list[float]:
    spec = loads(f"agents: {{scout: {{reward: '{expression}'{more}}}, default: {{reward: reward}}}}")
    return [rewards[agent] for rewards in play(wrap_parallel(Stage(SCRIPT), spec))]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("reward", [1, 10, 100]),
        ("agents.cook.reward", [4, 40, 400]),
        ("agents.pilot.reward", [2, 20, 0]),  # who is gone earns nothing
        ("agents.pilot.next_obs[0]", [3, 5, 5]),  # and shows what it saw last
        ("agents.pilot.present", [1, 1, 0]),
        ("agents.pilot.terminated", [0, 1, 1]),
        ("agents.cook.action", [1, 1, 1]),
        ("agents.scout.info.fuel", [5, 0, 0]),
        ("default(agents.cook.info.water, 9)", [9, 9, 9]),
        ("sum(team.reward)", [7, 70, 500]),
        ("sum(others.reward)", [6, 60, 400]),
        ("mean(others.reward)", [3, 30, 400]),  # of those that act
        ("min(others.next_obs[0])", [-2, 5, 6]),
        ("max(others.next_obs[0] - next_obs[0])", [2, 5, 2]),
        ("min(norm(others.next_obs[:1] - next_obs[:1]))", [2, 3, 2]),
        ("count(others.next_obs[0] > 3)", [0, 2, 1]),
        ("where(any(others.next_obs[0] > 6), 1, 0)", [0, 1, 0]),
        ("where(all(others.next_obs[0] > 4), 1, 0)", [0, 1, 1]),
        ('sum(agents["*o*"].reward)', [7, 70, 500]),
        ('max(agents["p*"].reward)', [2, 20, 0]),  # of nobody: 0
        ("sum(teammates.reward)", [6, 60, 400]),
        ("sum(opponents.reward)", [0, 0, 0]),
        ("mean(team.obs[0]) + mean(team.next_obs[0])", [2 / 3, (2 + 14) / 3, 9.5 / 1 - 0.0]),
    ],
)
def test_what_is_read(expression: str, expected: list[float]) -> None:
    if expression.startswith("mean(team.obs"):
        expected = [2 / 3, 2 / 3 + 14 / 3, 4.5 + 5]
    assert paid(expression) == pytest.approx(expected)


def test_team_and_opponents_go_by_the_names_of_teams() -> None:
    text = """
agents:
  scout: {team: air, reward: 'sum(team.reward) - sum(opponents.reward)'}
  pilot: {team: air, reward: 'sum(teammates.reward)'}
  default: {reward: 'sum(opponents.reward)'}
"""
    rewards = play(wrap_parallel(Stage(SCRIPT), loads(text)))
    assert rewards[0] == {"scout": 3 - 4, "pilot": 1, "cook": 3}
    assert rewards[2] == {"scout": 100 - 400, "cook": 100}


def test_potentials_read_others_before_and_after_the_step() -> None:
    text = "discount: 0.5\nagents: {scout: {reward: {potential: 'agents.cook.obs[0]'}}, default: {reward: 0}}"
    rewards = [r["scout"] for r in play(wrap_parallel(Stage(SCRIPT), loads(text)))]
    assert rewards == [0.5 * -2 - 0, 0.5 * 7 + 2, 0.5 * 6 - 7]


def test_labels_of_others() -> None:
    text = """
env: {labels: environment}
propositions: {mine: label.lit, theirs: agents.cook.label.lit}
agents: {scout: {reward: [{once: mine and not theirs}]}, default: {reward: 0}}
"""
    env = wrap_parallel(Stage(SCRIPT), loads(text))
    assert [r["scout"] for r in play(env)] == [1, 0, 0]


def test_a_spec_without_agents_is_the_same_for_all() -> None:
    rewards = play(wrap_parallel(Stage(SCRIPT), loads("reward: reward - mean(others.reward)")))
    assert rewards[0] == {"scout": 1 - 3, "pilot": 2 - 2.5, "cook": 4 - 1.5}


def resolved(expression: str) -> tuple[Any, Transition]:
    """Return the scout's program and the transition that the wrapper would give it, on the first step."""
    stage = Stage(SCRIPT)
    roster = Roster(AGENTS, stage.observation_spaces, stage.action_spaces, dict.fromkeys(AGENTS))
    layout = bind_agent(rewardspec.compile_spec(loads(f"reward: '{expression}'")), "scout", roster)
    stage.reset()
    before = {name: stage.seen(name, 0.0) for name in AGENTS}
    after, rewards, *_ = stage.step(dict.fromkeys(AGENTS, 1))
    table = {
        name: {"present": 1.0, "reward": rewards[name], "terminated": 0.0, "truncated": 0.0, "info": {}}
        for name in AGENTS
    }
    info = {"rewardspec/agents": table}
    return layout, Transition(before, dict.fromkeys(AGENTS, 1), after, 1.0, info=info)


@pytest.mark.parametrize(
    "expression", ["min(norm(others.next_obs[:1])) + mean(team.reward)", "sum(others.action)"]
)
def test_every_backend_reads_others(expression: str) -> None:
    """What is left after resolving are ordinary fields: the oracle, NumPy and torch pay what the wrapper pays."""
    layout, transition = resolved(expression)
    _, (outcome,) = oracle.step(layout.program, oracle.init(layout.program), [transition])
    assert outcome.reward == pytest.approx(paid(expression)[0])
    for library in ("numpy", "torch"):
        program = compile_array(layout, 1, library, dtype="float64")
        batch = Transition(
            *map(batched, (transition.obs, transition.action, transition.next_obs)), *OTHERS, transition.info
        )
        _, found = program.step(program.init(), batch)
        assert float(found.reward[0]) == pytest.approx(outcome.reward)


OTHERS = (np.ones(1), np.zeros(1, bool), np.zeros(1, bool))
"""Reward and ends of a batch of one."""


def batched(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: batched(part) for key, part in value.items()}
    return np.asarray(value)[None]


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("agents.pliot.reward", "no-such-agent"),
        ('sum(agents["x*"].reward)', "no-such-agent"),
        ("sum(team.reward - others.reward)", "mixed-agents"),
        ("sum(norm(others.next_obs[0]))", "not-a-vector"),
        ("agents.cook.next_obs[7]", "index-out-of-range"),
    ],
)
def test_refused_when_wrapping(expression: str, code: str) -> None:
    with pytest.raises(MismatchError, match=code):
        paid(expression)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("team.reward", "agents-not-reduced"),
        ("others.obs[0] + 1", "agents-not-reduced"),
        ("team.wages", "unknown-name"),
        ("team", "expression-syntax"),
        ("agents.cook", "expression-syntax"),
        ("team.info", "expression-syntax"),
        ("agents[0].reward", "expression-syntax"),
    ],
)
def test_refused_when_compiling(expression: str, code: str) -> None:
    with pytest.raises(SpecError, match=code):
        paid(expression)


def test_wrap_refuses_what_reads_others() -> None:
    import gymnasium

    with pytest.raises(MismatchError, match="needs-agents"):
        rewardspec.wrap(gymnasium.make("CartPole-v1"), loads("reward: sum(others.reward)"))


# -- whose entry -----------------------------------------------------------------------------------------------


def test_the_most_exact_entry_counts() -> None:
    from rewardspec.errors import Place

    entries = dict.fromkeys(("*", "red_*", "red_1", "default"), Place())
    agents = ["red_0", "red_1", "blue"]
    assert assign(entries, agents) == {"red_0": "red_*", "red_1": "red_1", "blue": "*"}


@pytest.mark.parametrize(
    ("agents", "code"),
    [
        ("{scot: {reward: 1}, default: {reward: 1}}", "no-such-agent"),
        ("{scout: {reward: 1}}", "agent-without-reward"),
        ("{'s*': {reward: 1}, '*t': {reward: 1}, default: {reward: 1}}", "agents-overlap"),
        ("{'s*': {reward: 1}, scout: {reward: 1}, default: {reward: 1}}", "no-such-agent"),
    ],
)
def test_entries_that_do_not_fit_the_environment(agents: str, code: str) -> None:
    with pytest.raises(MismatchError, match=code):
        wrap_parallel(Stage(SCRIPT), loads(f"agents: {agents}"))


def test_fields_of_others_are_written_as_they_are_read() -> None:
    from rewardspec.ir.show import show_expr
    from rewardspec.ir.text import parse_expression

    for text in (
        "team.obs[0]",
        'agents["red_*"].info.fuel',
        "teammates.next_obs.place[1]",
        "agents.cook.present",
    ):
        assert show_expr(parse_expression(text, {})) == text
    assert isinstance(parse_expression("others.action", {}), ir.Field)
