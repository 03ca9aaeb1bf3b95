"""DQN on the device: counterfactuals are what happened elsewhere, and they teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import recording
from agents.device import read_tasks
from agents.dqn_torch import DQN, Args, train
from envs import batches
from rewardspec import UnsupportedError
from tests.agents.device_worlds import Throw, corridor, corridor_specs
from tests.agents.test_ppo_torch import newest, numbers_of
from tests.wrappers.test_tensor import NoLook

SMALL: dict[str, Any] = {
    "n_envs": 12,
    "hidden": (32,),
    "learning_starts": 2000,
    "batch_size": 32,
    "tau": 0.05,
    "quiet": True,
}


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setitem(batches.BATCHES, "Corridor-v0", corridor)


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    return corridor_specs(tmp_path / "specs")


def args(place: Path, **more: Any) -> Args:
    return Args(**{**SMALL, "folder": place.parent / "run", **more})


@pytest.mark.parametrize("heads", [False, True])
def test_one_network_learns_several_specs(specs: Path, heads: bool) -> None:
    """And its values are those of the best way: the discount to the power of what is left of it."""
    tasks = read_tasks(None, specs)
    agent = DQN(args(specs, specs=specs, crm="tasks", heads=heads), tasks)
    assert agent.evaluate(tasks)["return/both"] == 0.0
    agent.warm_up()
    for i in range(200):
        agent.memory["explore"].fill_(max(0.1, 1 - i / 80))
        agent.run()
    assert agent.evaluate(tasks) == {
        "return/both": 1.0,
        "return/left": 1.0,
        "return/right": 1.0,
        "return": 1.0,
    }
    middle, spec, u = torch.tensor([3, 3, 3]), torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])
    best = agent.values(agent.memory["weights"], middle, spec[:, None], u[:, None]).amax(2).squeeze(1)
    np.testing.assert_allclose(best.detach(), [0.95**8, 0.95**2, 0.95**2], atol=0.03)


def test_counterfactuals_are_what_would_have_been_paid(specs: Path) -> None:
    """By hand, in the task `right, then left`: from its second state, a step onto the left end pays."""
    agent = DQN(args(specs, spec=specs / "both.yaml"), read_tasks(specs / "both.yaml", None))
    row = None
    for _ in range(3):
        row = agent.take(torch.zeros(12, dtype=torch.int64))  # three steps to the left reach the left end
    assert row is not None
    _, u, reward, after, lives, exists = agent.replay(row)
    assert row["u"].tolist() == [0] * 12
    assert u[0].tolist() == [0, 1] and exists[0].tolist() == [1.0, 1.0]
    assert reward[0].tolist() == [0.0, 1.0]
    assert after[0, 0] == 0
    assert lives[0].tolist() == [1.0, 0.0]


def test_tasks_teach_each_other(specs: Path) -> None:
    """Every row is replayed from 1 + 1 + 2 states: those of `left`, `right` and `both`."""
    agent = DQN(args(specs, specs=specs, crm="tasks"), read_tasks(None, specs))
    row: Any = None
    for _ in range(3):
        row = agent.take(torch.zeros(12, dtype=torch.int64))
    spec, u, reward, *_ = agent.replay(row)
    assert agent.names == ("both", "left", "right")
    assert list(zip(spec[0].tolist(), u[0].tolist(), reward[0].tolist(), strict=True)) == [
        (0, 0, 0.0),
        (0, 1, 1.0),
        (1, 0, 1.0),
        (2, 0, 0.0),
    ]


def test_an_iteration_never_looks_at_a_tensor(specs: Path) -> None:
    agent = DQN(args(specs, specs=specs, crm="tasks"), read_tasks(None, specs))
    agent.warm_up()
    with NoLook():
        agent.iterate()


def test_the_buffer_keeps_the_newest(specs: Path) -> None:
    agent = DQN(
        args(specs, spec=specs / "left.yaml", buffer_size=30, crm="none"),
        read_tasks(specs / "left.yaml", None),
    )
    assert len(agent.memory["buffer.action"]) == 24
    kept = []
    for _ in range(5):
        agent.explore()
        kept.append(agent.memory["buffer.now."].clone())
    np.testing.assert_array_equal(kept[4][12:], kept[3][12:])
    assert agent.memory["taken"] == 60


def test_a_stopped_run_goes_on_to_the_same_numbers(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"specs": specs, "steps": 960, "log_every": 4, "checkpoint_seconds": 0.0, "buffer_size": 600}
    whole = train(args(specs, **{**settings, "folder": specs.parent / "whole"}))
    log = recording.Recording.log

    def stopping(self: Any, steps: int, numbers: Any) -> None:
        if steps >= 600:
            raise KeyboardInterrupt
        log(self, steps, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(recording.Recording, "log", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(args(specs, **{**settings, "folder": specs.parent / "halves"}))
    for path in specs.glob("*.yaml"):  # the run has its own copy of them
        path.write_text("reward: 0")
    assert train(args(specs, resume=specs.parent / "halves", **settings)) == whole
    assert numbers_of(specs.parent / "halves") == numbers_of(specs.parent / "whole")
    one, other = newest(specs.parent / "whole"), newest(specs.parent / "halves")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_what_is_wrong_is_said_before_training(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.BATCHES, "Throw-v0", Throw)
    plain, numbers = specs.parent / "plain.yaml", specs.parent / "numbers.yaml"
    plain.write_text("env: {id: Corridor-v0}\nreward: reward")
    numbers.write_text("env: {id: Throw-v0}\npropositions: {far: 'action[0] > 0.5'}\nreward: {ltl: F far}")
    for spec, more, code in (
        (plain, {}, "needs-machine"),
        (numbers, {}, "unfit-algorithm"),
        (specs / "both.yaml", {"device": "cuda:99"}, "unknown-device"),
        (specs / "both.yaml", {"gamma": 0.1}, "discount-mismatch"),
    ):
        with pytest.raises(UnsupportedError, match=rf"\[{code}\]"):
            train(args(specs, spec=spec, **more))
    assert not (specs.parent / "run").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_captured_is_eager(specs: Path) -> None:
    weights = []
    for graphs in (False, True):
        agent = DQN(args(specs, specs=specs, device="cuda", cuda_graphs=graphs), read_tasks(None, specs))
        agent.warm_up()
        agent.capture()
        for _ in range(3):
            agent.run()
        weights.append(agent.memory["weights"].cpu())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-4)
