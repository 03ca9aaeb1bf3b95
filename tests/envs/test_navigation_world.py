"""NavigationWorld: its mechanics by hand, its observation and reward against a plain calculation, whole teams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from envs.navigation_world import HORIZON, RADIUS, NavigationBatch


def world(copies: int = 2, agents: int = 3, seed: int = 0) -> NavigationBatch:
    made = NavigationBatch(copies * agents, seed=seed, agents=agents)
    made.reset(torch.ones(copies * agents, dtype=torch.bool))
    return made


def test_a_push_moves_a_lonely_agent_as_the_equations_say() -> None:
    """v = 0.75 v + 5 * 0.1 and x = x + 0.1 v: from rest 0.05, then 0.1375 further on."""
    made = world(1, 2)
    made.position.copy_(torch.tensor([[[0.0, 0.0], [9.0, 9.0]]]))
    push = torch.tensor([2, 0])
    made.step(push)
    assert made.position[0, 0].tolist() == pytest.approx([0.05, 0.0])
    made.step(push)
    assert made.position[0, 0].tolist() == pytest.approx([0.05 + 0.0875, 0.0])
    assert made.position[0, 1].tolist() == [9.0, 9.0]


def test_agents_that_touch_push_each_other_apart_with_equal_force() -> None:
    made = world(1, 2)
    made.position.copy_(torch.tensor([[[0.0, 0.0], [0.28, 0.0]]]))
    made.step(torch.zeros(2, dtype=torch.int64))
    left, right = made.velocity[0]
    assert left[0] < 0 < right[0] and float(left[0] + right[0]) == pytest.approx(0, abs=1e-6)
    assert float(right[0]) == pytest.approx(100 * 0.02 * 0.1, rel=0.01), "depth 0.02, for a tenth of a second"


def test_reward_is_the_way_to_the_nearest_landmark_and_the_touching_others() -> None:
    made = world(4, 6, seed=3)
    made.position[0, 1] = made.position[0, 0] + 0.1
    position, marks = made.position.numpy(), made.landmarks.numpy()
    for copy in range(4):
        for agent in range(6):
            away = np.linalg.norm(marks[copy] - position[copy, agent], axis=1).min()
            near = np.linalg.norm(position[copy] - position[copy, agent], axis=1) < 2 * RADIUS
            assert float(made.rewards()[copy, agent]) == pytest.approx(-away - (near.sum() - 1), abs=1e-4)


def test_an_agent_sees_itself_then_landmarks_and_others_nearest_first() -> None:
    made = world(2, 6)
    obs = made._observe().reshape(2, 6, 26).numpy()
    position, marks = made.position.numpy(), made.landmarks.numpy()
    for agent in range(6):
        seen = obs[1, agent]
        assert seen[2:4] == pytest.approx(position[1, agent])
        for slots, points in ((seen[4:16], marks[1]), (seen[16:], np.delete(position[1], agent, 0))):
            relative = points - position[1, agent]
            order = np.argsort(np.linalg.norm(relative, axis=1))
            np.testing.assert_allclose(slots.reshape(-1, 2), relative[order], atol=1e-6)


def test_a_team_begins_and_ends_together_and_others_go_on() -> None:
    made = world(2, 3)
    before = made.position.clone()
    mask = torch.tensor([False, False, False, True, True, True])
    made.reset(mask)
    assert torch.equal(made.position[0], before[0]) and not torch.equal(made.position[1], before[1])
    for step in range(1, HORIZON + 1):
        _, reward, terminated, truncated = made.step(torch.zeros(6, dtype=torch.int64))
        assert truncated.tolist() == [step == HORIZON] * 6 and not terminated.any() and reward.shape == (6,)


def test_it_goes_on_from_a_checkpoint_and_repeats_by_its_seed() -> None:
    one, other = world(seed=5), world(seed=6)
    other.load_state_dict(one.state_dict())
    other._lane = one._lane
    for made in (one, other):
        made.step(torch.arange(6) % 5)
        made.reset(torch.ones(6, dtype=torch.bool))
    assert torch.equal(one.position, other.position)
    assert torch.equal(world(seed=5).position, world(seed=5).position)


def test_a_last_team_that_is_not_whole_has_agents_who_do_nothing() -> None:
    made = world(1, 3)
    odd = NavigationBatch(4, agents=3)
    odd.reset(torch.ones(4, dtype=torch.bool))
    odd.position[0].copy_(made.position[0])
    odd.landmarks[0].copy_(made.landmarks[0])
    push = torch.tensor([1, 2, 3, 4])
    seen, earned, terminated, truncated = odd.step(push)
    alone, own, *_ = made.step(push[:3])
    assert seen.shape == (4, 14) and earned.shape == terminated.shape == truncated.shape == (4,)
    torch.testing.assert_close(seen[:3], alone)
    torch.testing.assert_close(earned[:3], own)
    assert odd.velocity[1, 1:].abs().max() == 0


def test_a_team_is_paid_in_shares_at_the_end_what_its_agents_earned() -> None:
    own, shared = (NavigationBatch(6, seed=1, agents=3, pays=pays) for pays in ("own", "team"))
    paid = {}
    for name, made in (("own", own), ("team", shared)):
        made.reset(torch.ones(6, dtype=torch.bool))
        rewards = torch.stack([made.step(torch.arange(6) % 5)[1] for _ in range(HORIZON)])
        paid[name] = rewards
    assert not paid["team"][:-1].any()
    totals = paid["own"].sum(0).reshape(2, 3).sum(1)
    torch.testing.assert_close(paid["team"][-1].reshape(2, 3), (totals / 3)[:, None].expand(2, 3))


@pytest.mark.parametrize("options", [{"agents": 1}, {"agents": 17}, {"pays": "all"}])
def test_what_there_is_not_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"2 to 16|own, team"):
        NavigationBatch(34, **options)
