"""Every cell of docs/support.md: what is said to work pays what the oracle pays; what is not is refused, and why."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo import ParallelEnv

import rewardspec
from docs.support import FORMS, GAPS, HOSTS, LEARNED, ROOT, missing_words, support_text
from rewardspec.backends import oracle
from rewardspec.ir.program import Program
from rewardspec.team.resolve import KEY, bind_agent, reads_others
from rewardspec.team.roster import Roster
from rewardspec.transition import Transition

XS = (0.0, -0.5, 0.25, 0.5, -0.25, 0.75, 1.5, 0.5)
"""The observations of the one episode that is played everywhere: a holds from step 1 on, b at step 5."""

TAPE = [
    Transition(
        np.array([before, 0.0]),
        1,
        np.array([after, 0.0]),
        reward=after,
        terminated=False,
        truncated=step == len(XS) - 2,
        info={},
        label={"given": after > 0.3, "rise": after > 0.2},
    )
    for step, (before, after) in enumerate(itertools.pairwise(XS))
]
OBSERVATION = spaces.Box(-2, 2, (2,), np.float64)
ACTION = spaces.Discrete(3)


class Tape(gym.Env[Any, Any]):
    observation_space = OBSERVATION
    action_space = ACTION
    at = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return TAPE[0].obs, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        now = TAPE[self.at]
        self.at += 1
        return now.next_obs, now.reward, False, now.truncated, {}


class TensorTape:
    num_envs = 1
    single_observation_space = OBSERVATION
    single_action_space = ACTION
    at = 0

    def reset(self, mask: Any) -> Any:
        import torch

        self.at = 0 if bool(mask[0]) else self.at
        return torch.tensor(np.array([[XS[self.at], 0.0]]))

    def step(self, action: Any) -> Any:
        import torch

        now = TAPE[self.at]
        self.at += 1
        flag = torch.tensor([now.truncated])
        return torch.tensor(now.next_obs[None]), torch.tensor([now.reward]), torch.zeros_like(flag), flag


def told(env: Any, step: Transition) -> dict[str, bool]:
    return {"given": step.next_obs[0] > 0.3}


def rise(env: Any, step: Transition) -> list[str]:
    return ["rise"] if step.next_obs[0] > 0.2 else []


def single(program: Program) -> list[float]:
    env = rewardspec.wrap(Tape(), program, label=told, judge=rise)
    env.reset()
    return until_end(lambda: env.step(1))


def sb3(program: Program) -> list[float]:
    venv = rewardspec.make_vec(Tape, program, label=told, judge=rise)
    venv.reset()

    def step() -> tuple[Any, Any, bool, bool, Any]:
        _, rewards, dones, infos = venv.step(np.array([1]))
        return None, rewards[0], dones[0], False, infos

    return until_end(step)


def vector(mode: AutoresetMode) -> Callable[[Program], list[float]]:
    def play(program: Program) -> list[float]:
        venv = rewardspec.wrap_vector(
            SyncVectorEnv([Tape], autoreset_mode=mode),
            program,
            label=lambda venv, step: {"given": step.next_obs[:, 0] > 0.3},
        )
        venv.reset()
        return until_end(lambda: venv.step(np.array([1])))

    return play


def tensor(program: Program) -> list[float]:
    import torch

    from rewardspec.wrappers.tensor import wrap_tensor

    env = wrap_tensor(
        TensorTape(),
        program,
        dtype="float64",
        label=lambda env, step: {"given": step.next_obs[:, 0] > 0.3},
    )
    env.reset()
    return until_end(lambda: env.step(torch.tensor([1])))


def offline(program: Program) -> list[float]:
    paid = rewardspec.relabel(TAPE, program, observation_space=OBSERVATION, action_space=ACTION)
    return [float(reward) for reward in paid.reward[paid.valid]]


def until_end(step: Callable[[], Any]) -> list[float]:
    rewards: list[float] = []
    for _ in TAPE:
        _, reward, terminated, truncated, _ = step()
        rewards.append(float(np.asarray(reward).reshape(-1)[0]))
        if terminated or truncated:
            break
    return rewards


class ParallelTape(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """The same episode with PettingZoo's parallel API: one agent, so that all hosts can be held to one oracle."""

    metadata: dict[str, Any] = {"name": "tape"}  # noqa: RUF012
    render_mode = None

    def __init__(self) -> None:
        self.possible_agents, self.agents, self.at = ["solo"], list[str](), 0

    def observation_space(self, agent: str) -> Any:
        return OBSERVATION

    def action_space(self, agent: str) -> Any:
        return ACTION

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.at, self.agents = 0, ["solo"]
        return {"solo": TAPE[0].obs}, {"solo": {}}

    def step(self, actions: dict[str, Any]) -> Any:
        now = TAPE[self.at]
        self.at += 1
        self.agents = [] if now.truncated else ["solo"]
        return (
            {"solo": now.next_obs},
            {"solo": now.reward},
            {"solo": False},
            {"solo": now.truncated},
            {"solo": {}},
        )


def given(env: Any, agent: str | None, step: Transition) -> dict[str, bool]:
    return {"given": step.next_obs[0] > 0.3}


def parallel(program: Program) -> list[float]:
    env = rewardspec.wrap_parallel(ParallelTape(), program, label=given)
    env.reset()
    return until_end(lambda: tuple(next(iter(part.values()), None) for part in env.step({"solo": 1})))


def parallel_sb3(program: Program) -> list[float]:
    venv = rewardspec.make_parallel_vec(ParallelTape, program, label=given, seed=0)
    venv.reset()

    def step() -> tuple[Any, Any, bool, bool, Any]:
        _, rewards, dones, infos = venv.step(np.array([1]))
        return None, rewards[0], dones[0], False, infos

    return until_end(step)


PLAY: dict[str, tuple[Callable[[Program], list[float]], ...]] = {
    "wrap": (single,),
    "make_vec": (sb3,),
    "relabel": (offline,),
    "wrap_vector, resets by itself": (vector(AutoresetMode.NEXT_STEP), vector(AutoresetMode.SAME_STEP)),
    "wrap_vector, DISABLED": (vector(AutoresetMode.DISABLED),),
    "wrap_tensor": (tensor,),
    "wrap_parallel": (parallel,),
    "make_parallel_vec": (parallel_sb3,),
}


def program_of(form: str) -> Program:
    own = "" if "propositions: {given" in FORMS[form] else "propositions: {a: x > 0, b: x > 1}\n"
    return rewardspec.compile_spec(rewardspec.loads(f"signals: {{x: 'next_obs[0]'}}\n{own}{FORMS[form]}\n"))


REFUSALS = (rewardspec.UnsupportedError, rewardspec.MismatchError)


def by_the_oracle(program: Program) -> list[float]:
    rewards, tape = [], TAPE
    if reads_others(program):
        roster = Roster(("solo",), {"solo": OBSERVATION}, {"solo": ACTION}, {"solo": None})
        program = bind_agent(program, "solo", roster).program
        here = {"solo": {"present": 1.0}}
        tape = [
            replace(
                t, obs={"solo": t.obs}, next_obs={"solo": t.next_obs}, action={"solo": 1}, info={KEY: here}
            )
            for t in TAPE
        ]
    for outcome in oracle.run_episode(program, tape):
        rewards.append(float(outcome.reward))
        if outcome.terminated or outcome.truncated:
            break
    return rewards


def cells() -> list[Any]:
    return [
        pytest.param(
            form,
            host,
            marks=[pytest.mark.xfail(raises=REFUSALS, strict=True, reason=GAPS[form, host])]
            if (form, host) in GAPS
            else [],
        )
        for form in FORMS
        for host in HOSTS
    ]


@pytest.mark.parametrize(("form", "host"), cells())
def test_cell(form: str, host: str) -> None:
    program = program_of(form)
    for play in PLAY[host]:
        paid = play(program)
        assert paid == pytest.approx(by_the_oracle(program), abs=1e-6)


@pytest.mark.parametrize(("form", "host"), list(GAPS), ids=str)
def test_gap_is_refused_with_its_code(form: str, host: str) -> None:
    for play in PLAY[host]:
        with pytest.raises(REFUSALS, match=GAPS[form, host]):
            play(program_of(form))


def test_rows_pay_something_and_differ() -> None:
    """A row whose spec pays nothing on the tape would hold under any host."""
    for form in set(FORMS) - set(LEARNED):
        assert any(by_the_oracle(program_of(form))), form


def test_every_word_has_a_row() -> None:
    assert not missing_words()


def test_the_page_is_not_stale() -> None:
    assert support_text() == (ROOT / "docs" / "support.md").read_text(), "run: make docs"
