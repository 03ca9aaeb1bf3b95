"""Labels that an environment says itself: it lists their names and answers which are true.

The environment (below all its wrappers) has `label_names`, the names there are, and a method `labels()`, which
returns the names that hold on its last step. Which names those are is known once there is an environment, so
an unknown one is refused when wrapping. Batches on a device answer for all their environments at once: see
`rewardspec.wrappers.tensor`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rewardspec.errors import MismatchError, Place, Problem, list_names, near_miss
from rewardspec.labels import Labels, refuse_environment

NEEDED = ("label_names", "labels")


def describe() -> list[tuple[str, str]]:
    """Return (pattern, meaning) of every label.

    Example:
        >>> describe()[0][0]
        '<name>'
    """
    return [("<name>", "the environment says so: `name` is among what its `labels()` returns after the step")]


def check(name: str) -> str | None:
    """Return None when `name` can be a label, else the reason; only an environment knows whether it is one.

    Example:
        >>> check("coffee")
        >>> check("hot coffee")
        "'hot coffee' is not a label: a label is one word of letters, digits and '_'."
    """
    if name.isidentifier():
        return None
    return f"'{name}' is not a label: a label is one word of letters, digits and '_'."


def bind(env: Any, names: tuple[str, ...]) -> Labels:
    """Return the labelling function of `names` over an environment that says its own labels.

    Raises:
        MismatchError: `labeller-mismatch` when the environment says no labels; `unknown-label` when a name is
            none of them.
    """
    refuse_environment("environment", env, "an environment that says its own labels", NEEDED)
    inner = env.unwrapped
    refuse_names(dict.fromkeys(names, Place()), tuple(inner.label_names), type(inner).__name__)
    return EnvironmentLabels(inner.labels, names)


def refuse_names(names: Mapping[str, Place], known: tuple[str, ...], environment: str) -> None:
    """Raise one error for all of `names` that an environment does not know.

    Args:
        names: Name -> where a spec reads it.
        known: The names that it says.
        environment: What to call it.

    Raises:
        MismatchError: `unknown-label`, one problem for each such name.
    """
    hint = f"it says: {list_names(known)}." if known else "it says none."
    problems = [
        Problem(
            "unknown-label", f"{environment} has no label '{name}'", place, (hint + near_miss(name, known),)
        )
        for name, place in names.items()
        if name not in known
    ]
    if problems:
        raise MismatchError(problems)


class EnvironmentLabels:
    """The labelling function over one live environment."""

    def __init__(self, read: Callable[[], Collection[str]], names: tuple[str, ...]) -> None:
        """Read `names` from what `read()` returns after every step."""
        self._read, self._names = read, names

    def read(self, action: Any, next_obs: Any, info: Mapping[str, Any]) -> tuple[bool, ...]:
        """Return the truth of the labels after a step."""
        true = self._read()
        return tuple([name in true for name in self._names])
