"""What tabular agents learn: specs on a finite world, their optima, and all of them in one table for the kernels.

Source: R. Toro Icarte, T. Q. Klassen, R. Valenzano, S. A. McIlraith, "Reward Machines: Exploiting Reward Function
Structure in Reinforcement Learning", JAIR 73 (2022), sections 4 (options) and 5 (shaping).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rewardspec import Program
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Term
from rewardspec.kinds.potential import machine_potential, shaped
from rewardspec.tabular.product import Product, take_product
from rewardspec.tabular.solve import reward_per_step, solve, uniform
from rewardspec.tabular.world import TabularWorld

Shaping = Literal["none", "value_iteration", "value", "distance"]


class Tables(NamedTuple):
    """The product of all tasks as the kernels read it: N = S * A * K rows of outcomes, U memory states, O options.

    The last axis is memory: counterfactual experience reads all of it at one outcome.
    """

    next_state: npt.NDArray[np.int64]  # [N]
    chance: npt.NDArray[np.float64]  # [S * A, K] cumulative
    starts: npt.NDArray[np.int64]  # states in which an episode can begin
    start: npt.NDArray[np.float64]  # [1, starts] cumulative
    begin: npt.NDArray[np.int64]  # [tasks] memory at the start of an episode
    horizon: int  # 0 for none
    next_memory: npt.NDArray[np.int64]  # [N, U], from U on where the episode ends
    paid: npt.NDArray[np.float64]  # [N, U] by the spec
    learnt: npt.NDArray[np.float64]  # [N, U] the same with shaping
    paid_at_limit: npt.NDArray[np.float64]  # [N, U]
    learnt_at_limit: npt.NDArray[np.float64]  # [N, U]
    terminated: npt.NDArray[np.bool_]  # [N, U]
    truncated: npt.NDArray[np.bool_]  # [N, U]
    origin: npt.NDArray[np.int64]  # [O] memory in which an option can be chosen, ascending
    target: npt.NDArray[np.int64]  # [O] memory that it aims for
    first: npt.NDArray[np.int64]  # [U + 1] options of memory u: first[u] to first[u + 1]


@dataclass(frozen=True, eq=False)
class Task:
    """A spec on a world, with what there is to reach.

    Attributes:
        name: The spec's name.
        product: What the spec pays.
        shaped: What is learnt from: the same, or with a potential over the machine.
        optimum: Discounted return of an optimal policy.
        per_step: Mean reward per step over the episodes of an optimal policy that explores as the agent does.
    """

    name: str
    product: Product
    shaped: Product
    optimum: float
    per_step: float


def make_task(
    program: Program,
    world: TabularWorld,
    gamma: float,
    *,
    method: str = "plain",
    shaping: Shaping = "none",
    epsilon: float = 0.1,
    machine_discount: float = 0.9,
) -> Task:
    """Return a task and what there is to reach in it.

    Args:
        program: What is paid.
        world: Where.
        gamma: Discount.
        method: How it will be learnt; all but `plain` need a machine.
        shaping: Potential over the machine that is added while learning.
        epsilon: Exploration, for the reward per step that there is to reach.
        machine_discount: Discount of the value iteration on the machine, for shaping.

    Raises:
        UnsupportedError: `needs-machine` when the method or the shaping needs one.
    """
    if not program.machines and (method != "plain" or shaping != "none"):
        what = f"the method '{method}'" if method != "plain" else f"shaping '{shaping}'"
        hint = "Learn with --method plain and without shaping, or state the reward as a machine or a formula."
        raise UnsupportedError(
            Problem("needs-machine", f"{what} needs a machine, and '{program.name}' has none", hints=(hint,))
        )
    product = learnt = take_product(program, world)
    solution = solve(product, gamma)
    explored = reward_per_step(product, uniform(solution.optimal, epsilon), most=10_000)
    if shaping != "none":
        learnt = take_product(add_shaping(program, gamma, shaping, machine_discount), world)
    return Task(program.name, product, learnt, solution.value, explored.of_episodes)


def add_shaping(program: Program, gamma: float, shaping: Shaping, machine_discount: float) -> Program:
    """Return the program with gamma * potential(after) - potential(before) of each of its machines paid besides."""
    terms = list(program.terms)
    for machine in program.machines:
        values = machine_potential(machine, shaping, 1.0, machine_discount)
        after, before = (ir.StateTable(machine.name, values, after=after) for after in (True, False))
        terms.append(Term(f"shaping by {machine.name}", "potential", shaped(gamma, after, before)))
    return replace(program, terms=tuple(terms))


def tabled(tasks: Sequence[Task]) -> Tables:
    """Return the tables of all tasks, their memory states numbered one after another."""
    world = tasks[0].product.world
    counts = [task.product.n_memory for task in tasks]
    total, begin, ends = sum(counts), [0, *np.cumsum(counts)[:-1]], 0
    following: list[Any] = []
    origin: list[int] = []
    target: list[int] = []
    for task, low, count in zip(tasks, begin, counts, strict=True):
        numbers = task.product.next_memory + np.where(
            task.product.next_memory < count, int(low), total + ends - count
        )
        following.append(numbers)
        for u, aim in edges_worth_taking(task.product):
            origin.append(int(low) + u)
            target.append(int(low) + aim if aim < count else total + ends + aim - count)
        ends += len(task.product.names) - count
    products, starts = [task.product for task in tasks], np.flatnonzero(world.start)
    learnt = [task.shaped for task in tasks]
    return Tables(
        world.next_state.reshape(-1),
        np.cumsum(world.probability, axis=2).reshape(-1, world.probability.shape[2]) + 1e-12,
        starts,
        np.cumsum(world.start[starts])[None] + 1e-12,
        np.array(begin, np.int64),
        world.horizon or 0,
        memory_last(following),
        memory_last([p.reward for p in products]),
        memory_last([p.reward for p in learnt]),
        memory_last([p.reward_at_limit for p in products]),
        memory_last([p.reward_at_limit for p in learnt]),
        memory_last([p.terminated for p in products]),
        memory_last([p.truncated for p in products]),
        np.array(origin, np.int64),
        np.array(target, np.int64),
        np.searchsorted(np.array(origin), np.arange(total + 1)).astype(np.int64),
    )


def memory_last(by_task: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return `[S * A * K, U]` of tables `[U, S, A, K]`."""
    joined = np.concatenate(list(by_task))
    return np.ascontiguousarray(joined.reshape(len(joined), -1).T)


def edges_worth_taking(product: Product) -> list[tuple[int, int]]:
    """Return the options: (memory, memory aimed for), for each move of memory after which something can be earned.

    The authors list an option per edge of a machine without edges into failure; a spec that names failure has such
    edges, so an edge that pays nothing counts only where a payment can still follow. Memory without any gets an
    option that aims for nothing.
    """
    count = product.n_memory
    following, best = product.next_memory, {}
    probability = np.broadcast_to(product.world.probability, following.shape)
    for u in range(count):
        for aim in np.unique(following[u][probability[u] > 0]):
            if int(aim) != u:
                taken = (following[u] == aim) & (probability[u] > 0)
                best[u, int(aim)] = float(product.reward[u][taken].max())
    earning: set[int] = {u for u in range(count) if (product.reward[u] > 0).any()}
    while len(earning) < len(more := earning | {u for u, aim in best if aim in earning}):
        earning = more
    useful = [edge for edge, paid in best.items() if paid > 0 or edge[1] in earning]
    without = set(range(count)) - {u for u, _ in useful}
    return sorted([*useful, *((u, u) for u in without)])
