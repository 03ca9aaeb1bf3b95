"""The gallery's tasks in WaterWorld, LetterWorld, FlatWorld and for the half-cheetah: doing them is paid."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from envs.flat_world import FlatWorld
from envs.letter_world import MOVES, LetterWorld
from envs.water_world import BALL_SPEED, BALLS, MOST_SPEED, SIZE, WaterWorld
from rewardspec import load, wrap
from rewardspec.environments import make_environment

SPECS = Path(__file__).parents[2] / "examples" / "specs"
NONE, UP, RIGHT, DOWN, LEFT = range(5)

# -- WaterWorld --------------------------------------------------------------------------------------------


def chase(obs: npt.NDArray[np.float32], colour: str) -> int:
    """Return the push that steers the agent towards the nearest ball of a colour, at a speed it can hold."""
    balls = obs[4:56].reshape(-1, 4)[:BALLS].astype(float)
    pair = balls[2 * "abcdef".index(colour) :][:2]
    ball = pair[np.hypot(pair[:, 0], pair[:, 1]).argmin()]
    gap, drift = ball[:2] * SIZE, ball[2:] * (MOST_SPEED + BALL_SPEED)
    wanted = np.clip(gap * 1.5, -60, 60) + drift  # relative velocity that is wanted, as a change
    axis = int(np.abs(wanted).argmax())
    if abs(wanted[axis]) < 20:
        return NONE
    return (RIGHT if wanted[axis] > 0 else LEFT) if axis == 0 else (UP if wanted[axis] > 0 else DOWN)


WATER = {1: "ab", 2: "cd", 3: "ef", 4: "abcd", 5: "cdef", 6: "abef", 7: "abcdef", 8: "abcdef"}
"""Task -> one of the orders in which its colours may be touched."""


@pytest.mark.parametrize("task", WATER)
def test_chasing_the_colours_in_order_does_the_task(task: int) -> None:
    for map_seed in (0, 1, 2):
        world = WaterWorld(map_seed=map_seed)
        env = wrap(world, load(SPECS / f"water_{task}.yaml"), observe="none")
        obs, _ = env.reset(seed=0)
        ahead, paid = deque(WATER[task]), 0.0
        for _ in range(600):
            obs, reward, terminated, _, _ = env.step(chase(obs, ahead[0]))
            paid += float(reward)
            if ahead[0] in world.labels() and len(ahead) > 1:
                ahead.popleft()
            if terminated:
                break
        assert (terminated, paid) == (True, 1.0)


def test_strict_tasks_end_at_the_first_wrong_colour() -> None:
    """Chasing the third colour first touches a wrong one on the way, or that one itself."""
    for task, colour in ((9, "c"), (10, "f")):
        env = wrap(WaterWorld(map_seed=0), load(SPECS / f"water_{task}.yaml"), observe="none")
        obs, _ = env.reset(seed=0)
        for _ in range(600):
            obs, reward, terminated, _, _ = env.step(chase(obs, colour))
            assert reward == 0
            if terminated:
                break
        assert env.machine_states == {"strict_order": "missed"}


# -- LetterWorld -------------------------------------------------------------------------------------------


def way_to(world: LetterWorld, letter: str, shunned: str) -> list[int]:
    """Return the shortest way to a letter past all cells with `shunned` letters."""
    table = world.layout
    names = np.array([*world.label_names, ""])[table]
    ways: dict[int, list[int]] = {world._cell: []}
    ahead = deque(ways)
    while ahead:
        cell = ahead.popleft()
        for action, (down, right) in enumerate(MOVES):
            row, column = (cell // 7 + down) % 7, (cell % 7 + right) % 7
            if names[row, column] == letter:
                return [*ways[cell], action]
            if row * 7 + column not in ways and names[row, column] not in [*shunned]:
                ways[row * 7 + column] = [*ways[cell], action]
                ahead.append(row * 7 + column)
    raise LookupError(letter)


def test_reaching_letters_and_avoiding_others_is_paid() -> None:
    spec = load(SPECS / "letter_reach_avoid.yaml")
    for seed in range(5):
        world = LetterWorld()
        env = wrap(world, spec)
        env.reset(seed=seed)
        rewards = [float(env.step(action)[1]) for action in way_to(world, "a", "b")]
        outcomes = [env.step(action) for action in way_to(world, "c", "d")]
        rewards += [float(outcome[1]) for outcome in outcomes]
        assert outcomes[-1][2]
        assert env.verdicts == {"task": "satisfied for good"}
        assert sorted(rewards)[-1] == rewards[-1] > 1.0
        assert sorted(rewards)[-2] == rewards[-1 - len(outcomes)] > 0.1  # the progress of having met a


def test_patrolling_letters_is_paid_at_every_turn() -> None:
    world = LetterWorld()
    env = wrap(world, load(SPECS / "letter_patrol.yaml"))
    env.reset(seed=3)
    paid = []
    for letter in "abab":
        rewards = [float(env.step(action)[1]) for action in way_to(world, letter, "abc".replace(letter, ""))]
        paid.append(rewards)
    assert [sum(rewards) for rewards in paid] == [1.0] * 4
    assert [rewards[-1] for rewards in paid] == [1.0] * 4
    _, reward, terminated, _, _ = [env.step(action) for action in way_to(world, "c", "")][-1]
    assert (reward, terminated) == (-1.0, True)


# -- FlatWorld ---------------------------------------------------------------------------------------------


def steer(env: Any, start: tuple[float, float], *points: tuple[float, float]) -> list[tuple[float, bool]]:
    """Go from point to point in straight lines; return what each step paid and whether it ended."""
    obs, _ = env.reset(options={"start": start})
    outcomes: list[tuple[float, bool]] = []
    for point in points:
        while np.abs(np.subtract(point, obs)).max() > 0.05:
            gap = np.subtract(point, obs)
            obs, reward, terminated, _, _ = env.step(gap / max(np.abs(gap).max(), 0.08))
            outcomes.append((float(reward), terminated))
            if terminated:
                return outcomes
    return outcomes


def test_red_then_green_around_blue_is_paid() -> None:
    env = wrap(FlatWorld(), load(SPECS / "flat_sequence.yaml"), observe="none", detail=True)
    outcomes = steer(env, (0.0, -1.8), (0.5, -1.3), (1.5, -1.3), (1.5, -0.8))
    assert outcomes[-1][1]
    assert env.verdicts == {"task": "satisfied so far"}
    outcomes = steer(env, (0.0, -1.8), (0.5, -1.3), (0.1, 0.0))
    assert outcomes[-1] == (pytest.approx(-1.0, abs=1.0), True)
    assert env.verdicts == {"task": "violated for good"}


def test_a_round_past_red_is_paid_disc_by_disc() -> None:
    env = wrap(FlatWorld(), load(SPECS / "flat_patrol.yaml"), observe="none")
    round_trip = ((-1.0, -1.2), (-1.5, -0.5), (-0.5, 0.0), (-0.7, 1.3))
    rewards = [reward for reward, _ in steer(env, (0.0, -1.8), *round_trip)]
    assert (rewards.count(1.0), sum(rewards)) == (4, 4.0)  # a second step on magenta begins the next round
    outcomes = steer(env, (0.0, -1.8), (-1.0, -1.2), (-1.5, -0.5), (-1.4, 0.5))
    assert outcomes[-1] == (-1.0, True)


# -- the half-cheetah --------------------------------------------------------------------------------------


def half_cheetah(name: str) -> Any:
    spec = load(SPECS / f"{name}.yaml")
    assert spec.env is not None and spec.env.id is not None
    env = wrap(make_environment(spec.env.id, **spec.env.kwargs), spec)
    env.reset(seed=0)
    return env


def put(env: Any, x: float) -> tuple[float, float, bool]:
    """Put the cheetah at `x`, step, and return the reward, what the control costs, and whether it ended."""
    inner = env.unwrapped
    position = inner.data.qpos.copy()
    position[0] = x
    inner.set_state(position, 0 * inner.data.qvel)
    _, reward, terminated, _, info = env.step(np.full(6, 0.5, np.float32))
    assert abs(info["x_position"] - x) < 0.5
    return float(reward), float(info["reward_ctrl"]), bool(terminated)


def test_there_and_back_pays_a_thousand_for_every_return() -> None:
    """What is not paid is charged: gymnasium's own control cost, as in the published machine."""
    env, states = half_cheetah("half_cheetah_there_and_back"), []
    for x in (0.0, 1.4, 2.6, 0.0, -1.4, -2.6, -2.6, 2.6, -2.6):
        reward, control, terminated = put(env, x)
        states.append((env.machine_states["laps"], reward == 1000.0))
        assert reward == 1000.0 or reward == pytest.approx(control)
        assert not terminated
    assert [state for state, _ in states] == ["forward", "forward", "back", "back", "back", "forward",
                                              "forward", "back", "forward"]  # fmt: skip
    assert [paid for _, paid in states] == [False] * 5 + [True] + [False] * 2 + [True]


def test_marks_pay_a_thousand_at_the_last_one_only() -> None:
    env, states = half_cheetah("half_cheetah_marks"), []
    for x in (1.4, 2.6, 4.6, 3.4, 6.6, 8.6, 9.4, 10.6):
        reward, control, terminated = put(env, x)
        assert reward == (1000.0 if terminated else pytest.approx(control))
        states.append(env.machine_states["run"])
    assert states == ["to 2", "to 4", "to 6", "to 6", "to 8", "to 10", "to 10", "there"]
    assert terminated
