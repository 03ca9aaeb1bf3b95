"""Runs that ask people, made quickly: random actions in place of an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rewardspec.compiler import compile_spec
from rewardspec.environments import make_environment
from rewardspec.learning.learner import RewardLearner
from rewardspec.learning.playing import pack
from rewardspec.training.environments import Episodes, OwnScore, success_of
from rewardspec.training.folder import RunFolder
from rewardspec.training.observations import Encoded
from rewardspec.training.settings import choose
from rewardspec.vocabulary import loads

UPRIGHT = """\
name: "upright </pre><script>alert(1)</script>"
description: The pole should stand still, in the middle.
discount: 0.99
env: {id: CartPole-v1}
reward:
  - name: comfort
    preferences:
      labels: {file: answers.jsonl}
      segment: 8
      after: 100
      every: 100
      pairs: 4
      inputs: [next_obs]
      model: {hidden: [8]}
      fit: {epochs: 2, held_out: 0}
"""


def environment(learner: RewardLearner, env_id: str) -> Episodes:
    """Return an environment as `rewardspec train` makes it."""
    own = OwnScore(make_environment(env_id))
    paid = learner.wrap(own)
    return Episodes(Encoded(paid), paid, own, success_of(own))


class Run:
    """A run of random actions in two environments side by side, in a run folder."""

    def __init__(self, folder: Path, text: str = UPRIGHT) -> None:
        spec = loads(text)
        self.settings = choose(spec, algo="ppo", steps=1000, n_envs=2)
        self.folder = RunFolder(folder)
        if not self.folder.is_run:
            digest = compile_spec(spec).digest()
            self.folder.create(text, {"settings": self.settings.to_data(), "digest": digest, "versions": {}})
        self.learner = RewardLearner(spec, folder=folder)
        self.envs = [environment(self.learner, self.settings.env_id) for _ in range(2)]
        for i, env in enumerate(self.envs):
            env.reset(seed=i)
        self.rng = np.random.default_rng(0)
        self.steps = 0

    def play(self, steps: int) -> list[dict[str, Any]]:
        """Take so many steps in each environment, refreshing when it is due; return what the refreshes came to."""
        reports = []
        for _ in range(steps):
            actions = self.rng.integers(2, size=2)
            told = [env.step(action) for env, action in zip(self.envs, actions, strict=True)]
            ended = [terminated or truncated for _, _, terminated, truncated, _ in told]
            learned = [info["learned"] for *_, info in told]
            self.learner.observe(
                [step.features for step in learned],
                ended,
                None,
                pack([step.seed for step in learned], actions),
            )
            for env, over in zip(self.envs, ended, strict=True):
                if over:
                    env.reset()
            self.steps += 2
            if self.learner.is_due(self.steps):
                reports += self.learner.refresh(self.steps)
        return reports
