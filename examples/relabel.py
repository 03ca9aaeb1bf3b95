"""Pay stored episodes anew: other rewards for data that was recorded once."""

import gymnasium
import numpy as np

import rewardspec

spec = rewardspec.loads("""
name: saved-effort
reward:
  - markov: reward
    name: task
  - name: thrift
    gate: {markov: '1 - abs(action[0]) / 2'}   # what was saved counts where the pendulum ends upright;
    when: next_obs[0] > 0                      # that is known once the episode is over, as stored ones are
    known: end
    timing: relabel
""")

env = gymnasium.make("Pendulum-v1")
env.action_space.seed(0)
obs, _ = env.reset(seed=0)
data: dict[str, list] = {"obs": [obs], "action": [], "reward": [], "terminated": [], "truncated": []}
while not (data["truncated"] and data["truncated"][-1]):
    action = env.action_space.sample()
    obs, reward, terminated, truncated, _ = env.step(action)
    for key, value in zip(data, (obs, action, reward, terminated, truncated), strict=True):
        data[key].append(value)

paid = rewardspec.relabel({key: np.array(value) for key, value in data.items()}, spec)
print("steps:", len(paid.reward))
print({name: round(float(values.sum()), 2) for name, values in paid.terms.items()})
print("the pendulum ended", "upright" if data["obs"][-1][0] > 0 else "below")
