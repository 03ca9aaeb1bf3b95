"""A game from YAML, read as strictly as a spec, with the place of whatever is wrong.

game: chicken
actions: [swerve, dare]
symmetric: [[0, -1], [1, -10]]      # of everybody: own action first, then the other's
solve: {temperature: 0.1}
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from rewardspec.errors import Place, Problem, SpecError, list_names, near_miss
from rewardspec.games.game import Floats, Game, Solving, no_actions, refuse_large, symmetric
from rewardspec.spec.document import Document, Path, path_text
from rewardspec.spec.games import GameSpec
from rewardspec.spec.scalars import short
from rewardspec.spec.text import read_file, read_text
from rewardspec.spec.wording import kind_of, word_findings

SHOWN = 20
"""Problems of one game that are collected."""


def is_game_file(name: str) -> bool:
    """Return whether a game is named by its file, and not by its name.

    Example:
        >>> is_game_file("examples/games/chicken.yaml"), is_game_file("stag_hunt")
        (True, False)
    """
    return os.path.splitext(name)[1] in (".yaml", ".yml")


def load_game(path: str | os.PathLike[str]) -> Game:
    """Read a game from a file.

    Raises:
        SpecError: With every problem found: `payoff-shape`, `payoff-not-finite`, `no-actions`, and what any text
            can have.
    """
    return _Reader(read_file(path)).read()


def loads_game(text: str | bytes, file: str = "<text>") -> Game:
    r"""Read a game from text.

    Raises:
        SpecError: As `load_game`.

    Example:
        >>> game = loads_game("game: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n")
        >>> game.players, game.shape, game.is_symmetric
        (('row', 'column'), (2, 2), True)
    """
    return _Reader(read_text(text, file)).read()


def game_from_data(data: Mapping[str, Any]) -> Game:
    """Return the game that plain data holds, written as in YAML.

    Raises:
        SpecError: As `load_game`, with paths for places.
    """
    return _Reader(None, data).read()


class _Reader:
    """Reads one game; collects problems and raises them once."""

    def __init__(self, document: Document | None, data: Mapping[str, Any] | None = None) -> None:
        self.document = document
        self.data: Mapping[str, Any] = (document.value if document else data) or {}
        self.problems: list[Problem] = []

    def read(self) -> Game:
        spec = self.validated()
        if isinstance(spec.players, int):
            names: tuple[str, ...] = ()
            actions: tuple[tuple[str, ...], ...] = ()
        else:
            names, actions = tuple(spec.players), tuple(spec.players.values())
        if spec.symmetric is not None:
            game = self.read_symmetric(spec, names, actions)
        else:
            game = self.read_payoffs(spec, names, actions)
        return Game(
            game.name,
            game.players,
            game.actions,
            game.payoffs,
            self.read_solving(spec, game),
            spec.description,
        )

    def validated(self) -> GameSpec:
        try:
            return GameSpec.model_validate(dict(self.data))
        except ValidationError as error:
            for found in word_findings(error, GameSpec, lambda path: path):
                self.fail(found.code, found.message, found.path, *found.hints, at_key=found.at_key)
        raise SpecError(self.problems)

    # -- problems --------------------------------------------------------------------------------------------

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        if self.document is None:
            return Place(path=path_text(path))
        return self.document.key_place(path) if at_key else self.document.place(path)

    def fail(self, code: str, message: str, path: Path, *hints: str, at_key: bool = False) -> None:
        self.problems.append(Problem(code, message, self.place(path, at_key=at_key), hints))
        if len(self.problems) >= SHOWN:
            raise SpecError(self.problems)

    def stop(self) -> None:
        if self.problems:
            raise SpecError(self.problems)

    # -- payoffs ---------------------------------------------------------------------------------------------

    def read_symmetric(
        self, spec: GameSpec, names: tuple[str, ...], actions: tuple[tuple[str, ...], ...]
    ) -> Game:
        count = spec.players if isinstance(spec.players, int) else len(names)
        own = actions[0] if actions else spec.actions
        if own is None:
            own = tuple(str(a) for a in range(len(spec.symmetric or ())))
        path: Path = ("actions",) if spec.actions is not None else ("symmetric",)
        for name, listed in zip(names, actions, strict=True):
            if listed != own:
                text = f"'{name}' has other actions than '{names[0]}', and the payoffs are symmetric"
                self.fail("payoff-shape", text, ("players", name), "Give `payoffs` by player instead.")
        self.check_names(own, path)
        if not own:
            self.problems.append(no_actions("everybody", self.place(path)))
        self.stop()
        axes = [("own action" if i == 0 else f"opponent {i}", own) for i in range(count)]
        table = self.table(spec.symmetric, ("symmetric",), axes)
        made = symmetric(spec.game, table, own, players=count)
        return made if not names else Game(spec.game, names, made.actions, made.payoffs)

    def read_payoffs(
        self, spec: GameSpec, names: tuple[str, ...], actions: tuple[tuple[str, ...], ...]
    ) -> Game:
        payoffs = spec.payoffs or {}
        for name, own in zip(names, actions, strict=True):
            self.check_names(own, ("players", name))
            if not own:
                self.problems.append(no_actions(name, self.place(("players", name))))
            if name not in payoffs:
                hint = f"Payoffs are given for: {list_names(payoffs)}.{near_miss(name, payoffs)}"
                self.fail("payoff-shape", f"'{short(name)}' has no payoffs", ("payoffs",), hint)
        for name in payoffs:
            if name not in names:
                hint = f"The players are: {list_names(names)}.{near_miss(name, names)}"
                text = f"'{short(name)}' is not a player"
                self.fail("payoff-shape", text, ("payoffs", name), hint, at_key=True)
        self.stop()
        refuse_large(len(names) * math.prod(len(own) for own in actions))
        axes = list(zip(names, actions, strict=True))
        tables = [self.table(payoffs[name], ("payoffs", name), axes) for name in names]
        return Game(spec.game, names, actions, np.stack(tables))

    def check_names(self, names: tuple[str, ...], path: Path) -> None:
        for i, name in enumerate(names):
            if name in names[:i]:
                self.fail("duplicate-name", f"the action '{short(name)}' is listed twice", (*path, i))

    def table(self, value: Any, path: Path, axes: list[tuple[str, tuple[str, ...]]]) -> Floats:
        """Return nested lists as an array with the given axes.

        Raises:
            SpecError: `payoff-shape`, `wrong-type`, `payoff-not-finite`.
        """
        shape = tuple(len(names) for _, names in axes)
        refuse_large(math.prod(shape))
        found = np.array(list(self.numbers(value, path, axes)), np.float64)
        self.stop()
        return found.reshape(shape)

    def numbers(self, value: Any, path: Path, axes: list[tuple[str, tuple[str, ...]]]) -> Iterator[float]:
        if not axes:
            if isinstance(value, bool) or not isinstance(value, int | float):
                code = "payoff-shape" if isinstance(value, list | tuple) else "wrong-type"
                self.fail(code, f"a payoff must be a number, not {kind_of(value)}", path)
            elif not math.isfinite(value):
                self.fail("payoff-not-finite", f"a payoff must be a finite number, not {value}", path)
            else:
                yield float(value)
            return
        name, names = axes[0]
        if not isinstance(value, list | tuple):
            text = f"a list with an item for each of '{name}' is wanted here, not {kind_of(value)}"
            self.fail("payoff-shape", text, path, f"{len(names)} items: {list_names(names)}.")
            return
        if len(value) != len(names):
            text = f"{len(value)} items, where '{name}' has {len(names)}"
            self.fail("payoff-shape", text, path, f"One for each of: {list_names(names)}.")
            return
        for i, item in enumerate(value):
            yield from self.numbers(item, (*path, i), axes[1:])

    # -- solving ---------------------------------------------------------------------------------------------

    def read_solving(self, spec: GameSpec, game: Game) -> Solving:
        given = spec.solve.start
        start = list(game.uniform())
        for name, part in given.items():
            path: Path = ("solve", "start", name)
            if name not in game.players:
                hint = f"The players are: {list_names(game.players)}.{near_miss(name, game.players)}"
                self.fail("wrong-solving", f"'{short(name)}' is not a player", path, hint, at_key=True)
                continue
            number = game.players.index(name)
            if len(part) != game.shape[number] or min(part) < 0.0 or not math.isclose(sum(part), 1.0):
                text = f"a start of '{name}' is {game.shape[number]} probabilities that sum to 1"
                self.fail("wrong-solving", text, path)
                continue
            start[number] = np.array(part)
        self.stop()
        return Solving(
            spec.solve.temperature,
            spec.solve.tremble,
            spec.solve.damping,
            tuple(start) if given else None,
        )
