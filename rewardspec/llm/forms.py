"""What the numbers of an environment mean, in words, for a model that is asked to write about them."""

from __future__ import annotations

import inspect
import itertools
import re
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rewardspec.errors import Problem, UnsupportedError

LONGEST = 6_000
"""Characters of a description."""

MAX_LISTED = 64
"""Numbers that are listed one by one where nothing describes them."""

_SECTION = re.compile(r"^#+ *(?P<title>.+?) *$", re.MULTILINE)
_ROW = re.compile(r"^\|(?P<cells>.+)\|\s*$")


def widths_of(env: gym.Env[Any, Any]) -> tuple[int, int | None]:
    """Return the width of the observation and that of the action; None for an action that is no vector.

    Raises:
        UnsupportedError: `encoder-widths` where the observation is no vector.
    """
    seen = env.observation_space
    if not (isinstance(seen, spaces.Box) and len(seen.shape) == 1):
        message = f"factors in NumPy's manner need an observation that is one vector, and this is {seen}"
        hint = "Wrap it: gymnasium.wrappers.FlattenObservation(env). Or write the factors as expressions."
        raise UnsupportedError(Problem("encoder-widths", message, hints=(hint,)))
    acts = env.action_space
    takes = isinstance(acts, spaces.Box) and len(acts.shape) == 1
    return int(seen.shape[0]), int(acts.shape[0]) if takes and acts.shape is not None else None


def describe(env: gym.Env[Any, Any]) -> str:
    """Return what an environment documents of its observation and action, index by index.

    Gymnasium's environments have tables of both in their docstrings. Where there are none, the numbers are listed with
    their bounds: a model has little to go by then, and the spec's `observation:` should say what they mean.
    """
    text = inspect.getdoc(type(env.unwrapped)) or ""
    found = []
    for title, space in (("Observation", env.observation_space), ("Action", env.action_space)):
        section = _section(text, title)
        found.append(f"{title}:\n{_compact(section) if section else _bounds(space)}")
    return "\n\n".join(found)[:LONGEST]


def _section(text: str, title: str) -> str:
    """Return the section of a docstring whose heading begins with a word."""
    marks = list(_SECTION.finditer(text))
    for mark, after in itertools.zip_longest(marks, marks[1:]):
        if mark["title"].lower().startswith(title.lower()):
            return text[mark.end() : after.start() if after else len(text)].strip()
    return ""


def _compact(section: str) -> str:
    """Return the rows of a section's tables as `number: meaning`; its prose where it has no table."""
    rows = [
        [cell.strip() for cell in row["cells"].split("|")]
        for row in map(_ROW.match, section.split("\n"))
        if row
    ]
    rows = [row for row in rows if len(row) > 1 and row[0].isdigit()]
    if rows:
        return "\n".join(f"{row[0]}: {row[1]}" for row in rows)
    prose = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    return re.sub(r"\n{2,}", "\n", prose).strip()


def _bounds(space: Any) -> str:
    if not isinstance(space, spaces.Box):
        return str(space)
    low, high = np.ravel(space.low), np.ravel(space.high)
    lines = [f"{i}: between {low[i]:g} and {high[i]:g}" for i in range(min(len(low), MAX_LISTED))]
    return "\n".join([*lines, *(["..."] if len(low) > MAX_LISTED else [])])
