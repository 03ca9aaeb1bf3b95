"""Random numbers on a device that come from a counter: a hash of a seed, a lane and how often it was drawn.

There is no generator whose state had to be kept apart or registered: what is drawn depends on two tensors, so a CUDA
graph can capture it, a checkpoint holds it as plain numbers, and one seed draws the same on every device.

Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014 (SplitMix64).
"""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN = -7046029254386353131
"""2^64 / golden ratio, as a signed number: by how much a lane's counter moves on with each draw."""


def begin_lanes(lanes: Tensor, seed: int) -> Tensor:
    """Return int64 numbers, one for each lane, from which its draws begin.

    Args:
        lanes: Whole numbers from 0 on, each once, in any shape: one for every number that is drawn at a time.
        seed: Seeds all of them.

    Example:
        >>> lane, draws = begin_lanes(torch.arange(3), seed=0), torch.zeros((), dtype=torch.int64)
        >>> [round(u, 3) for u in as_unit(draw_bits(lane, draws)).tolist()]
        [0.256, 0.396, 0.146]
        >>> [round(u, 3) for u in as_unit(draw_bits(lane, draws)).tolist()]
        [0.088, 0.271, 0.947]
    """
    return scatter_bits(scatter_bits(lanes + 1) + (seed & 0x7FFFFFFFFFFFFFFF))


def draw_bits(lane: Tensor, draws: Tensor) -> Tensor:
    """Return 64 random bits for each lane as int64; `draws`, a number, is counted on in place."""
    draws.add_(1)
    return scatter_bits(lane + draws * GOLDEN)


def as_unit(bits: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the upper 24 of each lane's bits as a number, uniform in [0, 1)."""
    return (bits >> 40 & 0xFFFFFF).to(dtype) * 2.0**-24


def scatter_bits(bits: Tensor) -> Tensor:
    """Return int64 numbers scattered, one to one: neighbours get bits that have nothing to do with each other.

    It is the finaliser of SplitMix64; a shift to the right fills with zeros there, so what int64 fills is masked.
    """
    bits = (bits ^ (bits >> 30 & 0x3FFFFFFFF)) * -4658895280553007687
    bits = (bits ^ (bits >> 27 & 0x1FFFFFFFFF)) * -7723592293110705685
    return bits ^ (bits >> 31 & 0x1FFFFFFFF)
