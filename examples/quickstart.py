"""Declare a reward, wrap an environment that pays by it, and see what is paid and why."""

import gymnasium
import minigrid  # noqa: F401  (registers its environments)

import rewardspec

spec = rewardspec.loads("""
name: doorkey
description: Take the key, open the door with it, and go to the goal.
discount: 0.99
env: {id: MiniGrid-DoorKey-5x5-v0, labels: minigrid, horizon: 250}
propositions:
  key: label.carrying_key
  door: label.door_open
  goal: label.at_goal
reward:
  - ltl: F(key & X F(door & X F goal))
    accept: 1
    progress: 0.3
    name: task
  - markov: -0.001
    name: time
tests:
  - name: the straight way
    trace: [[], [key], [key, door], [door, goal]]
    return: {task: 1.2295}
""")

env = rewardspec.wrap(gymnasium.make("MiniGrid-DoorKey-5x5-v0"), spec, detail=True)
obs, info = env.reset(seed=0)
for action in [1, 3, 2, 2, 1, 5, 2, 2, 1, 2, 2]:  # left 0, right 1, forward 2, pick up 3, toggle 5
    obs, reward, terminated, truncated, info = env.step(action)
    told = info["rewardspec"]
    print(f"{reward:+.4f}  {told['verdict']['task']:18}  {', '.join(told['true']) or '-'}")
print({name: round(total, 3) for name, total in told["return"].items()})
