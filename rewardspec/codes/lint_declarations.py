"""The codes of the lints of declarations and arithmetic. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

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
