"""Kind `reward_machine`: states, guarded edges, rewards on the edges; with counters, a counting reward machine."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from rewardspec.errors import FormulaError, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.machine import payment
from rewardspec.ir.program import MAX_MACHINE_PROPOSITIONS, Edge, Fold, Machine
from rewardspec.logic.diagrams import Cube, Diagrams, TooLargeError
from rewardspec.logic.guards import (
    Guard,
    find_overlap,
    guard_cubes,
    guard_names,
    parse_guard,
    show_label,
    union_of,
)
from rewardspec.logic.syntax import FALSE, Node
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import (
    ExpressionText,
    Forms,
    GuardText,
    Model,
    ModelError,
    Name,
    Number,
    in_pieces,
    one_or_many,
)

OTHERWISE = "otherwise"
"""Guard that holds where no other guard of the state does."""

MAX_STATES = 20_000

MAX_EDGES = 20_000

MAX_OVERLAPS = 50
"""Overlapping guards that are told apart before the search ends."""

MAX_DIAGRAM = 100_000
"""Nodes of the decision diagram that finds overlaps without comparing every pair of edges."""

MAX_TABLE = 1_000_000
"""Cells of the tables that tell which edges pay which expression and change which counter."""


StateName = Annotated[str, Field(min_length=1, max_length=80)]

StateNames = Annotated[
    tuple[StateName, ...],
    BeforeValidator(one_or_many, json_schema_input_type=StateName | tuple[StateName, ...]),
    Forms("text or a list of texts", "one state as it is, or several as in [want, have]"),
]
"""A list of states; one state may stand without brackets."""


class EdgeSpec(Model):
    """One edge, or the same edge from several states."""

    from_: StateNames = Field(
        alias="from", min_length=1, description="State, or list of states, that the edge leaves."
    )
    to: StateName | None = Field(
        None, description="State that the edge enters; the same state when not given."
    )
    when: GuardText = Field("true", description="Guard over propositions, or `otherwise`.")
    reward: ExpressionText = Field("0", description="What taking the edge pays: a number or an expression.")
    count: dict[Name, ExpressionText] = Field(
        default_factory=dict, description="New values of counters, such as {laps: laps + 1}."
    )


class RewardMachine(Model):
    """Pays what the edge taken on each step pays.

    Formula: u_{t+1} = delta(u_t, L(s, a, s')), r_t = sigma(u_t, L(s, a, s'))(s, a, s')

    Where no guard holds the machine stays where it is and pays 0. Two guards of a state that can hold together are an
    error. A terminal state ends the episode (`terminated`). Counters start each episode at their value and change on
    edges; `propositions` over counters can be used in guards, which makes a counting reward machine.

    Source: Toro Icarte et al. (JAIR 73, 2022), definition 3.1. Counters: Bester et al., "Counting Reward Automata"
    (2024), restricted to counters that guards read through declared propositions.
    """

    edges: Annotated[tuple[EdgeSpec, ...], in_pieces(MAX_EDGES)] = Field(
        description="The edges.", min_length=1
    )
    start: StateName = Field(description="Initial state.")
    terminal: StateNames = Field((), description="States that end the episode.")
    counters: dict[Name, Number] = Field(default_factory=dict, description="Counters and their first values.")
    propositions: dict[Name, ExpressionText] = Field(
        default_factory=dict, description="Truth values over counters, for guards."
    )

    @field_validator("edges")
    @classmethod
    def _check_size(cls, edges: tuple[EdgeSpec, ...]) -> tuple[EdgeSpec, ...]:
        if len({name for edge in edges for name in edge.from_}) > MAX_STATES:
            raise ModelError("document-too-large", f"a machine has at most {MAX_STATES} states")
        return edges


@dataclass(frozen=True)
class _Arrow:
    """An edge on its way to cubes: where it was written, its guard, its target and output."""

    index: int
    guard: Guard
    target: int
    output: int


def lower(term: RewardMachine, scope: Scope) -> Expr:
    """Return the machine's payment; declares the machine, its counters and their propositions."""
    states = _states(term)
    _check_names(term, states, scope)
    # Several machines may stand inside one term: what is a machine's own is named after it, not after the term.
    own_name = scope.unique("", scope.draft.machines)
    counters = _own_names(term.counters, own_name, scope.draft.folds)
    names: dict[str, Expr] = {**scope.names, **{name: ir.Memory(full) for name, full in counters.items()}}
    local = _declare_propositions(term, own_name, names, scope)
    declared = [*scope.draft.propositions]
    visible = {written: full for written, full in local.items()}
    guards, used = _read_guards(term, scope, declared, visible)
    propositions = tuple(name for name in declared if name in used)
    if len(propositions) > MAX_MACHINE_PROPOSITIONS:
        scope.problem(
            "too-many-propositions",
            f"the machine reads {len(propositions)} propositions; the limit is {MAX_MACHINE_PROPOSITIONS}",
            hints=("Split it into several machines: their rewards add up.",),
        )
        return ir.ZERO
    outputs = _read_outputs(term, scope, names)
    arrows = _arrange(term, states, guards, outputs)
    edges = _to_cubes(arrows, states, propositions, scope)
    # Output numbers identify (payment, counter changes); payments[output] is what it pays.
    machine = Machine(
        name=own_name,
        propositions=propositions,
        states=tuple(states),
        start=states.get(term.start, 0),
        edges=edges,
        payments=tuple(paid for paid, _ in outputs.table),
        terminal=frozenset(states[name] for name in term.terminal if name in states),
        place=scope.at(),
    )
    scope.machine(machine)
    _declare_counters(term, counters, machine, outputs, scope)
    return payment(machine)


def _states(term: RewardMachine) -> dict[str, int]:
    """Return the states in the order in which the text names them, the initial one first."""
    found: dict[str, None] = {term.start: None}
    for edge in term.edges:
        found.update(dict.fromkeys(edge.from_))
        if edge.to is not None:
            found.setdefault(edge.to)
    return {name: i for i, name in enumerate(found)}


def _check_names(term: RewardMachine, states: Mapping[str, int], scope: Scope) -> None:
    sources = {name for edge in term.edges for name in edge.from_}
    for i, name in enumerate(term.terminal):
        if name not in states:
            scope.problem(
                "unknown-state",
                f"the terminal state '{name}' has no edge",
                "terminal",
                i,
                hints=(f"States here: {list_names(states)}.{near_miss(name, states)}",),
            )
    if term.start not in sources:
        scope.problem(
            "unknown-state",
            f"no edge leaves the initial state '{term.start}'",
            "start",
            hints=(f"States with edges: {list_names(sources)}.{near_miss(term.start, sources)}",),
        )
    for i, edge in enumerate(term.edges):
        for name in edge.from_:
            if name in term.terminal:
                scope.problem(
                    "edge-from-terminal",
                    f"an edge leaves the terminal state '{name}'",
                    "edges",
                    i,
                    "from",
                    hints=("The episode is over there: remove the edge, or take the state off `terminal`.",),
                )


def _own_names(names: Iterable[str], owner: str, taken: Container[str]) -> dict[str, str]:
    """Return the full name of each of a machine's own names: `owner.name`, told apart from what is taken."""
    found: dict[str, str] = {}
    for name in names:
        full = f"{owner}.{name}"
        while full in taken or full in found.values():
            full += "_"
        found[name] = full
    return found


def _declare_propositions(
    term: RewardMachine, owner: str, names: Mapping[str, Expr], scope: Scope
) -> dict[str, str]:
    """Declare the machine's own propositions; return their written names and their full ones."""
    local: dict[str, str] = {}
    full_names = _own_names(term.propositions, owner, scope.draft.propositions)
    for name, text in term.propositions.items():
        if name in scope.draft.propositions or name in scope.names:
            scope.problem("duplicate-name", f"'{name}' is declared already", "propositions", name)
            continue
        full = full_names[name]
        condition = scope.condition(text, "propositions", name, names=names)
        scope.proposition(full, condition, scope.at("propositions", name))
        local[name] = full
    return local


def _read_guards(
    term: RewardMachine, scope: Scope, declared: list[str], local: Mapping[str, str]
) -> tuple[list[Guard], set[str]]:
    """Parse the guard of every edge once per distinct text; return them and the propositions they read."""
    visible = [name for name in declared if name not in local.values()] + list(local)
    known: dict[str, Guard] = {}
    guards: list[Guard] = []
    used: set[str] = set()
    for i, edge in enumerate(term.edges):
        text = edge.when
        if text.strip() in (OTHERWISE, "else"):
            guards.append(Node(OTHERWISE))
            continue
        if text not in known:
            try:
                known[text] = _rename(parse_guard(text, visible), local)
            except FormulaError as error:
                scope.formula_problem(error, "edges", i, "when")
                known[text] = FALSE
        guards.append(known[text])
    for guard in known.values():
        used.update(guard_names(guard))
    return guards, used


def _rename(guard: Guard, local: Mapping[str, str]) -> Guard:
    """Return the guard with the machine's own propositions under their full names."""
    if not local:
        return guard
    if guard.op == "name":
        return Node("name", text=local.get(guard.text, guard.text), offset=guard.offset, length=guard.length)
    args = tuple(_rename(arg, local) for arg in guard.args)
    return Node(guard.op, args, guard.text, offset=guard.offset, length=guard.length, depth=guard.depth)


@dataclass
class _Outputs:
    """The outputs of a machine: per output what it pays and how it changes counters; per edge its output."""

    table: list[tuple[Expr, tuple[tuple[str, Expr], ...]]]
    of_edge: list[int]


def _read_outputs(term: RewardMachine, scope: Scope, names: Mapping[str, Expr]) -> _Outputs:
    table: dict[tuple[Expr, tuple[tuple[str, Expr], ...]], int] = {(ir.ZERO, ()): 0}
    of_edge: list[int] = []
    read: dict[str, Expr] = {"0": ir.ZERO}
    for i, edge in enumerate(term.edges):
        if edge.reward not in read or edge.count:
            paid = scope.expression(edge.reward, "edges", i, "reward", names=names)
            read[edge.reward] = ir.ZERO if paid == ir.ZERO else paid
        changes: list[tuple[str, Expr]] = []
        for counter, text in edge.count.items():
            if counter not in term.counters:
                scope.problem(
                    "unknown-counter",
                    f"unknown counter '{counter}'",
                    "edges",
                    i,
                    "count",
                    counter,
                    hints=(
                        f"declared here: {list_names(term.counters)}.{near_miss(counter, term.counters)}",
                    ),
                )
                continue
            changes.append((counter, scope.expression(text, "edges", i, "count", counter, names=names)))
        key = (read[edge.reward], tuple(changes))
        of_edge.append(table.setdefault(key, len(table)))
    computed = sum(len(changes) + (not isinstance(paid, ir.Const)) for paid, changes in table)
    if computed * len(table) > MAX_TABLE:
        scope.problem(
            "document-too-large",
            f"{len(table)} different rewards and counter changes, {computed} of them computed, are too many",
            "edges",
            hints=("Let edges share expressions: a signal or a counter can tell them apart.",),
        )
        return _Outputs([(ir.ZERO, ())], [0] * len(term.edges))
    return _Outputs(list(table), of_edge)


def _arrange(
    term: RewardMachine, states: Mapping[str, int], guards: list[Guard], outputs: _Outputs
) -> list[list[_Arrow]]:
    """Return the edges by the state they leave; `otherwise` becomes the negation of its rivals."""
    arrows: list[list[_Arrow]] = [[] for _ in states]
    for i, edge in enumerate(term.edges):
        for name in edge.from_:
            target = states[edge.to if edge.to is not None else name]
            arrows[states[name]].append(_Arrow(i, guards[i], target, outputs.of_edge[i]))
    for state, leaving in enumerate(arrows):
        rivals = tuple(arrow.guard for arrow in leaving if arrow.guard.op != OTHERWISE)
        if len(rivals) == len(leaving):
            continue
        either = Node("or", rivals) if len(rivals) > 1 else rivals[0] if rivals else FALSE
        arrows[state] = [
            _Arrow(a.index, Node("not", (either,)), a.target, a.output) if a.guard.op == OTHERWISE else a
            for a in leaving
        ]
    return arrows


def _to_cubes(
    arrows: list[list[_Arrow]], states: Mapping[str, int], propositions: tuple[str, ...], scope: Scope
) -> tuple[tuple[Edge, ...], ...]:
    """Return each state's edges as disjoint cubes; note overlaps with a valuation that shows them."""
    cubes: dict[Guard, tuple[Cube, ...]] = {}
    names, reported = list(states), 0
    result: list[tuple[Edge, ...]] = []
    for state, leaving in enumerate(arrows):
        for arrow in leaving:
            if arrow.guard not in cubes:
                try:
                    cubes[arrow.guard] = guard_cubes(arrow.guard, propositions)
                except FormulaError as error:
                    scope.formula_problem(error, "edges", arrow.index, "when")
                    cubes[arrow.guard] = ()
        for arrow, other, label in islice(_overlaps(leaving, cubes), MAX_OVERLAPS - reported):
            reported += 1
            shown = show_label(label, propositions)
            scope.problem(
                "overlapping-guards",
                f"two edges leave '{names[state]}' on a step with {shown}",
                "edges",
                arrow.index,
                "when",
                hints=(f"The other one is edges[{other.index}]. Make their guards exclude each other.",),
            )
        result.append(
            tuple(
                Edge(mask, value, arrow.target, arrow.output)
                for arrow in leaving
                for mask, value in cubes[arrow.guard]
                if not (arrow.target == state and arrow.output == 0)
            )
        )
    return tuple(result)


def _overlaps(
    leaving: list[_Arrow], cubes: Mapping[Guard, tuple[Cube, ...]]
) -> Iterator[tuple[_Arrow, _Arrow, int]]:
    """Yield each edge whose guard overlaps that of an earlier one, the first such edge, and a label in both."""
    diagrams = Diagrams(MAX_DIAGRAM)
    covered: int | None = Diagrams.FALSE  # by the edges so far; None once that became too large to know
    for i, arrow in enumerate(leaving):
        try:
            if covered is not None:
                taken = union_of(diagrams, cubes[arrow.guard])
                if diagrams.both(covered, taken) == Diagrams.FALSE:
                    covered = diagrams.either(covered, taken)
                    continue
        except TooLargeError:
            covered = None
        for other in leaving[:i]:
            label = find_overlap(cubes[other.guard], cubes[arrow.guard])
            if label is not None:
                yield arrow, other, label
                break


def _declare_counters(
    term: RewardMachine, full_names: Mapping[str, str], machine: Machine, outputs: _Outputs, scope: Scope
) -> None:
    for counter, start in term.counters.items():
        changes: dict[Expr, list[bool]] = {}
        for output, (_, updates) in enumerate(outputs.table):
            for name, update in updates:
                if name == counter:
                    changes.setdefault(update, [False] * len(outputs.table))[output] = True

        full = full_names[counter]
        options = [(tuple(taken), update) for update, taken in changes.items()]
        scope.draft.folds[full] = Fold(full, start, _choose(machine.name, options, ir.Memory(full)))


def _choose(machine: str, options: Sequence[tuple[tuple[bool, ...], Expr]], otherwise: Expr) -> Expr:
    """Return the expression of the option whose outputs hold the one given: a balanced tree, not a long chain."""
    if not options:
        return otherwise
    if len(options) == 1:
        return ir.Where(ir.OutputTable(machine, options[0][0]), options[0][1], otherwise)
    half = len(options) // 2
    first = tuple(any(flags) for flags in zip(*(taken for taken, _ in options[:half]), strict=True))
    left, right = options[:half], options[half:]
    # Within the first half one of its options is taken, so its last needs no test.
    inner = _choose(machine, left[:-1], left[-1][1])
    return ir.Where(ir.OutputTable(machine, first), inner, _choose(machine, right, otherwise))


KIND = Kind(RewardMachine, "edges", lower)
