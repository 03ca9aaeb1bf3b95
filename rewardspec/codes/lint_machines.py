"""The codes of the lints of reward machines. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

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
