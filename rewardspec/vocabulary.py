"""The words that a spec may use, and reading a spec in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewardspec.errors import Problem, SpecError
from rewardspec.kinds import KINDS
from rewardspec.operators import OPERATORS
from rewardspec.spec.model import Spec
from rewardspec.spec.reader import read_spec
from rewardspec.spec.terms import Kind
from rewardspec.spec.text import read_file, read_text

VOCABULARY: dict[str, Kind] = {**KINDS, **OPERATORS}
"""Every reward kind and operator, by the word that names it in a spec."""


def load(path: str | Path) -> Spec:
    """Read a spec from a YAML file.

    Raises:
        SpecError: With every problem found, each with its place.
    """
    document = read_file(path)
    return read_spec(document.value, VOCABULARY, document)


def loads(text: str | bytes, file: str = "<text>") -> Spec:
    r"""Read a spec from YAML text.

    Args:
        text: The document.
        file: Name for error messages.

    Raises:
        SpecError: With every problem found, each with its place.

    Example:
        >>> loads("name: effort\nreward: -0.01 * abs(action)").reward[0].kind
        'markov'
    """
    given: object = text
    if not isinstance(given, str | bytes):
        hint = "`rewardspec.from_data` takes mappings and lists, `rewardspec.load` the path of a file."
        message = f"`loads` reads YAML text, and this is a {type(given).__name__}"
        raise SpecError(Problem("not-a-mapping", message, hints=(hint,)))
    document = read_text(text, file)
    return read_spec(document.value, VOCABULARY, document)


def from_data(data: dict[str, Any]) -> Spec:
    """Read a spec from plain mappings and lists, as `Spec.to_data` gives them.

    Raises:
        SpecError: With every problem found; places are paths only.
    """
    given: object = data
    if not isinstance(given, dict):
        hint = "`rewardspec.loads` takes YAML text, `rewardspec.load` the path of a file."
        message = f"`from_data` takes a mapping, and this is a {type(given).__name__}"
        raise SpecError(Problem("not-a-mapping", message, hints=(hint,)))
    return read_spec(data, VOCABULARY)
