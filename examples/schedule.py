"""Weights that change while training runs: by the steps of the run, by how well it goes, or by hand."""

import gymnasium
import numpy as np

import rewardspec

spec = rewardspec.loads("""
name: speed-first
reward:
  - markov: next_obs[1] * 10
    name: speed
    weight: {linear: {from: 1, to: 0, over: 400}}          # gone after 400 steps
  - markov: -abs(action[0])
    name: effort
    weight: {performance: {from: 0, to: 1, measure: 'next_obs[0]', low: -120, high: -60, window: 2}}
  - once: terminated
    name: flag
    weight: 100
""")

env = rewardspec.wrap(gymnasium.make("MountainCarContinuous-v0", max_episode_steps=200), spec)
env.reset(seed=0)
for episode in range(4):
    over = False
    while not over:
        velocity = env.unwrapped.state[1]
        _, _, terminated, truncated, info = env.step(np.array([1.0 if velocity >= 0 else -1.0]))
        over = terminated or truncated
    print(episode, {name: round(total, 2) for name, total in info["rewardspec"]["return"].items()})
    if episode == 2:
        print("parameters:", env.params)
        env.set_param("flag.weight", 50.0)  # from outside: a curriculum, a callback, a person
    env.reset()
