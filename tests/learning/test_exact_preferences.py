"""Models of preference on finite worlds: their identities, what they can and cannot tell, and learning from them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.experiments import knox
from envs.delivery_world import WEIGHTS, DeliveryWorld
from rewardspec import LearningError, UnsupportedError, compile_spec, load, loads
from rewardspec.learning.exact_likelihood import fit_likelihood, likelihood_columns
from rewardspec.learning.exact_preferences import (
    PreferenceModel,
    Preferences,
    draw_bank,
    learn_reward_from_preferences,
    scaled_return,
    small_network,
)
from rewardspec.learning.exact_worlds import (
    FeatureWorld,
    draw_segments,
    follow,
    label_features,
    optimal_values,
    returns,
    term_features,
    with_weights,
)
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import evaluate, solve
from rewardspec.tabular.world import TabularWorld, from_outcomes

SPEC = Path(__file__).parents[2] / "examples" / "specs" / "delivery.yaml"
TRUTH = list(WEIGHTS.values())

PARTIAL = PreferenceModel("partial_return")
REGRET = PreferenceModel("regret")
VALUE_CHANGE = PreferenceModel("regret", form="value_change")


def delivery(discount: float = 0.999, **arguments: Any) -> FeatureWorld:
    return label_features(DeliveryWorld(**arguments).table(), discount)


def with_feature(world: FeatureWorld, column: Any, name: str = "added") -> FeatureWorld:
    """Return the world with one feature more, `[S, A, K]` or what broadcasts to it."""
    column = np.broadcast_to(column, world.features.shape[:3])[..., None]
    return FeatureWorld(
        world.world, np.concatenate([world.features, column], axis=3), (*world.names, name), world.discount
    )


@pytest.fixture(scope="module")
def board() -> FeatureWorld:
    return delivery()


@pytest.fixture(scope="module")
def segments(board: FeatureWorld) -> Any:
    return draw_segments(board, 2000, 3, np.random.default_rng(0))


# -- values ------------------------------------------------------------------------------------------------


def test_the_published_values_of_the_board(board: FeatureWorld) -> None:
    """K1: 41.2079 for the best, -71.257 for random actions, with a discount of 0.999."""
    values = optimal_values(board, board.paid(TRUTH))
    assert float(values.states[0, :-1] @ board.start) == pytest.approx(41.2079, abs=1e-3)
    both = torch.cat([values.policy, torch.full_like(values.policy, 0.25)])
    assert returns(board, both, TRUTH).tolist() == pytest.approx([41.2079, -71.257], abs=1e-3)


@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_values_are_those_of_the_other_solver(slip: float) -> None:
    """Many random rewards at once, by dense solves here and sparse ones there."""
    world = delivery(0.97, map_seed=1, slip=slip)
    product = take_product(compile_spec(load(SPEC)), world.world)
    weights = np.random.default_rng(0).normal(size=(4, 6))
    found = optimal_values(world, torch.stack([world.paid(row) for row in weights]))
    for row, values, policy in zip(weights, found.states, found.policy, strict=True):
        spec = with_weights(load(SPEC), row)
        solution = solve(take_product(compile_spec(spec), world.world), 0.97)
        assert values[:-1].numpy() == pytest.approx(solution.values[0], abs=1e-8)
        assert ((policy.numpy() > 0) == solution.optimal[0]).all()
        theirs = evaluate(take_product(compile_spec(spec), world.world), policy.numpy()[None], 0.97)
        mine = returns(world, policy[None], row)
        assert float(mine) == pytest.approx(float(theirs[0] @ world.world.start), abs=1e-8)
    assert product.n_memory == 1


def test_discount_one_is_solved_where_returns_are_finite() -> None:
    world = delivery(1.0)
    solution = solve(take_product(compile_spec(load(SPEC)), world.world), 1.0)
    assert optimal_values(world, world.paid(TRUTH)).states[0, :-1].numpy() == pytest.approx(
        solution.values[0]
    )
    for refused in (lambda: draw_bank(world), lambda: scaled_return(world, TRUTH, TRUTH)):
        with pytest.raises(UnsupportedError, match="below discount 1"):
            refused()


def test_over_is_over() -> None:
    """A world whose last step leads back to a state from which it would go on: after the end nothing is paid."""
    world = from_outcomes({0: {0: [(1.0, 0, 3.0, True)]}}, np.ones(1))
    one = FeatureWorld(world, np.ones((1, 1, 1, 1)), ("one",), 0.9)
    assert optimal_values(one, one.paid([2.0])).states.tolist() == [[2.0, 0.0]]
    segments = follow(one, [0], [[0, 0, 0]])
    assert segments.states.tolist() == [[0, 1, 1, 1]]
    for model in (PARTIAL, VALUE_CHANGE, REGRET):
        assert model.measure(one, segments, [2.0]) == [2.0 if model is PARTIAL else 0.0]


def test_segments_follow_the_world_and_its_chances() -> None:
    world = delivery(map_seed=1, slip=0.5)
    drawn = draw_segments(world, 4000, 2, np.random.default_rng(0))
    assert set(drawn.states[:, 0]) == set(np.flatnonzero(world.world.start))
    kept = (drawn.outcomes == drawn.actions).mean()
    assert kept == pytest.approx(0.5 + 0.5 / 4, abs=0.02)
    arrived = world.next_state[drawn.states[:, :-1], drawn.actions, drawn.outcomes]
    assert (arrived == drawn.states[:, 1:]).all()


# -- K3: identities ----------------------------------------------------------------------------------------


def test_regret_is_never_negative_and_nothing_for_optimal_actions(board: FeatureWorld, segments: Any) -> None:
    regret = -REGRET.measure(board, segments, TRUTH)
    assert (regret >= -1e-9).all() and (regret > 1).mean() > 0.5
    policy = optimal_values(board, board.paid(TRUTH)).policy[0].numpy()
    first = np.flatnonzero(board.world.start)
    actions, here = [], first
    for _ in range(6):
        actions.append(
            policy[np.minimum(here, board.world.n_states - 1)].argmax(axis=1)
        )  # over: any action does
        here = board.next_state[here, actions[-1], 0]
    best = follow(board, first, np.stack(actions, axis=1))
    assert REGRET.measure(board, best, TRUTH) == pytest.approx(0, abs=1e-9)
    worst = follow(board, first, (np.stack(actions, axis=1) + 2) % 4)
    assert (REGRET.measure(board, worst, TRUTH) < -1).any()


def test_the_two_forms_of_regret_are_one_without_discount(segments: Any) -> None:
    world = delivery(1.0)
    first, second = (model.measure(world, segments, TRUTH) for model in (REGRET, VALUE_CHANGE))
    assert first == pytest.approx(second, abs=1e-9)


def test_with_a_discount_they_differ_by_the_values_on_the_way(board: FeatureWorld, segments: Any) -> None:
    values = optimal_values(board, board.paid(TRUTH)).states[0].numpy()
    gap = VALUE_CHANGE.measure(board, segments, TRUTH) - REGRET.measure(board, segments, TRUTH)
    assert gap == pytest.approx(0.001 * values[segments.states[:, 1:]].sum(axis=1), abs=1e-9)
    assert 1e-4 < np.abs(gap).mean() / 3 < 0.1


def test_shaping_changes_partial_return_but_not_the_advantage(board: FeatureWorld, segments: Any) -> None:
    """And the value form changes by (discount - 1) Σ potential: the reason why the advantage is preferred."""
    potential = np.append(np.random.default_rng(1).normal(size=board.world.n_states) * 20, 0.0)
    after = potential[board.next_state[:-1]]
    shaped = with_feature(board, board.discount * after - potential[:-1, None, None])

    def change(model: PreferenceModel) -> Any:
        return model.measure(shaped, segments, [*TRUTH, 1.0]) - model.measure(board, segments, TRUTH)

    assert np.abs(change(PARTIAL)).mean() > 5
    assert change(REGRET) == pytest.approx(0, abs=1e-9)
    expected = (board.discount - 1) * potential[segments.states[:, 1:]].sum(axis=1)
    assert change(VALUE_CHANGE) == pytest.approx(expected, abs=1e-9)
    assert np.abs(expected).max() > 0.01


def test_a_constant_is_invisible_to_partial_return_and_changes_what_is_best() -> None:
    """Segments of one length inside an episode that can end: +2 a step makes it best never to arrive."""
    world = with_feature(delivery(board=[[0, 0, 0, 0, 1], [2] * 5]), 1.0, "each step")
    plain, shifted = [*TRUTH, 0.0], [*TRUTH, 2.0]
    drawn = [draw_segments(world, 400, 3, np.random.default_rng(seed)) for seed in (0, 1)]
    whole = (drawn[0].states < world.world.n_states).all(axis=1) & (
        drawn[1].states < world.world.n_states
    ).all(axis=1)
    left, right = (part.take(whole) for part in drawn)
    labels = {}
    for statistic, reward in itertools.product(("partial_return", "regret"), (plain, shifted)):
        teacher = PreferenceModel(statistic, noiseless=True)  # type: ignore[arg-type]
        labels[statistic, reward[-1]] = teacher.label(world, left, right, reward).label
    assert (labels["partial_return", 0.0] == labels["partial_return", 2.0]).all()
    assert (labels["regret", 0.0] != labels["regret", 2.0]).mean() > 0.2
    best = [optimal_values(world, world.paid(reward)).policy[0, 0].tolist() for reward in (plain, shifted)]
    assert best[0] == [0, 1, 0, 0] and best[1] != best[0]


def test_the_value_form_takes_luck_for_judgement() -> None:
    """A fair bet of 10 that is worth taking: whoever loses it has no regret, and a lower change of value."""
    bet = from_outcomes(
        {0: {0: [(0.5, 0, 12.0, True), (0.5, 0, -8.0, True)], 1: [(1.0, 0, 0.0, True)]}}, np.ones(1)
    )
    world = FeatureWorld(bet, bet.reward[..., None], ("paid",), 0.9)
    lost = follow(world, [0] * 40, [[0]] * 40, np.random.default_rng(0))
    paid = PARTIAL.measure(world, lost, [1.0])
    assert set(paid) == {12.0, -8.0}
    assert REGRET.measure(world, lost, [1.0]) == pytest.approx(0)
    assert VALUE_CHANGE.measure(world, lost, [1.0]) == pytest.approx(paid - 2.0)
    declined = follow(world, [0], [[1]], np.random.default_rng(0))
    assert REGRET.measure(world, declined, [1.0]) == [-2.0]


# -- labels ------------------------------------------------------------------------------------------------


def test_noiseless_labels_prefer_the_larger_statistic_and_tie(board: FeatureWorld) -> None:
    first = np.flatnonzero(board.world.start)[:1]
    stay, same = follow(board, first, [[3, 3]]), follow(board, first, [[3, 3]])
    away = follow(board, first, [[1, 3]])
    teacher = PreferenceModel("partial_return", noiseless=True)
    assert teacher.label(board, stay, same, TRUTH).label == [0.5]
    better = float(np.sign(PARTIAL.measure(board, stay, TRUTH) - PARTIAL.measure(board, away, TRUTH))[0])
    assert teacher.label(board, stay, away, TRUTH).label == [(better + 1) / 2]
    assert teacher.label(board, away, stay, TRUTH).label == [(1 - better) / 2]


@pytest.mark.parametrize("statistic", ["partial_return", "regret"])
def test_noisy_labels_come_as_often_as_the_logistic_says(board: FeatureWorld, statistic: Any) -> None:
    model = PreferenceModel(statistic)
    one, other = (draw_segments(board, 1, 3, np.random.default_rng(seed)) for seed in (3, 5))
    gap = float((model.measure(board, one, TRUTH) - model.measure(board, other, TRUTH))[0])
    assert 0.5 < abs(gap) < 6, "a pair that is neither clear nor even"
    many = np.zeros(4000, np.int64)
    told = model.label(board, one.take(many), other.take(many), TRUTH, np.random.default_rng(0))
    assert told.label.mean() == pytest.approx(1 / (1 + np.exp(-round(gap, 2))), abs=0.02)
    assert set(told.label) == {0.0, 1.0}


def test_equal_statistics_tie_though_sums_round_differently() -> None:
    """0.1 + 0.2 is not 0.3 to a computer, and is to a person."""
    tenths = from_outcomes({s: {0: [(1.0, s, 0.0, False)]} for s in range(3)}, np.ones(3) / 3)
    features = np.array([0.1, 0.2, 0.15]).reshape(3, 1, 1, 1)
    world = FeatureWorld(tenths, features, ("x",), 0.9)
    left, right = follow(world, [0], [[0] * 3]), follow(world, [2], [[0] * 2])
    assert PARTIAL.measure(world, left, [1.0]) != PARTIAL.measure(world, right, [1.0])
    assert PreferenceModel("partial_return", noiseless=True).label(world, left, right, [1.0]).label == [0.5]


# -- learning ----------------------------------------------------------------------------------------------


def taught(world: FeatureWorld, teacher: PreferenceModel, count: int, reward: Any = TRUTH) -> Preferences:
    rng = np.random.default_rng(0)
    left, right = (draw_segments(world, count, 3, rng) for _ in range(2))
    return teacher.label(world, left, right, reward, rng)


def test_swapping_the_pairs_does_not_change_the_loss(board: FeatureWorld) -> None:
    """So that the published doubling of the data, every pair in both orders, is left out."""
    bank = draw_bank(board, 10)
    told = taught(board, REGRET, 200)
    swapped = Preferences(told.right, told.left, 1 - told.label)
    found = [
        learn_reward_from_preferences(board, p, REGRET, bank=bank, iterations=5) for p in (told, swapped)
    ]
    assert found[0].losses == pytest.approx(found[1].losses, rel=1e-12)


def test_partial_return_keeps_the_last_weights_and_regret_the_best(board: FeatureWorld) -> None:
    """As published: shown where steps are so long that the loss goes up and down."""
    for model, kept in ((PARTIAL, lambda losses: losses[-1]), (REGRET, min)):
        told = taught(board, model, 50)
        learnt = learn_reward_from_preferences(board, told, model, learning_rate=20.0, iterations=9)
        assert learnt.loss == kept(learnt.losses) and min(learnt.losses) < learnt.losses[-1]
        again = learn_reward_from_preferences(board, told, model, learning_rate=20.0, iterations=9)
        assert torch.equal(torch.as_tensor(learnt.reward), torch.as_tensor(again.reward))


def test_a_bank_knows_optimal_values_where_it_has_the_policy(board: FeatureWorld) -> None:
    bank = draw_bank(board, 60)
    assert len(bank.features) == 60
    exact = optimal_values(board, board.paid(TRUTH)).states[0]
    guess = bank.values(board.paid(TRUTH), 1e-3)
    assert (guess <= exact + 1e-6).all() and float((exact - guess).max()) < 10
    few = draw_bank(delivery(board=[[0, 1], [2, 2]]), 60)
    assert 1 < len(few.features) < 60, "there are not sixty ways to cross two cells"
    assert torch.equal(bank.features, draw_bank(board, 60).features)


def test_partial_return_weights_are_found_again() -> None:
    """Noisy preferences know the scale, too; enough of them give the weights back."""
    world = delivery(board=[[0, 4, 0, 5, 0], [0, 0, 1, 0, 6], [3, 0, 10, 0, 0]])
    truth = [-1.0, 3.0, -3.0, 1.0, -2.0, -1.5]
    learnt = learn_reward_from_preferences(
        world, taught(world, PARTIAL, 10_000, truth), PARTIAL, iterations=300
    )
    assert np.asarray(learnt.reward) == pytest.approx(truth, abs=0.3)
    assert learnt.losses[-1] < learnt.losses[0]


@pytest.mark.parametrize("model", [REGRET, VALUE_CHANGE], ids=["advantage", "value change"])
@pytest.mark.parametrize("noiseless", [True, False])
def test_regret_finds_what_is_best_on_the_board(
    board: FeatureWorld, model: PreferenceModel, noiseless: bool
) -> None:
    teacher = PreferenceModel("regret", form=model.form, noiseless=noiseless)
    learnt = learn_reward_from_preferences(board, taught(board, teacher, 1500), model, iterations=400)
    found = scaled_return(board, TRUTH, learnt.reward)
    assert found.near_optimal and found.value <= 1 + 1e-9, found
    assert learnt.loss == min(learnt.losses)
    drawn = torch.rand(6, generator=torch.Generator().manual_seed(0)) - 0.5
    at_random = scaled_return(board, TRUTH, drawn)
    assert not at_random.near_optimal


def test_a_network_learns_a_reward_that_is_not_linear() -> None:
    """A coin is worth something on the road and costs on bricks: no weights of the labels say that."""
    codes = [[0, 4, 0, 4, 0], [0, 10, 6, 10, 0], [0, 6, 0, 6, 0], [0, 10, 0, 0, 1]]
    plain = delivery(0.95, board=codes)
    coin, brick = (plain.features[..., plain.names.index(name)] for name in ("coin", "brick"))
    world = with_feature(plain, coin * brick)
    truth = [-1.0, 10.0, 0.0, 3.0, 0.0, -1.0, -9.0]
    told = taught(world, PreferenceModel("regret", noiseless=True), 1500, truth)
    scores = {}
    for name, reward in {"linear": None, "network": small_network(6)}.items():
        learnt = learn_reward_from_preferences(plain, told, REGRET, reward=reward, iterations=500)
        scores[name] = (learnt.loss, _judge(world, plain, truth, learnt.reward))
    assert scores["network"][0] < 0.5 * scores["linear"][0], scores
    assert scores["network"][1] >= 0.9, scores


def _judge(world: FeatureWorld, plain: FeatureWorld, truth: list[float], learnt: Any) -> float:
    policy = optimal_values(plain, plain.paid(learnt)).policy
    best = optimal_values(world, world.paid(truth)).policy
    mine, most, least = returns(world, torch.cat([policy, best, torch.full_like(best, 0.25)]), truth).tolist()
    return (mine - least) / (most - least)


def test_k2_in_small() -> None:
    """Six random tasks, 300 noiseless preferences: regret finds what is best in all, partial return not in all."""
    near = {
        statistic: [knox.learn(task, statistic, True, 300, 200)["near_optimal"] for task in range(22, 28)]
        for statistic in knox.STATISTICS
    }
    assert all(near["regret"]) and sum(near["partial_return"]) <= 5


# -- specs -------------------------------------------------------------------------------------------------


def test_weights_of_a_spec_are_learnt_and_written_back() -> None:
    spec, world = load(SPEC), DeliveryWorld(map_seed=1).table()
    features = term_features(spec, world)
    assert (features.features == label_features(world, 0.999).features).all()
    truth = [-1.0, 5.0, -100.0, 1.0, -2.0, -3.0]
    learnt = learn_reward_from_preferences(features, taught(features, REGRET, 1000, truth), REGRET)
    assert scaled_return(features, truth, learnt.reward).near_optimal
    written = with_weights(spec, learnt.reward)  # type: ignore[arg-type]
    paid = take_product(compile_spec(written), world).reward[0]
    assert paid == pytest.approx(features.features @ np.asarray(learnt.reward))
    assert loads(written.to_yaml()) == written


def test_terms_of_any_value_are_features() -> None:
    spec = loads('discount: 0.9\nreward: ["0.5 * next_obs[0]", {markov: label.goal, weight: 7}]')
    world = DeliveryWorld(board=[[0, 0, 1], [2, 2, 2]]).table()
    features = term_features(spec, world)
    assert features.features[..., 0].max() == 1.0 and features.features[..., 1].max() == 1.0
    assert features.discount == 0.9


# -- K4: likelihood ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("teacher", [PARTIAL, REGRET], ids=["partial return", "regret"])
def test_the_model_that_made_the_preferences_foretells_them_better(
    board: FeatureWorld, teacher: PreferenceModel
) -> None:
    """K4, both ways round; and nothing is foretold worse than by a coin, ln 2."""
    told = taught(board, teacher, 3000)
    held_out = {
        of: fit_likelihood(likelihood_columns(board, told, TRUTH, of), told.label).held_out
        for of in ("partial_return", "regret", "three")
    }
    other = "regret" if teacher is PARTIAL else "partial_return"
    assert held_out[teacher.statistic] < held_out[other] - 0.02 < np.log(2)
    assert held_out["three"] < held_out[other], "the three columns hold either statistic"


def test_the_fit_finds_the_weight_and_the_share_of_random_answers() -> None:
    rng = np.random.default_rng(0)
    gap = rng.normal(size=(20_000, 1)) * 4
    chance = 0.7 / (1 + np.exp(-1.5 * gap[:, 0])) + 0.3 / 2
    label = (rng.random(20_000) < chance).astype(float)
    found = fit_likelihood(gap, label, uniform=True)
    assert found.weights == pytest.approx([1.5], abs=0.1) and found.uniform == pytest.approx(0.3, abs=0.03)
    plain = fit_likelihood(gap, label)
    assert found.held_out < plain.held_out and plain.uniform == 0.0
    assert len(found.folds) == 10 and found.held_out == pytest.approx(found.folds.mean())
    # what is right is fallen short of by nothing but the sample
    entropy = -(label * np.log(chance) + (1 - label) * np.log(1 - chance)).mean()
    assert found.held_out == pytest.approx(entropy, abs=1e-3)


def test_statistics_that_say_nothing_are_worth_a_coin() -> None:
    rng = np.random.default_rng(0)
    found = fit_likelihood(np.zeros((500, 1)), rng.integers(0, 2, 500).astype(float))
    assert found.held_out == pytest.approx(np.log(2))


def test_separable_preferences_end_in_finite_weights() -> None:
    gap = np.linspace(-1, 1, 101)[:, None]
    found = fit_likelihood(gap, (np.sign(gap[:, 0]) + 1) / 2)
    assert np.isfinite(found.weights).all() and found.held_out < 0.05


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda w: PreferenceModel("return"), "'partial_return' or 'regret', not 'return'"),  # type: ignore[arg-type]
        (lambda w: PreferenceModel(form="value"), "'advantage' or 'value_change'"),  # type: ignore[arg-type]
        (lambda w: w.paid([1.0, 2.0]), "6 features and 2 weights"),
        (lambda w: FeatureWorld(w.world, w.features, w.names, 1.5), r"a discount lies in \(0, 1\]"),
        (lambda w: FeatureWorld(w.world, w.features, w.names[:2], 0.9), "have the shape"),
        (lambda w: with_feature(w, np.nan), "NaN"),
        (lambda w: fit_likelihood(np.zeros((3, 1)), np.zeros(3)), "cut into 10 folds"),
        (lambda w: REGRET.label(w, *[follow(w, [0], [[0]])] * 2, TRUTH), "no generator"),
        (lambda w: optimal_values(delivery(1.0), torch.ones(8)), "earns without end"),
        (lambda w: term_features(loads("reward: reward"), w.world), "names a discount"),
    ],
)
def test_settings_that_cannot_be_are_refused(board: FeatureWorld, wrong: Any, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason) as caught:
        wrong(board)
    assert caught.value.problems[0].code == "wrong-setting"


def test_a_term_that_remembers_is_no_feature() -> None:
    spec = loads(
        "discount: 0.9\npropositions: {coin: label.coin}\nreward: [{ltl: F(coin & X F coin), name: wish}]"
    )
    with pytest.raises(UnsupportedError, match="the term 'wish' remembers"):
        term_features(spec, DeliveryWorld().table())


def test_preferences_that_are_none_are_refused(board: FeatureWorld) -> None:
    two, one = (draw_segments(board, count, 3, np.random.default_rng(0)) for count in (2, 1))
    for wrong, reason in (
        ((two, one, np.ones(2)), "do not pair up"),
        ((two, two, np.array([0.0, 2.0])), r"lies in \[0, 1\]"),
        ((two, two, np.array([0.0, np.nan])), r"lies in \[0, 1\]"),
    ):
        with pytest.raises(LearningError, match=reason):
            Preferences(*wrong)
    nothing = Preferences(two.take(np.zeros(0, int)), two.take(np.zeros(0, int)), np.zeros(0))
    with pytest.raises(LearningError, match="no preferences"):
        learn_reward_from_preferences(board, nothing, PARTIAL)


def test_a_reward_without_end_is_no_nan(board: FeatureWorld) -> None:
    """A learning rate that is far too large is said, not returned as weights that are NaN."""
    told = taught(board, PARTIAL, 100)
    with pytest.raises(LearningError, match="smaller learning rate"):
        learn_reward_from_preferences(board, told, PARTIAL, learning_rate=1e308, iterations=50)


def test_a_world_that_is_too_large_is_refused() -> None:
    states = 3001
    shape = (states, 1, 1)
    stay = np.arange(states).reshape(shape)
    zeros = np.zeros(shape)
    start = np.full(states, 1 / states)
    large = TabularWorld(
        stay, np.ones(shape), zeros, np.zeros(shape, np.bool_), np.zeros(shape, np.int64), start
    )
    with pytest.raises(UnsupportedError, match="3000 states at most"):
        FeatureWorld(large, zeros[..., None], ("x",), 0.9)
