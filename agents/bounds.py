"""Arguments of agents that are numbers which nothing could be learnt with."""

from __future__ import annotations

from typing import Any

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.training.bounds import wrong


def refuse_numbers(args: Any) -> None:
    """Raise when an argument is a number that nothing could be learnt with.

    Args:
        args: Arguments of an agent, a dataclass; what is None, and names that `bounds` does not know, are left alone.

    Raises:
        UnsupportedError: `wrong-setting`, with every such argument and what it can be.
    """
    problems = []
    for name, value in vars(args).items():
        for number in value if isinstance(value, tuple) else (value,):
            reason = None if number is None else wrong(name, number)
            if reason is not None:
                problems.append(Problem("wrong-setting", f"{name} is {number}; {reason}"))
    if problems:
        raise UnsupportedError(problems)
