"""Builders for specs of several agents; `rewardspec.dsl` hands them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from rewardspec.dsl_terms import Reward, Text, fields_given, reward_of
from rewardspec.errors import Place, Problem, SpecError

Terms: TypeAlias = "Reward | Text | Mapping[str, Any] | Sequence[Reward | Text | Mapping[str, Any]]"
"""A sum of terms, or a list of them."""

Ends: TypeAlias = "Reward | Mapping[str, Any] | Sequence[Reward | Mapping[str, Any]]"
"""`end(...)`, or a list of them."""


def agent(
    reward: Terms = (),
    team: str | None = None,
    share: Mapping[str, Any] | None = None,
    risk: Mapping[str, Any] | None = None,
    local: Sequence[str] | None = None,
    end: Ends = (),
    tests: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return an entry of `spec(agents=...)`: what the agents of a name or pattern want.

    Example:
        >>> made = agent("reward", team="blue", share=share(team=0.5))
        >>> made["team"], made["share"]
        ('blue', {'team': 0.5})
    """
    terms = terms_of(reward) or None
    fields = fields_given(reward=terms, team=team, share=share, risk=risk, end=ends_of(end), tests=tests)
    return fields if local is None else {**fields, "local": list(local)}


def joint(
    reward: Terms, team: str | None = None, end: Ends = (), tests: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return what is read on agents together, has one state for all and is paid to each, for `spec(joint=...)`."""
    return fields_given(reward=terms_of(reward), team=team, end=ends_of(end), tests=tests)


def share(team: float = 0.0, inequity: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return how an agent takes part in what others earn."""
    return fields_given(team=team, inequity=inequity)


def risk(
    gamma: float,
    measure: Literal["variance", "realised_variance", "lower_partial_moment", "cvar"] = "variance",
    source: Literal["opponents"] = "opponents",
    level: float = 0.25,
    target: float | None = None,
) -> dict[str, Any]:
    """Return which risk an agent dislikes, where it comes from, and how much."""
    return fields_given(gamma=gamma, measure=measure, source=source, level=level, target=target)


def inequity(
    disadvantageous: float = 0.0,
    advantageous: float = 0.0,
    smoothing: float = 0.0,
    among: Literal["others", "team"] = "others",
) -> dict[str, Any]:
    """Return what unequal earnings cost an agent."""
    given = {"disadvantageous": disadvantageous, "advantageous": advantageous, "smoothing": smoothing}
    return fields_given(**given, among=among)


def terms_of(reward: Terms) -> list[Any]:
    """Return terms as plain data."""
    parts = reward if isinstance(reward, Sequence) and not isinstance(reward, str) else [reward]
    return [term for part in parts for term in reward_of(part).terms]


def ends_of(end: Ends) -> list[Any]:
    """Return entries of an `end` list as plain data; such a term has neither a name nor a weight."""
    return [
        fields
        for item in ([end] if isinstance(end, Reward | Mapping) else end)
        for fields in _end_fields(item)
    ]


def _end_fields(item: Reward | Mapping[str, Any]) -> list[Any]:
    if not isinstance(item, Reward):
        return [item]
    for term in item.terms:
        if set(term) != {"end"}:
            message = f"'end' takes ends without a name or a weight, not {', '.join(map(repr, term))}"
            hint = "Write it as a term of `reward`."
            raise SpecError(Problem("wrong-value", message, Place(path="end"), (hint,)))
    return [term["end"] for term in item.terms]
