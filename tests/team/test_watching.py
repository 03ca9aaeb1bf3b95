"""Pages of runs of several agents: everybody acts, and one of them, or what is joint, is told of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envs import two_buttons
from rewardspec.errors import MismatchError, UnsupportedError
from rewardspec.report.team_recording import record_team
from rewardspec.report.watch import watch
from rewardspec.training.folder import RunFolder
from rewardspec.training.team_loop import train_team

TEAMS = Path(__file__).parents[2] / "examples" / "teams"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two agents that have learned next to nothing."""
    small = {"n_steps": 8, "n_epochs": 1, "batch_size": 8}
    place = tmp_path_factory.mktemp("team") / "run"
    return train_team(TEAMS / "two_buttons.yaml", place, steps=16, n_envs=2, agent=small, show=False)


def test_an_episode_is_told_as_one_agent_is_paid_for_it(run: RunFolder) -> None:
    episode, number, chosen = record_team(run, seed=4)
    assert (number, chosen) == (1, "agent_0")
    assert {term.name for term in episode.program.terms} == {"pressed", "joint"}
    assert 2 <= len(episode.steps) <= 101 and episode.steps[0].action == ""
    assert len(episode.steps) == len(episode.pictures) and episode.pictures[0] is not None
    again, _, _ = record_team(run, "agent_0", seed=4)
    assert [step.action for step in again.steps] == [step.action for step in episode.steps]
    other, _, _ = record_team(run, "agent_1", seed=4)
    assert [step.action for step in other.steps] != [step.action for step in episode.steps]


def test_what_is_joint_has_the_actions_of_all(run: RunFolder) -> None:
    episode, _, _ = record_team(run, "joint", seed=4)
    alone, _, _ = record_team(run, "agent_1", seed=4)
    assert [machine.name for machine in episode.program.machines] == ["task"]
    assert [step.action.split(", ")[1] for step in episode.steps[1:]] == [s.action for s in alone.steps[1:]]


def test_the_page_says_whose_rewards_it_tells(run: RunFolder, tmp_path: Path) -> None:
    page = watch(run.path, tmp_path / "page.html", agent="agent_1").read_text()
    assert "as agent_1 is paid" in page and "PPO, one policy for all" in page and "data:image/png" in page


def test_a_game_that_draws_nothing_can_be_watched(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes any render mode without a word, as many do, and has no pictures."""

    def render(self: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(two_buttons.TwoButtons, "metadata", {"name": "two_buttons_v0", "render_modes": []})
    monkeypatch.setattr(two_buttons, "check_mode", lambda mode, modes: None)
    monkeypatch.setattr(two_buttons.TwoButtons, "render", render)
    page = watch(run.path, tmp_path / "page.html").read_text()
    assert "data:image/png" not in page


def test_who_is_not_there_cannot_be_watched(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="nobody is called 'agent_7'") as caught:
        watch(run.path, tmp_path / "page.html", agent="agent_7")
    assert caught.value.problems[0].code == "no-such-agent"
    lone = RunFolder(tmp_path / "lone")
    lone.create("reward: 1", {"settings": {"algo": "ppo"}, "digest": "", "versions": {}})
    with pytest.raises(UnsupportedError, match="is of one agent"):
        watch(lone.path, agent="agent_0")
    assert json.loads(lone.facts.read_text())["settings"] == {"algo": "ppo"}
