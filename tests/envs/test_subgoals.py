"""MiniGrid and MiniHack: an expert passes every subgoal of the gallery's specs, in order, and is paid for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rewardspec import load, wrap
from rewardspec.environments import make_environment
from tests.envs import experts

SPECS = Path(__file__).parents[2] / "examples" / "specs"


class Case(NamedTuple):
    """A spec, who can play it on which seeds, and the machine states that must be passed through."""

    spec: str
    env_id: str
    expert: Callable[[Any], Iterator[Any]]
    seeds: tuple[int, ...]
    states: tuple[str, ...]


CASES = (
    Case("minigrid_doorkey", "MiniGrid-DoorKey-8x8-v0", experts.doorkey, (0, 1, 2),
         ("find the key", "open the door", "reach the goal", "done")),
    Case("unlock_pickup", "MiniGrid-UnlockPickup-v0", experts.unlock_pickup, (0, 1, 2),
         ("q0", "q1", "q2", "q3")),
    Case("obstructed_maze", "MiniGrid-ObstructedMaze-1Dl-v0", experts.obstructed_maze, (0, 1, 2),
         ("find the key", "unlock", "free the hands", "take the ball", "done")),
    Case("minihack_room", "MiniHack-Room-5x5-v0", experts.room, (0, 1), ()),
    Case("minihack_keyroom", "MiniHack-KeyRoom-S5-v0", experts.key_room, (0, 1, 2, 3),
         ("search", "unlock", "leave", "out")),
    Case("minihack_river", "MiniHack-River-Narrow-v0", experts.river, (10,),
         ("wide", "narrow", "bridged", "across")),
)  # fmt: skip

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.spec)


class Episode(NamedTuple):
    """What an episode was like: machine states as they changed, rewards, and how it ended."""

    states: tuple[str, ...]
    rewards: list[float]
    terminated: bool
    own_reward: float


def play(case: Case, seed: int, expert: Callable[[Any], Iterator[Any]] | None) -> Episode:
    """Play an episode by the expert, or at random."""
    spec = load(SPECS / f"{case.spec}.yaml")
    assert spec.env is not None and spec.env.id == case.env_id
    bare = make_environment(case.env_id)
    own: list[float] = []
    original = bare.step

    def noting(action: Any) -> Any:
        outcome = original(action)
        own.append(float(outcome[1]))
        return outcome

    bare.step = noting  # type: ignore[method-assign]
    env = wrap(bare, spec, detail=True)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    states, rewards, terminated = list(env.machine_states.values())[:1], [], False
    actions = expert(env) if expert else (env.action_space.sample() for _ in itertools.repeat(None))
    for action in actions:
        key = experts.key_of(env, action) if isinstance(action, str) else action
        _, reward, terminated, truncated, info = env.step(key)
        rewards.append(float(reward))
        state = next(iter(info["rewardspec"]["state"].values()))
        if state != states[-1]:
            states.append(state)
        if terminated or truncated:
            break
    env.close()
    return Episode(tuple(states), rewards, bool(terminated), own[-1])


@every_case
def test_an_expert_passes_every_subgoal_in_order(case: Case) -> None:
    """The spec ends the episode on the very step on which the environment pays for its own task."""
    for seed in case.seeds:
        episode = play(case, seed, case.expert)
        assert episode.terminated
        assert episode.own_reward > 0.5
        if case.states:
            assert episode.states == case.states


@every_case
def test_an_expert_earns_more_than_chance(case: Case) -> None:
    best = max(sum(play(case, seed, None).rewards) for seed in range(2))
    assert all(sum(play(case, seed, case.expert).rewards) > best for seed in case.seeds[:2])
