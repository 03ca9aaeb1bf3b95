"""Whom do hunters trust? Which equilibrium of a stag hunt learning selects, by how much risk is disliked.

Two hunters on a 3 x 3 grid (`envs/stag_hunt.py`) begin with five policies each, of which two to four, drawn for the
seed, seek the stag and the others the hare: best responses to a random partner as if nothing else were paid. PSRO with
the risk-averse meta-solver goes on from there, with exact best responses and with PPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.history_tree import Tree, best_policy, returns
from agents.history_tree import grow as grow_tree
from agents.population import Policy, Population
from agents.population_nets import Learning, learn, net_actor, play
from agents.psro import NetEngine, Settings, TreeEngine, grow
from benchmarks.records import Cell, Row, Setting, provenance
from envs.game_batches import game_batch
from envs.small_games import small_game
from rewardspec.games.game import Profile
from rewardspec.games.risk import Risk

TAGS = ("games", "population", "exact")
STEPS = 15
"""Rollouts of PPO for one best response; exact best responses need none."""

SEEDS = 10
SMOKE_STEPS = 1
LIMIT_S = 1800

GAMMAS = (0.0, 0.05, 0.1, 0.5)
INITIAL, ITERATIONS, TEMPERATURE = 5, 2, 1.0
SIZE = 3
SLIPS = 0.05
"""Share of steps at random in the exact policies to begin with; PPO's slip by themselves."""

EPISODES = 2000

SETTINGS: list[Setting] = [
    {"name": f"{oracle}, gamma {gamma:g}", "oracle": oracle, "gamma": gamma}
    for oracle in ("exact", "ppo")
    for gamma in GAMMAS
]


def payoffs(seed: int, player: int, number: int) -> dict[str, float]:
    """Return what a policy to begin with is paid for: the stag, whoever else comes, or the hare."""
    seekers = int(np.random.default_rng([seed, player]).integers(2, INITIAL))
    if number < seekers:
        return {"together": 10.0, "alone": 10.0, "hare": 0.0, "both_hares": 0.0}
    return {"together": 0.0, "alone": 0.0, "hare": 5.0, "both_hares": 5.0}


class ExactHunters(TreeEngine):
    """Exact best responses, begun with seekers."""

    def __init__(self, size: int) -> None:
        """Grow the tree of a grid."""
        agents, start, move, actions = small_game("stag_hunt", size=size)
        super().__init__(agents, grow_tree(start, move, actions))
        self.size = size

    def first(self, player: int, number: int, seed: int) -> Policy:
        """Return a best response to a random partner that seeks one of the two, with slips."""
        other = self.under(**payoffs(seed, player, number))
        sure = best_policy(other, player, [other.uniform(1 - player)], np.ones(1))
        return np.asarray((1.0 - SLIPS) * sure + SLIPS * other.uniform(player), np.float32)

    def under(self, **paid: float) -> Tree:
        """Return the tree with other payoffs."""
        _, start, move, actions = small_game("stag_hunt", size=self.size, **paid)
        return grow_tree(start, move, actions)


class LearningHunters(NetEngine):
    """PPO, begun with seekers."""

    def first(self, player: int, number: int, seed: int) -> Policy:
        """Return what PPO learns against an untrained partner for one of the two."""
        paid = payoffs(seed, player, number)
        partner = np.asarray(self.nets[1 - player].init(seed).numpy(), np.float32)[None]
        found, _ = learn(
            lambda n, s: game_batch("stag_hunt", n, seed=s, size=SIZE, **paid),
            self.nets,
            player,
            [partner, partner],
            np.zeros((1, 2), np.int64),
            np.ones(1),
            0.0,
            Risk(),
            self.learning,
            seed * 131 + number,
        )
        return found


def run(setting: Setting, seed: int) -> list[Row]:
    """Grow a population; return how often its hunters meet at the stag."""
    settings = Settings(
        "rae", setting["gamma"], temperature=TEMPERATURE, iterations=ITERATIONS, initial=INITIAL, seed=seed
    )
    engine: Any
    if setting["oracle"] == "exact":
        engine = ExactHunters(SIZE)
    else:
        engine = LearningHunters(
            lambda n, s: game_batch("stag_hunt", n, seed=s, size=SIZE),
            Learning(iterations=setting["steps"], lanes=256, learning_rate=1e-2, epochs=3, minibatches=2),
            256,
        )
    population = Population(2)
    found = grow(engine, population, settings)
    begun = begin(engine, population)
    if setting["oracle"] == "exact":
        met = exact_events(engine, population, found.strategies)
    else:
        met = played_events(engine, population, found.strategies, seed)
    return [
        {
            "seekers": round(begun, 3),
            **{name: round(value, 4) for name, value in met.items()},
            "expected": [round(float(v), 4) for v in found.expected],
            "variance": [round(float(v), 4) for v in found.variance],
            "residual": float(found.residual),
            "sizes": list(population.sizes),
        }
    ]


def begin(engine: Any, population: Population) -> float:
    """Return the share of meetings at the stag among the policies to begin with, played uniformly."""
    profile = tuple(np.where(np.arange(size) < INITIAL, 1.0 / INITIAL, 0.0) for size in population.sizes)
    if isinstance(engine, ExactHunters):
        return exact_events(engine, population, profile)["both_stag"]
    return played_events(engine, population, profile, 1)["both_stag"]


def exact_events(engine: ExactHunters, population: Population, profile: Profile) -> dict[str, float]:
    """Return how likely each outcome is: a return under payoffs that are 1 for it and 0 for others."""
    none = {"together": 0.0, "alone": 0.0, "hare": 0.0, "both_hares": 0.0}
    found = {}
    for name, key in (("both_stag", "together"), ("both_hare", "both_hares")):
        tree = engine.under(**{**none, key: 1.0})
        table = [
            [returns(tree, (a.astype(float), b.astype(float)))[0][0] for b in population.policies[1]]
            for a in population.policies[0]
        ]
        found[name] = float(profile[0] @ np.array(table) @ profile[1])
    return found


def played_events(engine: NetEngine, population: Population, profile: Profile, seed: int) -> dict[str, float]:
    """Return how often each outcome came in episodes of policies drawn from the mixtures."""
    import torch

    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    actors = [
        net_actor(
            engine.nets[i],
            np.stack(own),
            rng.choice(len(own), size=EPISODES, p=part / part.sum()),
            generator,
        )
        for i, (own, part) in enumerate(zip(population.policies, profile, strict=True))
    ]
    events = play(engine.make(EPISODES, seed), actors).events
    return {name: float(events[name].float().mean()) for name in ("both_stag", "both_hare")}


def score(rows: Sequence[Row]) -> float:
    """Return how often the hunters come home with the same."""
    return float(np.mean([row["both_stag"] + row["both_hare"] for row in rows])) if rows else 0.0


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# Trust: which equilibrium of a stag hunt learning selects",
        "",
        "<!-- Made by `python -m benchmarks report trust` -->",
        "",
        f"PSRO with the risk-averse meta-solver (temperature {TEMPERATURE:g}, {ITERATIONS}"
        f" iterations) on a {SIZE} x {SIZE}"
        f" grid from {INITIAL} policies a hunter, of which two to four seek the stag by the seed's"
        " draw; payoffs 10, 0, 5, 4 as in the"
        " [matrix game](../../examples/games/stag_hunt.yaml), whose hunters turn to hares at gamma 0.0202. *Stag* and"
        " *hare*: seeds in which more than half of the episodes of the final mixtures end with both at the stag, or"
        " with a hare each. The layout is ours, not that of Slumbers et al.",
        "",
        "| best responses | gamma | seeds | stag | hare | neither | both at the stag, mean (least to greatest) |"
        " expected | variance |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for setting in {cell.name: cell.setting for cell in cells}.values():
        rows = [row for cell in cells if cell.name == setting["name"] for row in cell.rows]
        stag = np.array([row["both_stag"] for row in rows])
        hare = np.array([row["both_hare"] for row in rows])
        counts = ((stag > 0.5).sum(), (hare > 0.5).sum(), ((stag <= 0.5) & (hare <= 0.5)).sum())
        spread = f"{stag.mean():.2f} ({stag.min():.2f} to {stag.max():.2f})"
        means = [np.mean([row[key] for row in rows]) for key in ("expected", "variance")]
        lines.append(
            f"| {setting['oracle']} | {setting['gamma']:g} | {len(rows)} | {counts[0]} | {counts[1]} | {counts[2]}"
            f" | {spread} | {means[0]:.2f} | {means[1]:.2f} |"
        )
    lines += ["", provenance(cells)]
    return "\n".join(lines) + "\n"
