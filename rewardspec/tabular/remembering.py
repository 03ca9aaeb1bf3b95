"""What environments on a device remember from step to step: copied out for a checkpoint, and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Remembering:
    """Environments on a device that remember the tensors of `_memory`, and nothing else."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of what the environments remember, for a checkpoint."""
        return {name: memory.clone() for name, memory in self._memory().items()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave; the memory keeps its addresses."""
        for name, memory in self._memory().items():
            memory.copy_(saved[name])

    def _memory(self) -> dict[str, Tensor]:
        """Return the tensors that change from step to step, by name."""
        raise NotImplementedError
