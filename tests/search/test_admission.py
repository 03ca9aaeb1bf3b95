"""What may be proposed: a reward in the given task, that runs; everything else is refused with a reason."""

from __future__ import annotations

import gymnasium as gym
import pytest

from rewardspec import loads
from rewardspec.errors import UnsupportedError
from rewardspec.search.admission import Proposal, RefusedError, admit, player, refuse_base

BASE = loads("""
name: balance
discount: 0.99
env: {id: CartPole-v1, horizon: 500}
signals: {angle: 'next_obs[2]'}
propositions: {upright: abs(angle) < 0.1}
reward: {markov: -abs(angle), name: tilt}
tests:
  - {name: upright, transitions: [{next_obs: [0, 0, 0, 0]}], return: 0}
""")
ENDING = loads(
    "env: CartPole-v1\npropositions: {out: 'abs(next_obs[0]) > 1'}\nend: [{when: out}]\nreward: reward"
)


def propose(content: object, base: object = BASE) -> object:
    return admit(Proposal(content, "test"), base)[0]  # type: ignore[arg-type]


def test_a_reward_alone_is_put_into_the_task() -> None:
    spec = propose("Sure!\n```yaml\nname: mine\nreward: {markov: 'where(upright, 1, 0)', name: up}\n```")
    assert spec.env == BASE.env and spec.discount == 0.99 and spec.name == "balance"  # type: ignore[attr-defined]
    assert not spec.tests and spec.reward[0].name == "up"  # type: ignore[attr-defined]


def test_the_objective_is_the_tasks() -> None:
    base = loads("env: Pendulum-v1\nobjective: {kind: regularised, weight: 0.3}\nreward: reward")
    assert propose("reward: 1", base).objective == base.objective  # type: ignore[attr-defined]


def test_what_it_says_of_the_task_may_be_the_same() -> None:
    data = BASE.to_data()
    data["reward"] = [{"markov": "upright", "name": "up"}]
    assert propose(data).reward[0].name == "up"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content, reason",
    [
        ("reward: 1\nenv: os:system", "'env' is the task's"),
        ("reward: 1\nenv: {id: CartPole-v1, horizon: 5}", "'env' is the task's"),
        ("reward: 1\ndiscount: 0.5", "'discount' is the task's"),
        ("reward: 1\nobjective: limit_average", "'objective' is the task's"),
        ("reward: 1\nend: [{when: upright}]", "'end' is the task's"),
        ("reward: {preferences: {labels: {file: ../../answers.jsonl}}}", "learned or judged"),
        ("reward: {subgoals: {task: x, subgoals: [y], judge: {llm: default}}}", "learned or judged"),
        ("reward: nonsense[", "expression-syntax"),
        ("reward: __import__('os').system('true')", "unknown-function"),
        ("reward: &a [*a]", "recursive-alias"),
        ("reward: !!python/object/apply:os.system [true]", "yaml-tag"),
        ("I am sorry, I cannot do that.", ""),
        ("", "it is empty"),
        ("```yaml\n```", "it is empty"),
        ("x" * 70_000, "60000 are read"),
        ("reward: " + "(" * 5000 + "1" + ")" * 5000, ""),
        ({"reward": [{"markov": "mass"}]}, "unknown-name"),
        ({"reward": []}, ""),
    ],
)
def test_what_is_refused(content: object, reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        propose(content)
    assert reason in str(refused.value) and 0 < len(str(refused.value)) <= 700


def test_a_reason_shows_the_place() -> None:
    with pytest.raises(RefusedError, match=r"proposal:3:\d+: reward\[0\]\.markov: unknown name 'angel'"):
        propose("reward:\n  - name: up\n    markov: -abs(angel)\n")


def test_what_ends_an_episode_stays_as_it_is() -> None:
    with pytest.raises(RefusedError, match="'out' is among the propositions of the task"):
        propose("propositions: {out: 'true'}\nreward: 1 - abs(next_obs[2])", ENDING)
    kept = propose("propositions: {near: 'abs(next_obs[0]) < 1'}\nreward: {markov: near}", ENDING)
    assert kept.end == ENDING.end and set(kept.propositions) == {"out", "near"}  # type: ignore[attr-defined]
    changed = propose("propositions: {upright: abs(angle) < 0.2}\nreward: {markov: upright}")
    assert changed.propositions["upright"] == "abs(angle) < 0.2", "no end reads it"  # type: ignore[attr-defined]


def test_what_the_environment_lacks_and_what_is_not_finite_is_found_by_playing() -> None:
    trial = player(gym.make("CartPole-v1"))
    for text in ("next_obs[9]", "obs.__class__", "1 / (next_obs[0] - next_obs[0])", "10 ** 10 ** 10 ** 10"):
        with pytest.raises(RefusedError, match=r"\[[a-z-]+\]"):
            admit(Proposal(f"reward: {text}", "test"), BASE, trial)
    assert admit(Proposal("reward: next_obs[3]", "test"), BASE, trial)


@pytest.mark.parametrize(
    "text",
    [
        "reward: {preferences: {labels: {file: a.jsonl}}}",
        "agents: {default: {reward: 1}}",
    ],
)
def test_what_cannot_be_searched_from(text: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        refuse_base(loads(text))
    assert refused.value.problems[0].code == "unfit-search"
