"""The kind `submodular`: the same gains on every backend, an episode's sum, what is seen, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rewardspec import SpecError, UnsupportedError, compile_spec, load, loads, wrap, wrap_vector
from rewardspec.backends import oracle
from rewardspec.backends.array import compile_array
from rewardspec.backends.oracle_sets import set_value
from rewardspec.backends.scalar import compile_scalar
from rewardspec.environments import make_environment
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition
from rewardspec.wrappers.offline import relabel
from rewardspec.wrappers.tensor import wrap_tensor

EXAMPLES = Path(__file__).parents[2] / "examples" / "specs"
FUNCTIONS = {
    "coverage within a radius": "coverage: {radius: 1, metric: diamond, weight: i + 2 * j}",
    "coverage of a block": "coverage: {block: [[0, 0], [1, 1]], weight: [1, 0, 2, 3, 0.5, 4, 0, 2, 1, 1, 3, 2]}",
    "coverage of a graph": "coverage: {edges: [[0, 1], [1, 5], [5, 11]], radius: 2}",
    "coverage of members": "coverage: {members: [[0, 1], [1], [2], [], [0], [1, 2], [], [], [], [], [0], [2]],"
    " weight: [1, 2, 4]}",
    "facility": "facility: {reach: 2.5, weight: exp(-x)}",
    "collection": "collection: {map: [aab., b.aa, bbba], caps: {a: 2, b: 3}}",
    "saturated": "saturated: {amounts: [[1, 0], [0, 2], [1, 1], [3, 0], [0, 0], [1, 2], [1, 0], [0, 1], [2, 2],"
    " [1, 1], [0, 3], [1, 0]], caps: [4, 3.5]}",
    "information": "information: {lengthscale: 2, noise: 0.1, known: [3]}",
    "entropy": "entropy: {lengthscale: 1, noise: 0.1, horizon: 9}",
    "diversity": "diversity: {lengthscale: 1.5, variance: 2}",
    "a draw": "coverage: {radius: 1, weight: {lengthscale: 2, lift: 1, seed: 3}}",
}
SPACE = spaces.Box(-10, 10, (2,), np.float64)


def spec_of(function: str, more: str = "") -> Any:
    return loads(f"reward:\n  submodular:\n    {function}\n    cells: {{counts: [3, 4]{more}}}\n")


def draw_steps(rng: np.random.Generator, count: int) -> list[Transition]:
    """Return an episode of points on the grid and now and then beyond it."""
    points = rng.uniform(-0.5, [3.5, 4.5], (count + 1, 2))
    return [Transition(a, 0, b, 0.0, False, False) for a, b in pairwise(points)]


def cell_of(point: Any) -> int:
    row, column = int(np.floor(point[0])), int(np.floor(point[1]))
    return row * 4 + column if 0 <= row < 3 and 0 <= column < 4 else -1


@pytest.mark.parametrize("pay", ["gain", "alone"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_backends_agree_with_the_definition(name: str, pay: str) -> None:
    spec = loads(
        f"reward:\n  submodular:\n    {FUNCTIONS[name]}\n    cells: {{counts: [3, 4]}}\n    pay: {pay}\n"
    )
    layout = bind(compile_spec(spec), SPACE, spaces.Discrete(2))
    program = layout.program
    rng, batch = np.random.default_rng(7), 3
    episodes = [draw_steps(rng, 9) for _ in range(batch)]
    scalar, state = compile_scalar(layout), oracle.init(program, batch)
    alone = [scalar.start] * batch
    arrays: dict[str, Any] = {kind: compile_array(layout, batch, kind) for kind in ("numpy", "torch")}  # type: ignore[arg-type]
    states = {kind: each.init() for kind, each in arrays.items()}
    function: Any = program.sets[0].function
    totals = np.zeros(batch)
    for t in range(9):
        steps = [episode[t] for episode in episodes]
        state, outcomes = oracle.step(program, state, steps)
        expected = np.array([outcome.reward for outcome in outcomes])
        totals += expected
        for b, step in enumerate(steps):
            alone[b], reward, *_ = scalar.advance(
                alone[b], step.obs, 0, step.next_obs, 0.0, False, False, {}, (), ()
            )
            assert reward == pytest.approx(expected[b], abs=1e-9)
        stacked = [np.array([getattr(s, part) for s in steps]) for part in ("obs", "next_obs")]
        for kind, make in (("numpy", np.asarray), ("torch", torch.as_tensor)):
            obs, next_obs = map(make, stacked)
            transition = Transition(obs, make(np.zeros(batch)), next_obs, 0.0, False, False)
            states[kind], outcome = arrays[kind].step(states[kind], transition)
            assert np.asarray(outcome.reward) == pytest.approx(expected, abs=1e-5)
    for b, episode in enumerate(episodes):
        start, visited = cell_of(episode[0].obs), [cell_of(step.next_obs) for step in episode]
        if pay == "gain":
            paid = set_value(function, {c for c in [start, *visited] if c >= 0}) - set_value(
                function, {start} - {-1}
            )
        else:
            paid = sum(set_value(function.of, [c]) for c in visited if c >= 0)
        assert totals[b] == pytest.approx(paid, abs=1e-9)


def test_a_start_that_does_not_count_is_paid_when_it_is_visited() -> None:
    paid = []
    for more in ("", ", start: false"):
        env = wrap(
            make_environment("rewardspec/FieldWorld-v0", rows=3, columns=4), spec_of("coverage: {}", more)
        )
        env.reset(seed=0)
        paid.append([env.step(action)[1] for action in (0, 1, 3, 1)])
    assert paid == [[0, 1, 0, 0], [1, 1, 0, 0]]


# -- hosts ---------------------------------------------------------------------------------------------------


def make_field(**arguments: Any) -> gym.Env[Any, Any]:
    return make_environment("rewardspec/FieldWorld-v0", rows=3, columns=4, max_episode_steps=6, **arguments)


@pytest.mark.parametrize("name", ["coverage within a radius", "collection", "information"])
@pytest.mark.parametrize("observe", ["position", "index"])
def test_hosts_pay_and_show_the_same(name: str, observe: str) -> None:
    spec = spec_of(FUNCTIONS[name])
    if observe == "index":
        spec = loads(
            f"reward:\n  submodular:\n    {FUNCTIONS[name]}\n    cells: {{counts: [3, 4], of: {POINT}}}\n"
        )
    single = wrap(make_field(observe=observe), spec)
    many = wrap_vector(gym.vector.SyncVectorEnv([lambda: make_field(observe=observe)] * 2), spec)
    from envs.batches import batch

    arguments = {"rows": 3, "columns": 4, "max_episode_steps": 6, "observe": observe}
    device = wrap_tensor(batch("rewardspec/FieldWorld-v0", 2, **arguments), spec)
    obs, _ = single.reset(seed=0)
    seen, _ = many.reset(seed=0)
    assert obs in single.observation_space and obs.shape == device.single_observation_space.shape
    assert np.allclose(seen[0], obs) and np.allclose(device.reset()[0], obs)
    rng = np.random.default_rng(2)
    for step in range(6):
        action = int(rng.integers(5))
        obs, reward, _, truncated, info = single.step(action)
        seen, rewards, *_ = many.step(np.array([action] * 2))
        shown, paid, _, cut, told = device.step(torch.tensor([action] * 2))
        assert rewards == pytest.approx([reward] * 2, abs=1e-9) and paid.numpy() == pytest.approx(
            rewards, abs=1e-5
        )
        assert np.allclose(told["final_obs"][0], obs, atol=1e-6) and truncated == bool(cut[0]) == (step == 5)
        assert obs in single.observation_space
        if step < 5:
            assert np.allclose(seen[0], obs, atol=1e-6) and np.allclose(shown[0], obs, atol=1e-6)
    assert info["return/submodular"] == pytest.approx(float(told["return"]["submodular"][0]), abs=1e-5)
    # A new episode begins with an empty set.
    assert np.allclose(shown[0], single.reset(seed=0)[0])


POINT = "'[floor(next_obs / 4), next_obs % 4]'"


def test_an_ant_is_paid_for_ground_that_it_has_not_covered() -> None:
    """MuJoCo's ant under the gallery's spec, beside a map of its arena that is kept by hand."""
    spec = load(EXAMPLES / "ant_coverage.yaml")
    assert spec.env is not None and spec.env.id is not None
    env = wrap(make_environment(spec.env.id, **spec.env.kwargs), spec)
    env.reset(seed=0)
    base: Any = env.unwrapped
    covered, met = np.zeros((104, 104), bool), 0.0

    def cover() -> float:
        """Mark the 5 x 5 cells round the ant's own; the margin of two takes what lies beyond the arena."""
        i, j = (int(np.floor((at + 20) / 0.4)) for at in base.data.qpos[:2])
        before = covered[2:-2, 2:-2].sum()
        covered[i : i + 5, j : j + 5] = True
        return float(covered[2:-2, 2:-2].sum() - before)

    cover()
    rng = np.random.default_rng(0)
    for _ in range(60):
        _, reward, terminated, _, _ = env.step(rng.uniform(-1, 1, 8))
        assert reward == pytest.approx(0.1 * cover())
        met += float(reward)
        if terminated:
            break
    assert met > 0
    env.close()


def test_stored_trajectories_are_paid_alike() -> None:
    spec, env = spec_of(FUNCTIONS["coverage within a radius"]), make_field()
    paid = wrap(make_field(), spec)
    rows: dict[str, list[Any]] = {key: [] for key in ("obs", "action", "next_obs", "terminated", "truncated")}
    rewards, rng = [], np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    paid.reset(seed=0)
    for _ in range(6):
        action = int(rng.integers(5))
        after, _, terminated, truncated, _ = env.step(action)
        for key, value in zip(rows, (obs, action, after, terminated, truncated), strict=True):
            rows[key].append(value)
        rewards.append(paid.step(action)[1])
        obs = after
    stored = {key: np.array(values) for key, values in rows.items()}
    stored["reward"] = np.zeros(6)
    assert relabel(stored, spec).reward == pytest.approx(rewards)
    with pytest.raises(UnsupportedError, match="set-not-supported"):
        relabel(stored, spec, observe="onehot", observation_space=env.observation_space)


def test_those_who_cannot_say_so() -> None:
    spec = spec_of("coverage: {}")
    with pytest.raises(UnsupportedError, match=r"the compiled backend remembers .* submodular.set"):
        wrap(make_field(), spec, backend="native").step(0)
    with pytest.raises(UnsupportedError, match="set-not-supported"):
        wrap_vector(gym.vector.SyncVectorEnv([make_field]), spec, backend="native")
    from rewardspec.tabular.product import take_product
    from rewardspec.tabular.world import tabulate

    with pytest.raises(UnsupportedError, match="can be any set of what was visited"):
        take_product(compile_spec(spec), tabulate(make_field()))


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "cells", "reason"),
    [
        ("coverage: {weight: i - 1}", "counts: [3, 4]", "the weight of cell 0 is -1.0"),
        ("coverage: {weight: 1 / i}", "counts: [3, 4]", "the weight of cell 0 is inf"),
        ("coverage: {weight: [1, 2]}", "counts: [3, 4]", "cell 11 is covered and has no weight"),
        ("coverage: {block: [[0]]}", "counts: [3, 4]", "offsets of a block have 2 numbers"),
        ("coverage: {edges: [[0, 99]]}", "counts: [3, 4]", "leads beyond the 12 cells"),
        ("coverage: {members: [[0]]}", "counts: [3, 4]", "has 1 items, and there are 12 cells"),
        ("coverage: {radius: 300}", "counts: [1000, 1000]", "choose larger cells"),
        ("collection: {map: [ab], caps: {a: 1}}", "counts: [3, 4]", "the map has 2 cells, and the grid 12"),
        ("collection: {map: [ab], caps: {a: 1}}", "counts: [2]", "'b' lies on the map and has no cap"),
        (
            "saturated: {amounts: [[1], [1, 2]], caps: [1]}",
            "counts: [2]",
            "as many amounts as there are caps",
        ),
        ("information: {lengthscale: 1, noise: 0}", "counts: [3, 4]", "singular"),
        ("information: {lengthscale: 1, noise: 0, known: [1]}", "counts: [3, 4]", "noise is 0"),
        ("information: {lengthscale: 1, noise: 1}", "counts: [30, 30]", "horizon"),
        ("information: {lengthscale: 1, noise: 1, known: [50]}", "counts: [3, 4]", "cell 50 is known"),
        ("entropy: {lengthscale: 1, noise: 0.001, variance: 0.001}", "counts: [3, 4]", "not monotone: item"),
        ("diversity: {lengthscale: 1}", "counts: [100, 100]", "too many for a table of all pairs"),
        ("coverage: {}", "counts: [10000, 10000]", "choose larger cells"),
        ("coverage: {}", "counts: [3, 4], low: [1]", "as many lower bounds"),
        (
            "coverage: {}",
            "counts: [3, 4], of: '[next_obs[0], 1, 2]'",
            "the point has 3 numbers, and the grid 2",
        ),
        ("coverage: {}", "counts: [3], of: seen", "not on propositions"),
    ],
)
def test_what_is_no_set_function_is_told_with_its_place(function: str, cells: str, reason: str) -> None:
    text = "propositions: {seen: 'next_obs[0] > 1'}\nreward:\n  submodular:\n"
    text += f"    {function}\n    cells: {{{cells}}}\n"
    with pytest.raises(SpecError, match=reason) as told:
        compile_spec(loads(text))
    (problem,) = told.value.problems
    assert problem.code == "unfit-set-function" and problem.place.line in (4, 5)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{coverage: {}}", "The ground set, `cells`|the ground set, `cells`"),
        ("{cells: {counts: [3]}}", "exactly one set function"),
        ("{coverage: {}, facility: {reach: 1}, cells: {counts: [3]}}", "coverage and facility are two"),
        ("{coverage: {block: [[0]], members: [[0]]}, cells: {counts: [3]}}", "both say what a visit covers"),
        ("{coverage: {}, cells: {counts: []}}", "counts"),
    ],
)
def test_what_cannot_be_read_is_told(body: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        loads(f"reward:\n  submodular: {body}\n")
