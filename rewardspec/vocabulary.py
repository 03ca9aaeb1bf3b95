"""The words that a spec may use, and reading a spec in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewardspec.errors import Problem, SpecError
from rewardspec.kinds import KINDS
from rewardspec.operators import OPERATORS
from rewardspec.spec.model import Kind, Spec
from rewardspec.spec.reader import read_spec
from rewardspec.spec.text import Document, read_file, read_text

VOCABULARY: dict[str, Kind] = {**KINDS, **OPERATORS}
"""Every reward kind and operator, by the word that names it in a spec."""


def load(path: str | Path) -> Spec:
    """Read a spec from a YAML file.

    Raises:
        SpecError: With every problem found, each with its place.
    """
    return read_spec(read_file(path), VOCABULARY)


def loads(text: str | bytes, file: str = "<text>") -> Spec:
    """Read a spec from YAML text.

    Args:
        text: The document.
        file: Name for error messages.

    Raises:
        SpecError: With every problem found, each with its place.

    Example:
        >>> loads("name: effort\\nreward: -0.01 * abs(action)").reward[0].kind
        'markov'
    """
    return read_spec(read_text(text, file), VOCABULARY)


def from_data(data: dict[str, Any]) -> Spec:
    """Read a spec from plain mappings and lists, as `Spec.to_data` gives them.

    Raises:
        SpecError: With every problem found; places are paths only.
    """
    if not isinstance(data, dict):
        raise SpecError(Problem("not-a-mapping", "a spec is a mapping"))
    return read_spec(Document(data, "<python>", {}, {}), VOCABULARY)
