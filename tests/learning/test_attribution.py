"""What each input of a reward model earned: contributions that add up, and are right where the model is known."""

from __future__ import annotations

import numpy as np
import pytest

from rewardspec.kinds.reward_model import Networks
from rewardspec.learning.attribution import attribute
from rewardspec.learning.decomposition import set_scale
from rewardspec.learning.models import Ensemble


def model_of(**form: object) -> Ensemble:
    made = Ensemble(Networks.model_validate(form), 3, seed=0)
    made.see(np.random.default_rng(1).normal(1.0, 2.0, (100, 3)).astype(np.float32))
    made.is_fitted = True
    set_scale(made, -2.0, 3.0)
    return made


STEPS = np.random.default_rng(2).normal(size=(40, 3))


@pytest.mark.parametrize(
    "form",
    [
        {"hidden": []},
        {"hidden": [32, 32], "activation": "tanh", "ensemble": 3},
        {"hidden": [32, 32], "activation": "relu"},
        {"hidden": [16], "activation": "tanh", "ensemble": 4, "combine": "wco"},
    ],
)
def test_contributions_add_up_to_the_reward_from_the_mean_step_on(form: dict[str, object]) -> None:
    model = model_of(**form)
    given, base = attribute(model, STEPS)
    rewards = model.reward(STEPS)
    np.testing.assert_allclose(given.sum(1), rewards - base, atol=0.02 * np.ptp(rewards))


def test_of_a_linear_model_they_are_its_terms() -> None:
    model = model_of(hidden=[])
    weights = model.weights[0].detach().numpy()[0, :, 0]
    expected = weights * (STEPS - model.centre) / model.spread / model.scale[0]
    np.testing.assert_allclose(attribute(model, STEPS)[0], expected, rtol=1e-4, atol=1e-5)
