"""Machines, folds, terms and the program they form: what the compiler makes and every backend executes.

The order of one step, fixed here and nowhere else:

1. propositions are read on the transition; folds and machines still have their values from before it;
2. every machine takes its edge on the label (or stays where no guard holds);
3. folds take their next value; `Memory(after=True)` and `StateTable(after=True)` read the new ones; sets take the
   step's item, and `Gain` reads what it added;
4. the ends are known: the environment's own flags, joined with the program's;
5. every term pays; the reward is their sum.

Steps 2 to 5 refer to each other by demand, never in a circle (the compiler checks).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rewardspec.errors import Place
from rewardspec.ir.expr import Expr, Field, Root, children, walk

if TYPE_CHECKING:
    from rewardspec.sets.family import SetFunction

MAX_MACHINE_PROPOSITIONS = 62
"""A machine's label is one 64-bit integer."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of a machine: taken when `label & mask == value`.

    Attributes:
        mask: Bits of the machine's label that the guard looks at.
        value: What those bits must be.
        target: Next state.
        output: Which of the machine's outputs the edge gives; 0 is the silent one.
    """

    mask: int
    value: int
    target: int
    output: int = 0


@dataclass(frozen=True)
class Machine:
    """A finite-state machine over propositions; its edges' cubes are pairwise disjoint in each state.

    Attributes:
        name: Unique in the program.
        propositions: Names; bit i of the machine's label is `propositions[i]`.
        states: Names of the states.
        start: Index of the initial state.
        edges: Per state, its edges. Where no guard holds the machine stays and gives output 0.
        payments: Per output, what the edge pays; `payments[0]` is zero.
        terminal: States that end the episode.
        accepting: States of an automaton that accept; empty for a reward machine.
        place: Where the spec declares it.
    """

    name: str
    propositions: tuple[str, ...]
    states: tuple[str, ...]
    start: int
    edges: tuple[tuple[Edge, ...], ...]
    payments: tuple[Expr, ...]
    terminal: frozenset[int] = frozenset()
    accepting: frozenset[int] = frozenset()
    place: Place = field(default=Place(), compare=False, repr=False)

    def step(self, state: int, label: int) -> tuple[int, int]:
        """Return the next state and the output for a label of this machine's own bits."""
        for edge in self.edges[state]:
            if label & edge.mask == edge.value:
                return edge.target, edge.output
        return state, 0


@dataclass(frozen=True)
class Fold:
    """A memory: `start` at reset, then `update` once a step.

    Attributes:
        name: Unique in the program.
        start: Value at the start of an episode, or of the run.
        update: Next value, an expression that may read `Memory(name)`.
        scope: `episode` starts anew at each reset; `run` outlives it (running statistics).
        observed: Whether the agent must see it for the task to stay Markov.
        low: Least value, for the observation space.
        high: Greatest value, likewise.
    """

    name: str
    start: float
    update: Expr
    scope: Literal["episode", "run"] = "episode"
    observed: bool = True
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class SetMemory:
    """A set that grows by an item a step; `Gain(name)` reads what the item adds to the value of the set.

    On each step `first` joins the set, unpaid, where there is one; then `item`, for the gain. An item is a whole number
    below the size of the ground set, read on the transition alone; -1 is none. The set is empty at reset.

    Attributes:
        name: Unique in the program.
        function: The set function; a frozen value that prints.
        item: What is added.
        first: The same read on the observation before the step: where an episode begins is in the set.
        observed: Whether the agent must see a summary of the set for the task to stay Markov.
        place: Where the spec declares it.
    """

    name: str
    function: SetFunction
    item: Expr
    first: Expr | None = None
    observed: bool = True
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True)
class ParamValue:
    """A number that the host may change, with the value it starts from."""

    name: str
    initial: float


@dataclass(frozen=True)
class Proposition:
    """A named truth value of a transition."""

    name: str
    expr: Expr
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True)
class Term:
    """A named part of the reward: what it pays on this step, weight included."""

    name: str
    kind: str
    expr: Expr
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True)
class End:
    """A condition under which the program ends the episode."""

    when: Expr
    how: Literal["terminated", "truncated"] = "terminated"


@dataclass(frozen=True)
class Verdict:
    """How to read a formula's four-valued verdict from the states of its machines.

    Attributes:
        term: Name of the term.
        machines: Names of the machines, one per factor of the formula.
        combine: How the factors join.
        tables: Per machine, per state: 3 satisfied for good, 2 satisfied so far, 1 violated so far,
            0 violated for good.
        infinite: Whether the formula is read on infinite words; what is not decided for good is then `open`.
    """

    term: str
    machines: tuple[str, ...]
    combine: Literal["and", "or"]
    tables: tuple[tuple[int, ...], ...]
    infinite: bool = False

    def value(self, states: tuple[int, ...]) -> int:
        """Return the joint verdict for the machines' states."""
        values = [table[state] for table, state in zip(self.tables, states, strict=True)]
        return min(values) if self.combine == "and" else max(values)

    def word(self, states: tuple[int, ...]) -> str:
        """Return the joint verdict in words."""
        value = self.value(states)
        return "open" if self.infinite and value in (1, 2) else VERDICTS[value]


@dataclass(frozen=True)
class Learned:
    """A number that a model says of each step, fitted while an agent trains; `Field("learned", (name,))` reads it.

    A step records what the model sees and what its learner compares; which model that is, and how it is fitted, is
    the learner's business (`rewardspec/learning/`). No backend evaluates it: hosts do, between two programs.

    Attributes:
        name: Unique in the program.
        kind: The reward kind that declared it; it has a learner of that name.
        inputs: What the model sees, numbers or vectors; None for the whole observation and action.
        measures: Named numbers of a step that the learner compares, such as HERON's factors.
        settings: The kind's own options, a frozen value that prints.
        whole: What `inputs` of None stands for.
        place: Where the spec declares it.
    """

    name: str
    kind: str
    inputs: tuple[Expr, ...] | None
    measures: tuple[tuple[str, Expr], ...]
    settings: object
    whole: tuple[Root, ...] = ("obs", "action")
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True)
class Judged:
    """Truths of a step that nobody computes: a judge says them, a language model or what was fitted to one.

    Each is a label of the transition, like those that a labelling function gives, so no backend knows of judges. Hosts
    ask one (`judge=`), in `rewardspec/llm/judges.py` or a user's own.

    Attributes:
        name: Unique in the program.
        kind: The reward kind that declared it.
        questions: What is asked, in words.
        labels: The label in which each answer is handed over, in the same order.
        settings: The kind's own options, a frozen value that prints.
        place: Where the spec declares it.
    """

    name: str
    kind: str
    questions: tuple[str, ...]
    labels: tuple[str, ...]
    settings: object
    place: Place = field(default=Place(), compare=False, repr=False)


VERDICTS = ("violated for good", "violated so far", "satisfied so far", "satisfied for good")

Observe = Literal["auto", "onehot", "index", "dict", "none"]


@dataclass(frozen=True)
class Program:
    """A compiled spec.

    Attributes:
        name: The spec's name.
        discount: The spec's discount, None when it needs none.
        propositions: In the order of declaration.
        machines: In the order of the terms.
        folds: In the order of the terms.
        params: In the order of the terms.
        terms: In the order of the spec; the reward is their sum.
        ends: Conditions that end the episode, besides the environment's own.
        futures: Per `future` field, the expression whose value at the episode's last step it stands for.
        verdicts: One per formula.
        learned: What only a learner can pay, in the order of the terms.
        judged: What only a judge can say, in the order of the terms.
        sets: What was visited, in the order of the terms.
        observe: How memory is added to the observation.
        labels: Name of a ready-made labeller, None when there is none.
    """

    name: str
    discount: float | None
    propositions: tuple[Proposition, ...]
    machines: tuple[Machine, ...]
    folds: tuple[Fold, ...]
    params: tuple[ParamValue, ...]
    terms: tuple[Term, ...]
    ends: tuple[End, ...]
    futures: tuple[tuple[str, Expr], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    learned: tuple[Learned, ...] = ()
    sets: tuple[SetMemory, ...] = ()
    judged: tuple[Judged, ...] = ()
    observe: Observe = "auto"
    labels: str | None = None

    @property
    def scope(self) -> Literal["step", "episode"]:
        """`step` when every reward is known at its own step, else `episode`."""
        return "episode" if self.futures else "step"

    @property
    def has_memory(self) -> bool:
        """Whether the reward depends on more than the transition."""
        return (
            any(len(machine.states) > 1 for machine in self.machines)
            or any(fold.observed for fold in self.folds)
            or any(grown.observed for grown in self.sets)
        )

    @property
    def judged_labels(self) -> tuple[str, ...]:
        """Every label that a judge says."""
        return tuple(label for judged in self.judged for label in judged.labels)

    def machine(self, name: str) -> Machine:
        """Return the machine of that name."""
        return next(machine for machine in self.machines if machine.name == name)

    def roots(self) -> tuple[Expr, ...]:
        """Return every expression that a step evaluates, machines' edges apart."""
        return (
            *(p.expr for p in self.propositions),
            *(f.update for f in self.folds),
            *(expr for s in self.sets for expr in (s.item, s.first) if expr is not None),
            *(e.when for e in self.ends),
            *(t.expr for t in self.terms),
            *(expr for _, expr in self.futures),
            *(expr for learned in self.learned for expr in learned.inputs or ()),
            *(expr for learned in self.learned for _, expr in learned.measures),
        )

    def fields(self) -> tuple[Field, ...]:
        """Return every field that the program reads, each once, in order of first use."""
        found: dict[Field, None] = {}
        for root in self.roots():
            for node in walk(root):
                if isinstance(node, Field):
                    found.setdefault(node)
        return tuple(found)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when the meaning of the program may have changed."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def depth(expr: Expr) -> int:
    """Return the height of an expression tree."""
    return 1 + max((depth(child) for child in children(expr)), default=0)
