"""Which branch of a union a value was meant for: pydantic complains once for each branch, a user wrote one of them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from rewardspec.spec.document import Path


@dataclass(frozen=True)
class Complaint:
    """What pydantic says of one value.

    Attributes:
        detail: Pydantic's own finding.
        location: Where, in keys and indices; branches of unions left out.
        branches: Each union on the way: where it is, and which of its models the finding is about.
    """

    detail: ErrorDetails
    location: Path
    branches: tuple[tuple[Path, type[BaseModel]], ...]


@dataclass(frozen=True)
class Meant:
    """The complaints that are left when the branches that were not meant are gone.

    Attributes:
        complaints: In their order.
        models: For each union that was complained of, the models that may have been meant.
    """

    complaints: tuple[Complaint, ...]
    models: Mapping[Path, tuple[type[BaseModel], ...]]


def locate(detail: ErrorDetails, model: type[BaseModel]) -> Complaint:
    """Return a finding about a model's value with its place, and with the branches of unions apart from it."""
    location: list[str | int] = []
    branches: list[tuple[Path, type[BaseModel]]] = []
    here: tuple[Any, ...] = (model,)
    for part in detail["loc"]:
        named = [one for one in here if _is_model(one) and _names(part, one)]
        if named and (len(here) > 1 or not location):
            branches.append((tuple(location), named[0]))
            here = (named[0],)
        elif not _is_branch(part):
            location.append(part)
            here = tuple(inner for one in here for inner in _inside(one, part))
    return Complaint(detail, tuple(location), tuple(branches))


def choose_branches(complaints: Sequence[Complaint]) -> Meant:
    """Leave out the complaints about branches of a union that a value was not meant for.

    A mapping was meant for the model that lacks the fewest keys and knows the most of those that are there; anything
    else was meant for none of the models.
    """
    models: dict[Path, tuple[type[BaseModel], ...]] = {}
    unions = dict.fromkeys(path for one in complaints for path, _ in one.branches)
    for path in sorted(unions, key=len):
        about = [one for one in complaints if one.location[: len(path)] == path]
        scores: dict[type[BaseModel], int] = {}
        for one in about:
            branch = dict(one.branches).get(path)
            if branch is not None:
                is_mapping = len(one.location) > len(path) or one.detail["type"] not in _NO_MAPPING
                scores[branch] = scores.get(branch, 0) + (_cost(one, path) if is_mapping else _NONE)
        if min(scores.values()) >= _NONE:  # no mapping: all branches are told of in one sentence
            models[path] = tuple(scores)
            continue
        models[path] = best = _best(scores, about, path)
        dropped = [
            one
            for one in about
            if dict(one.branches).get(path) is not best[0] or _is_doubtful(one, about, best)
        ]
        complaints = [one for one in complaints if one not in dropped]
    return Meant(tuple(complaints), models)


def _best(
    scores: Mapping[type[BaseModel], int], about: Sequence[Complaint], path: Path
) -> tuple[type[BaseModel], ...]:
    """Return the branches that a mapping was most likely meant for: one, or several that nothing tells apart."""
    unknown = [_unknown_keys(about, path, branch) for branch in scores]
    if unknown[0] and all(keys == unknown[0] for keys in unknown):  # no branch knows a key
        return tuple(scores)
    best = [branch for branch, score in scores.items() if score == min(scores.values())]
    lacking = {dict(one.branches).get(path) for one in about if one.detail["type"] == "missing"}
    if set(best) <= lacking:
        return tuple(best)
    needy = (branch for branch in best if any(info.is_required() for info in branch.model_fields.values()))
    return (next(needy, best[0]),)


def _unknown_keys(complaints: Sequence[Complaint], path: Path, branch: type[BaseModel]) -> set[Path]:
    """Return the keys that one branch of the union at a path does not know."""
    return {
        one.location
        for one in complaints
        if dict(one.branches).get(path) is branch
        and one.detail["type"] == "extra_forbidden"
        and len(one.location) == len(path) + 1
    }


_NO_MAPPING = frozenset({"model_type", "model_attributes_type"})

_NONE = 1_000_000
"""Score of a model of which no key was given."""


def _cost(complaint: Complaint, path: Path) -> int:
    """Return how much a complaint speaks against a branch: unknown and missing keys do, wrong values inside do not."""
    at_key = len(complaint.location) == len(path) + 1
    return 100 if at_key and complaint.detail["type"] in ("missing", "extra_forbidden") else 1


def _is_doubtful(complaint: Complaint, about: Sequence[Complaint], best: Sequence[object]) -> bool:
    """Say whether a key is missing only if this branch was meant, where others are as likely and a key is unknown."""
    unknown = any(one.detail["type"] == "extra_forbidden" for one in about)
    return len(best) > 1 and unknown and complaint.detail["type"] == "missing"


def first_key(model: type[BaseModel]) -> str:
    """Return the key that a model's mapping is known by: the first that it needs, else its first."""
    fields = model.model_fields.items()
    name, info = next((item for item in fields if item[1].is_required()), next(iter(fields)))
    return info.alias or name


def begins_with(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of which a model's mapping has one: that which it is known by, or all where any will do."""
    fields = model.model_fields.items()
    if all(not info.is_required() and info.default is None for _, info in fields):
        return tuple(info.alias or name for name, info in fields)
    return (first_key(model),)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation speaks of, from left to right."""
    if _is_model(annotation):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return the branches of a union, or a type alone; `None` and annotations of a type left out."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(part for one in typing.get_args(annotation) for part in _parts(one))
    return () if annotation is type(None) else (annotation,)


def _inside(annotation: Any, key: str | int) -> tuple[Any, ...]:
    """Return what a key or an index of a value leads to, as the branches that may stand there."""
    arguments = typing.get_args(annotation)
    if _is_model(annotation):
        info = next((f for name, f in annotation.model_fields.items() if key in (name, f.alias)), None)
        return () if info is None else _parts(info.annotation)
    if typing.get_origin(annotation) is dict:
        return _parts(arguments[1])
    if typing.get_origin(annotation) in (tuple, list) and isinstance(key, int):
        ends = len(arguments) == 2 and arguments[1] is Ellipsis
        return _parts(arguments[0 if ends or len(arguments) <= key else key])
    return ()


def _names(part: str | int, model: type[BaseModel]) -> bool:
    """Tell whether a part of pydantic's location names a model, one with a validator around it included."""
    return part == model.__name__ or (
        isinstance(part, str) and part.startswith("function-") and part.endswith(f", {model.__name__}]")
    )


def _is_branch(part: str | int) -> bool:
    """Tell whether a part of pydantic's location names a branch that is no model, or a validator, not a key."""
    return isinstance(part, str) and (
        part in ("float", "int", "str", "bool", "constrained-str", "none")
        or part.startswith(
            ("tuple[", "dict[", "list[", "function-", "literal[", "nullable[", "constrained-", "lax-or")
        )
    )
