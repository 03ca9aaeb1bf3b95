"""Games of several agents: PettingZoo accepts them, and their batches move, pay and end alike, step for step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

from envs.drivers import DRIVERS
from envs.game_batches import game_batch, parallel_game
from envs.overtaking import OVERTAKE, Overtaking
from envs.parallel_batch import ParallelBatch
from envs.stag_hunt import StagHunt
from rewardspec.errors import MismatchError
from rewardspec.games.text import load_game

EXAMPLES = Path(__file__).parents[2] / "examples" / "games"
GAMES: list[tuple[str, dict[str, Any]]] = [
    ("stag_hunt", {}),
    ("stag_hunt", {"size": 3, "alone": -2.0}),
    ("overtaking", {}),
    (str(EXAMPLES / "chicken.yaml"), {"rounds": 3}),
    (str(EXAMPLES / "three_hunters.yaml"), {}),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "arguments"), GAMES, ids=lambda value: Path(str(value)).stem[:20])
def test_pettingzoo_has_nothing_against_it(name: str, arguments: dict[str, Any]) -> None:
    parallel_api_test(parallel_game(name, **arguments), num_cycles=100)
    parallel_seed_test(lambda: parallel_game(name, **arguments), num_cycles=50)


@pytest.mark.parametrize(("name", "arguments"), GAMES, ids=lambda value: Path(str(value)).stem[:20])
def test_a_batch_is_the_game_many_times(name: str, arguments: dict[str, Any]) -> None:
    """The same random actions in both, until each episode is over."""
    lanes, rng = 32, np.random.default_rng(0)
    exact = {"dtype": "float64"} if name == "overtaking" else {}
    batch = game_batch(name, lanes, seed=3, **arguments, **exact)
    envs = [parallel_game(name, **arguments) for _ in range(lanes)]
    seen = batch.reset(torch.ones(lanes, dtype=torch.bool))
    for i, env in enumerate(envs):
        start = {"start": tuple(batch.starts[i].tolist())} if hasattr(batch, "starts") else None
        told, _ = env.reset(options=start)
        for j, agent in enumerate(batch.agents):
            assert told[agent] == pytest.approx(seen[i, j].numpy(), abs=1e-6)
    over = np.zeros(lanes, bool)
    for _ in range(batch.horizon):
        counts = [int(batch.action_space(agent).n) for agent in batch.agents]
        actions = np.stack([rng.integers(count, size=lanes) for count in counts], axis=1)
        seen, reward, terminated, truncated = batch.step(torch.as_tensor(actions))
        events = batch.events()
        for i in np.flatnonzero(~over):
            acts = dict(zip(batch.agents, actions[i].tolist(), strict=True))
            told, paid, ended, late, infos = envs[i].step(acts)
            for j, agent in enumerate(batch.agents):
                assert told[agent] == pytest.approx(seen[i, j].numpy(), abs=1e-5)
                assert paid[agent] == pytest.approx(reward[i, j].item(), abs=1e-5)
                assert (ended[agent], late[agent]) == (terminated[i].item(), truncated[i].item())
            happened = {name for name, holds in events.items() if holds[i]}
            assert happened == set(infos[batch.agents[0]].get("events", ()))
        over |= (terminated | truncated).numpy()
    assert over.all() and all(not env.agents for env in envs)


def test_a_batch_begins_anew_where_the_mask_says() -> None:
    batch = game_batch("stag_hunt", 2, size=3)
    first = batch.reset(torch.tensor([True, True]))
    batch.step(torch.tensor([[3, 3], [3, 3]]))
    seen = batch.reset(torch.tensor([True, False]))
    assert torch.equal(seen[0], first[0]) and not torch.equal(seen[1], first[1])


@pytest.mark.parametrize(
    ("first", "second", "paid"),
    [
        ((3, 2), (3, 2), (10, 10)),  # down and right: both on the stag
        ((2, 0), (2, 0), (4, 4)),  # right: a hare each
        ((3, 2), (2, 0), (0, 5)),  # one alone at the stag
        ((0, 0), (2, 0), (0, 5)),  # one who does nothing until sunset
    ],
)
def test_hunters_are_paid_by_what_they_have_chosen(first: Any, second: Any, paid: Any) -> None:
    env, rewards = StagHunt(size=3), {}
    env.reset()
    for a, b in zip(first, second, strict=True):
        if env.agents:
            _, rewards, *_ = env.step({"hunter_0": a, "hunter_1": b})
    assert tuple(rewards.values()) == paid and not env.agents


def test_both_hunters_see_the_grid_from_their_own_corner() -> None:
    env = StagHunt(size=3, render_mode="ansi")
    seen, _ = env.reset()
    assert (seen["hunter_0"] == seen["hunter_1"]).all()
    assert env.render() == "0h.\n.S.\n.h1"
    env.step({"hunter_0": 3, "hunter_1": 0})
    assert env.render() == ".h.\n0S.\n.h1"


def test_daring_pays_where_the_other_waits_and_both_lose_where_both_dare() -> None:
    def drive(first: str, second: str) -> tuple[float, float]:
        env, total = Overtaking(), np.zeros(2)
        seen, _ = env.reset(options={"start": (120.0, 10.0, 10.0)})
        while env.agents:
            acts = {
                agent: int(DRIVERS[name](torch.tensor(seen[agent])[None], *torch.full((2, 1), 0.99))[0])
                for agent, name in zip(("car_0", "car_1"), (first, second), strict=True)
            }
            seen, rewards, *_ = env.step(acts)
            total += list(rewards.values())
        return float(total[0]), float(total[1])

    both_dare, both_wait = drive("daring", "daring"), drive("patient", "patient")
    dares, waits = drive("daring", "patient")
    assert max(both_dare) < -9.0
    assert dares > both_wait[0] > 0.5 and waits > 0.5 and dares > 1.8


def test_a_car_stays_beside_its_lorry_rather_than_pulling_into_it() -> None:
    env = Overtaking()
    env.reset(options={"start": (150.0, 8.0, 8.0)})
    for _ in range(5):
        env.step({"car_0": OVERTAKE, "car_1": 0})
    assert abs(env._lead[0]) < 8.0
    env.step({"car_0": 0, "car_1": 0})
    assert env._y[0] == 1.0


def test_environments_of_others_make_a_batch_too() -> None:
    """Stepped one by one, chicken earns what its batch earns."""
    game = load_game(EXAMPLES / "chicken.yaml")
    slow = ParallelBatch(lambda: parallel_game(str(EXAMPLES / "chicken.yaml"), rounds=2), 3, horizon=2)
    slow.reset(torch.ones(3, dtype=torch.bool))
    acts = torch.tensor([[0, 1], [1, 1], [0, 0]])
    _, reward, terminated, truncated = slow.step(acts)
    assert reward.tolist() == [game.payoffs[:, a, b].tolist() for a, b in acts.tolist()]
    assert not (terminated | truncated).any()
    assert slow.step(acts)[3].all()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("stag_hnt", {}, "Did you mean 'stag_hunt'"),
        ("stag_hunt", {"size": 4}, "odd number"),
        ("stag_hunt", {"sise": 3}, "cannot be made"),
        (str(EXAMPLES / "chicken.yaml"), {"rounds": 0}, "once or more"),
    ],
)
def test_what_is_no_game(name: str, arguments: dict[str, Any], said: str) -> None:
    for make in (lambda: game_batch(name, 2, **arguments), lambda: parallel_game(name, **arguments)):
        with pytest.raises(MismatchError, match=said):
            make()


def test_agents_that_see_no_vectors_are_refused() -> None:
    from gymnasium import spaces

    class Odd:
        possible_agents = ("a", "b")

        def observation_space(self, agent: str) -> Any:
            return spaces.Box(0, 1, (2 if agent == "a" else 3,))

        def action_space(self, agent: str) -> Any:
            return spaces.Discrete(2)

    with pytest.raises(MismatchError, match="2 lengths") as caught:
        ParallelBatch(Odd, 1)
    assert caught.value.problems[0].code == "unfit-agents"


@pytest.mark.filterwarnings("ignore")
def test_highways_two_way_road_has_two_drivers() -> None:
    from envs.two_way import TwoWay

    env = TwoWay(horizon=2)
    seen, _ = env.reset(seed=0)
    assert {name: part.shape for name, part in seen.items()} == {"overtaker": (25,), "oncoming": (25,)}
    first, second = env._env.controlled_vehicles
    assert first.lane_index[0] == "a" and second.lane_index[0] == "b"
    before = second.position.copy()
    _, rewards, _, late, _ = env.step({"overtaker": 1, "oncoming": 4})
    assert second.position[0] < before[0] and second.speed < first.speed and not any(late.values())
    assert all(0.0 <= reward <= 1.0 for reward in rewards.values())
    assert all(env.step({"overtaker": 1, "oncoming": 1})[3].values()) and not env.agents
