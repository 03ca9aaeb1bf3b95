"""The codes of learned rewards: what a model, its labels or its learner lacks."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

HERON = "reward:\n  heron: {factors: [{name: speed, value: reward}]%s}\n"

LEARNING: dict[str, Explanation] = {
    "learned-in-memory": Explanation(
        "An operator that remembers (normalise, diff, once, gate, ...) stands around a learned term. The term's model "
        "changes while an agent trains, and what was remembered of its old rewards would not.",
        "reward:\n  normalise: {heron: {factors: [{name: speed, value: reward}]}}\n",
        "reward:\n  clip: {heron: {factors: [{name: speed, value: reward}]}}\n  low: -1\n  high: 1\n",
    ),
    "uncentred-ensemble": Explanation(
        "Scores that are fitted to comparisons have a free offset: adding a number to all scores of a member changes "
        "no comparison. A mean is only shifted by it, but a least, median or nominal member becomes another one.",
        HERON % ", model: {ensemble: 5, combine: wco, standardise: false}",
        HERON % ", model: {ensemble: 5, combine: wco}",
    ),
    "too-many-inputs": Explanation(
        "A reward model sees at most 4,096 numbers of a step. One that names no inputs sees the whole observation and "
        "action: an image has more.",
        ">>> rewardspec.wrap(gym.make('CarRacing-v3'), 'heron.yaml')",
        HERON % ", inputs: [info.speed, action]",
    ),
    "needs-learner": Explanation(
        "The spec has a term whose reward is learned while an agent trains. A wrapper by itself cannot pay it: a "
        "learner must stand by, or a finished run say what was learned.",
        ">>> rewardspec.wrap(env, 'heron.yaml')",
        ">>> learner = rewardspec.RewardLearner('heron.yaml')\n>>> env = learner.wrap(env)\n"
        ">>> SAC('MlpPolicy', env).learn(50_000, callback=learner.callback())",
    ),
}
