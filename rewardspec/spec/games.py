"""A game file as data: the models of what `rewardspec equilibrium` reads."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from rewardspec.spec.values import Model, ModelError, Number, TermName, Whole

MAX_PLAYERS = 8
MAX_ACTIONS = 1000


class SolveSpec(Model):
    """How a game is to be solved. Which equilibrium is found depends on all of it, so a file should fix it."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        0.1, description="Weight of the entropy in a best response, in units of payoff; 0 for none."
    )
    tremble: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of play that is spread over all actions, whatever is intended."
    )
    damping: Annotated[Number, Field(gt=0, le=1)] = Field(0.05, description="Step of the damped map.")
    start: dict[str, tuple[Number, ...]] = Field(
        default_factory=dict, description="Mixed strategies to begin with, by player; uniform without."
    )


class GameSpec(Model):
    """A game in normal form: who plays, what each may do, and what every joint choice pays to whom."""

    game: TermName = Field(description="Name of the game.", examples=["chicken"])
    description: Annotated[str, Field(strict=True, max_length=10_000)] = Field(
        "", description="What it is about."
    )
    players: Whole | dict[TermName, Annotated[tuple[str, ...], Field(max_length=MAX_ACTIONS)]] = Field(
        2,
        description="Each player's actions, by the player's name; a number of players where all are alike.",
        examples=["{row: [up, down], column: [left, right]}"],
    )
    actions: Annotated[tuple[str, ...], Field(max_length=MAX_ACTIONS)] | None = Field(
        None, description="The actions of all players, where they have the same."
    )
    payoffs: dict[str, Any] | None = Field(
        None,
        description="By player, nested lists with a level per player, in the players' order.",
        examples=["{row: [[1, 0], [0, 1]], column: [[0, 1], [1, 0]]}"],
    )
    symmetric: list[Any] | None = Field(
        None,
        description="The payoffs of everybody, where all are alike: own action first, then the others'.",
        examples=["[[0, -1], [1, -10]]"],
    )
    solve: SolveSpec = Field(SolveSpec.model_validate({}), description="How it is to be solved.")

    @model_validator(mode="after")
    def _check_one(self) -> GameSpec:
        if (self.payoffs is None) == (self.symmetric is None):
            raise ModelError(
                "wrong-value", "a game has either 'payoffs' by player, or 'symmetric' ones for all"
            )
        if isinstance(self.players, int):
            if not 1 <= self.players <= MAX_PLAYERS:
                raise ModelError("wrong-value", f"a game has 1 to {MAX_PLAYERS} players, not {self.players}")
            if self.symmetric is None:
                hint = "`players: {row: [up, down], column: [left, right]}`"
                raise ModelError("wrong-value", "payoffs by player need the players' names and actions", hint)
        elif len(self.players) > MAX_PLAYERS or not self.players:
            raise ModelError("wrong-value", f"a game has 1 to {MAX_PLAYERS} players, not {len(self.players)}")
        elif self.actions is not None:
            raise ModelError(
                "wrong-value", "'actions' are for players that are a number: here they have their own"
            )
        return self
