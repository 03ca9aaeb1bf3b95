"""Yardsticks for what is learnt: planners that know a deterministic world and the set function.

All of them look for a walk of so many steps whose visits are worth the most. `greedy` takes the best next step,
`beam_search` keeps the best walks of each length, `best_walk` tries all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.layout import bind
from rewardspec.ir.program import Program, Term
from rewardspec.sets.family import SetFunction, Sets
from rewardspec.tabular.world import TabularWorld
from rewardspec.transition import Transition

Integers = npt.NDArray[np.int64]

MOST_WALKS = 5_000_000
"""Walks that `best_walk` tries at most."""


@dataclass(frozen=True, eq=False)
class Walks:
    """Where one can walk, and what a visit adds to the set.

    Attributes:
        next_state: `[S, A]`, where an action leads.
        item: `[S]`, the item of each state; -1 for none.
        start: The first state; its item is in the set from the start.
        steps: Steps of a walk.
        function: What the set is worth.
    """

    next_state: Integers
    item: Integers
    start: int
    steps: int
    function: SetFunction

    @staticmethod
    def of(program: Program, world: TabularWorld) -> Walks:
        """Return the walks of a finite world under a program's only set.

        Args:
            program: A program whose reward is the gain of one set.
            world: A deterministic world with one first state and a horizon.

        Raises:
            UnsupportedError: `not-plannable` with what is in the way.
        """
        reason = _what_is_in_the_way(program, world)
        if reason is not None:
            hint = "Planners here take worlds without chance, and a reward that is one `submodular` term."
            raise UnsupportedError(
                Problem("not-plannable", f"there is nothing to plan by: {reason}", hints=(hint,))
            )
        assert world.horizon is not None
        (grown,) = program.sets
        asked = replace(program, terms=(Term("item", "item", grown.item),), sets=(), ends=(), machines=())
        layout = bind(asked, world.observation_space, world.action_space)
        from rewardspec.backends.array import compile_array

        compiled, count = compile_array(layout, world.n_states), world.n_states
        seen: Any = world.observation
        zeros = np.zeros(count)
        transition = Transition(seen, np.zeros(count, np.int64), seen, zeros, zeros > 0, zeros > 0)
        _, outcome = compiled.step(compiled.init(), transition)
        return Walks(
            world.next_state[:, :, 0],
            np.asarray(outcome.reward).astype(np.int64),
            int(world.start.argmax()),
            world.horizon,
            grown.function,
        )


def _what_is_in_the_way(program: Program, world: TabularWorld) -> str | None:
    if len(program.sets) != 1 or len(program.terms) != 1:
        return "the reward is not one submodular term"
    if not world.is_deterministic or world.start.max() < 1.0:
        return "steps or first states are drawn at random"
    if world.horizon is None:
        return "episodes have no horizon"
    return "episodes can end before" if world.terminated.any() else None


@dataclass(frozen=True)
class Plan:
    """A walk and its worth.

    Attributes:
        value: F of all that is visited, the start included.
        paid: F without that of the start alone: the return of an episode.
        actions: The steps.
    """

    value: float
    paid: float
    actions: tuple[int, ...]


def greedy(walks: Walks) -> Plan:
    """Return the walk that always takes the step that gains most at once; the first of equals.

    Example:
        >>> from rewardspec.sets.coverage import Coverage
        >>> line = Walks(np.array([[0, 1], [0, 2], [1, 2]]), np.arange(3), 1, 2, Coverage([[0], [1], [2]], [1, 1, 5]))
        >>> greedy(line).value, best_walk(line).value
        (6.0, 6.0)
    """
    return beam_search(walks, width=1)


def beam_search(walks: Walks, width: int = 1000, seed: int = 0) -> Plan:
    """Return the best walk found by keeping, of each length, the `width` walks that are worth most.

    Of walks that end in one state and have visited the same one is kept; which of equals stay is drawn at random. A
    value is a lower bound of the best.

    Args:
        walks: Where one can walk.
        width: Walks that are kept.
        seed: Of the draws.
    """
    sets, rng = Sets(walks.function), np.random.default_rng(seed)
    first = np.array([walks.item[walks.start]])
    began, state = sets.advance(sets.start(1), first)
    at, value = np.array([walks.start]), np.zeros(1)
    signs = rng.standard_normal(sets.width)
    came_from: list[Integers] = []
    taken: list[Integers] = []
    actions = walks.next_state.shape[1]
    for _ in range(walks.steps):
        parent = np.repeat(np.arange(len(at)), actions)
        action = np.tile(np.arange(actions), len(at))
        target = walks.next_state[at[parent], action]
        reached = sets.take(state, parent)
        gained, reached = sets.advance(reached, walks.item[target])
        worth = value[parent] + gained
        # Two walks are one where place and visits agree: told by a random mark of the visits.
        mark = np.round(np.asarray(sets.summary(reached), np.float64) @ signs, 6)
        order = np.lexsort((rng.random(len(worth)), -worth))
        _, distinct = np.unique(np.stack([target[order], mark[order]]), axis=1, return_index=True)
        kept = order[np.sort(distinct)[:width]]
        at, value, state = target[kept], worth[kept], sets.take(reached, kept)
        came_from.append(parent[kept])
        taken.append(action[kept])
    best = int(value.argmax())
    return Plan(float(began[0] + value[best]), float(value[best]), _trace(came_from, taken, best))


def _trace(came_from: list[Integers], taken: list[Integers], at: int) -> tuple[int, ...]:
    steps = []
    for parents, actions in zip(reversed(came_from), reversed(taken), strict=True):
        steps.append(int(actions[at]))
        at = int(parents[at])
    return tuple(reversed(steps))


def best_walk(walks: Walks) -> Plan:
    """Return a best walk, by trying all: a beam from which nothing is ever dropped.

    Raises:
        UnsupportedError: `not-plannable` when there are too many.
    """
    count = walks.next_state.shape[1] ** walks.steps
    if count > MOST_WALKS:
        text = f"{float(count):.3g} walks are too many to try: at most {MOST_WALKS:,}"
        raise UnsupportedError(Problem("not-plannable", text, hints=("Search with a beam.",)))
    return beam_search(walks, width=MOST_WALKS)
