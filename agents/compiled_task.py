"""A spec in a compiled world: what a compiled loop plays, whatever it learns from it.

A loop takes `*task.arguments` and calls what it finds there, through pointers of fixed signatures:

    step(tables, states, n, action, rng)        and the world's other functions: see compiled_worlds.py
    pay(machines, memory, n, ...)               go on in the reward program; returns (reward, terminated, truncated)
    begin(machines, memory, n)                  put the program of environment n back to its start
    show(raw, machines, memory, n, seen, x)     write what the networks see; compiled into the loop

So the loop is compiled once, whatever the spec; only the spec's own few lines are compiled anew, and kept on disk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numba import boolean, float32, float64, int64, typeof, types, void

from agents.compiled_worlds import OBSERVE, RESET, STEP, TABLES, compiled_world
from agents.machine_code import inner
from rewardspec.analysis.optimisers import check_discount, check_objective
from rewardspec.backends.native import NativeProgram
from rewardspec.compiler import compile_spec
from rewardspec.environments import choose_environment
from rewardspec.errors import MismatchError, Problem, UnsupportedError
from rewardspec.ir.layout import Layout, bind
from rewardspec.lowering import STRIDE
from rewardspec.spec.model import Spec
from rewardspec.wrappers.memory import Memory


class Seen(NamedTuple):
    """What the networks see: the world's observation, then the parts of the program's memory that the spec shows."""

    obs_size: int  # numbers that the world shows
    discrete: int  # of a Discrete observation, the number of its values; else 0
    first: int  # and the first of them
    machines: Any  # [m, 2] int64: position, number of states
    folds: Any  # [f] int64: position


@inner()
def show(raw, machines, memory, n, seen, x):
    """Write what the networks see of environment n, x[n]: a Discrete observation and machine states are one-hot."""
    for i in range(x.shape[1]):
        x[n, i] = 0
    at = seen.obs_size
    if seen.discrete:
        at = seen.discrete
        x[n, int(raw[n, 0]) - seen.first] = 1
    else:
        for i in range(at):
            x[n, i] = raw[n, i]
    for i in range(seen.machines.shape[0]):
        x[n, at + machines[n, seen.machines[i, 0]]] = 1
        at += seen.machines[i, 1]
    for i in range(seen.folds.size):
        x[n, at + i] = memory[n, seen.folds[i]]


# -- what the spec pays ---------------------------------------------------------------------------------

PAY_SIGNATURE = types.Tuple((float64, boolean, boolean))(
    int64[:, ::1],
    float64[:, ::1],
    int64,
    float32[:, ::1],
    int64,
    float32[:, ::1],
    float64,
    boolean,
    boolean,
    int64,
    float64[::1],
)
BEGIN_SIGNATURE = void(int64[:, ::1], float64[:, ::1], int64)
PAY, BEGIN = types.FunctionType(PAY_SIGNATURE), types.FunctionType(BEGIN_SIGNATURE)


def pay_text(space: gym.Space[Any], layout: Layout, labels: tuple[str, ...]) -> str:
    """Return the text of `pay` and `start`: a program's `row` and `begin` for environment n of a compiled world.

    Args:
        space: Observation space of the world.
        layout: The program bound to its spaces.
        labels: The world's names of the label's bits.

    Raises:
        MismatchError: `no-such-key` when the program reads a label that the world does not say, or an info.
    """
    problems = [
        Problem(
            "no-such-key",
            f"the compiled world says no label '{name}'",
            hints=(f"It says: {', '.join(labels) or 'none'}.",),
        )
        for name in layout.labels
        if name not in labels
    ]
    problems += [
        Problem(
            "no-such-key", "a compiled world has no info", field.place, ("Read the observation or a label.",)
        )
        for field in layout.program.fields()
        if field.root in ("info", "future")
    ]
    if problems:
        raise MismatchError(problems)
    if isinstance(space, gym.spaces.Discrete):
        obs = "int({}[n, 0])"
    else:
        obs = (
            "{}[n]"
            if len(space.shape or ()) == 1
            else "{}[n].reshape(" + repr(tuple(space.shape or ())) + ")"
        )
    bits = [f"(label >> {labels.index(name)} & 1) << {bit}" for bit, name in enumerate(layout.labels)]
    arguments = "machines, memory, n, obs, action, next_obs, reward, terminated, truncated, label, params"
    return (
        f"def pay({arguments}):\n"
        f"    return row(machines[n], memory[n], {obs.format('obs')}, action, {obs.format('next_obs')}, reward, "
        f"terminated, truncated, 0, {' | '.join(bits) or '0'}, params)\n"
        "def start(machines, memory, n):\n"
        "    begin(machines[n], memory[n])\n"
    )


# -- both together ------------------------------------------------------------------------------------------

POINTERS = (RESET, STEP, OBSERVE, PAY, BEGIN)
"""Types of the functions that a loop calls."""


class CompiledTask:
    """A spec in a compiled world, ready for a loop.

    Attributes:
        program: The compiled spec.
        world: The world.
        gamma: Discount.
        inputs: Numbers that the networks see.
        arguments: What a loop takes of it: (seen, tables, params, reset, step, observe, pay, begin).
        types: Their types.
    """

    def __init__(self, spec: Spec, env_id: str | None, gamma: float | None, stride: int) -> None:
        """Bind the spec to the world and compile what it pays.

        Args:
            spec: The spec.
            env_id: Gymnasium id; the spec's own where not given.
            gamma: Discount; the spec's where not given, else 0.99.
            stride: Environments side by side: schedules go by the steps of all of them together.

        Raises:
            SpecError: The spec is wrong.
            MismatchError: `no-environment`, `not-tabular`, or the world lacks what the spec reads.
            UnsupportedError: `discount-mismatch`; `no-environment` when nothing names one.
        """
        env_id, given = choose_environment(env_id, spec.env)
        if env_id is None:
            hint = "Name one in the spec, as in `env: {id: CartPole-v1}`, or say `--env ID`."
            raise UnsupportedError(Problem("no-environment", "the spec names no environment", hints=(hint,)))
        if gamma is None:
            gamma = spec.discount if spec.discount is not None else 0.99
        problems = check_discount(spec, gamma) + check_objective(spec, "this agent")
        if problems:
            raise UnsupportedError(problems)
        self.gamma = gamma
        self.world = compiled_world(env_id, given, spec.env.horizon if spec.env is not None else None)
        space = self.world.observation_space
        layout = bind(compile_spec(spec), space, self.world.action_space)
        self.program = layout.program
        self.native = NativeProgram(layout)
        linked = self.native.link(pay_text(space, layout, self.world.labels), ("pay", "start"))
        linked.pay.compile(PAY_SIGNATURE)
        linked.start.compile(BEGIN_SIGNATURE)
        params = self.native.params
        for i, param in enumerate(self.program.params):
            if param.name == STRIDE:
                params[i] = stride
        memory = Memory.of(self.program) if self.program.observe != "none" else Memory((), ())
        machines = len(self.program.machines)
        is_discrete = isinstance(space, gym.spaces.Discrete)
        seen = Seen(
            self.world.obs_size,
            int(space.n) if is_discrete else 0,
            int(space.start) if is_discrete else 0,
            np.array(memory.machines, np.int64).reshape(-1, 2),
            np.array([position - machines for position, _, _ in memory.folds], np.int64),
        )
        self.inputs = (seen.discrete or seen.obs_size) + memory.width
        pointers = (*self.world.compiled(), linked.pay, linked.start)
        self.arguments = (seen, self.world.tables, params, *pointers)
        self.types = (typeof(seen), TABLES, float64[::1], *POINTERS)
