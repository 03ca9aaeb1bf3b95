"""The codes of the lints of how terms are joined and mapped. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

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
