"""Episodes of R learners side by side: played at once in one batch of worlds, and the newest of them kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agents.blend import Batch, Features, LinearPolicy
from agents.blend_worlds import Parts
from agents.device import Memory
from rewardspec.wrappers.tensor import TensorWrapper

KEPT = "stored."
"""Begins the names of what is kept, in a learner's memory."""


class Stage:
    """Worlds in which R policies play, `n_envs` episodes each.

    Attributes:
        worlds: `R * n_envs` environments, in which each part of the blend is paid as a term of its own.
        inputs: Names of the terms that tell what the blend's weights are made of; empty for the observation.
    """

    def __init__(
        self,
        worlds: TensorWrapper,
        parts: Parts,
        policy: LinearPolicy,
        seen: Features,
        shape: tuple[int, int],
        horizon: int,
    ) -> None:
        """Set it up.

        Args:
            worlds: See the class.
            parts: Which of their terms is which.
            policy: How weights become actions.
            seen: What the policy is linear in.
            shape: (R, n_envs).
            horizon: Steps of an episode at most.
        """
        self.worlds, self._parts, self._policy, self._seen = worlds, parts, policy, seen
        self._shape, self._horizon = shape, horizon
        self.inputs = [t.name for t in worlds.program.terms if t.kind == "input"] if parts.inputs else []
        space: Any = worlds.env.single_observation_space
        self.dims: int = space.shape[0]

    def room(self, episodes: int, device: str) -> Memory:
        """Return zeros for so many episodes of each learner, `[R, episodes, T, ...]` by name."""
        room = (self._shape[0], episodes, self._horizon)
        acted = () if self._policy.is_discrete else (self._policy.actions,)
        kind = torch.int64 if self._policy.is_discrete else torch.float32
        widths = {"obs": (self.dims,), "primary": (), "hints": (len(self._parts.hints),), "mask": ()}
        if self.inputs:
            widths["inputs"] = (len(self.inputs),)
        made = {KEPT + name: torch.zeros(*room, *width, device=device) for name, width in widths.items()}
        return {**made, KEPT + "action": torch.zeros(*room, *acted, dtype=kind, device=device)}

    def play(self, theta: Tensor) -> Batch:
        """Return one episode of each environment, of policies with weights `[R, P]`: `[R, n_envs, T, ...]`."""
        policy, worlds = self._policy, self.worlds
        obs = self._bare(worlds.reset())
        playing = torch.ones(len(obs), device=obs.device)
        steps: list[Batch] = []
        for t in range(self._horizon):
            x = self._seen.of(obs).view(*self._shape, -1)
            head = policy.head(theta, x)
            noise = torch.rand_like(head) if policy.is_discrete else torch.randn_like(head)
            action = policy.sample(head, noise).flatten(0, 1)
            extended, _, terminated, truncated, infos = worlds.step(policy.for_environment(action))
            terms = infos["terms"]
            hints = torch.stack([terms[name] for name in self._parts.hints.values()], dim=1)
            primary = terms[self._parts.primary] * playing
            step = {"obs": obs, "action": action, "primary": primary, "mask": playing}
            step["hints"] = hints * playing[:, None]
            if self.inputs:
                step["inputs"] = torch.stack([terms[name] for name in self.inputs], dim=1)
            steps.append(step)
            playing = playing * (~(terminated | truncated)).to(playing.dtype)
            obs = self._bare(extended)
            if t % 8 == 7 and not bool(playing.any()):  # a look waits for the device
                break
        rest = self._horizon - len(steps)
        whole = {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]}
        return {name: _padded(part, rest).unflatten(0, self._shape) for name, part in whole.items()}

    def _bare(self, extended: Any) -> Tensor:
        """Return the environment's own observation: memory that a spec adds to it is left out."""
        whole = extended["obs"] if isinstance(extended, dict) else extended
        seen: Tensor = whole[:, : self.dims]
        return seen


def kept(memory: Memory, index: Tensor) -> Batch:
    """Return kept episodes `[R, N, T, ...]` by their places `[R, N]`."""
    rows = torch.arange(len(index), device=index.device)[:, None]
    return {
        name.removeprefix(KEPT): part[rows, index] for name, part in memory.items() if name.startswith(KEPT)
    }


def keep(memory: Memory, episodes: Batch, first: int) -> None:
    """Put episodes `[R, n, ...]` into the memory, the `first` of all and those after it; the oldest make room."""
    room, count = memory[KEPT + "mask"].shape[1], episodes["mask"].shape[1]
    places = torch.arange(first, first + count, device=episodes["mask"].device) % room
    for name, part in episodes.items():
        memory[KEPT + name][:, places] = part


def newest(memory: Memory, done: int, count: int) -> Batch:
    """Return the newest `count` of `done` episodes, or all that are kept, `[R, N, T, ...]`."""
    mask = memory[KEPT + "mask"]
    places = torch.arange(max(0, done - min(count, mask.shape[1])), done, device=mask.device) % mask.shape[1]
    return kept(memory, places.expand(len(mask), -1))


def _padded(part: Tensor, rest: int) -> Tensor:
    """Return `[B, T, ...]` with `rest` slots of zeros more."""
    if not rest:
        return part
    return torch.cat([part, part.new_zeros(len(part), rest, *part.shape[2:])], dim=1)
