"""Many specs in one batch: what each environment is paid is what its own spec alone would have paid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rewardspec import MismatchError, NonFiniteRewardError, UnsupportedError, loads, wrap_tensor
from rewardspec.wrappers.stacked import wrap_stacked
from tests.wrappers.test_tensor import Cell, DictLine, Line, NoLook

HEAD = """
discount: 0.9
propositions: {right: "next_obs[0] > 0.3", left: "next_obs[0] < -0.3", far: "abs(next_obs[0]) > 1 and obs[1] > 0"}
reward:
"""

SPECS = {
    "formula": "- ltl: F(right & X F left) & G !far\n  reject: -1\n",
    "machine": """
- reward_machine:
    start: neutral
    edges:
    - {from: neutral, to: was_right, when: right, reward: 0.5}
    - {from: was_right, to: was_left, when: left, reward: "next_obs[0]"}
    - {from: was_left, to: was_right, when: right and not far, reward: 1}
    - {from: was_left, to: over, when: far and right, reward: 3}
    terminal: [over]
""",
    "two": "- {ltl: F right, weight: 2, name: a}\n- {ltl: F left, name: b}\n- markov: -0.1 * abs(action) * left\n",
    "dense": "- {markov: reward * action, name: own}\n- potential: -abs(obs[0])\n",
    "constant": "- markov: 0.25\n",
    "conditional": "- {markov: 'where(right, reward, -1)', weight: 3}\n- markov: where(reward > 0, 1, 0)\n",
    "shaped": "- {ltl: F(right & X F left), name: goal}\n- potential: where(obs[0] > 0.3, 1, 0)\n",
}


def spec(name: str) -> Any:
    return loads(f"name: {name}\n{HEAD}{SPECS[name]}")


def actions(steps: int, batch: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 3, (steps, batch), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("names", [tuple(SPECS), *((name,) for name in SPECS)])
def test_each_environment_is_paid_as_by_its_spec_alone(names: tuple[str, ...]) -> None:
    batch = 3 * len(names)
    stack = wrap_stacked(Line(batch), {name: spec(name) for name in names}, dtype="float64")
    alone = [wrap_tensor(Line(batch), spec(name), dtype="float64") for name in names]
    stack.reset()
    for env in alone:
        env.reset()
    ends = 0
    for action in actions(80, batch):
        _, reward, terminated, truncated, infos = stack.step(action)
        for m, env in enumerate(alone):
            _, reward_, terminated_, truncated_, _ = env.step(action)
            own = torch.arange(batch) % len(names) == m
            np.testing.assert_array_equal(infos["spec"][own], m)
            np.testing.assert_allclose(reward[own], reward_[own], atol=1e-9)
            np.testing.assert_array_equal(terminated[own], terminated_[own])
            np.testing.assert_array_equal(truncated[own], truncated_[own])
            ends += int((terminated | truncated)[own].sum())
    assert ends >= batch
    stack.check()


def test_a_planted_error_is_caught() -> None:
    """The agreement above can fail: one cell of one spec's table, paid wrongly, is seen."""
    stack = wrap_stacked(Line(4), {"a": spec("formula"), "b": spec("machine")})
    stack.machines._pay[:, 0] += 0.125 * (torch.arange(len(stack.machines._pay)) == 0)
    with pytest.raises(AssertionError):
        alone = wrap_tensor(Line(4), spec("formula"))
        stack.reset(), alone.reset()
        for action in actions(20, 4):
            np.testing.assert_allclose(stack.step(action)[1][::2], alone.step(action)[1][::2], atol=1e-6)


def test_the_observation_shows_the_machine_and_the_task() -> None:
    """By hand: machine `formula` has 2 live states and 2 that end it, `constant` has 1."""
    line = Line(2)
    line.first = torch.zeros(2)
    stack = wrap_stacked(line, {"formula": spec("formula"), "constant": spec("constant")})
    assert stack.machines.live.tolist() == [2, 1]
    obs = stack.reset()
    width = stack.machines.states
    assert obs.shape == (2, 2 + width + 2) == (2, *stack.single_observation_space.shape)
    np.testing.assert_array_equal(
        obs[:, 2:], np.eye(width + 2)[[0, 0]] + np.eye(width + 2)[[width, width + 1]]
    )
    obs = stack.step(torch.tensor([2, 2]))[0]  # both go right: the formula's machine has moved on
    assert obs[0, 2 : 2 + width].argmax() == 1 and obs[1, 2 : 2 + width].argmax() == 0
    alone = wrap_stacked(Line(2), {"formula": spec("formula")})
    assert alone.single_observation_space.shape == (2 + width,)


@pytest.mark.parametrize("world", [Line, DictLine, Cell])
def test_every_observation_has_room_for_it_and_a_step_never_looks_at_a_tensor(world: Any) -> None:
    text = "propositions: {p: 'PART > 3'}\nreward:\n- ltl: F p\n- reward\n"
    part = {Line: "next_obs[0]", DictLine: "next_obs.at[0]", Cell: "next_obs"}[world]
    other = "propositions: {p: 'PART > 3'}\nreward: {ltl: G !p, pay: end}\n"
    stack = wrap_stacked(
        world(), {"a": loads(text.replace("PART", part)), "b": loads(other.replace("PART", part))}
    )
    obs = stack.reset()
    with NoLook():
        for action in actions(12, 5):
            obs, *_ = stack.step(action)
    row = {k: v[0].numpy() for k, v in obs.items()} if isinstance(obs, dict) else obs[0].numpy()
    if isinstance(row, dict):
        row["n"] = np.int64(row["n"])
    assert stack.single_observation_space.contains(row)


def test_fewer_environments_than_specs_take_turns() -> None:
    stack = wrap_stacked(Line(2), {name: spec(name) for name in ("constant", "dense", "formula")})
    stack.reset()
    seen = set()
    for action in actions(60, 2):
        seen |= set(stack.step(action)[4]["spec"].tolist())
    assert seen == {0, 1, 2}


def test_counterfactual_steps_are_the_steps_of_every_state() -> None:
    """From each live state the table goes where a run that is in that state goes."""
    stack = wrap_stacked(Line(6), {"machine": spec("machine")})
    stack.reset()
    states = torch.arange(stack.machines.states)
    for action in actions(40, 6):
        before = stack.u.clone()
        _, reward, terminated, _, infos = stack.step(action)
        reading = infos["reading"]
        classes = stack.machines.classify(infos["spec"], reading.bits)
        after, paid, ends, _ = stack.machines.step(
            infos["spec"][:, None], states[None], classes[:, None], reading.values[:, None]
        )
        row = torch.arange(6)
        np.testing.assert_allclose(paid[row, before], reward)
        np.testing.assert_array_equal(ends[row, before] | reading.terminated, terminated)
        going_on = ~(terminated | reading.truncated)
        np.testing.assert_array_equal(after[row, before][going_on], stack.u[going_on])


@pytest.mark.parametrize(
    "body",
    [
        "- normalise: {of: reward}",
        "- {once: left, value: 2}",
        "- potential: obs[0]\n  weight: {linear: {from: 1, to: 0, over: 9}}",
    ],
)
def test_what_is_no_table_is_refused_by_name(body: str) -> None:
    with pytest.raises(UnsupportedError, match=r"'bad': a spec cannot be one of a stack.*\[unfit-stack\]"):
        wrap_stacked(Line(), {"good": spec("formula"), "bad": loads(f"{HEAD}{body}")})


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("discount: 0.5\n", "their `discount` differs \\(a: 0.9; b: 0.5\\)"),
        ("discount: 0.9\nobserve: dict\n", "their `observe` differs"),
        ("discount: 0.9\nenv: {id: CartPole-v1}\n", "their `env` differs"),
        (
            "discount: 0.9\nenv: {id: Acrobot-v1, kwargs: {more: 1}}\n",
            r"`env.kwargs` differs \(a: {}; b: {'more': 1}\)",
        ),
    ],
)
def test_specs_that_do_not_go_together_are_named(head: str, message: str) -> None:
    first = loads("discount: 0.9\nenv: {id: Acrobot-v1}\nreward: {ltl: F a}\npropositions: {a: 'obs[0] > 0'}")
    other = loads(f"{head}reward: {{ltl: F a}}\npropositions: {{a: 'obs[0] > 0'}}")
    with pytest.raises(UnsupportedError, match=message):
        wrap_stacked(Line(), {"a": first, "b": other})


def test_a_spec_that_reads_what_is_not_there_is_named() -> None:
    with pytest.raises(MismatchError, match=r"'bad': .*"):
        wrap_stacked(Line(), {"good": spec("formula"), "bad": loads("reward: next_obs[7]")})


def test_a_reward_that_is_not_finite_is_paid_as_nothing_and_told() -> None:
    broken = "reward:\n- next_obs[0]\n- {name: logarithm, markov: 'log(-1 - abs(reward))'}"
    specs = {"good": spec("constant"), "bad": loads(f"discount: 0.9\n{broken}")}
    stack = wrap_stacked(Line(4), specs)
    stack.reset()
    reward = stack.step(torch.tensor([0, 0, 0, 0]))[1]
    assert reward.tolist() == [0.25, 0.0, 0.25, 0.0]
    stack.step(torch.tensor([0, 0, 0, 0]))  # the first time is told, not the last
    with pytest.raises(NonFiniteRewardError) as caught:
        stack.check()
    (problem,) = caught.value.problems
    said = "environment 1: the term 'logarithm' of 'bad' was not finite at step 0 of the episode"
    assert (problem.message, problem.place.line) == (said, 4)


def test_a_reward_that_is_not_finite_late_is_told_with_its_step() -> None:
    """The fault is another environment's and another spec's reading, which says nothing about this one."""
    specs = {
        "good": loads("discount: 0.9\nreward: log(1 + abs(reward))"),
        "bad": loads("discount: 0.9\nreward: where(next_obs[0] > 1.5, 1 / (reward - reward), 0)"),
    }
    stack = wrap_stacked(Line(2), specs)
    stack.reset()
    for _ in range(2):
        stack.step(torch.tensor([1, 1]))
    stack.check()
    for _ in range(6):
        stack.step(torch.tensor([1, 1]))
    with pytest.raises(NonFiniteRewardError, match=r"environment 1: the term .* of 'bad' .* at step [1-9]"):
        stack.check()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_pays_what_the_processor_pays() -> None:
    specs = {name: spec(name) for name in SPECS}
    here, there = wrap_stacked(Line(14), specs), wrap_stacked(Line(14, "cuda"), specs, device="cuda")
    here.reset(), there.reset()
    for action in actions(30, 14):
        np.testing.assert_allclose(here.step(action)[1], there.step(action.cuda())[1].cpu(), atol=1e-5)


def test_a_stack_is_made_of_something() -> None:
    with pytest.raises(UnsupportedError, match="no spec"):
        wrap_stacked(Line(), {})
