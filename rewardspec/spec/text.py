"""Strict YAML: text in, plain data and the place of every value out.

YAML guesses: `on` is a boolean, `010` is eight, `1:30` is ninety, a repeated key wins in silence, and
`{when: max(a, b) > 2}` is two keys. A reward must not hang on a guess, so this reader takes the subset of
YAML that has one reading and says, with line and column, what to write instead of the rest:

- plain scalars are null, a boolean (`true`, `false`), a finite decimal number, or a text; `yes`, `no`, `on`
  and `off` are texts, keys are always texts, and what YAML 1.1 would read as another sort of number or a date
  must be quoted;
- duplicate keys, tags, merge keys, directives, several documents and control characters are errors;
- anchors and aliases work, as long as what they expand to stays within the bounds.

The tree is built from the parser's events by a loop, never by recursion, and sizes are bounded while reading:
8 MiB of text, two million values, 64 levels. `dump_text` writes the same subset.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

import yaml

from rewardspec.errors import FormulaError, Place, Problem, SpecError
from rewardspec.spec.document import Document, Nodes, Path, path_text, place_at
from rewardspec.spec.dump import MAX_DEPTH, dump_text
from rewardspec.spec.scalars import UNPRINTABLE, resolve, short
from rewardspec.spec.syntax_hints import SYNTAX_HINTS, quoted, whole_text

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Document",
    "dump_text",
    "path_text",
    "read_file",
    "read_text",
]

MAX_BYTES = 8 * 2**20
MAX_NODES = 2_000_000
LOOK_BACK = 1000
"""Characters before a syntax error in which its cause is looked for."""

MAX_PROBLEMS = 50
"""Reading stops when so many problems were collected."""

# libyaml is ten times faster; every wheel of PyYAML carries it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_HEAD = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\n)*+")
_BLOCK_HEAD = re.compile(r"[^\n]*+\n(?: *+\n)*+ *+")
_TAG = re.compile(r"![^\s,\[\]{}]*")
_CUT = re.compile(r"(?:([A-Za-z_]\w*):[ ]+)?([A-Za-z_(-][^\[\]{},:#'\"\n]*)(?<=[\w)])[\[{]")
_PROPERTIES = re.compile(r"(?:[&!]\S*+\s*+)*+")
_TAIL = re.compile(r"(?:\.\.\.)?(?:[ \t]*+(?:#[^\n]*+)?(?:\n|\Z))*+")


def read_text(text: str | bytes, file: str = "<text>") -> Document:
    r"""Read one YAML document whose top level is a mapping.

    Args:
        text: The document; bytes must be UTF-8.
        file: The name that error messages show.

    Raises:
        SpecError: With every problem found, up to `MAX_PROBLEMS`.

    Example:
        >>> document = read_text("reward:\n  - markov: 'not done'\n")
        >>> document.value
        {'reward': [{'markov': 'not done'}]}
        >>> place = document.place(("reward", 0, "markov"))
        >>> place.line, place.column, place.path
        (2, 14, 'reward[0].markov')
    """
    return _Reader(_decode(text, file), file).read()


def read_file(path: str | os.PathLike[str]) -> Document:
    """Read one YAML document from a file, as `read_text` does.

    Raises:
        SpecError: Code `unreadable-file` when there is no such file or it cannot be opened.
    """
    file = os.fsdecode(path)
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hints = _like_named(file)
        if "\n" in file or ": " in file:  # a spec, and no path
            hints = ("This looks like the text of a spec: `rewardspec.loads(text)` reads one.",)
        raise SpecError(
            Problem("unreadable-file", f"cannot read the file: {reason}", Place(file), hints)
        ) from None
    return read_text(data, file)


@dataclass(slots=True)
class _Anchor:
    value: Any
    node: int
    size: int = 1
    height: int = 0
    is_open: bool = False


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read."""

    value: Any
    node: int
    flow: bool
    size_before: int
    anchor: str | None
    key: str | None = None
    key_node: int = 0
    height: int = 1


class _Reader:
    """Builds one `Document` from the events of one text."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.nodes = Nodes()
        self.size = 0  # nodes, with aliases expanded
        self.anchors: dict[str, _Anchor] = {}
        self.frames: list[_Frame] = []
        self.problems: list[Problem] = []
        self.root: Any = None

    def read(self) -> Document:
        self.refuse_directives()
        try:
            self.read_events()
        except yaml.YAMLError as error:
            self.stop(self.cut_at_bracket(error) or self.syntax_problem(error))
        if self.problems:
            raise SpecError(self.problems)
        return Document(self.root, self.file, self.text, self.nodes)

    def read_events(self) -> None:
        events: Iterator[Any] = yaml.parse(self.text, Loader=_LOADER)
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self.read_scalar(event)
            elif kind is yaml.MappingStartEvent:
                self.open_container(event, {})
            elif kind is yaml.SequenceStartEvent:
                self.open_container(event, [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.close_container(event)
            elif kind is yaml.AliasEvent:
                self.read_alias(event)
            elif kind is yaml.DocumentEndEvent:
                # What follows is not parsed at all: it could be long, and it is an error anyway.
                self.refuse_more_documents(event.end_mark.index, event.end_mark.line)
                return
        self.stop(Problem("empty-document", "the document is empty", Place(self.file), _FIRST_LINES))

    # What is in the document.

    def read_scalar(self, event: Any) -> None:
        end, text, style = event.end_mark, event.value, event.style or ""
        start_index, start_line = self.after_properties(event)
        if style in ("|", ">") and text.strip():
            head = _BLOCK_HEAD.match(self.text, start_index)
            index = head.end() if head else start_index
            line = start_line + self.text.count("\n", start_index, index)
        else:
            index, line = start_index + (style in ("'", '"')), start_line
        stop = self.text.find("\n", index) if style in ("|", ">") or end.line > line else end.index
        length = (stop if stop >= 0 else len(self.text)) - index - (style in ("'", '"') and end.line == line)
        node = self.add_node(index, line, length)
        self.check_tag(event)
        frame = self.frames[-1] if self.frames else None
        if frame is None:
            self.refuse_root(node, text if style else _resolve_or_text(text))
        if not style and frame.flow and text.count("(") != text.count(")"):
            self.report_cut(text, node)
        if isinstance(frame.value, dict) and frame.key is None:
            self.read_key(frame, text, style, node)
            if event.anchor is not None:
                self.anchors[event.anchor] = _Anchor(text, node)
            return
        value: Any = text
        if not style:
            if not text and frame.flow and isinstance(frame.value, dict):
                self.check_has_colon(frame, node)
            try:
                value = resolve(text)
            except FormulaError as error:
                self.report(error.code, error.message, error.hints, node)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(value, node)
        self.attach(value, node)

    def after_properties(self, event: Any) -> tuple[int, int]:
        """Return index and line of a scalar itself: the parser's mark is that of its anchor or tag."""
        index, line = event.start_mark.index, event.start_mark.line
        if event.anchor is None and event.tag is None:
            return index, line
        properties = _PROPERTIES.match(self.text, index, event.end_mark.index)
        stop = properties.end() if properties else index
        return stop, line + self.text.count("\n", index, stop)

    def read_key(self, frame: _Frame, text: str, style: str, node: int) -> None:
        """Take a scalar as the next key; a bad one gets a stand-in, so that reading can go on."""
        good = False
        if not style and text == "<<":
            hints = ("write the keys out: a reward that inherits in part is read wrongly too easily",)
            self.report("merge-key", "merge keys ('<<') are not part of the spec language", hints, node)
        elif not style and not text:
            self.report(
                "non-string-key", "this key is empty", ("a key is a text, as in 'name: value'",), node
            )
        elif text in frame.value:
            self.report_duplicate(frame, text, node)
        else:
            good = True
        frame.key, frame.key_node = text if good else f"\0{node}", node

    def open_container(self, event: Any, value: Any) -> None:
        if not self.frames and isinstance(value, list):
            self.refuse_root(self.add_node(event.start_mark.index, event.start_mark.line, 1), value)
        if len(self.frames) >= MAX_DEPTH:
            self.stop(self.too_deep(event.start_mark))
        size_before = self.size
        node = self.add_node(event.start_mark.index, event.start_mark.line, 1)
        self.check_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(value, node, is_open=True)
        self.frames.append(_Frame(value, node, bool(event.flow_style), size_before, event.anchor))

    def close_container(self, event: Any) -> None:
        frame = self.frames.pop()
        nodes, node = self.nodes, frame.node
        nodes.end[node] = len(nodes.end)
        if frame.flow:
            if event.end_mark.line == nodes.line[node]:
                nodes.length[node] = event.end_mark.index - nodes.index[node]
        elif isinstance(frame.value, dict):
            nodes.length[node] = nodes.length[node + 1]  # the first key stands for a block mapping
        if frame.anchor is not None:
            size = self.size - frame.size_before
            self.anchors[frame.anchor] = _Anchor(frame.value, node, size, frame.height)
        if self.frames:
            self.frames[-1].height = max(self.frames[-1].height, frame.height + 1)
            self.attach(frame.value, node)
        else:
            self.root = frame.value

    def read_alias(self, event: Any) -> None:
        mark = event.start_mark
        node = self.add_node(mark.index, mark.line, event.end_mark.index - mark.index)
        anchor = self.anchors.get(event.anchor)
        if not self.frames or anchor is None:
            hints = (
                f"a text that begins with '*' needs quotes: '*{short(event.anchor)}'",
                "an alias comes after its anchor, as in 'a: &x 1' and then 'b: *x'",
            )
            self.report(
                "unknown-anchor", f"no anchor '&{short(event.anchor)}' comes before this", hints, node
            )
            self.attach(None, node)
            return
        if anchor.is_open:
            self.report(
                "recursive-alias",
                f"'*{short(event.anchor)}' stands inside the value that it repeats",
                ("a spec is finite: write out the levels that you need",),
                node,
            )
            self.attach(None, node)
            return
        if len(self.frames) + anchor.height > MAX_DEPTH:
            self.stop(self.too_deep(mark))
        self.frames[-1].height = max(self.frames[-1].height, anchor.height + 1)
        self.size += anchor.size - 1
        self.nodes.aliases[node] = anchor.node
        self.check_size(node)
        self.attach(anchor.value, node)

    def attach(self, value: Any, node: int) -> None:
        """Put a finished value into the list or mapping around it."""
        if not self.frames:
            return
        frame = self.frames[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            hints = ("a key is a text, as in 'name: value'; quote a text that begins with '[', '{' or '*'",)
            sort = "an alias" if node in self.nodes.aliases else _sort_of(value)
            self.report("non-string-key", f"a key must be a text; this is {sort}", hints, node)
            frame.key, frame.key_node = f"\0{node}", node
        else:
            frame.value[frame.key] = value
            frame.key = None

    # What is wrong with it.

    def add_node(self, index: int, line: int, length: int) -> int:
        node = self.nodes.add(index, line, max(1, length))
        self.size += 1
        self.check_size(node)
        return node

    def check_size(self, node: int) -> None:
        if self.size > MAX_NODES:
            message = f"the document holds more than {MAX_NODES:,} values, aliases written out"
            hints = ("split the spec, or generate what it enumerates from Python",)
            self.stop(Problem("document-too-large", message, self.place_of(node), hints))

    def check_tag(self, event: Any) -> None:
        if event.tag is None:
            return
        mark = event.start_mark
        tag = _TAG.search(self.text, mark.index)
        index = tag.start() if tag else mark.index
        line = mark.line + self.text.count("\n", mark.index, index)
        text = tag[0] if tag else "!"
        place = place_at(self.text, self.file, index, line, path_text(self.path()), len(text))
        hints = ("a text that begins with '!' needs quotes: when: '!broken'; or write: when: not broken",)
        self.add_problem(
            Problem("yaml-tag", f"'{short(text)}' is a YAML tag, and a spec has none", place, hints)
        )

    def check_has_colon(self, frame: _Frame, node: int) -> None:
        """Report `b) > 2` of `{when: max(a, b) > 2}`, which YAML takes for a key with no value."""
        key_node = frame.key_node
        start = self.nodes.index[key_node] + self.nodes.length[key_node]
        between = self.text[start : max(start, self.nodes.index[node]) + 1]
        if ":" not in between and frame.key is not None and frame.key[:1] != "\0":
            self.report_cut(frame.key, key_node)

    def report_cut(self, text: str, node: int) -> None:
        """Report the first piece of a text that was cut at its commas."""
        last = self.problems[-1] if self.problems else None
        if last is None or last.code != "cut-by-comma" or last.place.line != self.nodes.line[node] + 1:
            message = f"'{short(text)}' looks like a piece of a text that YAML cut at a comma"
            hints = ("inside [...] and {...} quote a text that holds a comma: {when: 'max(a, b) > 2'}",)
            self.report("cut-by-comma", message, hints, node)

    def cut_at_bracket(self, error: yaml.YAMLError) -> Problem | None:
        """Return what is wrong with `{value: -abs(obs[2])}`, where YAML ends the text at its bracket."""
        mark, node = getattr(error, "problem_mark", None), len(self.nodes.index) - 1
        frame = self.frames[-1] if self.frames else None
        if mark is None or frame is None:
            return None
        start, length, path, key = self.nodes.index[node], self.nodes.length[node], self.path(), ""
        if frame.flow and self.text[mark.index : mark.index + 1] in (
            "[",
            "{",
        ):  # the parser stops at the bracket
            if node == frame.node or start + length != mark.index:
                return None
            if isinstance(frame.value, list):
                path = (*path[:-1], len(frame.value) - 1)
            elif frame.key is None and frame.value:
                key = list(frame.value)[-1]
                path = (*path, key)
        else:  # `obs[2] > 0`: the scanner does not like what follows the bracket, and has told nothing of the text yet
            told = max(start + (1 if node == frame.node else length), mark.index - LOOK_BACK)
            found = _CUT.search(self.text, told, mark.index)
            if found is None or not (frame.flow or {"[", "{"} & set(self.text[told : found.start()])):
                return None
            key, start, length = found[1] or "", found.start(2), len(found[2])
            path = (*path, found[1]) if found[1] else path
        piece, whole = self.text[start : start + length], whole_text(self.text, start)
        line = self.text.count("\n", 0, start)
        place = place_at(self.text, self.file, start, line, path_text(path), length)
        while (
            self.problems
            and self.problems[-1].code == "cut-by-comma"
            and self.problems[-1].place.line == place.line
        ):
            self.problems.pop()  # a piece of the same text
        written = None if whole is None or key[:1] == "\0" else quoted(whole)
        said = f"{key}: " if key else ""
        hints = (f"quote the whole text: {said}{written}" if written else "quote the whole text",)
        message = (
            f"'{short(piece)}' is cut off: inside [...] and {{...}} a bracket ends a text without quotes"
        )
        return Problem("cut-at-bracket", message, place, hints)

    def report_duplicate(self, frame: _Frame, text: str, node: int) -> None:
        # Each pair has an entry, bad ones under a stand-in, so that positions tell which node a key has.
        position = 2 * list(frame.value).index(text)
        first = next(islice(self.nodes.children(frame.node, node), position, None))
        place = self.nodes.place(first, self.text, self.file, "")
        excerpt = place.excerpt.strip()
        hints = (
            f"first here, in line {place.line}: {short(excerpt, 80)}",
            "keep one of them; YAML would silently take the last",
        )
        self.report(
            "duplicate-key", f"the key '{short(text)}' stands twice in this mapping", hints, node, (text,)
        )

    def report(self, code: str, message: str, hints: tuple[str, ...], node: int, inside: Path = ()) -> None:
        self.add_problem(Problem(code, message, self.place_of(node, inside), hints))

    def add_problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise SpecError(self.problems)

    def stop(self, problem: Problem) -> NoReturn:
        """Raise what was found so far, and this."""
        raise SpecError([*self.problems, problem]) from None

    def place_of(self, node: int, inside: Path = ()) -> Place:
        return self.nodes.place(node, self.text, self.file, path_text((*self.path(), *inside)))

    def path(self) -> Path:
        """Return the path of the value that is being read."""
        parts: list[str | int] = []
        for depth, frame in enumerate(self.frames):
            if isinstance(frame.value, list):
                parts.append(len(frame.value))
            elif frame.key is not None and frame.key[:1] != "\0":
                parts.append(frame.key)
            elif depth < len(self.frames) - 1:
                parts.append("?")
        return tuple(parts)

    def too_deep(self, mark: Any) -> Problem:
        place = place_at(self.text, self.file, mark.index, mark.line, "", 1)
        hints = ("name inner parts under 'signals' or 'propositions' and refer to the names",)
        return Problem(
            "document-too-deep", f"lists and mappings nest more than {MAX_DEPTH} levels deep", place, hints
        )

    def refuse_root(self, node: int, value: Any) -> NoReturn:
        place = self.nodes.place(node, self.text, self.file, "")
        if value is None and not self.text[self.nodes.index[node] :].startswith(("~", "n", "N")):
            self.stop(Problem("empty-document", "the document is empty", Place(self.file), _FIRST_LINES))
        message = f"a spec is a mapping of names to values; this is {_sort_of(value)}"
        hints = _FIRST_LINES
        if isinstance(value, str) and value.endswith((".yaml", ".yml")):
            hints = ("This looks like the path of a file: `rewardspec.load(path)` reads one.",)
        self.stop(Problem("not-a-mapping", message, place, hints))

    def refuse_directives(self) -> None:
        head = _HEAD.match(self.text)
        index = head.end() if head else 0
        if self.text.startswith("%", index):
            place = place_at(self.text, self.file, index, self.text.count("\n", 0, index), "", 1)
            hints = ("leave the line out",)
            self.stop(
                Problem(
                    "yaml-directive",
                    "YAML directives ('%...') are not part of the spec language",
                    place,
                    hints,
                )
            )

    def refuse_more_documents(self, index: int, line: int) -> None:
        tail = _TAIL.match(self.text, index)
        stop = tail.end() if tail else index
        if stop < len(self.text):
            place = place_at(self.text, self.file, stop, line + self.text.count("\n", index, stop), "", 3)
            hints = ("one file holds one spec: put the other one into a file of its own",)
            self.stop(Problem("several-documents", "a second YAML document begins here", place, hints))

    def syntax_problem(self, error: yaml.YAMLError) -> Problem:
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        context, context_mark = getattr(error, "context", None), getattr(error, "context_mark", None)
        mark: Any = getattr(error, "problem_mark", None) or context_mark
        if context and context_mark:
            reason += f", {context} that starts in line {context_mark.line + 1}"
        place = Place(self.file)
        if mark is not None:
            place = place_at(self.text, self.file, mark.index, mark.line, path_text(self.path()), 1)
        hints = tuple(hint for sign, hint in SYNTAX_HINTS if sign in reason)[:1]
        if place.excerpt.lstrip().startswith("```"):
            hints = ("leave out the lines with ```: the file holds the YAML alone",)
        return Problem("yaml-syntax", f"this is not YAML: {reason}", place, hints)


_FIRST_LINES = ("the least that a spec holds is its reward, as in 'reward: 1 - abs(next_obs[0])'",)


def _decode(data: str | bytes, file: str) -> str:
    """Return the text with plain line breaks, checked for size, encoding and control characters."""
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the text is larger than {MAX_BYTES // 2**20} MiB"
        hints = ("split the spec, or generate what it enumerates from Python",)
        raise SpecError(Problem("document-too-large", message, Place(file), hints))
    if isinstance(data, str):
        text = data
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line_start = data.rfind(b"\n", 0, error.start) + 1
            place = Place(file, data.count(b"\n", 0, error.start) + 1, error.start - line_start + 1)
            hints = ("save the file as UTF-8",)
            message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
            raise SpecError(Problem("not-utf8", message, place, hints)) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if bad := UNPRINTABLE.search(text):
        index = bad.start()
        place = place_at(text, file, index, text.count("\n", 0, index), "", 1)
        hints = (f"remove it, or write it as '\\u{ord(bad[0]):04x}' in double quotes",)
        message = f"the character U+{ord(bad[0]):04X} cannot be seen and does not belong here"
        raise SpecError(Problem("control-character", message, place, hints))
    return text


def _sort_of(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "a boolean"
    names = {dict: "a mapping", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names[type(value)]


def _like_named(file: str) -> tuple[str, ...]:
    """Return a hint that names a file beside a missing one, if one is called nearly the same, or the spec of a run."""
    if os.path.isfile(os.path.join(file, "run.json")):
        return (f"It is the folder of a run, whose spec is {os.path.join(file, 'spec.yaml')}.",)
    if os.path.isdir(file):
        return (f"It is a folder; give its files, as in {os.path.join(file, '*.yaml')}",)
    folder, name = os.path.split(file)
    try:
        names = [entry.name for entry in islice(os.scandir(folder or "."), 1000)]
    except (OSError, ValueError):
        return (f"there is no folder '{short(folder, 80)}'",) if folder else ()
    if name in names:
        return ()
    kinds = (".yaml", ".yml") if name.endswith((".yaml", ".yml")) else ("",)
    stems = {os.path.splitext(other)[0]: other for other in sorted(names) if other.endswith(kinds)}
    close = difflib.get_close_matches(os.path.splitext(name)[0], list(stems), n=1)
    return (f"Did you mean '{stems[close[0]]}'?",) if close else ()


def _resolve_or_text(text: str) -> Any:
    try:
        return resolve(text)
    except FormulaError:
        return text
