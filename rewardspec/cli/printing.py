"""What the commands write: text, in colour on a terminal and plain elsewhere; and files."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from rewardspec.errors import Problem, RewardSpecError, Severity

Part = str | tuple[str, str]
"""A text, or a text with a style of rich's."""

STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}

_CARETS = re.compile(r"\s*\|\s*\^+$")


def say(*parts: Part, err: bool = False) -> None:
    """Write one text and a line's end: coloured on a terminal unless `NO_COLOR` is set, plain elsewhere."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        typer.echo("".join(part if isinstance(part, str) else part[0] for part in parts), err=err)
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=err, highlight=False, soft_wrap=True).print(Text.assemble(*parts))


def say_problem(problem: Problem, *, err: bool = False, with_severity: bool = True) -> None:
    """Write a finding as `Problem.render` gives it, its severity before the message."""
    if with_severity:
        problem = replace(problem, message=f"{problem.severity}: {problem.message}")
    headline, *rest = problem.render().split("\n")
    style = STYLES[problem.severity]
    head: list[Part] = [headline]
    if with_severity:
        before, word, after = headline.partition(f"{problem.severity}: ")
        head = [(before, "bold"), (word, style), after]
    lines: list[Part] = []
    for line in rest:
        lines += ["\n", (line, style if _CARETS.match(line) else "dim" if " | " not in line[:8] else "")]
    say(*head, *lines, err=err)


def say_error(error: RewardSpecError) -> None:
    """Write an error of the library to stderr."""
    say(("error", STYLES["error"]), ": ", str(error), err=True)


_DISK = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EIO,
    }
)
"""What a folder or a disk can have against being written to, which is no fault of a program."""


def disk_trouble(error: BaseException | None) -> str | None:
    """Return what a folder or a disk has against being written to; None where an error has another reason.

    Args:
        error: An error, which may have been raised on the way out from another: torch's own hides a full disk.

    Example:
        >>> disk_trouble(OSError(errno.ENOSPC, "No space left on device", "runs/a/model.zip"))
        "no space left on device: 'runs/a/model.zip'"
        >>> disk_trouble(ValueError("the seed"))
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            reason = (error.strerror or str(error)).lower()
            return reason if error.filename is None else f"{reason}: '{error.filename}'"
        error = error.__cause__ or error.__context__
    return None


def problem_data(problem: Problem) -> dict[str, Any]:
    """Return a finding as JSON data."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.message,
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "path": problem.place.path,
        "hints": list(problem.hints),
    }


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "error"), count(2, "warning")
        ('1 error', '2 warnings')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def join(parts: Iterable[str]) -> str:
    """Return parts joined for a summary, or `nothing`."""
    return ", ".join(parts) or "nothing"


def write(path: Path | None, content: str | bytes) -> None:
    """Write content to a file, making its folder, or to stdout where no path is given (or `-`).

    Raises:
        typer.BadParameter: The file cannot be written.
    """
    if path is None or str(path) == "-":
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            typer.echo(content.rstrip("\n"))
        return
    make_folder(path)
    try:
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write '{path}': {error.strerror}") from None
    say(f"wrote {path}", err=True)


def make_folder(path: Path) -> None:
    """Make the folder that a file is to be written in.

    Raises:
        typer.BadParameter: It cannot be made, or the file is a folder itself.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"cannot write '{path}': {(error.strerror or '').lower()}") from None
    if path.is_dir():
        raise typer.BadParameter(f"cannot write '{path}': it is a folder")


def draw_without_a_screen() -> None:
    """Let environments draw where there is no screen and no sound card; what the user has set stays.

    pygame complains of both, and MuJoCo stops where OpenGL finds no screen and nobody has said how else to draw.
    """
    for name in ("SDL_AUDIODRIVER", "SDL_VIDEODRIVER"):
        os.environ.setdefault(name, "dummy")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl")
