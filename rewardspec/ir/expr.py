"""Expressions over one transition: the leaves and operations that a reward program is made of.

An expression is a tree of frozen dataclasses. It holds no Python function and no text of the user's, only
names that were checked; it compares, hashes and prints. Its meaning is `backends/oracle.py`.

Arithmetic is IEEE 754 everywhere and never raises: `1 / 0` is infinite, `log(-1)` is NaN, `0 / 0` is NaN. A reward
that is not finite is reported by the host; a branch of `where` that is not taken cannot spoil the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from rewardspec.errors import Place

Root = Literal[
    "obs",
    "next_obs",
    "action",
    "reward",
    "terminated",
    "truncated",
    "info",
    "label",
    "future",
    "learned",
    "present",
    "paid",
]
"""Where a field is read from. `future` is what only the end of the episode tells (see `operators/gate.py`), `learned`
what a learner's model says (see `Learned` in `ir/program.py`). `present` and `paid` are told of agents alone: whether
one acts on this step, and what its own terms pay (see `Agents`)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A slice with constant bounds, as in `obs[0:2]`."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    @property
    def slice(self) -> slice:
        """The same as a Python slice."""
        return slice(self.start, self.stop, self.step)


Item: TypeAlias = "int | Span"
Step: TypeAlias = "str | tuple[Item, ...]"
"""One step of a path: a key of a mapping, or the indices of one subscript."""


def _all_truth(values: tuple[float | bool, ...]) -> bool:
    return bool(values) and all(isinstance(value, bool) for value in values)


@dataclass(frozen=True, slots=True)
class Const:
    """A number or a truth value; `truth` keeps 1.0 and True apart, which Python calls equal."""

    value: float | bool
    truth: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", isinstance(self.value, bool))


@dataclass(frozen=True, slots=True)
class Vector:
    """A list of scalars, as in `distance(obs[0:2], [3, 4])`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Agents:
    """Whose part of a joint transition a field is, where it is not this agent's own.

    `team` and `opponents` are told apart by the spec's `team:` names, `agents` by name or pattern. Which agents there
    are is known when an environment is wrapped; `team/resolve.py` then replaces every such field by ordinary ones.

    Attributes:
        word: What the field was written with; `others` is all agents but oneself, `joint` what the joint terms pay.
        pattern: A name, or a pattern with `*` and `?`; read with `agents` alone.
        but_me: Whether this agent is left out.
    """

    word: Literal["agents", "team", "others", "opponents", "joint"]
    pattern: str = "*"
    but_me: bool = False

    @property
    def is_one(self) -> bool:
        """Whether it is a single agent, so that its field is no vector over agents."""
        return self.word == "joint" or (self.word == "agents" and not set(self.pattern) & set("*?"))


@dataclass(frozen=True, slots=True, repr=False)
class Field:
    """A part of the transition: a root and a path into it, as in `next_obs.image[:, :, 0]`.

    `default` is what an `info` key that is absent counts as; without one, an absent key is an error. `who` says whose
    part it is where that is not the agent's own.
    """

    root: Root
    path: tuple[Step, ...] = ()
    default: float | None = None
    place: Place = field(default=Place(), compare=False)
    who: Agents | None = None

    def __repr__(self) -> str:
        """Show the content without the place; `who` only where it is another's, so that digests stay what they were."""
        who = "" if self.who is None else f", who={self.who!r}"
        return f"Field(root={self.root!r}, path={self.path!r}, default={self.default!r}{who})"


@dataclass(frozen=True, slots=True)
class Param:
    """A number that the host may change between steps (`set_param`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Holds:
    """Whether a declared proposition is true on this transition."""

    name: str


@dataclass(frozen=True, slots=True)
class Memory:
    """A fold's value before this step, or after it."""

    fold: str
    after: bool = False


@dataclass(frozen=True, slots=True)
class Gain:
    """What this step's item adds to a set: F(the set with it) - F(the set); see `SetMemory` in `ir/program.py`."""

    set: str


@dataclass(frozen=True, slots=True)
class StateTable:
    """`values[u]`, u being a machine's state before this step, or after it."""

    machine: str
    values: tuple[float | bool, ...]
    after: bool = True
    truth: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", _all_truth(self.values))


@dataclass(frozen=True, slots=True)
class OutputTable:
    """`values[o]`, o being the output of the edge that a machine took on this step (0: it took none)."""

    machine: str
    values: tuple[float | bool, ...]
    truth: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", _all_truth(self.values))


@dataclass(frozen=True, slots=True)
class Ended:
    """Whether the episode is over after this step, by the environment's own word or by the program's.

    `terminated` joins the environment's flag with the program's ends; `last` adds truncation.
    """

    how: Literal["terminated", "truncated", "last"] = "terminated"


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    op: Literal["neg", "not"]
    x: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic on two values; `floordiv` is floor(a / b) and `mod` is a - b * floor(a / b)."""

    op: Literal["add", "sub", "mul", "div", "floordiv", "mod", "pow"]
    a: Expr
    b: Expr
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two values, elementwise for vectors."""

    op: Literal["lt", "le", "gt", "ge", "eq", "ne"]
    a: Expr
    b: Expr
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """Conjunction or disjunction of truth values, elementwise for vectors."""

    op: Literal["and", "or"]
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """`a` where the condition holds, else `b`."""

    condition: Expr
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Combine:
    """Several values to one, elementwise: sum, product, least, greatest."""

    op: Literal["sum", "product", "min", "max"]
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """A vector to a scalar; or, with `axis="B"`, over the environments of a batch (one for a single host)."""

    op: Literal["sum", "mean", "min", "max", "any", "all", "count"]
    x: Expr
    axis: Literal["value", "B"] = "value"
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS`, elementwise."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """A constant subscript of a computed vector."""

    x: Expr
    items: tuple[Item, ...]
    place: Place = field(default=Place(), compare=False, repr=False)


Expr: TypeAlias = (
    Const
    | Vector
    | Field
    | Param
    | Holds
    | Memory
    | Gain
    | StateTable
    | OutputTable
    | Ended
    | Unary
    | Binary
    | Compare
    | Logic
    | Where
    | Combine
    | Reduce
    | Call
    | Index
)

FUNCTIONS: dict[str, int] = {
    "abs": 1,
    "sign": 1,
    "floor": 1,
    "ceil": 1,
    "exp": 1,
    "log": 1,
    "sqrt": 1,
    "tanh": 1,
    "sigmoid": 1,
    "log_sigmoid": 1,
    "sin": 1,
    "cos": 1,
    "arctanh": 1,
}
"""The elementwise functions that a `Call` may name, with their number of arguments."""

ZERO = Const(0.0)
ONE = Const(1.0)
TRUE = Const(True)
FALSE = Const(False)

_CHILDREN: dict[type, tuple[str, ...]] = {
    Unary: ("x",),
    Binary: ("a", "b"),
    Compare: ("a", "b"),
    Where: ("condition", "a", "b"),
    Reduce: ("x",),
    Index: ("x",),
}
_SEQUENCES: dict[type, str] = {Vector: "items", Logic: "args", Combine: "args", Call: "args"}


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct operands of an expression."""
    if names := _CHILDREN.get(type(expr)):
        return tuple(getattr(expr, name) for name in names)
    if name := _SEQUENCES.get(type(expr)):
        return tuple(getattr(expr, name))
    return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield every node of an expression, operands before their operation."""
    stack = [(expr, False)]
    while stack:
        node, operands_are_out = stack.pop()
        if operands_are_out or not (operands := children(node)):
            yield node
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(operands))


def rewrite(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the expression with `change` applied to every node, operands first.

    Example:
        >>> rewrite(Unary("neg", Field("obs")), lambda e: Field("next_obs") if e == Field("obs") else e)
        Unary(op='neg', x=Field(root='next_obs', path=(), default=None))
    """
    kind = type(expr)
    if names := _CHILDREN.get(kind):
        new = {name: rewrite(getattr(expr, name), change) for name in names}
        if any(new[name] is not getattr(expr, name) for name in names):
            expr = replace(expr, **new)  # type: ignore[arg-type]
    elif name := _SEQUENCES.get(kind):
        old = getattr(expr, name)
        items = tuple(rewrite(item, change) for item in old)
        if any(a is not b for a, b in zip(items, old, strict=True)):
            expr = replace(expr, **{name: items})  # type: ignore[arg-type]
    return change(expr)


def map_children(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the expression with `change` applied to each of its operands, and to nothing deeper.

    Example:
        >>> map_children(Unary("neg", Field("obs")), lambda e: Field("next_obs"))
        Unary(op='neg', x=Field(root='next_obs', path=(), default=None))
    """
    kind = type(expr)
    if names := _CHILDREN.get(kind):
        return replace(expr, **{name: change(getattr(expr, name)) for name in names})  # type: ignore[arg-type]
    if name := _SEQUENCES.get(kind):
        return replace(expr, **{name: tuple(map(change, getattr(expr, name)))})  # type: ignore[arg-type]
    return expr


def total(args: tuple[Expr, ...]) -> Expr:
    """Return the sum of any number of expressions, without needless nesting."""
    if not args:
        return ZERO
    return args[0] if len(args) == 1 else Combine("sum", args)


def conjunction(args: tuple[Expr, ...]) -> Expr:
    """Return the conjunction of any number of truth values."""
    if not args:
        return TRUE
    return args[0] if len(args) == 1 else Logic("and", args)


def disjunction(args: tuple[Expr, ...]) -> Expr:
    """Return the disjunction of any number of truth values."""
    if not args:
        return FALSE
    return args[0] if len(args) == 1 else Logic("or", args)


def scale(factor: Expr, x: Expr) -> Expr:
    """Return `factor * x`, and `x` itself for the constant 1."""
    return x if factor == ONE else Binary("mul", factor, x)


def is_boolean(expr: Expr) -> bool:
    """Return whether an expression is a truth value by its form alone."""
    if isinstance(expr, Const | StateTable | OutputTable):
        return expr.truth
    if isinstance(expr, Where):
        return is_boolean(expr.a) and is_boolean(expr.b)
    if isinstance(expr, Field):
        return expr.who is None and expr.root in ("terminated", "truncated", "label")
    if isinstance(expr, Index):
        return is_boolean(expr.x)
    if isinstance(expr, Unary):
        return expr.op == "not"
    if isinstance(expr, Reduce):
        return expr.op in ("any", "all")
    return isinstance(expr, Holds | Ended | Compare | Logic)
