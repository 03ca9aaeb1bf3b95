"""Many environments at once: above a gymnasium vector environment, or below it, with equal rewards."""

from pathlib import Path

import gymnasium
import numpy as np

import rewardspec

SPEC = Path(__file__).parent / "specs" / "cartpole_centred.yaml"
B, STEPS = 4, 200

above = rewardspec.wrap_vector(gymnasium.make_vec("CartPole-v1", B, vectorization_mode="sync"), SPEC)
below = gymnasium.vector.SyncVectorEnv([lambda: rewardspec.wrap(gymnasium.make("CartPole-v1"), SPEC)] * B)

above.reset(seed=0)
below.reset(seed=0)
above.action_space.seed(0)
returns = []
for _ in range(STEPS):
    actions = above.action_space.sample()
    _, rewards, terminated, truncated, infos = above.step(actions)
    _, same_rewards, *_ = below.step(actions)
    assert np.allclose(rewards, same_rewards)
    for i in np.flatnonzero(terminated | truncated):
        returns.append(infos["return/product"][i])
print(f"{len(returns)} episodes, mean return {np.mean(returns):.2f}")
print("rewards above and below are equal, step by step")

try:  # a wrapper above cannot end an episode that the vector environment goes on playing
    ending = rewardspec.loads("{reward: 1, end: [{when: 'abs(next_obs[0]) > 1'}]}")
    rewardspec.wrap_vector(gymnasium.make_vec("CartPole-v1", B, vectorization_mode="sync"), ending)
except rewardspec.UnsupportedError as error:
    print(error)
