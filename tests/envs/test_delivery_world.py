"""The DeliveryWorld: the published board and its values, its rules, three forms that agree, and the spec's reward."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from envs.batches import batch
from envs.delivery_world import BOARD, CODES, WEIGHTS, DeliveryWorld, draw_delivery
from envs.grid import DOWN, LEFT, RIGHT, UP
from rewardspec import MismatchError, compile_spec, from_data, load, loads
from rewardspec.environments import make_environment
from rewardspec.tabular.batch import TabularBatch
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import evaluate, solve
from rewardspec.tabular.world import tabulate

SPEC = Path(__file__).parents[2] / "examples" / "specs" / "delivery.yaml"


def at(row: int, column: int) -> tuple[int, int]:
    """Return the state of a cell of the published board, by row from above and column."""
    return column, 9 - row


# -- the published board -----------------------------------------------------------------------------------


def test_the_board_is_the_published_one() -> None:
    """Checked by eye against the paper's codes; this holds it fast."""
    env = DeliveryWorld(render_mode="ansi")
    env.reset(options={"start": at(9, 0)})
    assert env.render() == "\n".join(
        [
            "┌───────────────────┐",
            "│. . % . . . . . . .│",
            "│. . . . $ . . . . :│",
            "│. . s . . . . : : :│",
            "│$ . % . H s s : : .│",
            "│: : . . . . . . . .│",
            "│: . $ . . . . . . .│",
            "│: H . s % H . . . .│",
            "│. $ . . . . . $ : :│",
            "│. . % . . . . : : G│",
            "│@ . . . . . % . . $│",
            "└───────────────────┘",
        ]
    )
    assert len(env.starts) == 92 and len(env.states) == 97


def test_its_values_are_the_published_ones() -> None:
    """An independent implementation's figures, to 1e-3, with a discount of 0.999."""
    env = DeliveryWorld()
    product = take_product(compile_spec(load(SPEC)), tabulate(env))
    solution = solve(product)
    value = dict(zip(env.states, solution.values[0], strict=True))
    assert solution.value == pytest.approx(41.2079, abs=1e-3)
    told = {(0, 0): 33.3363, (9, 9): 50, (9, 0): 40.5847, (4, 4): 40.6363, (0, 9): 39.6790, (3, 0): 35.4415}
    assert {cell: value[at(*cell)] for cell in told} == pytest.approx(told, abs=1e-3)
    blind = evaluate(product, np.ones((1, 97, 4)))
    assert blind[0] @ product.world.start == pytest.approx(-71.257, abs=1e-3)


def test_the_world_pays_what_the_spec_declares() -> None:
    world = tabulate(DeliveryWorld())
    product = take_product(compile_spec(load(SPEC)), world)
    assert (product.reward[0] == world.reward).all()
    data = load(SPEC).to_data()
    assert {term["name"]: term["weight"] for term in data["reward"]} == WEIGHTS
    data["reward"][0]["weight"] = -1.5
    cheaper = take_product(compile_spec(from_data(data)), world)
    assert (cheaper.reward[0] != world.reward).any(), "the comparison sees a wrong weight"


# -- the rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "move", "then", "true", "reward", "ends"),
    [
        ((0, 0), RIGHT, (0, 1), {"gas"}, -1, False),
        ((0, 0), UP, (0, 0), {"gas"}, -1, False),
        ((4, 2), LEFT, (4, 1), {"brick"}, -2, False),
        ((4, 0), LEFT, (4, 0), {"brick"}, -2, False),
        ((4, 1), UP, (3, 1), {"gas"}, -1, False),
        ((3, 1), LEFT, (3, 0), {"gas", "coin"}, 0, False),
        ((3, 0), LEFT, (3, 0), {"gas"}, -1, False),  # nobody enters the coin's cell
        ((7, 6), RIGHT, (7, 7), {"brick", "coin"}, -1, False),
        ((6, 6), LEFT, (6, 6), {"gas"}, -1, False),  # a house
        ((7, 4), UP, (6, 4), {"gas", "roadblock"}, -2, False),
        ((6, 4), RIGHT, (6, 4), {"gas"}, -1, False),  # a house, from a roadblock
        ((1, 2), DOWN, (2, 2), {"sheep"}, -50, True),
        ((9, 9), UP, (8, 9), {"goal"}, 50, True),
    ],
)
def test_what_a_step_does_and_pays(
    cell: Any, move: int, then: Any, true: set[str], reward: float, ends: bool
) -> None:
    assert DeliveryWorld().rules(at(*cell), move) == (at(*then), frozenset(true), reward, ends)


def test_codes_of_bricks_are_those_of_roads_and_six() -> None:
    for code in range(6):
        assert CODES[code][0] == "gas" and CODES[code + 6] == ("brick", CODES[code][1])


def test_bricks_cost_in_place_of_gas_whatever_is_on_them() -> None:
    env = DeliveryWorld(board=[[0, 9, 10, 11, 7]], weights={"brick": -3, "goal": 10})
    assert [env.rules((x, 0), RIGHT)[2:] for x in (1, 2, 3)] == [(-2, False), (-4, False), (10, True)]
    assert env.rules((0, 0), RIGHT)[1:] == (frozenset({"sheep"}), -50, True)


def test_three_forms_agree_on_recorded_actions() -> None:
    """Transition for transition: the Python world, its table, and the batch on a device."""
    env = DeliveryWorld(map_seed=1)
    world = env.table()
    copies = TabularBatch(world, 2)
    rng, state, endings = np.random.default_rng(0), None, 0
    everyone = torch.ones(2, dtype=torch.bool)
    for _ in range(2000):
        if state is None:
            obs, _ = env.reset(seed=int(rng.integers(1 << 30)))
            state = env.states.index(tuple(int(part) for part in obs))
            copies.reset(everyone)
            copies.state.fill_(state)
        action = int(rng.integers(4))
        obs, reward, terminated, _, _ = env.step(action)
        assert (world.reward[state, action, 0], world.terminated[state, action, 0]) == (reward, terminated)
        assert world.names(int(world.label[state, action, 0])) == env.labels()
        seen, paid, over, _ = copies.step(torch.full((2,), action))
        assert (seen.numpy() == obs).all() and paid.tolist() == [reward] * 2
        assert over.tolist() == [terminated] * 2
        said = copies.label(None)  # type: ignore[arg-type]
        assert {name for name in env.label_names if bool(said[name][1])} == env.labels()
        state = None if terminated else int(copies.state[0])
        endings += terminated
    assert endings > 20


def test_there_is_a_batch_by_its_id() -> None:
    copies = batch("rewardspec/DeliveryWorld-v0", 500, seed=1)
    first = copies.reset(torch.ones(500, dtype=torch.bool))
    places = {tuple(place) for place in first.tolist()}
    assert len(places) > 80 and places <= set(DeliveryWorld().starts)


# -- random boards -----------------------------------------------------------------------------------------


def test_random_boards_are_drawn_from_the_published_lists() -> None:
    sizes, weights = collections.Counter(), collections.defaultdict(set)
    for seed in range(150):
        drawn = draw_delivery(seed)
        codes = collections.Counter(code for row in drawn.board for code in row)
        height, width = len(drawn.board), len(drawn.board[0])
        sizes[height, width] += 1
        assert codes[1] == 1 and set(codes) <= {0, 1, 3, 4, 5}
        for code, shares in {3: (0, 0.1, 0.3), 5: (0, 0.1, 0.5, 0.8), 4: (0, 0.1, 0.2)}.items():
            assert codes[code] in [int(share * height * width) for share in shares]
        for name, weight in drawn.weights.items():
            weights[name].add(weight)
    assert set(sizes) == {(height, width) for height in (3, 6, 10, 15) for width in (5, 6, 10)}
    assert weights == {
        "gas": {-1},
        "goal": {0, 1, 5, 10, 50},
        "sheep": {-5, -10, -50, -100},
        "coin": {1},
        "roadblock": {-2, -5, -10},
        "brick": {-1, -2, -3},
    }


def test_a_seed_says_the_board_and_the_weights() -> None:
    env = DeliveryWorld(map_seed=4)
    assert (env.board, env.weights) == (draw_delivery(4).board, draw_delivery(4).weights)
    assert DeliveryWorld(map_seed=5).board != env.board != BOARD == DeliveryWorld().board
    assert DeliveryWorld(map_seed=4, weights={"goal": 7}).weights == {**env.weights, "goal": 7}


# -- promises ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("observe", ["position", "index"])
def test_gymnasiums_checker_is_content(observe: str) -> None:
    check_env(
        make_environment("rewardspec/DeliveryWorld-v0", observe=observe, render_mode="rgb_array").unwrapped
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"map_seed": -1}, "map_seed is a whole number"),
        ({"map_seed": 1, "board": [[0, 1]]}, "exclude each other"),
        ({"board": [[0, 1], [0]]}, "same length"),
        ({"board": []}, "one row or more"),
        ({"board": [[0, 12]]}, "row 0 of the board holds 12"),
        ({"board": [[0] * 300]}, "at most 256"),
        ({"board": [[1, 2, 3]]}, "no cell in which an episode could start"),
        ({"weights": {"sheeps": 1}}, "not of 'sheeps'"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(MismatchError, match=reason):
        make_environment("rewardspec/DeliveryWorld-v0", **wrong)


def test_a_drawing_shows_bricks_and_what_is_on_them() -> None:
    def painted(*codes: int) -> Any:
        env = DeliveryWorld(board=[[0, *codes]], render_mode="rgb_array")
        env.reset(options={"start": (0, 0)})
        return env.render()

    pictures = {painted(code).tobytes() for code in CODES}
    assert len(pictures) == len(CODES), "every code has a look of its own"


def test_a_spec_can_set_board_and_weights() -> None:
    text = (
        "env: {id: rewardspec/DeliveryWorld-v0, kwargs: {board: [[0, 6, 1], [2, 2, 2]], weights: {goal: 5}}}\n"
        "reward: reward"
    )
    spec = loads(text)
    assert spec.env is not None
    env = make_environment("rewardspec/DeliveryWorld-v0", **spec.env.kwargs)
    env.reset(options={"start": (0, 1)})
    assert [env.step(RIGHT)[1] for _ in range(2)] == [-2, 5]
