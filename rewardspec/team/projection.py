"""A joint machine as one agent can tell it: its projection onto the propositions that are the agent's own.

States that differ only by what others did are one state of the projection: the least equivalence with u ~ v where a
label without local propositions leads from u to v, and which equal local labels preserve. Entering a class that holds a
terminal state pays what the machine pays for entering that state; other steps between classes pay what the edges pay,
which must agree; a step that the agent cannot tell pays nothing.

Deviation: in the paper one event happens at a time, and reaching the end pays 1. Here a label may hold several
propositions; those of others are taken as false where a local label's successor is looked up, as they are there.

Source: Neary, Xu, Wu and Topcu, "Reward machines for cooperative multi-agent reinforcement learning" (AAMAS 2021,
arXiv 2007.01962), section 4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rewardspec.errors import Place, Problem, SpecError, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.passes import drop_unread_propositions, map_expressions
from rewardspec.ir.program import Edge, Machine, Program

MAX_LOCAL = 8
"""Local propositions of one machine: the projection looks at each set of them."""


@dataclass(frozen=True)
class Projection:
    """A projected machine.

    Attributes:
        machine: The machine; its outputs are some of the original's.
        classes: Per original state, the state of the projection.
        outputs: Per output of the projection, the original output that pays the same.
        done: States of the projection that hold a terminal state of the original: the agent's part is done.
    """

    machine: Machine
    classes: tuple[int, ...]
    outputs: tuple[int, ...]
    done: frozenset[int]


def project(program: Program, local: Sequence[str], place: Place) -> Program:
    """Return joint terms as an agent pays them that can tell only some propositions; it never ends the episode.

    Args:
        program: The joint program.
        local: The agent's propositions.
        place: Where the spec says so.

    Raises:
        SpecError: `unknown-proposition`; `unfit-projection` where the machines cannot be told by these propositions.
    """
    known = [p.name for p in program.propositions]
    unknown = [name for name in local if name not in known]
    if unknown:
        hint = f"The joint terms read: {list_names(known)}.{near_miss(unknown[0], known)}"
        message = f"no joint term reads a proposition '{unknown[0]}'"
        raise SpecError(Problem("unknown-proposition", message, place, (hint,)))
    if program.folds or program.sets or not program.machines:
        raise _unfit("only reward machines without counters can be projected", place)
    found = {machine.name: project_machine(machine, local, place) for machine in program.machines}

    def change(node: Expr) -> Expr:
        if isinstance(node, ir.OutputTable):
            return ir.OutputTable(
                node.machine, tuple(node.values[output] for output in found[node.machine].outputs)
            )
        if isinstance(node, ir.StateTable):
            projection = found[node.machine]
            values = [node.values[0]] * len(projection.machine.states)
            for u, where in enumerate(projection.classes):
                values[where] = node.values[u]
            if any(node.values[u] != values[where] for u, where in enumerate(projection.classes)):
                message = "a term pays by states that the projection does not tell apart"
                raise _unfit(message, place)
            return ir.StateTable(node.machine, tuple(values), node.after)
        return node

    machines = tuple(found[machine.name].machine for machine in program.machines)
    program = replace(program, machines=machines, ends=(), verdicts=())
    return drop_unread_propositions(map_expressions(program, lambda expr: ir.rewrite(expr, change)))


def project_machine(machine: Machine, local: Sequence[str], place: Place = Place()) -> Projection:  # noqa: B008
    """Return a machine's projection onto local propositions.

    Raises:
        SpecError: `unfit-projection`.
    """
    names = tuple(name for name in machine.propositions if name in set(local))
    if len(names) > MAX_LOCAL:
        message = f"{len(names)} local propositions of one machine; the projection takes {MAX_LOCAL}"
        raise _unfit(message, place)
    bits = [1 << machine.propositions.index(name) for name in names]
    mask = sum(bits)
    labels = [sum(bit for i, bit in enumerate(bits) if chosen >> i & 1) for chosen in range(1 << len(bits))]
    classes = _merge(machine, mask, labels)
    order = list(dict.fromkeys(classes))
    number = {representative: i for i, representative in enumerate(order)}
    members = [[u for u, c in enumerate(classes) if c == representative] for representative in order]
    entering = _entering(machine, members, place)
    _refuse_hidden_payments(machine, mask, classes, place)
    outputs: list[int] = [0]
    edges: list[tuple[Edge, ...]] = []
    for group in members:
        leaving: list[Edge] = []
        for chosen, label in enumerate(labels):
            taken = [edge for u in group if (edge := _edge(machine, u, label)) is not None]
            if not chosen or not taken or any(u in machine.terminal for u in group):
                continue
            target = number[classes[taken[0].target]]
            paid = entering.get(target) if members[target] is not group else None
            if paid is None:
                paid = _agreed(machine, {edge.output for edge in taken}, members[target], place)
            if members[target] is group and machine.payments[paid] == machine.payments[0]:
                continue
            if paid not in outputs:
                outputs.append(paid)
            leaving.append(Edge((1 << len(bits)) - 1, chosen, target, outputs.index(paid)))
        edges.append(tuple(leaving))
    projected = Machine(
        machine.name,
        names,
        tuple("|".join(machine.states[u] for u in group) for group in members),
        number[classes[machine.start]],
        tuple(edges),
        tuple(machine.payments[output] for output in outputs),
        place=machine.place,
    )
    done = frozenset(number[classes[u]] for u in machine.terminal)
    if len(members) == 1 and len(machine.states) > 1:
        said = f"by {list_names(names)}" if names else "without propositions of their own"
        raise _unfit(f"{said} these agents cannot tell any states of '{machine.name}' apart", place)
    return Projection(projected, tuple(number[c] for c in classes), tuple(outputs), done)


def _merge(machine: Machine, mask: int, labels: Sequence[int]) -> list[int]:
    """Return each state's class, by its least member."""
    parent = list(range(len(machine.states)))

    def root(u: int) -> int:
        while parent[u] != u:
            parent[u] = u = parent[parent[u]]
        return u

    def join(u: int, v: int) -> bool:
        a, b = sorted((root(u), root(v)))
        parent[b] = a
        return a != b

    alive = [u for u in range(len(machine.states)) if u not in machine.terminal]
    for u in alive:
        for edge in machine.edges[u]:
            if not edge.value & mask:  # a label without local propositions can take it
                join(u, edge.target)
    changed = True
    while changed:
        changed = False
        for label in labels[1:]:
            first: dict[int, int] = {}
            for u in alive:
                taken = _edge(machine, u, label)
                if taken is not None:
                    changed |= join(first.setdefault(root(u), taken.target), taken.target)
    return [root(u) for u in range(len(machine.states))]


def _edge(machine: Machine, u: int, label: int) -> Edge | None:
    """Return the edge that a label takes; None where it takes none, which says nothing of what is the same state."""
    if u in machine.terminal:
        return None
    return next((edge for edge in machine.edges[u] if label & edge.mask == edge.value), None)


def _entering(machine: Machine, members: Sequence[Sequence[int]], place: Place) -> dict[int, int]:
    """Return, per class with a terminal state, the output that entering the state gives."""
    found: dict[int, int] = {}
    for number, group in enumerate(members):
        outputs = {
            edge.output
            for u, leaving in enumerate(machine.edges)
            if u not in machine.terminal
            for edge in leaving
            if edge.target in machine.terminal and edge.target in group
        }
        if outputs:
            found[number] = _agreed(machine, outputs, group, place)
    return found


def _agreed(machine: Machine, outputs: set[int], group: Sequence[int], place: Place) -> int:
    first = min(outputs)
    if any(machine.payments[output] != machine.payments[first] for output in outputs):
        names = list_names(machine.states[u] for u in group)
        raise _unfit(f"edges of '{machine.name}' that lead to {names} pay differently", place)
    return first


def _refuse_hidden_payments(machine: Machine, mask: int, classes: Sequence[int], place: Place) -> None:
    """Raise where the machine pays, before its end, for what these agents cannot tell."""
    for u, leaving in enumerate(machine.edges):
        for edge in leaving:
            hidden = not edge.value & mask and classes[u] == classes[edge.target]
            if (
                hidden
                and edge.target not in machine.terminal
                and machine.payments[edge.output] != machine.payments[0]
            ):
                message = (
                    f"'{machine.name}' pays for a step from '{machine.states[u]}' to '{machine.states[edge.target]}' "
                    "that these agents cannot tell"
                )
                raise _unfit(message, place)


def _unfit(message: str, place: Place) -> SpecError:
    hint = "Leave 'local' out: these agents then see the joint machine's state and get what it pays."
    return SpecError(Problem("unfit-projection", message, place, (hint,)))


def find_disagreement(machine: Machine, projections: Sequence[Projection]) -> list[str] | None:
    """Return a sequence of single events after which machine and projections differ on being done; None for none.

    The machine decomposes when all projections are done exactly where it is: then agents that each do their part do the
    whole (the paper's theorem 1, for events one at a time).
    """
    start = (machine.start, *(p.machine.start for p in projections))
    traces: dict[tuple[int, ...], list[str]] = {start: []}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        u, rest = state[0], state[1:]
        all_done = all(v in p.done for v, p in zip(rest, projections, strict=True))
        if (u in machine.terminal) is not all_done:
            return traces[state]
        if u in machine.terminal:
            continue
        for i, name in enumerate(machine.propositions):
            following = [machine.step(u, 1 << i)[0]]
            for v, projection in zip(rest, projections, strict=True):
                names = projection.machine.propositions
                label = 1 << names.index(name) if name in names else 0
                following.append(projection.machine.step(v, label)[0])
            found = tuple(following)
            if found not in traces:
                traces[found] = [*traces[state], name]
                queue.append(found)
    return None
