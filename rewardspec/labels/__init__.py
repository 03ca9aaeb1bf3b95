"""Ready-made labelling functions for environments whose state is not in the observation.

A spec names one (`env: {id: MiniGrid-DoorKey-8x8-v0, labels: minigrid}`) and reads its labels as propositions
(`has_key: label.carrying_key`). A labeller is a module with the three functions of `Labeller`; it imports its
environment's package at the earliest in `bind`, so that a spec is checked anywhere.

To add one: write the module, add its line to `LABELLERS`, and add its cases to `tests/labels`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from rewardspec.errors import MismatchError, Place, Problem, SpecError, list_names, near_miss

LABELLERS: dict[str, str] = {
    "environment": "rewardspec.labels.environment",
    "minigrid": "rewardspec.labels.minigrid",
    "minihack": "rewardspec.labels.minihack",
}
"""Name in a spec -> module."""


class Labels(Protocol):
    """A labelling function over one live environment.

    Attributes:
        read: `read(action, next_obs, info)` after each step: the truth of the bound names, in their order.
    """

    @property
    def read(self) -> Callable[[Any, Any, Mapping[str, Any]], tuple[bool, ...]]:
        """See the class."""
        ...


class Labeller(Protocol):
    """What a labelling module offers (modules satisfy protocols as objects do)."""

    def describe(self) -> list[tuple[str, str]]:
        """Return (pattern, meaning) of every label; `<...>` in a pattern stands for one word of a list."""
        ...

    def check(self, name: str) -> str | None:
        """Return None when `name` is a label, else the reason. Needs no environment package."""
        ...

    def bind(self, env: Any, names: tuple[str, ...]) -> Labels:
        """Return the labelling function of `names` over the live `env` (any gymnasium wrapper of it).

        Only what `names` ask for is computed. The function reads the environment's state as it is when
        called, so it is called once after every step, the last of an episode included, and before a reset.
        It notices a new episode by itself.

        Raises:
            MismatchError: `labeller-mismatch` when `env` is not of the family that the labeller reads.
            SpecError: `unknown-label` when `check` refuses a name.
        """
        ...


def load_labeller(name: str, place: Place | None = None) -> Labeller:
    """Return the labeller that a spec calls `name`.

    Args:
        name: A key of `LABELLERS`.
        place: Where the spec says so, for the error.

    Raises:
        SpecError: `unknown-labeller` when there is none of that name.

    Example:
        >>> load_labeller("minigrid").check("carying_key")
        "'carying_key' is not a label of minigrid. Did you mean 'carrying_key'?"
    """
    module = LABELLERS.get(name)
    if module is None:
        hint = f"there are: {list_names(sorted(LABELLERS))}.{near_miss(name, LABELLERS)}"
        raise SpecError(
            Problem("unknown-labeller", f"unknown labeller '{name}'", place or Place(), hints=(hint,))
        )
    return cast(Labeller, importlib.import_module(module))


def refuse_unknown(labeller: str, names: tuple[str, ...], check: Callable[[str], str | None]) -> None:
    """Raise one error for all of `names` that `check` refuses.

    Raises:
        SpecError: `unknown-label`, one problem for each refused name.
    """
    reasons = [reason for name in names if (reason := check(name))]
    if reasons:
        hint = f"`labels: {labeller}` offers the patterns of docs/language.md"
        raise SpecError([Problem("unknown-label", reason, hints=(hint,)) for reason in reasons])


def refuse_environment(labeller: str, env: Any, family: str, attributes: tuple[str, ...]) -> None:
    """Raise when `env.unwrapped` lacks an attribute that a labeller reads.

    Attributes are tested and not the class, so that forks and subclasses work and nothing is imported.

    Raises:
        MismatchError: `labeller-mismatch`, with what is needed and what is missing.
    """
    inner = env.unwrapped
    missing = [attribute for attribute in attributes if not hasattr(inner, attribute)]
    if missing:
        raise MismatchError(
            Problem(
                "labeller-mismatch",
                f"labels '{labeller}' need {family}, and {type(inner).__name__} is none",
                hints=(f"it has no {list_names(missing)}, which these labels read from `env.unwrapped`",),
            )
        )
