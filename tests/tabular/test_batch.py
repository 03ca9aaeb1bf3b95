"""Batches of finite worlds: the table's transitions, seeded chance, and nothing that a CUDA graph cannot capture."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rewardspec import MismatchError, loads
from rewardspec.tabular.batch import TabularBatch
from rewardspec.tabular.world import TabularWorld, from_outcomes, tabulate
from rewardspec.wrappers.tensor import wrap_tensor

B = 6


def dice(seed: int = 0, num_envs: int = B, **more: Any) -> TabularBatch:
    """Two states and chance: from either, 0.25 stay, 0.6 to the other, 0.15 over; odd outcomes are labelled."""
    outcomes = {
        s: {0: [(0.25, s, 1.0, False), (0.6, 1 - s, 2.0, False), (0.15, s, 3.0, True)]} for s in (0, 1)
    }
    labels = {"odd": np.array([True, False, True]), "other": np.array([False, True, False])}
    world = from_outcomes(outcomes, np.array([0.25, 0.75]), labels=labels, horizon=4)
    return TabularBatch(world, num_envs, seed=seed, **more)


def everyone(batch: TabularBatch) -> torch.Tensor:
    return torch.ones(batch.num_envs, dtype=torch.bool)


def rollout(batch: TabularBatch, steps: int = 20) -> list[tuple[Any, ...]]:
    ended, seen = everyone(batch), []
    for _ in range(steps):
        first = batch.reset(ended).clone()
        obs, reward, terminated, truncated = batch.step(torch.zeros(batch.num_envs, dtype=torch.int64))
        ended = terminated | truncated
        seen.append((first, obs, reward, terminated, truncated))
    return seen


def same(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v3"])
def test_every_step_is_an_outcome_of_the_table(env_id: str) -> None:
    world = tabulate(gym.make(env_id))
    batch = TabularBatch(world, 32, seed=1)
    rng = np.random.default_rng(0)
    ended = everyone(batch)
    for _ in range(200):
        state = batch.reset(ended).numpy().copy()
        action = rng.integers(0, world.n_actions, 32)
        obs, reward, terminated, truncated = batch.step(torch.as_tensor(action))
        for i in range(32):
            row = (state[i], action[i])
            possible = zip(
                world.next_state[row],
                world.reward[row],
                world.terminated[row],
                world.probability[row],
                strict=True,
            )
            seen = (int(obs[i]), float(reward[i]), bool(terminated[i]))
            assert any(p > 0 and seen == (t, np.float32(r), e) for t, r, e, p in possible)
        ended = terminated | truncated


def test_an_episode_is_cut_at_the_horizon_and_begins_again() -> None:
    world = tabulate(gym.make("CliffWalking-v1", max_episode_steps=3))
    batch = TabularBatch(world, 2)
    batch.reset(everyone(batch))
    up = torch.zeros(2, dtype=torch.int64)
    cut = [batch.step(up)[3].tolist() for _ in range(3)]
    assert cut == [[False] * 2, [False] * 2, [True] * 2]
    assert batch.reset(torch.tensor([True, False])).tolist() == [36, 0]
    assert batch.steps.tolist() == [0, 3]


def test_outcomes_come_as_often_as_they_should() -> None:
    batch = dice(num_envs=50_000)
    assert batch.reset(everyone(batch)).float().mean().item() == pytest.approx(0.75, abs=0.01)
    _, reward, terminated, _ = batch.step(torch.zeros(50_000, dtype=torch.int64))
    shares = [(reward == paid).float().mean().item() for paid in (1, 2, 3)]
    assert shares == pytest.approx([0.25, 0.6, 0.15], abs=0.01)
    assert torch.equal(terminated, reward == 3)


def test_chance_is_independent_between_environments_and_between_steps() -> None:
    draws = torch.stack([reward for _, _, reward, _, _ in rollout(dice(num_envs=4000), 40)]) - 1.9
    assert abs(float((draws[:-1] * draws[1:]).mean())) < 0.01
    assert abs(float((draws[:, :-1] * draws[:, 1:]).mean())) < 0.01


def test_an_impossible_outcome_never_happens() -> None:
    """Three outcomes of a third sum to less than 1 in floating point; the fourth has probability 0."""
    third = 1.0 / 3.0
    outcomes = {0: {0: [*[(third, 0, 0.0, False)] * 3, (0.0, 0, 9.0, True)]}}
    batch = TabularBatch(from_outcomes(outcomes, np.array([1.0])), 1)
    assert batch._thresholds[0].tolist() == pytest.approx([third, 2 * third, 2.0])


def test_the_seed_decides() -> None:
    assert same(rollout(dice(seed=3)), rollout(dice(seed=3)))
    assert not same(rollout(dice(seed=3)), rollout(dice(seed=4)))
    assert same(rollout(dice(seed=-1)), rollout(dice(seed=2**63 - 1)))


def test_an_environment_draws_the_same_whatever_the_batch() -> None:
    few, many = rollout(dice(num_envs=2)), rollout(dice(num_envs=9))
    assert same(few, [tuple(part[:2] for part in step) for step in many])


def test_a_checkpoint_goes_on_as_it_would_have() -> None:
    batch = dice()
    rollout(batch, 7)
    saved = batch.state_dict()
    onwards = rollout(batch, 7)
    other = dice(seed=99)
    other.load_state_dict(saved)
    assert same(rollout(other, 7), onwards)
    assert not torch.equal(saved["draws"], batch.state_dict()["draws"]), "a checkpoint must be a copy"


def test_labels_are_those_of_the_last_step() -> None:
    batch = dice()
    reward = rollout(batch, 3)[-1][2]
    said = batch.label(None)  # type: ignore[arg-type]
    assert list(said) == ["odd", "other"]
    assert torch.equal(said["odd"], reward != 2) and torch.equal(said["other"], reward == 2)
    assert "even" not in said
    with pytest.raises(KeyError):
        said["even"]


SPEC = """
env: {labels: environment}
propositions: {odd: label.odd, other: label.other}
reward:
- reward_machine:
    start: u
    edges: [{from: u, to: v, when: other, reward: 5}, {from: v, to: u, when: odd, reward: 7}]
- {markov: reward, name: own}
"""


def test_a_spec_reads_its_labels() -> None:
    venv = wrap_tensor(dice(), loads(SPEC))
    venv.reset()
    state = [False] * B
    for _ in range(12):
        _, reward, terminated, truncated, infos = venv.step(torch.zeros(B, dtype=torch.int64))
        own = infos["terms"]["own"]
        for i in range(B):
            is_other = own[i] == 2
            paid = 7.0 * (state[i] and not is_other) + 5.0 * (not state[i] and bool(is_other))
            state[i] = False if terminated[i] or truncated[i] else bool(is_other)
            assert reward[i] == own[i] + paid


def test_a_label_that_the_world_has_not_is_refused() -> None:
    with pytest.raises(MismatchError, match="TabularBatch has no label 'even'"):
        wrap_tensor(dice(), loads(SPEC.replace("label.odd", "label.even")))


class NoLook(TorchDispatchMode):
    """Fails on what waits for the device: a value read in Python, or a shape that depends on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        assert not any(
            word in name for word in ("_local_scalar_dense", "nonzero", "masked_select", "unique")
        ), name
        return func(*args, **(kwargs or {}))


def test_a_step_looks_at_nothing_and_its_memory_stays() -> None:
    batch = dice()
    action, mask = torch.zeros(B, dtype=torch.int64), everyone(batch)
    addresses = [memory.data_ptr() for memory in batch._memory().values()]
    with NoLook():
        for _ in range(5):
            batch.reset(mask)
            batch.step(action)
            batch.label(None)["odd"]  # type: ignore[arg-type]
    assert [memory.data_ptr() for memory in batch._memory().values()] == addresses


@pytest.mark.gpu
def test_a_cuda_graph_replays_the_episodes_of_the_processor() -> None:
    """No generator has to be registered with the graph, and chance is the same on both devices."""
    venv, world = wrap_tensor(dice(device="cuda"), loads(SPEC), device="cuda"), dice()
    action = torch.zeros(B, dtype=torch.int64, device="cuda")
    venv.reset()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            venv.step(action)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        _, _, terminated, truncated, infos = venv.step(action)
    expected = wrap_tensor(world, loads(SPEC))
    expected.reset()
    for _ in range(3):
        expected.step(action.cpu())
    for _ in range(30):
        graph.replay()
        _, _, terminated_, truncated_, infos_ = expected.step(action.cpu())
        assert torch.equal(infos["terms"]["own"].cpu(), infos_["terms"]["own"])
        assert torch.equal(terminated.cpu(), terminated_) and torch.equal(truncated.cpu(), truncated_)


def test_a_table_that_does_not_fit_is_refused() -> None:
    one = np.zeros((1, 1, 1))
    with pytest.raises(ValueError, match="must sum to 1"):
        TabularWorld(one.astype(np.int64), one, one, one > 0, one.astype(np.int64), np.ones(1))
