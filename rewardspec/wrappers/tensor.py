"""Environments that live on the device: B of them in torch tensors, paid without leaving it.

Nothing in a step looks at a tensor's value from Python, so a step never waits for the device and CUDA can
capture it in a graph: the program's state, the parameters and the remembered observation keep their memory
from step to step. (On a CPU, where nobody waits, it looks whether all is finite; compiled, it does not.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import spaces

from rewardspec.backends.array import ArrayState, compile_array
from rewardspec.backends.torch_ops import finite
from rewardspec.errors import (
    MismatchError,
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
from rewardspec.transition import Transition
from rewardspec.wrappers import run_state
from rewardspec.wrappers.memory import KEY, Extension, Memory, extension
from rewardspec.wrappers.refusals import refuse_episode_scope, refuse_learned, refuse_unjudged
from rewardspec.wrappers.remembering import RememberingWrapper
from rewardspec.wrappers.run_state import check_param
from rewardspec.wrappers.single import SpecLike, as_program
from rewardspec.wrappers.step_errors import show_field
from rewardspec.wrappers.watch import Watch

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
    totals: bool = True,
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
        totals: Whether a step tells the totals of the episodes so far (`return`). Where nobody reads them they are
            better left out: they are most of what a small spec reads and writes.

    Raises:
        MissingExtraError: When torch is not installed.
        SpecError: When the spec is wrong.
        MismatchError: When the environments lack what the spec reads: `unknown-label` where they say their own
            labels and a name is none of them; `no-such-key` for what is read from `info`, which they do not give.
        UnsupportedError: `vector-labeller` for the other ready-made labellers, which read live Python environments;
            `needs-whole-episodes` when the spec pays only once episodes are over; `unknown-device`.
    """
    return TensorWrapper(tenv, spec, device=device, dtype=dtype, label=label, observe=observe, totals=totals)


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
        totals: bool = True,
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
        # What each number of the state starts from in an episode; None where it goes on.
        self._starts: list[float | None] = [machine.start for machine in self.program.machines]
        self._starts += [None if fold.scope == "run" else fold.start for fold in self.program.folds]
        self._total_slots = slice(len(self._starts), len(self._starts) + len(self.layout.program.terms))
        self._starts += [0.0] * len(self.layout.program.terms)
        self._tells_totals = totals
        self.state: ArrayState = tuple(
            None if i in range(self._total_slots.start, self._total_slots.stop) and not totals else slot
            for i, slot in enumerate(self._array.init())
        )
        self._params: dict[str, Any] = {p.name: self._number(p.initial) for p in self.program.params}
        self._reads_obs = label is not None or any(f.root == "obs" for f in self.layout.shapes)
        self._obs: Any = None
        self._everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._names = [term.name for term in self.layout.program.terms]
        self._fields = list(dict.fromkeys([*(f for f, _ in self._array.fields), *self.layout.shapes]))
        self._watch = Watch(self.layout, self._fields, self.num_envs, self.device)

    def _bound(self, layout: Layout) -> Layout:
        """Return the layout that steps are compiled from."""
        refuse_learned(layout.program)
        return layout

    def _number(self, value: float) -> Tensor:
        return self._torch.tensor(value, dtype=self._array.backend.float_type, device=self.device)

    def reset(self) -> Any:
        """Begin new episodes everywhere; return the observations `[B, ...]`."""
        obs = self.env.reset(self._everyone)
        for old, new in zip(self.state, self._array.reset(self.state, self._everyone), strict=True):
            if old is not None:
                old.copy_(new)
        self._watch.begin()
        self._remember(obs)
        return self._extended(obs)

    def step(self, action: Tensor) -> tuple[Any, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step the environments, pay by the program, and reset what has ended.

        Returns:
            Observation after the step, of the next episode where one has ended; reward `[B]`; terminated and
            truncated `[B]`; and a dict with `final_obs`, the observation before any reset, `terms`, what each
            term pays (`[B]` by name), and unless `totals` is False `return`, the totals of the episodes so far
            (`[B]` by name; where an episode has ended, the episode's). A reward that is not finite is paid as 0 and
            remembered: see `check`.
        """
        obs, reward, terminated, truncated = self.env.step(action)
        transition = Transition(self._obs, action, obs, reward, terminated, truncated)
        if self._label is not None:
            labels = self._label(self.env, transition)
            _refuse_missing(labels, self.layout.labels)
            transition = Transition(self._obs, action, obs, reward, terminated, truncated, label=labels)
        active = self._everyone if "active" in self._array.inputs else None
        read, batch = self._array.backend.read, self.num_envs
        values = [read(field, transition, batch) for field in self._fields]
        news, outcome = self._array.step(self.state, transition, self._params, active, values)
        ended = outcome.terminated | outcome.truncated
        going = ~ended
        is_well = self._watch.is_well(outcome.reward, values)
        if is_well:
            self._watch.count(going)
        else:
            self._watch.note(outcome.terms, values, ended)
        paid = outcome.reward if is_well and len(outcome.terms) > 1 else finite(outcome.reward)
        names = self._names
        infos = {
            "final_obs": self._extended(obs, news),
            "terms": dict(zip(names, outcome.terms, strict=True)),
        }
        if self._tells_totals:
            infos["return"] = dict(zip(names, news[self._total_slots], strict=True))
        self._begin(news, ended, going)
        obs = self.env.reset(ended)
        self._remember(obs)
        return self._extended(obs), paid, outcome.terminated, outcome.truncated, infos

    def _begin(self, news: ArrayState, ended: Tensor, going: Tensor) -> None:
        """Keep the state, with new episodes begun where they have ended, as the program's `reset` does.

        It goes into its own memory: a captured graph reads and writes the same addresses.
        """
        torch = self._torch
        bits = torch.int64 if self._array.backend.float_type == torch.float64 else torch.int32
        mask: Tensor | None = None  # all bits set where an episode goes on
        for old, new, start in zip(self.state, self._apart(news), self._starts, strict=False):
            if old is None:
                continue
            if start is None:
                old.copy_(new)
            elif start or torch.compiler.is_compiling():
                new = (
                    new if new.is_floating_point() else new.to(torch.int32)
                )  # a vector of bytes is slow to choose from
                old.copy_(torch.where(ended, start, new))
            elif not new.is_floating_point():
                torch.mul(new, going, out=old)
            else:  # a CPU chooses five times as slowly as it masks bits, and no NaN survives that
                mask = ended.to(bits).sub_(1) if mask is None else mask
                torch.bitwise_and(new.view(bits), mask, out=old.view(bits))
        at = len(self._starts)
        for grown in self._array.sets:
            for old, new in zip(
                self.state[at:], grown.reset(news[at : at + grown.parts], ended), strict=False
            ):
                old.copy_(new)
            at += grown.parts

    def _apart(self, news: ArrayState) -> ArrayState:
        """Return a state that shares no memory with the one before: a fold may only take over another."""
        return tuple(
            new.clone() if new is not None and any(new is old for old in self.state) else new for new in news
        )

    def _extended(self, obs: Any, state: ArrayState | None = None) -> Any:
        return obs if self._extend is None else self._extend(obs, self.state if state is None else state)

    # -- what waits for the device -----------------------------------------------------------------

    def check(self) -> None:
        """Wait for the device and raise if a reward was not finite, or a value that was read was NaN.

        A step cannot raise without waiting, so it pays 0 and remembers. Call this now and then: once a rollout.

        Raises:
            NonFiniteRewardError: With the term or the value, the environment and the step of its episode.
        """
        self._watch.check()

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
            **{f"state.{i}": slot for i, slot in enumerate(self.state) if slot is not None},
            **{f"param.{name}": value for name, value in self._params.items()},
            **self._remembered(),
            "steps": self._watch.steps,
            "broken": self._watch.broken,
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
        states = [
            rows[size].index_select(0, state[position].to(torch.int32)) for position, size in memory.machines
        ]
        numbers = [state[position].to(torch.float32).unsqueeze(1) for position, _, _ in memory.folds]
        visited = [
            on_device[i].summary(state[parts]).to(torch.float32) for i, (parts, _) in enumerate(memory.sets)
        ]
        return states + numbers + visited

    def joint(state: ArrayState) -> Tensor:
        index: Tensor = memory.index([u.to(torch.int64) if u is not None else u for u in state])
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
