"""Text of a step that is fused with the environment's, written for the least work of Python's interpreter.

It does what `Emitter` says, with these differences, each measured (CPython 3.11, `benchmarks/speed/single_step.py`):

- A machine whose output nobody reads but one term, the *payer*, is stepped last. Its leaves assign its state and add
  their payment, so that an output is neither stored nor looked up, and where nothing is paid nothing is added.
- Values are asked for NaN by comparing them with themselves, which makes no float as a sum does.
- The only other term is the reward itself, `paid`, under no name of its own.
- The steps are counted by a float: Python keeps freed ones at hand, large integers it does not.
- A number times an absolute value is a branch in place of a call.
- Memories that only move on are assigned in an order in which none is read after it has changed, under no other name.
- The least and the greatest of values that cannot be NaN, once what was read is none, are not asked for it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rewardspec.backends.decisions import Leaf, Tree, decision_trees, trees_lines
from rewardspec.backends.emitter import INLINE_LENGTH, Emitter, Value, entry_at
from rewardspec.backends.python_text import (
    PARTS,
    folds_that_are,
    function_text,
    is_float,
    is_number,
    never_nan,
    number_text,
    sign_of,
    tuple_text,
)
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Machine

LARGE = 1e300
"""A reward beyond this is looked at again: it may not be finite."""


@dataclass(frozen=True)
class Payer:
    """A machine that pays in the leaves of its decision trees.

    Attributes:
        machine: The machine.
        term: Position of the term that is its payment.
        table: Its payments.
        trees: Its decision trees.
    """

    machine: Machine
    term: int
    table: ir.StateTable | ir.OutputTable
    trees: tuple[Tree, ...]


class FusedEmitter(Emitter):
    """Writes the statements of a fused step.

    Attributes:
        floats: Names of the folds that are floats.
        numbers: Names of the folds that are never NaN.
        payer: The machine that pays in its leaves, if there is one.
        others: Positions of the terms that are not the payer's.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.floats = folds_that_are(self.program, is_float)
        self.numbers = folds_that_are(self.program, never_nan)
        self.payer = self.find_payer()
        positions = range(len(self.program.terms))
        self.others = [i for i in positions if self.payer is None or i != self.payer.term]
        only = self.others[0] if len(self.others) == 1 else None
        alone = only is not None and is_float(self.program.terms[only].expr, self.floats)
        self.reward_name = f"t{only}" if alone else None

    def find_payer(self) -> Payer | None:
        """Return a machine that can pay in its leaves: a term is its payment, which is read nowhere else.

        It is added last. So its term has to be the last one, or one of two, lest the sum be rounded otherwise; and no
        payment may be so large that the sum could overflow.
        """
        count = len(self.program.terms)
        for position in range(0 if count <= 2 else count - 1, count):
            table = self.program.terms[position].expr
            if not isinstance(table, ir.StateTable | ir.OutputTable) or table.truth:
                continue
            if self.tables.get(table.machine) != [table] or self.uses[table] > 1:
                continue
            machine = self.program.machines[self.machines[table.machine]]
            trees = decision_trees(machine)
            if trees is not None and all(abs(value) < LARGE for value in table.values):
                return Payer(machine, position, table, trees)
        return None

    def named(self, value: Value, name: str) -> str:
        """Return code of a term; the only one has no name besides the reward's."""
        return super().named(value, "paid" if name == self.reward_name else name)

    def remembered(self, value: Value, name: str) -> str:
        """Return a name of the value, whichever it has."""
        return self.name(value, None if value.code.isidentifier() else name)

    def build(self, expr: Expr) -> Value:
        """Return code for an expression that is not known yet."""
        match expr:
            case ir.Binary("mul", ir.Const(factor), ir.Call("abs", (x,)) as size) if self.uses[size] == 1:
                value = self.value(x)
                if value.code.isidentifier() and not value.shape:
                    up, down = number_text(float(factor)), number_text(-float(factor))
                    code = f"({up} * {value.code} if {value.code} >= 0.0 else {down} * {value.code})"
                    return Value(code, depth=value.depth + 1)
            case ir.Combine("min" | "max", args):
                sure = [self.value(arg) for arg in args if never_nan(arg, self.numbers)]
                self.sure.update(code for value in sure for code in value.items or (value.code,))
        return super().build(expr)

    # -- the parts of a step -----------------------------------------------------------------------

    def all_but_pay(self) -> tuple[list[str], dict[str, str], list[str]]:
        """Emit all that may fail; return the next state's slots, the flags and the payer's conditions.

        The slots of the payer and of its term keep their names.
        """
        conditions: list[str] = []
        if self.payer is not None:
            conditions = [self.safe_condition(p) for p in self.payer.machine.propositions]
            self.stepped.add(self.payer.machine.name)  # so that `body` leaves it out
            self.known[self.payer.table] = Value("0.0")
        terms, news, flags = self.body()
        if self.payer is not None:
            first = len(self.program.machines) + len(self.program.folds)
            for slot in (self.machines[self.payer.machine.name], first + self.payer.term):
                news[slot] = self.slots[slot]
        self.check([terms[i] for i in self.others])
        return news, flags, conditions

    def safe_condition(self, proposition: str) -> str:
        """Return code of a proposition that cannot raise, since the state has changed when the leaves ask for it."""
        code = self.condition(proposition)
        if len(code) > INLINE_LENGTH or self.may_raise(ir.Holds(proposition)):
            return self.name(Value(code))
        return code

    def may_raise(self, expr: Expr) -> bool:
        """Return whether Python may raise: whole numbers from `info`, or multiplied, can be too large for a float."""
        match expr:
            case ir.Holds(name):
                return self.may_raise(next(p.expr for p in self.program.propositions if p.name == name))
            case ir.Memory(name, after) if after:
                return True
            case ir.Field("info"):
                return True
            case ir.Binary("mul") | ir.Combine("product") if not is_float(expr):
                return True
        return any(self.may_raise(child) for child in ir.children(expr))

    def check(self, terms: list[str]) -> None:
        """Emit `paid`, the sum of the terms, and what refuses a NaN among the values read or a sum not finite.

        The sum is NaN with every value that it feels, so only the others are asked; and where it is never positive it
        cannot be too large.
        """
        exprs = [self.program.terms[i].expr for i in self.others]
        is_summed = any(is_float(expr, self.floats) for expr in exprs)
        paid = " + ".join(terms if is_summed else [*terms, "0.0"])
        if paid != "paid":
            self.emit(f"paid = {paid}")
        unfelt = self.unfelt()
        doubts = [f"{name} != {name}" for name in unfelt if name.isidentifier()]
        sums = [code for code in unfelt if not code.isidentifier()]
        if sums:  # infinities of both signs are NaN, too, so `_refuse` looks again
            self.emit(f"c = {' + '.join(sums)}")
            doubts.append("c != c")
        if not is_number(paid):
            signs = {sign_of(expr) for expr in exprs}
            doubts += [f"not paid > -{LARGE}"] if signs != {"+"} else []
            doubts += [f"not paid < {LARGE}"] if signs != {"-"} else []
        if doubts:
            self.emit(f"if {' or '.join(doubts)}: _refuse({tuple_text(unfelt)}, paid)")

    def pay(self, conditions: list[str]) -> list[str]:
        """Return the payer's step; nothing in it can fail."""
        payer = self.payer
        if payer is None:
            return []
        slot = f"u{self.machines[payer.machine.name]}"

        def assignments(state: int, leaf: Leaf) -> list[str]:
            lines = [f"{slot} = {leaf.target}"] if leaf.target != state else []
            payment = entry_at(payer.table, leaf)
            if payment != "0.0":
                lines += [f"s{payer.term} += {payment}", f"paid += {payment}"]
            return lines

        if len(payer.trees) <= 2:  # asked once at most
            return trees_lines(slot, payer.trees, conditions, assignments)
        return [f"u = {slot}", *trees_lines("u", payer.trees, conditions, assignments)]


def moves(changes: list[tuple[str, str]]) -> list[str]:
    """Return assignments that do what they would all at once: no name is read after it has changed.

    Args:
        changes: Name to assign to, and the name whose value it gets.

    Example:
        >>> moves([("a", "x"), ("b", "a"), ("c", "b")]), moves([("a", "b"), ("b", "a")])
        (['c = b', 'b = a', 'a = x'], ['a, b = b, a'])
    """
    source = dict(changes)
    readers = Counter(name for name in source.values() if name in source)
    ready, lines = [name for name in source if not readers[name]], []
    while ready:
        name = ready.pop()
        before = source.pop(name)
        lines.append(f"{name} = {before}")
        readers[before] -= 1
        if before in source and not readers[before]:
            ready.append(before)
    if source:  # rings
        lines.append(f"{', '.join(source)} = {', '.join(source.values())}")
    return lines


def fused_text(layout: Layout, hooks: frozenset[str]) -> tuple[str, dict[str, Any]]:
    """Return the text of a function that makes `step`, `begin` and `read` of `FusedStep`, and what its names mean.

    `params` and the hooks are names of the text that its namespace must get, too: globals are read as fast as a
    closure's variables and cost nothing in a call.
    """
    emitter = FusedEmitter(layout)
    news, flags, conditions = emitter.all_but_pay()
    obs = "obs" if "remember" in hooks else "None"
    labels = "labels" if hooks & {"read_labels", "read_ready"} else "()"
    state = tuple_text(emitter.slots)  # before the assignments that end the step, and after them
    ended = " or ".join(flags[how] for how in ("terminated", "truncated"))
    kept = [*emitter.slots, "steps", *(["obs"] if "remember" in hooks else [])]
    changes = [(old, new) for old, new in zip(emitter.slots, news, strict=True) if old != new]
    returned = "next_obs"
    step = ["next_obs, reward, terminated, truncated, info = env_step(action)"]
    if "read_labels" in hooks:
        step.append(f"labels = read_labels({obs}, {PARTS})")
    if "read_ready" in hooks:
        step.append("labels = read_ready(action, next_obs, info)")
    step += [
        "try:",
        *(f"    {line}" for line in emitter.finished()),
        "except Exception as error:",
        f"    raise explain(error, int(steps), {state}, {obs}, {PARTS}, {labels}) from error",
        "steps += 1.0",
        # Totals first: they read what the others change.
        *(f"{old} = {new}" for old, new in changes if old.startswith("s")),
        *emitter.pay(conditions),
        *moves([(old, new) for old, new in changes if not old.startswith("s")]),
    ]
    step.append(f"if {ended}: info = report(info, {state})")
    if "remember" in hooks:
        step.append("obs = remember(next_obs)")
    if "extend" in hooks:
        returned = f"extend(next_obs, {state})"
    step.append(f"return {returned}, paid, {flags['terminated']}, {flags['truncated']}, info")
    unpack = [f"{', '.join(emitter.slots)}, = state"] if emitter.slots else []
    text = function_text(
        "def fused():",
        [
            " = ".join(dict.fromkeys(["obs", *kept, "None"])),
            "def step(action):",
            f"    nonlocal {', '.join(kept)}",
            *(f"    {line}" for line in step),
            "def begin(new_env_step, state, new_steps, new_obs):",
            "    global env_step",  # as `params` and the hooks: what never changes in a step costs nothing there
            f"    nonlocal {', '.join(kept)}",
            "    env_step, steps = new_env_step, float(new_steps)",
            *(["    obs = new_obs"] if "remember" in hooks else []),
            *(f"    {line}" for line in unpack),
            "def read():",
            f"    return {state}, int(steps), obs",
            "return step, begin, read",
        ],
    )
    return text, emitter.namespace
