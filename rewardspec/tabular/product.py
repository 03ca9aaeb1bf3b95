"""The product of a finite world and a program: what a spec pays, as one table over memory, state and action.

Memory is what a program carries from step to step: the states of its machines and those folds on which anything that
it pays, ends or remembers depends. All memory that the world can lead to is found breadth first; each find costs one
step of the array backend over every transition of the world at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.backends.array import ArrayProgram, compile_array
from rewardspec.errors import MismatchError, NonFiniteRewardError, Problem, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import bind
from rewardspec.ir.program import Program
from rewardspec.tabular.world import TabularWorld
from rewardspec.transition import Transition

MAX_MEMORY = 20_000
"""Memory states after which the search gives up."""

MAX_CELLS = 50_000_000
"""Cells of one table of the product after which it gives up, too."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Product:
    """A Markov decision process over (memory, state of the world) that pays what a program pays.

    U memory states in which an episode goes on, F more in which episodes end; S states, A actions and K outcomes as
    in the world. Where an outcome has probability 0 the tables hold zeros.

    Attributes:
        world: The world; its probabilities are the product's.
        program: The program, bound to the world's spaces.
        memory: `[U + F, M]` float64, states of machines (by number) and folds; row 0 is where episodes begin.
        columns: M names: the machines', then the folds'.
        names: U + F names of memory states, as a reader would say them.
        next_memory: `[U, S, A, K]` int64; below U except where `terminated`, from U on there.
        reward: `[U, S, A, K]` float64.
        reward_at_limit: `[U, S, A, K]` float64, what is paid when the world's horizon truncates the episode at this
            step; the same array as `reward` for programs that do not look.
        terminated: `[U, S, A, K]` bool, the world's flag or the program's.
        truncated: `[U, S, A, K]` bool, where the program itself truncates.
    """

    world: TabularWorld
    program: Program
    memory: Floats
    columns: tuple[str, ...]
    names: tuple[str, ...]
    next_memory: Integers
    reward: Floats
    reward_at_limit: Floats
    terminated: Booleans
    truncated: Booleans

    @property
    def n_memory(self) -> int:
        """U: memory states in which an episode goes on."""
        return int(self.next_memory.shape[0])

    @property
    def ended(self) -> Booleans:
        """`[U, S, A, K]`: where an episode is over, the world's horizon apart."""
        return self.terminated | self.truncated

    def machine_state(self, memory: int, machine: str) -> str:
        """Return the name of a machine's state in a memory state."""
        number = int(self.memory[memory, self.columns.index(machine)])
        return self.program.machine(machine).states[number]


@dataclass
class _Search:
    """Memory found so far, numbered in the order of discovery."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    rows: list[Floats] = field(default_factory=list)

    def number(self, row: Floats) -> int:
        """Return the number of a memory state, a new one for a new state."""
        key = row.tobytes()
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            self.rows.append(row)
        return self.numbers[key]


def take_product(
    program: Program, world: TabularWorld, *, params: Mapping[str, float] | None = None
) -> Product:
    r"""Return the product of a world and a program.

    Args:
        program: A compiled spec in which every reward is known at its own step.
        world: The finite world. What the spec calls `label.name` is the world's label of that name.
        params: Values of parameters that differ from their initial ones.

    Raises:
        MismatchError: When the program reads what the world does not have: `missing-label`, `not-tabular` for info.
        UnsupportedError: `needs-whole-episodes`; `unbounded-memory` where a fold takes too many values, or where
            what is paid depends on statistics over a whole run or on other environments.
        NonFiniteRewardError: When some transition is paid NaN or infinity.

    Example:
        >>> import gymnasium
        >>> from rewardspec import compile_spec, loads
        >>> from rewardspec.tabular.world import tabulate
        >>> text = "propositions: {goal: next_obs == 15, turn: next_obs == 3}\nreward: {ltl: F(turn & X F goal)}"
        >>> made = take_product(compile_spec(loads(text)), tabulate(gymnasium.make("FrozenLake-v1")))
        >>> made.n_memory, made.reward.shape, int(made.reward.sum())
        (2, (2, 16, 4, 3), 7)
    """
    _refuse(program)
    layout = bind(program, world.observation_space, world.action_space)
    program = layout.program
    _refuse_labels(layout.labels, world)
    shape = world.next_state.shape
    transition = _transitions(world, layout.labels)
    step = compile_array(layout, int(np.prod(shape)))
    kept = _remembered(program)
    machines = len(program.machines)
    columns = [*range(machines), *(machines + i for i, f in enumerate(program.folds) if f.name in kept)]
    possible = (world.probability > 0).reshape(-1)
    fresh = step.init()

    going, ends = _Search(), _Search()
    going.number(np.array([fresh[c][0] for c in columns], np.float64))
    tables: list[tuple[Integers, Floats, Floats, Booleans, Booleans]] = []
    while len(tables) < len(going.rows):
        _refuse_growth(going, possible.size, [*_column_names(program, columns)], world)
        row = going.rows[len(tables)]
        state = _with_memory(fresh, columns, row)
        news, outcome = step.step(state, transition, params)
        _refuse_non_finite(program, outcome.reward, possible, len(tables))
        terminated, truncated = outcome.terminated & possible, outcome.truncated & possible
        after = np.zeros(possible.size, np.int64)
        _place(going, [news[c] for c in columns], possible & ~terminated, after)
        _place(ends, [news[c] for c in columns], terminated, after)
        reward = np.where(possible, outcome.reward, 0.0)
        limited = _paid_at_limit(step, state, transition, params, possible)
        tables.append((after, reward, reward if limited is None else limited, terminated, truncated))

    next_memory, reward, at_limit, terminated, truncated = (
        np.stack(list(column)).reshape(len(tables), *shape) for column in zip(*tables, strict=True)
    )
    next_memory[terminated] += len(going.rows)
    memory = np.array([*going.rows, *ends.rows]).reshape(len(going.rows) + len(ends.rows), len(columns))
    return Product(
        world,
        program,
        memory,
        tuple(_column_names(program, columns)),
        tuple(_name(program, columns, row) for row in memory),
        next_memory,
        reward,
        at_limit if _reads_truncation(program) else reward,
        terminated,
        truncated,
    )


def _transitions(world: TabularWorld, labels: Sequence[str]) -> Transition:
    """Return every transition of the world, one after another: a batch of S * A * K."""
    states, actions, outcomes = world.next_state.shape
    size = world.next_state.size
    label = world.label.reshape(-1)
    return Transition(
        obs=np.repeat(world.observation, actions * outcomes, axis=0),
        action=np.tile(np.repeat(np.arange(actions), outcomes), states),
        next_obs=world.observation[world.next_state.reshape(-1)],
        reward=world.reward.reshape(-1),
        terminated=world.terminated.reshape(-1),
        truncated=np.zeros(size, np.bool_),
        label={name: (label >> world.labels.index(name) & 1).astype(np.bool_) for name in labels},
    )


def _with_memory(fresh: tuple[Any, ...], columns: Sequence[int], row: Floats) -> tuple[Any, ...]:
    """Return the backend's state with one memory in every environment of the batch."""
    state = list(fresh)
    for column, value in zip(columns, row, strict=True):
        state[column] = np.full_like(fresh[column], value)
    return tuple(state)


def _place(search: _Search, columns: Sequence[npt.NDArray[Any]], where: Booleans, numbers: Integers) -> None:
    """Write the number of each transition's memory where `where` holds, new numbers for new memory."""
    at = np.flatnonzero(where)
    if not at.size:
        return
    code = np.zeros(at.size, np.int64)
    for column in columns:  # what differs in some column differs in the code
        _, found = np.unique(column[at], return_inverse=True)
        if found.any():
            _, code = np.unique(code * (int(found.max()) + 1) + found, return_inverse=True)
    first = np.unique(code, return_index=True)[1]
    rows = np.stack([np.asarray(c[at[first]], np.float64) for c in columns], axis=1) if columns else None
    known = [search.number(np.zeros(0) if rows is None else rows[i] + 0.0) for i in range(len(first))]
    numbers[at] = np.array(known, np.int64)[code]


def _paid_at_limit(
    step: ArrayProgram,
    state: tuple[Any, ...],
    transition: Transition,
    params: Mapping[str, float] | None,
    possible: Booleans,
) -> Floats | None:
    """Return what is paid where the horizon truncates the episode, None for programs that do not look."""
    if not _reads_truncation(step.layout.program):
        return None
    _, outcome = step.step(state, replace(transition, truncated=np.ones(possible.size, np.bool_)), params)
    return np.where(possible, outcome.reward, 0.0)


def _reads_truncation(program: Program) -> bool:
    return any(
        (isinstance(node, ir.Field) and node.root == "truncated")
        or (isinstance(node, ir.Ended) and node.how in ("truncated", "last"))
        for root in program.roots()
        for node in ir.walk(root)
    )


# -- what memory there is --------------------------------------------------------------------------------------------


def _remembered(program: Program) -> frozenset[str]:
    """Return the folds on which a payment, an end or a machine depends, through other folds too."""
    folds = {fold.name: fold for fold in program.folds}
    roots: list[ir.Expr] = [term.expr for term in program.terms]
    roots += [end.when for end in program.ends]
    roots += [proposition.expr for proposition in program.propositions]
    found: set[str] = set()
    while roots:
        for node in ir.walk(roots.pop()):
            if isinstance(node, ir.Memory) and node.fold not in found:
                found.add(node.fold)
                roots.append(folds[node.fold].update)
    return frozenset(found)


def _column_names(program: Program, columns: Sequence[int]) -> list[str]:
    names = [*(machine.name for machine in program.machines), *(fold.name for fold in program.folds)]
    return [names[column] for column in columns]


def _name(program: Program, columns: Sequence[int], row: Floats) -> str:
    """Return a memory state in words: `want`, or `want, visits = 2`."""
    parts = []
    for column, name, value in zip(columns, _column_names(program, columns), row, strict=True):
        if column < len(program.machines):
            parts.append(program.machines[column].states[int(value)])
        else:
            parts.append(f"{name} = {value:g}")
    return ", ".join(parts) or "-"


# -- what cannot be taken a product with -----------------------------------------------------------------------------


def _refuse(program: Program) -> None:
    if program.scope == "episode":
        hint = "Choose a timing that pays as it goes (`increment`), or relabel stored trajectories."
        text = "a product holds what each step pays, and this spec pays only once an episode is over"
        raise UnsupportedError(Problem("needs-whole-episodes", text, hints=(hint,)))
    remembered = _remembered(program)
    runs = [fold for fold in program.folds if fold.name in remembered and fold.scope == "run"]
    if runs:
        raise UnsupportedError(_unbounded(f"'{runs[0].name}' is a statistic of the whole run"))
    if program.sets:
        raise UnsupportedError(_unbounded(f"'{program.sets[0].name}' can be any set of what was visited"))
    for root in program.roots():
        for node in ir.walk(root):
            if isinstance(node, ir.Reduce) and node.axis == "B":
                raise UnsupportedError(_unbounded("a term looks at other environments of a batch"))
            if isinstance(node, ir.Field) and node.root == "info":
                read = ".".join(str(step) for step in node.path)
                text = f"the table of a finite world holds no info, and the spec reads info.{read}"
                raise MismatchError(
                    Problem("not-tabular", text, node.place, ("Read the observation or a label instead.",))
                )


def _unbounded(reason: str) -> Problem:
    hint = "Leave the term out, or state it without the memory."
    return Problem("unbounded-memory", f"there is no finite product: {reason}", hints=(hint,))


def _refuse_labels(needed: Sequence[str], world: TabularWorld) -> None:
    missing = [name for name in needed if name not in world.labels]
    if missing:
        has = ", ".join(world.labels) or "none"
        text = f"the world has no label '{missing[0]}'"
        raise MismatchError(Problem("missing-label", text, hints=(f"Labels of the world: {has}.",)))


def _refuse_growth(search: _Search, cells: int, names: Sequence[str], world: TabularWorld) -> None:
    found = len(search.rows)
    if found <= MAX_MEMORY and found * cells <= MAX_CELLS:
        return
    counts = [len(np.unique(column)) for column in np.array(search.rows).T]
    widest = names[int(np.argmax(counts))]
    reason = (
        f"{found:,} memory states over {world.n_states:,} states, and '{widest}' takes {max(counts):,} values"
    )
    raise UnsupportedError(_unbounded(reason))


def _refuse_non_finite(program: Program, reward: Floats, possible: Booleans, memory: int) -> None:
    wrong = np.flatnonzero(possible & ~np.isfinite(reward))
    if wrong.size:
        names = ", ".join(f"'{term.name}'" for term in program.terms)
        text = f"transition {wrong[0]} of the world is paid {reward[wrong[0]]} in memory {memory}; terms: {names}"
        raise NonFiniteRewardError(Problem("non-finite-reward", text))
