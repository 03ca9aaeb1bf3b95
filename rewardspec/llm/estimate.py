"""What a run would ask of a model, before it asks: prompts counted in random play, nothing sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from rewardspec.llm.judges import judge_for
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request
from rewardspec.spec.model import Spec
from rewardspec.wrappers.single import as_program, wrap

ANSWER_TOKENS_PER_QUESTION = 12
"""Tokens of one line of an answer."""


@dataclass(frozen=True)
class Estimate:
    """What random play would have asked.

    Attributes:
        steps: Steps that were played.
        distinct: Distinct prompts among them: as many calls would have been made.
        late: Distinct prompts that came up in the second half, whose rate is that of the steps to come.
        tokens: Tokens of one call, prompt and answer, by the length of its text.
    """

    steps: int
    distinct: int
    late: int
    tokens: int

    def calls(self, steps: int) -> int:
        """Return the calls of a run of so many steps, if it goes on as the second half of the random play did."""
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
    """Play at random and count the prompts that a judge would have been asked.

    Raises:
        UnsupportedError: `nothing-judged`, or what `wrap` refuses.
        MismatchError: As `wrap`.
    """
    counting, program = Counting(), as_program(spec)
    wrapped = wrap(env, program, judge=judge_for(program, env.observation_space, counting))
    wrapped.action_space.seed(seed)
    wrapped.reset(seed=seed)
    first = 0
    for step in range(steps):
        *_, terminated, truncated, _ = wrapped.step(wrapped.action_space.sample())
        if terminated or truncated:
            wrapped.reset()
        if step + 1 == steps // 2:
            first = len(counting.requests)
    distinct = len(counting.requests)
    return Estimate(steps, distinct, distinct - first, round(counting.tokens / max(distinct, 1)))
