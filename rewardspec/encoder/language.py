"""Read an encoder: `evaluation_func` in NumPy's manner to expressions over one transition.

Nothing of the source is executed. It is parsed with `ast` and walked over a whitelist of statements and expressions;
names are variables of the source or entries of the tables in `functions.py`; what comes out are cells of the IR.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewardspec.encoder import cells
from rewardspec.encoder.arrays import (
    Array,
    Dots,
    Listing,
    Nothing,
    Number,
    Slice,
    Value,
    as_array,
    describe,
    elementwise,
    of_cells,
    reshape,
    subscript,
    whole,
)
from rewardspec.encoder.canonical import digest
from rewardspec.encoder.cells import Cell
from rewardspec.encoder.functions import (
    BUILTINS,
    CONSTANTS,
    FUNCTIONS,
    INSTEAD,
    METHODS,
    SORTS,
    Function,
    arithmetic,
    comparison,
    junction,
    plain,
    product,
)
from rewardspec.encoder.refusal import EncoderError, misshapen, mixes, refuse, too_large
from rewardspec.encoder.source import (
    MODULES,
    about,
    imports_numpy,
    is_text,
    parameters,
    parse,
    refused_statement,
)
from rewardspec.errors import list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.spec.scalars import short

MAX_FACTORS = 32
"""Factors that a source may return."""

MAX_PARTS = 20_000
"""Parts of all factors together, written out."""

MAX_ITEMS = 200
"""Items of a list."""

MAX_WHOLE = 10**15
"""Greatest whole number."""


@dataclass(frozen=True)
class Encoder:
    """A source that was read.

    Attributes:
        names: Of the factors: the variables that were returned, where they were variables.
        factors: Their values, expressions over one transition.
        lifted: Names of factors of shape (batch,), which were taken for the (batch, 1) that was asked for.
        digest: SHA-256 of what the source says, names of variables and comments aside.
        reads_action: Whether the function takes the action.
    """

    names: tuple[str, ...]
    factors: tuple[Expr, ...]
    lifted: tuple[str, ...]
    digest: str
    reads_action: bool


def read_encoder(source: str, observation: int, action: int | None = None, phase: str = "state") -> Encoder:
    r"""Return an encoder's factors as expressions over one transition.

    Args:
        source: Python text with one function, `evaluation_func(observation)` or `(observation, action)`, both of
            shape (batch, width), that returns a list of factors of shape (batch, 1).
        observation: Width of the observation.
        action: Width of the action; None where the function may not read it.
        phase: Whether `observation` is that before the step (`state`) or after it (`next_state`).

    Raises:
        EncoderError: `encoder-syntax`, `encoder-refused`, `encoder-mixes-rows`, `encoder-shape` or
            `encoder-too-large`, with the line and what to write instead.

    Example:
        >>> text = "def evaluation_func(observation):\n    return [-np.abs(observation[:, 2])]"
        >>> read_encoder(text, 4).factors
        (Unary(op='neg', x=Call(name='abs', args=(Field(root='obs', path=((2,),), default=None),))),)
    """
    function = parse(source)
    given = parameters(function, action)
    roots: tuple[ir.Root, ir.Root] = ("next_obs" if phase == "next_state" else "obs", "action")
    widths = (observation, action or 0)
    variables: dict[str, Value] = {
        name: _row_of(root, width) for name, root, width in zip(given, roots, widths, strict=False)
    }
    reader = _Reader(variables, source.splitlines())
    return _finish(reader.run(function), function, reads_action=len(given) > 1)


def _row_of(root: ir.Root, width: int) -> Array:
    return of_cells([Cell(ir.Field(root, ((i,),))) for i in range(width)], (width,))


_EXPRESSIONS: dict[type[ast.expr], tuple[str, str]] = {
    ast.Lambda: ("a lambda", ""),
    ast.ListComp: ("a comprehension", "Write the operation on whole arrays; reshape(-1, 6, 2) makes groups."),
    ast.SetComp: ("a comprehension", ""),
    ast.DictComp: ("a comprehension", ""),
    ast.GeneratorExp: ("a comprehension", "Write the operation on whole arrays, with axis=1."),
    ast.Dict: ("a mapping", "Return a list of arrays."),
    ast.Set: ("a set", "Return a list of arrays."),
    ast.IfExp: ("an if", "Use np.where(condition, a, b)."),
    ast.NamedExpr: ("an assignment in an expression", ""),
    ast.JoinedStr: ("a text", ""),
    ast.Await: ("an await", ""),
    ast.Yield: ("a yield", "Return a list of arrays."),
    ast.YieldFrom: ("a yield", "Return a list of arrays."),
    ast.Starred: ("a star", "Write the arguments out."),
    ast.BoolOp: ("'and' or 'or' between arrays", "Use & and | with parentheses, or np.logical_and."),
}

_ARITHMETIC: dict[type[ast.operator], Callable[[Cell, Cell], Cell]] = {
    ast.Add: arithmetic("add"),
    ast.Sub: arithmetic("sub"),
    ast.Mult: arithmetic("mul"),
    ast.Div: arithmetic("div"),
    ast.FloorDiv: arithmetic("floordiv"),
    ast.Mod: arithmetic("mod"),
    ast.Pow: arithmetic("pow"),
    ast.BitAnd: junction("and"),
    ast.BitOr: junction("or"),
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Cell, Cell], Cell]] = {
    ast.Lt: comparison("lt"),
    ast.LtE: comparison("le"),
    ast.Gt: comparison("gt"),
    ast.GtE: comparison("ge"),
    ast.Eq: comparison("eq"),
    ast.NotEq: comparison("ne"),
}


class _Reader:
    """Walks the statements and expressions of one function.

    Attributes:
        variables: By name, what was assigned.
        lines: Of the source, for messages.
    """

    def __init__(self, variables: dict[str, Value], lines: Sequence[str]) -> None:
        self.variables, self.lines = variables, lines

    def run(self, function: ast.FunctionDef) -> Value:
        """Return what the function returns."""
        for node in function.body:
            try:
                if isinstance(node, ast.Return):
                    if node.value is None:
                        break
                    return self.read(node.value)
                self.statement(node)
            except EncoderError as error:
                raise about(node, self.lines, error) from None
        raise misshapen("the function returns nothing", "End it with: return [first, second].")

    # -- statements --------------------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        """Run one statement: an assignment to names, or `factors.append(x)`."""
        if is_text(node) or imports_numpy(node):
            return
        match node:
            case ast.Assign(targets=[target], value=value):
                self.assign(target, self.read(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.read(value))
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
                before = self.name(target)
                if not isinstance(
                    before, Number
                ):  # NumPy would change the array itself, and all that views it
                    raise refuse(
                        "this changes an array in place", f"Write {target.id} = {target.id} + ... instead."
                    )
                self.assign(target, self.operate(op, before, self.read(value)))
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="append"), args=[item])
            ):
                self.append(name, item)
            case _:
                raise refused_statement(node)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Give names a value; nothing but names can be assigned to."""
        match target:
            case ast.Name(id=name):
                if name in MODULES or name in BUILTINS or name in SORTS:
                    raise refuse(f"'{name}' is not a name that can be given a value")
                self.variables[name] = value
            case ast.Tuple(elts=names) | ast.List(elts=names) if isinstance(value, Listing):
                if len(names) != len(value.items):
                    raise refuse(f"{len(value.items)} values are given {len(names)} names")
                for name_of_one, item in zip(names, value.items, strict=True):
                    self.assign(name_of_one, item)
            case _:
                raise refuse("only a name can be given a value", "Build an array with np.stack or np.where.")

    def append(self, name: ast.Name, item: ast.expr) -> None:
        """Put a value at the end of a list."""
        target = self.name(name)
        if not isinstance(target, Listing):
            raise refuse(f"{describe(target)} has no append")
        if len(target.items) >= MAX_ITEMS:
            raise too_large(f"a list has more than {MAX_ITEMS} items")
        value = self.read(item)
        if isinstance(value, Listing):
            raise refuse("a list holds a list", "Append arrays to it.")  # it might hold itself
        target.items.append(value)
        target.names.append(item.id if isinstance(item, ast.Name) else None)

    # -- expressions -------------------------------------------------------------------------------------

    def read(self, node: ast.expr) -> Value:
        """Return the value of an expression."""
        match node:
            case ast.Constant(value=value):
                return _constant(value)
            case ast.Name():
                return self.name(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                if len(items) > MAX_ITEMS:
                    raise too_large(f"a list has more than {MAX_ITEMS} items")
                names = [item.id if isinstance(item, ast.Name) else None for item in items]
                return Listing([self.read(item) for item in items], names)
            case ast.UnaryOp(op=op, operand=operand):
                return self.unary(op, self.read(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self.operate(op, self.read(left), self.read(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return plain(elementwise(_COMPARISONS[type(op)], self.read(left), self.read(right)))
            case ast.Compare():
                raise refuse("this comparison is not allowed", "Compare two values with < <= > >= == or !=.")
            case ast.Subscript(value=value, slice=index):
                return self.subscript(self.read(value), index)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Call():
                return self.call(node)
        what, hint = _EXPRESSIONS.get(type(node), ("this", ""))
        raise refuse(f"{what} is not allowed", *([hint] if hint else []))

    def name(self, node: ast.Name) -> Value:
        """Return the value of a variable, or a sort of number."""
        name = node.id
        if name in self.variables:
            return self.variables[name]
        if name in SORTS:
            return SORTS[name]
        if name in MODULES or name in BUILTINS:
            raise refuse(f"'{name}' is a function or module, and a value is needed")
        raise refuse(
            f"there is no '{short(name)}' here",
            f"There are: {list_names(self.variables)}.{near_miss(name, self.variables)}",
        )

    def unary(self, op: ast.unaryop, value: Value) -> Value:
        """Return `-x`, `+x` or `~x`."""
        if isinstance(value, Number) and isinstance(op, ast.USub) and not isinstance(value.value, bool):
            return Number(-value.value)
        if isinstance(op, ast.USub):
            return plain(elementwise(cells.negative, value))
        if isinstance(op, ast.UAdd):
            return value
        found = as_array(value)
        if isinstance(op, ast.Invert) and found.batched and all(cell.is_truth for cell in found):
            return elementwise(cells.opposite, found)
        raise refuse(
            "'not' and '~' stand before a comparison of arrays only", "Write ~(x > 0), or np.logical_not(x)."
        )

    def operate(self, op: ast.operator, a: Value, b: Value) -> Value:
        """Return an operation on two values."""
        if isinstance(op, ast.Add) and isinstance(a, Listing) and isinstance(b, Listing):
            if len(a.items) + len(b.items) > MAX_ITEMS:
                raise too_large(f"a list has more than {MAX_ITEMS} items")
            return Listing(a.items + b.items, a.names + b.names)
        if isinstance(op, ast.MatMult):
            return plain(product(a, b))
        sides = (a, b)
        # NumPy takes [1, 2] for an array beside an array; beside a number Python would repeat the list.
        if any(isinstance(side, Listing) for side in sides) and not any(
            isinstance(side, Array) for side in sides
        ):
            raise refuse("a list is not an array", "Write np.array([...]).")
        operation = _ARITHMETIC.get(type(op))
        if operation is None:
            raise refuse("this operator is not allowed", "There are + - * / // % ** & | and comparisons.")
        joins_truths = isinstance(op, ast.BitAnd | ast.BitOr)
        if joins_truths and not all(cell.is_truth for side in sides for cell in as_array(side)):
            raise refuse("& and | stand between comparisons", "Write (x > 0) & (y > 0).")
        if isinstance(a, Number) and isinstance(b, Number) and (found := _whole_result(op, a, b)) is not None:
            return found
        return plain(elementwise(operation, a, b))

    def subscript(self, value: Value, index: ast.expr) -> Value:
        """Return `value[index]`."""
        items = [self.item(node) for node in (index.elts if isinstance(index, ast.Tuple) else [index])]
        if isinstance(value, Array):
            return plain(subscript(value, items))
        if isinstance(value, Listing) and len(items) == 1:
            where = whole(items[0], "a subscript")
            if not -len(value.items) <= where < len(value.items):
                raise misshapen(f"a subscript is out of range: {where}, of a list of {len(value.items)}")
            return value.items[where]
        raise refuse(f"{describe(value)} has no subscript")

    def item(self, node: ast.expr) -> Value:
        """Return one item of a subscript."""
        if isinstance(node, ast.Slice):
            parts = [
                None if part is None else whole(self.read(part), "a bound of a slice")
                for part in (node.lower, node.upper, node.step)
            ]
            if parts[2] == 0:
                raise refuse("the step of a slice is 0")
            return Slice(*parts)
        return self.read(node)

    def attribute(self, node: ast.Attribute) -> Value:
        """Return `np.pi` and the like, or the shape of an array."""
        if (
            isinstance(node.value, ast.Name)
            and node.value.id in MODULES
            and node.value.id not in self.variables
        ):
            if node.attr in CONSTANTS:
                return CONSTANTS[node.attr]
            if node.attr in FUNCTIONS:
                raise refuse(f"np.{node.attr} is a function", f"Write np.{node.attr}(...).")
            raise refuse(
                f"np.{short(node.attr)} is not allowed",
                f"Of np there are: {list_names(CONSTANTS)}, and functions.",
            )
        value = self.read(node.value)
        if isinstance(value, Array) and node.attr == "shape":
            return FUNCTIONS["shape"]("shape", [value], {})
        if isinstance(value, Array) and node.attr == "T":
            raise mixes(
                "the transpose of an array moves the batch to its last axis",
                "Keep the batch first, and use axis=1.",
            )
        raise refuse(
            f"{describe(value)} has no '.{short(node.attr)}' here",
            "An array has .shape, and methods such as .sum(axis=1).",
        )

    def call(self, node: ast.Call) -> Value:
        """Return the result of an entry of a table: nothing else can be called."""
        if any(keyword.arg is None for keyword in node.keywords):
            raise refuse("a star is not allowed", "Write the arguments out.")
        name, function, before = self.callee(node.func)
        given = [*before, *(self.read(arg) for arg in node.args)]
        named = {str(keyword.arg): self.read(keyword.value) for keyword in node.keywords}
        if function is None:  # x.reshape(-1, 1) or x.reshape((-1, 1))
            sizes = given[1].items if len(given) == 2 and isinstance(given[1], Listing) else given[1:]
            if named:
                raise refuse("reshape takes its sizes by position")
            return reshape(as_array(given[0]), sizes)
        return function(name, given, named)

    def callee(self, node: ast.expr) -> tuple[str, Function | None, list[Value]]:
        """Return an entry of a table, and the array whose method it is; None for `reshape`."""
        dotted = _dotted(node)
        if isinstance(node, ast.Name):
            if node.id in BUILTINS and node.id not in self.variables:
                return node.id, BUILTINS[node.id], []
            hint = (
                "Write np.minimum(a, b) or np.min(x, axis=1)."
                if node.id in ("min", "max", "sum")
                else "Only functions of np can be called."
            )
            raise refuse(f"'{short(node.id)}' cannot be called", hint)
        if dotted and dotted[0] in MODULES and dotted[0] not in self.variables:
            name = ".".join(dotted[1:])
            if name in FUNCTIONS:
                return f"np.{name}", FUNCTIONS[name], []
            hint = INSTEAD.get(name) or f"There are: {list_names(FUNCTIONS, 80)}.{near_miss(name, FUNCTIONS)}"
            raise refuse(f"np.{short(name)} is not in the table of functions", hint)
        if isinstance(node, ast.Attribute):
            value = self.read(node.value)
            if isinstance(value, Array) and node.attr == "reshape":
                return "reshape", None, [value]
            if isinstance(value, Array) and node.attr in METHODS:
                return f".{node.attr}", METHODS[node.attr], [value]
            raise refuse(
                f"{describe(value)} has no method '{short(node.attr)}' here",
                f"Arrays have: {list_names(METHODS, 40)}, reshape.",
            )
        raise refuse("only functions of np can be called")


def _constant(value: object) -> Value:
    if value is None:
        return Nothing()
    if value is Ellipsis:
        return Dots()
    if isinstance(value, bool):
        return Number(value)
    if isinstance(value, int | float):
        cells.constant(value)  # finite
        return Number(value if isinstance(value, float) or abs(value) <= MAX_WHOLE else float(value))
    raise refuse(
        "a text has no value here" if isinstance(value, str | bytes) else "a complex number is not allowed"
    )


def _whole_result(op: ast.operator, a: Number, b: Number) -> Number | None:
    """Return a whole number that comes from whole numbers, for subscripts; None where it is not one."""
    x, y = a.value, b.value
    if isinstance(x, bool) or isinstance(y, bool) or not (isinstance(x, int) and isinstance(y, int)):
        return None
    match op:
        case ast.Add():
            found = x + y
        case ast.Sub():
            found = x - y
        case ast.Mult():
            found = x * y
        case ast.FloorDiv() if y:
            found = x // y
        case ast.Mod() if y:
            found = x % y
        case _:
            return None
    return Number(found) if abs(found) <= MAX_WHOLE else None


def _dotted(node: ast.expr) -> list[str]:
    """Return the names of `np.linalg.norm`; none where it is anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) and names else []


def _finish(returned: Value, function: ast.FunctionDef, reads_action: bool) -> Encoder:
    """Return the factors of what the function returned: one number each."""
    if not isinstance(returned, Listing):
        raise misshapen(
            f"the function returns {describe(returned)}", "Return a list: return [first, second]."
        )
    if not 1 <= len(returned.items) <= MAX_FACTORS:
        raise misshapen(
            f"the function returns {len(returned.items)} factors; there may be 1 to {MAX_FACTORS}"
        )
    names: list[str] = []
    factors: list[Expr] = []
    lifted: list[str] = []
    parts = 0
    for i, (value, given) in enumerate(zip(returned.items, returned.names, strict=True)):
        name = given or f"factor_{i + 1}"
        name = name if name not in names else f"{name}_{i + 1}"
        what = f"the factor '{short(name)}'"
        if isinstance(value, Number):
            raise misshapen(f"{what} is a constant", "A factor must tell situations apart.")
        if not isinstance(value, Array):
            raise misshapen(f"{what} is {describe(value)}", "A factor is an array of shape (batch, 1).")
        if not value.batched or value.shape not in ((), (1,)):
            raise misshapen(
                f"{what} has the shape {value.shown_shape}, and (batch, 1) is asked for",
                "Reduce it with axis=1, keepdims=True, or return its columns one by one, as in x[:, 0:1].",
            )
        cell = cells.number(value.cells.item() if value.shape == () else value.cells[0])
        if not any(isinstance(node, ir.Field) for node in ir.walk(cell.expr)):
            raise misshapen(f"{what} reads nothing of the step", "A factor must tell situations apart.")
        parts += cell.size
        if parts > MAX_PARTS:
            raise too_large(f"written out, the factors have more than {MAX_PARTS} parts")
        if value.shape == ():
            lifted.append(name)
        names.append(name)
        factors.append(cell.expr)
    return Encoder(tuple(names), tuple(factors), tuple(lifted), digest(function), reads_action)
