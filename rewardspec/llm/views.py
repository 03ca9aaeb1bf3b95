"""What a judge sees of a transition: an observation as lines of text, and an action as a word.

Every line of an observation is the game's and not ours. Each is made printable and begins with `| ` in the prompt, so
that nothing in it can pass for a line of the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem, list_names
from rewardspec.kinds.subgoals import View

MAX_LINES, MAX_WIDTH = 30, 160
"""Lines of an observation, and characters of a line, that are shown."""

MAX_NUMBERS = 64
"""Numbers of an observation that are shown."""

MAX_CHANGES = 4
"""Characters of a page that may change before the page is said to have moved."""

CROP = 4
"""Cells that `crop9` shows to each side of the agent."""

AGENT = "@"


def choose_view(space: spaces.Space[Any], view: View, place: Place | None = None) -> View:
    """Return the view to take of observations of a space: the one that is asked for, or the first that fits.

    Raises:
        MismatchError: `no-view` where it does not fit, or nothing does.
    """
    keys = tuple(space.spaces) if isinstance(space, spaces.Dict) else ()
    fitting: list[View] = []
    if "chars_crop" in keys or "chars" in keys:
        fitting.append("crop9")
    if "chars" in keys:
        fitting.append("chars")
    if "tty_chars" in keys:
        fitting.append("tty")
    if isinstance(space, spaces.Text) or _is_page(space) or "grid" in keys:
        fitting.append("grid")
    if _has_numbers(space):
        fitting.append("numbers")
    if view == "auto" and fitting:
        return fitting[0]
    if view in fitting:
        return view
    what = "no view" if view == "auto" else f"no view '{view}'"
    hints = (f"Views that fit: {list_names(fitting)}.",)
    raise MismatchError(
        Problem("no-view", f"a judge has {what} of {str(space)[:80]}", place or Place(), hints)
    )


def show(obs: Any, view: View) -> list[str]:
    """Return an observation as lines of text.

    Example:
        >>> show({"chars": np.array([[46, 64], [35, 43]], np.uint8), "message": b"Ouch!"}, "chars")
        ['. @', '# +', 'message: Ouch!']
        >>> show(np.array([0.5, -0.25]), "numbers")
        ['0.5 -0.25']
    """
    if view == "crop9":
        lines = _spaced(obs["chars_crop"] if "chars_crop" in obs else crop(np.asarray(obs["chars"])))
    elif view == "chars":
        lines = _spaced(obs["chars"])
    elif view == "tty":
        return _clean(_rows(obs["tty_chars"]))
    elif view == "grid":
        page = obs["grid"] if isinstance(obs, Mapping) else obs
        lines = page.splitlines() if isinstance(page, str) else _spaced(page)
    else:
        lines = _numbers(obs)
    if view != "numbers":
        message = message_of(obs)
        lines = [*lines, f"message: {message or '(none)'}"] if message is not None else lines
    return _clean(lines)


def changes(before: Sequence[str], after: Sequence[str]) -> str:
    """Return which characters of a page became others, where the page has not moved as a whole.

    What was blank and is seen now does not count: a view may widen.

    Example:
        >>> changes(["@ +", "message: (none)"], ["@ | >", "message: Never mind."])
        "'+' became '|'"
        >>> changes(["@ +"], ["@ +"])
        'nothing'
    """
    pairs = changed(before, after)
    if pairs is None:
        return "the view has moved"
    return ", ".join(f"'{old}' became '{new}'" for old, new in pairs) or "nothing"


def changed(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return each character of a page that became another, as a pair; None where the page has moved."""
    pages = [[line for line in lines if not line.startswith("message: ")] for lines in (before, after)]
    pairs = [
        (old, new)
        for line, other in zip_longest(*pages, fillvalue="")
        for old, new in zip_longest(line, other, fillvalue=" ")
        if old not in (new, " ")
    ]
    return pairs if len(pairs) <= MAX_CHANGES else None


def message_of(obs: Any) -> str | None:
    """Return the message that comes with an observation; None where there is no such part."""
    if not isinstance(obs, Mapping) or "message" not in obs:
        return None
    message = obs["message"]
    if isinstance(message, str):
        return message
    data = message if isinstance(message, bytes) else np.asarray(message, np.uint8).tobytes()
    return data.split(b"\0")[0].decode("latin-1").strip()


def crop(chars: Any) -> Any:
    """Return the 9x9 cells around the agent, blank beyond the map's edge; the middle where no agent is shown."""
    rows, columns = np.nonzero(chars == ord(AGENT))
    y, x = (int(rows[0]), int(columns[0])) if len(rows) else (chars.shape[0] // 2, chars.shape[1] // 2)
    padded = np.pad(chars, CROP, constant_values=ord(" "))
    return padded[y : y + 2 * CROP + 1, x : x + 2 * CROP + 1]


def name_action(env: Any, action: Any, names: Sequence[str] = ()) -> str:
    """Return what an action is called: by the spec, by the environment, or by its number.

    Example:
        >>> name_action(None, 1, ["north", "east"]), name_action(None, 7), name_action(None, np.array([0.5, -1]))
        ('east', '7', '0.5 -1')
    """
    if np.ndim(action):
        return " ".join(f"{value:.4g}" for value in np.asarray(action, float).reshape(-1)[:MAX_NUMBERS])
    if isinstance(action, float) or (isinstance(action, np.generic) and action.dtype.kind == "f"):
        return f"{float(action):.4g}"
    number = int(action)
    if 0 <= number < len(names):
        return names[number]
    own = getattr(getattr(env, "unwrapped", None), "actions", None)
    try:
        named = own(number) if isinstance(own, type) else own[number]  # type: ignore[index]
    except (TypeError, ValueError, LookupError):
        return str(number)
    return str(getattr(named, "name", named))[:40]


def _is_page(space: spaces.Space[Any]) -> bool:
    """Return whether a space holds two-dimensional arrays of characters."""
    return isinstance(space, spaces.Box) and len(space.shape) == 2 and space.dtype == np.uint8


def _has_numbers(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_has_numbers(part) for part in space.spaces.values())
    if isinstance(space, spaces.Tuple):
        return any(_has_numbers(part) for part in space.spaces)
    return isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiBinary | spaces.MultiDiscrete)


def _numbers(obs: Any, name: str = "") -> list[str]:
    """Return the numbers of an observation, a line for each of its parts."""
    if isinstance(obs, Mapping):
        return [line for key, part in obs.items() for line in _numbers(part, f"{name}{key} ")]
    if isinstance(obs, tuple):
        return [line for i, part in enumerate(obs) for line in _numbers(part, f"{name}{i} ")]
    values = np.asarray(obs).reshape(-1)
    if values.dtype.kind not in "biuf":
        return []
    more = f" ... ({values.size} in all)" if values.size > MAX_NUMBERS else ""
    return [name + " ".join(f"{float(value):.4g}" for value in values[:MAX_NUMBERS]) + more]


def _rows(chars: Any) -> list[str]:
    return [bytes(row).decode("latin-1") for row in np.asarray(chars, np.uint8)]


def _spaced(chars: Any) -> list[str]:
    """Return an array of characters with blanks between them: each is a token of its own then."""
    return [" ".join(row) for row in _rows(chars)]


def _clean(lines: Sequence[str]) -> list[str]:
    """Return lines that are printable, not too long and not too many."""
    kept = ["".join(c if c.isprintable() else " " for c in line).rstrip()[:MAX_WIDTH] for line in lines]
    return kept[:MAX_LINES]
