"""Tabular agents: the textbook's numbers, counterfactuals that help, options, several tasks, kill and resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agents.q_learning as agent
import envs  # noqa: F401  (registers the worlds)
from agents.q_learning import Args, Learner, main, read_arguments, task_of
from agents.recording import Recording
from agents.tabular_tasks import edges_worth_taking
from rewardspec import LearningError, UnsupportedError, compile_spec, loads
from rewardspec.errors import RewardSpecError
from rewardspec.tabular.world import TabularWorld, tabulate

COFFEE = """
name: coffee
discount: 0.9
env: {id: rewardspec/OfficeWorld-v0, labels: environment}
propositions: {coffee: label.coffee, office: label.office, broken: label.decoration}
reward:
  reward_machine:
    start: want
    edges:
      - {from: want, to: have, when: coffee and not broken}
      - {from: have, to: done, when: office and not broken, reward: 1}
      - {from: [want, have], to: lost, when: broken}
    terminal: [done, lost]
"""
MAIL = COFFEE.replace("name: coffee", "name: mail").replace("label.coffee", "label.mail")
MARKOV = "discount: 0.9\nenv: {id: FrozenLake-v1}\nreward: reward\n"


@pytest.fixture(scope="module")
def office() -> TabularWorld:
    return tabulate(gym.make("rewardspec/OfficeWorld-v0"))


def learner(world: TabularWorld, args: Args, *specs: str) -> Learner:
    tasks = [task_of(compile_spec(loads(spec)), world, args, 0.9) for spec in specs or (COFFEE,)]
    return Learner(tasks, args, 0.9)


class Stream:
    """SplitMix64 in plain Python."""

    def __init__(self, seed: int) -> None:
        self.word = seed

    def draw(self) -> float:
        mask = (1 << 64) - 1
        self.word = z = (self.word + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53

    def choose(self, values: np.ndarray, epsilon: float) -> int:
        if self.draw() < epsilon:
            return int(self.draw() * len(values))
        best = np.flatnonzero(values == values.max())
        return int(best[int(self.draw() * len(best)) if len(best) > 1 else 0])


@pytest.mark.parametrize(("shaping", "onward"), [("none", True), ("none", False), ("value_iteration", True)])
def test_plain_is_the_textbooks_q_learning(office: TabularWorld, shaping: Any, onward: bool) -> None:
    world = replace(office, horizon=40)
    learnt = learner(world, Args(method="plain", shaping=shaping, seed=3, bootstrap_at_limit=onward))
    learnt.learn(20_000)
    product, paid = learnt.tasks[0].product, learnt.tasks[0].shaped.reward
    stream, start = Stream(3), int(world.start.argmax())
    stream.draw()
    q = np.full((world.n_states, product.n_memory, 4), 2.0)
    s, u, t = start, 0, 0
    for _ in range(20_000):
        a = stream.choose(q[s, u], 0.1)
        s2, u2, t = int(world.next_state[s, a, 0]), int(product.next_memory[u, s, a, 0]), t + 1
        over = bool(product.terminated[u, s, a, 0])
        last = over or (t == 40 and not onward)
        goal = paid[u, s, a, 0] + (0.0 if last else 0.9 * q[s2, u2].max())
        q[s, u, a] += 0.5 * (goal - q[s, u, a])
        s, u = s2, u2
        if over or t == 40:
            s, u, t = start, 0, 0
    np.testing.assert_allclose(learnt.q.reshape(q.shape), q, atol=1e-12)


@pytest.mark.parametrize("method", ["crm", "hrm"])
def test_episodes_end_at_the_horizon_and_with_the_machine(office: TabularWorld, method: Any) -> None:
    ended = learner(replace(office, horizon=40), Args(method=method)).learn(20_000)
    assert ended.length.max() == 40 and (ended.length < 40).any()
    assert set(ended.reward.tolist()) == {0.0, 1.0}


def first_optimal(world: TabularWorld, args: Args, *specs: str) -> int:
    """Return the steps after which the greedy policy is optimal and stays so for five evaluations."""
    learnt, row = learner(world, args, *specs), 0
    for step in range(1_000, 60_001, 1_000):
        learnt.learn(1_000)
        best = min(value / task.optimum for value, task in zip(learnt.returns(), learnt.tasks, strict=True))
        row = row + 1 if best > 0.95 else 0
        if row == 5:
            return step
    return 1_000_000


def test_counterfactual_experience_and_shaping_learn_sooner(office: TabularWorld) -> None:
    plain, crm = (first_optimal(office, Args(method=method)) for method in ("plain", "crm"))
    shaped = first_optimal(office, Args(shaping="value_iteration"))
    assert shaped < crm < plain < 1_000_000


def test_nothing_is_learnt_of_memory_in_which_the_episode_cannot_be(office: TabularWorld) -> None:
    learnt = learner(office, Args())
    learnt.learn(20_000)
    machine = office.observation.tolist().index([3, 6])
    want, have = learnt.q[2 * machine], learnt.q[2 * machine + 1]
    assert (want == 2.0).all(), "whoever stands at the coffee machine has coffee"
    assert (have != 2.0).all()


def test_options_learn_a_task_whose_nearest_subgoals_are_the_best_ones(office: TabularWorld) -> None:
    assert first_optimal(office, Args(method="hrm"), MAIL) < 40_000


def test_several_tasks_are_learnt_from_every_step(office: TabularWorld) -> None:
    both = learner(office, Args(), COFFEE, MAIL)
    ended = [both.learn(1_000).task for _ in range(40)]
    tasks = np.concatenate(ended)
    assert (np.diff(tasks) != 0).all(), "one an episode in turn"
    assert [value / task.optimum for value, task in zip(both.returns(), both.tasks, strict=True)] == [
        pytest.approx(1.0),
        pytest.approx(1.0),
    ]
    alone = learner(office, Args(), COFFEE)
    assert len(both.q) == 2 * len(alone.q)


def test_an_option_aims_for_an_edge_after_which_something_can_be_earned(office: TabularWorld) -> None:
    product = task_of(compile_spec(loads(COFFEE)), office, Args(), 0.9).product
    told = [(product.names[u], product.names[aim]) for u, aim in edges_worth_taking(product)]
    assert told == [("want", "have"), ("have", "done")], "and for none into failure"


@pytest.mark.parametrize("method", ["plain", "crm", "hrm"])
def test_a_world_with_chance_and_a_start_at_random_is_learnt(method: Any) -> None:
    text = """
discount: 0.9
propositions: {corner: next_obs == 3, goal: next_obs == 15}
reward: {reward_machine: {start: a, edges: [{from: a, to: b, when: corner, reward: 0.5},
  {from: b, to: c, when: goal, reward: 1}], terminal: [c]}}
"""
    world = tabulate(gym.make("FrozenLake-v1", is_slippery=True))
    spread = replace(world, start=np.eye(16)[0] * 0.5 + np.eye(16)[4] * 0.5)
    args = Args(method=method, learning_rate=0.05, q_init=1.0, eval_episodes=3_000)
    task = task_of(compile_spec(loads(text)), spread, args, 0.9)
    learnt = Learner([task], args, 0.9)
    learnt.learn(300_000)
    assert learnt.returns()[0] > 0.8 * task.optimum


# -- runs ------------------------------------------------------------------------------------------------------------


def written(folder: Path, *texts: str) -> tuple[str, ...]:
    paths = [folder / f"{i}.yaml" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return tuple(map(str, paths))


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize("method", ["crm", "hrm"])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    tmp_path: Path, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = Args(
        written(tmp_path, COFFEE, MAIL), method=method, steps=8_500, quiet=True, checkpoint_seconds=0.0
    )
    main(replace(args, folder=tmp_path / "whole"))
    calls, log = [0], Recording.log

    def killed(self: Recording, steps: int, numbers: Any) -> None:
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        log(self, steps, numbers)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Recording, "log", killed)
        main(replace(args, folder=tmp_path / "killed"))
    assert len(rows(tmp_path / "killed")) == 4
    for path in args.specs:  # the run has its own copy of them
        Path(path).unlink()
    main(read_arguments(["--resume", str(tmp_path / "killed")]))
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert (tmp_path / "killed/result.json").read_text() == (tmp_path / "whole/result.json").read_text()


def test_what_the_machine_or_the_discount_does_not_allow_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[Args, str]] = [
        (Args(written(tmp_path, MARKOV), method="crm"), "needs-machine"),
        (Args(written(tmp_path, MARKOV), method="plain", shaping="value"), "needs-machine"),
        (Args(written(tmp_path, MARKOV), method="plain", gamma=0.99), "discount-mismatch"),
        (Args(written(tmp_path, MARKOV.replace("env:", "# env:")), method="plain"), "no-environment"),
        (Args(written(tmp_path, MARKOV), env="CartPole-v1", method="plain"), "not-tabular"),
    ]
    for args, code in cases:
        written(tmp_path, MARKOV.replace("env:", "# env:") if code == "no-environment" else MARKOV)
        with pytest.raises(RewardSpecError) as caught:
            main(replace(args, folder=tmp_path / "run", quiet=True))
        assert [problem.code for problem in caught.value.problems] == [code]
        assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_spec_or_other_arguments_is_refused(tmp_path: Path) -> None:
    args = Args(written(tmp_path, COFFEE), steps=2_000, folder=tmp_path / "run", quiet=True)
    main(args)
    with pytest.raises(UnsupportedError, match=r"epsilon is 0\.1 there and 0\.2 here"):
        main(read_arguments(["--resume", str(tmp_path / "run"), "--epsilon", "0.2"]))
    copy = tmp_path / "run/spec.yaml"
    copy.write_text(COFFEE.replace("reward: 1", "reward: 2"))
    with pytest.raises(UnsupportedError, match="trained on another spec"):
        main(read_arguments(["--resume", str(tmp_path / "run")]))
    copy.write_text(COFFEE + "\nobjective: limit_average\n")  # the program and its digest are the same
    with pytest.raises(UnsupportedError, match="unfit-objective"):
        main(read_arguments(["--resume", str(tmp_path / "run")]))
    copy.write_text(COFFEE)
    for held in (tmp_path / "run/checkpoints").glob("*/arrays.npz"):  # a slow machine has made several
        held.write_bytes(b"torn")
    with pytest.raises(LearningError, match="cannot be read"):
        main(read_arguments(["--resume", str(tmp_path / "run")]))


def test_the_module_runs_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (spec,) = written(tmp_path, COFFEE)
    command = ["--spec", spec, "--steps", "3000", "--folder", str(tmp_path / "run"), "--quiet"]
    assert agent.main(read_arguments(command)).path == tmp_path / "run"
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "spec.yaml",
        "run.json",
        "progress.jsonl",
        "tb",
    }
    assert json.loads((tmp_path / "run/result.json").read_text())["optimum"]["coffee"] == pytest.approx(
        0.9**14
    )
