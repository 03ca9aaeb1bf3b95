"""A budget of calls, tokens and seconds, and a provider that keeps to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.llm.provider import Completion, ModelCard, Provider, Request


@dataclass(frozen=True)
class Budget:
    """What a run may spend on a language model; None for no limit."""

    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        given = ((f.name, getattr(self, f.name)) for f in fields(self))
        return ", ".join(f"{value:g} {name}" for name, value in given if value is not None) or "no limit"


@dataclass
class Spent:
    """What was spent so far. `seconds` are those that calls took."""

    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.calls} calls, {self.tokens} tokens, {self.seconds:.1f} s"


class Budgeted:
    """Asks another provider for as long as the budget lasts.

    A call that may pass the limit, by its length and `max_tokens`, is not made. Only answers that a model gives now
    are counted, so put the recorder outside: what it remembers is free.

    Attributes:
        inner: Who is asked.
        budget: The limits.
        spent: What was spent.

    Example:
        >>> from rewardspec.llm.provider import ask
        >>> from rewardspec.llm.scripted import Scripted
        >>> provider = Budgeted(Scripted(lambda request: "yes"), Budget(calls=2))
        >>> for _ in range(3):
        ...     _ = provider.complete(ask("Is it?"))
        Traceback (most recent call last):
            ...
        rewardspec.errors.LanguageModelError: the budget of 2 calls is spent: ...
    """

    def __init__(self, inner: Provider, budget: Budget) -> None:
        """See the class."""
        self.inner, self.budget, self.spent = inner, budget, Spent()
        self._lock = threading.Lock()

    @property
    def card(self) -> ModelCard:
        """The inner provider's."""
        return self.inner.card

    def complete(self, request: Request) -> Completion:
        """Ask, if the budget allows it, and count.

        Raises:
            LanguageModelError: `llm-budget` where it does not.
        """
        with self._lock:
            self._check(request)
            self.spent.calls += 1  # counted when it begins: a call that fails has cost one, too
        completion = self.inner.complete(request)
        with self._lock:
            if completion.is_new:
                self.spent.tokens += completion.tokens
                self.spent.seconds += completion.seconds
            else:
                self.spent.calls -= 1
        return completion

    def _check(self, request: Request) -> None:
        budget, spent = self.budget, self.spent
        if budget.calls is not None and spent.calls >= budget.calls:
            self._refuse(f"the next call would be number {spent.calls + 1}")
        asked = request.estimated_tokens()
        if budget.tokens is not None and spent.tokens + asked > budget.tokens:
            self._refuse(f"{spent.tokens} tokens are used, and the next call may take {asked} more")
        if budget.seconds is not None and spent.seconds >= budget.seconds:
            self._refuse(f"calls took {spent.seconds:.1f} s")

    def _refuse(self, why: str) -> None:
        raise LanguageModelError(
            Problem(
                "llm-budget",
                f"the budget of {self.budget} is spent: {why}",
                hints=(
                    "Answers that were recorded cost nothing when they are asked for again.",
                    "`rewardspec llm estimate SPEC` says what a run would need.",
                ),
            )
        )
