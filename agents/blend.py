"""A primary reward and doubtful hints, blended by weights that depend on the state: pure functions over torch.

    r(s, a) = w_0(s) + w_1(s) primary(s, a) + sum_i w_i(s) hint_i(s, a),   w(s) = z(s) phi

z are features of the state, phi is what an outer loop learns. Everything here works on one learner: time is the last
axis of numbers of a step, `[N, T]` for N episodes, and `[N, T, ...]` for vectors. `torch.vmap` makes it many
learners.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rewardspec.errors import Problem, UnsupportedError

Batch = dict[str, Tensor]
"""Episodes: `obs` `[N, T, D]`, `action` `[N, T]` or `[N, T, A]`, `primary` and `mask` `[N, T]`, `hints` `[N, T, M]`."""

MOST_FEATURES = 4096

LearntTerm = Literal["bias", "primary", "auxiliary"]


# -- features ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """Numbers of a state that weights are linear in.

    Attributes:
        size: How many.
        of: Observations `[..., D]` -> features `[..., size]`.
        expressions: The same in the language of specs, over numbers `blend_x0`, ... scaled to [0, 1].
        start: What the numbers are scaled by: the least of each,
        span: and the greatest less that.
    """

    size: int
    of: Callable[[Tensor], Tensor]
    expressions: tuple[str, ...]
    start: tuple[float, ...]
    span: tuple[float, ...]

    def signals(self, numbers: Sequence[str]) -> dict[str, str]:
        """Return the scaled numbers by name, as expressions."""
        return {
            f"blend_x{i}": f"({text} - {start:.7g}) / {span:.7g}"
            for i, (text, start, span) in enumerate(zip(numbers, self.start, self.span, strict=True))
        }


def features(text: str, low: Sequence[float], high: Sequence[float], device: str = "cpu") -> Features:
    """Return features of an observation whose parts lie between bounds; the last is 1, for a bias.

    | text | features besides it |
    | --- | --- |
    | `fourier(3)` | cos(pi c x) for every c in {0, ..., 3}^D, x scaled to [0, 1]: 4^D of them |
    | `tiles(5, 4)` | 5 tilings of 4^D tiles, each shifted a little; 1/5 where the state is, else 0 |
    | `random(32)` | a layer of 32 random ReLU units that is never trained |
    | `raw` | the scaled observation |
    | `constant` | none |

    The Fourier basis has a constant already. Its linear layers have a bias beside it in the released code, and
    optimisers that move every weight alike then move the constant part twice as fast: it learns visibly worse
    without.

    Args:
        text: One of these.
        low: Least observation, `[D]`.
        high: Greatest.
        device: Torch device.

    Raises:
        UnsupportedError: `wrong-setting` when the text is none of these, the features are too many, or they need
        bounds
            and an observation has none.

    Source: Konidaris, Osentoski and Thomas, "Value Function Approximation in Reinforcement Learning using the Fourier
    Basis" (AAAI 2011), the coupled cosine basis; tile coding after Sutton and Barto (2018), section 9.5.4.

    Example:
        >>> features("fourier(1)", [0, 0], [1, 2]).of(torch.tensor([[1.0, 0.0]])).round(decimals=3)
        tensor([[ 1.,  1., -1., -1.,  1.]])
    """
    found = re.fullmatch(r"(\w+)(?:\(([\d,\s]*)\))?", text.strip())
    name = found[1] if found else ""
    numbers = [int(part) for part in ((found[2] if found else "") or "").split(",") if part.strip()]
    counts = {"fourier": 1, "tiles": 2, "random": 1, "raw": 0, "constant": 0}
    if name not in counts or len(numbers) != counts[name] or not all(numbers):
        hint = "There are fourier(3), tiles(5, 4), random(32), raw and constant."
        raise UnsupportedError(Problem("wrong-setting", f"there are no features '{text}'", hints=(hint,)))
    dims = len(low)
    size = {
        "fourier": lambda: (numbers[0] + 1) ** dims,
        "tiles": lambda: numbers[0] * numbers[1] ** dims,
        "random": lambda: numbers[0],
        "raw": lambda: dims,
        "constant": lambda: 0,
    }[name]()
    if size > MOST_FEATURES:
        hint = "Take a lower order, or random(64)."
        reason = f"{text} of {dims} numbers are {size} features; the limit is {MOST_FEATURES}"
        raise UnsupportedError(Problem("wrong-setting", reason, hints=(hint,)))
    if name == "constant":
        nothing, one = (0.0,) * dims, (1.0,) * dims
        return Features(1, lambda obs: torch.ones_like(obs[..., :1]), ("1",), nothing, one)
    bounds = np.array([low, high], float)
    if not np.isfinite(bounds).all() or (np.ptp(bounds, axis=0) > 1e3).any():
        if name in ("fourier", "tiles"):
            reason = f"{text} scales every number of the observation to [0, 1], and some have no bounds"
            hint = "Say them: --low and --high, a number for each part of the observation."
            raise UnsupportedError(Problem("wrong-setting", reason, hints=(hint,)))
        bounds = np.array([[0.0], [1.0]]).repeat(dims, axis=1)
    start = torch.tensor(bounds[0], dtype=torch.float32, device=device)
    span = torch.tensor(np.ptp(bounds, axis=0), dtype=torch.float32, device=device)
    made, said = _FEATURES[name](dims, numbers, device)

    def of(obs: Tensor) -> Tensor:
        return torch.cat([made((obs - start) / span), torch.ones_like(obs[..., :1])], dim=-1)

    return Features(size + 1, of, (*said, "1"), tuple(start.tolist()), tuple(span.tolist()))


Made = tuple[Callable[[Tensor], Tensor], list[str]]
"""Features of scaled numbers, and the same as expressions."""


def _fourier(dims: int, numbers: list[int], device: str) -> Made:
    every = list(itertools.product(range(numbers[0] + 1), repeat=dims))
    turns = math.pi * torch.tensor(every, dtype=torch.float32, device=device).T
    said = [" + ".join(f"{c} * blend_x{i}" for i, c in enumerate(row) if c) for row in every]
    return lambda x: torch.cos(x @ turns), [f"cos(pi * ({text}))" if text else "1" for text in said]


def _tiles(dims: int, numbers: list[int], device: str) -> Made:
    tilings, tiles = numbers
    shift = torch.arange(tilings, device=device).unsqueeze(1) / (tiles * tilings)
    places = torch.tensor([tiles**i for i in range(dims)], device=device)
    every = torch.arange(tiles**dims, device=device)

    def active(x: Tensor) -> Tensor:
        index = (((x.unsqueeze(-2) + shift) * tiles).floor().clamp(0, tiles - 1).long() * places).sum(-1)
        # Not `one_hot`, which looks at its values and so cannot stand under `torch.vmap`.
        return (index[..., None] == every).flatten(-2).to(x.dtype) / tilings

    def within(tiling: int, index: int) -> str:
        sides = []
        for i in range(dims):
            tile, moved = index // tiles**i % tiles, tiling / (tiles * tilings)
            sides += [f"blend_x{i} >= {tile / tiles - moved:.7g}"] if tile else []
            sides += [f"blend_x{i} < {(tile + 1) / tiles - moved:.7g}"] if tile < tiles - 1 else []
        return f"where({' and '.join(sides) or 'true'}, {1 / tilings:.7g}, 0)"

    return active, [within(t, i) for t in range(tilings) for i in range(tiles**dims)]


def _random(dims: int, numbers: list[int], device: str) -> Made:
    drawn, spread = torch.Generator().manual_seed(7), 1 / math.sqrt(dims)
    weight = ((torch.rand(dims, numbers[0], generator=drawn) * 2 - 1) * spread).to(device)
    bias = ((torch.rand(numbers[0], generator=drawn) * 2 - 1) * spread).to(device)
    said = [
        f"max(0, {b:.7g} + {' + '.join(f'{w:.7g} * blend_x{i}' for i, w in enumerate(row))})"
        for b, row in zip(bias.tolist(), weight.T.tolist(), strict=True)
    ]
    return lambda x: torch.relu(x @ weight + bias), said


def _raw(dims: int, numbers: list[int], device: str) -> Made:
    return lambda x: x, [f"blend_x{i}" for i in range(dims)]


_FEATURES = {"fourier": _fourier, "tiles": _tiles, "random": _random, "raw": _raw}


# -- policies ------------------------------------------------------------------------------------------------


class LinearPolicy:
    """A policy that is linear in features: a softmax over Discrete actions, a Gaussian of fixed spread over vectors.

    Attributes:
        size: P, the number of its weights.
        is_discrete: Which of the two.
    """

    def __init__(
        self, space: spaces.Space[Any], inputs: int, device: str = "cpu", spread: float = 0.1
    ) -> None:
        """Look at the action space.

        Args:
            space: `Discrete`, or `Box` of one axis with bounds.
            inputs: Features.
            device: Torch device.
            spread: Standard deviation of a Gaussian, in units of the action.

        Raises:
            UnsupportedError: `unfit-algorithm` for any other space.
        """
        self.is_discrete, self._spread = isinstance(space, spaces.Discrete), spread
        if isinstance(space, spaces.Discrete):
            self.actions, self._first = int(space.n), int(space.start)
        elif (
            isinstance(space, spaces.Box)
            and len(space.shape) == 1
            and bool(np.isfinite([space.low, space.high]).all())
        ):
            self.actions = space.shape[0]
            self._low = torch.as_tensor(space.low, device=device)
            self._high = torch.as_tensor(space.high, device=device)
        else:
            text = f"BARFI here chooses Discrete actions and vectors between bounds, not {space}"
            raise UnsupportedError(Problem("unfit-algorithm", text))
        self.inputs, self.size = inputs, inputs * self.actions

    def head(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return log-probabilities of all actions, or means, `[..., A]`, of features `[..., inputs]`.

        Weights `[P]` are for all of them, weights `[R, P]` each for its own of `[R, N, inputs]`.
        """
        scores = x @ theta.view(*theta.shape[:-1], self.inputs, self.actions)
        if self.is_discrete:
            return torch.log_softmax(scores, dim=-1)
        return self._low + (self._high - self._low) * torch.sigmoid(scores)

    def sample(self, head: Tensor, noise: Tensor) -> Tensor:
        """Return actions for noise `[..., A]`: uniform for Discrete (the Gumbel trick), else standard normal."""
        if self.is_discrete:
            return (head - torch.log(-torch.log(noise.clamp_min(1e-30)))).argmax(-1)
        return head + self._spread * noise

    def for_environment(self, action: Tensor) -> Tensor:
        """Return actions as the environment takes them."""
        return action + self._first if self.is_discrete else torch.clamp(action, self._low, self._high)

    def judge(self, theta: Tensor, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probability of the actions and entropy, both `[...]`."""
        head = self.head(theta, x)
        if self.is_discrete:
            chosen = head.gather(-1, action.unsqueeze(-1)).squeeze(-1)
            return chosen, -(head.exp() * head).sum(-1)
        away = ((action - head) / self._spread).square().sum(-1)
        constant = self.actions * (math.log(self._spread) + 0.5 * math.log(2 * math.pi))
        return -0.5 * away - constant, torch.full_like(away, constant + 0.5 * self.actions)


# -- rewards and objectives ----------------------------------------------------------------------------------


def rewards_to_go(reward: Tensor, gamma: Tensor | float) -> Tensor:
    """Return `G_t = sum_{j >= t} gamma^(j-t) r_j` along the last axis, in log2(T) operations; gamma may be learnt.

    Example:
        >>> rewards_to_go(torch.tensor([[1.0, 1.0, 4.0]]), 0.5)
        tensor([[2.5000, 3.0000, 4.0000]])
    """
    reach, steps = 1, reward.shape[-1]
    while reach < steps:
        reward = reward + gamma * torch.nn.functional.pad(reward[..., reach:], (0, reach))
        gamma, reach = gamma * gamma, 2 * reach
    return reward


@dataclass(frozen=True)
class Blend:
    """How weights become a reward.

    Attributes:
        hints: Names of the hints.
        learnt: Which weights there are: `bias`, `primary`, `auxiliary` (one for each hint). What is left out has the
            weight 1, a bias 0.
    """

    hints: tuple[str, ...]
    learnt: tuple[LearntTerm, ...] = ("bias", "primary", "auxiliary")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the weights, in the order of phi's columns."""
        found: list[str] = []
        for term in self.learnt:
            found.extend(self.hints if term == "auxiliary" else (term,))
        return tuple(found)

    def weights(self, phi: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return bias and weight of the primary `[...]` and of the hints `[..., M]`, for features `[..., F]`."""
        said = dict(zip(self.columns, (z @ phi).unbind(-1), strict=True))
        one = torch.ones_like(z[..., 0])
        hints = torch.stack([said.get(name, one) for name in self.hints], dim=-1)
        return said.get("bias", torch.zeros_like(one)), said.get("primary", one), hints

    def reward(self, phi: Tensor, z: Tensor, primary: Tensor, hints: Tensor) -> Tensor:
        """Return the blended reward `[...]`."""
        bias, main, others = self.weights(phi, z)
        return bias + main * primary + (others * hints).sum(-1)


def policy_objective(
    policy: LinearPolicy, theta: Tensor, x: Tensor, batch: Batch, returns: Tensor, entropy: float
) -> Tensor:
    """Return what the policy gradient climbs, a scalar: mean of log pi(a|s) G over all slots of time, and entropy.

    The mean is over the padded horizon, so short episodes count less; adaptive optimisers take the scale out. The
    entropy is the mean over the steps that were taken. Data of older policies get no importance weights: the method is
    meant to absorb that.
    """
    mask = batch["mask"]
    chosen, spread = policy.judge(theta, x, batch["action"])
    value = (mask * chosen * returns).mean()
    return value + entropy * (mask * spread).sum() / mask.sum().clamp_min(1.0) if entropy else value


# -- optimisers ----------------------------------------------------------------------------------------------

TINY = 1e-16
"""Added under a square root, so that it has a slope at zero."""


def ascend(
    kind: Literal["rmsprop", "adam"], rate: float, x: Tensor, slope: Tensor, memory: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take one step up; return the new point and what is remembered: see `fresh`.

    Source: RMSprop as in PyTorch (decay 0.99); Kingma and Ba, "Adam" (ICLR 2015), algorithm 1.
    """
    if kind == "rmsprop":
        square = 0.99 * memory[0] + 0.01 * slope * slope
        return x + rate * slope / ((square + TINY).sqrt() + 1e-8), (square,)
    first, square, count = (
        0.9 * memory[0] + 0.1 * slope,
        0.999 * memory[1] + 0.001 * slope * slope,
        memory[2] + 1,
    )
    scaled = first / (1 - 0.9**count)
    return x + rate * scaled / ((square / (1 - 0.999**count) + TINY).sqrt() + 1e-8), (first, square, count)


def fresh(kind: Literal["rmsprop", "adam"], x: Tensor) -> tuple[Tensor, ...]:
    """Return what an optimiser remembers before its first step."""
    zeros = torch.zeros_like(x)
    return (zeros,) if kind == "rmsprop" else (zeros, zeros.clone(), torch.zeros((), device=x.device))
