"""Signs of a farmed reward: each with a spec that shows it under a scripted policy, and one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import envs  # noqa: F401 (registers the worlds)
from rewardspec.analysis.farming import Played, Taken, find_farming, find_rising
from rewardspec.errors import Problem
from rewardspec.spec.model import Spec
from rewardspec.training.environments import make_env
from rewardspec.training.farming import sample
from rewardspec.vocabulary import loads

pytest.importorskip("stable_baselines3")

UP, RIGHT, DOWN, LEFT = range(4)


class Script:
    """An agent that takes the same actions again and again."""

    def __init__(self, actions: list[int]) -> None:
        self.actions, self.at = actions, -1

    def predict(self, obs: Any, deterministic: bool) -> tuple[int, None]:
        self.at += 1
        return self.actions[self.at % len(self.actions)], None


def played(text: str, actions: list[int], env_id: str, **kwargs: Any) -> tuple[Spec, list[Played]]:
    spec = loads(text, "garden.yaml")
    env = make_env(spec, env_id, kwargs, detail=True)
    model: Any = Script(actions)
    return spec, sample(model, env, trained=5_000, seed=0, chance=False)


def warnings(text: str, actions: list[int], env_id: str, **kwargs: Any) -> list[Problem]:
    return find_farming(*played(text, actions, env_id, **kwargs))


# -- loops -------------------------------------------------------------------------------------------------------------

TOMATO = """\
name: garden
discount: 0.99
env: {labels: environment}
propositions:
  on_bucket: label.on_bucket
reward:
  - {markov: 0.001, name: alive}
  - markov: 0.22 if on_bucket else reward
    name: seen
"""

TO_THE_BUCKET = [RIGHT, UP, RIGHT, UP, RIGHT] + [RIGHT] * 95
"""The bucket of level 2 stands at the end of a corridor: a move against the wall stays on it."""


def test_standing_on_the_bucket_is_told_with_the_line_that_pays_for_it() -> None:
    spec, episodes = played(TOMATO, TO_THE_BUCKET, "rewardspec/TomatoWorld-v0")
    found = find_farming(spec, episodes)
    assert [problem.code for problem in found] == ["farmed-loop"]
    assert found[0].place.file == "garden.yaml"
    assert found[0].place.line == TOMATO.split("\n").index("  - markov: 0.22 if on_bucket else reward") + 1
    assert "pays +0.221 a round" in found[0].message
    assert "it stays where it is" in found[0].hints[0]
    assert "'seen'" in found[0].hints[1]


def test_what_is_paid_once_is_no_loop() -> None:
    text = TOMATO.replace("markov: 0.22 if on_bucket else reward", "once: on_bucket").replace("0.001", "0")
    assert not warnings(text, TO_THE_BUCKET, "rewardspec/TomatoWorld-v0")


MACHINE = """\
name: ferry
discount: 0.9
propositions: {left: next_obs == 0, right: next_obs == 1}
reward:
  reward_machine:
    start: empty
    edges:
      - {from: empty, to: loaded, when: right, reward: 1}
      - {from: loaded, to: empty, when: left, reward: REWARD}
"""


def test_a_machines_loop_is_traced_to_its_edges() -> None:
    """The way through the world is another each time, and still it is the machine that goes round."""
    wander = [2, 2, 0, 2, 0, 0, 2, 0]  # FrozenLake: 0 left, 1 down, 2 right
    found = warnings(MACHINE.replace("REWARD", "0"), wander, "FrozenLake-v1", is_slippery=False)
    assert [problem.code for problem in found] == ["farmed-loop"]
    assert found[0].place.path == "reward.reward_machine.edges[0]"
    assert found[0].place.line == 8
    assert "empty -> loaded -> empty" in found[0].hints[0]
    both = warnings(MACHINE.replace("REWARD", "0.5"), wander, "FrozenLake-v1", is_slippery=False)
    assert "on the edges in lines 8, 9" in both[0].hints[1]


def test_a_loop_that_takes_back_what_it_paid_is_none() -> None:
    wander = [2, 2, 0, 2, 0, 0, 2, 0]
    assert not warnings(MACHINE.replace("REWARD", "-1"), wander, "FrozenLake-v1", is_slippery=False)


def test_potentials_do_not_count() -> None:
    """Far from the goal, standing still is paid (1 - discount) * distance a step: no gain, and no loop."""
    text = "name: near\ndiscount: 0.9\nreward: {potential: -(15 - obs)}"
    spec, episodes = played(text, [0], "FrozenLake-v1", is_slippery=False)
    assert sum(sum(step.paid.values()) for step in episodes[0].steps) > 100
    assert not find_farming(spec, episodes)


def test_an_agent_that_succeeds_is_not_suspected() -> None:
    spec, episodes = played(TOMATO, TO_THE_BUCKET, "rewardspec/TomatoWorld-v0")
    succeeded = [Played(one.world, one.steps, one.memory, True) for one in episodes]
    assert not find_farming(spec, succeeded)


# -- repeated situations -----------------------------------------------------------------------------------------------

COUNTED = """\
name: visits
discount: 0.9
propositions: {there: next_obs == 1}
reward:
  reward_machine:
    start: idle
    counters: {visits: 0}
    edges:
      - {from: idle, when: there, reward: 1 + visits, count: {visits: visits + 1}}
      - {from: idle, when: not there, reward: -PRICE}
"""


def test_coming_back_is_told_where_a_counter_makes_each_visit_another() -> None:
    """No situation with its memory comes back, so there is no loop of the whole; the place does."""
    spec, episodes = played(COUNTED.replace("PRICE", "4"), [2, 0], "FrozenLake-v1", is_slippery=False)
    alone = [
        Played(e.world, [Taken(s.world, s.memory, s.paid, {}, s.true) for s in e.steps]) for e in episodes
    ]
    found = find_farming(spec, alone)
    assert [problem.code for problem in found] == ["farmed-state"]
    assert "50 times an episode" in found[0].hints[0] or "49 times an episode" in found[0].hints[0]


def test_coming_back_that_costs_as_much_is_not_told() -> None:
    text = "name: pit\ndiscount: 0.9\nreward: {markov: next_obs - obs}"
    assert not warnings(text, [2, 0], "FrozenLake-v1", is_slippery=False)


# -- one term alone ----------------------------------------------------------------------------------------------------

GOAL = """\
name: goal
discount: 0.9
env: {id: FrozenLake-v1}
reward:
  - markov: 0.1 if next_obs > obs else 0
    name: forward
  - markov: 1 if next_obs == 15 else 0
    name: goal
  - markov: -0.01
    name: effort
"""


def test_a_goal_that_pays_nothing_beside_a_term_that_earns_all_is_told() -> None:
    found = warnings(GOAL, [2, 2, 2, 1], "FrozenLake-v1", is_slippery=False)
    assert [problem.code for problem in found] == ["concentrated-reward"]
    assert "earned by 'forward', and nothing by 'goal'" in found[0].message
    assert found[0].place.line == 5


def test_a_goal_that_is_reached_is_not() -> None:
    spec, episodes = played(GOAL, [1, 1, 2, 2, 1, 2], "FrozenLake-v1", is_slippery=False)
    assert episodes[0].success
    unknown = [Played(one.world, one.steps, one.memory, None) for one in episodes]
    assert not find_farming(spec, unknown)


# -- return without success ------------------------------------------------------------------------------------------


def rows(paid: Callable[[int], float], success: Callable[[int], float]) -> Iterator[dict[str, Any]]:
    for i in range(12):
        yield {"fresh": {"count": 10, "success": success(i), "spec_return": paid(i) + 0.1 * (i % 2)}}


@pytest.mark.parametrize(
    ("paid", "success", "told"),
    [
        (lambda i: 1.0 + i, lambda i: 0.1, True),
        (lambda i: 1.0 + i, lambda i: 0.1 + i / 20, False),
        (lambda i: 5.0, lambda i: 0.1, False),
        (lambda i: 1.0 + i, lambda i: 0.8, False),
        (lambda i: 9.0 - i, lambda i: 0.1, False),
    ],
    ids=["rises alone", "success rises too", "flat", "most succeed", "falls"],
)
def test_a_return_that_rises_alone_is_told(
    paid: Callable[[int], float], success: Callable[[int], float], told: bool
) -> None:
    found = find_rising(list(rows(paid, success)))
    assert [problem.code for problem in found] == (["rising-without-success"] if told else [])


def test_no_trend_is_claimed_of_few_rows_or_where_success_is_unknown() -> None:
    few = list(rows(lambda i: 1.0 + i, lambda i: 0.0))[:5]
    assert not find_rising(few)
    unknown = [{"fresh": {**row["fresh"], "success": None}} for row in rows(float, lambda i: 0.0)]
    assert not find_rising(unknown)
