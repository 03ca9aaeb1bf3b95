"""Reward models: one step is asked like many, scales are taken where they are said to be, and files are checked."""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardspec.errors import LearningError
from rewardspec.kinds.reward_model import Combine, NominalWorst, RewardModel, Uwo
from rewardspec.learning import models
from rewardspec.learning.models import Ensemble, read_models, write_models

WAYS: list[Combine] = [
    "mean",
    "median",
    "wco",
    Uwo(uwo=0.5, ddof=0),
    Uwo(uwo=0.1, ddof=1),
    NominalWorst(nominal_worst=0.4, worst_over="step"),
    NominalWorst(nominal_worst=0.4, worst_over="batch"),
]


def rows(number: int = 200, width: int = 3, seed: int = 0) -> Any:
    """Return `[number, width]` steps whose columns differ in scale."""
    return (np.random.default_rng(seed).normal(size=(number, width)) * [1, 10, 0.1][:width] + 2).astype(
        np.float32
    )


def settled(seed: int = 0, **form: Any) -> Ensemble:
    """Return an ensemble that takes itself for fitted."""
    given = {"hidden": (8, 8), "ensemble": 4, **form}
    model = Ensemble(RewardModel.model_validate(given), 3, seed)
    model.see(rows())
    model.settle(rows(), np.arange(given["ensemble"])[::-1].astype(float))
    return model


def code(caught: pytest.ExceptionInfo[LearningError]) -> str:
    (problem,) = caught.value.problems
    return problem.code


# -- asking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("how", WAYS, ids=str)
def test_one_step_many_and_tensors_are_paid_alike(how: Combine, activation: str) -> None:
    model = settled(combine=how, activation=activation)
    many = model.reward(rows(seed=1))
    assert np.ptp(many) > 0.1
    assert np.allclose([model.reward_of_one(row) for row in rows(seed=1)], many, atol=1e-4)
    assert np.allclose(model.reward_tensor(torch.from_numpy(rows(seed=1))).numpy(), many, atol=1e-4)
    double = model.reward_tensor(torch.from_numpy(rows(seed=1)).double())
    assert double.dtype == torch.float64


def test_many_steps_are_asked_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = settled()
    whole = model.members(rows())
    monkeypatch.setattr(models, "BLOCK", 7)
    assert np.allclose(model.members(rows()), whole, atol=1e-6)
    assert model.members(rows()[:0]).shape == (4, 0)


def test_no_hidden_layer_is_a_linear_reward() -> None:
    model = settled(hidden=(), standardise=False)
    x, y = rows(seed=1), rows(seed=2)
    assert np.allclose(model.reward(x) + model.reward(y), 2 * model.reward((x + y) / 2), atol=1e-4)


def test_before_it_is_fitted_it_pays_nothing() -> None:
    model = Ensemble(RewardModel.model_validate({}), 3, 0)
    assert not model.reward(rows()).any() and model.reward_of_one(rows()[0]) == 0
    assert not model.reward_tensor(torch.from_numpy(rows())).any()


def test_one_step_is_asked_of_the_weights_of_today() -> None:
    """What is kept for speed goes when the model changes."""
    model = settled()
    row = rows()[0]
    before = model.reward_of_one(row)
    with torch.no_grad():
        model.weights[0] *= 2
    model.settle(rows(), np.zeros(4))
    assert model.reward_of_one(row) == pytest.approx(model.reward(row[None])[0], abs=1e-5)
    assert model.reward_of_one(row) != pytest.approx(before, abs=1e-3)
    model.take_arrays(settled(seed=9).to_arrays())
    assert model.reward_of_one(row) == pytest.approx(settled(seed=9).reward_of_one(row), abs=1e-6)


# -- scales ------------------------------------------------------------------------------------------


def test_inputs_are_centred_and_scaled_and_constant_ones_only_centred() -> None:
    model = Ensemble(RewardModel.model_validate({}), 3, 0)
    steps = rows()
    steps[:, 1] = 7
    model.see(steps)
    seen = (steps - model.centre) / model.spread
    assert np.allclose(seen.mean(0), 0, atol=1e-4)
    assert np.allclose(seen.std(0), [1, 0, 1], atol=1e-3)


def test_standardised_members_have_mean_nothing_and_spread_one() -> None:
    members = settled().members(rows())
    assert np.allclose(members.mean(1), 0, atol=1e-4) and np.allclose(members.std(1), 1, atol=1e-3)
    raw = settled(standardise=False).members(rows())
    assert np.abs(raw.std(1) - 1).min() > 0.1


def test_a_constant_member_is_only_centred() -> None:
    model = settled()
    with torch.no_grad():
        model.weights[-2].zero_()
    model.settle(rows(), np.zeros(4))
    assert np.allclose(model.members(rows()), 0, atol=1e-5)


def test_the_nominal_member_is_the_one_with_the_least_loss() -> None:
    model = settled()
    model.settle(rows(), np.array([0.3, 0.1, 0.2, 0.4]))
    assert model.nominal == 1


@pytest.mark.parametrize("standardise", [True, False])
def test_the_worst_member_is_the_one_that_thinks_least_of_the_newest_steps(standardise: bool) -> None:
    """Over all of them standardised members have the same mean, and chance would choose."""
    model = settled(hidden=(), standardise=standardise)
    with torch.no_grad():
        model.weights[0].copy_(torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1.0]])[:, :, None])
        model.weights[1].zero_()
    steps = rows()
    for sign, worst in ((5, 1), (-5, 0)):
        newer = steps.copy()
        newer[-20:, 0] += sign
        model.settle(newer, np.zeros(4))
        assert model.worst == worst
    model.settle(steps[:1], np.zeros(4))  # fewer than ten: the last one


# -- files -------------------------------------------------------------------------------------------


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    mine = {"heron": settled(0, combine="wco"), "taste": settled(1)}
    write_models(mine, "abc", tmp_path / "learned.npz")
    buffer = io.BytesIO()
    write_models(mine, "abc", buffer)
    for source in (tmp_path / "learned.npz", buffer.getvalue()):
        theirs = {"heron": settled(5, combine="wco"), "taste": settled(6)}
        read_models(theirs, "abc", source)
        for name, model in mine.items():
            assert np.array_equal(theirs[name].reward(rows(seed=3)), model.reward(rows(seed=3)))
            assert theirs[name].nominal == model.nominal and theirs[name].worst == model.worst


def test_a_model_that_was_not_fitted_comes_back_so() -> None:
    fresh = Ensemble(settled().form, 3, 0)
    model = settled()
    model.take_arrays(fresh.to_arrays())
    assert not model.is_fitted and model.reward_of_one(rows()[0]) == 0


def test_models_of_another_spec_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "learned.npz"
    write_models({"heron": settled()}, "abc", place)
    with pytest.raises(LearningError, match="another spec") as caught:
        read_models({"heron": settled()}, "other", place)
    assert code(caught) == "broken-model" and str(place) in str(caught.value)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"hidden": (8, 9)}, "shape"),
        ({"hidden": (8,)}, "holds"),
        ({"hidden": (8, 8, 8)}, "holds"),
        ({"ensemble": 5}, "shape"),
    ],
)
def test_models_of_another_form_are_refused_and_nothing_is_taken_up(form: dict[str, Any], said: str) -> None:
    model = settled()
    before = copy.deepcopy(model.to_arrays())
    with pytest.raises(LearningError, match=said) as caught:
        model.take_arrays(settled(1, **form).to_arrays())
    assert code(caught) == "broken-model"
    assert all(np.array_equal(before[name], array) for name, array in model.to_arrays().items())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("weight_0", np.full((4, 3, 8), np.nan), "not finite"),
        ("mean", np.zeros(()), "shape"),
        ("scale", np.array(["a", "b", "c", "d"]), "could not convert"),
        ("chosen", np.array([4, 0, 1]), "members 4 and 0 of 4"),
        ("chosen", np.array([0, -1, 1]), "members 0 and -1 of 4"),
        ("chosen", np.array([0, 0]), "shape"),
    ],
)
def test_arrays_that_cannot_be_are_refused(name: str, value: Any, said: str) -> None:
    model = settled()
    with pytest.raises(LearningError, match=said) as caught:
        model.take_arrays(settled(1).to_arrays() | {name: value})
    assert code(caught) == "broken-model"


def test_a_file_without_the_model_is_refused() -> None:
    buffer = io.BytesIO()
    write_models({"taste": settled()}, "abc", buffer)
    with pytest.raises(LearningError) as caught:
        read_models({"heron": settled()}, "abc", buffer.getvalue())
    assert code(caught) == "broken-model"


def test_no_shortened_or_damaged_file_is_taken_for_a_model(tmp_path: Path) -> None:
    """Cut anywhere, or with bytes changed: an error of ours, or the same numbers."""
    buffer = io.BytesIO()
    write_models({"heron": settled(hidden=(2,))}, "abc", buffer)
    whole, rng = buffer.getvalue(), np.random.default_rng(0)
    model = settled(hidden=(2,))
    for cut in [0, 1, *rng.integers(len(whole), size=40).tolist(), len(whole) - 1]:
        with pytest.raises(LearningError) as caught:
            read_models({"heron": model}, "abc", whole[:cut])
        assert code(caught) == "broken-model"
    said = model.reward(rows())
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        try:
            read_models({"heron": model}, "abc", bytes(damaged))
        except LearningError as error:
            assert error.problems[0].code == "broken-model"
        assert np.array_equal(model.reward(rows()), said)


def test_what_is_no_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "learned.npz"
    with pytest.raises(LearningError):
        read_models({}, "abc", place)
    np.save(tmp_path / "single.npy", np.zeros(3))
    for content in (b"", b"text", (tmp_path / "single.npy").read_bytes()):
        place.write_bytes(content)
        with pytest.raises(LearningError) as caught:
            read_models({}, "abc", place)
        assert code(caught) == "broken-model" and str(place) in str(caught.value)


def test_what_was_pickled_is_never_unpickled(tmp_path: Path) -> None:
    place = tmp_path / "learned.npz"
    np.savez(place, digest=np.array([{"a": 1}], object))
    with pytest.raises(LearningError, match="allow_pickle"):
        read_models({}, "abc", place)


def test_an_entry_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 50,)}
    )
    place = tmp_path / "learned.npz"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("digest.npy", header.getvalue())
    with pytest.raises(LearningError) as caught:
        read_models({}, "abc", place)
    assert code(caught) == "broken-model"
