"""Which input of a reward model earned what: integrated gradients from the mean step.

The contribution of input d to the reward of a step x, from the mean step x0 on, is

    (x_d - x0_d) * integral over a from 0 to 1 of dr/dx_d at x0 + a (x - x0);

the contributions of a step add up to r(x) - r(x0).

Source: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017), equation 1; completeness is
their proposition 1. The integral is a midpoint sum, so a small rest is left where networks have kinks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from rewardspec.learning.models import Ensemble

Floats = npt.NDArray[np.float64]

POINTS = 64
"""Points of the midpoint sum."""

BLOCK = 256
"""Steps that are taken at a time."""


def attribute(model: Ensemble, inputs: npt.ArrayLike) -> tuple[Floats, float]:
    """Return what each input contributed to the rewards of steps.

    Args:
        model: A fitted ensemble.
        inputs: `[N, D]`.

    Returns:
        `[N, D]` contributions, and the reward of the mean step, from which they count: what the model was centred on.
    """
    rows = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
    start = torch.from_numpy(model.centre)
    along = (torch.arange(POINTS, dtype=torch.float32) + 0.5) / POINTS
    found = []
    for begin in range(0, len(rows), BLOCK):
        away = rows[begin : begin + BLOCK] - start
        points = (start + along[:, None, None] * away).flatten(0, 1).requires_grad_()
        (slopes,) = torch.autograd.grad(model.combined(points).sum(), points)
        found.append((slopes.view(POINTS, *away.shape).mean(0) * away).double().numpy())
    base = float(model.reward(model.centre[None])[0])
    return np.concatenate(found) if found else np.zeros((0, model.width)), base
