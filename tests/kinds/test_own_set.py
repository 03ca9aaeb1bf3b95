"""A set function of one's own: gains by its definition on every backend, and refused with the sets that say no."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rewardspec import SpecError, compile_spec, loads, wrap
from rewardspec.backends import oracle
from rewardspec.backends.array import compile_array
from rewardspec.backends.scalar import compile_scalar
from rewardspec.environments import make_environment
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition

EXTENT = """\
reward:
  submodular:
    own:
      memory: {east: 'max(east, x)', west: 'max(west, 3 - x)', far: 'max(far, i * j)'}
      value: min(east + west, 4) + 0.5 * far
    cells: {counts: [3, 4]}
"""


def extent(cells: set[tuple[int, int]]) -> float:
    """Return the same by its definition: of a set, not of a fold. A cell's middle is half a cell further."""
    east = max([0.0] + [i + 0.5 for i, _ in cells])
    west = max([0.0] + [2.5 - i for i, _ in cells])
    return min(east + west, 4.0) + 0.5 * max([0] + [i * j for i, j in cells])


def cell_of(point: Any) -> set[tuple[int, int]]:
    i, j = (int(np.floor(part)) for part in point)
    return {(i, j)} if 0 <= i < 3 and 0 <= j < 4 else set()


@pytest.mark.parametrize("pay", ["gain", "alone"])
def test_backends_pay_the_gains_of_the_definition(pay: str) -> None:
    rng, batch, length = np.random.default_rng(3), 4, 8
    walks = [rng.uniform(-0.5, [3.5, 4.5], (length + 1, 2)) for _ in range(batch)]
    episodes = [[Transition(a, 0, b, 0.0, False, False) for a, b in pairwise(walk)] for walk in walks]
    layout = bind(
        compile_spec(loads(EXTENT + f"    pay: {pay}\n")),
        spaces.Box(-9, 9, (2,), np.float64),
        spaces.Discrete(2),
    )
    scalar, state = compile_scalar(layout), oracle.init(layout.program, batch)
    alone: Any = [scalar.start] * batch
    arrays: dict[str, Any] = {kind: compile_array(layout, batch, kind) for kind in ("numpy", "torch")}  # type: ignore[arg-type]
    states = {kind: each.init() for kind, each in arrays.items()}
    held = [cell_of(walk[0]) for walk in walks]
    paid = 0.0
    for t in range(length):
        steps = [episode[t] for episode in episodes]
        expected = []
        for b, step in enumerate(steps):
            grown = held[b] | cell_of(step.next_obs)
            here = cell_of(step.next_obs)
            expected.append(
                extent(grown) - extent(held[b]) if pay == "gain" else extent(here) - extent(set())
            )
            held[b] = grown
        state, outcomes = oracle.step(layout.program, state, steps)
        assert [outcome.reward for outcome in outcomes] == pytest.approx(expected, abs=1e-9)
        for b, step in enumerate(steps):
            alone[b], reward, *_ = scalar.advance(
                alone[b], step.obs, 0, step.next_obs, 0.0, False, False, {}, (), ()
            )
            assert reward == pytest.approx(expected[b], abs=1e-9)
        for kind, make in (("numpy", np.asarray), ("torch", torch.as_tensor)):
            obs, next_obs = (
                make(np.array([getattr(s, part) for s in steps])) for part in ("obs", "next_obs")
            )
            transition = Transition(obs, make(np.zeros(batch)), next_obs, 0.0, False, False)
            states[kind], outcome = arrays[kind].step(states[kind], transition)
            assert np.asarray(outcome.reward) == pytest.approx(expected, abs=1e-5)
        paid += sum(map(abs, expected))
    assert paid > 5


def test_a_policy_sees_what_the_fold_remembers() -> None:
    spec = loads(
        "reward:\n  submodular:\n    own: {memory: {down: 'max(down, i)'}}\n    cells: {counts: [3, 4]}\n"
    )
    env = wrap(make_environment("rewardspec/FieldWorld-v0", rows=3, columns=4), spec)
    env.reset(seed=0)
    outcomes = [env.step(action) for action in (2, 4, 2, 2, 2)]  # down, up, and down to the border
    assert [outcome[1] for outcome in outcomes] == [1, 0, 0, 1, 0]
    # Back in a row above, it knows how far down it was.
    assert [outcome[0].tolist() for outcome in outcomes[:2]] == [[1, 0, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ("{sum: sum + i}", "repeats pay: item"),
        ("{least: 'min(least, -i)'}", "not monotone: item .* gains -"),
        ("{last: i}", "not monotone|order matters|repeats pay"),
        ("{most: 'max(most, i)'}, value: most ** 2", None),  # of one greatest number all is diminishing
        (
            "{up: 'max(up, i)', right: 'max(right, j)'}, value: up * right",
            "returns do not diminish: item .* gains 0 in {.*} and .* in {",
        ),
        ("{far: 'max(far, log(i))'}", None),  # the greater of 0 and minus infinity is 0
        ("{far: 'far + log(i)'}", "cell 0 alone is worth -inf: it must be a finite number"),
    ],
)
def test_what_is_no_set_function_is_refused_with_its_counterexample(memory: str, reason: str | None) -> None:
    text = f"reward:\n  submodular:\n    own: {{memory: {memory}}}\n    cells: {{counts: [3, 4]}}\n"
    if reason is None:
        compile_spec(loads(text))
        return
    with pytest.raises(SpecError, match=reason) as told:
        compile_spec(loads(text))
    (problem,) = told.value.problems
    assert problem.code == "unfit-set-function" and problem.place.line == 3


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ("{memory: {x: x}}", "cannot be called 'x'"),
        ("{memory: {a: a}, start: {b: 1}}", "'b' has a start"),
        ("{memory: {a: a, b: b}}", "what several numbers are worth"),
        ("{memory: {a: 'max(a, q)'}}", "unknown name 'q'"),
    ],
)
def test_what_cannot_be_read_is_told(own: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        compile_spec(loads(f"reward:\n  submodular:\n    own: {own}\n    cells: {{counts: [3, 4]}}\n"))
