"""Ask a language model for the factors of a latent reward, and have it mend them until they can be learned from.

The order is LaRe's: several answers at once; one made out of them; then tries, each with the reason why the last one
was refused. What comes out is a source in the encoder language, which is compiled and never run.

Source: Qu et al., "Latent Reward: LLM-Empowered Credit Assignment in Episodic Reinforcement Learning" (LaRe, AAAI
2025): self-prompting and pre-verification. Deviations: a source is checked on played steps and on returns, where the
released code asks for shapes alone; an answer without factors is refused, which the released code saves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rewardspec.encoder.functions import FUNCTIONS
from rewardspec.encoder.refusal import EncoderError
from rewardspec.encoder.source import NAME
from rewardspec.errors import LanguageModelError, Problem
from rewardspec.llm.prompts import load_prompt
from rewardspec.llm.provider import Answer, Message, Provider, Request
from rewardspec.llm.verification import Verdict, VerificationError

KEYS = ("Understand", "Analyze", "Functions")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {key: {"type": "string"} for key in KEYS},
    "required": list(KEYS),
    "additionalProperties": False,
}
"""The form of an answer, as the paper asks for it."""

CANDIDATES, TRIES = 5, 5
WARM, COOL = 1.0, 0.3
"""Temperatures of the first answers, and of what is made out of them and mended."""

MAX_TOKENS = 1500

MAX_ANSWER = 60_000
"""Characters of an answer that are read."""


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    Attributes:
        task: What the agent is to do.
        form: What the numbers mean.
        observation: Width of the observation.
        action: Width of the action; None where the function may not read it.
    """

    task: str
    form: str
    observation: int
    action: int | None

    def text(self) -> str:
        """Return the prompt."""
        shapes = f"`observation` is a NumPy array of shape (batch, {self.observation})"
        if self.action is not None:
            shapes += f", `action` one of shape (batch, {self.action})"
        return load_prompt("lare_ask").fill(
            task=self.task.strip(),
            form=self.form.strip(),
            arguments="observation" if self.action is None else "observation, action",
            shapes=f"{shapes}.",
            functions=", ".join(sorted(FUNCTIONS)),
        )


@dataclass(frozen=True)
class Attempt:
    """One source and what became of it; `reason` is empty where it was taken."""

    source: str
    reason: str


@dataclass(frozen=True)
class Asked:
    """Factors that were found.

    Attributes:
        source: The function's text.
        verdict: What it was found to be.
        attempts: What was tried, in order, the one that was taken last.
        calls: Requests that were made.
    """

    source: str
    verdict: Verdict
    attempts: tuple[Attempt, ...]
    calls: int


def ask_factors(
    provider: Provider,
    question: Question,
    verify: Callable[[str], Verdict],
    *,
    candidates: int = CANDIDATES,
    tries: int = TRIES,
    seed: int = 0,
    told: Callable[[str], None] = lambda text: None,
) -> Asked:
    """Return factors that passed verification.

    Args:
        provider: The model.
        question: What it is asked.
        verify: Takes a source; raises `EncoderError` or `VerificationError` with a reason where it is refused.
        candidates: Answers that are asked for at first; 1 leaves self-prompting out.
        tries: Sources that are verified, at most.
        seed: Of the first answer; each later request has the next one.
        told: Hears of each step.

    Raises:
        LanguageModelError: `no-factors` where no try passed; whatever the provider raises.
    """
    prompt = question.text()
    first = Message("user", prompt)
    warm = Request(
        (first,),
        schema=SCHEMA,
        n=candidates,
        temperature=WARM,
        seed=seed,
        max_tokens=MAX_TOKENS,
        prompt=load_prompt("lare_ask").id,
    )
    told(f"asking for {candidates} answers" if candidates > 1 else "asking")
    answers, calls = provider.complete(warm).answers, 1

    def cool(said: str, asked: str, name: str) -> Answer:
        messages = (first, Message("assistant", said), Message("user", asked))
        request = Request(
            messages,
            schema=SCHEMA,
            temperature=COOL,
            seed=seed + calls,
            max_tokens=MAX_TOKENS,
            prompt=load_prompt(name).id,
        )
        return provider.complete(request).answers[0]

    answer = answers[0]
    if candidates > 1:
        told("asking for one function out of them")
        said = json.dumps([each.text[:MAX_ANSWER] for each in answers], ensure_ascii=False)
        answer = cool(said, load_prompt("lare_merge").fill(number=str(len(answers))), "lare_merge")
        calls += 1
    attempts: list[Attempt] = []
    while True:
        source = ""
        try:
            source = source_in(answer)
            verdict = verify(source)
        except (EncoderError, VerificationError) as error:
            attempts.append(Attempt(source, str(error)))
            told(f"refused: {error}")
        else:
            return Asked(source, verdict, (*attempts, Attempt(source, "")), calls)
        if len(attempts) == tries:
            raise _gave_up(provider, attempts)
        repair = load_prompt("lare_repair").fill(error=attempts[-1].reason)
        answer = cool(answer.text[:MAX_ANSWER], repair, "lare_repair")
        calls += 1


def _gave_up(provider: Provider, attempts: Sequence[Attempt]) -> LanguageModelError:
    reasons = tuple(f"{i}: {attempt.reason}" for i, attempt in enumerate(attempts, 1))
    hint = (
        "Ask a stronger model, say more in `task:` and `observation:`, or write the factors as expressions."
    )
    message = f"'{provider.card.name}' wrote no factors that can be used, in {len(attempts)} tries"
    return LanguageModelError(Problem("no-factors", message, hints=(*reasons, hint)))


def source_in(answer: Answer) -> str:
    r"""Return the function in an answer: of the JSON object that is asked for, or of a fence, or as it stands.

    Raises:
        VerificationError: There is none.

    Example:
        >>> source_in(Answer('{"Functions": "def evaluation_func(observation):\\n    return [observation[:, 0:1]]"}'))
        'def evaluation_func(observation):\n    return [observation[:, 0:1]]'
    """
    text = answer.text[:MAX_ANSWER]
    found = _of_object(text)
    if found is None:
        found = text
    # Escaped twice, as small models do under a schema; a text with such a mark in it has no place in the language.
    found = found.replace("\\n", "\n")
    fence = re.search(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", found, re.DOTALL)
    if fence is not None:
        found = fence[1]
    start = re.search(rf"^[ \t]*(?:import numpy.*\n\s*)?(?:@.*\n\s*)*def {NAME}\b", found, re.MULTILINE)
    if start is None and f"def {NAME}" not in found:
        cut = " before it was cut off" if answer.finish == "length" else ""
        raise VerificationError(f"the answer has no function {NAME}{cut}: 'Functions' must hold its text")
    if answer.finish == "length" and found is text and fence is None:
        raise VerificationError("the answer was cut off: write less, and the function in few lines")
    return found.strip("\n")


def _of_object(text: str) -> str | None:
    """Return the function that a JSON object in a text has; None where there is no such object."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return None
    try:
        data = json.loads(text[begin : end + 1], strict=False)
    except (ValueError, RecursionError):
        return None
    said = (
        next((data[key] for key in ("Functions", "functions", "Function") if key in data), None)
        if isinstance(data, dict)
        else None
    )
    if isinstance(said, list) and said and all(isinstance(line, str) for line in said):
        said = "\n".join(said)  # some models list the lines, or several functions, of which one is allowed
    return said if isinstance(said, str) else None
