"""The mutation operator: what it moves, that it is the same for the same seed, and that what it makes is admitted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.experiments.search import CLIFF_BASE, CliffTrainer
from rewardspec import from_data, loads
from rewardspec.search.admission import admit
from rewardspec.search.candidate import Candidate, Track
from rewardspec.search.differences import differences
from rewardspec.search.feedback import Standing
from rewardspec.search.mutation import Mutation, Mutator, pool_of, thresholds, weights

BASE = loads("""
discount: 0.9
signals: {x: 'obs[0]', y: 'obs[1]'}
propositions: {near: x < 2, far: x > 3 and y > 4}
reward:
  - {markov: x, name: one, weight: 2}
  - {markov: 'where(y >= 0.5, 1, -1)', name: two, weight: -3}
  - {markov: 1, name: off, weight: 0}
  - {markov: 1, name: faded, weight: {linear: {from: 1, to: 0, over: 100}}}
""")
ONLY = Mutation(threshold=0, drop=0, add=0)


def made(mutation: Mutation, standing: Standing | None = None, need: int = 6) -> list[Any]:
    standing = standing or Standing(BASE, 1)
    return [from_data(dict(p.content)) for p in Mutator(mutation).propose(standing, need, 0)]  # type: ignore[arg-type]


def test_weights_keep_their_sign_and_pairs_go_opposite_ways() -> None:
    specs = made(ONLY)
    assert len(specs) == 12
    for first, second in zip(specs[::2], specs[1::2], strict=True):
        for name in ("one", "two"):
            was = weights(BASE)[name]
            up, down = weights(first)[name] / was, weights(second)[name] / was
            assert up > 0 and down > 0 and math.isclose(up * down, 1, rel_tol=1e-3)
        assert weights(first)["off"] == 0 and "faded" not in weights(first)
        assert first.reward[3] == BASE.reward[3]


def test_it_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert made(Mutation()) == made(Mutation())
    assert made(Mutation()) != made(Mutation(), Standing(BASE, 1, seed=1))
    assert made(Mutation()) != made(Mutation(), Standing(BASE, 2))


def test_a_threshold_moves_and_nothing_else() -> None:
    told = [differences(BASE, spec) for spec in made(Mutation(spread=0.5, threshold=1, drop=0, add=0))]
    assert any("propositions"[:-1] + " 'near': x < 2 -> x < " in line for lines in told for line in lines)
    assert any("'two': " in line and "where(y >= 0" in line for lines in told for line in lines)


def test_terms_go_and_come_from_the_pool() -> None:
    assert {len(spec.reward) for spec in made(Mutation(threshold=0, drop=1, add=0))} == {3}
    added = made(Mutation(threshold=0, drop=0, add=1), need=20)
    names = {spec.reward[4].name for spec in added}
    assert names == {"x", "y", "near", "far", "progress of x", "progress of y"}
    assert {math.copysign(1, weights(spec)[spec.reward[4].name]) for spec in added} == {-1, 1}
    assert [term["name"] for term in pool_of(BASE)][:4] == ["one", "two", "off", "faded"]
    alone = loads("reward: {markov: 1, name: a}")
    assert {len(s.reward) for s in made(Mutation(drop=1, add=0), Standing(alone, 1))} == {1}


def test_the_boldest_pair_goes_on_from_the_worst_to_the_best() -> None:
    good = Candidate("g1c1", 1, loads("reward: [{markov: 1, name: a, weight: 4}]"))
    bad = replace(good, id="g1c2", spec=loads("reward: [{markov: 1, name: a, weight: 1}]"))
    standing = Standing(good.spec, 2, (good,), bad)
    calm = Mutation(spread=1e-9, stride=1.0, threshold=0, drop=0, add=0)
    found = [weights(spec)["a"] for spec in made(calm, standing)]
    assert found[0] == found[1] and 4 < found[0] < 16
    assert found[2:6] == [4, 4, 4, 4]
    assert {weights(spec)["a"] for spec in made(replace(calm, stride=0.0), standing)} == {4}


def test_what_is_no_expression_has_no_thresholds() -> None:
    assert thresholds("x > 1 and (y < -2 or 3 >= z)") == [(4, 5, 1.0), (16, 17, 2.0), (21, 22, 3.0)]
    for text in ("", "F goal & !x", "x >", "a\n> 1", "x > '1'", "x > True", "(" * 300 + "1 > 2" + ")" * 300):
        assert thresholds(text) == []


@pytest.mark.parametrize("seed", range(3))
def test_nearly_all_that_it_makes_is_admitted(seed: int) -> None:
    from rewardspec.search.admission import RefusedError

    refused = 0
    proposals = Mutator().propose(Standing(BASE, 1, seed=seed), 10, 0)
    for proposal in proposals:
        try:
            admit(proposal, BASE)
        except RefusedError:
            refused += 1
    assert refused <= 2


def test_the_cliff_of_the_benchmark_scores_what_is_wanted_with_1() -> None:
    trainer = CliffTrainer(0)
    base = loads(CLIFF_BASE)
    right = loads(
        CLIFF_BASE.replace("weight: 0.1", f"weight: {trainer.fall}").replace(
            "{markov: column / 11, name: along, weight: 2}",
            f"{{markov: 'where(edge, -1, 0)', name: edge, weight: {trainer.edge}}}",
        )
    )
    assert abs(trainer.score(right) - 1) < 1e-6
    assert 0 <= trainer.score(base) < 0.9


def test_tracks_hold_ten_values_evenly() -> None:
    track = Track.of([float(i) for i in range(100)])
    assert track.values == (0, 11, 22, 33, 44, 55, 66, 77, 88, 99)
    assert (track.greatest, track.mean, track.least) == (99, 49.5, 0)
    assert Track.of([1.0]).values == (1.0,) and Track.from_data(track.to_data()) == track
