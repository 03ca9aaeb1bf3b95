"""Interval arithmetic over IR expressions: between which bounds a value lies, as far as a spec declares.

What is known comes from declared ranges of signals, from `env.base_reward`, from bounded functions and from
the values in a machine's tables. An interval is never too small; where nothing is known it is unbounded.
NaN is in no interval: a reward that is NaN ends in an error, not in a payment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Program
from rewardspec.sets.family import SetFunction
from rewardspec.sets.information import LogDet
from rewardspec.sets.modular import alone

INF = math.inf

MAX_ROUNDS = 4
"""Rounds after which a memory that still grows is taken to grow without bound."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from `low` to `high`, both included."""

    low: float = -INF
    high: float = INF

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def is_constant(self) -> bool:
        """Whether it holds one number only."""
        return self.low == self.high

    @property
    def width(self) -> float:
        """How far its ends are apart."""
        return self.high - self.low

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    def join(self, other: Interval) -> Interval:
        """Return the least interval around both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def meet(self, other: Interval) -> Interval:
        """Return the part that both share; `self` where they share nothing, for then one of them is wrong."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else self

    def contains(self, other: Interval) -> bool:
        """Say whether the other interval lies within this one."""
        return self.low <= other.low and other.high <= self.high

    def __add__(self, other: Interval) -> Interval:
        low, high = self.low + other.low, self.high + other.high
        return Interval(-INF if math.isnan(low) else low, INF if math.isnan(high) else high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        ends = [_times(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(ends), max(ends))

    def __str__(self) -> str:
        return f"{self.low:g}" if self.is_constant else f"{self.low:g} to {self.high:g}"


ANY = Interval()
TRUTH = Interval(0.0, 1.0)
NOT_NEGATIVE = Interval(0.0, INF)

Assumed = Mapping[Expr, Interval]
"""What is taken for granted: expression -> interval."""


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _divide(a: Interval, b: Interval) -> Interval:
    if b.low <= 0 <= b.high:
        return ANY  # at 0 itself the result is infinite, of either sign
    return a * Interval(1 / b.high, 1 / b.low)


def _power(a: Interval, b: Interval) -> Interval:
    if b.is_constant and b.low == int(b.low if math.isfinite(b.low) else 0.5) and 0 < b.low <= 64:
        ends = [_raise(a.low, b.low), _raise(a.high, b.low)]
        least = 0.0 if b.low % 2 == 0 and a.low <= 0 <= a.high else min(ends)
        return Interval(least, max(ends))
    if a.low > 0 or (a.low == 0 and b.low > 0):
        ends = [_raise(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return Interval(min(ends), max(ends))
    return ANY


def _raise(x: float, y: float) -> float:
    try:
        return float(x**y)
    except OverflowError:
        return INF if x > 0 or y % 2 == 0 else -INF


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else INF


def _sigmoid(x: float) -> float:
    return 1 / (1 + _exp(-x))


def _log_sigmoid(x: float) -> float:
    return -math.log1p(_exp(-x)) if x > -700 else x


def _arctanh(x: float) -> float:
    return math.atanh(x) if -1 < x < 1 else math.copysign(INF, x)


_RISING: dict[str, Callable[[float], float]] = {
    "exp": _exp,
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "log_sigmoid": _log_sigmoid,
    "arctanh": _arctanh,
    "sqrt": lambda x: math.sqrt(max(x, 0.0)),
    "log": lambda x: math.log(x) if x > 0 else -INF,
    "floor": lambda x: float(math.floor(x)) if math.isfinite(x) else x,
    "ceil": lambda x: float(math.ceil(x)) if math.isfinite(x) else x,
    "sign": lambda x: float((x > 0) - (x < 0)),
}
"""Functions that never fall: the interval of the result is that of the ends."""


def _call(name: str, x: Interval) -> Interval:
    if name == "abs":
        return x if x.low >= 0 else -x if x.high <= 0 else Interval(0.0, x.magnitude)
    if rising := _RISING.get(name):
        return Interval(rising(x.low), rising(x.high))
    return Interval(-1.0, 1.0)  # sin, cos


def _are_mirrored(a: Expr, b: Expr) -> bool:
    """Say whether two expressions are exp(s) and exp(-s), whose sum is at least 2."""
    match a, b:
        case ir.Call("exp", (s,)), ir.Call("exp", (ir.Unary("neg", t),)):
            return s == t
    return False


def _compare(op: str, a: Interval, b: Interval) -> Interval:
    if op in ("gt", "ge"):
        op, a, b = {"gt": "lt", "ge": "le"}[op], b, a
    surely = {
        "lt": a.high < b.low,
        "le": a.high <= b.low,
        "eq": a.is_constant and a == b,
        "ne": a.high < b.low or b.high < a.low,
    }[op]
    never = {
        "lt": a.low >= b.high,
        "le": a.low > b.high,
        "eq": a.high < b.low or b.high < a.low,
        "ne": a.is_constant and a == b,
    }[op]
    return Interval(1.0, 1.0) if surely else Interval(0.0, 0.0) if never else TRUTH


def implied(condition: Expr, holds: bool = True) -> dict[Expr, Interval]:
    """Return what the truth (or falsity) of a condition says about the expressions in it.

    Example:
        >>> implied(ir.Compare("le", ir.Field("reward"), ir.Const(2.0)))[ir.Field("reward")]
        Interval(low=-inf, high=2.0)
    """
    truth = 1.0 if holds else 0.0
    found: dict[Expr, Interval] = {condition: Interval(truth, truth)}

    def note(expr: Expr, interval: Interval) -> None:
        found[expr] = found[expr].meet(interval) if expr in found else interval
        if isinstance(expr, ir.Call) and expr.name == "abs" and interval.high < INF:
            note(expr.args[0], Interval(-interval.high, interval.high))

    if isinstance(condition, ir.Unary) and condition.op == "not":
        found.update(implied(condition.x, not holds))
    elif isinstance(condition, ir.Logic) and (condition.op == "and") == holds:
        for arg in condition.args:
            for expr, interval in implied(arg, holds).items():
                note(expr, interval)
    elif isinstance(condition, ir.Compare):
        op, a, b = condition.op, condition.a, condition.b
        if isinstance(a, ir.Const):
            a, b = b, a
            op = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}.get(op, op)  # type: ignore[assignment]
        if isinstance(b, ir.Const) and not isinstance(a, ir.Const):
            bound = float(b.value)
            strict = holds == (op in ("lt", "gt"))  # what must differ from the bound stays a little off it
            if op in ("lt", "le", "gt", "ge"):
                below = (op in ("lt", "le")) == holds
                if strict:
                    bound = math.nextafter(bound, -INF if below else INF)
                note(a, Interval(high=bound) if below else Interval(low=bound))
            elif (op == "eq") == holds:
                note(a, Interval(bound, bound))
    return found


@dataclass
class Ranges:
    """The intervals of a program's expressions.

    Attributes:
        program: Where machines, folds and parameters are declared.
        known: Declared intervals by expression.
    """

    program: Program
    known: Assumed = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folds = {fold.name: fold for fold in self.program.folds}
        self._gains = {s.name: _gain_range(s.function) for s in self.program.sets}
        self._params = {param.name: param.initial for param in self.program.params}
        self._propositions = {p.name: p.expr for p in self.program.propositions}
        self._memories: dict[str, Interval] = {}
        self._growing: dict[str, Interval] = {}

    def of(self, expr: Expr, assumed: Assumed | None = None) -> Interval:
        """Return the interval of an expression.

        Args:
            expr: The expression.
            assumed: What to take for granted besides what is declared.
        """
        assumed = assumed or {}
        found = self._of(expr, assumed)
        for source in (self.known, assumed):
            if expr in source:
                found = found.meet(source[expr])
        return found

    def _of(self, expr: Expr, assumed: Assumed) -> Interval:
        match expr:
            case ir.Const(value):
                return Interval(float(value), float(value))
            case ir.Field(root):
                return TRUTH if root in ("terminated", "truncated", "label", "present") else ANY
            case ir.Holds(name):
                inner = self._propositions.get(name)
                return self.of(inner, assumed) if inner is not None else TRUTH
            case ir.Param(name):
                known = self._params.get(name)
                return ANY if known is None else Interval(known, known)
            case ir.Memory(name, after):
                return self._memory(name, after, assumed)
            case ir.Gain(name):
                return self._gains[name]
            case ir.StateTable(_, values) | ir.OutputTable(_, values):
                numbers = [float(value) for value in values]
                return Interval(min(numbers, default=0.0), max(numbers, default=0.0))
            case ir.Ended():
                return TRUTH
            case ir.Unary(op, x):
                inner_range = self.of(x, assumed)
                return -inner_range if op == "neg" else Interval(1.0, 1.0) - self._truth(inner_range)
            case ir.Binary(op, a, b):
                return self._binary(op, a, b, assumed)
            case ir.Compare(op, a, b):
                return _compare(op, self.of(a, assumed), self.of(b, assumed))
            case ir.Logic(op, args):
                return self._logic(op, args, assumed)
            case ir.Where(condition, a, b):
                return self._where(condition, a, b, assumed)
            case ir.Combine(op, args):
                return _combine(op, [self.of(arg, assumed) for arg in args])
            case ir.Reduce(op, x, axis):
                return self._reduce(op, x, axis, assumed)
            case ir.Call(name, args):
                return _call(name, self.of(args[0], assumed))
            case ir.Vector(items):
                return _combine("hull", [self.of(item, assumed) for item in items])
            case ir.Index(x):
                return self.of(x, assumed)

    @staticmethod
    def _truth(x: Interval) -> Interval:
        """Return the interval of a truth value: a bare number counts as true when it is not 0."""
        return x if x.low >= 0 and x.high <= 1 else TRUTH

    def _binary(self, op: str, a: Expr, b: Expr, assumed: Assumed) -> Interval:
        x, y = self.of(a, assumed), self.of(b, assumed)
        if op == "add":
            return (x + y).meet(Interval(low=2.0)) if _are_mirrored(a, b) else x + y
        if op == "sub":
            return Interval(0.0, 0.0) if a == b else x - y
        if op == "mul":
            return _power(x, Interval(2.0, 2.0)) if a == b else x * y
        if op == "div":
            return _divide(x, y)
        if op == "floordiv":
            return _call("floor", _divide(x, y))
        if op == "mod":
            return Interval(0.0, y.high) if y.low > 0 else ANY
        return _power(x, y)

    def _logic(self, op: str, args: tuple[Expr, ...], assumed: Assumed) -> Interval:
        parts = [self._truth(self.of(arg, assumed)) for arg in args]
        pick = min if op == "and" else max
        return Interval(pick(p.low for p in parts), pick(p.high for p in parts))

    def _where(self, condition: Expr, a: Expr, b: Expr, assumed: Assumed) -> Interval:
        holds = self._truth(self.of(condition, assumed))
        if holds.low >= 1:
            return self.of(a, assumed)
        if holds.high <= 0:
            return self.of(b, assumed)
        then = self.of(a, {**assumed, **implied(condition, True)})
        otherwise = self.of(b, {**assumed, **implied(condition, False)})
        return then.join(otherwise)

    def _reduce(self, op: str, x: Expr, axis: str, assumed: Assumed) -> Interval:
        each = self.of(x, assumed)
        if op in ("any", "all"):
            return self._truth(each)
        if op in ("mean", "min", "max"):
            if isinstance(x, ir.Vector):
                parts = [self.of(item, assumed) for item in x.items]
                whole = _combine("sum" if op == "mean" else op, parts)
                return whole * Interval(1 / len(parts), 1 / len(parts)) if op == "mean" else whole
            return each
        if op == "count":
            return NOT_NEGATIVE
        if isinstance(x, ir.Vector) and axis == "value":
            return _combine("sum", [self.of(item, assumed) for item in x.items])
        return Interval(min(each.low, _times(each.low, INF)), max(each.high, _times(each.high, INF)))

    def _memory(self, name: str, after: bool, assumed: Assumed) -> Interval:
        fold = self._folds.get(name)
        if fold is None:
            return ANY
        if after:
            return self.of(fold.update, assumed).meet(Interval(fold.low, fold.high))
        if name in self._memories:
            return self._memories[name]
        if name in self._growing:
            return self._growing[name]
        value = Interval(fold.start, fold.start)
        for _ in range(MAX_ROUNDS):
            self._growing[name] = value
            bigger = value.join(self.of(fold.update))
            if bigger == value:
                break
            value = bigger
        else:  # it still grows: on one side without bound, or on both
            for low, high in ((value.low, fold.high), (fold.low, value.high), (fold.low, fold.high)):
                value = self._growing[name] = Interval(min(low, fold.start), max(high, fold.start))
                if value.contains(self.of(fold.update)):
                    break
        del self._growing[name]
        if not self._growing:  # inside another memory's rounds the result may still be too small
            self._memories[name] = value
        return value


def _gain_range(function: SetFunction) -> Interval:
    """Return between what the gains of a set function lie: an item gains most when it is alone, and least last."""
    least = min(0.0, function.each) if isinstance(function, LogDet) else 0.0
    return Interval(least, float(alone(function).max(initial=0.0)))


def _combine(op: str, parts: list[Interval]) -> Interval:
    if not parts:
        return Interval(0.0, 0.0)
    if op == "min":
        return Interval(min(p.low for p in parts), min(p.high for p in parts))
    if op == "max":
        return Interval(max(p.low for p in parts), max(p.high for p in parts))
    result = parts[0]
    for part in parts[1:]:
        result = result + part if op == "sum" else result * part if op == "product" else result.join(part)
    return result
