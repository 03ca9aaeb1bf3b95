"""Set functions: gains sum to the value by definition, repeats pay nothing, backends agree, mistakes are told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.sets.check import Counterexample, find_counterexample
from rewardspec.sets.coverage import Coverage, FacilityLocation
from rewardspec.sets.family import SetFunction, Sets
from rewardspec.sets.ground import Grid, around
from rewardspec.sets.information import LogDet, diversity, entropy, information
from rewardspec.sets.modular import Modular
from rewardspec.sets.processes import KERNELS, covariance, posterior, sample
from rewardspec.sets.saturating import SaturatedSum, collection
from tests.sets import direct

Case = tuple[SetFunction, Callable[[Any], float]]


def draw_coverage(rng: np.random.Generator) -> Case:
    n, cells = int(rng.integers(1, 8)), int(rng.integers(1, 10))
    members = [rng.choice(cells, rng.integers(0, cells + 1)).tolist() for _ in range(n)]
    weights = rng.uniform(0, 3, cells).round(2)
    return Coverage(members, weights), lambda items: direct.coverage(members, weights, items)


def draw_facility(rng: np.random.Generator) -> Case:
    service = rng.uniform(0, 3, (rng.integers(1, 8), rng.integers(1, 6))).round(2)
    return FacilityLocation(service), lambda items: direct.facility_location(service, items)


def draw_saturated(rng: np.random.Generator) -> Case:
    amounts = rng.uniform(0, 3, (rng.integers(1, 8), rng.integers(1, 5))).round(2)
    caps = rng.uniform(0, 6, amounts.shape[1]).round(2)
    return SaturatedSum(amounts, caps), lambda items: direct.saturated_sum(amounts, caps, items)


def draw_collection(rng: np.random.Generator) -> Case:
    kinds, caps = rng.integers(-1, 3, rng.integers(1, 9)).tolist(), rng.integers(0, 4, 3).tolist()
    held = [[float(kind == k) for k in range(3)] for kind in kinds]
    return collection(kinds, caps), lambda items: direct.saturated_sum(held, caps, items)


def draw_information(rng: np.random.Generator) -> Case:
    places, noise = rng.uniform(0, 3, (int(rng.integers(1, 9)), 2)), float(rng.choice([1e-3, 0.1, 1.0]))
    kernel = covariance(places, KERNELS[int(rng.integers(len(KERNELS)))])
    return information(kernel, noise), lambda items: 0.5 * direct.log_det(kernel.tolist(), noise, items)


def draw_diversity(rng: np.random.Generator) -> Case:
    features = rng.standard_normal((int(rng.integers(1, 8)), 3))
    kernel = features @ features.T
    return diversity(kernel), lambda items: direct.log_det(kernel.tolist(), 1.0, items)


FAMILIES = {
    "coverage": draw_coverage,
    "facility location": draw_facility,
    "saturated sum": draw_saturated,
    "collection": draw_collection,
    "information": draw_information,
    "diversity": draw_diversity,
}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_gains_sum_to_the_value_by_definition(family: str, backend: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    function, value = FAMILIES[family](rng)
    sets, batch = Sets(function, backend), 3
    anew = Sets(function, backend, in_place=True)
    items = rng.integers(-1, function.size, (batch, 10))  # -1 is nothing
    given: Any = torch.as_tensor(items) if backend == "torch" else items
    state, total, own = sets.start(batch), np.zeros(batch), anew.start(batch)
    for t in range(items.shape[1]):
        told = np.asarray(sets.gain(state, given[:, t]))
        gained, state = sets.advance(state, given[:, t])
        assert np.allclose(np.asarray(gained), told, atol=1e-12)
        same, own = anew.advance(own, given[:, t])
        assert (np.asarray(same) == np.asarray(gained)).all()
        total += np.asarray(gained)
        for b in range(batch):
            assert total[b] == pytest.approx(value([i for i in items[b, : t + 1] if i >= 0]), abs=1e-6)
        # What is there already gains nothing.
        assert np.asarray(sets.gain(state, given[:, t])) == pytest.approx(np.zeros(batch), abs=1e-9)
    summary = np.asarray(sets.summary(state))
    assert summary.shape[0] == batch and (summary >= 0).all() and (summary <= 1).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_random_sets_show_no_counterexample(family: str, seed: int) -> None:
    function, _ = FAMILIES[family](np.random.default_rng(seed))
    assert find_counterexample(function, trials=200, seed=seed) is None


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_sets_begin_anew_where_the_mask_holds(backend: Any) -> None:
    for family, draw in FAMILIES.items():
        function, _ = draw(np.random.default_rng(5))
        sets = Sets(function, backend)
        zero: Any = torch.zeros(2, dtype=torch.int64) if backend == "torch" else np.zeros(2, np.int64)
        before, state = sets.start(2), sets.add(sets.start(2), zero)
        mask: Any = torch.tensor([True, False]) if backend == "torch" else np.array([True, False])
        after = sets.reset(state, mask)
        for fresh, kept, part in zip(before, state, after, strict=True):
            assert (part[0] == fresh[0]).all() and (part[1] == kept[1]).all(), family


def test_all_gains_at_once() -> None:
    sets = Sets(Coverage([[0, 1], [1, 2], [3]], [1, 2, 4, 8]))
    state = sets.add(sets.start(2), np.array([0, 2]))
    assert sets.gains(state).tolist() == [[0, 4, 8], [3, 6, 0]]


def test_the_modular_baseline_pays_repeats_again() -> None:
    sets = Sets(Modular(Coverage([[0, 1], [1]])))
    assert sets.value(np.array([[0, 0, 1, -1], [1, 1, 1, 1]])).tolist() == [5, 4]
    assert sets.start(2)[0].shape == (2, 0)


def test_a_full_memory_gains_nothing_more() -> None:
    sets = Sets(information(np.eye(4), 1.0, most=2))
    assert sets.value(np.array([[0, 1, 2, 3]])) == pytest.approx([math.log(2)])


def test_descriptions_are_values() -> None:
    one, other = Coverage([[0, 1], [1]]), Coverage(np.array([[1, 0], [1, 1]]), [1.0, 1.0])
    assert one == other and hash(one) == hash(other) and one != Coverage([[0], [1]])
    assert "sha256" in repr(information(np.eye(9), 1.0)) and information(np.eye(9), 1.0) == information(
        np.eye(9), 1
    )
    with pytest.raises(ValueError, match="read-only"):
        one.members.array[0] = 1


# -- the checker ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Planted(Coverage):
    """A function that breaks a law: its gains are those of a coverage, changed."""

    law: str = ""

    def __init__(self, law: str) -> None:
        super().__init__([[i] for i in range(6)])
        object.__setattr__(self, "law", law)

    def advance(self, xp: Any, t: Any, state: Any, items: Any) -> Any:
        return self.gain(xp, t, state, items), super().advance(xp, t, state, items)[1]

    def gain(self, xp: Any, t: Any, state: Any, items: Any) -> Any:
        plain, count = super().gain(xp, t, state, items), state[0][:, :-1].sum(1)
        if self.law == "monotone":
            return plain * (1.0 - 0.5 * count)
        if self.law == "diminishing":
            return plain * (1.0 + (count >= 2))
        if self.law == "repeats":
            return plain * 0.0 + 1.0
        return plain * (1.0 + (items == 0) * (count == 0))


def test_laws_that_are_broken_are_shown_on_the_least_sets() -> None:
    found = {
        law: find_counterexample(_Planted(law)) for law in ("monotone", "diminishing", "repeats", "order")
    }
    rising, falling = found["diminishing"], found["monotone"]
    assert isinstance(rising, Counterexample) and isinstance(falling, Counterexample)
    assert falling.law == "monotone" and len(falling.small) == 3 and falling.gains == (-0.5,)
    assert rising.law == "diminishing" and len(rising.small + rising.more) == 2 and rising.gains == (1.0, 2.0)
    assert {law: each.law for law, each in found.items() if each is not None} == {law: law for law in found}
    assert "gains 1 in" in str(rising) and "not monotone" in str(falling) and "pay" in str(found["repeats"])
    assert "order matters" in str(found["order"])


def test_entropy_is_monotone_only_with_noise_enough() -> None:
    kernel = covariance(np.arange(6.0)[:, None])
    assert find_counterexample(entropy(kernel, noise=0.06)) is None
    found = find_counterexample(entropy(kernel * 0.01, noise=0.001))
    assert found is not None and found.law == "monotone"


# -- what cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Coverage([]), "at least one item"),
        (lambda: Coverage([[0, 5]], [1.0]), "cell 5 is covered and has no weight"),
        (lambda: Coverage([[0], [1]], [1.0, -2.0]), "the weight of cell 1 is -2.0"),
        (lambda: Coverage([[0]], [math.nan]), "the weight of cell 0 is nan"),
        (lambda: FacilityLocation([[1.0, -0.5]]), r"\(item, place\) \(0, 1\) is -0.5"),
        (lambda: FacilityLocation([1.0]), "a table of items and places"),
        (lambda: SaturatedSum([[1.0]], [1.0, 2.0]), "a column for each cap"),
        (lambda: SaturatedSum([[1.0]], [-1.0]), "the cap of group 0"),
        (lambda: collection([0, 3], [1, 1]), "kind 3 and caps for 2"),
        (lambda: LogDet([[1.0, 2.0]]), "square"),
        (lambda: LogDet([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (lambda: LogDet([[1.0, 2.0], [2.0, 1.0]]), "the eigenvalue -1"),
        (lambda: LogDet([[math.inf]]), "not finite"),
        (lambda: information(np.ones((2, 2)), noise=0.0), "singular"),
        (lambda: information(np.eye(300), noise=1.0), "horizon"),
        (lambda: information(np.eye(3), noise=1.0, most=0), "is none"),
        (lambda: Grid((10_000, 10_000)), "choose larger cells"),
        (lambda: Grid((3,), low=(0.0, 1.0)), "as many lower bounds"),
        (lambda: Grid((3,), cell=(0.0,)), "length above 0"),
        (lambda: covariance([[0.0]], "cosine"), "kernels are"),  # type: ignore[arg-type]
        (lambda: covariance([[0.0]], lengthscale=0.0), "above 0"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


# -- ground sets ---------------------------------------------------------------------------------------------


def test_points_and_cells() -> None:
    grid = Grid((2, 3, 2), low=(0.0, -1.0, 0.0), cell=(1.0, 0.5, 2.0))
    assert grid.find(grid.centres()).tolist() == list(range(12))
    assert grid.find(np.array([[2.0, 0.0, 0.0], [-1e-9, 0.0, 0.0]])).tolist() == [-1, -1]


def test_neighbourhoods() -> None:
    grid = Grid((3, 4))
    assert [len(grid.near(1, metric)[5]) for metric in ("square", "diamond", "disc")] == [9, 5, 5]
    assert len(grid.near(1.5, "disc")[5]) == 9
    assert grid.block([(0, 0), (0, 1), (1, 0), (1, 1)])[11] == [11] and grid.block([(0, 0), (1, 1)])[0] == [
        0,
        5,
    ]
    edges = [[c for c in cells if c != i] for i, cells in enumerate(grid.near(1, "diamond"))]
    assert around(edges, 2) == grid.near(2, "diamond")


def test_gaussian_processes() -> None:
    places = np.arange(8.0)[:, None] * 0.3
    kernel = covariance(places, "matern52", 1.0, 2.0)
    left = posterior(kernel, [3], 0.5)
    assert left[3, 3] == pytest.approx(2.0 * 0.5 / 2.5) and (np.diag(left) <= 2.0).all()
    draws = np.array([sample(kernel, np.random.default_rng(i)) for i in range(4000)])
    assert np.cov(draws.T) == pytest.approx(kernel, abs=0.2)
