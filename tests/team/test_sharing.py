"""What agents share: the team's mean, inequity aversion, and the laws that they keep."""

from __future__ import annotations

import itertools

import pytest

from rewardspec import SpecError, loads, wrap_parallel
from rewardspec.spec.model import Spec
from tests.team.worlds import AGENTS, Stage, play

EARNED = [(4.0, 1.0, 1.0), (0.0, 0.0, 6.0), (2.0, 2.0, 2.0)]
SCRIPT = [{name: {"r": r} for name, r in zip(AGENTS, row, strict=True)} for row in EARNED]


def rewards(share: str, script: list[dict[str, dict[str, float]]] = SCRIPT) -> list[dict[str, float]]:
    return play(wrap_parallel(Stage(script), sharing(share)))


def sharing(share: str) -> Spec:
    return loads(f"agents: {{default: {{reward: reward, share: {share}}}}}")


def test_a_team_reward_is_the_mean_for_all() -> None:
    assert [set(step.values()) for step in rewards("{team: 1}")] == [{2.0}, {2.0}, {2.0}]


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 1.0])
def test_sharing_moves_rewards_and_makes_none(part: float) -> None:
    """The law: what the team earns in all is what it is paid in all."""
    for earned, paid in zip(EARNED, rewards(f"{{team: {part}}}"), strict=True):
        assert sum(paid.values()) == pytest.approx(sum(earned))
        assert paid["scout"] == pytest.approx((1 - part) * earned[0] + part * sum(earned) / 3)


def test_who_has_left_no_longer_shares() -> None:
    script = [
        {n: {"r": 3.0, "end": n == "cook"} for n in AGENTS},
        {n: {"r": 6.0 * (n == "scout")} for n in AGENTS[:2]},
    ]
    assert rewards("{team: 1}", script) == [{n: pytest.approx(3) for n in AGENTS}, {"scout": 3, "pilot": 3}]


def inequity(earned: tuple[float, ...], i: int, alpha: float, beta: float) -> float:
    """Fehr and Schmidt's utility, as the paper writes it."""
    others = [e for j, e in enumerate(earned) if j != i]
    envy = alpha / len(others) * sum(max(e - earned[i], 0) for e in others)
    guilt = beta / len(others) * sum(max(earned[i] - e, 0) for e in others)
    return earned[i] - envy - guilt


@pytest.mark.parametrize(("alpha", "beta"), [(5.0, 0.0), (0.0, 0.05), (2.0, 0.5)])
def test_inequity_of_single_steps_is_fehr_and_schmidts(alpha: float, beta: float) -> None:
    paid = rewards(f"{{inequity: {{disadvantageous: {alpha}, advantageous: {beta}}}}}")
    for earned, step in zip(EARNED, paid, strict=True):
        assert list(step.values()) == pytest.approx([inequity(earned, i, alpha, beta) for i in range(3)])


def test_smoothed_inequity_is_hughes_et_als() -> None:
    """Smoothed earnings are compared, and the reward itself is the step's own."""
    smoothing, smooth = 0.5, [0.0, 0.0, 0.0]
    paid = rewards("{inequity: {disadvantageous: 2, advantageous: 0.5, smoothing: 0.5}}")
    for earned, step in zip(EARNED, paid, strict=True):
        smooth = [smoothing * e + r for e, r in zip(smooth, earned, strict=True)]
        price = [inequity(tuple(smooth), i, 2, 0.5) - smooth[i] for i in range(3)]
        assert list(step.values()) == pytest.approx([r + p for r, p in zip(earned, price, strict=True)])


def test_smoothed_earnings_are_seen_and_single_steps_are_not() -> None:
    """Hughes et al. let agents observe everyone's smoothed reward; without smoothing there is no memory."""
    smooth = wrap_parallel(Stage(SCRIPT), sharing("{inequity: {advantageous: 1, smoothing: 0.9}}"))
    assert smooth.observation_space("scout").shape == (2 + 3,)
    assert wrap_parallel(Stage(SCRIPT), sharing("{inequity: {advantageous: 1}}")).observation_space(
        "scout"
    ).shape == (2,)


def test_equal_earnings_cost_nothing() -> None:
    assert set(rewards("{inequity: {disadvantageous: 9, advantageous: 9}}")[2].values()) == {2.0}


def test_no_part_and_no_price_leave_rewards_as_they_are() -> None:
    """The law: weight 0 equals leaving it out."""
    assert (
        rewards("{team: 0}")
        == rewards("{inequity: {}}")
        == play(wrap_parallel(Stage(SCRIPT), loads("reward: reward")))
    )


def test_teams_share_among_themselves() -> None:
    text = "agents: {cook: {team: ground, reward: reward}, default: {reward: reward, team: air, share: {team: 1}}}"
    assert play(wrap_parallel(Stage(SCRIPT), loads(text)))[0] == {"scout": 2.5, "pilot": 2.5, "cook": 1}


def test_the_part_can_be_changed_while_training() -> None:
    env = wrap_parallel(Stage(SCRIPT), sharing("{team: 0.5}"))
    env.set_param("share.team", 1.0)
    assert set(play(env)[0].values()) == {2.0}


def test_what_is_told_of_sharing() -> None:
    env = wrap_parallel(Stage(SCRIPT), sharing("{team: 0.5, inequity: {disadvantageous: 1}}"))
    env.reset()
    *_, (_, _, _, _, infos) = (env.step(dict.fromkeys(env.agents, 0)) for _ in SCRIPT)
    told = infos["pilot"]["rewardspec"]
    assert told["share"] == pytest.approx({"own": 1.5, "team": 3.0, "inequity": -4.5})
    assert told["paid"] == pytest.approx(0.0) and told["return"] == {"markov": 3.0}


def test_order_of_agents_does_not_matter() -> None:
    found = []
    for order in itertools.permutations(AGENTS):
        script = [{n: step[n] for n in order} for step in SCRIPT]
        env = wrap_parallel(
            Stage(script, order), sharing("{team: 0.25, inequity: {advantageous: 1, smoothing: 0.5}}")
        )
        found.append([{n: round(step[n], 12) for n in AGENTS} for step in play(env)])
    assert all(paid == found[0] for paid in found)


@pytest.mark.parametrize(
    "share",
    ["{team: 1.5}", "{team: all}", "{inequity: {smoothing: 1}}", "{inequity: {envy: 1}}", "{part: 1}"],
)
def test_shares_that_are_none(share: str) -> None:
    with pytest.raises(SpecError):
        sharing(share)
