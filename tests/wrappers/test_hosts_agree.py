"""Whoever calls the program, it pays the same: drawn specs on recorded transitions, in every host at once."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rewardspec import (
    NonFiniteRewardError,
    Program,
    Transition,
    UnsupportedError,
    compile_spec,
    relabel,
    wrap,
    wrap_vector,
)
from rewardspec.vocabulary import from_data
from tests.agreement.worlds import ACTION, OBSERVATION, batches, specs

STEPS = 25


class Tape(gym.Env[Any, Any]):
    """Plays recorded transitions; a reset goes on where the tape stands."""

    observation_space = OBSERVATION
    action_space = ACTION

    def __init__(self, tape: list[Transition]) -> None:
        self.tape, self.at = tape, 0
        self.metadata = {"render_modes": []}
        self.label: Any = {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self.tape[min(self.at, len(self.tape) - 1)].obs, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        now = self.tape[self.at]
        self.at += 1
        self.label = now.label
        return now.next_obs, now.reward, now.terminated, now.truncated, dict(now.info or {})


Said = list[tuple[float, bool, bool, tuple[str, ...]]]
"""Per step: reward, ends, and the names of the machines' states after it."""


def said_by_single(program: Program, tape: list[Transition]) -> Said:
    env = wrap(Tape(tape), program, label=lambda env, _: env.unwrapped.label, observe="none")  # type: ignore[attr-defined]
    env.reset()
    said: Said = []
    for step in tape:
        _, reward, terminated, truncated, _ = env.step(step.action)
        said.append((float(reward), terminated, truncated, tuple(env.machine_states.values())))
        if terminated or truncated:
            env.reset()
    return said


def said_by_vector(program: Program, tapes: list[list[Transition]]) -> list[Said]:
    """Return what a wrapper above a DISABLED vector environment says, per environment."""
    venv = wrap_vector(
        SyncVectorEnv(
            [lambda tape=tape: Tape(tape) for tape in tapes], autoreset_mode=AutoresetMode.DISABLED
        ),
        program,
        label=lambda venv, _: {"d": np.array([env.label["d"] for env in venv.envs])},  # type: ignore[attr-defined]
        observe="none",
    )
    venv.reset()
    said: list[Said] = [[] for _ in tapes]
    for t in range(STEPS):
        actions = np.stack([tape[t].action for tape in tapes])
        # Sub-environments keep the dtype of the recorded actions only when they are given as such.
        _, reward, terminated, truncated, _ = venv.step(actions)
        states = venv.machine_states
        for i, column in enumerate(said):
            names = tuple(states[name][i] for name in states)
            column.append((float(reward[i]), bool(terminated[i]), bool(truncated[i]), names))
        ended = terminated | truncated
        if ended.any():
            venv.reset(options={"reset_mask": ended})
    return said


def said_by_relabelling(program: Program, tape: list[Transition]) -> Said:
    result = relabel(tape, program, after_end="restart", observation_space=OBSERVATION, action_space=ACTION)
    names = {m.name: m.states for m in program.machines}
    return [
        (
            float(result.reward[t]),
            bool(result.terminated[t]),
            bool(result.truncated[t]),
            tuple(names[name][column[t]] for name, column in result.machine_states.items()),
        )
        for t in range(len(tape))
    ]


def same(one: Said, other: Said) -> None:
    for t, (a, b) in enumerate(zip(one, other, strict=True)):
        assert a[1:] == b[1:], f"step {t}"
        assert a[0] == pytest.approx(b[0], rel=1e-9, abs=1e-9), f"step {t}"


def program_of(data: dict[str, Any]) -> Program:
    program = compile_spec(from_data(data))
    assume(program.scope == "step")
    return program


@settings(max_examples=90)
@given(specs(), st.integers(0, 10_000))
def test_one_environment_in_every_host(data: dict[str, Any], seed: int) -> None:
    """One environment: running statistics and schedules must agree as well."""
    program = program_of(data)
    tape = [batch.rows()[0] for batch in batches(seed, STEPS, 1)]
    hosts = {
        "single": lambda: said_by_single(program, tape),
        "vector": lambda: said_by_vector(program, [tape])[0],
        "offline": lambda: said_by_relabelling(program, tape),
    }
    found: dict[str, Any] = {}
    for name, run in hosts.items():
        try:
            found[name] = run()
        except NonFiniteRewardError:
            found[name] = "not finite"
    if "not finite" in found.values():
        assert set(map(str, found.values())) == {"not finite"}
        return
    same(found["single"], found["vector"])
    same(found["single"], found["offline"])


@settings(max_examples=45)
@given(specs(), st.integers(0, 10_000))
def test_several_environments(data: dict[str, Any], seed: int) -> None:
    """Each row of a vector is an environment of its own, whatever the others do."""
    program = program_of(data)
    assume(not any(fold.scope == "run" for fold in program.folds))
    columns = [list(rows) for rows in zip(*(batch.rows() for batch in batches(seed, STEPS, 3)), strict=True)]
    try:
        alone = [said_by_single(program, tape) for tape in columns]
    except NonFiniteRewardError:
        with pytest.raises(NonFiniteRewardError):
            said_by_vector(program, columns)
        return
    for one, other in zip(alone, said_by_vector(program, columns), strict=True):
        same(one, other)


def test_the_drawn_specs_cover_what_matters() -> None:
    """A vector environment that resets by itself refuses exactly the programs that end episodes."""
    seen = set()

    @settings(max_examples=40, database=None)
    @given(specs())
    def look(data: dict[str, Any]) -> None:
        program = compile_spec(from_data(data))
        if program.scope == "episode":
            seen.add("episode")
            return
        seen.add("ends" if program.ends else "plays on")
        venv = SyncVectorEnv([lambda: Tape([])])
        if program.ends:
            with pytest.raises(UnsupportedError, match="vector-cannot-end"):
                wrap_vector(venv, program, label=lambda venv, _: {})
        else:
            wrap_vector(venv, program, label=lambda venv, _: {})

    look()
    assert seen >= {"ends", "plays on"}
