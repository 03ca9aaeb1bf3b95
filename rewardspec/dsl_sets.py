"""Builder of rewards with diminishing returns; `rewardspec.dsl` has it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rewardspec.dsl_terms import Reward, Weight, term_of


def submodular(
    coverage: Mapping[str, Any] | None = None,
    facility: Mapping[str, Any] | None = None,
    collection: Mapping[str, Any] | None = None,
    saturated: Mapping[str, Any] | None = None,
    information: Mapping[str, Any] | None = None,
    entropy: Mapping[str, Any] | None = None,
    diversity: Mapping[str, Any] | None = None,
    own: Mapping[str, Any] | None = None,
    *,
    cells: Mapping[str, Any],
    pay: Literal["gain", "alone"] = "gain",
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that pays what a visited cell adds to the value of the set of visited cells.

    Example:
        >>> submodular({"radius": 1}, cells={"counts": [30, 30]}).terms
        ({'submodular': {'coverage': {'radius': 1}, 'cells': {'counts': [30, 30]}}},)
    """
    fields = {"coverage": coverage, "facility": facility, "collection": collection, "saturated": saturated}
    fields |= {"information": information, "entropy": entropy, "diversity": diversity}
    fields |= {"own": own, "cells": cells}
    return term_of("submodular", {**fields, "pay": pay}, name, weight)
