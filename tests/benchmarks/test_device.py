"""What is timed on the device computes what it should: the same rewards, whoever computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from benchmarks.speed import device, device_jax
from rewardspec import compile_spec, loads
from rewardspec.backends.array import compile_array
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition


@pytest.mark.parametrize("steps", [1, 5])
def test_the_automaton_pays_as_its_spec(steps: int) -> None:
    layout = bind(compile_spec(loads(device.AUTOMATON)), spaces.Box(-1, 1, (3,)))
    program = compile_array(layout, 64, "numpy")
    columns = torch.randn(20, 3, 64, generator=torch.Generator().manual_seed(0))
    automaton, state = device.automaton(steps, "cpu"), program.init()
    u, total = torch.zeros(64, dtype=torch.uint8), 0.0
    for first in range(0, 20, steps):
        u, paid = automaton(list(columns[first : first + steps]), u)
        for step, reward in zip(columns[first : first + steps], paid, strict=True):
            state, outcome = program.step(state, Transition(next_obs=step.T.numpy()))
            np.testing.assert_allclose(reward, outcome.reward)
            total += float(reward.sum())
    np.testing.assert_array_equal(u, state[0])
    assert u.dtype == torch.uint8
    assert total > 100


def test_with_and_without_a_spec_the_poles_are_the_same() -> None:
    bare, paid, _ = device.steppers(16, device.UNSEEN_POLE)
    for _ in range(60):
        one, other = bare(), paid()
        np.testing.assert_array_equal(one[1], other[0])
    assert paid()[2].shape == (16,)


def test_what_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for part in ("shares", "ppo_beside_sb3"):
        monkeypatch.setattr(device, part, lambda settings: [])
    told = device.measure(device.Settings())
    assert [result.code for result in told] == [f"G{i}" for i in range(1, 9)]
    assert {result.why for result in told} == {"unmeasured: no CUDA device"}
    assert not any(result.median == result.median for result in told)


def test_a_peer_without_a_gpu_is_told_and_nothing_of_ours_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device_jax, "PYTHON", tmp_path / "python")
    (result,) = device_jax.measure(lambda: pytest.fail("ours need not run"))
    assert (result.code, result.met) == ("G7", None)
    assert result.why.startswith("unmeasured: the peers are not installed")
