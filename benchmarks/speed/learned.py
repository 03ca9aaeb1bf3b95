"""What learning a reward costs beside the agent that trains on it: SAC on Pendulum with five members, as a share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym

from benchmarks.speed.method import Result, Settings, absent
from rewardspec import RewardLearner, from_data
from rewardspec.learning.callback import LearnedRewardCallback
from rewardspec.learning.wrapper import LearnedRewardWrapper

STEPS = 3_000
"""Environment steps of a run: with the first refresh at 1,000 and one every 1,000, three refreshes."""

SPEC: dict[str, Any] = {
    "name": "pendulum-five",
    "discount": 0.99,
    "reward": {
        "heron": {
            "factors": [
                {"name": "upright", "value": "next_obs[0]", "margin": {"std": 1.0}},
                {"name": "slow", "value": "-abs(next_obs[2])", "margin": {"std": 0.5}},
                {"name": "effort", "value": "-norm(action)", "margin": 0.1},
            ],
            "segment": 25,
            "model": {"hidden": [64, 64], "ensemble": 5, "combine": {"uwo": 0.5}},
            "every": 1000,
        }
    },
}


class Clock:
    """CPU time spent inside some methods, one within another counted once."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.spent, self._depth = 0.0, 0

    @contextlib.contextmanager
    def inside(self, owner: type[Any], *names: str) -> Iterator[None]:
        """Count the time of methods of a class while this is open."""
        before = {name: getattr(owner, name) for name in names}
        for name, method in before.items():
            setattr(owner, name, self._timed(method))
        try:
            yield
        finally:
            for name, method in before.items():
                setattr(owner, name, method)

    def _timed(self, method: Any) -> Any:
        def timed(*given: Any, **named: Any) -> Any:
            self._depth += 1
            begun = time.process_time()
            try:
                return method(*given, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.spent += time.process_time() - begun

        return timed


def measure(settings: Settings) -> list[Result]:
    """Return the share of the training's CPU time that the models and their fitting take."""
    try:
        from stable_baselines3 import SAC
    except ImportError:
        return [absent("", "learning a reward beside SAC", "stable-baselines3 is not installed")]
    shares, fits = [], []
    steps, runs = (1_200, 2) if settings.quick else (STEPS, 5)
    for seed in range(runs):
        learner = RewardLearner(from_data(SPEC), seed=seed)
        model = SAC("MlpPolicy", learner.wrap(gym.make("Pendulum-v1")), gamma=0.99, seed=seed, device="cpu")
        paying, fitting = Clock(), Clock()
        with (
            paying.inside(LearnedRewardWrapper, "_pay"),
            fitting.inside(LearnedRewardCallback, "_on_step", "_init_callback"),
        ):
            begun = time.process_time()
            model.learn(steps, callback=learner.callback())
            whole = time.process_time() - begun
        shares.append(100 * (paying.spent + fitting.spent) / whole)
        fits.append(100 * fitting.spent / whole)
    return [
        Result.of("SAC on Pendulum, five members: learning the reward, of all CPU time", "%", shares, 25.0),
        Result.of("of it: storing, comparing, fitting and paying anew, of all CPU time", "%", fits),
    ]
