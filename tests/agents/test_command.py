"""Command lines of the agents: whose run a folder holds, what an interrupt says, numbers that cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents import dqn_sb3, dqn_torch, ppo_sb3, ppo_torch, q_learning, sac_sb3
from agents.bounds import refuse_numbers
from agents.command import held_specs, joined, resumed, run
from agents.device_run import run_command, with_folder
from rewardspec import UnsupportedError
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import read_run
from rewardspec.training.settings import Settings

SB3 = {"dqn_sb3": dqn_sb3, "sac_sb3": sac_sb3, "ppo_sb3": ppo_sb3}


def read_by(agent: str, *words: str) -> Any:
    """Read a command line as an agent does."""
    return q_learning.read_arguments(words) if agent == "q_learning" else SB3[agent].read(words)


def code_of(error: pytest.ExceptionInfo[UnsupportedError]) -> str:
    return error.value.problems[0].code


def folder_of(agent: str | None, place: Path, /, **settings: Any) -> RunFolder:
    """Return a folder as an agent writes it, with nothing trained yet."""
    run = RunFolder(place)
    facts = {"settings": settings, "digest": "0", "versions": {}}
    run.create("reward: 1\n", facts if agent is None else {"agent": agent, **facts})
    return run


# -- whose run it is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "command"),
    [
        (None, "rewardspec train"),
        ("q_learning", "python -m agents.q_learning"),
        ("x; rm -r", "rewardspec train"),  # what no module is called is not shown as a command
    ],
)
def test_a_taken_folder_names_the_command_of_its_agent(
    tmp_path: Path, agent: str | None, command: str
) -> None:
    run = folder_of(agent, tmp_path / "a run")
    with pytest.raises(UnsupportedError) as caught:
        run.create("", {})
    (problem,) = caught.value.problems
    assert problem.hints[0] == f"Go on with it: {command} --resume '{run.path}'"
    run.facts.write_text("torn")
    with pytest.raises(UnsupportedError) as caught:
        run.create("", {})
    assert caught.value.problems[0].code == "run-folder-taken"


def test_the_trainer_names_the_agent_whose_run_it_cannot_take_up(tmp_path: Path) -> None:
    run = folder_of("q_learning", tmp_path / "run", steps=10)
    with pytest.raises(UnsupportedError, match=r"begun by q_learning.*\[not-a-run-folder\]") as caught:
        read_run(run)
    assert caught.value.problems[0].hints == (f"Go on with it: {run.go_on()}",)
    assert json.loads(run.facts.read_text())["agent"] == "q_learning"


@pytest.mark.parametrize("agent", ["q_learning", *SB3])
@pytest.mark.parametrize(("other", "algo"), [("ppo_torch", None), ("ppo_native", "dqn"), (None, "a2c")])
def test_another_agents_run_is_refused_with_the_command_that_goes_on(
    tmp_path: Path, agent: str, other: str | None, algo: str | None
) -> None:
    held = {"steps": 10, "hidden": [8], "algo": algo}
    begun = folder_of(other, tmp_path / "run", **held)
    with pytest.raises(
        UnsupportedError, match=f"begun by `?{other or 'rewardspec train'}`?.*{agent}"
    ) as caught:
        read_by(agent, "--resume", str(begun.path))
    assert code_of(caught) == "settings-changed"
    assert caught.value.problems[0].hints == (f"Go on with it: {begun.go_on()}",)


def test_sac_does_not_go_on_with_a_run_of_dqn_whoever_calls_it(tmp_path: Path) -> None:
    settings = Settings("CartPole-v1", "dqn", 10, 0, 1).to_data()
    for agent in ("dqn_sb3", None):
        begun = folder_of(agent, tmp_path / str(agent), **settings)
        with pytest.raises(UnsupportedError, match=r"\[settings-changed\]"):
            sac_sb3.main(sac_sb3.Args(resume=begun.path))
        assert dqn_sb3.read(["--resume", str(begun.path)]).steps == 10
    other = folder_of("rainbow", tmp_path / "other", **settings)  # another agent with the same algorithm
    with pytest.raises(UnsupportedError, match="begun by rainbow"):
        dqn_sb3.read(["--resume", str(other.path)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "100000"], "steps is 5000 there and 100000 here"),
        (["--ratio", "1.0"], "ratio is 0.5 there and 1.0 here"),
        (["--no-crm"], "crm is True there and False here"),
        (["--hidden", "128", "128"], r"hidden is \(8,\) there and \(128, 128\) here"),
        (["--learning-rate", "5e-4"], "learning_rate is 0.1 there"),
        (["--gamma", "0.9"], "gamma is 0.95 there and 0.9 here"),
    ],
)
def test_other_arguments_beside_resume_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    agent = {"gamma": 0.95, "learning_rate": 0.1, "policy_kwargs": {"net_arch": [8]}}
    settings = Settings("CartPole-v1", "dqn", 5000, 3, 2, {}, agent, 0.5)
    begun = folder_of("dqn_sb3", tmp_path / "run", **settings.to_data())
    same = dqn_sb3.read(["--resume", str(begun.path), "--quiet", "--ratio", "0.5", "--steps", "5000"])
    assert (same.seed, same.n_envs, same.quiet) == (3, 2, True)
    with pytest.raises(UnsupportedError, match=said) as caught:
        dqn_sb3.read([*words, f"--resume={begun.path}"])
    assert code_of(caught) == "settings-changed"


def test_the_copy_holds_each_spec_as_it_was_written(tmp_path: Path) -> None:
    texts = ["---\nname: one\nreward: 1", "name: two\nreward: |\n  2\n", "# none\nname: three\nreward: 3\n"]
    begun = folder_of(None, tmp_path / "run")
    begun.spec.write_text(joined(texts))
    assert [spec.name for spec in held_specs(begun, 3)] == ["one", "two", "three"]
    with pytest.raises(UnsupportedError, match=r"holds 3 specs.*begun with 2.*\[spec-changed\]"):
        held_specs(begun, 2)
    assert resumed(["--resume"]) is None


# -- an interrupt --------------------------------------------------------------------------------------------

SPECS = "name: lake\ndiscount: 0.9\nenv: {id: FrozenLake-v1}\nreward: reward\n"


@pytest.mark.parametrize(
    ("agent", "place"),
    [("q_learning", "lake-plain-0"), ("ppo_torch", "lake-ppo_torch-0"), ("dqn_torch", "b")],
)
def test_an_interrupt_ends_in_the_command_that_goes_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    agent: str,
    place: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lake.yaml").write_text(SPECS)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.recording.Recording.log", interrupted)
    words = ["--spec", "lake.yaml", "--steps", "2000", "--quiet"]
    if agent == "q_learning":
        words += ["--method", "plain"]
        status = run(lambda: q_learning.read_arguments(words), lambda args: str(q_learning.main(args).path))
    elif agent == "ppo_torch":
        status = run_command(agent, ppo_torch.Args, ppo_torch.train, words)
    else:
        words += ["--folder", f"runs/{place}", "--crm", "none", "--log-every", "1"]
        status = run_command(agent, dqn_torch.Args, dqn_torch.train, words)
    assert status == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"stopped; go on with: python -m agents.{agent} --resume runs/{place}"


def test_an_interrupt_before_anything_is_written_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> str:
        raise KeyboardInterrupt

    assert run(lambda: dqn_sb3.Args(folder=tmp_path / "none"), interrupted) == 130
    assert capsys.readouterr().err == "stopped; nothing was written\n"
    assert run(lambda: dqn_sb3.read(["--resume", str(tmp_path)]), interrupted) == 1
    assert "[not-a-run-folder]" in capsys.readouterr().err


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize(
    ("cuda", "hint"), [(False, "Use 'cpu': there is no CUDA device here."), (True, "Use 'cpu', or 'cuda'.")]
)
def test_a_device_that_torch_does_not_know_is_told_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: bool, hint: str, graphs: bool
) -> None:
    path = tmp_path / "lake.yaml"
    path.write_text(SPECS)
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    args = ppo_torch.Args(spec=path, folder=tmp_path / "run", device="gpu", cuda_graphs=graphs)
    with pytest.raises(UnsupportedError) as caught:
        ppo_torch.train(args)
    (problem,) = caught.value.problems
    assert problem.message == "the device 'gpu' cannot be used: torch knows no device of that name"
    assert problem.hints == (hint,)


def test_folders_are_named_by_spec_agent_and_seed(tmp_path: Path) -> None:
    spec = Path("here/lake.yaml")
    for module, name in ((ppo_torch, "ppo_torch"), (dqn_torch, "dqn_torch")):
        assert with_folder(module.Args(spec=spec, seed=3), name).folder == Path(f"runs/lake-{name}-3")
        assert with_folder(module.Args(specs=Path("a_*.yaml")), name).folder == Path(f"runs/tasks-{name}-0")
        assert with_folder(module.Args(spec=spec, folder=tmp_path), name).folder == tmp_path
    assert dqn_sb3.read(["--spec", str(spec)]).folder == Path("runs/lake-dqn-0")
    assert sac_sb3.read(["--spec", str(spec), "--algo", "td3"]).folder == Path("runs/lake-td3-0")
    assert q_learning.read_arguments(["--spec", str(spec)]).folder == Path("runs/lake-crm-0")


# -- numbers -------------------------------------------------------------------------------------------------

TRAINERS: dict[Any, Any] = {
    q_learning: q_learning.main,
    ppo_torch: ppo_torch.train,
    dqn_torch: dqn_torch.train,
    **{module: module.main for module in SB3.values()},
}


@pytest.mark.parametrize(
    ("module", "wrong", "said"),
    [
        (ppo_torch, {"n_envs": 0}, "n_envs is 0; the least is 1"),
        (ppo_torch, {"batch_size": 0}, "batch_size is 0; the least is 1"),
        (ppo_torch, {"hidden": (8, 0)}, "hidden is 0; the least is 1"),
        (dqn_torch, {"n_envs": 0}, "n_envs is 0; the least is 1"),
        (dqn_torch, {"exploration_final_eps": 1.5}, "exploration_final_eps is 1.5; it lies between 0 and 1"),
        (q_learning, {"eval_every": 0}, "eval_every is 0; the least is 1"),
        (q_learning, {"steps": -5}, "steps is -5; the least is 1"),
        (q_learning, {"epsilon": -0.1}, "epsilon is -0.1; it lies between 0 and 1"),
        (q_learning, {"seed": -1}, "seed is -1; the least is 0"),
        (q_learning, {"gamma": float("nan")}, "gamma is nan; it lies between 0 and 1"),
        (dqn_sb3, {"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
        (sac_sb3, {"tau": 2.0}, "tau is 2.0; it lies between 0 and 1"),
        (ppo_sb3, {"gamma": 1.01}, "gamma is 1.01; it lies between 0 and 1"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(
    tmp_path: Path, module: Any, wrong: dict[str, Any], said: str
) -> None:
    path = tmp_path / "lake.yaml"
    path.write_text(SPECS)
    named: dict[str, Any] = {"specs": (str(path),)} if module is q_learning else {"spec": path}
    refuse_numbers(module.Args(**named))
    with pytest.raises(UnsupportedError) as caught:
        TRAINERS[module](module.Args(**named, folder=tmp_path / "run", quiet=True, **wrong))
    assert [(p.code, p.message) for p in caught.value.problems] == [("wrong-setting", said)]
    assert not (tmp_path / "run").exists()


def test_every_wrong_number_is_named_at_once() -> None:
    with pytest.raises(UnsupportedError) as caught:
        refuse_numbers(ppo_torch.Args(steps=0, gae_lambda=-1.0, clip_range=0.0))
    assert [p.message.split()[0] for p in caught.value.problems] == ["steps", "gae_lambda", "clip_range"]
