"""Train a stable-baselines3 agent on a spec; `rewardspec train` does the same with checkpoints and a report."""

import sys
from pathlib import Path

import numpy as np
from stable_baselines3 import PPO

import rewardspec

SPEC = rewardspec.load(Path(__file__).parent / "specs" / "cartpole_centred.yaml")
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 6_144

venv = rewardspec.make_vec("CartPole-v1", SPEC, n_envs=4, seed=0)
model = PPO("MlpPolicy", venv, gamma=SPEC.discount, n_steps=256, batch_size=256, seed=0, device="cpu")
model.learn(STEPS)

for rank, returns in enumerate(venv.env_method("get_episode_rewards")):  # Monitor counted them, by the spec
    first, last = np.mean(returns[:10]), np.mean(returns[-10:])
    print(f"environment {rank}: {len(returns)} episodes, return {first:.1f} at first, {last:.1f} at last")
