"""A provider whose answers are written down beforehand, for tests and examples: no model, and its card says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request

Script = Sequence[str] | Callable[[Request], str]
"""Answers in order, or a function from a request to its answer."""


class Scripted:
    """Answers from a script. What it says must never be shown as a model's.

    Tokens are counted as words, so that budgets can be tried.

    Attributes:
        requests: Every request so far.

    Example:
        >>> from rewardspec.llm.provider import ask
        >>> provider = Scripted(["yes", "no"])
        >>> [provider.complete(ask("Is it?")).text for _ in range(2)]
        ['yes', 'no']
        >>> provider.card.runtime
        'scripted'
    """

    def __init__(self, script: Script, name: str = "scripted") -> None:
        """Take a script; `name` is what the card says."""
        self._script = script
        self._next = 0
        self.card = ModelCard(name, "scripted")
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Completion:
        """Return the next answers of the script.

        Raises:
            LanguageModelError: `script-ended` where there are none left.
        """
        self.requests.append(request)
        texts = [self._say(request) for _ in range(request.n)]
        read = sum(len(m.content.split()) for m in request.messages)
        written = sum(len(text.split()) for text in texts)
        return Completion(tuple(map(Answer, texts)), self.card, read, written)

    def _say(self, request: Request) -> str:
        if callable(self._script):
            return self._script(request)
        if self._next >= len(self._script):
            message = f"the script has {len(self._script)} answers, and one more is asked for"
            raise LanguageModelError(
                Problem(
                    "script-ended", message, hints=(f"The question: {request.messages[-1].content[-200:]!r}",)
                )
            )
        self._next += 1
        return self._script[self._next - 1]
