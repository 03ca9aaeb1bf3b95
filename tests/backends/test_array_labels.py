"""Labels on torch: bits that are truth values, ones and zeros or bytes make the label that NumPy makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rewardspec import compile_spec, loads
from rewardspec.backends import array
from rewardspec.backends.array import compile_array
from rewardspec.backends.torch_ops import compared, finite
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition

B, STEPS = 16, 12


def spec(propositions: int, states: int) -> Any:
    """Every third proposition is a formula, the first is read by a term, too, and the last is a constant."""
    lines = ["propositions:"]
    for i in range(propositions - 1):
        condition = f"next_obs[{i % 3}] > {0.1 * i - 0.3:.1f}"
        lines.append(f"  p{i}: {condition if i % 3 else f'{condition} or next_obs[2] < -0.5'}")
    lines += [f"  p{propositions - 1}: 1 < 2", "reward:", "- where(p0, 0.5, 0)", "- reward_machine:"]
    lines += ["    start: q1", "    edges:"]
    for u in range(states):
        yes, no = u % propositions, (u + 1) % (propositions - 1)
        guard = f"p{yes} and not p{no} and p{propositions - 1}" if yes != no else f"p{yes}"
        lines.append(f"    - {{from: q{u}, to: q{(u + 1) % states}, when: {guard}, reward: {u + 1}}}")
    return loads("\n".join(lines))


@pytest.mark.parametrize("tabled", [True, False])
@pytest.mark.parametrize(("propositions", "states"), [(2, 2), (4, 3), (5, 8), (9, 2), (4, 300)])
def test_machines_step_as_on_numpy(
    propositions: int, states: int, tabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tabled:
        monkeypatch.setattr(array, "TABLED_CELLS", 1)
    layout = bind(compile_spec(spec(propositions, states)), spaces.Box(-1, 1, (3,)))
    one, other = (compile_array(layout, B, library) for library in ("numpy", "torch"))  # type: ignore[arg-type]
    before, before_ = one.init(), other.init()
    assert before_[0].dtype == (torch.uint8 if states <= 256 else torch.int32)
    drawn, paid = np.random.default_rng(0).uniform(-1, 1, (STEPS, B, 3)).astype(np.float32), 0.0
    for obs in drawn:
        before, outcome = one.step(before, Transition(next_obs=obs))
        before_, outcome_ = other.step(before_, Transition(next_obs=torch.as_tensor(obs)))
        np.testing.assert_array_equal(before[0], before_[0])
        np.testing.assert_allclose(outcome.reward, outcome_.reward)
        paid += float(outcome.terms[1].sum())
    assert paid > 0


def test_a_comparison_writes_numbers_of_its_operands_type() -> None:
    a = torch.tensor([1.0, float("nan"), float("inf"), -0.0])
    assert (
        compared(torch.ne, a, a).tolist() == [0, 1, 0, 0] and compared(torch.ne, a, a).dtype == torch.float32
    )
    assert compared(torch.eq, a, 0).tolist() == [0, 0, 0, 1]
    assert compared(torch.lt, torch.tensor([1, 2], dtype=torch.int8), torch.tensor(2)).tolist() == [1, 0]
    assert finite(a).tolist() == [1, 0, 0, 0]
    assert torch.compile(finite, backend="eager")(a).tolist() == [1, 0, 0, 0]
