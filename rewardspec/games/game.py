"""A game in normal form as arrays: who plays, what each may do, and what every joint choice pays to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Place, Problem, SpecError

Floats = npt.NDArray[np.float64]
Profile = tuple[Floats, ...]
"""One mixed strategy per player: `[A_i]` probabilities that sum to 1."""

MAX_PAYOFFS = 2_000_000
"""Numbers in all payoff tables of a game together."""


@dataclass(frozen=True)
class Solving:
    """How a game is to be solved: which equilibrium is found depends on all of it, so a game file can fix it.

    Attributes:
        temperature: Weight tau of the entropy in a best response; 0 for none.
        tremble: Least share of play that is spread over all actions; 0 for none.
        damping: Step of the damped map, z <- z + damping * (response(z) - z).
        start: One mixed strategy per player to begin with; uniform where None.
    """

    temperature: float = 0.1
    tremble: float = 0.0
    damping: float = 0.05
    start: Profile | None = None


@dataclass(frozen=True, eq=False)
class Game:
    """An n-player game.

    Attributes:
        name: What reports call it.
        players: Names of the N players.
        actions: Per player, the names of its A_i actions.
        payoffs: `[N, A_1, ..., A_N]` float64: what each joint action pays to each player.
        solving: How it is to be solved.
        description: What it is about.

    Example:
        >>> chicken = symmetric("chicken", [[0, -1], [1, -10]], ("swerve", "dare"))
        >>> chicken.payoffs[:, 1, 0]  # the first dares, the second swerves
        array([ 1., -1.])
    """

    name: str
    players: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]
    payoffs: Floats
    solving: Solving = field(default_factory=Solving)
    description: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no game.

        Raises:
            SpecError: `payoff-shape`, `no-actions`, `payoff-not-finite`, `document-too-large`.
        """
        payoffs = np.asarray(self.payoffs, np.float64)
        object.__setattr__(self, "payoffs", payoffs)
        shape = tuple(len(own) for own in self.actions)
        if not self.players or len(self.actions) != len(self.players):
            text = f"{len(self.players)} players and {len(self.actions)} lists of actions"
            raise SpecError(Problem("payoff-shape", text, hints=("Every player has one list of actions.",)))
        for name, own in zip(self.players, self.actions, strict=True):
            if not own:
                raise SpecError(no_actions(name))
        if payoffs.shape != (len(self.players), *shape):
            text = f"payoffs of the shape {payoffs.shape} for {len(self.players)} players"
            hint = (
                f"Here they are an array [players, {', '.join(self.players)}]: {(len(self.players), *shape)}."
            )
            raise SpecError(Problem("payoff-shape", text, hints=(hint,)))
        refuse_large(payoffs.size)
        if not np.isfinite(payoffs).all():
            first = np.argwhere(~np.isfinite(payoffs))[0].tolist()
            where = ", ".join(
                f"{name} {own[a]}" for name, own, a in zip(self.players, self.actions, first[1:], strict=True)
            )
            text = f"the payoff of '{self.players[first[0]]}' is {payoffs[tuple(first)]} at {where}"
            raise SpecError(Problem("payoff-not-finite", text, hints=("Every joint action pays a number.",)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return tuple(len(own) for own in self.actions)

    @cached_property
    def tables(self) -> tuple[Floats, ...]:
        """Per player `[A_i, L_i]`: own action by the opponents' joint action, the latter in C order."""
        return tuple(
            np.ascontiguousarray(np.moveaxis(self.payoffs[i], i, 0).reshape(self.shape[i], -1))
            for i in range(len(self.players))
        )

    @property
    def is_zero_sum(self) -> bool:
        """Whether two players' payoffs add up to the same number everywhere."""
        if len(self.players) != 2:
            return False
        total = self.payoffs.sum(axis=0)
        return bool(np.ptp(total) <= 1e-12 * max(1.0, float(np.abs(self.payoffs).max())))

    @property
    def is_symmetric(self) -> bool:
        """Whether all players have the same actions, and who they are makes no difference."""
        if len(set(self.shape)) != 1:
            return False
        first = self.payoffs[0]
        alike = all(
            np.allclose(first, np.moveaxis(self.payoffs[i], i, 0)) for i in range(1, len(self.players))
        )
        return alike and all(
            np.allclose(first, np.swapaxes(first, 1, other)) for other in range(2, len(self.players))
        )

    def uniform(self) -> Profile:
        """Return the profile in which everybody plays everything alike."""
        return tuple(np.full(count, 1.0 / count) for count in self.shape)

    def pure(self, *choices: int | str) -> Profile:
        """Return the profile in which each player plays one action, by its name or number."""
        found = []
        for own, choice in zip(self.actions, choices, strict=True):
            number = own.index(choice) if isinstance(choice, str) else choice
            found.append(np.eye(len(own))[number])
        return tuple(found)

    def opponents(self, player: int, profile: Sequence[Floats]) -> Floats:
        """Return `[L_i]`: how likely each joint action of the others is, who draw independently."""
        joint = np.ones(1)
        for other, strategy in enumerate(profile):
            if other != player:
                joint = np.multiply.outer(joint, strategy).reshape(-1)
        return joint

    def scaled(self, factor: float) -> Game:
        """Return the game with all payoffs multiplied; gamma must be divided by the factor to mean the same."""
        return replace(self, payoffs=self.payoffs * factor)


def symmetric(
    name: str,
    own: npt.ArrayLike,
    actions: Sequence[str] = (),
    *,
    players: int = 2,
    solving: Solving | None = None,
    description: str = "",
) -> Game:
    """Return the game in which everybody has the same payoffs: own action first, then the others' in order.

    Args:
        name: What reports call it.
        own: `[A, A, ...]` with an axis per player.
        actions: Names of the actions; numbers where none are given.
        players: N.
        solving: How it is to be solved.
        description: What it is about.

    Raises:
        SpecError: `payoff-shape` when the table has another shape; as `Game`.
    """
    table = np.asarray(own, np.float64)
    if table.ndim != players or len(set(table.shape)) != 1:
        text = f"a symmetric game of {players} players with payoffs of the shape {table.shape}"
        hint = "It has one axis per player, all of the same length: own action first."
        raise SpecError(Problem("payoff-shape", text, hints=(hint,)))
    count = table.shape[0]
    names = tuple(actions) or tuple(str(a) for a in range(count))
    payoffs = np.stack([np.moveaxis(table, 0, i) for i in range(players)])
    who = ("row", "column") if players == 2 else tuple(f"player_{i}" for i in range(players))
    return Game(name, who, (names,) * players, payoffs, solving or Solving(), description)


def no_actions(player: str, place: Place | None = None) -> Problem:
    """Return the problem of a player that can do nothing."""
    hint = "A player that has no choice has one action: `actions: [wait]`."
    return Problem("no-actions", f"the player '{player}' has no actions", place or Place(), (hint,))


def refuse_large(numbers: int) -> None:
    """Raise when payoff tables hold more numbers than are read.

    Raises:
        SpecError: `document-too-large`.
    """
    if numbers > MAX_PAYOFFS:
        text = f"the payoff tables hold {numbers:,} numbers; the limit is {MAX_PAYOFFS:,}"
        raise SpecError(Problem("document-too-large", text))
