"""What goes into a program's step and what comes out of it, axes stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Transition:
    """One step of one environment, or of B environments at once.

    Attributes:
        obs: Observation before the step; leaves `[...]` or `[B, ...]`.
        action: Action taken; `[...]` or `[B, ...]`.
        next_obs: Observation after the step, as `obs`. At the end of an episode the final one, not the next reset's.
        reward: The environment's own reward; number or `[B]`.
        terminated: The environment's own flag; bool or `[B]`.
        truncated: The environment's own flag; bool or `[B]`.
        info: The step's info; for B environments, values are `[B]` arrays.
        label: Truth values that a labelling function gives, by name; bool or `[B]`.
        future: Values known only at the end of the episode, by name; for relabelling stored trajectories.
    """

    obs: Any = None
    action: Any = None
    next_obs: Any = None
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: Mapping[str, Any] | None = None
    label: Mapping[str, Any] | None = None
    future: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a program says about one step.

    Attributes:
        reward: Sum of the terms; float or `[B]`.
        terminated: The environment's flag or the program's; bool or `[B]`.
        truncated: Likewise.
        terms: What each term pays, in the program's order; floats, or `[K]` values of shape `[B]`.
    """

    reward: Any
    terminated: Any
    truncated: Any
    terms: tuple[Any, ...]
