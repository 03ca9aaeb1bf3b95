"""Environments that live on the device: B of them in torch tensors, paid without leaving it.

Nothing in a step looks at a tensor's value from Python, so a step never waits for the device and CUDA can
capture it in a graph: the program's state, the parameters and the remembered observation keep their memory
from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import spaces

from rewardspec.backends.array import ArrayState, compile_array
from rewardspec.errors import (
    MismatchError,
    NonFiniteRewardError,
    Place,
    Problem,
    UnsupportedError,
    list_names,
    missing_extra,
    near_miss,
)
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Observe
from rewardspec.labels.environment import refuse_names
from rewardspec.sets.family import Sets
from rewardspec.transition import Outcome, Transition
from rewardspec.wrappers import run_state
from rewardspec.wrappers.memory import KEY, Extension, Memory, extension
from rewardspec.wrappers.refusals import refuse_episode_scope, refuse_learned, refuse_unjudged
from rewardspec.wrappers.remembering import RememberingWrapper
from rewardspec.wrappers.run_state import check_param
from rewardspec.wrappers.single import SpecLike, as_program
from rewardspec.wrappers.step_errors import show_field

if TYPE_CHECKING:
    from torch import Tensor

Label = Callable[["TensorEnv", Transition], Mapping[str, Any]]
"""A labelling function on the device: environment and batched transition -> `[B]` bool tensors by name."""


class TensorEnv(Protocol):
    """B environments in torch tensors; there is no base class to inherit from.

    Observations are a tensor `[B, ...]` or a mapping of them. The environment does not reset by itself: the
    wrapper calls `reset` after every step with a mask that may be empty, so both methods must do their work
    by `torch.where` and without looking at values.

    An environment that says its own labels (`env: {labels: environment}` in a spec) has two members more:
    `label_names`, the names there are, and `label(transition)`, which returns `[B]` bool tensors by name for the
    step just taken.

    Attributes:
        num_envs: B.
        single_observation_space: Space of one environment's observation.
        single_action_space: Space of one environment's action.
    """

    num_envs: int
    single_observation_space: spaces.Space[Any]
    single_action_space: spaces.Space[Any]

    def reset(self, mask: Tensor) -> Any:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's present observation."""
        ...

    def step(self, action: Tensor) -> tuple[Any, Tensor, Tensor, Tensor]:
        """Return observation `[B, ...]`, reward `[B]`, terminated `[B]` bool, truncated `[B]` bool."""
        ...


def wrap_tensor(
    tenv: TensorEnv,
    spec: SpecLike,
    *,
    device: str = "cpu",
    dtype: Any = "float32",
    label: Label | None = None,
    observe: Observe | None = None,
) -> TensorWrapper:
    """Return device-resident environments that pay by the spec.

    The wrapper owns the resets: an environment whose episode is over, by its own word or the spec's, is reset
    in the same step. A spec may therefore end episodes.

    Args:
        tenv: The environments; see `TensorEnv`.
        spec: A spec, a compiled program or the path of a YAML file.
        device: Torch device on which the environments live.
        dtype: `float32` or `float64`, for rewards and memory.
        label: Labelling function for propositions that the observation does not hold, called as
            `label(tenv, transition)` in every step; returns `[B]` bool tensors by name. Environments that say
            their own labels need none.
        observe: How memory enters the observation; the spec's own choice when not given.

    Raises:
        MissingExtraError: When torch is not installed.
        SpecError: When the spec is wrong.
        MismatchError: When the environments lack what the spec reads: `unknown-label` where they say their own
            labels and a name is none of them; `no-such-key` for what is read from `info`, which they do not give.
        UnsupportedError: `vector-labeller` for the other ready-made labellers, which read live Python environments;
            `needs-whole-episodes` when the spec pays only once episodes are over; `unknown-device`.
    """
    return TensorWrapper(tenv, spec, device=device, dtype=dtype, label=label, observe=observe)


class TensorWrapper(RememberingWrapper):
    """B device-resident environments with a compiled program; make one with `wrap_tensor`.

    Attributes:
        program: The compiled spec.
        layout: The program bound to the spaces of one environment.
        state: The program's state, every slot `[B]` on the device.
        num_envs: B.
        single_observation_space: Space of one environment's observation, memory included.
        single_action_space: Space of one environment's action.
    """

    def __init__(
        self,
        tenv: TensorEnv,
        spec: SpecLike,
        *,
        device: str = "cpu",
        dtype: Any = "float32",
        label: Label | None = None,
        observe: Observe | None = None,
    ) -> None:
        """See `wrap_tensor`."""
        try:
            import torch
        except ImportError:
            raise missing_extra("torch", "torch", "device-resident environments") from None
        program = as_program(spec)
        refuse_episode_scope(program)
        self.env, self.num_envs, self.device = tenv, tenv.num_envs, torch.device(device)
        bound = bind(program, tenv.single_observation_space, tenv.single_action_space)
        self.program = bound.program
        self.layout: Layout = self._bound(bound)
        _refuse_info(self.layout)
        label = label or _own_labels(self.layout, tenv)
        _refuse_labels(self.layout, label)
        self._label, self._torch = label, torch
        self._array = compile_array(self.layout, self.num_envs, "torch", dtype=dtype, device=device)
        self.single_action_space = tenv.single_action_space
        self.single_observation_space = tenv.single_observation_space
        added = extension(self.program, tenv.single_observation_space, observe or program.observe)
        self._extend: Callable[[Any, ArrayState], Any] | None = None
        if added is not None:
            self.single_observation_space = added.space
            self._extend = _extender(
                self.program, tenv.single_observation_space, added, self._array.backend, device
            )
        self.state: ArrayState = self._array.init()
        self._params: dict[str, Any] = {p.name: self._number(p.initial) for p in self.program.params}
        self._reads_obs = label is not None or any(f.root == "obs" for f in self.layout.shapes)
        self._obs: Any = None
        self._everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._steps = torch.zeros(self.num_envs, dtype=torch.int32, device=self.device)
        # What was NaN or infinite first: 0 for nothing, then terms, then fields that are read. From then on `_steps`
        # stays at that step of the episode. One small number for each environment: every step writes it.
        self._read = tuple(f for f in self.layout.shapes if f.root in ("obs", "action", "next_obs", "reward"))
        self._broken = torch.zeros(self.num_envs, dtype=torch.int16, device=self.device)

    def _bound(self, layout: Layout) -> Layout:
        """Return the layout that steps are compiled from."""
        refuse_learned(layout.program)
        return layout

    def _number(self, value: float) -> Tensor:
        return self._torch.tensor(value, dtype=self._array.backend.float_type, device=self.device)

    def reset(self) -> Any:
        """Begin new episodes everywhere; return the observations `[B, ...]`."""
        obs = self.env.reset(self._everyone)
        self._keep(self._array.reset(self.state, self._everyone))
        self._steps.bitwise_and_(~self._fine())
        self._remember(obs)
        return self._extended(obs)

    def step(self, action: Tensor) -> tuple[Any, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step the environments, pay by the program, and reset what has ended.

        Returns:
            Observation after the step, of the next episode where one has ended; reward `[B]`; terminated and
            truncated `[B]`; and a dict with `final_obs`, the observation before any reset, `terms`, what each
            term pays (`[B]` by name), and `return`, the totals of the episodes so far (`[B]` by name; where
            an episode has ended, the episode's). A reward that is not finite is paid as 0 and remembered: see
            `check`.
        """
        obs, reward, terminated, truncated = self.env.step(action)
        transition = Transition(self._obs, action, obs, reward, terminated, truncated)
        if self._label is not None:
            labels = self._label(self.env, transition)
            _refuse_missing(labels, self.layout.labels)
            transition = Transition(self._obs, action, obs, reward, terminated, truncated, label=labels)
        active = self._everyone if "active" in self._array.inputs else None
        news, outcome = self._array.step(self.state, transition, self._params, active)
        paid = self._torch.nan_to_num(outcome.reward, nan=0.0, posinf=0.0, neginf=0.0)
        ended = outcome.terminated | outcome.truncated
        going = ended.to(self._torch.int32) - 1
        self._notice(transition, outcome, going)
        names = [term.name for term in self.layout.program.terms]
        first = len(self.program.machines) + len(self.program.folds)
        infos = {
            "final_obs": self._extended(obs, news),
            "terms": dict(zip(names, outcome.terms, strict=True)),
            "return": dict(zip(names, news[first : first + len(names)], strict=True)),
        }
        self._keep(self._begun(news, ended, going))
        obs = self.env.reset(ended)
        self._remember(obs)
        return self._extended(obs), paid, outcome.terminated, outcome.truncated, infos

    # On a CPU, torch compares and chooses (`where`, `isfinite`, `any`) ten times as slowly as it adds, and masks bits:
    # a step of 65,536 environments spends more on five such calls than on the program. So the next two do without.

    def _notice(self, transition: Transition, outcome: Outcome, going: Tensor) -> None:
        """Remember the first step on which a term was not finite or a value read was NaN; count the step.

        Args:
            transition: What was read.
            outcome: What was paid.
            going: `[B]` int32, all bits set where the episode goes on, else 0.
        """
        torch = self._torch
        found: Tensor | None = None  # the highest code counts: a NaN that was read explains a term's
        for code, bad in self._looked_at(transition, outcome):
            codes = bad.to(torch.int16).mul_(code)
            found = codes if found is None else torch.maximum(found, codes)
        if found is not None:
            self._broken.bitwise_or_(found.bitwise_and_(self._fine()))
        fine = self._fine().to(torch.int32)
        self._steps.sub_(fine).bitwise_and_(going | ~fine)

    def _fine(self) -> Tensor:
        """Return `[B]` int16: all bits set where nothing was bad yet, else 0."""
        return (self._broken - 1).bitwise_right_shift_(15)

    def _looked_at(self, transition: Transition, outcome: Outcome) -> Iterator[tuple[int, Tensor]]:
        """Give the code of each term and field that is read, with `[B]` bool: whether it is bad."""
        for code, paid in enumerate(outcome.terms, 1):
            yield code, paid - paid != 0  # infinity - infinity is NaN, too; quicker than `isfinite`
        for code, field in enumerate(self._read, 1 + len(outcome.terms)):
            values = self._array.backend.read(field, transition, self.num_envs)
            if values.is_floating_point():
                is_nan = (values != values).reshape(self.num_envs, -1)
                yield code, is_nan.any(dim=1) if is_nan.shape[1] > 1 else is_nan.squeeze(1)

    def _begun(self, state: ArrayState, ended: Tensor, going: Tensor) -> ArrayState:
        """Return the state with new episodes begun where they have ended, as the program's `reset` does."""
        torch, program = self._torch, self.program
        machines, folds = len(program.machines), len(program.folds)
        begun: list[Tensor] = []
        for machine, u in zip(program.machines, state, strict=False):
            begun.append(torch.where(ended, machine.start, u) if machine.start else u * ~ended)
        for fold, value in zip(program.folds, state[machines:], strict=False):
            begun.append(value if fold.scope == "run" else torch.where(ended, fold.start, value))
        sets = machines + folds + len(self.layout.program.terms)
        for total in state[machines + folds : sets]:
            bits = torch.int64 if total.dtype == torch.float64 else torch.int32
            begun.append((total.view(bits) & going).view(total.dtype))
        for grown in self._array.sets:
            begun += grown.reset(state[sets : sets + grown.parts], ended)
            sets += grown.parts
        return tuple(begun)

    def _keep(self, news: ArrayState) -> None:
        """Write the state into its own memory: a captured graph reads and writes the same addresses."""
        for old, new in zip(self.state, news, strict=True):
            old.copy_(new)

    def _extended(self, obs: Any, state: ArrayState | None = None) -> Any:
        return obs if self._extend is None else self._extend(obs, self.state if state is None else state)

    # -- what waits for the device -----------------------------------------------------------------

    def check(self) -> None:
        """Wait for the device and raise if a reward was not finite, or a value that was read was NaN.

        A step cannot raise without waiting, so it pays 0 and remembers. Call this now and then: once a rollout.

        Raises:
            NonFiniteRewardError: With the term or the value, the environment and the step of its episode.
        """
        broken = self._broken.cpu().numpy()
        if not broken.any():
            return
        row = int(np.flatnonzero(broken == broken.max())[-1])
        which, step, terms = int(broken[row]) - 1, int(self._steps[row]), self.layout.program.terms
        if which >= len(terms):
            field = self._read[which - len(terms)]
            text = f"environment {row}: {show_field(field)} was NaN at step {step} of the episode"
            hint = "A NaN makes every comparison false without a word; mend the environment."
            raise NonFiniteRewardError(Problem("nan-observation", text, field.place, (hint,)))
        text = (
            f"environment {row}: the term '{terms[which].name}' was not finite at step {step} of the episode"
        )
        hint = "The step was paid as 0. Guard the term, as in where(x > 0, log(x), 0), or clip what it reads."
        raise NonFiniteRewardError(Problem("non-finite-reward", text, terms[which].place, (hint,)))

    @property
    def params(self) -> dict[str, float]:
        """The numbers that can be changed while training runs, by name."""
        return {name: float(value) for name, value in self._params.items()}

    def set_param(self, name: str, value: float) -> None:
        """Change a number of the program from the next step on, captured graphs included.

        Raises:
            UnsupportedError: When there is none of that name, or the value is not finite.
        """
        check_param(self.program, name, value)
        self._params[name].fill_(value)

    def _memory(self) -> dict[str, Tensor]:
        return {
            **{f"state.{i}": slot for i, slot in enumerate(self.state)},
            **{f"param.{name}": value for name, value in self._params.items()},
            **self._remembered(),
            "steps": self._steps,
            "broken": self._broken,
        }

    def run_state(self) -> dict[str, float]:
        """Return what outlives episodes (running statistics, counted steps, parameters), for a checkpoint."""
        return run_state.collect(self.program, self.state, self.params, lambda slot: float(slot[0]))

    def load_run_state(self, saved: Mapping[str, float]) -> None:
        """Take up what `run_state` gave."""
        run_state.restore(
            self.program, saved, lambda slot, value: self.state[slot].fill_(value), self.set_param
        )


def _own_labels(layout: Layout, tenv: Any) -> Label | None:
    """Return the labelling function of environments that say their own labels, where the spec asks for it.

    Raises:
        MismatchError: `labeller-mismatch` when they say none; `unknown-label` when a name is none of them.
    """
    if not layout.labels or layout.program.labels != "environment":
        return None
    lacking = [name for name in ("label_names", "label") if not hasattr(tenv, name)]
    if lacking:
        text = f"labels 'environment' need environments that say their own labels, and {type(tenv).__name__} does not"
        hint = f"It has no {list_names(lacking)}. Add them, or pass label=fn to wrap_tensor."
        raise MismatchError(Problem("labeller-mismatch", text, _places(layout)[layout.labels[0]], (hint,)))
    refuse_names(_places(layout), tuple(tenv.label_names), type(tenv).__name__)
    return lambda env, transition: env.label(transition)  # type: ignore[attr-defined]


def _places(layout: Layout) -> dict[str, Place]:
    """Return where each label is read."""
    return {str(field.path[0]): field.place for field in layout.shapes if field.root == "label"}


def _refuse_info(layout: Layout) -> None:
    """Refuse what is read from `info`, unless by a default: environments on a device give none.

    Raises:
        MismatchError: `no-such-key`.
    """
    for field in layout.shapes:
        if field.root == "info" and field.default is None:
            message = f"'{show_field(field)}' is read, and environments on a device give no info"
            hint = (
                "Read it from the observation or the reward, or say what stands for it: default(info.x, 0)."
            )
            raise MismatchError(Problem("no-such-key", message, field.place, (hint,)))


def _refuse_labels(layout: Layout, label: Label | None) -> None:
    refuse_unjudged(layout.program, False, "A judge is asked under one environment, on the host: `wrap`.")
    if not layout.labels or label is not None:
        return
    place = next((p.place for p in layout.program.propositions), Place())
    if layout.program.labels is not None:
        text = f"the labels of '{layout.program.labels}' are read from live environments, not from tensors"
        hint = "Write a labelling function over tensors and pass label=fn to wrap_tensor."
        raise UnsupportedError(Problem("vector-labeller", text, place, (hint,)))
    text = f"the spec leaves {list_names(layout.labels)} to a labelling function, and none is given"
    hint = "Pass label=fn to wrap_tensor: fn(tenv, transition) -> [B] bool tensors by name."
    raise MismatchError(Problem("missing-label-function", text, place, (hint,)))


def _refuse_missing(labels: Mapping[str, Any], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in labels]
    if missing:
        hint = f"It gave: {list_names(labels)}.{near_miss(missing[0], list(labels))}"
        text = f"the labelling function says nothing about '{missing[0]}'"
        raise MismatchError(Problem("missing-label", text, hints=(hint,)))


# -- memory in observations, on the device -----------------------------------------------------------------


def _extender(
    program: Any, space: spaces.Space[Any], added: Extension, backend: Any, device: str
) -> Callable[[Any, ArrayState], Any]:
    """Return `(obs, state) -> obs` with memory: one-hot states are rows of an identity matrix, gathered."""
    import torch

    memory = Memory.of(program)
    rows = {size: backend.constant(np.eye(size, dtype=np.float32)) for _, size in memory.machines}
    on_device = [Sets(sets.function, "torch", device=device) for _, sets in memory.sets]

    def columns(state: ArrayState) -> list[Tensor]:
        """Return the parts of the memory, each `[B, size]`."""
        states = [rows[size].index_select(0, state[position]) for position, size in memory.machines]
        numbers = [state[position].to(torch.float32).unsqueeze(1) for position, _, _ in memory.folds]
        visited = [
            on_device[i].summary(state[parts]).to(torch.float32) for i, (parts, _) in enumerate(memory.sets)
        ]
        return states + numbers + visited

    def joint(state: ArrayState) -> Tensor:
        index: Tensor = memory.index(state)
        return index

    if added.mode == "dict":
        inner = space.spaces if isinstance(space, spaces.Dict) else {"obs": space}
        assert isinstance(added.space, spaces.Dict)
        key = next(name for name in added.space.spaces if name not in inner)
        if isinstance(space, spaces.Dict):
            return lambda obs, state: {**obs, key: torch.cat(columns(state), dim=1)}
        return lambda obs, state: {"obs": obs, KEY: torch.cat(columns(state), dim=1)}
    if isinstance(space, spaces.Discrete):
        count, first = int(space.n), int(space.start)
        if added.mode == "index":
            return lambda obs, state: joint(state) * count + obs - first
        places = backend.constant(np.eye(count, dtype=np.float32))
        return lambda obs, state: torch.cat([places.index_select(0, obs - first), *columns(state)], dim=1)
    kind = torch.float64 if added.space.dtype == np.float64 else torch.float32
    if added.mode == "index":
        return lambda obs, state: torch.cat([obs.to(kind), joint(state).to(kind).unsqueeze(1)], dim=1)
    return lambda obs, state: torch.cat([obs.to(kind), *(part.to(kind) for part in columns(state))], dim=1)
