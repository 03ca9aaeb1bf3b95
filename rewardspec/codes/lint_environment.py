"""The codes of what random episodes in the environment say against a spec. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

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
    "factor-never-changed": Explanation(
        "A factor of a ranking had one value on all steps of random episodes. Until it changes it tells no two "
        "segments apart, and the other factors decide alone; a goal that random actions never reach is such a factor.",
        """\
env: {id: CartPole-v1}
reward:
  heron:
    - {name: arrived, value: "next_obs[0] > 100"}
    - {name: upright, value: "-abs(next_obs[2])"}
""",
        """\
env: {id: CartPole-v1}
reward:
  heron:
    - {name: right, value: "next_obs[0] > 0"}
    - {name: upright, value: "-abs(next_obs[2])"}
""",
        "info",
    ),
}
