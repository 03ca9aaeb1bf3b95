"""Say what each of several agents wants, and see what they are paid and what they share."""

from mpe2 import simple_spread_v3

import rewardspec

SPEC = rewardspec.loads("""
name: cover-and-share
discount: 0.95
signals:
  # An agent sees its velocity (0, 1), its place (2, 3), and the landmarks from where it is (4 to 9).
  far: 'min(norm(team.next_obs[4:6])) + min(norm(team.next_obs[6:8])) + min(norm(team.next_obs[8:10]))'
agents:
  agent_0: {reward: {markov: -far, name: cover}}
  default:
    reward: {difference: -far, name: cover}
    share: {team: 0.5}
""")

env = rewardspec.wrap_parallel(simple_spread_v3.parallel_env(max_cycles=25), SPEC)
observations, _ = env.reset(seed=0)
for i, agent in enumerate(env.agents):
    env.action_space(agent).seed(i)
while env.agents:
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    observations, rewards, terminations, truncations, infos = env.step(actions)

for agent, info in infos.items():
    told = info["rewardspec"]
    print(f"{agent}: earned {told['return']['cover']:.2f}, paid {told['paid']:.2f}")
