"""A progress bar over the calls of a provider: how many, how many tokens, how long yet."""

from __future__ import annotations

from typing import Any

from rewardspec.llm.provider import Completion, ModelCard, Provider, Request


class Shown:
    """Asks another provider and shows how far it is, on stderr, where that is a terminal.

    Attributes:
        inner: Who is asked.
        calls: Requests so far, recorded ones included.
        tokens: Tokens of those that were asked now.
    """

    def __init__(self, inner: Provider, total: int | None = None, title: str = "asking") -> None:
        """See the class; `total` is the number of requests to come, where that is known."""
        self.inner, self.calls, self.tokens = inner, 0, 0
        self._total, self._title = total, title
        self._bar: Any = None
        self._task: Any = None

    @property
    def card(self) -> ModelCard:
        """The inner provider's."""
        return self.inner.card

    def __enter__(self) -> Shown:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[tokens]} tokens"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(self._title, total=self._total, tokens=0)
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def complete(self, request: Request) -> Completion:
        """Ask, and move the bar on."""
        completion = self.inner.complete(request)
        self.calls += 1
        self.tokens += completion.tokens if completion.is_new else 0
        if self._bar is not None:
            self._bar.update(self._task, advance=1, tokens=self.tokens)
        return completion
