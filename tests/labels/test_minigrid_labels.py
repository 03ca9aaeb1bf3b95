"""MiniGrid's labels: worked walks on its own environments, and a slow second reading of every label."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import minigrid
import numpy as np
import pytest
from minigrid.core import constants
from minigrid.core.world_object import Key, WorldObj
from minigrid.wrappers import FlatObsWrapper, FullyObsWrapper

from rewardspec.errors import MismatchError, SpecError
from rewardspec.labels import minigrid as labeller

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
gym.register_envs(minigrid)


def walk(env_id: str, names: tuple[str, ...], actions: list[int], seed: int = 0) -> list[set[str]]:
    """Play `actions` and return the labels that hold after each of them."""
    env = gym.make(env_id)
    labels = labeller.bind(env, names)
    env.reset(seed=seed)
    trace = []
    for action in actions:
        next_obs, _, _, _, info = env.step(action)
        truth = labels.read(action, next_obs, info)
        assert all(type(value) is bool for value in truth)
        trace.append({name for name, holds in zip(names, truth, strict=True) if holds})
    return trace


def test_the_lists_are_the_packages_own() -> None:
    assert dict(enumerate(labeller.COLOURS)) == constants.IDX_TO_COLOR
    things = {name for name in constants.OBJECT_TO_IDX if name not in ("unseen", "empty", "agent")}
    assert set(labeller.TYPES) == things
    assert list(constants.STATE_TO_IDX) == list(labeller.DOOR_STATES)
    made = {kind: WorldObj.decode(constants.OBJECT_TO_IDX[kind], 0, 0) for kind in things}  # 0: open
    assert {kind for kind, thing in made.items() if thing.can_pickup()} == set(labeller.PICKED_UP)
    assert {kind for kind, thing in made.items() if thing.can_overlap()} == set(labeller.STOOD_ON)


def test_the_described_patterns_are_the_labels() -> None:
    """Filling `<colour>` and `<type>` in every pattern gives each label once and nothing else."""
    names: list[str] = []
    for pattern, meaning in labeller.describe():
        assert meaning
        relation = pattern.partition("_<")[0]
        types = labeller.RELATIONS[relation][0] if "<type>" in pattern else ("",)
        colours = labeller.COLOURS if "<colour>" in pattern else ("",)
        names += [pattern.replace("<type>", t).replace("<colour>", c) for t in types for c in colours]
    assert len(names) == len(set(names))
    assert set(names) == set(labeller.LABELS)
    assert all(labeller.check(name) is None for name in names)


def test_opening_the_door_of_doorkey() -> None:
    """Seed 0, 5x5: the key is before the agent's feet, the door beyond it, the goal behind the door."""
    names = ("carrying_key", "facing_key", "picked_up", "facing_door", "door_locked", "door_open",
             "toggled_door", "at_door", "at_goal")  # fmt: skip
    actions = [RIGHT, PICKUP, FORWARD, FORWARD, RIGHT, TOGGLE, FORWARD, FORWARD, RIGHT, FORWARD, FORWARD]
    assert walk("MiniGrid-DoorKey-5x5-v0", names, actions) == [
        {"facing_key", "door_locked"},
        {"carrying_key", "picked_up", "door_locked"},
        {"carrying_key", "door_locked"},
        {"carrying_key", "door_locked"},
        {"carrying_key", "door_locked", "facing_door"},
        {"carrying_key", "door_open", "facing_door", "toggled_door"},
        {"carrying_key", "door_open", "at_door"},
        {"carrying_key", "door_open"},
        {"carrying_key", "door_open"},
        {"carrying_key", "door_open"},
        {"carrying_key", "door_open", "at_goal"},
    ]


def test_a_locked_door_without_its_key_is_not_toggled() -> None:
    names = ("facing_door", "toggled_door", "door_locked", "door_closed")
    # Walk to the door of the same grid, leaving the key where it is: left of the door's cell.
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    inner: Any = env.unwrapped
    inner.agent_pos, inner.agent_dir = (1, 1), 0
    labels = labeller.bind(env, names)
    assert labels.read(TOGGLE, *env.step(TOGGLE)[::4]) == (True, False, True, False)
    inner.carrying = Key("yellow")
    truths = [labels.read(TOGGLE, *env.step(TOGGLE)[::4]) for _ in range(2)]
    assert truths == [(True, True, False, False), (True, True, False, True)]  # opened, then shut again
    assert labels.read(LEFT, *env.step(LEFT)[::4]) == (False, False, False, True)


def test_unlocking_dropping_the_key_and_taking_the_box() -> None:
    names = ("carrying", "carrying_green_key", "carrying_yellow_key", "picked_up_key", "picked_up_purple_box",
             "dropped", "dropped_green_key", "dropped_ball", "green_door_locked", "green_door_open",
             "red_door_open", "toggled_green_door", "beside_box")  # fmt: skip
    actions = [RIGHT, PICKUP, RIGHT, FORWARD, LEFT, FORWARD, TOGGLE, FORWARD, FORWARD, DROP]
    actions += [LEFT, FORWARD, FORWARD, FORWARD, RIGHT, FORWARD, PICKUP]
    trace = walk("MiniGrid-UnlockPickup-v0", names, actions)
    holding = {"carrying", "carrying_green_key"}
    assert trace[0] == {"green_door_locked"}
    assert trace[1] == holding | {"picked_up_key", "green_door_locked"}
    assert trace[2:6] == [holding | {"green_door_locked"}] * 4
    assert trace[6] == holding | {"green_door_open", "toggled_green_door"}
    assert trace[7:9] == [holding | {"green_door_open"}] * 2
    assert trace[9] == {"dropped", "dropped_green_key", "green_door_open"}
    assert trace[10:15] == [{"green_door_open"}] * 5
    assert trace[15] == {"green_door_open", "beside_box"}
    assert trace[16] == {"carrying", "picked_up_purple_box", "green_door_open"}


def test_lava_is_told_on_the_step_that_dies_in_it() -> None:
    names = ("at_lava", "at_goal", "facing_lava", "beside_lava", "sees_lava", "facing_wall")
    assert walk("MiniGrid-LavaCrossingS9N1-v0", names, [FORWARD, RIGHT, FORWARD]) == [
        {"beside_lava", "sees_lava"},
        {"facing_lava", "beside_lava", "sees_lava"},
        {"at_lava", "beside_lava", "sees_lava"},
    ]
    way = [RIGHT, *[FORWARD] * 6, LEFT, *[FORWARD] * 6]
    trace = walk("MiniGrid-LavaCrossingS9N1-v0", names, way)
    assert "at_goal" in trace[-1]
    assert not any("at_lava" in labels for labels in trace)
    assert "facing_wall" in trace[6]


def test_the_way_to_the_matching_object_of_memory() -> None:
    """Seed 0: the cue is behind the agent; at the hallway's end a key is to the left, a ball to the right."""
    names = ("sees_ball", "sees_key", "beside_ball", "beside_key", "facing_ball")
    trace = walk("MiniGrid-MemoryS7-v0", names, [FORWARD, RIGHT, FORWARD])
    assert trace == [{"sees_ball", "sees_key"}, {"sees_ball"}, {"sees_ball", "beside_ball", "facing_ball"}]


# --- a second, slow reading of every label, from encodings instead of objects -----------------------------


def encoded(image: Any) -> list[tuple[str, str, str]]:
    """Return (type, colour, state) of every object in an [x, y, 3] encoding."""
    states = {number: state for state, number in constants.STATE_TO_IDX.items()}
    kept = [cell for cell in image.reshape(-1, 3) if constants.IDX_TO_OBJECT[cell[0]] in labeller.TYPES]
    return [(constants.IDX_TO_OBJECT[t], constants.IDX_TO_COLOR[c], states[s]) for t, c, s in kept]


def read_slowly(before: Any, inner: Any, action: int) -> set[str]:
    """Return every label that holds, from the copies of the state before and after a step."""
    full = inner.grid.encode()
    x, y = inner.agent_pos
    near = [((1, 0), (0, 1), (-1, 0), (0, -1))[inner.agent_dir]]
    view = inner.gen_obs()["image"].copy()
    view[view.shape[0] // 2, view.shape[1] - 1] = 0
    had, has = before.carrying, inner.carrying
    found: dict[str, list[tuple[str, str, str]]] = {
        "carrying": [] if has is None else encoded(np.array(has.encode())),
        "picked_up": [] if has is None or had is not None else encoded(np.array(has.encode())),
        "dropped": [] if had is None or has is not None else encoded(np.array(had.encode())),
        "at": encoded(full[x, y]),
        "facing": [thing for dx, dy in near for thing in encoded(full[x + dx, y + dy])],
        "beside": [t for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1)) for t in encoded(full[x + dx, y + dy])],
        "sees": encoded(view),
        "toggled": [],
    }
    was = before.grid.encode()
    for i, j in np.argwhere((was != full).any(axis=2)):
        if was[i, j, 0] == constants.OBJECT_TO_IDX["door"]:
            found["toggled"] += encoded(full[i, j])
    doors = [thing for thing in encoded(full) if thing[0] == "door"]
    true = {relation for relation in labeller.BARE if found[relation]}
    for relation, things in found.items():
        true |= {f"{relation}_{kind}" for kind, _, _ in things}
        true |= {f"{relation}_{colour}_{kind}" for kind, colour, _ in things}
    true |= {f"door_{state}" for _, _, state in doors}
    return true | {f"{colour}_door_{state}" for _, colour, state in doors}


PLAYGROUNDS = (
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-BlockedUnlockPickup-v0",
    "MiniGrid-ObstructedMaze-1Dl-v0",
    "MiniGrid-LavaGapS5-v0",
    "MiniGrid-MemoryS7-v0",
    "MiniGrid-RedBlueDoors-6x6-v0",
    "MiniGrid-KeyCorridorS3R2-v0",
    "MiniGrid-Playground-v0",
)


@pytest.mark.parametrize("env_id", PLAYGROUNDS)
def test_every_label_agrees_with_a_slow_reading(env_id: str) -> None:
    names = tuple(labeller.LABELS)
    env = gym.make(env_id)
    inner: Any = env.unwrapped
    labels = labeller.bind(env, names)
    rng = np.random.default_rng(3)
    for episode in range(4):
        env.reset(seed=episode)
        for _ in range(60):
            before = copy.deepcopy(inner)
            front = inner.grid.get(*inner.front_pos)
            useful = {"key": PICKUP, "ball": PICKUP, "box": TOGGLE, "door": TOGGLE}.get(front and front.type)
            action = useful if useful is not None and rng.random() < 0.6 else int(rng.choice(6, p=WANDERING))
            obs, _, terminated, truncated, info = env.step(action)
            truth = {name for name, holds in zip(names, labels.read(action, obs, info), strict=True) if holds}
            assert truth == read_slowly(before, inner, action)
            if terminated or truncated:
                break


WANDERING = (0.15, 0.15, 0.5, 0.05, 0.1, 0.05)


def test_nothing_is_carried_over_a_reset() -> None:
    """Taking the key again in the next episode is an event; losing it by the reset is none."""
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    labels = labeller.bind(env, ("picked_up", "dropped", "carrying"))
    for _ in range(2):
        env.reset(seed=0)
        truths = [labels.read(action, *env.step(action)[::4]) for action in (RIGHT, PICKUP)]
        assert truths == [(False, False, False), (True, False, True)]


def test_an_episode_that_starts_with_full_hands() -> None:
    env = gym.make("BabyAI-PutNextS5N2Carrying-v0")
    labels = labeller.bind(env, ("carrying", "picked_up", "dropped"))
    env.reset(seed=0)
    assert labels.read(LEFT, *env.step(LEFT)[::4]) == (True, False, False)


@pytest.mark.parametrize("wrapper", [FullyObsWrapper, FlatObsWrapper])
def test_labels_hold_under_observation_wrappers(wrapper: Any) -> None:
    env = wrapper(gym.make("MiniGrid-DoorKey-5x5-v0"))
    labels = labeller.bind(env, ("sees_goal", "facing_key"))  # the goal is behind the wall
    env.reset(seed=0)
    assert labels.read(RIGHT, *env.step(RIGHT)[::4]) == (False, True)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_lives_its_own_life(copied: Any) -> None:
    """Environment and labels copied together stay a pair, and the original does not notice."""
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    labels = labeller.bind(env, ("carrying_key", "picked_up", "door_open"))
    env.reset(seed=0)
    labels.read(RIGHT, *env.step(RIGHT)[::4])
    twin, twin_labels = copied((env, labels))
    assert twin_labels.read(PICKUP, *twin.step(PICKUP)[::4]) == (True, True, False)
    assert labels.read(LEFT, *env.step(LEFT)[::4]) == (False, False, False)


def test_reasons() -> None:
    assert labeller.check("carying_key") == (
        "'carying_key' is not a label of minigrid. Did you mean 'carrying_key'?"
    )
    assert labeller.check("carrying_gray_key") == (
        "'carrying_gray_key' is not a label of minigrid. Did you mean 'carrying_grey_key'?"
    )
    assert labeller.check("at_key") == (
        "'at_key' can never hold: 'at' is about floor, door, goal, lava. Did you mean 'facing_key'?"
    )
    assert labeller.check("") == "'' is not a label of minigrid."


def test_another_family_is_refused() -> None:
    with pytest.raises(MismatchError) as caught:
        labeller.bind(gym.make("CartPole-v1"), ("carrying",))
    problem = caught.value.problems[0]
    assert problem.code == "labeller-mismatch"
    assert problem.message == "labels 'minigrid' need a MiniGrid environment, and CartPoleEnv is none"
    assert problem.hints == (
        "it has no grid, carrying, agent_pos, agent_dir, gen_obs_grid, "
        "which these labels read from `env.unwrapped`",
    )


def test_binding_an_unknown_name_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        labeller.bind(gym.make("MiniGrid-DoorKey-5x5-v0"), ("carrying", "carying_key", "at_key"))
    assert [problem.code for problem in caught.value.problems] == ["unknown-label"] * 2
