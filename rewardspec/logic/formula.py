"""LTL and LTLf formulas: read, printed, and handed to Spot where Spot is needed.

Finite-trace formulas are compiled without Spot (`finite`); omega-automata and questions about languages of
infinite words need it (`infinite`, `questions`), and it is imported at their first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from rewardspec.errors import FormulaError, missing_extra
from rewardspec.logic.syntax import FORMULA, IDENTIFIER, QUOTED, SERE_WORDS, Node, names_in, parse, show

Semantics = Literal["finite", "infinite"]


@dataclass(frozen=True)
class Formula:
    """A parsed temporal formula.

    Attributes:
        text: What the user wrote.
        root: The tree.
        semantics: `finite` (LTLf) or `infinite` (LTL).
        propositions: The names that it reads, in order of first occurrence.
    """

    text: str
    root: Node
    semantics: Semantics
    propositions: tuple[str, ...]

    def __str__(self) -> str:
        return show(self.root)


def parse_formula(
    text: str, declared: Collection[str] | None = None, semantics: Semantics = "finite"
) -> Formula:
    """Parse an LTL or LTLf formula.

    Operators: those of guards, and `F`/`eventually`/`<>`, `G`/`always`/`[]`, `X`/`next`, `WX`/`weak_next`,
    `U`/`until`, `R`/`release`, `W`/`weak_until`, `M`/`strong_release`; `X[n]`, `F[m:n]`, `G[m:n]`. Prefix
    operators may be written together where no such name is declared: `GF a`. On finite traces `X` is the
    strong next (there is a next step, and ...) and `WX` the weak one; on infinite words they are the same.
    With infinite semantics PSL's regular expressions are accepted: `{a; b[*]; c}[]-> d`, also `<>->`,
    `[]=>`, `<>=>`, `{r}` and `{r}!`; inside the braces Spot's grammar holds.

    Args:
        text: The formula.
        declared: The propositions that exist; None accepts every name.
        semantics: `finite` or `infinite`.

    Raises:
        FormulaError: `formula-syntax`, `formula-too-long`, `unknown-proposition`, `reserved-name`,
            `past-operator`, `regular-expression-finite`.
        MissingExtraError: It has a regular expression and Spot is not installed.

    Example:
        >>> parse_formula("F(coffee & X F office) & G !broken").propositions
        ('coffee', 'office', 'broken')
    """
    root = parse(text, FORMULA, declared)
    stack = [root]
    while stack:
        node = stack.pop()
        if node.op == "sere":
            if semantics == "finite":
                raise FormulaError(
                    "regular-expression-finite",
                    "regular expressions in braces are accepted with 'semantics: infinite' only",
                    node.offset,
                    node.length,
                    ("say it with X and U, or with a reward_machine: '{a; b}[]-> c' is 'a -> X(b -> c)'",),
                )
            check_regular_expression(node)
        stack.extend(node.args)
    return Formula(text, root, semantics, names_in(root))


def load_spot() -> Any:
    """Import Spot, at first use.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("spot")
    except ImportError:
        raise missing_extra("spottl", "ltl", "an LTL formula on infinite words") from None


def to_spot(root: Node) -> Any:
    """Return the tree as a Spot formula on infinite words; every name is quoted, so none is an operator."""
    return load_spot().formula(spot_text(root))


def spot_text(node: Node) -> str:
    """Return the tree in Spot's syntax, fully parenthesised, names quoted.

    Example:
        >>> from rewardspec.logic.syntax import parse
        >>> spot_text(parse("G(Xa implies F[1:2] b)", FORMULA))
        'G(("Xa")->(F[1:2]("b")))'
    """
    if node.op == "name":
        return f'"{node.text}"'
    if node.op in ("true", "false"):
        return "1" if node.op == "true" else "0"
    args = [f"({spot_text(arg)})" for arg in node.args]
    if node.op == "sere":
        return "{" + spot_sere(node.text)[0] + "}" + node.suffix + "".join(args)
    if node.op in SPOT_BINARY:
        return SPOT_BINARY[node.op].join(args)
    bound = ""
    if node.op == "X" and node.low > 1:
        bound = f"[{node.low}]"
    elif node.op in ("F", "G") and (node.low or node.high is not None):
        bound = f"[{node.low}:{'' if node.high is None else node.high}]"
    return SPOT_PREFIX[node.op] + bound + args[0]


SPOT_BINARY = {
    "and": "&", "or": "|", "xor": " xor ", "implies": "->", "iff": "<->", "U": "U", "R": "R", "W": "W",
    "M": "M",
}  # fmt: skip
SPOT_PREFIX = {"not": "!", "F": "F", "G": "G", "X": "X", "WX": "X"}


def spot_sere(body: str) -> tuple[str, list[int]]:
    """Return a regular expression in Spot's syntax, and for each of its characters the place in `body`."""
    text: list[str] = []
    origin: list[int] = []
    position = 0
    while position < len(body):
        match = QUOTED.match(body, position) or IDENTIFIER.match(body, position)
        piece = body[position]
        if match:
            name = match[1] if match.re is QUOTED else match[0]
            is_word = match.re is IDENTIFIER and name in SERE_WORDS
            piece = SERE_WORDS[name] if is_word else f'"{name}"'
        if piece.isspace():
            piece = " "  # Spot's error report has one line for the text
        text.extend(piece)
        origin.extend([position] * len(piece))
        position = match.end() if match else position + 1
    return "".join(text), origin


def check_regular_expression(node: Node) -> None:
    """Raise `formula-syntax` when Spot cannot read what stands between the braces."""
    text, origin = spot_sere(node.text)
    try:
        load_spot().formula("{" + text + "}")
        return
    except SyntaxError as error:
        # Spot repeats the text after '>>> ', points with a caret below it, and gives the reason in line 3.
        report = str(error).strip("\n").splitlines()
    column = report[1].index("^") - len(">>> {")
    at = min(max(0, column), len(origin) - 1)
    reason = report[2].removeprefix("syntax error, ").removesuffix(" or end of formula")
    raise FormulaError(
        "formula-syntax",
        f"in this regular expression: {reason}",
        node.offset + 1 + (origin[at] if origin else 0),
        1,
        ("';' is 'then', '[*]' repeats, '|' is or, '&&' is and; for example {a; b[*]; c}",),
    )
