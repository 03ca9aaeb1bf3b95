"""What the table of codes holds for each code."""

from __future__ import annotations

from dataclasses import dataclass

from rewardspec.errors import Severity


@dataclass(frozen=True)
class Explanation:
    """The page of one code.

    Attributes:
        summary: What it means and why it matters, in a few sentences.
        example: A complete small spec that trips it.
        fix: The mended spec, or what to do.
        severity: How grave it is.
    """

    summary: str
    example: str
    fix: str
    severity: Severity = "error"
