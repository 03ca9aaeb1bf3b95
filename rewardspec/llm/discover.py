"""Subgoals that a model proposes, once, before training: words in a spec, for people to read and change."""

from __future__ import annotations

import copy
from typing import Any

from rewardspec.errors import LanguageModelError, Problem, UnsupportedError
from rewardspec.kinds.subgoals import MAX_SUBGOALS, LanguageModelJudge, Subgoals
from rewardspec.llm.answers import read_list
from rewardspec.llm.prompts import load_prompt
from rewardspec.llm.provider import Provider, Request, ask
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import from_data

MOST = 6
"""Subgoals that a model is asked for, at most."""

TRIES = 3
"""How often it is asked; from the second time on at a temperature above 0, since a greedy model repeats itself."""


def request_for(term: Subgoals, attempt: int = 0) -> Request:
    """Return the request that asks for a task's subgoals."""
    prompt = load_prompt("calm_discover")
    note = term.judge.note if isinstance(term.judge, LanguageModelJudge) else ""
    content = prompt.fill(task=term.task, note=f"\n{note}\n" if note else "", most=str(MOST))
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST}
    return ask(
        content,
        schema=schema,
        max_tokens=200,
        temperature=0.7 if attempt else 0.0,
        seed=attempt,
        prompt=prompt.id,
    )


def discover_subgoals(term: Subgoals, provider: Provider) -> tuple[str, ...]:
    """Return the subgoals that a model proposes for a task.

    Raises:
        UnsupportedError: `no-task` where the spec tells no task.
        LanguageModelError: `no-subgoals` where it names none that can be read, however often it is asked.
    """
    if not term.task.strip():
        hint = "Say it: `task: Pick up the key, open the door, reach the stairs.`"
        raise UnsupportedError(
            Problem("no-task", "subgoals are to be discovered, and no task is told", hints=(hint,))
        )
    text = ""
    for attempt in range(TRIES):
        text = provider.complete(request_for(term, attempt)).text
        found = read_list(text, MAX_SUBGOALS)
        if found:
            return tuple(found)
    message = f"'{provider.card.name}' names no subgoals that can be read"
    raise LanguageModelError(Problem("no-subgoals", message, hints=(f"It said: {text[:200]!r}",)))


def discover(spec: Spec, provider: Provider) -> Spec:
    """Return the spec with the subgoals in it that a model proposes, and a note of where they come from.

    Terms inside operators are left as they are: discover them by themselves.

    Raises:
        UnsupportedError: `nothing-to-discover`; `no-task`.
        LanguageModelError: As `discover_subgoals`.

    Example:
        >>> from rewardspec import loads
        >>> from rewardspec.llm.scripted import Scripted
        >>> spec = loads("reward: {subgoals: {task: Leave by the locked door., subgoals: discover}}")
        >>> discover(spec, Scripted(['["pick up the key", "open the door"]'])).reward[0].body.subgoals
        ('pick up the key', 'open the door')
    """
    data: dict[str, Any] = copy.deepcopy(spec.to_data())
    terms = data["reward"] if isinstance(data["reward"], list) else [data["reward"]]
    names: list[str] = []
    for term, written in zip(spec.reward, terms, strict=True):
        body = term.body
        if isinstance(body, Subgoals) and body.subgoals == "discover":
            fields = written["subgoals"] if isinstance(written["subgoals"], dict) else {}
            fields["subgoals"] = list(discover_subgoals(body, provider))
            written["subgoals"] = fields
            names.append(term.name or term.kind)
    if not names:
        hint = "`subgoals: discover` asks for it."
        message = f"no term of '{spec.name}' leaves its subgoals to be discovered"
        raise UnsupportedError(Problem("nothing-to-discover", message, hints=(hint,)))
    card = provider.card
    told = {"model": card.name, "runtime": card.runtime, "prompt": load_prompt("calm_discover").id}
    data["provenance"] = {**data.get("provenance", {}), "subgoals": {**told, "terms": names}}
    return from_data(data)
