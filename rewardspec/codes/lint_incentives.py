"""The codes of the lints of incentives. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

INCENTIVES: dict[str, Explanation] = {
    "goal-worth-nothing": Explanation(
        "With this discount a goal at the horizon is worth next to nothing at the start: the agent has no "
        "reason to walk that far.",
        """\
discount: 0.9
env: {horizon: 500}
propositions: {goal: info.goal}
reward:
  ltl: F goal
""",
        """\
discount: 0.995
env: {horizon: 500}
propositions: {goal: info.goal}
reward:
  ltl: F goal
""",
        "warning",
    ),
    "idling-beats-goal": Explanation(
        "Every step before the goal surely pays more than the delay of the goal costs, so the best plan is "
        "never to reach it.",
        """\
discount: 0.99
env: {horizon: 500}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - markov: 0.1
    name: alive
""",
        """\
# A step costs a little instead.
discount: 0.99
env: {horizon: 500}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - markov: -0.001
    name: effort
""",
        "warning",
    ),
    "repetition-beats-goal": Explanation(
        "A term that can pay on every step may pay more over an episode than the goal that ends it. What "
        "can be repeated for ever is worth more than what can be had once.",
        """\
discount: 0.99
env: {horizon: 200}
propositions: {key: info.key, goal: info.goal}
reward:
  - ltl: F goal
  - markov: 0.1 * key
    name: has key
""",
        """\
# Paid once in an episode.
discount: 0.99
env: {horizon: 200}
propositions: {key: info.key, goal: info.goal}
reward:
  - ltl: F goal
  - once: key
    value: 0.1
    name: has key
""",
        "warning",
    ),
    "dying-beats-goal": Explanation(
        "Every step costs something and failing costs too little: an agent that does not find the goal soon"
        " is better off failing at once.",
        """\
discount: 1
env: {horizon: 200}
propositions: {goal: info.goal, lava: info.lava}
reward:
  - ltl: F goal & G !lava
    reject: -0.1
  - markov: -0.05
    name: time
""",
        """\
# Failing costs more than the longest episode.
discount: 1
env: {horizon: 200}
propositions: {goal: info.goal, lava: info.lava}
reward:
  - ltl: F goal & G !lava
    reject: -1
  - markov: -0.005
    name: time
""",
        "warning",
    ),
    "living-reward": Explanation(
        "Every step surely pays and the environment can end an episode early, so an agent is paid for "
        "staying alive. Right for balancing; wrong where the early end is the goal.",
        """\
env: {ends_early: true}
reward: 1
""",
        """\
# Paid for what is wanted, not for each step.
env: {ends_early: true}
signals:
  progress: {value: "next_obs[0]", range: [-1, 1]}
reward: progress
""",
        "info",
    ),
    "step-cost": Explanation(
        "Every step surely costs and the environment can end an episode early, so an agent is paid for "
        "ending it. Right where the early end is the goal; wrong where it is a failure (a fall, a crash).",
        """\
env: {ends_early: true}
signals:
  effort: {value: "norm(action)", range: [0.1, 2]}
reward: -effort
""",
        """\
# Staying up pays more than the effort costs.
env: {ends_early: true}
signals:
  effort: {value: "norm(action)", range: [0.1, 2]}
reward: 1 - effort
""",
        "info",
    ),
    "dwarfed-term": Explanation(
        "On the declared ranges one term is worth less than a thousandth of another: the agent will hardly "
        "feel it.",
        """\
signals:
  speed: {value: "next_obs[0]", range: [0, 5000]}
  effort: {value: "norm(action)", range: [0, 1]}
reward:
  - markov: speed
    name: speed
  - markov: -effort
    name: effort
""",
        """\
# Both of one size.
signals:
  speed: {value: "next_obs[0]", range: [0, 5000]}
  effort: {value: "norm(action)", range: [0, 1]}
reward:
  - markov: speed / 5000
    name: speed
  - markov: -0.1 * effort
    name: effort
""",
        "warning",
    ),
    "oversized-shaping": Explanation(
        "On the declared ranges a potential pays more than a thousand times the goal's payment on a step. "
        "The best policies stay the same, but a learner's values must be that exact for the goal to be seen.",
        """\
discount: 0.99
signals:
  distance: {value: "obs[0]", range: [0, 5000]}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - potential: -distance
""",
        """\
discount: 0.99
signals:
  distance: {value: "obs[0]", range: [0, 5000]}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - potential: -distance / 5000
""",
        "warning",
    ),
    "discount-mismatch": Explanation(
        "The agent discounts with another number than the spec declares. A potential keeps the best "
        "policies for the spec's discount only, and values are compared at it.",
        """\
discount: 0.9
reward:
  potential: -abs(obs[0])
""",
        """\
# The agent's own discount, here 0.99.
discount: 0.99
reward:
  potential: -abs(obs[0])
""",
    ),
}
