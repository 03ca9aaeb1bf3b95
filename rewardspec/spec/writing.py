"""A spec as plain data, the way a person writes it: short forms, numbers as numbers, defaults left out."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from rewardspec.errors import FormulaError
from rewardspec.spec.model import Spec
from rewardspec.spec.scalars import resolve
from rewardspec.spec.terms import Term
from rewardspec.spec.values import number_to_text, one_or_many


def write_spec(spec: Spec) -> dict[str, Any]:
    """Return a spec as plain data; its version comes first and is always written."""
    data = {"rewardspec": 1, **write_model(spec)}
    if not spec.reward:
        del data["reward"]
    if "env" in data:
        data["env"] = _shorten(data["env"], "id")
    if "signals" in data:
        data["signals"] = {name: _shorten(signal, "value") for name, signal in data["signals"].items()}
    if "propositions" in data and all(text is None for text in data["propositions"].values()):
        data["propositions"] = list(data["propositions"])
    return data


def write_term(term: Term) -> dict[str, Any]:
    """Return a term as plain data.

    A kind with one short main field has it after its word and the others beside it (`ltl: F goal`,
    `accept: 1`); a kind whose main field is a list has its fields under its word, short ones first. A mapping after
    a word is read as the kind's fields, so a main field that holds one is written with its name.
    """
    fields = write_model(term.body)
    main = main_field(type(term.body))
    data: dict[str, Any]
    holds_fields = isinstance(fields.get(main), dict) and not isinstance(getattr(term.body, main), Term)
    is_short = set(fields) == {main} or (main in fields and not isinstance(fields[main], list))
    if is_short and not holds_fields:
        data = {term.kind: fields.pop(main), **fields}
    else:
        data = {term.kind: dict(sorted(fields.items(), key=lambda item: isinstance(item[1], list | dict)))}
    if term.name is not None:
        data["name"] = term.name
    if term.weight is not None:
        data["weight"] = _write(term.weight)
    return data


def write_model(model: BaseModel) -> dict[str, Any]:
    """Return a model's fields as plain data under their written names, those at their default left out."""
    return {name: write_field(info, value) for name, info, value in given_fields(model)}


def given_fields(model: BaseModel) -> Iterator[tuple[str, FieldInfo, Any]]:
    """Yield written name, declaration and value of each field that is not at its default."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if info.is_required() or value != info.get_default(call_default_factory=True):
            yield info.alias or name, info, value


def write_field(info: FieldInfo, value: Any) -> Any:
    """Return the value of a field as plain data."""
    if takes(info, one_or_many) and len(value) == 1:
        value = value[0]
    annotation: Any = info.annotation
    if _is_free(annotation):
        return _copy(value)
    return _write(value, takes(info, number_to_text))


def main_field(model: type[BaseModel]) -> str:
    """Return the field that a bare value fills: the first one that is required, else the first of its own."""
    fields = model.model_fields
    required = (name for name, info in fields.items() if info.is_required())
    own = (name for name in model.__annotations__ if name in fields)
    return next(required, next(own, next(iter(fields))))


def takes(info: FieldInfo, convert: Any) -> bool:
    """Say whether a field's values go through a function before they are validated."""
    return any(_converts(item, convert) for item in (*info.metadata, info.annotation))


@lru_cache(maxsize=1024)
def _converts(annotation: Any, convert: Any) -> bool:
    if isinstance(annotation, BeforeValidator):
        return annotation.func is convert
    inner = (*typing.get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return any(_converts(item, convert) for item in inner if not isinstance(item, str))


@lru_cache(maxsize=1024)
def _is_free(annotation: Any) -> bool:
    """Say whether a field holds data that is not the language's, such as arguments of an environment."""
    return annotation is Any or any(_is_free(item) for item in typing.get_args(annotation))


def _copy(value: Any) -> Any:
    """Return free data with lists for tuples; its numbers stay as they are, since 1 and 1.0 may differ."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, tuple | list) else value


def _write(value: Any, is_expression: bool = False) -> Any:
    if isinstance(value, str):
        return _scalar(value) if is_expression else value
    if isinstance(value, Term):
        return write_term(value)
    if isinstance(value, BaseModel):
        return write_model(value)
    if isinstance(value, Mapping):
        return {key: _write(item, is_expression) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_write(item, is_expression) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _scalar(text: str) -> str | int | float | bool:
    """Return the number or truth value that an expression is the text of, or else the text."""
    if len(text) > 40:
        return text
    try:
        value = resolve(text)
    except FormulaError:
        return text
    if value is not None and not isinstance(value, str) and number_to_text(value) == text:
        return value
    return text


def _shorten(data: dict[str, Any], main: str) -> Any:
    """Return the main value alone where there is no other."""
    return data[main] if set(data) == {main} else data
