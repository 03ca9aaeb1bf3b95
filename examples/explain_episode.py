"""Record an episode and ask, step by step, why each reward was paid."""

from pathlib import Path

import gymnasium

import rewardspec
from rewardspec.analysis.explain import explain_episode, show_episode, show_step

spec = rewardspec.load(Path(__file__).parent / "specs" / "frozen_lake.yaml")
env = rewardspec.wrap(gymnasium.make("FrozenLake-v1", is_slippery=False), spec, detail=True)
env.reset(seed=0)

episode = []
for action in [2, 2, 1, 1, 1, 2]:  # right, right, down, down, down, right
    _, _, terminated, _, _ = env.step(action)
    episode.append(env.last_transition)
assert terminated
report = explain_episode(spec, episode)
print(show_episode(report))
print()
print(show_step(report, len(episode) - 1))
