"""From a program that reads other agents to one of ordinary fields, for one agent among those that there are.

A field with `who` has an axis of agents. It is carried through arithmetic agent by agent, and a reduction over it is
one over agents:

- `team.obs` is an observation for each agent; `norm(team.obs[0:2])` reduces each one's vector and is a number for each;
- `max(norm(team.obs[0:2]))` is then a single number.

A reduction counts only agents that act on the step. Over nobody `sum`, `mean`, `min`, `max` and `count` are 0, `any` is
false and `all` true. An agent that does not act shows its last observation, the idle action and a reward of 0.

What is read goes into places of an ordinary transition: observations and actions become mappings by agent, numbers come
under `KEY` of info. So no backend knows of agents.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.layout import Layout, bind, shape_in
from rewardspec.ir.passes import drop_unread_propositions, map_expressions
from rewardspec.ir.program import Program
from rewardspec.ir.show import show_agents
from rewardspec.team.roster import Roster

KEY = "rewardspec/agents"
"""Key of info under which a host tells of each agent: reward, terminated, truncated, present, paid, info, label."""

JOINT = "rewardspec/joint"
"""Key of info under which a host tells what the joint terms pay."""

SPACES = ("obs", "next_obs", "action")
"""Roots that become mappings by agent where another agent's are read."""

GREATEST = sys.float_info.max


@dataclass(frozen=True)
class Each:
    """An expression for each of several agents.

    Attributes:
        who: As the spec says it.
        names: The agents.
        of: One expression each.
    """

    who: ir.Agents
    names: tuple[str, ...]
    of: tuple[Expr, ...]


def reads_spaces_of_others(program: Program) -> bool:
    """Return whether a program reads another agent's observation or action."""
    return any(f.who is not None and f.who.word != "joint" and f.root in SPACES for f in program.fields())


def reads_others(program: Program) -> bool:
    """Return whether a program reads anything of other agents, or what joint terms or own ones pay."""
    return any(f.who is not None or f.root == "paid" for f in program.fields())


def bind_agent(program: Program, me: str | None, roster: Roster) -> Layout:
    """Return a program bound to an agent's place among the others; `me` is None for joint terms.

    Raises:
        MismatchError: As `bind`; `no-such-agent`, `mixed-agents`, `agents-not-reduced`.
    """
    program = drop_unread_propositions(program)
    if me is not None and not reads_others(program):
        return bind(program, roster.observations[me], roster.actions[me])
    composed = me is None or reads_spaces_of_others(program)
    if composed:
        observation: Any = spaces.Dict(dict(roster.observations))
        action: Any = spaces.Dict(dict(roster.actions))
    else:
        assert me is not None
        observation, action = roster.observations[me], roster.actions[me]
    resolver = _Resolver(me, roster, composed, lambda f: action if f.root == "action" else observation)
    resolved = map_expressions(program, resolver.number)
    if resolver.problems:
        raise MismatchError(list(dict.fromkeys(resolver.problems)))
    return bind(resolved, observation, action)


class _Resolver:
    """Rewrites the expressions of one program."""

    def __init__(
        self, me: str | None, roster: Roster, composed: bool, space_for: Callable[[ir.Field], Any]
    ) -> None:
        self.me, self.roster, self.composed, self.space_for = me, roster, composed, space_for
        self.problems: list[Problem] = []
        self.known: dict[int, tuple[Expr, Expr | Each]] = {}

    def number(self, expr: Expr) -> Expr:
        """Return a whole expression, which has no axis of agents left."""
        found = self.read(expr)
        if isinstance(found, Each):
            self.problems.append(not_reduced(expr))
            return ir.ZERO
        return found

    def read(self, expr: Expr) -> Expr | Each:
        """Return the expression over ordinary fields; what is shared stays shared."""
        seen = self.known.get(id(expr))
        if seen is not None and seen[0] is expr:
            return seen[1]
        found = self._read(expr)
        self.known[id(expr)] = (expr, found)
        return found

    def _read(self, expr: Expr) -> Expr | Each:
        if isinstance(expr, ir.Field):
            return self.field(expr)
        parts = [self.read(child) for child in ir.children(expr)]
        each = [part for part in parts if isinstance(part, Each)]
        if not each:
            return with_children(expr, [part for part in parts if not isinstance(part, Each)])
        if any(part.names != each[0].names for part in each):
            self.problems.append(_mixed(expr, each))
            return ir.ZERO
        of = tuple(
            with_children(expr, [part.of[k] if isinstance(part, Each) else part for part in parts])
            for k in range(len(each[0].names))
        )
        if isinstance(expr, ir.Reduce) and expr.axis == "value":
            inner = each[0].of
            shapes = [shape_in(x, self.space_for) for x in inner]
            if not any(shapes):
                return self.over_agents(expr, each[0].names, inner)
        return Each(each[0].who, each[0].names, of)

    def over_agents(self, expr: ir.Reduce, names: Sequence[str], values: Sequence[Expr]) -> Expr:
        """Return a reduction over those agents that act on the step."""
        if not names:
            return {"any": ir.FALSE, "all": ir.TRUE}.get(expr.op, ir.ZERO)
        here = [ir.Compare("gt", self.told(name, "present"), ir.ZERO) for name in names]

        def reduced(op: str, items: Iterator[Expr]) -> Expr:
            return ir.Reduce(op, ir.Vector(tuple(items)), place=expr.place)  # type: ignore[arg-type]

        def but(absent: Expr) -> Iterator[Expr]:
            return (ir.Where(p, x, absent) for p, x in zip(here, values, strict=True))

        match expr.op:
            case "sum":
                return reduced("sum", but(ir.ZERO))
            case "mean":
                count = reduced("sum", (ir.Where(p, ir.ONE, ir.ZERO) for p in here))
                return ir.Binary("div", reduced("sum", but(ir.ZERO)), ir.Combine("max", (count, ir.ONE)))
            case "min" | "max":
                beyond = ir.Const(GREATEST if expr.op == "min" else -GREATEST)
                anybody = ir.disjunction(tuple(here))
                return ir.Where(anybody, reduced(expr.op, but(beyond)), ir.ZERO)
            case "all":
                return reduced("all", but(ir.TRUE))
        return reduced(expr.op, but(ir.FALSE))

    def field(self, read: ir.Field) -> Expr | Each:
        """Return an ordinary field, or one for each agent."""
        who = read.who
        if who is None:
            if read.root == "paid":
                assert self.me is not None  # only shares read it, and they are an agent's
                return self.told(self.me, "paid")
            if self.composed and read.root in SPACES:
                assert self.me is not None  # joint terms that read an agent's own were refused
                return replace(read, path=(self.me, *read.path))
            return read
        if who.word == "joint":
            return ir.Field("info", (JOINT,), place=read.place)
        try:
            names = self.roster.select(who, self.me, read.place)
        except MismatchError as error:
            self.problems.extend(error.problems)
            return ir.ZERO
        if who.is_one:
            return self.field_of(read, names[0])
        return Each(who, names, tuple(self.field_of(read, name) for name in names))

    def field_of(self, read: ir.Field, name: str) -> Expr:
        """Return the ordinary field that stands for one agent's."""
        if read.root in SPACES:
            return replace(read, path=(name, *read.path), who=None)
        if read.root in ("info", "label"):
            default = read.default if read.root == "info" else 0.0
            return ir.Field("info", (KEY, name, read.root, *read.path), default, read.place)
        return self.told(name, read.root)

    def told(self, name: str, what: str) -> ir.Field:
        """Return the field for a number that the host tells of an agent."""
        return ir.Field("info", (KEY, name, what))


def with_children(expr: Expr, new: Sequence[Expr]) -> Expr:
    """Return an expression with other operands, itself where they are the same."""
    if all(a is b for a, b in zip(new, ir.children(expr), strict=True)):
        return expr
    items = iter(new)
    return ir.map_children(expr, lambda _: next(items))


def find_not_reduced(program: Program) -> Iterator[Problem]:
    """Yield a problem for each expression that leaves a value for each of several agents, whoever they are."""
    said: set[int] = set()
    for root in program.roots():
        stack = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, ir.Reduce):
                continue
            if isinstance(node, ir.Field) and node.who is not None and not node.who.is_one:
                if id(node) not in said:
                    said.add(id(node))
                    yield not_reduced(node)
                continue
            stack.extend(ir.children(node))


def not_reduced(expr: Expr) -> Problem:
    """Return the problem of an expression with an axis of agents where a number is needed."""
    read = next(
        n for n in ir.walk(expr) if isinstance(n, ir.Field) and n.who is not None and not n.who.is_one
    )
    assert read.who is not None
    who = show_agents(read.who)
    return Problem(
        "agents-not-reduced",
        f"a value for each of '{who}' stands where one number is needed",
        read.place,
        (f"Join them: mean({who}.{read.root}), or sum, min, max, any, all, count.",),
    )


def _mixed(expr: Expr, each: Sequence[Each]) -> Problem:
    names = list(dict.fromkeys(show_agents(part.who) for part in each))
    return Problem(
        "mixed-agents",
        f"values for each of '{names[0]}' meet values for each of '{names[-1]}'",
        next((n.place for n in ir.walk(expr) if isinstance(n, ir.Field) and n.who is not None), Place()),
        ("Reduce each by itself, as in mean(team.reward) - mean(opponents.reward).",),
    )  # fmt: skip
