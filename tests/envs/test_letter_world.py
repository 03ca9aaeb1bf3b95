"""LetterWorld: moves, letters, views, its table, and the same in batches."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  # registers the worlds
from envs.letter_world import LETTERS, LetterWorld, LetterWorldBatch, draw_layout
from rewardspec import wrap
from rewardspec.errors import MismatchError
from rewardspec.tabular.world import tabulate
from rewardspec.vocabulary import loads
from rewardspec.wrappers.tensor import wrap_tensor

UP, DOWN, LEFT, RIGHT = range(4)
SMALL = [[-1, 0, -1], [-1, -1, -1], [1, -1, -1]]
"""a beside the start, b below it (or above, across the edge)."""


def small(**arguments: Any) -> LetterWorld:
    env = LetterWorld(size=3, letters="ab", **arguments)
    env.reset(options={"layout": SMALL})
    return env


def test_gymnasium_has_nothing_against_it() -> None:
    for arguments in ({}, {"map_seed": 4}, {"centred": False}):
        check_env(gym.make("rewardspec/LetterWorld-v0", render_mode="ansi", **arguments).unwrapped)


def test_who_leaves_at_one_edge_enters_at_the_other() -> None:
    env = small()
    said = []
    for action in (RIGHT, RIGHT, RIGHT, UP, UP, UP, RIGHT):
        env.step(action)
        said.append("".join(env.labels()))
    assert said == ["a", "", "", "b", "", "", "a"]


def test_the_view_is_a_layer_for_each_letter_and_one_for_the_agent() -> None:
    plain = small(centred=False).step(DOWN)[0]
    assert [np.argwhere(plain[:, :, layer]).tolist() for layer in range(3)] == [[[0, 1]], [[2, 0]], [[1, 0]]]
    centred = small().step(DOWN)[0]  # the agent at (1, 0) is shown at (1, 1): all moves one to the right
    assert [np.argwhere(centred[:, :, layer]).tolist() for layer in range(3)] == [
        [[0, 2]],
        [[2, 1]],
        [[1, 1]],
    ]


def test_observations_are_the_callers_own() -> None:
    """What is written into an observation, or kept of it, has nothing to do with later ones."""
    env = small()
    first = env.step(RIGHT)[0]
    kept = first.copy()
    first[:] = 9
    env.step(LEFT)
    assert (env.step(RIGHT)[0] == kept).all()
    start = env.reset(options={"layout": SMALL})[0]
    start[:] = 9
    assert env.reset(options={"layout": SMALL})[0].max() == 1
    table = LetterWorld(map_seed=0)
    table.table().observation[:] = 9
    assert table.reset()[0].max() == 1


def test_every_letter_can_be_reached_without_stepping_on_another() -> None:
    """A second reading of the promise: grow the set of places from the start until nothing is added."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        layout = draw_layout(rng)
        assert layout[0, 0] == -1
        assert np.bincount(layout[layout >= 0]).tolist() == [2] * 12
        free = reached = np.zeros((7, 7), bool)
        reached = reached.copy()
        reached[0, 0] = True
        for _ in range(49):
            free = reached & (layout < 0)
            for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
                reached = reached | np.roll(free, shift, axis)
        assert reached.all()


def test_a_map_seed_fixes_the_layout_and_none_draws_another() -> None:
    fixed, other = LetterWorld(map_seed=3), LetterWorld()
    assert (fixed.reset(seed=1)[0] == fixed.reset(seed=2)[0]).all()
    first = other.reset(seed=1)[0]
    assert (first != other.reset()[0]).any()
    assert (first == other.reset(seed=1)[0]).all()


@pytest.mark.parametrize("centred", [True, False])
def test_the_table_is_the_world(centred: bool) -> None:
    env = LetterWorld(map_seed=1, centred=centred)
    table = tabulate(env)
    assert (table.n_states, table.n_actions, table.is_deterministic) == (49, 4, True)
    obs, _ = env.reset()
    state, rng = int(table.start.argmax()), np.random.default_rng(0)
    for _ in range(300):
        action = int(rng.integers(4))
        obs, *_ = env.step(action)
        names = table.names(int(table.label[state, action, 0]))
        state = int(table.next_state[state, action, 0])
        assert (table.observation[state] == obs).all()
        assert names == env.labels()


def test_changing_layouts_have_no_table() -> None:
    with pytest.raises(MismatchError) as caught:
        tabulate(LetterWorld())
    assert caught.value.problems[0].code == "not-tabular"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"size": 6}, "odd size"),
        ({"letters": "a1"}, "a to z"),
        ({"letters": ""}, "a to z"),
        ({"size": 3, "letters": "abcdefgh", "map_seed": 0}, "no way between"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        LetterWorld(**arguments)


def test_a_layout_that_does_not_fit_is_refused() -> None:
    for layout in ([[0]], [[2, -1, -1]] * 3, [[-2, -1, -1]] * 3):
        with pytest.raises(ValueError, match="numbers of letters"):
            LetterWorld(size=3, letters="ab").reset(options={"layout": layout})
    with pytest.raises(ValueError, match="only option"):
        LetterWorld().reset(options={"start": 3})


def test_pictures_and_text_show_letters_and_the_agent() -> None:
    env = small(render_mode="ansi")
    env.step(RIGHT)
    assert env.render().splitlines() == [" . [a] . ", " .  .  . ", " b  .  . "]
    env = small(render_mode="rgb_array")
    env.step(RIGHT)
    picture = env.render()
    assert picture.shape == (145, 145, 3)
    assert picture[5, 53].tolist() == [46, 140, 87]  # the agent's cell
    assert (picture[97:144, 1:48] == [43, 45, 66]).all(axis=2).sum() == 25 * 20  # ink of the b


def test_a_batch_moves_as_its_grids_one_by_one() -> None:
    """Observations, rewards, ends and memory agree on recorded actions, over many episodes."""
    spec = loads(
        "env: {labels: environment}\npropositions: {a: label.a, b: label.b, c: label.c}\n"
        "reward: {ltl: F(a & X F b) & G !c, accept: 1, reject: -1}"
    )
    for centred in (True, False):
        count, horizon, pool = 6, 30, 16
        tenv = LetterWorldBatch(count, size=5, letters="aabbcde", pool=pool, horizon=horizon, centred=centred)
        batch = wrap_tensor(tenv, spec)
        maps = list(range(count))
        layouts = tenv.layouts.reshape(pool, 5, 5).numpy()
        wrapped = [wrap(LetterWorld(size=5, letters="aabbcde", centred=centred), spec) for _ in maps]
        for i, env in enumerate(wrapped):
            env.reset(options={"layout": layouts[maps[i]]})
        batch.reset()
        rng, length, paid = np.random.default_rng(0), [0] * count, set()
        for _ in range(200):
            actions = rng.integers(4, size=count)
            _, reward, terminated, truncated, infos = batch.step(torch.tensor(actions))
            for i, env in enumerate(wrapped):
                obs, one, ended, _, _ = env.step(int(actions[i]))
                for key, part in obs.items():
                    assert (infos["final_obs"][key][i].numpy() == part).all()
                length[i] += 1
                assert (float(reward[i]), bool(terminated[i])) == (one, ended)
                assert bool(truncated[i]) == (length[i] == horizon)
                paid.add(one)
                if ended or truncated[i]:
                    maps[i], length[i] = (maps[i] + count) % pool, 0
                    env.reset(options={"layout": layouts[maps[i]]})
        assert paid == {-1.0, 0.0, 1.0}


def test_a_batch_with_a_map_seed_plays_the_same_layout_as_the_world() -> None:
    tenv = LetterWorldBatch(3, map_seed=5)
    seen = tenv.reset(torch.ones(3, dtype=torch.bool))
    assert tenv.label_names == tuple(sorted(set(LETTERS)))
    assert (seen.numpy() == LetterWorld(map_seed=5).reset()[0]).all()
    assert seen.dtype == torch.uint8 and tenv.single_observation_space.contains(seen[0].numpy())
