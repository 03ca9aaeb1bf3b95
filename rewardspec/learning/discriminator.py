"""How much likelier a step is under one policy than under another, learned from steps of both; and divergences by it.

A network d(x) that tells steps of a policy from steps of a reference by logistic regression has its optimum at
d = log(mu_policy / mu_reference), the logarithm of the ratio of occupancies. From there chi2, KL and total variation
are means over the steps. What neither saw is not in them, and a ratio beyond the number of steps seen cannot be told.

Source: I. Goodfellow et al., "Generative Adversarial Nets" (2014), proposition 1, with the logit in place of the
probability; for occupancies Laidlaw et al., "Correlated Proxies" (ICLR 2025), section 4, and their network: two hidden
layers of 256 with leaky rectifiers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rewardspec.errors import missing_extra

if TYPE_CHECKING:
    from torch import Tensor

SLOPE = 0.01
"""Of the rectifiers, below 0."""


@dataclass(frozen=True)
class Divergences:
    """Estimates of how far a policy is from a reference.

    Attributes:
        chi2: E_policy[e^d - 1]; at least -1, and below 0 by error alone.
        kl: E_policy[d].
        tv: Mean of |tanh(d / 2)| over the steps of both alike: |p - q| / (p + q), so never above 1.
        outside: Share of the policy's steps whose ratio is above `most`: as good as unseen by the reference.
    """

    chi2: float
    kl: float
    tv: float
    outside: float


class Discriminator:
    """A network that tells steps of a policy from steps of a reference.

    Attributes:
        memory: All that learning changes, as tensors that keep their addresses: `weights`, Adam's `first` and
            `second` moments and the number of `updates`.

    Example: two dice, one of which shows its first face more often.
        >>> import torch
        >>> faces = torch.eye(2)
        >>> told = Discriminator(2, hidden=(16,), learning_rate=0.01)
        >>> _ = told.fit(faces, faces, torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5]), steps=300)
        >>> [round(float(ratio), 1) for ratio in told(faces).exp()]
        [1.6, 0.4]
    """

    def __init__(
        self,
        inputs: int,
        *,
        hidden: tuple[int, ...] = (256, 256),
        learning_rate: float = 1e-3,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        """Begin with d = 0 everywhere.

        Args:
            inputs: Numbers of a step.
            hidden: Units of the hidden layers.
            learning_rate: Of Adam.
            seed: Of the first weights.
            device: Torch device.

        Raises:
            MissingExtraError: Without torch.
        """
        try:
            import torch
        except ImportError:
            raise missing_extra("torch", "torch", "a discriminator") from None
        self._torch, self.learning_rate = torch, learning_rate
        sizes = (inputs, *hidden, 1)
        self._shapes = [s for a, b in pairwise(sizes) for s in ((a, b), (b,))]
        numbers = torch.Generator().manual_seed(seed)
        parts = []
        for i, shape in enumerate(self._shapes):
            is_matrix = len(shape) == 2 and i < len(self._shapes) - 2  # the last layer begins with 0
            spread = math.sqrt(2.0 / shape[0]) if is_matrix else 0.0
            parts.append((torch.randn(shape, generator=numbers) * spread).flatten())
        weights = torch.cat(parts).to(device)
        self.memory = {
            "weights": weights,
            "first": torch.zeros_like(weights),
            "second": torch.zeros_like(weights),
            "updates": torch.zeros((), device=device),
        }

    def __call__(self, x: Tensor) -> Tensor:
        """Return d `[N]` of steps `[N, inputs]`."""
        return self._d(self.memory["weights"], x)

    def _d(self, weights: Tensor, x: Tensor) -> Tensor:
        parts: Any = self._torch.split(weights, [math.prod(shape) for shape in self._shapes])
        for i in range(0, len(parts), 2):
            x = self._torch.addmm(parts[i + 1], x, parts[i].view(self._shapes[i]))
            if i + 2 < len(parts):
                x = self._torch.nn.functional.leaky_relu(x, SLOPE)
        return x.squeeze(1)

    def loss(
        self, weights: Tensor, policy: Tensor, reference: Tensor, of_policy: Tensor, of_reference: Tensor
    ) -> Tensor:
        """Return mean softplus(-d) over the policy's steps plus mean softplus(d) over the reference's, by weight."""
        softplus = self._torch.nn.functional.softplus
        d = self._d(weights, self._torch.cat([policy, reference]))
        ours, theirs = d[: len(policy)], d[len(policy) :]
        return (of_policy * softplus(-ours)).sum() / of_policy.sum() + (
            of_reference * softplus(theirs)
        ).sum() / of_reference.sum()

    def fit(
        self,
        policy: Tensor,
        reference: Tensor,
        of_policy: Tensor | None = None,
        of_reference: Tensor | None = None,
        *,
        steps: int = 100,
        rows: int | None = None,
    ) -> Tensor:
        """Take steps of Adam on the loss; return the last one's loss, a tensor.

        Args:
            policy: `[N, inputs]`, steps of the policy.
            reference: `[M, inputs]`, steps of the reference.
            of_policy: `[N]`, how much each counts; alike without.
            of_reference: `[M]`.
            steps: How many.
            rows: Rows of either that a step looks at, drawn at random; all without.
        """
        torch = self._torch
        of_policy = torch.ones_like(policy[:, 0]) if of_policy is None else of_policy
        of_reference = torch.ones_like(reference[:, 0]) if of_reference is None else of_reference
        slope: Any = torch.func.grad_and_value(self.loss)
        told: Tensor = torch.zeros((), device=policy.device)
        for _ in range(steps):
            batch = (policy, reference, of_policy, of_reference)
            if rows is not None and rows < max(len(policy), len(reference)):
                ours = torch.randint(len(policy), (min(rows, len(policy)),), device=policy.device)
                theirs = torch.randint(len(reference), (min(rows, len(reference)),), device=policy.device)
                batch = (policy[ours], reference[theirs], of_policy[ours], of_reference[theirs])
            gradient, told = slope(self.memory["weights"], *batch)
            self._step(gradient)
        return told

    def _step(self, gradient: Tensor) -> None:
        """Take a step of Adam. Source: Kingma and Ba (ICLR 2015), algorithm 1."""
        memory = self.memory
        memory["updates"].add_(1)
        memory["first"].lerp_(gradient, 0.1)
        memory["second"].lerp_(gradient * gradient, 0.001)
        first = memory["first"] / (1 - 0.9 ** memory["updates"])
        second = memory["second"] / (1 - 0.999 ** memory["updates"])
        memory["weights"].sub_(self.learning_rate * first / (second.sqrt() + 1e-8))


def divergences(
    d_policy: Tensor,
    d_reference: Tensor,
    of_policy: Tensor,
    of_reference: Tensor,
    *,
    most: float = math.inf,
) -> Divergences:
    """Return the divergences that d says, by weight.

    Args:
        d_policy: `[N]`, d on steps of the policy.
        d_reference: `[M]`, on steps of the reference.
        of_policy: `[N]`, how much each counts.
        of_reference: `[M]`.
        most: Ratio above which a step counts as outside the reference's support.

    Example: with d = 0 the two are the same.
        >>> import torch
        >>> divergences(torch.zeros(3), torch.zeros(3), torch.ones(3), torch.ones(3))
        Divergences(chi2=0.0, kl=0.0, tv=0.0, outside=0.0)
    """
    ours, theirs = of_policy / of_policy.sum(), of_reference / of_reference.sum()
    return Divergences(
        float((ours * (d_policy.exp() - 1.0)).sum()),
        float((ours * d_policy).sum()),
        0.5
        * float((ours * (d_policy / 2).tanh().abs()).sum() + (theirs * (d_reference / 2).tanh().abs()).sum()),
        float((ours * (d_policy > math.log(most))).sum()) if math.isfinite(most) else 0.0,
    )
