"""From a model's text to truth values: text is data, read with JSON or as a Python literal, and then checked.

Models wrap answers in prose and fences, write Python in place of JSON, swap keys and values, or answer twice. What is
read here is the last answer in the text that names a subgoal. Nothing is evaluated: the paper's own code calls `eval`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_TEXT = 100_000
"""Characters of an answer that are read: its last ones."""

MAX_LITERAL = 8_000
"""Characters of one object or list in it."""

MAX_CANDIDATES = 50
"""Objects and lists of an answer that are tried, from the last one."""

LONGEST_LINE = 300
"""Characters of a line such as `open the door: yes`."""

OBJECT = re.compile(r"\{[^{}]*\}")
LIST = re.compile(r"\[[^\[\]{}]*\]")
LINE = re.compile(r"[ \t>*#|\-\d.)]*(?P<name>[^:=]{1,220}?)\s*(?::|=|->|\u2192)\s*(?P<said>.{1,40})")
QUOTED_OR_WORD = re.compile(
    r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\b(?:true|false|null|none|yes|no)\b", re.IGNORECASE
)
PYTHONS = {"true": "True", "yes": "True", "false": "False", "no": "False", "null": "None", "none": "None"}
YES = frozenset(["true", "yes", "y", "1", "achieved", "reached"])
NO = frozenset(["false", "no", "n", "0", "none", "null", "", "never", "not achieved", "not reached"])


def read_answer(text: str, questions: Sequence[str]) -> dict[str, bool] | None:
    r"""Return what an answer says of each question; None where it says nothing that can be read.

    A question that is not mentioned is answered no, as in the paper; so is every one by an empty object. Numbers are
    the times of the paper's formats: 0 is no. Lists are true when one of their items is.

    Example:
        >>> asked = ["pick up the key", "open the door"]
        >>> read_answer("Sure! ```python\n{'Pick up the key': True, 'open the door': 0}\n``` Hope so.", asked)
        {'pick up the key': True, 'open the door': False}
        >>> read_answer("I cannot tell.", asked) is None
        True
    """
    text = text[-MAX_TEXT:]
    names = _names_of(questions)
    found: dict[str, bool] | None = None
    for literal in _literals(text, OBJECT):
        told = _of_object(literal, names)
        if told is not None:
            return {question: told.get(question, False) for question in questions}
        if literal == {}:
            found = {}
    for literal in _literals(text, LIST):
        if isinstance(literal, list) and all(isinstance(item, str) for item in literal):
            named = [_question(item, names) for item in literal]
            if named and None not in named:
                return {question: question in named for question in questions}
    told = _of_lines(text, names)
    if told:
        return {question: told.get(question, False) for question in questions}
    if found is None and text.strip() in ("[]", "```json\n[]\n```"):
        found = {}
    return None if found is None else dict.fromkeys(questions, False)


def read_list(text: str, most: int, longest: int = 200) -> list[str] | None:
    """Return the texts that an answer lists, cleaned; None where it lists none.

    Example:
        >>> read_list('Here: ["Pick up the key", "open the door", "Pick up the key"]', 8)
        ['Pick up the key', 'open the door']
    """
    for literal in _literals(text[-MAX_TEXT:], LIST):
        if isinstance(literal, list) and literal and all(isinstance(item, str) for item in literal):
            lines = [" ".join(item.split()) for item in literal]
            kept = [line for line in lines if line and line.isprintable() and len(line) <= longest]
            unique = {line.casefold(): line for line in reversed(kept)}
            return [line for line in dict.fromkeys(kept) if unique[line.casefold()] == line][:most] or None
    return None


def _literals(text: str, pattern: re.Pattern[str]) -> list[Any]:
    """Return the objects or lists in a text that can be read, the last one first."""
    pieces = [match[0] for match in pattern.finditer(text)][-MAX_CANDIDATES:]
    read = (_literal(piece) for piece in reversed(pieces))
    return [value for value in read if value is not None]


def _literal(piece: str) -> Any:
    """Return the plain data that a text holds; None for what holds none."""
    if len(piece) > MAX_LITERAL:
        return None
    try:
        return json.loads(piece)
    except (ValueError, RecursionError):
        pass
    spoken = QUOTED_OR_WORD.sub(lambda m: PYTHONS.get(m[0].lower(), m[0]), piece)
    try:
        return ast.literal_eval(spoken.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _names_of(questions: Sequence[str]) -> dict[str, str]:
    """Return what may stand for each question: its words, and its number."""
    names = {_plain(question): question for question in questions}
    for number, question in enumerate(questions, 1):
        for form in (f"{number}", f"subgoal {number}", f"goal {number}", f"g{number}"):
            names.setdefault(form, question)
    return names


def _plain(name: str) -> str:
    """Return a name without case, quotes, numbering and the blanks and marks around it."""
    name = " ".join(re.sub(r"[\"'`*_]+", " ", name).split()).casefold().strip(" .:;!-")
    return re.sub(r"^(?:\(?\d+[.)]|-)\s+", "", name)


def _question(name: object, names: Mapping[str, str]) -> str | None:
    if isinstance(name, bool) or not isinstance(name, str | int):
        return None
    return names.get(_plain(str(name)))


def _of_object(literal: Any, names: Mapping[str, str]) -> dict[str, bool] | None:
    """Return what an object says; None where it names no question."""
    if not isinstance(literal, dict):
        return None
    told: dict[str, bool] = {}
    for key, value in literal.items():
        question = _question(key, names)
        truth = _truth(value)
        if question is not None and truth is not None:
            told[question] = truth
            continue
        said = _truth(key)  # keys and values swapped: {true: "open the door"}
        for name in value if isinstance(value, list | tuple) else (value,):
            question = _question(name, names) if isinstance(name, str) else None
            if question is not None and said is not None:
                told[question] = told.get(question, False) or said
    return told or None


def _truth(value: object) -> bool | None:
    """Return the truth value that a value stands for; None for what stands for none."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, int | float):
        return value >= 1
    if isinstance(value, str):
        said = _plain(value)
        return True if said in YES else False if said in NO else None
    if isinstance(value, list | tuple):
        inner = [_truth(item) for item in value]
        return None if None in inner else any(inner)
    return None


def _of_lines(text: str, names: Mapping[str, str]) -> dict[str, bool]:
    """Return what lines such as `open the door: yes` say; a later line overrules an earlier one."""
    told: dict[str, bool] = {}
    for match in map(LINE.fullmatch, (line for line in text.splitlines() if len(line) <= LONGEST_LINE)):
        if match is None:
            continue
        question, truth = _question(match["name"], names), _truth(match["said"].strip(" \"'`*.,"))
        if question is not None and truth is not None:
            told[question] = truth
    return told
