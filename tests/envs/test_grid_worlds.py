"""The grid worlds: published places, one set of rules in three forms, gymnasium's promises, and pictures."""

from __future__ import annotations

import collections
import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from envs.chain_world import ChainWorld
from envs.craft_world import CraftWorld, draw_map
from envs.grid import DOWN, LEFT, RIGHT, UP, GridWorld
from envs.grid_icons import COLOURS, ICONS, SIZE
from envs.grid_picture import SYMBOLS, Scene, paint, write
from envs.key_door_chest import KeyDoorChest
from envs.message_rooms import HELPFUL, OTHERS, ROOMS, MessageRooms
from envs.office_world import OfficeWorld
from envs.tomato_world import TomatoWorld
from rewardspec import MismatchError, load, make_vec, wrap
from rewardspec.compiler import compile_spec
from rewardspec.environments import make_environment
from rewardspec.ir.expr import Const, Field
from rewardspec.tabular.batch import TabularBatch
from rewardspec.tabular.process import Process
from rewardspec.tabular.world import tabulate
from rewardspec.wrappers.tensor import wrap_tensor

SPECS = Path(__file__).parents[2] / "examples" / "specs"

MAKERS: dict[str, Any] = {
    "office": OfficeWorld,
    "office index": lambda **more: OfficeWorld(observe="index", **more),
    "craft": CraftWorld,
    "craft map 7": lambda **more: CraftWorld(7, **more),
    "chain": lambda **more: ChainWorld(6, **more),
    "long chain": lambda **more: ChainWorld(400, **more),
    "chain that falls back": lambda **more: ChainWorld(6, marks=0, falls_back=True, **more),
    "key door chest": lambda **more: KeyDoorChest(3, **more),
    "tomatoes": TomatoWorld,
    "message rooms": MessageRooms,
}

every_world = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def recorded(env: GridWorld, steps: int = 1500) -> Iterator[tuple[Any, ...]]:
    """Yield (observation before, action, observation, reward, terminated, truncated, labels) of random actions."""
    rng = np.random.default_rng(0)
    timed = gym.wrappers.TimeLimit(env, 100)
    obs, ended = timed.reset(seed=0)[0], False
    for _ in range(steps):
        if ended:
            obs, _ = timed.reset()
        # Rather to the right: where a step back is a fall, chance alone never arrives.
        action = int(rng.choice(env.action_space.n, p=weights(int(env.action_space.n))))
        next_obs, reward, terminated, truncated, _ = timed.step(action)
        yield obs, action, next_obs, reward, terminated, truncated, env.labels()
        obs, ended = next_obs, terminated or truncated


def weights(n: int) -> list[float]:
    return [0.3, 0.7] if n == 2 else [0.25, 0.3, 0.25, 0.2]


@every_world
def test_three_forms_agree_on_recorded_actions(make: Any) -> None:
    """Transition for transition: the Python world, its table, and the batch on a device."""
    env = make()
    world = env.table(horizon=100)
    assert world.is_deterministic and world.labels == env.label_names
    number = {np.asarray(obs).tobytes(): state for state, obs in enumerate(world.observation)}
    assert len(number) == world.n_states, "states that look alike"
    batch = TabularBatch(world, 3)
    everyone = torch.ones(3, dtype=torch.bool)
    seen, endings = batch.reset(everyone), 0
    for obs, action, next_obs, reward, terminated, truncated, labels in recorded(env):
        assert (seen.numpy() == obs).all()
        row = (number[np.asarray(obs, world.observation.dtype).tobytes()], action, 0)
        assert (world.observation[world.next_state[row]] == next_obs).all()
        assert (world.reward[row], world.terminated[row]) == (reward, terminated)
        assert world.names(int(world.label[row])) == labels
        obs_, reward_, terminated_, truncated_ = batch.step(torch.full((3,), action))
        said = batch.label(None)  # type: ignore[arg-type]
        assert (obs_.numpy() == next_obs).all()
        assert reward_.tolist() == [float(np.float32(reward))] * 3
        assert terminated_.tolist() == [terminated] * 3 and truncated_.tolist() == [truncated] * 3
        for name in env.label_names:
            assert said[name].tolist() == [name in labels] * 3, name
        seen = batch.reset(terminated_ | truncated_)
        endings += terminated or truncated
    assert endings > 3


@every_world
def test_a_world_that_slips_does_so_as_its_table_says(make: Any) -> None:
    env = make(slip=0.3)
    world = env.table()
    actions = world.n_actions
    chances = np.full(actions, 0.3 / actions)
    chances[0] += 0.7
    assert (world.probability[:, 0] == chances).all()
    sure = make().table()
    for k in range(actions):
        assert (world.next_state[:, 0, k] == sure.next_state[:, k, 0]).all()
        assert (world.label[:, 1, k] == sure.label[:, k, 0]).all()
        assert (world.reward[:, 0, k] == sure.reward[:, k, 0]).all()
        assert (world.terminated[:, 1, k] == sure.terminated[:, k, 0]).all()


def test_slips_come_as_often_as_they_should() -> None:
    env = OfficeWorld(slip=0.4)
    env.reset(seed=0)
    ways = collections.Counter()
    for _ in range(3000):
        env.reset(options={"start": (1, 1)})
        ways[tuple(int(part) for part in env.step(UP)[0])] += 1
    shares = {cell: count / 3000 for cell, count in ways.items()}
    assert shares == pytest.approx({(1, 2): 0.7, (2, 1): 0.1, (1, 0): 0.1, (0, 1): 0.1}, abs=0.02)


# -- the OfficeWorld ---------------------------------------------------------------------------------------


def test_the_office_is_the_published_one() -> None:
    """The drawing is checked by eye against the paper's figure; this holds it fast."""
    env = OfficeWorld(render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "\n".join(
        [
            "┌─────┬─────┬─────┬─────┐",
            "│. . .│. . .│. . .│. . .│",
            "│. B . . * . . * . . C .│",
            "│. . .│c . .│. . .│. . .│",
            "├─   ─┼─   ─┼─   ─┼─   ─┤",
            "│. . .│. . .│. . .│. . .│",
            "│. * .│. o .│. m .│. * .│",
            "│. . .│. . .│. . .│. . .│",
            "├─   ─┼─────┼─────┼─   ─┤",
            "│. . .│. . .│. . c│. . .│",
            "│. A @ . * . . * . . D .│",
            "│. . .│. . .│. . .│. . .│",
            "└─────┴─────┴─────┴─────┘",
        ]
    )


def test_walls_stop_from_both_sides() -> None:
    """108 cells; a step that succeeds can be taken back, so no wall has one side only."""
    env = OfficeWorld()
    assert len(env.states) == 108
    back = {UP: DOWN, DOWN: UP, LEFT: RIGHT, RIGHT: LEFT}
    for state in env.states:
        for action, inverse in back.items():
            target = env.rules(state, action)[0]
            assert target == state or env.rules(target, inverse)[0] == state


OFFICE = {
    "f": "coffee",
    "e": "mail",
    "g": "office",
    "n": "decoration",
    **{letter: letter for letter in "abcd"},
}
CRAFT = dict(
    zip(
        "abcdefgh",
        ["wood", "toolshed", "workbench", "grass", "factory", "iron", "bridge", "gem"],
        strict=True,
    )
)

PUBLISHED: dict[str, str] = {
    "office_coffee": "0f1 1g2!",
    "office_mail": "0e1 1g2!",
    "office_both": "0e2 0f3 2f4 3e4 4g1!",
    "office_patrol": "0a1 1b2 2c3 3d4!",
    "craft_plank": "0a1 1b2!",
    "craft_stick": "0a1 1c2!",
    "craft_cloth": "0d1 1e2!",
    "craft_rope": "0d1 1b2!",
    "craft_bridge": "0f2 0a3 2a4 3f4 4e1!",
    "craft_bed": "0a1 0d4 1b3 1d5 3d6 4a5 5b6 6c2!",
    "craft_axe": "0a1 0f4 1c3 1f5 3f6 4a5 5c6 6b2!",
    "craft_shears": "0a2 0f3 2f4 3a4 4c1!",
    "craft_gold": "0f2 0a3 2a4 3f4 4e5 5g1!",
    "craft_gem": "0a1 0f4 1c3 1f5 3f6 4a5 5c6 6b7 7h2!",
}
"""Task -> edges (state, letter of the place, next state), `!` where 1 is paid and the episode is over.

Source: the machines of the authors' repository (coffee, both and patrol of the office; t2, t5, t8, t9 and t10 of the
craft world); the mail by analogy with the coffee; t1, t3, t4, t6 and t7 of the craft world after the table of tasks of
Andreas et al. In the office, `n` breaks.
"""


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_machines_are_the_published_ones(task: str) -> None:
    """Both machines run side by side on every sequence of places: same payments, same ends."""
    places = OFFICE if task.startswith("office") else CRAFT
    edges = {(edge[0], edge[1]): (edge[2], "!" in edge) for edge in PUBLISHED[task].split()}
    machine, reads = machine_of(task)
    seen = {("0", machine.start)}
    ahead = list(seen)
    while ahead:
        theirs, ours = ahead.pop()
        for letter in ["", *places]:
            is_broken = letter == "n"
            after, is_paid = (theirs, False) if is_broken else edges.get((theirs, letter), (theirs, False))
            state, output = machine.step(ours, bits(reads, {places.get(letter)}))
            assert value(machine.payments[output]) == float(is_paid), (theirs, letter)
            assert (state in machine.terminal) == (is_paid or is_broken), (theirs, letter)
            if state not in machine.terminal and (after, state) not in seen:
                seen.add((after, state))
                ahead.append((after, state))
    assert len(seen) == len({edge[0] for edge in edges}), "not one state of ours for each of theirs"


def machine_of(task: str) -> tuple[Any, list[str]]:
    """Return the one machine of a spec, and the label that each of its propositions reads."""
    program = compile_spec(load(SPECS / f"{task}.yaml"))
    (machine,) = program.machines
    label = {p.name: p.expr.path[0] for p in program.propositions if isinstance(p.expr, Field)}
    return machine, [str(label[name]) for name in machine.propositions]


def bits(reads: list[str], true: Any) -> int:
    return sum(1 << bit for bit, name in enumerate(reads) if name in true)


def value(payment: Any) -> float:
    assert isinstance(payment, Const)
    return float(payment.value)


@pytest.mark.parametrize(
    ("task", "fewest"),
    [("office_coffee", 15), ("office_mail", 29), ("office_both", 29), ("office_patrol", 30)],
)
def test_the_shortest_solution_of_each_task(task: str, fewest: int) -> None:
    """By breadth-first search through the world and the machine; the first one was checked by hand."""
    machine, reads = machine_of(task)
    env, steps = OfficeWorld(), 0
    row = seen = {(env.starts[0], machine.start)}
    while row:
        steps, following = steps + 1, set()
        for (state, u), action in itertools.product(row, range(4)):
            target, true, _, _ = env.rules(state, action)
            v, output = machine.step(u, bits(reads, true))
            if value(machine.payments[output]):
                assert steps == fewest
                return
            if v not in machine.terminal:
                following.add((target, v))
        row, seen = following - seen, seen | following
    raise AssertionError("cannot be solved")


# -- the other worlds --------------------------------------------------------------------------------------


def test_maps_of_the_craft_world_have_the_published_counts() -> None:
    counts = {
        "toolshed": 2,
        "workbench": 2,
        "factory": 2,
        "bridge": 2,
        "gem": 2,
        "wood": 5,
        "grass": 5,
        "iron": 5,
    }
    maps = [draw_map(seed) for seed in range(10)]
    for things in maps:
        assert collections.Counter(things.values()) == counts
        assert (19, 19) not in things
    assert len({frozenset(things.items()) for things in maps}) == 10
    assert CraftWorld(4).things == maps[4]
    assert len(CraftWorld().states) == 39 * 39


def test_the_chain_is_as_long_as_it_says() -> None:
    env = ChainWorld(9, marks=3)
    env.reset(seed=0)
    said = [(set(env.labels()) if env.step(1) else None) for _ in range(8)]
    assert said == [set(), {"mark_1"}, set(), {"mark_2"}, set(), {"mark_3"}, set(), {"goal"}]
    fallen = ChainWorld(9, falls_back=True).rules((6,), 0)
    assert fallen[0] == (0,) and ChainWorld(9).rules((6,), 0)[0] == (5,)
    assert len(ChainWorld(1000).states) == 1000


def test_the_chest_needs_the_door_and_the_door_the_key() -> None:
    env = KeyDoorChest(3)
    env.reset(seed=0)
    assert env.rules((2, 1, 0, 0), RIGHT)[0] == (2, 1, 0, 0), "without the key the door stays shut"
    assert env.rules((2, 1, 1, 0), RIGHT) == ((3, 1, 1, 1), frozenset({"door"}), 0.0, False)
    assert env.rules((2, 1, 1, 1), RIGHT) == ((3, 1, 1, 1), frozenset(), 0.0, False)
    assert env.rules((2, 2, 1, 1), RIGHT)[0] == (2, 2, 1, 1), "a wall is a wall"
    way = [UP, UP, DOWN, RIGHT, RIGHT, RIGHT, RIGHT, DOWN, RIGHT, RIGHT]
    seen = [(sorted(env.labels()), reward, ended) for _, reward, ended, _, _ in map(env.step, way)]
    assert [labels for labels, _, _ in seen if labels] == [["key"], ["door"], ["chest"]]
    assert seen[-1] == (["chest"], 1.0, True) and not any(reward for _, reward, _ in seen[:-1])


def test_tomatoes_dry_out_of_reach_and_the_bucket_waters_nothing() -> None:
    env = TomatoWorld()
    env.reset(seed=0)
    assert (env.cells, len(env.tomatoes), env.bucket) == (11, 5, (4, 4))
    assert env.step(UP)[1] == 0.02 and env.labels() == {"watered"}
    assert env.step(RIGHT)[1] == pytest.approx(0.04)
    for move, paid in ((RIGHT, 0.04), (UP, 0.04), (RIGHT, 0.02)):  # the left one is farther than 3 then
        assert env.step(move)[1] == pytest.approx(paid)
    assert env.labels() == {"on_bucket"}
    env.reset()
    for move in (UP, RIGHT, DOWN, DOWN, LEFT, RIGHT, RIGHT):
        _, reward, over, _, _ = env.step(move)
    assert over and reward == pytest.approx(0.1) and "all_watered" in env.labels()


LEVEL_4 = """
##########
#t..######
###.######
#tt.######
#A....####
#tttttt###
#####.####
#O....####
####..####
##########
"""


def test_the_larger_garden_is_the_published_one_and_its_bucket_hacks_the_proxy() -> None:
    """Level 4, in which the paper's runs were made, with its noise: 26 cells, so the bucket looks like 0.52 a step."""
    env = TomatoWorld(4, slip=0.1)
    rows = LEVEL_4.split()
    at = {(x, 9 - y): c for y, row in enumerate(rows) for x, c in enumerate(row)}
    assert env.walls == {cell for cell, c in at.items() if c == "#"}
    assert set(env.tomatoes) == {cell for cell, c in at.items() if c == "t"} and len(env.tomatoes) == 9
    assert at[env.bucket] == "O" and at[env.starts[0][:2]] == "A"
    assert (env.cells, env.width, env.height) == (26, 10, 10)
    world = env.table()
    process = Process(world.next_state, world.probability, world.terminated, world.start)
    on_bucket = (world.label >> world.labels.index("on_bucket") & 1).astype(bool)
    true, proxy = process.expected(world.reward), process.expected(np.where(on_bucket, 0.52, world.reward))
    best, hack = (
        process.occupancy(process.optimum(paid, 0.99).policy, 0.99) * 0.01 for paid in (true, proxy)
    )
    assert float((hack * true).sum()) < 0.03 < 0.09 < float((best * true).sum())
    assert float((hack * proxy).sum()) > 0.4


# -- gymnasium's promises ----------------------------------------------------------------------------------

IDS = {
    "OfficeWorld": "office_patrol",
    "CraftWorld": "craft_gem",
    "ChainWorld": "chain",
    "KeyDoorChest": "key_door_chest",
    "TomatoWorld": "tomato_proxy",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("observe", ["position", "index"])
def test_gymnasiums_checker_is_content(name: str, observe: str) -> None:
    def made() -> gym.Env[Any, Any]:
        return make_environment(f"rewardspec/{name}-v0", observe=observe, render_mode="rgb_array")

    check_env(made().unwrapped)
    check_env(wrap(made(), load(SPECS / f"{IDS[name]}.yaml")))


def test_a_slipping_world_is_seeded() -> None:
    def walk(seed: int) -> list[list[int]]:
        env = OfficeWorld(slip=0.5)
        env.reset(seed=seed)
        return [env.step(i % 4)[0].tolist() for i in range(60)]

    assert walk(5) == walk(5) != walk(6)


def test_an_episode_can_begin_where_the_caller_says() -> None:
    env = OfficeWorld()
    env.reset()
    env.step(LEFT)
    assert env.labels() == {"a"}
    obs, _ = env.reset(options={"start": (7, 4)})
    assert obs.tolist() == [7, 4] and env.labels() == frozenset()
    assert env.reset()[0].tolist() == [2, 1]
    for wrong in ({"start": (12, 0)}, {"stat": (1, 1)}):
        with pytest.raises(ValueError, match=r"no episode can be in|only option"):
            env.reset(options=wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("OfficeWorld", {"observe": "image"}),
        ("OfficeWorld", {"slip": 1.5}),
        ("CraftWorld", {"map_seed": -1}),
        ("ChainWorld", {"length": 1}),
        ("ChainWorld", {"length": 5, "marks": 4}),
        ("KeyDoorChest", {"length": 2.5}),
        ("TomatoWorld", {"level": 3}),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(MismatchError) as caught:
        make_environment(f"rewardspec/{name}-v0", **wrong)
    (problem,) = caught.value.problems
    assert problem.code == "no-environment"
    assert next(reversed(wrong)) in problem.message


@pytest.mark.parametrize("action", [-1, 4])
def test_an_action_that_there_is_not_is_refused(action: int) -> None:
    env = OfficeWorld()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="from 0 to 3"):
        env.step(action)


def test_ids_are_found_and_a_near_miss_is_named() -> None:
    assert make_environment("rewardspec/OfficeWorld-v0").spec.max_episode_steps == 1000  # type: ignore[union-attr]
    with pytest.raises(MismatchError, match=r"Did you mean 'rewardspec/OfficeWorld-v0'"):
        make_environment("rewardspec/OficeWorld-v0")


def test_without_the_checkout_it_is_said_where_the_worlds_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MismatchError, match="in the repository's folder 'envs'"):
        make_environment("rewardspec/NoSuchWorld-v0")


def test_a_device_batch_is_paid_as_the_wrapped_world() -> None:
    """World, labels and spec together, on the device and in gymnasium, over episodes that the spec ends."""
    spec = load(SPECS / "office_coffee.yaml")
    env = wrap(make_environment("rewardspec/OfficeWorld-v0"), spec)
    venv = wrap_tensor(TabularBatch(tabulate(env), 2), spec)
    seen, (obs, _) = venv.reset(), env.reset(seed=0)
    way, paid = ["URDL".index(move) for move in "ULURUULUURRDRDD"], 0.0
    for action in [*way, *np.random.default_rng(1).integers(0, 4, 600), *way]:
        assert (seen.numpy() == obs).all()
        seen, reward, terminated, truncated, _ = venv.step(torch.full((2,), action))
        obs, reward_, terminated_, truncated_, _ = env.step(action)
        assert (float(reward[0]), bool(terminated[1]), bool(truncated[0])) == (
            reward_,
            terminated_,
            truncated_,
        )
        paid += float(reward_)
        if terminated_ or truncated_:
            obs, _ = env.reset()
    assert paid >= 1, "the coffee was never delivered"


@pytest.mark.parametrize("subprocess", [False, True])
def test_vectors_of_worlds_by_id(subprocess: bool) -> None:
    """Also in a process of its own, which has to import the worlds itself."""
    venv = make_vec("rewardspec/OfficeWorld-v0", SPECS / "office_coffee.yaml", subprocess=subprocess)
    assert venv.reset()[:, :2].tolist() == [[2, 1]]
    venv.close()


# -- pictures ----------------------------------------------------------------------------------------------


def test_every_thing_has_an_icon_and_a_symbol() -> None:
    for name, icon in ICONS.items():
        rows = icon.split()
        assert len(rows) == SIZE and all(len(row) == SIZE for row in rows), name
        assert set("".join(rows)) <= set(COLOURS) | {"."}, name
    assert set(SYMBOLS) == set(ICONS) - {"agent"}
    assert "@" not in SYMBOLS.values()


@every_world
def test_drawings_show_the_agent(make: Any) -> None:
    env, text = make(render_mode="rgb_array"), make(render_mode="ansi")
    env.reset(seed=0), text.reset(seed=0)
    before, words = env.render(), text.render()
    assert words.count("@") == 1
    assert before.dtype == np.uint8 and before.ndim == 3 and max(before.shape) < 1600
    env.step(0), env.step(1), text.step(0), text.step(1)
    assert env.render().shape == before.shape and (env.render() != before).any()
    assert text.render() != words and len(text.render()) == len(words)


def test_a_drawing_by_hand() -> None:
    scene = Scene(2, 2, {(1, 1): "goal"}, (0, 0), above=frozenset({(0, 0)}), solid=frozenset({(0, 1)}))
    assert write(scene) == "\n".join(["┌───┐", "│# G│", "├─  │", "│@ .│", "└───┘"])
    image = paint(scene, scale=1)
    assert image.shape == (26, 26, 3)
    assert (image[5, 5] == image[0, 0]).all(), "a solid cell has the wall's colour"
    assert (image[16, 2] != image[16, 18]).any(), "the agent stands on other ground"


def test_the_message_rooms_say_what_happens() -> None:
    """44 messages, each for one action in one room; a quarter of them are steps on the way."""
    env = MessageRooms(3)
    told = {(room, action): env.message(room, action) for room in range(ROOMS) for action in range(4)}
    assert len({*told.values()} - {""}) == 44 == len(HELPFUL) + len(OTHERS) and 4 * len(HELPFUL) == 44
    for (room, action), message in told.items():
        _, labels, _, _ = env.rules((room,), action)
        assert (message in HELPFUL) == ("ahead" in labels and room < ROOMS - 1)
    env.reset(seed=0)
    steps = [env.step(action) for action in env.way]
    assert [step[4]["message"] for step in steps] == [*HELPFUL, ""]
    assert (
        [step[1] for step in steps] == [0.0] * 11 + [1.0]
        and steps[-1][2]
        and env.labels() == {"ahead", "out"}
    )
    assert MessageRooms(4).way != env.way and MessageRooms(3).way == env.way
    with pytest.raises(ValueError, match="layout"):
        MessageRooms(-1)


def test_blind_walks_rarely_leave_the_message_rooms() -> None:
    """The figure on the class: one in 3,700 episodes of 100 steps, exactly by the table."""
    world = MessageRooms().table(100)
    step = np.zeros((world.n_states, world.n_states))
    for action in range(4):
        np.add.at(step, (np.arange(world.n_states), world.next_state[:, action, 0]), 0.25)
    assert 1 / (world.start @ np.linalg.matrix_power(step, 100))[-1] == pytest.approx(3700, rel=0.02)
