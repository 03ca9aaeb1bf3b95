"""What hosts say that cannot remember sets."""

from __future__ import annotations

from rewardspec.errors import Problem, UnsupportedError, list_names
from rewardspec.ir.program import Program


def refuse_sets(program: Program, host: str, instead: str) -> None:
    """Raise when a program has sets that grow, for a host that remembers numbers only.

    Args:
        program: The program.
        host: What cannot, as the subject of a sentence.
        instead: What can.

    Raises:
        UnsupportedError: `set-not-supported`.
    """
    if program.sets:
        names = [grown.name for grown in program.sets]
        text = f"{host} remembers states and numbers, and not sets such as {list_names(names)}"
        raise UnsupportedError(Problem("set-not-supported", text, program.sets[0].place, (instead,)))
