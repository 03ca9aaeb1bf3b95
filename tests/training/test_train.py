"""What a run writes, logs, shows and refuses."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rewardspec.errors import MismatchError, RewardSpecError, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.training import display
from rewardspec.training.environments import make_env
from rewardspec.training.folder import KEPT, RunFolder
from rewardspec.training.loop import build, load_agent, train
from rewardspec.training.settings import choose
from rewardspec.training.sweep import Job, train_all
from rewardspec.vocabulary import load, loads

TEXT = """\
# a comment that must survive
name: balance
discount: 0.98
env: {id: CartPole-v1}
reward:
  - markov: 0.5
    name: upright
  - markov: -abs(next_obs[0])
    name: off centre
"""

SMALL: dict[str, Any] = {
    "steps": 2048,
    "n_envs": 4,
    "agent": {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
    "show": False,
}


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "balance.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def run(spec_file: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(spec_file, tmp_path_factory.mktemp("runs") / "run", checkpoint_seconds=0, **SMALL)


def test_a_run_folder_says_what_it_is(run: RunFolder) -> None:
    assert run.spec.read_text() == TEXT
    facts = run.read_facts()
    assert facts["settings"]["agent"]["gamma"] == 0.98
    assert facts["settings"]["seed"] == 0
    assert facts["versions"]["stable-baselines3"]
    assert len(facts["digest"]) == 16
    assert run.is_finished
    assert len(list(run.checkpoints.iterdir())) == KEPT
    assert run.latest_steps() == 2048


def test_rows_keep_the_tasks_return_apart_from_the_specs(run: RunFolder) -> None:
    """In CartPole the environment pays 1 a step: its return is the length, whatever the spec pays."""
    rows = run.rows()
    assert [row["steps"] for row in rows] == [1024, 2048]
    for row in rows:
        recent = row["recent"]
        assert recent["task_return"] == recent["length"] > 5
        assert recent["terms"]["upright"] == pytest.approx(0.5 * recent["length"])
        assert recent["terms"]["off centre"] < 0
        assert recent["spec_return"] == pytest.approx(sum(recent["terms"].values()))
    assert rows[-1]["episodes"] == sum(row["fresh"]["count"] for row in rows)


def test_tensorboard_has_the_return_of_each_term(run: RunFolder) -> None:
    events = EventAccumulator(str(run.tensorboard))
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    last = run.rows()[-1]["recent"]
    for tag, value in [
        ("rollout/return/upright", last["terms"]["upright"]),
        ("rollout/return/off centre", last["terms"]["off centre"]),
        ("rollout/task_return", last["task_return"]),
        ("rollout/ep_rew_mean", last["spec_return"]),
        ("rollout/success_rate", last["success"]),
    ]:
        assert scalars[tag][-1].value == pytest.approx(value), tag
        assert scalars[tag][-1].step == 2048


def test_the_finished_agent_is_a_plain_sb3_model(run: RunFolder) -> None:
    from stable_baselines3 import PPO

    model = PPO.load(run.model, device="cpu")
    assert model.num_timesteps == 2048
    assert model.gamma == 0.98


def test_nothing_is_written_outside_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(loads(TEXT), "run", **{**SMALL, "steps": 256})
    assert os.listdir(tmp_path) == ["run"]


def refusal(tmp_path: Path, text: str = TEXT, **settings: Any) -> str:
    """Return the code of the error with which a run is refused; it must leave nothing behind."""
    with pytest.raises(RewardSpecError) as caught:
        train(loads(text), tmp_path / "run", **{**SMALL, **settings})
    assert not (tmp_path / "run").exists()
    return caught.value.problems[0].code


def test_another_discount_than_the_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"the agent discounts with 0\.99, the spec with 0\.98"):
        choose(loads(TEXT), agent={"gamma": 0.99})
    assert refusal(tmp_path, agent={"gamma": 0.99}) == "discount-mismatch"
    assert choose(loads(TEXT), agent={"gamma": 0.98}).agent["gamma"] == 0.98


def test_a_spec_without_a_discount_takes_what_is_given() -> None:
    free = loads(TEXT.replace("discount: 0.98", ""))
    assert choose(free).agent["gamma"] == 0.99
    assert choose(free, agent={"gamma": 0.5}).agent["gamma"] == 0.5


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("unknown-algorithm", {"algo": "pppo"}),
        ("unfit-algorithm", {"algo": "sac", "agent": {}}),
        ("no-environment", {"env_id": "CartPol-v1"}),
        ("wrong-setting", {"steps": 0}),
        ("wrong-setting", {"agent": {"gamma": "high"}}),
        ("wrong-setting", {"agent": {"learning_rat": 1e-3}}),
        ("wrong-setting", {"agent": {"device": "cuda"}}),
        ("wrong-setting", {"agent": {"batch_size": 1}}),
        ("wrong-setting", {"agent": {"learning_rate": -1}}),
        ("wrong-setting", {"agent": {"n_epochs": 0}}),
        ("wrong-setting", {"agent": {"clip_range": float("nan")}}),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    tmp_path: Path, code: str, settings: dict[str, Any]
) -> None:
    assert refusal(tmp_path, **settings) == code


def test_a_spec_without_an_environment_needs_one(tmp_path: Path) -> None:
    assert refusal(tmp_path, "reward: 1") == "no-environment"
    assert choose(loads("reward: 1"), env_id="CartPole-v1").env_id == "CartPole-v1"


def test_a_spec_that_does_not_fit_the_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MismatchError):
        train(loads("reward: next_obs[9]"), tmp_path / "run", env_id="CartPole-v1")
    assert not (tmp_path / "run").exists()


def test_dqn_is_refused_where_actions_are_continuous(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path, "reward: next_obs[0]", env_id="Pendulum-v1", algo="dqn", agent={})
        == "unfit-algorithm"
    )


def test_a_taken_folder_is_refused_and_stays(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="--resume"):
        train(loads(TEXT), run.path, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnsupportedError, match="run-folder-taken"):
        train(loads(TEXT), tmp_path, **SMALL)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="not-a-run-folder"):
        RunFolder(tmp_path).read_facts()


# -- success ------------------------------------------------------------------------------------


def play(env_id: str, actions: list[int]) -> dict[str, Any]:
    env = make_env(loads("reward: 0"), env_id)
    env.reset(seed=0)
    for action in actions:
        *_, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return dict(info["episode"])
    raise AssertionError("the episode goes on")


def test_success_is_told_by_the_environment_and_never_by_the_spec() -> None:
    left, down, right = 0, 1, 2
    lake = "FrozenLake-v1"
    env = make_env(loads("reward: 1"), lake, {"is_slippery": False})
    env.reset(seed=0)
    for action in [down, down, right, right, down, right]:
        *_, terminated, _, info = env.step(action)
    assert terminated
    assert info["episode"]["success"] is True  # own return 1 reaches the registered 0.7
    assert info["episode"]["task_return"] == 1.0
    assert info["episode"]["r"] == 6.0
    fallen = play("CartPole-v1", [left] * 500)
    assert fallen["success"] is False
    assert play("Pendulum-v1", [[0.0]] * 200)["success"] is None  # type: ignore[list-item]


def test_minigrid_succeeds_when_its_own_reward_is_positive() -> None:
    ended = play("MiniGrid-Empty-5x5-v0", [2, 2, 1, 2, 2])
    assert ended["success"] is True
    assert 0 < ended["task_return"] < 1
    assert play("MiniGrid-Empty-5x5-v0", [0] * 100)["success"] is False


def test_a_horizon_in_the_spec_limits_an_environment_without_a_limit() -> None:
    env = make_env(loads("env: {id: CliffWalking-v1, horizon: 7}\nreward: 0"), "CliffWalking-v1")
    env.reset(seed=0)
    truncated = [env.step(0)[3] for _ in range(7)]
    assert truncated == [False] * 6 + [True]


# -- how it is shown ----------------------------------------------------------------------------

ROW = {
    "steps": 500,
    "recent": {"count": 3, "success": 0.5, "task_return": 7.0, "terms": {"key": 0.2}},
}


def test_without_a_terminal_progress_is_plain_lines() -> None:
    out = io.StringIO()
    with display.shown("doorkey", 1000, Console(file=out, width=300)) as show:
        show(ROW)
        show({**ROW, "steps": 510})  # too soon for another line
        show({**ROW, "steps": 1000})
    first, second = out.getvalue().splitlines()
    assert first.startswith("doorkey: 500 of 1000 steps, success 50 %, task's return 7, by term: key 0.2")
    assert second.startswith("doorkey: 1000 of 1000 steps")
    assert "\x1b" not in out.getvalue()


def test_in_a_terminal_there_is_a_bar_with_the_same_facts() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with display.shown("doorkey", 1000, console) as show:
        show(ROW)
    assert "500/1000" in out.getvalue()
    assert "success 50 %" in out.getvalue()


# -- several at once ----------------------------------------------------------------------------


def interrupt(row: dict[str, Any]) -> None:
    raise KeyboardInterrupt


def test_several_runs_at_once_are_the_runs_one_by_one(
    tmp_path: Path, spec_file: Path, run: RunFolder
) -> None:
    rest = {key: value for key, value in SMALL.items() if key not in ("steps", "show")}
    jobs = [
        Job("a", spec_file, tmp_path / "a", 2048, 0, rest),
        Job("b", load(spec_file), tmp_path / "b", 2048, 1, rest),
    ]
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):  # the second run has been begun and stopped: it goes on
        train(jobs[1].spec, jobs[1].folder, **{**SMALL, "seed": 1, "show": interrupt})
    first, second = train_all(jobs, workers=2, console=Console(file=out, width=200))
    assert [row["recent"] for row in first.rows()] == [row["recent"] for row in run.rows()]
    assert [row["steps"] for row in second.rows()] == [1024, 2048]
    assert first.rows()[-1]["recent"] != second.rows()[-1]["recent"]
    assert first.is_finished and second.is_finished
    assert "a, seed 0: 2,048 of 2,048 steps" in out.getvalue()


def test_what_goes_wrong_in_one_of_several_runs_is_raised(tmp_path: Path) -> None:
    jobs = [Job("wrong", loads("reward: next_obs[9]"), tmp_path / "a", 100, 0, {"env_id": "CartPole-v1"})]
    with pytest.raises(MismatchError):
        train_all(jobs, console=Console(file=io.StringIO()))


def test_the_gallery_spec_of_the_demo_is_its_machine() -> None:
    spec: Spec = load(Path(__file__).parents[2] / "examples" / "specs" / "minigrid_doorkey.yaml")
    assert spec.env is not None
    assert spec.env.id == "MiniGrid-DoorKey-8x8-v0"
    assert json.dumps(spec.to_data()["reward"]).count('"when"') == 3


def test_schedules_go_by_the_steps_of_all_environments(tmp_path: Path) -> None:
    """Over 400 steps of 4 environments, the weight is gone after 100 steps of each."""
    text = "env: {id: Pendulum-v1}\nreward: {markov: 1, name: paid, weight: {linear: {from: 1, to: 0, over: 400}}}"
    run = train(loads(text), tmp_path / "run", **{**SMALL, "steps": 1000})
    _, env = load_agent(run.path)
    model, envs, _ = build(loads(text), choose(loads(text), n_envs=4))
    assert model.n_envs == 4
    envs[0].reset(seed=0)
    paid = [float(envs[0].step([0.0])[1]) for _ in range(150)]
    assert paid[0] == 1.0
    assert paid[50] == pytest.approx(0.5)
    assert paid[100:] == [0.0] * 50
    env.reset(seed=0)  # the trained agent's environment is as it was at the end of the run
    assert float(env.step([0.0])[1]) == 0.0
