"""What environments on a device remember from step to step: copied out for a checkpoint, and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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


class RememberingWrapper(Remembering):
    """A wrapper that has a memory beside that of its environments, and keeps the observation before the step.

    Attributes:
        env: The environments.
    """

    env: Any
    _reads_obs: bool
    """Whether the observation before the step is read, and so kept."""
    _obs: Any

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that changes from step to step, the environments' own memory included."""
        own = super().state_dict()
        return own | {f"env.{name}": memory for name, memory in memory_of(self.env).items()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave; the memory keeps its addresses. Call it after `reset`."""
        super().load_state_dict(saved)
        recall(self.env, {name[4:]: memory for name, memory in saved.items() if name.startswith("env.")})

    def _remember(self, obs: Any) -> None:
        """Keep an observation, at the same addresses as the one before it."""
        if not self._reads_obs:
            return
        if self._obs is None:
            self._obs = {k: v.clone() for k, v in obs.items()} if isinstance(obs, Mapping) else obs.clone()
        elif isinstance(obs, Mapping):
            for key, part in obs.items():
                self._obs[key].copy_(part)
        else:
            self._obs.copy_(obs)

    def _remembered(self) -> dict[str, Tensor]:
        """Return the parts of the observation that is kept, by name."""
        obs = self._obs if isinstance(self._obs, Mapping) else {} if self._obs is None else {"": self._obs}
        return {f"obs.{key}": part for key, part in obs.items()}


def memory_of(tenv: Any) -> dict[str, Tensor]:
    """Return copies of what environments remember: their `state_dict()`, or else every tensor that they hold."""
    if hasattr(tenv, "state_dict"):
        saved: dict[str, Tensor] = tenv.state_dict()
        return saved
    return {name: memory.clone() for name, memory in tensors_of(tenv).items()}


def recall(tenv: Any, saved: Mapping[str, Tensor]) -> None:
    """Give environments back what `memory_of` told."""
    if hasattr(tenv, "load_state_dict"):
        tenv.load_state_dict(saved)
        return
    for name, memory in saved.items():
        setattr(tenv, name, getattr(tenv, name).copy_(memory))


def tensors_of(tenv: Any) -> dict[str, Tensor]:
    """Return the tensors that environments hold, by the attribute's name."""
    import torch

    return {name: value for name, value in vars(tenv).items() if isinstance(value, torch.Tensor)}
