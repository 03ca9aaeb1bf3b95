"""What the agents' command lines share: an interrupt and a mistake in a line each, and runs that are gone on with."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import tyro

from rewardspec import Spec, loads
from rewardspec.errors import Problem, RewardSpecError, UnsupportedError
from rewardspec.training.folder import RunFolder

Args = TypeVar("Args")


def run(read: Callable[[], Args], train: Callable[[Args], str | None]) -> int:
    """Read the arguments, train, and print what came of it; return the exit status.

    Args:
        read: Returns the arguments, with `folder` chosen where there is one to choose; it may refuse them.
        train: Returns what is to be said in the end, None where everything has been said.
    """
    folder: Path | None = None
    try:
        args: Any = read()
        folder = getattr(args, "resume", None) or getattr(args, "folder", None)
        said = train(args)
        if said is not None:
            print(said)
    except RewardSpecError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(RunFolder(folder).stopped() if folder is not None else "stopped", file=sys.stderr)
        return 130
    return 0


def run_whole(
    kind: type[Args], main: Callable[[Args], Any], words: Sequence[str], description: str | None
) -> int:
    """Do what an agent without a run folder does, as a command line says; return the exit status.

    Args:
        kind: The agent's `Args`.
        main: Does it, and prints what came of it.
        words: The command line.
        description: What `--help` says first.
    """

    def told(args: Args) -> None:
        main(args)

    return run(lambda: tyro.cli(kind, description=description, args=list(words)), told)


def placed(args: Args, name: str) -> Args:
    """Return the arguments with their run folder: `runs/NAME` where they name none."""
    given: Any = args
    chosen: Args = replace(given, folder=given.folder or Path("runs") / name)
    return chosen


# -- going on ------------------------------------------------------------------------------------------------


def resumed(words: Sequence[str]) -> RunFolder | None:
    """Return the run folder that a command line goes on with.

    Example:
        >>> str(resumed(["--quiet", "--resume", "runs/a"]).path)
        'runs/a'
        >>> str(resumed(["--resume=runs/a"]).path)
        'runs/a'
    """
    for i, word in enumerate(words):
        name, sign, place = word.partition("=")
        if name == "--resume":
            place = place if sign else "".join(words[i + 1 : i + 2])
            return RunFolder(place) if place else None
    return None


def read_arguments(
    kind: type[Args], agent: str, words: Sequence[str], description: str | None = None
) -> Args:
    """Return the arguments of a command line; `--resume FOLDER` brings those that its run was begun with.

    Args:
        kind: The agent's `Args`.
        agent: The agent's name.
        words: The command line.
        description: What `--help` says first; what `kind` says of itself without.

    Raises:
        UnsupportedError: As `begun`.
    """
    run = resumed(words)
    before = {} if run is None else {"default": begun(kind, agent, run)}
    return tyro.cli(kind, description=description, args=list(words), **before)


def begun(kind: type[Args], agent: str, run: RunFolder) -> Args:
    """Return the arguments that a run was begun with.

    Args:
        kind: The agent's `Args`.
        agent: The agent that is to go on.
        run: The run folder.

    Raises:
        UnsupportedError: `not-a-run-folder`; `settings-changed` when another agent began the run.
    """
    settings = run.read_facts().get("settings")
    if run.agent != agent or not isinstance(settings, dict):
        raise other_agent(run, agent)
    return kind(**as_arguments(kind, settings))


def other_agent(run: RunFolder, agent: str) -> UnsupportedError:
    """Return the error for a run that another agent began."""
    text = f"the run in {run.path} was begun by {run.agent or '`rewardspec train`'}, and this is {agent}"
    return UnsupportedError(Problem("settings-changed", text, hints=(f"Go on with it: {run.go_on()}",)))


def as_arguments(kind: type[Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run as arguments of an agent: paths and tuples were written as text and lists."""
    found = {}
    for place in fields(kind):
        if place.name in held and place.name not in ("folder", "resume"):
            value = held[place.name]
            is_path = "Path" in str(place.type) and value is not None
            found[place.name] = Path(value) if is_path else tuple(value) if isinstance(value, list) else value
    return found


def copied(agent: str, args: Any) -> RunFolder | None:
    """Return the run folder whose copy of the specs counts: that of a run to go on with, unless others are named.

    Raises:
        UnsupportedError: As `begun`.
    """
    if args.resume is None:
        return None
    run = RunFolder(args.resume)
    before = begun(type(args), agent, run)
    named = [name for name in ("spec", "specs") if hasattr(args, name)]
    return run if all(getattr(before, name) == getattr(args, name) for name in named) else None


def held_specs(run: RunFolder, count: int) -> list[Spec]:
    """Return the specs that a run was begun with, from its own copy: their files may have changed since.

    Args:
        run: The run folder; where several specs were given, its spec.yaml has them one after another.
        count: How many they were.

    Raises:
        SpecError: When the copy is no spec any more.
        UnsupportedError: `not-a-run-folder`; `spec-changed` when there are not as many.
    """
    run.read_facts()
    text = run.spec.read_text(encoding="utf-8")
    parts = [text] if count == 1 else SEPARATOR.split(text)
    if len(parts) != count:
        reason = f"{run.spec} holds {len(parts)} specs, and the run was begun with {count}"
        raise UnsupportedError(Problem("spec-changed", reason, hints=("Train in a new folder.",)))
    return [loads(part, str(run.spec)) for part in parts]


SEPARATOR = re.compile(r"^--- # next spec\n", re.MULTILINE)


def joined(texts: Sequence[str]) -> str:
    r"""Return several specs as one text, for a run folder.

    Example:
        >>> joined(["reward: 1", "reward: 2\n"])
        'reward: 1\n--- # next spec\nreward: 2\n'
    """
    return "--- # next spec\n".join(text if text.endswith("\n") else text + "\n" for text in texts)
