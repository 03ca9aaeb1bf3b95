"""Game files: what they may say, and where it is said what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from rewardspec.errors import SpecError
from rewardspec.games.game import Game, symmetric
from rewardspec.games.text import game_from_data, load_game, loads_game
from rewardspec.spec.agents import RiskSpec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "games").glob("*.yaml"))
HEAD = "game: duel\nplayers: {row: [up, down], column: [left, right]}\n"
PAYOFFS = "payoffs: {row: [[1, 0], [0, 1]], column: [[0, 1], [1, 0]]}\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_game(path: Path) -> None:
    assert load_game(path).payoffs.size


def test_payoffs_by_player_and_how_to_solve_them() -> None:
    game = loads_game(HEAD + PAYOFFS + "solve: {temperature: 0.2, start: {column: [0.25, 0.75]}}\n")
    assert game.players == ("row", "column") and game.actions[1] == ("left", "right")
    assert game.payoffs[1, 0, 1] == 1.0 and game.is_zero_sum
    assert game.solving.temperature == 0.2
    assert game.solving.start is not None
    assert [part.tolist() for part in game.solving.start] == [[0.5, 0.5], [0.25, 0.75]]


def test_symmetric_payoffs_of_three_are_read_own_action_first() -> None:
    own = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    game = game_from_data({"game": "g", "players": 3, "actions": ["a", "b"], "symmetric": own})
    for i, (mine, others) in enumerate([((1, 0, 1), (0, 1)), ((0, 1, 1), (0, 1)), ((0, 1, 1), (0, 1))]):
        assert game.payoffs[(i, *mine)] == np.array(own)[mine[i]][others]


def problems(text: str) -> list[tuple[str, str, int, int]]:
    with pytest.raises(SpecError) as caught:
        loads_game(text)
    return [(p.code, p.place.path, p.place.line, p.place.column) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "code", "path", "line", "column"),
    [
        (HEAD + PAYOFFS.replace("[0, 1]]", "[0]]", 1), "payoff-shape", "payoffs.row[1]", 3, 25),
        (HEAD + PAYOFFS.replace("[0, 1]]", "3]", 1), "payoff-shape", "payoffs.row[1]", 3, 25),
        (HEAD + PAYOFFS.replace("[0, 1]]", "[0, [1]]]", 1), "payoff-shape", "payoffs.row[1][1]", 3, 29),
        (HEAD + PAYOFFS.replace("[0, 1]]", "[0, one]]", 1), "wrong-type", "payoffs.row[1][1]", 3, 29),
        (HEAD + PAYOFFS.replace("column", "colum"), "payoff-shape", "payoffs", 3, 10),
        (HEAD.replace("[up, down]", "[]") + PAYOFFS, "no-actions", "players.row", 2, 16),
        (HEAD.replace("down", "up") + PAYOFFS, "duplicate-name", "players.row[1]", 2, 21),
        (HEAD + PAYOFFS.replace("[0, 1]]", "[0, .nan]]", 1), "non-finite-number", "payoffs.row[1][1]", 3, 29),
        (HEAD + PAYOFFS + "solve: {start: {row: [0.5, 0.4]}}", "wrong-solving", "solve.start.row", 4, 22),
        (HEAD + PAYOFFS + "solve: {temperature: -1}", "wrong-value", "solve.temperature", 4, 22),
        (HEAD + PAYOFFS + "solv: {}", "unknown-key", "solv", 4, 1),
        (HEAD, "wrong-value", "", 1, 1),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    text: str, code: str, path: str, line: int, column: int
) -> None:
    assert (code, path, line, column) in problems(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_payoffs_from_python_are_finite_too(value: float) -> None:
    data = {"game": "g", "actions": ["a", "b"], "symmetric": [[0, 1], [value, 2]]}
    with pytest.raises(SpecError) as caught:
        game_from_data(data)
    assert caught.value.problems[0].code == "payoff-not-finite"
    assert caught.value.problems[0].place.path == "symmetric[1][0]"
    with pytest.raises(SpecError, match=r"'row' is (nan|inf) at row b, column a"):
        symmetric("g", [[0, 1], [value, 2]], ("a", "b"))


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(SpecError, match=r"payoffs of the shape \(2, 2, 3\)"):
        Game("g", ("a", "b"), (("x", "y"), ("u", "v")), np.zeros((2, 2, 3)))
    with pytest.raises(SpecError, match="one axis per player"):
        symmetric("g", np.zeros((2, 3)))


def test_a_game_too_large_to_be_meant_is_refused() -> None:
    players = {f"p{i}": [str(a) for a in range(40)] for i in range(5)}
    with pytest.raises(SpecError, match="the limit is"):
        game_from_data({"game": "g", "players": players, "payoffs": {name: [] for name in players}})


# -- the node of an agent ------------------------------------------------------------------------------------


def test_a_risk_node_is_data() -> None:
    node = RiskSpec.model_validate({"measure": "cvar", "level": 0.1, "gamma": 0.5})
    assert (node.measure, node.source, node.level, node.gamma) == ("cvar", "opponents", 0.1, 0.5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gamma": -1}, "'gamma' must be at least 0"),
        ({"gamma": 1, "level": 0.1}, "'level' is for the measure cvar"),
        ({"gamma": 1, "target": 0}, "'target' is for the measure lower_partial_moment"),
        ({"gamma": 1, "measure": "cvar", "level": 1}, "level"),
        ({"gamma": 1, "source": "chance"}, "source"),
        ({}, "gamma"),
    ],
)
def test_what_a_risk_node_cannot_be(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RiskSpec.model_validate(fields)
