"""What a run would ask of a model, before it asks: prompts counted in random play, nothing sent.

A judge of steps is asked once per distinct prompt, an annotator of messages once per distinct message; pairs of
messages for a ranking are drawn at each refresh, as many as the spec says, until all are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from rewardspec.ir.program import Learned
from rewardspec.kinds.feedback import Annotator, Feedback
from rewardspec.llm.feedback import request_for
from rewardspec.llm.judges import judge_for
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request
from rewardspec.spec.model import Spec
from rewardspec.wrappers.single import as_program, wrap

ANSWER_TOKENS_PER_QUESTION = 12
"""Tokens of one line of an answer."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of messages that are drawn: `each` per refresh, the first after `after` steps, then every `every`."""

    each: int
    after: int
    every: int


@dataclass(frozen=True)
class Estimate:
    """What random play would have asked.

    Attributes:
        steps: Steps that were played.
        distinct: Distinct prompts, or messages, among them: as many calls would have been made.
        late: Those that came up in the second half, whose rate is that of the steps to come.
        tokens: Tokens of one call, prompt and answer, by the length of its text.
        pairs: Where pairs of messages are asked about, how many and how often; None where not.
    """

    steps: int
    distinct: int
    late: int
    tokens: int
    pairs: Pairs | None = None

    def calls(self, steps: int) -> int:
        """Return the calls of a run of so many steps, if it goes on as the second half of the random play did."""
        if self.pairs is not None:
            known = self._grown(steps)
            return min(
                self.pairs.each * max((steps - self.pairs.after) // self.pairs.every + 1, 0),
                known * (known - 1) // 2,
            )
        return self._grown(steps)

    def _grown(self, steps: int) -> int:
        if steps <= self.steps:
            return min(self.distinct, steps)
        return self.distinct + round((steps - self.steps) * self.late / max(self.steps / 2, 1))


class Counting:
    """Stands for a model and counts what it is asked; it answers nothing was reached."""

    card = ModelCard("counting", "scripted")

    def __init__(self) -> None:
        """Begin at nothing."""
        self.requests: set[str] = set()
        self.tokens = 0

    def complete(self, request: Request) -> Completion:
        """Count a request."""
        digest = request.digest()
        if digest not in self.requests:
            self.requests.add(digest)
            questions = len((request.schema or {}).get("properties", ()))
            asked = request.estimated_tokens() - request.max_tokens
            self.tokens += asked + ANSWER_TOKENS_PER_QUESTION * questions
        return Completion((Answer("{}"),), self.card, 0, 0)


def estimate(spec: Spec, env: gym.Env[Any, Any], steps: int = 1000, seed: int = 0) -> Estimate:
    """Play at random and count the prompts that a judge would have been asked, or the messages that were shown.

    Raises:
        UnsupportedError: `nothing-judged`, or what `wrap` refuses.
        MismatchError: As `wrap`.
    """
    about = [each for each in as_program(spec).learned if isinstance(each.settings, Feedback)]
    if about:
        return _of_messages(spec, about[0], env, steps, seed)
    counting, program = Counting(), as_program(spec)
    wrapped = wrap(env, program, judge=judge_for(program, env.observation_space, counting))
    first, distinct = _played(wrapped, steps, seed, lambda: len(counting.requests))
    return Estimate(steps, distinct, distinct - first, round(counting.tokens / max(distinct, 1)))


def _of_messages(spec: Spec, learned: Learned, env: gym.Env[Any, Any], steps: int, seed: int) -> Estimate:
    """Play at random and count the messages that were shown."""
    from rewardspec.learning.learner import RewardLearner
    from rewardspec.learning.message_models import MessageModel

    options = learned.settings
    assert isinstance(options, Feedback)
    learner = RewardLearner(spec)
    wrapped = learner.wrap(env)
    model = learner.models[learned.name]
    assert isinstance(model, MessageModel)
    first, distinct = _played(wrapped, steps, seed, lambda: sum(map(model.counts, model.texts)))
    texts = [text for code, text in model.texts.items() if model.counts(code)]
    judge = options.judge
    note, answer = (judge.note, judge.answer_tokens) if isinstance(judge, Annotator) else ("", 0)
    ranks = options.model == "ranking"
    asked = [request_for((text, text) if ranks else (text,), options.task, note, 1) for text in texts]
    read = sum(request.estimated_tokens() for request in asked) / max(len(asked), 1)
    pairs = Pairs(options.pairs, options.after, options.every) if ranks else None
    return Estimate(steps, distinct, distinct - first, round(read) + answer, pairs)


def _played(env: gym.Env[Any, Any], steps: int, seed: int, count: Callable[[], int]) -> tuple[int, int]:
    """Play at random; return what was counted after half of the steps, and after all."""
    env.action_space.seed(seed)
    env.reset(seed=seed)
    first = 0
    for step in range(steps):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
        if step + 1 == steps // 2:
            first = count()
    return first, count()
