"""WaterWorld: how balls drift and what touching them says, alone and in batches, and the ten tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  # registers the worlds
from envs.water_world import (
    BALL_SPEED,
    BALLS,
    HIGH,
    LOW,
    MOST_SPEED,
    RADIUS,
    SIZE,
    WaterWorld,
    WaterWorldBatch,
    draw_layout,
)
from rewardspec import load, wrap
from rewardspec.compiler import compile_spec
from rewardspec.wrappers.tensor import wrap_tensor

SPECS = Path(__file__).parents[2] / "examples" / "specs"
NONE, UP, RIGHT, DOWN, LEFT = range(5)


def layout(agent: tuple[float, ...], **balls: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return a layout with `agent`, and the first ball of each named colour where it is told; others far away."""
    made = np.tile([SIZE - RADIUS, SIZE - RADIUS, 0.0, 0.0], (1 + BALLS, 1))
    made[0] = agent
    for name, ball in balls.items():
        made[1 + 2 * WaterWorld.label_names.index(name)] = ball
    return made


def bodies(obs: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the agent `[4]` and the balls `[12, 4]` of an observation, in the box's own units."""
    agent = obs[:4].astype(float) * [SIZE, SIZE, MOST_SPEED, MOST_SPEED]
    most = MOST_SPEED + BALL_SPEED
    return agent, obs[4:].astype(float).reshape(BALLS, 4) * [SIZE, SIZE, most, most] + agent


def trace(env: WaterWorld, actions: list[int]) -> list[str]:
    return ["".join(sorted(env.labels())) for action in actions if env.step(action)]


def test_gymnasium_has_nothing_against_it() -> None:
    for map_seed in (0, None):
        check_env(gym.make("rewardspec/WaterWorld-v0", map_seed=map_seed, render_mode="ansi").unwrapped)


def test_maps_keep_balls_apart_and_at_their_speed() -> None:
    for seed in range(11):
        made = draw_layout(seed)
        gaps = np.linalg.norm(made[:, None, :2] - made[None, :, :2], axis=2) + 1e9 * np.eye(1 + BALLS)
        assert gaps.min() >= 2 * RADIUS
        assert gaps[0].min() > 4 * RADIUS
        assert np.hypot(made[1:, 2], made[1:, 3]) == pytest.approx(BALL_SPEED)
        assert (made[0, 2:] == 0).all()


def test_a_map_seed_makes_every_episode_alike_and_none_makes_another() -> None:
    fixed, other = WaterWorld(map_seed=3), WaterWorld(map_seed=None)
    assert (fixed.reset(seed=1)[0] == fixed.reset(seed=2)[0]).all()
    first = other.reset(seed=1)[0]
    assert (first != other.reset()[0]).any()
    assert (first == other.reset(seed=1)[0]).all()


def test_balls_keep_their_speed_along_each_axis_and_stay_in_the_box() -> None:
    """A bounce turns a velocity round and changes nothing else; the agent's pushes move no ball."""
    env = WaterWorld(map_seed=1)
    obs, _ = env.reset()
    speed, rng = np.abs(bodies(obs)[1][:, 2:]), np.random.default_rng(0)
    turned = 0
    for _ in range(600):
        before = bodies(obs)[1]
        obs, *_ = env.step(int(rng.integers(5)))
        agent, balls = bodies(obs)
        assert np.abs(balls[:, 2:]) == pytest.approx(speed, abs=1e-3)
        assert (np.abs(agent[2:]) <= MOST_SPEED + 1e-3).all()
        assert (balls[:, :2] >= LOW - 1e-3).all() and (balls[:, :2] <= HIGH + 1e-3).all()
        turns = np.sign(before[:, 2:]) != np.sign(balls[:, 2:])
        at_wall = (np.abs(balls[:, :2] - LOW) < 1e-3) | (np.abs(balls[:, :2] - HIGH) < 1e-3)
        assert (turns <= at_wall).all(), "a ball turned in mid-water"
        turned += int(turns.sum())
    assert turned > 20
    assert env.observation_space.contains(obs)


def test_pushes_add_up_to_the_greatest_speed_and_a_wall_turns_the_agent() -> None:
    env = WaterWorld()
    env.reset(options={"layout": layout((200.0, 200.0, 0.0, 0.0))})
    speeds = [bodies(env.step(UP)[0])[0][3] for _ in range(4)]
    assert speeds == pytest.approx([30, 60, 90, 90], abs=1e-3)
    env.reset(options={"layout": layout((20.0, 200.0, -60.0, 0.0))})
    agent, _ = bodies(env.step(NONE)[0])
    assert agent == pytest.approx([RADIUS, 200, 60, 0], abs=1e-3)


def test_a_touch_is_said_once_and_again_after_parting() -> None:
    """The ball comes by at 10 a step and is touched from 30 away on, for six steps."""
    env = WaterWorld()
    env.reset(options={"layout": layout((200.0, 200.0, 0.0, 0.0), c=(245.0, 200.0, -100.0, 0.0))})
    assert trace(env, [NONE] * 12) == ["", "c", *[""] * 10]
    env.reset(options={"layout": layout((200.0, 200.0, 0.0, 0.0), c=(245.0, 200.0, -100.0, 0.0))})
    assert trace(env, [NONE, NONE])[-1] == "c"


def test_a_new_episode_remembers_no_touch() -> None:
    """A ball that is touched when one episode ends and when the next begins is touched anew."""
    near = layout((200.0, 200.0, 0.0, 0.0), c=(225.0, 200.0, 0.0, 0.0))
    env = WaterWorld()
    tenv = WaterWorldBatch(1, dtype="float64")
    tenv._maps = torch.tensor(near[None])
    for _ in range(2):
        env.reset(options={"layout": near})
        assert env.labels() == set()
        assert trace(env, [NONE, NONE]) == ["c", ""]
        tenv.reset(torch.ones(1, dtype=torch.bool))
        said = []
        for _ in range(2):
            tenv.step(torch.tensor([NONE]))
            labels: Any = tenv.label(None)  # type: ignore[arg-type]
            said.append(bool(labels["c"]))
        assert said == [True, False]


def test_two_colours_can_be_touched_at_once() -> None:
    env = WaterWorld()
    balls = {"a": (200.0, 240.0, 0.0, -100.0), "f": (200.0, 160.0, 0.0, 100.0)}
    env.reset(options={"layout": layout((200.0, 200.0, 0.0, 0.0), **balls)})
    assert trace(env, [NONE] * 3) == ["af", "", ""]


def test_a_layout_of_another_shape_and_a_wrong_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        WaterWorld().reset(options={"layout": np.zeros((3, 4))})
    with pytest.raises(ValueError, match="layout"):
        WaterWorld().reset(options={"maps": 3})
    with pytest.raises(ValueError, match="render_mode"):
        WaterWorld(render_mode="human")


def test_pictures_show_the_agent_and_every_ball() -> None:
    placed = layout((100.0, 300.0, 0.0, 0.0), a=(300.0, 100.0, 0.0, 0.0))
    env = WaterWorld(render_mode="rgb_array")
    env.reset(options={"layout": placed})
    picture = env.render()
    assert picture.shape == (400, 400, 3)
    assert picture[300, 300].tolist() == [214, 48, 49]  # the red ball, below on the right
    assert picture[100, 87].max() < 60 and picture[100, 100].min() > 240  # the ring, above on the left
    text = WaterWorld(render_mode="ansi")
    text.reset(options={"layout": placed})
    rows = text.render().splitlines()
    assert "@" in rows[5][1:20] and "a" in rows[16][20:]


# -- in batches --------------------------------------------------------------------------------------------


def test_a_batch_moves_as_its_boxes_one_by_one() -> None:
    """Observations, labels, rewards and ends agree on recorded actions, over several episodes."""
    spec, count, horizon = load(SPECS / "water_7.yaml"), 5, 40
    tenv = WaterWorldBatch(count, map_seed=None, pool=12, horizon=horizon, dtype="float64")
    batch = wrap_tensor(tenv, spec, dtype="float64")
    singles = [WaterWorld() for _ in range(count)]
    wrapped = [wrap(env, spec, observe="none") for env in singles]
    maps = list(range(count))
    for i, env in enumerate(wrapped):
        env.reset(options={"layout": draw_layout(maps[i])})
    batch.reset()
    rng, said = np.random.default_rng(0), 0
    for step in range(8 * horizon):
        actions = rng.integers(5, size=count)
        _, reward, terminated, truncated, infos = batch.step(torch.tensor(actions))
        for i, env in enumerate(wrapped):
            obs, paid, ended, _, _ = env.step(int(actions[i]))
            said += len(singles[i].labels())
            assert infos["final_obs"][i, : len(obs)].numpy() == pytest.approx(obs, abs=1e-6)
            assert (float(reward[i]), bool(terminated[i])) == (paid, ended)
            assert bool(truncated[i]) == (step % horizon == horizon - 1)
            if ended or truncated[i]:
                maps[i] = (maps[i] + count) % 12
                env.reset(options={"layout": draw_layout(maps[i])})
    assert said > 20


def test_a_batch_says_the_labels_of_its_boxes() -> None:
    count = 8
    tenv = WaterWorldBatch(count, map_seed=0, dtype="float64")
    tenv.reset(torch.ones(count, dtype=torch.bool))
    singles = [WaterWorld(map_seed=0) for _ in range(count)]
    for env in singles:
        env.reset()
    rng, said = np.random.default_rng(1), set[str]()
    for _ in range(300):
        actions = rng.integers(5, size=count)
        tenv.step(torch.tensor(actions))
        labels: Any = tenv.label(None)  # type: ignore[arg-type]
        for i, env in enumerate(singles):
            env.step(int(actions[i]))
            true = {name for name, holds in labels.items() if holds[i]}
            assert true == env.labels()
            said |= true
    assert said == set(WaterWorld.label_names)


def test_single_precision_stays_close_for_an_episode() -> None:
    count = 16
    rough, exact = (WaterWorldBatch(count, map_seed=2, dtype=dtype) for dtype in ("float32", "float64"))
    everyone = torch.ones(count, dtype=torch.bool)
    assert rough.reset(everyone).dtype == torch.float32 and exact.reset(everyone).dtype == torch.float64
    generator = torch.Generator().manual_seed(0)
    for _ in range(600):
        action = torch.randint(5, (count,), generator=generator)
        near, right = rough.step(action)[0], exact.step(action)[0]
    assert torch.allclose(near.double(), right, atol=1e-3)


# -- the ten tasks -----------------------------------------------------------------------------------------

PUBLISHED_STATES = {1: 3, 2: 3, 3: 3, 4: 9, 5: 9, 6: 9, 7: 27, 8: 16, 9: 4, 10: 4}
"""Task -> states of its machine in the repository of Toro Icarte et al., terminal states included."""


@pytest.mark.parametrize("task", PUBLISHED_STATES)
def test_tasks_have_as_many_machine_states_as_the_published_ones(task: int) -> None:
    """Machines of several factors count by their product, whose ends are one; ours of 9 and 10 name a failure."""
    program = compile_spec(load(SPECS / f"water_{task}.yaml"))
    states = 1
    for machine in program.machines:
        states *= len(machine.states)
    assert states == PUBLISHED_STATES[task] + (task in (9, 10))
