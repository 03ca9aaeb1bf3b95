"""What was not finite first in each of B environments, noticed in tensors without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rewardspec.backends import torch_ops
from rewardspec.backends.torch_ops import compared
from rewardspec.errors import NonFiniteRewardError, Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout
from rewardspec.ir.show import show_field

if TYPE_CHECKING:
    from torch import Tensor

MANY = 127
"""Codes that a byte holds."""

LARGEST = 3.4e38
"""Numbers below are finite as float32."""


class Watch:
    """Remembers the first step on which a term of an environment was not finite, or a value that it reads was NaN.

    What a table pays is finite and not asked after, an own reward that is a term is asked as that, and of each
    environment a byte and a step are remembered. On a CPU a look costs nothing: there a step on which all is well, in
    every environment, is only counted.

    Attributes:
        broken: `[B]` int8 (int32 where there are many codes): 0 while all was well, then the code of what was bad. The
            terms' codes begin at 1, those of the fields that are read come next.
        steps: `[B]` int32: steps of the present episode; once an environment is broken, the step on which it was.
    """

    def __init__(self, layout: Layout, fields: Sequence[ir.Field], batch: int, device: Any) -> None:
        """Begin to watch.

        Args:
            layout: The program bound to spaces.
            fields: What is read, in the order of the values that `note` is given.
            batch: B.
            device: Torch device.
        """
        import torch

        self._torch, self._all = torch, layout.program.terms
        pays_own = any(isinstance(term.expr, ir.Field) and term.expr.root == "reward" for term in self._all)
        roots = ("obs", "action", "next_obs", *(() if pays_own else ("reward",)))
        read = [i for i, field in enumerate(fields) if field.root in roots]
        self._terms = [
            (code, i) for code, i in enumerate(range(len(self._all)), 1) if not _is_finite(self._all[i].expr)
        ]
        self._fields, self._all_fields = list(enumerate(read, 1 + len(self._all))), fields
        kind = torch.int8 if len(self._all) + len(read) <= MANY else torch.int32
        self.broken = torch.zeros(batch, dtype=kind, device=device)
        self.steps = torch.zeros(batch, dtype=torch.int32, device=device)

    def begin(self) -> None:
        """Begin new episodes everywhere."""
        self.steps.mul_(self.broken != 0)

    def is_well(self, reward: Tensor, values: Sequence[Tensor]) -> bool:
        """Return whether all is well in every environment and was before, where that can be seen without waiting.

        Args:
            reward: `[B]`, the sum of the terms: it is finite only where each of them is.
            values: As of `note`.
        """
        if not torch_ops.is_at_hand(self.broken.device) or self.broken.amax().item():
            return False
        fields = [values[i] for _, i in self._fields]
        return all(math.isfinite(extreme.item()) for extreme in reward.aminmax()) and not any(
            value.is_floating_point() and math.isnan(value.amax().item()) for value in fields
        )

    def count(self, going: Tensor) -> None:
        """Count a step on which all is well; `going` is `[B]` bool."""
        self.steps.add_(1).mul_(going)

    def note(self, terms: Sequence[Tensor], values: Sequence[Tensor], ended: Tensor) -> None:
        """Note a step, whether all is well or not.

        Args:
            terms: What each term paid, `[B]`.
            values: What the program read, `[B, ...]`, in the order of `fields`.
            ended: `[B]` bool: where the episode ended with the step.
        """
        torch, found = self._torch, None
        for code, bad in self._looked_at(terms, values):
            codes = bad.to(torch.int32) * code
            # The highest counts: a NaN that was read explains a term's.
            found = codes if found is None else torch.maximum(found, codes)
        broken = self.broken.to(torch.int32)
        if found is not None:
            broken = broken + found * compared(torch.eq, broken, 0)
            self.broken.copy_(broken)
        is_fine = compared(torch.eq, broken, 0)
        self.steps.add_(is_fine).mul_(compared(torch.eq, is_fine * ended, 0))

    def _looked_at(self, terms: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[tuple[int, Tensor]]:
        """Give the code of each term and field that can be bad, with `[B]`: not 0 where it is."""
        ne = self._torch.ne
        for code, i in self._terms:
            yield code, compared(ne, terms[i] - terms[i], 0)  # infinity - infinity is NaN, too
        for code, i in self._fields:
            if values[i].is_floating_point():
                is_nan = compared(ne, values[i], values[i])
                yield code, is_nan.flatten(1).amax(dim=1) if is_nan.ndim > 1 else is_nan

    def check(self) -> None:
        """Wait for the device and raise if something was bad.

        Raises:
            NonFiniteRewardError: With the term or the value, the environment and the step of its episode.
        """
        broken = self.broken.cpu().numpy()
        if not broken.any():
            return
        row = int(np.flatnonzero(broken == broken.max())[-1])
        code, step = int(broken[row]), int(self.steps[row])
        if code > len(self._all):
            field = self._all_fields[dict(self._fields)[code]]
            text = f"environment {row}: {show_field(field)} was NaN at step {step} of the episode"
            hint = "A NaN makes every comparison false without a word; mend the environment."
            raise NonFiniteRewardError(Problem("nan-observation", text, field.place, (hint,)))
        term = self._all[code - 1]
        text = f"environment {row}: the term '{term.name}' was not finite at step {step} of the episode"
        hint = "The step was paid as 0. Guard the term, as in where(x > 0, log(x), 0), or clip what it reads."
        raise NonFiniteRewardError(Problem("non-finite-reward", text, term.place, (hint,)))


def _is_finite(expr: ir.Expr) -> bool:
    """Return whether an expression is finite whatever it reads: constants and tables of them are, in either type."""
    if isinstance(expr, ir.Const):
        return abs(expr.value) < LARGEST
    return isinstance(expr, ir.StateTable | ir.OutputTable) and all(abs(v) < LARGEST for v in expr.values)
