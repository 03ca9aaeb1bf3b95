"""Fitting to comparisons: it finds orders again, its options are what they say, and wrong labels can be repaired."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rewardspec.kinds.heron import Factor
from rewardspec.kinds.reward_model import Fitting, RewardModel
from rewardspec.learning import fitting
from rewardspec.learning.fitting import Pairs, calibration_error, fit, held_losses
from rewardspec.learning.models import Ensemble
from rewardspec.learning.ranking import compare, margins_of

Rows = npt.NDArray[np.float32]


def ensemble(members: int = 3, width: int = 4, hidden: tuple[int, ...] = (16,), seed: int = 0) -> Ensemble:
    return Ensemble(RewardModel(hidden=hidden, ensemble=members), width, seed)


def drawn(number: int, length: int = 1, width: int = 4, seed: int = 0) -> tuple[Rows, Rows]:
    """Return both sides of pairs, `[number, length, width]` normal numbers."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, number, length, width)).astype(np.float32)
    return a, b


def linear_pairs(number: int, length: int = 1, width: int = 4, seed: int = 0, noise: float = 0.0) -> Pairs:
    """Return pairs labelled by a random linear reward, a share of them wrongly."""
    a, b = drawn(number, length, width, seed)
    rng = np.random.default_rng((seed, 1))
    label = ((a - b).sum(1) @ rng.normal(size=width) > 0).astype(np.float32)
    return Pairs(a, b, np.abs(label - (rng.random(number) < noise)).astype(np.float32))


def difference(model: Ensemble, pairs: Pairs) -> Any:
    """Return `[N]` differences of the members' mean sums."""
    a, b = (
        model.members(side.reshape(-1, side.shape[2])).mean(0).reshape(len(pairs), -1).sum(1)
        for side in (pairs.a, pairs.b)
    )
    return a - b


def agreement(model: Ensemble, pairs: Pairs) -> float:
    """Return the share of pairs that the model orders as the labels do."""
    return float(((difference(model, pairs) > 0) == (pairs.label > 0.5)).mean())


def options(**given: Any) -> Fitting:
    return Fitting.model_validate({"learning_rate": 0.01, "epochs": 20, **given})


def losses(model: Ensemble, pairs: Pairs, **given: Any) -> torch.Tensor:
    """Return `[M, N]` losses as a step of a fit with these options sees them."""
    data, _ = fitting._treated(model, fitting._tensors(pairs), options(**given))
    return fitting._losses(model, data, np.arange(len(pairs)), given.get("centring", 0.0))[1]


# -- finding orders again ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin", "decided", "least"), [(0.0, 1.0, 0.98), (0.5, 0.98, 0.92), (1.0, 0.88, 0.90)]
)
def test_a_ranking_of_three_factors_is_found_again(margin: float, decided: float, least: float) -> None:
    """Uniform factors, three ranks, margins in spreads; with margins the order has circles that no reward fits.

    An independent implementation, two networks of width 256 on 384,000 pairs, came to .997, .94 to .95 and .92.
    """
    told = {"value": "reward", "margin": {"std": margin}}
    factors = [Factor.model_validate({"name": name, **told}) for name in "abc"]
    rng = np.random.default_rng(0)
    margins = margins_of(factors, rng.random((10_000, 3)))
    a, b = rng.random((2, 12_000, 1, 3)).astype(np.float32)
    said = compare(a[:, 0], b[:, 0], margins)
    assert (said != 0).mean() == pytest.approx(decided, abs=0.02)
    label, rows = ((said + 1) / 2).astype(np.float32), np.flatnonzero(said)
    train, test = rows[:8000], rows[8000:]
    model = ensemble(members=1, width=3, hidden=(64, 64))
    fit(model, Pairs(a[train], b[train], label[train]), options(learning_rate=0.003, epochs=8), rng)
    assert agreement(model, Pairs(a[test], b[test], label[test])) >= least


def test_sums_over_segments_are_found_again() -> None:
    pairs, other = linear_pairs(1500, length=5), linear_pairs(1000, length=5, seed=1)
    model = ensemble(members=2)
    report = fit(model, pairs, options(), np.random.default_rng(0))
    rng = np.random.default_rng((0, 1))
    label = ((other.a - other.b).sum(1) @ rng.normal(size=4) > 0).astype(np.float32)
    assert agreement(model, Pairs(other.a, other.b, label)) >= 0.95
    assert report.held_out_accuracy is not None and report.held_out_accuracy >= 0.95
    assert report.pairs == 1500 and report.flipped == 0


def test_probabilities_are_calibrated_where_the_labels_come_from_the_model() -> None:
    """Labels drawn with the logistic function of a linear reward: 80 % sure is right in 80 %."""
    a, b = drawn(6000, width=2)
    rng = np.random.default_rng(1)
    chance = 1 / (1 + np.exp(-(a - b)[:, 0] @ [1.0, -0.5]))
    label = (rng.random(6000) < chance).astype(np.float32)
    model = ensemble(members=2, width=2)
    report = fit(model, Pairs(a, b, label), options(epochs=6, held_out=0.3), rng)
    assert report.calibration_error is not None and report.calibration_error < 0.06
    assert np.abs(1 / (1 + np.exp(-difference(model, Pairs(a, b, label)))) - chance).mean() < 0.05


def test_what_is_given_with_a_pair_counts_as_part_of_its_statistic() -> None:
    """Values at the ends decide the label: the steps have nothing left to explain."""
    a, b = drawn(1000)
    offset = np.random.default_rng(2).normal(size=1000).astype(np.float32) * 5
    label = (offset > 0).astype(np.float32)
    explained, alone = (ensemble(members=1) for _ in range(2))
    with_offset = fit(explained, Pairs(a, b, label, offset), options(), np.random.default_rng(0))
    without = fit(alone, Pairs(a, b, label), options(), np.random.default_rng(0))
    assert with_offset.held_out_accuracy is not None and with_offset.held_out_accuracy > 0.95
    assert without.held_out_accuracy is not None and without.held_out_accuracy < 0.65


# -- identities --------------------------------------------------------------------------------------


def test_an_offset_of_each_member_leaves_the_losses_and_moves_the_least_member() -> None:
    model, pairs = ensemble(), linear_pairs(50)
    before, members = losses(model, pairs), model.members(pairs.a[:, 0])
    with torch.no_grad():
        model.weights[-1] += torch.tensor([0.0, 3.0, -7.0])[:, None, None]
    assert torch.allclose(losses(model, pairs), before, atol=1e-5)
    moved = model.members(pairs.a[:, 0])
    assert np.allclose(moved - members, np.array([[0.0], [3.0], [-7.0]]), atol=1e-5)
    assert (moved.argmin(0) != members.argmin(0)).any()


def test_without_smoothing_margins_and_centring_it_is_plain_bradley_and_terry() -> None:
    model, pairs = ensemble(), linear_pairs(50)
    signed = difference_of_members(model, pairs) * (2 * pairs.label - 1)
    for given in ({}, {"smoothing": 0.0, "centring": 0.0, "adaptive_margin": False, "flip_doubtful": 0.0}):
        assert np.allclose(losses(model, pairs, **given).detach(), np.log1p(np.exp(-signed)), atol=1e-5)


def difference_of_members(model: Ensemble, pairs: Pairs) -> Any:
    return model.members(pairs.a[:, 0]) - model.members(pairs.b[:, 0])


def test_smoothing_mixes_the_losses_of_both_labels() -> None:
    model, pairs = ensemble(), linear_pairs(50)
    turned = Pairs(pairs.a, pairs.b, 1 - pairs.label)
    mixed = 0.9 * losses(model, pairs) + 0.1 * losses(model, turned)
    assert torch.allclose(losses(model, pairs, smoothing=0.1), mixed, atol=1e-5)


def test_half_a_label_has_no_gradient_where_the_sides_are_equal() -> None:
    """The limit of smoothing: a half is what an answer "equal" gives, too."""
    model = ensemble()
    a, _ = drawn(20)
    losses(model, Pairs(a, a.copy(), np.full(20, 0.5, np.float32))).sum().backward()
    assert all(float(weight.grad.abs().max()) < 1e-6 for weight in model.weights if weight.grad is not None)


def test_sides_and_labels_swapped_are_the_same_pairs() -> None:
    model, pairs = ensemble(), linear_pairs(50)
    offset = np.linspace(-1, 1, 50, dtype=np.float32)
    swapped = Pairs(pairs.b, pairs.a, 1 - pairs.label, -offset)
    straight = Pairs(pairs.a, pairs.b, pairs.label, offset)
    assert torch.allclose(losses(model, straight), losses(model, swapped), atol=1e-5)


def fitted(pairs: Pairs, members: int = 3, **given: Any) -> Ensemble:
    """Return an ensemble that has been fitted once and knows it."""
    model = ensemble(members, pairs.a.shape[2], hidden=given.pop("hidden", (16,)))
    model.see(pairs.a[:, 0])
    fit(model, pairs, options(**given), np.random.default_rng(0))
    model.settle(pairs.a[:, 0], held_losses(model, pairs))
    return model


def test_an_adaptive_margin_is_what_the_ensemble_said_and_never_below_nothing() -> None:
    pairs = linear_pairs(300, noise=0.2)
    model = fitted(pairs)
    members = losses_margin(model, pairs)
    sign = 2 * pairs.label - 1
    strength = np.maximum((difference_of_raw(model, pairs) * sign).mean(0), 0)
    expected = np.log1p(np.exp(-(difference_of_raw(model, pairs) * sign - strength)))
    assert np.allclose(members, expected, atol=1e-4)
    assert (strength == 0).any() and (strength > 0).any()


def losses_margin(model: Ensemble, pairs: Pairs) -> Any:
    return losses(model, pairs, adaptive_margin=True).detach().numpy()


def difference_of_raw(model: Ensemble, pairs: Pairs) -> Any:
    """Return `[M, N]` differences of scores that are not standardised."""
    with torch.no_grad():
        return (
            model.scores(torch.from_numpy(pairs.a[:, 0])) - model.scores(torch.from_numpy(pairs.b[:, 0]))
        ).numpy()


def test_a_model_that_knows_nothing_yet_has_no_margins_and_turns_nothing_over() -> None:
    model, pairs = ensemble(), linear_pairs(50)
    assert not model.is_fitted
    assert torch.equal(losses(model, pairs, adaptive_margin=True, flip_doubtful=0.4), losses(model, pairs))


# -- wrong labels ------------------------------------------------------------------------------------


def test_labels_turned_over_twice_are_the_labels() -> None:
    pairs = linear_pairs(400, noise=0.25)
    model = fitted(pairs)
    data = fitting._tensors(pairs)
    once, number = fitting._treated(model, data, options(flip_doubtful=0.2))
    turned = once.label != data.label
    assert number == int(turned.sum()) == 80
    twice = torch.where(turned, 1 - once.label, once.label)
    assert torch.equal(twice, data.label)
    assert torch.equal(data.label, torch.from_numpy(pairs.label)), "what was given stays as it is"


def test_only_what_the_ensemble_contradicts_is_turned_over() -> None:
    """Of right labels hardly one is: the paper turns over its share whatever the ensemble says."""
    pairs = linear_pairs(1000)
    model = fitted(pairs, epochs=30)
    treated, number = fitting._treated(model, fitting._tensors(pairs), options(flip_doubtful=0.25))
    assert number < 50
    assert int((treated.label != torch.from_numpy(pairs.label)).sum()) == number


def test_turning_the_most_doubtful_over_repairs_a_quarter_of_wrong_labels() -> None:
    """An independent toy: .866 before, .955 after; of the bottom fifth .99 were wrong, of the top fifth .00."""
    noisy, clean = linear_pairs(2000, width=10, noise=0.25), linear_pairs(2000, width=10)
    test = slice(1500, 2000)
    held = Pairs(clean.a[test], clean.b[test], clean.label[test])
    train = Pairs(noisy.a[:1500], noisy.b[:1500], noisy.label[:1500])
    wrong = train.label != clean.label[:1500]
    model = fitted(train, members=5, hidden=(32,))
    order = (difference(model, train) * (2 * train.label - 1)).argsort()
    assert wrong[order[:300]].mean() > 0.85, "the bottom fifth"
    assert wrong[order[-300:]].mean() < 0.02, "the top fifth"
    reached = {}
    for name, given in (("as given", {}), ("turned over", {"flip_doubtful": 0.25})):
        other = copy.deepcopy(model)
        told = fit(other, train, options(epochs=30, held_out=0, **given), np.random.default_rng(1))
        assert told.flipped == (375 if given else 0)
        reached[name] = agreement(other, held)
    assert reached["turned over"] > 0.9
    assert reached["turned over"] - reached["as given"] > 0.05


# -- centring ----------------------------------------------------------------------------------------


def test_centring_removes_the_offsets_of_members() -> None:
    pairs = linear_pairs(500)
    offsets = {}
    for centring in (0.0, 0.05):
        model = ensemble()
        with torch.no_grad():
            model.weights[-1] += torch.tensor([0.0, 3.0, -3.0])[:, None, None]
        fit(model, pairs, options(centring=centring, epochs=15), np.random.default_rng(0))
        offsets[centring] = model.members(pairs.a[:, 0]).mean(1)
    assert np.ptp(offsets[0.0]) > 4, "nothing moves them without it"
    assert np.abs(offsets[0.05]).max() < 0.5


# -- stopping, holding out, telling -----------------------------------------------------------------


def test_a_fit_ends_with_the_weights_that_did_best_on_what_was_held_out() -> None:
    pairs = linear_pairs(200, width=10, noise=0.3)
    model = ensemble(members=2, width=10, hidden=(64,))
    report = fit(model, pairs, options(epochs=50, patience=2, held_out=0.25), np.random.default_rng(0))
    assert report.epochs < 50
    judging, rest = fitting._parts(pairs, 0.25)
    held = Pairs(pairs.a[judging], pairs.b[judging], pairs.label[judging])
    assert report.held_out_loss == pytest.approx(held_losses(model, held).mean(), abs=1e-5)
    assert report.held_out_loss == pytest.approx(held_losses(model, pairs, 0.25).mean(), abs=1e-5)
    shorter = ensemble(members=2, width=10, hidden=(64,))
    best = fit(shorter, pairs, options(epochs=report.epochs - 2, held_out=0.25), np.random.default_rng(0))
    assert best.held_out_loss == pytest.approx(report.held_out_loss, abs=1e-6), "two passes were for nothing"
    longer = ensemble(members=2, width=10, hidden=(64,))
    known = Pairs(pairs.a[rest], pairs.b[rest], pairs.label[rest])
    fit(longer, known, options(epochs=50, held_out=0), np.random.default_rng(0))
    assert held_losses(longer, held).mean() > report.held_out_loss + 0.3, "it knows its pairs by heart"


def test_nothing_held_out_makes_every_pass_and_tells_nothing_of_it() -> None:
    report = fit(ensemble(), linear_pairs(40), options(epochs=7, held_out=0), np.random.default_rng(0))
    assert report.epochs == 7
    assert (report.held_out_loss, report.held_out_accuracy, report.calibration_error) == (None, None, None)


def test_a_pair_held_out_once_is_held_out_when_it_comes_again() -> None:
    """In another order, with sides swapped, and among others: or the next refresh would judge by what it knows."""
    pairs = linear_pairs(300)
    rng = np.random.default_rng(5)
    order, swap = rng.permutation(300), rng.random(300) < 0.5
    a, b = pairs.a[order].copy(), pairs.b[order].copy()
    a[swap], b[swap] = b[swap], a[swap]
    judging, fitted_rows = fitting._parts(pairs, 0.2)
    assert len(judging) == 60 and sorted([*judging, *fitted_rows]) == list(range(300))
    again, _ = fitting._parts(Pairs(a, b, pairs.label), 0.2)
    assert set(order[again]) == set(judging)
    more = linear_pairs(100, seed=9)
    joined = Pairs(
        np.concatenate([pairs.a, more.a]), np.concatenate([pairs.b, more.b]), np.zeros(400, np.float32)
    )
    later, _ = fitting._parts(joined, 0.2)
    assert len(set(judging) & set(later)) >= 50


def test_the_report_judges_by_the_labels_as_they_were_given() -> None:
    """With a quarter of them wrong nobody agrees with more than about three quarters, turned over or not."""
    pairs = linear_pairs(1500, noise=0.25)
    model = fitted(pairs, members=5)
    report = fit(model, pairs, options(flip_doubtful=0.25, held_out=0.3), np.random.default_rng(1))
    assert report.held_out_accuracy is not None and report.held_out_accuracy < 0.82
    smooth = fit(
        ensemble(), linear_pairs(1000), options(smoothing=0.2, held_out=0.3), np.random.default_rng(0)
    )
    assert smooth.calibration_error is not None and smooth.calibration_error > 0.1, (
        "smoothed models are too modest"
    )


def test_pairs_judged_in_blocks_are_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = ensemble(), linear_pairs(100, length=3)
    whole = held_losses(model, pairs)
    monkeypatch.setattr(fitting, "BLOCK", 50)
    assert np.allclose(held_losses(model, pairs), whole, atol=1e-6)


def test_equal_pairs_count_in_no_accuracy() -> None:
    pairs = linear_pairs(60)
    equal = Pairs(pairs.a, pairs.b, np.full(60, 0.5, np.float32))
    report = fit(ensemble(), equal, options(epochs=3), np.random.default_rng(0))
    assert report.accuracy is None and report.held_out_accuracy is None
    assert report.loss == pytest.approx(np.log(2), abs=0.05)


def test_one_pair_can_be_fitted() -> None:
    report = fit(ensemble(members=1), linear_pairs(1), options(), np.random.default_rng(0))
    assert report.pairs == 1 and report.accuracy == 1 and report.held_out_loss is None


def test_the_same_seed_fits_the_same_model() -> None:
    pairs = linear_pairs(100)
    found = []
    for _ in range(2):
        model = ensemble()
        fit(model, pairs, options(epochs=3), np.random.default_rng(3))
        found.append(model.members(pairs.a[:, 0]))
    assert np.array_equal(*found)


def test_calibration_error_is_the_mean_gap_over_the_bins() -> None:
    predicted = np.array([0.05, 0.05, 0.85, 0.85, 1.0])
    label = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    assert calibration_error(predicted, label) == pytest.approx(0.4 * 0.45 + 0.4 * 0.15)
    assert calibration_error(predicted[:0], label[:0]) is None
