"""What to write instead where a text is no YAML: by the parser's word, and where it cut an expression in two."""

from __future__ import annotations

SYNTAX_HINTS = (
    ("tab character", "indent with spaces, not with tabs"),
    ("mapping values are not allowed", "a text that holds ': ' needs quotes, as in name: 'a: b'"),
    ("cannot start any token", "indent with spaces; a text that begins with @, %, ` or a tab needs quotes"),
    ("escape", "in double quotes a backslash begins an escape: use single quotes, or write it twice"),
    ("hexdecimal", "in double quotes a backslash begins an escape: use single quotes, or write it twice"),
    ("flow", "inside [...] and {...} a text that holds , [ ] { } or ': ' needs quotes; close every bracket"),
    ("quoted scalar", "close the quote"),
    ("expected key", "keys of one mapping begin in one column; nothing may follow a closing quote"),
    ("expected ':'", "each line of a mapping is 'name: value'; keys of one mapping begin in one column"),
    ("'-' indicator", "items of one list begin in one column, each with '- '"),
    ("anchor", "a text that begins with '&', '*' or '!' needs quotes; '!' can be written 'not'"),
    ("alias", "a text that begins with '*' needs quotes"),
    ("tag", "a text that begins with '!' needs quotes; or write 'not' for '!'"),
)
"""Pieces of what the parser says, and what helps; the first that fits counts."""


def whole_text(text: str, start: int) -> str | None:
    """Return the expression that begins at an index of a line and was meant: up to a comma or bracket of the list.

    Returns:
        None where its brackets are not closed in the line, or it holds both sorts of quotes.

    Example:
        >>> whole_text("{value: max(obs[0], 1) > 2, margin: 1}", 8)
        'max(obs[0], 1) > 2'
    """
    open_brackets = 0
    line = text[start:].split("\n", 1)[0].split(" #", 1)[0]
    for i, character in enumerate(line):
        if character in "([{":
            open_brackets += 1
        elif open_brackets and character in ")]}":
            open_brackets -= 1
        elif character in ",)]}" and not open_brackets:
            return line[:i].rstrip()
    return None


def quoted(text: str) -> str | None:
    """Return a text in quotes; None where it holds both sorts, or a backslash.

    Example:
        >>> print(quoted("obs[0]"), quoted('info["x"]'))
        "obs[0]" 'info["x"]'
    """
    for quote in "\"'":
        if quote not in text and "\\" not in text:
            return f"{quote}{text}{quote}"
    return None
