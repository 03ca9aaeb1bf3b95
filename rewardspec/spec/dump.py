"""Plain data out as YAML, in the strict subset that `read_text` reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rewardspec.errors import FormulaError
from rewardspec.spec.scalars import UNPRINTABLE, resolve

MAX_DEPTH = 64
"""How deep lists and mappings may nest, read or written."""

_WIDTH = 100
_PLAIN = re.compile(r"(?:[A-Za-z_(]|-(?=[\w.(]))[A-Za-z0-9_ .()<>=+*/^|&!,'\[\]-]*(?<! )")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Texts that other readers of YAML take for booleans; we quote them, so that every reader agrees.
_QUOTED_WORDS = frozenset({"yes", "no", "on", "off"})


def dump_text(value: Mapping[str, Any]) -> str:
    """Return plain data as YAML that `read_text` reads back as the same value.

    Mappings are in block style down to the terms of a reward; below that, short leaves such as the edges of a
    machine stand on one line each.

    Args:
        value: Dicts with text keys, lists or tuples, strings, ints, finite floats, booleans and None, nested
            at most `MAX_DEPTH` levels.

    Raises:
        ValueError: The value is not plain data, not finite, or too deep.

    Example:
        >>> print(dump_text({"name": "on", "reward": [{"markov": "-0.01 * x", "trace": [[]]}]}), end="")
        name: "on"
        reward:
          - markov: -0.01 * x
            trace: [[]]
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"the top of a document is a mapping, not {type(value).__name__}")
    return "".join(f"{line}\n" for line in _block(value, 1)) if value else "{}\n"


def _block(value: Mapping[str, Any] | Sequence[Any], depth: int) -> Iterator[str]:
    """Yield the lines of a non-empty list or mapping at the given depth (the top is 1)."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _entry(_key_text(key) + ":", child, depth)
    else:
        for child in value:
            yield from _entry("-", child, depth)


def _entry(lead: str, value: Any, depth: int) -> Iterator[str]:
    """Yield the lines of one `key: value` or `- item`."""
    if isinstance(value, str) and _fits_block_text(value):
        yield f"{lead} |" if value.endswith("\n") else f"{lead} |-"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        return
    if not isinstance(value, Mapping | list | tuple):
        yield f"{lead} {_scalar_text(value, in_flow=False)}"
        return
    if not value:
        yield f"{lead} {_flow(value)}"
        return
    is_one_pair = lead == "-" and isinstance(value, Mapping) and len(value) == 1  # needs no braces
    if not isinstance(value, Mapping) or (depth >= 3 and not is_one_pair):
        flow = _flow(value) if _is_small(value) else ""
        if flow and len(lead) + len(flow) < _WIDTH:
            yield f"{lead} {flow}"
            return
    lines = _block(value, depth + 1)
    if lead == "-":
        yield f"- {next(lines)}"
    else:
        yield lead
    yield from (f"  {line}" if line else "" for line in lines)


def _is_small(value: Any, levels: int = 2) -> bool:
    """Say whether a value is at most two levels of scalars and short enough to try on one line."""
    if isinstance(value, Mapping | list | tuple):
        children = value.values() if isinstance(value, Mapping) else value
        inner = isinstance(value, Mapping) and levels < 2  # a mapping only on the outside
        return (
            levels > 0
            and not inner
            and len(value) < _WIDTH
            and all(_is_small(c, levels - 1) for c in children)
        )
    return True


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key_text(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar_text(value, in_flow=True)


def _scalar_text(value: Any, in_flow: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _is_plain(value, in_flow) else _quoted(value)
    if isinstance(value, int | float):
        try:
            if math.isfinite(value):
                return repr(value)
        except OverflowError:
            pass
        raise ValueError("a number in a document is finite and below 1.8e308")
    raise ValueError(f"plain data holds no {type(value).__name__}")


def _is_plain(text: str, in_flow: bool) -> bool:
    """Say whether a text may stand without quotes for this reader and for others."""
    if not _PLAIN.fullmatch(text) or text.lower() in _QUOTED_WORDS:
        return False
    if in_flow and (set(text) & set(",[]{}") or text.count("(") != text.count(")")):
        return False
    try:
        return resolve(text) is text
    except FormulaError:
        return False


def _quoted(text: str) -> str:
    if ('"' in text or "\\" in text) and not UNPRINTABLE.search(text) and not set(text) & set("\n\t"):
        return "'" + text.replace("'", "''") + "'"
    return UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xD800 <= code < 0xE000:
        raise ValueError(f"a text holds the lone surrogate U+{code:04X}, which no file can")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _key_text(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key is a text, not {type(key).__name__}")
    if len(key) > 500:
        raise ValueError(f"a key of {len(key)} characters is longer than 500")
    plain = _KEY.fullmatch(key) and _is_plain(key, in_flow=True)
    return key if plain else UNPRINTABLE.sub(_escape, json.dumps(key, ensure_ascii=False))


def _fits_block_text(text: str) -> bool:
    """Say whether a text of several lines can stand under `|` as it is."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and lines[0] != ""
        and text.strip("\n") == text.removesuffix("\n")
        and lines[0][0] not in " \t"
        and not any(line and not line.strip(" \t") for line in lines)
        and not UNPRINTABLE.search(text)
    )
