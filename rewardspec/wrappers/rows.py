"""Batched data row by row: gymnasium's vector observations and infos, and one environment's part of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.ir import expr as ir

Bools = npt.NDArray[np.bool_]


def put_rows(space: spaces.Space[Any], batch: Any, rows: npt.NDArray[np.intp], values: Any) -> Any:
    """Return a batched observation with some rows replaced; the batch itself stays as it is.

    Args:
        space: Space of one observation.
        batch: Observations `[B, ...]`, in gymnasium's form for `space`.
        rows: Which rows to replace.
        values: Observations by row number; only those of `rows` are read.
    """
    if isinstance(space, spaces.Dict):
        return {
            key: put_rows(part, batch[key], rows, {i: values[i][key] for i in rows})
            for key, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            put_rows(part, batch[j], rows, {i: values[i][j] for i in rows})
            for j, part in enumerate(space.spaces)
        )
    if isinstance(batch, np.ndarray):
        replaced = batch.copy()
        for i in rows:
            replaced[i] = values[i]
        return replaced
    return tuple(values[i] if i in rows else item for i, item in enumerate(batch))  # Text, Graph, Sequence


def put_info(info: dict[str, Any], final: Mapping[str, Any], key: str, ended: Bools) -> None:
    """Replace a key's values where an episode has ended by those of the final infos, masks included."""
    old, new = info.get(key), final.get(key)
    absent = np.zeros(ended.shape, np.bool_)
    there = np.where(ended, final.get(f"_{key}", absent), info.get(f"_{key}", absent | (old is not None)))
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        merged = dict(old or {})
        for part in {k for k in (*(old or {}), *(new or {})) if not k.startswith("_")}:
            put_info(merged, new or {}, part, ended)
        info[key] = merged
    elif new is not None:
        shape = (-1, *(1,) * (np.ndim(new) - 1))
        info[key] = np.array(new) if old is None else np.where(ended.reshape(shape), new, old)
    if key in info:
        info[f"_{key}"] = there


def present(field: ir.Field, infos: Mapping[str, Any] | None) -> Bools:
    """Return where the keys of an info field are present; a field with a default is read everywhere."""
    if field.root != "info" or field.default is not None:
        return np.array(True)
    here: Any = infos or {}
    there: Any = True
    for step in field.path:
        if not isinstance(step, str):
            break
        there = there & np.asarray(here.get(f"_{step}", True), np.bool_)
        here = here[step]
    return np.asarray(there, np.bool_)


def nan_rows(values: npt.NDArray[Any]) -> Bools:
    """Return which rows of `[B, ...]` hold a NaN."""
    if values.dtype.kind == "O":
        values = values.astype(np.float64)
    nan = np.isnan(values)
    return np.asarray(nan.any(axis=tuple(range(1, nan.ndim))), np.bool_)


def row_of(value: Any, i: int) -> Any:
    """Return one environment's part of batched data, leaves `[B, ...]`."""
    if isinstance(value, Mapping):
        return {key: row_of(part, i) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(row_of(part, i) for part in value)
    return None if value is None else value[i]


def rows_of(value: Any, which: slice, count: int) -> list[Any]:
    """Return the parts of batched data one by one, leaves `[T, ...]`; single numbers become Python's own.

    Example:
        >>> rows_of({"n": np.array([4, 5, 6])}, slice(1, 3), 2)
        [{'n': 5}, {'n': 6}]
    """
    if isinstance(value, Mapping):
        columns = [rows_of(part, which, count) for part in value.values()]
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)] or [{}] * count
    if isinstance(value, tuple):
        return list(zip(*(rows_of(part, which, count) for part in value), strict=True))
    if value is None:
        return [None] * count
    array = np.asarray(value)[which]
    return array.tolist() if array.ndim == 1 else list(array)


def row_of_infos(infos: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Return one environment's info from gymnasium's vector infos."""
    row: dict[str, Any] = {}
    for key, value in infos.items():
        is_mask = key.startswith("_") and key[1:] in infos
        if is_mask or (f"_{key}" in infos and not infos[f"_{key}"][i]):
            continue
        if isinstance(value, Mapping):
            row[key] = row_of_infos(value, i)
        elif isinstance(value, np.ndarray | list | tuple) and len(value) > i:
            row[key] = value[i]
        else:
            row[key] = value
    return row


def masked(values: Mapping[str, Any], mask: Bools) -> dict[str, Any]:
    """Return arrays by name with gymnasium's `_name` masks beside them."""
    found: dict[str, Any] = {}
    for name, array in values.items():
        found[name] = np.where(mask, array, None) if array.dtype == object else array
        found[f"_{name}"] = mask
    return found
