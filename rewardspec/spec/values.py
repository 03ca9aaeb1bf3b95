"""What the fields of a spec hold, names, numbers and texts, and what all models of a spec share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails

from rewardspec.spec.scalars import short

RESERVED = frozenset(
    [
        "and",
        "or",
        "not",
        "xor",
        "implies",
        "iff",
        "true",
        "false",
        "True",
        "False",
        "None",
        "if",
        "else",
        "in",
        "is",
        "lambda",
        "obs",
        "next_obs",
        "action",
        "reward",
        "terminated",
        "truncated",
        "info",
        "label",
        "future",
        "agents",
        "team",
        "teammates",
        "others",
        "opponents",
        "pi",
        "inf",
        "nan",
    ]
)
"""Words that cannot name a signal, a proposition or a machine state's proposition."""

MAX_NAME = 80
"""Characters of a name."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PATTERN = re.compile(r"[A-Za-z0-9_*?.: -]+\Z")
_TERM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ .-]*\Z")


class ModelError(ValueError):
    """A value does not fit, with the code and the hints of the problem that it is."""

    def __init__(self, code: str, message: str, *hints: str) -> None:
        super().__init__(message)
        self.code, self.hints = code, hints


def _check_name(name: str) -> str:
    if not _NAME.match(name) or len(name) > MAX_NAME:
        hint = f"Use letters, digits and underscores, a letter first, at most {MAX_NAME} in all."
        raise ModelError("invalid-name", f"'{short(name)}' cannot be a name", hint)
    if name in RESERVED:
        message = f"'{name}' is a word of the language and cannot be declared"
        raise ModelError("reserved-name", message, f"Choose another name, for example '{name}_'.")
    return name


def _check_term_name(name: str) -> str:
    if not _TERM_NAME.match(name) or len(name) > MAX_NAME:
        hint = f"Use letters, digits, spaces, '_', '-' and '.', a letter first, at most {MAX_NAME} in all."
        raise ModelError("invalid-name", f"'{short(name)}' cannot be the name of a term", hint)
    return name


def _check_pattern(pattern: str) -> str:
    if not _PATTERN.match(pattern) or len(pattern) > MAX_NAME:
        hint = f"Use an agent's name, or a pattern with '*' and '?', at most {MAX_NAME} characters."
        raise ModelError("invalid-name", f"'{short(pattern)}' cannot be the name or pattern of agents", hint)
    return pattern


def _check_range(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ModelError(
            "wrong-value",
            f"the range runs from {ends[0]:g} down to {ends[1]:g}",
            "Write the lesser number first.",
        )
    return ends


def number_to_text(value: object) -> object:
    """Let `- markov: 1` and `when: true` stand for their text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value)  # a NumPy float would name its type
    return repr(value) if isinstance(value, int) else value


def one_or_many(value: object) -> object:
    """Let `from: want` stand for `from: [want]`."""
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class Forms:
    """What may stand in a field that takes more than its model's own form; stands among the field's annotations.

    Attributes:
        wanted: The forms, for messages.
        example: One of each.
    """

    wanted: str
    example: str


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that expressions and guards may use."""

TermName = Annotated[str, AfterValidator(_check_term_name)]

AgentPattern = Annotated[str, AfterValidator(_check_pattern)]
"""An agent's name, or a pattern with `*` and `?`."""

ExpressionText = Annotated[
    str,
    BeforeValidator(number_to_text, json_schema_input_type=str | bool | int | float),
    Field(examples=["-0.01 * abs(action)", "next_obs[0] > 2 and not broken"]),
]
"""A numeric or truth-valued expression over one transition."""

GuardText = Annotated[
    str,
    BeforeValidator(number_to_text, json_schema_input_type=str | bool | int | float),
    Field(examples=["coffee and not broken", "true"]),
]
"""A boolean formula over declared propositions."""

Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
"""A finite number; a text or a truth value is not taken for one."""

Whole = Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)]
"""A whole number that a float holds exactly, likewise."""

PIECE = 50
"""Items of a long list that are validated together."""


def in_pieces(limit: int) -> WrapValidator:
    """Return a validator of a list, piece by piece: a million bad items give the findings of one piece."""

    def validate(value: Any, validate_list: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, list | tuple) or len(value) <= PIECE:
            return validate_list(value)
        if len(value) > limit:
            raise ModelError("document-too-large", f"{len(value)} values in a list that may hold {limit}")
        found: list[Any] = []
        for start in range(0, len(value), PIECE):
            try:
                found.extend(validate_list(value[start : start + PIECE]))
            except ValidationError as error:
                raise _moved(error, start) from None
        return tuple(found)

    return WrapValidator(validate)


def _moved(error: ValidationError, start: int) -> ValidationError:
    """Return an error about a piece of a list as one about the list."""
    details: list[InitErrorDetails] = []
    for detail in error.errors(include_url=False):
        index, *rest = detail["loc"]
        moved = (index + start if isinstance(index, int) else index, *rest)
        details.append(
            {"type": detail["type"], "loc": moved, "input": detail["input"], "ctx": detail.get("ctx", {})}
        )
    return ValidationError.from_exception_data(error.title, details)


Truth = Annotated[bool, Field(strict=True)]
"""`true` or `false`; neither a number nor a text is taken for one."""

Range = Annotated[tuple[Number, Number], AfterValidator(_check_range)]
"""Least and greatest value."""


class Model(BaseModel):
    """What all models of a spec share: frozen, and no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True
    )


def check_line(text: str, what: str) -> None:
    """Raise where a text that a model will read is more than a line: it stands in a list of the prompt.

    Raises:
        ModelError: `not-one-line`.
    """
    if not text.isprintable():
        raise ModelError("not-one-line", f"the {what} holds a line break or a control character")
