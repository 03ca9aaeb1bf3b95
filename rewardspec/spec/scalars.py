"""What an unquoted scalar of a spec means, and which characters a spec may hold."""

from __future__ import annotations

import math
import re

from rewardspec.errors import FormulaError

# What YAML calls printable, less the line breaks that only YAML knows (U+0085, U+2028, U+2029).
UNPRINTABLE = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)")
_BASE_SIXTY = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_UNDERSCORES = re.compile(r"[-+]?(?=[0-9.]*_)[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_LONGEST_NUMBER = 400


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain (unquoted) scalar.

    Raises:
        FormulaError: Code `ambiguous-scalar` or `non-finite-number`.

    Example:
        >>> [resolve(text) for text in ("1e-3", "on", "TRUE", "~", "-7")]
        [0.001, 'on', True, None, -7]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            if math.isfinite(float(text)):
                return int(text)
        elif _DECIMAL.fullmatch(text):
            if math.isfinite(number := float(text)):
                return number
        elif not _NOT_FINITE.fullmatch(text):
            _refuse_ambiguous(text)
            return text
    elif not (_DECIMAL.fullmatch(text) or _LEADING_ZERO.fullmatch(text)):
        return text
    hints = ("numbers are finite and below 1.8e308; for 'no limit', leave the key out",)
    raise FormulaError("non-finite-number", f"'{short(text)}' is not a finite number", 0, len(text), hints)


def _refuse_ambiguous(text: str) -> None:
    """Raise if YAML 1.1, YAML 1.2 and a reader of the text could take it for different values."""
    sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("+-").replace("_", "")
    if _LEADING_ZERO.fullmatch(text):
        taken, number = "a decimal or an octal number", sign + (digits.lstrip("0") or "0")
        number = number.replace("-.", "-0.") if number.startswith("-.") else number
        number = "0" + number if number[0] in ".eE" else number
    elif _OTHER_BASE.fullmatch(text):
        taken, number = "a number in another base", None
        if len(digits) > 2:
            number = sign + str(int(digits, 0)) if len(digits) < 60 else None
    elif _BASE_SIXTY.fullmatch(text):
        taken, number = "a time or a number in base 60", None
    elif _UNDERSCORES.fullmatch(text):
        taken, number = "a number or a text", sign + digits
    elif _DATE.fullmatch(text):
        taken, number = "a date or a text", None
    else:
        return
    hint = f"write '{text}' in quotes for the text" + (f", or {number} for the number" if number else "")
    raise FormulaError("ambiguous-scalar", f"{short(text)} may be read as {taken}", 0, len(text), (hint,))


def printable(line: str) -> str:
    """Return a line as safe to print: one visible character for each, so that columns still fit."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", line).replace("\t", " ")


def short(text: str, limit: int = 40) -> str:
    """Return text for a message: one line, at most `limit` characters."""
    line = printable(text.replace("\n", " "))
    return line if len(line) <= limit else line[: limit - 3] + "..."
