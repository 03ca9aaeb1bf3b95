"""Expression text to IR: Python's expression grammar, read by `ast.parse` and walked over a whitelist.

Nothing is evaluated. What is not on the whitelist is an error with its offset. `!`, `&&` and `||` are not Python;
truth values are joined in words (`and`, `or`, `not`), and `&`, `|`, `~` mean the same on truth values.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Literal

from rewardspec.errors import FormulaError, Place, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.functions import CALLS, FUNCTION_NAMES, SHAPES
from rewardspec.ir.said_elsewhere import FUNCTIONS as SAID_FUNCTIONS
from rewardspec.ir.said_elsewhere import NAMES as SAID_NAMES
from rewardspec.ir.said_elsewhere import is_module, member_hint, method_hint
from rewardspec.ir.syntax_errors import MAX_DEPTH, SPLIT_HINT, check_brackets, explain_syntax
from rewardspec.spec.scalars import short

MAX_CHARACTERS = 10_000
MAX_HEIGHT = 150
"""Levels of the expression with all names written out."""

MAX_NODES = 4_000
MAX_VECTOR = 1_000

ROOTS: dict[str, str] = {
    "obs": "the observation before the step",
    "next_obs": "the observation after the step",
    "action": "the action taken",
    "reward": "the environment's own reward",
    "terminated": "the environment's own flag",
    "truncated": "the environment's own flag",
    "info": "the info of the step",
    "label": "what the labelling function says",
}
"""What an expression may read of the transition -> what that is."""

AGENTS: dict[str, str] = {
    "agents": "another agent by its name, or the agents that a pattern fits",
    "team": "the agents of one's own team, oneself included",
    "teammates": "the agents of one's own team, without oneself",
    "others": "all agents but oneself",
    "opponents": "the agents of other teams",
}
"""Whose part of the transition an expression may read, where several agents act -> who that is."""

OF_AGENTS = (*ROOTS, "present")
"""What an expression may read of other agents."""

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}

_REFUSED: dict[type[ast.operator], str] = {
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.MatMult: "@",
}
_WHOLE = ("reward", "terminated", "truncated")
"""Roots that are single values."""

_CONSTANTS = {"pi": math.pi, "true": True, "false": False}

NOWHERE = Place()


def parse_expression(
    text: str, names: Mapping[str, Expr], place: Place = NOWHERE, *, roots: tuple[str, ...] = tuple(ROOTS)
) -> Expr:
    """Return the IR of an expression.

    Args:
        text: The expression, such as `-0.01 * abs(action)` or `next_obs[0] > 2 and not broken`.
        names: What the declared names (signals, propositions, counters) stand for.
        place: Where the text starts, for the errors that only the environment's spaces can reveal.
        roots: Which parts of the transition may be read here.

    Returns:
        The expression, with the names replaced by what they stand for.

    Raises:
        FormulaError: With the offset of what is wrong.

    Example:
        >>> parse_expression("2 * reward", {})
        Binary(op='mul', a=Const(value=2.0), b=Field(root='reward', path=(), default=None))
    """
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(
            "expression-too-large",
            f"the expression has {len(text)} characters; the limit is {MAX_CHARACTERS}",
        )
    # A block scalar may hold line breaks; inside parentheses they mean nothing.
    flat = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
    stripped = flat.lstrip(" ")
    indent = len(flat) - len(stripped)
    if not stripped.strip():
        raise FormulaError("expression-syntax", "the expression is empty")
    check_brackets(stripped, indent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has opinions on `1if x`, `x is 3` and `'\d'`; so have we
            tree = ast.parse(stripped, mode="eval")
    except SyntaxError as error:
        raise FormulaError("expression-syntax", *explain_syntax(stripped, error, indent)) from None
    except ValueError:  # a NUL, or half of a surrogate pair
        raise FormulaError("expression-syntax", "the expression holds a character that is none") from None
    except (MemoryError, RecursionError):  # the parser's own limits
        raise FormulaError(
            "expression-too-large", "the expression is nested too deeply", hints=(SPLIT_HINT,)
        ) from None
    reader = _Reader(stripped, indent, names, place, roots)
    found = reader.read(tree.body, 0)
    if height_exceeds(found, MAX_HEIGHT):
        raise FormulaError(
            "expression-too-large",
            f"the expression is nested more than {MAX_HEIGHT} levels deep, with the names in it written out",
            length=len(text),
            hints=(SPLIT_HINT,),
        )
    return found


def height_exceeds(expr: Expr, limit: int) -> bool:
    """Return whether an expression has more than `limit` levels; what reads it recurses."""
    level: tuple[Expr, ...] = (expr,)
    for _ in range(limit):
        # By identity, as nodes are shared; of equal nodes at one level one is enough.
        level = tuple({id(child): child for node in level for child in ir.children(node)}.values())
        if not level:
            return False
    return True


def size_exceeds(exprs: Iterable[Expr], limit: int) -> bool:
    """Return whether expressions have more than `limit` nodes in all, shared ones counted each time."""
    return (
        next(itertools.islice(itertools.chain.from_iterable(map(ir.walk, exprs)), limit, None), None)
        is not None
    )


_KEY_WITH_DASH = re.compile(r"\b((?:next_obs|obs|info|label|action)(?:\.\w+)*)\.([\w-]+)-$")
"""The end of a text in front of which a key was cut in two: `info.my-` and then `key`."""


class _Reader:
    """Walks one syntax tree; counts nodes and depth so that no input can make the IR large."""

    def __init__(
        self, text: str, indent: int, names: Mapping[str, Expr], place: Place, roots: tuple[str, ...]
    ) -> None:
        self.text, self.indent, self.names, self.place, self.roots = text, indent, names, place, roots
        self.nodes = 0

    def fail(self, node: ast.expr, code: str, message: str, *hints: str) -> FormulaError:
        start = self.offset(node)
        return FormulaError(code, message, start, len(self.source(node)), hints)

    def source(self, node: ast.expr) -> str:
        """Return the text of a node."""
        start = self.offset(node) - self.indent
        stop = self._characters(node.end_col_offset) if node.end_col_offset is not None else start + 1
        return self.text[start : max(stop, start + 1)]

    def _characters(self, utf8_offset: int) -> int:
        """Return the character offset for ast's offset in UTF-8 bytes."""
        if self.text.isascii():
            return utf8_offset
        return len(self.text.encode()[:utf8_offset].decode(errors="ignore"))

    def offset(self, node: ast.expr) -> int:
        return self._characters(node.col_offset) + self.indent

    def here(self, node: ast.expr) -> Place:
        start = self.offset(node)
        end = self._characters(node.end_col_offset or 0) + self.indent
        return self.place.within(start, max(1, end - start))

    def read(self, node: ast.expr, level: int) -> Expr:
        self.nodes += 1
        if level > MAX_DEPTH:
            raise FormulaError(
                "expression-too-large",
                f"the expression is nested more than {MAX_DEPTH} levels deep",
                self.offset(node),
                hints=(SPLIT_HINT,),
            )
        if self.nodes > MAX_NODES:
            raise self.too_large()
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name():
                return self.name(node)
            case ast.Attribute() | ast.Subscript():
                return self.subscript(node, level)
            case ast.List() | ast.Tuple():
                return self.vector(node, level)
            case ast.UnaryOp():
                return self.unary(node, level)
            case ast.BinOp():
                return self.binary(node, level)
            case ast.BoolOp():
                op: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
                return ir.Logic(op, tuple(self.truth(value, level + 1) for value in node.values))
            case ast.Compare():
                return self.compare(node, level)
            case ast.IfExp():
                return ir.Where(
                    self.truth(node.test, level + 1),
                    self.read(node.body, level + 1),
                    self.read(node.orelse, level + 1),
                )
            case ast.Call():
                return self.call(node, level)
        raise self.fail(
            node,
            "expression-syntax",
            f"{_describe(node)} is not allowed in an expression",
            "Expressions are numbers, names, arithmetic, comparisons, and/or/not, subscripts and the named functions.",
        )

    def too_large(self) -> FormulaError:
        return FormulaError(
            "expression-too-large",
            f"the expression has more than {MAX_NODES} parts, with the names in it written out",
            self.indent,
            len(self.text),
            (SPLIT_HINT,),
        )

    def constant(self, node: ast.Constant) -> Expr:
        value = node.value
        if isinstance(value, bool):
            return ir.Const(value)
        if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
            return ir.Const(float(value))
        if isinstance(value, str):
            raise self.fail(
                node,
                "expression-syntax",
                "text has no value in an expression",
                "Only keys may be text: info['key']. What a text says is told by a labelling function, "
                "wrap(env, spec, label=fn).",
            )
        raise self.fail(
            node, "expression-syntax", f"'{short(self.source(node))}' is not a finite real number"
        )

    def name(self, node: ast.Name) -> Expr:
        name = node.id
        if name in self.names:
            found = self.names[name]
            self.nodes += sum(1 for _ in ir.walk(found)) - 1
            return found
        if name in ROOTS:
            if name not in self.roots:
                raise self.fail(
                    node,
                    "field-not-allowed",
                    f"'{name}' cannot be read here",
                    f"Here an expression may read: {list_names(self.roots)}.",
                )
            if name in ("info", "label"):
                message = f"'{name}' is a mapping, and an expression needs one of its values"
                raise self.fail(node, "expression-syntax", message, f"Read it by its key, as in {name}.key.")
            return ir.Field(name, (), place=self.here(node))  # type: ignore[arg-type]
        if name in AGENTS:
            raise self.fail(
                node,
                "expression-syntax",
                f"'{name}' are agents, and an expression needs what they see, do or get",
                "For example agents.NAME.reward; a name that is no single word stands so: agents['NAME-1'].reward."
                if name == "agents"
                else f"For example {name}.reward.",
            )
        if name in _CONSTANTS:
            value = _CONSTANTS[name]
            return ir.Const(value)
        if name in FUNCTION_NAMES:
            raise self.fail(node, "expression-syntax", f"'{name}' is a function", f"Write {name}(...).")
        declared = (
            f"declared here: {list_names(self.names)}." if self.names else "no names are declared here."
        )
        meant = SAID_NAMES.get(name)
        parted = _KEY_WITH_DASH.search(self.text[: self.offset(node) - self.indent])
        if parted:
            key = f"{parted[2]}-{name}"
            meant = f"If '{short(key)}' is one key, it stands in quotes: {parted[1]}['{short(key)}']."
        near = "" if meant else near_miss(name, [*self.names, *self.roots, *AGENTS])
        hints = (
            declared + near,
            f"A transition has: {list_names(self.roots)}.",
            *((meant,) if meant else ()),
        )
        raise self.fail(node, "unknown-name", f"unknown name '{short(name)}'", *hints)

    def subscript(self, node: ast.Attribute | ast.Subscript, level: int) -> Expr:
        who = self.agents(node.value)
        if who is not None:
            return self.of_agents(node, who)
        if isinstance(node, ast.Attribute):
            step: ir.Step = node.attr
        else:
            step = self.items(node.slice)
        base = self.base(node.value, level + 1)
        if isinstance(base, ir.Field):
            if base.root in (*_WHOLE, "present") or (base.root == "label" and base.path):
                raise self.fail(
                    node, "no-such-key", f"'{self.source(node.value)}' is a single value, without parts"
                )
            return ir.Field(base.root, (*base.path, step), place=self.here(node), who=base.who)
        if isinstance(step, str):
            message = f"'{short(self.source(node.value))}' has no keys"
            raise self.fail(node, "no-such-key", message, "Keys have: obs, next_obs, action, info and label.")
        return ir.Index(base, step, self.here(node))

    def base(self, node: ast.expr, level: int) -> Expr:
        """Read what a key or subscript follows; only here may `info` and `label` stand by themselves."""
        if isinstance(node, ast.Name) and node.id in ("info", "label") and node.id in self.roots:
            self.nodes += 1
            return ir.Field(node.id, (), place=self.here(node))  # type: ignore[arg-type]
        if isinstance(node, ast.Attribute) and node.attr in ("info", "label"):
            who = self.agents(node.value)
            if who is not None:
                self.nodes += 1
                return ir.Field(node.attr, (), place=self.here(node), who=who)  # type: ignore[arg-type]
        return self.read(node, level)

    def agents(self, node: ast.expr) -> ir.Agents | None:
        """Return whose part of the transition follows (`team`, `others`, `agents.NAME`); None for one's own."""
        if isinstance(node, ast.Name) and node.id in AGENTS and node.id not in self.names:
            if node.id == "agents":
                return None
            word = {"teammates": "team"}.get(node.id, node.id)
            return ir.Agents(word, but_me=node.id in ("teammates", "others"))  # type: ignore[arg-type]
        if (
            isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id == "agents"
            and "agents" not in self.names
        ):
            if isinstance(node, ast.Attribute):
                return ir.Agents("agents", node.attr)
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                return ir.Agents("agents", node.slice.value)
            raise self.fail(
                node,
                "expression-syntax",
                "agents are read by name or pattern",
                "As in agents['adversary_*'].",
            )
        return None

    def of_agents(self, node: ast.Attribute | ast.Subscript, who: ir.Agents) -> Expr:
        """Read what follows the name of agents: `team.reward`, `agents.pilot.obs`."""
        self.nodes += 1
        root = node.attr if isinstance(node, ast.Attribute) else ""
        if root not in OF_AGENTS:
            raise self.fail(
                node,
                "unknown-name",
                f"'{short(self.source(node))}' is nothing that is known of an agent",
                f"Of agents can be read: {list_names(OF_AGENTS)}.{near_miss(root, OF_AGENTS)}",
            )
        if root in ("info", "label"):
            message = f"'{short(self.source(node))}' is a mapping, and an expression needs one of its values"
            raise self.fail(
                node, "expression-syntax", message, f"Read it by its key, as in {self.source(node)}.key."
            )
        return ir.Field(root, (), place=self.here(node), who=who)  # type: ignore[arg-type]

    def items(self, node: ast.expr) -> ir.Step:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        nodes = node.elts if isinstance(node, ast.Tuple) else [node]
        return tuple(self.item(item) for item in nodes)

    def item(self, node: ast.expr) -> ir.Item:
        if isinstance(node, ast.Slice):
            if isinstance(node.step, ast.Constant) and node.step.value == 0:
                raise self.fail(node.step, "expression-syntax", "the step of a slice cannot be 0")
            return ir.Span(
                *(
                    None if part is None else self.integer(part)
                    for part in (node.lower, node.upper, node.step)
                )
            )
        return self.integer(node)

    def integer(self, node: ast.expr) -> int:
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            sign, node = -1, node.operand
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 2**31:
            return sign * node.value
        raise self.fail(
            node, "expression-syntax", "a subscript must be a whole number, a slice or a quoted key"
        )

    def vector(self, node: ast.List | ast.Tuple, level: int) -> Expr:
        if not node.elts:
            raise self.fail(node, "expression-syntax", "a list of numbers cannot be empty")
        if len(node.elts) > MAX_VECTOR:
            raise self.fail(node, "expression-too-large", f"a list holds at most {MAX_VECTOR} numbers")
        return ir.Vector(tuple(self.read(item, level + 1) for item in node.elts))

    def unary(self, node: ast.UnaryOp, level: int) -> Expr:
        if isinstance(node.op, ast.Not | ast.Invert):
            return ir.Unary("not", self.truth(node.operand, level + 1))
        operand = self.read(node.operand, level + 1)
        if isinstance(node.op, ast.UAdd):
            return operand
        if isinstance(operand, ir.Const) and not isinstance(operand.value, bool):
            return ir.Const(-operand.value)
        return ir.Unary("neg", operand)

    def binary(self, node: ast.BinOp, level: int) -> Expr:
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            op: Literal["and", "or"] = "and" if isinstance(node.op, ast.BitAnd) else "or"
            return ir.Logic(op, (self.truth(node.left, level + 1), self.truth(node.right, level + 1)))
        name = _BINARY.get(type(node.op))
        if name is None:
            hint = (
                "Write ** for a power."
                if isinstance(node.op, ast.BitXor)
                else "The operators are + - * / // % **."
            )
            message = f"'{_REFUSED.get(type(node.op), 'this')}' is not an operator of expressions"
            raise self.fail(node, "expression-syntax", message, hint)
        a, b = self.read(node.left, level + 1), self.read(node.right, level + 1)
        return ir.Binary(name, a, b, self.here(node))  # type: ignore[arg-type]

    def compare(self, node: ast.Compare, level: int) -> Expr:
        operands = [self.read(value, level + 1) for value in (node.left, *node.comparators)]
        parts: list[Expr] = []
        for op, a, b in zip(node.ops, operands, operands[1:], strict=False):
            name = _COMPARE.get(type(op))
            if name is None:
                last, hint = node.comparators[-1], "Compare with ==."
                if isinstance(op, ast.In) and isinstance(last, ast.List | ast.Tuple):
                    hint = member_hint(self.source(node.left), [self.source(item) for item in last.elts])
                message = "'in' and 'is' are not allowed in an expression"
                raise self.fail(node, "expression-syntax", message, hint)
            parts.append(ir.Compare(name, a, b, self.here(node)))  # type: ignore[arg-type]
        return ir.conjunction(tuple(parts))

    def truth(self, node: ast.expr, level: int) -> Expr:
        """Read an operand of and/or/not: a truth value, or a field, which counts as true when it is not 0."""
        value = self.read(node, level)
        if ir.is_boolean(value):
            return value
        if isinstance(value, ir.Field):
            return ir.Compare("ne", value, ir.ZERO, self.here(node))
        raise self.fail(
            node,
            "expected-truth-value",
            "a number stands where a truth value is needed",
            "Compare it, as in (x > 0).",
        )

    def method_hint(self, node: ast.Call) -> str:
        """Return what to write for a call of a method, or of a module's function."""
        func, given = node.func, [self.source(arg) for arg in node.args]
        if not isinstance(func, ast.Attribute):
            return f"They are: {list_names(FUNCTION_NAMES, 40)}."
        on = self.source(func.value)
        if hint := method_hint(func, given, on):
            return hint
        if not is_module(func.value):  # x.clip(0, 1); np.abs(x) names a module
            given.insert(0, on)
        if func.attr in FUNCTION_NAMES:
            return f"Write {func.attr}({short(', '.join(given))})."
        return f"They are: {list_names(FUNCTION_NAMES, 40)}.{_meant(func.attr)}"

    def call(self, node: ast.Call, level: int) -> Expr:
        if not isinstance(node.func, ast.Name):
            raise self.fail(
                node, "unknown-function", "only the named functions can be called", self.method_hint(node)
            )
        name = node.func.id
        builder = CALLS.get(name)
        if builder is None:
            raise self.fail(
                node.func,
                "unknown-function",
                f"unknown function '{short(name)}'",
                f"They are: {list_names(FUNCTION_NAMES, 40)}.{_meant(name)}",
            )
        low, high, build = builder
        if any(isinstance(arg, ast.Starred) for arg in node.args) or any(
            k.arg is None for k in node.keywords
        ):
            raise self.fail(node, "wrong-arguments", "arguments cannot be unpacked with '*'")
        if node.keywords and name != "tolerance":
            raise self.fail(
                node, "wrong-arguments", f"{name} takes no named arguments", f"Write {SHAPES[name]}."
            )
        if not low <= len(node.args) <= high:
            count = str(low) if low == high else f"{low} or more" if high > 99 else f"{low} to {high}"
            plural = "" if count == "1" else "s"
            message = f"{name} takes {count} argument{plural}, not {len(node.args)}"
            raise self.fail(node, "wrong-arguments", message, f"Write {SHAPES[name]}.")
        truths = ("where",)
        args = [
            self.truth(arg, level + 1) if name in truths and i == 0 else self.read(arg, level + 1)
            for i, arg in enumerate(node.args)
        ]
        found = build(self, node, args)
        if size_exceeds(
            [found], MAX_NODES
        ):  # norm, distance and tolerance write their argument out several times
            raise self.too_large()
        return found


def _meant(name: str) -> str:
    """Return what is meant by a function that is unknown, with a space before it."""
    return f" {SAID_FUNCTIONS[name]}" if name in SAID_FUNCTIONS else near_miss(name, FUNCTION_NAMES)


def _describe(node: ast.expr) -> str:
    names = {
        ast.Lambda: "a lambda",
        ast.Starred: "a star",
        ast.Dict: "a mapping",
        ast.Set: "a set",
        ast.ListComp: "a comprehension",
        ast.GeneratorExp: "a comprehension",
        ast.SetComp: "a comprehension",
        ast.DictComp: "a comprehension",
        ast.JoinedStr: "an f-string",
        ast.NamedExpr: "an assignment",
        ast.Await: "await",
        ast.Yield: "yield",
        ast.Call: "the result of a call",
        ast.Slice: "a slice",
    }
    return names.get(type(node), "this")
