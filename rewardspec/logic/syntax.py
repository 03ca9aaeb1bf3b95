"""Text to trees: the one grammar of guards (boolean) and formulas (temporal).

A guard and an LTL formula share names, boolean operators, precedence and error messages, so they share this
parser. It is an operator-precedence parser with explicit stacks: nesting costs no Python recursion, and every
node keeps the place of its text.

Precedence, tightest first::

    not, F, G, X, WX      prefix
    U, R, W, M            right associative
    and
    xor
    or
    implies               right associative
    iff
    {r} []-> f            as far to the right as possible

Names are identifiers and the longest match wins: `last_door`, `falsehood`, `tt_x`, `F1` and `Gx` are names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from rewardspec.errors import FormulaError, list_names, near_miss

MAX_LENGTH: Final = 10_000
"""Characters that a guard or formula may have."""

MAX_DEPTH: Final = 200
"""Levels that a tree may have; its consumers recurse, one Python frame a level."""

MAX_BOUND: Final = 1_000
"""Largest number of steps in `X[n]`, `F[m:n]` and `G[m:n]`."""


@dataclass(frozen=True)
class Node:
    """One operator of a guard or formula; equality ignores where it stood in the text.

    Attributes:
        op: `name true false not and or xor implies iff`, in formulas also `F G X WX U R W M` and, for a
            regular expression in braces, `sere`.
        args: Operands; `and` and `or` have two or more, the other binary operators two.
        text: The name of a `name`; the source between the braces of a `sere`.
        low: First step of `F[low:high]`, `G[low:high]`; number of steps of `X[low]`.
        high: Last step of the same; None when there is no end.
        suffix: What follows a `sere`: `[]->`, `[]=>`, `<>->`, `<>=>`, `!` or nothing.
        offset: 0-based character at which it begins.
        length: Characters it covers.
        depth: Levels of the tree below and including this node.
    """

    op: str
    args: tuple[Node, ...] = ()
    text: str = ""
    low: int = 0
    high: int | None = None
    suffix: str = ""
    offset: int = field(default=0, compare=False)
    length: int = field(default=1, compare=False)
    depth: int = field(default=1, compare=False, repr=False)

    def __str__(self) -> str:
        return show(self)


TRUE: Final = Node("true")
FALSE: Final = Node("false")


@dataclass(frozen=True)
class Grammar:
    """Which words and symbols mean which operator.

    Attributes:
        kind: What the text is called in messages.
        words: Reserved word -> operator.
        symbols: Punctuation -> operator.
    """

    kind: str
    words: Mapping[str, str]
    symbols: Mapping[str, str]

    @property
    def is_temporal(self) -> bool:
        """Whether the text may speak of later steps."""
        return "F" in self.words


BOOLEAN_WORDS: Final = {word: word for word in ("and", "or", "not", "xor", "implies", "iff", "true", "false")}
BOOLEAN_SYMBOLS: Final = {
    "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not", "^": "xor",
    "->": "implies", "=>": "implies", "<->": "iff", "<=>": "iff", "(": "(", ")": ")",
}  # fmt: skip
TEMPORAL_WORDS: Final = {
    "F": "F", "eventually": "F", "G": "G", "always": "G", "X": "X", "next": "X", "WX": "WX",
    "weak_next": "WX", "U": "U", "until": "U", "R": "R", "release": "R", "W": "W", "weak_until": "W",
    "M": "M", "strong_release": "M",
}  # fmt: skip
TEMPORAL_SYMBOLS: Final = {
    "<>": "F", "[]": "G", "/\\": "and", "\\/": "or", "-->": "implies", "<-->": "iff",
    "0": "false", "1": "true",
    "[]->": "[]->", "|->": "[]->", "[]=>": "[]=>", "|=>": "[]=>", "<>->": "<>->", "<>=>": "<>=>",
}  # fmt: skip

GUARD: Final = Grammar("guard", BOOLEAN_WORDS, BOOLEAN_SYMBOLS)
FORMULA: Final = Grammar("formula", BOOLEAN_WORDS | TEMPORAL_WORDS, BOOLEAN_SYMBOLS | TEMPORAL_SYMBOLS)

PAST_WORDS: Final = frozenset(
    {
        "Y",
        "H",
        "O",
        "S",
        "P",
        "once",
        "historically",
        "since",
        "previously",
        "yesterday",
        "previous",
        "before",
    }
)

SPOKEN: Final = {
    "f": "F",
    "finally": "F",
    "g": "G",
    "globally": "G",
    "x": "X",
    "u": "U",
    "w": "W",
    "m": "M",
    "r": "R",
}
"""How an operator may be called by somebody who does not know how it is written here."""

OF_TRANSITIONS: Final = frozenset(
    {"obs", "next_obs", "action", "reward", "terminated", "truncated", "info", "label"}
)
"""What expressions read; guards and formulas read it through propositions."""

DECLARE: Final = (
    "Give the expression a name, and write the name here: propositions: {name: 'next_obs[0] > 0.5'}"
)

PREFIX: Final = frozenset({"not", "F", "G", "X", "WX"})
SERE_ARROWS: Final = frozenset({"[]->", "[]=>", "<>->", "<>=>"})
PRECEDENCE: Final = {
    "sere": 0, "iff": 1, "implies": 2, "or": 3, "xor": 4, "and": 5, "U": 6, "R": 6, "W": 6, "M": 6,
    "not": 7, "F": 7, "G": 7, "X": 7, "WX": 7,
}  # fmt: skip
RIGHT_ASSOCIATIVE: Final = frozenset({"implies", "U", "R", "W", "M"})

IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
SYMBOL: Final = re.compile(
    "|".join(re.escape(s) for s in sorted(FORMULA.symbols.keys() | {"{"}, key=len, reverse=True))
)
BOUND: Final = re.compile(r"\s*\[\s*(?:(\d+)?\s*(?:(:|\.\.|,)\s*(\d+|\$)?)?\s*(!)?)\s*\]")
QUOTED: Final = re.compile(r'"([^"\\\n]+)"')


@dataclass(frozen=True)
class Token:
    """A name, an operator, a parenthesis or a braced regular expression, with its place."""

    op: str
    text: str
    offset: int
    length: int
    low: int = 0
    high: int | None = None

    @property
    def end(self) -> int:
        """Offset just after the token."""
        return self.offset + self.length

    @property
    def shown(self) -> str:
        """The token as messages quote it: in one line, and not for ever."""
        text = " ".join(self.text.split())
        text = "{" + text + "}" if self.op == "sere" else text
        return text if len(text) <= 40 else text[:37] + "..."


def parse(text: str, grammar: Grammar, declared: Collection[str] | None = None) -> Node:
    """Parse a guard or formula.

    Args:
        text: What the user wrote.
        grammar: `GUARD` or `FORMULA`.
        declared: The propositions that exist; None accepts every name.

    Returns:
        Root: The tree.

    Raises:
        FormulaError: `formula-syntax`, `formula-too-long`, `unknown-proposition`, `reserved-name`,
            `past-operator`.

    Example:
        >>> show(parse("a and not b or F(c)", FORMULA))
        'a and not b or F c'
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            "formula-too-long",
            f"a {grammar.kind} may have {MAX_LENGTH} characters; this one has {len(text)}",
            hints=("split it: several terms, or several propositions that name its parts",),
        )
    return _Parser(text, grammar, declared).parse()


def names_in(node: Node) -> tuple[str, ...]:
    """Return the names that a tree reads, in order of first occurrence (those in braces included).

    Example:
        >>> names_in(parse("b and (a or b)", GUARD))
        ('b', 'a')
    """
    found: dict[str, None] = {}
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "name":
            found[node.text] = None
        elif node.op == "sere":
            found.update(dict.fromkeys(sere_names(node.text)))
        stack.extend(reversed(node.args))
    return tuple(found)


def sere_names(body: str) -> Iterator[str]:
    """Yield the names in the source of a regular expression, in order, with repetitions."""
    for match in re.finditer(rf"{QUOTED.pattern}|{IDENTIFIER.pattern}", body):
        if match[1] or match[0] not in SERE_WORDS:
            yield match[1] or match[0]


SERE_WORDS: Final = {
    "and": "&&", "or": "|", "not": "!", "true": "1", "false": "0", "first_match": "first_match",
}  # fmt: skip


def show(node: Node) -> str:
    """Return the canonical text: words for boolean operators, letters for temporal ones, few parentheses.

    Example:
        >>> show(parse("!(a | b) && G(c -> X d)", FORMULA))
        'not (a or b) and G (c implies X d)'
    """
    op, args = node.op, node.args
    if op == "name":
        return node.text if _reads_as_name(node.text) else f'"{node.text}"'
    if op in ("true", "false"):
        return op
    if op == "sere":
        arrow = node.suffix if node.suffix in ("", "!") else f" {node.suffix} {show(args[0])}"
        return "{" + node.text + "}" + arrow
    if op in PREFIX:
        return f"{op}{_show_bound(node)} {_show_within(args[0], 7)}"
    # Repeated or mixed arrows and untils, and xor beside or, are easily misread: they keep their parentheses.
    level = {"iff": 3, "implies": 3, "or": 5, "xor": 5, "and": 6}.get(op, 7)
    first = _show_within(args[0], 4 if op == "xor" else level)
    return f" {op} ".join((first, *(_show_within(arg, level) for arg in args[1:])))


def _show_within(node: Node, level: int) -> str:
    text = show(node)
    return f"({text})" if PRECEDENCE.get(node.op, 8) < level else text


def _show_bound(node: Node) -> str:
    if node.op == "X":
        return f"[{node.low}]" if node.low > 1 else ""
    if node.low == 0 and node.high is None:
        return ""
    return f"[{node.low}:{'' if node.high is None else node.high}]"


def _reads_as_name(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None and name not in FORMULA.words


class _Parser:
    """An operator-precedence parse of one text: a stack of finished operands, a stack of open operators."""

    def __init__(self, text: str, grammar: Grammar, declared: Collection[str] | None) -> None:
        self.text, self.grammar, self.declared = text, grammar, declared
        self.operands: list[Node] = []
        self.operators: list[Token] = []
        self.arrow_of: dict[int, str] = {}  # offset of a regular expression -> the arrow after it

    def parse(self) -> Node:
        want_operand = True
        previous: Token | None = None
        for token in self._tokens():
            if want_operand:
                want_operand = self._take_operand(token, previous)
            else:
                want_operand = self._take_operator(token, previous)
            previous = token
        if want_operand:
            self._fail_at_end(previous)
        while self.operators:
            if self.operators[-1].op == "(":
                opening = self.operators[-1]
                raise self._syntax("this parenthesis is never closed", opening.offset, 1)
            self._reduce()
        return self.operands[0]

    # -- the two things that may come next -------------------------------------------------------------

    def _take_operand(self, token: Token, previous: Token | None) -> bool:
        """Take a token where an operand begins; return whether an operand is still to come."""
        if token.op in PREFIX or token.op == "(":
            self.operators.append(token)
            return True
        if token.op in ("name", "true", "false", "sere"):
            text = "" if token.op in ("true", "false") else token.text
            self.operands.append(Node(token.op, (), text, offset=token.offset, length=token.length))
            return False
        if token.op == ")" and previous is not None and previous.op == "(":
            raise self._syntax("nothing stands between these parentheses", previous.offset, 2)
        wanted = f"after '{previous.shown}'" if previous is not None and previous.op != "(" else "here"
        raise self._syntax(
            f"expected a proposition {wanted}, not '{token.shown}'", token.offset, token.length
        )

    def _take_operator(self, token: Token, previous: Token | None) -> bool:
        """Take a token after a finished operand; return whether an operand must follow."""
        if token.op == ")":
            self._close(token)
            return False
        if self.operands[-1].op == "sere" and previous is not None and previous.op == "sere":
            if token.op in SERE_ARROWS:
                body = self.operands.pop()
                self.operators.append(Token("sere", body.text, body.offset, token.end - body.offset, high=0))
                self.arrow_of[body.offset] = token.op
                return True
            if token.op == "not":
                body = self.operands.pop()
                length = token.end - body.offset
                self.operands.append(
                    Node("sere", (), body.text, suffix="!", offset=body.offset, length=length)
                )
                return False
        if token.op in PRECEDENCE and token.op not in PREFIX and token.op != "sere":
            self._reduce_tighter(token)
            self.operators.append(token)
            return True
        self._fail_without_operator(token, previous)

    def _close(self, token: Token) -> None:
        while self.operators and self.operators[-1].op != "(":
            self._reduce()
        if not self.operators:
            raise self._syntax("this parenthesis closes nothing", token.offset, 1)
        self.operators.pop()

    def _reduce_tighter(self, token: Token) -> None:
        """Finish the open operators that bind more tightly than the one that has come."""
        level = PRECEDENCE[token.op]
        while self.operators and self.operators[-1].op != "(":
            open_level = PRECEDENCE[self.operators[-1].op]
            if open_level < level or (open_level == level and token.op in RIGHT_ASSOCIATIVE):
                return
            self._reduce()

    def _reduce(self) -> None:
        """Replace the topmost operator and its operands by one node."""
        token = self.operators.pop()
        right = self.operands.pop()
        if token.op in PREFIX:
            node = self._node(token.op, (right,), token.offset, right, low=token.low, high=token.high)
        elif token.op == "sere":
            arrow = self.arrow_of[token.offset]
            node = self._node("sere", (right,), token.offset, right, text=token.text, suffix=arrow)
        else:
            left = self.operands.pop()
            args: tuple[Node, ...] = (left, right)
            if token.op in ("and", "or"):
                args = sum((arg.args if arg.op == token.op else (arg,) for arg in args), ())
            node = self._node(token.op, args, left.offset, right)
        self.operands.append(node)

    def _node(
        self, op: str, args: tuple[Node, ...], offset: int, last: Node,
        text: str = "", suffix: str = "", low: int = 0, high: int | None = None,
    ) -> Node:  # fmt: skip
        depth = 1 + max(arg.depth for arg in args)
        if depth > MAX_DEPTH:
            raise FormulaError(
                "formula-too-long",
                f"a {self.grammar.kind} may nest {MAX_DEPTH} operators; this one nests more",
                offset,
                hints=("split it, or write repeated X as X[n]",),
            )
        length = last.offset + last.length - offset
        return Node(op, args, text, low, high, suffix, offset, length, depth)

    # -- tokens ----------------------------------------------------------------------------------------

    def _tokens(self) -> Iterator[Token]:
        text, position = self.text, 0
        while position < len(text):
            if text[position].isspace():
                position += 1
                continue
            for token in self._read_token(position):
                yield token
                position = token.end

    def _read_token(self, position: int) -> Iterator[Token]:
        text = self.text
        if match := IDENTIFIER.match(text, position):
            yield from self._read_word(match[0], position)
        elif self.grammar.is_temporal and (match := QUOTED.match(text, position)):
            yield self._name(match[1], position, len(match[0]))
        elif (match := SYMBOL.match(text, position)) and match[0] == "{" and self.grammar.is_temporal:
            yield self._read_sere(position)
        elif match and match[0] in self.grammar.symbols:
            op = self.grammar.symbols[match[0]]
            if op in ("F", "G"):
                yield self._read_bound(op, match[0], position)
            else:
                yield Token(op, match[0], position, len(match[0]))
        else:
            self._fail_on_character(position)

    def _read_word(self, word: str, position: int) -> Iterator[Token]:
        words, declared = self.grammar.words, self.declared
        if word in words:
            if declared is not None and word in declared:
                raise FormulaError(
                    "reserved-name",
                    f"'{word}' is a declared proposition and also an operator of the {self.grammar.kind}",
                    position,
                    len(word),
                    ("rename the proposition" + (f', or write "{word}" in quotes for the proposition'
                     if self.grammar.is_temporal else ""),),
                )  # fmt: skip
            op = words[word]
            if op in ("F", "G", "X", "WX"):
                yield self._read_bound(op, word, position)
            else:
                yield Token(op, word, position, len(word))
        elif self.grammar.is_temporal and _is_run(word) and (declared is None or word not in declared):
            for index, letter in enumerate(word[:-1]):
                yield Token(letter, letter, position + index, 1, low=int(letter == "X"))
            yield self._read_bound(word[-1], word[-1], position + len(word) - 1)
        else:
            yield self._name(word, position, len(word))

    def _name(self, name: str, position: int, length: int) -> Token:
        if self.declared is not None and name not in self.declared:
            self._fail_on_name(name, position, length)
        return Token("name", name, position, length)

    def _read_bound(self, op: str, word: str, position: int) -> Token:
        """Read the `[n]`, `[m:n]` or `[!]` that may follow F, G and X."""
        start = position + len(word)
        match = BOUND.match(self.text, start)
        if match is None or not any(match.groups()):
            return Token(op, word, position, len(word), low=int(op == "X"))
        low_text, colon, high_text, strong = match.groups()
        length = match.end() - position
        numbers = [int(n[:9]) for n in (low_text, high_text) if n and n != "$"]
        if any(number > MAX_BOUND for number in numbers):
            raise self._syntax(f"a bound may be at most {MAX_BOUND} steps", position, length)
        low = int(low_text or 0)
        if op == "X":
            if colon or (low_text and low == 0):
                raise self._syntax("X takes one number of steps, 1 or more, as in X[3]", position, length)
            return Token(op, word, position, length, low=low or 1)
        if op == "WX" or (strong and (op == "G" or not numbers)):
            raise self._syntax(f"{word} takes no such bound", position, length)
        high = None if not numbers or (colon and high_text in (None, "$")) else int(high_text or low)
        if high is not None and high < low:
            raise self._syntax("the bounds stand in the wrong order", position, length)
        return Token(op, word, position, length, low=low, high=high)

    def _read_sere(self, position: int) -> Token:
        """Read a braced regular expression as one token; its inside is Spot's to judge."""
        depth = 0
        for end in range(position, len(self.text)):
            depth += {"{": 1, "}": -1}.get(self.text[end], 0)
            if depth == 0:
                break
        else:
            raise self._syntax("this brace is never closed", position, 1)
        body = self.text[position + 1 : end]
        for match in re.finditer(rf"{QUOTED.pattern}|{IDENTIFIER.pattern}", body):
            name = match[1] or match[0]
            if (match[1] or name not in SERE_WORDS) and self.declared is not None:
                self._name(name, position + 1 + match.start(), len(match[0]))
        return Token("sere", body, position, end + 1 - position)

    # -- errors ----------------------------------------------------------------------------------------

    def _syntax(self, message: str, offset: int, length: int, hints: tuple[str, ...] = ()) -> FormulaError:
        return FormulaError("formula-syntax", message, offset, max(1, length), hints)

    def _fail_at_end(self, previous: Token | None) -> NoReturn:
        if previous is None:
            raise self._syntax(f"the {self.grammar.kind} is empty", 0, 1, ("write 'true' for always",))
        raise self._syntax(
            f"the {self.grammar.kind} ends after '{previous.shown}', where a proposition must follow",
            previous.offset,
            previous.length,
        )

    def _fail_without_operator(self, token: Token, previous: Token | None) -> NoReturn:
        assert previous is not None
        for suspect in (token, previous):
            if self.grammar.is_temporal and suspect.op == "name" and suspect.text in PAST_WORDS:
                self._fail_on_past(suspect.text, suspect.offset, suspect.length)
        hints: tuple[str, ...] = ()
        if not self.grammar.is_temporal and previous.text in TEMPORAL_WORDS:
            hints = (f"a guard speaks of one step; the operator '{previous.shown}' belongs in an 'ltl' term",)
        raise self._syntax(
            f"expected an operator such as 'and' between '{previous.shown}' and '{token.shown}'",
            token.offset,
            token.length,
            hints,
        )

    def _fail_on_past(self, word: str, position: int, length: int) -> NoReturn:
        raise FormulaError(
            "past-operator",
            f"'{word}' is a past operator; formulas look forwards only",
            position,
            length,
            ("say it with U, W or M: 'no a before b' is 'not a W b'",),
        )

    def _fail_on_name(self, name: str, position: int, length: int) -> NoReturn:
        assert self.declared is not None
        if self.grammar.is_temporal and name in PAST_WORDS:
            self._fail_on_past(name, position, length)
        hint = f"declared here: {list_names(self.declared)}."
        run = re.match(r"[FGX]+", name)
        if self.grammar.is_temporal and (operator := SPOKEN.get(name.lower())):
            hint += f" The operator is written '{operator}'."
        elif self.grammar.is_temporal and run and name[run.end() :] in self.declared:
            hint += f" Did you mean '{' '.join(run[0])} {name[run.end() :]}'?"
        else:
            hint += near_miss(name, self.declared)
        hints: tuple[str, ...] = (hint,)
        if name in OF_TRANSITIONS:  # `when: next_obs[0] > 0.5`
            hints = (f"A {self.grammar.kind} combines propositions. {DECLARE}", hint)
        raise FormulaError("unknown-proposition", f"unknown proposition '{name}'", position, length, hints)

    def _fail_on_character(self, position: int) -> NoReturn:
        character = self.text[position]
        hints: tuple[str, ...] = ()
        if character.isdigit() or character in "<>=.+*/%":
            hints = (
                f"a {self.grammar.kind} combines propositions; "
                "numbers and comparisons belong in 'propositions:', under a name",
            )
        elif character in "'\"":
            hints = ("propositions are written without quotes",)
        elif character in "[]{}":
            hints = ("use round parentheses",)
        raise self._syntax(f"unexpected character {character!r}", position, 1, hints)


def _is_run(word: str) -> bool:
    """Whether a word is prefix operators written together, as in `GF a`."""
    return len(word) > 1 and set(word) <= set("FGX")
