"""Cells of an empirical game per second: all side by side on the device's tensors, over a loop of PettingZoo's.

The loop is what one would write with care: one environment, networks in NumPy on single observations, no torch. Both
play the same population of untrained networks; a cell is one pair of policies over so many episodes.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from agents.population_nets import Nets, simulate
from benchmarks.speed.method import Block, Result, Settings, ratios, take_times
from envs.game_batches import game_batch, parallel_game

EPISODES = 64
POLICIES = 6
HIDDEN = (32, 32)

GAMES: dict[str, dict[str, Any]] = {"stag_hunt": {}, "overtaking": {}}


def measure(settings: Settings) -> list[Result]:
    """Return how many times as many cells are played in a second, on one thread."""
    torch.set_num_threads(1)
    count = 2 if settings.quick else POLICIES
    results = []
    for name, arguments in GAMES.items():
        game = game_batch(name, 1, **arguments)
        size, actions = (
            game.observation_space(game.agents[0]).shape[0],
            int(game.action_space(game.agents[0]).n),
        )
        nets = Nets(size, actions, HIDDEN)
        policies = np.stack([nets.init(seed).numpy() for seed in range(count)])
        cells = list(itertools.product(range(count), repeat=2))
        cases: dict[str, Block] = {
            "side by side": together(name, arguments, nets, policies, cells),
            "PettingZoo": one_by_one(name, arguments, nets, policies),
        }
        # Times of one cell; the loop plays one episode of one cell, or a block would last for seconds.
        per = {"side by side": len(cells), "PettingZoo": 1 / EPISODES}
        times = {case: [t / per[case] for t in taken] for case, taken in take_times(cases, settings).items()}
        at = f"{name}, cells of {EPISODES} episodes, {len(cells)} of them: "
        results += [
            Result.of(
                at + "loop of PettingZoo / side by side",
                "x",
                ratios(times["PettingZoo"], times["side by side"]),
                20,
                "high",
            ),
            *(Result.of(f"{at}{case}, per cell", "ms", [t / 1e6 for t in times[case]]) for case in cases),
        ]
    return results


def together(name: str, arguments: dict[str, Any], nets: Nets, policies: Any, cells: list[Any]) -> Block:
    """Return a block that plays all cells at once, n times over."""

    def block(n: int) -> None:
        for seed in range(n):
            simulate(
                lambda lanes, s: game_batch(name, lanes, seed=s, **arguments),
                [nets, nets],
                [policies, policies],
                cells,
                EPISODES,
                seed,
            )

    return block


def one_by_one(name: str, arguments: dict[str, Any], nets: Nets, policies: Any) -> Block:
    """Return a block that plays n episodes, pair after pair, in one PettingZoo environment."""
    env, rng = parallel_game(name, **arguments), np.random.default_rng(0)
    layers = [split(nets, vector) for vector in policies]
    pairs = itertools.cycle(itertools.product(layers, repeat=2))

    def block(n: int) -> None:
        for seed in range(n):
            both = dict(zip(env.possible_agents, next(pairs), strict=True))
            seen, _ = env.reset(seed=seed)
            total = dict.fromkeys(env.possible_agents, 0.0)
            while env.agents:
                chosen = {agent: act(both[agent], seen[agent], rng) for agent in env.agents}
                seen, paid, *_ = env.step(chosen)
                for agent, reward in paid.items():
                    total[agent] += reward

    return block


def split(nets: Nets, vector: Any) -> list[tuple[Any, Any]]:
    """Return a network's layers as NumPy arrays."""
    parts = {name: part.numpy() for name, part in nets.weights.split(torch.from_numpy(vector)).items()}
    names = [name.removesuffix(".weight") for name in parts if name.endswith(".weight")]
    return [(parts[f"{name}.weight"], parts[f"{name}.bias"]) for name in names]


def act(layers: list[tuple[Any, Any]], seen: Any, rng: np.random.Generator) -> int:
    """Return an action drawn by a network's logits."""
    x = seen
    for weight, bias in layers[:-1]:
        x = np.tanh(x @ weight + bias)
    logits = x @ layers[-1][0] + layers[-1][1]
    return int((logits - np.log(-np.log(rng.random(len(logits))))).argmax())
