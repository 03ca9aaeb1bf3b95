"""Learn a reward from a ranking of factors, and an agent on it, with stable-baselines3."""

import sys

import gymnasium
from stable_baselines3 import PPO

import rewardspec

SPEC = rewardspec.loads("""
name: balance-then-centre
discount: 0.99
env: {id: CartPole-v1}
reward:
  - heron:
      factors:
        - {name: upright, value: "-abs(next_obs[2])", margin: {std: 0.5}}
        - {name: centred, value: "-abs(next_obs[0])"}
      segment: 5
      model: {ensemble: 3, combine: {uwo: 0.5}}
      every: 1000
  - markov: 1
    name: alive
""")
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 4_096

learner = rewardspec.RewardLearner(SPEC, seed=0)
model = PPO(
    "MlpPolicy", learner.wrap(gymnasium.make("CartPole-v1")), gamma=0.99, n_steps=512, seed=0, device="cpu"
)
model.learn(STEPS, callback=learner.callback())

for report in learner.reports:
    share = report["held_out_accuracy"]
    print(
        f"after {report['steps']:5} steps: {share:.0%} of held-out pairs ordered as the ranking orders them"
    )
