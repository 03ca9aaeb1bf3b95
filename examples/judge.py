"""Subgoals in words, and a judge that says when they were reached: here a rule, in a language model's place."""

import json

import gymnasium

import rewardspec
from rewardspec.llm.provider import Request
from rewardspec.llm.scripted import Scripted

spec = rewardspec.loads("""
reward:
  - reward
  - subgoals:
      task: Drive the car up the hill on the right.
      subgoals: [climb the left hill, pass the valley at speed]
      judge: {llm: default, observation: numbers, actions: [left, none, right]}
      bonus: 10
""")


def say(request: Request) -> str:
    """Answer a prompt as a model would: with text. `wrap_judged(env, spec)` asks a real one, see docs/llm.md."""
    before, after = (
        [float(word) for word in part.split("| ")[1].split()[:2]]
        for part in request.messages[-1].content.split("the step:\n")[1:]
    )
    left, speed = after[0] < -0.7 <= before[0], before[0] < -0.5 <= after[0] and after[1] > 0.02
    return json.dumps({"climb the left hill": left, "pass the valley at speed": speed})


env = rewardspec.wrap_judged(gymnasium.make("MountainCar-v0"), spec, Scripted(say))
obs, _ = env.reset(seed=0)
over = False
while not over:  # swing: always push the way the car moves
    obs, _, terminated, truncated, info = env.step(2 if obs[1] >= 0 else 0)
    over = terminated or truncated
print(info["rewardspec"]["return"])
