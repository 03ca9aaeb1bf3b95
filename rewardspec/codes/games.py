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
        "agents:\n  default: {reward: reward, risk: {gamma: -0.5}}\n",
        "agents:\n  default: {reward: reward, risk: {gamma: 0.5}}\n",
    ),
    "wrong-solving": Explanation(
        "Temperature, tremble, damping or start, by which a game is solved, is out of its bounds.",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n"
        "solve: {start: {row: [0.5, 0.6]}}\n",
        "# game\ngame: chicken\nactions: [swerve, dare]\nsymmetric: [[0, -1], [1, -10]]\n"
        "solve: {start: {row: [0.5, 0.5]}}\n",
    ),
    "unserved-risk": Explanation(
        "A dislike of risk is no sum over steps, so no wrapper can pay it; a solver trades it"
        " against what is expected. "
        "Best responses of a population are known for measures that depend on the mean return against each opponent.",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  default: {reward: reward, risk: {gamma: 0.5}}\n",
        "$ python -m agents.psro --spec team.yaml",
    ),
    "tree-too-large": Explanation(
        "Exact best responses go over all histories of a game, and this one has too many.",
        "$ python -m agents.psro --game stag_hunt --set size=9 --oracle exact",
        "$ python -m agents.psro --game stag_hunt --set size=3 --oracle exact",
    ),
    "unfit-tree": Explanation(
        "Exact best responses tell opponents apart by what can be seen of them. A state of this game"
        " does not tell which "
        "part of it was whose doing.",
        ">>> grow(start, lambda state, actions: (sum(actions), (0.0, 0.0), False), (2, 2))",
        ">>> grow(start, lambda state, actions: (actions, (0.0, 0.0), False), (2, 2))",
    ),
    "unfit-agents": Explanation(
        "The policies of a population are small networks: every agent sees a vector, all of them of"
        " one length, acts by "
        "whole numbers, and stays to the end.",
        ">>> ParallelBatch(pistonball_v6.parallel_env, 8)  # sees pictures, pushes by real numbers",
        ">>> ParallelBatch(lambda: supersuit.pad_observations_v0(simple_tag_v3.parallel_env()), 8)",
    ),
    "too-many-profiles": Explanation(
        "alpha-rank is the stationary distribution of a chain over all joint actions, a dense matrix. This game has "
        "too many of them.",
        "$ rewardspec equilibrium forty_by_forty.yaml --alpha-rank",
        "$ rewardspec equilibrium examples/games/stag_hunt.yaml --alpha-rank",
    ),
    "unranked": Explanation(
        "At a high intensity of selection the ways between parts of alpha-rank's chain are less likely than a number "
        "can say: it falls apart, and each part has a stationary distribution of its own.",
        ">>> rewardspec.games.alpha_rank.alpha_rank(stag_hunt, intensity=100)",
        ">>> rewardspec.games.alpha_rank.alpha_rank(stag_hunt)  # the limit, with some noise",
    ),
    "broken-population": Explanation(
        "A line of a population's file is not what was written there, or belongs to another run. A"
        " file that was cut off "
        "at its end is mended when it is opened; one that was changed in the middle cannot be trusted.",
        "$ sed -i 3d runs/psro/population.jsonl; python -m agents.psro --resume runs/psro",
        "$ python -m agents.psro --folder runs/psro-again",
    ),
}
"""The codes of games."""
