"""The codes of the linter: what each finding means, a spec that trips it, and the spec mended.

Every example trips its code and no fix does; `tests/analysis/test_lint_codes.py` holds them to it.
"""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

FORMULAS: dict[str, Explanation] = {
    "unsatisfiable-formula": Explanation(
        "No trace satisfies the formula, so it is never paid.",
        """\
propositions: {door: info.door, lava: info.lava}
reward:
  ltl: F door & G !door
""",
        """\
# Two parts excluded each other: the second was meant for another proposition.
propositions: {door: info.door, lava: info.lava}
reward:
  ltl: F door & G !lava
""",
    ),
    "tautological-formula": Explanation(
        "Every trace satisfies the formula, so it is paid whatever the agent does.",
        """\
propositions: {door: info.door}
reward:
  ltl: F door | G !door
""",
        """\
# Keep the part that asks for something.
propositions: {door: info.door}
reward:
  ltl: F door
""",
    ),
    "first-step-only": Explanation(
        "A formula without a temporal operator speaks of the first step only: after it, nothing counts any "
        "more.",
        """\
propositions: {coffee: info.coffee}
reward:
  ltl: coffee
""",
        """\
# F: at some step.
propositions: {coffee: info.coffee}
reward:
  ltl: F coffee
""",
    ),
    "paid-on-first-step": Explanation(
        "`pay: first` pays at the first step at which the trace so far satisfies the formula, and ends the "
        "episode. A formula that says what must never happen is satisfied so far after one step, so the "
        "episode is one step long.",
        """\
propositions: {lava: info.lava}
reward:
  ltl: G !lava
""",
        """\
# `pay: end` pays on the verdict about the whole episode.
propositions: {lava: info.lava}
reward:
  ltl: G !lava
  pay: end
""",
    ),
    "accept-never-paid": Explanation(
        "`pay: for_good` waits until no continuation can undo the satisfaction; for this formula there is "
        "always one that can.",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  pay: for_good
""",
        """\
# `pay: first` pays when the goal is reached without lava before; `pay: end` waits for the whole episode.
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  pay: first
""",
    ),
    "reject-never-paid": Explanation(
        "`reject` is paid when no continuation can satisfy the formula any more. A formula that only says "
        "what must happen some day (liveness) is never violated for good.",
        """\
propositions: {goal: info.goal}
reward:
  ltl: F goal
  reject: -1
""",
        """\
# Say what must not happen.
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  reject: -1
""",
        "warning",
    ),
    "vacuous-formula": Explanation(
        "A part of the formula makes no difference: replaced by true or by false it leaves a formula that "
        "holds on the same traces. Often a sign that the formula does not say what is meant.",
        """\
propositions: {key: info.key, door: info.door}
reward:
  ltl: F door | F(key & X F door)
""",
        """\
# First the key, then the door: the other part allowed the door alone.
propositions: {key: info.key, door: info.door}
reward:
  ltl: F(key & X F door)
""",
        "warning",
    ),
    "finite-reading": Explanation(
        "The formula means one thing on finite traces (an episode) and another on infinite ones. `G F a` "
        "and `F G a` both ask only for `a` at the last step of an episode; a strong `X` fails at the last "
        "step, which has no next.",
        """\
propositions: {home: info.home, work: info.work}
reward:
  ltl: G F home & F work
  pay: end
""",
        """\
# Over endless behaviour: home again and again.
propositions: {home: info.home, work: info.work}
reward:
  ltl: F home & F work
  pay: end
""",
        "info",
    ),
    "accept-not-above-reject": Explanation(
        "Satisfying the formula pays no more than violating it, so the agent has no reason to satisfy it.",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  accept: -1
  reject: 1
""",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  accept: 1
  reject: -1
""",
        "warning",
    ),
}

MACHINES: dict[str, Explanation] = {
    "guard-gap": Explanation(
        "For some label a state of the machine has no edge. The machine stays there and pays 0, which "
        "is often what is meant: an info then, and nothing at all where the label has nothing true. It is a "
        "warning where the state has an edge that says when it stays: then the labels that no edge "
        "names were probably forgotten.",
        """\
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: search, when: not key and not door}
      - {from: search, to: open, when: key and door, reward: 1}
    terminal: open
""",
        """\
# `otherwise` takes whatever the other edges leave.
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: search, when: otherwise}
      - {from: search, to: open, when: key and door, reward: 1}
    terminal: open
""",
        "warning",
    ),
    "edge-never-taken": Explanation(
        "No label satisfies the edge's guard, or, for `otherwise`, the other guards leave nothing over.",
        """\
propositions: {key: info.key}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key and not key, reward: 1}
      - {from: search, to: lost, when: not key, reward: -1}
    terminal: [found, lost]
""",
        """\
propositions: {key: info.key}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key, reward: 1}
      - {from: search, to: lost, when: not key, reward: -1}
    terminal: [found, lost]
""",
        "warning",
    ),
    "unreachable-state": Explanation(
        "No sequence of labels leads to a state: an edge is missing, or leads elsewhere.",
        """\
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: search, when: key}
      - {from: carry, to: open, when: door, reward: 1}
    terminal: open
""",
        """\
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: carry, when: key}
      - {from: carry, to: open, when: door, reward: 1}
    terminal: open
""",
        "warning",
    ),
    "trap-state": Explanation(
        "From a state nothing positive can be earned any more, and the episode goes on: the agent spends "
        "steps, and its learning, where nothing can be won.",
        """\
propositions: {key: info.key, lava: info.lava}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key and not lava, reward: 1}
      - {from: search, to: burnt, when: lava}
    terminal: found
""",
        """\
# The failure ends the episode.
propositions: {key: info.key, lava: info.lava}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key and not lava, reward: 1}
      - {from: search, to: burnt, when: lava}
    terminal: [found, burnt]
""",
        "warning",
    ),
    "machine-finished": Explanation(
        "In a state the machine has paid all it can pay, and the episode goes on. Right where other terms "
        "go on paying; else the state should be terminal.",
        """\
propositions: {key: info.key}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key, reward: 1}
""",
        """\
propositions: {key: info.key}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: found, when: key, reward: 1}
    terminal: found
""",
        "info",
    ),
    "equivalent-states": Explanation(
        "Two states pay and end alike on every sequence of labels. The compiler merges them; if they were "
        "meant to differ, something is missing.",
        """\
propositions: {red: info.red, blue: info.blue, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: with_red, when: red}
      - {from: search, to: with_blue, when: blue and not red}
      - {from: with_red, to: open, when: door, reward: 1}
      - {from: with_blue, to: open, when: door, reward: 1}
    terminal: open
""",
        """\
# The red key was meant to be worth more.
propositions: {red: info.red, blue: info.blue, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: with_red, when: red}
      - {from: search, to: with_blue, when: blue and not red}
      - {from: with_red, to: open, when: door, reward: 2}
      - {from: with_blue, to: open, when: door, reward: 1}
    terminal: open
""",
        "info",
    ),
    "positive-reward-cycle": Explanation(
        "A loop of edges in the machine pays more than it costs. Where the machine has an end, an agent may"
        " go round the loop for ever instead of finishing (the boat that circles among the bonus targets). "
        "Where it has none, the loop may be the task itself, and the finding is an info; so is a loop that "
        "is worth less than the goal over the declared horizon and discount.",
        """\
env: {horizon: 200}
discount: 0.99
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: carry, when: key, reward: 0.2}
      - {from: carry, to: search, when: not key and not door}
      - {from: carry, to: open, when: door, reward: 1}
    terminal: open
""",
        """\
# Losing the key costs what finding it paid.
env: {horizon: 200}
discount: 0.99
propositions: {key: info.key, door: info.door}
reward:
  reward_machine:
    start: search
    edges:
      - {from: search, to: carry, when: key, reward: 0.2}
      - {from: carry, to: search, when: not key and not door, reward: -0.2}
      - {from: carry, to: open, when: door, reward: 1}
    terminal: open
""",
        "warning",
    ),
    "uneven-payments": Explanation(
        "Two ways to one state of the machine pay different sums on the way. That prefers one way to the "
        "other, which may be meant; as mere help for learning it can change which policy is best.",
        """\
propositions: {bridge: info.bridge, ford: info.ford, town: info.town}
reward:
  reward_machine:
    start: walk
    edges:
      - {from: walk, to: across, when: bridge, reward: 0.1}
      - {from: walk, to: across, when: ford and not bridge, reward: 0.3}
      - {from: across, to: town, when: town, reward: 1}
    terminal: town
""",
        """\
propositions: {bridge: info.bridge, ford: info.ford, town: info.town}
reward:
  reward_machine:
    start: walk
    edges:
      - {from: walk, to: across, when: bridge or ford, reward: 0.1}
      - {from: across, to: town, when: town, reward: 1}
    terminal: town
""",
        "info",
    ),
}

COMPOSITION: dict[str, Explanation] = {
    "negative-product": Explanation(
        "A factor of a product may be negative. Where it is, more of the other factors means less reward: a"
        " penalty times a quality between 0 and 1 pays the agent for losing the quality.",
        """\
signals:
  speed: {value: "next_obs[0]", range: [-1, 1]}
  upright: {value: "next_obs[1]", range: [0, 1]}
reward:
  product:
    - markov: speed
    - markov: upright
""",
        """\
# From 0 up.
signals:
  speed: {value: "next_obs[0]", range: [-1, 1]}
  upright: {value: "next_obs[1]", range: [0, 1]}
reward:
  product:
    - markov: (speed + 1) / 2
    - markov: upright
""",
        "warning",
    ),
    "normalised-scale": Explanation(
        "`normalise` with running statistics divides by the spread of what it is given, so a factor or "
        "shift inside it has no effect.",
        """\
signals:
  speed: {value: "next_obs[0]", range: [-1, 1]}
reward:
  normalise:
    affine: {markov: speed}
    scale: 10
""",
        """\
# The factor stands outside.
signals:
  speed: {value: "next_obs[0]", range: [-1, 1]}
reward:
  normalise: {markov: speed}
  weight: 10
""",
        "warning",
    ),
    "broken-telescoping": Explanation(
        "The payments of a difference add up to the last value minus the first, so no loop can be farmed. A"
        " clip or a curve over each payment breaks that: many small steps forward and one large step back "
        "then pay.",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 10]}
reward:
  clip:
    diff: {markov: height}
  low: -0.1
  high: 1
""",
        """\
# The value is clipped, then its difference is taken.
signals:
  height: {value: "next_obs[0]", range: [0, 10]}
reward:
  diff:
    clip: {markov: height}
    low: 0
    high: 5
""",
        "info",
    ),
    "gate-on-change": Explanation(
        "A gate for the whole episode opens by a change between two steps. One step back and one forward "
        "open it.",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 10]}
reward:
  gate: {markov: 0.1 * height}
  when: next_obs[0] - obs[0] > 0.5
  known: ever
  timing: escrow
""",
        """\
# It opens where the value itself is high enough.
signals:
  height: {value: "next_obs[0]", range: [0, 10]}
reward:
  gate: {markov: 0.1 * height}
  when: height > 8
  known: ever
  timing: escrow
""",
        "info",
    ),
    "lexicographic-steps": Explanation(
        "`lexicographic` orders single steps. Summed over an episode, many small gains in a later term may "
        "outweigh one loss in an earlier one.",
        """\
signals:
  safe: {value: "next_obs[0]", range: [0, 1]}
  fast: {value: "next_obs[1]", range: [0, 1]}
reward:
  lexicographic:
    - markov: safe
    - markov: fast
""",
        """\
# What must hold throughout is a condition that ends the episode.
signals:
  safe: {value: "next_obs[0]", range: [0, 1]}
  fast: {value: "next_obs[1]", range: [0, 1]}
reward:
  markov: fast
end:
  - {when: safe < 0.5, value: -10}
""",
        "info",
    ),
    "may-change-optimum": Explanation(
        "Beside a goal that ends the episode stand terms that can change which policy is best. Right for a "
        "cost you mean, wrong for a hint: only a potential leaves the best policies alone.",
        """\
signals:
  distance: {value: "obs[0]", range: [0, 10]}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - markov: -0.001 * distance
    name: hint
""",
        """\
# The hint as a potential.
discount: 0.99
signals:
  distance: {value: "obs[0]", range: [0, 10]}
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - potential: -0.001 * distance
    name: hint
""",
        "info",
    ),
    "zero-weight": Explanation(
        "A term has weight 0: it is computed and reported, and pays nothing.",
        """\
propositions: {goal: info.goal}
reward:
  - ltl: F goal
  - markov: -0.01
    weight: 0
""",
        """\
propositions: {goal: info.goal}
reward:
  - ltl: F goal
""",
        "info",
    ),
}

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

DECLARATIONS: dict[str, Explanation] = {
    "unread-proposition": Explanation(
        "A proposition is declared and nothing reads it: forgotten, or misspelt where it was meant.",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal
""",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
""",
        "warning",
    ),
    "unread-signal": Explanation(
        "A signal is declared and nothing reads it.",
        """\
signals:
  speed: {value: "next_obs[0]", range: [0, 1]}
  height: {value: "next_obs[1]", range: [0, 1]}
reward: speed
""",
        """\
signals:
  speed: {value: "next_obs[0]", range: [0, 1]}
  height: {value: "next_obs[1]", range: [0, 1]}
reward: speed * height
""",
        "warning",
    ),
    "constant-proposition": Explanation(
        "On the declared ranges of the signals a proposition is always true or always false.",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 1]}
propositions:
  up: height > 2
reward:
  ltl: F up
""",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 1]}
propositions:
  up: height > 0.9
reward:
  ltl: F up
""",
        "warning",
    ),
    "constant-end": Explanation(
        "On the declared ranges of the signals the condition of an `end` always holds, or never.",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 1]}
reward: height
end:
  - when: height < 0
""",
        """\
signals:
  height: {value: "next_obs[0]", range: [0, 1]}
reward: height
end:
  - when: height < 0.2
""",
        "warning",
    ),
    "may-not-be-finite": Explanation(
        "On the declared ranges a division, logarithm, root or exponential may give infinity or NaN. "
        "Such a reward never reaches the agent: the run stops with an error that names the step.",
        """\
signals:
  distance: {value: "next_obs[0]", range: [0, 10]}
reward: 1 / distance
""",
        """\
signals:
  distance: {value: "next_obs[0]", range: [0, 10]}
reward: 1 / (distance + 0.1)
""",
        "warning",
    ),
    "memory-not-observed": Explanation(
        "The reward depends on a machine's state or another memory and `observe: none` hides it from the "
        "agent: two situations that look alike are paid differently, and the task is not Markov.",
        """\
propositions: {coffee: info.coffee, office: info.office}
observe: none
reward:
  ltl: F(coffee & X F office)
""",
        """\
propositions: {coffee: info.coffee, office: info.office}
observe: auto
reward:
  ltl: F(coffee & X F office)
""",
        "warning",
    ),
    "missing-declarations": Explanation(
        "Some checks need what the spec does not declare: the horizon, the discount, the range of a signal,"
        " or whether the environment can end early. Nothing is guessed.",
        """\
propositions: {goal: info.goal}
reward:
  ltl: F goal
""",
        """\
discount: 0.99
env: {horizon: 100, ends_early: true}
propositions: {goal: info.goal}
reward:
  ltl: F goal
""",
        "info",
    ),
    "no-tests": Explanation(
        "The spec has no `tests`. A trace or two with the return they must earn catch most misreadings of a"
        " reward.",
        """\
propositions: {goal: info.goal}
reward:
  ltl: F goal
""",
        """\
propositions: {goal: info.goal}
reward:
  ltl: F goal
tests:
  - {name: reaches the goal, trace: [[], [goal]], return: 1}
""",
        "info",
    ),
}

ENVIRONMENT: dict[str, Explanation] = {
    "signal-out-of-range": Explanation(
        "On random episodes a signal left the range that the spec declares for it. "
        "The checks that compare amounts rely on that range.",
        """\
env: {id: CartPole-v1}
signals:
  position: {value: "next_obs[0]", range: [0, 0.01]}
reward: 1 - abs(position)
""",
        """\
env: {id: CartPole-v1}
signals:
  position: {value: "next_obs[0]", range: [-4.8, 4.8]}
reward: 1 - abs(position)
""",
        "warning",
    ),
    "base-reward-out-of-range": Explanation(
        "On random episodes the environment's own reward left the range that `env.base_reward` declares.",
        """\
env: {id: CartPole-v1, base_reward: [-1, 0]}
reward: 2 * reward
""",
        """\
env: {id: CartPole-v1, base_reward: [1, 1]}
reward: 2 * reward
""",
        "warning",
    ),
    "horizon-mismatch": Explanation(
        "The environment is truncated after another number of steps than `env.horizon` declares, "
        "so what was said about waiting, repeating and far goals holds for another episode.",
        """\
env: {id: CartPole-v1, horizon: 100}
reward: 1 - abs(next_obs[0])
""",
        """\
env: {id: CartPole-v1, horizon: 500}
reward: 1 - abs(next_obs[0])
""",
        "warning",
    ),
    "early-end-mismatch": Explanation(
        "The environment terminated random episodes by itself, and the spec says `ends_early: false`.",
        """\
env: {id: CartPole-v1, ends_early: false}
reward: 1 - abs(next_obs[0])
""",
        """\
env: {id: CartPole-v1, ends_early: true}
reward: 1 - abs(next_obs[0])
""",
        "warning",
    ),
    "proposition-never-changed": Explanation(
        "On all steps of random episodes a proposition was false, or on all of them true. "
        "A goal may be too far for random actions; anything else may be misread from the observation.",
        """\
env: {id: CartPole-v1}
propositions: {right: "next_obs[0] > 100"}
reward: 1 - right
""",
        """\
env: {id: CartPole-v1}
propositions: {right: "next_obs[0] > 0"}
reward: 1 - right
""",
        "info",
    ),
    "term-never-paid": Explanation(
        "A term paid 0 on all steps of random episodes. An agent that explores at random gets no sign of it; "
        "shaping by a `potential`, or `progress` for a formula, may help.",
        """\
env: {id: CartPole-v1}
propositions: {right: "next_obs[0] > 100"}
reward: {ltl: F right}
""",
        """\
env: {id: CartPole-v1}
discount: 0.99
propositions: {right: "next_obs[0] > 100"}
reward:
  - ltl: F right
    progress: 0.1
""",
        "info",
    ),
}

LINT_CODES: dict[str, Explanation] = {
    **FORMULAS,
    **MACHINES,
    **COMPOSITION,
    **INCENTIVES,
    **DECLARATIONS,
    **ENVIRONMENT,
}
"""Every code of the linter."""
