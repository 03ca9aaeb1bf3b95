"""An environment that pays by what a finished run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym

from rewardspec.learning.learner import RewardLearner
from rewardspec.learning.wrapper import LearnedRewardWrapper, learned_from
from rewardspec.wrappers.refusals import refuse_other
from rewardspec.wrappers.single import SpecLike


def wrap_learned(
    env: gym.Env[Any, Any], spec: SpecLike, place: str | Path, **options: Any
) -> LearnedRewardWrapper:
    """Return an environment that pays a spec with what a finished run has learned for it.

    Args:
        env: Any gymnasium environment that fits the spec.
        spec: A spec with learned terms, a compiled program or the path of a YAML file.
        place: The run folder, or the file of models (`learned.npz`).
        options: `label`, `observe` and `detail`, as `rewardspec.wrap` takes them.

    Raises:
        UnsupportedError: `no-models`; `nothing-learned`.
        LearningError: `broken-model` when the models are another spec's.
    """
    refuse_other(env)
    file = learned_from(place)
    learner = RewardLearner(spec)
    wrapped = learner.wrap(env, **options)
    learner.load_models(file)
    return wrapped
