"""Two programs on one world: one process that carries both memories, with what each program pays.

Rewards of two specs can be compared only where both are functions of the same states. Here a state is (memory of the
first, memory of the second, state of the world). A program that has ended the episode pays 0 from then on while the
other goes on; the episode is over when both have ended it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.process import Process
from rewardspec.tabular.product import Product

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MAX_STATES = 200_000
"""Joint states after which the search gives up."""


@dataclass(frozen=True, eq=False)
class Joint:
    """Two products as one.

    Attributes:
        process: The process over X joint states that some behaviour reaches.
        rewards: Two `[X, A, K]` float64 arrays: what each program pays.
        products: What was joined.
        memory: `[X, 2]` int64, the two memory states; U (one more than the last) where that program has ended.
        state: `[X]` int64, the world's state.
        ends_apart: Whether one program ends an episode somewhere that goes on for the other.
    """

    process: Process
    rewards: tuple[Floats, Floats]
    products: tuple[Product, Product]
    memory: Integers
    state: Integers
    ends_apart: bool

    def name(self, x: int) -> str:
        """Return both memories of a joint state in words."""
        names = []
        for product, u in zip(self.products, self.memory[x], strict=True):
            names.append("over" if u >= product.n_memory else product.names[u])
        return " | ".join(names)


def join(first: Product, second: Product) -> Joint:
    """Return the process of two products on one world.

    Raises:
        UnsupportedError: `wrong-setting` when the worlds differ, `unbounded-memory` when the joint states are too many.
    """
    world = first.world
    if world.next_state.shape != second.world.next_state.shape or not np.array_equal(
        world.next_state, second.world.next_state
    ):
        raise UnsupportedError(Problem("wrong-setting", "two specs are compared on one world"))
    states, _, outcomes = world.next_state.shape
    units = (first.n_memory + 1, second.n_memory + 1)
    total = units[0] * units[1] * states
    number = np.full(total, -1, np.int64)
    begin = np.flatnonzero(world.start)
    found: list[Integers] = [
        begin
    ]  # code of a joint state: (u1 * units2 + u2) * S + s; both begin in memory 0
    number[begin] = np.arange(len(begin))
    count, ahead = len(begin), begin
    tables: list[tuple[Integers, npt.NDArray[np.bool_], Floats, Floats]] = []
    ends_apart = False
    while ahead.size:
        one, two, s = ahead // states // units[1], ahead // states % units[1], ahead % states
        after_one, over_one, paid_one = _advance(first, one, s)
        after_two, over_two, paid_two = _advance(second, two, s)
        over, possible = over_one & over_two, world.probability[s] > 0
        ends_apart = ends_apart or bool(((over_one != over_two) & possible).any())
        code = (after_one * units[1] + after_two) * states + world.next_state[s]
        fresh = np.unique(code[possible & ~over])
        fresh = fresh[number[fresh] < 0]
        number[fresh] = count + np.arange(len(fresh))
        count += len(fresh)
        if count > MAX_STATES:
            text = f"together the two specs have more than {MAX_STATES:,} states on this world"
            raise UnsupportedError(Problem("unbounded-memory", text, hints=("Compare by samples instead.",)))
        tables.append((code, over, paid_one, paid_two))
        found.append(fresh)
        ahead = fresh
    codes = np.concatenate(found)
    code, over, paid_one, paid_two = (np.concatenate(column) for column in zip(*tables, strict=True))
    s = codes % states
    start = np.zeros(count)
    start[: len(begin)] = world.start[begin]
    process = Process(np.where(over, 0, np.maximum(number[code], 0)), world.probability[s], over, start)
    memory = np.stack([codes // states // units[1], codes // states % units[1]], axis=1)
    assert process.next_state.shape == (count, world.n_actions, outcomes)
    return Joint(process, (paid_one, paid_two), (first, second), memory, s, ends_apart)


def _advance(product: Product, u: Integers, s: Integers) -> tuple[Integers, npt.NDArray[np.bool_], Floats]:
    """Return next memory, whether it is over, and reward, `[N, A, K]`; a program that has ended stays so for 0."""
    units = product.n_memory
    done = (u >= units)[:, None, None]
    at = np.minimum(u, units - 1)
    over = product.ended[at, s] | done
    after = np.where(over, units, product.next_memory[at, s])
    return after, over, np.where(done, 0.0, product.reward[at, s])
