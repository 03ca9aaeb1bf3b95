"""What a language model is to rewardspec: one method that turns messages into texts with token counts.

A provider is any object with a `card` and a `complete`. Providers that watch others (a budget, a recorder) are
providers themselves, so they stack:

    Recorder(Budgeted(ChatServer("http://127.0.0.1:8080/v1", "some-model"), Budget(calls=100)), "records.jsonl")

What comes back is text. Whoever asked reads it as data and checks it, whatever constraint was sent along: servers do
not always keep to one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Role = Literal["system", "user", "assistant"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold."""

CHARACTERS_PER_TOKEN = 3.0
"""Characters of English or of a map that one token holds, cautiously: estimates err upwards."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """What is asked of a model. Equal requests have equal digests; records are found by them.

    Attributes:
        messages: The conversation; the last turn is the user's.
        schema: JSON schema that the answer must satisfy; None for none. At most one of `schema` and `grammar` is given.
        grammar: GBNF grammar of the answer; None for none.
        n: Answers that are wanted.
        temperature: 0 is greedy.
        seed: Seed of what is sampled.
        max_tokens: Tokens of an answer, at most.
        prompt: Name and digest of the prompt file that the messages were made from (`calm_judge@1f00...`), for
            records; it says nothing to the model.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    n: int = 1
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 512
    prompt: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.schema is not None and self.grammar is not None:
            raise ValueError("give a schema or a grammar, not both")
        if self.n < 1 or self.max_tokens < 1 or not self.messages:
            raise ValueError("a request has messages, and asks for at least one answer of at least one token")

    def __hash__(self) -> int:
        return hash(self.digest())

    def to_data(self) -> dict[str, Json]:
        """Return the request as plain data, in one order; what its digest is taken over."""
        return {
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "schema": None if self.schema is None else json.loads(json.dumps(self.schema)),
            "grammar": self.grammar,
            "n": self.n,
            "temperature": float(self.temperature),
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        }

    def digest(self) -> str:
        """Return the SHA-256 of the request, 64 hexadecimal digits.

        Example:
            >>> a = Request((Message("user", "Is the door open?"),))
            >>> a.digest() == Request(a.messages, prompt="judge@1").digest(), a == Request(a.messages, seed=1)
            (True, False)
        """
        return digest_of(self.to_data())

    def estimated_tokens(self) -> int:
        """Return how many tokens the request costs at most, prompt and answers, by the length of its text."""
        characters = sum(len(m.content) for m in self.messages)
        return int(characters / CHARACTERS_PER_TOKEN) + 8 * len(self.messages) + self.n * self.max_tokens


@dataclass(frozen=True)
class Answer:
    """One text of a model.

    Attributes:
        text: The text.
        finish: `stop` where the model ended it, `length` where it was cut off at `max_tokens`.
    """

    text: str
    finish: Literal["stop", "length"] = "stop"


@dataclass(frozen=True)
class ModelCard:
    """Which model answers, for records and tables.

    Attributes:
        name: Name of the model.
        runtime: What runs it, with its version: `xllamacpp 2026.10`, `http`, `scripted`.
        weights: SHA-256 of the weights, empty where they are not ours to see.
    """

    name: str
    runtime: str
    weights: str = ""


@dataclass(frozen=True)
class Completion:
    """What a request came to.

    Attributes:
        answers: `n` texts.
        card: Who wrote them.
        prompt_tokens: Tokens of the messages, as the model counts them.
        answer_tokens: Tokens of all answers together.
        seconds: Wall-clock time of the call; 0 where it was not made now.
        is_new: Whether a model was asked now; false for what was looked up.
    """

    answers: tuple[Answer, ...]
    card: ModelCard
    prompt_tokens: int
    answer_tokens: int
    seconds: float = field(default=0.0, compare=False)
    is_new: bool = field(default=True, compare=False)

    @property
    def text(self) -> str:
        """The first answer's text."""
        return self.answers[0].text

    @property
    def tokens(self) -> int:
        """Tokens of prompt and answers."""
        return self.prompt_tokens + self.answer_tokens


class Provider(Protocol):
    """A language model, or what stands before one."""

    @property
    def card(self) -> ModelCard:
        """Which model answers."""
        ...

    def complete(self, request: Request) -> Completion:
        """Return `request.n` answers.

        Raises:
            LanguageModelError: With the code of what went wrong; see docs/errors.md.
        """
        ...


def ask(*turns: str, system: str | None = None, **options: Any) -> Request:
    """Return the request for a conversation that the user begins, turns taken in order.

    Args:
        turns: What user and assistant say, by turns; the last one is the user's.
        system: What comes before it all.
        options: Further fields of `Request`.

    Example:
        >>> [message.role for message in ask("Hello", "Yes?", "Go on", system="Be brief").messages]
        ['system', 'user', 'assistant', 'user']
    """
    first = [Message("system", system)] if system is not None else []
    said: Iterable[Message] = (
        Message("user" if i % 2 == 0 else "assistant", turn) for i, turn in enumerate(turns)
    )
    return Request((*first, *said), **options)


def digest_of(data: Json) -> str:
    """Return the SHA-256 of plain data, however it was ordered."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
