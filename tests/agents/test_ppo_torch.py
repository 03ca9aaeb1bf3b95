"""PPO on the device learns what is known to be best, goes on as if never stopped, and never waits for the device."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import rewardspec
from agents import recording
from agents.device import read_tasks, refuse_moving
from agents.device_run import run_command, train_resident
from agents.ppo_torch import PPO, Args, train
from envs import batches
from rewardspec import MismatchError, UnsupportedError
from tests.agents.device_worlds import Spot, Throw, corridor, corridor_specs, lake
from tests.wrappers.test_tensor import NoLook

SMALL: dict[str, Any] = {
    "n_envs": 32,
    "n_steps": 16,
    "batch_size": 128,
    "hidden": (32,),
    "seed": 1,
    "quiet": True,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def args(place: Path, **more: Any) -> Args:
    return Args(**{**SMALL, "spec": place / "cell_15.yaml", "folder": place / "run", **more})


def test_it_learns_to_cross_the_lake(tmp_path: Path) -> None:
    spec = lake(tmp_path, 15)
    before = PPO(args(tmp_path), read_tasks(spec, None))
    untrained = before.evaluate(read_tasks(spec, None))["return"]
    trained = train(args(tmp_path, steps=14_000))["return"]
    assert untrained < 0.2
    assert trained == 1.0


def test_one_policy_learns_several_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One end of a corridor, the other, and one after the other: no single way through it satisfies all three."""
    monkeypatch.setitem(batches.BATCHES, "Corridor-v0", corridor)
    folder = corridor_specs(tmp_path / "specs")
    more = {"n_envs": 48, "batch_size": 192, "learning_rate": 3e-3, "ent_coef": 0.03}
    result = train(args(tmp_path, spec=None, specs=folder, steps=40_000, **more))
    assert result == {"return/both": 1.0, "return/left": 1.0, "return/right": 1.0, "return": 1.0}
    lengths = [row["length"] for row in numbers_of(tmp_path / "run")]
    assert lengths[-1] < 5.5 < 6.5 < lengths[0]  # the best is 3, 3 and 9: 5 on average


def test_it_learns_a_vector_of_actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.BATCHES, "Throw-v0", Throw)
    spec = tmp_path / "throw.yaml"
    spec.write_text("env: {id: Throw-v0}\nreward: reward")
    random = -(1 / 3 + 0.64 / 3)  # uniform numbers and targets: the sum of their variances
    result = train(args(tmp_path, spec=spec, steps=40_000, n_envs=64, batch_size=256, learning_rate=3e-3))
    assert random < -0.5 < -0.05 < result["return"]


def test_it_learns_from_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.BATCHES, "Spot-v0", Spot)
    spec = tmp_path / "spot.yaml"
    spec.write_text("env: {id: Spot-v0}\nreward: reward")
    assert train(args(tmp_path, spec=spec, steps=5_000, n_envs=24, batch_size=96))["return"] == 1.0


# -- the arithmetic ------------------------------------------------------------------------------------------


def test_advantages_are_those_of_the_definition(tmp_path: Path) -> None:
    """By a loop in Python: a cut episode goes on with its final observation's value, an ended one with nothing."""
    agent = PPO(args(tmp_path, spec=lake(tmp_path, 15)), read_tasks(lake(tmp_path, 15), None))
    steps, batch, size = 7, 5, agent.sight.size
    draw = torch.Generator().manual_seed(0)
    ended = torch.rand(steps, batch, generator=draw) < 0.4
    died = ended & (torch.rand(steps, batch, generator=draw) < 0.5)
    taken = {
        "seen.vector": torch.rand(steps, batch, size, generator=draw),
        "next.vector": torch.rand(steps, batch, size, generator=draw),
        "reward": torch.rand(steps, batch, generator=draw),
        "lives": (~died).float(),
        "goes_on": (~ended).float(),
    }
    advantage, returns = agent.assess(taken)
    w = agent.net.weights.split(agent.memory["weights"])
    value, after = (
        agent.net.value(w, taken[k].flatten(0, 1)).view(steps, batch) for k in ("seen.vector", "next.vector")
    )
    expected, last = torch.zeros(steps, batch), torch.zeros(batch)
    for t in reversed(range(steps)):
        for i in range(batch):
            onward = 0.0 if died[t, i] else 0.95 * after[t, i]
            last[i] = (
                taken["reward"][t, i] + onward - value[t, i] + (0.0 if ended[t, i] else 0.95 * 0.95 * last[i])
            )
        expected[t] = last
    torch.testing.assert_close(advantage, expected)
    torch.testing.assert_close(returns, expected + value)


def test_actions_are_drawn_from_the_policy(tmp_path: Path) -> None:
    agent = PPO(args(tmp_path, spec=lake(tmp_path, 15)), read_tasks(lake(tmp_path, 15), None))
    head = torch.tensor([[0.0, 1.0, -1.0, 0.5]]).expand(40_000, 4)
    noise = torch.rand(40_000, 4, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(agent.net.sample({}, head, noise), minlength=4) / 40_000
    np.testing.assert_allclose(share, torch.softmax(head[0], 0), atol=0.01)


def test_an_iteration_never_looks_at_a_tensor(tmp_path: Path) -> None:
    """What a CUDA graph cannot do must not be done: checked here on the CPU."""
    folder = tmp_path / "specs"
    folder.mkdir()
    lake(folder, 3), lake(folder, 13)
    for agent in (
        PPO(args(tmp_path), read_tasks(lake(tmp_path, 15), None)),
        PPO(args(tmp_path), read_tasks(None, folder)),
    ):
        agent.iterate()
        with NoLook():
            agent.iterate()


def test_environments_whose_memory_moves_are_not_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moving(Throw):
        def step(self, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.target = self.target.clone()
            return super().step(action)

    spec = tmp_path / "throw.yaml"
    spec.write_text("env: {id: Throw-v0}\nreward: reward")
    for made, code in ((Throw, None), (Moving, r"Moving.target is a new tensor.*\[unfit-graph\]")):
        monkeypatch.setitem(batches.BATCHES, "Throw-v0", made)
        agent = PPO(args(tmp_path, spec=spec), read_tasks(spec, None))
        with pytest.raises(UnsupportedError, match=code) if code else nullcontext():
            refuse_moving(agent.worlds, agent.iterate, agent.state, agent.restore)


# -- stopping and going on -----------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lake(tmp_path, 15)
    settings = {"spec": spec, "steps": 12 * 512, "log_every": 2, "checkpoint_seconds": 0.0}
    whole = train(args(tmp_path, folder=tmp_path / "whole", **settings))
    log = recording.Recording.log

    def stopping(self: Any, steps: int, numbers: Any) -> None:
        if steps >= 8 * 512:
            raise KeyboardInterrupt
        log(self, steps, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(recording.Recording, "log", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(args(tmp_path, folder=tmp_path / "halves", **settings))
    assert train(args(tmp_path, resume=tmp_path / "halves", **settings)) == whole
    assert numbers_of(tmp_path / "halves") == numbers_of(tmp_path / "whole")
    one, other = (newest(tmp_path / name) for name in ("whole", "halves"))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def numbers_of(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def newest(folder: Path) -> dict[str, Any]:
    path = max(folder.rglob("arrays.npz"), key=lambda place: int(place.parent.name))
    with np.load(path) as file:
        return dict(file)


def test_a_checkpoint_of_another_spec_is_refused(tmp_path: Path) -> None:
    train(args(tmp_path, spec=lake(tmp_path, 15), steps=512))
    with pytest.raises(UnsupportedError, match=r"\[spec-changed\]"):
        train(args(tmp_path, spec=lake(tmp_path, 13), steps=512, resume=tmp_path / "run"))
    copy = tmp_path / "run/spec.yaml"
    copy.write_text(f"{copy.read_text()}\nobjective: limit_average\n")
    with pytest.raises(UnsupportedError, match=r"\[unfit-objective\]"):
        train(args(tmp_path, steps=512, resume=tmp_path / "run"))


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"device": "cuda:99"}, "unknown-device"),
        ({"cuda_graphs": True}, "unknown-device"),
        ({"gamma": 0.5}, "discount-mismatch"),
        ({"batch_size": 7}, "wrong-setting"),
        ({"env": "Acrobot-v1"}, "no-batch-form"),
        ({"specs": Path("somewhere")}, "wrong-setting"),
    ],
)
def test_what_is_wrong_is_said_before_training(tmp_path: Path, wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"\[{code}\]"):
        train(args(tmp_path, **{"spec": lake(tmp_path, 15), **wrong}))
    assert not (tmp_path / "run").exists()


def test_compiling_without_a_compiler_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch would say so itself minutes later, in an error about its own settings."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnsupportedError, match="no-such-compiler is not to be found") as caught:
        train(args(tmp_path, spec=lake(tmp_path, 15), compile=True))
    (problem,) = caught.value.problems
    assert problem.code == "needs-compiler"
    assert "leave --compile out" in problem.hints[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ("{id: 'this:Zen-v0'}", "names a module"),
        ("{id: FrozenLake-v1, kwargs: {map: ./a}}", "a path, kwargs.map"),
    ],
)
def test_a_spec_chooses_no_module_and_no_path(tmp_path: Path, env: str, why: str) -> None:
    sly = tmp_path / "sly.yaml"
    sly.write_text(f"env: {env}\nreward: reward\n")
    with pytest.raises(MismatchError, match=why):
        read_tasks(sly, None)
    assert read_tasks(sly, None, "FrozenLake-v1").env_id == "FrozenLake-v1"


def test_a_minibatch_without_a_size_is_an_eighth_of_a_rollout(tmp_path: Path) -> None:
    agent = PPO(
        args(tmp_path, spec=lake(tmp_path, 15), batch_size=None), read_tasks(lake(tmp_path, 15), None)
    )
    sizes = []
    agent._improve = lambda rows, index: sizes.append(len(index))
    agent.iterate()
    assert sizes == [32 * 16 // 8] * 8 * agent.args.n_epochs


def test_a_run_is_resumed_by_its_folder_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, folder = lake(tmp_path, 15), tmp_path / "run"
    small = [
        "--n-envs",
        "16",
        "--n-steps",
        "16",
        "--batch-size",
        "64",
        "--hidden",
        "8",
        "8",
        "--steps",
        "512",
    ]
    begin = ["--spec", str(spec), "--folder", str(folder), "--quiet", *small]
    assert run_command("ppo_torch", Args, train, begin) == 0
    first = capsys.readouterr().out
    assert first.endswith(f"\nrun folder: {folder}\n")
    spec.unlink()  # the run has its own copy
    assert run_command("ppo_torch", Args, train, ["--resume", str(folder), "--quiet"]) == 0
    assert capsys.readouterr().out == first
    assert run_command("ppo_torch", Args, train, ["--resume", str(folder), "--quiet", "--hidden", "9"]) == 1
    assert "hidden is (8, 8) there" in capsys.readouterr().err.replace("[", "(").replace("]", ")")


# -- fast paths ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler"
)
def test_compiled_is_eager(tmp_path: Path) -> None:
    same_after_three_iterations(tmp_path, {}, {"compile": True, "compiled_steps": 2})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_captured_is_eager(tmp_path: Path, compiled: bool) -> None:
    cuda = {"device": "cuda", "compile": compiled}
    same_after_three_iterations(tmp_path, cuda, {**cuda, "cuda_graphs": True})


def same_after_three_iterations(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    weights = []
    for more in (one, other):
        agent = PPO(args(tmp_path, **more), read_tasks(lake(tmp_path, 15), None))
        agent.capture()
        for _ in range(3):
            agent.run()
        weights.append(agent.memory["weights"].cpu())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-4)


RANKED = """
name: ranked
discount: 0.98
env: {id: CartPole-v1}
reward:
  - heron:
      factors:
        - {name: upright, value: "-abs(next_obs[2])", margin: {std: 0.5}}
        - {name: centred, value: "-abs(next_obs[0])"}
      model: {hidden: [16], ensemble: 2}
      pairs: 200
      after: 300
      every: 500
  - markov: 1
"""


def test_a_learned_reward_is_fitted_beside_the_agent_and_resumes_alike(tmp_path: Path) -> None:
    (tmp_path / "ranked.yaml").write_text(RANKED)
    settings: dict[str, Any] = {
        "spec": tmp_path / "ranked.yaml",
        "n_envs": 4,
        "n_steps": 32,
        "hidden": (8,),
        "log_every": 1,
    }
    whole = train(Args(**settings, steps=1536, folder=tmp_path / "whole", checkpoint_seconds=1e9, quiet=True))
    agents: list[PPO] = []

    class Stopped(PPO):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            agents.append(self)

        def run(self) -> None:
            super().run()
            if self.taken >= 1024 and not self.args.resume:
                raise KeyboardInterrupt

    cut = Args(**settings, steps=1536, folder=tmp_path / "cut", checkpoint_seconds=0, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train_resident("ppo_torch", Stopped, cut)
    assert len(agents[0].learner.reports) >= 2  # type: ignore[union-attr]
    again = replace(cut, resume=tmp_path / "cut")
    assert train_resident("ppo_torch", PPO, again) == whole
    env = rewardspec.wrap_learned(gymnasium.make("CartPole-v1"), tmp_path / "ranked.yaml", tmp_path / "whole")
    env.reset(seed=0)
    assert env.step(0)[1] != 1


def test_a_learned_reward_cannot_be_captured(tmp_path: Path) -> None:
    (tmp_path / "ranked.yaml").write_text(RANKED)
    with pytest.raises(UnsupportedError, match="neither captured nor compiled"):
        train(Args(spec=tmp_path / "ranked.yaml", folder=tmp_path / "run", compile=True, quiet=True))
