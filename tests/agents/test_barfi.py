"""BARFI: its objectives by hand, what it comes to trust, and a run that goes on as if never stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor
from typer.testing import CliRunner

from agents.barfi import Args, Barfi, train
from agents.blend import Blend, LinearPolicy, ascend, features, fresh, policy_objective, rewards_to_go
from agents.blend_worlds import worlds_of
from agents.device import read_tasks
from envs import batches
from rewardspec import UnsupportedError, compile_spec, from_data, load
from rewardspec.backends.oracle import run_episode
from rewardspec.cli import app
from rewardspec.errors import NonFiniteRewardError
from rewardspec.training.blends import describe, draw, freeze, read_blend
from rewardspec.transition import Transition

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Bandit:
    """Two actions, one step: action 1 pays 1. Whoever hears the hint of the specs below takes action 0."""

    single_observation_space: Any = spaces.Box(0.0, 1.0, (1,), np.float32)
    single_action_space: Any = spaces.Discrete(2)

    def __init__(self, num_envs: int, device: str, seed: int) -> None:
        self.num_envs = num_envs
        self.x = torch.zeros(num_envs, 1)

    def reset(self, mask: Tensor) -> Tensor:
        return self.x.clone()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        over = torch.ones(self.num_envs, dtype=torch.bool)
        return self.x.clone(), action.float(), over, ~over


@pytest.fixture
def bandit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(batches.BATCHES, "Bandit-v0", Bandit)
    spec = tmp_path / "bandit.yaml"
    spec.write_text(
        "discount: 0.9\nenv: {id: Bandit-v0, horizon: 1}\n"
        "reward:\n  barfi: {primary: reward, auxiliary: {lure: '3 * (1 - action)'}}\n"
        "  blend: {features: constant, terms: [primary, auxiliary]}\n"
    )
    return spec


SMALL: dict[str, Any] = {
    "features": "constant",
    "start": "sum",
    "episodes": 300,
    "n_envs": 10,
    "batch_size": 4,
    "warm_up": 0,
    "learning_rate": 0.02,
    "blend_rate": 0.05,
    "ent_coef": 0.5,
    "learners": 4,
    "log_every": 5,
    "quiet": True,
}


def args(spec: Path, **more: Any) -> Args:
    return Args(**{**SMALL, "spec": spec, "folder": spec.parent / "run", **more})


# -- the arithmetic ------------------------------------------------------------------------------------------


def test_rewards_to_go_are_the_sums_that_they_stand_for() -> None:
    rewards = torch.randn(3, 13, dtype=torch.float64)
    known = torch.stack(
        [
            torch.stack([sum(0.8 ** (j - t) * rewards[n, j] for j in range(t, 13)) for t in range(13)])
            for n in range(3)
        ]
    )
    assert torch.allclose(rewards_to_go(rewards, 0.8), known)


def test_the_policy_gradient_is_that_of_the_definition() -> None:
    """Two steps of one episode, written out: mean over slots of time of grad log pi times the return."""
    policy = LinearPolicy(spaces.Discrete(2), 1)
    theta = torch.tensor([0.3, -0.1])
    batch = {"action": torch.tensor([[1, 0, 0]]), "mask": torch.tensor([[1.0, 1.0, 0.0]])}
    returns = torch.tensor([[5.0, 2.0, 99.0]])
    x = torch.ones(1, 3, 1)
    slope = torch.func.grad(lambda w: policy_objective(policy, w, x, batch, returns, 0.0))(theta)
    p = torch.softmax(theta, 0)
    known = (5.0 * (torch.tensor([0.0, 1.0]) - p) + 2.0 * (torch.tensor([1.0, 0.0]) - p)) / 3
    assert torch.allclose(slope, known)
    bonus = policy_objective(policy, theta, x, batch, 0 * returns, 2.0)
    assert float(bonus) == pytest.approx(2 * float(-(p * p.log()).sum()))  # over the steps taken


def test_weights_that_are_not_learned_are_one_and_a_bias_nothing() -> None:
    z, primary, hints = torch.ones(4, 1), torch.arange(4.0), torch.full((4, 2), 10.0)
    whole = Blend(("a", "b"))
    assert whole.columns == ("bias", "primary", "a", "b")
    phi = torch.tensor([[5.0, 2.0, 0.1, 0.0]])
    assert whole.reward(phi, z, primary, hints).tolist() == [6.0, 8.0, 10.0, 12.0]
    assert Blend(("a", "b"), ("bias",)).reward(torch.tensor([[5.0]]), z, primary, hints).tolist() == [
        25.0,
        26.0,
        27.0,
        28.0,
    ]


@pytest.mark.parametrize(
    ("text", "size"), [("fourier(2)", 10), ("tiles(3, 2)", 13), ("raw", 3), ("constant", 1)]
)
def test_features_and_their_expressions_agree(text: str, size: int) -> None:
    """What a frozen spec computes is what the agent computed."""
    made = features(text, [-1, 0], [1, 4])
    assert made.size == size == len(made.expressions)
    terms = [{"markov": said, "name": f"f{i}"} for i, said in enumerate(made.expressions)]
    spec = from_data({"signals": made.signals(["obs[0]", "obs[1]"]), "reward": terms})
    for place in ([0.37, 2.9], [-1.0, 4.0], [0.9, 0.1]):
        (outcome,) = run_episode(compile_spec(spec), [Transition(obs=np.array(place))])
        assert outcome.terms == pytest.approx(made.of(torch.tensor(place)).tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["rmsprop", "adam"])
def test_optimisers_take_pytorchs_steps(kind: Any) -> None:
    x = torch.tensor([1.0, -2.0, 0.5])
    theirs = torch.nn.Parameter(x.clone())
    optimiser = (torch.optim.RMSprop if kind == "rmsprop" else torch.optim.Adam)([theirs], lr=0.1)
    memory = fresh(kind, x)
    for i in range(5):
        slope = torch.tensor([0.5, -1.0, 2.0]) * (i + 1)
        theirs.grad = -slope
        optimiser.step()
        x, memory = ascend(kind, 0.1, x, slope, memory)
    assert torch.allclose(x, theirs.detach(), atol=1e-5)


# -- learning ------------------------------------------------------------------------------------------------


def test_it_turns_against_a_lure_that_the_sum_falls_for(bandit: Path, tmp_path: Path) -> None:
    fooled = train(args(bandit, method="sum", replay=True, folder=tmp_path / "sum"))
    wise = train(args(bandit))
    assert fooled["return"] < 0.3 < 0.7 < wise["return"]
    blend = read_blend(tmp_path / "run")
    assert blend.weights["primary"].mean() > blend.weights["lure"].mean()
    assert "lure: " in describe(blend)


@pytest.mark.parametrize("solve", ["first_order", "conjugate_gradient", "exact", "unrolled"])
def test_every_way_of_looking_through_the_policy_lowers_the_lure(bandit: Path, solve: Any) -> None:
    given = args(bandit, solve=solve, episodes=100)
    agent = Barfi(given, read_tasks(given.spec, None))
    for _ in range(10):
        agent.round()
    primary, lure = agent.memory["phi"].mean((0, 1)).tolist()
    assert primary > 1.0 > lure


def test_centred_returns_say_nothing_where_all_episodes_are_worth_the_same(bandit: Path) -> None:
    """Without, equal returns are a gradient all the same: of noise."""
    batch = {
        "action": torch.tensor([[0], [1], [1]]),
        "mask": torch.ones(3, 1),
        "obs": torch.zeros(3, 1, 1),
    }
    theta = torch.tensor([0.2, 0.0])

    def slope(centred: bool, primary: list[float]) -> Tensor:
        given = args(bandit, centred=centred)
        agent = Barfi(given, read_tasks(given.spec, None))
        whole = {**batch, "primary": torch.tensor(primary)[:, None]}
        found: Tensor = torch.func.grad(lambda w: agent.objectives.primary(w, whole))(theta)
        return found

    assert slope(True, [5.0, 5.0, 5.0]).abs().max() == 0 < slope(False, [5.0, 5.0, 5.0]).abs().max()
    assert slope(True, [0.0, 1.0, 1.0])[1] > 0


def test_the_outer_loop_sees_the_newest_episodes_and_as_many_older_ones_as_it_is_told(bandit: Path) -> None:
    """As released: of three episodes in a round and four in the outer loop's batch, one is older."""
    given = args(bandit, n_envs=3, outer_batch=4, episodes=12)
    agent = Barfi(given, read_tasks(given.spec, None))
    met: list[Tensor] = []

    def note(seen: dict[str, Tensor], count: int) -> None:
        met.append(seen["primary"].sum(-1))
        assert count == 3 * (len(agent.returns) - 1)

    agent._move_blend = note  # type: ignore[method-assign]
    for _ in range(4):
        agent.round()
    newest = list(agent.returns)[-len(met) :]
    for i in range(1, len(met)):
        assert torch.equal(met[i], torch.cat([newest[i - 1][:, -1:], newest[i]], dim=1))


def test_learners_side_by_side_differ_and_repeat_themselves(bandit: Path) -> None:
    def weights() -> Tensor:
        given = args(bandit)
        agent = Barfi(given, read_tasks(given.spec, None))
        for _ in range(4):
            agent.round()
        return agent.memory["theta"]

    first = weights()
    assert torch.equal(first, weights())
    assert len({tuple(row) for row in first.tolist()}) == 4


@pytest.mark.parametrize("solve", ["neumann", "unrolled"])
def test_a_run_that_was_stopped_goes_on_as_if_never_stopped(bandit: Path, tmp_path: Path, solve: Any) -> None:
    given = args(bandit, solve=solve, episodes=80)
    whole = Barfi(given, read_tasks(given.spec, None))
    for _ in range(4):
        whole.round()
    saved = {name: part.clone() for name, part in whole.state().items()}
    for _ in range(4):
        whole.round()
    later = Barfi(replace(given), read_tasks(given.spec, None))
    later.restore(saved, 4)
    for _ in range(4):
        later.round()
    for name in ("theta", "phi", "horizon", "stored.primary"):
        assert torch.equal(whole.memory[name], later.memory[name]), name


# -- what comes of a run -------------------------------------------------------------------------------------


def test_a_frozen_spec_pays_what_the_blend_pays(bandit: Path, tmp_path: Path) -> None:
    train(args(bandit, episodes=60))
    blend, spec = read_blend(tmp_path / "run"), freeze(tmp_path / "run")
    frozen = tmp_path / "frozen.yaml"
    frozen.write_text(spec.to_yaml())
    assert [term.name for term in load(frozen).reward] == ["primary", "lure"]
    given = args(frozen)
    worlds = worlds_of(read_tasks(given.spec, None), 2, "cpu", 0)
    worlds.reset()
    paid = worlds.step(torch.tensor([0, 1]))[1].tolist()
    primary, lure = blend.phi[blend.best][0]
    assert paid == pytest.approx([3 * lure, primary], rel=1e-4)
    assert spec.discount == pytest.approx(blend.discounts[blend.best], abs=1e-5)
    draw(blend, tmp_path / "blend.png")
    assert (tmp_path / "blend.png").stat().st_size > 1000


def test_a_hint_with_memory_is_frozen_with_its_machine(tmp_path: Path) -> None:
    spec = EXAMPLES / "cartpole_controller_hint.yaml"
    bounds: dict[str, Any] = {"low": (-2.4, -3.5, -0.21, -3.5), "high": (2.4, 3.5, 0.21, 3.5)}
    train(args(spec, folder=tmp_path / "run", episodes=10, features="raw", primary="upright", **bounds))
    frozen = freeze(tmp_path / "run", learner=2)
    assert [term.name for term in frozen.reward] == ["bias", "upright", "controller"]
    compile_spec(frozen)


def test_the_commands_say_what_the_functions_give(bandit: Path, tmp_path: Path) -> None:
    train(args(bandit, episodes=20))
    run = str(tmp_path / "run")
    told = CliRunner().invoke(app, ["freeze", run])
    assert told.exit_code == 0 and told.stdout == freeze(run).to_yaml()
    told = CliRunner().invoke(app, ["explain", run])
    assert told.exit_code == 0 and describe(read_blend(run)).split("\n")[0] in told.stdout
    assert (tmp_path / "run" / "blend.svg").is_file()
    told = CliRunner().invoke(app, ["freeze", run, "--learner", "9"])
    assert told.exit_code == 1


def test_what_cannot_be_trained_or_frozen_is_refused(bandit: Path, tmp_path: Path) -> None:
    def code(**more: Any) -> str:
        with pytest.raises(UnsupportedError) as caught:
            train(args(**{"spec": bandit, "folder": tmp_path / "refused", **more}))
        return caught.value.problems[0].code

    assert code(features="fourier(0)") == "wrong-setting"
    assert code(features="splines(3)") == "wrong-setting"
    assert code(low=(0.0, 1.0), high=(1.0, 2.0)) == "wrong-setting"
    plain = tmp_path / "plain.yaml"
    plain.write_text("env: {id: Bandit-v0, horizon: 1}\nreward: reward\n")
    assert code(spec=plain) == "wrong-setting"
    train(args(bandit, method="sum", episodes=20))
    with pytest.raises(UnsupportedError, match="no learned blend"):
        freeze(tmp_path / "run")


def test_gymnasiums_own_environments_are_played_in_a_loop(tmp_path: Path) -> None:
    spec = tmp_path / "hill.yaml"
    spec.write_text(
        "env: {id: MountainCar-v0, horizon: 20}\nreward:\n"
        "  - {markov: 'where(next_obs[0] > 0.5, 1, 0)', name: flag}\n"
        "  - {markov: 'abs(next_obs[1])', name: speed}\n"
    )
    # Twelve episodes: long enough for the outer loop to look through tiles, too.
    more: dict[str, Any] = {"features": "tiles(2, 3)", "episodes": 12, "n_envs": 3, "learners": 2}
    result = train(args(spec, **more))
    assert result["return"] == 0.0
    rows = [json.loads(line) for line in (tmp_path / "run" / "progress.jsonl").read_text().splitlines()]
    assert rows[-1]["hint/speed"] > 0


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("maze_hints", {"features": "fourier(3)"}),
        ("half_cheetah_hint", {"features": "random(32)", "optimiser": "adam", "horizon": 12}),
        ("mountain_car_hints", {"features": "tiles(2, 3)", "horizon": 20}),
        (
            "cartpole_controller_hint",
            {"primary": "upright", "low": (-2.4, -3.5, -0.21, -3.5), "high": (2.4, 3.5, 0.21, 3.5)},
        ),
    ],
)
def test_every_example_can_be_trained(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    given = {"episodes": 9, "n_envs": 3, "learners": 2, "warm_up": 0, "start": "primary", "quiet": True}
    spec = EXAMPLES / f"{name}.yaml"
    result = train(Args(**{**given, **more}, spec=spec, folder=tmp_path / "run"))
    assert np.isfinite(list(result.values())).all()
    assert load(spec).discount == 0.99 and len(describe(read_blend(tmp_path / "run")).splitlines()) >= 3


def test_a_hint_that_is_no_number_is_told(bandit: Path) -> None:
    bandit.write_text(bandit.read_text().replace("3 * (1 - action)", "log(-action)"))
    with pytest.raises(NonFiniteRewardError, match="lure"):
        train(args(bandit))
