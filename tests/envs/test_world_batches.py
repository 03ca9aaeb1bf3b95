"""The worlds that are written for a device are found by their ids, with the arguments of the single ones."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from envs.batches import batch
from rewardspec.errors import MismatchError

WORLDS: dict[str, dict[str, Any]] = {
    "rewardspec/WaterWorld-v0": {"map_seed": 2},
    "rewardspec/LetterWorld-v0": {"map_seed": 2, "size": 5, "letters": "aabbc", "centred": False},
    "rewardspec/FlatWorld-v0": {"discrete": True},
}


@pytest.mark.parametrize("env_id", WORLDS)
def test_a_batch_has_the_spaces_the_labels_and_the_horizon_of_the_world(env_id: str) -> None:
    tenv: Any = batch(env_id, 3, **WORLDS[env_id])
    env = gym.make(env_id, **WORLDS[env_id])
    inner: Any = env.unwrapped
    assert tenv.single_observation_space == env.observation_space
    assert tenv.single_action_space == env.action_space
    assert tenv.label_names == inner.label_names
    assert env.spec is not None and tenv.horizon == env.spec.max_episode_steps
    obs = tenv.reset(torch.ones(3, dtype=torch.bool))
    assert all(env.observation_space.contains(row.numpy()) for row in obs)


@pytest.mark.parametrize(("arguments", "reason"), [({"size": 6}, "odd size"), ({"sise": 7}, "sise")])
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(MismatchError, match=reason) as caught:
        batch("rewardspec/LetterWorld-v0", 3, **arguments)
    assert caught.value.problems[0].code == "no-environment"


@pytest.mark.parametrize("env_id", WORLDS)
def test_a_step_resets_nothing_and_keeps_the_memory_of_its_state(env_id: str) -> None:
    """CUDA graphs replay addresses: after steps and masked resets the state lies where it lay."""
    tenv: Any = batch(env_id, 4, pool=16)
    tenv.reset(torch.ones(4, dtype=torch.bool))
    kept = {name: part.data_ptr() for name, part in vars(tenv).items() if isinstance(part, torch.Tensor)}
    for mask in (torch.zeros(4, dtype=torch.bool), torch.tensor([True, False, True, False])):
        action = torch.as_tensor(np.stack([tenv.single_action_space.sample() for _ in range(4)]))
        tenv.step(action)
        tenv.reset(mask)
    assert kept == {
        name: part.data_ptr() for name, part in vars(tenv).items() if isinstance(part, torch.Tensor)
    }


@pytest.mark.parametrize("env_id", WORLDS)
def test_what_a_step_returned_is_not_changed_by_the_next(env_id: str) -> None:
    """A rollout keeps observations and ends; they must be copies."""
    tenv: Any = batch(env_id, 4, pool=16)
    tenv.reset(torch.ones(4, dtype=torch.bool))
    action = torch.as_tensor(np.stack([tenv.single_action_space.sample() for _ in range(4)]))
    outcome = tenv.step(action)
    before = [part.clone() for part in outcome]
    tenv.reset(torch.ones(4, dtype=torch.bool))
    tenv.step(action)
    assert all(torch.equal(part, old) for part, old in zip(outcome, before, strict=True))


@pytest.mark.parametrize("env_id", WORLDS)
def test_a_run_goes_on_from_what_was_kept_of_it(env_id: str) -> None:
    """A checkpoint holds what changes, and nothing that is drawn beforehand."""
    first, second = (batch(env_id, 6, pool=16) for _ in range(2))
    everyone, rng = torch.ones(6, dtype=torch.bool), np.random.default_rng(0)
    first.single_action_space.seed(0)

    def play(tenv: Any, actions: list[torch.Tensor]) -> list[torch.Tensor]:
        seen = []
        for action in actions:
            outcome = tenv.step(action)
            labels = tenv.label(None)
            seen += [*outcome, *labels.values(), tenv.reset(masks[len(seen) % len(masks)])]
        return seen

    masks = [torch.tensor(rng.random(6) < 0.2) for _ in range(7)]
    actions = [
        torch.as_tensor(np.stack([first.single_action_space.sample() for _ in range(6)])) for _ in range(60)
    ]
    first.reset(everyone)
    play(first, actions[:30])
    kept: Any = first
    saved = kept.state_dict()
    assert sum(part.numel() for part in saved.values()) < 6 * 80
    after = play(first, actions[30:])
    second.reset(everyone)
    other: Any = second
    other.load_state_dict(saved)
    assert all(torch.equal(one, two) for one, two in zip(after, play(second, actions[30:]), strict=True))
