"""Random episodes against a spec: findings trip on their example and not on its fix; ranges are as paid."""

from __future__ import annotations

import gymnasium as gym
import pytest

from rewardspec.analysis.probe import check_env, with_measurements
from rewardspec.analysis.subject import inspect
from rewardspec.codes.lints import ENVIRONMENT
from rewardspec.compiler import term_names
from rewardspec.errors import MismatchError
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap


@pytest.mark.parametrize("code", ENVIRONMENT)
def test_example_trips_its_code_and_fix_does_not(code: str) -> None:
    page = ENVIRONMENT[code]
    found = [
        problem for problem in check_env(loads(page.example), episodes=4).findings if problem.code == code
    ]
    assert [problem.severity for problem in found] == [page.severity]
    assert found[0].place.line
    assert code not in {problem.code for problem in check_env(loads(page.fix), episodes=4).findings}


def test_ranges_and_returns_are_those_that_the_wrapper_pays() -> None:
    spec = loads("reward:\n  - markov: 1 - abs(next_obs[0])\n  - markov: -0.5\n    name: cost\n")
    report = check_env(spec, "CartPole-v1", episodes=3, seed=5)
    totals = []
    for episode in range(3):
        env = wrap(gym.make("CartPole-v1"), spec)
        env.reset(seed=5 + episode)
        env.action_space.seed(5 + episode)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        totals.append(total)
    paid = [a + b for a, b in zip(report.terms["markov"].returns, report.terms["cost"].returns, strict=True)]
    assert paid == pytest.approx(totals)
    assert (report.terms["cost"].low, report.terms["cost"].high) == (-0.5, -0.5)
    assert sum(report.lengths) == -2 * sum(report.terms["cost"].returns)
    assert set(report.terms) == {"markov", "cost"}


def test_measuring_leaves_the_names_of_terms_alone() -> None:
    spec = loads("reward: [1, 2]\nend: [{when: next_obs > 3, value: 1}]")
    assert term_names(with_measurements(inspect(spec)))[:2] == term_names(spec)


def test_a_dwarfed_term_is_seen_in_what_was_paid() -> None:
    spec = loads(
        "reward:\n  - markov: abs(next_obs[0])\n  - markov: 0.00001 * abs(next_obs[0])\n    name: tiny\n"
    )
    found = [
        problem
        for problem in check_env(spec, "CartPole-v1", episodes=2).findings
        if problem.code == "dwarfed-term"
    ]
    assert len(found) == 1 and "'tiny'" in found[0].message


def test_a_reward_that_is_not_finite_is_a_finding_with_the_rest_of_the_report() -> None:
    spec = loads("reward: log(next_obs[0])")
    report = check_env(spec, "CartPole-v1", episodes=2)
    assert "error" in {problem.severity for problem in report.findings}


def test_an_environment_that_cannot_be_made_is_said() -> None:
    with pytest.raises(MismatchError, match="there is no environment"):
        check_env(loads("reward: 1"), "NoSuchEnv-v0")
    with pytest.raises(MismatchError, match="no environment was named"):
        check_env(loads("reward: 1"))


def test_of_a_learned_term_the_factors_are_measured_and_the_known_terms_paid() -> None:
    """Nobody has learned what `clip` holds, so it is left out; the second `clip` keeps its name."""
    spec = loads(
        "reward:\n"
        "- clip: {heron: [{name: upright, value: '-abs(next_obs[2])'}, {name: far, value: 'next_obs[0] > 100'}]}\n"
        "  low: -1\n"
        "- clip: {markov: reward}\n"
        "  low: -1\n"
    )
    report = check_env(spec, "CartPole-v1", episodes=2)
    assert set(report.terms) == {"clip_2"}
    (finding,) = (problem for problem in report.findings if problem.code == "factor-never-changed")
    assert "the factor 'far' was 0 on all" in finding.message
    assert finding.place.path == "reward[0].clip.heron[1]"


def test_a_factor_that_the_environment_lacks_is_told_of() -> None:
    spec = loads("reward: {heron: [{name: upright, value: 'next_obs[9]'}]}")
    with pytest.raises(MismatchError, match=r"next_obs\[9\]"):
        check_env(spec, "CartPole-v1", episodes=1)


def test_terms_that_a_judge_tells_are_not_measured() -> None:
    """Random play asks no model, so nothing is said of what only a judge can say."""
    text = "discount: 0.9\nreward: [{markov: 1, name: one}, {subgoals: {subgoals: [tip over], %s}}]"
    for form in ("bonus: 1", "shaping: potential"):
        report = check_env(loads(text % form), "CartPole-v1", episodes=1)
        assert set(report.terms) == {"one"}
        assert not [problem for problem in report.findings if "subgoals" in problem.message]
