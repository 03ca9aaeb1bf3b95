"""The codes of the lints of rewards that are learned from comparisons. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

HEAD = """\
signals:
  speed: {value: "next_obs[0]", range: [-2, 2]}
  effort: {value: "abs(action[0])", range: [0, 1]}
"""

RANKING = (
    HEAD
    + """\
reward:
  heron:
    factors:
      - {name: fast, value: speed%s}
      - {name: thrift, value: %s}
"""
)

MODEL = RANKING % (", margin: {std: 1}", "-effort") + "    model: {ensemble: %d, combine: {uwo: 0.5}}\n"

SEGMENT = (
    "env: {horizon: 200}\n" + RANKING % (", margin: {std: 1}", "-effort") + "    segment: %d\n    after: %d\n"
)

LEVELS = """\
signals:
  passed: {value: "%s", range: [0, %d]}
  effort: {value: "abs(action[0])", range: [0, 1]}
reward:
  heron:
    factors:
      - {name: passed, value: %s}
      - {name: thrift, value: -effort}
    emphasis: 2
"""

LEARNED: dict[str, Explanation] = {
    "ensemble-of-one": Explanation(
        "A pessimistic combination (`wco`, `uwo`, `nominal_worst`, `median`) and `flip_doubtful` look at how far "
        "the members of an ensemble disagree. A single member has nobody to disagree with: it is the plain mean.",
        MODEL % 1,
        MODEL % 5,
        "warning",
    ),
    "flips-against-doubt": Explanation(
        "`flip_doubtful` turns over the labels that the ensemble contradicts most, and then fits all members to them: "
        "they agree more, also where they are wrong. `wco`, `uwo` and `nominal_worst` resist overoptimisation by "
        "their disagreement. In benchmarks/results/overoptimisation.md, best-of-n, a quarter of the labels wrong, "
        "flips took `uwo` from a gold reward of 3.0 to -1.1; under a policy gradient, which goes less far, they did "
        "little either way.",
        MODEL % 5 + "    fit: {flip_doubtful: 0.2}\n",
        MODEL % 5 + "    fit: {smoothing: 0.1}\n",
        "info",
    ),
    "value-target-alone": Explanation(
        "With `goes_into: value_target` a learned term pays nothing, and only the critic is fitted to what its model "
        "says. Advantages are those of the other terms; where there is none, the policy hears of no reward at all.",
        "reward:\n  - heron: {factors: [{name: fast, value: 'next_obs[0]'}], goes_into: value_target}\n",
        "reward:\n  - heron: {factors: [{name: fast, value: 'next_obs[0]'}], goes_into: value_target}\n"
        "  - markov: reward\n",
        "warning",
    ),
    "segment-beyond-horizon": Explanation(
        "Segments that are compared lie within one episode. One that is longer than any episode is never found, so "
        "nothing is learned.",
        SEGMENT % (250, 5000),
        SEGMENT % (25, 5000),
        "warning",
    ),
    "refresh-before-segments": Explanation(
        "A refresh draws pairs of segments from what has been stored. Before two segments fit into it, there is no "
        "pair, and the first refresh learns nothing.",
        SEGMENT % (100, 150),
        SEGMENT % (100, 2000),
        "warning",
    ),
    "constant-factor": Explanation(
        "A factor that is the same on every step, as far as the declared ranges say, never tells two segments apart: "
        "every pair goes on to the next factor. Hopper's bonus for being alive is one, where falling ends the episode.",
        RANKING % (", margin: {std: 1}", "1"),
        RANKING % (", margin: {std: 1}", "-effort"),
        "info",
    ),
    "margin-beyond-range": Explanation(
        "A factor decides where two segments differ in it by more than its margin. Between the ends of its declared "
        "range there is no more room than that.",
        RANKING % (", margin: 5", "-effort"),
        RANKING % (", margin: 0.5", "-effort"),
        "warning",
    ),
    "repeated-factor": Explanation(
        "Two factors of a ranking compare the same value, or a value and its negative. What the first leaves open, the "
        "second leaves open too, unless its margin is smaller.",
        RANKING % (", margin: 0.1", "'-speed', margin: 0.5"),
        RANKING % (", margin: 0.1", "-effort"),
        "warning",
    ),
    "decides-alone": Explanation(
        "A factor without a margin decides every pair in which it differs at all. Where it is not a count or a truth "
        "value, it nearly always does, and the factors after it are never heard: the ranking is this factor alone.",
        RANKING % ("", "-effort"),
        RANKING % (", margin: {std: 0.5}", "-effort"),
        "info",
    ),
    "cyclic-ranking": Explanation(
        "A comparison with margins need not be transitive: a beats b and b beats c in a lower factor, while c beats a "
        "in a higher one, by more than the margin. No reward fits a circle, so a model agrees with fewer pairs than it "
        "would without. That is the price of margins, and often worth it.",
        RANKING % (", margin: {std: 0.5}", "-effort"),
        RANKING.replace("value: speed%s", "value: floor(speed)%s") % ("", "-effort"),
        "info",
    ),
    "margin-of-one-factor": Explanation(
        "A margin hands close pairs on to the next factor. Where there is none, such pairs are ties, and left out.",
        "reward: {heron: {factors: [{name: fast, value: 'next_obs[0]', margin: {std: 1}}]}}\n",
        "reward: {heron: {factors: [{name: fast, value: 'next_obs[0]'}]}}\n",
        "info",
    ),
    "emphasis-without-levels": Explanation(
        "`emphasis` multiplies what the model says by its power to the level that the first factor has reached. It is "
        "made for counts, such as tests that passed; of a length or a speed it makes a curve that nobody chose.",
        LEVELS % ("next_obs[0]", 4, "passed"),
        LEVELS % ("next_obs[0]", 4, "floor(passed)"),
        "info",
    ),
    "emphasis-too-large": Explanation(
        "`emphasis` grows with each level of the first factor. Over many levels the rewards at the upper end drown all "
        "others.",
        LEVELS % ("next_obs[0]", 40, "floor(passed)"),
        LEVELS % ("next_obs[0]", 4, "floor(passed)"),
        "warning",
    ),
    "equal-lengths": Explanation(
        "A `latent` term learns from the returns of whole episodes. Where all have one length, a constant paid on "
        "every step and its sum paid once have the same returns, so nothing tells which it is. That does no harm as "
        "long as all episodes stay as long; where they can end early, a wrong constant makes an agent hurry or dawdle.",
        "env: {horizon: 50, ends_early: false}\nreward: {latent: ['norm(next_obs[0:2])', sum(action ** 2)]}\n",
        "env: {horizon: 50, ends_early: true}\nreward: {latent: ['norm(next_obs[0:2])', sum(action ** 2)]}\n",
        "info",
    ),
    "message-paid-again": Explanation(
        "A `feedback` term pays a message less each time that it is shown in an episode: its value over a power of the "
        "count. The sum over all times is bounded for a power above 1 alone. Up to 1, an agent that finds a message "
        "which it can have again and again is paid without end, and stays there.",
        "reward: {feedback: {task: Find the way out., message: info.message, power: 1}}\n",
        "reward: {feedback: {task: Find the way out., message: info.message, power: 3}}\n",
        "warning",
    ),
    "network-unread": Explanation(
        "`model: retrieval` pays a message its own label. It has no network, so what is said of one, and how it is "
        "fitted, is not read.",
        "reward: {feedback: {task: Find the way out., message: info.message, network: {channels: 16}}}\n",
        "reward: {feedback: {task: Find the way out., message: info.message, model: classification, "
        "network: {channels: 16}}}\n",
        "info",
    ),
    "labels-worse-than-chance": Explanation(
        "A teacher who turns over half of the labels says nothing, and one who turns over more says the reverse.",
        "reward: {preferences: {labels: {teacher: reward, mistakes: 0.6}}}\n",
        "reward: {preferences: {labels: {teacher: reward, mistakes: 0.1}}}\n",
        "error",
    ),
}
