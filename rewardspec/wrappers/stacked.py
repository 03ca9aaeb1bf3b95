"""Device-resident environments of which each is paid by its own spec: one batch, one policy, many tasks.

    worlds = wrap_stacked(tenv, {"coffee": "specs/coffee.yaml", "mail": "specs/mail.yaml"}, device="cuda")
    obs = worlds.reset()
    obs, reward, terminated, truncated, infos = worlds.step(action)

Environment i begins with spec i modulo M, and each of its episodes with the spec B further on: with B a multiple of M
every environment keeps its spec, and with fewer environments than specs all of them take their turn.

An agent sees the state of its machine one-hot and, where there are several specs, which one is its own, one-hot as
well. The set of specs is fixed while a policy trains, so a number says all there is to know about a task, costs M
columns, and starts no task nearer to one than to another. (An embedding of the machine itself would say something
about specs that were never trained on; that is another experiment.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from rewardspec.backends.stacked_machines import StackedMachines, terms_with
from rewardspec.errors import (
    MismatchError,
    NonFiniteRewardError,
    Place,
    Problem,
    UnsupportedError,
    list_names,
    missing_extra,
)
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Program
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data, load
from rewardspec.wrappers.memory import KEY
from rewardspec.wrappers.refusals import refuse_episode_scope, refuse_learned
from rewardspec.wrappers.remembering import RememberingWrapper
from rewardspec.wrappers.single import SpecLike, as_program
from rewardspec.wrappers.tensor import Label, TensorEnv, _own_labels, _refuse_labels

if TYPE_CHECKING:
    from torch import Tensor


def wrap_stacked(
    tenv: TensorEnv,
    specs: Mapping[str, SpecLike],
    *,
    device: str = "cpu",
    dtype: Any = "float32",
    label: Label | None = None,
) -> StackedWrapper:
    """Return device-resident environments, each of which pays by its own spec.

    Args:
        tenv: The environments; see `TensorEnv`.
        specs: Specs by name: specs, compiled programs or paths of YAML files.
        device: Torch device on which the environments live.
        dtype: `float32` or `float64`, for rewards.
        label: As of `wrap_tensor`.

    Raises:
        MissingExtraError: When torch is not installed.
        SpecError: When a spec is wrong.
        MismatchError: When the environments lack what a spec reads; with the name of the spec.
        UnsupportedError: `unfit-stack` when the specs do not go together or one of them is no table;
            `needs-whole-episodes`; `unknown-device`.
    """
    return StackedWrapper(tenv, specs, device=device, dtype=dtype, label=label)


class StackedWrapper(RememberingWrapper):
    """B device-resident environments with M specs; make one with `wrap_stacked`.

    Attributes:
        names: Names of the specs.
        programs: The compiled specs, in the same order.
        machines: The stacked tables.
        spec: `[B]` int64, which spec each environment has.
        u: `[B]` int64, the joint machine state.
        num_envs: B.
        single_observation_space: Space of one environment's observation, memory and task included.
        single_action_space: Space of one environment's action.
    """

    def __init__(
        self,
        tenv: TensorEnv,
        specs: Mapping[str, SpecLike],
        *,
        device: str = "cpu",
        dtype: Any = "float32",
        label: Label | None = None,
    ) -> None:
        """See `wrap_stacked`."""
        try:
            import torch
        except ImportError:
            raise missing_extra("torch", "torch", "device-resident environments") from None
        if not specs:
            raise UnsupportedError(Problem("unfit-stack", "there is no spec to stack"))
        read = {name: _read(spec) for name, spec in specs.items()}
        programs = {name: as_program(spec) for name, spec in read.items()}
        refuse_mixed(read, programs)
        layouts = {name: _bind(name, program, tenv) for name, program in programs.items()}
        for layout in layouts.values():
            label = label or _own_labels(layout, tenv)
            _refuse_labels(layout, label)
        self._label = label
        self.machines = StackedMachines(layouts, tenv.num_envs, device=device, dtype=dtype)
        self.names, self.programs = tuple(programs), tuple(programs.values())
        self.env, self.num_envs, self.device, self._torch = tenv, tenv.num_envs, torch.device(device), torch
        self.single_action_space = tenv.single_action_space
        many = len(self.names) > 1
        self.memory_width = self.machines.states + (len(self.names) if many else 0)
        self.single_observation_space, self._place = _room(
            tenv.single_observation_space, self.memory_width, device
        )
        rows = np.zeros((len(self.names), self.machines.states, self.memory_width), np.float32)
        rows[:, :, : self.machines.states] = np.eye(self.machines.states)
        if many:
            rows[:, :, self.machines.states :] = np.eye(len(self.names))[:, None]
        self._rows = torch.as_tensor(rows, device=device)
        self._first = torch.arange(self.num_envs, device=device) % len(self.names)
        self._everyone = torch.ones(self.num_envs, dtype=torch.bool, device=device)
        self.spec, self.u = self._first.clone(), torch.zeros_like(self._first)
        self._reads_obs = label is not None or any(
            field.root == "obs" for layout in layouts.values() for field in layout.shapes
        )
        self._obs: Any = None
        self._layouts, self._steps = tuple(layouts.values()), torch.zeros_like(self._first)
        # The first reward of each environment that was not finite: spec (-1 for none), step, number of the reading.
        self._broken = torch.full((self.num_envs, 3), -1, dtype=torch.int64, device=device)

    def reset(self) -> Any:
        """Begin new episodes everywhere, each environment with its first spec; return the observations."""
        obs = self.env.reset(self._everyone)
        self.spec.copy_(self._first)
        self.u.zero_()
        self._steps.zero_()
        self._remember(obs)
        return self.extended(obs, self.spec, self.u)

    def step(self, action: Tensor) -> tuple[Any, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step the environments, pay each by its spec, and reset what has ended.

        Returns:
            As of `TensorWrapper.step`. The dict holds `final_obs`, the observation before any reset; `spec`, `[B]`,
            the spec of the step; and for learners of counterfactual experience `final_raw`, `final_obs` without
            memory and task, `u`, the machine states before the step, and `reading`, what any spec reads on it.
        """
        torch = self._torch
        obs, reward, terminated, truncated = self.env.step(action)
        transition = Transition(self._obs, action, obs, reward, terminated, truncated)
        if self._label is not None:
            transition = replace(transition, label=self._label(self.env, transition))
        reading = self.machines.read(transition)
        spec, u = self.spec.clone(), self.u.clone()
        classes = self.machines.classify(spec, reading.bits)
        after, paid, ends, cuts = self.machines.step(spec, u, classes, reading.values)
        paid = self._finite(paid, spec, reading.values)
        terminated, truncated = reading.terminated | ends, reading.truncated | cuts
        ended = terminated | truncated
        infos = {
            "final_obs": self.extended(obs, spec, after),
            "final_raw": obs,
            "spec": spec,
            "u": u,
            "reading": reading,
        }
        self._steps.copy_(torch.where(ended, torch.zeros_like(spec), self._steps + 1))
        self.u.copy_(torch.where(ended, torch.zeros_like(after), after))
        self.spec.copy_(torch.where(ended, (spec + self.num_envs) % len(self.names), spec))
        obs = self.env.reset(ended)
        self._remember(obs)
        return self.extended(obs, self.spec, self.u), paid, terminated, truncated, infos

    def _finite(self, paid: Tensor, spec: Tensor, values: Tensor) -> Tensor:
        """Return rewards with 0 for what is not finite; remember whose it was. Nothing here waits for the device."""
        torch = self._torch
        is_finite = torch.isfinite(paid)
        if self.machines.readings:
            blamed = (~torch.isfinite(values) & self.machines.reads[spec]).to(torch.int8)
            which = torch.where(blamed.amax(1) > 0, blamed.argmax(1), torch.full_like(spec, -1))
        else:
            which = torch.full_like(spec, -1)
        is_first = ~is_finite & (self._broken[:, 0] < 0)
        found = torch.stack([spec, self._steps, which], dim=1)
        self._broken.copy_(torch.where(is_first.unsqueeze(1), found, self._broken))
        kept: Tensor = torch.where(is_finite, paid, torch.zeros_like(paid))
        return kept

    def extended(self, obs: Any, spec: Tensor, u: Tensor) -> Any:
        """Return observations with machine state and task, for any specs and states `[N]`."""
        return self._place(obs, self._rows[spec, u])

    def _memory(self) -> dict[str, Tensor]:
        return {
            **self._remembered(),
            "spec": self.spec,
            "u": self.u,
            "steps": self._steps,
            "broken": self._broken,
        }

    def check(self) -> None:
        """Wait for the device and raise if a reward was not finite; such a step was paid as 0.

        Raises:
            NonFiniteRewardError: With the environment, the spec, its term and the step of the episode.
        """
        broken = self._broken.cpu().numpy()
        rows = np.flatnonzero(broken[:, 0] >= 0)
        if not len(rows):
            return
        row = int(rows[0])
        m, step, k = (int(number) for number in broken[row])
        terms = terms_with(self._layouts[m], self.machines.readings[k]) if k >= 0 else []
        which = f"the term '{terms[0].name}'" if terms else "the reward"
        text = f"environment {row}: {which} of '{self.names[m]}' was not finite at step {step} of the episode"
        hint = "The step was paid as 0. Guard the term, as in where(x > 0, log(x), 0), or clip what it reads."
        place = terms[0].place if terms else Place()
        raise NonFiniteRewardError(Problem("non-finite-reward", text, place, (hint,)))


# -- what goes together --------------------------------------------------------------------------------------


def refuse_mixed(specs: Mapping[str, SpecLike], programs: Mapping[str, Program]) -> None:
    """Raise when specs cannot share a batch.

    Raises:
        UnsupportedError: `unfit-stack` with the names of the specs that differ, and in what; `needs-whole-episodes`.
    """
    for program in programs.values():
        refuse_episode_scope(program)
        refuse_learned(program)
    own = {
        name: spec.env
        for name, spec in specs.items()
        if isinstance(spec, Spec) and spec.env is not None and spec.env.id is not None
    }
    said: dict[str, dict[str, Any]] = {
        "env": {name: env.id for name, env in own.items()},
        "env.kwargs": {name: str(dict(sorted(env.kwargs.items()))) for name, env in own.items()},
        "labels": {name: program.labels for name, program in programs.items()},
        "observe": {name: program.observe for name, program in programs.items()},
        "discount": {name: p.discount for name, p in programs.items() if p.discount is not None},
    }
    problems = []
    for what, values in said.items():
        if len(set(values.values())) > 1:
            groups = {v: [name for name in values if values[name] == v] for v in values.values()}
            told = "; ".join(f"{list_names(names, 4)}: {value}" for value, names in groups.items())
            text = f"these specs cannot share a batch, for their `{what}` differs ({told})"
            hint = "One policy has one discount." if what == "discount" else "A batch is one environment."
            problems.append(Problem("unfit-stack", text, hints=(hint,)))
    if problems:
        raise UnsupportedError(problems)


def _read(spec: SpecLike) -> SpecLike:
    if isinstance(spec, Program | Spec):
        return spec
    return from_data(dict(spec)) if isinstance(spec, Mapping) else load(spec)


def _bind(name: str, program: Program, tenv: TensorEnv) -> Layout:
    try:
        return bind(program, tenv.single_observation_space, tenv.single_action_space)
    except MismatchError as error:
        raise MismatchError([replace(p, message=f"'{name}': {p.message}") for p in error.problems]) from None


def _room(
    space: spaces.Space[Any], width: int, device: str
) -> tuple[spaces.Space[Any], Callable[[Any, Tensor], Any]]:
    """Return the observation space with room for the memory, and `(obs, memory [N, width]) -> obs`."""
    import torch

    box = spaces.Box(0.0, 1.0, (width,), np.float32)
    if isinstance(space, spaces.Discrete):
        count, first = int(space.n), int(space.start)

        places = torch.eye(count, device=device)

        def one_hot(obs: Any, memory: Tensor) -> Any:
            return torch.cat([places[obs - first], memory], dim=1)

        return spaces.Box(0.0, 1.0, (count + width,), np.float32), one_hot
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        joined = spaces.Box(np.append(low, box.low), np.append(high, box.high), dtype=np.float32)
        return joined, lambda obs, memory: torch.cat([obs.to(torch.float32), memory], dim=1)
    if isinstance(space, spaces.Dict):
        beside = spaces.Dict({**space.spaces, KEY: box})
        return beside, lambda obs, memory: {**obs, KEY: memory}
    return spaces.Dict({"obs": space, KEY: box}), lambda obs, memory: {"obs": obs, KEY: memory}
