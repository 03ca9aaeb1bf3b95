"""Stored steps of episodes, in the forms that datasets have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem, list_names, missing_extra, near_miss
from rewardspec.ir.layout import Layout, bind, bind_to_values, space_of
from rewardspec.ir.program import Program
from rewardspec.transition import Transition
from rewardspec.wrappers.rows import row_of, row_of_infos, rows_of

ALIASES = {
    "observations": "obs",
    "next_observations": "next_obs",
    "actions": "action",
    "rewards": "reward",
    "terminations": "terminated",
    "terminals": "terminated",
    "truncations": "truncated",
    "timeouts": "truncated",
    "infos": "info",
    "labels": "label",
}
"""Other names that datasets (D4RL, Minari) give the same arrays."""

NAMES = ("obs", "action", "next_obs", "reward", "terminated", "truncated", "info", "label")


@dataclass(frozen=True)
class Data:
    """Steps of one or several episodes, every leaf of length T; None where nothing is stored."""

    length: int
    obs: Any
    action: Any
    next_obs: Any
    reward: npt.NDArray[Any]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    info: Any
    label: Mapping[str, npt.NDArray[np.bool_]]

    @staticmethod
    def of_mapping(data: Mapping[str, Any]) -> Data:
        """Return the data of a mapping of arrays.

        Raises:
            MismatchError: `unreadable-data`, with what does not fit.
        """
        named: dict[str, Any] = {}
        for key, value in data.items():
            name = ALIASES.get(key, key)
            if name in NAMES and value is not None:
                named[name] = value
            elif "/" not in key and name not in NAMES:  # HDF5 groups beside the steps are none of ours
                raise _unreadable(
                    f"the data have an unknown part '{key}'", f"Known: {list_names(NAMES)}.", key
                )
        single = next(
            (n for n in ("terminated", "truncated", "reward", "action", "next_obs") if n in named), None
        )
        if single is None:
            raise _unreadable(
                "the data tell no number of steps", f"Give at least one of: {list_names(NAMES)}."
            )
        length = _length(named[single])
        flags = [np.asarray(named.get(n, np.zeros(length)), np.bool_) for n in ("terminated", "truncated")]
        obs, next_obs = _arrays(named.get("obs")), _arrays(named.get("next_obs"))
        if obs is not None and next_obs is None and _length(obs) == length + 1:
            if any(flag[:-1].any() for flag in flags):
                raise _unreadable(
                    "observations of length T + 1 go with a single episode, and this has several",
                    "Store `next_obs` as well, or relabel the episodes one by one.",
                )
            obs, next_obs = _part(obs, slice(None, -1)), _part(obs, slice(1, None))
        info = _trimmed(named.get("info"), length)
        label = {name: np.asarray(v, np.bool_) for name, v in (named.get("label") or {}).items()}
        reward = np.asarray(named.get("reward", np.zeros(length)))
        made = Data(
            length, obs, _arrays(named.get("action")), next_obs, reward, flags[0], flags[1], info, label
        )
        for name in NAMES:
            for leaf in _leaves(getattr(made, name)):
                if len(leaf) != length:
                    raise _unreadable(f"'{name}' has {len(leaf)} entries and '{single}' has {length}")
        return made

    @staticmethod
    def of_transitions(transitions: Sequence[Transition]) -> Data:
        """Return the data of a list of transitions."""
        if not transitions or not all(isinstance(step, Transition) for step in transitions):
            raise _unreadable("the data are neither a mapping of arrays nor a list of transitions")
        first = transitions[0]
        names = list(first.label or {})
        return Data(
            len(transitions),
            _stack([step.obs for step in transitions]),
            _stack([step.action for step in transitions]),
            _stack([step.next_obs for step in transitions]),
            np.array([float(step.reward) for step in transitions]),
            np.array([bool(step.terminated) for step in transitions]),
            np.array([bool(step.truncated) for step in transitions]),
            [step.info or {} for step in transitions],
            {name: np.array([bool((step.label or {})[name]) for step in transitions]) for name in names},
        )

    def transition(self, t: int) -> Transition:
        """Return step t, without its label."""
        info = self.info[t] if isinstance(self.info, list) else row_of_infos(self.info or {}, t)
        return Transition(
            row_of(self.obs, t),
            row_of(self.action, t),
            row_of(self.next_obs, t),
            self.reward[t].item(),
            bool(self.terminated[t]),
            bool(self.truncated[t]),
            info,
        )

    def infos(self, which: slice, count: int) -> list[Any]:
        """Return the infos of some steps, one mapping a step."""
        if isinstance(self.info, list):
            return self.info[which]
        if any(str(key).startswith("_") for key in self.info or {}):  # gymnasium's masks: keys come and go
            return [row_of_infos(self.info, t) for t in range(which.start, which.stop)]
        return rows_of(self.info or {}, which, count)

    def episodes(self) -> Iterator[range]:
        """Yield the steps of each episode."""
        ends = np.flatnonzero(self.terminated | self.truncated) + 1
        start = 0
        for end in (*ends.tolist(), self.length):
            if end > start:
                yield range(start, end)
            start = end


def bind_data(
    program: Program,
    data: Data,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
) -> Layout:
    """Return the program bound to spaces, or to the shapes of the data where none are given."""
    sample = data.transition(0) if data.length else Transition()
    if observation_space is None and action_space is None:
        return bind_to_values(program, sample)
    return bind(
        program,
        space_of(sample.obs) if observation_space is None else observation_space,
        space_of(sample.action) if action_space is None else action_space,
    )


def _unreadable(message: str, hint: str = "", key: str = "") -> MismatchError:
    near = near_miss(key, [*NAMES, *ALIASES]) if key else ""
    return MismatchError(Problem("unreadable-data", message, hints=(hint + near,) if hint or near else ()))


def _length(value: Any) -> int:
    return next((len(leaf) for leaf in _leaves(value)), 0)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    elif value is not None:
        yield value


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _arrays(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_arrays(part) for part in value)
    return None if value is None else np.asarray(value)


def _part(value: Any, which: slice) -> Any:
    if isinstance(value, Mapping):
        return {key: _part(part, which) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_part(part, which) for part in value)
    return value[which]


def _trimmed(info: Any, length: int) -> Any:
    """Return infos of T steps: Minari stores that of the reset before them."""
    if info is None or not isinstance(info, Mapping):
        infos = list(info or ())
        return (infos[1:] if len(infos) == length + 1 else infos) or None
    arrays = _arrays(info)
    return _part(arrays, slice(1, None)) if _length(arrays) == length + 1 else arrays


def _stack(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _stack([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stack([value[i] for value in values]) for i in range(len(first)))
    return None if first is None else np.stack([np.asarray(value) for value in values])


def minari_episodes(data: Any) -> Iterator[Data]:
    """Yield the episodes of a Minari dataset, or of the one that an id names.

    Raises:
        MissingExtraError: For an id without the package.
    """
    if isinstance(data, str):
        try:
            import minari
        except ImportError:
            raise missing_extra("minari", "minari", "a Minari dataset") from None
        data = minari.load_dataset(data)
    for episode in data.iterate_episodes():
        yield Data.of_mapping(
            {name: getattr(episode, name, None) for name in ("observations", "actions", "rewards", "infos")}
            | {"terminated": episode.terminations, "truncated": episode.truncations}
        )
