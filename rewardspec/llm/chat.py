"""The format of OpenAI's chat completions, which servers and local runtimes share, in both directions."""

from __future__ import annotations

from typing import Any

from rewardspec.llm.provider import Answer, Request


class NotAnAnswerError(ValueError):
    """A response has not the form of a chat completion."""


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the body of a request: a schema goes as `response_format`, a grammar as llama.cpp's `grammar`."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "n": request.n,
        "temperature": request.temperature,
        "seed": request.seed,
        "max_tokens": request.max_tokens,
        "stream": False,
    }
    if request.schema is not None:
        schema = {"name": "answer", "schema": dict(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.grammar is not None:
        body["grammar"] = request.grammar
    return body


def answers_of(response: Any) -> tuple[tuple[Answer, ...], int, int]:
    """Return the answers of a response, and the tokens of prompt and answers; 0 where they are not told.

    Raises:
        NotAnAnswerError: There are none in it.
    """
    choices = response.get("choices") if isinstance(response, dict) else None
    if not isinstance(choices, list) or not choices:
        raise NotAnAnswerError("the response has no choices")
    usage = response.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    answers = tuple(_answer(choice) for choice in choices)
    return answers, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _answer(choice: Any) -> Answer:
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise NotAnAnswerError("a choice has no text")
    return Answer(content, "length" if choice.get("finish_reason") == "length" else "stop")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
