"""The codes of specs for several agents."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

TEAM: dict[str, Explanation] = {
    "reward-beside-agents": Explanation(
        "A spec says either what one agent wants (`reward:`), which is then the same for each of several, or what each "
        "of several wants (`agents:`) and what all of them get (`joint:`).",
        "reward: reward\nagents:\n  scout: {reward: 1}\n",
        "agents:\n  scout: {reward: 1}\n  default: {reward: reward}\n",
    ),
    "agent-without-reward": Explanation(
        "Agents are paid nothing: their entry has no terms and there are no joint ones, or no entry fits them.",
        "agents:\n  scout: {team: blue}\n",
        "agents:\n  scout: {team: blue, reward: reward}\n",
    ),
    "several-agents": Explanation(
        "A spec for several agents is given to something that has one: `wrap`, `make_vec`, `relabel`, a vector or a "
        "device wrapper.",
        "# env: CartPole-v1\nagents:\n  default: {reward: reward}\n",
        "# env: CartPole-v1\nreward: reward\n",
    ),
    "needs-agents": Explanation(
        "An expression reads other agents, and in this environment there is one.",
        "# env: CartPole-v1\nreward: reward - mean(others.reward)\n",
        "# env: CartPole-v1\nreward: reward\n",
    ),
    "no-such-agent": Explanation(
        "A name or pattern fits no agent of the environment, in `agents:` or in an expression; or a more exact entry "
        "fits every agent that it fits.",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  agent_*: {reward: reward}\n  adversary_*: {reward: -reward}\n",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  agent_0: {reward: reward}\n  agent_1: {reward: -reward}\n",
    ),
    "agents-overlap": Explanation(
        "Two patterns fit an agent equally well, so that nothing says which entry is its own.",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  agent_*: {reward: reward}\n  '*gent_0': {reward: 2}\n",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  agent_*: {reward: reward}\n  agent_0: {reward: 2}\n",
    ),
    "agents-not-reduced": Explanation(
        "What is read of several agents is a number for each of them, and a term pays one number.",
        "agents:\n  default: {reward: reward - others.reward}\n",
        "agents:\n  default: {reward: reward - mean(others.reward)}\n",
    ),
    "mixed-agents": Explanation(
        "Values for each of some agents meet values for each of others: there is no telling which belong together.",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  default: {reward: sum(team.reward - others.reward)}\n",
        "# env: rewardspec/TwoButtons-v0\nagents:\n  default: {reward: sum(team.reward) - sum(others.reward)}\n",
    ),
    "own-signal-in-joint": Explanation(
        "Joint terms are read on all agents together and are no agent's own. A field without a name in front of it is "
        "the agent's own, and `others`, `teammates` and `opponents` are an agent's too.",
        "joint:\n  reward: {once: 'next_obs[0] > 1'}\n",
        "joint:\n  reward: {once: 'any(team.next_obs[0] > 1)'}\n",
    ),
    "unfit-projection": Explanation(
        "`local` projects the joint machines onto what an agent can tell. That takes reward machines without counters, "
        "which pay nothing before their end that the agent cannot tell, and the same for what it cannot tell apart.",
        "propositions: [ready, done]\njoint:\n  reward:\n    reward_machine:\n      start: u\n      edges:\n"
        "        - {from: u, to: v, when: ready, reward: 1}\n        - {from: v, to: end, when: done, reward: 1}\n"
        "      terminal: end\nagents:\n  default: {local: [done]}\n",
        "propositions: [ready, done]\njoint:\n  reward:\n    reward_machine:\n      start: u\n      edges:\n"
        "        - {from: u, to: v, when: ready}\n        - {from: v, to: end, when: done, reward: 1}\n"
        "      terminal: end\nagents:\n  default: {local: [done]}\n",
    ),
    "too-many-agents": Explanation(
        "Exact Shapley values take the worth of every coalition, twice as many for each agent more.",
        ">>> shapley(value, agents)  # of 20 agents",
        ">>> shapley(value, agents, orders=1000)",
    ),
    "parallel-labeller": Explanation(
        "A ready-made labeller reads the state of an environment with one agent.",
        ">>> rewardspec.wrap_parallel(env, spec)  # of a spec with `labels: minigrid`",
        ">>> rewardspec.wrap_parallel(env, spec, label=lambda env, agent, step: {'near': step.next_obs[0] < 1})",
    ),
    "unfit-spaces": Explanation(
        "Agents that share one policy must see and do the same sort of thing: their observation and action spaces, "
        "memory included, must be equal. Agents that leave early must have an idle action.",
        ">>> rewardspec.make_parallel_vec('mpe2/simple_tag_v3', spec)  # agent_0 sees less than the adversaries",
        ">>> rewardspec.make_parallel_vec('mpe2/simple_tag_v3', spec, agents='adversary_*')",
    ),
}
