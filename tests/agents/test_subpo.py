"""SubPO: its gradient is unbiased where everything can be enumerated, its pieces do what they say, and it learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.device import Tasks
from agents.planners import Args as PlannerArgs
from agents.planners import plan
from agents.subpo import Args, SubPO, train, weights_of_actions, with_modular_terms
from rewardspec import UnsupportedError, compile_spec, from_data, load, loads
from rewardspec.environments import make_environment
from rewardspec.sets.coverage import Coverage
from rewardspec.sets.family import Sets
from rewardspec.tabular.planning import Walks, beam_search, best_walk, greedy
from rewardspec.tabular.world import tabulate

SPECS = Path(__file__).parents[2] / "examples" / "specs"

# -- the estimator, on a world small enough to enumerate -----------------------------------------------------

STATES, ACTIONS, STEPS = 4, 2, 3
FUNCTION = Coverage([[0, 1], [1, 2], [2, 3], [0, 3, 4]], [1.0, 2.0, 0.5, 1.5, 3.0])


def draw_world(stochastic: bool) -> np.ndarray[Any, Any]:
    """Return `[S, A, S]` probabilities."""
    rng = np.random.default_rng(3)
    if stochastic:
        return rng.dirichlet(np.ones(STATES), (STATES, ACTIONS))
    return np.eye(STATES)[rng.integers(STATES, size=(STATES, ACTIONS))]


def exact_gradient(world: np.ndarray[Any, Any], logits: torch.Tensor) -> torch.Tensor:
    """Return the gradient of J for logits `[T, S, A]`, by summing over every trajectory from state 0."""
    parameters = logits.clone().requires_grad_()
    log = torch.log_softmax(parameters, dim=2)
    sets, total = Sets(FUNCTION), torch.zeros((), dtype=torch.float64)
    for actions in itertools.product(range(ACTIONS), repeat=STEPS):
        for states in itertools.product(range(STATES), repeat=STEPS):
            walk = (0, *states)
            chance = np.prod([world[walk[t], actions[t], walk[t + 1]] for t in range(STEPS)])
            if chance:
                chosen = torch.stack([log[t, walk[t], actions[t]] for t in range(STEPS)]).sum().exp()
                total = total + chance * chosen * float(sets.value(np.array([walk]))[0])
    (gradient,) = torch.autograd.grad(total, parameters)
    return gradient


Weigh = Callable[[torch.Tensor], torch.Tensor]
"""Gains `[T, B]` -> what weights each action."""


def by(**options: Any) -> Weigh:
    """Return how the agent weighs actions."""
    return lambda gains: weights_of_actions(gains, torch.ones_like(gains), Args(**options))


def sampled_gradients(
    world: np.ndarray[Any, Any], logits: torch.Tensor, weigh: Weigh, batch: int
) -> torch.Tensor:
    """Return an estimate of the gradient from each of `batch` trajectories, `[B, T, S, A]`."""
    rng, policy = np.random.default_rng(0), torch.softmax(logits, dim=2).numpy()
    sets = Sets(FUNCTION)
    at = np.zeros(batch, np.int64)
    state = sets.add(sets.start(batch), at)
    rows = np.arange(batch)
    gains, scores = [], torch.zeros(STEPS, batch, STEPS, STATES, ACTIONS, dtype=torch.float64)
    for t in range(STEPS):
        action = (rng.random(batch)[:, None] > policy[t, at].cumsum(axis=1)).sum(axis=1)
        scores[t, rows, t, at] = torch.as_tensor(np.eye(ACTIONS)[action] - policy[t, at])
        at = (rng.random(batch)[:, None] > world[at, action].cumsum(axis=1)).sum(axis=1).clip(0, STATES - 1)
        gained, state = sets.advance(state, at)
        gains.append(torch.as_tensor(gained))
    weight = weigh(torch.stack(gains))
    return (scores * weight[:, :, None, None, None]).sum(0)


@pytest.mark.parametrize("stochastic", [False, True])
def test_the_estimator_is_unbiased_and_the_baseline_steadies_it(stochastic: bool) -> None:
    world = draw_world(stochastic)
    logits = torch.as_tensor(np.random.default_rng(1).normal(size=(STEPS, STATES, ACTIONS)))
    exact, spread = exact_gradient(world, logits), {}
    for baseline in ("none", "time"):
        drawn = sampled_gradients(world, logits, by(baseline=baseline), 100_000)
        error = drawn.std(dim=0) / len(drawn) ** 0.5
        assert ((drawn.mean(0) - exact).abs() <= 3.5 * error + 1e-9).all(), baseline
        spread[baseline] = float(drawn.var(dim=0).sum())
    assert spread["time"] < 0.7 * spread["none"]
    # The released code's weight is another objective: its mean is far from the gradient.
    released = sampled_gradients(world, logits, by(estimator="prefix", baseline="none"), 100_000)
    error = released.std(dim=0) / len(released) ** 0.5
    assert ((released.mean(0) - exact).abs() > 10 * error + 1e-9).any()


def test_reward_to_go_has_less_variance_than_the_whole_return() -> None:
    world = draw_world(True)
    logits = torch.as_tensor(np.random.default_rng(1).normal(size=(STEPS, STATES, ACTIONS)))
    to_go = sampled_gradients(world, logits, by(baseline="none"), 20_000)
    whole = sampled_gradients(
        world, logits, lambda gains: gains.sum(0, keepdim=True).expand_as(gains), 20_000
    )
    assert float(to_go.var(dim=0).sum()) < 0.8 * float(whole.var(dim=0).sum())


def test_weights_by_hand() -> None:
    gains = torch.tensor([[1.0, 2.0], [3.0, 0.0], [5.0, 7.0]])
    alive = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])

    def weights(**options: Any) -> list[list[float]]:
        return weights_of_actions(gains, alive, Args(**options)).tolist()

    assert weights(baseline="none") == [[9, 2], [8, 0], [5, 0]]
    assert weights(baseline="time") == [[7, -7], [8, -8], [5, 0]]  # less the mean of the other episode
    assert weights(estimator="prefix", baseline="none") == [[1, 2], [4, 2], [9, 0]]
    values = torch.ones(3, 2)
    critic = weights_of_actions(gains, alive, Args(baseline="critic", gae_lambda=1.0), values)
    assert critic.tolist() == [[8, 1], [7, -1], [4, 0]]  # reward to go less the value
    one_step = weights_of_actions(gains, alive, Args(baseline="critic", gae_lambda=0.0), values)
    assert one_step.tolist() == [[1, 2], [3, -1], [4, 0]]


# -- guarantees on small instances ---------------------------------------------------------------------------


def test_stationary_points_without_states_are_worth_half_the_best() -> None:
    """Where an action alone decides what is visited, J has diminishing returns: ascent ends at half the best.

    Source: Prajapat et al. (ICLR 2024), theorem 3, with epsilon = 0; Hassani et al. (NeurIPS 2017) for the half, Bian
    et al. (AISTATS 2017) for 1 - 1/e by Frank-Wolfe.
    """
    for seed in range(3):
        rng = np.random.default_rng(seed)
        items, steps = 4, 3
        function = Coverage(
            [rng.choice(6, rng.integers(1, 4)).tolist() for _ in range(items)], rng.uniform(0, 2, 6)
        )
        walks = np.array(list(itertools.product(range(items), repeat=steps)))
        worth = np.asarray(Sets(function).value(walks))

        def gradient(
            policy: np.ndarray[Any, Any], walks: Any = walks, worth: Any = worth
        ) -> np.ndarray[Any, Any]:
            found = np.zeros_like(policy)
            for t in range(policy.shape[0]):
                others = np.prod([policy[s, walks[:, s]] for s in range(policy.shape[0]) if s != t], axis=0)
                np.add.at(found[t], walks[:, t], others * worth)
            return found

        def value(policy: np.ndarray[Any, Any], walks: Any = walks, worth: Any = worth) -> float:
            return float(
                (np.prod([policy[t, walks[:, t]] for t in range(policy.shape[0])], axis=0) * worth).sum()
            )

        ascent = np.full((steps, items), 1 / items)
        for _ in range(300):
            moved = ascent * np.exp(0.3 * gradient(ascent))
            ascent = moved / moved.sum(axis=1, keepdims=True)
        frank_wolfe, rounds = np.zeros((steps, items)), 200
        for _ in range(rounds):
            frank_wolfe += np.eye(items)[_relaxed_gradient(frank_wolfe, function).argmax(axis=1)] / rounds
        assert value(ascent) >= 0.5 * worth.max()
        assert value(frank_wolfe) >= (1 - 1 / np.e) * worth.max() - 0.02


def _relaxed_gradient(policy: np.ndarray[Any, Any], function: Coverage) -> np.ndarray[Any, Any]:
    """Return the gradient of E F, each step taken with its own chances and skipped with the rest."""
    steps, items = policy.shape
    sets = Sets(function)
    walks = np.array(list(itertools.product(range(-1, items), repeat=steps)))
    chances = np.concatenate([1 - policy.sum(axis=1, keepdims=True), policy], axis=1)
    found = np.zeros((steps, items))
    for t in range(steps):
        others = walks[walks[:, t] == -1]
        chance = np.prod([chances[s, others[:, s] + 1] for s in range(steps) if s != t], axis=0)
        without = np.asarray(sets.value(others))
        for item in range(items):
            having = others.copy()
            having[:, t] = item
            found[t, item] = (chance * (np.asarray(sets.value(having)) - without)).sum()
    return found


# -- planners ------------------------------------------------------------------------------------------------


def test_beam_and_greedy_beside_all_walks() -> None:
    spec = load(SPECS / "field_rooms.yaml")
    world = tabulate(
        make_environment("rewardspec/FieldWorld-v0", rows=7, columns=14, layout="rooms", max_episode_steps=6)
    )
    walks = Walks.of(compile_spec(spec), world)
    best = best_walk(walks)
    at, visited = walks.start, [walks.item[walks.start]]
    for action in best.actions:
        at = walks.next_state[at, action]
        visited.append(walks.item[at])
    assert float(Sets(walks.function).value(np.array([visited]))[0]) == pytest.approx(best.value)
    assert best.value == best.paid + 4 and greedy(walks).value <= beam_search(walks, 50).value == best.value


def test_planners_take_what_they_can() -> None:
    assert plan(PlannerArgs(SPECS / "field_items.yaml", width=20))["beam"] == 20
    with pytest.raises(UnsupportedError, match="not-plannable"):
        plan(PlannerArgs(SPECS / "office_coffee.yaml"))
    walks = Walks.of(
        compile_spec(load(SPECS / "field_rooms.yaml")),
        tabulate(make_environment("rewardspec/FieldWorld-v0", rows=7, columns=14, layout="rooms")),
    )
    with pytest.raises(UnsupportedError, match="too many to try"):
        best_walk(walks)


# -- the agent -----------------------------------------------------------------------------------------------

SMALL = """
env: {id: rewardspec/FieldWorld-v0, kwargs: {rows: 4, columns: 5, start: [1, 1], max_episode_steps: 8}}
reward:
  - submodular: {coverage: {block: [[0, 0], [1, 0]]}, cells: {counts: [4, 5]}}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def learn(path: Path, tmp_path: Path, name: str = "run", **options: Any) -> dict[str, float]:
    arguments = {"epochs": 40, "n_envs": 64, "learning_rate": 0.02, "quiet": True, **options}
    return train(Args(spec=path, folder=tmp_path / name, **arguments))


def test_it_learns_what_a_planner_finds_and_the_modular_baseline_does_not(
    small: Path, tmp_path: Path
) -> None:
    """An untrained policy earns about 6; standing still is all that the modular baseline wants."""
    best = plan(PlannerArgs(small))["beam"]
    for options in (
        {},
        {"update": "natural"},
        {"inputs": "memory", "baseline": "critic"},
        {"inputs": "history"},
    ):
        name = "-".join(map(str, options.values())) or "plain"
        found = learn(small, tmp_path, name, **options)
        assert found["return"] > 0.8 * best, options
    assert learn(small, tmp_path, "modular", learn="modular")["return"] < 0.6 * best


def test_a_run_goes_on_to_the_numbers_of_one_that_never_stopped(small: Path, tmp_path: Path) -> None:
    whole = learn(small, tmp_path, "whole", epochs=6, log_every=3, checkpoint_seconds=0)
    folder = tmp_path / "whole" / "checkpoints"
    newest = max(folder.iterdir(), key=lambda path: int(path.name))
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    resumed = learn(
        small, tmp_path, "whole", epochs=6, log_every=3, checkpoint_seconds=0, resume=tmp_path / "whole"
    )
    assert resumed == whole


def test_what_it_cannot_learn_it_says(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="nothing modular"):
        with_modular_terms(loads("reward: reward"))
    data = load(small).to_data()
    data["env"]["id"], data["env"]["kwargs"] = "rewardspec/FlatWorld-v0", {}
    data["reward"][0]["submodular"]["cells"] = {"counts": [2, 2]}
    spec = from_data(data)
    tasks = Tasks({"flat": spec}, {"flat": compile_spec(spec)}, 1.0, "", "rewardspec/FlatWorld-v0", {})
    with pytest.raises(UnsupportedError, match="Discrete actions"):
        SubPO(replace(Args(), n_envs=2), tasks)
