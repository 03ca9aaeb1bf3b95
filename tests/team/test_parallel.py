"""The wrapper: who is paid when, how agents leave and join, what they see and what is told of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.test import parallel_api_test, parallel_seed_test

import rewardspec
from envs.two_buttons import TwoButtons
from rewardspec import MismatchError, SpecError, UnsupportedError, loads, wrap_parallel
from rewardspec.errors import NonFiniteRewardError, RewardSpecError
from tests.team.worlds import Stage, play

STEADY = [
    {"scout": {"x": t, "r": 1}, "pilot": {"x": -t, "r": 2}, "cook": {"x": 0, "r": 3}} for t in (1, 2, 3, 4)
]

TASK = """
env: {labels: environment}
propositions: [lit]
joint:
  reward:
    reward_machine:
      start: dark
      edges: [{from: dark, to: light, when: lit, reward: 5}]
      terminal: light
agents:
  default: {reward: reward}
"""


def buttons(**options: Any) -> Any:
    return wrap_parallel(TwoButtons(slip=0.5, steps=40), "examples/teams/two_buttons.yaml", **options)


def test_pettingzoos_own_tests_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(buttons(), 100)
    parallel_seed_test(buttons, 60)


def test_an_aec_environment_is_converted_and_the_wrapped_one_can_be_turned_into_one() -> None:
    from pettingzoo.test import api_test
    from pettingzoo.utils.conversions import parallel_to_aec

    env = wrap_parallel(parallel_to_aec(TwoButtons()), loads("reward: 1"))
    assert play(env, 4)[0] == {"agent_0": 1, "agent_1": 1}
    api_test(parallel_to_aec(buttons()), 20)


def test_an_aec_environment_of_turns_is_refused() -> None:
    from pettingzoo.utils.conversions import parallel_to_aec

    turns = parallel_to_aec(TwoButtons())
    turns.metadata = {**turns.metadata, "is_parallelizable": False}
    with pytest.raises(UnsupportedError, match="take turns"):
        wrap_parallel(turns, loads("reward: 1"))


# -- one program for each agent, one for all ----------------------------------------------------------------


def test_joint_terms_have_one_state_are_paid_to_all_and_end_it_for_all() -> None:
    """The team is lit once all three see more than 0, in the third step."""
    script = [{n: {"x": x, "r": 1} for n, x in zip(("scout", "pilot", "cook"), xs, strict=True)}
              for xs in ((1, 0, 0), (0, 2, 3), (1, 1, 1), (0, 0, 0))]  # fmt: skip
    env = wrap_parallel(Stage(script), loads(TASK), detail=True)
    env.reset()
    for _ in range(2):
        observations, rewards, terminations, *_ = env.step(dict.fromkeys(env.agents, 0))
        assert set(rewards.values()) == {1.0} and not any(terminations.values())
        assert observations["cook"].tolist()[2:] == [1, 0]
    observations, rewards, terminations, truncations, infos = env.step(dict.fromkeys(env.agents, 0))
    assert set(rewards.values()) == {6.0} and all(terminations.values()) and not any(truncations.values())
    assert env.agents == [] and env.joint_states == {"reward_machine": "light"}
    assert observations["cook"].tolist()[2:] == [0, 1]
    told = infos["pilot"]["rewardspec"]
    assert told["return"] == {"markov": 3.0, "joint": 5.0} and told["joint"] == {"reward_machine": 5.0}
    assert told["paid"] == 8.0 and told["task_return"] == 3.0 and told["of_joint"]["true"] == ["lit"]


def test_joint_terms_of_a_team_are_for_that_team() -> None:
    text = """
joint: {team: air, reward: {markov: 'sum(team.reward)'}}
agents:
  scout: {team: air}
  pilot: {team: air, reward: 10}
  cook: {team: ground, reward: reward}
"""
    assert play(wrap_parallel(Stage(STEADY), loads(text)))[0] == {"scout": 3, "pilot": 13, "cook": 3}


def test_agents_of_one_entry_run_one_program_each_with_its_own_state() -> None:
    env = wrap_parallel(Stage(STEADY), loads("propositions: {up: 'next_obs[0] > 1'}\nreward: {once: up}"))
    rewards = play(env)
    assert [r["scout"] for r in rewards] == [0, 1, 0, 0]
    assert [r["pilot"] for r in rewards] == [0, 0, 0, 0]
    assert len(env._compiled) == 1


# -- leaving and joining ------------------------------------------------------------------------------------


def test_an_agent_whose_spec_ends_leaves_and_idles_while_the_others_go_on() -> None:
    text = "agents: {scout: {reward: 1, end: [{when: 'next_obs[0] == 2', value: 7}]}, default: {reward: 1}}"
    env = wrap_parallel(Stage(STEADY), loads(text))
    env.reset()
    env.step(dict.fromkeys(env.agents, 2))
    _, rewards, terminations, truncations, infos = env.step(dict.fromkeys(env.agents, 2))
    assert rewards["scout"] == 8 and terminations == {"scout": True, "pilot": False, "cook": False}
    assert env.agents == ["pilot", "cook"] and infos["scout"]["rewardspec"]["return"] == {
        "markov": 2,
        "end": 7,
    }
    observations, *_, truncations, _ = env.step(dict.fromkeys(env.agents, 2))
    assert set(observations) == {"pilot", "cook"} and not any(truncations.values())
    assert env.env.taken[-1] == {"pilot": 2, "cook": 2, "scout": 0}


def test_an_agent_that_joins_begins_its_own_episode() -> None:
    script = [
        {"scout": {"x": 5}},
        {"scout": {"x": 5}, "pilot": {"x": 5}},
        {"scout": {"x": 5}, "pilot": {"x": 5}},
    ]
    env = wrap_parallel(Stage(script), loads("propositions: {far: 'next_obs[0] > 4'}\nreward: {once: far}"))
    env.reset()
    observations, rewards, terminations, *_ = env.step({"scout": 0})
    assert env.agents == ["scout", "pilot"] and rewards == {"scout": 1, "pilot": 0}
    assert observations["pilot"].tolist() == [0, 5, 0] and not any(terminations.values())
    assert [env.step(dict.fromkeys(env.agents, 0))[1] for _ in range(2)] == [
        {"scout": 0, "pilot": 1},
        {"scout": 0, "pilot": 0},
    ]


def test_what_the_environment_ends_is_passed_on_and_never_merged() -> None:
    script = [
        {"scout": {"end": True}, "pilot": {"cut": True}, "cook": {"end": True, "cut": True}},
    ]
    env = wrap_parallel(Stage(script), loads("discount: 0.9\nreward: {potential: 'obs[0] + 1'}"))
    env.reset()
    _, rewards, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
    assert terminations == {"scout": True, "pilot": False, "cook": True}
    assert truncations == {"scout": False, "pilot": True, "cook": True}
    assert rewards == pytest.approx(
        {"scout": -1, "pilot": -0.1, "cook": -1}
    )  # 0 at terminated, kept at truncated
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_a_new_episode_begins_everything_anew() -> None:
    env = buttons()
    first = [env.reset(seed=3), *(env.step(dict.fromkeys(env.agents, t % 5)) for t in range(9))]
    again = [env.reset(seed=3), *(env.step(dict.fromkeys(env.agents, t % 5)) for t in range(9))]
    assert repr(first) == repr(again)


# -- what is told -------------------------------------------------------------------------------------------


def test_without_detail_only_the_last_step_tells() -> None:
    env = wrap_parallel(Stage(STEADY), loads("reward: reward"))
    env.reset()
    infos = [env.step(dict.fromkeys(env.agents, 0))[4] for _ in STEADY]
    assert ["rewardspec" in info["scout"] for info in infos] == [False, False, False, True]
    assert infos[-1]["scout"]["return/markov"] == 4


def test_detail_tells_every_step() -> None:
    env = wrap_parallel(
        Stage(STEADY), loads("propositions: {up: 'next_obs[0] > 1'}\nreward: {once: up}"), detail=True
    )
    _, infos = env.reset()
    assert infos["scout"]["rewardspec"]["state"] == {}
    env.step(dict.fromkeys(env.agents, 0))
    told = env.step(dict.fromkeys(env.agents, 0))[4]["scout"]["rewardspec"]
    assert told["terms"] == {"once": 1.0} and told["true"] == ["up"]


def test_spaces_hold_the_memory_and_stay_the_same_objects() -> None:
    env = buttons()
    space = env.observation_space("agent_1")
    assert (
        isinstance(space, spaces.Box)
        and space.shape == (4 + 1 + 5,)
        and env.observation_space("agent_1") is space
    )
    observations, _ = env.reset(seed=0)
    assert space.contains(observations["agent_1"])
    assert buttons(observe="none").observation_space("agent_0").shape == (4,)


def test_parameters_change_for_one_or_for_all() -> None:
    env = wrap_parallel(Stage(STEADY), loads("reward: {markov: 1, weight: 2}"))
    env.set_param("markov.weight", 3.0, "scout")
    assert play(env)[0] == {"scout": 3, "pilot": 2, "cook": 2}
    env.set_param("markov.weight", 0.0)
    assert set(play(env)[0].values()) == {0}
    with pytest.raises(UnsupportedError, match="unknown-param"):
        env.set_param("markov.wieght", 1.0)


def test_a_labelling_function_of_ones_own_is_asked_for_each_agent_and_for_the_team() -> None:
    asked: list[str | None] = []

    def label(env: Any, agent: str | None, step: Any) -> list[str]:
        asked.append(agent)
        seen = step.next_obs if agent is None else {agent: step.next_obs}
        return ["lit"] if all(x[0] > 0 for x in seen.values()) else []

    agents = "{scout: {reward: {once: lit}}, default: {reward: 0}}"
    text = f"propositions: [lit]\njoint: {{reward: {{once: lit}}}}\nagents: {agents}"
    script = [
        {n: {"x": x} for n, x in zip(("scout", "pilot", "cook"), xs, strict=True)}
        for xs in ((1, 0, 0), (1, 1, 1))
    ]
    rewards = play(wrap_parallel(Stage(script), loads(text), label=label))
    assert rewards == [{"scout": 1, "pilot": 0, "cook": 0}, {"scout": 1, "pilot": 1, "cook": 1}]
    assert asked == ["scout", None] * 2


# -- what is refused ----------------------------------------------------------------------------------------


def test_a_reward_that_is_not_finite_never_leaves() -> None:
    env = wrap_parallel(
        Stage(STEADY), loads("agents: {scout: {reward: '1 / (next_obs[0] - 2)'}, default: {reward: 0}}")
    )
    env.reset()
    env.step(dict.fromkeys(env.agents, 0))
    with pytest.raises(NonFiniteRewardError, match=r"agents\.scout\.reward.*step 1"):
        env.step(dict.fromkeys(env.agents, 0))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("reward: {heron: {factors: [{name: high, value: reward}]}}", "needs-learner"),
        ("reward: {gate: reward, when: terminated, known: end, timing: relabel}", "needs-whole-episodes"),
    ],
)
def test_what_cannot_be_paid_step_by_step_is_refused(text: str, code: str) -> None:
    with pytest.raises(UnsupportedError, match=code):
        wrap_parallel(Stage(STEADY), loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "reward: {heron: {factors: [{name: high, value: reward}]}}",
        "agents: {default: {reward: {heron: {factors: [{name: high, value: reward}]}}}}",
        "joint: {reward: {heron: {factors: [{name: high, value: min(team.reward)}]}}}",
    ],
    ids=["one for each", "an agent's", "joint"],
)
def test_where_rewards_are_learned_is_said_where_they_are_not(text: str) -> None:
    with pytest.raises(RewardSpecError, match="nothing here learns beside several agents") as caught:
        wrap_parallel(Stage(STEADY), loads(text))
    assert "every term says what it pays" in str(caught.value)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (Stage, "Stage is a class of environments, and not one of them"),
        ("mpe2/simple_spread_v3", r"Make it first, as in simple_spread_v3.parallel_env\(\)"),
        (3, "a int is no PettingZoo environment"),
    ],
)
def test_what_is_no_game_is_refused_with_what_would_be_one(env: Any, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said) as caught:
        wrap_parallel(env, loads("reward: reward"))
    assert caught.value.problems[0].code == "not-an-environment"


def test_a_vector_makes_its_games_itself() -> None:
    pytest.importorskip("stable_baselines3")
    from rewardspec import make_parallel_vec

    with pytest.raises(UnsupportedError, match=r"a Stage is one already \[not-an-environment\]"):
        make_parallel_vec(Stage(STEADY), loads("reward: reward"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["wrap", "make_vec", "wrap_vector", "relabel"])
def test_hosts_of_one_agent_refuse_a_spec_for_several(name: str) -> None:
    import gymnasium

    spec = loads("agents: {default: {reward: reward}}")
    env: Any = {
        "wrap": lambda: gymnasium.make("CartPole-v1"),
        "make_vec": lambda: "CartPole-v1",
        "wrap_vector": lambda: gymnasium.make_vec("CartPole-v1", 2),
        "relabel": lambda: {"obs": np.zeros((2, 1))},
    }[name]()
    with pytest.raises(SpecError, match="several-agents"):
        getattr(rewardspec, name)(env, spec)


def test_environments_of_the_other_sort_are_refused_with_the_way_out() -> None:
    import gymnasium

    with pytest.raises(UnsupportedError, match=r"rewardspec\.wrap` takes gymnasium's"):
        wrap_parallel(gymnasium.make("CartPole-v1"), loads("reward: 1"))
    with pytest.raises(UnsupportedError, match="`wrap_parallel` goes over those"):
        rewardspec.wrap(TwoButtons(), loads("reward: 1"))  # type: ignore[arg-type]


def test_missing_labels_are_told_when_wrapping() -> None:
    text = "propositions: [lit]\nreward: {once: lit}"
    with pytest.raises(MismatchError, match="missing-label-function"):
        wrap_parallel(Stage(STEADY), loads(text))
    with pytest.raises(UnsupportedError, match="parallel-labeller"):
        wrap_parallel(
            Stage(STEADY),
            loads(f"env: {{labels: minigrid}}\n{text.replace('[lit]', '{lit: label.carrying_key}')}"),
        )
    with pytest.raises(MismatchError, match="unknown-label"):
        wrap_parallel(Stage(STEADY), loads(f"env: {{labels: environment}}\n{text.replace('lit', 'light')}"))
