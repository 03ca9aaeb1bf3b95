"""Return decomposition: what its losses are to one another, what it recovers, and what it cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rewardspec.kinds.latent import Latent
from rewardspec.kinds.reward_model import Networks
from rewardspec.learning.decomposition import batch_loss, decompose, draw_steps, paid_rates, set_scale
from rewardspec.learning.episodes import Episodes, episodes_of, whole_episodes
from rewardspec.learning.models import Ensemble
from rewardspec.learning.trajectories import TrajectoryStore

Floats = npt.NDArray[np.float64]


def options(**fields: Any) -> Latent:
    return Latent.model_validate({"factors": "all", **fields})


def played(number: int, lengths: tuple[int, int], seed: int = 0, width: int = 3) -> tuple[Episodes, Floats]:
    """Return episodes of drawn steps, whose reward per step is a function of them, and these rewards."""
    rng = np.random.default_rng(seed)
    length = rng.integers(lengths[0], lengths[1] + 1, number)
    level = np.repeat(rng.normal(size=(number, width)), length, axis=0)  # episodes differ, as policies do
    inputs = rng.normal(size=(int(length.sum()), width)) + level
    rewards = 2.0 * inputs[:, 0] - 0.5 * inputs[:, 1] + 1.0
    return episodes_of(inputs, rewards, length), rewards


def model_of(width: int = 3, seed: int = 1, **fields: Any) -> Ensemble:
    return Ensemble(Networks.model_validate({"hidden": [16], "activation": "tanh", **fields}), width, seed)


def loss_of(model: Ensemble, episodes: Episodes, most: int, unbiased: bool = False, seed: int = 0) -> float:
    which = np.arange(len(episodes))[None]
    with torch.no_grad():
        return float(batch_loss(model, episodes, which, most, unbiased, np.random.default_rng(seed)))


# -- the losses (Ren et al. 2022) --------------------------------------------------------------------------


def test_over_all_steps_every_loss_is_the_plain_one() -> None:
    """K = T: the randomised loss is RD, and there is no variance to take off."""
    episodes, _ = played(12, (7, 7))
    model = model_of()
    plain = loss_of(model, episodes, 7)
    assert loss_of(model, episodes, 7, unbiased=True) == pytest.approx(plain, abs=1e-6)
    assert loss_of(model, episodes, 50, unbiased=True) == pytest.approx(plain, abs=1e-6)
    wanted = episodes.returns / episodes.lengths
    assert plain == pytest.approx(np.square(wanted - paid_rates(model, episodes)[0]).mean(), abs=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_drawing_steps_adds_what_the_formula_says_and_the_unbiased_loss_takes_it_off(unbiased: bool) -> None:
    """Over 6,000 subsets of each episode the mean of RRD is RD + S^2 (1 - K/T) / K, that of the unbiased form RD."""
    episodes, _ = played(3, (5, 12), seed=3)
    model, most, draws = model_of(), 4, 6000
    rng = np.random.default_rng(5)
    which = np.tile(np.arange(len(episodes)), draws)[None]
    with torch.no_grad():
        index, taken = draw_steps(episodes, which, most, rng)
        paid = model.scores(torch.from_numpy(episodes.inputs)).double().numpy()[0]
    assert taken.all(), "every episode is longer than K"
    drawn = paid[index[0]]  # [draws * E, K]
    wanted = np.tile(episodes.returns / episodes.lengths, draws)
    losses = np.square(wanted - drawn.mean(1))
    lengths = np.tile(episodes.lengths, draws)
    if unbiased:
        losses = losses - drawn.var(1, ddof=1) * (1 - most / lengths) / most
    own = [paid[s : s + n] for s, n in zip(episodes.starts, episodes.lengths, strict=True)]
    expected = np.square(episodes.returns / episodes.lengths - [one.mean() for one in own])
    if not unbiased:
        expected = expected + [one.var(ddof=1) * (1 - most / len(one)) / most for one in own]
    per_draw = losses.reshape(draws, -1).mean(1)
    error = per_draw.std(ddof=1) / np.sqrt(draws)
    assert abs(per_draw.mean() - expected.mean()) < 2 * error
    # and what training minimises is this very loss
    with torch.no_grad():
        found = batch_loss(model, episodes, which, most, unbiased, np.random.default_rng(5))
    assert float(found) == pytest.approx(losses.mean(), rel=1e-5)


def test_steps_are_drawn_without_replacement_and_a_short_episode_is_taken_whole() -> None:
    episodes, _ = played(40, (2, 9))
    which = np.arange(40)[None]
    index, taken = draw_steps(episodes, which, 5, np.random.default_rng(0))
    for i, (start, length) in enumerate(zip(episodes.starts, episodes.lengths, strict=True)):
        chosen = index[0, i][taken[0, i]]
        assert len(set(chosen)) == len(chosen) == min(5, length)
        assert ((start <= chosen) & (chosen < start + length)).all()


# -- what is recovered -------------------------------------------------------------------------------------


def fitted(episodes: Episodes, **fields: Any) -> Ensemble:
    model = Ensemble(Networks.model_validate({"hidden": []}), episodes.inputs.shape[1], seed=0)
    said = options(fit={"updates": 600, "learning_rate": 0.02, "held_out": 0.0}, **fields)
    decompose(model, episodes, said, np.random.default_rng(0))
    return model


@pytest.mark.parametrize("loss", ["rd", "rrd_unbiased"])
def test_a_linear_decoder_recovers_a_reward_that_is_among_the_factors(loss: str) -> None:
    """60 d returns of episodes of varying length tell the reward per step: R^2 of at least .99, constant and all."""
    episodes, rewards = played(180, (5, 20))
    paid = fitted(episodes, loss=loss, subsample=4).reward(episodes.inputs)
    residual = np.var(rewards - paid) / np.var(rewards)
    assert 1 - residual >= 0.99
    assert paid.mean() == pytest.approx(rewards.mean(), abs=0.1)


def test_of_episodes_of_one_length_a_constant_is_not_told_from_a_payment_at_the_end() -> None:
    """A reward of 1 a step and one of T at the end have the same returns: all that is learned from is the same."""
    lengths = np.full(30, 8)
    inputs = np.random.default_rng(0).normal(size=(240, 3))
    per_step = inputs[:, 0] + 1.0
    at_the_end = inputs[:, 0] + 8.0 * (np.arange(240) % 8 == 7)
    one, other = (episodes_of(inputs, target, lengths) for target in (per_step, at_the_end))
    np.testing.assert_allclose(one.returns, other.returns)
    report, _ = decompose(model_of(), one, options(), np.random.default_rng(0))
    assert report.equal_lengths, "and the report says so"
    varied, _ = played(30, (5, 9))
    assert not decompose(model_of(), varied, options(), np.random.default_rng(0))[0].equal_lengths


def test_a_refresh_goes_on_where_the_last_one_stopped_though_the_scale_has_changed() -> None:
    """The scale of returns grows with the agent; what is paid must not jump for that."""
    model, steps = model_of(), np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    model.is_fitted = True
    set_scale(model, -3.0, 0.5)
    before = model.reward(steps)
    set_scale(model, 40.0, 12.0)
    np.testing.assert_allclose(model.reward(steps), before, rtol=1e-3, atol=1e-4)
    assert model.reward_of_one(steps[0]) == pytest.approx(before[0], rel=1e-3, abs=1e-4)


def test_what_is_paid_adds_up_to_returns_and_held_out_episodes_say_how_well() -> None:
    episodes, _ = played(150, (5, 15), seed=2)
    model = model_of(ensemble=2)
    said = options(fit={"updates": 400, "learning_rate": 0.01, "held_out": 0.2})
    report, losses = decompose(model, episodes, said, np.random.default_rng(0))
    assert report.episodes == 150
    assert report.explained is not None and report.explained > 0.9
    assert losses.shape == (2,)
    returns = paid_rates(model, episodes).mean(0) * episodes.lengths
    assert np.corrcoef(returns, episodes.returns)[0, 1] > 0.95


# -- whole episodes ----------------------------------------------------------------------------------------


def test_only_whole_episodes_count() -> None:
    """Two environments step together; one episode is cut off by the ring, one is still going on."""
    store = TrajectoryStore(12, 2, 2)  # 6 rows
    ends = [(2, 4), (4, 5), (7, 7)]  # rows after which an episode of either environment ends
    for row in range(9):
        over = [row in {end[env] for end in ends} for env in range(2)]
        store.add(np.array([[row, 1.0], [100 + row, 2.0]]), over)
    episodes = whole_episodes(store, slice(0, 1), 1)
    # kept: rows 3 to 8. First: 3-4, 5-7; second: 5 (its first three rows are gone), 6-7.
    assert [
        episodes.inputs[s : s + n, 0].tolist() for s, n in zip(episodes.starts, episodes.lengths, strict=True)
    ] == [[3, 4], [5, 6, 7], [105], [106, 107]]
    assert episodes.returns.tolist() == [2, 3, 2, 4]


def test_the_same_episodes_are_held_out_whatever_else_is_stored() -> None:
    episodes, rewards = played(40, (3, 6))
    held = episodes.parts(0.5)[1]
    inputs = np.concatenate([episodes.inputs, episodes.inputs[: int(episodes.lengths[0])]])
    more = episodes_of(
        inputs,
        np.append(rewards, rewards[: int(episodes.lengths[0])]),
        np.append(episodes.lengths, episodes.lengths[0]),
    )
    again = more.parts(0.5)[1]
    kept = {float(r) for r in held.returns} & {float(r) for r in again.returns}
    assert len(kept) >= len(held) - 1


def test_a_team_is_one_episode_with_the_steps_of_all_its_agents() -> None:
    store = TrajectoryStore(40, 4, 2)  # two teams of two, three steps an episode
    for row in range(7):
        features = [[10 * env + row, 1.0 + env] for env in range(4)]
        store.add(features, [row % 3 == 2] * 4)
    teams = whole_episodes(store, slice(0, 1), 1, team=2)
    assert teams.lengths.tolist() == [6, 6, 6, 6]
    assert teams.returns.tolist() == [9.0, 9.0, 21.0, 21.0]
    assert teams.inputs[:6, 0].tolist() == [0, 1, 2, 10, 11, 12]
    alone = whole_episodes(store, slice(0, 1), 1)
    assert len(alone) == 8 and alone.returns.sum() == teams.returns.sum()
