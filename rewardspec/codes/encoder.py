"""The codes of latent factors: what is wrong with a source that a language model, or a person, wrote."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

LATENT = """\
reward:
  latent:
    factors:
      observation: 4
      action: 2
      source: |
        def evaluation_func(observation, action):
            %s
"""


def _with(*lines: str) -> str:
    return LATENT % "\n            ".join(lines)


GOOD = _with(
    "distance = np.linalg.norm(observation[:, 0:2], axis=1, keepdims=True)",
    "effort = np.sum(action ** 2, axis=1, keepdims=True)",
    "return [distance, effort]",
)

ENCODER: dict[str, Explanation] = {
    "encoder-syntax": Explanation(
        "A source is Python text with one function, `evaluation_func`, and nothing else but `import numpy as np`. It "
        "is parsed and compiled; no part of it is ever run as Python.",
        LATENT % "return [observation[:, 0:1]",
        GOOD,
    ),
    "encoder-refused": Explanation(
        "A source may assign to names, do arithmetic, compare, take subscripts and call the functions of a fixed "
        "table. Imports, loops, attributes and whatever else could reach beyond the arrays are not in the language.",
        _with("import os", "return [observation[:, 0:1]]"),
        GOOD,
    ),
    "encoder-mixes-rows": Explanation(
        "A factor says something of one step. A source sees a batch of steps, one in a row, and must not let a row "
        "see another: a reduction without an axis, or arrays of shape (batch,) beside (batch, 1), would.",
        _with("return [observation[:, 0:1] / np.max(observation)]"),
        _with("return [observation[:, 0:1] / np.max(observation, axis=1, keepdims=True)]"),
    ),
    "encoder-shape": Explanation(
        "A source returns a list of factors, each an array of shape (batch, 1) that reads something of the step. "
        "Subscripts must lie within the widths that are given.",
        _with("return [observation[:, 2:5]]"),
        GOOD,
    ),
    "encoder-too-large": Explanation(
        "A source is bounded in its length, its nesting, the numbers of an array and the parts of a factor written "
        "out, so that no text can make the compiler, or a step, slow.",
        _with(*(["x = observation[:, 0:1]"] + ["x = x * x"] * 20), "return [x]"),
        GOOD,
    ),
    "encoder-changed": Explanation(
        "`sha256` is the digest of what a source said when it was chosen, the names of its variables aside. A run is "
        "repeated with the same factors only if the source still says so.",
        _with("return [observation[:, 0:1]]").replace(
            "      source", f"      sha256: '{'0' * 64}'\n      source"
        ),
        _with("return [observation[:, 0:1]]"),
    ),
    "encoder-widths": Explanation(
        "A source is read for an observation and an action of certain widths, and this environment's are others, or "
        "are no vectors.",
        ">>> learner.wrap(gym.make('CartPole-v1'))  # factors: {observation: 10, source: ...}",
        ">>> learner.wrap(gym.make('Reacher-v5'))",
    ),
    "no-factors": Explanation(
        "A language model was asked for factors, and none of its functions passed: they were no Python, not in the "
        "language, of no shape, not finite, constant, copied from the prompt, or told nothing of returns. The reasons "
        "went back to it, and stand in the message. Nothing is saved.",
        "$ rewardspec llm factors SPEC",
        "Say more in `task:` and `observation:`, ask a stronger model, or write factors as expressions.",
    ),
    "nothing-to-ask": Explanation(
        "`rewardspec llm factors` completes terms that say `factors: llm`, and the spec has none.",
        "$ rewardspec llm factors complete.yaml",
        "reward: {latent: {task: Reach the target., factors: llm}}\n",
    ),
    "too-little-play": Explanation(
        "Factors are tried on steps that were played at random before they are taken, and there were too few of them.",
        "$ rewardspec llm factors SPEC --episodes 1",
        "$ rewardspec llm factors SPEC",
    ),
    "factors-not-asked": Explanation(
        "`factors: llm` leaves the factors to a language model. It is asked once, before training: what it wrote is "
        "checked on transitions of the environment and stored in the spec, so that a run can be repeated.",
        "reward: {latent: {task: Reach the target., factors: llm}}\n",
        "$ rewardspec llm factors SPEC > complete.yaml\n$ rewardspec train complete.yaml --env Reacher-v5",
    ),
}
"""The codes of factors that are written as code."""
