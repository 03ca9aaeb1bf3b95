"""The preorder of formalisms: counted, without contradiction, and held by witnesses that are evaluated to the digit."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from rewardspec.analysis.formalisms.objectives import (
    OBJECTIVES,
    InnerNonlinear,
    LimitAverage,
    MarkovReward,
    OfLottery,
    OfOccupancy,
    OfTrajectory,
    OuterMultiObjective,
    TemporalLogic,
    lottery_of,
)
from rewardspec.analysis.formalisms.preorder import (
    COVERS,
    FORMALISMS,
    GROUPS,
    SEPARATIONS,
    can_express,
    incomparable_pairs,
    path_up,
    strict_pairs,
)
from rewardspec.analysis.formalisms.witnesses import (
    DISCOUNT,
    Linear,
    Witness,
    can_order,
    choice_world,
    choosing,
    is_of_linear,
    path_world,
    two_rooms,
    witnesses,
)
from rewardspec.errors import UnsupportedError
from rewardspec.tabular.world import TabularWorld

Floats = npt.NDArray[np.float64]

WITNESSES = {w.key: w for w in witnesses()}


def test_seventeen_formalisms_make_eleven_groups_forty_strict_and_fifteen_incomparable_pairs() -> None:
    assert (len(FORMALISMS), len(GROUPS), len(COVERS)) == (17, 11, 13)
    assert (len(strict_pairs()), len(incomparable_pairs())) == (40, 15)
    assert set(OBJECTIVES) == {formalism.key for formalism in FORMALISMS}


def test_every_pair_is_answered_with_a_way_up_or_a_witness_and_nothing_contradicts() -> None:
    for x, y in itertools.product(FORMALISMS, repeat=2):
        answer = can_express(x.key, y.key)
        assert answer.reason
        assert answer.possible == (answer.witness is None) == bool(answer.path)
        for task in SEPARATIONS:
            within = path_up(task.within, x.group) is not None
            beyond = any(path_up(y.group, group) is not None for group in task.beyond)
            assert not (answer.possible and within and beyond), (x.key, y.key, task.key)


def test_no_step_of_the_diagram_follows_from_others() -> None:
    for cover in COVERS:
        rest = [c for c in COVERS if c is not cover]
        ahead, seen = [cover.below], {cover.below}
        while ahead:
            at = ahead.pop()
            for c in rest:
                if c.below == at and c.above not in seen:
                    seen.add(c.above)
                    ahead.append(c.above)
        assert cover.above not in seen


@pytest.mark.parametrize("witness", WITNESSES.values(), ids=WITNESSES.keys())
def test_each_witness_orders_its_policies_as_its_task_says(witness: Witness) -> None:
    """Exact evaluation, all pairs; W1 and W6 through compiled specs."""
    assert len(witness.policies) >= 5
    for (p, i), (q, j) in itertools.product(zip(witness.policies, witness.ranks, strict=True), repeat=2):
        assert witness.objective.at_least(witness.world, p, q) == (i >= j), (i, j)


GRID = [choosing(p, q) for p in (0.0, 0.3, 0.5, 1.0) for q in (0.0, 0.3, 0.5, 1.0)]
SIMPLEX = [np.array([[a, b, 4 - a - b]]) / 4 for a in range(5) for b in range(5 - a)]


def xor(policy: Floats) -> float:
    p, q = policy[0, 1], policy[1, 1]
    return float(2 * ((1 - p) * (1 - q) + p * q) + (1 - p) * q)


def hit_target(policy: Floats) -> float:
    return float(-((policy[0, 1] + policy[1, 1] - 1) ** 2))


def entropy(policy: Floats) -> float:
    return float(-sum(x * np.log(x) for x in policy[0] if x > 0))


@pytest.mark.parametrize(
    ("value", "policies", "world", "verdicts"),
    [
        (xor, GRID, path_world(), {"MR": False, "RRL": False, "RM": True}),
        (hit_target, GRID, path_world(), {"MR": False, "RRL": False, "FTR": False}),
        (entropy, SIMPLEX, choice_world(), {"FTR": False, "RRL": True}),
    ],
    ids=["xor", "hit target", "entropy"],
)
def test_linear_programs_find_the_objective_or_prove_that_there_is_none(
    value: Callable[[Floats], float],
    policies: list[Floats],
    world: TabularWorld,
    verdicts: dict[Linear, bool],
) -> None:
    found = {group: can_order(group, world, policies, [value(p) for p in policies]) for group in verdicts}
    assert found == verdicts


@pytest.mark.parametrize(
    ("value", "outer"),
    [
        (lambda x: xor(choosing(*x)), False),
        (lambda x: hit_target(choosing(*x)), True),
        (lambda x: entropy(np.array([[x[0], x[1], 1 - x[0] - x[1]]])), False),
    ],
    ids=["xor", "hit target", "entropy"],
)
def test_values_of_onmr_have_parallel_gradients(value: Callable[[Floats], float], outer: bool) -> None:
    points = [np.array(x) for x in ([0.2, 0.3], [0.4, 0.1], [0.15, 0.6], [0.55, 0.3])]
    assert is_of_linear(value, points) == outer


def test_what_is_linear_is_found_by_every_linear_program() -> None:
    values = [p[0, 1] + 3 * p[1, 1] for p in GRID]
    assert all(can_order(group, path_world(), GRID, values) for group in ("MR", "RRL", "RM", "FTR"))


# -- the classes, against what can be worked out by hand ---------------------------------------------------------------


def test_limit_averages_are_stationary_shares_weighed_by_the_chance_to_get_there() -> None:
    in_first = np.array([1.0, 0.0])[:, None, None] * np.ones((2, 2, 1))
    assert LimitAverage(in_first).value(two_rooms(), choosing(0.2, 0.3)) == pytest.approx(0.3 / 0.5)
    assert LimitAverage(in_first).value(two_rooms(), choosing(0.0, 0.3)) == pytest.approx(1.0)
    assert LimitAverage(np.ones((2, 2, 1))).value(path_world(), choosing(0.5, 0.5)) == 0.0, "over is over"


@pytest.mark.parametrize(
    ("formula", "chance"),
    [
        ("second", 0.2),
        ("X second", 0.6),
        ("second | X second", 0.2 + 0.8 * 0.6),
        ("G F second", 1.0),
        ("F G second", 0.0),
        ("X X G !second", 0.0),
    ],
)
def test_formulas_hold_with_the_probability_that_the_chain_has(formula: str, chance: float) -> None:
    policy = choosing(0.2, 0.6, 0.1)
    assert TemporalLogic(formula).value(path_world(goes_on=True), policy) == pytest.approx(chance)


def test_an_episode_that_is_over_has_empty_labels_for_ever() -> None:
    assert TemporalLogic("F G !second").value(path_world(), choosing(1, 1)) == pytest.approx(1.0)


def test_inclusions_as_conversions_give_the_same_numbers() -> None:
    """MR as f(return), as f(trajectory), as f(occupancy), as f(lottery), as f of several returns."""
    rng = np.random.default_rng(0)
    world, reward = path_world(), rng.normal(size=(2, 2, 1))

    def paid(path: tuple[tuple[int, int, int], ...]) -> float:
        return float(sum(DISCOUNT**t * reward[step] for t, step in enumerate(path)))

    forms = [
        InnerNonlinear(reward, DISCOUNT, lambda g: g),
        OfTrajectory(paid),
        OfOccupancy(DISCOUNT, lambda m: float((m * reward[:, :, 0]).sum())),
        OfLottery(lambda lottery: sum(chance * paid(path) for path, chance in lottery.items())),
        OuterMultiObjective((reward, 0 * reward), DISCOUNT, lambda j: float(j.sum())),
    ]
    for policy in (choosing(0.2, 0.7), choosing(1, 0.5)):
        expected = MarkovReward(reward, DISCOUNT).value(world, policy)
        assert [form.value(world, policy) for form in forms] == pytest.approx([expected] * len(forms))


def test_a_lottery_sums_to_one_and_endless_episodes_are_refused() -> None:
    assert sum(lottery_of(path_world(), choosing(0.3, 0.6)).values()) == pytest.approx(1.0)
    with pytest.raises(UnsupportedError, match="unbounded-episodes"):
        lottery_of(two_rooms(), choosing(0.5, 0.5))
