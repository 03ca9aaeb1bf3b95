"""Random numbers from a counter: uniform, other for each lane, draw and seed, and always the same for the same."""

from __future__ import annotations

import torch

from rewardspec.tabular.draws import as_unit, begin_lanes, draw_bits, scatter_bits

LANES = 4096


def drawn(seed: int, times: int = 1) -> torch.Tensor:
    lane, draws = begin_lanes(torch.arange(LANES), seed), torch.zeros((), dtype=torch.int64)
    rows = [as_unit(draw_bits(lane, draws)) for _ in range(times)]
    assert int(draws) == times
    return torch.stack(rows)


def test_numbers_are_uniform_and_lanes_draws_and_seeds_have_nothing_to_do_with_each_other() -> None:
    """Of 4096 numbers the mean is within 4 standard errors (0.018) of a half; correlations (0.0625) of 0."""
    first, second, third = drawn(0, times=3)
    other = drawn(1)[0]
    for row in (first, second, third, other):
        assert abs(float(row.mean()) - 0.5) < 0.018
        assert float(row.min()) >= 0.0 and float(row.max()) < 1.0
    pairs = [(first, second), (second, third), (first, other), (first[1:], first[:-1])]
    for one, two in pairs:
        assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.0625


def test_a_seed_draws_the_same_again() -> None:
    assert torch.equal(drawn(7, times=3), drawn(7, times=3))


def test_scattering_is_one_to_one_and_that_of_splitmix64() -> None:
    """From seed 0 the published generator gives its finaliser of 1, 2, ... times 2^64 / golden ratio."""
    assert len(torch.unique(scatter_bits(torch.arange(LANES)))) == LANES
    golden = torch.tensor([1, 2]) * -7046029254386353131
    said = [int(bits) % 2**64 for bits in scatter_bits(golden)]
    assert said == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
