"""PPO near a reference: what is taken off the reward, what is refused, and a resumed run is the run never stopped."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import envs  # noqa: E402, F401 (registers the worlds)
from agents.device import read_tasks  # noqa: E402
from agents.device_run import run_command, train_resident  # noqa: E402
from agents.orpo import ORPO, Args, action_divergence, refuse_leaving, train  # noqa: E402
from agents.orpo_reference import Finite, Network, Uniform  # noqa: E402
from rewardspec.errors import LearningError, RewardSpecError, UnsupportedError  # noqa: E402

SPEC = """\
name: lake
discount: 0.9
env: {id: FrozenLake-v1, kwargs: {is_slippery: false, max_episode_steps: 30}}
reward:
  - markov: 0.2 if next_obs == 8 else reward
    name: seen
"""
"""Standing in the lake's first column, third row, pays as the goal never does."""

POLE = "name: pole\ndiscount: 0.98\nenv: {id: CartPole-v1}\nreward: 1 - abs(next_obs[0])\n"

SMALL: dict[str, Any] = {
    "steps": 640,
    "n_envs": 8,
    "n_steps": 20,
    "d_steps": 3,
    "d_hidden": (16,),
    "hidden": (16,),
    "start_steps": 5,
    "log_every": 1,
    "quiet": True,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def args(place: Path, text: str = SPEC, **more: Any) -> Args:
    spec = place / "spec.yaml"
    spec.write_text(text)
    return Args(**{**SMALL, "spec": spec, "folder": place / "run", **more})


def made(place: Path, text: str = SPEC, **more: Any) -> ORPO:
    given = args(place, text, **more)
    return ORPO(given, read_tasks(given.spec, None))


# -- learning ------------------------------------------------------------------------------------------------


def test_it_begins_as_the_reference_and_says_exactly_what_it_earns(tmp_path: Path) -> None:
    more = {"steps": 160, "n_steps": 20, "start_steps": 120, "hidden": (32,), "n_epochs": 1}
    result = train(args(tmp_path, reference="true:0.2", learning_rate=1e-5, **more))
    assert result["true"] == pytest.approx(result["reference/true"], rel=0.3)
    assert result["chi2"] < 1.0
    row = json.loads((tmp_path / "run" / "progress.jsonl").read_text().splitlines()[-1])
    assert row["true"] == result["true"] and "estimated/chi2" in row


def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path: Path) -> None:
    whole = train(args(tmp_path, reference="true:0.2"))
    stopped = args(tmp_path, reference="true:0.2", folder=tmp_path / "again", checkpoint_seconds=0.0)

    class Stopped(ORPO):
        def run(self) -> None:
            if self.memory["updates"] > 64:
                raise KeyboardInterrupt
            super().run()

    with pytest.raises(KeyboardInterrupt):
        train_resident("orpo", Stopped, stopped)
    assert len(list((tmp_path / "again" / "checkpoints").iterdir())) > 0
    words = ["--resume", str(tmp_path / "again"), "--quiet"]
    assert run_command("orpo", Args, train, words) == 0
    assert json.loads((tmp_path / "again" / "result.json").read_text()) == whole


def test_without_a_strength_it_is_ppo_on_the_policys_half(tmp_path: Path) -> None:
    agent = made(tmp_path, reference="uniform", strength=0.0)
    agent.warm_up()
    taken = rollout(agent)
    before = taken["reward"].clone()
    agent.regularise(taken)
    assert torch.equal(taken["reward"], before)


# -- what is taken off ---------------------------------------------------------------------------------------


def rollout(agent: ORPO) -> dict[str, Any]:
    with torch.no_grad():
        records = [agent.step(torch.rand(8, agent.net.actions)) for _ in range(20)]
    return {name: torch.stack([record[name] for record in records]) for name in records[0]}


@pytest.mark.parametrize("kind", ["sqrt_chi2", "chi2", "kl", "tv"])
def test_the_penalty_is_the_formulas(tmp_path: Path, kind: Any) -> None:
    """From d as it was learned in this iteration: the discriminator comes first."""
    agent = made(tmp_path, reference="uniform", strength=0.5, divergence=kind, start="random")
    agent.warm_up()
    taken = rollout(agent)
    before = taken["reward"].clone()
    pairs, counts = taken["pair"].clone(), taken["counts"].clone()
    untrained = agent.told.memory["weights"].clone()
    agent.regularise(taken)
    assert not torch.equal(untrained, agent.told.memory["weights"])
    d = agent.told(pairs[:, :4].flatten(0, 1)).double()
    share = (counts[:, :4].flatten() / counts[:, :4].sum()).double()
    excess = d.exp() - 1
    chi2 = float((share * excess).sum())
    expected = {
        "sqrt_chi2": excess / math.sqrt(chi2) if chi2 > 0 else excess,
        "chi2": excess,
        "kl": d,
        "tv": d.sign(),
    }[kind]
    sigma = float(agent.memory["sigma"])
    less = (before - taken["reward"]).flatten().double()
    assert torch.allclose(less, 0.5 * sigma * expected, atol=1e-5)
    assert float(agent.memory["distance"][0]) == pytest.approx(chi2, abs=1e-5)


def test_steps_count_by_their_discount_or_alike_as_released(tmp_path: Path) -> None:
    counts = rollout(made(tmp_path, reference="uniform"))["counts"]
    assert float(counts[0].min()) == 1.0 and float(counts[1].max()) == pytest.approx(0.9)
    alike = rollout(made(tmp_path, reference="uniform", discounted=False))["counts"]
    assert bool((alike == 1).all())


def test_trimmed_ends_do_not_count(tmp_path: Path) -> None:
    agent = made(tmp_path, reference="uniform", trim=0.1)
    excess, share = torch.tensor([*([1.0] * 18), 500.0, -0.9]), torch.full((20,), 0.05)
    assert float(agent._chi2(excess, share)) == pytest.approx(1.0)


def test_penalties_that_are_no_numbers_are_zero_as_released(tmp_path: Path) -> None:
    for on_leaving, finite in (("zero", True), ("refuse", False)):
        agent = made(tmp_path, reference="uniform", on_leaving=on_leaving, start="random", d_steps=0)
        taken = rollout(agent)
        agent.told.memory["weights"][-1] = 200.0  # e^200 is infinite in single precision
        agent.regularise(taken)
        assert bool(torch.isfinite(taken["reward"]).all()) == finite


def test_distances_of_actions_are_those_of_the_definition() -> None:
    p, r = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), np.array([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4]])
    log, near = torch.tensor(p).log(), torch.tensor(r).log()
    chi2 = float((((p - r) ** 2) / r).sum(1).mean())
    assert float(action_divergence("chi2", log, near)) == pytest.approx(chi2)
    assert float(action_divergence("sqrt_chi2", log, near)) == pytest.approx(chi2**0.5)
    assert float(action_divergence("kl", log, near)) == pytest.approx(
        float((p * np.log(p / r)).sum(1).mean())
    )
    assert float(action_divergence("tv", log, near)) == pytest.approx(float(np.abs(p - r).sum(1).mean() / 2))
    same = torch.tensor(r).log().requires_grad_()
    action_divergence("sqrt_chi2", same, near).backward()
    assert bool(torch.isfinite(same.grad).all())  # the root has a floor


def test_strong_regularisation_of_actions_keeps_them_near(tmp_path: Path) -> None:
    more = {
        "by": "actions",
        "divergence": "kl",
        "start": "random",
        "steps": 1_600,
        "learning_rate": 1e-2,
        "batch_size": 40,
    }
    near = train(args(tmp_path, reference="uniform", strength=30.0, **more))
    far = train(args(tmp_path, reference="uniform", strength=0.0, folder=tmp_path / "far", **more))
    assert near["kl"] < 0.02 < far["kl"]


# -- references ----------------------------------------------------------------------------------------------


def test_references_of_every_kind(tmp_path: Path) -> None:
    assert isinstance(made(tmp_path, reference="proxy:0.5").reference, Finite)
    agent = made(tmp_path, POLE, reference="uniform")
    assert isinstance(agent.reference, Uniform)
    from agents import ppo_torch

    run = tmp_path / "first"
    spec = tmp_path / "spec.yaml"
    ppo_torch.train(
        ppo_torch.Args(spec=spec, folder=run, steps=256, n_envs=2, n_steps=64, hidden=(16,), quiet=True)
    )
    agent = made(tmp_path, POLE, reference=str(run))
    assert isinstance(agent.reference, Network)
    agent.warm_up()
    assert 0 < float(agent.memory["sigma"]) < 1


def test_the_theorys_strength_follows_from_the_correlation(tmp_path: Path) -> None:
    agent = made(tmp_path, reference="uniform", correlation=0.6)
    assert agent.strength == pytest.approx(0.8)
    assert isinstance(agent.reference, Finite)
    assert -1 <= agent.reference.correlation <= 1


# -- refusals ------------------------------------------------------------------------------------------------


def code_of(place: Path, text: str = SPEC, **more: Any) -> str:
    with pytest.raises(RewardSpecError) as caught:
        made(place, text, **more)
    return caught.value.problems[0].code


def test_a_reference_without_a_chance_of_everything_is_refused_on_finite_worlds(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"never takes action \d in the state that shows"):
        made(tmp_path, reference="true:0")
    assert code_of(tmp_path, reference="true:0") == "left-support"


def test_leaving_the_support_is_refused_elsewhere(tmp_path: Path) -> None:
    given = args(tmp_path, POLE, reference="uniform")
    refuse_leaving(given, 0.1, 0.04)
    with pytest.raises(LearningError, match="60% of the policy's steps are more than 1000 times likelier"):
        refuse_leaving(given, 0.1, 0.6)
    refuse_leaving(given, 0.0, 0.6)  # nothing is asked of it
    refuse_leaving(args(tmp_path, POLE, divergence="tv"), 0.1, 0.6)  # is finite everywhere
    refuse_leaving(args(tmp_path, POLE, on_leaving="zero"), 0.1, 0.6)


def test_a_run_whose_policy_has_left_the_support_stops_with_the_reason(tmp_path: Path) -> None:
    agent = made(tmp_path, POLE, reference="uniform")
    agent.memory["distance"][3] = 0.5
    with pytest.raises(LearningError, match="left-support"):
        agent.progress()


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("wrong-setting", {"reference": "uniform", "n_envs": 7}),
        ("wrong-setting", {"reference": "uniform", "correlation": 0.0}),
        ("wrong-setting", {"reference": "uniform", "strength": -1.0}),
        ("wrong-setting", {"reference": "uniform", "trim": 0.5}),
        ("wrong-setting", {"reference": "true:2"}),
        ("wrong-setting", {"reference": "uniform", "batch_size": 37}),
        ("not-a-run-folder", {"reference": "nowhere"}),
        (
            "constant-reward",
            {"text": SPEC.replace("0.2 if next_obs == 8 else reward", "1 - terminated * 0 - 1")},
        ),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, code: str, more: dict[str, Any]) -> None:
    assert code_of(tmp_path, **more) == code


def test_finite_references_are_refused_where_the_world_is_not(tmp_path: Path) -> None:
    assert code_of(tmp_path, POLE, reference="true:0.1") == "wrong-setting"
