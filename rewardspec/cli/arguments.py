"""Arguments that several commands share: specs and environments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.errors import MismatchError, Problem, UnsupportedError

if TYPE_CHECKING:
    import gymnasium as gym

    from rewardspec.spec.model import Spec

SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", help="A spec in YAML; `-` reads stdin.", show_default=False)
]
SpecPaths = Annotated[
    list[Path], typer.Argument(metavar="SPEC", help="Specs in YAML; `-` reads stdin.", show_default=False)
]


def read_spec(path: Path) -> Spec:
    """Read a spec from a file, or from stdin where the path is `-`.

    Raises:
        SpecError: With every problem found.
    """
    from rewardspec.vocabulary import load, loads

    return loads(sys.stdin.buffer.read(), "<stdin>") if str(path) == "-" else load(path)


def refuse_objective(command: str, *specs: Spec) -> None:
    """Raise where a command looks at discounted returns and a spec has another objective.

    Raises:
        UnsupportedError: `unfit-objective`.
    """
    from rewardspec.analysis.optimisers import check_objective

    for spec in specs:
        problems = check_objective(spec, f"`rewardspec {command}`")
        if problems:
            raise UnsupportedError(problems)


def is_for_several(spec: Spec, env_id: str) -> bool:
    """Return whether several agents act: the spec says so, or the environment; a module that `env_id` names is run."""
    from rewardspec.parallel_environments import is_parallel_id, makes_several

    if spec.is_for_agents or env_id not in ("", "spec"):
        return spec.is_for_agents or makes_several(env_id)
    return spec.env is not None and spec.env.id is not None and is_parallel_id(spec.env.id)


@contextmanager
def open_environment(spec: Spec | None, env_id: str) -> Iterator[gym.Env[Any, Any]]:
    """Make the environment of that id, or the one that the spec names (`spec` or nothing); close it in the end.

    Raises:
        MismatchError: No environment is named, or it cannot be made.
    """
    from rewardspec.environments import choose_environment, make_environment

    name, arguments = choose_environment(
        "" if env_id == "spec" else env_id, spec.env if spec is not None else None
    )
    if name is None:
        hint = "Give one with --env ID, or add `env: {id: ...}` to the spec."
        raise MismatchError(Problem("no-environment", "no environment was named", hints=(hint,)))
    env = make_environment(name, **arguments)
    try:
        yield env
    finally:
        env.close()  # type: ignore[no-untyped-call]
