"""Stored trajectories paid anew: arrays, lists of transitions, Minari datasets, SB3 replay buffers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.backends.scalar import State, compile_scalar
from rewardspec.errors import (
    MismatchError,
    Place,
    Problem,
    RewardSpecError,
    UnsupportedError,
    list_names,
    near_miss,
)
from rewardspec.ir.layout import Layout, space_of
from rewardspec.ir.program import Observe, Term
from rewardspec.sets.refusal import refuse_sets
from rewardspec.transition import Transition
from rewardspec.wrappers.labelling import ordered_labels
from rewardspec.wrappers.memory import extension
from rewardspec.wrappers.refusals import refuse_learned, refuse_unjudged
from rewardspec.wrappers.rows import row_of, rows_of
from rewardspec.wrappers.single import SpecLike, as_program
from rewardspec.wrappers.step_errors import explain_step
from rewardspec.wrappers.stored import NAMES, Data, bind_data, minari_episodes

Label = Callable[[None, Transition], "Mapping[str, bool] | Iterable[str]"]
"""A labelling function for stored data: called with None (no live environment) and the transition."""

AfterEnd = Literal["mask", "restart"]


@dataclass(frozen=True)
class Relabelled:
    """What a spec pays for stored steps; T counts the steps of all episodes, in the order of the data.

    Attributes:
        reward: `[T]` float64.
        terms: What each term pays, `[T]` float64 by name; the reward is their sum.
        terminated: `[T]` bool, the data's flag or the program's.
        truncated: `[T]` bool, likewise.
        valid: `[T]` bool; False on steps that come after the program's end of an episode: they would not have
            been taken, are paid 0, and are not to be learned from.
        machine_states: Index of each machine's state after the step, `[T]` int64 by machine.
        obs: Observations with the memory from before the step; the stored ones where nothing is added.
        next_obs: Observations with the memory from after the step, likewise.
    """

    reward: npt.NDArray[np.float64]
    terms: Mapping[str, npt.NDArray[np.float64]]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    machine_states: Mapping[str, npt.NDArray[np.int64]]
    obs: Any = None
    next_obs: Any = None


def relabel(
    data: Any,
    spec: SpecLike,
    *,
    label: Label | None = None,
    judge: Label | None = None,
    params: Mapping[str, float] | None = None,
    observe: Observe = "none",
    after_end: AfterEnd | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
) -> Any:
    """Return what a spec pays for stored trajectories; specs that need whole episodes are served too.

    Episodes follow each other, each closed by a `terminated` or `truncated` step; the last may be unfinished.
    What outlives episodes (running statistics, counted steps) runs through the data in its order.

    Where the program ends an episode earlier than the data does, `after_end` says what becomes of the rest:
    `mask` pays 0 and marks it as not valid; `restart` begins a new episode of the program at the next step,
    which is sound for off-policy learning and wastes nothing.

    Args:
        data: One of
            a mapping of arrays with the names of `Transition` (or those of D4RL and Minari): `action`,
            `reward`, `terminated`, `truncated` of length T; `obs` with `next_obs`, both of length T, or, for
            a single episode, `obs` alone of length T + 1; `info` a mapping of arrays or T dicts; `label`
            truth values by name; a sequence of `Transition`;
            a Minari dataset, or its id;
            a stable-baselines3 `ReplayBuffer` (see `rewardspec.wrappers.replay.relabel_buffer`).
        spec: A spec, a compiled program or the path of a YAML file.
        label: Labelling function, called as `label(None, transition)`; stored labels come first.
        judge: Who says whether subgoals were reached, called likewise; stored labels come first.
        params: Values of parameters where they differ from their initial ones.
        observe: How memory enters the observations of the result; left out by default.
        after_end: `mask` (default) or `restart`; a replay buffer always restarts.
        observation_space: Space of the observations; read off the data when not given.
        action_space: Space of the actions, likewise.

    Returns:
        `Relabelled`; a list of them, one an episode, for a Minari dataset; a new buffer for a replay buffer.

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: When the data lack what the spec reads, or do not fit together (`unreadable-data`).
        UnsupportedError: `offline-labeller` when the spec names a ready-made labeller and no labels are
            stored; `unsupported-buffer` for buffers that lack what is needed.
        MissingExtraError: For a Minari id without the package.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> near = "{propositions: {near: next_obs < 1}, reward: [{once: near, value: 5}, {markov: -1}]}"
        >>> spec = loads(near)
        >>> data = {"obs": [3, 2, 0, 0], "action": [0, 0, 0], "terminated": [False, False, True]}
        >>> relabel(data, spec).reward.tolist()
        [-1.0, 4.0, -1.0]
    """
    program = as_program(spec)
    if _is_buffer(data):
        from rewardspec.wrappers.replay import relabel_buffer

        if observe != "none" or after_end == "mask":
            problem = Problem(
                "unsupported-buffer",
                "a replay buffer keeps its observations and its steps: leave `observe` and `after_end` out",
                hints=("Relabel arrays instead, and fill a new buffer with the valid steps.",),
            )
            raise UnsupportedError(problem)
        if program.judged:
            refuse_unjudged(program, False, "Relabel arrays, with judge=.")
        return relabel_buffer(data, program, label=label, params=params)
    if isinstance(data, str) or hasattr(data, "iterate_episodes"):
        episodes: Iterable[Data] = minari_episodes(data)
    else:
        episodes = [Data.of_transitions(data) if isinstance(data, Sequence) else Data.of_mapping(data)]
    found: list[Relabelled] = []
    relabeller: Relabeller | None = None
    for episode in episodes:
        if relabeller is None:
            layout = bind_data(program, episode, observation_space, action_space)
            relabeller = Relabeller(layout, label, params, after_end or "mask", judge)
        result = relabeller.run(episode)
        found.append(_with_memory(result, relabeller, episode, observe, observation_space))
    return found if isinstance(data, str) or hasattr(data, "iterate_episodes") else found[0]


def _is_buffer(data: Any) -> bool:
    """Return whether the data are a buffer of SB3: there is none where the module is not loaded."""
    buffers = sys.modules.get("stable_baselines3.common.buffers")
    return buffers is not None and isinstance(data, buffers.BaseBuffer)


# -- the run -------------------------------------------------------------------------------------------


class Relabeller:
    """Runs a program over stored steps; what outlives episodes is kept from one call of `run` to the next."""

    def __init__(
        self,
        layout: Layout,
        label: Label | None,
        params: Mapping[str, float] | None,
        after_end: AfterEnd,
        judge: Label | None = None,
    ) -> None:
        """Compile the program, and beside it one that gives the futures as its terms."""
        program = layout.program
        refuse_learned(program)
        self.layout, self.program, self.label, self.after_end = layout, program, label, after_end
        self.judge = judge
        given = params or {}
        self._refuse_unknown(given)
        self.params = [given.get(p.name, p.initial) for p in program.params]
        self.scalar = compile_scalar(layout)
        terms = tuple(Term(name, "future", expr) for name, expr in program.futures)
        self.ahead = compile_scalar(replace(layout, program=replace(program, terms=terms))) if terms else None
        self.blank = {name: 0.0 for name, _ in program.futures}
        self.state = self.scalar.start
        self.slots = len(program.machines) + len(program.folds)
        roots = {field.root for field in layout.shapes}
        self.reads = frozenset(NAMES) if layout.labels and (label or judge) is not None else roots

    def _refuse_unknown(self, params: Mapping[str, float]) -> None:
        names = [param.name for param in self.program.params]
        for name in params:
            if name not in names:
                hint = f"There are: {list_names(names)}.{near_miss(name, names)}"
                raise UnsupportedError(
                    Problem("unknown-param", f"the program has no parameter '{name}'", hints=(hint,))
                )

    def run(self, data: Data) -> Relabelled:
        """Return what the program pays for the data.

        Raises:
            MismatchError: When a step cannot be read.
            NonFiniteRewardError: When a term pays NaN or an infinity.
        """
        program, length = self.program, data.length
        self._refuse_labels(data)
        paid = np.zeros(length)
        terms = np.zeros((length, len(program.terms)))
        flags = np.stack([data.terminated, data.truncated])
        valid = np.zeros(length, np.bool_)
        after = np.zeros((length, self.slots))
        before = np.zeros((length, self.slots))
        for number, steps in enumerate(data.episodes()):
            rows = self._rows(data, steps)
            done = 0
            while done < len(rows):
                done = self._segment(
                    rows, done, steps.start, (paid, terms, flags, valid, before, after), number
                )
                if self.after_end == "mask":
                    break
            before[steps.start + done : steps.stop] = after[steps.start + done : steps.stop] = self.state[
                : self.slots
            ]
        names = [term.name for term in program.terms]
        states = {m.name: after[:, i].astype(np.int64) for i, m in enumerate(program.machines)}
        self.before, self.after = before, after
        by_name = {name: terms[:, k].copy() for k, name in enumerate(names)}
        return Relabelled(paid, by_name, flags[0], flags[1], valid, states, data.obs, data.next_obs)

    def _segment(
        self, rows: list[tuple[Any, ...]], start: int, offset: int, out: tuple[Any, ...], episode: int
    ) -> int:
        """Pay from step `start` of an episode to its end or the program's; return the next step."""
        paid, terms, flags, valid, before, after = out
        self.state = self.scalar.reset(self.state)
        future = self._futures(rows[start:]) if self.ahead is not None else None
        advance, state, params = self.scalar.advance_terms, self.state, self.params
        results: list[tuple[Any, ...]] = []
        for i in range(start, len(rows)):
            try:
                result = advance(state, *rows[i], params, future)
            except Exception as error:
                raise self._explain(rows[i], i, state, error, episode) from error
            if result[1] - result[1] != 0.0:
                raise self._explain(rows[i], i, state, None, episode)
            state = result[0]
            results.append(result)
            if result[2] or result[3]:
                break
        states, rewards, terminated, truncated, each = zip(*results, strict=True)
        taken = slice(offset + start, offset + start + len(results))
        paid[taken], terms[taken], flags[0, taken], flags[1, taken] = rewards, each, terminated, truncated
        valid[taken] = True
        after[taken] = [news[: self.slots] for news in states]
        before[taken] = [old[: self.slots] for old in (self.state, *states[:-1])]
        self.state = state
        return start + len(results)

    def _futures(self, rows: list[tuple[Any, ...]]) -> dict[str, float]:
        """Return what is known at the end of an episode: the values of the futures on its last step."""
        assert self.ahead is not None
        state: State = (*self.state[: self.slots], *(0.0 for _ in self.blank))
        values: tuple[float, ...] = ()
        for row in rows:
            state, _, terminated, truncated, values = self.ahead.advance_terms(
                state, *row, self.params, self.blank
            )
            if terminated or truncated:
                break
        return dict(zip(self.blank, map(float, values), strict=True))

    def _rows(self, data: Data, steps: range) -> list[tuple[Any, ...]]:
        """Return what an episode's steps read from the data; None for parts that nobody reads."""
        reads, which = self.reads, slice(steps.start, steps.stop)
        columns = [
            rows_of(getattr(data, name), which, len(steps)) if name in reads else [None] * len(steps)
            for name in ("obs", "action", "next_obs")
        ]
        flags = (data.reward[which].tolist(), data.terminated[which].tolist(), data.truncated[which].tolist())
        infos = data.infos(which, len(steps)) if "info" in reads else [{}] * len(steps)
        rows = list(zip(*columns, *flags, infos, strict=True))
        if not self.layout.labels:
            return [(*row, ()) for row in rows]
        return [(*row, self._labels(data, t, row)) for t, row in zip(steps, rows, strict=True)]

    def _labels(self, data: Data, t: int, row: tuple[Any, ...]) -> tuple[bool, ...]:
        names = self.layout.labels
        if all(name in data.label for name in names):
            return tuple(bool(data.label[name][t]) for name in names)
        said: dict[str, bool] = {name: bool(data.label[name][t]) for name in names if name in data.label}
        judged = self.program.judged_labels
        for tell, asked in ((self.judge, judged), (self.label, [n for n in names if n not in judged])):
            missing = tuple(name for name in asked if name in names and name not in said)
            if tell is not None and missing:
                told = ordered_labels(tell(None, Transition(*row)), missing)
                said |= dict(zip(missing, told, strict=True))
        return tuple(said[name] for name in names)

    def _refuse_labels(self, data: Data) -> None:
        missing = [name for name in self.layout.labels if name not in data.label]
        judged = self.program.judged_labels
        if self.judge is None and any(name in judged for name in missing):
            refuse_unjudged(
                self.program, False, "Pass judge=fn to relabel, or store its answers under `label`."
            )
        missing = [name for name in missing if name not in judged]
        if not missing or self.label is not None:
            return
        place = next((p.place for p in self.program.propositions if p.name in missing), Place())
        if self.program.labels is not None:
            text = f"the labels of '{self.program.labels}' are read from a live environment, not from data"
            hint = (
                f"Store the labels with the data: `label: {{{missing[0]}: [...]}}`, one truth value a step."
            )
            raise UnsupportedError(Problem("offline-labeller", text, place, (hint,)))
        text = f"the spec leaves {list_names(missing)} to a labelling function, and none is given"
        hint = "Pass label=fn to relabel, or store truth values under `label` in the data."
        raise MismatchError(Problem("missing-label-function", text, place, (hint,)))

    def _explain(
        self, row: tuple[Any, ...], step: int, state: State, error: Exception | None, episode: int
    ) -> RewardSpecError:
        labels = dict(zip(self.layout.labels, row[7], strict=False))
        transition = replace(Transition(*row[:7]), label=labels, future=self.blank)
        params = {p.name: value for p, value in zip(self.program.params, self.params, strict=True)}
        told = explain_step(self.program, self.layout, step, transition, state, error, params)
        problems = [replace(p, message=f"episode {episode}: {p.message}") for p in told.problems]
        return type(told)(problems)


def _with_memory(
    result: Relabelled,
    relabeller: Relabeller,
    data: Data,
    observe: Observe,
    space: spaces.Space[Any] | None,
) -> Relabelled:
    """Return the result with memory in its observations, as asked for."""
    if observe == "none" or data.obs is None or not data.length:
        return result
    refuse_sets(relabeller.program, "the memory of relabelled observations", "Pass observe='none'.")
    extended = extension(relabeller.program, space or space_of(row_of(data.obs, 0)), observe)
    if extended is None:
        return result
    machines = len(relabeller.program.machines)

    def slots(columns: npt.NDArray[np.float64]) -> tuple[npt.NDArray[Any], ...]:
        return tuple(
            columns[:, i].astype(np.int64) if i < machines else columns[:, i] for i in range(columns.shape[1])
        )

    return replace(
        result,
        obs=extended.extend_batch(data.obs, slots(relabeller.before)),
        next_obs=None
        if data.next_obs is None
        else extended.extend_batch(data.next_obs, slots(relabeller.after)),
    )
