"""Our words for what pydantic finds: its own text reaches nobody."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rewardspec.errors import list_names, near_miss
from rewardspec.spec.document import Path
from rewardspec.spec.scalars import short
from rewardspec.spec.unions import begins_with, choose_branches, first_key, locate, models_in
from rewardspec.spec.values import Forms

MAX_FINDINGS = 200
"""Findings of one model that are looked at; a list may hold a million bad items."""

_WANTED = {
    "string_type": "text",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "frozen_set_type": "a list",
    "is_instance_of": "a term",
}
"""Type of pydantic's finding -> what the value must be."""

_SAID_ELSEWHERE = {
    "gamma": ("discount",),
    "rewards": ("reward",),
    "guard": ("when",),
    "condition": ("when",),
    "on": ("when",),
    "label": ("when",),
    "source": ("from",),
    "src": ("from",),
    "target": ("to",),
    "dst": ("to",),
    "initial": ("start",),
    "initial_state": ("start",),
    "u0": ("start",),
    "final": ("terminal",),
    "accepting": ("terminal",),
    "goal": ("terminal",),
    "transitions": ("edges",),
    "reward": ("value", "accept"),
    "bonus": ("value", "accept"),
    "min": ("low",),
    "max": ("high",),
    "max_steps": ("horizon",),
    "max_episode_steps": ("horizon",),
    "env_id": ("id",),
}
"""What other tools call a key -> what it is called here, by what is spoken of."""

_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""What YAML 1.1 takes for a truth value, and this reader for a text -> how it is written."""

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
"""Type of pydantic's finding -> name of the bound in its context, and the word for it."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one value of a model.

    Attributes:
        code: Code of the problem.
        message: The sentence.
        path: Where the value was written.
        hints: What would be right.
        at_key: Whether the key is wrong and not the value.
    """

    code: str
    message: str
    path: Path
    hints: tuple[str, ...] = ()
    at_key: bool = False


@dataclass(frozen=True)
class _Field:
    """A value that was validated: what the user calls it, and what its model is."""

    model: type[BaseModel]
    location: Path
    path: Path
    word: str
    options: tuple[str, ...]
    chosen: Mapping[Path, tuple[type[BaseModel], ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the user calls the value: the last key that leads to it, with the indices after it."""
        keys = [i for i, part in enumerate(self.path) if isinstance(part, str)]
        if not keys:
            return "the spec"
        key, *items = self.path[keys[-1] :]
        return f"'{short(str(key))}{''.join(f'[{item}]' for item in items)}'"


def word_findings(
    error: ValidationError,
    model: type[BaseModel],
    written: Callable[[Path], Path],
    word: str = "",
    options: Sequence[str] = (),
) -> Iterator[Finding]:
    """Yield our findings for pydantic's, one for each place.

    Args:
        error: What pydantic raised.
        model: The model that was validated.
        written: Leads from a path in the model to the path in the document.
        word: The word that names a kind of term, empty for other models.
        options: Keys that are allowed besides the model's.
    """
    grouped: dict[Path, list[ErrorDetails]] = {}
    details = error.errors(include_url=False, include_input=True)
    located = [locate(detail, model) for detail in itertools.islice(details, MAX_FINDINGS)]
    meant = choose_branches(located)
    for location, detail in ((one.location, one.detail) for one in meant.complaints):
        if detail["type"] == "missing":  # it is the value around it that lacks something
            grouped.setdefault((*location[:-1], "\0missing", location[-1]), []).append(detail)
        else:
            grouped.setdefault(location, []).append(detail)
    inner = {path[:length] for path in grouped for length in range(len(path))}
    for location, found in grouped.items():
        if location in inner and all(_is_consequence(detail) for detail in found):
            continue
        if "\0missing" in location:
            if _is_misspelt(str(location[-1]), location[:-2], grouped):
                continue
            yield _word_missing(location[:-2], location[-1], model, written, word, meant.models)
            continue
        yield _word_group(
            found, _Field(model, location, written(location), word, tuple(options), meant.models)
        )


def _is_misspelt(key: str, owner: Path, grouped: Mapping[Path, list[ErrorDetails]]) -> bool:
    """Tell whether a key is missing only because it is misspelt: an unknown key beside it is close to it."""
    unknown = (
        str(location[-1])
        for location, found in grouped.items()
        if location[:-1] == owner and any(detail["type"] == "extra_forbidden" for detail in found)
    )
    return any(near_miss(name, [key]) or key in _SAID_ELSEWHERE.get(name, ()) for name in unknown)


def _is_consequence(detail: ErrorDetails) -> bool:
    """Tell whether a finding about a container only follows from one about something inside it."""
    return detail["type"] == "too_short" or detail["type"] in _WANTED


def kind_of(value: Any) -> str:
    """Return what a value is, for a message.

    Example:
        >>> kind_of(True), kind_of("fast"), kind_of([1])
        ('the truth value true', "the text 'fast'", 'a list')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {_number(value)}"
    if isinstance(value, str):
        return f"the text '{short(value)}'"
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"


def _number(value: int | float) -> str:
    if isinstance(value, int) and abs(value) >= 10**20:  # str() refuses an int of more than 4300 digits
        return "beyond 1e20" if value > 0 else "below -1e20"
    return repr(value)


def _word_missing(
    owner: Path,
    key: str | int,
    model: type[BaseModel],
    written: Callable[[Path], Path],
    word: str,
    chosen: Mapping[Path, tuple[type[BaseModel], ...]],
) -> Finding:
    path = written(owner)
    name = _Field(model, owner, path, word, ()).name
    if len(branches := chosen.get(owner, ())) > 1:
        keys = [first_key(branch) for branch in branches]
        hints = tuple(
            hint for branch, key in zip(branches, keys, strict=True) for hint in _meaning(branch, key, key)
        )
        return Finding("missing-key", f"{name} needs one of the keys {list_names(keys)}", path, hints)
    if isinstance(key, int):
        return Finding("wrong-value", f"{name} needs {key + 1} values or more, not {key}", path)
    if word and not owner and written((key,))[-1] == word:  # `ltl:` with nothing after it
        return Finding("missing-key", f"'{word}' has no value", written((key,)), _meaning(model, key, word))
    inner = next(iter(_models_at(model, (*owner, key), chosen)), None)
    return Finding(
        "missing-key", f"the key '{key}' is missing", path, _meaning(inner, key, key) if inner else ()
    )


def _meaning(model: type[BaseModel], key: str, word: str) -> tuple[str, ...]:
    """Return a hint with what a field means and an example of it; `word` is what the user writes for it."""
    info = next((f for name, f in model.model_fields.items() if key in (name, f.alias)), None)
    if info is None:
        return ()
    example = f" For example: `{word}: {info.examples[0]}`." if info.examples else ""
    meaning = (info.description or "").strip()
    return (f"`{word}:` {meaning[:1].lower()}{meaning[1:]}{example}",) if meaning else ()


def _word_group(found: list[ErrorDetails], field: _Field) -> Finding:
    """Return one finding for all that pydantic says of one value; branches of a union each say something."""
    telling = [detail for detail in found if detail["type"] not in _WANTED]
    mappings = [key for branch in field.chosen.get(field.location, ()) for key in begins_with(branch)]
    if telling:
        return _word_detail(telling[0], field, mappings)
    value = found[0].get("input")
    wanted = list(dict.fromkeys(_WANTED[detail["type"]] for detail in found))
    forms = _forms_at(field)
    if forms is not None:
        wanted = [forms.wanted]
    hints: tuple[str, ...] = ()
    if mappings:
        hints = (f"A mapping here has the key {_or(mappings)}.",)
    takes_text = any("text" in one.split() for one in wanted)
    if takes_text and isinstance(value, int | float) and not isinstance(value, bool):
        hints = (f"Quote it if it is meant as text: '{_number(value)}'.",)
    elif forms is not None:
        hints = (f"Write {forms.example}.",)
    elif "true or false" in wanted and isinstance(value, str) and value.lower() in _TRUTHS:
        hints = (f"Write {_TRUTHS[value.lower()]}.",)
    elif "text" in wanted and isinstance(value, list | dict):
        hints = ("A text that begins with '[' or '{' needs quotes.",)
    elif wanted == ["a mapping"] and isinstance(value, str) and isinstance(field.path[-1], int):
        if items := _models_at(field.model, (*field.location, "item"), field.chosen):
            hints = (f"Each item is a mapping, as {{{first_key(items[0])}: ...}}.",)
    elif wanted == ["a list"] and isinstance(value, str | dict):
        hints = ("Begin each item with '- ', or write the items in square brackets.",)
        if items := _models_at(field.model, (*field.location, "item"), field.chosen):
            key = next((part for part in reversed(field.path) if isinstance(part, str)), "")
            hints = (f"A list of mappings stands here: {key}: [{{{first_key(items[0])}: ...}}]",)
    message = f"{field.name} must be {' or '.join(wanted)}, not {kind_of(value)}"
    return Finding("wrong-type", message, field.path, hints)


def _forms_at(field: _Field) -> Forms | None:
    """Return what may stand in a field that takes more than one form; None for others, and inside of them."""
    name = field.location[-1] if field.location else None
    for owner in _models_at(field.model, field.location, field.chosen):
        for key, info in owner.model_fields.items():
            if name in (key, info.alias):
                return next((one for one in info.metadata if isinstance(one, Forms)), None)
    return None


def _or(keys: Sequence[str]) -> str:
    *most, last = [f"'{key}'" for key in keys]
    return f"{', '.join(most)} or {last}" if most else last


def _word_detail(detail: ErrorDetails, field: _Field, mappings: Sequence[str] = ()) -> Finding:
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind in ("extra_forbidden", "invalid_key"):
        return _word_unknown_key(field)
    if kind == "value_error":
        error = context.get("error")
        code, hints = getattr(error, "code", "wrong-value"), getattr(error, "hints", ())
        at_key = bool(field.location) and field.location[-1] == "[key]"
        path = field.path[:-1] if at_key else field.path
        return Finding(code, str(error), path, tuple(hints), at_key)
    if kind in ("literal_error", "enum"):
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        close = near_miss(value, allowed.split(", ")) if isinstance(value, str) else ""
        besides = f"; or a mapping with {_or(mappings)}" if mappings else ""
        return Finding(
            "wrong-value",
            f"{field.name} cannot be {kind_of(value)}",
            field.path,
            (f"One of: {allowed}{besides}.{close}",),
        )
    if kind in _BOUNDS:
        key, relation = _BOUNDS[kind]
        number = _number(value) if isinstance(value, int | float) else short(str(value))
        return Finding(
            "wrong-value", f"{field.name} must be {relation} {context[key]:g}, not {number}", field.path
        )
    if kind in ("too_short", "string_too_short"):
        return Finding("wrong-value", f"{field.name} must not be empty", field.path)
    if kind in ("too_long", "string_too_long"):
        limit = context.get("max_length", 0)
        unit = "characters" if kind == "string_too_long" else "values"
        code = "wrong-value" if limit < 10 else "document-too-large"  # a pair of three, or a list without end
        return Finding(code, f"{field.name} has more than {limit} {unit}", field.path)
    if kind == "finite_number":
        return Finding("wrong-value", f"{field.name} must be a finite number", field.path)
    return Finding("wrong-value", f"{field.name} cannot be {kind_of(value)}", field.path)


def _word_unknown_key(field: _Field) -> Finding:
    owners = _models_at(field.model, field.location, field.chosen)
    known = [info.alias or key for owner in owners for key, info in owner.model_fields.items()]
    if len(field.location) == 1:
        known += field.options
    name = short(str(field.path[-1]))
    meant = next((key for key in _SAID_ELSEWHERE.get(name, ()) if key in known), "")
    guess = f" Did you mean '{meant}'?" if meant else near_miss(name, known)
    if not guess and (around := _holder_of(name, owners)):
        guess = f" '{name}' is a key of '{around}'."
    hints = (f"Keys here: {list_names(known, 30)}.{guess}",) if known else ()
    return Finding("unknown-key", f"unknown key '{name}'", field.path, hints, at_key=True)


def _holder_of(key: str, owners: Iterable[type[BaseModel]]) -> str:
    """Return the field of a model that holds a mapping with a key, empty where none does."""
    for owner in owners:
        for name, info in owner.model_fields.items():
            for inner in models_in(info.annotation):
                if key in inner.model_fields and inner is not owner:
                    return info.alias or name
    return ""


def _models_at(
    model: type[BaseModel], location: Path, chosen: Mapping[Path, tuple[type[BaseModel], ...]]
) -> tuple[type[BaseModel], ...]:
    """Return the models whose field the last part of a location names: one, or branches that are all likely."""
    current: tuple[type[BaseModel], ...] = (model,)
    for end, part in enumerate(location[:-1], start=1):
        if isinstance(part, int):
            continue
        fields = (item for one in current for item in one.model_fields.items())
        info = next((f for name, f in fields if part in (name, f.alias)), None)
        if info is None:  # a key of a free mapping, such as a signal's name
            continue
        inner = chosen.get(location[:end]) or tuple(itertools.islice(models_in(info.annotation), 1))
        if not inner:
            return ()
        current = inner
    return current
