"""A discriminator finds the ratio of two known distributions, and the divergences that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rewardspec.learning.discriminator import Discriminator, divergences  # noqa: E402

POLICY = np.array([0.35, 0.05, 0.2, 0.1, 0.25, 0.05])
REFERENCE = np.array([0.1, 0.3, 0.15, 0.2, 0.05, 0.2])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def learned(policy: np.ndarray, reference: np.ndarray, **more: int) -> tuple[Discriminator, torch.Tensor]:
    faces = torch.eye(len(policy))
    told = Discriminator(len(policy), hidden=(32,), learning_rate=0.01, seed=1)
    weights = [torch.tensor(p, dtype=torch.float32) for p in (policy, reference)]
    told.fit(faces, faces, *weights, **({"steps": 250} | more))
    return told, told(faces)


def test_the_ratio_of_two_known_distributions_is_learned_within_five_percent() -> None:
    """O6, from 400,000 draws of each: what is learned is held to the distributions, not to the draws."""
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(400_000, p) / 400_000 for p in (POLICY, REFERENCE)]
    _, d = learned(*draws)
    np.testing.assert_allclose(d.exp().numpy(), POLICY / REFERENCE, rtol=0.05)


def test_it_learns_from_rows_as_they_were_drawn() -> None:
    rng = np.random.default_rng(1)
    rows = [torch.eye(6)[torch.tensor(rng.choice(6, 20_000, p=p))] for p in (POLICY, REFERENCE)]
    told = Discriminator(6, hidden=(32,), learning_rate=0.01)
    told.fit(*rows, steps=200, rows=1024)
    np.testing.assert_allclose(told(torch.eye(6)).exp().numpy(), POLICY / REFERENCE, rtol=0.15)


def test_divergences_are_those_of_the_distributions() -> None:
    _, d = learned(POLICY, REFERENCE)
    weights = [torch.tensor(p, dtype=torch.float32) for p in (POLICY, REFERENCE)]
    found = divergences(d, d, *weights)
    assert found.chi2 == pytest.approx(float(((POLICY - REFERENCE) ** 2 / REFERENCE).sum()), rel=0.05)
    assert found.kl == pytest.approx(float((POLICY * np.log(POLICY / REFERENCE)).sum()), rel=0.05)
    assert found.tv == pytest.approx(0.5 * float(np.abs(POLICY - REFERENCE).sum()), rel=0.05)
    assert found.outside == 0.0


def test_steps_that_the_reference_never_takes_are_outside() -> None:
    policy, reference = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    _, d = learned(policy, reference, steps=500)
    weights = [torch.tensor(p, dtype=torch.float32) for p in (policy, reference)]
    assert divergences(d, d, *weights, most=100.0).outside == pytest.approx(0.5)


def test_two_like_policies_cannot_be_told_apart() -> None:
    _, d = learned(POLICY, POLICY)
    assert float(d.abs().max()) < 0.02


def test_the_same_seed_learns_the_same() -> None:
    one, two = learned(POLICY, REFERENCE)[1], learned(POLICY, REFERENCE)[1]
    assert torch.equal(one, two)
