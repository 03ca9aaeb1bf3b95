"""Games of two without chance by their rules alone, for exact best responses over histories."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from rewardspec.errors import MismatchError, Problem
from rewardspec.games.text import is_game_file, load_game

Move = Callable[[Any, tuple[int, int]], tuple[Any, tuple[float, float], bool]]


def small_game(name: str, **arguments: Any) -> tuple[tuple[str, ...], Hashable, Move, tuple[int, int]]:
    """Return agents, first state, rules and numbers of actions of a game.

    Args:
        name: `stag_hunt`, or the path of a game file.
        arguments: What it is made with.

    Raises:
        MismatchError: `no-environment` when it is none of these, has chance in it, or is not of two.
        SpecError: When the game file is wrong.
    """
    try:
        if is_game_file(name):
            return _repeated(load_game(name), **arguments)
        if name == "stag_hunt":
            from envs import stag_hunt

            rule = stag_hunt.rules(**arguments)
            count = len(stag_hunt.ACTIONS)
            return (
                stag_hunt.AGENTS,
                stag_hunt.begin(),
                lambda hunt, acts: stag_hunt.move(rule, hunt, acts),
                (count, count),
            )
    except (TypeError, ValueError) as error:
        raise MismatchError(Problem("no-environment", f"'{name}' cannot be made: {error}")) from error
    hint = "There are: stag_hunt, and game files (.yaml). Others are learned with `--oracle ppo`."
    text = f"'{name}' has no rules without chance to be solved exactly by"
    raise MismatchError(Problem("no-environment", text, hints=(hint,)))


def _repeated(game: Any, rounds: int = 1) -> tuple[tuple[str, ...], Hashable, Move, tuple[int, int]]:
    if len(game.players) != 2:
        raise ValueError(f"it has {len(game.players)} players, and histories are for two")
    if rounds < 1:
        raise ValueError(f"a game is played once or more often, not {rounds} times")

    def move(played: Any, acts: tuple[int, int]) -> tuple[Any, tuple[float, float], bool]:
        paid = (float(game.payoffs[(0, *acts)]), float(game.payoffs[(1, *acts)]))
        return (*played, acts), paid, len(played) + 1 >= rounds

    return game.players, (), move, game.shape
