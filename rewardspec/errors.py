"""The errors that rewardspec raises: a place, a reason, and what would be right.

A `Problem` is one finding with a stable, kebab-case code; the table of codes, with an explanation, an
example and a fix for each, is `rewardspec/codes.py`. Exceptions carry problems. Findings are collected and
raised once; a message shows the first five and the count of the rest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]

SHOWN = 5
"""How many problems a message shows before it only counts."""


LONGEST = 400
"""Characters of a message that are shown: a name in it may be a page long."""


@dataclass(frozen=True)
class Place:
    """Where in a spec something stands.

    Attributes:
        file: File name, or `<text>` / `<python>` where there is no file.
        line: 1-based line; 0 when the spec was built in Python and has no text.
        column: 1-based column; 0 likewise.
        path: Path of the value in the document, such as `reward[0].edges[2].when`.
        excerpt: The source line itself (without its newline), empty when unknown.
        length: How many characters to underline.
    """

    file: str = "<python>"
    line: int = 0
    column: int = 0
    path: str = ""
    excerpt: str = field(default="", compare=False, repr=False)
    length: int = field(default=1, compare=False)

    def within(self, offset: int, length: int = 1) -> Place:
        """Return the place `offset` characters further on in the same line.

        A text that goes on in further lines has offsets beyond its first one: of these the place stays as it is.
        """
        if not self.line or offset > self.length:
            return self
        return Place(self.file, self.line, self.column + offset, self.path, self.excerpt, max(1, length))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.path}" if self.path else where


@dataclass(frozen=True)
class Problem:
    """One finding about a spec.

    Attributes:
        code: Kebab-case code; `rewardspec explain CODE` shows its page.
        message: What is wrong, in one sentence without a full stop.
        place: Where.
        hints: Lines that say what would be right.
        severity: `error` stops compilation; `warning` and `info` are the linter's.
    """

    code: str
    message: str
    place: Place = Place()
    hints: tuple[str, ...] = ()
    severity: Severity = "error"

    def __str__(self) -> str:
        """Return it as `render` does, with its severity before it where it is no error.

        Example:
            >>> print(Problem("no-tests", "the spec has no `tests`", hints=("Add one.",), severity="info"))
            info: the spec has no `tests` [no-tests]
               Add one.
        """
        return self.render() if self.severity == "error" else f"{self.severity}: {self.render()}"

    def render(self) -> str:
        """Return the finding as text: headline, source line with carets, hints."""
        message = self.message if len(self.message) <= LONGEST else self.message[: LONGEST - 3] + "..."
        headline = f"{message} [{self.code}]"
        lines = [headline if self.place == Place() else f"{self.place}: {headline}"]
        if self.place.line and self.place.excerpt:
            number = f"{self.place.line:4d}"
            column, length = self.place.column, self.place.length
            excerpt = self.place.excerpt
            if len(excerpt) > 160:  # keep the caret in sight on very long lines
                start = max(0, column - 60)
                excerpt = excerpt[start : start + 120]
                column -= start
            length = max(1, min(length, len(excerpt) - column + 1))
            lines.append(f"{number} | {excerpt}")
            lines.append(f"     | {' ' * (column - 1)}{'^' * length}")
        lines.extend(f"   {hint}" for hint in self.hints)
        return "\n".join(lines)


class RewardSpecError(Exception):
    """Base class of every error that rewardspec raises on purpose.

    Attributes:
        problems: The findings, most important first.
    """

    def __init__(self, problems: Problem | Sequence[Problem] | str, *, code: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(code, problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(render_problems(self.problems))

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class SpecError(RewardSpecError):
    """The text or the meaning of a spec is wrong; may hold several problems."""


class MismatchError(RewardSpecError):
    """This environment lacks what the spec reads."""


class UnsupportedError(RewardSpecError):
    """This backend or wrapper cannot do what the spec asks; the message names which can."""


class NonFiniteRewardError(RewardSpecError):
    """A reward was NaN or infinite; names the term, the step and the values read."""


class LearningError(RewardSpecError):
    """A learned reward cannot be fitted or used as asked."""


class LanguageModelError(RewardSpecError):
    """A language model could not be asked, or its answer cannot be used."""


class MissingExtraError(RewardSpecError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""


class FormulaError(Exception):
    """A guard, formula or expression is wrong, at an offset into its own text.

    Whoever knows where the text stands turns it into a `Problem` with a `Place`.
    """

    def __init__(
        self, code: str, message: str, offset: int = 0, length: int = 1, hints: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.offset, self.length = code, message, offset, length
        self.hints = tuple(hints)

    def at(self, place: Place) -> Problem:
        """Return this error as a problem of the text that starts at `place`."""
        return Problem(self.code, self.message, place.within(self.offset, self.length), self.hints)


def render_problems(problems: Sequence[Problem]) -> str:
    """Return the text of several problems: the first five, the count of the rest, where to read more."""
    shown = "\n".join(problem.render() for problem in problems[:SHOWN])
    if len(problems) > SHOWN:
        shown += f"\n... and {len(problems) - SHOWN} more"
    codes = [problem.code for problem in problems[:SHOWN] if problem.code]
    if codes:
        shown += f"\n   `rewardspec explain {codes[0]}` shows an example and the fix."
    return shown


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, or an empty string when nothing is close.

    Example:
        >>> near_miss("cofee", ["coffee", "office"])
        " Did you mean 'coffee'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def list_names(names: Iterable[str], limit: int = 12) -> str:
    """Return names joined for a message, at most `limit` of them.

    Example:
        >>> list_names(["b", "a"])
        'b, a'
    """
    names = list(names)
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "nothing"


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the error for an optional dependency that is not installed."""
    return MissingExtraError(
        Problem(
            "missing-extra",
            f"{purpose} needs the package '{package}', which is not installed",
            hints=(f"pip install 'rewardspec[{extra}]'",),
        )
    )
