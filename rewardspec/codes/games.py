"""The codes of games, risk and populations: what a payoff table, a dislike of risk or a stored population lacks."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

GAMES: dict[str, Explanation] = {
    "payoff-shape": Explanation(
        "A payoff table has a level of lists for each player and, on each level, an item for each of that player's "
        "actions. This one has too many or too few.",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1]]\n",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n",
    ),
    "payoff-not-finite": Explanation(
        "A payoff is NaN or infinite. Every comparison with NaN is false, so whatever came out as an equilibrium would "
        "mean nothing.",
        ">>> rewardspec.games.game.symmetric('chicken', [[0, -1], [1, float('nan')]])",
        ">>> rewardspec.games.game.symmetric('chicken', [[0, -1], [1, -10]])",
    ),
    "no-actions": Explanation(
        "A player that can do nothing has no strategy, not even one of doing nothing.",
        "# game\ngame: empty\nplayers: {row: [up], column: []}\npayoffs: {row: [[]], column: [[]]}\n",
        "# game\ngame: lonely\nplayers: {row: [up], column: [wait]}\npayoffs: {row: [[1]], column: [[0]]}\n",
    ),
    "negative-gamma": Explanation(
        "`gamma` says how much risk is disliked. Below 0 an agent would seek it: its best responses are no convex set "
        "any more, and there need not be an equilibrium.",
        ">>> rewardspec.games.solve.solve(game, -0.5)",
        ">>> rewardspec.games.solve.solve(game, 0.5)",
    ),
    "wrong-solving": Explanation(
        "Temperature, tremble, damping or start, by which a game is solved, is out of its bounds.",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n"
        "solve: {start: {row: [0.5, 0.6]}}\n",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n"
        "solve: {start: {row: [0.5, 0.5]}}\n",
    ),
}
"""The codes of games."""
