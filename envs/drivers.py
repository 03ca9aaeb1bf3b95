"""Drivers for the road of `envs/overtaking.py` that nobody learns from: what a trained one is tried against.

Each is a function of observations `[B, 9]`, of a number per driver `[B]` drawn once for an episode, and of one drawn
for the step, both uniform in [0, 1); it returns actions `[B]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from envs.overtaking import BRAKE, KEEP, OVERTAKE

if TYPE_CHECKING:
    from torch import Tensor

Driver = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]


def _passed(obs: Tensor) -> Tensor:
    """Return whether the other car is behind."""
    return obs[:, 3] < 0.0


def _choose(holds: Tensor, this: int | Tensor, that: int | Tensor) -> Tensor:
    import torch

    return torch.where(holds, this, that)


def daring(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Overtake, whatever comes."""
    return _choose(obs[:, 0] >= 0.0, OVERTAKE, KEEP)


def patient(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Stay behind the lorry until the other car is past."""
    return _choose(_passed(obs), OVERTAKE, KEEP)


def cautious(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Overtake, but brake and fall back while the other car is in the middle and the lorry is not passed."""
    yields = (obs[:, 5] > 0.0) & (obs[:, 2] > -0.1) & ~_passed(obs)
    return _choose(yields, BRAKE, OVERTAKE)


def fickle(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Be daring in two episodes of five, patient in the others."""
    return _choose(episode < 0.4, OVERTAKE, patient(obs, episode, step))


def far_sighted(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Begin to overtake only while the other is more than 110 m away and in its lane; then go through with it."""
    begins = (obs[:, 3] > 110.0 / 150.0) & (obs[:, 5] == 0.0)
    return _choose(begins | (obs[:, 1] > 0.0) | _passed(obs), OVERTAKE, KEEP)


def sleepy(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Be cautious, but take a second or so to see: go on as before in half of the steps."""
    goes_on = _choose(obs[:, 1] > 0.0, OVERTAKE, KEEP)
    return _choose(step < 0.5, goes_on, cautious(obs, episode, step))


def late(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Pull out at a moment that was drawn for the episode, within the first half of it, and stay out."""
    return _choose((obs[:, 8] >= 0.5 * episode) | _passed(obs), OVERTAKE, KEEP)


def clumsy(obs: Tensor, episode: Tensor, step: Tensor) -> Tensor:
    """Be patient, with an action in ten drawn at random."""
    slip = (step * 30.0).long() % 3
    return _choose(step < 0.1, slip, patient(obs, episode, step))


DRIVERS: dict[str, Driver] = {
    "daring": daring,
    "patient": patient,
    "cautious": cautious,
    "fickle": fickle,
    "far_sighted": far_sighted,
    "sleepy": sleepy,
    "late": late,
    "clumsy": clumsy,
}
"""By name."""
