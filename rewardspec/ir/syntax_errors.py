"""What is wrong with an expression that Python's grammar refuses, in words and with an offset."""

from __future__ import annotations

import re

from rewardspec.errors import FormulaError
from rewardspec.spec.scalars import short

MAX_DEPTH = 60
"""Levels of brackets, and of operations, that an expression may have."""

SPLIT_HINT = "Let several terms add up, or name parts of it under 'signals'."


def check_brackets(text: str, indent: int) -> None:
    """Raise for a bracket that is never closed, closes nothing or closes another sort; also for too many levels."""
    opened: list[tuple[str, int]] = []
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            message = "'#' begins a comment, which an expression cannot hold"
            raise FormulaError("expression-syntax", message, position + indent, 1)
        elif character in "([{":
            opened.append((character, position))
            if len(opened) > MAX_DEPTH:
                message = f"the expression is nested more than {MAX_DEPTH} levels deep"
                raise FormulaError("expression-too-large", message, position + indent, 1, (SPLIT_HINT,))
        elif character in ")]}":
            if not opened:
                raise FormulaError(
                    "expression-syntax", f"this '{character}' closes nothing", position + indent, 1
                )
            opening, start = opened.pop()
            if _CLOSING[opening] != character:
                message = f"this '{opening}' is closed by '{character}'"
                raise FormulaError("expression-syntax", message, start + indent, position + 1 - start)
    if opened:
        opening, start = opened[-1]
        raise FormulaError("expression-syntax", f"this '{opening}' is never closed", start + indent, 1)


_CLOSING = {"(": ")", "[": "]", "{": "}"}

_WORD = re.compile(r"\w+|.", re.DOTALL)


def explain_syntax(text: str, error: SyntaxError, indent: int) -> tuple[str, int, int, tuple[str, ...]]:
    """Return message, offset, length and hints for text that Python's grammar refuses."""
    if found := re.match(r"[A-Za-z_]+:(?=\S)", text):
        word = found[0]
        hint = f"In YAML a space follows the colon: `{word} {short(text[found.end() :])}`."
        return f"'{word}' is no part of an expression", indent, len(word), (hint,)
    if found := re.search(r"\bagents\.(\w+(?:-\w+)+)", text):
        hint = f"A name that is no single word stands in quotes and brackets: agents['{short(found[1])}']."
        return f"'{short(found[0])}' reads as a difference", found.start() + indent, len(found[0]), (hint,)
    if "?" in text and ":" in text:
        return "'?' cannot stand here", text.index("?") + indent, 1, ("Write: a if condition else b.",)
    for symbol, word in (("&&", "and"), ("||", "or"), ("!", "not"), ("<>", "!=")):
        at = text.find(symbol)
        if at >= 0 and text[at : at + 2] != "!=":
            return (
                f"'{symbol}' is not an operator of expressions",
                at + indent,
                len(symbol),
                (f"Write '{word}'.",),
            )
    if (found := re.search(r"(?<![=<>!:])=(?!=)", text)) and "(" not in text:
        return "'=' does not compare", found.start() + indent, 1, ("Write '==' to compare.",)
    if found := re.search(r"(?<![\w.])0\d", text):
        return "a number does not begin with 0", found.start() + indent, 1, ()
    if "Exceeds the limit" in error.msg and (found := re.search(r"\d{4000,}", text)):
        return "a number has too many digits", found.start() + indent, len(found[0]), ()
    # Python counts columns in UTF-8 bytes from 1; 0 stands for the end of the text.
    offset = len(text.encode()[: error.offset - 1].decode(errors="ignore")) if error.offset else len(text)
    if "expected 'else'" in error.msg:
        start = text.index("if")
        return "this 'if' has no 'else'", start + indent, 2, ("Write: a if condition else b.",)
    if not text[offset:].strip():
        stripped = text.rstrip()
        last = _WORD.findall(stripped)[-1]
        return (
            f"the expression stops after '{short(last)}'",
            len(stripped) - len(last) + indent,
            len(last),
            (),
        )
    shown = _WORD.findall(text[offset:].lstrip())[0]
    offset = text.index(shown, offset)
    if shown in "'\"":
        return "this quote is never closed", offset + indent, 1, ()
    return f"'{short(shown)}' cannot stand here", offset + indent, len(shown), ()
