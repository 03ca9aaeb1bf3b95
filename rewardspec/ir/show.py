"""Expressions as text that a person can read.

What came from text is shown as text that reads back to the same expression, with no more parentheses than it
needs. What only the compiler makes is shown beside it in the same manner:

- `x'` is the value of a machine or a memory after the step, `x` the one before it;
- `door' == open`, `door' in {open, won}` and `{shut: 0, open: 0.5}[door']` read a machine's state;
- `door.pays` is what the edge taken pays, `door.output in {2, 3}` tells which edges may have been taken;
- `step.terminated`, `step.truncated` and `step.last` say that the episode is over after this step, by the
  environment's word or the program's.
"""

from __future__ import annotations

import json
import keyword
import math
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import payment
from rewardspec.ir.passes import simplify
from rewardspec.ir.program import Machine
from rewardspec.ir.tolerance import SIGMOIDS, tolerance

MAX_NODES = 4_000
"""Nodes of one expression that are shown; the rest is elided. No more can be written in one piece."""

MAX_LEVEL = 200
"""Levels of one expression that are shown; deeper ones are elided."""

MAX_ENTRIES = 12
"""States that a set or a table names before it counts the rest."""

MAX_NAME = 60
"""Characters of a state's name that are shown."""

ELIDED = "..."

_PLAIN = frozenset(string.ascii_letters + string.digits + "_.|")

# Python's precedence, loosest first. An operand that binds looser than its position asks gets parentheses.
_OR, _AND, _NOT, _COMPARE, _ADD, _MUL, _NEG, _POW, _ATOM = range(9)
_BINARY: dict[str, tuple[str, int]] = {
    "add": ("+", _ADD),
    "sub": ("-", _ADD),
    "mul": ("*", _MUL),
    "div": ("/", _MUL),
    "floordiv": ("//", _MUL),
    "mod": ("%", _MUL),
    "pow": ("**", _POW),
}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def show_number(value: float | bool) -> str:
    """Return a number as short as it can be read back.

    Example:
        >>> show_number(2.0), show_number(-0.01), show_number(True), show_number(float("inf"))
        ('2', '-0.01', 'true', 'inf')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value == math.pi:
        return "pi"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return "-0" if value == 0 and math.copysign(1.0, value) < 0 else str(int(value))
    return repr(float(value))


def show_name(name: str, limit: int = MAX_NAME) -> str:
    """Return a state's name on one printable line, the middle left out when it is long.

    Example:
        >>> show_name("want coffee"), show_name("a" * 30 + "b" * 70, limit=11)
        ('want coffee', 'aaaa...bbbb')
    """
    name = "".join(c if c.isprintable() else "?" for c in name)
    if len(name) <= limit:
        return name
    kept = limit - len(ELIDED)
    return name[: kept - kept // 2] + ELIDED + name[len(name) - kept // 2 :]


def show_expr(expr: Expr, machines: Iterable[Machine] = ()) -> str:
    """Return an expression as text.

    `parse_expression`, given the names of the propositions, reads the text of an expression that came from
    text back to the same expression. What lies beyond `MAX_NODES` or `MAX_LEVEL` is shown as `...`.

    Args:
        expr: The expression.
        machines: The program's machines, for the names of their states.

    Example:
        >>> show_expr(ir.Binary("mul", ir.Const(-0.01), ir.Call("abs", (ir.Field("action"),))))
        '-0.01 * abs(action)'
        >>> show_expr(ir.Field("next_obs", ("image", (ir.Span(), ir.Span(), 0))))
        'next_obs.image[:, :, 0]'
        >>> door = Machine("door", (), ("shut", "open"), 0, ((), ()), (ir.ZERO,))
        >>> show_expr(ir.StateTable("door", (False, True)), [door])
        "door' == open"
    """
    return _printer(machines).show(expr)


def _printer(machines: Iterable[Machine]) -> _Printer:
    named = {machine.name: machine for machine in machines}
    pays: list[tuple[Expr, str]] = []
    for name, machine in named.items():
        paid = payment(machine)
        if paid != ir.ZERO:
            pays += [(paid, f"{name}.pays"), (ir.rewrite(paid, simplify), f"{name}.pays")]
    return _Printer(named, pays)


@dataclass
class _Printer:
    """Prints one expression; counts nodes so that no expression gives a text without bounds."""

    machines: Mapping[str, Machine]
    pays: Sequence[tuple[Expr, str]]
    nodes: int = 0
    level: int = 0

    def show(self, expr: Expr, least: int = _OR) -> str:
        """Return the text of an operand, in parentheses where its operator binds looser than `least`."""
        self.nodes += 1
        if self.nodes > MAX_NODES or self.level > MAX_LEVEL:
            return ELIDED
        self.level += 1
        text, binds = self.render(expr)
        self.level -= 1
        return text if binds >= least else f"({text})"

    def list(self, exprs: Iterable[Expr]) -> str:
        return ", ".join(self.show(expr) for expr in exprs)

    def render(self, expr: Expr) -> tuple[str, int]:
        """Return the text of a node and how tightly it binds."""
        if isinstance(expr, ir.OutputTable | ir.Combine | ir.Where):
            for paid, name in self.pays:  # not a dict: hashing visits every path of a shared tree
                if expr == paid:
                    return name, _ATOM
        match expr:
            case ir.Const(value):
                text = show_number(value)
                return text, _NEG if text.startswith("-") else _ATOM
            case ir.Vector(items):
                return f"[{self.list(items)}]", _ATOM
            case ir.Field():
                return show_field(expr), _ATOM
            case ir.Param(name) | ir.Holds(name):
                return name, _ATOM
            case ir.Memory(fold, after):
                return fold + "'" * after, _ATOM
            case ir.Gain(name):
                return f"gain({name})", _ATOM
            case ir.StateTable() | ir.OutputTable():
                return self.table(expr)
            case ir.Ended(how):
                return f"step.{how}", _ATOM
            case ir.Unary("not", x):
                return f"not {self.show(x, _NOT)}", _NOT
            case ir.Unary(_, x):
                # A minus before a number is read as part of the number.
                return f"-({self.show(x)})" if isinstance(x, ir.Const) else f"-{self.show(x, _POW)}", _NEG
            case ir.Binary():
                return self.binary(expr)
            case ir.Compare(op, a, b):
                return f"{self.show(a, _ADD)} {_COMPARISONS[op]} {self.show(b, _ADD)}", _COMPARE
            case ir.Logic(op, args):
                return self.logic(op, args)
            case ir.Where(condition, a, b):
                return self.tolerance(expr) or f"where({self.list((condition, a, b))})", _ATOM
            case ir.Combine():
                return self.combine(expr)
            case ir.Reduce(op, x, axis):
                return f"{'batch.' * (axis == 'B')}{op}({self.show(x)})", _ATOM
            case ir.Call(name, args):
                return self.norm(expr) or f"{name}({self.list(args)})", _ATOM
            case ir.Index(x, items):
                base = f"({self.show(x)})" if isinstance(x, ir.Const) else self.show(x, _ATOM)
                return base + show_items(items), _ATOM

    def binary(self, expr: ir.Binary) -> tuple[str, int]:
        symbol, binds = _BINARY[expr.op]
        if expr.op == "pow":  # groups from the right, and its exponent may carry a sign
            return f"{self.show(expr.a, _ATOM)} ** {self.show(expr.b, _NEG)}", binds
        return f"{self.show(expr.a, binds)} {symbol} {self.show(expr.b, binds + 1)}", binds

    def logic(self, op: str, args: tuple[Expr, ...]) -> tuple[str, int]:
        if not args:
            return show_number(op == "and"), _ATOM
        binds = _AND if op == "and" else _OR
        return f" {op} ".join(self.show(arg, binds + 1) for arg in args), binds

    def combine(self, expr: ir.Combine) -> tuple[str, int]:
        if expr.op == "sum":
            return " + ".join(self.show(arg, _MUL) for arg in expr.args) or "0", _ADD
        if expr.op == "product":
            return " * ".join(self.show(arg, _NEG) for arg in expr.args) or "1", _MUL
        match expr:
            case ir.Combine("min", (ir.Combine("max", (x, low)), high)):
                return f"clip({self.list((x, low, high))})", _ATOM
        return f"{expr.op}({self.list(expr.args)})", _ATOM

    def norm(self, expr: ir.Call) -> str | None:
        match expr:
            case ir.Call("sqrt", (ir.Reduce("sum", ir.Binary("mul", x, again), "value"),)) if x == again:
                if isinstance(x, ir.Binary) and x.op == "sub":
                    return f"distance({self.list((x.a, x.b))})"
                return f"norm({self.show(x)})"
        return None

    def tolerance(self, expr: ir.Where) -> str | None:
        """Return `tolerance(...)` where the expression is one with the usual value at the margin."""
        found = read_tolerance(expr)
        if found is None:
            return None
        x, lower, upper, margin, shape = found
        parts = [self.show(x), show_number(lower), show_number(upper)]
        if margin:
            parts.append(show_number(margin))
        if margin and shape != "gaussian":
            parts.append(f'sigmoid="{shape}"')
        return f"tolerance({', '.join(parts)})"

    def table(self, expr: ir.StateTable | ir.OutputTable) -> tuple[str, int]:
        machine = self.machines.get(expr.machine)
        if isinstance(expr, ir.StateTable):
            what = expr.machine + "'" * expr.after
            count = len(expr.values)
            known = machine.states if machine and len(machine.states) == count else ()
            names = [quote(name) for name in known] or [f"u{i}" for i in range(count)]
        else:
            what = f"{expr.machine}.output"
            names = [str(i) for i in range(len(expr.values))]
        if expr.values and all(isinstance(value, bool) for value in expr.values):
            return self.membership(what, names, [bool(value) for value in expr.values])
        return self.mapping(what, names, expr.values), _ATOM

    def membership(self, what: str, names: Sequence[str], flags: Sequence[bool]) -> tuple[str, int]:
        inside = [name for name, flag in zip(names, flags, strict=True) if flag]
        outside = [name for name, flag in zip(names, flags, strict=True) if not flag]
        listed = inside if len(inside) <= len(outside) else outside
        if len(listed) == 1:
            return f"{what} {'==' if listed is inside else '!='} {listed[0]}", _COMPARE
        return f"{what} {'in' if listed is inside else 'not in'} {{{join_items(listed)}}}", _COMPARE

    def mapping(self, what: str, names: Sequence[str], values: Sequence[float | bool]) -> str:
        """Return `{a: 1, b: 0}[what]`, its most frequent value as `else` where that is shorter."""
        numbers = [show_number(value or 0.0) for value in values]  # a table says 0, never -0
        pairs = list(zip(names, numbers, strict=True))
        usual, times = Counter(numbers).most_common(1)[0] if numbers else ("0", 0)
        if times > 2 or len(pairs) > MAX_ENTRIES:
            pairs = [(name, value) for name, value in pairs if value != usual]
            listed = [*(f"{name}: {value}" for name, value in pairs), f"else: {usual}"]
        else:
            listed = [f"{name}: {value}" for name, value in pairs]
        return f"{{{join_items(listed)}}}[{what}]"


def quote(name: str) -> str:
    """Return a state's name, in quotes where it holds more than letters, digits and `_ . |`."""
    shown = show_name(name)
    return shown if shown and not set(shown) - _PLAIN else json.dumps(shown, ensure_ascii=False)


def join_items(items: Sequence[str]) -> str:
    """Return items with commas, those in the middle counted where there are many."""
    if len(items) > MAX_ENTRIES + 1:
        left_out = len(items) - MAX_ENTRIES
        items = [*items[: MAX_ENTRIES - 1], f"{ELIDED} {left_out} more", items[-1]]
    return ", ".join(items)


def show_field(read: ir.Field) -> str:
    """Return a field as it is written, such as `info["two words"][0]`.

    Example:
        >>> show_field(ir.Field("info", ("two words", (0,))))
        'info["two words"][0]'
        >>> show_field(ir.Field("info", ("success",), 0.0))
        'default(info.success, 0)'
    """
    if read.root == "future":
        return f"at_end({'.'.join(str(step) for step in read.path)})"
    if read.root == "learned":
        return f"learned({'.'.join(str(step) for step in read.path)})"
    text = str(read.root) if read.who is None else f"{show_agents(read.who)}.{read.root}"
    for step in read.path:
        if not isinstance(step, str):
            text += show_items(step)
        elif step.isascii() and step.isidentifier() and not keyword.iskeyword(step):
            text += f".{step}"
        else:
            text += f"[{show_key(step)}]"
    return text if read.default is None else f"default({text}, {show_number(read.default)})"


def show_agents(who: ir.Agents) -> str:
    """Return agents as they are written in a spec.

    Example:
        >>> show_agents(ir.Agents("agents", "adversary_*")), show_agents(ir.Agents("team", but_me=True))
        ('agents["adversary_*"]', 'teammates')
    """
    if who.word == "agents":
        name = who.pattern
        is_word = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
        text = f"agents.{name}" if is_word else f"agents[{show_key(name)}]"
        return f"{text} without oneself" if who.but_me else text
    if who.but_me:
        return {"team": "teammates"}.get(who.word, who.word)
    return who.word


def show_key(key: str) -> str:
    """Return a key in quotes, unprintable characters escaped as Python reads them."""
    if key.isprintable():
        return json.dumps(key, ensure_ascii=False)
    return ascii(key)


def show_items(items: tuple[ir.Item, ...]) -> str:
    """Return the indices of one subscript in brackets.

    Example:
        >>> show_items((ir.Span(None, 2), ir.Span(step=-1), -1))
        '[:2, ::-1, -1]'
    """
    parts = []
    for item in items:
        if isinstance(item, ir.Span):
            start, stop, step = (
                "" if part is None else str(part) for part in (item.start, item.stop, item.step)
            )
            parts.append(f"{start}:{stop}" + (f":{step}" if step else ""))
        else:
            parts.append(str(item))
    return f"[{', '.join(parts) or '()'}]"


def read_tolerance(expr: ir.Where) -> tuple[Expr, float, float, float, str] | None:
    """Return the arguments with which `tolerance` gives this expression: x, lower, upper, margin, sigmoid.

    Other values at the margin than the default are not looked for. Simplified expressions are known too.
    """
    match expr:
        case ir.Where(
            ir.Logic("and", (ir.Compare("le", ir.Const(lower), x), ir.Compare("le", again, ir.Const(upper)))),
            ir.Const(1.0),
            outside,
        ) if x == again:
            pass
        case _:
            return None
    if outside == ir.ZERO:
        return x, lower, upper, 0.0, "gaussian"
    for node in ir.walk(outside):
        match node:
            case ir.Binary("div", ir.Where(ir.Compare("lt")), ir.Const(margin)):
                for shape in SIGMOIDS:
                    built = tolerance(x, lower, upper, float(margin), shape, 0.1)
                    if expr in (built, ir.rewrite(built, simplify)):
                        return x, lower, upper, float(margin), shape
    return None
