"""What a spec's text holds, and where in the text each value stands."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from rewardspec.errors import Place
from rewardspec.spec.scalars import printable, short

Path = tuple[str | int, ...]
"""Keys and indices from the top of a document down to a value."""


class Document:
    """Plain data, and where in the text each value stands.

    Attributes:
        value: Dicts, lists, strings, ints, floats, booleans and None. Aliases share one object.
        file: The name that error messages show.
    """

    def __init__(self, value: dict[str, Any], file: str, text: str, nodes: Nodes) -> None:
        self.value = value
        self.file = file
        self._text = text
        self._nodes = nodes
        self._children: dict[int, dict[str | int, tuple[int, int]]] = {}

    def place(self, path: Sequence[str | int] = ()) -> Place:
        """Return the place of the value at `path`, or of the nearest value above it that exists.

        For a quoted text it is the first character inside the quotes, so that offsets into the text add up;
        for a block text (`|`, `>`) the first line of the content.
        """
        known, _, node = self._find(path)
        return self._place(node, known)

    def key_place(self, path: Sequence[str | int]) -> Place:
        """Return the place of the key under which `path` stands in its mapping; of an item, its own place."""
        known, key, _ = self._find(path)
        return self._place(key, known)

    @cached_property
    def places(self) -> dict[Path, Place]:
        """The place of every value, by path. Of a large document, ask `place` for the ones you need."""
        return {path: self._place(node, path) for path, _, node in self._walk()}

    @cached_property
    def key_places(self) -> dict[Path, Place]:
        """The place of every key of a mapping, by the path of its value."""
        return {p: self._place(key, p) for p, key, _ in self._walk() if p and isinstance(p[-1], str)}

    def _place(self, node: int, path: Path) -> Place:
        return self._nodes.place(node, self._text, self.file, path_text(path))

    def _walk(self) -> Iterator[tuple[Path, int, int]]:
        """Yield path, key node and value node of every value, in the order of the text."""
        stack: list[tuple[Path, int, int, Any]] = [((), 0, 0, self.value)]
        while stack:
            path, key, node, value = stack.pop()
            yield path, key, node
            children = self._children_of(self._nodes.aliases.get(node, node), value)
            stack.extend(((*path, part), *children[part], value[part]) for part in reversed(children))

    def _find(self, path: Sequence[str | int]) -> tuple[Path, int, int]:
        """Return the longest known prefix of `path` and its nodes: of its key and of its value."""
        value: Any = self.value
        key = node = 0
        for depth, part in enumerate(path):
            children = self._children_of(self._nodes.aliases.get(node, node), value)
            if part not in children:
                return tuple(path[:depth]), key, node
            key, node = children[part]
            value = value[part]
        return tuple(path), key, node

    def _children_of(self, node: int, value: Any) -> dict[str | int, tuple[int, int]]:
        """Return the nodes of the keys and values of a mapping, or of the items of a list."""
        if not isinstance(value, dict | list):
            return {}
        if node not in self._children:
            walk = self._nodes.children(node)
            if isinstance(value, dict):
                self._children[node] = {name: (next(walk), next(walk)) for name in value}
            else:
                self._children[node] = {position: (child, child) for position, child in enumerate(walk)}
        return self._children[node]


class Nodes:
    """Where each node starts, in the order of the text: 16 bytes a node, since there may be two million.

    The children of node `i` (key, value, key, value, ... for a mapping) are `i + 1`, `end[i + 1]`, ... up to
    `end[i]`.
    """

    def __init__(self) -> None:
        self.index, self.line, self.length, self.end = array("i"), array("i"), array("i"), array("i")
        self.aliases: dict[int, int] = {}
        self._line = (-1, 0, "")

    def add(self, index: int, line: int, length: int) -> int:
        """Add a node that starts at a 0-based index and line, and return its number."""
        self.index.append(index)
        self.line.append(line)
        self.length.append(length)
        self.end.append(len(self.end) + 1)
        return len(self.end) - 1

    def children(self, node: int, stop: int | None = None) -> Iterator[int]:
        """Yield the children of a node; of one that is still being read, those before `stop`."""
        child = node + 1
        while child < (self.end[node] if stop is None else stop):
            yield child
            child = self.end[child]

    def place(self, node: int, text: str, file: str, path: str) -> Place:
        """Return the place of a node; nodes of one line share its excerpt, since a line may be a megabyte."""
        index, line = self.index[node], self.line[node]
        if self._line[0] != line:
            self._line = (line, *line_of(text, index))
        _, start, excerpt = self._line
        return Place(file, line + 1, index - start + 1, path, excerpt, self.length[node])


def path_text(path: Sequence[str | int]) -> str:
    """Return a path as people write it.

    Example:
        >>> path_text(("reward", 0, "edges", 2, "when"))
        'reward[0].edges[2].when'
        >>> path_text(("signals", "the speed"))
        "signals['the speed']"
    """
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif re.fullmatch(r"[\w-]{1,60}", part):
            parts.append(f".{part}" if parts else part)
        else:
            parts.append(f"[{short(part)!r}]")
    return "".join(parts)


def place_at(text: str, file: str, index: int, line: int, path: str, length: int) -> Place:
    """Return the place of a character, given its 0-based index and line."""
    start, excerpt = line_of(text, index)
    return Place(file, line + 1, index - start + 1, path, excerpt, length)


def line_of(text: str, index: int) -> tuple[int, str]:
    """Return where the line of a character starts, and the line as it can be printed."""
    start = text.rfind("\n", 0, index) + 1
    stop = text.find("\n", index)
    return start, printable(text[start : stop if stop >= 0 else len(text)])
