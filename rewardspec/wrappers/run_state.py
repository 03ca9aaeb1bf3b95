"""What outlives episodes in every host: parameters that may be changed, and folds of run scope."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rewardspec.errors import Problem, UnsupportedError, list_names, near_miss
from rewardspec.ir.program import Program


def check_param(program: Program, name: str, value: float) -> None:
    """Raise unless the program has a parameter of that name and the value is finite.

    Raises:
        UnsupportedError: `unknown-param`.
    """
    names = [param.name for param in program.params]
    if name not in names:
        known = f"There are: {list_names(names)}.{near_miss(name, names)}" if names else "It has none."
        hint = f"{known} A term with a `weight` has one."
        raise UnsupportedError(
            Problem("unknown-param", f"the program has no parameter '{name}'", hints=(hint,))
        )
    if not math.isfinite(value):
        raise UnsupportedError(Problem("unknown-param", f"'{name}' cannot become {value}: it must be finite"))


def collect(
    program: Program, state: Sequence[Any], params: Mapping[str, float], read: Callable[[Any], float] = float
) -> dict[str, float]:
    """Return the folds of run scope and the parameters under the names that `restore` reads.

    Args:
        program: The program.
        state: Its state: machines, then folds.
        params: The present parameters by name.
        read: One slot of the state -> its number.
    """
    folds = {name: read(state[slot]) for slot, name in run_slots(program)}
    return {**folds, **{f"param:{name}": value for name, value in params.items()}}


def restore(
    program: Program,
    saved: Mapping[str, float],
    set_slot: Callable[[int, float], None],
    set_param: Callable[[str, float], None],
) -> None:
    """Hand every number that `collect` saved, and the program still has, to the host."""
    for slot, name in run_slots(program):
        if name in saved:
            set_slot(slot, saved[name])
    for param in program.params:
        if f"param:{param.name}" in saved:
            set_param(param.name, saved[f"param:{param.name}"])


def run_slots(program: Program) -> Iterator[tuple[int, str]]:
    """Yield position in the state and name of each fold of run scope."""
    for i, fold in enumerate(program.folds, len(program.machines)):
        if fold.scope == "run":
            yield i, fold.name
