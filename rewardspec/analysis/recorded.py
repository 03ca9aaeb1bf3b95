"""Transitions as data: what a `tests:` block and an episode file hold."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from rewardspec.backends import oracle
from rewardspec.errors import Place, Problem, SpecError, list_names, near_miss
from rewardspec.ir.program import Program
from rewardspec.ir.show import show_field
from rewardspec.transition import Transition

KEYS = tuple(field.name for field in fields(Transition) if field.name != "future")
"""What a recorded transition may hold."""

ARRAYS = ("obs", "action", "next_obs")

MAX_STEPS = 100_000
"""Transitions of an episode file."""

MAX_BYTES = 256 * 2**20
"""Size of an episode file, unpacked."""


class RecordedError(ValueError):
    """A recorded transition holds something that no transition has; `key` says where."""

    def __init__(self, key: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.key, self.message, self.hint = key, message, hint


def transition_of(data: Mapping[str, Any], labels: Collection[str] = ()) -> Transition:
    """Return the transition that plain data stands for.

    Args:
        data: Any of obs, action, next_obs, reward, terminated, truncated, info, label. Lists of numbers
            become arrays. `label` is a mapping to truth values, or the list of the names that are true.
        labels: Names that the program reads from the label: those that a list does not name are false.

    Raises:
        RecordedError: The data has a key that no transition has, or a value that does not fit.

    Example:
        >>> transition_of({"next_obs": [1, 2], "label": ["door"]}, ["door", "key"]).label
        {'door': True, 'key': False}
    """
    for key in data:
        if key not in KEYS:
            raise RecordedError(
                str(key),
                f"a transition has no '{key}'",
                f"It has: {list_names(KEYS)}.{near_miss(str(key), KEYS)}",
            )
    values: dict[str, Any] = {key: as_arrays(data[key]) if key in ARRAYS else data[key] for key in data}
    label = values.get("label")
    if isinstance(label, list | tuple):
        label = {name: name in label for name in dict.fromkeys((*labels, *label))}
    for key, value in (("label", label), ("info", values.get("info"))):
        if value is not None and not isinstance(value, Mapping):
            raise RecordedError(key, f"'{key}' must be a mapping", "As in {success: true}.")
    for key in ("reward", "terminated", "truncated"):
        if key in values and not isinstance(values[key], int | float):
            raise RecordedError(
                key, f"'{key}' must be a single value", "One transition is one step of one environment."
            )
    return Transition(**{**values, "label": label or {}, "info": values.get("info") or {}})


def as_arrays(value: Any) -> Any:
    """Return lists of numbers as arrays, mappings part by part, lists of unequal parts as tuples."""
    if isinstance(value, Mapping):
        return {key: as_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        try:
            return np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError):
            return tuple(as_arrays(item) for item in value)
    return value


def data_of(transition: Transition) -> dict[str, Any]:
    """Return a transition as plain data that JSON can hold; what it cannot hold is left out of `info`.

    Example:
        >>> data_of(Transition(next_obs=np.zeros(2), reward=np.float32(1)))
        {'next_obs': [0.0, 0.0], 'reward': 1.0, 'terminated': False, 'truncated': False}
    """
    data: dict[str, Any] = {}
    for key in KEYS:
        value = getattr(transition, key)
        if value is None or (key in ("info", "label") and not value):
            continue
        data[key] = _plain(value)
    return data


def find_unreadable(program: Program, transitions: Sequence[Transition]) -> tuple[int, str] | None:
    r"""Return the first step of which a program cannot read something, and what; None when it can read all.

    Example:
        >>> from rewardspec.compiler import compile_spec
        >>> from rewardspec.vocabulary import loads
        >>> program = compile_spec(loads("name: up\nreward: next_obs[0]"))
        >>> find_unreadable(program, [Transition(next_obs=np.zeros(2)), Transition(next_obs={"x": 1})])
        (1, 'next_obs[0]')
    """
    for field in program.fields():
        if field.root == "future":
            continue
        shape: tuple[int, ...] | None = None
        for t, transition in enumerate(transitions):
            try:
                value = np.asarray(oracle.read_field(field, transition), dtype=np.float64)
            except (KeyError, IndexError, TypeError, ValueError):
                return t, show_field(field)
            shape = value.shape if shape is None else shape
            if value.shape != shape:
                return t, show_field(field)
    return None


class _Opaque(TypeError):
    pass


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            try:
                kept[str(key)] = _plain(item)
            except _Opaque:
                continue
        return kept
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise _Opaque(type(value).__name__)


# -- files -------------------------------------------------------------------------------------------


def write_episode(transitions: Sequence[Transition]) -> str:
    """Return transitions as JSON lines, one a line; `read_episode` reads them back."""
    return "".join(json.dumps(data_of(transition)) + "\n" for transition in transitions)


def read_episode(path: str | Path, labels: Collection[str] = ()) -> list[Transition]:
    """Read an episode from JSON lines (one transition a line) or an .npz file (one array of T rows per part).

    Args:
        path: The file. In an .npz file `obs.image`, `info.success` and `label.door` name parts of a
            mapping, and `obs` with T + 1 rows needs no `next_obs`.
        labels: Names that the program reads from the label.

    Raises:
        SpecError: `unreadable-file` or `unreadable-transition`, with file and line.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable_file(path, f"it is larger than {MAX_BYTES // 2**20} MiB")
        if path.suffix == ".npz":
            rows = list(_rows_of_arrays(path))
        else:
            rows = list(_rows_of_lines(path))
    except OSError as error:
        raise _unreadable_file(path, (error.strerror or str(error)).lower()) from None
    transitions = []
    for place, data in rows:
        try:
            transitions.append(transition_of(data, labels))
        except RecordedError as error:
            raise SpecError(Problem("unreadable-transition", error.message, place, (error.hint,))) from None
    if not transitions:
        raise _unreadable_file(path, "it holds no transitions")
    return transitions


def _unreadable_file(path: Path, reason: str) -> SpecError:
    return SpecError(Problem("unreadable-file", f"cannot read the episode: {reason}", Place(str(path))))


def _rows_of_lines(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number > MAX_STEPS:
                raise _unreadable_file(path, f"it has more than {MAX_STEPS} lines")
            if not line.strip():
                continue
            place = Place(str(path), number, 1)
            try:
                data = json.loads(line)
            except (ValueError, RecursionError):
                data = None
            if not isinstance(data, dict):
                hint = 'Every line is a JSON object, as in {"next_obs": [0.5], "reward": 1}.'
                raise SpecError(
                    Problem("unreadable-transition", "this line is not a transition", place, (hint,))
                ) from None
            yield place, data


def _rows_of_arrays(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    place = Place(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise _unreadable_file(path, f"it is larger than {MAX_BYTES // 2**20} MiB")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError):
        raise _unreadable_file(path, "it is not an .npz file of plain arrays") from None
    rest = [array for name, array in arrays.items() if name.split(".")[0] != "obs" and array.ndim]
    steps = min((len(array) for array in rest), default=0)
    for name in [name for name in arrays if name.split(".")[0] == "obs"]:
        following = "next_" + name
        if following not in arrays and arrays[name].ndim and len(arrays[name]) == steps + 1:
            arrays[following], arrays[name] = arrays[name][1:], arrays[name][:-1]
    for name, array in arrays.items():
        if not array.ndim or len(array) != steps:
            shape = "a single value" if not array.ndim else f"{len(array)} rows"
            raise SpecError(
                Problem(
                    "unreadable-transition", f"'{name}' has {shape}; other arrays have {steps} rows", place
                )
            )
    if steps > MAX_STEPS:
        raise _unreadable_file(path, f"it has more than {MAX_STEPS} steps")
    for t in range(steps):
        data: dict[str, Any] = {}
        for name, array in arrays.items():
            root, *keys = name.split(".")
            value: Any = array[t]
            if isinstance(value, np.generic):
                value = value.item()
            if keys:
                held = data.setdefault(root, {})
                for key in keys[:-1]:
                    held = held.setdefault(key, {})
                held[keys[-1]] = value
            else:
                data[root] = value
        yield place, data
