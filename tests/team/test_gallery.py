"""The gallery of specs for several agents: tests, linter, random play, and the exact solution of two buttons."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments.multiagent import fewest_steps
from envs.two_buttons import TwoButtons, TwoButtonsTogether
from rewardspec import load, loads, wrap_parallel
from rewardspec.analysis.check import check
from rewardspec.analysis.spec_tests import run_tests, show_result
from rewardspec.parallel_environments import make_parallel_environment

PATHS = sorted((Path(__file__).parents[2] / "examples" / "teams").glob("*.yaml"))
every_spec = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@every_spec
def test_it_passes_its_tests_and_the_linter(path: Path) -> None:
    spec = load(path)
    results = run_tests(spec)
    assert results
    for result in results:
        assert result.passed, "\n".join([result.name, *show_result(result)])
    grave = [problem.render() for problem in check(spec) if problem.severity != "info"]
    assert not grave, "\n".join(grave)
    assert loads(spec.to_yaml()) == spec


@every_spec
def test_random_play_is_paid_finitely_and_seen_in_its_space(path: Path) -> None:
    spec = load(path)
    assert spec.env is not None and spec.env.id is not None
    inner = make_parallel_environment(spec.env.id, **spec.env.kwargs)
    env = wrap_parallel(inner, spec)
    observations, _ = env.reset(seed=0)
    for i, agent in enumerate(env.agents):
        env.action_space(agent).seed(i)
    while env.agents:
        assert all(env.observation_space(agent).contains(seen) for agent, seen in observations.items())
        given = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        observations, rewards, infos = given[0], given[1], given[4]
        assert all(math.isfinite(reward) for reward in rewards.values())
    assert all("paid" in info["rewardspec"] for info in infos.values())


def test_both_forms_of_two_buttons_are_one_world() -> None:
    apart, together = TwoButtons(), TwoButtonsTogether()
    apart.reset(seed=0)
    together.reset(seed=0)
    together.action_space.seed(1)
    for _ in range(90):
        action = int(together.action_space.sample())
        moved = dict(zip(apart.agents, divmod(action, 5), strict=True))
        observations = apart.step(moved)[0]
        seen: Any = together.step(action)[0]
        assert seen.tolist() == observations["agent_0"].tolist() == apart.state().tolist()
        assert apart.labels() == together.labels()
        assert ("a" in apart.labels()) == ("button" in apart.labels("agent_0"))


def test_the_best_team_needs_nine_steps() -> None:
    """Five to the buttons, then four each towards the other."""
    assert fewest_steps() == 9


def test_what_is_to_be_seen_of_two_buttons() -> None:
    env = TwoButtons(render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "\n".join(
        [
            "┌─────────────┐",
            "│. A . # . . &│",
            "│. . . # . . .│",
            "│. . . . . . .│",
            "│. . . # . . .│",
            "│@ . . # . B .│",
            "└─────────────┘",
        ]
    )
    env.render_mode = "rgb_array"
    picture: Any = env.render()
    assert picture.shape == (186, 258, 3)


def test_what_pettingzoo_has_registered_is_made_from_a_specs_word() -> None:
    """As gymnasium's ids are: an installed package has registered it. A module's name is still refused."""
    from rewardspec import MismatchError, loads
    from rewardspec.parallel_environments import make_named_environment

    for name in ("classic/rps-v2", "classic/rps_v2"):
        made = make_named_environment(
            loads(f"env: {{id: {name}, kwargs: {{num_actions: 5}}}}\nreward: reward")
        )
        assert made.possible_agents == ["player_0", "player_1"] and made.action_space("player_0").n == 5
    with pytest.raises(MismatchError, match="no environment of several agents"):
        make_named_environment(loads("env: {id: pettingzoo.classic.rps_v2}\nreward: reward"))


def test_a_name_that_is_no_environment_is_told_what_there_is() -> None:
    from rewardspec import MismatchError

    with pytest.raises(MismatchError, match=r"Did you mean 'mpe2/simple_tag_v3'"):
        make_parallel_environment("mpe2/simple_tags_v3")
    with pytest.raises(MismatchError, match="no-environment"):
        make_parallel_environment("os", trusted=False)
    assert make_parallel_environment("envs.two_buttons:TwoButtons", trusted=True, steps=3).steps == 3
