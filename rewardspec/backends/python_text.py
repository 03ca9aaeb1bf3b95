"""Python text of single operations and numbers, and what a program's expressions have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Set

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Program

PARTS = "action, next_obs, reward, terminated, truncated, info"
"""What a step is made of, but the observation before it."""


def count_uses(program: Program) -> dict[Expr, int]:
    """Count how often each expression is needed, shared parts once."""
    counts: dict[Expr, int] = {}
    propositions = {p.name: p.expr for p in program.propositions}
    folds = {f.name: f.update for f in program.folds}
    seen: set[Expr] = set()

    def visit(expr: Expr) -> None:
        counts[expr] = counts.get(expr, 0) + 1
        if expr in seen:
            return
        seen.add(expr)
        if isinstance(expr, ir.Holds):
            visit(propositions[expr.name])
        elif isinstance(expr, ir.Memory) and expr.after:
            visit(folds[expr.fold])
        for child in ir.children(expr):
            visit(child)

    for grown in program.sets:
        for read in (grown.item, grown.first):
            if read is not None:
                visit(read)
    for machine in program.machines:
        for name in machine.propositions:
            visit(ir.Holds(name))
    for fold in program.folds:
        visit(fold.update)
    for root in (*(t.expr for t in program.terms), *(e.when for e in program.ends)):
        visit(root)
    return counts


def read_tables(program: Program) -> dict[str, list[ir.StateTable | ir.OutputTable]]:
    """Return, per machine, the tables over its next state or output that the program reads, each once."""
    found: dict[str, dict[ir.StateTable | ir.OutputTable, None]] = {}
    for root in program.roots():
        for node in ir.walk(root):
            if isinstance(node, ir.OutputTable) or (isinstance(node, ir.StateTable) and node.after):
                found.setdefault(node.machine, {}).setdefault(node)
    return {machine: list(tables) for machine, tables in found.items()}


def is_float(expr: Expr, folds: Set[str] = frozenset()) -> bool:
    """Return whether a value is a Python float by its form alone, so that a sum with it is one.

    Args:
        expr: The value.
        folds: Memories that are floats.
    """
    match expr:
        case ir.Const(value):
            return not isinstance(value, bool)
        case ir.Memory(name):
            return name in folds
        case ir.StateTable() | ir.OutputTable():
            return not ir.is_boolean(expr)
        case ir.Binary(_, a, b):
            return is_float(a, folds) or is_float(b, folds)
        case ir.Combine("sum" | "product", args):
            return any(is_float(arg, folds) for arg in args)
        case ir.Combine(_, args) | ir.Call("abs", args):
            return all(is_float(arg, folds) for arg in args)
        case ir.Where(_, a, b):
            return is_float(a, folds) and is_float(b, folds)
        case ir.Unary("neg", x):
            return is_float(x, folds)
        case ir.Call() | ir.Gain():
            return True
    return False


def never_nan(expr: Expr, folds: Set[str] = frozenset()) -> bool:
    """Return whether a value cannot be NaN by its form alone, as long as nothing that was read is.

    Args:
        expr: The value.
        folds: Memories that are never NaN.

    Example:
        >>> x = ir.Field("obs", ((0,),))
        >>> never_nan(ir.Binary("sub", x, ir.Const(0.5))), never_nan(ir.Binary("sub", x, x))  # infinity less itself
        (True, False)
    """
    match expr:
        case ir.Const(value):
            return value == value
        case ir.Field(root):
            return root != "future"
        case ir.Memory(name):
            return name in folds
        case ir.StateTable() | ir.OutputTable():
            return all(value == value for value in expr.values)
        case ir.Compare() | ir.Logic() | ir.Unary("not") | ir.Ended():
            return True
        case ir.Unary("neg", x) | ir.Call("abs", (x,)):
            return never_nan(x, folds)
        case ir.Binary("add" | "sub", x, ir.Const(value)) | ir.Binary("add" | "sub", ir.Const(value), x):
            return math.isfinite(value) and never_nan(x, folds)
        case ir.Binary("mul" | "div", x, ir.Const(value)) | ir.Binary("mul", ir.Const(value), x):
            return math.isfinite(value) and value != 0 and never_nan(x, folds)
        case ir.Where(_, a, b):
            return never_nan(a, folds) and never_nan(b, folds)
        case ir.Combine("min" | "max", args):
            return all(never_nan(arg, folds) for arg in args)
    return False


def folds_that_are(program: Program, holds: Callable[[Expr, Set[str]], bool]) -> frozenset[str]:
    """Return the folds of which something holds all the time.

    It holds of such a fold's start, and of its update as long as it holds of the folds that this reads.

    Args:
        program: The program.
        holds: Tells it of an expression, given the folds of which it holds.
    """
    names = {fold.name for fold in program.folds}
    readers: dict[str, list[str]] = {name: [] for name in names}
    for fold in program.folds:
        for node in ir.walk(fold.update):
            if isinstance(node, ir.Memory):
                readers[node.fold].append(fold.name)
    failed = [
        f.name for f in program.folds if not (holds(ir.Const(f.start), names) and holds(f.update, names))
    ]
    lasting = set(names)
    while failed:
        name = failed.pop()
        if name in lasting:
            lasting.remove(name)
            failed += readers[name]
    return frozenset(lasting)


def sign_of(expr: Expr) -> str:
    """Return `+` where a value is never negative, `-` where it is never positive, by its form alone; it may be NaN.

    Example:
        >>> x = ir.Field("obs", ((0,),))
        >>> sign_of(ir.Binary("mul", ir.Binary("mul", ir.Const(-0.1), x), x)), sign_of(x)
        ('-', '')
    """
    match expr:
        case ir.Const(value):
            return _sign_of_number(value)
        case ir.StateTable() | ir.OutputTable():
            return _joint_sign([_sign_of_number(value) for value in expr.values])
        case ir.Unary("neg", x):
            return _opposite(sign_of(x))
        case ir.Call("abs" | "exp" | "sqrt" | "sigmoid"):
            return "+"
        case ir.Combine("sum" | "min" | "max", args):
            return _joint_sign([sign_of(arg) for arg in args])
        case ir.Binary("add", a, b) | ir.Where(_, a, b):
            return _joint_sign([sign_of(a), sign_of(b)])
        case ir.Binary("sub", a, b):
            return _joint_sign([sign_of(a), _opposite(sign_of(b))])
        case ir.Binary("mul") | ir.Combine("product"):
            odd = [factor for factor, times in Counter(_factors(expr)).items() if times % 2]
            signs = [sign_of(factor) for factor in odd]
            return "" if "" in signs else "-" if signs.count("-") % 2 else "+"
    return ""


def _sign_of_number(value: float | bool) -> str:
    return "+" if value >= 0 else "-" if value < 0 else ""


def _opposite(sign: str) -> str:
    return {"+": "-", "-": "+"}.get(sign, "")


def _joint_sign(signs: list[str]) -> str:
    return signs[0] if len(set(signs)) == 1 else ""


def _factors(expr: Expr) -> list[Expr]:
    match expr:
        case ir.Binary("mul", a, b):
            return _factors(a) + _factors(b)
        case ir.Combine("product", args):
            return [factor for arg in args for factor in _factors(arg)]
    return [expr]


def number_text(value: float) -> str:
    """Return a number's text; the only text that a user's number ever becomes."""
    if math.isfinite(value):
        text = repr(float(value))
        return f"({text})" if value < 0 else text
    return "_nan" if math.isnan(value) else "_inf" if value > 0 else "(-_inf)"


def tuple_text(items: list[str]) -> str:
    """Return code of a tuple.

    Example:
        >>> tuple_text([]), tuple_text(["a"])
        ('()', '(a,)')
    """
    return f"({', '.join(items)},)" if items else "()"


def function_text(head: str, lines: list[str]) -> str:
    """Return the text of a function."""
    return "\n".join([head, *(f"    {line}" for line in lines)])


def is_number(code: str) -> bool:
    """Return whether code is a number, brackets around it or not."""
    try:
        float(code.strip("()"))
    except ValueError:
        return False
    return True


_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}


def scalar_code(expr: Expr, args: list[str], extreme: Callable[[str, list[str]], str]) -> str:
    """Return the code of one scalar operation on operands that have code."""
    match expr:
        case ir.Unary("neg", _):
            return f"(-{args[0]})"
        case ir.Unary("not", _):
            return f"(not {args[0]})"
        case ir.Binary("div", _, _) if is_number(args[1]) and float(args[1].strip("()")) != 0:
            return f"({args[0]} / {args[1]})"
        case ir.Binary(op, _, _) if op not in _SIGNS:
            return f"_{op}({args[0]}, {args[1]})"
        case ir.Binary(op, _, _) | ir.Compare(op, _, _):
            return f"({args[0]} {_SIGNS[op]} {args[1]})"
        case ir.Logic(op, _):
            return "(" + f" {op} ".join(args) + ")"
        case ir.Where():
            return f"({args[1]} if {args[0]} else {args[2]})"
        case ir.Combine("sum", _):
            return "(" + " + ".join(args) + ")"
        case ir.Combine("product", _):
            return "(" + " * ".join(args) + ")"
        case ir.Combine(op, _):
            return extreme(op, args)
        case ir.Call("abs", _):
            return f"_abs({args[0]})"
        case ir.Call(name, _):
            return f"_{name}({args[0]})"
    raise TypeError(f"not an operation: {expr!r}")


def array_code(expr: Expr, args: list[str]) -> str:
    """Return the code of one operation on NumPy arrays."""
    match expr:
        case ir.Unary(op, _) | ir.Binary(op, _, _) | ir.Compare(op, _, _):
            return f"_array_{op}({', '.join(args)})"
        case ir.Logic(op, _) | ir.Combine(op, _):
            code = args[0]
            for arg in args[1:]:
                code = f"_array_{op}({code}, {arg})"
            return code
        case ir.Where():
            return f"_array_where({', '.join(args)})"
        case ir.Call(name, _):
            return f"_array_{name}({args[0]})"
    raise TypeError(f"not an operation: {expr!r}")
