"""Arguments that worlds share, checked: how they are shown, and where an episode begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def check_mode(mode: str | None, modes: Sequence[str]) -> None:
    """Raise when a world cannot be shown so.

    Raises:
        ValueError: When the mode is not among those that there are.

    Example:
        >>> check_mode("human", ["rgb_array", "ansi"])
        Traceback (most recent call last):
        ValueError: render_mode is one of ['rgb_array', 'ansi'], not 'human'
    """
    if mode is not None and mode not in modes:
        raise ValueError(f"render_mode is one of {modes}, not {mode!r}")


def only_option(options: dict[str, Any] | None, name: str) -> dict[str, Any]:
    """Return the options of a reset that takes one.

    Raises:
        ValueError: When they hold anything else.

    Example:
        >>> only_option(None, "start")
        {}
    """
    options = options or {}
    if set(options) - {name}:
        raise ValueError(f"the only option of a reset is '{name}', not {sorted(options)}")
    return options
