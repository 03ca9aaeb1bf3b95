"""Questions about messages of a game: how they are put to a model, and how its answers are read (ONI).

A question is one message, is it helpful, or two, which is better. Its answer is a number: 1 for helpful or for the
first, 0 for not helpful or for the second, 1/2 for neither; None where the text says none of it. Whatever a message
says to the model, it can change no more than that number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rewardspec.llm.prompts import load_prompt
from rewardspec.llm.provider import Request, ask

Question = tuple[str, ...]
"""One message or two."""

TIE = 0.5

MAX_TEXT = 20_000
"""Characters of an answer that are read: its last ones."""

SHOWN = 500
"""Characters of a message that are shown."""

LABEL = re.compile(r"\blabel\W{0,8}(foo|bar)\b", re.IGNORECASE)
WORD = re.compile(r"\b(foo|bar)\b", re.IGNORECASE)
BEST = re.compile(
    r"\bbest(?:[ _]?(?:description|message|one))?\W{0,8}(?:is\W{1,3}|message\W{1,3})?(1|2|none)\b",
    re.IGNORECASE,
)
BARE = re.compile(r"\W{0,8}(1|2|none)\W{0,8}", re.IGNORECASE)


def request_for(question: Question, task: str, note: str = "", tokens: int = 200) -> Request:
    """Return the request that asks about one message or two."""
    about = {"task": task, "note": f"\n{note}\n" if note else ""}
    if len(question) == 1:
        prompt = load_prompt("oni_label")
        content = prompt.fill(**about, message=_line(question[0]))
    else:
        prompt = load_prompt("oni_compare")
        content = prompt.fill(**about, first=_line(question[0]), second=_line(question[1]))
    return ask(content, max_tokens=tokens, prompt=prompt.id)


def read_answer(text: str, question: Question) -> float | None:
    r"""Return the number that an answer says; None where it says none.

    Example:
        >>> read_answer("Knowledge: keys open doors.\nAnalysis: It has one now.\nLabel: FOO", ("You have a key.",))
        1.0
        >>> read_answer("**Best:** message 2", ("Ouch!", "You win.")), read_answer("Well...", ("Ouch!",))
        (0.0, None)
    """
    return _label(text[-MAX_TEXT:]) if len(question) == 1 else _best(text[-MAX_TEXT:])


def answer_of_phrases(phrases: Sequence[str], question: Question) -> float:
    """Return what an oracle says that knows phrases, the best first.

    Example:
        >>> told = ("open the gate", "pick up")
        >>> answer_of_phrases(told, ("You pick up a stone.",)), answer_of_phrases(told, ("It is dark.",))
        (1.0, 0.0)
        >>> answer_of_phrases(told, ("You pick up a stone.", "You open the gate."))
        0.0
    """
    ranks = [
        next((i for i, phrase in enumerate(phrases) if phrase in text), len(phrases)) for text in question
    ]
    if len(ranks) == 1:
        return float(ranks[0] < len(phrases))
    return TIE if ranks[0] == ranks[1] else float(ranks[0] < ranks[1])


def _label(text: str) -> float | None:
    """Return the label after the last `Label:`; else the one word that occurs; None for both or neither."""
    marked = LABEL.findall(text)
    if marked:
        return float(marked[-1].lower() == "foo")
    said = {word.lower() for word in WORD.findall(text)}
    return float(said == {"foo"}) if len(said) == 1 else None


def _best(text: str) -> float | None:
    """Return which is best, after the last `Best:`; else what the answer consists of."""
    marked = BEST.findall(text)
    bare = BARE.fullmatch(text.strip())
    said = marked[-1].lower() if marked else bare[1].lower() if bare else None
    return None if said is None else {"1": 1.0, "2": 0.0, "none": TIE}[said]


def _line(text: str) -> str:
    """Return a message as one printable line."""
    line = "".join(c if c.isprintable() else " " for c in text[:SHOWN])
    return " ".join(line.split()) or "(empty)"
