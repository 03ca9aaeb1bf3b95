"""Small games of two players as trees of histories, on which a best response is exact, its dislike of risk included.

A node is what both players have seen so far; a policy is a table `[nodes, A]` of probabilities, so it may remember
everything. Against opponents who were drawn from a mixture, a policy has one return V_l for each of them. Mixing
policies before an episode mixes these vectors, and what is to be made the most of,

    U(V) = sum_l p_l V_l - gamma R(V, p)

is concave over what can be reached. So it is found exactly: for given weights on the opponents the best policy is a
dynamic programme over the tree (`best_policy`), the best mixture of the policies found so far is a best response in a
matrix (`rewardspec.games.response`), and the two take turns until no policy has anything to add (the gap of Frank and
Wolfe, "An Algorithm for Quadratic Programming", 1956, which bounds what is left to gain).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.games.response import respond
from rewardspec.games.risk import Risk, measure_risk, risk_weights

Floats = npt.NDArray[np.float64]
Move = Callable[[Any, tuple[int, int]], tuple[Any, tuple[float, float], bool]]
"""State and both actions -> next state (hashable), what each is paid, whether the game is over."""

MOST_NODES = 20_000


@dataclass(frozen=True)
class Level:
    """The histories of one length.

    E edges lead from the nodes before to these nodes, one for each.

    Attributes:
        parent: `[E]`, number of the node before.
        takes: Per player `[E, A]`, which own actions lead there.
        paid: `[2, E]`, what is paid on the way.
        first: Number of the level's first node.
    """

    parent: npt.NDArray[np.int64]
    takes: tuple[Floats, Floats]
    paid: Floats
    first: int


@dataclass(frozen=True)
class Tree:
    """A finite game of two players who see what happens.

    Attributes:
        actions: Number of actions of each player.
        nodes: Number of histories at which something is chosen.
        ends: `[2, nodes, A_0, A_1]`, what is paid where a joint action ends the game, else 0.
        levels: Histories by length, without the empty one.
    """

    actions: tuple[int, int]
    nodes: int
    ends: Floats
    levels: tuple[Level, ...]

    def uniform(self, player: int) -> Floats:
        """Return the policy that does everything alike, `[nodes, A]`."""
        return np.full((self.nodes, self.actions[player]), 1.0 / self.actions[player])


def grow(start: Hashable, move: Move, actions: tuple[int, int], most: int = MOST_NODES) -> Tree:
    """Return the tree of a game without chance.

    Joint actions that lead to the same state are one history: players see states. What they see must then tell each
    player's part apart from the other's, which is checked.

    Args:
        start: The first state.
        move: The rules.
        actions: Number of actions of each player.
        most: Nodes beyond which the game is not small.

    Raises:
        UnsupportedError: `tree-too-large`; `unfit-tree` when a state does not tell who did what to come there.
    """
    states: list[Hashable] = [start]
    ends: list[Floats] = []
    levels: list[Level] = []
    at = 0
    while at < len(states):
        stop = len(states)
        parents: list[int] = []
        takes: tuple[list[Floats], list[Floats]] = ([], [])
        paid: list[tuple[float, float]] = []
        for node in range(at, stop):
            pays = np.zeros((2, *actions))
            children: dict[Hashable, list[tuple[int, int, tuple[float, float]]]] = {}
            for a in range(actions[0]):
                for b in range(actions[1]):
                    after, got, over = move(states[node], (a, b))
                    if over:
                        pays[:, a, b] = got
                    else:
                        children.setdefault(after, []).append((a, b, got))
            ends.append(pays)
            for after, ways in children.items():
                own = (np.zeros(actions[0]), np.zeros(actions[1]))
                for a, b, _ in ways:
                    own[0][a] = own[1][b] = 1.0
                if len(ways) != int(own[0].sum() * own[1].sum()) or len({got for *_, got in ways}) > 1:
                    text = f"the state {after} does not tell what each player did to come there"
                    raise UnsupportedError(Problem("unfit-tree", text))
                parents.append(node)
                takes[0].append(own[0])
                takes[1].append(own[1])
                paid.append(ways[0][2])
                states.append(after)
            if len(states) > most:
                text = f"the game has more than {most:,} histories"
                hint = "Make it smaller (a smaller grid, fewer rounds), or learn with `--oracle ppo`."
                raise UnsupportedError(Problem("tree-too-large", text, hints=(hint,)))
        if parents:
            both = (np.array(takes[0]), np.array(takes[1]))
            levels.append(Level(np.array(parents), both, np.array(paid).T, stop))
        at = stop
    return Tree(actions, len(states), np.stack(ends, axis=1), tuple(levels))


def returns(tree: Tree, policies: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return mean and mean square of each player's return, `[2]` and `[2]`, exactly.

    Args:
        tree: The game.
        policies: `[nodes, A]` of each player.
    """
    joint = policies[0][:, :, None] * policies[1][:, None, :]
    mean = (joint * tree.ends).sum(axis=(2, 3))
    square = (joint * tree.ends**2).sum(axis=(2, 3))
    for level in reversed(tree.levels):
        here = slice(level.first, level.first + len(level.parent))
        likely = _chances(level, 0, policies[0]) * _chances(level, 1, policies[1])
        for i in range(2):
            worth = level.paid[i] + mean[i, here]
            np.add.at(mean[i], level.parent, likely * worth)
            squared = level.paid[i] ** 2 + 2.0 * level.paid[i] * mean[i, here] + square[i, here]
            np.add.at(square[i], level.parent, likely * squared)
    return mean[:, 0], square[:, 0]


def _chances(level: Level, player: int, policy: Floats) -> Floats:
    """Return `[E]`: how likely a player takes an action that leads along each edge."""
    return np.asarray((policy[level.parent] * level.takes[player]).sum(axis=1))


def best_policy(tree: Tree, player: int, opponents: Sequence[Floats], weights: Floats) -> Floats:
    """Return the policy `[nodes, A]` with the greatest sum_l w_l V_l; the weights may be negative.

    The opponent is one of several, the same for a whole episode, and not told: the programme goes over histories with
    how likely each opponent is to have come along them. It is deterministic; ties go to the first action.

    Args:
        tree: The game.
        player: 0 or 1.
        opponents: L policies of the other player.
        weights: `[L]`.
    """
    other = 1 - player
    mass = np.zeros((len(opponents), tree.nodes))  # of each opponent at each history
    mass[:, 0] = 1.0
    for level in tree.levels:
        here = slice(level.first, level.first + len(level.parent))
        for row, policy in zip(mass, opponents, strict=True):
            row[here] = row[level.parent] * _chances(level, other, policy)
    weighted = mass * weights[:, None]
    faced = sum(w[:, None] * policy for w, policy in zip(weighted, opponents, strict=True))
    ends = tree.ends[player] if player == 0 else tree.ends[player].transpose(0, 2, 1)
    worth = np.einsum("nab,nb->na", ends, np.asarray(faced))
    total = weighted.sum(axis=0)
    best = np.zeros(tree.nodes)
    for level in (*reversed(tree.levels), None):
        first = level.first if level is not None else 0
        count = len(level.parent) if level is not None else 1
        here = slice(first, first + count)
        best[here] = worth[here].max(axis=1)
        if level is not None:
            gained = best[here] + level.paid[player] * total[here]
            np.add.at(worth, level.parent, level.takes[player] * gained[:, None])
    return np.eye(tree.actions[player])[worth.argmax(axis=1)]


@dataclass(frozen=True)
class Answer:
    """A best response to a mixture of opponents.

    K policies are mixed.

    Attributes:
        policies: Of the player, `[nodes, A]` each.
        mixture: `[K]`, how likely each is drawn for an episode.
        utility: U of the mixture.
        gap: The most by which U could still be greater.
    """

    policies: tuple[Floats, ...]
    mixture: Floats
    utility: float
    gap: float


def answer(
    tree: Tree,
    player: int,
    opponents: Sequence[Floats],
    p: Floats,
    gamma: float,
    risk: Risk,
    *,
    tolerance: float = 1e-8,
    rounds: int = 100,
) -> Answer:
    """Return the best response to opponents drawn with probabilities `p`, risk included.

    Args:
        tree: The game.
        player: 0 or 1.
        opponents: L policies of the other player.
        p: `[L]`.
        gamma: Dislike of risk.
        risk: A convex one.
        tolerance: Gap at which to stop.
        rounds: Policies after which to stop.
    """

    def against(policy: Floats) -> Floats:
        """Return `[L]` returns."""
        pairs = [(policy, other) if player == 0 else (other, policy) for other in opponents]
        return np.array([returns(tree, pair)[0][player] for pair in pairs])

    policies = [best_policy(tree, player, opponents, p)]
    table = against(policies[0])[None]
    mixture, gap = np.ones(1), np.inf
    for _ in range(rounds):
        mixture = respond(table, p, gamma, risk, 0.0)
        z = mixture @ table
        weights = p * risk_weights(risk, z, p, gamma)
        found = best_policy(tree, player, opponents, weights)
        reached = against(found)
        gap = float(weights @ (reached - z))
        if gap <= tolerance or np.abs(table - reached).max(axis=1).min() <= 1e-12:
            break
        policies.append(found)
        table = np.vstack([table, reached])
    utility = float(mixture @ table @ p) - gamma * measure_risk(risk, mixture, table, p)
    kept = np.flatnonzero(mixture > 1e-6)
    share = mixture[kept] / mixture[kept].sum()
    return Answer(tuple(policies[k] for k in kept), share, utility, max(gap, 0.0))
