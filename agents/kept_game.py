"""The game file that a run was begun with: kept in the run's folder, and compared when the run is gone on with."""

from __future__ import annotations

import numpy as np

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.games.game import Game
from rewardspec.games.text import is_game_file, load_game, loads_game
from rewardspec.training.folder import RunFolder


def refuse_other_game(run: RunFolder, name: str) -> None:
    """Raise when a game file is not what a run was begun with; a run that kept no copy is not compared.

    Who plays, with which actions, for what: that is the game. Its description and how it is to be solved may change.

    Args:
        run: The run folder; its spec.yaml is the game as it was.
        name: What the run plays: a game file, or a name, which cannot change.

    Raises:
        UnsupportedError: `not-a-run-folder`; `spec-changed`, with the first difference.
        SpecError: When the file, or the copy, is no game any more.
    """
    run.read_facts()
    kept = run.spec.read_text(encoding="utf-8")
    if not is_game_file(name) or not kept.strip():
        return
    change = first_difference(loads_game(kept, str(run.spec)), load_game(name))
    if change is not None:
        text = f"{name} is not the game that this run was begun with: {change}"
        hint = f"Begin with the changed game in a new folder: --game {name} --folder FOLDER."
        raise UnsupportedError(Problem("spec-changed", text, hints=(hint,)))


def first_difference(then: Game, now: Game) -> str | None:
    """Return in words how a game was changed; None where it is played and paid as before.

    Example:
        >>> then = loads_game("game: g\\nactions: [a, b]\\nsymmetric: [[0, -1], [1, -10]]")
        >>> now = loads_game("game: g\\nactions: [a, b]\\nsymmetric: [[0, -1], [2, -10]]")
        >>> first_difference(then, now)
        "'row' gets 2 at row b, column a; it was 1"
    """
    if then.players != now.players:
        return f"its players are {', '.join(now.players)}; they were {', '.join(then.players)}"
    for player, before, after in zip(now.players, then.actions, now.actions, strict=True):
        if before != after:
            return f"the actions of '{player}' are {', '.join(after)}; they were {', '.join(before)}"
    changed = np.argwhere(then.payoffs != now.payoffs)
    if not len(changed):
        return None
    player, *choices = changed[0].tolist()
    at = ", ".join(f"{who} {own[a]}" for who, own, a in zip(now.players, now.actions, choices, strict=True))
    place = (player, *choices)
    return f"'{now.players[player]}' gets {now.payoffs[place]:g} at {at}; it was {then.payoffs[place]:g}"
